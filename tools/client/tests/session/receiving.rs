//! Deliveries: order, gaps, doubles, skips, acknowledgements, large bodies.

use fulmar_client::Target;
use fulmar_client::store::Store;
use fulmar_protocol::limits::{BODY_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Deliver, Frame, Pairs};

use crate::device::{Device, Pace};
use crate::frames::{deliver, deliver_large, large_body, own_copy};

#[test]
fn what_came_in_one_read_is_one_batch_and_one_ack() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 9, 1, "b"), deliver(3, 8, 2, "c")]);
    assert_eq!(device.sent(), ["ack 3"]);
    let told = ["message @1 8 #1 a", "message @2 9 #1 b", "message @3 8 #2 c"];
    assert_eq!(device.events(), told);
}

#[test]
fn nothing_is_acknowledged_or_shown_before_it_is_durable() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.server(&[deliver(1, 8, 1, "a")]);
    device.server(&[deliver(2, 8, 2, "b"), deliver(3, 8, 3, "c")]);
    assert_eq!(device.sent(), [""; 0]);
    assert_eq!(device.events(), [""; 0]);
    device.stored();
    assert_eq!(device.sent(), ["ack 1"]);
    assert_eq!(device.events(), ["message @1 8 #1 a"]);
    device.stored();
    assert_eq!(device.sent(), ["ack 3"]);
}

#[test]
fn acks_become_one_while_a_write_is_under_way() {
    let mut device = Device::online();
    device.writing = Pace::WhenTold;
    for position in 1..=5 {
        device.server(&[deliver(position, 8, position, "x")]);
    }
    assert_eq!(device.sent(), ["ack 1"]);
    device.written();
    assert_eq!(device.sent(), ["ack 5"]);
}

#[test]
fn bytes_may_be_cut_anywhere() {
    let mut bytes = Vec::new();
    for frame in [deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b"), Frame::Skip { position: 9 }] {
        frame.encode(&mut bytes);
    }
    for cut in 0..=bytes.len() {
        let mut device = Device::online();
        device.bytes(&bytes[..cut]);
        device.bytes(&bytes[cut..]);
        assert_eq!(device.events(), ["message @1 8 #1 a", "message @2 8 #2 b"], "cut at {cut}");
        assert_eq!(device.sent().last().unwrap(), "ack 9", "cut at {cut}");
    }
    let mut device = Device::online();
    for byte in &bytes {
        device.bytes(std::slice::from_ref(byte));
    }
    assert_eq!(device.sent(), ["ack 1", "ack 2", "ack 9"]);
}

#[test]
fn a_position_is_shown_once() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b")]);
    device.events();
    device.sent();
    device.lose();
    device.events();
    device.login();
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b"), deliver(3, 8, 3, "c")]);
    assert_eq!(device.events(), ["message @3 8 #3 c"]);
    assert_eq!(device.sent(), ["ack 3"]);
    device.server(&[deliver(3, 8, 3, "c")]);
    assert_eq!(device.events(), [""; 0]);
    assert_eq!(device.sent(), ["ack 3"], "whatever was acknowledged before");
}

#[test]
fn a_server_that_begins_before_the_cursor_is_told_step_by_step() {
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 50 }]);
    device.lose();
    device.events();
    device.sent();
    device.login();
    device.server(&[deliver(11, 8, 1, "a"), deliver(12, 8, 2, "b")]);
    assert_eq!(device.sent(), ["ack 12"], "not beyond what this connection brought");
    device.server(&[Frame::Skip { position: 40 }]);
    assert_eq!(device.sent(), ["ack 40"]);
    device.server(&[Frame::Skip { position: 50 }, deliver(51, 8, 40, "c")]);
    assert_eq!(device.events(), ["message @51 8 #40 c"]);
    assert_eq!(device.sent(), ["ack 51"]);
}

