//! What people do, and when: quiet ones are active, others come and go.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::nanoseconds;
use super::PresenceOptions;

/// When somebody is looked at again who was to change while its login was under way, in nanoseconds.
const AGAIN_NS: u64 = 50_000_000;

/// What somebody does whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flap {
    /// Nothing but use the program.
    None,
    /// Puts it into the background.
    Background,
    /// Takes it up again.
    Foreground,
    /// Loses the connection.
    Drop,
    /// Connects again.
    Return,
}

/// ```text
/// Gone ──Return──► Coming ──login──► Here ──Background──► Away
///   ▲                                │  ▲                   │
///   └───────────────Drop─────────────┘  └────Foreground─────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Gone,
    Coming,
    Here,
    Away,
}

#[derive(Debug, Clone, Copy)]
struct Person {
    place: Place,
    /// When it is active next, if it is here.
    active_ns: u64,
    /// When it changes next; never where it is quiet.
    flap_ns: u64,
}

/// All people and what each of them does next.
#[derive(Debug)]
pub(super) struct People {
    all: Vec<Person>,
    /// How many of them, from the first on, come and go; every other one drops its connection.
    flapping: usize,
    is_flapping: bool,
    interval_ns: u64,
    flap_ns: u64,
    /// Invariant: everybody who logged in once has exactly one entry.
    dues: BinaryHeap<Reverse<(u64, u32)>>,
    random: fastrand::Rng,
}

impl People {
    pub(super) fn new(options: &PresenceOptions, random: &mut fastrand::Rng) -> People {
        let people = options.connections as usize;
        let person = Person { place: Place::Coming, active_ns: 0, flap_ns: u64::MAX };
        People {
            all: vec![person; people],
            flapping: people * options.flapping_percent as usize / 100,
            is_flapping: false,
            interval_ns: u64::from(options.interval) * 1_000_000_000,
            flap_ns: nanoseconds(options.flap.get()),
            dues: BinaryHeap::with_capacity(people),
            random: fastrand::Rng::with_seed(random.u64(..)),
        }
    }

    /// Somebody is here, and said so.
    pub(super) fn logged_in(&mut self, user: usize, now_ns: u64) {
        let is_first = self.all[user].active_ns == 0;
        self.all[user].place = Place::Here;
        // Not all at the same time.
        let part = if is_first { self.random.f64() } else { 1.0 };
        self.all[user].active_ns = now_ns + (self.interval_ns as f64 * part) as u64;
        if is_first {
            self.dues.push(Reverse((self.all[user].active_ns, user as u32)));
        }
    }

    /// From now on some come and go.
    pub(super) fn begin_flapping(&mut self, now_ns: u64) {
        self.is_flapping = true;
        for user in 0..self.flapping {
            // As if that had been going on for long.
            let in_ns = (self.flap_ns as f64 * self.random.f64()) as u64;
            self.all[user].flap_ns = now_ns + in_ns;
        }
        self.dues =
            (0..self.all.len()).map(|user| Reverse((self.due_ns(user), user as u32))).collect();
    }

    /// Everybody stays what they are.
    pub(super) const fn stop_flapping(&mut self) {
        self.is_flapping = false;
    }

    /// When the next one does something.
    pub(super) fn next_ns(&self) -> u64 {
        self.dues.peek().map_or(u64::MAX, |&Reverse((due_ns, _))| due_ns)
    }

    /// Somebody who does something now, and what.
    pub(super) fn take_due(
        &mut self,
        now_ns: u64,
        is_ready: impl Fn(usize) -> bool,
    ) -> Option<(usize, Flap)> {
        while self.next_ns() <= now_ns {
            let Reverse((_, user)) = self.dues.pop()?;
            let user = user as usize;
            let flap = self.act(user, now_ns, is_ready(user));
            self.dues.push(Reverse((self.due_ns(user), user as u32)));
            if flap.is_some() {
                return flap.map(|flap| (user, flap));
            }
        }
        None
    }

    fn act(&mut self, user: usize, now_ns: u64, is_ready: bool) -> Option<Flap> {
        let person = &mut self.all[user];
        if !self.is_flapping {
            person.flap_ns = u64::MAX;
        }
        if person.flap_ns <= now_ns {
            let (place, flap) = match person.place {
                Place::Coming => {
                    person.flap_ns = now_ns + AGAIN_NS;
                    return None;
                }
                Place::Here if user % 2 == 1 => (Place::Gone, Flap::Drop),
                Place::Here => (Place::Away, Flap::Background),
                Place::Away => (Place::Here, Flap::Foreground),
                Place::Gone => (Place::Coming, Flap::Return),
            };
            person.place = place;
            person.flap_ns = now_ns + (self.flap_ns as f64 * (0.5 + self.random.f64())) as u64;
            person.active_ns = now_ns + self.interval_ns;
            return Some(flap);
        }
        if person.active_ns > now_ns {
            return None;
        }
        person.active_ns += self.interval_ns;
        (person.place == Place::Here && is_ready).then_some(Flap::None)
    }

    /// When somebody does something next.
    fn due_ns(&self, user: usize) -> u64 {
        let person = &self.all[user];
        person.flap_ns.min(person.active_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(flapping_percent: u32) -> People {
        let options = PresenceOptions {
            connections: 100,
            watch: 5,
            flapping_percent,
            flap: "10".parse().unwrap(),
            interval: 5,
            seconds: "10".parse().unwrap(),
            warmup: "0".parse().unwrap(),
            quiet: None,
        };
        let mut people = People::new(&options, &mut fastrand::Rng::with_seed(1));
        (0..100).for_each(|user| people.logged_in(user, 0));
        people
    }

    /// Everything that happens in these seconds.
    fn all_of(people: &mut People, seconds: std::ops::Range<u64>) -> Vec<(usize, Flap)> {
        let mut done = Vec::new();
        for now_ns in (seconds.start * 1_000..seconds.end * 1_000).map(|ms| ms * 1_000_000) {
            while let Some((user, flap)) = people.take_due(now_ns, |_| true) {
                done.push((user, flap));
                if flap == Flap::Return {
                    people.logged_in(user, now_ns);
                }
            }
        }
        done
    }

    #[test]
    fn quiet_people_are_active_once_in_an_interval() {
        let mut people = people(0);
        people.begin_flapping(0);
        let done = all_of(&mut people, 0..50);
        assert!(done.iter().all(|&(_, flap)| flap == Flap::None));
        assert!((900..=1_000).contains(&done.len()), "{}", done.len());
    }

    #[test]
    fn some_come_and_go_in_turn_until_it_ends() {
        let mut people = people(20);
        people.begin_flapping(0);
        let done = all_of(&mut people, 0..100);
        let of = |user: usize| -> Vec<Flap> {
            let own = done.iter().filter(|&&(other, flap)| other == user && flap != Flap::None);
            own.map(|&(_, flap)| flap).collect()
        };
        for (user, first, second) in
            [(0, Flap::Background, Flap::Foreground), (1, Flap::Drop, Flap::Return)]
        {
            let own = of(user);
            assert!((6..=21).contains(&own.len()), "{own:?}");
            let turns = own.iter().enumerate();
            assert!(turns.into_iter().all(|(turn, &flap)| flap == [first, second][turn % 2]));
        }
        assert!(of(20).is_empty() && of(99).is_empty());
        people.stop_flapping();
        assert!(all_of(&mut people, 100..150).iter().all(|&(_, flap)| flap == Flap::None));
    }
}
