//! State between one inbox and one peer, on the inbox's home core: which sends were taken, and how
//! far the inbox's owner is with them.

use super::record::{ConversationRecord, Sender};
use super::seam::{DeviceId, Message, Origin, Ticket, UserId};

/// Something that needs the conversation (and the inbox) in memory.
#[derive(Debug)]
pub(super) enum Action {
    /// Take a message from the peer.
    Append { origin: Origin, message: Message, copy: bool, is_sender_full: bool },
    /// Put a copy of an own send, which the peer's inbox has, into this inbox.
    Copy { origin: Origin, ordinal: u64, time_ms: u64, message: Message },
    /// A device stored the peer's messages up to an ordinal.
    Delivered { ordinal: u64 },
    /// The user saw the peer's messages up to an ordinal, on this device.
    Read { ordinal: u64, device: DeviceId },
    /// The peer asks for the receipt.
    Ask,
    /// An own device asks how far the others read.
    AskOwn { device: DeviceId },
}

impl Action {
    /// Whether the inbox itself must be in memory too.
    pub(super) const fn needs_inbox(&self) -> bool {
        matches!(self, Action::Append { .. } | Action::Copy { .. })
    }

    /// Whether it may be turned down where too much waits: nobody was promised it.
    pub(super) const fn can_be_refused(&self) -> bool {
        matches!(self, Action::Append { .. } | Action::Ask | Action::AskOwn { .. })
    }

    /// Whether it moves a receipt, which must be stored no later than the device's cursor.
    pub(super) const fn moves_receipt(&self) -> bool {
        matches!(self, Action::Delivered { .. } | Action::Read { .. })
    }
}

/// See the module's description.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent marks of membership in queues
pub(super) struct Conversation {
    /// Whose inbox.
    pub(super) user: UserId,
    /// The other side.
    pub(super) peer: UserId,
    pub(super) record: ConversationRecord,
    /// Whether the record is here; until then actions wait.
    pub(super) loaded: bool,
    /// Actions in the order in which they came; boxed since it is nearly always empty.
    #[allow(clippy::box_collection)]
    pub(super) waiting: Option<Box<Vec<Action>>>,
    /// In the inbox's list of conversations that wait for it to be loaded.
    pub(super) stalled: bool,
    /// Ticket of the last write of this record.
    pub(super) last_ticket: Ticket,
    /// Must be stored with this turn's writes.
    pub(super) write_queued: bool,
    /// Has moved receipts that are not stored.
    pub(super) dirty: bool,
    /// Waits in a queue of receipts to tell.
    pub(super) receipt_queued: bool,
    /// The receipt to tell is not only about reading.
    pub(super) delivered_news: bool,
    /// When it was last used, on the monotonic clock.
    pub(super) used_ms: u64,
}

/// What is to be done with a numbered send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new.
    New,
    /// It was taken before, under this ordinal.
    Repeated { ordinal: u64 },
    /// Its number is spent, and what became of it is no longer known.
    Stale,
}

impl Conversation {
    pub(super) fn loading(user: UserId, peer: UserId, mono_ms: u64) -> Self {
        Conversation {
            user,
            peer,
            record: ConversationRecord::default(),
            loaded: false,
            waiting: None,
            stalled: false,
            last_ticket: 0,
            write_queued: false,
            dirty: false,
            receipt_queued: false,
            delivered_news: false,
            used_ms: mono_ms,
        }
    }

    /// Whether it can be let go: everything is stored up to `stored` and nothing waits.
    pub(super) fn is_unused(&self, stored: Ticket) -> bool {
        self.loaded
            && self.waiting.is_none()
            && !self.stalled
            && self.last_ticket <= stored
            && !(self.write_queued || self.dirty || self.receipt_queued)
    }

    /// Judges the number of a send.
    pub(super) fn judge(&self, device: DeviceId, number: u64) -> Verdict {
        let Some(sender) = self.record.senders.iter().find(|sender| sender.device == device) else {
            return Verdict::New;
        };
        if number > sender.last() {
            return Verdict::New;
        }
        sender.ordinal_of(number).map_or(Verdict::Stale, |ordinal| Verdict::Repeated { ordinal })
    }

    /// Takes a send that was judged new; returns its ordinal.
    pub(super) fn accept(&mut self, device: DeviceId, number: u64) -> u64 {
        self.record.ordinal += 1;
        let ordinal = self.record.ordinal;
        let senders = &mut self.record.senders;
        if let Some(sender) = senders.iter_mut().find(|sender| sender.device == device) {
            sender.push(number, ordinal);
        } else {
            let mut sender = Sender { device, runs: smallvec::SmallVec::new() };
            sender.push(number, ordinal);
            senders.push(sender);
        }
        ordinal
    }

    /// Whether the copy of this own send is new; if so it is noted.
    pub(super) fn accept_copy(&mut self, device: DeviceId, number: u64) -> bool {
        match self.record.copies.iter_mut().find(|(known, _)| *known == device) {
            Some((_, last)) if *last >= number => false,
            Some((_, last)) => {
                *last = number;
                true
            }
            None => {
                self.record.copies.push((device, number));
                true
            }
        }
    }

    /// A device of the user has the messages up to `ordinal`; `true` if that is news.
    pub(super) fn set_delivered(&mut self, ordinal: u64) -> bool {
        let ordinal = ordinal.min(self.record.ordinal);
        let news = ordinal > self.record.delivered;
        self.record.delivered = self.record.delivered.max(ordinal);
        news
    }

    /// The user saw the messages up to `ordinal`; `true` if that is news.
    pub(super) fn set_read(&mut self, ordinal: u64) -> bool {
        let ordinal = ordinal.min(self.record.ordinal);
        let news = ordinal > self.record.read;
        self.record.read = self.record.read.max(ordinal);
        self.record.delivered = self.record.delivered.max(self.record.read);
        news
    }
}
