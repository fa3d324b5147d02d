//! Large bodies that arrive in pieces. At most one per connection, within a budget of the whole core.

use bytes::Bytes;
use fulmar_protocol::{Assembly, Code, Send};

use super::connection::{Incoming, Upload};
use super::{ConnId, Effects, Message, Origin, Shard};
use crate::limits::{OVERLOAD_RETRY_MS, UPLOAD_BYTES_MAX, UPLOAD_STALL_MS};

impl Shard {
    /// The first piece of a large body that may be sent.
    pub(super) fn begin_upload(
        &mut self,
        origin: Origin,
        send: &Send<'_>,
        total_bytes: u64,
        fx: &mut Effects,
    ) {
        if !self.reserve_upload(send.body.len()) {
            self.refuse_upload(origin.conn, send);
            self.reject(origin, send.peer, Code::Overloaded, OVERLOAD_RETRY_MS, fx);
            return;
        }
        let assembly = Assembly::new(total_bytes as usize, send.body);
        let incoming = Incoming { origin, peer: send.peer, content: send.content, assembly };
        self.set_upload(origin.conn, Box::new(Upload::Taken(incoming)));
        self.arm(origin.conn, self.now.mono_ms + UPLOAD_STALL_MS);
    }

    /// Ignores the parts of a large body that was rejected.
    pub(super) fn refuse_upload(&mut self, conn: ConnId, send: &Send<'_>) {
        let Some(total_bytes) = send.total_bytes else { return };
        let rest_bytes = total_bytes - send.body.len() as u64;
        self.set_upload(conn, Box::new(Upload::Refused { rest_bytes }));
    }

    /// The next piece of a large body.
    pub(super) fn part(&mut self, conn: ConnId, piece: &[u8], fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let slot = session.user_slot;
        match session.upload.take().map(|upload| *upload) {
            None => self.end(conn, Code::UnexpectedPart, "no large body is in progress", fx),
            Some(Upload::Refused { rest_bytes }) => {
                self.ignore_piece(conn, rest_bytes, piece.len() as u64, fx);
            }
            Some(Upload::Taken(incoming)) => self.take_piece(slot, incoming, piece, fx),
        }
    }

    fn ignore_piece(&mut self, conn: ConnId, rest_bytes: u64, bytes: u64, fx: &mut Effects) {
        match rest_bytes.checked_sub(bytes) {
            Some(0) => {}
            Some(rest_bytes) => self.set_upload(conn, Box::new(Upload::Refused { rest_bytes })),
            None => self.end(conn, Code::UnexpectedPart, "more bytes than were announced", fx),
        }
    }

    fn take_piece(&mut self, slot: u32, mut incoming: Incoming, piece: &[u8], fx: &mut Effects) {
        let held = incoming.assembly.held_bytes();
        let Incoming { origin, peer, content, .. } = incoming;
        if !self.reserve_upload(piece.len()) {
            self.upload_bytes -= held;
            let rest_bytes = (incoming.assembly.total_bytes() - held) as u64;
            self.reject(origin, peer, Code::Overloaded, OVERLOAD_RETRY_MS, fx);
            self.ignore_piece(origin.conn, rest_bytes, piece.len() as u64, fx);
            return;
        }
        let pushed = incoming.assembly.push(piece);
        if let Ok(false) = pushed {
            self.set_upload(origin.conn, Box::new(Upload::Taken(incoming)));
            return;
        }
        self.upload_bytes -= held + piece.len();
        match pushed {
            Ok(_) => {
                let body = Bytes::from(incoming.assembly.into_body());
                self.dispatch_shared(slot, origin, peer, Message { content, body }, fx);
            }
            Err(error) => self.end(origin.conn, error.code(), &error.to_string(), fx),
        }
    }

    fn set_upload(&mut self, conn: ConnId, upload: Box<Upload>) {
        let now_ms = self.now.mono_ms;
        if let Some(session) = self.session(conn) {
            session.upload = Some(upload);
            session.upload_ms = now_ms;
        }
    }

    fn reserve_upload(&mut self, bytes: usize) -> bool {
        let fits = self.upload_bytes + bytes <= UPLOAD_BYTES_MAX;
        if fits {
            self.upload_bytes += bytes;
        }
        fits
    }
}
