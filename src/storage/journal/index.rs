//! Where the live values of the log lie.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;

use super::record::Logged;
use super::segment::Segment;
use crate::shard::seam::{Key, UserId};

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

/// The entries of one inbox that lie in the log.
///
/// Invariant: `places` holds the positions `first ..`, without a gap, and isn't empty; their segments
/// never fall.
#[derive(Debug)]
struct Inbox {
    first: u64,
    places: VecDeque<Place>,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Index<F> {
    inboxes: HashMap<UserId, Inbox>,
    states: HashMap<Key, Place>,
    /// Positions that were trimmed while the database had them, or was about to get them.
    trimmed: Vec<(UserId, u64, u64)>,
    /// Values in this segment and older ones are in the database, or on their way there.
    draining: u64,
    /// The segments of the log by number.
    pub(super) segments: BTreeMap<u64, Arc<Segment<F>>>,
}

impl<F> Index<F> {
    pub(super) fn new() -> Self {
        Index {
            inboxes: HashMap::new(),
            states: HashMap::new(),
            trimmed: Vec::new(),
            draining: 0,
            segments: BTreeMap::new(),
        }
    }

    /// Notes a write whose payload begins at byte `payload_at` of a segment.
    pub(super) fn apply(&mut self, segment: u64, payload_at: u64, logged: Logged) {
        match logged {
            Logged::Put { key, value_at, value_bytes, checksum } => {
                let at = (payload_at + value_at as u64) as u32;
                let (segment, bytes) = (segment as u32, value_bytes as u32);
                self.put(key, Place { segment, at, bytes, checksum });
            }
            Logged::Trim { user, from, through } => self.trim(user, from, through),
        }
    }

    pub(super) fn put(&mut self, key: Key, place: Place) {
        let Key::Entry { user, position } = key else {
            self.states.insert(key, place);
            return;
        };
        let inbox = self
            .inboxes
            .entry(user)
            .or_insert_with(|| Inbox { first: position, places: VecDeque::new() });
        let next = inbox.first + inbox.places.len() as u64;
        // Otherwise every later position would be answered with the value of another.
        assert_eq!(position, next, "positions of the inbox of {user} are dense");
        inbox.places.push_back(place);
    }

    /// Forgets the entries `from..=through`; those that the database has are remembered for deletion.
    pub(super) fn trim(&mut self, user: UserId, from: u64, through: u64) {
        let mut database_through = through;
        if let Some(inbox) = self.inboxes.get_mut(&user) {
            if inbox.first <= through {
                database_through = inbox.first - 1;
            }
            while inbox.first <= through
                && let Some(place) = inbox.places.pop_front()
            {
                if u64::from(place.segment) <= self.draining {
                    database_through = inbox.first;
                }
                inbox.first += 1;
            }
            if inbox.places.is_empty() {
                self.inboxes.remove(&user);
            }
        }
        if from <= database_through {
            self.trimmed.push((user, from, database_through));
        }
    }

    /// Where a state record or an entry lies, if it is in the log.
    pub(super) fn place(&self, key: Key) -> Option<Place> {
        match key {
            Key::Entry { user, position } => {
                let inbox = self.inboxes.get(&user)?;
                inbox.places.get(position.checked_sub(inbox.first)? as usize).copied()
            }
            _ => self.states.get(&key).copied(),
        }
    }

    /// First and last position of a user's entries in the log.
    pub(super) fn entries(&self, user: UserId) -> Option<(u64, u64)> {
        let inbox = self.inboxes.get(&user)?;
        Some((inbox.first, inbox.first + inbox.places.len() as u64 - 1))
    }

    /// Notes, once the oldest segment of the log was read back, that the database may have what it holds: the
    /// process may have ended while it was drained.
    pub(super) fn note_begun_drain(&mut self, oldest: u64) {
        self.draining = oldest;
    }

    /// Begins to carry over a segment; returns what the database is to delete.
    pub(super) fn begin_drain(&mut self, segment: u64) -> Vec<(UserId, u64, u64)> {
        self.draining = segment;
        std::mem::take(&mut self.trimmed)
    }

    /// Forgets what the database has: the values of these keys that lie in the segment, and the
    /// segment itself.
    pub(super) fn end_drain(&mut self, segment: u64, keys: &[Key]) -> Option<Arc<Segment<F>>> {
        for &key in keys {
            let Key::Entry { user, .. } = key else {
                if self.states.get(&key).is_some_and(|place| u64::from(place.segment) <= segment) {
                    self.states.remove(&key);
                }
                continue;
            };
            let Some(inbox) = self.inboxes.get_mut(&user) else { continue };
            while inbox.places.front().is_some_and(|place| u64::from(place.segment) <= segment) {
                inbox.places.pop_front();
                inbox.first += 1;
            }
            if inbox.places.is_empty() {
                self.inboxes.remove(&user);
            }
        }
        self.segments.remove(&segment)
    }
}
