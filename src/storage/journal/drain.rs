//! Carrying over to the database what old segments still hold, so that they can be used again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Shared;
use super::backlog::Backlog;
use super::error::JournalError;
use super::files::JournalDirectory;
use super::record::{self, Logged};
use super::scan::Scan;
use super::segment::Segment;
use crate::faults::{Fault, is_planted};
use crate::shard::seam::{Key, LogId, Write};
use crate::storage::Storage;
use crate::storage::entry::{is_over, now_ms};

/// Writes handed to the database at a time.
const CHUNK_WRITES: usize = 4_096;
/// Bytes of their values, with which they are handed over though they are fewer.
const CHUNK_BYTES: usize = 4 << 20;
/// Files that wait to be used again.
const SPARES_MAX: usize = 4;

/// The drain of a journal, run by a thread of its own.
#[derive(Debug)]
pub struct Drain<D: JournalDirectory, S> {
    shared: Arc<Shared<D>>,
    behind: S,
    /// Whether every commit is synced before it is found in the index.
    is_syncing: bool,
}

/// Entries that aren't carried over since their time is over.
#[derive(Debug, Default)]
struct Over {
    /// The last one of each log, if nothing after it was carried over. The database has to know its position,
    /// which must not be used again.
    last: BTreeMap<LogId, (u64, Bytes)>,
}

impl Over {
    /// Whether an entry is left out. Entries of a log come in their order.
    fn leaves_out(&mut self, log: LogId, position: u64, value: &Bytes, now_ms: u64) -> bool {
        if is_over(value, now_ms) {
            self.last.insert(log, (position, value.clone()));
            return true;
        }
        self.last.remove(&log);
        false
    }

    /// What tells the database of them: they are put and deleted at once, which notes their positions.
    fn into_writes(self) -> impl Iterator<Item = Write> {
        self.last.into_iter().flat_map(|(log, (position, value))| {
            let (from, through) = (position, position);
            let key = Key::Entry { log, position };
            [Write::Put { key, value }, Write::Trim { log, from, through }]
        })
    }
}

/// Ends a running drain.
#[derive(Debug, Clone)]
pub struct DrainStop(Arc<Backlog>);

impl DrainStop {
    /// Lets [`Drain::run`] return after the segment in progress.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl<D: JournalDirectory, S: Storage> Drain<D, S> {
    pub(super) const fn new(shared: Arc<Shared<D>>, behind: S, is_syncing: bool) -> Self {
        Drain { shared, behind, is_syncing }
    }

    /// What ends [`Drain::run`] from another thread.
    pub fn stopper(&self) -> DrainStop {
        DrainStop(Arc::clone(&self.shared.backlog))
    }

    /// Drains segments as they fill up, until it is stopped or fails. After a failure every commit that
    /// needs a new segment fails too.
    pub fn run(&self) -> Result<(), JournalError> {
        let outcome = self.drain_until_stopped();
        if outcome.is_err() {
            self.shared.backlog.fail();
        }
        outcome
    }

    fn drain_until_stopped(&self) -> Result<(), JournalError> {
        self.keep_a_spare()?;
        while self.shared.backlog.wait_until_due() {
            self.drain_oldest(now_ms())?;
            self.keep_a_spare()?;
        }
        Ok(())
    }

    /// Makes sure that the next segment's file is there, so that no commit has to make it. [`Drain::run`] does
    /// it at its begin and after each segment.
    pub fn keep_a_spare(&self) -> Result<(), JournalError> {
        if self.shared.spares().is_empty() {
            // Without the lock: a commit that needs a segment meanwhile must not wait for it.
            let spare = self.shared.create_spare(self.shared.segment_bytes)?;
            self.shared.spares().push(spare);
        }
        Ok(())
    }

    /// Whether there are more full segments than are kept, so that [`Drain::run`] would drain one.
    pub fn is_due(&self) -> bool {
        self.shared.backlog.is_due()
    }

