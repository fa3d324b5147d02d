//! A connection as the shard sees it: where its login stands, its unread input, its unwritten
//! output, and the session once it is logged in.
//!
//! ```text
//! Hello ──► Authenticating ──► Login ──► Open ──► Closing
//!   │             │  └► handed over        │         ▲
//!   └─────────────┴───────────────┴────────┴─────────┘
//! ```

use std::collections::VecDeque;

use bytes::Bytes;
use fulmar_protocol::Assembly;
use hashbrown::HashSet;

use super::group::Feeds;
use super::history::Page;
use super::output::Patience;
use super::people::Following;
use super::seam::{Arrival, ConnId, DeviceId, LogId, UserId};
use super::watching::Attention;

/// Body bytes of one connection's sends that may wait for their answers before no more is read from
/// it: what storage is behind with is held in memory.
pub(super) const SENDS_BYTES_MAX: usize = 512 * 1024;
/// Questions about conversations that one connection may have under way before no more is read from
/// it: each may cost two loads.
pub(super) const ASKING_MAX: u32 = 32;

const _: () = assert!(SENDS_BYTES_MAX > fulmar_protocol::limits::BODY_BYTES_MAX);

/// Where a connection stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Waits for the hello.
    Hello,
    /// Waits for the verdict on the token.
    Authenticating(Box<Arrival>),
    /// Waits for the user's inbox to be loaded, or for a new device to be stored.
    Login(Box<Arrival>),
    /// Logged in.
    Open(Box<Session>),
    /// Was told why it ends; only its output still goes out.
    Closing,
}

/// See the module's description.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent marks
pub(super) struct Connection {
    pub(super) id: ConnId,
    pub(super) stage: Stage,
    /// Input that is not a complete frame yet, or that waits because the connection is paused.
    pub(super) input: Vec<u8>,
    /// Bytes at the front of `input` that were used. More than none only while paused.
    pub(super) input_used: usize,
    /// Encoded frames that the driver has not taken.
    pub(super) output: Vec<u8>,
    /// The driver writes output that it took.
    pub(super) writing: bool,
    /// Named in the effects of this turn already.
    pub(super) flush_queued: bool,
    /// In the lists of connections whose frames wait for company, by patience.
    pub(super) gathering: [bool; Patience::COUNT],
    /// Input isn't looked at, since the client has too many sends or too much output waiting, or all
    /// clients together have.
    pub(super) paused: bool,
    /// In the list of those that wait for the core's sends to be answered.
    pub(super) crowded: bool,
    /// When the last frame came, or when the stage began; on the monotonic clock.
    pub(super) heard_ms: u64,
    /// When the frame in `input` began; 0 while none is split.
    pub(super) partial_ms: u64,
    /// When the earliest timer entry of this connection fires.
    pub(super) armed_ms: u64,
}

impl Connection {
    pub(super) const fn new(id: ConnId, stage: Stage, mono_ms: u64) -> Self {
        Connection {
            id,
            stage,
            input: Vec::new(),
            input_used: 0,
            output: Vec::new(),
            writing: false,
            flush_queued: false,
            gathering: [false; Patience::COUNT],
            paused: false,
            crowded: false,
            heard_ms: mono_ms,
            partial_ms: 0,
            armed_ms: u64::MAX,
        }
    }

    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.stage {
            Stage::Open(session) => Some(session),
            _ => None,
        }
    }
}

/// A message that was sent to the device and is not acknowledged, or positions that were skipped.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    /// The position of the message, or the last one skipped.
    pub(super) position: u64,
    /// The author, or 0 where there is no receipt to give: a copy, or a skipped position.
    pub(super) author: UserId,
    pub(super) ordinal: u64,
    /// The inbox's running total of bytes at this position.
    pub(super) total_bytes: u64,
    /// Counts in the window; a skipped position doesn't.
    pub(super) body_bytes: Option<u32>,
}

/// A large body on its way to the device.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) body: Bytes,
    /// Bytes that were put into frames.
    pub(super) done: usize,
    /// Logs whose next entry has a large body too, and waits until this one has gone.
    pub(super) waiting: HashSet<LogId>,
}

/// A large body on its way from the device.
#[derive(Debug)]
pub(super) enum Upload {
    /// It is kept. `begun` is its place among the bodies that arrive at this core.
    Taken { begun: u64, to: LogId, number: u64, content: u8, assembly: Assembly },
    /// It isn't taken; this many bytes of it are still to come.
    Ignored { rest_bytes: u64 },
}

