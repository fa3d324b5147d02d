//! The first reading: what was sent and answered, who was there since when, and how far the
//! recipients were at every moment. The second reading judges each device by it.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;

use super::blocks::Blocks;
use super::books::{BookFacts, BookVolume};
use super::expiry::Time;
use super::group::{GroupEvent, GroupFacts, GroupVolume};
use super::identity::{Device, Direction, MessageId};
use super::line::{Body, Delivery, Event, Line};
use super::ordinals::Ordinals;
use super::past::PastEvent;
use super::people::{PeopleFacts, PeopleVolume};
use super::progress::Progress;
use super::references;
use super::violation::{Promise, Tally};
use super::wording::Wording;

/// Codes of refusals of what refers to a message, or should.
const REFERENCE_REFUSED: [u16; 3] = [308, 309, 310];

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// None came.
    None,
    /// The server has it, under this ordinal; said in this line.
    Ticked { ordinal: u64, sequence: u64 },
    /// The server refused it, with this code.
    Rejected(u16),
}

/// A send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// When it was written.
    pub(super) sequence: u64,
    /// What was sent.
    pub(super) digest: u64,
    pub(super) wording: Wording,
    pub(super) time: Time,
    /// It went out again on a later connection.
    pub(super) resent: bool,
    /// What the server said.
    pub(super) answer: Answer,
}

/// A device, over the run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Presence {
    /// Its first welcome: what is sent later is owed to it.
    pub(super) welcomed: Option<u64>,
    /// It had everything, before the server was stopped.
    pub(super) drained: bool,
    /// When that was.
    pub(super) drained_us: u64,
    /// It still had, after the server was started again.
    pub(super) finished: bool,
}

/// How much was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Devices.
    pub devices: u64,
    /// Logins that succeeded.
    pub connections: u64,
    /// Messages written.
    pub sent: u64,
    /// Messages of which the server said that it has them.
    pub ticked: u64,
    /// Messages that the server refused.
    pub rejected: u64,
    /// Sends repeated since the answer was lost.
    pub resent: u64,
    /// Messages shown, on every device.
    pub displayed: u64,
    /// Deliveries that a device recognised as known and didn't show.
    pub redelivered: u64,
    /// Receipts that came.
    pub receipts: u64,
    /// Second logins of a device that was logged in.
    pub takeovers: u64,
    /// Of the ticked ones, in groups too, those that refer to others: edits, deletions and reactions.
    pub references: u64,
    /// Those that were refused since there was no such message, or it was not theirs, or they were malformed.
    pub references_refused: u64,
    /// Messages between two that disappear, of the ticked ones.
    pub disappearing: u64,
    /// Messages to somebody who certainly blocked their author.
    pub blocked: u64,
    /// Pages of the past.
    pub pages: u64,
    /// Entries that they told.
    pub past: u64,
    /// How much of that was in groups.
    #[serde(flatten)]
    pub groups: GroupVolume,
    /// How much was tried in books.
    #[serde(flatten)]
    pub books: BookVolume,
    /// How much was tried about people.
    #[serde(flatten)]
    pub people: PeopleVolume,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) presence: HashMap<Device, Presence>,
    pub(super) sent: HashMap<MessageId, Sent>,
    pub(super) ordinals: Ordinals,
    pub(super) progress: HashMap<Direction, Progress>,
    pub(super) volume: Volume,
    pub(super) groups: GroupFacts,
    pub(super) books: BookFacts,
    pub(super) blocks: Blocks,
    pub(super) people: PeopleFacts,
    /// Refusals by code, of sends.
    pub(super) refusals: std::collections::BTreeMap<u16, u64>,
}

impl Facts {
    /// Every history was read.
    pub(super) fn finish(&mut self, tally: &mut Tally) {
        for progress in self.progress.values_mut() {
            progress.finish();
        }
        self.ordinals.finish(tally);
        references::judge(self, tally);
        self.groups.finish(tally);
        self.books.finish(tally);
        self.people.finish(&self.books, tally);
        self.count_references();
        self.count_special();
        let mut unheard: Vec<_> =
            self.presence.iter().filter(|(_, presence)| presence.welcomed.is_none()).collect();
        unheard.sort_by_key(|(device, _)| **device);
        for (device, _) in unheard {
            tally.add(Promise::Unsettled, format!("{device} was never welcomed"));
        }
    }

