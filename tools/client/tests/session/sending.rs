//! Sends: numbers, ticks, the window, resending, large bodies.

use std::sync::Arc;

use fulmar_client::core::{Action, SendError};
use fulmar_client::limits::OUTBOX_MESSAGES_MAX;
use fulmar_client::store::Store;
use fulmar_client::{MessageId, State, content};
use fulmar_protocol::limits::{BODY_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Code, Frame, Welcome};

use crate::device::{Device, Pace};
use crate::frames::{START_MS, WELCOME, large_body, tick};

#[test]
fn a_tick_ends_a_send() {
    let mut device = Device::online();
    let id = device.send(8, "hello");
    assert_eq!(device.sent(), ["send 8 #0 hello"]);
    assert_eq!(device.saved, [id]);
    device.server(&[tick(8, START_MS, 41)]);
    assert_eq!(device.events(), ["ticked 1 8 #41"]);
    let message = device.store.message(id).unwrap().unwrap();
    assert_eq!((message.state, message.ordinal), (State::Sent, Some(41)));
    assert_eq!(message.time_ms, START_MS + 1);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["ask 8"], "nothing is sent twice");
}

#[test]
fn a_send_goes_out_only_when_its_number_is_durable() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.send(8, "one");
    device.send(8, "two");
    assert_eq!(device.sent(), [""; 0]);
    device.stored();
    assert_eq!(device.sent(), ["send 8 #0 one"]);
    device.stored();
    assert_eq!(device.sent(), ["send 8 #1 two"]);
}

#[test]
fn a_lost_tick_is_given_again_with_the_first_ordinal() {
    let mut device = Device::online();
    let id = device.send(8, "hello");
    device.sent();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["send 8 #0 hello"]);
    device.server(&[Frame::Sent { peer: 8, number: START_MS, ordinal: 3, time_ms: 0 }]);
    assert_eq!(device.events(), ["ticked 1 8 #3"]);
    let message = device.store.message(id).unwrap().unwrap();
    assert_eq!(message.time_ms, START_MS, "an unknown time leaves the device's own");
}

#[test]
fn what_had_no_answer_goes_out_again_in_order_with_its_number() {
    let mut device = Device::online();
    for (peer, text) in [(8, "a"), (9, "b"), (8, "c"), (9, "d")] {
        device.send(peer, text);
    }
    device.server(&[tick(9, START_MS + 1, 1)]);
    device.sent();
    device.lose();
    device.events();
    device.send(8, "e");
    device.login();
    let again = ["send 8 #0 a", "send 8 #2 c", "send 9 #3 d", "send 8 #4 e", "ask 9"];
    assert_eq!(device.sent(), again);
}

#[test]
fn the_outbox_survives_the_process() {
    let mut device = Device::online();
    device.send(8, "one");
    device.send(9, "two");
    device.server(&[tick(8, START_MS, 1)]);
    let mut later = Device::on(device.store);
    later.login();
    assert_eq!(later.sent(), ["send 9 #1 two", "ask 8"]);
    later.send(9, "three");
    assert_eq!(later.sent(), ["send 9 #2 three"]);
}

#[test]
fn the_window_holds_sends_back() {
    let mut device = Device::online();
    for index in 0..6 {
        device.send(8, &format!("m{index}"));
    }
    assert_eq!(device.sent().len(), 4, "sends_max of the welcome");
    device.server(&[tick(8, START_MS, 1), tick(8, START_MS + 1, 2)]);
    assert_eq!(device.sent(), ["send 8 #4 m4", "send 8 #5 m5"]);
    assert_eq!(device.session.unanswered(), 4);
}

#[test]
fn a_tick_that_is_not_stored_yet_still_fills_the_window() {
    let mut device = Device::new();
    device.welcome(&Welcome { sends_max: 2, ..WELCOME });
    for text in ["a", "b", "c"] {
        device.send(8, text);
    }
    assert_eq!(device.sent(), ["send 8 #0 a", "send 8 #1 b"]);
    device.storing = Pace::WhenTold;
    device.server(&[tick(8, START_MS, 1)]);
    assert_eq!(device.sent(), [""; 0], "after a crash it would be repeated, with b and c");
    device.storing = Pace::AtOnce;
    device.stored();
    assert_eq!(device.sent(), ["send 8 #2 c"]);
}

