//! The first reading: what people did and when, what they have set, and what was told of profiles.

use std::collections::HashMap;

use serde::Serialize;

use super::super::books::{BookEvent, BookFacts};
use super::super::group::GroupEvent;
use super::super::identity::Device;
use super::super::line::{Event, Line};
use super::super::violation::Tally;
use super::line::{PeopleEvent, Profile, Typing};
use super::settings::Settings;
use super::{USERNAME, names, profiles};

/// Doings that lie closer together count as one, in microseconds.
const GRAIN_US: u64 = 100_000;

/// How much was tried about people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PeopleVolume {
    /// How often it was told whether somebody is there.
    pub presence_told: u64,
    /// How often that somebody writes, or stopped.
    pub typing_told: u64,
    /// Profiles, and that there is another version of one.
    pub profiles_told: u64,
    /// Usernames that were asked for and found.
    pub names_found: u64,
}

/// What a device did on its present connection.
#[derive(Debug, Clone, Copy, Default)]
struct Attention {
    interval_us: u64,
    /// The person has it before them.
    is_here: bool,
    /// Since when they have, without being silent for an interval.
    here_us: u64,
    acted_us: u64,
    /// When the last message was written that was ticked.
    ticked_us: Option<u64>,
}

/// A typing that was said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) sequence: u64,
    pub(super) us: u64,
    pub(super) is_on: bool,
}

/// A profile that was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) sequence: u64,
    pub(super) device: Device,
    pub(super) profile: Profile,
}

/// What is known of one user.
#[derive(Debug, Default)]
pub(super) struct Person {
    /// The first line that says that the person did something.
    pub(super) first: Option<u64>,
    /// When they did something while they were there.
    there_us: Vec<u64>,
    /// When the last thing was done that the server certainly had when it was stopped cleanly, and
    /// the line that says that it had.
    pub(super) kept: Option<(u64, u64)>,
    /// Since when one of its devices was certainly there, in the end.
    pub(super) here_us: Option<u64>,
    /// When it asked for a name, or put one.
    asked_us: Vec<u64>,
    /// Its profile, by who was told.
    pub(super) told: Vec<Told>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(in super::super) struct PeopleFacts {
    pub(in super::super) volume: PeopleVolume,
    pub(super) settings: Settings,
    people: HashMap<u64, Person>,
    attentions: HashMap<Device, Attention>,
    said: HashMap<(u64, Typing), Vec<Said>>,
    /// What must be added to the time of a line for the milliseconds since 1970.
    clock_ms: Option<u64>,
}

impl PeopleFacts {
    /// A line of a device's history.
    pub(in super::super) fn gather(&mut self, device: Device, line: &Line) {
        match &line.event {
            Event::Hello { .. } | Event::Closed => {
                self.attentions.remove(&device);
            }
            Event::Send { .. } | Event::Resend { .. } | Event::Read { .. } => {
                self.acted(device, line);
            }
            Event::Group(
                GroupEvent::Send { .. }
                | GroupEvent::Change { .. }
                | GroupEvent::Resend { .. }
                | GroupEvent::Read { .. },
            ) => self.acted(device, line),
            Event::Book(event) => self.book(device, line, event),
            Event::People(event) => self.people(device, line, event),
            Event::Drained => {
                let ticked_us = self.attentions.get(&device).and_then(|it| it.ticked_us);
                let person = self.people.entry(device.user).or_default();
                if let Some(us) = ticked_us.filter(|us| person.kept.is_none_or(|kept| *us > kept.1))
                {
                    person.kept = Some((line.sequence, us));
                }
            }
            Event::Final => self.ended(device, line.us),
            _ => {}
        }
    }

    /// A message was ticked that was written at this time.
    pub(in super::super) fn ticked(&mut self, device: Device, us: u64) {
        let attention = self.attentions.entry(device).or_default();
        attention.ticked_us = attention.ticked_us.max(Some(us));
    }

    fn book(&mut self, device: Device, line: &Line, event: &BookEvent) {
        if let BookEvent::Put { place, .. } | BookEvent::PutAgain { place } = event {
            self.acted(device, line);
            if place == USERNAME {
                self.person(device.user).asked_us.push(line.us);
            }
        }
        self.settings.gather(device, (line.sequence, line.us), event);
    }

