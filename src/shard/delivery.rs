//! From an inbox to its devices: what the windows allow is sent, from memory or from storage, and
//! acknowledgements move the cursors.

use bytes::Bytes;
use fulmar_protocol::group::GroupNotice;
use fulmar_protocol::{Chunks, Code, Deliver, Frame};

use super::connection::{InFlight, Session};
use super::record::{EntryHeader, split_entry};
use super::{ConnId, Effects, Load, LogId, Retention, Shard, UserId};
use crate::faults::{Fault, is_planted};
use crate::limits::{LOAD_ENTRIES_MAX, TAIL_BYTES_MAX};

/// Bytes of all messages that a core keeps in memory for devices that don't take them at once.
/// Beyond it they are read from storage.
const TAILS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What comes next for a device.
enum Next {
    /// Nothing, or nothing yet.
    Wait,
    /// The entry at this position, which is in memory.
    Warm(u64),
    /// Entries from this position on, which are not.
    Cold(Load),
}

impl Shard {
    /// Gives every device of the users in the list what its window allows.
    pub(super) fn deliver_all(&mut self, fx: &mut Effects) {
        while let Some(slot) = self.pump.pop() {
            let Some(user) = self.users.get_mut(slot) else { continue };
            user.pump_queued = false;
            let mut sent_through = u64::MAX;
            for index in 0..user.sessions.len() {
                let Some(&(_, conn)) = self.users[slot].sessions.get(index) else { break };
                let next = self.deliver(slot, conn, fx);
                sent_through = sent_through.min(next - 1);
            }
            self.release_tail(slot, sent_through);
        }
    }

    fn release_tail(&mut self, slot: u32, sent_through: u64) {
        let is_crowded = self.tail_bytes > TAILS_BYTES_MAX;
        let user = &mut self.users[slot];
        let before = user.tail_bytes;
        user.release_tail(sent_through, if is_crowded { 0 } else { TAIL_BYTES_MAX });
        self.tail_bytes -= before - user.tail_bytes;
    }

    /// Gives one device what its window allows; returns the position after what it was sent.
    fn deliver(&mut self, slot: u32, conn: ConnId, fx: &mut Effects) -> u64 {
        loop {
            match self.next_for(slot, conn) {
                Next::Wait => break,
                Next::Cold(load) => {
                    if let Some(session) = self.session(conn) {
                        session.loading = true;
                    }
                    self.counters.cold_reads += 1;
                    fx.loads.push(load);
                    break;
                }
                Next::Warm(position) => {
                    let Some(entry) = self.users[slot].tail_at(position) else { break };
                    let (header, body) = (entry.header, entry.body.clone());
                    let log = LogId::Inbox(self.users[slot].id);
                    if self.inbox_waits(conn, log, &header, &body) {
                        break;
                    }
                    self.deliver_unless_over(conn, position, &header, body, fx);
                }
            }
        }
        self.tell_skips(conn, fx);
        self.session(conn).map_or(u64::MAX, |session| session.next)
    }

    fn next_for(&mut self, slot: u32, conn: ConnId) -> Next {
        let (messages_max, bytes_max) = (self.config.window_messages, self.config.window_bytes);
        let high_bytes = self.config.output_high_bytes;
        let user = &self.users[slot];
        let (id, durable, tail_first) = (user.id, user.durable, user.tail_first);
        let Some(connection) = self.connection(conn) else { return Next::Wait };
        let output_room = high_bytes.saturating_sub(connection.output.len()) as u64;
        let Some(session) = connection.session() else { return Next::Wait };
        let is_busy = session.loading || session.has_waiting(LogId::Inbox(id));
        if session.next > durable || is_busy || output_room == 0 {
            return Next::Wait;
        }
        let Session { window_messages, window_bytes, next, .. } = *session;
        let is_bounded = !is_planted(Fault::WindowIgnored);
        let is_full =
            window_messages >= messages_max || (window_messages > 0 && window_bytes >= bytes_max);
        if is_full && is_bounded {
            self.counters.windows_full += 1;
            return Next::Wait;
        }
        if next >= tail_first {
            return Next::Warm(next);
        }
        let room = bytes_max.saturating_sub(window_bytes).clamp(1, output_room);
        Next::Cold(Load::Entries {
            log: LogId::Inbox(id),
            conn,
            from: next,
            through: durable.min(tail_first - 1),
            entries_max: messages_max.saturating_sub(window_messages).clamp(1, LOAD_ENTRIES_MAX),
            bytes_max: room as u32,
        })
    }

