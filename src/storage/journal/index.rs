//! Where the live values of the log lie.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;

use super::record::Logged;
use super::segment::Segment;
use crate::faults::{Fault, is_planted};
use crate::shard::seam::{GroupId, Key, LogId};

/// Largest position of a log: more than there can ever be.
const POSITION_MAX: u64 = u64::MAX / 2;

/// The place of a value. There may be millions, so its numbers are as short as they can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) at: u32,
    pub(super) bytes: u32,
    /// CRC-32 of the value, so that what is read is known to be what was written.
    pub(super) checksum: u32,
}

const _: () = assert!(size_of::<Place>() == 16);

/// A write that can't have followed those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfPlace;

/// The entries of one inbox or group that lie in the journal.
///
/// Invariant: `places` holds the positions `first ..`, without a gap, and isn't empty; their segments
/// never fall.
#[derive(Debug)]
struct Entries {
    first: u64,
    places: VecDeque<Place>,
}

impl Entries {
    fn last(&self) -> u64 {
        self.first + self.places.len() as u64 - 1
    }
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Index<F> {
    logs: HashMap<LogId, Entries>,
    states: HashMap<Key, Place>,
    /// Positions that were trimmed while the database had them, or was about to get them; of groups those too that
    /// it never gets, so that it knows how far their logs went.
    trimmed: Vec<(LogId, u64, u64)>,
    /// Values in this segment and older ones are in the database, or on their way there.
    draining: u64,
    /// The segments of the log by number.
    pub(super) segments: BTreeMap<u64, Arc<Segment<F>>>,
}

impl<F> Index<F> {
    pub(super) fn new() -> Self {
        Index {
            logs: HashMap::new(),
            states: HashMap::new(),
            trimmed: Vec::new(),
            draining: 0,
            segments: BTreeMap::new(),
        }
    }

    /// Notes a write whose payload begins at byte `payload_at` of a segment.
    pub(super) fn apply(
        &mut self,
        segment: u64,
        payload_at: u64,
        logged: Logged,
    ) -> Result<(), OutOfPlace> {
        match logged {
            Logged::Put { key, value_at, value_bytes, checksum } => {
                let at = (payload_at + value_at as u64) as u32;
                let (segment, bytes) = (segment as u32, value_bytes as u32);
                self.put(key, Place { segment, at, bytes, checksum })
            }
            Logged::Trim { log, from, through } => self.trim(log, from, through),
        }
    }

    fn put(&mut self, key: Key, place: Place) -> Result<(), OutOfPlace> {
        let Key::Entry { log, position } = key else {
            self.states.insert(key, place);
            return Ok(());
        };
        if !(1..=POSITION_MAX).contains(&position) {
            return Err(OutOfPlace);
        }
        let entries = self
            .logs
            .entry(log)
            .or_insert_with(|| Entries { first: position, places: VecDeque::new() });
        // Otherwise every later position would be answered with the value of another.
        if position != entries.first + entries.places.len() as u64 {
            return Err(OutOfPlace);
        }
        entries.places.push_back(place);
        Ok(())
    }

    /// Forgets the entries `from..=through`; those that the database must hear of are remembered.
    fn trim(&mut self, log: LogId, from: u64, through: u64) -> Result<(), OutOfPlace> {
        if from == 0 || from > through || through > POSITION_MAX {
            return Err(OutOfPlace);
        }
        let through = through + u64::from(is_planted(Fault::IndexTrimsTooMuch));
        let mut database_through = through;
        if let Some(entries) = self.logs.get_mut(&log) {
            if entries.first <= through {
                database_through = entries.first - 1;
            }
            while entries.first <= through
                && let Some(place) = entries.places.pop_front()
            {
                if u64::from(place.segment) <= self.draining {
                    database_through = entries.first;
                }
                entries.first += 1;
            }
            if entries.places.is_empty() {
                self.logs.remove(&log);
            }
        }
        if log.user().is_none() {
            database_through = through;
        }
        if from <= database_through {
            self.trimmed.push((log, from, database_through));
        }
        Ok(())
    }

    /// Where a state record or an entry lies, if it is in the log.
    pub(super) fn place(&self, key: Key) -> Option<Place> {
        match key {
            Key::Entry { log, position } => {
                let entries = self.logs.get(&log)?;
                entries.places.get(position.checked_sub(entries.first)? as usize).copied()
            }
            _ => self.states.get(&key).copied(),
        }
    }

    /// First and last position of a log's entries in the journal.
    pub(super) fn entries(&self, log: LogId) -> Option<(u64, u64)> {
        let entries = self.logs.get(&log)?;
        Some((entries.first, entries.last()))
    }

    /// The groups of which something lies in the journal, with the last position of their entries there, or that
    /// was trimmed there; 0 where there are none. One may come more than once.
    pub(super) fn group_heads(&self) -> impl Iterator<Item = (GroupId, u64)> + '_ {
        let logs = self.logs.iter().filter_map(|(&log, entries)| {
            let LogId::Group(group) = log else { return None };
            Some((group, entries.last()))
        });
        let states = self.states.keys().filter_map(|key| {
            let LogId::Group(group) = key.log() else { return None };
            Some((group, 0))
        });
        let trimmed = self.trimmed.iter().filter_map(|&(log, _, through)| {
            let LogId::Group(group) = log else { return None };
            Some((group, through))
        });
        logs.chain(states).chain(trimmed)
    }

    /// Notes, once the oldest segment of the log was read back, that the database may have what it holds: the
    /// process may have ended while it was drained.
    pub(super) fn note_begun_drain(&mut self, oldest: u64) {
        self.draining = oldest;
    }

    /// Begins to carry over a segment; returns what the database is to delete.
    pub(super) fn begin_drain(&mut self, segment: u64) -> Vec<(LogId, u64, u64)> {
        self.draining = segment;
        std::mem::take(&mut self.trimmed)
    }

    /// Forgets what the database has: the values of these keys that lie in the segment, and the
    /// segment itself.
    pub(super) fn end_drain(&mut self, segment: u64, keys: &[Key]) -> Option<Arc<Segment<F>>> {
        for &key in keys {
            let Key::Entry { log, .. } = key else {
                if self.states.get(&key).is_some_and(|place| u64::from(place.segment) <= segment) {
                    self.states.remove(&key);
                }
                continue;
            };
            let Some(entries) = self.logs.get_mut(&log) else { continue };
            while entries.places.front().is_some_and(|place| u64::from(place.segment) <= segment) {
                entries.places.pop_front();
                entries.first += 1;
            }
            if entries.places.is_empty() {
                self.logs.remove(&log);
            }
        }
        self.segments.remove(&segment)
    }
}
