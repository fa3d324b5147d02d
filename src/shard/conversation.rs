//! State between one log and one user, on the log's home core: which sends were taken, and of an
//! inbox how far its owner is with them.

use fulmar_protocol::Code;

use super::group::{Asker, Entering};
use super::inbox::Stage;
use super::people::Wish;
use super::record::{Audience, ConversationRecord, Sender};
use super::seam::{ConnId, DeviceId, LogId, Message, Origin, Ticket, UserId};
use crate::faults::{Fault, is_planted};

/// Something that needs the conversation (and the inbox) in memory.
#[derive(Debug)]
pub(super) enum Action {
    /// Take a message from the peer, or say under which code it isn't taken.
    Append { origin: Origin, message: Message, copy: bool, refusal: Option<Code> },
    /// A reaction of this inbox's user to the peer's message with this ordinal is on its way to the peer.
    Offer { origin: Origin, message: Message, place: u64 },
    /// Take a member's message or change into a group's log.
    Enter { origin: Origin, what: Entering },
    /// Put a copy of an own send, which the peer's inbox has, into this inbox.
    Copy { origin: Origin, ordinal: u64, time_ms: u64, message: Message },
    /// A device stored the peer's messages up to an ordinal.
    Delivered { ordinal: u64 },
    /// The user saw the peer's messages up to an ordinal, on this device and connection.
    Read { ordinal: u64, device: DeviceId, conn: ConnId },
    /// The peer asks for the receipt, on this connection of its home core or for all its devices.
    Ask { asker: Option<ConnId> },
    /// Set an item of the user's book that is about the peer, for this connection.
    Put { wish: Wish, conn: ConnId },
    /// The first message of the user to the peer is stored there.
    Wrote,
    /// The peer wants to know what it may see of the user, which may depend on the user's groups.
    May { asker: Asker, needs_groups: bool },
    /// The peer asked for the user's name, which only those find whom the user knows.
    Found { asker: Asker, question: u64 },
    /// The peer wants to know which groups the user is in, to show it what it read if they have one in common.
    Groups { asker: Asker },
    /// The peer is in a group with the user, and may see what the user read of it.
    ShowRead,
    /// The peer writes, or stopped.
    Typing { is_typing: bool },
    /// An own device asks how far the user and the peer are, on this connection.
    AskOwn { conn: ConnId },
}

impl Action {
    /// Whether the inbox itself must be in memory too.
    pub(super) const fn needs_inbox(&self) -> bool {
        match self {
            Action::Append { .. }
            | Action::Copy { .. }
            | Action::Put { .. }
            | Action::Found { .. }
            | Action::Groups { .. } => true,
            Action::May { needs_groups, .. } => *needs_groups,
            _ => false,
        }
    }

    /// Whether it moves a receipt, which must be stored no later than the device's cursor.
    pub(super) const fn moves_receipt(&self) -> bool {
        matches!(self, Action::Delivered { .. } | Action::Read { .. })
    }
}

/// What a receipt to tell is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    /// Nothing.
    Nothing,
    /// Only how far the user read.
    Read,
    /// How far a device has the messages, and perhaps reading.
    Delivered,
}

/// How the record in memory stands to the stored one.
///
/// ```text
/// Stored ──receipt──► Moved ──due──► Queued ──end of the turn──► Stored
///    └─────────────message─────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Save {
    /// It is stored, or handed to storage.
    Stored,
    /// Receipts moved. It is in its user's list of those to store with the user's cursors.
    Moved,
    /// It is stored with this turn's writes.
    Queued,
}

/// See the module's description.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent marks of membership in queues
pub(super) struct Conversation {
    /// Which log.
    pub(super) log: LogId,
    /// The other side, or a member of the group.
    pub(super) peer: UserId,
    pub(super) record: ConversationRecord,
    /// Until the record is here actions wait.
    pub(super) stage: Stage,
    /// Actions in the order in which they came; boxed since it is nearly always empty.
    #[allow(clippy::box_collection)]
    pub(super) waiting: Option<Box<Vec<Action>>>,
    /// In the inbox's list of conversations that wait for it to be loaded.
    pub(super) stalled: bool,
    /// Ticket of the last write of this record.
    pub(super) last_ticket: Ticket,
    pub(super) save: Save,
    /// What the author wasn't told yet.
    pub(super) news: News,
    /// In the list of receipts of this turn.
    pub(super) receipt_queued: bool,
    /// In the list of receipts that wait for the load to fall.
    pub(super) receipt_held: bool,
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
    pub(super) fn loading(log: LogId, peer: UserId, mono_ms: u64) -> Self {
        Conversation {
            log,
            peer,
            record: ConversationRecord::default(),
            stage: Stage::Loading,
            waiting: None,
            stalled: false,
            last_ticket: 0,
            save: Save::Stored,
            news: News::Nothing,
            receipt_queued: false,
            receipt_held: false,
            used_ms: mono_ms,
        }
    }

    /// Whether it can be let go: everything is stored up to `stored` and nothing waits.
    pub(super) fn is_unused(&self, stored: Ticket) -> bool {
        self.stage == Stage::Ready
            && self.waiting.is_none()
            && !self.stalled
            && self.last_ticket <= stored
            && self.save == Save::Stored
            && !(self.receipt_queued || self.receipt_held)
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
        let ordinal = self.record.ordinal + 1;
        self.accept_at(device, number, ordinal);
        ordinal
    }

    /// Notes a send to a group that was judged new, whose position is known.
    pub(super) fn accept_at(&mut self, device: DeviceId, number: u64, position: u64) {
        self.record.ordinal = position;
        let senders = &mut self.record.senders;
        if let Some(sender) = senders.iter_mut().find(|sender| sender.device == device) {
            sender.push(number, position);
        } else {
            let mut sender = Sender { device, runs: smallvec::SmallVec::new() };
            sender.push(number, position);
            senders.push(sender);
        }
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

    /// Shows the peer how far the user is, as far as it may know; returns what of that is news.
    pub(super) fn show(&mut self, reads: Audience, is_in_group_with: bool) -> News {
        let record = &mut self.record;
        if record.ties.blocks && !is_planted(Fault::BlockedGetsReceipts) {
            return News::Nothing;
        }
        let mut news = News::Nothing;
        if record.read_shown < record.read
            && (reads.includes(is_in_group_with || record.ties.is_known())
                || is_planted(Fault::HiddenReadsShown))
        {
            record.read_shown = record.read;
            news = News::Read;
        }
        if record.delivered_shown < record.delivered {
            record.delivered_shown = record.delivered;
            news = News::Delivered;
        }
        news
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