    fn count_special(&mut self) {
        let disappears = |sent: &&Sent| {
            let is_ticked = matches!(sent.answer, Answer::Ticked { .. });
            is_ticked && matches!(sent.wording, Wording::Disappearing(_))
        };
        self.volume.disappearing = self.sent.values().filter(disappears).count() as u64;
        let blocked = self.sent.keys().filter(|id| self.is_blocked(**id) == Some(true));
        self.volume.blocked = blocked.count() as u64;
    }

    /// Up to where the reader may count as having everything, who acknowledged it up to `ordinal`: what
    /// follows may be over, or was never for it.
    pub(super) fn reach(&self, direction: Direction, ordinal: u64, now_us: u64) -> u64 {
        let is_passed = |ordinal: u64| {
            let id = self.ordinals.at(direction, ordinal);
            let sent = id.and_then(|id| self.sent.get(&id).map(|sent| (id, sent)));
            sent.is_some_and(|(id, sent)| {
                let is_over = sent.time.may_be_over(sent.wording, now_us);
                is_over || self.is_blocked(id) != Some(false)
            })
        };
        let mut reach = ordinal;
        while is_passed(reach + 1) {
            reach += 1;
        }
        reach
    }

    fn count_references(&mut self) {
        let between_two = self.sent.values().map(|sent| (sent.wording, sent.answer));
        let all = between_two.chain(self.groups.worded());
        let referring = all.filter(|(wording, answer)| {
            wording.reference().is_some() && matches!(answer, Answer::Ticked { .. })
        });
        self.volume.references = referring.count() as u64;
        let deserved = REFERENCE_REFUSED.iter().filter_map(|code| self.refusals.get(code));
        self.volume.references_refused = deserved.sum();
    }

    /// Whether a message was sent to one who certainly blocked its author, or certainly didn't; `None` where
    /// neither is certain.
    pub(super) fn is_blocked(&self, id: MessageId) -> Option<bool> {
        let sent = self.sent.get(&id)?;
        let Answer::Ticked { sequence, .. } = sent.answer else { return None };
        let held = self.blocks.held(id.direction(), sent.sequence, sequence)?;
        Some(held.is_blocked)
    }

    /// Whose a delivery to a user is, if that is known.
    pub(super) fn whose(&self, user: u64, delivery: &Delivery) -> Option<MessageId> {
        match delivery.body {
            Body::Says(id) => Some(id),
            Body::Silent => self.ordinals.at(delivery.direction(user), delivery.ordinal),
            Body::Damaged => None,
        }
    }

    /// How far the reader of a direction was when the line `sequence` was written: (delivered,
    /// read).
    pub(super) fn progress_at(&self, direction: Direction, sequence: u64) -> (u64, u64) {
        self.progress.get(&direction).map_or((0, 0), |progress| progress.at(sequence))
    }
}

