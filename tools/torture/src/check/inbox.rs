//! Judges what a device was shown: nothing lost, nothing twice, in order, as it was sent.

use std::collections::{HashMap, HashSet};

use super::facts::{Answer, Facts, Presence, Sent};
use super::group::GroupEvent;
use super::identity::{Device, Direction, MessageId};
use super::line::{Body, Delivery, Event, Line};
use super::violation::{Promise, Tally};

/// What the positions of one user's inbox hold, as its devices saw them.
#[derive(Debug, Default)]
pub(super) struct Positions {
    held: HashMap<u64, Delivery>,
}

impl Positions {
    fn claim(&mut self, witness: Device, delivery: &Delivery, tally: &mut Tally) {
        let held = *self.held.entry(delivery.position).or_insert(*delivery);
        if held != *delivery {
            let text = format!(
                "inbox {}, position {}: {}, and {} for {witness}",
                witness.user,
                delivery.position,
                describe(&held),
                describe(delivery)
            );
            tally.add(Promise::Duplicated, text);
        }
    }
}

/// Judges one device.
#[derive(Debug)]
pub(super) struct InboxCheck<'a> {
    facts: &'a Facts,
    device: Device,
    /// What was shown, and at which position.
    shown: HashMap<MessageId, u64>,
    /// Positions that were shown.
    positions: HashSet<u64>,
    /// The last position that was shown.
    position: u64,
    /// Number of the last message shown, by the sending device and its peer.
    numbers: HashMap<(Device, u64), u64>,
    /// Ordinal of the last message shown, by author.
    ordinals: HashMap<u64, u64>,
    /// The last position of this connection, skips included.
    received: Option<u64>,
    /// The cursor of this connection's hello, and when it was.
    cursor: u64,
    hello_us: u64,
    /// Ordinals that were shown of each author, and when.
    passed: HashMap<u64, Vec<(u64, u64)>>,
    drained: bool,
}

impl<'a> InboxCheck<'a> {
    pub(super) fn new(facts: &'a Facts, device: Device) -> Self {
        InboxCheck {
            facts,
            device,
            shown: HashMap::new(),
            positions: HashSet::new(),
            position: 0,
            numbers: HashMap::new(),
            ordinals: HashMap::new(),
            received: None,
            cursor: 0,
            hello_us: 0,
            passed: HashMap::new(),
            drained: false,
        }
    }

    pub(super) fn line(&mut self, line: &Line, positions: &mut Positions, tally: &mut Tally) {
        match &line.event {
            Event::Hello { cursor } => {
                self.received = None;
                self.cursor = *cursor;
                self.hello_us = line.us;
            }
            Event::Shown(delivery) => {
                self.received(delivery.position, tally);
                positions.claim(self.device, delivery, tally);
                self.content(line, delivery, tally);
                if !delivery.own {
                    let passed = self.passed.entry(delivery.peer).or_default();
                    passed.push((delivery.ordinal, line.us));
                }
                self.once(delivery, tally);
                self.order(delivery, tally);
                if self.drained {
                    let text = format!(
                        "{}: {} came after everything was drained",
                        self.device,
                        describe(delivery)
                    );
                    tally.add(Promise::Unsettled, text);
                }
            }
            Event::Again(delivery) => {
                self.received(delivery.position, tally);
                positions.claim(self.device, delivery, tally);
                if !self.positions.contains(&delivery.position) {
                    let text = format!(
                        "{}: position {} was skipped and then held {}",
                        self.device,
                        delivery.position,
                        describe(delivery)
                    );
                    tally.add(Promise::Gaps, text);
                }
            }
            Event::Group(GroupEvent::Notice { position, .. }) => self.received(*position, tally),
            Event::Skip { position } => {
                self.received = Some(self.received.unwrap_or_default().max(*position));
            }
            Event::OutOfTurn { position } => {
                let due = self.received.unwrap_or(self.cursor) + 1;
                let kind = if *position > due { Promise::Gaps } else { Promise::Reordered };
                let text = format!("{}: position {position} came where {due} was due", self.device);
                tally.add(kind, text);
            }
            Event::Drained => self.drained = true,
            _ => {}
        }
    }

    /// Positions of a connection follow each other; the first is the one after the cursor of the
    /// hello or an earlier one.
    fn received(&mut self, position: u64, tally: &mut Tally) {
        let (device, cursor) = (self.device, self.cursor);
        match self.received {
            Some(last) if position <= last => {
                let text = format!("{device}: position {position} came after {last}");
                tally.add(Promise::Reordered, text);
            }
            Some(last) if position > last + 1 => {
                let text = format!("{device}: position {position} followed {last}");
                tally.add(Promise::Gaps, text);
            }
            None if position > cursor + 1 => {
                let text = format!("{device}: position {position} came first, after {cursor}");
                tally.add(Promise::Gaps, text);
            }
            _ => {}
        }
        self.received = Some(position.max(self.received.unwrap_or_default()));
    }

