//! Judges what a device was shown of its groups: nothing lost, nothing twice, in order, as it was sent,
//! nothing from outside of its user's times.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::facts::Answer;
use super::super::identity::{Device, MessageId};
use super::super::line::{Event, Line};
use super::super::violation::{Promise, Tally};
use super::line::{Content, Entry, GroupEvent};
use super::log::{GroupFacts, Held, Stay, describe};
use super::references;

/// How many times of a user in a group the server remembers.
const STAYS_KEPT: usize = 17;
/// A full log: nobody's fault.
const QUOTA_EXCEEDED: u16 = 301;
/// A number that is too old; of a send that was repeated since a refusal got lost.
const STALE_NUMBER: u16 = 302;
const NOT_A_MEMBER: u16 = 304;
/// Of changes: the device's role isn't enough, the group is full, or somebody was faster.
const CHANGE_REFUSED: [u16; 3] = [305, 306, 307];
/// Codes from here say that the server is busy; below it somebody is blamed.
const BUSY_FIRST: u16 = 400;
/// The server failed.
const INTERNAL: u16 = 500;

/// A group on the device.
#[derive(Debug, Default)]
struct Seen {
    /// Positions that were shown, and when.
    positions: BTreeMap<u64, u64>,
    shown: HashMap<MessageId, u64>,
    numbers: HashMap<Device, u64>,
    /// The last position that was shown.
    last: u64,
    /// The last position of this connection, and of all.
    received: Option<u64>,
    furthest: u64,
    /// Ranges that were passed over, by their end: where they began, and in which line.
    skips: BTreeMap<u64, (u64, u64)>,
    head: u64,
    /// The line of its first entry, where it began without being named.
    began: Option<u64>,
    is_named: bool,
    /// Positions of the inbox that told of it.
    notices: BTreeSet<u64>,
    /// Positions with which the user's time ended, as the server said.
    ends: BTreeSet<u64>,
}

/// Judges one device.
#[derive(Debug)]
pub(in super::super) struct EntriesCheck<'a> {
    facts: &'a GroupFacts,
    device: Device,
    seen: BTreeMap<u64, Seen>,
    welcomed: Option<u64>,
    hello_us: u64,
    drained: bool,
    drained_us: u64,
}

impl<'a> EntriesCheck<'a> {
    pub(in super::super) fn new(facts: &'a GroupFacts, device: Device) -> Self {
        EntriesCheck {
            facts,
            device,
            seen: BTreeMap::new(),
            welcomed: None,
            hello_us: 0,
            drained: false,
            drained_us: u64::MAX,
        }
    }

    pub(in super::super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        match &line.event {
            Event::Hello { .. } => {
                self.hello_us = line.us;
                self.seen.values_mut().for_each(|seen| seen.received = None);
            }
            Event::Welcome { .. } => {
                self.welcomed.get_or_insert(line.sequence);
            }
            Event::Drained => (self.drained, self.drained_us) = (true, line.us),
            Event::Group(event) => self.event((line.sequence, line.us), event, tally),
            _ => {}
        }
    }

