//! Durable state: what a turn of a shard wrote is stored under its ticket, and read back when it is no
//! longer in memory.
//!
//! A data directory holds
//!
//! ```text
//! FORMAT      the version of everything in it
//! SESSIONS    the time from which the next start may number its sessions, in Unix milliseconds
//! journal/    the log of commits: durability, and everything recent (see [`journal`])
//! rocksdb/    what outlives its segment of the log (see [`rocks`], docs/rocksdb.md)
//! ```
//!
//! Values are opaque here, with one exception: an entry's value begins with the time at which it was
//! taken, as eight bytes of little-endian Unix milliseconds, which tells when it has expired; and with a flag
//! behind that it says in the same form when it is over by itself (see [`entry`]).
//!
//! There are no threads in here. The node commits from one thread, loads from several, and runs the
//! drain on one.

mod directory;
mod entry;
mod error;
pub mod journal;
pub mod keys;
mod rocks;
mod simulated;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

pub use directory::begin_sessions;
pub use error::{OpenError, StorageError};
pub use journal::{Commit, DiskDirectory, DrainStop, JournalError};
pub use rocks::Rocks;
pub use simulated::{
    Counts, Fault, Loss, Lost, Operation, SimulatedDatabase, SimulatedDirectory, SimulatedFile,
};

use crate::shard::seam::{GroupId, Load, Loaded, Write};

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it is synced: it survives a power cut.
    Fsync,
    /// When the operating system has it: it survives the end of the process.
    Os,
}

/// How a data directory is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When a commit counts as done.
    pub durability: Durability,
    /// Size of one of RocksDB's write buffers, in bytes.
    pub write_buffer_bytes: usize,
    /// Size of RocksDB's cache of blocks, in bytes.
    pub block_cache_bytes: usize,
    /// Age at which messages are dropped; none where they are kept for ever.
    pub expiry: Option<Duration>,
    /// Sizes of the journal.
    pub journal: journal::JournalOptions,
}

/// A store of records behind the journal. Two kinds: RocksDB, and a simulated database.
pub trait Storage {
    /// What can go wrong. Nothing of it may be passed over.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Answers one load.
    fn load(&self, load: Load) -> Result<Loaded, Self::Error>;

    /// The head of every group of which anything is stored, as [`Loaded::Log`] has it; 0 of one without an
    /// entry.
    fn group_heads(&self) -> Result<Vec<(GroupId, u64)>, Self::Error>;

    /// Takes writes, in order. They are durable after the next flush. Taking the same writes again
    /// changes nothing. The highest position of each log is kept for good, whatever becomes of its entry; of a
    /// group's log that may be one that is only trimmed, since the entry never left the journal.
    fn apply(&self, writes: &[Write]) -> Result<(), Self::Error>;

    /// Makes everything that was applied durable.
    fn flush(&self) -> Result<(), Self::Error>;

    /// Notes, not later than the next flush, that everything from the journal's segments up to this one
    /// was applied.
    fn note_drained(&self, _segment: u64) -> Result<(), Self::Error> {
        Ok(())
    }

    /// The last segment that was noted, 0 if none was; `None` of a store that doesn't keep it.
    fn drained(&self) -> Result<Option<u64>, Self::Error> {
        Ok(None)
    }

    /// Whether nothing was ever applied.
    fn is_empty(&self) -> bool;
}

/// The one writer.
pub type Committer = journal::JournalCommitter<DiskDirectory>;
/// Answers loads; cheap to clone.
pub type Reader = journal::JournalReader<DiskDirectory, Rocks>;
/// Keeps the journal short.
pub type Drain = journal::Drain<DiskDirectory, Rocks>;

/// The parts of an opened data directory.
#[derive(Debug)]
pub struct Store {
    /// For the journal's thread.
    pub committer: Committer,
    /// For the workers.
    pub reader: Reader,
    /// For the drain's thread.
    pub drain: Drain,
}

/// Opens the data directory, or makes it.
///
/// The first start writes FORMAT, then the database, then the journal's first segment, and then, with
/// [`begin_sessions`], SESSIONS, each durably before the next. A start that ended before the last of these had
/// no clients, so whatever is missing then is made; where SESSIONS is, nothing may be missing.
pub fn open(path: &Path, options: &Options) -> Result<Store, OpenError> {
    directory::prepare(path)?;
    miss_nothing(path)?;
    let (database, journal) = (path.join("rocksdb"), path.join("journal"));
    let rocks = Rocks::open(&database, options)?;
    let is_syncing = options.durability == Durability::Fsync;
    let directory = DiskDirectory::make(&journal)?;
    let (committer, reader, drain) = journal::open(directory, options.journal, is_syncing, rocks)?;
    Ok(Store { committer, reader, drain })
}

/// Looks whether a server of this version could open the data directory, or make it, and changes nothing:
/// neither a server that has it open nor the next one notices. What only reading everything tells, such as
/// damage, it doesn't see.
pub fn check(path: &Path) -> Result<(), OpenError> {
    if directory::is_there(path)? {
        miss_nothing(path)?;
        directory::may_be_used(path)?;
    }
    Ok(())
}

/// Refuses a directory that was in use and lacks its database or its journal.
fn miss_nothing(path: &Path) -> Result<(), OpenError> {
    let (current, journal) = (path.join("rocksdb/CURRENT"), path.join("journal"));
    let was_started = directory::was_started(path);
    // The journal is made once there is a database; without this file RocksDB would make a new one.
    if (was_started || journal.exists()) && !current.exists() {
        return Err(OpenError::Missing { path: current });
    }
    // The database may be empty and the journal have held everything.
    if was_started && !journal::is_begun(&journal)? {
        return Err(OpenError::NoJournal { path: journal });
    }
    Ok(())
}
