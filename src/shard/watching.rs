//! Who watches whom, on the watchers' core: which sessions are told of a person, and what they weren't
//! told yet. The person's home knows only that this core watches.

use std::collections::BTreeSet;

use fulmar_protocol::{Frame, Numbers};
use hashbrown::HashMap;

use super::output::Patience;
use super::people::{May, Question};
use super::seam::Seen;
use super::{ConnId, Effects, Letter, Level, Shard, UserId};
use crate::faults::{Fault, is_planted};
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
    /// It asked, and is told whatever holds.
    is_asking: bool,
    /// What it was told last.
    told: Option<Seen>,
    /// The version of the profile that it was told.
    profile_told: u64,
    permission: Permission,
}

/// What a session may see of a person who doesn't show everything to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permission {
    /// It wasn't asked for.
    Unknown,
    /// It is asked for.
    Asked,
    /// The person's home said so; and whether that depends on the groups of both.
    Known(May, bool),
}

impl Watch {
    const fn new(user: UserId) -> Self {
        Watch {
            user,
            is_owed: false,
            is_asking: true,
            told: None,
            profile_told: 0,
            permission: Permission::Unknown,
        }
    }
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
    /// What a session may see must be asked for.
    is_guarded: bool,
    /// The version of the profile; 0 where there is none.
    profile: u64,
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
            attention.watches.insert(at, Watch::new(user));
            self.counters.watches += 1;
            let watched = self.watching.watched.entry(user).or_default();
            watched.conns.insert(conn);
            if watched.conns.len() == 1 {
                self.post(user, Letter::Watch { user, core, is_watching: true }, fx);
            }
        }
        if let Some(attention) = self.attention(conn)
            && let Ok(watch) = attention.find(user)
        {
            watch.is_asking = true;
        }
        self.tell_presence(conn, user, fx);
    }

    fn attention(&mut self, conn: ConnId) -> Option<&mut Attention> {
        self.session(conn)?.attention.as_deref_mut()
    }

    pub(super) fn unwatch(&mut self, conn: ConnId, users: &Numbers<'_>, fx: &mut Effects) {
        if is_planted(Fault::UnwatchIgnored) {
            return;
        }
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
    pub(super) fn presence_changed(
        &mut self,
        user: UserId,
        seen: Seen,
        (is_guarded, profile): (bool, u64),
        fx: &mut Effects,
    ) {
        let Some(watched) = self.watching.watched.get_mut(&user) else { return };
        (watched.is_guarded, watched.profile) = (is_guarded, profile);
        if watched.seen.replace(seen).is_some_and(|before| !seen.is_news_after(before)) {
            return;
        }
        self.tell_watchers(user, fx);
    }

    /// Tells every session that watches a person what holds now.
    fn tell_watchers(&mut self, user: UserId, fx: &mut Effects) {
        let Some(watched) = self.watching.watched.get_mut(&user) else { return };
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
        let Some(watched) = self.watching.watched.get(&user) else { return };
        let (Some(seen), is_guarded, profile) = (watched.seen, watched.is_guarded, watched.profile)
        else {
            return;
        };
        let is_loaded = self.level >= Level::HoldPresence;
        let waits = is_loaded || self.is_output_full(conn);
        let Some(attention) = self.attention(conn) else { return };
        let Ok(watch) = attention.find(user) else { return };
        let may = match watch.permission {
            _ if !is_guarded => May::ALL,
            Permission::Known(may, _) => may,
            Permission::Asked => return,
            Permission::Unknown => {
                watch.permission = Permission::Asked;
                self.ask_permission(Question::Watch { conn, user }, fx);
                return;
            }
        };
        // Who may not see that something changed isn't told anything then.
        let seen = may.mask(seen);
        let is_news = watch.is_asking || watch.told.is_none_or(|told| seen.is_news_after(told));
        let is_profile_news = may.profile && profile != watch.profile_told;
        if waits && (is_news || is_profile_news) {
            if is_planted(Fault::OwedPresenceForgotten) {
                return;
            }
            attention.set_owed(user, true);
            self.counters.presence_held += 1;
            if is_loaded {
                self.hold_presence(conn);
            }
            return;
        }
        if is_news {
            (watch.is_asking, watch.told) = (false, Some(seen));
        }
        if is_profile_news {
            watch.profile_told = profile;
        }
        attention.set_owed(user, false);
        let Seen { is_online, last_seen_ms } = seen;
        if is_news {
            let frame = Frame::Presence { user, is_online, last_seen_ms };
            self.put_patiently(conn, &frame, Patience::Receipt, fx);
        }
        if is_profile_news {
            let frame = Frame::ProfileNews { user, version: profile };
            self.put_patiently(conn, &frame, Patience::Receipt, fx);
        }
    }

    /// The home of a person says that its profile has changed.
    pub(super) fn profile_changed(&mut self, user: UserId, profile: u64, fx: &mut Effects) {
        if let Some(watched) = self.watching.watched.get_mut(&user) {
            watched.profile = profile;
            self.tell_watchers(user, fx);
        }
    }

    /// The home of a person says what a session may see of it.
    pub(super) fn watch_permitted(
        &mut self,
        conn: ConnId,
        user: UserId,
        may: May,
        is_by_groups: bool,
        fx: &mut Effects,
    ) {
        let Some(attention) = self.attention(conn) else { return };
        let Ok(watch) = attention.find(user) else { return };
        if watch.permission == Permission::Unknown {
            // The answer to an earlier watch.
            return;
        }
        watch.permission = Permission::Known(may, is_by_groups);
        self.tell_presence(conn, user, fx);
    }

    /// What one watcher of a person may see has changed, or what each may.
    pub(super) fn ask_again(
        &mut self,
        user: UserId,
        watcher: Option<UserId>,
        is_guarded: bool,
        fx: &mut Effects,
    ) {
        let Some(watched) = self.watching.watched.get_mut(&user) else { return };
        // Of whom nothing was told yet it isn't known.
        let was_open = watched.seen.is_some() && !watched.is_guarded;
        watched.is_guarded = is_guarded;
        let conns: Vec<ConnId> = watched.conns.iter().copied().collect();
        for conn in conns {
            let Some(session) = self.session(conn) else { continue };
            let is_meant = watcher.is_none_or(|watcher| watcher == session.user);
            let Some(attention) = session.attention.as_deref_mut() else { continue };
            let Ok(watch) = attention.find(user) else { continue };
            watch.permission = match watch.permission {
                // The answer that is under way was given after the change.
                Permission::Asked => Permission::Asked,
                _ if is_meant => Permission::Unknown,
                // Until now everybody saw everything, and for all others nothing has changed.
                _ if was_open => Permission::Known(May::ALL, false),
                permission => permission,
            };
            self.tell_presence(conn, user, fx);
        }
    }

    /// The user of a session came into a group, or left one: asks again about those of whom what it may see
    /// depends on that. The answer to a question under way is judged by the groups of the time when it comes.
    pub(super) fn ask_for_watched(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let Some(attention) = session.attention.as_deref_mut() else { return };
        let mut known = Vec::new();
        for watch in &mut attention.watches {
            if matches!(watch.permission, Permission::Known(_, true)) {
                watch.permission = Permission::Unknown;
                known.push(watch.user);
            }
        }
        for user in known {
            self.tell_presence(conn, user, fx);
        }
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
            let watches = &attention.watches;
            for watch in watches.iter().filter(|_| !is_planted(Fault::WatchOutlivesSession)) {
                self.stop_watching(conn, watch.user, fx);
            }
            if attention.is_here {
                self.person_left(user, fx);
            }
        }
    }
}