    fn event(&mut self, (sequence, us): (u64, u64), event: &GroupEvent, tally: &mut Tally) {
        match *event {
            GroupEvent::Notice { position, group } => {
                self.seen(group).notices.insert(position);
            }
            GroupEvent::Resume { group, .. } => self.seen(group).is_named = true,
            GroupEvent::Shown(ref entry) => {
                self.seen(entry.group).begins(sequence);
                self.received(entry.group, entry.position, tally);
                self.content((sequence, us), entry, tally);
                self.once(us, entry, tally);
                self.order(entry, tally);
                if self.drained {
                    let text = format!("{} came after everything was drained", self.place(entry));
                    tally.add(Promise::Unsettled, text);
                }
            }
            GroupEvent::Again(ref entry) => {
                self.received(entry.group, entry.position, tally);
                self.readable(entry, tally);
                let stays = self.facts.stays_of(entry.group, self.device.user);
                if !self.seen(entry.group).may_come_again(entry.position, stays) {
                    let text = format!("{} was skipped and came then", self.place(entry));
                    tally.add(Promise::Gaps, text);
                }
            }
            GroupEvent::Skip { group, position } => {
                let seen = self.seen(group);
                seen.begins(sequence);
                let from = seen.received.unwrap_or(seen.furthest).min(seen.furthest) + 1;
                seen.skips.entry(position).or_insert((from, sequence));
                seen.received = Some(seen.received.unwrap_or_default().max(position));
                seen.furthest = seen.furthest.max(position);
            }
            GroupEvent::OutOfTurn { group, position } => {
                let device = self.device;
                let seen = self.seen(group);
                let due = seen.received.unwrap_or(seen.furthest) + 1;
                let kind = if position > due { Promise::Gaps } else { Promise::Reordered };
                let text = format!(
                    "{device}: group {group}: position {position} came where {due} was due"
                );
                tally.add(kind, text);
            }
            GroupEvent::State { group, head } => self.head(group, head, tally),
            GroupEvent::Gone { group, position } if position > 0 => {
                let user = self.device.user;
                self.seen(group).ends.insert(position);
                let ends = self.facts.stays_of(group, user).iter().map(|stay| stay.until);
                if !ends.into_iter().any(|until| until == Some(position)) {
                    let text = format!(
                        "{}: group {group} ended at {position}, which no change says",
                        self.device
                    );
                    tally.add(Promise::Protocol, text);
                }
            }
            GroupEvent::Rejected { group, number, code } => {
                self.rejected(sequence, group, number, code, tally);
            }
            _ => {}
        }
    }

    fn seen(&mut self, group: u64) -> &mut Seen {
        self.seen.entry(group).or_default()
    }

    fn place(&self, entry: &Entry) -> String {
        format!("{}: group {}: position {}", self.device, entry.group, entry.position)
    }

    /// Positions of a connection follow each other; the first is the one after the furthest of all or
    /// an earlier one.
    fn received(&mut self, group: u64, position: u64, tally: &mut Tally) {
        let device = self.device;
        let seen = self.seen(group);
        let (last, furthest) = (seen.received, seen.furthest);
        seen.received = Some(position.max(last.unwrap_or_default()));
        seen.furthest = furthest.max(position);
        let place = format!("{device}: group {group}: position {position}");
        match last {
            Some(last) if position <= last => {
                tally.add(Promise::Reordered, format!("{place} came after {last}"));
            }
            Some(last) if position > last + 1 => {
                tally.add(Promise::Gaps, format!("{place} followed {last}"));
            }
            None if position > furthest + 1 => {
                tally.add(Promise::Gaps, format!("{place} came first, after {furthest}"));
            }
            _ => {}
        }
    }

    /// Its user was a member, or became one whom it is shown.
    fn readable(&self, entry: &Entry, tally: &mut Tally) {
        let stays = self.facts.stays_of(entry.group, self.device.user);
        if !stays.iter().any(|stay| stay.shows(entry.position)) {
            let text = format!("{} is outside of the times of its user", self.place(entry));
            tally.add(Promise::Leaked, text);
        }
    }

