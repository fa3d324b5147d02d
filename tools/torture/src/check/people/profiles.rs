//! Judges profiles: what is told is what was put, versions rise and stand for one profile each, and
//! whoever is blocked is told none.

use super::super::books::BookFacts;
use super::super::facts::Facts;
use super::super::identity::{Device, Direction};
use super::super::violation::{Promise, Tally};
use super::facts::Told;
use super::line::Profile;

/// The items of the name, the status line and the picture.
const PARTS: [&str; 3] = ["0.00", "0.01", "0.02"];

/// All that was told of a user's profile, in the order of the lines.
pub(super) fn judge_versions(user: u64, told: &[Told], books: &BookFacts, tally: &mut Tally) {
    let mut newest = Vec::new();
    let mut by_version = std::collections::HashMap::new();
    for Told { sequence, device, profile } in told {
        let before = newest.last().map_or(0, |&(_, version)| version);
        newest.push((*sequence, profile.version.max(before)));
        if profile.version == 0 {
            continue;
        }
        let known = by_version.entry(profile.version).or_insert((*profile, *device));
        if known.0 != *profile {
            let text = format!(
                "profile of {user}: version {} is one thing to {} and another to {device}",
                profile.version, known.1
            );
            tally.add(Promise::Duplicated, text);
        }
    }
    for Told { device, profile, .. } in told {
        for (place, value) in PARTS.iter().zip(profile.parts) {
            let put = value.and_then(|value| books.put(user, place, value));
            let Some(put) = put else { continue };
            let version = newest_before(&newest, put.sequence);
            if version >= profile.version {
                let text = format!(
                    "profile of {user}: version {version} was told before {place} of version {} \
                     was put, which {device} was told",
                    profile.version
                );
                tally.add(Promise::Reordered, text);
            }
        }
    }
}

/// The newest version that was told before a line.
fn newest_before(newest: &[(u64, u64)], sequence: u64) -> u64 {
    let before = newest.partition_point(|&(told, _)| told < sequence);
    before.checked_sub(1).map_or(0, |at| newest[at].1)
}

/// A profile that a device asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) user: u64,
    /// The version that the question named.
    pub(super) known: u64,
    pub(super) profile: Profile,
    /// The lines of the question and the answer.
    pub(super) asked: u64,
    pub(super) came: u64,
    /// Whether nobody puts anything any more.
    pub(super) is_final: bool,
}

/// Judges an answer.
pub(super) fn judge(facts: &Facts, device: Device, answer: Answer, tally: &mut Tally) {
    let Answer { user, known, profile, asked, came, .. } = answer;
    let is_empty = profile.parts == [None; 3];
    let is_known = known > 0 && known == profile.version;
    if !is_empty && (is_known || profile.version == 0) {
        let version = profile.version;
        let text = format!("{device}: version {version} of {user}'s profile came with the rest");
        tally.add(Promise::Protocol, text);
        return;
    }
    let direction = Direction { author: device.user, reader: user };
    let held = facts.blocks.held(direction, asked, came);
    if profile.version == 0 {
        let was_set = |place: &&str| {
            let set = facts.books.newest_before(user, place, asked);
            set.is_some_and(|set| set.value.is_some())
        };
        if held.is_some_and(|held| !held.is_blocked) && PARTS.iter().any(was_set) {
            let text = format!("{device} was told that {user} has no profile (line {came})");
            tally.add(Promise::Lost, text);
        }
        return;
    }
    if held.is_some_and(|held| held.is_blocked) {
        let text = format!("{device} was told the profile of {user}, who blocked it (line {came})");
        tally.add(Promise::Leaked, text);
    }
    let person = facts.people.of(user);
    let told = person.map_or(&[][..], |person| &person.told);
    let newest = told.iter().filter(|told| told.sequence < asked).map(|told| told.profile.version);
    if let Some(newest) = newest.max().filter(|&newest| newest > profile.version) {
        let version = profile.version;
        let text = format!("{device}: the profile of {user} is version {version} after {newest}");
        tally.add(Promise::Reordered, text);
    }
    let profile = if is_known {
        person.and_then(|person| person.profile(known)).copied()
    } else {
        Some(profile)
    };
    for (place, value) in PARTS.iter().zip(profile.map(|it| it.parts).into_iter().flatten()) {
        part(facts, device, &answer, place, value, tally);
    }
}

/// One part of it: somebody put that, and nothing newer was confirmed before the question.
fn part(
    facts: &Facts,
    device: Device,
    answer: &Answer,
    place: &str,
    value: Option<u64>,
    tally: &mut Tally,
) {
    let Answer { user, asked, came, is_final, .. } = *answer;
    let put = value.and_then(|value| facts.books.put(user, place, value));
    if let Some(value) = value {
        match put {
            Some(put) if put.sequence < came => {
                if let (Some(code), false) = (put.rejected, put.resent) {
                    let text = format!("{device}: {place} of {user} was refused ({code})");
                    tally.add(Promise::Duplicated, text);
                }
            }
            _ => {
                let text = format!("{device}: {place} of {user} is {value:x}, which wasn't put");
                tally.add(Promise::Corrupt, text);
                return;
            }
        }
    }
    let Some(newest) = facts.books.newest_before(user, place, asked) else { return };
    let is_older = match value {
        // What went out twice may have been set twice.
        Some(value) if is_final || put.is_some_and(|put| !put.resent) => {
            let version = facts.books.version_of(user, place, value);
            version.is_some_and(|version| version < newest.version)
        }
        Some(_) => false,
        None => {
            let may_be_gone = !is_final && facts.books.may_be_removed(user, place, came);
            newest.value.is_some() && !may_be_gone
        }
    };
    if is_older {
        let words = |value: Option<u64>| value.map_or("nothing".to_owned(), |it| format!("{it:x}"));
        let text = format!(
            "{device} was told {place} of {user} is {}; {} was confirmed before (line {came})",
            words(value),
            words(newest.value)
        );
        tally.add(Promise::Lost, text);
    }
}