    /// Whether an entry waits for a large body that is on its way. What isn't for the device, since its time is over
    /// or the device sent it itself, doesn't.
    fn inbox_waits(
        &mut self,
        conn: ConnId,
        log: LogId,
        header: &EntryHeader,
        body: &Bytes,
    ) -> bool {
        // Nearly all are small, and cost no look at the session.
        if Chunks::total_bytes(body).is_none() || self.is_over(header) {
            return false;
        }
        let device = self.session(conn).map(|session| session.device);
        let is_from_it = header.own && device == Some(header.device);
        !is_from_it && self.waits_for_body(conn, log, body)
    }

    /// Passes over an entry whose time is over, else as [`Shard::deliver_entry`].
    fn deliver_unless_over(
        &mut self,
        conn: ConnId,
        position: u64,
        header: &EntryHeader,
        body: Bytes,
        fx: &mut Effects,
    ) {
        if !self.is_over(header) {
            self.deliver_entry(conn, position, header, body, fx);
        } else if let Some(session) = self.session(conn) {
            session.pass_over(position, header.total_bytes);
        }
    }

    /// Puts one entry into the output, or passes over it where the device sent it itself.
    fn deliver_entry(
        &mut self,
        conn: ConnId,
        position: u64,
        header: &EntryHeader,
        body: Bytes,
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        let EntryHeader { ordinal, total_bytes, own, .. } = *header;
        if own && header.device == session.device {
            session.pass_over(position, total_bytes);
            return;
        }
        session.sent(InFlight {
            position,
            author: if own || header.is_notice { 0 } else { header.peer },
            ordinal,
            total_bytes,
            body_bytes: Some(body.len() as u32),
        });
        let skip = std::mem::take(&mut session.skip_untold);
        if header.is_notice {
            if skip {
                self.put(conn, &Frame::Skip { position: position - 1 }, fx);
            }
            let (group, by, time_ms) = (ordinal, header.peer, header.time_ms);
            self.put(conn, &Frame::GroupNotice(GroupNotice { position, group, by, time_ms }), fx);
            return;
        }
        let piece = Chunks::new(&body).next().unwrap_or_default();
        let done = piece.len();
        let deliver = Deliver {
            position,
            peer: header.peer,
            ordinal,
            time_ms: header.time_ms,
            content: header.content,
            own,
            total_bytes: Chunks::total_bytes(&body),
            body: piece,
        };
        if skip {
            self.put(conn, &Frame::Skip { position: position - 1 }, fx);
        }
        self.put(conn, &Frame::Deliver(deliver), fx);
        self.plant_at_delivery(conn, position, header, fx);
        self.put_rest(conn, body, done, fx);
    }

    fn plant_at_delivery(
        &mut self,
        conn: ConnId,
        position: u64,
        header: &EntryHeader,
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        let (slot, device) = (session.user_slot, session.device);
        if is_planted(Fault::CursorBeforeAck) {
            self.move_cursor(slot, device, position, header.total_bytes);
        }
        if is_planted(Fault::ReceiptOfUnacknowledged) && !header.own {
            self.delivered(slot, header.peer, header.ordinal, fx);
        }
    }

    /// Tells a device of positions that were passed over, and settles those that nothing before
    /// them holds back.
    fn tell_skips(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        if !std::mem::take(&mut session.skip_untold) {
            return;
        }
        let (position, acked) = (session.next - 1, session.acked);
        self.put(conn, &Frame::Skip { position }, fx);
        self.settle(conn, acked, fx);
    }

