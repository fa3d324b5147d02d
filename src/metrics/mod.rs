//! What the server counts, and how operators read it.
//!
//! Each core has its own block of cells, [`CoreMetrics`], and is the only thread that writes them:
//! a relaxed load and a relaxed store in its own cache lines, so counting costs what adding to a
//! plain integer costs. The journal has a block of its own, likewise. Readers sum the blocks
//! whenever they are asked; a reading is not a snapshot of one instant, and each value by itself is
//! true.
//!
//! State machines that must not know of this module keep plain integers, and their driver copies
//! the totals over with [`Counter::set`] now and then.
//!
//! Names follow the conventions of Prometheus: base units, `_total` on counters. They are an
//! interface: dashboards and alarms depend on them.

mod cell;
mod process;
mod render;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crossbeam_utils::CachePadded;
use fulmar_protocol::{Code, Kind};

pub use cell::{Counter, Gauge, Histogram};
pub use render::CONTENT_TYPE;

/// Upper bounds of durations, in nanoseconds: 10 µs to 1 s, in steps of about 2.5.
const DURATION_BOUNDS_NS: [u64; 16] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];

/// Upper bounds of the number of messages in one commit.
const COMMIT_BOUNDS: [u64; 15] =
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384];

/// All counts of one node.
#[derive(Debug)]
pub struct Metrics {
    cores: Box<[CachePadded<CoreMetrics>]>,
    journal: CachePadded<JournalMetrics>,
}

impl Metrics {
    /// Everything at zero, for a node with this many cores.
    pub fn new(cores: usize) -> Arc<Metrics> {
        let cores = (0..cores).map(|_| CachePadded::default()).collect();
        Arc::new(Metrics { cores, journal: CachePadded::default() })
    }

    /// The cells of one core, counted from 0. Only the thread of that core may write them: two
    /// writers would lose counts.
    pub fn core(&self, core: usize) -> &CoreMetrics {
        &self.cores[core]
    }

    /// The cells of the journal. Only the journal's thread may write them.
    pub fn journal(&self) -> &JournalMetrics {
        &self.journal
    }

    /// Everything in the text format of Prometheus, [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        render::text(self)
    }
}

/// What one core counts.
#[derive(Debug, Default)]
pub struct CoreMetrics {
    /// Connections that are open on this core.
    pub connections: Gauge,
    /// Connections that are logged in on this core.
    pub sessions: Gauge,
    /// People whose home it is and who are online.
    pub users_online: Gauge,
    /// People whom sessions of this core watch, counted for each session.
    pub watches: Gauge,
    /// Users whose inbox state is in memory.
    pub users_warm: Gauge,
    /// Conversations whose state is in memory.
    pub conversations_warm: Gauge,
    /// Letters that wait in the rings towards this core.
    pub ring_depth: Gauge,
    /// Writes that are not durable yet.
    pub uncommitted: Gauge,
    /// How much is being shed, 0 for nothing.
    pub overload_level: Gauge,
    /// Age of the oldest work that is not done yet, in nanoseconds.
    pub lag_ns: Gauge,

    /// Connections accepted.
    pub accepted: Counter,
    /// Bytes read from sockets.
    pub received_bytes: Counter,
    /// Bytes written to sockets.
    pub sent_bytes: Counter,
    /// Messages that were given a place in an inbox of this core.
    pub messages: Counter,
    /// Letters to other cores.
    pub letters: Counter,
    /// Hellos that were welcomed.
    pub logins: Counter,
    /// Sessions that were replaced by a newer one of the same device.
    pub takeovers: Counter,
    /// Inboxes and conversations whose state was read from storage.
    pub hydrations: Counter,
    /// Inboxes and conversations whose state was dropped from memory.
    pub evictions: Counter,
    /// Deliveries that had to read messages from storage.
    pub cold_reads: Counter,
    /// Receipts held back under load.
    pub receipts_held: Counter,
    /// Changes of somebody's presence that watchers were told.
    pub presence_told: Counter,
    /// Times that telling them had to wait for the load to fall or for an output to empty.
    pub presence_held: Counter,
    /// Frames about writing that were dropped under load.
    pub typing_shed: Counter,
    /// Frames about writing that came too fast.
    pub typing_limited: Counter,
    /// Times that ticks or receipts of a connection waited for company.
    pub gathered: Counter,
    /// Receipts that a full output had no room for.
    pub receipts_stalled: Counter,
    /// System calls that submitted to the ring or waited for it.
    pub enters: Counter,
    /// Sends of which the kernel took only a part.
    pub short_writes: Counter,
    /// Accepts that failed.
    pub accept_errors: Counter,
    /// Sockets that sat out a turn because they had taken too many receive buffers.
    pub rests: Counter,
    /// Receives that found no free buffer.
    pub enobufs: Counter,
    /// Times that the kernel held completions back because the queue was full.
    pub cq_overflows: Counter,
    /// Multishot operations that ended and were armed again.
    pub rearms: Counter,
    /// Times that a device's window became full and delivery stopped.
    pub windows_full: Counter,
    /// Times that a socket was no longer read because of unanswered sends.
    pub pauses: Counter,

