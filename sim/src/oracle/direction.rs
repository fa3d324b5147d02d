//! Everything from one user to another: what was sent, which ordinals it got, and what was said about them.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::Complaint;
use super::digest::Digest;
use crate::clock::Time;

/// Accepted sends of a device that a server must be able to answer again.
pub(crate) const RESENDS_KEPT: usize = 128;

/// Something that a device sent whole. A repetition of the same is the same attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) device: u16,
    pub(crate) number: u64,
    pub(crate) digest: Digest,
    /// When it was first written.
    pub(crate) sent_at: Time,
    /// The ordinal under which it was delivered.
    pub(crate) delivered_as: Option<u64>,
    /// The sender was told that it is not taken.
    pub(crate) is_rejected: bool,
    /// The message that it refers to was known to be there.
    pub(crate) has_target: bool,
}

/// What is known of an ordinal.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ordinal {
    /// Device and number, as a tick told.
    pub(crate) sender: Option<(u16, u64)>,
    /// As a delivery showed.
    pub(crate) digest: Option<Digest>,
    /// Position in the recipient's inbox.
    pub(crate) position: Option<u64>,
    /// Position of the copy in the sender's inbox.
    pub(crate) copy: Option<u64>,
    /// When the server took it, as it says itself, in Unix milliseconds.
    pub(crate) time_ms: Option<u64>,
    /// When its sender was first told that it is taken.
    pub(crate) ticked_at: Option<Time>,
    /// When the first attempt that can be it was written.
    pub(crate) sent_at: Option<Time>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    pub(crate) attempts: Vec<Attempt>,
    /// What the reader saw when that wasn't surely hidden.
    pub(crate) seen_openly: u64,
    /// What the reader saw while it was hidden, and when that was said.
    pub(crate) seen_hidden: Vec<(Time, u64)>,
    by_number: BTreeMap<(u16, u64), Vec<u32>>,
    by_digest: HashMap<Digest, Vec<u32>>,
    /// From ordinal 1.
    pub(crate) ordinals: Vec<Ordinal>,
    /// Ticks by device and number.
    ticks: BTreeMap<(u16, u64), u64>,
    /// Something of it disappears.
    has_fading: bool,
    /// What devices of the recipient said that they stored, and that the person saw.
    pub(crate) stored: u64,
    pub(crate) seen: u64,
}

impl Direction {
    /// A device sent something whole; `true` if it is new.
    pub(crate) fn attempt(
        &mut self,
        device: u16,
        number: u64,
        digest: Digest,
        sent_at: Time,
        has_target: bool,
    ) -> bool {
        let before = self.by_number.entry((device, number)).or_default();
        if before.iter().any(|&at| self.attempts[at as usize].digest == digest) {
            return false;
        }
        let at = self.attempts.len() as u32;
        before.push(at);
        self.by_digest.entry(digest).or_default().push(at);
        self.has_fading |= digest.lives_ms().is_some();
        let (delivered_as, is_rejected) = (None, false);
        self.attempts.push(Attempt {
            device,
            number,
            digest,
            sent_at,
            delivered_as,
            is_rejected,
            has_target,
        });
        true
    }

    /// Whether the sender knows that this was taken.
    pub(crate) fn tick_of(&self, device: u16, number: u64) -> Option<u64> {
        self.ticks.get(&(device, number)).copied()
    }

    /// A send was answered with an ordinal. Returns whether it is the first answer of this kind.
    pub(crate) fn ticked(
        &mut self,
        (device, number): (u16, u64),
        ordinal: u64,
        (time_ms, now): (u64, Time),
    ) -> Result<bool, Complaint> {
        if let Some(before) = self.tick_of(device, number) {
            if before != ordinal {
                let detail =
                    format!("number {number} of device {device} got {before}, now {ordinal}");
                return Err(Complaint("a resend is answered with its first ordinal", detail));
            }
            return Ok(false);
        }
        let Some(candidates) = self.by_number.get(&(device, number)) else {
            let detail = format!("number {number} of device {device} was never sent whole");
            return Err(Complaint("a tick is for something that was sent", detail));
        };
        let candidates = candidates.clone();
        self.judge_order(device, number, ordinal)?;
        let first = candidates.iter().map(|&at| self.attempts[at as usize].sent_at).min();
        for &at in &candidates {
            let delivered_as = self.attempts[at as usize].delivered_as;
            if candidates.len() == 1 && delivered_as.is_some_and(|known| known != ordinal) {
                let detail = format!("delivered as {delivered_as:?}, ticked as {ordinal}");
                return Err(Complaint("a message is taken once", detail));
            }
        }
        let attempts = &self.attempts;
        let known = Self::ordinal(&mut self.ordinals, attempts.len(), ordinal)?;
        if let Some(sender) = known.sender {
            let detail = format!("ordinal {ordinal} is {sender:?} and now {:?}", (device, number));
            return Err(Complaint("an ordinal is used once", detail));
        }
        if let Some(digest) = known.digest
            && !candidates.iter().any(|&at| attempts[at as usize].digest == digest)
        {
            let detail = format!("ordinal {ordinal} was delivered with another body");
            return Err(Complaint("an ordinal is used once", detail));
        }
        known.sender = Some((device, number));
        known.ticked_at = Some(now);
        known.sent_at = known.sent_at.or(first);
        if time_ms > 0 {
            known.time_ms = known.time_ms.or(Some(time_ms));
        }
        self.ticks.insert((device, number), ordinal);
        Ok(true)
    }

