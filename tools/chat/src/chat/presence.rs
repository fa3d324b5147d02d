//! Who is there and who writes, and of whom that is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fulmar_client::limits::WATCHED_MAX;
use fulmar_client::{Group, Target};

use super::Chat;
use crate::text;

/// How long somebody who was told to write is shown, where the end isn't told.
pub(super) const TYPING_SHOWN: Duration = Duration::from_secs(6);

/// Peers of the most recent conversations, who are watched however many members the open group has.
const RECENT_WATCHED: usize = 64;

/// Whose presence and profile are told, and what was told of their presence.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// At most as many as a server tells of.
    pub(crate) users: BTreeSet<u64>,
    /// Others may matter now.
    pub(super) is_due: bool,
    /// Of these, who is there, and when they were last.
    presence: BTreeMap<u64, (bool, u64)>,
}

impl Chat {
    /// Asks about those who matter now, and no more about those who don't.
    pub(super) async fn watch_people(&mut self) {
        if !std::mem::take(&mut self.watch.is_due) {
            return;
        }
        let wanted = self.people_who_matter();
        let gone: Vec<u64> = self.watch.users.difference(&wanted).copied().collect();
        let new: Vec<u64> = wanted.difference(&self.watch.users).copied().collect();
        // What falls out makes room for the others.
        if !gone.is_empty() {
            self.client.unwatch(&gone).await;
            self.watch.presence.retain(|user, _| wanted.contains(user));
        }
        if !new.is_empty() {
            self.client.watch(&new).await;
        }
        self.watch.users = wanted;
    }

    /// As many people as may be watched: the open peer, those of the latest conversations, the members of the open
    /// group, those of other conversations, contacts.
    fn people_who_matter(&self) -> BTreeSet<u64> {
        let open = match self.open {
            Some(Target::Peer(peer)) => Some(peer),
            _ => None,
        };
        let peers: Vec<u64> = self.conversations().iter().map(|known| known.peer).collect();
        let (recent, older) = peers.split_at(peers.len().min(RECENT_WATCHED));
        let members = self.open_group().map(|group| self.others_in(group)).unwrap_or_default();
        let all = open.into_iter().chain(recent.iter().copied()).chain(members);
        let all = all.chain(older.iter().copied()).chain(self.contacts.keys().copied());
        let mut wanted = BTreeSet::new();
        for user in all.filter(|user| *user != self.user) {
            if wanted.len() == WATCHED_MAX {
                break;
            }
            wanted.insert(user);
        }
        wanted
    }

    fn others_in(&self, group: &Group) -> Vec<u64> {
        let users = group.members.iter().map(|(user, _)| *user);
        users.filter(|user| *user != self.user && !group.is_gone).collect()
    }

    /// Whether somebody is there now, as far as that is known.
    pub(crate) fn is_there(&self, user: u64) -> bool {
        self.watch.presence.get(&user).is_some_and(|known| known.0)
    }

    /// Whether the person of a conversation is there now, as far as that is known.
    pub(crate) fn is_peer_there(&self, target: Target) -> bool {
        matches!(target, Target::Peer(peer) if self.is_there(peer))
    }

    /// Who is there of what is open, for people; nothing where that isn't known.
    pub(crate) fn presence(&self) -> Option<String> {
        match self.open? {
            Target::Peer(peer) => {
                self.watch.presence.get(&peer).and_then(|known| presence(known.0, known.1))
            }
            Target::Group(_) => self.members_there(),
        }
    }

    fn members_there(&self) -> Option<String> {
        let others = self.others_in(self.open_group().filter(|_| self.is_online())?);
        if !others.iter().any(|user| self.watch.presence.contains_key(user)) {
            return None;
        }
        let there = others.iter().filter(|user| self.is_there(**user)).count();
        // Of a large group not all can be watched.
        let least = if others.iter().all(|user| self.watch.users.contains(user)) {
            ""
        } else {
            "at least "
        };
        Some(format!("{least}{there} of {} online", others.len()))
    }

    /// Who writes in what is open.
    pub(crate) fn writers(&self, now: Instant) -> Vec<u64> {
        self.typing
            .iter()
            .filter(|((target, _), since)| {
                self.open == Some(*target) && now.saturating_duration_since(**since) < TYPING_SHOWN
            })
            .map(|((_, user), _)| *user)
            .collect()
    }

    /// When the next of those who write at this time is forgotten.
    pub(crate) fn writers_until(&self, now: Instant) -> Option<Instant> {
        let ends = self.typing.values().map(|since| *since + TYPING_SHOWN);
        ends.filter(|end| *end > now).min()
    }

    /// The person writes in what is open, or doesn't any more.
    pub(crate) async fn typing(&mut self, is_typing: bool) {
        let writing = self.open.filter(|_| is_typing);
        if let Some(before) = self.writing.filter(|before| writing != Some(*before)) {
            self.client.typing(before, false).await;
        }
        if let Some(target) = writing {
            self.client.typing(target, true).await;
        }
        self.writing = writing;
    }

    pub(super) fn note_presence(&mut self, user: u64, is_online: bool, last_seen_ms: u64) {
        // It may have been on its way when it was asked for no more.
        if self.watch.users.contains(&user) {
            self.watch.presence.insert(user, (is_online, last_seen_ms));
        }
    }

    pub(super) fn note_typing(&mut self, target: Target, user: u64, is_typing: bool) {
        self.typing.retain(|_, since| since.elapsed() < TYPING_SHOWN);
        if is_typing {
            self.typing.insert((target, user), Instant::now());
        } else {
            self.typing.remove(&(target, user));
        }
    }

    /// Without a connection nobody is known to be there.
    pub(super) fn forget_who_is_online(&mut self) {
        self.watch.presence.retain(|_, known| !known.0);
    }
}

/// Whether somebody is there, for people; nothing where that isn't told.
pub(crate) fn presence(is_online: bool, last_seen_ms: u64) -> Option<String> {
    match (is_online, last_seen_ms) {
        (true, _) => Some("online".to_owned()),
        (false, 0) => None,
        (false, seen) => Some(format!("last here {}", text::local(seen, "%-d %B, %H:%M"))),
    }
}
