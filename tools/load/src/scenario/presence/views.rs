//! Who watches whom, what each watcher was told, and what holds.

use std::ops::Range;

use fulmar_protocol::{Frame, Numbers};

use crate::check::Faults;
use crate::engine::Port;
use crate::latency::Latencies;

/// What a PRESENCE says of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) is_online: bool,
    pub(super) last_seen_ms: u64,
}

impl Told {
    /// Whether a watcher who heard this learns something by `self`. While somebody is there, last seen
    /// moves all the time.
    fn is_news_after(self, told: Told) -> bool {
        self.is_online != told.is_online
            || (!self.is_online && self.last_seen_ms != told.last_seen_ms)
    }
}

/// What a watcher knows of somebody.
///
/// ```text
/// Unasked ──watch──► Asked ──first PRESENCE──► Told
///    ▲                                          │
///    └────────────── stop_watching ─────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Unasked,
    Asked,
    Told(Told),
}

impl View {
    /// Whether a watcher believes something that doesn't hold, or nothing though it asked.
    fn is_wrong(self, is_online: bool) -> bool {
        match self {
            View::Unasked => false,
            View::Asked => true,
            View::Told(told) => told.is_online != is_online,
        }
    }
}

#[derive(Debug, Clone)]
struct Person {
    is_online: bool,
    /// Since when.
    since_ns: u64,
    /// What watchers were told last.
    told: Option<Told>,
    /// Its places in the list of views.
    views: Vec<u32>,
}

/// Running totals.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    /// Answers to WATCH.
    pub(super) answers: u64,
    /// Other PRESENCE frames.
    pub(super) told: u64,
    /// Of these, how many told nothing new.
    pub(super) repeated: u64,
    /// Changes that happened.
    pub(super) changes: u64,
    /// Changes that at least one watcher was told of.
    pub(super) told_changes: u64,
}

/// All watchers and whom they watch.
#[derive(Debug)]
pub(super) struct Views {
    first_user: u64,
    /// How many others each person watches.
    watched: usize,
    /// Whom each person watches, in increasing order, person after person.
    whom: Vec<u32>,
    /// What it knows of them.
    known: Vec<View>,
    people: Vec<Person>,
    /// Invariant: how many views are wrong, and how many only asked.
    wrong: u64,
    unanswered: u64,
    totals: Totals,
    faults: Faults,
    came: Latencies,
    went: Latencies,
    all: Latencies,
    recorded_ns: Range<u64>,
}

impl Views {
    /// Everybody watches as many others, drawn from all; nobody is there yet.
    pub(super) fn new(
        people: usize,
        watched: usize,
        first_user: u64,
        random: &mut fastrand::Rng,
    ) -> Views {
        let nobody = Person { is_online: false, since_ns: 0, told: None, views: Vec::new() };
        let mut all = vec![nobody; people];
        let mut whom = Vec::with_capacity(people * watched);
        for watcher in 0..people {
            let mut drawn: Vec<u32> = Vec::with_capacity(watched);
            while drawn.len() < watched {
                let user = random.usize(0..people) as u32;
                if user as usize != watcher && !drawn.contains(&user) {
                    drawn.push(user);
                }
            }
            drawn.sort_unstable();
            for user in drawn {
                all[user as usize].views.push(whom.len() as u32);
                whom.push(user);
            }
        }
        Views {
            first_user,
            watched,
            known: vec![View::Unasked; whom.len()],
            whom,
            people: all,
            wrong: 0,
            unanswered: 0,
            totals: Totals::default(),
            faults: Faults::default(),
            came: Latencies::default(),
            went: Latencies::default(),
            all: Latencies::default(),
            recorded_ns: 0..0,
        }
    }

