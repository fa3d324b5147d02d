//! Who is there, on each person's home core: online, last seen, and which cores are told of it.
//!
//! Online is who has a session that said that the person has it before them, and on which the person
//! did something within the interval. Last seen is when the person did something at all, on any
//! session. Both move only with frames that a person causes, see `Kind::is_by_person`.
//!
//! ```text
//! person's home                                  watcher's core
//! a frame, silence, the end of a session
//!   └─► look at the person ── Presence letter ──► fan-out to the sessions (`watching`)
//!                 ▲ ◄──────── Watch letter ────── the first session that watches, the last one that did
//!                 └ dues: what happens by itself
//! ```
//!
//! What watchers are told is debounced: once in an interval at most, and that somebody went only when
//! they stay away for a moment.

use std::collections::{BTreeSet, VecDeque};

use fulmar_protocol::Frame;
use hashbrown::HashMap;

use super::people::PeopleLetter;
use super::record::{Face, PresenceRecord};
use super::seam::{Seen, Ticket};
use super::table::Table;
use super::{ConnId, CoreId, Effects, Key, Letter, Level, Load, Shard, UserId, Write};
use crate::limits::{
    CORES_MAX, PEOPLE_WARM_MAX, PRESENCE_NOTE_MS, PRESENCE_PER_TURN, PRESENCE_READS_MAX,
    PRESENCE_SETTLE_MS,
};

/// Dues fall on multiples of this, so that one turn serves many.
const DUE_STEP_MS: u64 = 250;

/// Cores as bits.
type Cores = u64;

const _: () = assert!(CORES_MAX <= Cores::BITS as usize);

