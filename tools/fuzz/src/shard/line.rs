//! One connection, from the client's side: what was said on it, what was told on it, and whether the
//! one may follow from the other.

use std::collections::{BTreeMap, VecDeque};

use fulmar::shard::{ConnId, DeviceId, UserId};
use fulmar_protocol::group::GroupNotice;
use fulmar_protocol::history::Past;
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::people::item;
use fulmar_protocol::{Assembly, Code, Deliver, Frame, Frames, Send, Welcome};

use super::facts::Facts;

/// Where the login stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No answer to the hello came.
    Before,
    Online,
    /// A goodbye or refusal came; nothing may follow it.
    Over,
}

/// A send that has no answer.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    number: u64,
    /// Its place among the sends of the connection.
    nth: usize,
    /// Why it can't be taken, by its own words.
    refusal: Option<Code>,
    /// The user had several devices when it was first sent, so that its tick stands for a copy too.
    wants_copy: bool,
}

/// A large body on its way to the server.
#[derive(Debug)]
enum Upload {
    None,
    Taken {
        peer: UserId,
        number: u64,
        assembly: Assembly,
    },
    /// The server passes over what is still to come.
    Ignored {
        rest_bytes: u64,
    },
}

/// See the module's description.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts about the connection
pub(super) struct Line {
    pub(super) core: usize,
    pub(super) conn: ConnId,
    pub(super) is_closed: bool,
    /// The server doesn't receive from it.
    pub(super) is_paused: bool,
    /// The client doesn't read, so what the server writes isn't done.
    pub(super) is_stalled: bool,
    /// The server writes.
    pub(super) is_writing: bool,
    /// Bytes that the client wrote and the server didn't receive.
    pub(super) outgoing: Vec<u8>,
    /// User and device of the hello.
    pub(super) identity: (UserId, DeviceId),
    hello_cursor: u64,
    stage: Stage,
    /// What the client said can't be understood any more.
    is_garbled: bool,
    said: Vec<u8>,
    told: Vec<u8>,
    /// The last position delivered or skipped.
    position: Option<u64>,
    acked: u64,
    /// Positions without acknowledgement, and their bytes.
    window: VecDeque<(u64, u64)>,
    unanswered: BTreeMap<UserId, Vec<Unanswered>>,
    sends: usize,
    /// The last send to each peer that was ticked.
    ticked: BTreeMap<UserId, usize>,
    upload: Upload,
    download: Option<(Deliver<'static>, Assembly)>,
    /// The same of a page.
    past: Option<(Deliver<'static>, Assembly)>,
}

/// The limits that the server states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) window_messages: u64,
    pub(super) window_bytes: u64,
    pub(super) body_bytes_max: u64,
}

impl Line {
    pub(super) fn new(core: usize, conn: ConnId) -> Self {
        Line {
            core,
            conn,
            is_closed: false,
            is_paused: false,
            is_stalled: false,
            is_writing: false,
            outgoing: Vec::new(),
            identity: (0, 0),
            hello_cursor: 0,
            stage: Stage::Before,
            is_garbled: false,
            said: Vec::new(),
            told: Vec::new(),
            position: None,
            acked: 0,
            window: VecDeque::new(),
            unanswered: BTreeMap::new(),
            sends: 0,
            ticked: BTreeMap::new(),
            upload: Upload::None,
            download: None,
            past: None,
        }
    }

    pub(super) const fn is_online(&self) -> bool {
        matches!(self.stage, Stage::Online) && !self.is_closed
    }

    /// Whether every complete send was answered, as far as one can tell.
    pub(super) fn is_answered(&self) -> bool {
        self.is_garbled || self.unanswered.values().all(Vec::is_empty)
    }

    /// The last position up to which everything came, and whether that is more than is acknowledged.
    pub(super) fn complete_through(&self) -> Option<u64> {
        let position = self.position? - u64::from(self.download.is_some());
        (position > self.acked).then_some(position)
    }

    /// Notes what the server receives.
    pub(super) fn say(&mut self, bytes: &[u8], facts: &mut Facts) {
        if self.is_garbled || self.stage == Stage::Over {
            return;
        }
        self.said.extend_from_slice(bytes);
        let said = std::mem::take(&mut self.said);
        let mut frames = Frames::new(&said, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            match frame.map(Frame::decode) {
                Ok(Ok(frame)) => self.say_frame(&frame, facts),
                _ => self.is_garbled = true,
            }
            if self.is_garbled {
                return;
            }
        }
        self.said = frames.rest().to_vec();
    }

