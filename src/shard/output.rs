//! What goes to a client: frames into the connection's buffer, large bodies piece by piece, and the
//! end of a connection.

use std::collections::VecDeque;

use bytes::Bytes;
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Chunks, Code, Frame, Goodbye};
use hashbrown::HashSet;

use super::connection::{Download, Stage};
use super::counters::count;
use super::{ConnId, Effects, LogId, Shard};
use crate::faults::{Fault, is_planted};
use crate::limits::{
    BUFFER_KEEP_BYTES, BUFFERS_SPARE, CLOSE_GRACE_MS, RECEIPT_GATHER_MS, TICK_GATHER_MS,
};

/// How long a frame may wait for company on a busy core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As a tick.
    Tick,
    /// As a receipt.
    Receipt,
}

impl Patience {
    /// How many there are.
    pub(super) const COUNT: usize = 2;

    const fn ms(self) -> u64 {
        match self {
            Patience::Tick => TICK_GATHER_MS,
            Patience::Receipt => RECEIPT_GATHER_MS,
        }
    }
}

impl Shard {
    /// Takes the encoded frames of a connection, if there are any. The driver writes them all, then
    /// says [`Event::Sent`](super::Event::Sent); until then nothing more is taken.
    pub fn take_output(&mut self, conn: ConnId) -> Option<Vec<u8>> {
        let connection = self.connection(conn)?;
        connection.flush_queued = false;
        if connection.writing || connection.output.is_empty() {
            return None;
        }
        connection.writing = true;
        Some(std::mem::take(&mut connection.output))
    }

