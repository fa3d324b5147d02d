//! Appending to the log.

use std::sync::Arc;

use super::Shared;
use super::error::JournalError;
use super::files::{JournalDirectory, JournalFile};
use super::record::{self, HEADER_BYTES};
use super::segment::{RECORDS_AT, Segment};
use crate::faults::{Fault, is_planted};
use crate::shard::seam::Write;

/// Largest commit, in bytes. Lengths and places in a segment have 32 bits.
pub const COMMIT_BYTES_MAX: u64 = 1 << 30;
/// Largest buffer that is kept for the next commit, in bytes.
const BUFFER_KEEP_BYTES: usize = 8 << 20;

/// What one commit wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commit {
    /// Entries among the writes.
    pub entries: usize,
    /// Bytes appended to the log.
    pub bytes: u64,
}

/// The one writer of a journal.
#[derive(Debug)]
pub struct JournalCommitter<D: JournalDirectory> {
    pub(super) shared: Arc<Shared<D>>,
    pub(super) active: Arc<Segment<D::File>>,
    /// Where the next record goes.
    pub(super) at: u64,
    pub(super) sequence: u64,
    /// Every record up to this sequence is synced.
    pub(super) synced: u64,
    pub(super) is_syncing: bool,
    pub(super) buffer: Vec<u8>,
}

impl<D: JournalDirectory> JournalCommitter<D> {
    /// Makes the writes durable, together or not at all, in their order. After an error the state of
    /// the disk is unknown: the process must not go on.
    pub fn commit<'a>(
        &mut self,
        writes: impl Iterator<Item = &'a Write> + Clone,
    ) -> Result<Commit, JournalError> {
        record::begin(&mut self.buffer);
        let mut entries = 0;
        for write in writes {
            entries += usize::from(is_entry(write));
            record::push(&mut self.buffer, write);
        }
        if self.buffer.len() == HEADER_BYTES {
            return Ok(Commit::default());
        }
        let payload_bytes = self.buffer.len() - HEADER_BYTES;
        let bytes = record::bytes_completed(&self.buffer);
        if bytes > COMMIT_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes });
        }
        if self.at + bytes > self.active.bytes {
            self.next_segment(bytes)?;
        }
        record::end(&mut self.buffer, self.active.salt, self.sequence, self.synced);
        self.append()?;
        self.publish(payload_bytes);
        self.sequence += 1;
        self.at += bytes;
        if self.buffer.capacity() > BUFFER_KEEP_BYTES {
            self.buffer = Vec::new();
        }
        Ok(Commit { entries, bytes })
    }

    /// Whether a commit of these writes would wait for the drain, for a driver that runs both in one
    /// thread: it drains before.
    pub fn would_wait<'a>(&self, writes: impl Iterator<Item = &'a Write>) -> bool {
        let bytes = record::bytes_of(writes);
        self.at + bytes > self.active.bytes && self.shared.backlog.would_wait()
    }

    fn append(&mut self) -> Result<(), JournalError> {
        let append = || {
            self.active.file.write_at(&self.buffer, self.at)?;
            if self.is_syncing && !is_planted(Fault::CommitNotSynced) {
                self.active.file.sync_data()?;
            }
            Ok(())
        };
        append().map_err(|error| JournalError::file("write", &self.active.path, error))?;
        if self.is_syncing {
            self.synced = self.sequence;
        }
        Ok(())
    }

    /// Lets readers find what was appended.
    fn publish(&self, payload_bytes: usize) {
        let payload_at = self.at + HEADER_BYTES as u64;
        let payload = &self.buffer[HEADER_BYTES..HEADER_BYTES + payload_bytes];
        let mut index = self.shared.write();
        for logged in record::writes(payload).flatten() {
            let placed = index.apply(self.active.number, payload_at, logged);
            placed.expect("positions of a log are dense");
        }
    }

    /// Goes on in a fresh segment, which has room for `bytes`. Waits if the drain is far behind.
    pub(super) fn next_segment(&mut self, bytes: u64) -> Result<(), JournalError> {
        // What follows says "synced" about everything before it.
        self.active.sync()?;
        self.synced = self.sequence - 1;
        self.shared.backlog.add()?;
        let number = self.active.number + 1;
        let wanted = self.shared.segment_bytes.max(RECORDS_AT + bytes);
        let spare = {
            let mut spares = self.shared.spares();
            let fitting = spares.iter().position(|spare| spare.bytes() >= wanted);
            fitting.map(|index| spares.swap_remove(index))
        };
        let spare = match spare {
            Some(spare) => spare,
            None => self.shared.create_spare(wanted)?,
        };
        let segment = Arc::new(spare.begin(&self.shared.directory, number, self.sequence)?);
        self.shared.write().segments.insert(number, Arc::clone(&segment));
        self.active = segment;
        self.at = RECORDS_AT;
        Ok(())
    }
}

const fn is_entry(write: &Write) -> bool {
    matches!(write, Write::Put { key: crate::shard::seam::Key::Entry { .. }, .. })
}
