//! What a device does about people: it watches its peers, says whether its person is there, types,
//! looks at profiles and asks for usernames.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fulmar_protocol::people::{Found, Profile, audience, item, privacy, user_key};
use fulmar_protocol::{Frame, Numbers};

use super::book::Note;
use super::people::Way;
use super::people_notes::PeopleNote;
use super::{Device, Line};
use crate::feature::Feature;
use crate::world::{Hides, Phase};

/// Longest time between two doings of a device.
const DO_EVERY: Duration = Duration::from_millis(700);
/// In this many of a hundred cases the person is there when a connection begins.
const PERCENT_HERE: u32 = 70;
/// In this many of a hundred cases a question is for a name that nobody has.
const PERCENT_NOBODY: u32 = 20;
/// In this many of a hundred cases a profile is asked for as if none were known.
const PERCENT_ANEW: u32 = 40;
/// Names for which users compete.
pub(super) const NAMES: usize = 16;
/// How many of these a device asks for in the end.
const NAMES_ASKED: usize = 4;

/// A name for which users compete.
pub(super) fn name(nth: usize) -> Vec<u8> {
    format!("gull.{}", nth % NAMES).into_bytes()
}

impl Device {
    /// Whether the user does anything by itself.
    pub(super) fn is_awake(&self) -> bool {
        self.role.way != Way::Asleep
    }

    /// A connection begins, on which a person counts as there for so long.
    pub(super) fn begin_people(&mut self, presence_s: u64, now: Instant) {
        if !self.world.has(Feature::People) {
            return;
        }
        self.people.begin(Duration::from_secs(presence_s));
        self.people_at = now + self.habits.up_to(DO_EVERY);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_comparable = self.world.has(Feature::LastSeen);
        let unix_ms = if is_comparable { since_1970.as_millis() as u64 } else { 0 };
        self.book.note(Note::People(PeopleNote::Clock { presence_s, unix_ms }));
        if self.role.way == Way::Usual
            && (self.phase.settles() || self.habits.happens(PERCENT_HERE))
        {
            self.say_activity(true, now);
        }
        self.watch(now);
        if self.phase == Phase::Final {
            for user in self.role.peers.clone() {
                self.look(user, true);
            }
            for nth in 0..NAMES_ASKED {
                self.find(&name(self.role.index * NAMES_ASKED + nth));
            }
            self.find(b"nobody");
        }
    }

    /// The connection is over.
    pub(super) fn end_people(&mut self) {
        if self.world.has(Feature::People) {
            self.people.begin(self.people.interval);
            self.world.set_here(self.role.user, self.role.device, false);
        }
    }

    /// Does something now and then, and says what is due.
    pub(super) fn speak_of_people(&mut self, now: Instant) {
        if !self.world.has(Feature::People) {
            return;
        }
        if self.people.activity_at.is_some_and(|at| now >= at) {
            self.say_activity(true, now);
        }
        if self.phase == Phase::Final && self.role.device == 1 && self.items.is_settled() {
            self.world.set_hides(self.role.user, self.hides());
        }
        if self.phase == Phase::Load && now >= self.people_at {
            self.people_at = now + DO_EVERY / 5 + self.habits.up_to(DO_EVERY);
            self.do_something(now);
        }
    }

    fn do_something(&mut self, now: Instant) {
        let peer = self.role.peers[self.habits.choose(self.role.peers.len())];
        match self.habits.choose(10) {
            0 | 1 if self.role.way == Way::Usual => self.say_activity(!self.people.is_here, now),
            2..=4 if self.is_awake() => self.say_typing(peer),
            5 => {
                let watched = self.people.watched();
                let all = self.habits.happens(50) || watched.is_empty();
                self.unwatch(if all { &watched } else { &watched[..1] });
            }
            6 => self.watch(now),
            7 | 8 => {
                let anew = self.habits.happens(PERCENT_ANEW);
                self.look(peer, anew);
            }
            _ if self.habits.happens(PERCENT_NOBODY) => self.find(b"nobody"),
            _ => {
                let nth = self.habits.choose(NAMES);
                self.find(&name(nth));
            }
        }
    }

