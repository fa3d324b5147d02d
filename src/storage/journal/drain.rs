//! Carrying over to the database what old segments still hold, so that they can be used again.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::Shared;
use super::error::JournalError;
use super::record::{self, Logged};
use super::scan::Scan;
use super::segment::Segment;
use crate::shard::seam::{Key, Write};
use crate::storage::Storage;

/// Writes handed to the database at a time.
const CHUNK_WRITES: usize = 4_096;
/// Bytes of their values, with which they are handed over though they are fewer.
const CHUNK_BYTES: usize = 4 << 20;
/// Files that wait to be used again.
const SPARES_MAX: usize = 4;

/// The drain of a journal, run by a thread of its own.
#[derive(Debug)]
pub struct Drain<S> {
    shared: Arc<Shared>,
    behind: S,
}

/// Ends a running drain.
#[derive(Debug, Clone)]
pub struct DrainStop(Arc<Shared>);

impl DrainStop {
    /// Lets [`Drain::run`] return after the segment in progress.
    pub fn stop(&self) {
        self.0.full.lock().unwrap_or_else(PoisonError::into_inner).is_stopping = true;
        self.0.changed.notify_all();
    }
}

impl<S: Storage> Drain<S> {
    pub(super) const fn new(shared: Arc<Shared>, behind: S) -> Self {
        Drain { shared, behind }
    }

    /// What ends [`Drain::run`] from another thread.
    pub fn stopper(&self) -> DrainStop {
        DrainStop(Arc::clone(&self.shared))
    }

    /// Drains segments as they fill up, until it is stopped or fails. After a failure every commit that
    /// needs a new segment fails too.
    pub fn run(&self) -> Result<(), JournalError> {
        let outcome = self.drain_until_stopped();
        if outcome.is_err() {
            self.shared.full.lock().unwrap_or_else(PoisonError::into_inner).has_failed = true;
            self.shared.changed.notify_all();
        }
        outcome
    }

    fn drain_until_stopped(&self) -> Result<(), JournalError> {
        self.keep_a_spare()?;
        while self.wait() {
            self.drain_oldest()?;
            self.keep_a_spare()?;
        }
        Ok(())
    }

    /// Makes sure that the next segment's file is there, so that no commit has to make it.
    fn keep_a_spare(&self) -> Result<(), JournalError> {
        if self.spares() == 0 {
            // Without the lock: a commit that needs a segment meanwhile must not wait for it.
            let spare = self.shared.create_spare(self.shared.options.segment_bytes)?;
            self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).push(spare);
        }
        Ok(())
    }

    fn spares(&self) -> usize {
        self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits for a segment to drain; `false` if the drain is to end.
    fn wait(&self) -> bool {
        let mut full = self.shared.full.lock().unwrap_or_else(PoisonError::into_inner);
        while !full.is_stopping && full.segments <= self.shared.options.segments_kept {
            full = self.shared.changed.wait(full).unwrap_or_else(PoisonError::into_inner);
        }
        !full.is_stopping
    }

    /// Carries over the oldest full segment. Nothing happens if there is none.
    pub fn drain_oldest(&self) -> Result<(), JournalError> {
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
            .map(|(user, from, through)| Write::Trim { user, from, through })
            .collect();
        let keys = self.carry_over(&segment, sequence_after, &mut writes)?;
        // With the same flush, so that a database that lost it, or any file before it, shows that.
        self.behind.note_drained(segment.number).map_err(JournalError::database)?;
        self.behind.flush().map_err(JournalError::database)?;
        self.shared.write().end_drain(segment.number, &keys);
        self.free(segment)?;
        let mut full = self.shared.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.segments -= 1;
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Writes the segment's live values, after `writes`, to the database; returns their keys. The
    /// record after the segment's last has `sequence_after`.
    fn carry_over(
        &self,
        segment: &Segment,
        sequence_after: u64,
        writes: &mut Vec<Write>,
    ) -> Result<Vec<Key>, JournalError> {
        let (mut keys, mut bytes) = (Vec::new(), 0);
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
                        bytes += value_bytes;
                        // A copy, because a slice would keep all that was read around it.
                        let value = &record.payload[value_at..value_at + value_bytes];
                        writes.push(Write::Put { key, value: Bytes::copy_from_slice(value) });
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
        self.behind.apply(writes).map_err(JournalError::database)?;
        writes.clear();
        Ok(keys)
    }

    /// Keeps the segment's file for reuse, or deletes it if a reader still holds it.
    fn free(&self, segment: Arc<Segment>) -> Result<(), JournalError> {
        let is_wanted =
            segment.bytes == self.shared.options.segment_bytes && self.spares() < SPARES_MAX;
        match Arc::try_unwrap(segment) {
            Ok(segment) if is_wanted => {
                let spare = segment.retire()?;
                self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).push(spare);
                Ok(())
            }
            Ok(segment) => segment.remove(),
            Err(held) => held.remove(),
        }
    }
}