    /// It is what its author sent, and its user may read it.
    fn content(&self, (sequence, us): (u64, u64), entry: &Entry, tally: &mut Tally) {
        let (place, user) = (self.place(entry), self.device.user);
        self.readable(entry, tally);
        if entry.own != (entry.author == user) {
            tally.add(Promise::Corrupt, format!("{place} is said to be {}'s", entry.author));
        }
        let held = self.facts.logs.get(&entry.group).and_then(|log| log.get(&entry.position));
        let id = match &entry.content {
            Content::Message(id) => Some(*id),
            Content::Change(_) | Content::Silent => held.and_then(|held| held.id),
            Content::Damaged => {
                tally.add(Promise::Corrupt, format!("{place}: the body is damaged"));
                return;
            }
        };
        let Some(id) = id else { return };
        let is_creation = id.peer == 0 && matches!(entry.content, Content::Change(_));
        let is_of_group = id.peer == entry.group || is_creation;
        if !is_of_group || id.author.user != entry.author || id.author == self.device {
            let text = format!("{place} is said to be {}'s, and is {id}", entry.author);
            tally.add(Promise::Corrupt, text);
        }
        match self.facts.sent.get(&id) {
            Some(sent) if sent.sequence < sequence => {
                if let Some(late_us) =
                    sent.time.late_us(sent.wording, sent.answer, self.hello_us, us)
                {
                    let text = format!("{place}: {id} was shown {} ms late", late_us / 1_000);
                    tally.add(Promise::Leaked, text);
                }
                if sent.digest != entry.digest {
                    let text = format!("{place}: {id} is not what was sent under this number");
                    tally.add(Promise::Corrupt, text);
                }
                if let Answer::Rejected(code) = sent.answer {
                    tally.add(Promise::Duplicated, format!("{place}: {id} was rejected ({code})"));
                }
            }
            _ => tally.add(Promise::Corrupt, format!("{place}: {id} was not sent by then")),
        }
    }

    fn once(&mut self, us: u64, entry: &Entry, tally: &mut Tally) {
        let (place, position) = (self.place(entry), entry.position);
        let seen = self.seen(entry.group);
        if seen.positions.insert(position, us).is_some() {
            tally.add(Promise::Duplicated, format!("{place} was shown twice"));
        }
        if let Content::Message(id) = entry.content
            && let Some(before) = seen.shown.insert(id, position)
        {
            tally.add(Promise::Duplicated, format!("{place}: {id} was shown at {before} too"));
        }
    }

    fn order(&mut self, entry: &Entry, tally: &mut Tally) {
        let place = self.place(entry);
        let seen = self.seen(entry.group);
        let before = std::mem::replace(&mut seen.last, entry.position);
        if before >= entry.position {
            tally.add(Promise::Reordered, format!("{place} was shown after {before}"));
        }
        if let Content::Message(id) = entry.content {
            let before = seen.numbers.insert(id.author, id.number).unwrap_or_default();
            if before >= id.number {
                tally.add(Promise::Reordered, format!("{place}: {id} was shown after #{before}"));
            }
        }
    }

    fn head(&mut self, group: u64, head: u64, tally: &mut Tally) {
        let device = self.device;
        let seen = self.seen(group);
        if head < seen.head || head < seen.furthest {
            let known = seen.head.max(seen.furthest);
            let text = format!("{device}: group {group}: the head is {head} after {known}");
            tally.add(Promise::Protocol, text);
        }
        seen.head = seen.head.max(head);
    }

    fn rejected(&self, sequence: u64, group: u64, number: u64, code: u16, tally: &mut Tally) {
        let id = MessageId { author: self.device, peer: group, number };
        let Some(sent) = self.facts.sent.get(&id) else { return };
        let was_member =
            |stay: &Stay| stay.begin_ticked < sent.sequence && stay.end_written > sequence;
        let is_blamed = match code {
            QUOTA_EXCEEDED => false,
            STALE_NUMBER => !sent.resent,
            NOT_A_MEMBER => self.facts.stays_of(group, self.device.user).iter().any(was_member),
            code if CHANGE_REFUSED.contains(&code) => sent.change.is_none(),
            code if references::is_deserved(self.facts, id, sent, (code, sequence)) => false,
            code => code < BUSY_FIRST || code == INTERNAL,
        };
        if is_blamed {
            let text = format!("{}: group: {id} was rejected with code {code}", self.device);
            tally.add(Promise::Protocol, text);
        }
    }

