//! Bytes from a client: cut into frames, judged by the stage of the connection, handed on.

use fulmar_protocol::limits::{FRAME_BYTES_MAX, HELLO_BYTES_MAX};
use fulmar_protocol::{Code, Frame, Kind, split_frame, varint};

use super::connection::{Connection, Stage};
use super::{ConnId, Effects, Shard};
use crate::faults::{Fault, is_planted};
use crate::limits::{CORE_SENDS_BYTES_MAX, INPUT_BACKLOG_BYTES_MAX, UPLOAD_STALL_MS};

/// How cutting a piece of input went.
enum Cut {
    /// This many bytes were used; what follows is not a complete frame.
    Incomplete(usize),
    /// This many bytes were used; the connection is paused.
    Paused(usize),
    /// The connection takes no more input.
    Over,
}

impl Shard {
    pub(super) fn received(&mut self, conn: ConnId, bytes: &[u8], fx: &mut Effects) {
        self.counters.received_bytes += bytes.len() as u64;
        let Some(connection) = self.connection(conn) else { return };
        if connection.is_closing() {
            return;
        }
        if matches!(connection.stage, Stage::Authenticating(_) | Stage::Login(_)) {
            self.end_too_early(conn, fx);
            return;
        }
        if connection.paused {
            self.keep(conn, bytes, fx);
            return;
        }
        let Some(rest) = self.complete_split_frame(conn, bytes, fx) else { return };
        match self.frames(conn, rest, false, fx) {
            Cut::Over => {}
            Cut::Incomplete(used) | Cut::Paused(used) => self.keep(conn, &rest[used..], fx),
        }
    }

