//! The oracle complains about each kind of broken promise, and about nothing in a history that keeps
//! them all.

mod answers;
mod blocks;
mod books;
mod contents;
mod fading;
mod group_lines;
mod group_logs;
mod group_members;
mod grouped;
mod groups;
mod links;
mod messages;
mod past;
mod people;
mod presence;
mod questions;
mod rules;
mod stores;

use std::sync::Arc;

use fulmar_client::store::Write;
use fulmar_client::{Changes, Message, MessageId, State};
use fulmar_protocol::{Code, Deliver, Frame, Hello, Pairs, Send, VERSION, Welcome};

use super::{Oracle, Quota};
use crate::network::ConnNo;

const SENDER: u64 = 7;
const READER: u64 = 8;
const TIME_MS: u64 = 1_800_000_000_001;

/// A history: user 7 with one device on connection 1, user 8 with two devices on 2 and 3.
struct History(Oracle);

impl History {
    /// Everybody is logged in.
    fn new() -> Self {
        let quota = Quota {
            messages: 3,
            bytes: 1_000_000,
            group_messages: 3,
            group_bytes: 1_000_000,
            group_members: 3,
        };
        let mut oracle = Oracle::new(false);
        oracle.started(0, quota);
        for (user, device) in [(SENDER, 1), (READER, 1), (READER, 2)] {
            oracle.device(user, device);
        }
        let mut history = History(oracle);
        history.log_in(1, SENDER, 1, 0, 0);
        history.log_in(2, READER, 1, 0, 0);
        history.log_in(3, READER, 2, 0, 0);
        history
    }

    fn log_in(&mut self, conn: ConnNo, user: u64, device: u64, cursor: u64, head: u64) {
        self.0.opened(conn, true);
        let cursors = [(0, cursor)];
        let hello = Hello {
            version_min: VERSION,
            version_max: VERSION,
            capabilities: 0,
            user,
            device,
            token: b"",
            agent: "",
            cursors: Pairs::Slice(&cursors),
        };
        self.wrote(conn, &Frame::Hello(hello));
        self.0.time(u64::from(conn) + 1);
        let welcome = Welcome {
            version: VERSION,
            capabilities: 0,
            session: u64::from(conn),
            time_ms: TIME_MS,
            body_bytes_max: 1_000,
            window_messages: 2,
            window_bytes: 100,
            sends_max: 8,
            idle_s: 300,
            presence_s: 30,
            heads: Pairs::Slice(&[(0, head)]),
        };
        self.told(conn, &Frame::Welcome(welcome));
    }

    fn wrote(&mut self, conn: ConnNo, frame: &Frame<'_>) {
        self.0.wrote(conn, frame);
    }

    fn told(&mut self, conn: ConnNo, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        // Cut somewhere, as a network may.
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        self.0.read(conn, first);
        self.0.read(conn, rest);
    }

    fn send(&mut self, number: u64, body: &[u8]) {
        let send = Send { peer: READER, number, content: 1, total_bytes: None, body };
        self.wrote(1, &Frame::Send(send));
    }

    fn tick(&mut self, number: u64, ordinal: u64) {
        self.told(1, &Frame::Sent { peer: READER, number, ordinal, time_ms: TIME_MS });
    }

    fn reject(&mut self, number: u64, code: Code) {
        let (peer, retry_after_ms) = (READER, 0);
        self.told(1, &Frame::Rejected { peer, number, code, retry_after_ms });
    }

    fn deliver(&mut self, conn: ConnNo, position: u64, ordinal: u64, body: &[u8]) {
        let deliver = Deliver {
            position,
            peer: SENDER,
            ordinal,
            time_ms: TIME_MS,
            content: 1,
            own: false,
            total_bytes: None,
            body,
        };
        self.told(conn, &Frame::Deliver(deliver));
    }

    fn skip(&mut self, conn: ConnNo, position: u64) {
        self.told(conn, &Frame::Skip { position });
    }

    fn ack(&mut self, conn: ConnNo, position: u64) {
        self.wrote(conn, &Frame::Ack { position });
    }

    fn receipt(&mut self, delivered: u64, read: u64) {
        self.told(1, &Frame::Receipt { peer: READER, delivered, read, own: false });
    }

    fn message(position: u64, ordinal: u64, body: &[u8]) -> Message {
        Message {
            id: MessageId(position as i64),
            group: None,
            peer: SENDER,
            state: State::Received,
            ordinal: Some(ordinal),
            position: Some(position),
            time_ms: TIME_MS,
            content: 1,
            body: Arc::from(body),
            changes: Changes::default(),
        }
    }

    fn store(&mut self, device: u16, position: u64, ordinal: u64, body: &[u8]) {
        let message = Self::message(position, ordinal, body);
        self.0.stored(READER, device, &[Write::Insert(message), Write::Cursor(position)]);
    }

    /// One message, ticked, delivered, stored and acknowledged everywhere.
    fn one_message(&mut self) {
        self.send(1, b"message one");
        self.tick(1, 1);
        for (conn, device) in [(2, 1), (3, 2)] {
            self.deliver(conn, 1, 1, b"message one");
            self.store(device, 1, 1, b"message one");
            self.ack(conn, 1);
        }
    }

    /// One message of the sender, ticked, which came to nobody yet.
    fn with_ticked() -> Self {
        let mut history = History::new();
        history.send(1, b"message one");
        history.tick(1, 1);
        history
    }

    /// Two messages that weren't answered yet.
    fn with_two_sent() -> Self {
        let mut history = History::new();
        history.send(1, b"message one");
        history.send(2, b"message two");
        history
    }

    /// One message that everybody has.
    fn with_message() -> Self {
        let mut history = History::new();
        history.one_message();
        history
    }

    /// Nothing was wrong so far.
    #[track_caller]
    fn is_quiet(&self) {
        assert_eq!(self.0.failure, None);
    }

    #[track_caller]
    fn complains(&self, rule: &str) {
        let failure = self.0.failure.as_ref();
        assert_eq!(failure.map(|failure| failure.rule), Some(rule), "{failure:?}");
    }

    #[track_caller]
    fn is_content(&mut self) {
        self.0.judge_whole();
        assert_eq!(self.0.failure, None);
        assert_eq!(self.0.missing(), [""; 0]);
    }
}

/// The oracle has numbers of its own, so that a mistake in the server's isn't made twice.
#[test]
fn the_server_has_the_limits_that_the_oracle_expects() {
    use fulmar::limits;

    assert_eq!(limits::RESENDS_MAX as usize, super::direction::RESENDS_KEPT);
    assert_eq!(limits::HISTORY_PAGE_BYTES as u64, super::past::PAGE_BYTES);
    assert_eq!(limits::USER_GROUPS_MAX, super::quota::USER_GROUPS_MAX);
    assert_eq!(limits::GROUP_ABSENCES_MAX + 1, super::group::SPANS_KEPT);
}

#[test]
fn a_good_history_is_content() {
    let mut history = History::with_message();
    history.receipt(1, 0);
    history.wrote(2, &Frame::Read { peer: SENDER, ordinal: 1 });
    history.receipt(1, 1);
    history.wrote(1, &Frame::Ping);
    history.told(1, &Frame::Pong { heads: Pairs::Slice(&[(0, 0)]) });
    history.is_content();
}