#[test]
fn a_window_of_nothing_still_lets_one_through() {
    let mut device = Device::new();
    device.welcome(&Welcome { sends_max: 0, ..WELCOME });
    device.send(8, "one");
    device.send(8, "two");
    assert_eq!(device.sent(), ["send 8 #0 one"]);
}

#[test]
fn answers_may_change_order_across_peers() {
    let mut device = Device::online();
    device.send(8, "a");
    device.send(9, "b");
    device.server(&[tick(9, START_MS + 1, 5), tick(8, START_MS, 6)]);
    assert_eq!(device.events(), ["ticked 2 9 #5", "ticked 1 8 #6"]);
}

#[test]
fn answers_to_no_question_change_nothing() {
    let mut device = Device::online();
    device.send(8, "a");
    let strange = [tick(9, START_MS, 1), tick(8, START_MS + 7, 1), tick(8, START_MS, 1)];
    device.server(&strange);
    device.server(&[tick(8, START_MS, 2)]);
    assert_eq!(device.events(), ["ticked 1 8 #1"]);
    assert!(device.connected);
}

#[test]
fn a_rejected_send_can_be_sent_again_under_a_new_number() {
    let mut device = Device::online();
    let id = device.send(8, "hello");
    device.sent();
    let code = Code::QuotaExceeded;
    device.server(&[Frame::Rejected { peer: 8, number: START_MS, code, retry_after_ms: 9 }]);
    assert_eq!(device.events(), ["rejected 1 8 quota_exceeded"]);
    let rejected = device.store.message(id).unwrap().unwrap();
    assert_eq!(rejected.state, State::Rejected(code));

    let mut actions = Vec::new();
    device.session.resend(device.now, &rejected, &mut actions).unwrap();
    let twice = device.session.resend(device.now, &rejected, &mut Vec::new());
    assert_eq!(twice, Err(SendError::NotRejected(id)));
    let [Action::Commit(batch)] = &actions[..] else { panic!("{actions:?}") };
    device.batch = Some(batch.clone());
    device.stored();
    assert_eq!(device.store.message(id).unwrap().unwrap().state, State::Pending);
    assert_eq!(device.sent(), ["send 8 #1 hello"]);
    device.server(&[tick(8, START_MS + 1, 1)]);
    assert_eq!(device.events(), ["ticked 1 8 #1"]);
}

#[test]
fn stale_numbers_jump_to_the_clock_of_the_server() {
    let mut device = Device::new();
    device.send(8, "old clock");
    device.welcome(&Welcome { time_ms: START_MS + 70_000, ..WELCOME });
    let code = Code::StaleNumber;
    device.server(&[Frame::Rejected { peer: 8, number: START_MS, code, retry_after_ms: 0 }]);
    assert_eq!(device.events(), ["rejected 1 8 stale_number"]);
    device.sent();
    device.send(8, "again");
    assert_eq!(device.sent(), ["send 8 #70001 again"]);
    let mut later = Device::on(device.store);
    later.send(8, "later");
    later.login();
    assert_eq!(later.sent()[1], "send 8 #70002 later");
}

#[test]
fn what_can_never_be_sent_is_refused_at_once() {
    let mut device = Device::online();
    let mut send = |peer, bytes: usize| {
        let body = Arc::from(vec![0; bytes]);
        device.session.send(device.now, peer, content::TEXT, body, &mut Vec::new())
    };
    assert_eq!(send(0, 1), Err(SendError::BadPeer));
    let (bytes, bytes_max) = (BODY_BYTES_MAX + 1, BODY_BYTES_MAX);
    assert_eq!(send(8, bytes), Err(SendError::BodyTooLarge { bytes, bytes_max }));
}