    fn people(&mut self, device: Device, line: &Line, event: &PeopleEvent) {
        match *event {
            PeopleEvent::Clock { presence_s, unix_ms } => {
                let attention = self.attentions.entry(device).or_default();
                attention.interval_us = presence_s * 1_000_000;
                if unix_ms > 0 {
                    self.clock_ms.get_or_insert(unix_ms.saturating_sub(line.us / 1_000));
                }
            }
            PeopleEvent::Activity { is_here } => {
                let attention = self.attentions.entry(device).or_default();
                if is_here && !attention.is_here {
                    (attention.here_us, attention.acted_us) = (line.us, line.us);
                }
                attention.is_here = is_here;
                self.acted(device, line);
            }
            PeopleEvent::Types { to } => {
                self.acted(device, line);
                let Line { sequence, us, .. } = *line;
                let key = (device.user, Typing { is_on: false, ..to });
                let is_on = to.is_on;
                self.said.entry(key).or_default().push(Said { sequence, us, is_on });
            }
            PeopleEvent::Presence { .. } => self.volume.presence_told += 1,
            PeopleEvent::Typed { .. } => self.volume.typing_told += 1,
            PeopleEvent::News { .. } => self.volume.profiles_told += 1,
            PeopleEvent::Profile { user, known, profile } => {
                self.volume.profiles_told += 1;
                // Of one that is known already only the version comes.
                if known == 0 || known != profile.version {
                    let told = Told { sequence: line.sequence, device, profile };
                    self.person(user).told.push(told);
                }
            }
            PeopleEvent::Find { .. } => self.person(device.user).asked_us.push(line.us),
            PeopleEvent::Found { user, .. } => self.volume.names_found += u64::from(user > 0),
            PeopleEvent::Watch { .. } | PeopleEvent::Unwatch | PeopleEvent::Look { .. } => {}
        }
    }

    /// The person did something.
    fn acted(&mut self, device: Device, line: &Line) {
        let attention = self.attentions.entry(device).or_default();
        if line.us > attention.acted_us + attention.interval_us {
            attention.here_us = line.us;
        }
        attention.acted_us = line.us;
        let is_here = attention.is_here;
        let person = self.people.entry(device.user).or_default();
        person.first = Some(person.first.map_or(line.sequence, |first| first.min(line.sequence)));
        let is_news = person.there_us.last().is_none_or(|last| last.abs_diff(line.us) > GRAIN_US);
        if is_here && is_news {
            person.there_us.push(line.us);
        }
    }

    fn ended(&mut self, device: Device, now_us: u64) {
        let Some(attention) = self.attentions.get(&device) else { return };
        if attention.is_here && now_us < attention.acted_us + attention.interval_us {
            let here_us = attention.here_us;
            let person = self.people.entry(device.user).or_default();
            person.here_us = Some(person.here_us.map_or(here_us, |us| us.min(here_us)));
        }
    }

    fn person(&mut self, user: u64) -> &mut Person {
        self.people.entry(user).or_default()
    }

    pub(super) fn of(&self, user: u64) -> Option<&Person> {
        self.people.get(&user)
    }

    /// The time of a line in milliseconds since 1970, if the clocks can be compared.
    pub(super) fn unix_ms(&self, us: u64) -> Option<u64> {
        self.clock_ms.map(|clock_ms| clock_ms + us / 1_000)
    }

    /// What somebody said of writing to a user or a group, whatever it was.
    pub(super) fn said(&self, from: u64, to: Typing) -> &[Said] {
        self.said.get(&(from, Typing { is_on: false, ..to })).map_or(&[], Vec::as_slice)
    }

    /// Every history was read.
    pub(in super::super) fn finish(&mut self, books: &BookFacts, tally: &mut Tally) {
        for person in self.people.values_mut() {
            person.there_us.sort_unstable();
            person.asked_us.sort_unstable();
            person.told.sort_unstable_by_key(|told| told.sequence);
        }
        let mut users: Vec<u64> = self.people.keys().copied().collect();
        users.sort_unstable();
        for user in users {
            profiles::judge_versions(user, &self.people[&user].told, books, tally);
        }
        names::judge_holders(&self.settings, tally);
    }
}

impl Person {
    /// Whether they did something between two times while they were there.
    pub(super) fn was_there(&self, from_us: u64, through_us: u64) -> bool {
        let at = self.there_us.partition_point(|&us| us + GRAIN_US < from_us);
        self.there_us.get(at).is_some_and(|&us| us <= through_us)
    }

    /// How often it asked for names between two times.
    pub(super) fn asked(&self, from_us: u64, through_us: u64) -> usize {
        let before = |until_us: u64| self.asked_us.partition_point(|&us| us < until_us);
        before(through_us + 1) - before(from_us)
    }

    /// A profile that was told to anybody.
    pub(super) fn profile(&self, version: u64) -> Option<&Profile> {
        let told = self.told.iter().find(|told| told.profile.version == version);
        told.map(|told| &told.profile)
    }
}
