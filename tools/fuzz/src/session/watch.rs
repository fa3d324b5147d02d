//! What a session said and asked for, judged by the rules of its seam and of the protocol.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_client::limits::{
    BACKOFF_MS_MAX, BODY_BYTES_MAX, NUMBER_MAX, RETRY_AFTER_MS_MAX, SENDS_IN_FLIGHT_MAX,
};
use fulmar_client::store::Write;
use fulmar_client::{Event, MessageId, Target, content};
use fulmar_protocol::limits::{FRAME_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Assembly, Frame, Frames, VERSION, Welcome};

/// A send of which the store has the number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    id: MessageId,
    target: Target,
    body: Vec<u8>,
}

/// The connection, as the server sees it.
#[derive(Debug, Default)]
struct Connection {
    greeted: bool,
    /// The last goodbye was said.
    is_over: bool,
    /// Sends that are allowed to be without an answer, once a welcome came.
    sends_max: Option<u64>,
    /// Numbers without an answer.
    in_flight: BTreeSet<u64>,
    upload: Option<(u64, Assembly)>,
    /// The last position that was delivered or skipped.
    announced: u64,
    acked: u64,
    /// The same of the groups that it named: announced, acknowledged.
    groups: BTreeMap<u64, (u64, u64)>,
    /// Bytes from the server that are no whole frame yet; none once they can't be understood.
    received: Option<Vec<u8>>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Watch {
    connection: Connection,
    cursor: u64,
    /// The server's head, which was behind the cursor, until the store knows it.
    went_back: Option<u64>,
    number_last: u64,
    id_last: i64,
    /// By number.
    sends: BTreeMap<u64, Stored>,
    bodies: BTreeMap<MessageId, (Target, Vec<u8>)>,
    /// Of the inbox (none) and of groups.
    positions: BTreeSet<(Option<u64>, u64)>,
    /// Those that the person was shown.
    shown: BTreeSet<(Option<u64>, u64)>,
    /// How far the store has each group.
    group_cursors: BTreeMap<u64, u64>,
    ticked: BTreeSet<MessageId>,
    /// (delivered, read) by peer.
    receipts: BTreeMap<u64, (u64, u64)>,
}

impl Watch {
    /// How far the store has the inbox.
    pub(super) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The process began again on the store.
    pub(super) fn begin_again(&mut self) {
        self.disconnected();
        self.went_back = None;
        self.shown.retain(|position| self.positions.contains(position));
    }

    pub(super) fn connected(&mut self) {
        self.connection = Connection { received: Some(Vec::new()), ..Connection::default() };
    }

    pub(super) fn disconnected(&mut self) {
        self.connection = Connection::default();
    }

    /// Numbers without an answer on this connection, with their targets.
    pub(super) fn in_flight(&self) -> Vec<(Target, u64)> {
        let target = |number: &u64| Some((self.sends.get(number)?.target, *number));
        self.connection.in_flight.iter().filter_map(target).collect()
    }

    /// The last position that this connection announced.
    pub(super) const fn announced(&self) -> u64 {
        self.connection.announced
    }

    /// The last position of a group that this connection announced.
    pub(super) fn announced_in(&self, group: u64) -> u64 {
        let announced = self.connection.groups.get(&group).map_or(0, |(announced, _)| *announced);
        announced.max(self.group_cursors.get(&group).copied().unwrap_or(0))
    }

    /// The server's bytes, before the session has them.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        let Some(mut all) = self.connection.received.take() else { return };
        all.extend_from_slice(bytes);
        let mut frames = Frames::new(&all, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            let Ok(Ok(frame)) = frame.map(Frame::decode) else { return };
            match frame {
                Frame::Welcome(welcome) => self.welcome(&welcome),
                Frame::Deliver(deliver) => self.announce(deliver.position),
                Frame::Skip { position } => self.announce(position),
                Frame::GroupNotice(notice) => self.announce(notice.position),
                Frame::GroupDeliver(deliver) => self.announce_in(deliver.group, deliver.position),
                Frame::GroupSkip { group, position } => self.announce_in(group, position),
                Frame::GroupRejected(rejected) => {
                    self.connection.in_flight.remove(&rejected.number);
                }
                Frame::Sent { number, .. }
                | Frame::Rejected { number, .. }
                | Frame::GroupSent { number, .. } => {
                    self.connection.in_flight.remove(&number);
                }
                _ => {}
            }
        }
        self.connection.received = Some(frames.rest().to_vec());
    }