    /// Carries over the oldest full segment, but for entries that are over at `now_ms` (Unix milliseconds).
    /// Nothing happens if there is none.
    pub fn drain_oldest(&self, now_ms: u64) -> Result<(), JournalError> {
        let (segment, sequence_after, trimmed) = {
            let mut index = self.shared.write();
            let mut oldest = index.segments.values();
            let (Some(segment), Some(next)) = (oldest.next(), oldest.next()) else {
                return Ok(());
            };
            let (segment, sequence_after) = (Arc::clone(segment), next.first_sequence);
            let trimmed = index.begin_drain(segment.number);
            (segment, sequence_after, trimmed)
        };
        let mut writes: Vec<Write> = trimmed
            .into_iter()
            .map(|(log, from, through)| Write::Trim { log, from, through })
            .collect();
        self.sync_newest()?;
        let keys = self.carry_over(&segment, (sequence_after, now_ms), &mut writes)?;
        self.sync_newest()?;
        // With the same flush, so that a database that lost it, or any file before it, shows that.
        self.behind.note_drained(segment.number).map_err(JournalError::database)?;
        if !is_planted(Fault::DrainNotFlushed) {
            self.behind.flush().map_err(JournalError::database)?;
        }
        self.shared.write().end_drain(segment.number, &keys);
        self.free(segment)?;
        self.shared.backlog.remove();
        Ok(())
    }

    /// Makes durable what the newest records say, which may not be synced. What they trim is deleted from the
    /// database, and what they overwrite leaves the log with its segment: after a power cut neither they nor
    /// the old value would be there.
    fn sync_newest(&self) -> Result<(), JournalError> {
        if self.is_syncing {
            return Ok(());
        }
        // The older ones were synced when this one was begun.
        let newest = self.shared.read().segments.values().next_back().map(Arc::clone);
        newest.map_or(Ok(()), |segment| segment.sync())
    }

    /// Writes the segment's live values, after `writes`, to the database; returns their keys. The
    /// record after the segment's last has `sequence_after`. Entries that are over at `now_ms` are left out.
    fn carry_over(
        &self,
        segment: &Segment<D::File>,
        (sequence_after, now_ms): (u64, u64),
        writes: &mut Vec<Write>,
    ) -> Result<Vec<Key>, JournalError> {
        let (mut keys, mut bytes) = (Vec::new(), 0);
        let mut over = Over::default();
        let mut scan = Scan::new(segment);
        while let Some(record) = scan.next()? {
            {
                let index = self.shared.read();
                for logged in record::writes(&record.payload).flatten() {
                    let Logged::Put { key, value_at, value_bytes, .. } = logged else { continue };
                    let at = record.payload_at + value_at as u64;
                    let is_live = index.place(key).is_some_and(|place| {
                        u64::from(place.segment) == segment.number && u64::from(place.at) == at
                    });
                    if is_live {
                        keys.push(key);
                        if matches!(key, Key::Conversation { .. })
                            && is_planted(Fault::DrainForgetsConversations)
                        {
                            continue;
                        }
                        // A copy, because a slice would keep all that was read around it.
                        let value = &record.payload[value_at..value_at + value_bytes];
                        let value = Bytes::copy_from_slice(value);
                        if let Key::Entry { log, position } = key
                            && over.leaves_out(log, position, &value, now_ms)
                        {
                            continue;
                        }
                        bytes += value_bytes;
                        writes.push(Write::Put { key, value });
                    }
                }
            }
            if writes.len() >= CHUNK_WRITES || bytes >= CHUNK_BYTES {
                self.behind.apply(writes).map_err(JournalError::database)?;
                writes.clear();
                bytes = 0;
            }
        }
        if scan.next_sequence() != sequence_after {
            // The rest of the segment can't be read, and nothing else has what it holds.
            return Err(JournalError::Damaged { path: segment.path.clone(), at: scan.end() });
        }
        writes.extend(over.into_writes());
        self.behind.apply(writes).map_err(JournalError::database)?;
        writes.clear();
        Ok(keys)
    }

    /// Keeps the segment's file for reuse, or deletes it if a reader still holds it.
    fn free(&self, segment: Arc<Segment<D::File>>) -> Result<(), JournalError> {
        let directory = &self.shared.directory;
        let is_wanted =
            segment.bytes == self.shared.segment_bytes && self.shared.spares().len() < SPARES_MAX;
        match Arc::try_unwrap(segment) {
            Ok(segment) if is_wanted => {
                let spare = segment.retire(directory)?;
                self.shared.spares().push(spare);
                Ok(())
            }
            Ok(segment) => segment.remove(directory),
            Err(held) => held.remove(directory),
        }
    }
}