    fn say_frame(&mut self, frame: &Frame<'_>, facts: &mut Facts) {
        match frame {
            Frame::Hello(hello) if self.identity == (0, 0) => {
                self.identity = (hello.user, hello.device as DeviceId);
                let inbox = hello.cursors.iter().find(|&(log, _)| log == 0);
                self.hello_cursor = inbox.map_or(0, |(_, cursor)| cursor);
            }
            Frame::Send(send) => self.say_send(send, facts),
            Frame::Part { body } => self.say_part(body, facts),
            Frame::Ack { position } => {
                self.acked = self.acked.max(*position);
                while self.window.front().is_some_and(|&(first, _)| first <= *position) {
                    self.window.pop_front();
                }
                facts.acknowledge(self.identity, *position);
            }
            Frame::Read { peer, ordinal } => facts.read(self.identity.0, *peer, *ordinal),
            Frame::Put { item: item::BLOCK, .. } => facts.ledger.has_blocks = true,
            Frame::Ask { .. }
            | Frame::Ping
            | Frame::Activity { .. }
            | Frame::Watch { .. }
            | Frame::Unwatch { .. }
            | Frame::Typing { .. }
            | Frame::History(_)
            | Frame::Put { .. }
            | Frame::BookResume { .. }
            | Frame::ProfileLook { .. }
            | Frame::Find { .. }
            | Frame::GroupResume { .. }
            | Frame::GroupChange { .. }
            | Frame::GroupAck { .. }
            | Frame::GroupRead { .. }
            | Frame::GroupAsk { .. }
            | Frame::GroupLook { .. }
            | Frame::Unknown { .. } => {}
            Frame::GroupSend(send) if send.total_bytes.is_none() => {}
            // The server ends the connection, or what parts belong to isn't known here.
            _ => self.is_garbled = true,
        }
    }

    fn say_send(&mut self, send: &Send<'_>, facts: &mut Facts) {
        let Send { peer, number, body, total_bytes, .. } = *send;
        let all_bytes = total_bytes.unwrap_or(body.len() as u64);
        if total_bytes.is_some() && !matches!(self.upload, Upload::None) {
            self.is_garbled = true;
            return;
        }
        let refusal = if peer == 0 {
            Some(Code::BadPeer)
        } else {
            (all_bytes > facts.limits.body_bytes_max).then_some(Code::BodyTooLarge)
        };
        match total_bytes {
            None => self.offer(peer, number, body, refusal, facts),
            Some(_) if refusal.is_some() => {
                self.offer(peer, number, body, refusal, facts);
                self.upload = Upload::Ignored { rest_bytes: all_bytes - body.len() as u64 };
            }
            Some(_) => {
                let assembly = Assembly::new(all_bytes as usize, body);
                self.upload = Upload::Taken { peer, number, assembly };
            }
        }
    }

    fn say_part(&mut self, body: &[u8], facts: &mut Facts) {
        match std::mem::replace(&mut self.upload, Upload::None) {
            Upload::None => self.is_garbled = true,
            Upload::Taken { peer, number, mut assembly } => match assembly.push(body) {
                Ok(true) => self.offer(peer, number, &assembly.into_body(), None, facts),
                Ok(false) => self.upload = Upload::Taken { peer, number, assembly },
                Err(_) => self.is_garbled = true,
            },
            Upload::Ignored { rest_bytes } => match rest_bytes.checked_sub(body.len() as u64) {
                Some(0) => {}
                Some(rest_bytes) => self.upload = Upload::Ignored { rest_bytes },
                None => self.is_garbled = true,
            },
        }
    }

    fn offer(
        &mut self,
        peer: UserId,
        number: u64,
        body: &[u8],
        refusal: Option<Code>,
        facts: &mut Facts,
    ) {
        let is_first = facts.offer(self.identity, peer, number, body);
        let user = self.identity.0;
        let wants_copy = is_first && peer != user && facts.ledger.devices(user).count() > 1;
        self.sends += 1;
        let nth = self.sends;
        let send = Unanswered { number, nth, refusal, wants_copy };
        self.unanswered.entry(peer).or_default().push(send);
    }

    /// Takes what the server writes.
    pub(super) fn tell(&mut self, bytes: &[u8], facts: &Facts) {
        self.told.extend_from_slice(bytes);
        let told = std::mem::take(&mut self.told);
        let mut frames = Frames::new(&told, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            let frame = Frame::decode(frame.expect("a server's length")).expect("a server's frame");
            self.tell_frame(&frame, facts);
        }
        assert!(frames.rest().is_empty(), "the server writes whole frames");
    }

    fn tell_frame(&mut self, frame: &Frame<'_>, facts: &Facts) {
        match (self.stage, frame) {
            (Stage::Before, Frame::Refuse { code, .. }) => {
                assert_ne!(*code, Code::None);
                self.stage = Stage::Over;
            }
            (Stage::Before, Frame::Welcome(welcome)) => self.welcome(welcome, facts),
            (Stage::Online, Frame::Goodbye(goodbye)) => {
                assert_ne!(goodbye.code, Code::Internal, "{}", goodbye.detail);
                self.stage = Stage::Over;
            }
            (Stage::Online, frame) => self.tell_session(frame, facts),
            (stage, frame) => panic!("{frame:?} comes at {stage:?}"),
        }
    }