    /// Completes the frame that is split over receives; returns the bytes after it.
    fn complete_split_frame<'a>(
        &mut self,
        conn: ConnId,
        mut bytes: &'a [u8],
        fx: &mut Effects,
    ) -> Option<&'a [u8]> {
        loop {
            let connection = self.connection(conn)?;
            if connection.input.is_empty() || bytes.is_empty() {
                return Some(bytes);
            }
            let missing = missing_bytes(&connection.input).min(bytes.len());
            let (piece, rest) = bytes.split_at(missing);
            connection.input.extend_from_slice(piece);
            bytes = rest;
            let input = std::mem::take(&mut connection.input);
            let cut = self.frames(conn, &input, !bytes.is_empty(), fx);
            let connection = self.connection(conn)?;
            match cut {
                Cut::Over => return None,
                Cut::Incomplete(0) => connection.input = input,
                // The split frame was the last one, so it is used up whole.
                Cut::Incomplete(_) => {
                    connection.partial_ms = 0;
                    self.recycle(input);
                }
                Cut::Paused(used) => {
                    connection.partial_ms = 0;
                    if used == 0 {
                        connection.input = input;
                    } else {
                        self.recycle(input);
                    }
                    self.keep(conn, bytes, fx);
                    return None;
                }
            }
        }
    }

    /// Handles the complete frames at the front of `bytes`. `more_came` says that the same receive
    /// brought bytes behind these.
    fn frames(&mut self, conn: ConnId, bytes: &[u8], more_came: bool, fx: &mut Effects) -> Cut {
        let mut used = 0;
        loop {
            if self.sends_bytes >= CORE_SENDS_BYTES_MAX && self.wait_for_answers(conn) {
                self.pause(conn, fx);
            }
            let Some(connection) = self.connection(conn) else { return Cut::Over };
            let bytes_max = match &connection.stage {
                Stage::Closing => return Cut::Over,
                Stage::Open(_) => FRAME_BYTES_MAX,
                _ => HELLO_BYTES_MAX,
            };
            if connection.paused {
                return Cut::Paused(used);
            }
            match split_frame(&bytes[used..], bytes_max) {
                Ok(None) => return Cut::Incomplete(used),
                Ok(Some((frame, rest))) => {
                    self.frame(conn, frame, rest.is_empty() && !more_came, fx);
                    used = bytes.len() - rest.len();
                }
                Err(error) => {
                    self.end(conn, error.code(), &error.to_string(), fx);
                    return Cut::Over;
                }
            }
        }
    }

    fn end_too_early(&mut self, conn: ConnId, fx: &mut Effects) {
        let detail = "nothing may follow the hello until the welcome came";
        self.end(conn, Code::UnexpectedFrame, detail, fx);
    }

    /// Keeps input for later: the beginning of a frame, or what a paused connection sent.
    fn keep(&mut self, conn: ConnId, bytes: &[u8], fx: &mut Effects) {
        if bytes.is_empty() {
            return;
        }
        let now_ms = self.now.mono_ms;
        let frame_timeout_ms = self.config.frame_timeout_ms;
        let Some(connection) = self.connections.get_mut(conn.slot) else { return };
        if connection.id != conn || connection.is_closing() {
            return;
        }
        let held = connection.input.len() - connection.input_used;
        if held + bytes.len() > INPUT_BACKLOG_BYTES_MAX {
            let detail = "sends without waiting for answers; the welcome states how many may wait";
            self.end(conn, Code::Overloaded, detail, fx);
            return;
        }
        if connection.input.capacity() == 0 {
            connection.input = self.buffers.pop().unwrap_or_default();
        }
        connection.input.extend_from_slice(bytes);
        if !connection.paused && connection.partial_ms == 0 {
            connection.partial_ms = now_ms.max(1);
            self.arm(conn, now_ms + frame_timeout_ms);
        }
    }

    /// Handles a frame. `is_last` says that no byte follows it.
    fn frame(&mut self, conn: ConnId, bytes: &[u8], is_last: bool, fx: &mut Effects) {
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                self.end(conn, error.code(), &error.to_string(), fx);
                return;
            }
        };
        self.counters.received(frame.kind());
        let now_ms = self.now.mono_ms;
        let Some(connection) = self.connection(conn) else { return };
        match &connection.stage {
            Stage::Open(_) => {
                connection.heard_ms = now_ms;
                let is_planted_act =
                    matches!(frame, Frame::Ack { .. }) && is_planted(Fault::LastSeenByAck);
                if frame.kind().is_some_and(Kind::is_by_person) || is_planted_act {
                    self.person_acted(conn, &frame, fx);
                }
                self.session_frame(conn, frame, fx);
            }
            Stage::Hello => match frame {
                Frame::Hello(_) if !is_last => self.end_too_early(conn, fx),
                Frame::Hello(hello) => self.hello(conn, &hello, fx),
                _ => self.end(conn, Code::UnexpectedFrame, "the first frame must be a hello", fx),
            },
            // Nothing is read in these stages.
            Stage::Authenticating(_) | Stage::Login(_) | Stage::Closing => {}
        }
    }

    fn session_frame(&mut self, conn: ConnId, frame: Frame<'_>, fx: &mut Effects) {
        match frame {
            Frame::Send(send) => self.send(conn, &send, fx),
            Frame::Part { body } => self.part(conn, body, fx),
            Frame::Ack { position } => self.ack(conn, position, fx),
            Frame::Read { peer, ordinal } => self.read(conn, peer, ordinal, fx),
            Frame::Ask { peer } => self.ask(conn, peer, fx),
            Frame::Ping => self.pong(conn, fx),
            Frame::Goodbye(_) => self.close(conn, fx),
            Frame::GroupSend(send) => self.group_send(conn, &send, fx),
            Frame::GroupAck { group, position } => self.group_ack(conn, group, position, fx),
            Frame::GroupRead { group, position } => self.group_read(conn, group, position, fx),
            Frame::GroupAsk { group, position, after } => {
                self.group_ask(conn, group, position, after, fx);
            }
            Frame::GroupChange { group, number, change } => {
                self.group_change(conn, group, number, &change, fx);
            }
            Frame::GroupResume { cursors } => self.resume_groups(conn, cursors.iter(), fx),
            Frame::GroupLook { group, after } => self.group_look(conn, group, after, fx),
            Frame::Watch { users } => self.watch(conn, &users, fx),
            Frame::Unwatch { users } => self.unwatch(conn, &users, fx),
            Frame::Typing { group, user, is_typing } => {
                self.typing(conn, group, user, is_typing, fx);
            }
            Frame::History(history) => self.history(conn, &history, fx),
            // Activity was taken with everything else that a person does.
            Frame::Activity { .. } | Frame::Unknown { .. } => {}
            Frame::Put { item, key, value } => self.put_item(conn, (item, key, value), fx),
            Frame::BookResume { version } => self.resume_book(conn, version, fx),
            Frame::ProfileLook { user, version } => {
                self.look_at_profile(conn, user, version, fx);
            }
            Frame::Find { name } => self.find(conn, name, fx),
            Frame::Hello(_)
            | Frame::Welcome(_)
            | Frame::Refuse { .. }
            | Frame::Sent { .. }
            | Frame::Rejected { .. }
            | Frame::Deliver(_)
            | Frame::Skip { .. }
            | Frame::Receipt { .. }
            | Frame::Pong { .. }
            | Frame::GroupSent { .. }
            | Frame::GroupRejected(_)
            | Frame::GroupDeliver(_)
            | Frame::GroupSkip { .. }
            | Frame::GroupReceipt(_)
            | Frame::GroupState(_)
            | Frame::GroupNotice(_)
            | Frame::GroupGone { .. }
            | Frame::Presence { .. }
            | Frame::Past(_)
            | Frame::HistoryEnd(_)
            | Frame::Item(_)
            | Frame::PutRejected(_)
            | Frame::Book { .. }
            | Frame::Profile(_)
            | Frame::ProfileNews { .. }
            | Frame::Found(_) => {
                let detail = "this frame isn't one that a client sends after its login";
                self.end(conn, Code::UnexpectedFrame, detail, fx);
            }
        }
    }

    /// Stops looking at a connection's input.
    pub(super) fn pause(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(connection) = self.connection(conn) else { return };
        if !connection.paused {
            connection.paused = true;
            fx.pause.push((conn, true));
            self.counters.pauses += 1;
        }
    }

    /// Stops looking at the input of a client that doesn't take what it is sent, or that has too
    /// much waiting for answers.
    pub(super) fn pause_if_full(&mut self, conn: ConnId, fx: &mut Effects) {
        let (sends_max, high_bytes) = (self.config.sends_max, self.config.output_high_bytes);
        let Some(connection) = self.connection(conn) else { return };
        let is_output_full = connection.output.len() >= high_bytes;
        let Some(session) = connection.session() else { return };
        if is_output_full || session.is_full(sends_max) {
            self.pause(conn, fx);
        }
    }

    /// Enters a session into the list of those that wait for answers to all of the core's sends;
    /// `false` if it is none.
    fn wait_for_answers(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.connection(conn) else { return false };
        if connection.session().is_none() {
            return false;
        }
        if !std::mem::replace(&mut connection.crowded, true) {
            self.crowded.push(conn);
        }
        true
    }

    /// Has those that wait for it looked at, the longest-waiting one first, once enough is answered.
    pub(super) fn answer_came(&mut self, body_bytes: usize) {
        debug_assert!(self.sends_bytes >= body_bytes);
        self.sends_bytes = self.sends_bytes.saturating_sub(body_bytes);
        if self.sends_bytes > CORE_SENDS_BYTES_MAX / 2 {
            return;
        }
        while let Some(conn) = self.crowded.pop() {
            if let Some(connection) = self.connection(conn) {
                connection.crowded = false;
                self.resume_later(conn);
            }
        }
    }

    /// Has a paused connection looked at once what is being done is done.
    pub(super) fn resume_later(&mut self, conn: ConnId) {
        if self.connection(conn).is_some_and(|connection| connection.paused)
            && self.resumes.last() != Some(&conn)
        {
            self.resumes.push(conn);
        }
    }

    /// Looks at a paused connection's input again, if it has room for the answers.
    pub(super) fn resume_if_able(&mut self, conn: ConnId, fx: &mut Effects) {
        let (sends_max, high_bytes) = (self.config.sends_max, self.config.output_high_bytes);
        let now_ms = self.now.mono_ms;
        loop {
            let Some(connection) = self.connection(conn) else { return };
            if !connection.paused || connection.output.len() >= high_bytes {
                return;
            }
            if !connection.session().is_some_and(|session| session.is_calm(sends_max)) {
                return;
            }
            if self.sends_bytes >= CORE_SENDS_BYTES_MAX {
                self.wait_for_answers(conn);
                return;
            }
            let Some(connection) = self.connection(conn) else { return };
            connection.paused = false;
            // It could not be heard meanwhile, which was not its fault.
            connection.heard_ms = now_ms;
            if let Some(session) = connection.session() {
                session.upload_ms = now_ms;
            }
            let input = std::mem::take(&mut connection.input);
            let start = std::mem::take(&mut connection.input_used);
            match self.frames(conn, &input[start..], false, fx) {
                Cut::Over => return,
                Cut::Incomplete(used) => {
                    self.keep(conn, &input[start + used..], fx);
                    self.recycle(input);
                    fx.pause.push((conn, false));
                    return;
                }
                // It filled up again; what is left waits for the next time.
                Cut::Paused(used) => self.put_back(conn, input, start + used),
            }
        }
    }

    /// Puts back the input of a paused connection, of which the first bytes were used. They are
    /// removed only once they are the larger part, so that a long input costs linear time.
    fn put_back(&mut self, conn: ConnId, mut input: Vec<u8>, mut used: usize) {
        if used > input.len() / 2 {
            input.drain(..used);
            used = 0;
        }
        if let Some(connection) = self.connection(conn) {
            connection.input = input;
            connection.input_used = used;
        }
    }

    /// Ends a connection whose deadline has passed, or enters its next deadline.
    pub(super) fn check_deadline(&mut self, conn: ConnId, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let config = (self.config.hello_timeout_ms, self.config.frame_timeout_ms);
        let idle_ms = self.config.idle_s * 1_000;
        let Some(connection) = self.connection(conn) else { return };
        if now_ms < connection.armed_ms {
            return;
        }
        connection.armed_ms = u64::MAX;
        let (deadline_ms, code) = deadline(connection, config, idle_ms);
        if now_ms < deadline_ms {
            self.arm(conn, deadline_ms);
            return;
        }
        if connection.is_closing() {
            // The peer doesn't take its last bytes.
            fx.abort.push(conn);
            return;
        }
        let detail = match code {
            Code::HelloTimeout => "no complete hello came in time",
            Code::FrameTimeout => "a frame or a large body was begun and not continued in time",
            Code::IdleTimeout => "nothing was heard for longer than the welcome allows",
            _ => "the login took too long",
        };
        self.end(conn, code, detail, fx);
    }

    /// Makes sure that a timer fires at `deadline_ms` or earlier.
    pub(super) fn arm(&mut self, conn: ConnId, deadline_ms: u64) {
        let Some(connection) = self.connections.get_mut(conn.slot) else { return };
        if connection.id == conn && deadline_ms < connection.armed_ms {
            connection.armed_ms = self.timers.add(conn, deadline_ms);
        }
    }
}

