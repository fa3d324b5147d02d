//! Messages: each comes once to each device, whole, in one order.

use fulmar_client::store::Write;
use fulmar_client::{Event, MessageId};
use fulmar_protocol::Code;

use super::{History, READER, SENDER, TIME_MS};

#[test]
fn a_message_that_never_comes_is_missed() {
    let mut history = History::with_ticked();
    history.deliver(2, 1, 1, b"message one");
    history.store(1, 1, 1, b"message one");
    history.ack(2, 1);
    let missing = history.0.missing();
    assert!(missing[0].contains("message 1 from 7 to 8 lacks on device 2"), "{missing:?}");
}

#[test]
fn what_expired_is_not_missed() {
    let mut history = History::with_ticked();
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
    let mut history = History::with_message();
    history.store(1, 1, 1, b"message one");
    history.complains("a message is shown once");

    let mut history = History::with_message();
    let event = Event::Message(History::message(1, 1, b"message one"));
    history.0.notified(READER, 1, &event);
    history.is_quiet();
    history.0.notified(READER, 1, &event);
    history.complains("a message is shown once");
}

#[test]
fn a_body_stays_as_it_was_sent() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.deliver(2, 1, 1, b"message 0ne");
    history.complains("a body arrives as it was sent");

    let mut history = History::with_two_sent();
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
    let mut history = History::with_two_sent();
    history.deliver(2, 1, 1, b"message one");
    history.deliver(3, 1, 2, b"message two");
    history.complains("a position is used once");

    let mut history = History::with_two_sent();
    history.deliver(2, 1, 2, b"message two");
    history.deliver(2, 2, 1, b"message one");
    history.0.judge_whole();
    history.complains("one order for all devices");
}

#[test]
fn an_ordinal_is_used_once() {
    let mut history = History::with_message();
    history.send(2, b"message two");
    history.deliver(2, 2, 1, b"message two");
    history.complains("an ordinal is used once");

    let mut history = History::with_two_sent();
    history.deliver(2, 1, 1, b"message two");
    history.tick(1, 1);
    history.complains("an ordinal is used once");
}

#[test]
fn a_message_is_taken_once() {
    let mut history = History::with_message();
    history.send(2, b"message two");
    history.deliver(2, 2, 2, b"message one");
    history.complains("a message is taken once");
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
    history.is_quiet();
    history.deliver(2, 1, 1, b"message one");
    history.complains("nothing is kept of what is rejected");
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
    history.is_quiet();
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
fn a_message_has_one_position() {
    let mut history = History::with_two_sent();
    history.deliver(2, 1, 1, b"message one");
    history.deliver(2, 2, 1, b"message one");
    history.complains("a message has one position");
}

#[test]
fn ordinals_are_dense() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.tick(1, 2);
    history.complains("ordinals are dense");

    let mut history = History::new();
    history.send(1, b"message one");
    history.deliver(2, 1, 2, b"message one");
    history.complains("ordinals are dense");
}