/// A logged-in device.
///
/// Invariants: `acked < next`; positions in `window` rise and lie in `acked < p < next`; every such
/// position is in it, alone or in a run of skipped ones; no two runs are neighbours, so that the
/// window of messages bounds it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent marks
pub(super) struct Session {
    pub(super) user: UserId,
    /// Slot of the user in the table; the user isn't evicted while it has a session.
    pub(super) user_slot: u32,
    pub(super) device: DeviceId,
    /// Everything up to here is safe on the device.
    pub(super) acked: u64,
    /// The next position to send.
    pub(super) next: u64,
    pub(super) window: VecDeque<InFlight>,
    /// Messages in `window`.
    pub(super) window_messages: u32,
    /// Body bytes in `window`.
    pub(super) window_bytes: u64,
    /// A position was passed over since the last frame that told the device so.
    pub(super) skip_untold: bool,
    /// A cold read for this session is under way.
    pub(super) loading: bool,
    /// Complete sends without an answer.
    pub(super) unanswered: u32,
    /// Body bytes of those.
    pub(super) unanswered_bytes: usize,
    /// Questions about conversations without an answer: what was asked, and what was read in a
    /// conversation that isn't in memory.
    pub(super) asking: u32,
    /// A send waits for what its judgement needs; nothing that comes after it is looked at.
    pub(super) is_judging: bool,
    pub(super) upload: Option<Box<Upload>>,
    /// When the last piece of it came.
    pub(super) upload_ms: u64,
    pub(super) download: Option<Box<Download>>,
    /// The page of a log that it asked for.
    pub(super) page: Option<Box<Page>>,
    /// A ping has no answer yet.
    pub(super) pong_owed: bool,
    /// READs that wait until their conversation is read; no pong overtakes them.
    pub(super) reads_loading: u32,
    /// When the last pong was put into the output; 0 before the first.
    pub(super) ponged_ms: u64,
    /// What it gets of groups, once it says that it takes them; boxed, since many sessions have none.
    pub(super) groups: Option<Box<Feeds>>,
    /// Peers whose receipts could not be told since the output was full.
    pub(super) stalled_receipts: Vec<UserId>,
    /// Until then it isn't noted again that the person did something here, on the monotonic clock.
    pub(super) noted_until_ms: u64,
    /// What it is told of its user's book, once it asked.
    pub(super) book: Option<Box<Following>>,
    /// Boxed, since most sessions of most hours have none.
    pub(super) attention: Option<Box<Attention>>,
}

impl Session {
    pub(super) fn new(user: UserId, user_slot: u32, device: DeviceId, cursor: u64) -> Self {
        Session {
            user,
            user_slot,
            device,
            acked: cursor,
            next: cursor + 1,
            window: VecDeque::new(),
            window_messages: 0,
            window_bytes: 0,
            skip_untold: false,
            loading: false,
            unanswered: 0,
            unanswered_bytes: 0,
            asking: 0,
            is_judging: false,
            upload: None,
            upload_ms: 0,
            download: None,
            page: None,
            pong_owed: false,
            reads_loading: 0,
            ponged_ms: 0,
            groups: None,
            stalled_receipts: Vec::new(),
            noted_until_ms: 0,
            book: None,
            attention: None,
        }
    }

    /// Whether the next entry of a log waits until the large body has gone that is on its way.
    pub(super) fn has_waiting(&self, log: LogId) -> bool {
        self.download.as_deref().is_some_and(|download| download.waiting.contains(&log))
    }

    /// Notes that the message at `next` was sent to the device.
    pub(super) fn sent(&mut self, flight: InFlight) {
        debug_assert_eq!(flight.position, self.next);
        self.next += 1;
        self.window_messages += 1;
        self.window_bytes += u64::from(flight.body_bytes.unwrap_or_default());
        self.window.push_back(flight);
    }

    /// Notes that the positions from `next` through `position` hold nothing for the device.
    /// `total_bytes` is the inbox's running total there.
    pub(super) fn pass_over(&mut self, position: u64, total_bytes: u64) {
        if position < self.next {
            return;
        }
        self.next = position + 1;
        self.skip_untold = true;
        if self.window.back().is_some_and(|last| last.body_bytes.is_none()) {
            self.window.pop_back();
        }
        let body_bytes = None;
        self.window.push_back(InFlight {
            position,
            author: 0,
            ordinal: 0,
            total_bytes,
            body_bytes,
        });
    }

    /// Whether the client has so much waiting for answers that no more is read from it.
    pub(super) const fn is_full(&self, sends_max: u32) -> bool {
        self.unanswered >= sends_max
            || self.unanswered_bytes >= SENDS_BYTES_MAX
            || self.asking >= ASKING_MAX
            || self.is_judging
    }

    /// Whether enough was answered to read from a paused client again.
    pub(super) const fn is_calm(&self, sends_max: u32) -> bool {
        self.unanswered <= sends_max / 2
            && self.unanswered_bytes <= SENDS_BYTES_MAX / 2
            && self.asking <= ASKING_MAX / 2
            && !self.is_judging
    }

    /// Takes the oldest position out of the window if it is acknowledged by `through`, or was
    /// passed over and so needs no acknowledgement.
    pub(super) fn settle(&mut self, through: u64) -> Option<InFlight> {
        let oldest = self.window.front()?;
        if oldest.position > through && oldest.body_bytes.is_some() {
            return None;
        }
        let settled = self.window.pop_front()?;
        self.acked = settled.position;
        if let Some(bytes) = settled.body_bytes {
            self.window_messages -= 1;
            self.window_bytes -= u64::from(bytes);
        }
        Some(settled)
    }
}
