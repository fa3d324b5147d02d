//! Judges the receipts of groups: never ahead of what the members' devices did, and equal to it when
//! everything is quiet.

use std::collections::{BTreeMap, BTreeSet};

use super::super::identity::Device;
use super::super::line::{Event, Line};
use super::super::violation::{Promise, Tally};
use super::line::{GroupEvent, Receipt};
use super::log::{GroupFacts, Stay};

/// Judges one device.
#[derive(Debug)]
pub(in super::super) struct GroupReceiptCheck<'a> {
    facts: &'a GroupFacts,
    device: Device,
    /// Groups asked about on this connection.
    asked: BTreeSet<u64>,
    /// The last receipt of each group on this connection.
    last: BTreeMap<u64, Receipt>,
}

impl<'a> GroupReceiptCheck<'a> {
    pub(in super::super) fn new(facts: &'a GroupFacts, device: Device) -> Self {
        GroupReceiptCheck { facts, device, asked: BTreeSet::new(), last: BTreeMap::new() }
    }

    pub(in super::super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        match &line.event {
            Event::Welcome { .. } => {
                self.asked.clear();
                self.last.clear();
            }
            Event::Drained => self.behind(line, "when all was quiet", tally),
            Event::Final => self.behind(line, "after a clean stop", tally),
            Event::Group(GroupEvent::Ask { group }) => {
                self.asked.insert(*group);
                self.last.remove(group);
            }
            // It answers the question: the user wasn't a member then, though it may be again.
            Event::Group(GroupEvent::Gone { group, .. }) => {
                self.asked.remove(group);
            }
            Event::Group(GroupEvent::Receipt(receipt)) => {
                self.ahead(line, receipt, tally);
                self.last.insert(receipt.group, *receipt);
            }
            Event::Group(GroupEvent::Stored { group, position }) => {
                self.stored(line.sequence, *group, *position, tally);
            }
            _ => {}
        }
    }

    /// The others who are or were in a group, with their times.
    fn others(&self, group: u64) -> impl Iterator<Item = (u64, &'a [Stay])> {
        let own = self.device.user;
        let stays = self.facts.stays.get(&group).into_iter().flatten();
        stays.filter(move |&(&user, _)| user != own).map(|(&user, stays)| (user, &stays[..]))
    }

    fn ahead(&self, line: &Line, receipt: &Receipt, tally: &mut Tally) {
        let Line { sequence, us, .. } = *line;
        let Receipt { group, position, .. } = *receipt;
        // The most that could be said: of somebody who wasn't there then, anything.
        let (mut delivered, mut read) = (0, 0);
        let (mut delivered_all, mut read_all) = (u64::MAX, u64::MAX);
        for (user, stays) in self.others(group) {
            let truth = self.facts.progress_at(group, user, sequence);
            let is_absent = !stays.iter().any(|stay| stay.holds(position));
            delivered += u64::from(is_absent || truth.0 >= position);
            read += u64::from(is_absent || truth.1 >= position);
            let is_there = |stay: &&Stay| {
                stay.since < position && stay.end_written > sequence && stay.begin_ticked < sequence
            };
            let Some(stay) = stays.iter().rfind(is_there) else { continue };
            delivered_all = delivered_all.min(self.reach((group, us), user, stays, truth.0));
            let first = if stays.len() == 1 { stay.since - 1 } else { u64::MAX };
            read_all = read_all.min(if stays.len() == 1 { truth.1.max(first) } else { u64::MAX });
        }
        for (what, told, most) in [
            ("delivered to", receipt.delivered, delivered),
            ("read by", receipt.read, read),
            ("delivered to all up to", receipt.delivered_all, delivered_all),
            ("read by all up to", receipt.read_all, read_all),
        ] {
            if told > most {
                let text = format!(
                    "{} was told that position {position} of group {group} is {what} {told}; it was \
                     {most} by then (line {sequence})",
                    self.device
                );
                tally.add(Promise::ReceiptsAhead, text);
            }
        }
    }

    /// Up to where a user that acknowledged `delivered` has everything that it lacks: what it wrote
    /// itself, and what was outside of its times, needs no acknowledgement.
    fn reach(&self, (group, us): (u64, u64), user: u64, stays: &[Stay], delivered: u64) -> u64 {
        let Some(log) = self.facts.logs.get(&group) else { return u64::MAX };
        let first = stays.first().map_or(0, |stay| stay.since - 1);
        let mut reach = delivered.max(first);
        for (&position, held) in log.range(reach + 1..) {
            let is_there = stays.iter().any(|stay| stay.holds(position));
            let is_owed = is_there && held.author != user && !self.facts.may_be_over(held, us);
            if is_owed {
                return position - 1;
            }
            reach = position;
        }
        reach
    }

    fn stored(&self, sequence: u64, group: u64, position: u64, tally: &mut Tally) {
        let user = self.device.user;
        let truth = self.facts.progress_at(group, user, sequence).1;
        let mut since = self.facts.stays_of(group, user).iter().map(|stay| stay.since - 1);
        // A member begins with what was before it.
        if position > truth && !since.any(|since| since >= position) {
            let text = format!(
                "{} was told that group {group} is read up to {position}; it was {truth} by then",
                self.device
            );
            tally.add(Promise::ReceiptsAhead, text);
        }
    }

    /// What the device was told last of each group about which it asked is what the members did.
    fn behind(&self, line: &Line, when: &str, tally: &mut Tally) {
        let sequence = line.sequence;
        for &group in &self.asked {
            let own = self.facts.stays_of(group, self.device.user).last();
            if own.is_none_or(|stay| stay.until.is_some()) {
                continue;
            }
            let Some(receipt) = self.last.get(&group) else {
                let text = format!("{when}, {} had no receipt of group {group}", self.device);
                tally.add(Promise::ReceiptsBehind, text);
                continue;
            };
            let truth = self.truth(sequence, group, receipt.position);
            let (members, delivered, read) = truth;
            let told = (receipt.members, receipt.delivered, receipt.read);
            // What was over before a member got it isn't counted where it was passed over.
            let log = self.facts.logs.get(&group);
            let entry = log.and_then(|log| log.get(&receipt.position));
            let is_over = entry.is_some_and(|held| self.facts.may_be_over(held, line.us));
            let is_less = told.0 == members && told.1 <= delivered && told.2 <= read;
            if told != truth && !(is_over && is_less) {
                let text = format!(
                    "{when}, {} knew position {} of group {group} as delivered to {} and read by {} \
                     of {} members; it was {delivered} and {read} of {members}",
                    self.device, receipt.position, receipt.delivered, receipt.read, receipt.members
                );
                tally.add(Promise::ReceiptsBehind, text);
            }
        }
    }

    /// For how many an entry is, to how many it is delivered, by how many read. It is for the present members
    /// who were there then and since: who left and came back joined later.
    fn truth(&self, sequence: u64, group: u64, position: u64) -> (u64, u64, u64) {
        let (mut members, mut delivered, mut read) = (0, 0, 0);
        for (user, stays) in self.others(group) {
            let is_for = |stay: &&Stay| stay.until.is_none() && stay.since <= position;
            if !stays.last().is_some_and(|stay| is_for(&stay)) {
                continue;
            }
            members += 1;
            let truth = self.facts.progress_at(group, user, sequence);
            delivered += u64::from(truth.0 >= position);
            read += u64::from(truth.1 >= position);
        }
        (members, delivered, read)
    }
}
