//! A person as its home knows it, and the table of these.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;

use super::super::record::Face;
use super::super::seam::{Seen, Ticket};
use super::super::table::Table;
use super::super::{CoreId, UserId};
use crate::limits::{CORES_MAX, PRESENCE_SETTLE_MS};

/// Dues fall on multiples of this, so that one turn serves many.
const DUE_STEP_MS: u64 = 250;

/// Cores as bits.
pub(super) type Cores = u64;

const _: () = assert!(CORES_MAX <= Cores::BITS as usize);

/// The cores of a set.
pub(in super::super) fn each(mut cores: Cores) -> impl Iterator<Item = CoreId> {
    std::iter::from_fn(move || {
        let core = (cores != 0).then_some(cores.trailing_zeros() as CoreId)?;
        cores &= cores - 1;
        Some(core)
    })
}

impl Seen {
    /// Whether a watcher who was told `told` should know. While somebody is there, they do something
    /// all the time.
    pub(in super::super) fn is_news_after(self, told: Seen) -> bool {
        self.is_online != told.is_online
            || (!self.is_online && self.last_seen_ms != told.last_seen_ms)
    }
}

/// Where the stored last seen stands.
///
/// ```text
/// Unread ──watched──► Reading ──► Read
///    └──► Queued ───────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nobody needed it.
    Unread,
    /// It is read when others are.
    Queued,
    /// The load is under way.
    Reading,
    /// It is in memory.
    Read,
}

/// A person who did something lately or is watched.
///
/// Invariant: `owed` is part of `watching`. Unless it is watched, held or queued, it has an entry in the
/// list of dues, so that it is let go one day.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: UserId,
    /// When they last did something, as far as it is known here; 0 if it isn't.
    pub(super) last_seen_ms: u64,
    pub(super) stored: Stored,
    /// What others may see; none before it is known. It is known of everybody who did something.
    pub(super) face: Option<Face>,
    /// Since when `last_seen_ms` isn't stored, on the monotonic clock.
    pub(super) unsaved_ms: Option<u64>,
    /// Ticket of the last write.
    pub(super) last_ticket: Ticket,
    /// Online until then if nothing more comes, on the monotonic clock.
    pub(super) online_until_ms: u64,
    /// Whether they were online when they were last looked at.
    pub(super) is_online: bool,
    /// When they went, or first did something since without being online.
    pub(super) gone_ms: u64,
    /// Cores with sessions that watch.
    pub(super) watching: Cores,
    /// Those that weren't told anything yet.
    pub(super) owed: Cores,
    /// What the others were told, if they were all told the same.
    pub(super) told: Option<Seen>,
    /// From when on the next change may be told, on the monotonic clock.
    pub(super) free_ms: u64,
    /// The version of the profile that all who watch know of, and from when on they may be told of another.
    pub(super) profile_told: u64,
    pub(super) profile_free_ms: u64,
    /// In the list of those that are told when the load falls.
    pub(super) is_held: bool,
    /// Time of its entry in the list of dues.
    pub(super) armed_ms: u64,
}

impl Person {
    const fn new(id: UserId) -> Self {
        Person {
            id,
            last_seen_ms: 0,
            stored: Stored::Unread,
            face: None,
            unsaved_ms: None,
            last_ticket: 0,
            online_until_ms: 0,
            is_online: false,
            gone_ms: 0,
            watching: 0,
            owed: 0,
            told: None,
            free_ms: 0,
            profile_told: 0,
            profile_free_ms: 0,
            is_held: false,
            armed_ms: u64::MAX,
        }
    }

    pub(super) const fn seen(&self) -> Seen {
        Seen { is_online: self.is_online, last_seen_ms: self.last_seen_ms }
    }

    pub(super) fn is_known(&self) -> bool {
        self.face.is_some() && (self.stored == Stored::Read || self.last_seen_ms > 0)
    }

    /// When a change is to be told; none if there is no news.
    pub(super) fn change_due_ms(&self) -> Option<u64> {
        let is_news = match self.told {
            Some(told) => self.seen().is_news_after(told),
            None => self.watching != self.owed,
        };
        let settled_ms = if self.is_online { 0 } else { self.gone_ms + PRESENCE_SETTLE_MS };
        is_news.then_some(self.free_ms.max(settled_ms))
    }

    /// When those who watch are to be told of another profile; none if they know of it.
    pub(super) fn profile_due_ms(&self) -> Option<u64> {
        let profile = self.face.map_or(0, |face| face.profile);
        let is_news = self.watching != self.owed && profile != self.profile_told;
        is_news.then_some(self.profile_free_ms)
    }