#[test]
fn a_gap_leads_to_a_reconnect_from_the_last_position() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a"), deliver(4, 8, 4, "d")]);
    assert_eq!(device.sent(), ["goodbye none"]);
    let told = device.events();
    assert!(told.contains(&"message @1 8 #1 a".to_owned()), "{told:?}");
    assert!(told.iter().any(|line| line.contains("position 2 had to come before 4")), "{told:?}");
    device.connect();
    assert_eq!(device.sent(), ["hello 7/1 token script [(0, 1)]"]);
}

#[test]
fn a_skip_closes_what_would_be_a_gap_and_is_acknowledged() {
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 3 }, deliver(4, 8, 1, "a")]);
    assert_eq!(device.events(), ["message @4 8 #1 a"]);
    assert_eq!(device.sent(), ["ack 4"]);
    device.server(&[Frame::Skip { position: 9 }]);
    assert_eq!(device.sent(), ["ack 9"]);
    device.server(&[Frame::Skip { position: 5 }]);
    assert_eq!(device.sent(), ["ack 5"], "an old skip is acknowledged again");
    assert_eq!(device.store.load().unwrap().cursor, 9);
}

#[test]
fn a_copy_of_an_own_message_belongs_to_the_conversation_with_its_recipient() {
    let mut device = Device::online();
    device.server(&[own_copy(1, 8, 4, "from my other device")]);
    assert_eq!(device.events(), ["own @1 8 #4 from my other device"]);
    assert_eq!(device.sent(), ["ask 8", "ack 1"], "its receipts matter here too");
    let history = device.store.history(Target::Peer(8), None, 10).unwrap();
    assert!(history[0].state.is_own());
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["ask 8"], "its receipts matter here too");
}

#[test]
fn a_large_body_is_put_together_with_other_frames_between_its_parts() {
    let mut device = Device::online();
    let body = large_body(3 * PART_BYTES_MAX);
    let frames = deliver_large(1, 8, 1, &body);
    device.server(&[frames[0], deliver(2, 8, 2, "b"), frames[1]]);
    device.server(&[Frame::Pong { heads: Pairs::Slice(&[]) }, Frame::Skip { position: 5 }]);
    device.server(&[deliver(6, 9, 1, "c")]);
    assert_eq!(device.sent(), [""; 0], "nothing passes an incomplete position");
    assert_eq!(device.events(), [""; 0]);
    device.server(&[frames[2]]);
    assert_eq!(device.sent(), ["ack 6"]);
    let told = ["message @1 8 #1 [48900 bytes]", "message @2 8 #2 b", "message @6 9 #1 c"];
    assert_eq!(device.events(), told);
    let history = device.store.history(Target::Peer(8), None, 10).unwrap();
    assert_eq!(*history[0].body, *body);
}

#[test]
fn a_reconnect_in_the_middle_of_a_large_body_begins_it_anew() {
    let mut device = Device::online();
    let body = large_body(4 * PART_BYTES_MAX);
    let frames = deliver_large(2, 8, 2, &body);
    device.server(&[deliver(1, 8, 1, "a"), frames[0], frames[1], deliver(3, 8, 3, "c")]);
    assert_eq!(device.sent(), ["ack 1"]);
    device.lose();
    device.events();
    device.connect();
    assert_eq!(device.sent(), ["hello 7/1 token script [(0, 1)]"]);
    device.server(&[Frame::Welcome(crate::frames::WELCOME)]);
    device.server(&frames);
    device.server(&[deliver(3, 8, 3, "c")]);
    let told = ["connected 5", "message @2 8 #2 [65200 bytes]", "message @3 8 #3 c"];
    assert_eq!(device.events(), told);
}

#[test]
fn a_large_body_that_is_already_here_is_swallowed() {
    let mut device = Device::online();
    let body = large_body(2 * PART_BYTES_MAX);
    let frames = deliver_large(1, 8, 1, &body);
    device.server(&frames);
    device.lose();
    device.events();
    device.sent();
    device.login();
    device.server(&[frames[0], deliver(2, 8, 2, "b"), frames[1], deliver(3, 8, 3, "c")]);
    assert_eq!(device.events(), ["message @2 8 #2 b", "message @3 8 #3 c"]);
    assert_eq!(device.sent().last().unwrap(), "ack 3");
}

