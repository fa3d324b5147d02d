//! Who watches whom, on the watchers' core: which sessions are told of a person, and what they weren't
//! told yet. The person's home knows only that this core watches.

use std::collections::BTreeSet;

use fulmar_protocol::{Frame, Numbers};
use hashbrown::HashMap;

use super::output::Patience;
use super::seam::Seen;
use super::{ConnId, Effects, Letter, Level, Shard, UserId};
use crate::limits::{CORE_WATCHES_MAX, WATCHED_MAX};

/// What only a session has that said whether it is before the person, or that watches others.
#[derive(Debug, Default)]
pub(super) struct Attention {
    /// The person has the program before them, as it said.
    pub(super) is_here: bool,
    /// When the person did something while it was, on the monotonic clock.
    pub(super) acted_ms: u64,
    /// By user, at most [`WATCHED_MAX`].
    watches: Vec<Watch>,
    /// How many of these are owed.
    owed: usize,
    /// In the list of sessions that are told when the load falls.
    is_held: bool,
}

/// A person whom a session watches.
#[derive(Debug)]
struct Watch {
    user: UserId,
    /// What holds now could not be told.
    is_owed: bool,
}

impl Attention {
    fn find(&mut self, user: UserId) -> Result<&mut Watch, usize> {
        match self.watches.binary_search_by_key(&user, |watch| watch.user) {
            Ok(at) => Ok(&mut self.watches[at]),
            Err(at) => Err(at),
        }
    }

    /// Notes whether what holds now is still to be told.
    fn set_owed(&mut self, user: UserId, is_owed: bool) {
        let Ok(watch) = self.find(user) else { return };
        let was_owed = std::mem::replace(&mut watch.is_owed, is_owed);
        self.owed = self.owed + usize::from(is_owed) - usize::from(was_owed);
    }
}

/// A person whom sessions of this core watch.
#[derive(Debug, Default)]
struct Watched {
    conns: BTreeSet<ConnId>,
    /// What their home said last; none before it said anything.
    seen: Option<Seen>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Watching {
    watched: HashMap<UserId, Box<Watched>>,
    /// Sessions that ended since the last turn.
    ended: Vec<(ConnId, UserId, Box<Attention>)>,
    /// Sessions that are told when the load falls.
    held: Vec<ConnId>,
}

impl Watching {
    /// Whether somebody waits for the load to fall.
    pub(super) const fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// A session is over.
    pub(super) fn end(&mut self, conn: ConnId, user: UserId, attention: Box<Attention>) {
        self.ended.push((conn, user, attention));
    }

    /// How many people are watched.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }
}

impl Shard {
    pub(super) fn watch(&mut self, conn: ConnId, users: &Numbers<'_>, fx: &mut Effects) {
        for user in users.iter() {
            self.watch_one(conn, user, fx);
        }
        self.pause_if_full(conn, fx);
    }

    fn watch_one(&mut self, conn: ConnId, user: UserId, fx: &mut Effects) {
        let is_room = self.counters.watches < CORE_WATCHES_MAX;
        let core = self.config.core;
        let Some(session) = self.session(conn) else { return };
        let attention = session.attention.get_or_insert_default();
        if let Err(at) = attention.find(user) {
            if attention.watches.len() >= WATCHED_MAX || !is_room {
                // Nothing is known of them, and nothing will be told.
                let frame = Frame::Presence { user, is_online: false, last_seen_ms: 0 };
                self.put(conn, &frame, fx);
                return;
            }
            attention.watches.insert(at, Watch { user, is_owed: false });
            self.counters.watches += 1;
            let watched = self.watching.watched.entry(user).or_default();
            watched.conns.insert(conn);
            if watched.conns.len() == 1 {
                self.post(user, Letter::Watch { user, core, is_watching: true }, fx);
            }
        }
        self.tell_presence(conn, user, fx);
    }

    pub(super) fn unwatch(&mut self, conn: ConnId, users: &Numbers<'_>, fx: &mut Effects) {
        for user in users.iter() {
            let Some(session) = self.session(conn) else { return };
            let Some(attention) = session.attention.as_deref_mut() else { return };
            attention.set_owed(user, false);
            if let Ok(at) = attention.watches.binary_search_by_key(&user, |watch| watch.user) {
                attention.watches.remove(at);
                self.stop_watching(conn, user, fx);
            }
        }
    }