    /// Whether it can be let go once its last write is stored.
    pub(super) fn is_unused(&self) -> bool {
        let is_reading = matches!(self.stored, Stored::Queued | Stored::Reading);
        let is_busy = self.is_online || self.is_held || is_reading;
        !is_busy && self.watching == 0 && self.unsaved_ms.is_none()
    }

    /// When something is to be done about it; `later_ms` if that is only to let it go.
    pub(super) fn due_ms(&self, interval_ms: u64, later_ms: u64) -> u64 {
        if self.is_unused() {
            return later_ms;
        }
        let silent_ms = self.is_online.then_some(self.online_until_ms);
        let save_ms = self.unsaved_ms.map(|since_ms| since_ms + interval_ms);
        let is_telling = self.is_known() && !self.is_held && self.watching != 0;
        let tell_ms = if is_telling { self.change_due_ms() } else { None };
        let profile_ms = if is_telling { self.profile_due_ms() } else { None };
        [silent_ms, save_ms, tell_ms, profile_ms].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// The people of one core.
#[derive(Debug)]
pub(in super::super) struct People {
    pub(super) table: Table<Person>,
    pub(super) by_id: HashMap<UserId, u32>,
    /// When who is to be looked at, by time; each slot at most once.
    pub(super) dues: BTreeSet<(u64, u32)>,
    /// Loads under way.
    pub(super) reads: usize,
    /// Those that wait for their turn to be read.
    pub(super) to_read: VecDeque<UserId>,
    /// How many of these nobody wants to know any more, about.
    pub(super) unwanted: usize,
    /// Those that are told when the load falls.
    pub(super) held: Vec<UserId>,
}

impl People {
    pub(in super::super) fn new() -> Self {
        People {
            table: Table::new(),
            by_id: HashMap::new(),
            dues: BTreeSet::new(),
            reads: 0,
            to_read: VecDeque::new(),
            unwanted: 0,
            held: Vec::new(),
        }
    }

    /// When somebody must be looked at, on the monotonic clock.
    pub(in super::super) fn next_ms(&self) -> u64 {
        self.dues.first().map_or(u64::MAX, |&(due_ms, _)| due_ms)
    }

    /// Whether somebody waits for the load to fall.
    pub(in super::super) const fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// How many people are in memory.
    #[cfg(test)]
    pub(in super::super) const fn len(&self) -> usize {
        self.table.len()
    }

    /// What others may see of a person, if that is known here.
    pub(in super::super) fn face(&self, user: UserId) -> Option<Face> {
        self.table[*self.by_id.get(&user)?].face
    }

    /// The same with the cores that watch, if any do.
    pub(in super::super) fn watched(&self, user: UserId) -> Option<(Face, Cores)> {
        let person = &self.table[*self.by_id.get(&user)?];
        (person.watching != 0).then_some((person.face?, person.watching))
    }

    pub(super) fn slot(&mut self, user: UserId) -> u32 {
        if let Some(&slot) = self.by_id.get(&user) {
            return slot;
        }
        let slot = self.table.insert(Person::new(user));
        self.by_id.insert(user, slot);
        slot
    }

    /// Makes sure that somebody is looked at no later than `due_ms`.
    pub(super) fn arm(&mut self, slot: u32, due_ms: u64) {
        let person = &mut self.table[slot];
        if due_ms == u64::MAX || due_ms.next_multiple_of(DUE_STEP_MS) >= person.armed_ms {
            return;
        }
        self.dues.remove(&(person.armed_ms, slot));
        person.armed_ms = due_ms.next_multiple_of(DUE_STEP_MS);
        self.dues.insert((person.armed_ms, slot));
    }

    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<u32> {
        let &(due_ms, slot) = self.dues.first()?;
        if due_ms > now_ms {
            return None;
        }
        self.dues.pop_first();
        self.table[slot].armed_ms = u64::MAX;
        Some(slot)
    }

    pub(super) fn forget(&mut self, slot: u32) {
        let person = self.table.remove(slot);
        self.dues.remove(&(person.armed_ms, slot));
        self.by_id.remove(&person.id);
    }

    pub(super) fn hold(&mut self, slot: u32) {
        let person = &mut self.table[slot];
        if !std::mem::replace(&mut person.is_held, true) {
            self.held.push(person.id);
        }
    }
}
