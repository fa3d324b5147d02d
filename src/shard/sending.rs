//! A message on its way into a log: from the sender's frame to the tick.
//!
//! ```text
//! sender's home            recipient's home               storage
//! SEND ── Append letter ──► judge, number, append ──────► write
//! tick ◄─ Accepted letter ── (deliverable from here) ◄─── stored
//! ```
//!
//! With several devices of the sender the tick waits for its own copy too: Accepted brings the
//! message back, and the sender's home appends it to the sender's inbox.

use fulmar_protocol::{Code, Frame, Send};

use super::conversation::{Action, Verdict};
use super::counters::count;
use super::inbox::{self, TailEntry};
use super::record::{ENTRY_HEADER_BYTES_MAX, EntryHeader};
use super::{Answer, ConnId, Effects, Key, Letter, Message, Origin, Shard, UserId, Write};
use crate::limits::{OUTPUT_HIGH_BYTES, QUOTA_RETRY_MS};

/// What a send means for the sender's other devices.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// The message, if the answer must bring it back to be copied.
    pub(super) message: Option<Message>,
    /// The sender's own inbox has no room for the copy.
    pub(super) is_sender_full: bool,
}

impl Shard {
    pub(super) fn send(&mut self, conn: ConnId, send: &Send<'_>, fx: &mut Effects) {
        let core = self.config.core;
        let sends_max = self.config.sends_max;
        let Some(session) = self.session(conn) else { return };
        if session.upload.is_some() && send.total_bytes.is_some() {
            let detail = "a large body is in progress; the next one waits until it is complete";
            self.end(conn, Code::UnexpectedPart, detail, fx);
            return;
        }
        session.unanswered += 1;
        let full = session.unanswered >= sends_max;
        let slot = session.user_slot;
        let origin =
            Origin { core, conn, user: session.user, device: session.device, number: send.number };
        if full {
            self.pause(conn, fx);
        }
        self.pause_if_output_full(conn, fx);
        let body_bytes = send.total_bytes.unwrap_or(send.body.len() as u64);
        if let Some(code) = self.unacceptable(send.peer, body_bytes) {
            self.refuse_upload(conn, send);
            self.reject(origin, send.peer, code, 0, fx);
            return;
        }
        let Some(total_bytes) = send.total_bytes else {
            self.dispatch(slot, origin, send.peer, send.content, send.body, fx);
            return;
        };
        self.begin_upload(origin, send, total_bytes, fx);
    }

    /// What can be said against a send at the sender's home.
    fn unacceptable(&self, peer: UserId, body_bytes: u64) -> Option<Code> {
        if peer == 0 {
            return Some(Code::BadPeer);
        }
        (body_bytes > self.config.body_bytes_max).then_some(Code::BodyTooLarge)
    }

    fn is_over_quota(&self, slot: u32, body_bytes: u64) -> bool {
        let user = &self.users[slot];
        match self.config.retention {
            super::Retention::Temporary => {
                user.pending_messages() >= self.config.quota_messages
                    || user.pending_bytes() + body_bytes > self.config.quota_bytes
            }
            // History keeps everything; what no device took yet counts.
            super::Retention::History => {
                let taken = user
                    .record
                    .devices
                    .iter()
                    .map(|device| (device.cursor, device.cursor_bytes))
                    .min();
                let (cursor, cursor_bytes) =
                    taken.unwrap_or((user.record.trim, user.record.trim_bytes));
                user.record.head - cursor >= self.config.quota_messages
                    || user.record.head_bytes - cursor_bytes + body_bytes > self.config.quota_bytes
            }
        }
    }

    /// Hands a message to the recipient's home. The usual case, a recipient of this core whose
    /// state is in memory, copies the body once, into its log entry.
    fn dispatch(
        &mut self,
        slot: u32,
        origin: Origin,
        to: UserId,
        content: u8,
        body: &[u8],
        fx: &mut Effects,
    ) {
        let alone = to == origin.user || !self.users[slot].has_several_devices();
        // A message that waits as a letter must not be overtaken.
        if alone
            && self.local.is_empty()
            && self.is_home_of(to)
            && let Some((recipient, conversation)) = self.ready_conversation(to, origin.user)
        {
            self.append(recipient, conversation, origin, content, body, Copies::default(), fx);
            return;
        }
        let body = self.arena.copy(body);
        self.dispatch_shared(slot, origin, to, Message { content, body }, fx);
    }

    pub(super) fn dispatch_shared(
        &mut self,
        slot: u32,
        origin: Origin,
        to: UserId,
        message: Message,
        fx: &mut Effects,
    ) {
        let copy = to != origin.user && self.users[slot].has_several_devices();
        // The copies for the sender's other devices count in its own inbox. Whether that matters is
        // judged where it is known if the message was taken before.
        let is_sender_full = copy && self.is_over_quota(slot, message.body.len() as u64);
        self.post(to, Letter::Append { origin, to, message, copy, is_sender_full }, fx);
    }