    /// The first one of a connection counts, if it answers a hello.
    fn welcome(&mut self, welcome: &Welcome<'_>) {
        let is_first = self.connection.greeted && self.connection.sends_max.is_none();
        if !is_first || welcome.version != VERSION {
            return;
        }
        self.connection.sends_max = Some(welcome.sends_max);
        let inbox = welcome.heads.iter().find(|(log, _)| *log == 0);
        let cursor = self.went_back.unwrap_or(self.cursor);
        let head = inbox.map_or(cursor, |(_, head)| head.min(cursor));
        self.connection.announced = head;
        if head < cursor {
            self.went_back = Some(head);
        }
    }

    fn announce(&mut self, position: u64) {
        self.connection.announced = self.connection.announced.max(position);
    }

    fn announce_in(&mut self, group: u64, position: u64) {
        let (announced, _) = self.connection.groups.entry(group).or_default();
        *announced = position.max(*announced);
    }

    /// The session's bytes.
    pub(super) fn transmitted(&mut self, bytes: &[u8], is_writing: bool) {
        assert!(!bytes.is_empty());
        let mut frames = Frames::new(bytes, FRAME_BYTES_MAX);
        let mut last = None;
        for frame in frames.by_ref() {
            let frame = Frame::decode(frame.expect("a client's length")).expect("a client's frame");
            assert!(!self.connection.is_over, "nothing follows a goodbye");
            self.transmitted_frame(&frame);
            last = frame.kind();
        }
        assert!(frames.rest().is_empty(), "half a frame");
        let is_last = last == Some(fulmar_protocol::Kind::Goodbye);
        assert!(!is_writing || is_last, "two writes at once");
    }

    fn transmitted_frame(&mut self, frame: &Frame<'_>) {
        if let Frame::Hello(hello) = frame {
            assert!(!self.connection.greeted, "a second hello");
            self.connection.greeted = true;
            let cursor = self.went_back.unwrap_or(self.cursor);
            assert!(hello.cursors.iter().eq([(0, cursor)]), "the cursor is what is stored");
            return;
        }
        assert!(self.connection.sends_max.is_some(), "{frame:?} before the welcome");
        match frame {
            Frame::Send(send) => {
                let target = Target::Peer(send.peer);
                self.check_send(target, send.number, send.total_bytes, send.body);
            }
            Frame::GroupSend(send) => {
                assert_ne!(send.content, content::CHANGE);
                let target = Target::Group(send.group);
                self.check_send(target, send.number, send.total_bytes, send.body);
            }
            Frame::GroupChange { group, number, change } => {
                let mut body = Vec::new();
                change.encode(&mut body);
                self.check_send(Target::Group(*group), *number, None, &body);
            }
            Frame::GroupResume { cursors } => {
                for (group, cursor) in cursors.iter() {
                    assert_eq!(cursor, self.group_cursors.get(&group).copied().unwrap_or(0));
                }
            }
            Frame::GroupAck { group, position } => {
                let stored = self.group_cursors.get(group).copied().unwrap_or(0);
                assert!(*position <= stored, "an acknowledgement of what isn't stored");
                let (announced, acked) = self.connection.groups.entry(*group).or_default();
                assert!(position <= announced, "of what wasn't delivered");
                assert!(position > acked, "acknowledged twice");
                *acked = *position;
            }
            Frame::GroupRead { position, .. } => assert!(*position > 0),
            Frame::Part { body } => {
                let (number, mut assembly) =
                    self.connection.upload.take().expect("a body to go on");
                if assembly.push(body).expect("as many as announced") {
                    self.check_body(number, &assembly.into_body());
                } else {
                    assert_eq!(body.len(), PART_BYTES_MAX, "pieces are as large as may be");
                    self.connection.upload = Some((number, assembly));
                }
            }
            Frame::Ack { position } => {
                assert!(*position <= self.cursor, "an acknowledgement of what isn't stored");
                assert!(*position <= self.connection.announced, "of what wasn't delivered");
                assert!(*position > self.connection.acked, "acknowledged twice");
                self.connection.acked = *position;
            }
            Frame::Read { peer, ordinal } => assert!(*peer != 0 && *ordinal > 0),
            Frame::Ask { peer } => assert_ne!(*peer, 0),
            Frame::Goodbye(_) => self.connection.is_over = true,
            Frame::GroupAsk { .. } | Frame::GroupLook { .. } | Frame::Ping => {}
            other => panic!("a client doesn't send {other:?}"),
        }
    }