    /// Records the latencies of changes in this time, and no others.
    pub(super) fn record(&mut self, recorded_ns: Range<u64>) {
        self.recorded_ns = recorded_ns;
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// How many watchers and people there are of whom the watcher knows something wrong, or nothing.
    pub(super) const fn wrong(&self) -> u64 {
        self.wrong
    }

    /// How many answers are to come.
    pub(super) const fn unanswered(&self) -> u64 {
        self.unanswered
    }

    fn range(&self, watcher: usize) -> Range<usize> {
        watcher * self.watched..(watcher + 1) * self.watched
    }

    /// The person on `port` begins to watch.
    pub(super) fn watch(&mut self, port: &mut Port<'_>) {
        let range = self.range(port.index);
        let user = |&user: &u32| self.first_user + u64::from(user);
        let users: Vec<u64> = self.whom[range.clone()].iter().map(user).collect();
        port.queue(&Frame::Watch { users: Numbers::Slice(&users) });
        range.for_each(|index| self.set(index, View::Asked));
    }

    /// Somebody's connection ended, and so do its watches.
    pub(super) fn stop_watching(&mut self, watcher: usize) {
        self.range(watcher).for_each(|index| self.set(index, View::Unasked));
    }

    fn set(&mut self, index: usize, view: View) {
        let is_online = self.people[self.whom[index] as usize].is_online;
        let before = std::mem::replace(&mut self.known[index], view);
        self.wrong += u64::from(view.is_wrong(is_online));
        self.wrong -= u64::from(before.is_wrong(is_online));
        self.unanswered += u64::from(view == View::Asked);
        self.unanswered -= u64::from(before == View::Asked);
    }

    /// Somebody came or went now.
    pub(super) fn change(&mut self, user: usize, is_online: bool, now_ns: u64) {
        let person = &mut self.people[user];
        if person.is_online == is_online {
            return;
        }
        person.is_online = is_online;
        person.since_ns = now_ns;
        self.totals.changes += 1;
        for &index in &person.views {
            let view = self.known[index as usize];
            self.wrong += u64::from(view.is_wrong(is_online));
            self.wrong -= u64::from(view.is_wrong(!is_online));
        }
    }

    /// The watcher on `port` was told something.
    #[inline]
    pub(super) fn on_told(&mut self, port: &Port<'_>, user: u64, told: Told) {
        let range = self.range(port.index);
        let number = user.wrapping_sub(self.first_user);
        let found = u32::try_from(number).ok();
        let found = found.and_then(|number| self.whom[range.clone()].binary_search(&number).ok());
        let Some(index) = found.map(|index| range.start + index) else {
            let watcher = port.user();
            return self.faults.irregular(|| {
                format!("user {watcher} was told of user {user}, whom it doesn't watch")
            });
        };
        let before = self.known[index];
        self.set(index, View::Told(told));
        let View::Told(before) = before else {
            self.totals.answers += 1;
            return;
        };
        self.totals.told += 1;
        self.totals.repeated += u64::from(!told.is_news_after(before));
        let person = &mut self.people[number as usize];
        if person.told.is_none_or(|last| told.is_news_after(last)) {
            self.totals.told_changes += 1;
            person.told = Some(told);
        }
        let is_news = told.is_online != before.is_online && told.is_online == person.is_online;
        if is_news && self.recorded_ns.contains(&person.since_ns) {
            let latency_ns = port.now_ns.saturating_sub(person.since_ns);
            self.all.record(latency_ns);
            if told.is_online { &mut self.came } else { &mut self.went }.record(latency_ns);
        }
    }

    /// Judges what everybody believes at the end.
    pub(super) fn finish(mut self) -> Findings {
        for user in 0..self.people.len() {
            let person = &self.people[user];
            let told = person.views.iter().filter_map(|&index| match self.known[index as usize] {
                View::Told(told) => Some(told),
                _ => None,
            });
            let last_seen_ms = told.map(|told| told.last_seen_ms).max();
            for &index in &person.views {
                let view = self.known[index as usize];
                let is_old = |told: Told| {
                    !told.is_online && !person.is_online && Some(told.last_seen_ms) != last_seen_ms
                };
                let is_stale = view.is_wrong(person.is_online)
                    || matches!(view, View::Told(told) if is_old(told));
                if is_stale {
                    let watcher = self.first_user + u64::from(index) / self.watched as u64;
                    let user = self.first_user + user as u64;
                    let is_online = person.is_online;
                    self.faults.stale += 1;
                    self.faults.describe(|| {
                        format!("user {watcher} knows {view:?} of user {user}; online: {is_online}")
                    });
                }
            }
        }
        Findings { faults: self.faults, all: self.all, came: self.came, went: self.went }
    }
}

/// What watchers found.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) faults: Faults,
    /// From a change until a watcher was told.
    pub(super) all: Latencies,
    /// Of those who came.
    pub(super) came: Latencies,
    /// Of those who went.
    pub(super) went: Latencies,
}