impl Seen {
    /// Whether a watcher who was told `told` should know. While somebody is there, they do something
    /// all the time.
    pub(super) fn is_news_after(self, told: Seen) -> bool {
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
enum Stored {
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
struct Person {
    id: UserId,
    /// When they last did something, as far as it is known here; 0 if it isn't.
    last_seen_ms: u64,
    stored: Stored,
    /// What others may see; none before it is known. It is known of everybody who did something.
    face: Option<Face>,
    /// Since when `last_seen_ms` isn't stored, on the monotonic clock.
    unsaved_ms: Option<u64>,
    /// Ticket of the last write.
    last_ticket: Ticket,
    /// Online until then if nothing more comes, on the monotonic clock.
    online_until_ms: u64,
    /// Whether they were online when they were last looked at.
    is_online: bool,
    /// When they went, or first did something since without being online.
    gone_ms: u64,
    /// Cores with sessions that watch.
    watching: Cores,
    /// Those that weren't told anything yet.
    owed: Cores,
    /// What the others were told, if they were all told the same.
    told: Option<Seen>,
    /// From when on the next change may be told, on the monotonic clock.
    free_ms: u64,
    /// The version of the profile that all who watch know of, and from when on they may be told of another.
    profile_told: u64,
    profile_free_ms: u64,
    /// In the list of those that are told when the load falls.
    is_held: bool,
    /// Time of its entry in the list of dues.
    armed_ms: u64,
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

    const fn seen(&self) -> Seen {
        Seen { is_online: self.is_online, last_seen_ms: self.last_seen_ms }
    }

    fn is_known(&self) -> bool {
        self.face.is_some() && (self.stored == Stored::Read || self.last_seen_ms > 0)
    }

    /// When a change is to be told; none if there is no news.
    fn change_due_ms(&self) -> Option<u64> {
        let is_news = match self.told {
            Some(told) => self.seen().is_news_after(told),
            None => self.watching != self.owed,
        };
        let settled_ms = if self.is_online { 0 } else { self.gone_ms + PRESENCE_SETTLE_MS };
        is_news.then_some(self.free_ms.max(settled_ms))
    }

    /// When those who watch are to be told of another profile; none if they know of it.
    fn profile_due_ms(&self) -> Option<u64> {
        let profile = self.face.map_or(0, |face| face.profile);
        let is_news = self.watching != self.owed && profile != self.profile_told;
        is_news.then_some(self.profile_free_ms)
    }

    /// Whether it can be let go once its last write is stored.
    fn is_unused(&self) -> bool {
        let is_reading = matches!(self.stored, Stored::Queued | Stored::Reading);
        let is_busy = self.is_online || self.is_held || is_reading;
        !is_busy && self.watching == 0 && self.unsaved_ms.is_none()
    }

    /// When something is to be done about it; `later_ms` if that is only to let it go.
    fn due_ms(&self, interval_ms: u64, later_ms: u64) -> u64 {
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
pub(super) struct People {
    table: Table<Person>,
    by_id: HashMap<UserId, u32>,
    /// When who is to be looked at, by time; each slot at most once.
    dues: BTreeSet<(u64, u32)>,
    /// Loads under way.
    reads: usize,
    /// Those that wait for their turn to be read.
    to_read: VecDeque<UserId>,
    /// How many of these nobody wants to know any more, about.
    unwanted: usize,
    /// Those that are told when the load falls.
    held: Vec<UserId>,
}

impl People {
    pub(super) fn new() -> Self {
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
    pub(super) fn next_ms(&self) -> u64 {
        self.dues.first().map_or(u64::MAX, |&(due_ms, _)| due_ms)
    }

    /// Whether somebody waits for the load to fall.
    pub(super) const fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// How many people are in memory.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    /// What others may see of a person, if that is known here.
    pub(super) fn face(&self, user: UserId) -> Option<Face> {
        self.table[*self.by_id.get(&user)?].face
    }

    /// The same with the cores that watch, if any do.
    pub(super) fn watched(&self, user: UserId) -> Option<(Face, Cores)> {
        let person = &self.table[*self.by_id.get(&user)?];
        (person.watching != 0).then_some((person.face?, person.watching))
    }

    fn slot(&mut self, user: UserId) -> u32 {
        if let Some(&slot) = self.by_id.get(&user) {
            return slot;
        }
        let slot = self.table.insert(Person::new(user));
        self.by_id.insert(user, slot);
        slot
    }

    /// Makes sure that somebody is looked at no later than `due_ms`.
    fn arm(&mut self, slot: u32, due_ms: u64) {
        let person = &mut self.table[slot];
        if due_ms == u64::MAX || due_ms.next_multiple_of(DUE_STEP_MS) >= person.armed_ms {
            return;
        }
        self.dues.remove(&(person.armed_ms, slot));
        person.armed_ms = due_ms.next_multiple_of(DUE_STEP_MS);
        self.dues.insert((person.armed_ms, slot));
    }

    fn take_due(&mut self, now_ms: u64) -> Option<u32> {
        let &(due_ms, slot) = self.dues.first()?;
        if due_ms > now_ms {
            return None;
        }
        self.dues.pop_first();
        self.table[slot].armed_ms = u64::MAX;
        Some(slot)
    }

    fn forget(&mut self, slot: u32) {
        let person = self.table.remove(slot);
        self.dues.remove(&(person.armed_ms, slot));
        self.by_id.remove(&person.id);
    }

    fn hold(&mut self, slot: u32) {
        let person = &mut self.table[slot];
        if !std::mem::replace(&mut person.is_held, true) {
            self.held.push(person.id);
        }
    }
}

impl Shard {
    /// A frame came that a person caused. Says of activity, too, whether the session is before them.
    pub(super) fn person_acted(&mut self, conn: ConnId, frame: &Frame<'_>, fx: &mut Effects) {
        let now = self.now;
        let Some(session) = self.session(conn) else { return };
        // Who writes one message after the other isn't looked at for each.
        let is_noted = now.mono_ms < session.noted_until_ms;
        if is_noted && !matches!(frame, Frame::Activity { .. }) {
            return;
        }
        session.noted_until_ms = now.mono_ms + PRESENCE_NOTE_MS;
        let (user, user_slot) = (session.user, session.user_slot);
        let is_leaving = match *frame {
            Frame::Activity { is_here: true } => {
                session.attention.get_or_insert_default().is_here = true;
                false
            }
            Frame::Activity { is_here: false } => session
                .attention
                .as_mut()
                .is_some_and(|attention| std::mem::replace(&mut attention.is_here, false)),
            _ => false,
        };
        let attention = session.attention.as_mut().filter(|attention| attention.is_here);
        let is_here = attention.is_some();
        if let Some(attention) = attention {
            attention.acted_ms = now.mono_ms;
        }
        let online_until_ms = if is_here {
            Some(now.mono_ms + self.config.presence_interval_ms)
        } else if is_leaving {
            Some(self.online_until_ms(user))
        } else {
            None
        };
        let slot = self.people.slot(user);
        let face = self.users[user_slot].record.face;
        let person = &mut self.people.table[slot];
        let before = person.face.replace(face);
        person.online_until_ms = online_until_ms.unwrap_or(person.online_until_ms);
        if !person.is_online && person.change_due_ms().is_none() {
            person.gone_ms = now.mono_ms;
        }
        if person.last_seen_ms < now.unix_ms {
            person.last_seen_ms = now.unix_ms;
            person.unsaved_ms.get_or_insert(now.mono_ms);
        }
        if let Some(before) = before.filter(|before| *before != face) {
            // It was read from a damaged record.
            self.change_permissions(user, None, before, fx);
        }
        self.look_at_person(slot, fx);
    }

    /// A session ended that was before the person.
    pub(super) fn person_left(&mut self, user: UserId, fx: &mut Effects) {
        let online_until_ms = self.online_until_ms(user);
        let Some(&slot) = self.people.by_id.get(&user) else { return };
        self.people.table[slot].online_until_ms = online_until_ms;
        self.look_at_person(slot, fx);
    }

    /// Until when the sessions of a user make it online.
    fn online_until_ms(&mut self, user: UserId) -> u64 {
        let interval_ms = self.config.presence_interval_ms;
        let Some(slot) = self.loaded_user(user) else { return 0 };
        let mut until_ms = 0;
        for index in 0..self.users[slot].sessions.len() {
            let (_, conn) = self.users[slot].sessions[index];
            let attention = self.session(conn).and_then(|session| session.attention.as_deref());
            if let Some(attention) = attention.filter(|attention| attention.is_here) {
                until_ms = until_ms.max(attention.acted_ms + interval_ms);
            }
        }
        until_ms
    }

    /// Begins to tell a core of a person, or no longer does.
    pub(super) fn core_watches(
        &mut self,
        user: UserId,
        core: CoreId,
        is_watching: bool,
        fx: &mut Effects,
    ) {
        debug_assert!(self.is_home_of(user));
        let bit = 1 << core;
        let slot = self.people.slot(user);
        let person = &mut self.people.table[slot];
        if is_watching {
            person.watching |= bit;
            person.owed |= bit;
        } else {
            person.watching &= !bit;
            person.owed &= !bit;
            if person.watching == 0 {
                person.told = None;
                self.stop_waiting_for_last_seen(slot);
            }
        }
        self.look_at_person(slot, fx);
        let person = &self.people.table[slot];
        let is_forgettable = person.is_unused() && person.last_ticket <= self.stored;
        if is_forgettable && self.people.table.len() > PEOPLE_WARM_MAX {
            self.people.forget(slot);
        }
    }

    /// Nobody wants to know when somebody was last seen.
    fn stop_waiting_for_last_seen(&mut self, slot: u32) {
        let person = &mut self.people.table[slot];
        if person.stored != Stored::Queued {
            return;
        }
        person.stored = Stored::Unread;
        self.people.unwanted += 1;
        if self.people.unwanted > self.people.to_read.len() / 2 {
            self.people.unwanted = 0;
            let People { table, by_id, to_read, .. } = &mut self.people;
            let is_queued = |slot: &u32| table[*slot].stored == Stored::Queued;
            to_read.retain(|user| by_id.get(user).is_some_and(is_queued));
        }
    }

    /// Does about a person what is due: notes whether they are online, tells watchers, stores.
    fn look_at_person(&mut self, slot: u32, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let person = &mut self.people.table[slot];
        let is_online = now_ms < person.online_until_ms;
        if is_online && !person.is_online {
            self.counters.users_online += 1;
        } else if person.is_online && !is_online {
            self.counters.users_online -= 1;
            person.gone_ms = now_ms;
        }
        person.is_online = is_online;
        self.tell_watching_cores(slot, fx);
        self.tell_profile_news(slot, fx);
        self.store_last_seen(slot, fx);
        let interval_ms = self.config.presence_interval_ms;
        let due_ms = self.people.table[slot].due_ms(interval_ms, now_ms + interval_ms);
        self.people.arm(slot, due_ms);
    }

    fn tell_watching_cores(&mut self, slot: u32, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let person = &mut self.people.table[slot];
        let is_due = person.change_due_ms().is_some_and(|due_ms| due_ms <= now_ms);
        if person.watching == 0 || (person.owed == 0 && !is_due) {
            return;
        }
        if self.level >= Level::HoldPresence {
            self.people.hold(slot);
            self.counters.presence_held += 1;
            return;
        }
        if !person.is_known() {
            self.read_last_seen(slot, fx);
            return;
        }
        let (user, seen) = (person.id, person.seen());
        let Face { profile, .. } = person.face.unwrap_or(Face::CLOSED);
        let is_guarded = person.face.is_none_or(|face| face.is_guarded());
        if person.watching == person.owed {
            person.profile_told = profile;
        }
        let mut cores = person.owed;
        if is_due {
            cores = person.watching;
            person.told = Some(seen);
            person.free_ms = now_ms + self.config.presence_interval_ms;
            self.counters.presence_told += 1;
        } else if person.watching == person.owed {
            person.told = Some(seen);
        } else if person.told.is_some_and(|told| seen.is_news_after(told)) {
            // The others are told when the time of this change comes, whatever it is by then.
            person.told = None;
        }
        person.owed = 0;
        while cores != 0 {
            let core = cores.trailing_zeros() as CoreId;
            cores &= cores - 1;
            self.post_to_core(core, Letter::Presence { user, seen, is_guarded, profile }, fx);
        }
    }

    /// Tells the cores that watch of a changed profile, once in an interval at most.
    fn tell_profile_news(&mut self, slot: u32, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let person = &mut self.people.table[slot];
        let is_due = person.profile_due_ms().is_some_and(|due_ms| due_ms <= now_ms);
        let Some(Face { profile, .. }) = person.face.filter(|_| is_due && !person.is_held) else {
            return;
        };
        if self.level >= Level::HoldPresence {
            self.people.hold(slot);
            return;
        }
        person.profile_told = profile;
        person.profile_free_ms = now_ms + self.config.presence_interval_ms;
        let (user, mut cores) = (person.id, person.watching & !person.owed);
        while cores != 0 {
            let core = cores.trailing_zeros() as CoreId;
            cores &= cores - 1;
            self.post_to_core(core, PeopleLetter::News { user, profile }.into(), fx);
        }
    }

    /// Stores what others may see of a person who set it just now, with this turn's writes.
    pub(super) fn store_face(&mut self, user: UserId, face: Face, fx: &mut Effects) {
        let now = self.now;
        let slot = self.people.slot(user);
        let person = &mut self.people.table[slot];
        person.face = Some(face);
        // To set it they did something.
        person.last_seen_ms = person.last_seen_ms.max(now.unix_ms);
        self.write_person(slot, fx);
        self.look_at_person(slot, fx);
    }

    fn write_person(&mut self, slot: u32, fx: &mut Effects) {
        let person = &mut self.people.table[slot];
        person.unsaved_ms = None;
        person.last_ticket = self.ticket;
        let face = person.face.unwrap_or(Face::CLOSED);
        let record = PresenceRecord { last_seen_ms: person.last_seen_ms, face };
        let key = Key::Presence { user: person.id };
        let value = self.arena.value(PresenceRecord::BYTES_MAX, |block| record.encode(block));
        fx.writes.push(Write::Put { key, value });
    }

    fn store_last_seen(&mut self, slot: u32, fx: &mut Effects) {
        let delay_ms = if self.shutting_down { 0 } else { self.config.presence_interval_ms };
        let person = &mut self.people.table[slot];
        if person.unsaved_ms.is_none_or(|since_ms| since_ms + delay_ms > self.now.mono_ms) {
            return;
        }
        self.write_person(slot, fx);
    }

    /// Asks storage when somebody was last seen, as far as not too much is asked already.
    fn read_last_seen(&mut self, slot: u32, fx: &mut Effects) {
        let person = &mut self.people.table[slot];
        if person.stored != Stored::Unread {
            return;
        }
        if self.people.reads < PRESENCE_READS_MAX {
            self.people.reads += 1;
            person.stored = Stored::Reading;
            fx.loads.push(Load::Presence { user: person.id });
        } else {
            person.stored = Stored::Queued;
            self.people.to_read.push_back(person.id);
        }
    }

    /// Storage said when somebody was last seen.
    pub(super) fn presence_loaded(
        &mut self,
        user: UserId,
        record: Option<PresenceRecord>,
        fx: &mut Effects,
    ) {
        let Some(&slot) = self.people.by_id.get(&user) else { return };
        let person = &mut self.people.table[slot];
        if person.stored != Stored::Reading {
            return;
        }
        person.stored = Stored::Read;
        // Without a record nothing was ever set.
        person.face.get_or_insert(record.map_or_else(Face::default, |record| record.face));
        let last_seen_ms = record.map_or(0, |record| record.last_seen_ms);
        // It may have moved meanwhile.
        person.last_seen_ms = person.last_seen_ms.max(last_seen_ms);
        self.people.reads -= 1;
        self.look_at_person(slot, fx);
        while self.people.reads < PRESENCE_READS_MAX
            && let Some(user) = self.people.to_read.pop_front()
        {
            if let Some(&slot) = self.people.by_id.get(&user)
                && self.people.table[slot].stored == Stored::Queued
            {
                self.people.table[slot].stored = Stored::Unread;
                self.look_at_person(slot, fx);
            }
        }
    }

    /// At the end of a turn: what became due by itself, and what waited for the load to fall.
    pub(super) fn keep_presence(&mut self, fx: &mut Effects) {
        self.end_attentions(fx);
        if self.level < Level::HoldPresence {
            for user in std::mem::take(&mut self.people.held) {
                let Some(&slot) = self.people.by_id.get(&user) else { continue };
                self.people.table[slot].is_held = false;
                self.look_at_person(slot, fx);
            }
        }
        for _ in 0..PRESENCE_PER_TURN {
            let Some(slot) = self.people.take_due(self.now.mono_ms) else { break };
            let person = &self.people.table[slot];
            if person.is_unused() && person.last_ticket <= self.stored {
                self.people.forget(slot);
            } else {
                self.look_at_person(slot, fx);
            }
        }
        if self.shutting_down {
            let slots: Vec<u32> = self.people.dues.iter().map(|&(_, slot)| slot).collect();
            for slot in slots {
                self.store_last_seen(slot, fx);
            }
        }
    }
}
