//! What everybody said and what was committed: the ground on which the server's words are judged.

mod groups;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fulmar::shard::{DeviceId, GroupId, Retention, UserId};
use fulmar_protocol::history::Past;
use fulmar_protocol::{Deliver, Pairs};

use super::ledger::{Known, Ledger};
use super::line::Limits;

/// Whom something is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Peer(UserId),
    /// None for a change that makes one.
    Group(GroupId),
}

/// Which send: the sender, its device, the recipient, the number.
type SendId = (UserId, DeviceId, UserId, u64);

/// The same of a group: the sender, its device, the group, the number.
type SendInId = (UserId, DeviceId, GroupId, u64);

/// See the module's description.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) ledger: Ledger,
    pub(super) known: Known,
    pub(super) limits: Limits,
    pub(super) retention: Retention,
    /// Those who ever said that they are before the program.
    pub(super) were_here: BTreeSet<UserId>,
    /// Who said that it writes: in which group, or to whom.
    pub(super) wrote: BTreeSet<(UserId, GroupId, UserId)>,
    /// Contents and bodies that were offered to a group, or to make one (0), under a number.
    offered_in: BTreeMap<SendInId, Vec<(u8, Bytes)>>,
    /// The position of each number of a device in a group.
    ticks_in: BTreeMap<(UserId, DeviceId, GroupId), BTreeMap<u64, u64>>,
    /// How far each device said that it has a group.
    acked_in: BTreeMap<(UserId, DeviceId, GroupId), u64>,
    /// The bodies that were offered under a number, whole.
    offered: BTreeMap<SendId, Vec<Bytes>>,
    /// (author, reader): the largest ordinals that a device of the reader acknowledged, and that the
    /// reader said it saw.
    delivered: BTreeMap<(UserId, UserId), u64>,
    seen: BTreeMap<(UserId, UserId), u64>,
}

