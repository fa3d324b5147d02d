//! What a device knows of the people that it watches, on this connection, and what it asked and has
//! no answer for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::limits::PRESENCE_PATIENCE;

/// How a user takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Like most: does things, and says when the person is there.
    Usual,
    /// Does things, and never says that the person is there.
    Unseen,
    /// Only its programs run: they take, acknowledge and ping.
    Asleep,
}

/// Whether a user may be one of those who sleep. Nobody hands them a group: they would never give
/// it back.
pub const fn may_sleep(user: u64) -> bool {
    user % 10 == 9
}

/// Somebody who is watched.
#[derive(Debug)]
struct Watched {
    since: Instant,
    /// Whether they are there, as the server said last.
    is_online: Option<bool>,
    /// The version of their profile, as the server said by itself.
    news: u64,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct People {
    watched: BTreeMap<u64, Watched>,
    /// Versions of profiles that questions under way named, by user.
    looks: BTreeMap<u64, u64>,
    /// Versions of profiles as they came last.
    versions: BTreeMap<u64, u64>,
    /// Names that are asked for.
    finds: Vec<Vec<u8>>,
    /// How long the server takes a person for there who does nothing.
    pub(super) interval: Duration,
    /// The person has the program before them.
    pub(super) is_here: bool,
    /// When that is to be said again.
    pub(super) activity_at: Option<Instant>,
}

impl People {
    /// A connection begins: it watches nobody, and nothing is asked on it.
    pub(super) fn begin(&mut self, interval: Duration) {
        self.watched.clear();
        self.looks.clear();
        self.finds.clear();
        self.interval = interval;
        (self.is_here, self.activity_at) = (false, None);
    }

    /// The device asks to be told of them.
    pub(super) fn watch(&mut self, users: &[u64], now: Instant) {
        for &user in users {
            self.watched.insert(user, Watched { since: now, is_online: None, news: 0 });
        }
    }

    /// Or no more.
    pub(super) fn unwatch(&mut self, users: &[u64]) {
        self.watched.retain(|user, _| !users.contains(user));
    }

    /// Those who are watched.
    pub(super) fn watched(&self) -> Vec<u64> {
        self.watched.keys().copied().collect()
    }

    /// The server says whether somebody is there.
    pub(super) fn presence(&mut self, user: u64, is_online: bool) {
        if let Some(watched) = self.watched.get_mut(&user) {
            watched.is_online = Some(is_online);
        }
    }

    /// The server says of which version somebody's profile is.
    pub(super) fn news(&mut self, user: u64, version: u64) {
        if let Some(watched) = self.watched.get_mut(&user) {
            watched.news = version;
        }
    }

    /// The device asks for a profile; the version that it names, unless it asks already.
    pub(super) fn look(&mut self, user: u64, anew: bool) -> Option<u64> {
        let known = self.versions.get(&user).copied().filter(|_| !anew).unwrap_or_default();
        let is_free = !self.looks.contains_key(&user);
        is_free.then(|| {
            self.looks.insert(user, known);
            known
        })
    }

    /// A profile came; the version that the question named, if there was one.
    pub(super) fn profile(&mut self, user: u64, version: u64) -> Option<u64> {
        self.versions.insert(user, version);
        self.looks.remove(&user)
    }

    /// The device asks for a name; `false` if it does already: answers overtake each other.
    pub(super) fn find(&mut self, name: &[u8]) -> bool {
        let is_free = self.finds.iter().all(|asked| asked != name);
        if is_free {
            self.finds.push(name.to_vec());
        }
        is_free
    }

    /// The answer came; whether there was the question.
    pub(super) fn found(&mut self, name: &[u8]) -> bool {
        let at = self.finds.iter().position(|asked| asked == name);
        at.map(|at| self.finds.swap_remove(at)).is_some()
    }

    /// Whether all that was asked is answered, and those are shown as there who are `expected`.
    /// That is waited for only as long as it may take; the checker judges what came by then.
    pub(super) fn is_settled(&self, expected: impl Fn(u64) -> bool, now: Instant) -> bool {
        let patience = self.interval * PRESENCE_PATIENCE as u32;
        let is_told = |(&user, watched): (&u64, &Watched)| {
            let version = self.versions.get(&user).copied().unwrap_or_default();
            let is_complete = watched.is_online.is_some()
                && (watched.is_online == Some(true) || !expected(user))
                && (watched.news == version || !expected(user));
            is_complete || now.duration_since(watched.since) >= patience
        };
        self.looks.is_empty() && self.finds.is_empty() && self.watched.iter().all(is_told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn who_is_expected_is_waited_for_and_not_for_ever() {
        let (mut people, now) = (People::default(), Instant::now());
        people.begin(INTERVAL);
        people.watch(&[3, 4], now);
        let expected = |user| user == 3;
        assert!(!people.is_settled(expected, now));
        people.presence(3, false);
        people.presence(4, false);
        assert!(!people.is_settled(expected, now) && people.is_settled(|_| false, now));
        people.presence(3, true);
        assert!(people.is_settled(expected, now));
        assert_eq!(people.look(3, true), Some(0));
        assert_eq!(people.look(3, true), None);
        assert!(!people.is_settled(expected, now));
        assert_eq!(people.profile(3, 7), Some(0));
        assert!(!people.is_settled(expected, now), "the news of it are missing");
        assert!(people.is_settled(expected, now + INTERVAL * PRESENCE_PATIENCE as u32));
        people.news(3, 7);
        assert!(people.is_settled(expected, now));
        assert_eq!((people.look(3, false), people.look(4, false)), (Some(7), Some(0)));
    }

    #[test]
    fn a_connection_begins_with_nothing() {
        let (mut people, now) = (People::default(), Instant::now());
        people.watch(&[3], now);
        assert!(people.find(b"ann") && !people.find(b"ann"));
        assert!(people.found(b"ann") && !people.found(b"ann"));
        assert!(people.find(b"bob"));
        people.unwatch(&[3]);
        people.watch(&[4], now);
        assert_eq!(people.watched(), [4]);
        people.begin(INTERVAL);
        assert!(people.watched().is_empty() && people.is_settled(|_| true, now));
    }
}