    /// Judges a send at the recipient's home and takes it into the inbox.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn append(
        &mut self,
        slot: u32,
        conversation_slot: u32,
        origin: Origin,
        content: u8,
        body: &[u8],
        copies: Copies,
        fx: &mut Effects,
    ) {
        let copy = copies.message;
        let to = self.users[slot].id;
        let conversation = &self.conversations[conversation_slot];
        match conversation.judge(origin.device, origin.number) {
            Verdict::New => {}
            Verdict::Repeated { ordinal } => {
                let answer = Answer::Accepted { origin, to, ordinal, time_ms: 0, copy };
                self.answer_when_stored(None, answer, fx);
                return;
            }
            Verdict::Stale => {
                self.reject_in_turn(origin, to, Code::StaleNumber, 0, fx);
                return;
            }
        }
        if copies.is_sender_full || self.is_over_quota(slot, body.len() as u64) {
            self.reject_in_turn(origin, to, Code::QuotaExceeded, QUOTA_RETRY_MS, fx);
            return;
        }
        let conversation = &mut self.conversations[conversation_slot];
        let ordinal = conversation.accept(origin.device, origin.number);
        let time_ms = self.now.unix_ms;
        let header = EntryHeader {
            time_ms,
            own: false,
            content,
            peer: origin.user,
            ordinal,
            device: origin.device,
            total_bytes: 0,
        };
        let position = self.append_entry(slot, header, body, fx);
        self.queue_conversation_write(conversation_slot);
        let answer = Answer::Accepted { origin, to, ordinal, time_ms, copy };
        self.answer_when_stored(Some((slot, position)), answer, fx);
    }

    /// Rejects a send after the answers to the sends before it.
    fn reject_in_turn(
        &mut self,
        origin: Origin,
        to: UserId,
        code: Code,
        retry_after_ms: u64,
        fx: &mut Effects,
    ) {
        let answer = Answer::Rejected { origin, to, code, retry_after_ms };
        self.answer_when_stored(None, answer, fx);
    }

    /// Writes an entry at the head of an inbox; fills in the running total. Returns its position.
    fn append_entry(
        &mut self,
        slot: u32,
        mut header: EntryHeader,
        body: &[u8],
        fx: &mut Effects,
    ) -> u64 {
        let user = &mut self.users[slot];
        debug_assert!(user.stage == inbox::Stage::Ready);
        header.total_bytes = user.record.head_bytes + body.len() as u64;
        let mut body_at = 0;
        let value = self.arena.value(ENTRY_HEADER_BYTES_MAX + body.len(), |block| {
            header.encode(block);
            body_at = block.len();
            block.extend_from_slice(body);
        });
        let body = value.slice(body_at..);
        user.append(TailEntry { header, body });
        user.last_ticket = self.ticket;
        user.used_ms = self.now.mono_ms;
        let (id, position) = (user.id, user.record.head);
        fx.writes.push(Write::Put { key: Key::Entry { user: id, position }, value });
        self.counters.messages += 1;
        self.mark_dirty(slot);
        position
    }

    /// The recipient's home took the message.
    pub(super) fn accepted_by_peer(
        &mut self,
        origin: Origin,
        to: UserId,
        ordinal: u64,
        time_ms: u64,
        copy: Option<Message>,
        fx: &mut Effects,
    ) {
        match copy {
            None => self.tick(origin, to, ordinal, time_ms, fx),
            Some(message) => {
                let action = Action::Copy { origin, ordinal, time_ms, message };
                self.with_conversation(origin.user, to, action, fx);
            }
        }
    }

    /// Puts the copy of an own send into the sender's inbox, unless it is there, then ticks.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn append_copy(
        &mut self,
        slot: u32,
        conversation_slot: u32,
        origin: Origin,
        ordinal: u64,
        time_ms: u64,
        message: &Message,
        fx: &mut Effects,
    ) {
        let conversation = &mut self.conversations[conversation_slot];
        let to = conversation.peer;
        let mut appended = None;
        if conversation.accept_copy(origin.device, origin.number) {
            let header = EntryHeader {
                time_ms: if time_ms == 0 { self.now.unix_ms } else { time_ms },
                own: true,
                content: message.content,
                peer: to,
                ordinal,
                device: origin.device,
                total_bytes: 0,
            };
            let position = self.append_entry(slot, header, &message.body, fx);
            self.queue_conversation_write(conversation_slot);
            appended = Some((slot, position));
        }
        self.answer_when_stored(appended, Answer::Tick { origin, to, ordinal, time_ms }, fx);
    }

    /// Tells the sender that its message is durable. The only place that does.
    pub(super) fn tick(
        &mut self,
        origin: Origin,
        to: UserId,
        ordinal: u64,
        time_ms: u64,
        fx: &mut Effects,
    ) {
        if self.answered(origin) {
            let frame = Frame::Sent { peer: to, number: origin.number, ordinal, time_ms };
            self.put(origin.conn, &frame, fx);
            self.resume_if_able(origin.conn, fx);
        }
    }

    /// Tells the sender, wherever it is, that its message was not taken.
    pub(super) fn reject(
        &mut self,
        origin: Origin,
        to: UserId,
        code: Code,
        retry_after_ms: u64,
        fx: &mut Effects,
    ) {
        if origin.core != self.config.core {
            let letter = Letter::Rejected { origin, to, code, retry_after_ms };
            self.post_to_core(origin.core, letter, fx);
            return;
        }
        count(&mut self.counters.rejected, code);
        if self.answered(origin) {
            let frame = Frame::Rejected { peer: to, number: origin.number, code, retry_after_ms };
            self.put(origin.conn, &frame, fx);
            self.resume_if_able(origin.conn, fx);
        }
    }

    /// Counts an answer; `false` if the session that sent is gone.
    fn answered(&mut self, origin: Origin) -> bool {
        let Some(session) = self.session(origin.conn) else { return false };
        debug_assert!(session.unanswered > 0);
        session.unanswered = session.unanswered.saturating_sub(1);
        true
    }

    /// Stops reading from a client that doesn't take what it is sent.
    pub(super) fn pause_if_output_full(&mut self, conn: ConnId, fx: &mut Effects) {
        if self.connection(conn).is_some_and(|known| known.output.len() >= OUTPUT_HIGH_BYTES) {
            self.pause(conn, fx);
        }
    }
}
