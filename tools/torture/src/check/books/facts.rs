//! The first reading: what was put, and what was said to be set.

use std::collections::HashMap;

use serde::Serialize;

use super::super::identity::Device;
use super::super::violation::{Promise, Tally};
use super::line::{BookEvent, Place, Value, repeats};

/// How much was tried in books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BookVolume {
    /// Items put, and removals.
    pub book_puts: u64,
    /// Items told, to every device.
    pub book_items: u64,
}

/// A value on its way into a book.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Put {
    pub(in super::super) sequence: u64,
    pub(super) by: Device,
    pub(in super::super) resent: bool,
    pub(in super::super) rejected: Option<u16>,
}

/// What was said of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Set {
    pub(in super::super) version: u64,
    pub(in super::super) value: Value,
    /// The line that said so first.
    sequence: u64,
}

/// The book of one user.
#[derive(Debug, Default)]
pub(super) struct UserFacts {
    /// By value, which no two puts have in common.
    pub(super) puts: HashMap<(Place, u64), Put>,
    pub(super) removals: u64,
    /// The first removal of each item.
    removed: HashMap<Place, u64>,
    /// Items with values, by version.
    versions: HashMap<u64, (Place, u64)>,
    /// All that was said of each item.
    pub(super) sets: HashMap<Place, Vec<Set>>,
    /// The value that a device put last, by item.
    last: HashMap<(Device, Place), Value>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(in super::super) struct BookFacts {
    pub(in super::super) volume: BookVolume,
    pub(super) users: HashMap<u64, UserFacts>,
}

impl BookFacts {
    /// A line of a device's history.
    pub(in super::super) fn gather(&mut self, device: Device, sequence: u64, event: &BookEvent) {
        let user = self.users.entry(device.user).or_default();
        match event {
            BookEvent::Put { place, value } => {
                self.volume.book_puts += 1;
                user.last.insert((device, place.clone()), *value);
                let (resent, rejected) = (false, None);
                match value {
                    Some(_) if repeats(place) => {}
                    Some(value) => {
                        let put = Put { sequence, by: device, resent, rejected };
                        user.puts.insert((place.clone(), *value), put);
                    }
                    None => {
                        user.removals += 1;
                        let first = user.removed.entry(place.clone()).or_insert(sequence);
                        *first = sequence.min(*first);
                    }
                }
            }
            BookEvent::PutAgain { place } => {
                if let Some(put) = user.last_put(device, place) {
                    put.resent = true;
                }
            }
            BookEvent::Rejected { place, code } => {
                if let Some(put) = user.last_put(device, place) {
                    put.rejected = Some(*code);
                }
            }
            BookEvent::Item { version, place, value } => {
                self.volume.book_items += 1;
                let set = Set { version: *version, value: *value, sequence };
                user.sets.entry(place.clone()).or_default().push(set);
            }
            _ => {}
        }
    }

    /// What an item was in the newest version that was told before a line.
    pub(in super::super) fn newest_before(
        &self,
        user: u64,
        place: &str,
        sequence: u64,
    ) -> Option<&Set> {
        let sets = self.users.get(&user)?.sets.get(place)?;
        let told = sets.iter().filter(|set| set.sequence < sequence);
        told.max_by_key(|set| (set.version, set.value.is_some()))
    }

    /// The newest version in which an item was said to have a value.
    pub(in super::super) fn version_of(&self, user: u64, place: &str, value: u64) -> Option<u64> {
        let sets = self.users.get(&user)?.sets.get(place)?;
        let same = sets.iter().filter(|set| set.value == Some(value));
        same.map(|set| set.version).max()
    }

    /// Who put a value, which nobody else does.
    pub(in super::super) fn put(&self, user: u64, place: &str, value: u64) -> Option<&Put> {
        self.users.get(&user)?.puts.get(&(place.to_owned(), value))
    }

    /// Whether an item was to be removed before a line.
    pub(in super::super) fn may_be_removed(&self, user: u64, place: &str, sequence: u64) -> bool {
        let removed = self.users.get(&user).and_then(|user| user.removed.get(place));
        removed.is_some_and(|&first| first < sequence)
    }

    /// Every history was read.
    pub(in super::super) fn finish(&mut self, tally: &mut Tally) {
        let mut numbers: Vec<u64> = self.users.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            if let Some(user) = self.users.get_mut(&number) {
                user.finish(number, tally);
            }
        }
    }
}

impl UserFacts {
    fn last_put(&mut self, device: Device, place: &Place) -> Option<&mut Put> {
        let value = (*self.last.get(&(device, place.clone()))?)?;
        self.puts.get_mut(&(place.clone(), value))
    }

    /// What an item is in the end, by all that was said of it; of several of the same version one that is
    /// there, for a removal may be said with the version of the book.
    pub(super) fn newest(&self, place: &str) -> Option<&Set> {
        self.sets.get(place)?.iter().max_by_key(|set| (set.version, set.value.is_some()))
    }

    fn finish(&mut self, user: u64, tally: &mut Tally) {
        let mut places: Vec<Place> = self.sets.keys().cloned().collect();
        places.sort_unstable();
        for place in places {
            let Some(mut sets) = self.sets.remove(&place) else { continue };
            // The first line that said it is the one that counts.
            sets.sort_unstable_by_key(|set| (set.version, set.value, set.sequence));
            sets.dedup_by_key(|set| (set.version, set.value));
            for set in &sets {
                self.one_per_version(user, &place, set, tally);
            }
            self.in_order(user, &place, &sets, tally);
            self.sets.insert(place, sets);
        }
    }

    fn one_per_version(&mut self, user: u64, place: &Place, set: &Set, tally: &mut Tally) {
        let (version, Some(value)) = (set.version, set.value) else { return };
        let known = self.versions.entry(version).or_insert_with(|| (place.clone(), value));
        if *known != (place.clone(), value) {
            let text = format!(
                "book of {user}: version {version} sets {place} to {value:x}, and {} to {:x}",
                known.0, known.1
            );
            tally.add(Promise::Duplicated, text);
        }
    }

    /// What was put after something was confirmed has a later version.
    fn in_order(&self, user: u64, place: &Place, sets: &[Set], tally: &mut Tally) {
        for set in sets {
            let value = set.value.map(|value| (place.clone(), value));
            let Some(put) = value.and_then(|key| self.puts.get(&key)) else { continue };
            let later =
                |other: &&Set| other.sequence < put.sequence && other.version >= set.version;
            if let Some(before) = sets.iter().find(later) {
                let text = format!(
                    "book of {user}: {place} was version {} before what {} put then, which is {}",
                    before.version, put.by, set.version
                );
                tally.add(Promise::Reordered, text);
            }
        }
    }
}