    /// Gives a buffer back for reuse.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < BUFFERS_SPARE
            && buffer.capacity() > 0
            && buffer.capacity() <= BUFFER_KEEP_BYTES
        {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// Appends a frame to the output of a connection. Nothing happens if it is gone.
    pub(super) fn put(&mut self, conn: ConnId, frame: &Frame<'_>, fx: &mut Effects) {
        self.append_frame(conn, frame);
        self.queue_flush(conn, fx);
    }

    /// The same for what can wait. On a busy core it waits for the next frame to the same connection, but
    /// no longer than its patience: half of what a small message costs is the writes to sockets.
    pub(super) fn put_patiently(
        &mut self,
        conn: ConnId,
        frame: &Frame<'_>,
        patience: Patience,
        fx: &mut Effects,
    ) {
        if !self.gathers {
            self.put(conn, frame, fx);
            return;
        }
        self.append_frame(conn, frame);
        let due_ms = self.now.mono_ms + patience.ms();
        let Some(connection) = self.connection(conn) else { return };
        let waits = &mut connection.gathering[patience as usize];
        if !connection.flush_queued && !std::mem::replace(waits, true) {
            self.gathering[patience as usize].push_back((due_ms, conn));
            self.counters.gathered += 1;
        }
    }

    /// Lets go of what waited for company long enough.
    pub(super) fn flush_gathered(&mut self, fx: &mut Effects) {
        for patience in 0..self.gathering.len() {
            while let Some(&(due_ms, conn)) = self.gathering[patience].front() {
                if due_ms > self.now.mono_ms {
                    break;
                }
                self.gathering[patience].pop_front();
                if let Some(connection) = self.connection(conn) {
                    connection.gathering[patience] = false;
                    self.queue_flush(conn, fx);
                }
            }
        }
    }

    /// When the first of it is due, in milliseconds on the monotonic clock.
    pub(super) fn gathered_due_ms(&self) -> u64 {
        let first = |waiting: &VecDeque<(u64, ConnId)>| waiting.front().map(|&(due_ms, _)| due_ms);
        self.gathering.iter().filter_map(first).min().unwrap_or(u64::MAX)
    }

    fn queue_flush(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(connection) = self.connection(conn) else { return };
        if !connection.output.is_empty() && !connection.flush_queued {
            connection.flush_queued = true;
            fx.flush.push(conn);
        }
    }

    fn append_frame(&mut self, conn: ConnId, frame: &Frame<'_>) {
        let Some(connection) = self.connections.get_mut(conn.slot) else { return };
        if connection.id != conn {
            return;
        }
        if connection.output.capacity() == 0 {
            connection.output = self.buffers.pop().unwrap_or_default();
        }
        let before = connection.output.len();
        frame.encode(&mut connection.output);
        self.counters.sent_bytes += (connection.output.len() - before) as u64;
        self.counters.sent(frame.kind());
    }

    /// Whether a connection's output is so full that nothing should be added that can wait.
    pub(super) fn is_output_full(&mut self, conn: ConnId) -> bool {
        let high_bytes = self.config.output_high_bytes;
        self.connection(conn).is_none_or(|connection| connection.output.len() >= high_bytes)
    }

    /// The driver wrote what it took.
    pub(super) fn output_written(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(connection) = self.connection(conn) else { return };
        connection.writing = false;
        if connection.is_closing() {
            self.close_when_written(conn, fx);
            return;
        }
        // Small messages may have filled the output meanwhile. One piece goes with each of its turns.
        self.put_piece(conn, fx);
        self.continue_download(conn, fx);
        self.tell_stalled_receipts(conn, fx);
        self.tell_owed_presence(conn, fx);
        self.tell_missed_items(conn, fx);
        if let Some(session) = self.session(conn) {
            let slot = session.user_slot;
            self.queue_pump(slot);
        }
        self.queue_feeds(conn);
        self.queue_page(conn);
        self.resume_later(conn);
        self.queue_flush(conn, fx);
    }

    /// Begins with what is left of a body behind the first `done` bytes, which were put, if anything is.
    pub(super) fn put_rest(&mut self, conn: ConnId, body: Bytes, done: usize, fx: &mut Effects) {
        if done == body.len() {
            return;
        }
        if let Some(session) = self.session(conn) {
            session.download = Some(Box::new(Download { body, done, waiting: HashSet::new() }));
        }
        self.continue_download(conn, fx);
    }

    /// Whether the next entry of a log has a large body while another one is on its way to the device. Then the
    /// log waits, and is looked at again when that one has gone; what is small goes between its pieces.
    pub(super) fn waits_for_body(&mut self, conn: ConnId, log: LogId, body: &Bytes) -> bool {
        let session = self.session(conn);
        let Some(download) = session.and_then(|session| session.download.as_deref_mut()) else {
            return false;
        };
        let is_large = Chunks::total_bytes(body).is_some();
        if is_large {
            download.waiting.insert(log);
        }
        is_large
    }

    /// Puts the next pieces of a large body into the output, as long as it isn't full, so that
    /// other frames find a place between them.
    pub(super) fn continue_download(&mut self, conn: ConnId, fx: &mut Effects) {
        let high_bytes = self.config.output_high_bytes;
        while let Some(connection) = self.connection(conn) {
            let is_full = connection.output.len() >= high_bytes / 2;
            if is_full || !self.put_piece(conn, fx) {
                return;
            }
        }
    }

    /// Puts one piece of a large body that is on its way; `false` if there is none.
    fn put_piece(&mut self, conn: ConnId, fx: &mut Effects) -> bool {
        let Some(session) = self.session(conn) else { return false };
        let Some(download) = session.download.as_mut() else { return false };
        let start = download.done;
        let end = download.body.len().min(start + PART_BYTES_MAX);
        download.done = end;
        let is_cut = end == download.body.len() && is_planted(Fault::BodyCut);
        let piece = download.body.slice(start..end - usize::from(is_cut));
        if end == download.body.len() {
            session.download = None;
            let slot = session.user_slot;
            self.queue_pump(slot);
            self.queue_feeds(conn);
            self.queue_page(conn);
        }
        self.put(conn, &Frame::Part { body: &piece }, fx);
        true
    }

    /// Ends a connection that isn't logged in: tells why and closes.
    pub(super) fn refuse(
        &mut self,
        conn: ConnId,
        code: Code,
        retry_after_ms: u64,
        detail: &str,
        fx: &mut Effects,
    ) {
        count(&mut self.counters.refused, code);
        self.put(conn, &Frame::Refuse { code, retry_after_ms, detail }, fx);
        self.close(conn, fx);
    }

    /// Ends a connection: tells why, in the form that its stage asks for, and closes.
    pub(super) fn end(&mut self, conn: ConnId, code: Code, detail: &str, fx: &mut Effects) {
        match self.connection(conn).map(|connection| &connection.stage) {
            None | Some(Stage::Closing) => {}
            Some(Stage::Open(_)) => {
                count(&mut self.counters.goodbyes, code);
                let retry_after_ms = match code {
                    Code::ShuttingDown => crate::limits::RESTART_RETRY_MS,
                    Code::Overloaded => crate::limits::OVERLOAD_RETRY_MS,
                    _ => 0,
                };
                let goodbye = Goodbye { code, retry_after_ms, address: "", detail };
                self.put(conn, &Frame::Goodbye(goodbye), fx);
                self.close(conn, fx);
            }
            Some(_) => {
                let retry_after_ms =
                    if code == Code::ShuttingDown { crate::limits::RESTART_RETRY_MS } else { 0 };
                self.refuse(conn, code, retry_after_ms, detail, fx);
            }
        }
    }

    /// Leaves the session and closes once the output is written.
    pub(super) fn close(&mut self, conn: ConnId, fx: &mut Effects) {
        self.leave(conn);
        let now_ms = self.now.mono_ms;
        let Some(connection) = self.connection(conn) else { return };
        connection.stage = Stage::Closing;
        connection.heard_ms = now_ms;
        connection.partial_ms = 0;
        connection.input_used = 0;
        let input = std::mem::take(&mut connection.input);
        self.recycle(input);
        self.arm(conn, now_ms + CLOSE_GRACE_MS);
        self.close_when_written(conn, fx);
    }

    fn close_when_written(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(connection) = self.connection(conn) else { return };
        if connection.writing {
            return;
        }
        if connection.output.is_empty() {
            fx.close.push(conn);
        } else if !connection.flush_queued {
            connection.flush_queued = true;
            fx.flush.push(conn);
        }
    }
}
