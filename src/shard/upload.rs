//! Large bodies on their way from a client: put together from their pieces, within a budget, then
//! sent like any other.
//!
//! Where the budget is used up, the body that was begun first gives way: whoever goes on at the speed
//! of a network is done long before, so it is one whose client keeps it open for nothing.

use bytes::Bytes;
use fulmar_protocol::group::GroupSend;
use fulmar_protocol::{Assembly, Code, Send};

use super::connection::Upload;
use super::{ConnId, Effects, LogId, Message, Shard};
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
        let to = LogId::Inbox(send.peer);
        self.take_upload(conn, to, (send.number, send.content), send.body, total_bytes, fx);
    }

    /// The same to a group.
    pub(super) fn begin_group_upload(
        &mut self,
        conn: ConnId,
        send: &GroupSend<'_>,
        total_bytes: usize,
        fx: &mut Effects,
    ) {
        let to = LogId::Group(send.group);
        self.take_upload(conn, to, (send.number, send.content), send.body, total_bytes, fx);
    }

    fn take_upload(
        &mut self,
        conn: ConnId,
        to: LogId,
        (number, content): (u64, u8),
        piece: &[u8],
        total_bytes: usize,
        fx: &mut Effects,
    ) {
        self.last_upload += 1;
        let begun = self.last_upload;
        self.uploads.insert(begun, conn);
        self.reserve_upload(conn, piece.len(), fx);
        let assembly = Assembly::new(total_bytes, piece);
        self.keep_upload(conn, Box::new(Upload::Taken { begun, to, number, content, assembly }));
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
            Upload::Taken { assembly, .. } => match assembly.push(piece) {
                Ok(is_complete) => {
                    self.reserve_upload(conn, piece.len(), fx);
                    if is_complete {
                        self.forget_upload(&upload);
                        self.complete_upload(conn, *upload, fx);
                    } else {
                        self.keep_upload(conn, upload);
                    }
                }
                Err(error) => {
                    self.forget_upload(&upload);
                    self.end(conn, error.code(), &error.to_string(), fx);
                }
            },
        }
    }

    fn complete_upload(&mut self, conn: ConnId, upload: Upload, fx: &mut Effects) {
        let Upload::Taken { to, number, content, assembly, .. } = upload else { return };
        let body = Bytes::from(assembly.into_body());
        let message = Message { content, body };
        match to {
            LogId::Inbox(peer) => self.offer_large(conn, peer, number, message, fx),
            LogId::Group(group) => self.offer_to_group(conn, group, number, message, fx),
        }
        self.pause_if_full(conn, fx);
    }

    /// Ignores the parts of a large body that isn't taken.
    pub(super) fn ignore_parts(&mut self, conn: ConnId, send: &Send<'_>) {
        self.ignore_rest(conn, send.total_bytes, send.body.len());
    }

    /// Ignores what is still to come of a body of this size.
    pub(super) fn ignore_rest(&mut self, conn: ConnId, total_bytes: Option<u64>, came: usize) {
        if let Some(total_bytes) = total_bytes {
            let rest_bytes = total_bytes - came as u64;
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

    /// Counts bytes of a body that arrived on `conn`; where that is over the budget, ends the
    /// connections whose bodies were begun first. One body alone never is.
    fn reserve_upload(&mut self, conn: ConnId, bytes: usize, fx: &mut Effects) {
        self.upload_bytes += bytes;
        let mut next = 0;
        while self.upload_bytes > UPLOAD_BYTES_MAX {
            let Some((&begun, &oldest)) = self.uploads.range(next..).next() else { return };
            next = begun + 1;
            if oldest != conn {
                self.end_overloaded(oldest, fx);
            }
        }
    }

    /// A large body is complete or never will be: it no longer counts.
    pub(super) fn forget_upload(&mut self, upload: &Upload) {
        if let Upload::Taken { begun, assembly, .. } = upload {
            self.uploads.remove(begun);
            self.upload_bytes -= assembly.held_bytes();
        }
    }
}