    fn check_send(&mut self, target: Target, number: u64, total_bytes: Option<u64>, body: &[u8]) {
        let stored = self.sends.get(&number).expect("a number is stored before it is used");
        assert_eq!(stored.target, target);
        assert!(self.connection.in_flight.insert(number), "sent twice on one connection");
        let allowed = self.connection.sends_max.unwrap_or(0).clamp(1, SENDS_IN_FLIGHT_MAX as u64);
        assert!(self.connection.in_flight.len() as u64 <= allowed, "too many without an answer");
        if let Some((other, _)) = &self.connection.upload {
            let passed = self.sends.get(other).map(|passed| passed.target);
            assert_ne!(passed, Some(target), "it passes a large body to the same target");
        }
        match total_bytes {
            None => self.check_body(number, body),
            Some(total_bytes) => {
                assert!(self.connection.upload.is_none(), "two large bodies at once");
                assert!(total_bytes <= BODY_BYTES_MAX as u64);
                let assembly = Assembly::new(total_bytes as usize, body);
                self.connection.upload = Some((number, assembly));
            }
        }
    }

    fn check_body(&self, number: u64, body: &[u8]) {
        // The answer to a large body may come before its last part.
        if let Some(stored) = self.sends.get(&number) {
            assert_eq!(stored.body, body, "what is sent is what was stored");
        }
    }

    /// A batch is in the store.
    pub(super) fn stored(&mut self, batch: &[Write]) {
        for write in batch {
            match write {
                Write::Insert(message) => {
                    self.take_id(message.id);
                    let position = message.position.expect("what came has a position");
                    check_number(position);
                    check_number(message.ordinal.expect("what came has an ordinal"));
                    let is_new = self.positions.insert((message.group, position));
                    assert!(is_new, "position {position} is stored twice");
                }
                Write::Enqueue { message, number } => {
                    self.take_id(message.id);
                    let (id, target) = (message.id, message.target());
                    self.bodies.insert(id, (target, message.body.to_vec()));
                    self.take_number(*number, id);
                }
                Write::Requeue { id, number } => self.take_number(*number, *id),
                Write::Ticked { number, ordinal, time_ms, .. } => {
                    check_number(*ordinal);
                    assert!(*time_ms <= NUMBER_MAX);
                    assert!(self.sends.remove(number).is_some(), "answered twice");
                }
                Write::Rejected { number, .. } => {
                    assert!(self.sends.remove(number).is_some(), "answered twice");
                }
                Write::Cursor(position) => {
                    check_number(*position);
                    assert!(*position > self.cursor, "the cursor goes forward");
                    self.cursor = *position;
                }
                Write::WentBack { head } => {
                    assert!(*head < self.cursor, "it is not further on");
                    self.cursor = *head;
                    self.went_back = self.went_back.filter(|pending| pending < head);
                    self.positions.retain(|(group, position)| group.is_some() || position <= head);
                    self.go_back(*head);
                }
                Write::GroupWentBack { group, head } => {
                    let cursor = self.group_cursors.get_mut(group).expect("a group of this device");
                    assert!(*head < *cursor, "it is not further on");
                    *cursor = *head;
                    self.positions.retain(|(of, position)| *of != Some(*group) || position <= head);
                    self.shown.retain(|(of, position)| *of != Some(*group) || position <= head);
                }
                Write::Conversation(state) => {
                    assert!(state.read <= state.delivered && state.seen_confirmed <= state.seen);
                    for number in [state.delivered, state.seen, state.in_last, state.out_last] {
                        assert!(number <= NUMBER_MAX);
                    }
                }
                Write::Placed { id, group } => {
                    let (target, _) = self.bodies.get_mut(id).expect("a message of this device");
                    assert_eq!(*target, Target::Group(0), "placed twice");
                    *target = Target::Group(*group);
                }
                Write::Group(state) => {
                    assert!(state.seen_confirmed <= state.seen);
                    for number in [state.cursor, state.own_last, state.seen, state.roles_at] {
                        assert!(number <= NUMBER_MAX);
                    }
                    let cursor = self.group_cursors.entry(state.group).or_default();
                    assert!(state.cursor >= *cursor, "the cursor goes forward");
                    *cursor = state.cursor;
                }
                Write::Roles { after, through, roles, .. } => {
                    assert!(roles.is_sorted_by(|one, other| one.0 < other.0));
                    assert!(roles.iter().all(|(user, _)| user > after && user <= through));
                }
                Write::Fill(message) => {
                    check_number(message.position.expect("what came has a position"));
                    check_number(message.ordinal.expect("what came has an ordinal"));
                    assert!(message.id.0 < 0, "it stands before what came by itself");
                }
                Write::Expires { at_ms, .. } => assert!(*at_ms <= NUMBER_MAX),
                Write::Filled(from) => assert!(*from <= NUMBER_MAX),
                Write::NumberLast(number) => {
                    check_number(*number);
                    self.number_last = self.number_last.max(*number);
                }
                Write::Item { version, .. } | Write::BookCursor(version) => {
                    assert!(*version <= NUMBER_MAX);
                }
                Write::Profile(profile) => assert!(profile.version <= NUMBER_MAX),
                Write::Expire { .. } | Write::BookForgotten | Write::Wish { .. } => {}
            }
        }
    }

