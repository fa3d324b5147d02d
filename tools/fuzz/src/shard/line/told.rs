//! What a server tells of the inbox, and of what was sent to others.

use fulmar::shard::UserId;
use fulmar_protocol::group::GroupNotice;
use fulmar_protocol::{Assembly, Code, Deliver, Frame};

use super::super::facts::Facts;
use super::{Arriving, Line, Unanswered};

impl Line {
    pub(super) fn tell_session(&mut self, frame: &Frame<'_>, facts: &mut Facts) {
        let (user, _) = self.identity;
        match *frame {
            Frame::Sent { peer, number, ordinal, .. } => {
                let Some(send) = self.answered(peer, number) else { return };
                let last = self.ticked.insert(peer, send.nth).unwrap_or(0);
                assert!(send.nth > last, "ticks to {peer} come in the order of the sends");
                assert_eq!(send.refusal, None);
                facts.check_tick(self.identity, peer, number, ordinal);
                let has_copy = facts.ledger.has_copy(user, peer, ordinal);
                assert!(has_copy || !send.wants_copy, "the other devices have no copy");
            }
            Frame::Rejected { peer, number, code, .. } => {
                let Some(send) = self.answered(peer, number) else { return };
                match code {
                    // What a body refers to is known to the server only.
                    Code::QuotaExceeded
                    | Code::StaleNumber
                    | Code::BadContent
                    | Code::NoSuchMessage
                    | Code::TooOld => assert_eq!(send.refusal, None),
                    code => assert_eq!(send.refusal, Some(code)),
                }
            }
            Frame::Deliver(ref deliver) => self.deliver(deliver, facts),
            Frame::Part { body } => {
                let (arriving, mut assembly) = self.download.take().expect("a body in progress");
                if assembly.push(body).expect("as many as announced") {
                    self.arrived(arriving, &assembly.into_body(), facts);
                } else {
                    self.download = Some((arriving, assembly));
                }
            }
            Frame::Skip { position } => self.skip(position, facts),
            Frame::Receipt { peer, delivered, read, own } => {
                let (author, reader) = if own { (peer, user) } else { (user, peer) };
                facts.check_receipt(author, reader, delivered, read);
            }
            Frame::Pong { ref heads } => facts.check_heads(user, heads),
            Frame::GroupNotice(ref notice) => self.notice(notice, facts),
            ref frame if self.tell_of_groups(frame, facts) || self.tell_of_people(frame, facts) => {
            }
            ref other => panic!("a server doesn't send {other:?}"),
        }
    }

    /// The last piece of a large body came.
    fn arrived(&mut self, arriving: Arriving, body: &[u8], facts: &Facts) {
        match arriving {
            Arriving::Message(deliver) => facts.check_entry(self.identity.0, &deliver, body),
            Arriving::Entry(deliver) => facts.check_group_entry(self.identity, &deliver, body),
            Arriving::OfPage(past) => self.check_past(&past, body, facts),
        }
    }

    /// Takes a send out of those without an answer; `None` where it isn't known what was sent.
    fn answered(&mut self, peer: UserId, number: u64) -> Option<Unanswered> {
        let of_peer = self.unanswered.entry(peer).or_default();
        let at = of_peer.iter().position(|send| send.number == number);
        assert!(at.is_some() || self.is_garbled, "an answer has a question");
        at.map(|at| of_peer.remove(at))
    }

    fn deliver(&mut self, deliver: &Deliver<'_>, facts: &Facts) {
        assert!(self.download.is_none() || deliver.total_bytes.is_none(), "two large bodies");
        let Deliver { position, own, .. } = *deliver;
        let user = self.identity.0;
        self.advance(position);
        let entry = facts.ledger.entry_at(user, position).expect("what is delivered is stored");
        let is_echo = own && entry.header.device == self.identity.1;
        assert!(!is_echo, "a device gets no copy of its own message");
        self.check_window(entry.body.len() as u64, position, facts);
        match deliver.total_bytes {
            None => facts.check_entry(user, deliver, deliver.body),
            Some(total_bytes) => {
                let assembly = Assembly::new(total_bytes as usize, deliver.body);
                self.download = Some((Arriving::Message(without_body(deliver)), assembly));
            }
        }
    }

    fn notice(&mut self, notice: &GroupNotice, facts: &Facts) {
        let position = notice.position;
        self.advance(position);
        let entry = facts.ledger.entry_at(self.identity.0, position).expect("it is stored");
        let header = entry.header;
        assert!(header.is_notice, "a notice for a message");
        let told = (notice.group, notice.by, notice.time_ms);
        assert_eq!(told, (header.ordinal, header.peer, header.time_ms));
        self.groups.renew(notice.group);
        self.check_window(0, position, facts);
    }

    fn advance(&mut self, position: u64) {
        match self.position {
            Some(last) => assert_eq!(position, last + 1, "a gap"),
            None => assert!(position <= self.hello_cursor.saturating_add(1), "a gap at first"),
        }
        self.position = Some(position);
    }

    fn check_window(&mut self, body_bytes: u64, position: u64, facts: &Facts) {
        if position <= self.acked {
            return;
        }
        let bytes: u64 = self.window.iter().map(|(_, bytes)| bytes).sum();
        let limits = facts.limits;
        assert!((self.window.len() as u64) < limits.window_messages, "the window of messages");
        let has_room = self.window.is_empty() || bytes < limits.window_bytes;
        assert!(has_room, "the window of bytes: {bytes} are under way");
        self.window.push_back((position, body_bytes));
    }

    fn skip(&mut self, position: u64, facts: &Facts) {
        let (user, device) = self.identity;
        // A first one says where the server starts, which is further back for a cursor that lies.
        let from = self.position.unwrap_or(0);
        assert!(position > from, "a skip to {position} after {from}");
        for skipped in from + 1..=position {
            let is_settled = facts.ledger.is_settled(user, device, skipped, &facts.known);
            assert!(is_settled, "{user}.{device} was never given position {skipped}");
        }
        self.position = Some(position);
    }
}

/// The fields of a delivery whose body is still coming.
const fn without_body(deliver: &Deliver<'_>) -> Deliver<'static> {
    let Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, .. } = *deliver;
    Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body: &[] }
}
