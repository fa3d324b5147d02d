//! The second reading: the book as one device was told it.

use std::collections::BTreeMap;

use super::super::identity::Device;
use super::super::line::{Event, Line};
use super::super::violation::{Promise, Tally};
use super::facts::{BookFacts, UserFacts};
use super::line::{BookEvent, Place, USERNAME, Value, kind, repeats};

/// A kind of item that there isn't, or a key or value that it can't have.
const BAD_ITEM: u16 = 313;
/// Somebody has the username; the user asked for too many of them.
const OF_NAMES: [u16; 2] = [315, 316];
/// Codes from here say that the server is busy.
const BUSY_FIRST: u16 = 400;
/// The server failed.
const INTERNAL: u16 = 500;
/// Kinds that aren't defined, and are refused.
const RESERVED: std::ops::RangeInclusive<u8> = 7..=127;
/// A device that was away for more removals may have to begin anew.
const REMOVALS_KEPT: u64 = 1_000;

/// Judges one device.
#[derive(Debug)]
pub(in super::super) struct BookCheck<'a> {
    facts: Option<&'a UserFacts>,
    device: Device,
    held: BTreeMap<Place, (u64, Value)>,
    /// The device takes part: it asked for the book.
    follows: bool,
    head: u64,
}

impl<'a> BookCheck<'a> {
    pub(in super::super) fn new(facts: &'a BookFacts, device: Device) -> Self {
        let facts = facts.users.get(&device.user);
        BookCheck { facts, device, held: BTreeMap::new(), follows: false, head: 0 }
    }

    pub(in super::super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        match &line.event {
            Event::Book(event) => self.event(line.sequence, event, tally),
            Event::Drained => self.compare("when all was quiet", tally),
            Event::Final => self.compare("after a clean stop", tally),
            _ => {}
        }
    }

    fn event(&mut self, sequence: u64, event: &BookEvent, tally: &mut Tally) {
        match event {
            BookEvent::Resume => self.follows = true,
            BookEvent::Forget => self.held.clear(),
            BookEvent::Page { head, reset } => {
                self.head(*head, tally);
                if *reset {
                    self.held.clear();
                    self.reset(tally);
                }
            }
            BookEvent::Item { version, place, value } => {
                self.was_put(sequence, place, *value, tally);
                self.head = self.head.max(*version);
                let held = self.held.entry(place.clone()).or_default();
                if *version >= held.0 {
                    *held = (*version, *value);
                }
            }
            BookEvent::Rejected { place, code } => {
                let is_reserved = kind(place).is_some_and(|kind| RESERVED.contains(&kind));
                let is_busy = *code >= BUSY_FIRST && *code != INTERNAL;
                // Others may have it; `people` judges that.
                let is_name = kind(place) == Some(USERNAME) && OF_NAMES.contains(code);
                if !(is_busy || is_name || is_reserved && *code == BAD_ITEM) {
                    let text = format!("{}: {place} was refused with code {code}", self.device);
                    tally.add(Promise::Protocol, text);
                }
            }
            BookEvent::Put { .. } | BookEvent::PutAgain { .. } => {}
        }
    }

    /// Somebody of the user put this value before, and wasn't refused.
    fn was_put(&self, sequence: u64, place: &Place, value: Value, tally: &mut Tally) {
        let device = self.device;
        if kind(place).is_some_and(|kind| RESERVED.contains(&kind)) {
            tally.add(Promise::Protocol, format!("{device}: {place} must have been refused"));
        }
        let Some(value) = value.filter(|_| !repeats(place)) else { return };
        let put = self.facts.and_then(|facts| facts.puts.get(&(place.clone(), value)));
        match put {
            Some(put) if put.sequence < sequence => {
                // The answer to a first attempt may have been lost.
                if let (Some(code), false) = (put.rejected, put.resent) {
                    let text = format!(
                        "{device}: {place} is what {} put and was refused ({code})",
                        put.by
                    );
                    tally.add(Promise::Duplicated, text);
                }
            }
            _ => {
                let text = format!("{device}: {place} is {value:x}, which wasn't put by then");
                tally.add(Promise::Corrupt, text);
            }
        }
    }

    /// No version is used again, so the newest one doesn't go back.
    fn head(&mut self, head: u64, tally: &mut Tally) {
        if head < self.head {
            let text =
                format!("{}: the head of the book is {head} after {}", self.device, self.head);
            tally.add(Promise::Protocol, text);
        }
        self.head = self.head.max(head);
    }

    fn reset(&self, tally: &mut Tally) {
        if self.facts.is_none_or(|facts| facts.removals <= REMOVALS_KEPT) {
            let text = format!("{}: the book was begun anew for nothing", self.device);
            tally.add(Promise::Protocol, text);
        }
    }

    /// The device has each item as it was confirmed last, to whichever device.
    fn compare(&self, when: &str, tally: &mut Tally) {
        let Some(facts) = self.facts.filter(|_| self.follows) else { return };
        let mut places: Vec<&Place> = facts.sets.keys().collect();
        places.sort_unstable();
        for place in places {
            let Some(newest) = facts.newest(place) else { continue };
            let (version, value) = self.held.get(place).copied().unwrap_or_default();
            let is_same = match newest.value {
                None => value.is_none(),
                Some(_) => (version, value) == (newest.version, newest.value),
            };
            if !is_same {
                let text = format!(
                    "{when}, {} had {place} of its book as {} (version {version}); it is {} \
                     (version {})",
                    self.device,
                    words(value),
                    words(newest.value),
                    newest.version
                );
                tally.add(Promise::Lost, text);
            }
        }
    }
}

fn words(value: Value) -> String {
    value.map_or("nothing".to_owned(), |value| format!("{value:x}"))
}
