//! Whether an inbox or a group's log could be full when something was refused for that.
//!
//! What waits in an inbox is at most everything that may be in it, without what its slowest device is done with.
//! The server has surely taken an acknowledgement once it answered something that was written behind it on the
//! same connection; a crash may take it back until the second pong after it. What is under way counts as waiting.

use super::link::{Answered, Floors, Link};
use super::user::User;
use super::{Complaint, Oracle};

/// What the node holds at most, in one of its runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// For the slowest device of an inbox.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) group_messages: u64,
    pub(crate) group_bytes: u64,
    pub(crate) group_members: u64,
}

/// Groups that a user may be in.
pub(super) const USER_GROUPS_MAX: usize = 1_000;

impl Oracle {
    /// Up to where the inboxes that a send may fill are surely emptied.
    pub(super) fn floors(&self, from: u32, to: u32) -> Floors {
        let floor = |user: u32| self.users[user as usize].floor();
        Floors { to: floor(to), from: floor(from) }
    }

    /// Something was answered that was written behind acknowledgements.
    pub(super) fn took(&mut self, link: &Link, taken: u64, durable: u64) {
        let is_of_now = link.run == self.run;
        let Some(device) = self.users[link.user as usize].device(link.device) else { return };
        device.durable = device.durable.max(durable);
        if is_of_now {
            device.taken = device.taken.max(taken);
        }
    }

    /// The node starts again: it knows what was durable.
    pub(super) fn forget_taken(&mut self) {
        for device in self.users.iter_mut().flat_map(|user| &mut user.devices) {
            device.taken = device.durable;
        }
    }

    pub(super) fn quota_of(&self, run: u32) -> Option<Quota> {
        self.quotas.get(&run).copied()
    }

    /// A send was turned down since the recipient's inbox is full, or the sender's for its copy.
    pub(super) fn judge_quota(
        &self,
        link: &Link,
        to: u32,
        number: u64,
        answered: Answered,
    ) -> Result<(), Complaint> {
        let Some(quota) = self.quota_of(link.run) else { return Ok(()) };
        let direction = self.directions_by_pair.get(&(link.user, to));
        let direction = direction.map(|&at| &self.directions[at as usize]);
        let sent = direction.into_iter().flat_map(|it| it.attempts_of(link.device, number));
        let bodies: Vec<u64> = sent.map(|attempt| u64::from(attempt.digest.bytes)).collect();
        let body_bytes = bodies.iter().copied().max().unwrap_or(0);
        // It doesn't wait itself.
        let own = if let [bytes] = bodies[..] { (1, bytes) } else { (0, 0) };
        let Floors { to: floor, from: floor_of_sender } = answered.floors;
        let could_be_full = |user: u32, floor: u64| {
            let user = &self.users[user as usize];
            user.could_be_full(floor, own, body_bytes, quota)
        };
        let is_copied = self.inboxes_of(link.user, to).count() > 1;
        if could_be_full(to, floor) || (is_copied && could_be_full(link.user, floor_of_sender)) {
            return Ok(());
        }
        let waits = |user: u32, floor: u64| {
            let user = &self.users[user as usize];
            format!("{} of {}", user.waiting_max(floor).0, user.id)
        };
        let detail = format!(
            "at most {} wait, and {}; {quota:?}",
            waits(to, floor),
            waits(link.user, floor_of_sender)
        );
        Err(Complaint("an inbox is full only when it is", detail))
    }
}

impl User {
    /// The position up to which every device that the server may know is done.
    pub(super) fn floor(&self) -> u64 {
        let known = self.devices.iter().filter(|device| device.has_greeted);
        if self.is_good { known.map(|device| device.taken).min().unwrap_or(0) } else { 0 }
    }

    /// Messages, and bytes of their bodies, that may wait beyond a position.
    fn waiting_max(&self, floor: u64) -> (u64, u64) {
        let done = self.inbox.iter().take(floor as usize).flatten();
        let done_bytes: u64 =
            done.filter(|entry| !entry.is_notice).map(|entry| u64::from(entry.digest.bytes)).sum();
        (self.positions_max.saturating_sub(floor), self.bytes_max.saturating_sub(done_bytes))
    }

    pub(super) fn could_be_full(
        &self,
        floor: u64,
        (own, own_bytes): (u64, u64),
        body_bytes: u64,
        quota: Quota,
    ) -> bool {
        let (messages, bytes) = self.waiting_max(floor);
        messages.saturating_sub(own) >= quota.messages
            || bytes.saturating_sub(own_bytes) + body_bytes > quota.bytes
    }
}