    /// What the server said before means nothing any more.
    fn go_back(&mut self, head: u64) {
        self.shown.retain(|(group, position)| group.is_some() || *position <= head);
        self.receipts.clear();
    }

    fn take_id(&mut self, id: MessageId) {
        assert!(id.0 > self.id_last, "message ids rise");
        self.id_last = id.0;
    }

    fn take_number(&mut self, number: u64, id: MessageId) {
        check_number(number);
        assert!(number > self.number_last, "number {number} was used before");
        self.number_last = number;
        let (target, body) = self.bodies.get(&id).expect("a message of this device").clone();
        self.sends.insert(number, Stored { id, target, body });
    }

    /// The program learnt that a send is safe.
    pub(super) fn saved(&self, id: MessageId) {
        assert!(self.bodies.contains_key(&id), "saved before it is stored");
    }

    /// What the program is told.
    pub(super) fn told(&mut self, event: &Event) {
        match event {
            Event::Message(message) | Event::OwnCopy(message) | Event::GroupMessage(message) => {
                let position = message.position.expect("what came has a position");
                let is_new = self.shown.insert((message.group, position));
                assert!(is_new, "position {position} is shown twice");
            }
            Event::Ticked { id, .. } | Event::GroupTicked { id, .. } => {
                assert!(self.ticked.insert(*id), "{id} is ticked twice");
            }
            Event::Rejected { id, .. } | Event::GroupRejected { id, .. } => {
                assert!(!self.ticked.contains(id), "{id} was ticked");
            }
            Event::Delivered { peer, ordinal } => {
                let delivered = &mut self.receipts.entry(*peer).or_default().0;
                assert!(*ordinal > *delivered, "delivered goes forward");
                *delivered = *ordinal;
            }
            Event::Read { peer, ordinal } => {
                let read = &mut self.receipts.entry(*peer).or_default().1;
                assert!(*ordinal > *read, "read goes forward");
                *read = *ordinal;
            }
            Event::InboxWentBack { cursor, head } => {
                assert!(head < cursor);
                self.go_back(*head);
            }
            Event::GroupWentBack { cursor, head, .. } => assert!(head < cursor),
            Event::Disconnected { retry_in_ms, .. } | Event::Refused { retry_in_ms, .. } => {
                let longest_ms = RETRY_AFTER_MS_MAX + BACKOFF_MS_MAX;
                assert!(retry_in_ms.is_none_or(|retry_ms| retry_ms <= longest_ms));
            }
            Event::Connected { .. }
            | Event::Expired
            | Event::SeenElsewhere { .. }
            | Event::AddedToGroup { .. }
            | Event::GroupGone { .. }
            | Event::GroupState { .. }
            | Event::GroupReceipt { .. }
            | Event::GroupWho { .. }
            | Event::GroupSeenElsewhere { .. }
            | Event::HistoryFilled { .. }
            | Event::Presence { .. }
            | Event::Typing { .. }
            | Event::Item { .. }
            | Event::PutRejected { .. }
            | Event::BookComplete
            | Event::Profile(_)
            | Event::Found { .. }
            | Event::StoreFailed { .. } => {}
        }
    }
}

fn check_number(number: u64) {
    assert!((1..=NUMBER_MAX).contains(&number), "{number} doesn't fit a store");
}
