//! What may come when on a connection.

use fulmar_client::{Event, Reason};
use fulmar_protocol::{Code, Deliver, Frame, Goodbye, Hello, Pairs, Send, VERSION};

use super::{History, READER, SENDER, TIME_MS};
use crate::clock::SECOND;

const fn goodbye(code: Code) -> Frame<'static> {
    Frame::Goodbye(Goodbye { code, retry_after_ms: 0, address: "", detail: "" })
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
fn a_head_never_goes_back() {
    let mut history = History::with_message();
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
    history.told(2, &goodbye(Code::Replaced));
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
fn a_large_body_is_as_long_as_announced() {
    let mut history = History::new();
    let (content, total_bytes) = (1, Some(20));
    let send = Send { peer: READER, number: 1, content, total_bytes, body: b"a part" };
    history.wrote(1, &Frame::Send(send));
    history.wrote(1, &Frame::Part { body: b", and the rest" });
    let (position, ordinal, time_ms, own) = (1, 1, TIME_MS, false);
    let peer = SENDER;
    let body = b"a part";
    let deliver = Deliver { position, peer, ordinal, time_ms, content, own, total_bytes, body };
    history.told(2, &Frame::Deliver(deliver));
    history.told(2, &Frame::Part { body: b", and the rest" });
    history.is_quiet();
    history.told(3, &Frame::Deliver(deliver));
    history.told(3, &Frame::Part { body: b", and the rest of it" });
    history.complains("a large body is as long as announced");
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

#[test]
fn nothing_comes_before_the_welcome() {
    let mut history = History::new();
    history.0.opened(5, true);
    history.told(5, &Frame::Ping);
    history.complains("nothing comes before the welcome");
}

#[test]
fn a_skip_says_something_new() {
    let mut history = History::with_message();
    history.skip(2, 1);
    history.complains("a skip says something new");
}

#[test]
fn who_keeps_the_rules_is_not_blamed() {
    let mut history = History::new();
    history.told(2, &goodbye(Code::ShuttingDown));
    history.is_quiet();
    history.told(3, &goodbye(Code::CursorAhead));
    history.complains("who keeps the rules isn't blamed");
}

#[test]
fn a_client_that_keeps_the_rules_finds_them_kept() {
    let ended = |reason| Event::Disconnected { reason, retry_in_ms: Some(1) };
    let mut history = History::new();
    history.0.notified(READER, 1, &ended(Reason::Silent { silent_ms: 1 }));
    history.is_quiet();
    history.0.notified(READER, 1, &ended(Reason::Gap { expected: 1, position: 2 }));
    history.complains("a client that keeps the rules finds them kept");
}
