//! What everybody said and what was committed: the ground on which the server's words are judged.

use std::collections::BTreeMap;

use bytes::Bytes;
use fulmar::shard::{DeviceId, UserId};
use fulmar_protocol::{Deliver, Pairs};

use super::ledger::{Known, Ledger};
use super::line::Limits;

/// Which send: the sender, its device, the recipient, the number.
type SendId = (UserId, DeviceId, UserId, u64);

/// See the module's description.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) ledger: Ledger,
    pub(super) known: Known,
    pub(super) limits: Limits,
    /// The bodies that were offered under a number, whole.
    offered: BTreeMap<SendId, Vec<Bytes>>,
    /// (author, reader): the largest ordinals that a device of the reader acknowledged, and that the
    /// reader said it saw.
    delivered: BTreeMap<(UserId, UserId), u64>,
    seen: BTreeMap<(UserId, UserId), u64>,
}

impl Facts {
    pub(super) fn new(limits: Limits) -> Self {
        Facts {
            ledger: Ledger::default(),
            known: Known::default(),
            limits,
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