    /// The history is over.
    pub(in super::super) fn finish(mut self, tally: &mut Tally) {
        let (facts, user) = (self.facts, self.device.user);
        for (&group, log) in &facts.logs {
            let stays = facts.stays_of(group, user);
            self.told(group, stays, tally);
            let Some(seen) = self.seen.remove(&group) else { continue };
            self.ended(group, log, &seen, tally);
            for (nth, stay) in stays.iter().enumerate() {
                let until = stay.until.unwrap_or(u64::MAX);
                if seen.is_before(stay) {
                    continue;
                }
                let forgotten_from = forgotten_from(stays, nth);
                for (position, held) in log.range(stay.owed_from..=until) {
                    let is_own = held.id.is_some_and(|id| id.author == self.device);
                    let has_it = is_own || seen.positions.contains_key(position);
                    if has_it || !facts.is_ticked(held) || seen.is_over(*position, forgotten_from) {
                        continue;
                    }
                    // By the time when the next one was shown, or all was drained.
                    let next_us = seen.positions.range(position..).next().map(|(_, &us)| us);
                    let came_us = next_us.unwrap_or(u64::MAX).min(self.drained_us);
                    if facts.may_be_over(held, came_us) {
                        continue;
                    }
                    let text = format!(
                        "{} at position {position} of group {group} was never shown on {}",
                        describe(held),
                        self.device
                    );
                    tally.add(Promise::Lost, text);
                }
            }
        }
    }

    /// A device that has the change with which its user's time ended for good was told of the end.
    fn ended(&self, group: u64, log: &BTreeMap<u64, Held>, seen: &Seen, tally: &mut Tally) {
        let device = self.device;
        let last = self.facts.stays_of(group, device.user).last();
        let Some(end) = last.and_then(|stay| stay.until).filter(|_| self.drained) else { return };
        let is_own = log.get(&end).and_then(|it| it.id).is_some_and(|id| id.author == device);
        if (is_own || seen.positions.contains_key(&end)) && !seen.ends.contains(&end) {
            let text = format!("{device} was never told that group {group} ended for it at {end}");
            tally.add(Promise::Lost, text);
        }
    }

    /// Who was added was told, if the device was there already. The one who makes a group knows.
    fn told(&mut self, group: u64, stays: &[Stay], tally: &mut Tally) {
        let (device, facts) = (self.device, self.facts);
        let Some(welcomed) = self.welcomed else { return };
        let is_due = |stay: &&Stay| stay.begin_written > welcomed && stay.begin_ticked < u64::MAX;
        let due = stays.iter().filter(is_due).count();
        let told = self.seen.get(&group).map_or(0, |seen| seen.notices.len());
        let creation = facts.logs.get(&group).and_then(|log| log.get(&1)).and_then(|it| it.id);
        let is_maker = creation.is_some_and(|id| id.author == device);
        if told + usize::from(is_maker) < due {
            let text =
                format!("{device} was added to group {group} {due} times and told {told} times");
            tally.add(Promise::Lost, text);
        }
    }
}

impl Seen {
    /// Something of the group came.
    fn begins(&mut self, sequence: u64) {
        if !self.is_named {
            self.began.get_or_insert(sequence);
        }
    }

    /// Whether a device that heard of the group in a later time never asked for this one.
    fn is_before(&self, stay: &Stay) -> bool {
        self.began.is_some_and(|began| stay.end_written < began)
    }

    /// Whether a position was passed over after the line from which on it needn't be kept.
    fn is_over(&self, position: u64, from: u64) -> bool {
        let mut skips = self.skips.range(position..);
        skips.any(|(_, &(begin, line))| begin <= position && line > from)
    }

    /// Whether a position that came and isn't shown was shown before; or was passed over since it wasn't for
    /// the user, or was of a time that is forgotten, and the user came back to a group that shows its history.
    fn may_come_again(&self, position: u64, stays: &[Stay]) -> bool {
        let mut times = stays.iter().enumerate().filter(|(_, stay)| stay.holds(position));
        self.positions.contains_key(&position)
            || times.all(|(nth, _)| {
                let is_shown_later = stays[nth + 1..].iter().any(|later| later.shows(position));
                is_shown_later && self.is_over(position, forgotten_from(stays, nth))
            })
    }
}

/// From which line on a time needn't be kept: of so many the earliest is forgotten when the next one begins.
fn forgotten_from(stays: &[Stay], nth: usize) -> u64 {
    stays.get(nth + STAYS_KEPT).map_or(u64::MAX, |later| later.begin_written)
}
