//! The oracle complains about each kind of broken promise, and about nothing in a history that keeps
//! them all.

mod blocks;
mod books;
mod contents;
mod fading;
mod groups;
mod past;
mod people;
mod presence;

use std::sync::Arc;

use fulmar_client::store::Write;
use fulmar_client::{Changes, Event, Message, MessageId, State};
use fulmar_protocol::{Code, Deliver, Frame, Goodbye, Hello, Pairs, Send, VERSION, Welcome};

use super::{Oracle, Quota};
use crate::clock::SECOND;
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
    let mut history = History::new();
    history.one_message();
    history.receipt(1, 0);
    history.wrote(2, &Frame::Read { peer: SENDER, ordinal: 1 });
    history.receipt(1, 1);
    history.wrote(1, &Frame::Ping);
    history.told(1, &Frame::Pong { heads: Pairs::Slice(&[(0, 0)]) });
    history.is_content();
}

#[test]
fn a_message_that_never_comes_is_missed() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.tick(1, 1);
    history.deliver(2, 1, 1, b"message one");
    history.store(1, 1, 1, b"message one");
    history.ack(2, 1);
    let missing = history.0.missing();
    assert!(missing[0].contains("message 1 from 7 to 8 lacks on device 2"), "{missing:?}");
}

#[test]
fn what_expired_is_not_missed() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.tick(1, 1);
    for (conn, device) in [(2, 1), (3, 2)] {
        history.skip(conn, 1);
        history.0.stored(READER, device, &[Write::Cursor(1)]);
        history.ack(conn, 1);
    }
    assert!(!history.0.missing().is_empty());
    history.0.expires(TIME_MS);
    history.is_content();
}

#[test]
fn a_message_is_shown_once() {
    let mut history = History::new();
    history.one_message();
    history.store(1, 1, 1, b"message one");
    history.complains("a message is shown once");

    let mut history = History::new();
    history.one_message();
    let event = Event::Message(History::message(1, 1, b"message one"));
    history.0.notified(READER, 1, &event);
    assert_eq!(history.0.failure, None);
    history.0.notified(READER, 1, &event);
    history.complains("a message is shown once");
}

#[test]
fn a_body_stays_as_it_was_sent() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.deliver(2, 1, 1, b"message 0ne");
    history.complains("a body arrives as it was sent");

    let mut history = History::new();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.tick(1, 1);
    history.deliver(2, 1, 1, b"message two");
    history.complains("a body arrives as it was sent");
}

#[test]
fn what_is_stored_is_what_came() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.deliver(2, 1, 1, b"message one");
    history.store(1, 1, 1, b"something else");
    history.complains("what is stored is what was delivered");
}

#[test]
fn all_devices_see_one_order() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.deliver(2, 1, 1, b"message one");
    history.deliver(3, 1, 2, b"message two");
    history.complains("a position is used once");

    let mut history = History::new();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.deliver(2, 1, 2, b"message two");
    history.deliver(2, 2, 1, b"message one");
    history.0.judge_whole();
    history.complains("one order for all devices");
}

#[test]
fn a_sender_s_order_is_kept() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.tick(1, 2);
    history.tick(2, 1);
    history.complains("a sender's order is kept");
}

#[test]
fn an_ordinal_is_used_once() {
    let mut history = History::new();
    history.one_message();
    history.send(2, b"message two");
    history.deliver(2, 2, 1, b"message two");
    history.complains("an ordinal is used once");

    let mut history = History::new();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.deliver(2, 1, 1, b"message two");
    history.tick(1, 1);
    history.complains("an ordinal is used once");
}

#[test]
fn a_message_is_taken_once() {
    let mut history = History::new();
    history.one_message();
    history.send(2, b"message two");
    history.deliver(2, 2, 2, b"message one");
    history.complains("a message is taken once");
}

#[test]
fn a_resend_has_its_first_ordinal() {
    let mut history = History::new();
    history.one_message();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.tick(1, 2);
    history.complains("a resend is answered with its first ordinal");
}

#[test]
fn only_what_was_sent_is_ticked_and_each_send_is_answered_once() {
    let mut history = History::new();
    history.tick(1, 1);
    history.complains("a send is answered once");

    let mut history = History::new();
    history.one_message();
    history.tick(1, 1);
    history.complains("a send is answered once");

    let mut history = History::new();
    let (peer, number) = (READER, 1);
    let first = Send { peer, number, content: 1, total_bytes: Some(100), body: b"a part" };
    history.wrote(1, &Frame::Send(first));
    history.tick(1, 1);
    history.complains("a tick is for something that was sent");
}

