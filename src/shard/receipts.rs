//! Receipts: cursors of a reader, told to the author. A later one includes all earlier ones, so
//! they gather over a turn and may wait under load.

use fulmar_protocol::{Code, Frame};

use super::conversation::Action;
use super::{ConnId, DeviceId, Effects, Letter, Level, Shard, UserId};
use crate::limits::STALLED_RECEIPTS_MAX;

impl Shard {
    /// A device of the user stored the author's messages up to `ordinal`.
    pub(super) fn delivered(&mut self, slot: u32, author: UserId, ordinal: u64, fx: &mut Effects) {
        let user = self.users[slot].id;
        match self.loaded_conversation(user, author) {
            Some(conversation) => self.note_delivered(conversation, ordinal),
            None => self.with_conversation(user, author, Action::Delivered { ordinal }, fx),
        }
    }

    pub(super) fn note_delivered(&mut self, conversation_slot: u32, ordinal: u64) {
        let conversation = &mut self.conversations[conversation_slot];
        if conversation.set_delivered(ordinal) {
            // One that is held since it was only about reading goes out after all.
            let is_first = !std::mem::replace(&mut conversation.delivered_news, true);
            self.mark_conversation_dirty(conversation_slot);
            self.queue_receipt(conversation_slot, is_first);
        }
    }

    /// The person saw a peer's messages.
    pub(super) fn read(&mut self, conn: ConnId, peer: UserId, ordinal: u64, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let (user, device) = (session.user, session.device);
        if peer != 0 {
            self.with_conversation(user, peer, Action::Read { ordinal, device }, fx);
        }
    }

    pub(super) fn note_read(
        &mut self,
        conversation_slot: u32,
        ordinal: u64,
        device: DeviceId,
        fx: &mut Effects,
    ) {
        let conversation = &mut self.conversations[conversation_slot];
        let delivered = conversation.record.delivered;
        if conversation.set_read(ordinal) {
            let is_first =
                conversation.record.delivered > delivered && !conversation.delivered_news;
            conversation.delivered_news |= is_first;
            let user = conversation.user;
            self.mark_conversation_dirty(conversation_slot);
            self.queue_receipt(conversation_slot, is_first);
            self.tell_own(user, conversation_slot, |other| other != device, fx);
        }
    }

    /// Tells devices of the reader itself how far it read.
    pub(super) fn tell_own(
        &mut self,
        user: UserId,
        conversation_slot: u32,
        is_told: impl Fn(DeviceId) -> bool,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.loaded_user(user) else { return };
        let conversation = &self.conversations[conversation_slot];
        let frame = Frame::Receipt {
            peer: conversation.peer,
            delivered: conversation.record.delivered,
            read: conversation.record.read,
            own: true,
        };
        let sessions = self.users[slot].sessions.clone();
        for (device, conn) in sessions {
            // One that is full learns it when it asks.
            if is_told(device) && !self.is_output_full(conn) {
                self.put(conn, &frame, fx);
            }
        }
    }

    /// Queues a receipt, once; `again` if one that is held must be looked at again.
    fn queue_receipt(&mut self, conversation_slot: u32, again: bool) {
        let conversation = &mut self.conversations[conversation_slot];
        if !conversation.receipt_queued || again {
            conversation.receipt_queued = true;
            self.receipts.push_back((conversation.user, conversation.peer));
        }
    }

    /// Tells what gathered during the turn, and what waited if the load fell.
    pub(super) fn tell_receipts(&mut self, fx: &mut Effects) {
        if self.level == Level::Normal && !self.receipts_held.is_empty() {
            self.receipts.extend(self.receipts_held.drain(..));
        }
        while let Some((reader, author)) = self.receipts.pop_front() {
            let Some(slot) = self.loaded_conversation(reader, author) else { continue };
            let conversation = &mut self.conversations[slot];
            if !conversation.receipt_queued {
                continue;
            }
            let held = match self.level {
                Level::Normal => false,
                Level::HoldRead => !conversation.delivered_news,
                Level::HoldDelivered | Level::RefuseLogins => true,
            };
            if held {
                self.counters.receipts_held += 1;
                self.receipts_held.push((reader, author));
                continue;
            }
            conversation.receipt_queued = false;
            conversation.delivered_news = false;
            let (delivered, read) = (conversation.record.delivered, conversation.record.read);
            if self.is_home_of(author) {
                self.receipt_to_author(author, reader, delivered, read, fx);
            } else {
                let letter = Letter::Receipt { author, reader, delivered, read };
                self.post(author, letter, fx);
            }
        }
    }

    /// Shows a receipt to the author's logged-in devices. One that is away asks when it returns.
    pub(super) fn receipt_to_author(
        &mut self,
        author: UserId,
        reader: UserId,
        delivered: u64,
        read: u64,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.loaded_user(author) else { return };
        let frame = Frame::Receipt { peer: reader, delivered, read, own: false };
        let mut index = 0;
        while let Some(&(_, conn)) = self.users[slot].sessions.get(index) {
            index += 1;
            if self.is_output_full(conn) {
                self.stall_receipt(conn, reader, fx);
            } else {
                self.put(conn, &frame, fx);
            }
        }
    }

    /// Remembers that a connection must be told a receipt once its output has room.
    fn stall_receipt(&mut self, conn: ConnId, reader: UserId, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        if session.stalled_receipts.contains(&reader) {
            return;
        }
        if session.stalled_receipts.len() < STALLED_RECEIPTS_MAX {
            session.stalled_receipts.push(reader);
        } else {
            let detail = "the connection doesn't take what it is sent";
            self.end(conn, Code::Overloaded, detail, fx);
        }
    }

    pub(super) fn tell_stalled_receipts(&mut self, conn: ConnId, fx: &mut Effects) {
        if self.is_output_full(conn) {
            return;
        }
        let Some(session) = self.session(conn) else { return };
        let author = session.user;
        for reader in std::mem::take(&mut session.stalled_receipts) {
            self.post(reader, Letter::Ask { author, reader }, fx);
        }
    }

    /// A device wants to know how far a peer is, and how far the user's other devices are.
    pub(super) fn ask(&mut self, conn: ConnId, peer: UserId, fx: &mut Effects) {
        self.pause_if_output_full(conn, fx);
        let Some(session) = self.session(conn) else { return };
        let (author, device) = (session.user, session.device);
        if peer != 0 {
            self.post(peer, Letter::Ask { author, reader: peer }, fx);
            self.with_conversation(author, peer, Action::AskOwn { device }, fx);
        }
    }

    pub(super) fn asked(&mut self, author: UserId, reader: UserId, fx: &mut Effects) {
        self.with_conversation(reader, author, Action::Ask, fx);
    }

    pub(super) fn answer_ask(&mut self, conversation_slot: u32, fx: &mut Effects) {
        let conversation = &self.conversations[conversation_slot];
        let letter = Letter::Receipt {
            author: conversation.peer,
            reader: conversation.user,
            delivered: conversation.record.delivered,
            read: conversation.record.read,
        };
        let author = conversation.peer;
        self.post(author, letter, fx);
    }
}