    /// Numbers and ordinals of a device rise together.
    fn judge_order(&self, device: u16, number: u64, ordinal: u64) -> Result<(), Complaint> {
        let below = self.ticks.range((device, 0)..(device, number)).next_back();
        let above = self.ticks.range((device, number)..=(device, u64::MAX)).next();
        let is_wrong = below.is_some_and(|(_, &known)| known >= ordinal)
            || above.is_some_and(|(_, &known)| known <= ordinal);
        if is_wrong {
            let detail = format!("number {number} got {ordinal}, between {below:?} and {above:?}");
            return Err(Complaint("a sender's order is kept", detail));
        }
        Ok(())
    }

    /// A send was turned down.
    pub(crate) fn rejected(
        &mut self,
        device: u16,
        number: u64,
        is_stale: bool,
    ) -> Result<(), Complaint> {
        let newer =
            self.by_number.range((device, number.saturating_add(1))..=(device, u64::MAX)).count();
        let Some(ordinal) = self.tick_of(device, number) else {
            if is_stale && newer == 0 {
                let detail = format!("number {number} is the newest of device {device}");
                return Err(Complaint("a number is stale only behind a newer one", detail));
            }
            return Ok(());
        };
        if is_stale && newer >= RESENDS_KEPT {
            return Ok(());
        }
        let detail = format!("number {number} of device {device} has ordinal {ordinal}");
        Err(Complaint("what was ticked is never rejected", detail))
    }

    /// The sender knows for good that its send was turned down, and won't repeat it. Returns what it was.
    pub(crate) fn given_up(&mut self, device: u16, number: u64) -> Result<Vec<Digest>, Complaint> {
        let mut given_up = Vec::new();
        for &at in self.by_number.get(&(device, number)).into_iter().flatten() {
            let attempt = &mut self.attempts[at as usize];
            if !std::mem::replace(&mut attempt.is_rejected, true) {
                given_up.push(attempt.digest);
            }
            if let Some(ordinal) = attempt.delivered_as {
                let detail =
                    format!("number {number} of device {device} was delivered as {ordinal}");
                return Err(Complaint("nothing is kept of what is rejected", detail));
            }
        }
        Ok(given_up)
    }

    /// A message was delivered to the recipient, at a position of its inbox.
    pub(crate) fn delivered(
        &mut self,
        ordinal: u64,
        digest: Digest,
        time_ms: u64,
        position: u64,
    ) -> Result<(), Complaint> {
        let Some(candidates) = self.by_digest.get(&digest) else {
            let detail = format!("ordinal {ordinal} with {digest:?}");
            return Err(Complaint("a body arrives as it was sent", detail));
        };
        let only = if let [only] = candidates[..] { Some(only) } else { None };
        let of_sender = |attempts: &[Attempt], sender: (u16, u64)| {
            candidates.iter().any(|&at| {
                let attempt = &attempts[at as usize];
                (attempt.device, attempt.number) == sender
            })
        };
        let first = candidates.iter().map(|&at| self.attempts[at as usize].sent_at).min();
        let known = Self::ordinal(&mut self.ordinals, self.attempts.len(), ordinal)?;
        if known.digest.is_some_and(|known| known != digest) {
            let detail = format!("ordinal {ordinal} was {:?} and is {digest:?}", known.digest);
            return Err(Complaint("an ordinal is used once", detail));
        }
        if known.position.is_some_and(|known| known != position) {
            let detail = format!("ordinal {ordinal} at {:?} and at {position}", known.position);
            return Err(Complaint("a message has one position", detail));
        }
        if known.sender.is_some_and(|sender| !of_sender(&self.attempts, sender)) {
            let detail = format!("ordinal {ordinal} of {:?} has another body", known.sender);
            return Err(Complaint("a body arrives as it was sent", detail));
        }
        (known.digest, known.position) = (Some(digest), Some(position));
        known.time_ms = Some(time_ms);
        known.sent_at = known.sent_at.or(first);
        let Some(only) = only else { return Ok(()) };
        let attempt = &mut self.attempts[only as usize];
        if attempt.delivered_as.is_some_and(|known| known != ordinal) {
            let detail = format!(
                "number {} of device {} is {:?} and {ordinal}",
                attempt.number, attempt.device, attempt.delivered_as
            );
            return Err(Complaint("a message is taken once", detail));
        }
        if attempt.is_rejected {
            let detail = format!("number {} of device {}", attempt.number, attempt.device);
            return Err(Complaint("nothing is kept of what is rejected", detail));
        }
        attempt.delivered_as = Some(ordinal);
        let sender = (attempt.device, attempt.number);
        match self.ticks.get(&sender) {
            Some(&ticked) if ticked != ordinal => {
                let detail = format!("{sender:?} was ticked as {ticked}, delivered as {ordinal}");
                Err(Complaint("a message is taken once", detail))
            }
            _ => Ok(()),
        }
    }

