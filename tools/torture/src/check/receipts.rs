//! Judges the receipts that a device was shown: never ahead of what the recipient's devices did,
//! and equal to it when everything is quiet.

use std::collections::{HashMap, HashSet};

use super::facts::Facts;
use super::identity::{Device, Direction};
use super::line::{Event, Line};
use super::violation::{Promise, Tally};

/// Judges one device.
#[derive(Debug)]
pub(super) struct ReceiptCheck<'a> {
    facts: &'a Facts,
    device: Device,
    /// When this connection was welcomed.
    welcomed: u64,
    /// Peers asked on this connection.
    asked: HashSet<u64>,
    /// Furthest (delivered, read) that was ever shown, by peer.
    furthest: HashMap<u64, (u64, u64)>,
    /// What was shown last on this connection, by peer.
    last: HashMap<u64, (u64, u64)>,
}

impl<'a> ReceiptCheck<'a> {
    pub(super) fn new(facts: &'a Facts, device: Device) -> Self {
        ReceiptCheck {
            facts,
            device,
            welcomed: 0,
            asked: HashSet::new(),
            furthest: HashMap::new(),
            last: HashMap::new(),
        }
    }

    pub(super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        match line.event {
            Event::Welcome { .. } => {
                self.welcomed = line.sequence;
                self.asked.clear();
                self.last.clear();
            }
            Event::Ask { peer } => {
                self.asked.insert(peer);
            }
            Event::Receipt { peer, delivered, read, own } => {
                self.ahead(line, self.direction(peer, own), (delivered, read), tally);
                if !own {
                    self.blocked(
                        line.sequence,
                        self.direction(peer, own),
                        (delivered, read),
                        tally,
                    );
                    let furthest = self.furthest.entry(peer).or_default();
                    *furthest = (furthest.0.max(delivered), furthest.1.max(read));
                    self.last.insert(peer, (delivered, read));
                }
            }
            Event::Drained => self.behind_live(line, tally),
            Event::Final => self.behind_after_stop(line, tally),
            _ => {}
        }
    }

    /// The direction that a receipt is about.
    fn direction(&self, peer: u64, own: bool) -> Direction {
        let user = self.device.user;
        if own {
            Direction { author: peer, reader: user }
        } else {
            Direction { author: user, reader: peer }
        }
    }

    fn ahead(&self, line: &Line, direction: Direction, shown: (u64, u64), tally: &mut Tally) {
        let Line { sequence, us, .. } = *line;
        let mut truth = self.facts.progress_at(direction, sequence);
        if shown.0 > truth.0 {
            truth.0 = self.facts.reach(direction, truth.0, us);
        }
        for (what, shown, truth) in [("delivered", shown.0, truth.0), ("read", shown.1, truth.1)] {
            if shown > truth {
                let text = format!(
                    "{} was told {direction} is {what} up to {shown}; it was {truth} by then \
                     (line {sequence})",
                    self.device
                );
                tally.add(Promise::ReceiptsAhead, text);
            }
        }
    }

    /// Nothing is told of how far one is who blocked the author, but what held when that began.
    fn blocked(&self, sequence: u64, direction: Direction, shown: (u64, u64), tally: &mut Tally) {
        let held = self.facts.blocks.held(direction, sequence, sequence);
        let Some(held) = held.filter(|held| held.is_blocked) else { return };
        let most = self.facts.progress_at(direction, held.since);
        if shown.0 > most.0 || shown.1 > most.1 {
            let text = format!(
                "{} was told {direction} is delivered up to {} and read up to {}, of one who blocked it \
                 when it was {} and {} (line {})",
                self.device, shown.0, shown.1, most.0, most.1, held.since
            );
            tally.add(Promise::Leaked, text);
        }
    }

    /// What moved while the device was connected, or before it asked, must have reached it.
    fn behind_live(&self, line: &Line, tally: &mut Tally) {
        for (direction, progress) in self.directions() {
            let told =
                self.asked.contains(&direction.reader) || self.welcomed < progress.moved_last();
            let shown = self.furthest.get(&direction.reader).copied().unwrap_or_default();
            let truth = progress.at(line.sequence);
            if told && !self.is_truth(direction, shown, truth, line.us) {
                self.is_behind(direction, shown, truth, "when all was quiet", tally);
            }
        }
    }

    /// What the server tells after a clean stop is everything that was ever acknowledged and read.
    fn behind_after_stop(&self, line: &Line, tally: &mut Tally) {
        for (direction, progress) in self.directions() {
            let shown = self.last.get(&direction.reader).copied().unwrap_or_default();
            let asked = self.asked.contains(&direction.reader);
            let truth = progress.at(line.sequence);
            if asked && !self.is_truth(direction, shown, truth, line.us) {
                self.is_behind(direction, shown, truth, "after a clean stop", tally);
            }
        }
    }

    /// What is over may count as delivered, or not: also what a device acknowledged, if a crash took
    /// that and it was over when the device came back.
    fn is_truth(
        &self,
        direction: Direction,
        shown: (u64, u64),
        truth: (u64, u64),
        now_us: u64,
    ) -> bool {
        let most = self.facts.reach(direction, truth.0, now_us);
        let is_over = |ordinal| {
            let id = self.facts.ordinals.at(direction, ordinal);
            let sent = id.and_then(|id| self.facts.sent.get(&id));
            sent.is_some_and(|sent| sent.time.may_be_over(sent.wording, now_us))
        };
        shown.1 == truth.1 && shown.0 <= most && (shown.0 + 1..=truth.0).all(is_over)
    }

    /// What this user's recipients did, in the order of their numbers.
    fn directions(&self) -> Vec<(Direction, &'a super::progress::Progress)> {
        let mut directions: Vec<_> = self
            .facts
            .progress
            .iter()
            // Of one who blocked this user, at some time, less is told.
            .filter(|(direction, _)| direction.author == self.device.user)
            .filter(|(direction, _)| !self.facts.blocks.touch(**direction))
            .map(|(&direction, progress)| (direction, progress))
            .collect();
        directions.sort_by_key(|(direction, _)| *direction);
        directions
    }

    fn is_behind(
        &self,
        direction: Direction,
        shown: (u64, u64),
        truth: (u64, u64),
        when: &str,
        tally: &mut Tally,
    ) {
        let text = format!(
            "{when}, {} knew {direction} as delivered up to {} and read up to {}; it was {} and {}",
            self.device, shown.0, shown.1, truth.0, truth.1
        );
        tally.add(Promise::ReceiptsBehind, text);
    }
}
