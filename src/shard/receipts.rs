//! Receipts: cursors of a reader, told to the author. A later one includes all earlier ones, so
//! they gather over a turn and may wait under load.
//!
//! A device that asks is answered in any case. What it asked is under way in three steps: the own
//! conversation is loaded and told, the reader's home is asked, the receipt comes back to the
//! connection that asked.

use fulmar_protocol::{Code, Frame};

use super::conversation::{Action, Conversation, News};
use super::output::Patience;
use super::people::Question;
use super::record::{Audience, InboxRecord};
use super::{ConnId, DeviceId, Effects, Letter, Level, LogId, Shard, UserId};
use crate::faults::{Fault, is_planted};
use crate::limits::STALLED_RECEIPTS_MAX;

impl Shard {
    /// A device of the user stored the author's messages up to `ordinal`.
    pub(super) fn delivered(&mut self, slot: u32, author: UserId, ordinal: u64, fx: &mut Effects) {
        let user = self.users[slot].id;
        match self.loaded_conversation(LogId::Inbox(user), author) {
            Some(conversation) => self.note_delivered(conversation, ordinal),
            None => self.with_conversation(
                LogId::Inbox(user),
                author,
                Action::Delivered { ordinal },
                fx,
            ),
        }
    }

    pub(super) fn note_delivered(&mut self, conversation_slot: u32, ordinal: u64) {
        let ordinal = ordinal + u64::from(is_planted(Fault::ReceiptAhead));
        let conversation = &mut self.conversations[conversation_slot];
        if is_planted(Fault::ReadWithoutReading) {
            conversation.set_read(ordinal);
        }
        if conversation.set_delivered(ordinal) {
            self.mark_conversation_dirty(conversation_slot);
            if is_planted(Fault::ReadWithoutReading) {
                self.show_receipts(conversation_slot);
                return;
            }
            // What was read while that was hidden is shown with the next READ that isn't.
            let news = self.conversations[conversation_slot].show(Audience::Nobody, false);
            if news != News::Nothing {
                self.queue_receipt(conversation_slot, news);
            }
        }
    }

    /// The person saw a peer's messages.
    pub(super) fn read(&mut self, conn: ConnId, peer: UserId, ordinal: u64, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let (user, device) = (session.user, session.device);
        if peer == 0 {
            return;
        }
        session.asking += 1;
        session.reads_loading += 1;
        self.with_conversation(
            LogId::Inbox(user),
            peer,
            Action::Read { ordinal, device, conn },
            fx,
        );
        self.pause_if_full(conn, fx);
    }

    /// A READ of this session took effect.
    pub(super) fn read_is_noted(&mut self, conn: ConnId, fx: &mut Effects) {
        self.is_told_what_it_asked(conn);
        let Some(session) = self.session(conn) else { return };
        session.reads_loading = session.reads_loading.saturating_sub(1);
        if session.reads_loading == 0 {
            self.pay_pong(conn, fx);
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
        if conversation.set_read(ordinal) {
            let log = conversation.log;
            self.mark_conversation_dirty(conversation_slot);
            self.show_receipts(conversation_slot);
            self.tell_other_devices(log, conversation_slot, device, fx);
        }
    }

    /// Asks whether the author is in a group with the reader, if it sees only then what the reader read.
    pub(super) fn ask_whether_mate(
        &mut self,
        conversation_slot: u32,
        conn: ConnId,
        fx: &mut Effects,
    ) {
        let Conversation { log, peer, ref record, .. } = self.conversations[conversation_slot];
        let is_hidden = record.read_shown < record.read && !record.ties.blocks;
        let Some(slot) = self.loaded_owner(log).filter(|_| is_hidden) else { return };
        let InboxRecord { face, groups, .. } = &self.users[slot].record;
        if face.reads == Audience::Known && !groups.own_doing().is_empty() {
            self.ask_permission(Question::Reads { conn, author: peer }, fx);
        }
    }

    /// The author is in a group to which the reader wrote.
    pub(super) fn show_read_to_mate(&mut self, conversation_slot: u32) {
        self.mark_conversation_dirty(conversation_slot);
        self.show_receipts_if(conversation_slot, true);
    }

    /// Tells the reader's devices but the one on which it read.
    fn tell_other_devices(
        &mut self,
        log: LogId,
        conversation_slot: u32,
        device: DeviceId,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.loaded_owner(log) else { return };
        let peer = self.conversations[conversation_slot].peer;
        let frame = self.own_receipt(conversation_slot);
        self.tell_each(slot, peer, &frame, |other| other != device, fx);
    }

    /// How far the user is with what its peer wrote, for its own devices.
    fn own_receipt(&self, conversation_slot: u32) -> Frame<'static> {
        let conversation = &self.conversations[conversation_slot];
        let (delivered, read) = (conversation.record.delivered, conversation.record.read);
        Frame::Receipt { peer: conversation.peer, delivered, read, own: true }
    }

