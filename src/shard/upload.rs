//! Large bodies on their way from a client: put together from their pieces, within a budget, then
//! sent like any other.

use bytes::Bytes;
use fulmar_protocol::{Assembly, Code, Send};

use super::connection::Upload;
use super::{ConnId, Effects, Message, Shard};
use crate::limits::{UPLOAD_BYTES_MAX, UPLOAD_STALL_MS};

impl Shard {
    /// The first piece.
    pub(super) fn begin_upload(
        &mut self,
        conn: ConnId,
        send: &Send<'_>,
        total_bytes: usize,
        fx: &mut Effects,
    ) {
        if !self.reserve_upload(send.body.len()) {
            self.end_overloaded(conn, fx);
            return;
        }
        let assembly = Assembly::new(total_bytes, send.body);
        let (peer, number, content) = (send.peer, send.number, send.content);
        self.keep_upload(conn, Box::new(Upload::Taken { peer, number, content, assembly }));
    }

    /// The next piece.
    pub(super) fn part(&mut self, conn: ConnId, piece: &[u8], fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let Some(mut upload) = session.upload.take() else {
            self.end(conn, Code::UnexpectedPart, "no large body is in progress", fx);
            return;
        };
        match &mut *upload {
            Upload::Ignored { rest_bytes } => match rest_bytes.checked_sub(piece.len() as u64) {
                Some(0) => {}
                Some(rest) => {
                    *rest_bytes = rest;
                    self.keep_upload(conn, upload);
                }
                None => {
                    self.end(conn, Code::UnexpectedPart, "more bytes than were announced", fx);
                }
            },
            Upload::Taken { assembly, .. } => {
                let held_bytes = assembly.held_bytes();
                if !self.reserve_upload(piece.len()) {
                    self.upload_bytes -= held_bytes;
                    self.end_overloaded(conn, fx);
                    return;
                }
                match assembly.push(piece) {
                    Ok(false) => self.keep_upload(conn, upload),
                    Ok(true) => {
                        self.upload_bytes -= held_bytes + piece.len();
                        self.complete_upload(conn, *upload, fx);
                    }
                    Err(error) => {
                        self.upload_bytes -= held_bytes + piece.len();
                        self.end(conn, error.code(), &error.to_string(), fx);
                    }
                }
            }
        }
    }

    fn complete_upload(&mut self, conn: ConnId, upload: Upload, fx: &mut Effects) {
        let Upload::Taken { peer, number, content, assembly } = upload else { return };
        let body = Bytes::from(assembly.into_body());
        self.offer_large(conn, peer, number, Message { content, body }, fx);
        self.pause_if_full(conn, fx);
    }

    /// Ignores the parts of a large body that isn't taken.
    pub(super) fn ignore_parts(&mut self, conn: ConnId, send: &Send<'_>) {
        if let Some(total_bytes) = send.total_bytes {
            let rest_bytes = total_bytes - send.body.len() as u64;
            self.keep_upload(conn, Box::new(Upload::Ignored { rest_bytes }));
        }
    }

    fn keep_upload(&mut self, conn: ConnId, upload: Box<Upload>) {
        let now_ms = self.now.mono_ms;
        if let Some(session) = self.session(conn) {
            session.upload = Some(upload);
            session.upload_ms = now_ms;
        }
        self.arm(conn, now_ms + UPLOAD_STALL_MS);
    }

    fn reserve_upload(&mut self, bytes: usize) -> bool {
        let fits = self.upload_bytes + bytes <= UPLOAD_BYTES_MAX;
        if fits {
            self.upload_bytes += bytes;
        }
        fits
    }
}
