//! Carrying over to the database what old segments still hold, so that they can be used again.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::Shared;
use super::error::JournalError;
use super::record::{self, HEADER_BYTES, Logged};
use super::recovery::{read_whole, records};
use super::segment::{Segment, Spare};
use crate::shard::seam::{Key, Write};
use crate::storage::Storage;

/// Writes handed to the database at a time.
const CHUNK_WRITES: usize = 4_096;
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
        self.keep_a_spare()?;
        while self.wait() {
            if let Err(error) = self.drain_oldest().and_then(|()| self.keep_a_spare()) {
                self.shared.full.lock().unwrap_or_else(PoisonError::into_inner).has_failed = true;
                self.shared.changed.notify_all();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes sure that the next segment's file is there, so that no commit has to make it.
    fn keep_a_spare(&self) -> Result<(), JournalError> {
        let mut spares = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.is_empty() {
            let options = &self.shared.options;
            spares.push(Spare::create(&self.shared.directory, 0, options.segment_bytes)?);
        }
        Ok(())
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
        let (segment, trimmed) = {
            let mut index = self.shared.write();
            if index.segments.len() < 2 {
                return Ok(());
            }
            let Some(segment) = index.segments.values().next().map(Arc::clone) else {
                return Ok(());
            };
            let trimmed = index.begin_drain(segment.number);
            (segment, trimmed)
        };
        let mut writes: Vec<Write> = trimmed
            .into_iter()
            .map(|(user, from, through)| Write::Trim { user, from, through })
            .collect();
        let keys = self.carry_over(&segment, &mut writes)?;
        self.behind.flush().map_err(JournalError::database)?;
        self.shared.write().end_drain(segment.number, &keys);
        self.free(segment)?;
        let mut full = self.shared.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.segments -= 1;
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Writes the segment's live values, after `writes`, to the database; returns their keys.
    fn carry_over(
        &self,
        segment: &Segment,
        writes: &mut Vec<Write>,
    ) -> Result<Vec<Key>, JournalError> {
        let bytes = Bytes::from(read_whole(segment)?);
        let mut keys = Vec::new();
        for (at, header) in records(&bytes, segment.first_sequence) {
            let payload_at = at as usize + HEADER_BYTES;
            let payload = &bytes[payload_at..payload_at + header.payload_bytes];
            {
                let index = self.shared.read();
                for logged in record::writes(payload).flatten() {
                    let Logged::Put { key, value_at, value_bytes } = logged else { continue };
                    let value_at = payload_at + value_at;
                    let is_live = index.place(key).is_some_and(|place| {
                        place.segment == segment.number && place.at as usize == value_at
                    });
                    if is_live {
                        keys.push(key);
                        let value = bytes.slice(value_at..value_at + value_bytes);
                        writes.push(Write::Put { key, value });
                    }
                }
            }
            if writes.len() >= CHUNK_WRITES {
                self.behind.apply(writes).map_err(JournalError::database)?;
                writes.clear();
            }
        }
        self.behind.apply(writes).map_err(JournalError::database)?;
        writes.clear();
        Ok(keys)
    }

    /// Keeps the segment's file for reuse, or deletes it if a reader still holds it.
    fn free(&self, segment: Arc<Segment>) -> Result<(), JournalError> {
        let remove = |segment: &Segment| {
            std::fs::remove_file(&segment.path)
                .map_err(|error| JournalError::file("remove", &segment.path, error))
        };
        let mut spares = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        match Arc::try_unwrap(segment) {
            Ok(segment)
                if segment.bytes == self.shared.options.segment_bytes
                    && spares.len() < SPARES_MAX =>
            {
                spares.push(segment.retire()?);
                Ok(())
            }
            Ok(segment) => remove(&segment),
            Err(held) => remove(&held),
        }
    }
}