    /// Entries that a session waited for.
    pub(super) fn entries_loaded(
        &mut self,
        user: UserId,
        conn: ConnId,
        entries: Vec<(u64, Bytes)>,
        through: u64,
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        if session.user != user {
            return;
        }
        session.loading = false;
        let slot = session.user_slot;
        let head_bytes = self.users[slot].record.head_bytes;
        let mut is_cut_short = false;
        for (position, value) in entries {
            // Groups may have filled the output meanwhile.
            is_cut_short = self.is_output_full(conn);
            if is_cut_short {
                break;
            }
            let sound =
                split_entry(&value).ok().filter(|(header, _)| header.total_bytes <= head_bytes);
            let Some((header, body)) = sound else {
                let detail = "a stored message is damaged";
                self.end(conn, Code::Internal, detail, fx);
                return;
            };
            is_cut_short = self.inbox_waits(conn, LogId::Inbox(user), &header, &body);
            let Some(session) = self.session(conn) else { return };
            if is_cut_short || session.next > position {
                break;
            }
            let before_bytes = header.total_bytes - body.len() as u64;
            session.pass_over(position.saturating_sub(1), before_bytes);
            self.deliver_unless_over(conn, position, &header, body, fx);
        }
        let through = through + u64::from(is_planted(Fault::ColdReadSkips));
        let known_bytes = self.users[slot].total_bytes_at(through);
        if let Some(session) = self.session(conn)
            && !is_cut_short
        {
            let lower_bound = session.window.back().map_or(0, |last| last.total_bytes);
            session.pass_over(through, known_bytes.unwrap_or(lower_bound));
        }
        self.queue_pump(slot);
    }

    /// Messages of this time and earlier have expired.
    pub(super) fn expired_through_ms(&self) -> u64 {
        match self.config.retention {
            Retention::Temporary if is_planted(Fault::ExpiresEarly) => {
                self.now.unix_ms.saturating_sub(self.config.expiry_ms / 2)
            }
            Retention::Temporary => self.now.unix_ms.saturating_sub(self.config.expiry_ms),
            Retention::History => 0,
        }
    }

    /// A device has everything up to `position`.
    pub(super) fn ack(&mut self, conn: ConnId, position: u64, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        if position >= session.next {
            let detail = format!("acknowledged {position}; sent up to {} so far", session.next - 1);
            self.end(conn, Code::CursorAhead, &detail, fx);
            return;
        }
        if position > session.acked {
            self.settle(conn, position, fx);
        }
    }

    /// Takes what is acknowledged out of the window and moves the device's cursor.
    fn settle(&mut self, conn: ConnId, position: u64, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let (slot, device) = (session.user_slot, session.device);
        // The author of the run of messages that is being settled, and its last ordinal.
        let mut run = (0, 0);
        let mut last = None;
        while let Some(flight) = self.session(conn).and_then(|session| session.settle(position)) {
            last = Some((flight.position, flight.total_bytes));
            if flight.author == 0 {
                continue;
            }
            if flight.author != run.0 && run.0 != 0 {
                self.delivered(slot, run.0, run.1, fx);
            }
            run = (flight.author, flight.ordinal);
        }
        if run.0 != 0 {
            self.delivered(slot, run.0, run.1, fx);
        }
        let Some((cursor, total_bytes)) = last else { return };
        self.move_cursor(slot, device, cursor, total_bytes);
        self.queue_pump(slot);
    }

    fn move_cursor(&mut self, slot: u32, device: u16, cursor: u64, total_bytes: u64) {
        let user = &mut self.users[slot];
        if let Some(known) = user.device(device)
            && cursor > known.cursor
        {
            known.cursor = cursor;
            // The total of a passed-over position may be a lower bound.
            known.cursor_bytes = known.cursor_bytes.max(total_bytes);
        }
        if self.config.retention == Retention::Temporary {
            user.trim_to_devices();
        }
        self.mark_dirty(slot);
    }
}
