//! The first reading: what each group's log holds, who was a member from where to where, and how far the
//! members were at every moment.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::super::expiry::Time;
use super::super::facts::Answer;
use super::super::identity::{Device, MessageId};
use super::super::progress::Progress;
use super::super::violation::{Promise, Tally};
use super::super::wording::Wording;
use super::line::{Action, Change, Content, Entry, GroupEvent};
use super::roles;

/// Holes of a log that are counted.
const HOLES_MAX: usize = 1_000;

/// How much was tried in groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GroupVolume {
    /// Messages to groups of which the server said that it has them.
    pub group_messages: u64,
    /// Changes of groups, likewise; creations too.
    pub group_changes: u64,
    /// Entries of groups shown, on every device.
    pub group_deliveries: u64,
    /// Receipts of groups.
    pub group_receipts: u64,
}

/// A send to a group, or a change of it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) sequence: u64,
    pub(super) digest: u64,
    pub(super) wording: Wording,
    pub(super) time: Time,
    pub(super) change: Option<Change>,
    pub(super) resent: bool,
    /// The ordinal of a tick is the position.
    pub(super) answer: Answer,
}

/// An entry of a log, by all that was said of it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) author: u64,
    pub(super) digest: u64,
    pub(super) change: Option<Change>,
    /// Whose it is; of a change only its author's tick says that.
    pub(super) id: Option<MessageId>,
}

/// A time in which a user was a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    /// Position of the change that began it.
    pub(super) since: u64,
    /// What the user may read and every device of it is owed begins here: with that change, or with the log,
    /// if the group showed its history then. The user may read what the group showed also in a later time.
    pub(super) may_from: u64,
    pub(super) owed_from: u64,
    /// Position of the change that ended it.
    pub(super) until: Option<u64>,
    /// When the first change was written, and when it was ticked at the latest.
    pub(super) begin_written: u64,
    pub(super) begin_ticked: u64,
    /// When the last change was written; nothing is before that.
    pub(super) end_written: u64,
}

impl Stay {
    /// Whether the user may read this.
    pub(super) fn shows(&self, position: u64) -> bool {
        self.may_from <= position && self.until.is_none_or(|until| position <= until)
    }

    /// Whether devices of the user have to get this.
    pub(super) fn owes(&self, position: u64) -> bool {
        self.owed_from <= position && self.until.is_none_or(|until| position <= until)
    }

    /// Whether the user was a member when this came.
    pub(super) fn holds(&self, position: u64) -> bool {
        self.since <= position && self.until.is_none_or(|until| position <= until)
    }
}

/// See the module's description.
#[derive(Debug, Default)]
pub(in super::super) struct GroupFacts {
    pub(in super::super) volume: GroupVolume,
    /// By author, group (0 for a creation) and number.
    pub(super) sent: HashMap<MessageId, Sent>,
    pub(super) logs: BTreeMap<u64, BTreeMap<u64, Held>>,
    positions: HashMap<MessageId, (u64, u64)>,
    /// The stays of each user in each group.
    pub(super) stays: HashMap<u64, BTreeMap<u64, Vec<Stay>>>,
    /// By group and user.
    pub(super) progress: HashMap<(u64, u64), Progress>,
}

impl GroupFacts {
    /// A line of a device's history.
    pub(in super::super) fn gather(
        &mut self,
        device: Device,
        (sequence, us): (u64, u64),
        event: &GroupEvent,
        tally: &mut Tally,
    ) {
        let id = |group: u64, number: u64| MessageId { author: device, peer: group, number };
        match *event {
            GroupEvent::Send { group, number, digest, wording } => {
                self.send(id(group, number), (sequence, us), digest, (wording, None));
            }
            GroupEvent::Change { group, number, ref change, digest } => {
                let what = (Wording::Plain, Some(change.clone()));
                self.send(id(group, number), (sequence, us), digest, what);
            }
            GroupEvent::Resend { group, number } => {
                if let Some(sent) = self.sent.get_mut(&id(group, number)) {
                    sent.resent = true;
                }
            }
            GroupEvent::Made { number, group } => {
                self.ticked(id(0, number), group, 1, sequence, tally);
            }
            GroupEvent::Tick { group, number, position } => {
                if let Some(sent) = self.sent.get_mut(&id(group, number)) {
                    sent.time.ticked_us = us;
                }
                self.ticked(id(group, number), group, position, sequence, tally);
            }
            GroupEvent::Rejected { group, number, code } => {
                self.answer(id(group, number), Answer::Rejected(code), tally);
            }
            GroupEvent::Shown(ref entry) => {
                self.volume.group_deliveries += 1;
                self.shown(device, entry, tally);
            }
            GroupEvent::Again(ref entry) => self.shown(device, entry, tally),
            GroupEvent::Resume { group, cursor: position }
            | GroupEvent::Ack { group, position } => {
                self.progress(group, device.user).acknowledged(sequence, position);
            }
            GroupEvent::Read { group, position } => {
                self.progress(group, device.user).read(sequence, position);
            }
            GroupEvent::Receipt(_) => self.volume.group_receipts += 1,
            _ => {}
        }
    }

