//! What is still missing, once nothing breaks any more and everything had its time.

use super::direction::{Direction, Ordinal};
use super::link::{Link, Stage};
use super::user::{Device, User};
use super::{Complaint, Oracle};
use crate::clock::{SECOND, Time};
use crate::coverage::Happening;

/// How long a hello may wait for its answer while nothing breaks.
const ANSWER_MAX: Time = 40 * SECOND;

/// Open points that are told at most.
const TOLD_MAX: usize = 8;

impl Oracle {
    /// What is owed and didn't come yet; empty once everything is at rest.
    pub(crate) fn missing(&mut self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut pairs: Vec<_> =
            self.directions_by_pair.iter().map(|(&pair, &at)| (pair, at)).collect();
        pairs.sort_unstable();
        let mut expired = 0;
        for ((from, to), at) in pairs {
            let direction = &self.directions[at as usize];
            self.missing_messages(from, to, direction, &mut missing, &mut expired);
            self.missing_copies(from, to, direction, &mut missing, &mut expired);
            if missing.len() >= TOLD_MAX {
                break;
            }
        }
        for user in self.users.iter().filter(|user| user.is_good) {
            for device in user.devices.iter().filter(|device| !device.is_gone) {
                // Not the acknowledgement: the server passes over by itself what holds nothing.
                if device.cursor < user.told {
                    let Device { number, cursor, .. } = device;
                    missing.push(format!(
                        "device {number} of {} has {cursor} of {}",
                        user.id, user.told
                    ));
                }
            }
        }
        missing.extend(self.missing_of_groups());
        self.missing_answers(&mut missing);
        if missing.is_empty() {
            self.coverage.add(Happening::Expired, expired);
        }
        missing.truncate(TOLD_MAX);
        missing
    }

    fn may_have_expired(&self, direction: &Direction, ordinal: &Ordinal) -> bool {
        self.has_expired_by(ordinal.time_ms, direction, ordinal)
    }

    /// The copy has a time of its own: a crash may have come in between.
    fn copy_may_have_expired(&self, user: &User, direction: &Direction, ordinal: &Ordinal) -> bool {
        let copy = ordinal.copy.and_then(|position| user.entry(position));
        self.has_expired_by(copy.map(|entry| entry.time_ms), direction, ordinal)
    }

    fn has_expired_by(
        &self,
        time_ms: Option<u64>,
        direction: &Direction,
        ordinal: &Ordinal,
    ) -> bool {
        if direction.may_have_faded(ordinal)
            || self.may_be_over(direction.digest_of(ordinal), time_ms, ordinal.sent_at)
        {
            return true;
        }
        if !self.is_expiring() {
            return false;
        }
        let time_ms = time_ms.or_else(|| {
            let sent_at =
                ordinal.sent_at.or_else(|| direction.attempt_of(ordinal).map(|a| a.sent_at));
            sent_at.map(|at| self.clock.earliest_since(at))
        });
        time_ms.is_none_or(|time_ms| time_ms <= self.expired_through_ms)
    }

    fn missing_messages(
        &self,
        from: u32,
        to: u32,
        direction: &Direction,
        missing: &mut Vec<String>,
        expired: &mut u64,
    ) {
        let user = &self.users[to as usize];
        let owed: Vec<_> = user.devices.iter().filter(|device| !device.is_gone).collect();
        if !user.is_good || owed.is_empty() {
            return;
        }
        let sender = self.users[from as usize].id;
        for (nth, ordinal) in direction.ordinals.iter().enumerate() {
            for device in &owed {
                if has(device, ordinal.position, direction.attempt_of(ordinal).map(|a| a.sent_at)) {
                    continue;
                }
                if self.may_be_dropped(from, to, ordinal) {
                    continue;
                }
                if self.may_have_expired(direction, ordinal) {
                    *expired += 1;
                } else if missing.len() < TOLD_MAX {
                    missing.push(format!(
                        "message {} from {sender} to {} lacks on device {} ({ordinal:?})",
                        nth + 1,
                        user.id,
                        device.number
                    ));
                }
            }
        }
    }

    fn missing_copies(
        &self,
        from: u32,
        to: u32,
        direction: &Direction,
        missing: &mut Vec<String>,
        expired: &mut u64,
    ) {
        let user = &self.users[from as usize];
        if !user.is_good || from == to || user.devices.len() < 2 {
            return;
        }
        for (nth, ordinal) in direction.ordinals.iter().enumerate() {
            let Some((sender, _)) = ordinal.sender else { continue };
            let sent_at = direction.attempt_of(ordinal).map(|attempt| attempt.sent_at);
            let others = user.devices.iter().filter(|device| device.number != sender);
            for device in others.filter(|device| !device.is_gone) {
                let is_owed = device.welcomed_at.zip(sent_at).is_some_and(|(at, sent)| at < sent);
                if !is_owed || has(device, ordinal.copy, sent_at) {
                    continue;
                }
                if self.copy_may_have_expired(user, direction, ordinal) {
                    *expired += 1;
                } else if missing.len() < TOLD_MAX {
                    missing.push(format!(
                        "the copy of message {} from {} to {} lacks on device {} ({ordinal:?})",
                        nth + 1,
                        user.id,
                        self.users[to as usize].id,
                        device.number
                    ));
                }
            }
        }
    }