#[test]
fn ticks_keep_the_order_of_the_sends() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.tick(2, 2);
    history.complains("ticks come in the order of the sends");
}

#[test]
fn what_was_ticked_is_never_rejected() {
    let mut history = History::new();
    history.one_message();
    history.send(1, b"message one");
    history.reject(1, Code::StaleNumber);
    history.complains("what was ticked is never rejected");
}

#[test]
fn a_number_is_stale_only_behind_a_newer_one() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.reject(1, Code::StaleNumber);
    assert_eq!(history.0.failure, None);
    history.reject(2, Code::StaleNumber);
    history.complains("a number is stale only behind a newer one");
}

#[test]
fn what_was_rejected_is_never_delivered() {
    let mut history = History::new();
    history.send(1, b"message one");
    // It may fill the position.
    history.send(2, b"message two");
    let code = Code::BadPeer;
    history.reject(1, code);
    let rejected = Write::Rejected { id: MessageId(1), number: 1, code };
    history.0.stored(SENDER, 1, &[rejected]);
    assert_eq!(history.0.failure, None);
    history.deliver(2, 1, 1, b"message one");
    history.complains("nothing is kept of what is rejected");
}

#[test]
fn an_inbox_is_full_only_when_it_is_and_holds_no_more() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.reject(1, Code::QuotaExceeded);
    history.complains("an inbox is full only when it is");

    let mut history = History::new();
    history.0.opened(9, true);
    for number in 1..=2_000 {
        history.send(number, &[b"message ", &number.to_le_bytes()[..]].concat());
    }
    // Slow devices have acknowledged nothing, and one is given a position far beyond the quota.
    history.deliver(2, 1, 1, &[b"message ", &1u64.to_le_bytes()[..]].concat());
    history.skip(2, 1_500);
    history.deliver(2, 1_501, 2, &[b"message ", &2u64.to_le_bytes()[..]].concat());
    history.complains("an inbox is bounded");
}

/// What every device acknowledged waits no more, once the server has surely taken the acknowledgements.
#[test]
fn an_inbox_that_everybody_emptied_is_not_full() {
    let bodies: Vec<String> = (0..=5).map(|number| format!("message {number}")).collect();
    let mut history = History::new();
    for number in 1..=3 {
        history.send(number, bodies[number as usize].as_bytes());
        history.tick(number, number);
    }
    for conn in [2, 3] {
        for number in 1..=2 {
            history.deliver(conn, number, number, bodies[number as usize].as_bytes());
        }
        history.ack(conn, 2);
        history.wrote(conn, &Frame::Ping);
    }
    history.told(2, &Frame::Pong { heads: Pairs::Slice(&[(0, 3)]) });
    // Of the other device that isn't sure.
    history.send(4, bodies[4].as_bytes());
    history.reject(4, Code::QuotaExceeded);
    assert_eq!(history.0.failure, None);
    history.told(3, &Frame::Pong { heads: Pairs::Slice(&[(0, 3)]) });
    history.send(5, bodies[5].as_bytes());
    history.reject(5, Code::QuotaExceeded);
    history.complains("an inbox is full only when it is");
}

#[test]
fn receipts_never_run_ahead() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.deliver(2, 1, 1, b"message one");
    history.receipt(1, 0);
    history.complains("a receipt tells the truth");

    let mut history = History::new();
    history.one_message();
    history.receipt(1, 1);
    history.complains("a receipt tells the truth");
}

#[test]
fn receipts_end_as_the_truth() {
    let mut history = History::new();
    history.one_message();
    let mut state = fulmar_client::store::ConversationState::new(READER);
    (state.out_last, state.delivered) = (1, 0);
    history.0.stored(SENDER, 1, &[Write::Conversation(state)]);
    assert!(history.0.missing_receipts(false)[0].contains("true are 1 and 0"));
    assert!(history.0.missing_receipts(true)[0].contains("true are 1 and 0"));
    state.delivered = 1;
    history.0.stored(SENDER, 1, &[Write::Conversation(state)]);
    assert_eq!(history.0.missing_receipts(false), [""; 0]);
    assert_eq!(history.0.missing_receipts(true), [""; 0]);
}