/// Reads one device's history into the facts.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    facts: &'a mut Facts,
    device: Device,
    /// (position, author, ordinal) of what came and isn't acknowledged, by position.
    unacknowledged: VecDeque<(u64, u64, u64)>,
    /// Number and ordinal of the last tick, by peer.
    ticked: HashMap<u64, (u64, u64)>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(facts: &'a mut Facts, device: Device) -> Self {
        facts.volume.devices += 1;
        facts.presence.insert(device, Presence::default());
        Gathering { facts, device, unacknowledged: VecDeque::new(), ticked: HashMap::new() }
    }

    pub(super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        self.facts.people.gather(self.device, line);
        let volume = &mut self.facts.volume;
        match line.event {
            Event::Hello { cursor } => {
                // It tells the server what is safe, as an acknowledgement does.
                self.ack(line.sequence, cursor);
                self.unacknowledged.clear();
            }
            Event::Welcome { .. } => {
                volume.connections += 1;
                self.presence().welcomed.get_or_insert(line.sequence);
            }
            Event::Takeover => volume.takeovers += 1,
            Event::Send { peer, number, digest, wording } => {
                volume.sent += 1;
                let (resent, answer) = (false, Answer::None);
                let time = Time { sent_us: line.us, ticked_us: u64::MAX };
                let sequence = line.sequence;
                let sent = Sent { sequence, digest, wording, time, resent, answer };
                self.facts.sent.insert(self.id(peer, number), sent);
            }
            Event::Resend { peer, number } => {
                volume.resent += 1;
                if let Some(sent) = self.facts.sent.get_mut(&self.id(peer, number)) {
                    sent.resent = true;
                }
            }
            Event::Tick { peer, number, ordinal } => {
                volume.ticked += 1;
                let answer = Answer::Ticked { ordinal, sequence: line.sequence };
                if let Some(sent) = self.facts.sent.get_mut(&self.id(peer, number)) {
                    sent.time.ticked_us = line.us;
                    self.facts.people.ticked(self.device, sent.time.sent_us);
                }
                self.tick(self.id(peer, number), ordinal, answer, tally);
            }
            Event::Rejected { peer, number, code } => {
                volume.rejected += 1;
                *self.facts.refusals.entry(code).or_default() += 1;
                self.answer(self.id(peer, number), Answer::Rejected(code), tally);
            }
            Event::Shown(delivery) => {
                volume.displayed += 1;
                self.delivery(&delivery, tally);
            }
            Event::Again(delivery) => {
                volume.redelivered += 1;
                self.delivery(&delivery, tally);
            }
            Event::Receipt { .. } => volume.receipts += 1,
            Event::Past(PastEvent::Entry { .. }) => volume.past += 1,
            Event::Past(PastEvent::End { .. }) => volume.pages += 1,
            Event::Ack { position } => self.ack(line.sequence, position),
            Event::Read { peer, ordinal } => {
                self.progress(peer).read(line.sequence, ordinal);
            }
            Event::Drained => {
                self.presence().drained = true;
                self.presence().drained_us = line.us;
            }
            Event::Final => self.presence().finished = true,
            Event::Group(ref event) => self.group(line, event, tally),
            Event::Book(ref event) => {
                self.facts.books.gather(self.device, line.sequence, event);
                self.facts.blocks.gather(self.device, (line.sequence, line.us), event);
            }
            _ => {}
        }
    }

    fn group(&mut self, line: &Line, event: &GroupEvent, tally: &mut Tally) {
        if let GroupEvent::Rejected { code, .. } = event {
            self.facts.volume.rejected += 1;
            *self.facts.refusals.entry(*code).or_default() += 1;
        }
        self.facts.groups.gather(self.device, (line.sequence, line.us), event, tally);
    }

    fn tick(&mut self, id: MessageId, ordinal: u64, answer: Answer, tally: &mut Tally) {
        self.answer(id, answer, tally);
        self.facts.ordinals.claim(self.device, id, ordinal, tally);
        let last = self.ticked.entry(id.peer).or_default();
        if last.0 > id.number {
            tally.add(Promise::Protocol, format!("{id} was ticked after #{}", last.0));
        } else if last.0 < id.number && last.1 >= ordinal {
            let text =
                format!("{id} was ticked as ordinal {ordinal}, #{} before as {}", last.0, last.1);
            tally.add(Promise::Reordered, text);
        }
        *last = (id.number.max(last.0), ordinal.max(last.1));
    }

    fn answer(&mut self, id: MessageId, answer: Answer, tally: &mut Tally) {
        match self.facts.sent.get_mut(&id) {
            Some(sent) if sent.answer == Answer::None => sent.answer = answer,
            Some(sent) => {
                let text = format!("{id} was answered twice: {:?}, then {answer:?}", sent.answer);
                tally.add(Promise::Protocol, text);
            }
            None => tally.add(Promise::Protocol, format!("{id} was answered and never sent")),
        }
    }

    fn delivery(&mut self, delivery: &Delivery, tally: &mut Tally) {
        if let Body::Says(id) = delivery.body {
            self.facts.ordinals.claim(self.device, id, delivery.ordinal, tally);
        }
        if !delivery.own {
            let came = (delivery.position, delivery.peer, delivery.ordinal);
            self.unacknowledged.push_back(came);
        }
    }

    fn ack(&mut self, sequence: u64, position: u64) {
        while let Some(&(came, author, ordinal)) = self.unacknowledged.front()
            && came <= position
        {
            self.unacknowledged.pop_front();
            self.progress(author).acknowledged(sequence, ordinal);
        }
    }

    fn id(&self, peer: u64, number: u64) -> MessageId {
        MessageId { author: self.device, peer, number }
    }

    fn presence(&mut self) -> &mut Presence {
        self.facts.presence.entry(self.device).or_default()
    }

    /// How far this user is with what `author` sends.
    fn progress(&mut self, author: u64) -> &mut Progress {
        let direction = Direction { author, reader: self.device.user };
        self.facts.progress.entry(direction).or_default()
    }
}