    fn say_activity(&mut self, is_here: bool, now: Instant) {
        let people = &mut self.people;
        people.is_here = is_here;
        people.activity_at = is_here.then(|| now + people.interval * 2 / 3);
        self.tell(PeopleNote::Activity { is_here }, &Frame::Activity { is_here });
        self.world.set_here(self.role.user, self.role.device, is_here);
    }

    fn say_typing(&mut self, peer: u64) {
        let is_typing = self.habits.happens(70);
        let groups = self.groups.writable();
        let (group, user) = if groups.is_empty() || self.habits.happens(60) {
            (0, peer)
        } else {
            (groups[self.habits.choose(groups.len())], 0)
        };
        let note = PeopleNote::Types { group, user, is_typing };
        self.tell(note, &Frame::Typing { group, user, is_typing });
    }

    fn watch(&mut self, now: Instant) {
        let users = &self.role.peers.clone()[..];
        self.people.watch(users, now);
        let frame = Frame::Watch { users: Numbers::Slice(users) };
        self.tell(PeopleNote::Watch { users }, &frame);
    }

    fn unwatch(&mut self, users: &[u64]) {
        if users.is_empty() {
            return;
        }
        self.people.unwatch(users);
        let frame = Frame::Unwatch { users: Numbers::Slice(users) };
        self.tell(PeopleNote::Unwatch { users }, &frame);
    }

    fn look(&mut self, user: u64, anew: bool) {
        if let Some(known) = self.people.look(user, anew) {
            let frame = Frame::ProfileLook { user, version: known };
            self.tell(PeopleNote::Look { user, known }, &frame);
        }
    }

    fn find(&mut self, name: &[u8]) {
        if self.people.find(name) {
            self.tell(PeopleNote::Find { name }, &Frame::Find { name });
        }
    }

    fn tell(&mut self, note: PeopleNote<'_>, frame: &Frame<'_>) {
        let Line::Online { link, .. } = &mut self.line else { return };
        self.book.note(Note::People(note));
        link.queue(frame);
    }

    /// From whom the user hides in the end, as its book says.
    fn hides(&self) -> Hides {
        let is_open = |key: u8| {
            let value = self.items.value(&(item::PRIVACY, vec![key]));
            value.is_none_or(|value| value == [audience::EVERYBODY])
        };
        let blocked = self.role.peers[0];
        if !is_open(privacy::LAST_SEEN) || !is_open(privacy::ONLINE) {
            Hides::FromAll
        } else if self.items.has(&(item::BLOCK, user_key(blocked))) {
            Hides::From(blocked)
        } else {
            Hides::FromNobody
        }
    }

    /// Whether all that the device can expect to be told of people was told.
    pub(super) fn knows_people(&self, now: Instant) -> bool {
        let is_final = self.phase == Phase::Final;
        let expected = |user| is_final && self.world.is_expected(user, self.role.user);
        self.people.is_settled(expected, now)
    }

    /// A frame about people; `false` if it is another, or nobody asked for it.
    pub(super) fn on_people_frame(&mut self, frame: &Frame<'_>) -> bool {
        if !self.world.has(Feature::People) {
            return false;
        }
        match *frame {
            Frame::Presence { user, is_online, last_seen_ms } => {
                let note = PeopleNote::Presence { user, is_online, last_seen_ms };
                self.book.note(Note::People(note));
                self.people.presence(user, is_online);
            }
            Frame::Typing { group, user, is_typing } => {
                self.book.note(Note::People(PeopleNote::Typed { group, user, is_typing }));
            }
            Frame::ProfileNews { user, version } => {
                self.book.note(Note::People(PeopleNote::News { user, version }));
                self.people.news(user, version);
            }
            Frame::Profile(ref profile) => return self.on_profile(profile),
            Frame::Found(ref found) => return self.on_found(found),
            _ => return false,
        }
        true
    }

    fn on_profile(&mut self, profile: &Profile<'_>) -> bool {
        let Some(known) = self.people.profile(profile.user, profile.version) else { return false };
        self.book.note(Note::People(PeopleNote::Profile { profile, known }));
        true
    }

    fn on_found(&mut self, found: &Found<'_>) -> bool {
        self.book.note(Note::People(PeopleNote::Found(found)));
        self.people.found(found.name)
    }
}