#[test]
fn a_body_over_the_limit_of_this_server_is_rejected_without_being_sent() {
    let mut device = Device::new();
    device.welcome(&Welcome { body_bytes_max: 10, ..WELCOME });
    device.send(8, "more than ten");
    device.send(8, "less");
    assert_eq!(device.events(), ["rejected 1 8 body_too_large"]);
    assert_eq!(device.sent(), ["send 8 #1 less"]);
}

#[test]
fn a_full_outbox_takes_nothing_more_until_a_tick() {
    let mut device = Device::online();
    for _ in 0..OUTBOX_MESSAGES_MAX {
        device.send(8, "x");
    }
    let full = |device: &mut Device| {
        let body = Arc::from(&b"y"[..]);
        device.session.send(device.now, 8, content::TEXT, body, &mut Vec::new())
    };
    let messages = OUTBOX_MESSAGES_MAX;
    assert_eq!(full(&mut device), Err(SendError::OutboxFull { messages, bytes: messages }));
    device.server(&[tick(8, START_MS, 1)]);
    assert_eq!(full(&mut device), Ok(MessageId(messages as i64 + 1)));
}

#[test]
fn a_large_body_goes_out_in_parts() {
    let mut device = Device::online();
    let bytes = 3 * PART_BYTES_MAX + 5;
    device.send_body(8, &large_body(bytes));
    let first = format!("send 8 #0 [16300 bytes] of {bytes}");
    assert_eq!(device.sent(), [&first, "part 16300", "part 16300", "part 5"]);
}

#[test]
fn small_sends_to_others_pass_between_parts_and_the_order_per_peer_stays() {
    let mut device = Device::new();
    device.welcome(&Welcome { sends_max: 100, ..WELCOME });
    device.writing = Pace::WhenTold;
    device.send_body(8, &large_body(9 * PART_BYTES_MAX));
    assert_eq!(device.sent().len(), 3, "a write isn't filled beyond its bound");
    device.send(9, "small");
    device.send(8, "behind the large one");
    device.send_body(9, &large_body(2 * PART_BYTES_MAX));
    device.send(9, "behind the second large one");
    device.send(10, "small too");
    device.written();
    let passed = ["send 9 #1 small", "send 10 #5 small too"];
    let sent = device.sent();
    assert_eq!((sent.len(), &sent[..2]), (5, &passed.map(str::to_owned)[..]));
    device.written();
    assert_eq!(device.sent(), ["part 16300"; 3]);
    device.written();
    let behind = format!("send 9 #3 [16300 bytes] of {}", 2 * PART_BYTES_MAX);
    let last = ["send 8 #2 behind the large one", &behind, "part 16300"];
    assert_eq!(device.sent()[..3], last);
}

#[test]
fn a_large_body_begins_anew_after_a_reconnect_in_its_middle() {
    let mut device = Device::online();
    device.writing = Pace::WhenTold;
    device.send_body(8, &large_body(5 * PART_BYTES_MAX));
    assert_eq!(device.sent().len(), 3);
    device.lose();
    device.events();
    device.write_under_way = false;
    device.writing = Pace::AtOnce;
    device.login();
    let sent = device.sent();
    assert_eq!(sent.len(), 5);
    assert!(sent[0].starts_with("send 8 #0 [16300 bytes] of 81500"), "{sent:?}");
}

#[test]
fn the_rest_of_a_rejected_large_body_still_goes_out() {
    let mut device = Device::online();
    device.writing = Pace::WhenTold;
    device.send_body(8, &large_body(5 * PART_BYTES_MAX));
    device.send(8, "next");
    device.sent();
    let code = Code::QuotaExceeded;
    device.server(&[Frame::Rejected { peer: 8, number: START_MS, code, retry_after_ms: 0 }]);
    assert_eq!(device.events(), ["rejected 1 8 quota_exceeded"]);
    device.written();
    assert_eq!(device.sent(), ["part 16300", "part 16300", "send 8 #1 next"]);
}