    /// Connections whose hello has waited for too long.
    fn missing_answers(&self, missing: &mut Vec<String>) {
        let mut waiting: Vec<_> = self
            .links
            .iter()
            .filter_map(|(&conn, link)| match link.stage {
                Stage::Greeted { at, is_spoilt: false } if self.now > at + ANSWER_MAX => Some(conn),
                _ => None,
            })
            .collect();
        waiting.sort_unstable();
        missing.extend(waiting.first().map(|conn| format!("no answer to the hello on {conn}")));
        let is_late = |link: &Link| {
            link.pages.front().is_some_and(|page| self.now > page.asked_at + ANSWER_MAX)
        };
        let late = self.links.iter().filter(|(_, link)| is_late(link)).map(|(conn, _)| conn).min();
        missing.extend(late.map(|conn| format!("no end of the page on {conn}")));
    }

    /// What must hold of everything that was seen, once it is at rest.
    pub(crate) fn judge_whole(&mut self) {
        for at in 0..self.users.len() {
            let outcome = self.judge_inbox(&self.users[at]);
            self.judge(outcome);
        }
        self.judge_references();
        self.judge_blocks();
        self.judge_groups();
    }

    /// Ordinals of an author rise with the positions, and a new device began where it had to.
    fn judge_inbox(&self, user: &User) -> Result<(), Complaint> {
        user.judge_density()?;
        let mut last = hashbrown::HashMap::new();
        for (nth, entry) in user.inbox.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let of = (entry.peer, entry.own, entry.is_notice);
            let before = last.insert(of, entry.ordinal);
            // Copies are put in once the peer has the message, so they may overtake each other.
            if !(entry.own || entry.is_notice)
                && before.is_some_and(|before| before >= entry.ordinal)
            {
                let detail = format!("{before:?} before {entry:?} at {}", nth + 1);
                return Err(Complaint("one order for all devices", detail));
            }
        }
        for device in &user.devices {
            let Some(start) = device.start else { continue };
            for position in device.start_floor + 1..=start {
                let Some(entry) = user.entry(position).filter(|entry| !entry.own) else { continue };
                let is_over = self.may_be_over(Some(entry.digest), Some(entry.time_ms), None);
                if entry.time_ms > self.expired_through_ms && !is_over {
                    let detail = format!(
                        "device {} of {} began after {start}, without {position}",
                        device.number, user.id
                    );
                    return Err(Complaint("a new device gets what is kept", detail));
                }
            }
        }
        Ok(())
    }

    /// Receipts that an author's device should have by now and hasn't. A device asks for them at its login;
    /// without another one it need only know how far the peer is with messages that it has: what another
    /// device sent before this one's time is nothing that it could show a receipt of.
    pub(crate) fn missing_receipts(&self, was_asked: bool) -> Vec<String> {
        let mut missing = Vec::new();
        let mut pairs: Vec<_> =
            self.directions_by_pair.iter().map(|(&pair, &at)| (pair, at)).collect();
        pairs.sort_unstable();
        for ((from, to), at) in pairs {
            let (author, reader) = (&self.users[from as usize], &self.users[to as usize]);
            if !author.is_good || !reader.is_good || from == to || self.may_block(to, from) {
                continue;
            }
            let direction = &self.directions[at as usize];
            let known = direction.stored.min(direction.ordinals.len() as u64);
            let last = known.checked_sub(1).map(|nth| &direction.ordinals[nth as usize]);
            if last.is_some_and(|last| self.may_have_expired(direction, last)) {
                continue;
            }
            let saw =
                |device: &Device| device.conversations.get(&from).map_or(0, |known| known.seen);
            let kept = reader.devices.iter().filter(|device| !device.is_gone);
            let seen = kept.map(saw).max().unwrap_or(0);
            for device in author.devices.iter().filter(|device| !device.is_gone) {
                let Some(state) = device.conversations.get(&to).filter(|known| known.out_last > 0)
                else {
                    continue;
                };
                let owed = |ordinal: u64| {
                    // What no device of the author knows that it was sent is not asked for.
                    if was_asked { ordinal.min(state.out_last) } else { state.last_out(ordinal) }
                };
                let owes_read = !self.may_hide_reads(to) && state.read < owed(seen);
                if state.delivered < owed(direction.stored) || owes_read {
                    missing.push(format!(
                        "device {} of {} knows {state:?} of {}; true are {} and {seen}",
                        device.number, author.id, reader.id, direction.stored
                    ));
                }
            }
        }
        missing.truncate(TOLD_MAX);
        missing
    }
}

/// Whether a device has what it is owed: the message itself, or nothing because it came before its time.
fn has(device: &Device, position: Option<u64>, sent_at: Option<Time>) -> bool {
    match position {
        Some(position) => {
            device.received.contains(position)
                || device.start.is_some_and(|start| position <= start)
        }
        // Nobody was ever given it. It may have come before the device's time.
        None => {
            sent_at.zip(device.welcomed_at).is_none_or(|(sent, welcomed)| sent < welcomed)
                && device.start.is_some_and(|start| start > 0)
        }
    }
}
