//! The journal: where a write becomes durable.
//!
//! A commit is appended to a log of segments and synced; that is all that a tick waits for. What the
//! log holds is found through an index in memory. Most messages are acknowledged and trimmed within
//! moments, and so are most states overwritten: these never leave the log. What is still wanted when
//! its segment grows old is carried over to the database behind ([`Drain`]), and the segment is used
//! again.
//!
//! ```text
//! commit ──► segment 7 (active) ── sync ──► durable
//!               index: where each live value lies
//! drain  ──► segment 5 (oldest) ── live values ──► RocksDB ── flush ──► segment 5 becomes 8
//! load   ──► index, else RocksDB
//! ```
//!
//! The bytes of a segment are described in [`segment`] and [`record`]; what recovery accepts and what it
//! refuses in [`recovery`]. Why it is so: docs/decisions/0002-journal.md.

mod backlog;
mod commit;
mod drain;
mod error;
mod files;
mod index;
mod load;
mod page;
mod record;
mod recovery;
mod scan;
mod segment;
#[cfg(test)]
mod tests;

pub use commit::{COMMIT_BYTES_MAX, Commit, JournalCommitter};
pub use drain::{Drain, DrainStop};
pub use error::JournalError;
pub use files::{DiskDirectory, DiskFile, JournalDirectory, JournalFile};
pub use load::JournalReader;
pub use recovery::{Parts, is_begun, open};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use backlog::Backlog;
use index::Index;
use segment::Spare;

/// Length of a segment, in bytes, unless a commit needs a longer one.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Full segments that stay in the log, so that what they hold has time to become unwanted.
pub const SEGMENTS_KEPT: usize = 2;
/// Full segments at which a commit waits for the drain.
pub const SEGMENTS_MAX: usize = 8;

/// Sizes of a journal.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// Length of a segment, in bytes.
    pub segment_bytes: u64,
    /// Full segments that stay in the log.
    pub segments_kept: usize,
    /// Full segments at which a commit waits for the drain; not below `segments_kept`, nor 0.
    pub segments_max: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        JournalOptions {
            segment_bytes: SEGMENT_BYTES,
            segments_kept: SEGMENTS_KEPT,
            segments_max: SEGMENTS_MAX,
        }
    }
}

/// What committer, readers and drain share.
#[derive(Debug)]
struct Shared<D: JournalDirectory> {
    directory: D,
    index: RwLock<Index<D::File>>,
    /// Segments that can be used again.
    spares: Mutex<Vec<Spare<D::File>>>,
    /// Files made so far; each has a name of its own.
    spares_made: AtomicU64,
    backlog: Arc<Backlog>,
    segment_bytes: u64,
}

impl<D: JournalDirectory> Shared<D> {
    // A thread that panics takes the process with it, so a poisoned lock is never seen in earnest.
    fn read(&self) -> RwLockReadGuard<'_, Index<D::File>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index<D::File>> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Spare<D::File>>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a file of zeros for a segment. Takes as long as writing them does.
    fn create_spare(&self, bytes: u64) -> Result<Spare<D::File>, JournalError> {
        let nonce = self.spares_made.fetch_add(1, Ordering::Relaxed);
        Spare::create(&self.directory, nonce, bytes)
    }
}
