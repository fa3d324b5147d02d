//! The stand-in's presence: whoever watches is told of every change at once.

use std::collections::{BTreeSet, HashMap};

use fulmar_protocol::{Frame, Numbers};

use super::Fault;
use super::state::State;

#[derive(Debug, Default)]
pub(super) struct People {
    here: BTreeSet<u64>,
    /// When each did something last, by a clock that counts the changes.
    last_seen: HashMap<u64, u64>,
    watchers: HashMap<u64, BTreeSet<u64>>,
    time: u64,
    changes: u64,
}

impl State {
    pub(super) fn on_activity(&mut self, user: u64, is_here: bool) {
        let people = &mut self.people;
        people.time += 1;
        people.last_seen.insert(user, people.time);
        let was_here = if is_here { !people.here.insert(user) } else { people.here.remove(&user) };
        if was_here != is_here {
            self.tell_watchers(user);
        }
    }

    pub(super) fn on_watch(&mut self, id: u64, watcher: u64, users: &Numbers<'_>) {
        for user in users.iter() {
            self.people.watchers.entry(user).or_default().insert(watcher);
            let presence = self.presence(user);
            self.say(id, &presence);
        }
    }

    pub(super) fn person_left(&mut self, user: u64) {
        for watchers in self.people.watchers.values_mut() {
            watchers.remove(&user);
        }
        if self.people.here.remove(&user) {
            self.tell_watchers(user);
        }
    }

    fn presence(&self, user: u64) -> Frame<'static> {
        let is_online = self.people.here.contains(&user);
        let last_seen_ms = self.people.last_seen.get(&user).copied().unwrap_or(0);
        Frame::Presence { user, is_online, last_seen_ms }
    }

    fn tell_watchers(&mut self, user: u64) {
        self.people.changes += 1;
        let is_nth = |every: u64| self.people.changes.is_multiple_of(every);
        let watchers: Vec<u64> =
            self.people.watchers.get(&user).into_iter().flatten().copied().collect();
        let mut told = self.presence(user);
        let mut left_out = 0;
        match self.fault {
            Fault::Untold(every) if is_nth(every) => left_out = 1,
            Fault::Lie(every) if is_nth(every) => {
                if let Frame::Presence { is_online, .. } = &mut told {
                    *is_online = !*is_online;
                }
            }
            Fault::OldSeen => {
                if let (Frame::Presence { user, is_online: false, last_seen_ms }, Some(&first)) =
                    (told, watchers.first())
                {
                    left_out = 1;
                    let last_seen_ms = last_seen_ms - 1;
                    self.say_to_user(
                        first,
                        &Frame::Presence { user, is_online: false, last_seen_ms },
                    );
                }
            }
            Fault::Stranger(every) if is_nth(every) => self.say_to_user(user, &told),
            _ => (),
        }
        for watcher in watchers.into_iter().skip(left_out) {
            self.say_to_user(watcher, &told);
        }
    }
}
