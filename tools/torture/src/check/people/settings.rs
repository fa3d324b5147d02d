//! What a user has set, and when that is certain: of items that only one device of the user puts,
//! one after the other. From the answer to one to the next wish it is so for certain; from a wish
//! to the answer to the next one it may be so.

use std::collections::HashMap;

use super::super::books::{BookEvent, Place, Value};
use super::super::identity::Device;

/// Codes from here say that the server is busy: of what went out twice they don't say what became
/// of it the first time.
const BUSY_FIRST: u16 = 400;

/// A value that was put, or a removal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    pub(super) by: Device,
    pub(super) value: Value,
    pub(super) written: u64,
    /// When it went out last.
    pub(super) sent: u64,
    /// When the answer came; never, where none did.
    pub(super) ended: u64,
    ended_us: u64,
    pub(super) refused: Option<u16>,
    resent: bool,
}

impl Put {
    /// Whether it may have been set. What was refused changes nothing.
    fn may_be_set(&self) -> bool {
        self.refused.is_none_or(|code| self.resent && code >= BUSY_FIRST)
    }

    /// When it was certainly over, if it was set.
    fn set(&self) -> u64 {
        if self.refused.is_some() { u64::MAX } else { self.ended }
    }
}

/// Who may see what, and the username.
fn is_setting(place: &str) -> bool {
    place.starts_with("1.") || place.starts_with("6.")
}

/// What certainly held for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) value: Value,
    /// The line that confirmed it, and its time; 0 if it was so from the beginning.
    pub(super) since: u64,
    pub(super) since_us: u64,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Settings {
    puts: HashMap<Place, HashMap<u64, Vec<Put>>>,
}

impl Settings {
    /// A line about a book.
    pub(super) fn gather(&mut self, by: Device, (sequence, us): (u64, u64), event: &BookEvent) {
        match event {
            BookEvent::Put { place, value } if is_setting(place) => {
                let (written, sent, ended_us) = (sequence, sequence, u64::MAX);
                let (ended, refused, resent, value) = (u64::MAX, None, false, *value);
                let put = Put { by, value, written, sent, ended, ended_us, refused, resent };
                let users = self.puts.entry(place.clone()).or_default();
                users.entry(by.user).or_default().push(put);
            }
            BookEvent::PutAgain { place } => {
                if let Some(put) = self.open(place, by) {
                    (put.sent, put.resent) = (sequence, true);
                }
            }
            BookEvent::Rejected { place, code } => {
                if let Some(put) = self.open(place, by) {
                    (put.ended, put.ended_us, put.refused) = (sequence, us, Some(*code));
                }
            }
            BookEvent::Item { place, value, .. } => {
                if let Some(put) = self.open(place, by).filter(|put| put.value == *value) {
                    (put.ended, put.ended_us) = (sequence, us);
                }
            }
            _ => {}
        }
    }

    /// What the device put last, if it has no answer.
    fn open(&mut self, place: &str, by: Device) -> Option<&mut Put> {
        let last = self.puts.get_mut(place)?.get_mut(&by.user)?.last_mut()?;
        (last.by == by && last.ended == u64::MAX).then_some(last)
    }

    /// All that was put of an item, by user.
    pub(super) fn all(&self, place: &str) -> impl Iterator<Item = (u64, &[Put])> {
        let users = self.puts.get(place).into_iter().flatten();
        users.map(|(&user, puts)| (user, &puts[..]))
    }

    pub(super) fn of(&self, place: &str, user: u64) -> &[Put] {
        self.puts.get(place).and_then(|users| users.get(&user)).map_or(&[], Vec::as_slice)
    }

    /// What certainly held from one line through another one.
    pub(super) fn certain(&self, place: &str, user: u64, from: u64, through: u64) -> Option<Held> {
        let nothing = Held { value: None, since: 0, since_us: 0 };
        let mut held = Some(nothing);
        for put in self.of(place, user).iter().filter(|put| put.may_be_set()) {
            if put.written >= through {
                break;
            }
            let is_over = put.set() < from;
            let Put { value, ended: since, ended_us: since_us, .. } = *put;
            held = is_over.then_some(Held { value, since, since_us });
        }
        held
    }
}

/// A value, and what is known of when it held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reign {
    pub(super) value: Value,
    /// Not before it was wanted.
    pub(super) written: u64,
    /// From the answer on; never, where none came.
    pub(super) set: u64,
    /// Until another one was wanted.
    pub(super) next_written: u64,
    /// Not behind the answer to that.
    pub(super) next_set: u64,
}

impl Reign {
    /// Whether it may have held at some time between two lines.
    pub(super) const fn may_touch(&self, from: u64, through: u64) -> bool {
        self.written < through && self.next_set > from
    }

    /// Whether it certainly held all the time between two lines.
    pub(super) const fn covers(&self, from: u64, through: u64) -> bool {
        self.set < from && through < self.next_written
    }
}

/// The values of an item, one after the other.
pub(super) fn reigns(puts: &[Put]) -> Vec<Reign> {
    let possible: Vec<&Put> = puts.iter().filter(|put| put.may_be_set()).collect();
    let reign = |(nth, put): (usize, &&Put)| {
        let next = possible.get(nth + 1);
        Reign {
            value: put.value,
            written: put.written,
            set: put.set(),
            next_written: next.map_or(u64::MAX, |next| next.written),
            next_set: next.map_or(u64::MAX, |next| next.set()),
        }
    };
    possible.iter().enumerate().map(reign).collect()
}
