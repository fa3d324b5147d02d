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

use super::content::{over_ms, reacts_to_peer};
use super::conversation::{Action, Verdict};
use super::counters::count;
use super::inbox::{self, TailEntry};
use super::output::Patience;
use super::record::{ENTRY_HEADER_BYTES_MAX, EntryHeader};
use super::{
    Answer, ConnId, Effects, GroupId, Key, Letter, LogId, Message, Origin, Retention, Shard,
    UserId, Write,
};
use crate::faults::{Fault, is_planted};
use crate::limits::QUOTA_RETRY_MS;

impl Shard {
    pub(super) fn send(&mut self, conn: ConnId, send: &Send<'_>, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        if session.upload.is_some() && send.total_bytes.is_some() {
            let detail = "a large body is in progress; the next one waits until it is complete";
            self.end(conn, Code::UnexpectedPart, detail, fx);
            return;
        }
        let body_bytes = send.total_bytes.unwrap_or(send.body.len() as u64);
        if send.peer == 0 {
            self.refuse_send(conn, send, Code::BadPeer, fx);
        } else if body_bytes > self.config.body_bytes_max {
            self.refuse_send(conn, send, Code::BodyTooLarge, fx);
        } else if let Some(total_bytes) = send.total_bytes {
            self.begin_upload(conn, send, total_bytes as usize, fx);
        } else if let Some(place) = reacts_to_peer(send.content, send.body) {
            let message = Message { content: send.content, body: self.arena.copy(send.body) };
            self.offer_reaction(conn, send.peer, send.number, message, place, fx);
        } else {
            self.offer(conn, send, fx);
        }
        self.pause_if_full(conn, fx);
    }

    /// Turns down a send that nobody could have taken before, with the parts that follow it.
    fn refuse_send(&mut self, conn: ConnId, send: &Send<'_>, code: Code, fx: &mut Effects) {
        self.ignore_parts(conn, send);
        if let Some((_, origin)) = self.origin(conn, send.number, 0) {
            self.reject(origin, send.peer, code, fx);
        }
    }

    /// Offers a message to the recipient's home. The usual case, a recipient of this core whose
    /// state is in memory, copies the body once, into its log entry.
    fn offer(&mut self, conn: ConnId, send: &Send<'_>, fx: &mut Effects) {
        let Some((slot, origin)) = self.origin(conn, send.number, send.body.len()) else { return };
        let (to, content) = (send.peer, send.content);
        if !self.wants_copy(slot, to)
            && self.is_home_of(to)
            && let Some((recipient, conversation)) = self.ready_conversation(to, origin.user)
        {
            self.append(recipient, conversation, origin, content, send.body, None, None, fx);
            return;
        }
        let body = self.arena.copy(send.body);
        self.offer_message(slot, origin, to, Message { content, body }, None, fx);
    }

    /// The same for a large body, which is complete.
    pub(super) fn offer_large(
        &mut self,
        conn: ConnId,
        to: UserId,
        number: u64,
        message: Message,
        fx: &mut Effects,
    ) {
        if let Some(place) = reacts_to_peer(message.content, &message.body) {
            self.offer_reaction(conn, to, number, message, place, fx);
            return;
        }
        let Some((slot, origin)) = self.origin(conn, number, message.body.len()) else { return };
        self.offer_message(slot, origin, to, message, None, fx);
    }

    /// Offers a message that may be refused already, if it wasn't taken before.
    pub(super) fn offer_message(
        &mut self,
        slot: u32,
        origin: Origin,
        to: UserId,
        message: Message,
        mut refusal: Option<Code>,
        fx: &mut Effects,
    ) {
        let copy = self.wants_copy(slot, to);
        // The copies for the sender's other devices count in its own inbox. It is the recipient's
        // home that says no, since it may have taken this message before.
        if copy && self.is_over_quota(slot, message.body.len()) {
            refusal = refusal.or(Some(Code::QuotaExceeded));
            self.look_for_expired(slot, fx);
        }
        self.request(origin, to, message, copy, refusal, fx);
    }

    /// Lets the recipient's home judge a send.
    fn request(
        &mut self,
        origin: Origin,
        to: UserId,
        message: Message,
        copy: bool,
        refusal: Option<Code>,
        fx: &mut Effects,
    ) {
        if self.is_home_of(to) {
            // At once: a later send of the same receive must not overtake it.
            self.append_letter(origin, to, message, copy, refusal, fx);
        } else {
            self.post(to, Letter::Append { origin, to, message, copy, refusal }, fx);
        }
    }

    /// Where a complete send comes from, with the slot of its user. It counts in the window from here.
    pub(super) fn origin(
        &mut self,
        conn: ConnId,
        number: u64,
        body_bytes: usize,
    ) -> Option<(u32, Origin)> {
        let core = self.config.core;
        let session = self.session(conn)?;
        session.unanswered += 1;
        session.unanswered_bytes += body_bytes;
        let (slot, user, device) = (session.user_slot, session.user, session.device);
        self.sends_bytes += body_bytes;
        let body_bytes = body_bytes as u32;
        Some((slot, Origin { core, conn, user, device, number, body_bytes }))
    }

    /// Whether the sender's inbox gets a copy: for its other devices, and where all is kept also for those to
    /// come, which read there what was said.
    fn wants_copy(&self, slot: u32, to: UserId) -> bool {
        let user = &self.users[slot];
        let is_kept = self.config.retention == Retention::History;
        let is_wanted = is_kept || user.has_several_devices();
        user.id != to && is_wanted && !is_planted(Fault::CopyForgotten)
    }

    pub(super) fn is_over_quota(&self, slot: u32, body_bytes: usize) -> bool {
        let record = &self.users[slot].record;
        let (taken, taken_bytes) = match self.config.retention {
            _ if is_planted(Fault::QuotaNeverGivenBack) => (0, 0),
            Retention::Temporary => (record.trim, record.trim_bytes),
            // History keeps everything; what some device lacks counts.
            Retention::History => {
                record.slowest().map_or((record.trim, record.trim_bytes), |known| {
                    (known.cursor, known.cursor_bytes)
                })
            }
        };
        record.head - taken >= self.config.quota_messages
            || record.head_bytes - taken_bytes + body_bytes as u64 > self.config.quota_bytes
    }

    pub(super) fn append_letter(
        &mut self,
        origin: Origin,
        to: UserId,
        message: Message,
        copy: bool,
        refusal: Option<Code>,
        fx: &mut Effects,
    ) {
        let action = Action::Append { origin, message, copy, refusal };
        self.with_conversation(LogId::Inbox(to), origin.user, action, fx);
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
        copy: Option<Message>,
        refusal: Option<Code>,
        fx: &mut Effects,
    ) {
        let to = self.users[slot].id;
        let conversation = &self.conversations[conversation_slot];
        match conversation.judge(origin.device, origin.number) {
            Verdict::New => {}
            Verdict::Repeated { .. } if is_planted(Fault::ResendNotRecognised) => {}
            Verdict::Repeated { ordinal } => {
                let ordinal = if is_planted(Fault::ResendWrongOrdinal) {
                    conversation.record.ordinal
                } else {
                    ordinal
                };
                let answer = Answer::Accepted { origin, to, ordinal, time_ms: 0, copy };
                self.answer_when_stored(None, answer, fx);
                return;
            }
            Verdict::Stale => {
                self.reject(origin, to, Code::StaleNumber, fx);
                return;
            }
        }
        let mut refusal = refusal;
        if self.is_over_quota(slot, body.len()) {
            if is_planted(Fault::QuotaTicks) {
                let ordinal = conversation.record.ordinal + 1;
                let answer = Answer::Accepted { origin, to, ordinal, time_ms: 1, copy };
                self.answer_when_stored(None, answer, fx);
                return;
            }
            if is_planted(Fault::PositionBurned) {
                self.users[slot].burn_position();
            }
            if is_planted(Fault::QuotaEvicts) {
                let record = &mut self.users[slot].record;
                let (through, bytes) = (record.trim + 1, record.trim_bytes);
                record.trim_to(through, bytes);
            } else {
                refusal = refusal.or(Some(Code::QuotaExceeded));
                self.look_for_expired(slot, fx);
            }
        }
        let (time_ms, max_age_ms) = (self.now.unix_ms, self.config.edit_max_age_ms);
        let conversation = &mut self.conversations[conversation_slot];
        let judged = conversation.judge_content(content, body, time_ms, max_age_ms);
        if let Some(code) = refusal.or(judged.err()) {
            self.reject(origin, to, code, fx);
            return;
        }
        let ordinal = conversation.accept(origin.device, origin.number);
        conversation.record.marks.note(ordinal, time_ms, max_age_ms);
        if conversation.record.ties.blocks && !is_planted(Fault::BlockedDelivered) {
            // It has its number and its tick, and that is all.
            self.queue_conversation_write(conversation_slot);
            let answer = Answer::Accepted { origin, to, ordinal, time_ms, copy };
            self.answer_when_stored(None, answer, fx);
            return;
        }
        let header = EntryHeader {
            time_ms,
            own: false,
            is_notice: false,
            over_ms: over_ms(content, body, time_ms),
            content,
            peer: origin.user,
            ordinal,
            device: origin.device,
            total_bytes: 0,
        };
        let position = self.append_entry(slot, header, body, fx);
        if !is_planted(Fault::NumberNotStored) {
            self.queue_conversation_write(conversation_slot);
        }
        let answer = Answer::Accepted { origin, to, ordinal, time_ms, copy };
        self.answer_when_stored(Some((slot, position)), answer, fx);
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
        let entry = TailEntry { header, body: value.slice(body_at..) };
        self.tail_bytes += entry.held_bytes();
        user.append(entry);
        if is_planted(Fault::DeliverBeforeCommit) {
            user.durable = user.record.head;
        }
        user.last_ticket = self.ticket;
        user.used_ms = self.now.mono_ms;
        let (id, position) = (user.id, user.record.head);
        fx.writes.push(Write::Put { key: Key::Entry { log: LogId::Inbox(id), position }, value });
        self.counters.messages += 1;
        self.mark_dirty(slot);
        position
    }

    /// Writes an entry that tells the inbox's owner of a group. Returns its position.
    pub(super) fn append_notice(
        &mut self,
        slot: u32,
        group: GroupId,
        by: UserId,
        fx: &mut Effects,
    ) -> u64 {
        let header = EntryHeader {
            time_ms: self.now.unix_ms,
            own: false,
            is_notice: true,
            over_ms: 0,
            content: 0,
            peer: by,
            ordinal: group,
            device: 0,
            total_bytes: 0,
        };
        let position = self.append_entry(slot, header, &[], fx);
        let is_new = self.users[slot].record.groups.begin(group);
        self.write_inbox(slot, fx);
        if is_new {
            self.may_see_more(slot, fx);
        }
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
            None if self.waits_for_first(origin.user, to) => {
                self.note_first(origin, to, ordinal, time_ms, fx);
            }
            None => self.tick(origin, to, ordinal, time_ms, fx),
            Some(message) => {
                if is_planted(Fault::TickBeforeCopy) {
                    self.tick(origin, to, ordinal, time_ms, fx);
                }
                let action = Action::Copy { origin, ordinal, time_ms, message };
                self.with_conversation(LogId::Inbox(origin.user), to, action, fx);
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
        let to = self.conversations[conversation_slot].peer;
        if self.set_wrote(conversation_slot, fx) {
            self.queue_conversation_write(conversation_slot);
        }
        let conversation = &mut self.conversations[conversation_slot];
        let mut appended = None;
        if conversation.accept_copy(origin.device, origin.number) || is_planted(Fault::CopyRepeated)
        {
            let taken_ms = if time_ms == 0 { self.now.unix_ms } else { time_ms };
            let header = EntryHeader {
                time_ms: taken_ms,
                own: true,
                is_notice: false,
                over_ms: over_ms(message.content, &message.body, taken_ms),
                content: message.content,
                peer: to,
                ordinal,
                device: origin.device,
                total_bytes: 0,
            };
            let position = self.append_entry(slot, header, &message.body, fx);
            self.queue_conversation_write(conversation_slot);
            appended = Some((slot, position));
            if time_ms == 0 {
                // A crash came between the message and its copy. What its recipient did since was told
                // to devices that didn't have it.
                let (author, reader) = (origin.user, to);
                self.post(to, Letter::Ask { author, reader, asker: None }, fx);
            }
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
        if self.is_answered(origin) {
            let frame = Frame::Sent { peer: to, number: origin.number, ordinal, time_ms };
            self.put_tick(origin.conn, &frame, fx);
        }
    }

    pub(super) fn put_tick(&mut self, conn: ConnId, frame: &Frame<'_>, fx: &mut Effects) {
        self.put_patiently(conn, frame, Patience::Tick, fx);
    }

    /// Tells the sender, wherever it is, that its message was not taken.
    pub(super) fn reject(&mut self, origin: Origin, to: UserId, code: Code, fx: &mut Effects) {
        if origin.core != self.config.core {
            self.post_to_core(origin.core, Letter::Rejected { origin, to, code }, fx);
            return;
        }
        if code == Code::Overloaded {
            self.answer_came(origin.body_bytes as usize);
            self.end_overloaded(origin.conn, fx);
            return;
        }
        count(&mut self.counters.rejected, code);
        if self.is_answered(origin) {
            let retry_after_ms = if code == Code::QuotaExceeded { QUOTA_RETRY_MS } else { 0 };
            let frame = Frame::Rejected { peer: to, number: origin.number, code, retry_after_ms };
            self.put(origin.conn, &frame, fx);
        }
    }

    /// Ends a connection with a send that can't be judged now. The message may have been taken
    /// before, so it can't be rejected: that would call its number spent, and the client would send
    /// it once more under a new one. On its next connection it sends it again as it is.
    pub(super) fn end_overloaded(&mut self, conn: ConnId, fx: &mut Effects) {
        self.end(
            conn,
            Code::Overloaded,
            "too much to do for this; it can be asked again on the next connection",
            fx,
        );
    }

    /// Counts an answer; `false` if the session that sent is gone.
    pub(super) fn is_answered(&mut self, origin: Origin) -> bool {
        self.answer_came(origin.body_bytes as usize);
        let Some(session) = self.session(origin.conn) else { return false };
        debug_assert!(session.unanswered > 0);
        session.unanswered = session.unanswered.saturating_sub(1);
        let bytes = origin.body_bytes as usize;
        debug_assert!(session.unanswered_bytes >= bytes);
        session.unanswered_bytes = session.unanswered_bytes.saturating_sub(bytes);
        self.resume_later(origin.conn);
        true
    }
}