    fn tell_session(&mut self, frame: &Frame<'_>, facts: &Facts) {
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
            Frame::Part { body } if self.past.is_some() => self.past_part(body, facts),
            Frame::Part { body } => {
                let (deliver, mut assembly) = self.download.take().expect("a body in progress");
                if assembly.push(body).expect("as many as announced") {
                    facts.check_entry(user, &deliver, &assembly.into_body());
                } else {
                    self.download = Some((deliver, assembly));
                }
            }
            Frame::Skip { position } => self.skip(position, facts),
            Frame::Receipt { peer, delivered, read, own } => {
                let (author, reader) = if own { (peer, user) } else { (user, peer) };
                facts.check_receipt(author, reader, delivered, read);
            }
            Frame::Pong { ref heads } => facts.check_heads(user, heads),
            Frame::GroupNotice(ref notice) => self.notice(notice, facts),
            Frame::GroupRejected(ref rejected) => assert_ne!(rejected.code, Code::None),
            // Of a group that a script made by its bytes.
            Frame::GroupSent { position, .. } => assert!(position > 0),
            Frame::GroupDeliver(_)
            | Frame::GroupSkip { .. }
            | Frame::GroupRead { .. }
            | Frame::GroupReceipt(_)
            | Frame::GroupState(_)
            | Frame::GroupGone { .. }
            | Frame::Presence { .. }
            | Frame::Typing { .. }
            | Frame::HistoryEnd(_)
            | Frame::Item(_)
            | Frame::PutRejected(_)
            | Frame::Book { .. }
            | Frame::Profile(_)
            | Frame::ProfileNews { .. }
            | Frame::Found(_) => {}
            Frame::Past(ref past) => self.past(past, facts),
            ref other => panic!("a server doesn't send {other:?}"),
        }
    }

    fn welcome(&mut self, welcome: &Welcome<'_>, facts: &Facts) {
        let (user, device) = self.identity;
        let is_known = facts.ledger.devices(user).any(|(known, _)| known == device);
        assert!(is_known, "{user}.{device} is welcome before it is stored");
        facts.check_heads(user, &welcome.heads);
        self.stage = Stage::Online;
    }

    /// Takes a send out of those without an answer; `None` where it isn't known what was sent.
    fn answered(&mut self, peer: UserId, number: u64) -> Option<Unanswered> {
        let of_peer = self.unanswered.entry(peer).or_default();
        let at = of_peer.iter().position(|send| send.number == number);
        assert!(at.is_some() || self.is_garbled, "an answer has a question");
        at.map(|at| of_peer.remove(at))
    }

    fn deliver(&mut self, deliver: &Deliver<'_>, facts: &Facts) {
        let is_within = self.download.is_some() || self.past.is_some();
        assert!(!is_within || deliver.total_bytes.is_none(), "two large bodies");
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
                self.download = Some((without_body(deliver), assembly));
            }
        }
    }

    /// An entry of a page. What isn't kept any more may still be told.
    fn past(&mut self, past: &Past<'_>, facts: &Facts) {
        assert!(self.download.is_none() && self.past.is_none(), "an entry within a large body");
        assert_eq!(past.group, 0, "scripts make no groups");
        let Past { position, peer, ordinal, time_ms, content, own, total_bytes, body, .. } = *past;
        let deliver = Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body };
        match total_bytes {
            None => self.check_past(&deliver, body, facts),
            Some(total_bytes) => {
                let assembly = Assembly::new(total_bytes as usize, body);
                self.past = Some((without_body(&deliver), assembly));
            }
        }
    }

    fn past_part(&mut self, body: &[u8], facts: &Facts) {
        let Some((deliver, mut assembly)) = self.past.take() else { return };
        if assembly.push(body).expect("as many as announced") {
            self.check_past(&deliver, &assembly.into_body(), facts);
        } else {
            self.past = Some((deliver, assembly));
        }
    }

    fn check_past(&self, deliver: &Deliver<'_>, body: &[u8], facts: &Facts) {
        let user = self.identity.0;
        assert!(deliver.position <= facts.ledger.head(user), "a page of what isn't durable");
        if facts.ledger.entry_at(user, deliver.position).is_some() {
            facts.check_entry(user, deliver, body);
        }
    }

    fn notice(&mut self, notice: &GroupNotice, facts: &Facts) {
        let position = notice.position;
        self.advance(position);
        let entry = facts.ledger.entry_at(self.identity.0, position).expect("it is stored");
        assert!(entry.header.is_notice, "a notice for a message");
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