    fn stop_watching(&mut self, conn: ConnId, user: UserId, fx: &mut Effects) {
        let Some(watched) = self.watching.watched.get_mut(&user) else { return };
        watched.conns.remove(&conn);
        self.counters.watches -= 1;
        if watched.conns.is_empty() {
            self.watching.watched.remove(&user);
            let core = self.config.core;
            self.post(user, Letter::Watch { user, core, is_watching: false }, fx);
        }
    }

    /// The home of a person says what holds now.
    pub(super) fn presence_changed(&mut self, user: UserId, seen: Seen, fx: &mut Effects) {
        let Some(watched) = self.watching.watched.get_mut(&user) else { return };
        if watched.seen.replace(seen).is_some_and(|before| !seen.is_news_after(before)) {
            return;
        }
        // Telling doesn't look at this list.
        let conns = std::mem::take(&mut watched.conns);
        for &conn in &conns {
            self.tell_presence(conn, user, fx);
        }
        if let Some(watched) = self.watching.watched.get_mut(&user) {
            watched.conns = conns;
        }
    }

    /// Tells a session what is known of a person, now or when the load or its output allows.
    fn tell_presence(&mut self, conn: ConnId, user: UserId, fx: &mut Effects) {
        let Some(seen) = self.watching.watched.get(&user).and_then(|watched| watched.seen) else {
            return;
        };
        let is_loaded = self.level >= Level::HoldPresence;
        let waits = is_loaded || self.is_output_full(conn);
        let Some(session) = self.session(conn) else { return };
        let Some(attention) = session.attention.as_deref_mut() else { return };
        attention.set_owed(user, waits);
        if waits {
            self.counters.presence_held += 1;
            if is_loaded {
                self.hold_presence(conn);
            }
            return;
        }
        let Seen { is_online, last_seen_ms } = seen;
        let frame = Frame::Presence { user, is_online, last_seen_ms };
        self.put_patiently(conn, &frame, Patience::Receipt, fx);
    }

    /// Has a session told what it is owed once the load falls.
    fn hold_presence(&mut self, conn: ConnId) {
        let Some(session) = self.session(conn) else { return };
        let Some(attention) = session.attention.as_deref_mut() else { return };
        if !std::mem::replace(&mut attention.is_held, true) {
            self.watching.held.push(conn);
        }
    }

    /// Tells a session what it could not be told, as far as there is room now.
    pub(super) fn tell_owed_presence(&mut self, conn: ConnId, fx: &mut Effects) {
        let is_loaded = self.level >= Level::HoldPresence;
        let Some(session) = self.session(conn) else { return };
        let Some(attention) = session.attention.as_deref() else { return };
        if attention.owed == 0 {
            return;
        }
        if is_loaded {
            self.hold_presence(conn);
            return;
        }
        let owed = attention.watches.iter().filter(|watch| watch.is_owed);
        let owed: Vec<UserId> = owed.map(|watch| watch.user).collect();
        for user in owed {
            if self.is_output_full(conn) {
                return;
            }
            self.tell_presence(conn, user, fx);
        }
    }

    /// Once the load fell, tells what waited for that.
    pub(super) fn tell_held_presence(&mut self, fx: &mut Effects) {
        if self.level >= Level::HoldPresence {
            return;
        }
        for conn in std::mem::take(&mut self.watching.held) {
            let Some(session) = self.session(conn) else { continue };
            if let Some(attention) = session.attention.as_deref_mut() {
                attention.is_held = false;
                self.tell_owed_presence(conn, fx);
            }
        }
    }

    /// Takes back what sessions that ended had watched, and that they were before their person.
    pub(super) fn end_attentions(&mut self, fx: &mut Effects) {
        for (conn, user, attention) in std::mem::take(&mut self.watching.ended) {
            for watch in &attention.watches {
                self.stop_watching(conn, watch.user, fx);
            }
            if attention.is_here {
                self.person_left(user, fx);
            }
        }
    }
}
