//! Judges presence: who is shown as there was, when somebody was last there is when they did
//! something, and who hides is dark.

use std::collections::HashMap;

use super::super::facts::Facts;
use super::super::identity::{Device, Direction};
use super::super::line::Line;
use super::super::violation::{Promise, Tally};
use super::{EVERYBODY, LAST_SEEN, NOBODY, ONLINE};

/// Slack for what comes on a connection that stands, as for what disappears: it may be under way
/// for long.
pub(super) const WAY_SLACK_US: u64 = 12_000_000;
/// Somebody may be shown as there, or as gone, for so many intervals too long.
const INTERVALS: u64 = 2;
/// Slack for what must have come in the end, in microseconds.
const END_SLACK_US: u64 = 2_000_000;
/// Last seen is true to a quarter of a second; the clocks of two programs are read one after the
/// other.
const CLOCK_SLACK_MS: u64 = 1_000;

/// Somebody who is watched.
#[derive(Debug, Clone, Copy)]
struct Watched {
    since_us: u64,
    /// It wasn't said since that nothing need come.
    is_wanted: bool,
    /// Whether they are there, as was told last.
    told: Option<bool>,
    /// The version of the profile that was told by itself.
    news: u64,
    /// The version that was asked for, in the end.
    version: u64,
}

/// Where and when a device is told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Connection {
    /// The line of the hello.
    pub(super) hello: u64,
    pub(super) interval_us: u64,
    /// Whether the server was stopped cleanly before it.
    pub(super) is_final: bool,
}

/// What one device is told of those that it watches, on one connection.
#[derive(Debug, Default)]
pub(super) struct Watching {
    by_user: HashMap<u64, Watched>,
}

/// What was told of somebody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) user: u64,
    pub(super) is_online: bool,
    pub(super) seen_ms: u64,
}

impl Watching {
    pub(super) fn begin(&mut self) {
        self.by_user.clear();
    }

    pub(super) fn watch(&mut self, users: &[u64], now_us: u64) {
        for &user in users {
            let (since_us, is_wanted, told) = (now_us, true, None);
            let known = self.by_user.get(&user).copied();
            let (news, version) = known.map_or((0, 0), |it| (it.news, it.version));
            self.by_user.insert(user, Watched { since_us, is_wanted, told, news, version });
        }
    }

    /// From now on nothing need come of some of them.
    pub(super) fn unwatch(&mut self) {
        self.by_user.values_mut().for_each(|watched| watched.is_wanted = false);
    }

    pub(super) fn news(&mut self, user: u64, version: u64) {
        if let Some(watched) = self.by_user.get_mut(&user) {
            watched.news = version;
        }
    }

    pub(super) fn looked(&mut self, user: u64, version: u64) {
        if let Some(watched) = self.by_user.get_mut(&user) {
            watched.version = version;
        }
    }

    pub(super) fn presence(
        &mut self,
        facts: &Facts,
        device: Device,
        connection: Connection,
        line: &Line,
        told: Told,
        tally: &mut Tally,
    ) {
        let user = told.user;
        let Some(watched) = self.by_user.get_mut(&user) else {
            let text = format!("{device} was told of {user}, whom it doesn't watch");
            tally.add(Promise::Protocol, text);
            return;
        };
        watched.told = Some(told.is_online);
        is_true(facts, device, connection, line, told, tally);
        is_allowed(facts, device, connection, line, told, tally);
        is_kept(facts, device, connection, line, told, tally);
    }

    /// In the end: each question was answered; who is there is shown as there; the news of profiles
    /// came. All this is judged once it is late.
    pub(super) fn judge_end(
        &self,
        facts: &Facts,
        device: Device,
        connection: Connection,
        line: &Line,
        tally: &mut Tally,
    ) {
        let late_us = INTERVALS * connection.interval_us + END_SLACK_US;
        let is_late = |since_us: u64| since_us + late_us <= line.us;
        let mut users: Vec<_> = self.by_user.iter().filter(|(_, it)| it.is_wanted).collect();
        users.sort_unstable_by_key(|(user, _)| **user);
        for (&user, watched) in users.into_iter().filter(|(_, it)| is_late(it.since_us)) {
            if watched.told.is_none() {
                let text = format!("{device} watches {user} and was told nothing");
                tally.add(Promise::Lost, text);
                continue;
            }
            if !connection.is_final || !shows(facts, user, device, connection.hello, line.sequence)
            {
                continue;
            }
            let here_us = facts.people.of(user).and_then(|person| person.here_us);
            if here_us.is_some_and(is_late) && watched.told == Some(false) {
                let text =
                    format!("in the end {device} was told that {user} is away, who is there");
                tally.add(Promise::Lost, text);
            }
            if watched.news != watched.version {
                let (news, version) = (watched.news, watched.version);
                let text = format!(
                    "in the end {device} was told by itself that the profile of {user} is version \
                     {news}; it is {version}"
                );
                tally.add(Promise::Lost, text);
            }
        }
    }
}

