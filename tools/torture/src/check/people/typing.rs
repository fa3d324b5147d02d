//! Judges typing: it is told only of who said so, a moment ago, to whom it was said, and never by a
//! blocked one.

use super::super::facts::Facts;
use super::super::identity::{Device, Direction};
use super::super::line::Line;
use super::super::violation::{Promise, Tally};
use super::line::Typing;
use super::presence::WAY_SLACK_US;

/// A device is told that somebody writes, or stopped.
pub(super) fn judge(facts: &Facts, device: Device, line: &Line, from: Typing, tally: &mut Tally) {
    let Typing { group, user, is_on } = from;
    let to = if group == 0 { device.user } else { 0 };
    let said = facts.people.said(user, Typing { group, user: to, is_on });
    let mut recent = said
        .iter()
        .filter(|said| said.is_on == is_on && said.sequence < line.sequence)
        .filter(|said| said.us + WAY_SLACK_US >= line.us)
        .peekable();
    let sequence = line.sequence;
    if recent.peek().is_none() {
        let text = format!("{device} was told of typing by {user}, who didn't say so");
        tally.add(Promise::Corrupt, format!("{text} (line {sequence})"));
        return;
    }
    let direction = Direction { author: user, reader: device.user };
    let is_blocked = |since: u64| {
        let held = facts.blocks.held(direction, since, sequence);
        held.is_some_and(|held| held.is_blocked)
    };
    if group == 0 && recent.all(|said| is_blocked(said.sequence)) {
        let text = format!("{device} was told of typing by {user}, whom it blocks");
        tally.add(Promise::Leaked, format!("{text} (line {sequence})"));
    }
}