#[test]
fn a_crash_between_storing_and_acknowledging_shows_nothing_twice() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.server(&[deliver(1, 8, 1, "a")]);
    let batch = device.batch.take().unwrap();
    device.store.commit(&batch).unwrap();
    // The process ends here: stored, but neither acknowledged nor shown.
    let mut later = Device::on(device.store);
    later.connect();
    assert_eq!(later.sent(), ["hello 7/1 token script [(0, 1)]"]);
    later.server(&[Frame::Welcome(crate::frames::WELCOME), deliver(1, 8, 1, "a")]);
    assert_eq!(later.events(), ["connected 5"]);
    assert_eq!(later.store.history(Target::Peer(8), None, 10).unwrap().len(), 1);
}

#[test]
fn a_crash_before_storing_leaves_it_to_the_server() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.server(&[deliver(1, 8, 1, "a")]);
    let mut later = Device::on(device.store);
    later.login();
    later.server(&[deliver(1, 8, 1, "a")]);
    assert_eq!(later.events(), ["message @1 8 #1 a"]);
    assert_eq!(later.sent(), ["ack 1"]);
}

#[test]
fn a_slow_store_stops_the_reading() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    let text = "x".repeat(16_000);
    let mut position = 0;
    while device.session.wants_bytes() {
        position += 1;
        device.server(&[deliver(position, 8, position, &text)]);
        assert!(position < 1_000, "the reading never stops");
    }
    device.stored();
    device.stored();
    assert!(device.session.wants_bytes());
    assert_eq!(device.sent().last().unwrap(), &format!("ack {position}"));
}

#[test]
fn a_large_body_is_read_to_its_end_whatever_the_store_does() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    let text = "x".repeat(16_000);
    for position in 1..600 {
        device.server(&[deliver(position, 8, position, &text)]);
    }
    let body = large_body(2 * PART_BYTES_MAX);
    let frames = deliver_large(600, 8, 600, &body);
    device.server(&frames[..1]);
    assert!(device.session.wants_bytes());
    device.server(&frames[1..]);
    assert!(!device.session.wants_bytes());
}

#[test]
fn impossible_deliveries_end_the_connection() {
    let Frame::Deliver(good) = deliver(1, 8, 1, "a") else { unreachable!() };
    let large = large_body(2 * PART_BYTES_MAX);
    let first = deliver_large(1, 8, 1, &large)[0];
    let second = deliver_large(2, 8, 1, &large)[0];
    let whole = Frame::Part { body: &large[..PART_BYTES_MAX] };
    let total_bytes = Some(BODY_BYTES_MAX as u64 + 1);
    let rest = Frame::Part { body: &large[PART_BYTES_MAX + 1..] };
    let scripts: &[(&str, &[Frame<'_>])] = &[
        ("deliver.position", &[Frame::Deliver(Deliver { position: 0, ..good })]),
        ("deliver.position", &[Frame::Deliver(Deliver { position: 1 << 63, ..good })]),
        ("deliver.ordinal", &[Frame::Deliver(Deliver { ordinal: 0, ..good })]),
        ("deliver.peer", &[Frame::Deliver(Deliver { peer: 0, ..good })]),
        ("416385 bytes", &[Frame::Deliver(Deliver { total_bytes, ..good })]),
        ("without a body", &[whole]),
        ("without a body", &[first, whole, whole]),
        ("second large body", &[first, second]),
        ("was announced", &[first, rest, whole]),
        ("skip.position", &[Frame::Skip { position: u64::MAX }]),
    ];
    for (detail, frames) in scripts {
        let mut device = Device::online();
        device.server(frames);
        let told = device.events().join("; ");
        assert!(told.contains(detail), "{detail} in {told}");
        assert!(!device.connected);
    }
}
