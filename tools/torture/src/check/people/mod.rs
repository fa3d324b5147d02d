//! Judges what is told of people: presence, typing, profiles, usernames.
//!
//! | promise | judged by |
//! |---|---|
//! | who is shown as there was there; in the end all who are there are shown so | `presence` |
//! | nobody was last seen who did nothing; last seen survives a clean stop | `presence` |
//! | who hides or blocks is dark | `presence` |
//! | typing is told of who said so a moment ago, and not to who blocks them | `typing` |
//! | profiles are told as they were put, the newest one; a version is one profile | `profiles` |
//! | a username is one user's, who is found by it; who is refused it may not have it | `names` |
//!
//! Presence and typing are hints, which may come late or never: what must come is judged only in
//! the end, and once it is late.

mod facts;
mod line;
mod names;
mod presence;
mod profiles;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_presence;
mod typing;

use std::collections::HashMap;

pub(super) use facts::PeopleFacts;
pub use facts::PeopleVolume;
pub(super) use line::{PeopleEvent, people_event};

use super::facts::Facts;
use super::identity::Device;
use super::line::{Event, Line};
use super::violation::{Promise, Tally};
use presence::{Connection, Told, Watching};

/// The item of the username.
const USERNAME: &str = "6.";
/// Items that say who may see something.
const LAST_SEEN: &str = "1.00";
const ONLINE: &str = "1.01";
const FOUND_BY: &str = "1.03";
/// Who may, as they say.
const NOBODY: u64 = 0;
const EVERYBODY: u64 = 2;

/// Judges one device.
#[derive(Debug)]
pub(super) struct PeopleCheck<'a> {
    facts: &'a Facts,
    device: Device,
    connection: Connection,
    watching: Watching,
    /// Its person was there at some time of this connection.
    was_here: bool,
    is_drained: bool,
    /// Lines of the questions for profiles, by user.
    looks: HashMap<u64, u64>,
    /// Names that were asked for on this connection, with the lines.
    finds: Vec<(u64, u64)>,
}

impl<'a> PeopleCheck<'a> {
    pub(super) fn new(facts: &'a Facts, device: Device) -> Self {
        PeopleCheck {
            facts,
            device,
            connection: Connection::default(),
            watching: Watching::default(),
            was_here: false,
            is_drained: false,
            looks: HashMap::new(),
            finds: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        let (facts, device) = (self.facts, self.device);
        match &line.event {
            Event::Hello { .. } => {
                let (hello, is_final) = (line.sequence, self.is_drained);
                self.connection = Connection { hello, interval_us: 0, is_final };
                self.watching.begin();
                self.was_here = false;
                self.looks.clear();
                self.finds.clear();
            }
            Event::Drained | Event::Final => {
                self.is_drained = true;
                self.watching.judge_end(facts, device, self.connection, line, tally);
            }
            Event::Book(event) => names::put(facts, device, line, event, tally),
            Event::People(event) => self.event(line, event, tally),
            _ => {}
        }
    }

    fn event(&mut self, line: &Line, event: &PeopleEvent, tally: &mut Tally) {
        let (facts, device) = (self.facts, self.device);
        match *event {
            PeopleEvent::Clock { presence_s, .. } => {
                self.connection.interval_us = presence_s * 1_000_000;
            }
            PeopleEvent::Activity { is_here } => self.was_here |= is_here,
            PeopleEvent::Watch { ref users } => self.watching.watch(users, line.us),
            PeopleEvent::Unwatch => self.watching.unwatch(),
            PeopleEvent::Presence { user, is_online, seen_ms } => {
                let told = Told { user, is_online, seen_ms };
                self.watching.presence(facts, device, self.connection, line, told, tally);
            }
            PeopleEvent::Types { .. } => {}
            PeopleEvent::Typed { from } => {
                if !self.was_here {
                    let text = format!("{device} was told of typing, whose person wasn't there");
                    tally.add(Promise::Protocol, text);
                }
                typing::judge(facts, device, line, from, tally);
            }
            PeopleEvent::Look { user } => {
                self.looks.insert(user, line.sequence);
            }
            PeopleEvent::Profile { user, known, profile } => {
                let Some(asked) = self.looks.remove(&user) else { return };
                self.watching.looked(user, profile.version);
                let (came, is_final) = (line.sequence, self.connection.is_final);
                let answer = profiles::Answer { user, known, profile, asked, came, is_final };
                profiles::judge(facts, device, answer, tally);
            }
            PeopleEvent::News { user, version } => {
                self.watching.news(user, version);
                self.news(line, user, tally);
            }
            PeopleEvent::Find { name } => self.finds.push((name, line.sequence)),
            PeopleEvent::Found { name, user, code } => {
                let Some(at) = self.finds.iter().position(|&(asked, _)| asked == name) else {
                    return;
                };
                let (_, asked) = self.finds.remove(at);
                let answer = names::Answer { name, user, code, asked };
                names::found(facts, device, line, answer, tally);
            }
        }
    }

    /// There is another version of a profile: not to whom its user blocks since before this
    /// connection, or long.
    fn news(&self, line: &Line, user: u64, tally: &mut Tally) {
        if presence::is_blocked(self.facts, self.device, self.connection, line, user) {
            let device = self.device;
            let text = format!("{device} was told news of {user}, who blocked it");
            tally.add(Promise::Leaked, format!("{text} (line {})", line.sequence));
        }
    }
}