    fn send(
        &mut self,
        id: MessageId,
        (sequence, sent_us): (u64, u64),
        digest: u64,
        (wording, change): (Wording, Option<Change>),
    ) {
        let (resent, answer) = (false, Answer::None);
        let time = Time { sent_us, ticked_us: u64::MAX };
        self.sent.insert(id, Sent { sequence, digest, wording, time, change, resent, answer });
    }

    /// What the sends were, and what became of them.
    pub(in super::super) fn worded(&self) -> impl Iterator<Item = (Wording, Answer)> {
        self.sent.values().map(|sent| (sent.wording, sent.answer))
    }

    fn progress(&mut self, group: u64, user: u64) -> &mut Progress {
        self.progress.entry((group, user)).or_default()
    }

    fn answer(&mut self, id: MessageId, answer: Answer, tally: &mut Tally) {
        match self.sent.get_mut(&id) {
            Some(sent) if sent.answer == Answer::None => sent.answer = answer,
            Some(sent) => {
                let text = format!("group: {id} was answered twice: {:?}, {answer:?}", sent.answer);
                tally.add(Promise::Protocol, text);
            }
            None => tally.add(Promise::Protocol, format!("group: {id} was never sent")),
        }
    }

    fn ticked(
        &mut self,
        id: MessageId,
        group: u64,
        position: u64,
        sequence: u64,
        tally: &mut Tally,
    ) {
        self.answer(id, Answer::Ticked { ordinal: position, sequence }, tally);
        let Some(sent) = self.sent.get(&id) else { return };
        let volume = &mut self.volume;
        let count = if sent.change.is_some() {
            &mut volume.group_changes
        } else {
            &mut volume.group_messages
        };
        *count += 1;
        let (author, digest, change) = (id.author.user, sent.digest, sent.change.clone());
        let held = Held { author, digest, change, id: Some(id) };
        self.claim(id.author, group, position, &held, tally);
    }

    fn shown(&mut self, witness: Device, entry: &Entry, tally: &mut Tally) {
        let (change, id) = match &entry.content {
            Content::Message(id) => (None, Some(*id)),
            Content::Change(change) => (Some(change.clone()), None),
            Content::Silent | Content::Damaged => (None, None),
        };
        let held = Held { author: entry.author, digest: entry.digest, change, id };
        self.claim(witness, entry.group, entry.position, &held, tally);
    }

    /// A device says that a position holds this.
    fn claim(
        &mut self,
        witness: Device,
        group: u64,
        position: u64,
        held: &Held,
        tally: &mut Tally,
    ) {
        if let Some(id) = held.id {
            let known = *self.positions.entry(id).or_insert((group, position));
            if known != (group, position) {
                let text = format!(
                    "group: {id} is at {known:?}, and at {:?} for {witness}",
                    (group, position)
                );
                tally.add(Promise::Reordered, text);
            }
        }
        let log = self.logs.entry(group).or_default();
        let known = log.entry(position).or_insert_with(|| held.clone());
        let is_other = known.id.is_some() && held.id.is_some() && known.id != held.id;
        if (known.author, known.digest) != (held.author, held.digest) || is_other {
            let text = format!(
                "group {group}, position {position}: {}, and {} for {witness}",
                describe(known),
                describe(held)
            );
            tally.add(Promise::Duplicated, text);
        }
        known.id = known.id.or(held.id);
    }

    /// Every history was read.
    pub(in super::super) fn finish(&mut self, tally: &mut Tally) {
        for progress in self.progress.values_mut() {
            progress.finish();
        }
        for (&group, log) in &self.logs {
            let last = log.last_key_value().map_or(0, |(&last, _)| last);
            // A wild position would make a number of holes that nobody waits for.
            let holes = (1..=last).filter(|position| !log.contains_key(position));
            for position in holes.take(HOLES_MAX) {
                let text = format!("group {group}: position {position} of {last} is nobody's");
                tally.add(Promise::Reordered, text);
            }
            let mut numbers: HashMap<Device, u64> = HashMap::new();
            for id in log.values().filter_map(|held| held.id).filter(|id| id.peer > 0) {
                let before = numbers.insert(id.author, id.number).unwrap_or_default();
                if before >= id.number {
                    let text = format!("group: {id} has its position behind #{before}");
                    tally.add(Promise::Reordered, text);
                }
            }
            let stays = self.stays_in(log);
            self.stays.insert(group, stays);
        }
        for (&group, log) in &self.logs {
            roles::judge(self, group, log, tally);
        }
    }

