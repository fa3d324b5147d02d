//! Who is there, and who writes: what this device tells of its person, and asks about others.
//! Nothing of it is stored, and nothing is repeated but on a new connection.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_protocol::limits::USERS_MAX;
use fulmar_protocol::{Frame, Numbers};

use super::output::Output;
use crate::limits::{ACTIVITY_MS, PRESENT_MS, TYPING_AGAIN_MS, WATCHED_MAX};
use crate::message::Target;

/// What the person's program wants told and asked.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// When the person, who has the program before them, did something in it.
    used_ms: Option<u64>,
    /// When that has to be told on this connection, again or for the first time.
    activity_due_ms: Option<u64>,
    /// When this connection was told that the person is there.
    told_ms: Option<u64>,
    /// After what time it is told again.
    again_ms: u64,
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
    /// A connection begins, on which a person who does nothing for `interval_s` counts as away. It is told again
    /// after two thirds of that, so that it isn't late where the network is slow.
    pub(super) fn begin(&mut self, now_ms: u64, interval_s: u64) {
        self.reset();
        let again_ms = interval_s.saturating_mul(1_000) / 3 * 2;
        self.again_ms = again_ms.clamp(*ACTIVITY_MS.start(), *ACTIVITY_MS.end());
        self.watch_due = self.watched.clone();
        self.activity_due_ms = self.is_present(now_ms).then_some(now_ms);
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.watch_due.clear();
        self.unwatch_due.clear();
        self.typing_due.clear();
        self.typing_told.clear();
        self.activity_due_ms = None;
        self.told_ms = None;
    }

    /// When something is due by itself.
    pub(super) const fn deadline_ms(&self) -> Option<u64> {
        self.activity_due_ms
    }

    fn is_present(&self, now_ms: u64) -> bool {
        self.used_ms.is_some_and(|used_ms| now_ms < used_ms + PRESENT_MS)
    }

    /// The person does something in the program, or has it no more before them.
    pub(super) fn set_active(&mut self, now_ms: u64, is_active: bool) {
        let due_ms = match self.told_ms {
            // One that is due stays so, and what was told holds for a while.
            Some(told_ms) if is_active => Some(now_ms.max(told_ms + self.again_ms)),
            Some(_) => Some(now_ms),
            None => is_active.then_some(now_ms),
        };
        self.activity_due_ms = due_ms;
        self.used_ms = is_active.then_some(now_ms);
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
        let told_ms = self.typing_told.get(&target);
        if told_ms.is_none_or(|told_ms| now_ms >= told_ms + TYPING_AGAIN_MS) {
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
            let is_here = self.used_ms.is_some();
            output.push(&Frame::Activity { is_here });
            self.told_ms = is_here.then_some(now_ms);
            let next_ms = now_ms + self.again_ms;
            self.activity_due_ms = self.is_present(next_ms).then_some(next_ms);
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