    /// A copy of a message was delivered to another device of the sender.
    pub(crate) fn copied(
        &mut self,
        ordinal: u64,
        digest: Digest,
        position: u64,
        is_checked: bool,
    ) -> Result<(), Complaint> {
        let is_sent = self.by_digest.contains_key(&digest);
        let known = Self::ordinal(&mut self.ordinals, self.attempts.len(), ordinal)?;
        let is_wrong = !is_sent || known.digest.is_some_and(|known| known != digest);
        if is_checked && is_wrong {
            let detail = format!("copy of ordinal {ordinal} is {digest:?}, not {:?}", known.digest);
            return Err(Complaint("a body arrives as it was sent", detail));
        }
        if known.copy.is_some_and(|known| known != position) {
            let detail = format!("copy of ordinal {ordinal} at {:?} and {position}", known.copy);
            return Err(Complaint("a message has one position", detail));
        }
        known.copy = Some(position);
        Ok(())
    }

    fn ordinal(
        ordinals: &mut Vec<Ordinal>,
        attempts: usize,
        ordinal: u64,
    ) -> Result<&mut Ordinal, Complaint> {
        if ordinal == 0 || ordinal > attempts as u64 {
            let detail = format!("ordinal {ordinal} of {attempts} messages");
            return Err(Complaint("ordinals are dense", detail));
        }
        if ordinals.len() < ordinal as usize {
            ordinals.resize(ordinal as usize, Ordinal::default());
        }
        Ok(&mut ordinals[ordinal as usize - 1])
    }

    /// What a device sent under a number: one body, if it keeps the rules.
    pub(crate) fn attempts_of(&self, device: u16, number: u64) -> impl Iterator<Item = &Attempt> {
        let found = self.by_number.get(&(device, number)).into_iter().flatten();
        found.map(|&at| &self.attempts[at as usize])
    }

    /// What an ordinal carries, where that is known.
    pub(crate) fn digest_of(&self, ordinal: &Ordinal) -> Option<Digest> {
        ordinal.digest.or_else(|| {
            let mut sent = self.attempts_of(ordinal.sender?.0, ordinal.sender?.1);
            let first = sent.next()?;
            sent.next().is_none().then_some(first.digest)
        })
    }

    /// Whether nobody was ever told what an ordinal carries, which may be something that was over before. Its
    /// sender may have lost its store.
    pub(crate) fn may_have_faded(&self, ordinal: &Ordinal) -> bool {
        self.has_fading && ordinal.sender.is_none() && ordinal.digest.is_none()
    }

    /// When the server took this message, as it says itself.
    pub(crate) fn time_of(&self, place: u64) -> Option<u64> {
        self.ordinals.get((place as usize).checked_sub(1)?)?.time_ms
    }

    /// The attempt that an ordinal stands for, where that is sure.
    pub(crate) fn attempt_of(&self, ordinal: &Ordinal) -> Option<&Attempt> {
        let candidates = match (ordinal.sender, ordinal.digest) {
            (Some(sender), _) => self.by_number.get(&sender),
            (None, Some(digest)) => self.by_digest.get(&digest),
            (None, None) => None,
        };
        candidates.and_then(|found| found.first()).map(|&at| &self.attempts[at as usize])
    }
}
