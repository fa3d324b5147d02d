//! Judges usernames: nobody has one that another has, who has one is found, and nothing is refused
//! for nothing.

use super::super::books::BookEvent;
use super::super::facts::Facts;
use super::super::identity::{Device, Direction};
use super::super::line::Line;
use super::super::violation::{Promise, Tally};
use super::settings::{Settings, reigns};
use super::{EVERYBODY, FOUND_BY, NOBODY, USERNAME};

/// Somebody else has the name.
const NAME_TAKEN: u16 = 315;
/// The user asked for too many.
const TOO_MANY_LOOKUPS: u16 = 316;
/// So many may be asked for in a minute.
const LOOKUPS: usize = 60;
/// The minute, and some slack for what was under way.
const MINUTE_US: u64 = 75_000_000;

/// A question for a name and its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) name: u64,
    pub(super) user: u64,
    pub(super) code: u16,
    /// The line of the question.
    pub(super) asked: u64,
}

/// No two users certainly have a name at the same time.
pub(super) fn judge_holders(settings: &Settings, tally: &mut Tally) {
    let mut times: Vec<(u64, u64, u64, u64)> = Vec::new();
    for (user, puts) in settings.all(USERNAME) {
        let certain = reigns(puts).into_iter().filter(|reign| reign.set < reign.next_written);
        times.extend(certain.filter_map(|it| Some((it.value?, it.set, it.next_written, user))));
    }
    times.sort_unstable();
    for pair in times.windows(2) {
        let ((name, _, until, one), (same, from, _, other)) = (pair[0], pair[1]);
        if name == same && one != other && from < until {
            let text = format!("{one} has the name {name:x}, and {other} too (line {from})");
            tally.add(Promise::Duplicated, text);
        }
    }
}

/// The server says who has a name, or nobody.
pub(super) fn found(facts: &Facts, device: Device, line: &Line, answer: Answer, tally: &mut Tally) {
    let Answer { name, user, code, asked } = answer;
    let sequence = line.sequence;
    if code != 0 {
        lookups(facts, device, line.us, code, tally);
        return;
    }
    let settings = &facts.people.settings;
    if user == 0 {
        for (holder, puts) in settings.all(USERNAME) {
            let reigns = reigns(puts);
            let has = reigns.iter().any(|it| it.value == Some(name) && it.covers(asked, sequence));
            if has && is_found(facts, holder, device.user, asked, sequence) {
                let text = format!("{device} asked who is {name:x}: nobody; it is {holder}");
                tally.add(Promise::Lost, format!("{text} (line {sequence})"));
            }
        }
        return;
    }
    let reigns = reigns(settings.of(USERNAME, user));
    if !reigns.iter().any(|it| it.value == Some(name) && it.may_touch(asked, sequence)) {
        let text = format!("{device} was told that {name:x} is {user}, who doesn't have it");
        tally.add(Promise::Duplicated, format!("{text} (line {sequence})"));
    }
    let who = settings.certain(FOUND_BY, user, asked, sequence);
    let is_secret = who.is_some_and(|held| held.value == Some(NOBODY));
    if user != device.user
        && (is_secret || blocks(facts, user, device, asked, sequence) == Some(true))
    {
        let text = format!("{device} was told that {name:x} is {user}, who isn't found by it");
        tally.add(Promise::Leaked, format!("{text} (line {sequence})"));
    }
}

/// Whether somebody is certainly found by a user between two lines.
fn is_found(facts: &Facts, user: u64, by: u64, from: u64, through: u64) -> bool {
    let who = facts.people.settings.certain(FOUND_BY, user, from, through);
    let shows = who.is_some_and(|held| matches!(held.value, None | Some(EVERYBODY)));
    let direction = Direction { author: by, reader: user };
    let held = facts.blocks.held(direction, from, through);
    user == by || shows && held.is_some_and(|held| !held.is_blocked)
}

fn blocks(facts: &Facts, user: u64, device: Device, from: u64, through: u64) -> Option<bool> {
    let direction = Direction { author: device.user, reader: user };
    facts.blocks.held(direction, from, through).map(|held| held.is_blocked)
}

/// A line about the own name: it is refused only where somebody else has it, or may have.
pub(super) fn put(
    facts: &Facts,
    device: Device,
    line: &Line,
    event: &BookEvent,
    tally: &mut Tally,
) {
    let BookEvent::Rejected { place, code } = event else { return };
    if place != USERNAME {
        return;
    }
    lookups(facts, device, line.us, *code, tally);
    let settings = &facts.people.settings;
    let put = settings.of(USERNAME, device.user).iter().find(|put| put.ended == line.sequence);
    let Some(put) = put.filter(|_| *code == NAME_TAKEN) else { return };
    let may_have = |(user, puts): (u64, &[super::settings::Put])| {
        let has = |it: &super::settings::Reign| {
            it.value == put.value && it.may_touch(put.sent, line.sequence)
        };
        // One that is refused in the end was wanted for a while.
        let wants = |other: &super::settings::Put| {
            other.value == put.value && other.written < line.sequence && other.ended > put.sent
        };
        user != device.user && (reigns(puts).iter().any(has) || puts.iter().any(wants))
    };
    if !settings.all(USERNAME).any(may_have) {
        let name = put.value.unwrap_or_default();
        let text = format!("{device} was refused the name {name:x}, which nobody had");
        tally.add(Promise::Protocol, format!("{text} (line {})", line.sequence));
    }
}

fn lookups(facts: &Facts, device: Device, us: u64, code: u16, tally: &mut Tally) {
    let asked = facts
        .people
        .of(device.user)
        .map_or(0, |person| person.asked(us.saturating_sub(MINUTE_US), us));
    if code == TOO_MANY_LOOKUPS && asked < LOOKUPS {
        let text = format!("{device}: too many names were asked for, and it were {asked}");
        tally.add(Promise::Protocol, text);
    }
}