impl Facts {
    pub(super) fn new(limits: Limits, retention: Retention) -> Self {
        Facts {
            ledger: Ledger::default(),
            known: Known::default(),
            limits,
            retention,
            were_here: BTreeSet::new(),
            wrote: BTreeSet::new(),
            offered_in: BTreeMap::new(),
            ticks_in: BTreeMap::new(),
            acked_in: BTreeMap::new(),
            offered: BTreeMap::new(),
            delivered: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// A client said a whole send; whether its number is new.
    pub(super) fn offer(
        &mut self,
        (user, device): (UserId, DeviceId),
        peer: UserId,
        number: u64,
        body: &[u8],
    ) -> bool {
        let bodies = self.offered.entry((user, device, peer, number)).or_default();
        let is_first = bodies.is_empty();
        if !bodies.iter().any(|known| known == body) {
            bodies.push(Bytes::copy_from_slice(body));
        }
        is_first
    }

    /// A device said that it has everything up to `position`.
    pub(super) fn acknowledge(&mut self, (user, device): (UserId, DeviceId), position: u64) {
        let position = position.min(self.ledger.head(user));
        let acked = self.known.acked.entry((user, device)).or_default();
        for position in *acked + 1..=position {
            let header = self.ledger.entry_at(user, position).expect("up to the head").header;
            if !header.own && !header.is_notice {
                let delivered = self.delivered.entry((header.peer, user)).or_default();
                *delivered = header.ordinal.max(*delivered);
            }
        }
        *acked = position.max(*acked);
    }

    /// A person saw a peer's messages up to `ordinal`.
    pub(super) fn read(&mut self, reader: UserId, author: UserId, ordinal: u64) {
        let seen = self.seen.entry((author, reader)).or_default();
        *seen = ordinal.max(*seen);
    }

    /// A tick speaks of a stored message that this device offered under this number.
    pub(super) fn check_tick(
        &self,
        (user, device): (UserId, DeviceId),
        peer: UserId,
        number: u64,
        ordinal: u64,
    ) {
        if self.ledger.is_dropped(user, peer, ordinal) {
            return;
        }
        let message = self.ledger.message(user, peer, ordinal);
        let (by, body) = message.expect("what is ticked is stored");
        assert_eq!(*by, device, "another device's message");
        let offered = self.offered.get(&(user, device, peer, number)).expect("it was offered");
        assert!(offered.contains(body), "another body under number {number}");
    }

    /// What is delivered is what is stored.
    pub(super) fn check_entry(&self, user: UserId, deliver: &Deliver<'_>, body: &[u8]) {
        let entry = self.ledger.entry_at(user, deliver.position).expect("it is stored");
        let header = entry.header;
        assert_eq!(entry.body, body);
        assert_eq!(
            (deliver.peer, deliver.ordinal, deliver.own, deliver.content, deliver.time_ms),
            (header.peer, header.ordinal, header.own, header.content, header.time_ms)
        );
    }

    /// What is told in a page is what is stored. What isn't kept any more may still be told.
    pub(super) fn check_past(&self, user: UserId, past: &Past<'_>, body: &[u8]) {
        let Past { group, position, peer, ordinal, time_ms, content, own, total_bytes, .. } = *past;
        assert!(position <= self.head(user, group), "a page of what isn't durable");
        if group == 0 {
            let deliver =
                Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body };
            self.check_entry(user, &deliver, body);
            return;
        }
        let groups = &self.ledger.groups;
        let entry = groups.entry_at(group, position).expect("it is stored");
        let header = entry.header;
        assert_eq!(entry.body, body);
        assert_eq!(
            (peer, ordinal, time_ms, content, own),
            (header.peer, 0, header.time_ms, header.content, header.peer == user)
        );
        assert!(groups.may_read(group, user, position), "{position} of {group} isn't for {user}");
    }

    /// The last committed position of a group, or of a user's inbox.
    pub(super) fn head(&self, user: UserId, group: GroupId) -> u64 {
        if group == 0 { self.ledger.head(user) } else { self.ledger.groups.head(group) }
    }

    /// Whether a page that covers a position must have had it, where everything is kept.
    pub(super) fn is_kept_for(&self, user: UserId, group: GroupId, position: u64) -> bool {
        if group > 0 {
            let entry = self.ledger.groups.entry_at(group, position);
            return entry.is_some_and(|entry| entry.header.over_ms == 0)
                && self.ledger.groups.is_always_readable(group, user, position);
        }
        let entry = self.ledger.entry_at(user, position);
        entry.is_some_and(|entry| entry.header.over_ms == 0 && !entry.header.is_notice)
    }

    /// A receipt says no more than the reader did.
    pub(super) fn check_receipt(&self, author: UserId, reader: UserId, delivered: u64, read: u64) {
        let pair = (author, reader);
        let seen = self.seen.get(&pair).copied().unwrap_or(0);
        let acked = self.delivered.get(&pair).copied().unwrap_or(0);
        assert!(read <= seen, "read {read} of {author} by {reader}, who saw {seen}");
        assert!(delivered <= acked.max(seen), "delivered {delivered}, acknowledged {acked}");
        assert!(read <= delivered);
    }

    /// A head is stored.
    pub(super) fn check_heads(&self, user: UserId, heads: &Pairs<'_>) {
        let heads: Vec<_> = heads.iter().collect();
        assert!(matches!(heads[..], [(0, head)] if head <= self.ledger.head(user)), "{heads:?}");
    }

    /// How far a device acknowledged its inbox.
    pub(super) fn acked(&self, user: UserId, device: DeviceId) -> u64 {
        self.known.acked.get(&(user, device)).copied().unwrap_or(0)
    }

    /// When every device has everything, every author can know it.
    pub(super) fn check_all_delivered(&self) {
        for reader in self.ledger.users() {
            let has_device = self.ledger.devices(reader).next().is_some();
            if has_device && !self.ledger.has_expired(reader, &self.known) {
                self.ledger.check_all_delivered(reader);
            }
        }
    }
}