    /// Shows the author how far the user is, as far as it may see that.
    pub(super) fn show_receipts(&mut self, conversation_slot: u32) {
        self.show_receipts_if(conversation_slot, false);
    }

    fn show_receipts_if(&mut self, conversation_slot: u32, is_in_group_with: bool) {
        let conversation = &self.conversations[conversation_slot];
        // Who may see reads matters only where there is one to show.
        let has_read = conversation.record.read_shown < conversation.record.read;
        let owner = if has_read { self.loaded_owner(conversation.log) } else { None };
        let reads = owner.map_or(Audience::Nobody, |slot| self.users[slot].record.face.reads);
        let news = self.conversations[conversation_slot].show(reads, is_in_group_with);
        if news != News::Nothing {
            self.queue_receipt(conversation_slot, news);
        }
    }

    fn queue_receipt(&mut self, conversation_slot: u32, news: News) {
        let conversation = &mut self.conversations[conversation_slot];
        let Some(reader) = conversation.log.user() else { return };
        conversation.news = conversation.news.max(news);
        if !conversation.receipt_queued {
            conversation.receipt_queued = true;
            self.receipts.push_back((reader, conversation.peer));
        }
    }

    /// The load fell: what waited for that is looked at again.
    pub(super) fn release_held_receipts(&mut self) {
        let mut held = std::mem::take(&mut self.receipts_held);
        for (reader, author) in held.drain(..) {
            let Some(slot) = self.loaded_conversation(LogId::Inbox(reader), author) else {
                continue;
            };
            let conversation = &mut self.conversations[slot];
            conversation.receipt_held = false;
            let news = conversation.news;
            if news != News::Nothing {
                self.queue_receipt(slot, news);
            }
        }
        self.receipts_held = held;
    }

    /// Tells what gathered during the turn, as far as the load allows.
    pub(super) fn tell_receipts(&mut self, fx: &mut Effects) {
        while let Some((reader, author)) = self.receipts.pop_front() {
            let Some(slot) = self.loaded_conversation(LogId::Inbox(reader), author) else {
                continue;
            };
            let conversation = &mut self.conversations[slot];
            conversation.receipt_queued = false;
            let is_held = match self.level {
                Level::Normal | Level::DropTyping | Level::HoldPresence => false,
                Level::HoldRead => conversation.news == News::Read,
                Level::HoldDelivered | Level::RefuseLogins => true,
            };
            if is_held {
                self.counters.receipts_held += 1;
                if !conversation.receipt_held && !is_planted(Fault::HeldReceiptForgotten) {
                    conversation.receipt_held = true;
                    self.receipts_held.push((reader, author));
                }
                continue;
            }
            conversation.news = News::Nothing;
            let record = &conversation.record;
            let (delivered, read) = (record.delivered_shown, record.read_shown);
            if record.ties.blocks {
                continue;
            }
            if self.is_home_of(author) {
                self.receipt_to_author(author, reader, delivered, read, None, fx);
            } else {
                let letter = Letter::Receipt { author, reader, delivered, read, asker: None };
                self.post(author, letter, fx);
            }
        }
    }

    /// Shows a receipt to the connection that asked for it, or else to the author's logged-in
    /// devices. One that is away asks when it returns.
    pub(super) fn receipt_to_author(
        &mut self,
        author: UserId,
        reader: UserId,
        delivered: u64,
        read: u64,
        asker: Option<ConnId>,
        fx: &mut Effects,
    ) {
        let frame = Frame::Receipt { peer: reader, delivered, read, own: false };
        if let Some(conn) = asker {
            if self.is_told_what_it_asked(conn) {
                self.put(conn, &frame, fx);
            }
        } else if delivered > 0
            && let Some(slot) = self.loaded_user(author)
        {
            self.tell_each(slot, reader, &frame, |_| true, fx);
        }
    }

