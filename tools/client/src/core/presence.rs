//! Who is there, and who writes: what this device tells of its person, and asks about others.
//! Nothing of it is stored, and nothing is repeated but on a new connection.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_protocol::limits::USERS_MAX;
use fulmar_protocol::{Frame, Numbers};

use super::output::Output;
use crate::limits::{ACTIVITY_MS, TYPING_AGAIN_MS, WATCHED_MAX};
use crate::message::Target;

/// What the person's program wants told and asked.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Whether the person has the program before them.
    is_active: bool,
    /// When that has to be told on this connection, again or for the first time.
    activity_due_ms: Option<u64>,
    /// Whether this connection was told that the person is there.
    is_told: bool,
    watched: BTreeSet<u64>,
    /// Watched people of whom this connection wasn't told.
    watch_due: BTreeSet<u64>,
    /// People who aren't watched any more and of whom this connection was told.
    unwatch_due: BTreeSet<u64>,
    typing_due: BTreeMap<Target, bool>,
    /// When it was told that the person writes there.
    typing_told: BTreeMap<Target, u64>,
}

impl Presence {
    /// A connection begins.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.reset();
        self.watch_due = self.watched.clone();
        self.activity_due_ms = self.is_active.then_some(now_ms);
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.watch_due.clear();
        self.unwatch_due.clear();
        self.typing_due.clear();
        self.typing_told.clear();
        self.activity_due_ms = None;
        self.is_told = false;
    }

    /// When something is due by itself.
    pub(super) const fn deadline_ms(&self) -> Option<u64> {
        self.activity_due_ms
    }

    /// The person has the program before them, or no more.
    pub(super) fn set_active(&mut self, now_ms: u64, is_active: bool) {
        if self.is_active != is_active {
            self.is_active = is_active;
            self.activity_due_ms = (is_active || self.is_told).then_some(now_ms);
        }
    }

    /// The program wants to know about these people; those beyond the bound are left out.
    pub(super) fn watch(&mut self, users: &[u64]) {
        for &user in users.iter().filter(|user| **user > 0) {
            if self.watched.len() < WATCHED_MAX && self.watched.insert(user) {
                self.unwatch_due.remove(&user);
                self.watch_due.insert(user);
            }
        }
    }

    /// The program doesn't any more.
    pub(super) fn unwatch(&mut self, users: &[u64]) {
        for user in users {
            if self.watched.remove(user) && !self.watch_due.remove(user) {
                self.unwatch_due.insert(*user);
            }
        }
    }

    /// The person writes there, or stopped. A program may tell this with every key.
    pub(super) fn typing(&mut self, now_ms: u64, target: Target, is_typing: bool) {
        if !is_typing {
            // The end is told only where the beginning was.
            self.typing_due.remove(&target);
            if self.typing_told.remove(&target).is_some() {
                self.typing_due.insert(target, false);
            }
            return;
        }
        self.typing_told.retain(|_, told_ms| now_ms.saturating_sub(*told_ms) < TYPING_AGAIN_MS);
        if !self.typing_told.contains_key(&target) {
            self.typing_due.insert(target, true);
        }
    }

    /// Adds what is due to the output. What is told about typing is old at once, so it doesn't wait for
    /// a connection.
    pub(super) fn fill(&mut self, now_ms: u64, output: &mut Output) {
        if !output.has_room() {
            return;
        }
        if self.activity_due_ms.is_some_and(|due| due <= now_ms) {
            output.push(&Frame::Activity { is_here: self.is_active });
            self.is_told = self.is_active;
            self.activity_due_ms = self.is_active.then(|| now_ms + ACTIVITY_MS);
        }
        while let Some(users) = next_users(&mut self.unwatch_due) {
            output.push(&Frame::Unwatch { users: Numbers::Slice(&users) });
        }
        while let Some(users) = next_users(&mut self.watch_due) {
            output.push(&Frame::Watch { users: Numbers::Slice(&users) });
        }
        for (target, is_typing) in std::mem::take(&mut self.typing_due) {
            let (group, user) = match target {
                Target::Peer(peer) => (0, peer),
                Target::Group(group) => (group, 0),
            };
            output.push(&Frame::Typing { group, user, is_typing });
            if is_typing {
                self.typing_told.insert(target, now_ms);
            }
        }
    }
}

/// As many of the people as a frame takes.
fn next_users(due: &mut BTreeSet<u64>) -> Option<Vec<u64>> {
    let users: Vec<_> = due.iter().copied().take(USERS_MAX).collect();
    for user in &users {
        due.remove(user);
    }
    (!users.is_empty()).then_some(users)
}