    /// Who was a member from where to where.
    fn stays_in(&self, log: &BTreeMap<u64, Held>) -> BTreeMap<u64, Vec<Stay>> {
        let mut stays: BTreeMap<u64, Vec<Stay>> = BTreeMap::new();
        let mut shows_history = false;
        for (&position, held) in log {
            let Some(change) = &held.change else { continue };
            let (written, ticked) = self.times(held.id);
            let (author, users) = ([held.author], change.users.as_slice());
            let (begins, ends): (Vec<u64>, Vec<u64>) = match change.action {
                Action::Create => ([users, &author].concat(), Vec::new()),
                Action::Add => (users.to_vec(), Vec::new()),
                Action::Remove => (Vec::new(), users.to_vec()),
                Action::Leave => (Vec::new(), author.to_vec()),
                Action::Delete => (Vec::new(), stays.keys().copied().collect()),
                Action::ShowHistory(shows) => {
                    shows_history = shows;
                    continue;
                }
                Action::Promote | Action::Demote | Action::HandOver | Action::Wording => continue,
            };
            let may_from = if shows_history { 1 } else { position };
            for user in begins {
                let stays = stays.entry(user).or_default();
                let owed_from = if stays.is_empty() { may_from } else { position };
                stays.push(Stay {
                    since: position,
                    may_from,
                    owed_from,
                    until: None,
                    begin_written: written,
                    begin_ticked: ticked,
                    end_written: u64::MAX,
                });
            }
            for user in ends {
                let last = stays.get_mut(&user).and_then(|stays| stays.last_mut());
                if let Some(stay) = last.filter(|stay| stay.until.is_none()) {
                    (stay.until, stay.end_written) = (Some(position), written);
                }
            }
        }
        stays
    }

    /// When an entry was written and ticked.
    fn times(&self, id: Option<MessageId>) -> (u64, u64) {
        let Some(sent) = id.and_then(|id| self.sent.get(&id)) else { return (0, u64::MAX) };
        let ticked = match sent.answer {
            Answer::Ticked { sequence, .. } => sequence,
            _ => u64::MAX,
        };
        (sent.sequence, ticked)
    }

    /// The times of a user in a group.
    pub(super) fn stays_of(&self, group: u64, user: u64) -> &[Stay] {
        self.stays.get(&group).and_then(|stays| stays.get(&user)).map_or(&[], Vec::as_slice)
    }

    /// How far a user was with a group when the line `sequence` was written: (delivered, read).
    pub(super) fn progress_at(&self, group: u64, user: u64, sequence: u64) -> (u64, u64) {
        self.progress.get(&(group, user)).map_or((0, 0), |progress| progress.at(sequence))
    }

    /// Whether an entry may be over by then.
    pub(super) fn may_be_over(&self, held: &Held, now_us: u64) -> bool {
        let sent = held.id.and_then(|id| self.sent.get(&id));
        sent.is_some_and(|sent| sent.time.may_be_over(sent.wording, now_us))
    }

    /// Whether the author was told that the server has this.
    pub(super) fn is_ticked(&self, held: &Held) -> bool {
        let sent = held.id.and_then(|id| self.sent.get(&id));
        sent.is_some_and(|sent| matches!(sent.answer, Answer::Ticked { .. }))
    }

    /// All that a device wrote to groups and that has no answer.
    pub(in super::super) fn unanswered(&self, device: Device) -> usize {
        let own = self.sent.iter().filter(|(id, _)| id.author == device);
        own.filter(|(_, sent)| sent.answer == Answer::None).count()
    }
}

pub(super) fn describe(held: &Held) -> String {
    let Held { author, digest, change, id } = held;
    match (id, change) {
        (Some(id), _) => format!("{id} (by {author}, digest {digest:x})"),
        (None, Some(change)) => {
            format!("{:?} of {:?} (by {author}, digest {digest:x})", change.action, change.users)
        }
        (None, None) => format!("a body that names nobody (by {author}, digest {digest:x})"),
    }
}
