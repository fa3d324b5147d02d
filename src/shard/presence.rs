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

mod person;

use fulmar_protocol::Frame;

use super::people::PeopleLetter;
use super::record::{Face, PresenceRecord};
use super::{ConnId, CoreId, Effects, Key, Letter, Level, Load, Shard, UserId, Write};
use crate::faults::{Fault, is_planted};
use crate::limits::{PEOPLE_WARM_MAX, PRESENCE_NOTE_MS, PRESENCE_PER_TURN, PRESENCE_READS_MAX};

use person::Stored;
pub(super) use person::{People, each};

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
            let lasts_ms = self.config.presence_interval_ms;
            let is_for_ever = is_planted(Fault::OnlineForEver);
            Some(now.mono_ms + if is_for_ever { 1_000 * lasts_ms } else { lasts_ms })
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
        if is_planted(Fault::OnlineForEver) {
            return;
        }
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
            if !is_planted(Fault::PresenceNotGathered) {
                person.free_ms = now_ms + self.config.presence_interval_ms;
            }
            self.counters.presence_told += 1;
        } else if person.watching == person.owed {
            person.told = Some(seen);
        } else if person.told.is_some_and(|told| seen.is_news_after(told)) {
            // The others are told when the time of this change comes, whatever it is by then.
            person.told = None;
        }
        person.owed = 0;
        for core in each(cores) {
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
        let (user, cores) = (person.id, person.watching & !person.owed);
        for core in each(cores) {
            self.post_to_core(core, PeopleLetter::News { user, profile }.into(), fx);
        }
    }

    /// Stores what others may see of a person who set it just now, with this turn's writes.
    pub(super) fn store_face(&mut self, user: UserId, face: Face, fx: &mut Effects) {
        let now = self.now;
        let slot = self.people.slot(user);
        let person = &mut self.people.table[slot];
        person.face = Some(face);
        if person.last_seen_ms == 0 {
            // When they set it is no longer known, but it isn't long ago.
            person.last_seen_ms = now.unix_ms;
        }
        self.write_person(slot, fx);
        self.look_at_person(slot, fx);
    }

    fn write_person(&mut self, slot: u32, fx: &mut Effects) {
        let person = &mut self.people.table[slot];
        person.unsaved_ms = None;
        person.last_ticket = self.ticket;
        let face = person.face.unwrap_or(Face::CLOSED);
        let is_lost = is_planted(Fault::LastSeenNotStored);
        let last_seen_ms = if is_lost { 0 } else { person.last_seen_ms };
        let record = PresenceRecord { last_seen_ms, face };
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