/// Who is shown as there did something while they were, and nobody was last seen who never did
/// anything.
fn is_true(
    facts: &Facts,
    device: Device,
    connection: Connection,
    line: &Line,
    told: Told,
    tally: &mut Tally,
) {
    let Told { user, is_online, seen_ms } = told;
    let sequence = line.sequence;
    let person = facts.people.of(user);
    let has_acted = person.and_then(|it| it.first).is_some_and(|first| first < sequence);
    if !has_acted {
        if is_online || seen_ms > 0 {
            let what = format!("online={} seen_ms={seen_ms}", u8::from(is_online));
            let text = format!("{device} was told {what} of {user}, who did nothing by then");
            tally.add(Promise::Corrupt, format!("{text} (line {sequence})"));
        }
        return;
    }
    let longest_us = INTERVALS * connection.interval_us + WAY_SLACK_US;
    let from_us = line.us.saturating_sub(longest_us);
    if is_online && !person.is_some_and(|person| person.was_there(from_us, line.us)) {
        let text = format!("{device} was told that {user} is there, who wasn't for long");
        tally.add(Promise::Corrupt, format!("{text} (line {sequence})"));
    }
    let now_ms = facts.people.unix_ms(line.us);
    if now_ms.is_some_and(|now_ms| seen_ms > now_ms + CLOCK_SLACK_MS) {
        let text = format!("{device} was told that {user} was last there in the future");
        tally.add(Promise::Corrupt, format!("{text} (line {sequence})"));
    }
}

/// Whether what was confirmed then holds since before this connection, or for long: what is told
/// since isn't from before.
fn is_old(connection: Connection, line: &Line, (since, since_us): (u64, u64)) -> bool {
    since < connection.hello || since_us.saturating_add(WAY_SLACK_US) <= line.us
}

/// Whether somebody certainly blocks the user of a device, and has for so long.
pub(super) fn is_blocked(
    facts: &Facts,
    device: Device,
    connection: Connection,
    line: &Line,
    user: u64,
) -> bool {
    let direction = Direction { author: device.user, reader: user };
    let held = facts.blocks.held(direction, line.sequence, line.sequence);
    held.is_some_and(|it| it.is_blocked && is_old(connection, line, (it.since, it.since_us)))
}

/// Nothing is told of one who hides, from this user or from everybody, since before this connection
/// or for long.
fn is_allowed(
    facts: &Facts,
    device: Device,
    connection: Connection,
    line: &Line,
    told: Told,
    tally: &mut Tally,
) {
    let Told { user, is_online, seen_ms } = told;
    let sequence = line.sequence;
    let is_blocked = is_blocked(facts, device, connection, line, user);
    let hides = |place: &str| {
        let held = facts.people.settings.certain(place, user, sequence, sequence);
        held.is_some_and(|it| {
            it.value == Some(NOBODY) && is_old(connection, line, (it.since, it.since_us))
        })
    };
    if is_online && (is_blocked || hides(ONLINE)) {
        let text = format!("{device} was told that {user} is there, who hides it");
        tally.add(Promise::Leaked, format!("{text} (line {sequence})"));
    }
    if seen_ms > 0 && (is_blocked || hides(LAST_SEEN)) {
        let text = format!("{device} was told when {user} was last there, who hides it");
        tally.add(Promise::Leaked, format!("{text} (line {sequence})"));
    }
}

/// After a clean stop it isn't forgotten when somebody was last seen.
fn is_kept(
    facts: &Facts,
    device: Device,
    connection: Connection,
    line: &Line,
    told: Told,
    tally: &mut Tally,
) {
    let Told { user, is_online, seen_ms } = told;
    let kept = facts.people.of(user).and_then(|person| person.kept);
    let Some((drained, acted_us)) = kept.filter(|_| connection.is_final && !is_online) else {
        return;
    };
    let Some(acted_ms) = facts.people.unix_ms(acted_us) else { return };
    let is_shown = shows(facts, user, device, connection.hello, line.sequence);
    if drained < connection.hello && is_shown && seen_ms + CLOCK_SLACK_MS < acted_ms {
        let text = format!(
            "after a clean stop {device} was told that {user} was last there at {seen_ms}; it was \
             at {acted_ms}"
        );
        tally.add(Promise::Lost, text);
    }
}

/// Whether somebody certainly shows everything to this device, from one line through another one.
fn shows(facts: &Facts, user: u64, device: Device, from: u64, through: u64) -> bool {
    let is_open = |place: &str| {
        let held = facts.people.settings.certain(place, user, from, through);
        held.is_some_and(|held| matches!(held.value, None | Some(EVERYBODY)))
    };
    let direction = Direction { author: device.user, reader: user };
    let held = facts.blocks.held(direction, from, through);
    is_open(LAST_SEEN) && is_open(ONLINE) && held.is_some_and(|held| !held.is_blocked)
}