/// Another device of the author sent the first message, before this one's time.
#[test]
fn a_receipt_of_a_message_that_a_device_lacks_is_owed_after_it_asked() {
    let mut history = History::new();
    history.one_message();
    history.0.device(SENDER, 2);
    let mut state = fulmar_client::store::ConversationState::new(READER);
    (state.out_last, state.delivered) = (2, 0);
    history.0.stored(SENDER, 2, &[Write::Conversation(state)]);
    assert_eq!(history.0.missing_receipts(false), [""; 0]);
    assert_eq!(history.0.missing_receipts(true).len(), 1);
}

#[test]
fn positions_come_without_holes_and_within_the_window() {
    let mut history = History::new();
    for number in 1..=3 {
        history.send(number, &[number as u8; 40]);
    }
    history.deliver(2, 2, 2, &[2; 40]);
    history.complains("positions come without holes");

    let mut history = History::new();
    for number in 1..=3 {
        history.send(number, &[number as u8; 40]);
        if history.0.failure.is_none() {
            history.deliver(2, number, number, &[number as u8; 40]);
        }
    }
    history.complains("the window is kept");
}

#[test]
fn positions_that_nobody_filled_are_noticed() {
    let mut history = History::new();
    history.skip(2, 1);
    history.complains("positions are dense");

    // What is rejected takes none.
    let mut history = History::new();
    history.send(1, b"message one");
    history.reject(1, Code::BadPeer);
    history.send(2, b"message two");
    history.tick(2, 1);
    history.skip(2, 1);
    history.deliver(2, 2, 1, b"message two");
    assert_eq!(history.0.failure, None);
    let rejected = Write::Rejected { id: MessageId(1), number: 1, code: Code::BadPeer };
    history.0.stored(SENDER, 1, &[rejected]);
    history.0.judge_whole();
    history.complains("positions are dense");

    // The sender has no other device that would get a copy.
    let mut history = History::new();
    history.send(1, b"message one");
    history.skip(1, 1);
    history.complains("positions are dense");
}

#[test]
fn a_head_never_goes_back() {
    let mut history = History::new();
    history.one_message();
    history.log_in(4, READER, 1, 1, 0);
    history.complains("a head never goes back");
}

#[test]
fn a_replaced_session_gets_nothing_more() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.log_in(4, READER, 1, 0, 0);
    history.deliver(2, 1, 1, b"message one");
    history.complains("a replaced session gets nothing more");

    let mut history = History::new();
    let goodbye = Goodbye { code: Code::Replaced, retry_after_ms: 0, address: "", detail: "" };
    history.told(2, &Frame::Goodbye(goodbye));
    history.told(2, &Frame::Ping);
    history.complains("nothing follows a refuse or goodbye");
}

#[test]
fn a_hello_is_answered() {
    let mut history = History::new();
    history.0.opened(5, true);
    let hello = Hello {
        version_min: VERSION,
        version_max: VERSION,
        capabilities: 0,
        user: SENDER,
        device: 1,
        token: b"",
        agent: "",
        cursors: Pairs::Slice(&[]),
    };
    history.wrote(5, &Frame::Hello(hello));
    assert_eq!(history.0.missing(), [""; 0]);
    history.0.time(60 * SECOND);
    assert_eq!(history.0.missing(), ["no answer to the hello on 5"]);
}

#[test]
fn a_new_device_gets_what_is_kept() {
    let mut history = History::new();
    history.0.device(READER, 3);
    history.send(1, b"message one");
    history.deliver(2, 1, 1, b"message one");
    history.log_in(4, READER, 3, 0, 1);
    history.skip(4, 1);
    history.0.judge_whole();
    history.complains("a new device gets what is kept");
}

#[test]
fn frames_that_no_server_sends_are_noticed() {
    let mut history = History::new();
    history.told(1, &Frame::Ack { position: 1 });
    history.complains("a server sends what servers send");

    let mut history = History::new();
    history.told(1, &Frame::Pong { heads: Pairs::Slice(&[]) });
    history.complains("a pong answers a ping");

    let mut history = History::new();
    history.told(2, &Frame::Part { body: b"x" });
    history.complains("a part continues a body");

    let mut history = History::new();
    history.0.read(1, &[3, 10, 0x80, 0x00]);
    history.complains("frames parse");
}
