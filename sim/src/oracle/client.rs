//! What a client writes.

use fulmar_protocol::{Frame, Hello, Send};

use super::Oracle;
use super::digest::Digest;
use super::group::Body;
use super::link::{Large, Link, SendHeader, Stage};
use crate::coverage::Happening;
use crate::network::ConnNo;

impl Oracle {
    /// A client wrote a frame, whole.
    pub(crate) fn wrote(&mut self, conn: ConnNo, frame: &Frame<'_>) {
        let Some(mut link) = self.links.remove(&conn) else { return };
        match link.stage {
            Stage::Fresh => {
                if let Frame::Hello(hello) = frame {
                    self.greeted(&mut link, hello);
                }
            }
            Stage::Greeted { at, .. } => {
                // The server may read it when it has sent the welcome.
                link.stage = Stage::Greeted { at, is_spoilt: true };
                self.wrote_in_session(&mut link, frame);
            }
            Stage::Open => self.wrote_in_session(&mut link, frame),
            Stage::Told => {}
        }
        self.links.insert(conn, link);
    }

    /// A client wrote bytes that aren't a frame.
    pub(crate) fn wrote_garbage(&mut self, conn: ConnNo) {
        if let Some(link) = self.links.get_mut(&conn)
            && let Stage::Greeted { at, .. } = link.stage
        {
            link.stage = Stage::Greeted { at, is_spoilt: true };
        }
    }

    fn greeted(&mut self, link: &mut Link, hello: &Hello<'_>) {
        link.greeted(hello, self.now);
        link.user = self.user(hello.user);
        link.device = hello.device as u16;
        link.floor = self.users[link.user as usize].told;
        if let Some(device) = self.users[link.user as usize].device(link.device) {
            device.has_greeted = true;
        }
        link.book_floor = self.books.get(&link.user).map_or(0, |book| book.head);
    }

    fn wrote_in_session(&mut self, link: &mut Link, frame: &Frame<'_>) {
        self.wrote_of_people(link, frame);
        match *frame {
            Frame::Send(ref send) => self.wrote_send(link, send),
            Frame::Part { body } => self.wrote_part(link, body),
            Frame::Ack { position } => self.wrote_ack(link, position),
            Frame::Read { peer, ordinal } => {
                let peer = self.user(peer);
                let direction = self.direction(peer, link.user);
                // The server takes at most what exists when it comes to it.
                direction.seen = direction.seen.max(ordinal);
                direction.stored = direction.stored.max(ordinal);
                let is_hidden = self.hides_reads(link.user);
                self.read_shown(peer, link.user, ordinal, is_hidden);
            }
            Frame::Ping => link.pinged(self.now),
            Frame::History(ref asked) => self.wrote_history(link, asked),
            Frame::Put { .. } => {
                self.wrote_of_book(link, frame);
                self.wrote_of_block(link, frame);
            }
            ref other => self.wrote_of_group(link, other),
        }
    }

    fn wrote_send(&mut self, link: &mut Link, send: &Send<'_>) {
        let to = self.user(send.peer);
        link.sent(send.peer, send.number, self.floors(link.user, to));
        match send.total_bytes {
            None => {
                let digest = Digest::of(send.content, send.body);
                self.attempt(link, send.peer, send.number, digest);
            }
            Some(total_bytes) => {
                let header = SendHeader { group: 0, peer: send.peer, number: send.number };
                let mut large = Large::new(header, send.content, total_bytes);
                // What doesn't fit is the server's to refuse.
                let _ = large.push(send.body);
                link.sending = Some(large);
            }
        }
    }

    fn wrote_part(&mut self, link: &mut Link, body: &[u8]) {
        let Some(large) = &mut link.sending else { return };
        if large.push(body) != Ok(true) {
            return;
        }
        if let Some(large) = link.sending.take() {
            let SendHeader { group, peer, number } = large.header;
            let digest = large.digester.finish();
            if group > 0 {
                self.attempt_in_group(link, group, number, Body { digest, change: None });
            } else {
                self.attempt(link, peer, number, digest);
            }
        }
    }

    fn attempt(&mut self, link: &Link, peer: u64, number: u64, digest: Digest) {
        let (from, device, now) = (link.user, link.device, self.now);
        let to = self.user(peer);
        self.has_fading |= digest.lives_ms().is_some();
        let has_target = self.has_target(from, to, digest);
        if !self.direction(from, to).attempt(device, number, digest, now, has_target) {
            self.hit(if link.is_good { Happening::Resend } else { Happening::RogueResend });
            return;
        }
        for user in self.inboxes_of(from, to) {
            self.users[user as usize].may_get(digest);
        }
    }

    /// The inboxes in which a message takes a position: the recipient's, and with its copy that of a sender
    /// with other devices, or where everything is kept.
    pub(super) fn inboxes_of(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + use<> {
        let sender = &self.users[from as usize];
        let is_copied = self.keeping_runs > 0 || !sender.is_good || sender.devices.len() > 1;
        [Some(to), (from != to && is_copied).then_some(from)].into_iter().flatten()
    }

    fn wrote_ack(&mut self, link: &mut Link, acked: u64) {
        let user = link.user;
        if let Some(device) = self.users[user as usize].device(link.device) {
            device.acked = device.acked.max(acked);
        }
        // It may be under way to the client.
        let is_ahead = link.acks(acked);
        let is_early = link.delivering.as_ref().is_some_and(|large| large.header.position <= acked);
        self.users[user as usize].is_liar |= is_ahead || is_early;
        while let Some(position) = link.settled(acked) {
            let entry = self.users[user as usize]
                .entry(position)
                .filter(|entry| !entry.own && !entry.is_notice);
            if let Some(entry) = entry {
                let direction = self.direction(entry.peer, user);
                direction.stored = direction.stored.max(entry.ordinal);
            }
        }
    }
}