    /// The body is one that its author sent, to here.
    fn content(&self, line: &Line, delivery: &Delivery, tally: &mut Tally) {
        let place = format!("{}: position {}", self.device, delivery.position);
        if delivery.body == Body::Damaged {
            tally.add(Promise::Corrupt, format!("{place}: the body is damaged"));
        }
        let user = self.device.user;
        // A silent one of whom nobody was ticked is a hole of the ordinals.
        let Some(id) = self.facts.whose(user, delivery) else { return };
        let belongs = if delivery.own {
            id.author.user == user && id.author != self.device && id.peer == delivery.peer
        } else {
            id.peer == user && id.author.user == delivery.peer
        };
        if !belongs {
            let text = format!("{place} says {}, its body is {id}", describe(delivery));
            tally.add(Promise::Corrupt, text);
        }
        match self.facts.sent.get(&id) {
            Some(sent) if sent.sequence < line.sequence => {
                let (hello_us, now_us) = (self.hello_us, line.us);
                if let Some(late_us) =
                    sent.time.late_us(sent.wording, sent.answer, hello_us, now_us)
                {
                    let text = format!("{place}: {id} was shown {} ms late", late_us / 1_000);
                    tally.add(Promise::Leaked, text);
                }
                if sent.digest != delivery.digest {
                    let text = format!("{place}: {id} is not what was sent under this number");
                    tally.add(Promise::Corrupt, text);
                }
                if !delivery.own && self.facts.is_blocked(id) == Some(true) {
                    let text = format!("{place}: {id} is from one who was blocked");
                    tally.add(Promise::Leaked, text);
                }
                if let Answer::Rejected(code) = sent.answer {
                    let text = format!(
                        "{place}: {id} was rejected ({code}); a new attempt shows it twice"
                    );
                    tally.add(Promise::Duplicated, text);
                }
            }
            _ => tally.add(Promise::Corrupt, format!("{place}: {id} was not sent by then")),
        }
    }

    /// It wasn't shown before.
    fn once(&mut self, delivery: &Delivery, tally: &mut Tally) {
        let (device, position) = (self.device, delivery.position);
        if !self.positions.insert(position) {
            tally
                .add(Promise::Duplicated, format!("{device}: position {position} was shown twice"));
        }
        if let Some(id) = self.facts.whose(device.user, delivery)
            && let Some(before) = self.shown.insert(id, position)
        {
            let text = format!("{device}: {id} was shown at positions {before} and {position}");
            tally.add(Promise::Duplicated, text);
        }
    }

    /// It stands behind what it was sent after.
    fn order(&mut self, delivery: &Delivery, tally: &mut Tally) {
        let device = self.device;
        let position = std::mem::replace(&mut self.position, delivery.position);
        if position >= delivery.position {
            let text = format!("{device}: position {} was shown after {position}", self.position);
            tally.add(Promise::Reordered, text);
        }
        if let Some(id) = self.facts.whose(device.user, delivery) {
            let last = self.numbers.insert((id.author, id.peer), id.number).unwrap_or_default();
            if last >= id.number {
                tally.add(Promise::Reordered, format!("{device}: {id} was shown after #{last}"));
            }
        }
        // Copies of own messages are healed by resends after a crash, so those of two sending
        // devices may pass each other.
        if !delivery.own {
            let ordinal = delivery.ordinal;
            let last = self.ordinals.insert(delivery.peer, ordinal).unwrap_or_default();
            if last >= ordinal {
                let direction = Direction { author: delivery.peer, reader: device.user };
                let text =
                    format!("{device}: {direction} ordinal {ordinal} was shown after {last}");
                tally.add(Promise::Reordered, text);
            }
        }
    }

    /// The history is over. `owed` are the sends to this user's inbox, in the order of sending.
    pub(super) fn finish(mut self, owed: &[MessageId], tally: &mut Tally) {
        let presence = self.facts.presence.get(&self.device).copied().unwrap_or_default();
        let Some(welcomed) = presence.welcomed else { return };
        for passed in self.passed.values_mut() {
            passed.sort_unstable();
        }
        for id in owed {
            let sent = &self.facts.sent[id];
            let Answer::Ticked { ordinal, sequence } = sent.answer else { continue };
            let is_copy = id.author.user == self.device.user;
            let is_open = is_copy || self.facts.is_blocked(*id) == Some(false);
            let is_for_it = id.author != self.device && sent.sequence > welcomed && is_open;
            let is_for_it = is_for_it && !self.may_have_been_over(*id, sent, ordinal, presence);
            if is_for_it && !self.shown.contains_key(id) {
                let what = if is_copy { "the copy of " } else { "" };
                let text = format!(
                    "{what}{id}, ticked as ordinal {ordinal} (line {sequence}), was never shown on {}",
                    self.device
                );
                tally.add(Promise::Lost, text);
            }
        }
    }
}

impl InboxCheck<'_> {
    /// Whether a message that wasn't shown may have been over when the device came to it: when everything was
    /// drained, or when a later one of its direction was shown.
    fn may_have_been_over(
        &self,
        id: MessageId,
        sent: &Sent,
        ordinal: u64,
        presence: Presence,
    ) -> bool {
        let passed = self.passed.get(&id.author.user).map_or(&[][..], Vec::as_slice);
        let later = &passed[passed.partition_point(|&(shown, _)| shown <= ordinal)..];
        let came_us = later.first().map_or(u64::MAX, |&(_, us)| us);
        let drained_us = if presence.drained { presence.drained_us } else { u64::MAX };
        sent.time.may_be_over(sent.wording, came_us.min(drained_us))
    }
}

fn describe(delivery: &Delivery) -> String {
    let Delivery { peer, ordinal, digest, .. } = delivery;
    let way = if delivery.own { "to" } else { "from" };
    match delivery.body {
        Body::Says(id) => format!("{id} ({way} {peer}, ordinal {ordinal}, digest {digest:x})"),
        Body::Silent => format!("a bare body ({way} {peer}, ordinal {ordinal}, digest {digest:x})"),
        Body::Damaged => {
            format!("a damaged body ({way} {peer}, ordinal {ordinal}, digest {digest:x})")
        }
    }
}