    /// Tells a user's devices a receipt that is about `peer`. One whose output is full is told later.
    fn tell_each(
        &mut self,
        slot: u32,
        peer: UserId,
        frame: &Frame<'_>,
        is_told: impl Fn(DeviceId) -> bool,
        fx: &mut Effects,
    ) {
        let mut index = 0;
        while let Some(&(device, conn)) = self.users[slot].sessions.get(index) {
            let sessions = self.users[slot].sessions.len();
            if !is_told(device) || (is_planted(Fault::ReceiptToOneDevice) && index > 0) {
                // Not meant.
            } else if self.is_output_full(conn) {
                self.stall_receipt(conn, peer, fx);
            } else {
                self.put_patiently(conn, frame, Patience::Receipt, fx);
            }
            // If the session ended, the next one took its place in the list.
            if self.users[slot].sessions.len() == sessions {
                index += 1;
            }
        }
    }

    /// Remembers that a connection must be told a receipt once its output has room, or ends it because
    /// it has too many such.
    fn stall_receipt(&mut self, conn: ConnId, peer: UserId, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        if session.stalled_receipts.contains(&peer) {
            return;
        }
        if session.stalled_receipts.len() < STALLED_RECEIPTS_MAX {
            session.stalled_receipts.push(peer);
            self.counters.receipts_stalled += 1;
            return;
        }
        self.end(conn, Code::Overloaded, "the connection doesn't take what it is sent", fx);
    }

    pub(super) fn tell_stalled_receipts(&mut self, conn: ConnId, fx: &mut Effects) {
        if self.is_output_full(conn) {
            return;
        }
        let Some(session) = self.session(conn) else { return };
        for peer in std::mem::take(&mut session.stalled_receipts) {
            if is_planted(Fault::StalledReceiptForgotten) {
                continue;
            }
            self.begin_ask(conn, peer, fx);
        }
    }

    /// A device wants to know how far a peer is, and how far the user's other devices are.
    pub(super) fn ask(&mut self, conn: ConnId, peer: UserId, fx: &mut Effects) {
        if peer == 0 {
            let frame = Frame::Receipt { peer, delivered: 0, read: 0, own: false };
            self.put(conn, &frame, fx);
        } else {
            self.begin_ask(conn, peer, fx);
        }
        self.pause_if_full(conn, fx);
    }

    fn begin_ask(&mut self, conn: ConnId, peer: UserId, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        session.asking += 1;
        let user = session.user;
        self.with_conversation(LogId::Inbox(user), peer, Action::AskOwn { conn }, fx);
    }

    /// The own conversation is here: tells the connection that asked, and asks the peer's home.
    pub(super) fn answer_ask_own(&mut self, slot: u32, conn: ConnId, fx: &mut Effects) {
        if self.session(conn).is_none() {
            return;
        }
        let frame = self.own_receipt(slot);
        self.put(conn, &frame, fx);
        let conversation = &self.conversations[slot];
        let (Some(author), reader) = (conversation.log.user(), conversation.peer) else { return };
        self.post(reader, Letter::Ask { author, reader, asker: Some(conn) }, fx);
    }

    pub(super) fn asked(
        &mut self,
        author: UserId,
        reader: UserId,
        asker: Option<ConnId>,
        fx: &mut Effects,
    ) {
        self.with_conversation(LogId::Inbox(reader), author, Action::Ask { asker }, fx);
    }

    pub(super) fn answer_ask(
        &mut self,
        conversation_slot: u32,
        asker: Option<ConnId>,
        fx: &mut Effects,
    ) {
        let conversation = &self.conversations[conversation_slot];
        let (author, Some(reader)) = (conversation.peer, conversation.log.user()) else { return };
        let record = &conversation.record;
        let (delivered, read) = (record.delivered_shown, record.read_shown);
        let letter = Letter::Receipt { author, reader, delivered, read, asker };
        self.post(author, letter, fx);
    }

    /// Counts the answer to a question; `false` if the session that asked is gone.
    pub(super) fn is_told_what_it_asked(&mut self, conn: ConnId) -> bool {
        let Some(session) = self.session(conn) else { return false };
        debug_assert!(session.asking > 0);
        session.asking = session.asking.saturating_sub(1);
        self.resume_later(conn);
        true
    }
}
