//! What surely stands in people's books, in places where that matters to others.
//!
//! As long as something that a device put has no answer, and may be on its way, one doesn't know. A device puts
//! it again on its next connection, so that what was before has its answer then.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Time;

/// Whose, and which.
pub(super) type At<'a> = (u32, u8, &'a [u8]);

/// One item of one user.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Devices that put something and have no answer.
    unanswered: BTreeSet<u16>,
    /// The newest version that any device was told, and its value.
    version: u64,
    value: Vec<u8>,
    /// Since when that surely holds, if nothing is under way.
    since: Time,
    /// Everything that was ever put.
    puts: BTreeSet<Vec<u8>>,
}

impl Place {
    /// What surely holds, and did from this time on; empty where there is nothing.
    pub(super) fn surely(&self, from: Time) -> Option<&[u8]> {
        (self.unanswered.is_empty() && self.since <= from).then_some(&self.value[..])
    }

    /// What holds, as far as it was told.
    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    fn answered(&mut self, device: u16, now: Time) {
        if self.unanswered.remove(&device) {
            self.since = now;
        }
    }
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<(u32, u8, Vec<u8>), Place>);

impl Places {
    fn place(&mut self, (user, item, key): At<'_>) -> &mut Place {
        self.0.entry((user, item, key.to_vec())).or_default()
    }

    pub(super) fn get(&self, (user, item, key): At<'_>) -> Option<&Place> {
        self.0.get(&(user, item, key.to_vec()))
    }

    /// What surely holds in a place from a time on. Nothing, where nobody ever put anything.
    pub(super) fn surely(&self, at: At<'_>, from: Time) -> Option<&[u8]> {
        self.get(at).map_or(Some(&[]), |place| place.surely(from))
    }

    /// Whether this was ever put there; without a value, whether anything was.
    pub(super) fn was_put(&self, at: At<'_>, value: Option<&[u8]>) -> bool {
        self.get(at).is_some_and(|place| {
            value.map_or(!place.puts.is_empty(), |value| place.puts.contains(value))
        })
    }

    pub(super) fn put(&mut self, at: At<'_>, device: u16, value: &[u8]) {
        let place = self.place(at);
        place.unanswered.insert(device);
        if !place.puts.contains(value) {
            place.puts.insert(value.to_vec());
        }
    }

    /// A device was told what stands there; the one whose put that answers.
    pub(super) fn told(
        &mut self,
        at: At<'_>,
        (version, value): (u64, &[u8]),
        answered: Option<u16>,
        now: Time,
    ) {
        let place = self.place(at);
        if version >= place.version {
            place.version = version;
            if place.value != value {
                place.value = value.to_vec();
                place.since = now;
            }
        }
        if let Some(device) = answered {
            place.answered(device, now);
        }
    }

    /// What a device put isn't taken.
    pub(super) fn rejected(&mut self, at: At<'_>, device: u16, now: Time) {
        self.place(at).answered(device, now);
    }
}