    /// Time of a turn: from the first completion handled to the submission of what follows.
    pub turn_duration: DurationHistogram,

    frames_received: ByKind,
    frames_sent: ByKind,
    refused: ByCode,
    rejected: ByCode,
    goodbyes: ByCode,
}

impl CoreMetrics {
    /// Frames of this kind that were received.
    pub fn frames_received(&self, kind: Kind) -> &Counter {
        &self.frames_received.0[kind_index(kind)]
    }

    /// Frames of this kind that were sent.
    pub fn frames_sent(&self, kind: Kind) -> &Counter {
        &self.frames_sent.0[kind_index(kind)]
    }

    /// Hellos, and connections before theirs, that were refused for this reason.
    pub fn refused(&self, code: Code) -> &Counter {
        &self.refused[code_index(code)]
    }

    /// Sends that were rejected for this reason.
    pub fn rejected(&self, code: Code) -> &Counter {
        &self.rejected[code_index(code)]
    }

    /// Logged-in connections that the server ended for this reason.
    pub fn goodbyes(&self, code: Code) -> &Counter {
        &self.goodbyes[code_index(code)]
    }
}

/// What the journal counts.
#[derive(Debug, Default)]
pub struct JournalMetrics {
    /// Messages in one commit.
    pub commit_messages: CommitHistogram,
    /// Time of one commit, fsync included.
    pub commit_duration: DurationHistogram,
    /// Bytes of keys and values committed.
    pub committed_bytes: Counter,
}

/// A histogram of nanoseconds.
pub type DurationHistogram = Histogram<{ DURATION_BOUNDS_NS.len() }>;

/// A histogram of the number of messages.
pub type CommitHistogram = Histogram<{ COMMIT_BOUNDS.len() }>;

impl Default for DurationHistogram {
    fn default() -> DurationHistogram {
        Histogram::new(&DURATION_BOUNDS_NS)
    }
}

impl Default for CommitHistogram {
    fn default() -> CommitHistogram {
        Histogram::new(&COMMIT_BOUNDS)
    }
}

#[derive(Debug)]
struct ByKind([Counter; Kind::NUMBERS]);

impl Default for ByKind {
    fn default() -> ByKind {
        ByKind(std::array::from_fn(|_| Counter::default()))
    }
}

/// One counter for each code, and the last for codes that this version doesn't define.
#[derive(Debug)]
struct ByCode([Counter; Code::ALL.len() + 1]);

impl Default for ByCode {
    fn default() -> ByCode {
        ByCode(std::array::from_fn(|_| Counter::default()))
    }
}

impl std::ops::Index<usize> for ByCode {
    type Output = Counter;

    fn index(&self, index: usize) -> &Counter {
        &self.0[index]
    }
}

/// Kinds are numbered from 1 without a gap.
const fn kind_index(kind: Kind) -> usize {
    kind as usize
}

/// The place of a code in [`Code::ALL`]. A search, because numbers have gaps; codes are counted
/// once per refusal, not per message.
fn code_index(code: Code) -> usize {
    Code::ALL.iter().position(|&known| known == code).unwrap_or(Code::ALL.len())
}