/// When a connection must have done something, and what it is told otherwise.
fn deadline(
    connection: &Connection,
    (hello_timeout_ms, frame_timeout_ms): (u64, u64),
    idle_ms: u64,
) -> (u64, Code) {
    match connection.stage {
        Stage::Hello => (connection.heard_ms + hello_timeout_ms, Code::HelloTimeout),
        Stage::Authenticating(_) | Stage::Login(_) => {
            (connection.heard_ms + crate::limits::LOGIN_TIMEOUT_MS, Code::Internal)
        }
        Stage::Closing => (connection.heard_ms + crate::limits::CLOSE_GRACE_MS, Code::None),
        // A paused connection isn't heard. That is its fault if it doesn't take what it is sent: once
        // it did, it would have been looked at again.
        Stage::Open(_) if connection.paused => {
            let patience_ms = if connection.writing { idle_ms } else { 10 * idle_ms };
            (connection.heard_ms + patience_ms, Code::IdleTimeout)
        }
        Stage::Open(ref session) => {
            let frame_ms = match connection.partial_ms {
                0 => u64::MAX,
                begun_ms => begun_ms + frame_timeout_ms,
            };
            let upload_ms = match session.upload {
                Some(_) => session.upload_ms + UPLOAD_STALL_MS,
                None => u64::MAX,
            };
            let stalled_ms = frame_ms.min(upload_ms);
            let silent_ms = connection.heard_ms + idle_ms;
            if stalled_ms < silent_ms {
                (stalled_ms, Code::FrameTimeout)
            } else {
                (silent_ms, Code::IdleTimeout)
            }
        }
    }
}

/// How many bytes the frame that begins `bytes` lacks; at least one. The length was judged when
/// it was complete.
fn missing_bytes(bytes: &[u8]) -> usize {
    match varint::read(bytes) {
        Ok((len, prefix)) => (prefix + len as usize).saturating_sub(bytes.len()).max(1),
        Err(_) => 1,
    }
}
