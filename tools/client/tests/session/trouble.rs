//! Silence, garbage, stalls, and a store that fails.

use fulmar_client::content;
use fulmar_protocol::group::GroupDeliver;
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Chunks, Code, Frame, Pairs, Send};

use crate::device::{Device, Pace};
use crate::frames::{START_MS, WELCOME, deliver, large_body, tick};

#[test]
fn an_idle_connection_is_pinged_at_a_third_of_the_limit() {
    let mut device = Device::online();
    assert_eq!(device.session.deadline_ms(), Some(30_000));
    device.pass(30_000);
    assert_eq!(device.sent(), ["ping"]);
    device.pass(100);
    device.server(&[Frame::Pong { heads: Pairs::Slice(&[(0, 0)]) }]);
    assert_eq!(device.session.deadline_ms(), Some(60_100));
}

#[test]
fn a_silent_server_is_left() {
    let mut device = Device::online();
    device.pass(30_000);
    assert_eq!(device.sent(), ["ping"]);
    device.pass(29_999);
    assert_eq!(device.events(), [""; 0]);
    device.pass(1);
    assert_eq!(device.events(), ["disconnected: nothing was heard for 60 s"]);
    assert_eq!(device.sent(), ["goodbye idle_timeout"]);
}

#[test]
fn a_missing_tick_is_asked_after_sooner() {
    let mut device = Device::online();
    device.pass(5_000);
    device.send(8, "a");
    device.sent();
    assert_eq!(device.session.deadline_ms(), Some(10_000));
    device.pass(5_000);
    assert_eq!(device.sent(), ["ping"]);
}

#[test]
fn a_ping_that_waits_behind_other_bytes_does_not_count_as_silence() {
    let mut device = Device::online();
    device.writing = Pace::WhenTold;
    device.pass(30_000);
    assert_eq!(device.sent(), ["ping"]);
    device.pass(500_000);
    assert!(device.connected, "whether the bytes move is the transport's business");
    device.written();
    device.pass(29_000);
    assert!(device.connected);
    device.pass(1_000);
    assert!(!device.connected);
}

#[test]
fn garbage_ends_the_connection_and_another_attempt_follows() {
    let mut send = Vec::new();
    let (total_bytes, body) = (None, &b"x"[..]);
    Frame::Send(Send { peer: 8, number: 1, content: 1, total_bytes, body }).encode(&mut send);
    let scripts: &[(&str, &[u8])] = &[
        (
            "group_deliver.total_bytes has a value that is not allowed",
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n",
        ),
        ("at most 16383", &[0xff, 0xff, 0x7f]),
        ("length 0", &[0]),
        ("send frame is not allowed", &send),
    ];
    for (detail, bytes) in scripts {
        let mut device = Device::online();
        device.bytes(bytes);
        let told = device.events().join("; ");
        assert!(told.contains(detail), "{detail} in {told}");
        assert!(device.sent()[0].starts_with("goodbye "));
        assert!(!device.connected);
        device.login();
    }
}

#[test]
fn random_bytes_never_panic_and_never_store_a_lie() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let mut device = Device::online();
        let bytes: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
        device.bytes(&bytes);
        if !device.connected {
            device.wait_for_connect();
        }
    }
}

#[test]
fn damaged_scripts_never_panic() {
    let mut rng = fastrand::Rng::with_seed(8);
    let text = "x".repeat(300);
    let frames = [deliver(1, 8, 1, "a"), deliver(2, 8, 2, &text), tick(8, START_MS, 1)];
    let mut good = Vec::new();
    for frame in frames {
        frame.encode(&mut good);
    }
    for index in 0..good.len() {
        for _ in 0..8 {
            let mut device = Device::online();
            device.send(8, "mine");
            let mut bytes = good.clone();
            bytes[index] = rng.u8(..);
            device.bytes(&bytes);
        }
    }
}

#[test]
fn frames_of_the_future_are_ignored() {
    let mut device = Device::online();
    device.server(&[Frame::Unknown { kind: 63 }, deliver(1, 8, 1, "a")]);
    assert_eq!(device.events(), ["message @1 8 #1 a"]);
}

#[test]
fn a_server_that_speaks_first_may_only_say_no() {
    let mut device = Device::new();
    device.connect();
    device.sent();
    device.server(&[deliver(1, 8, 1, "a")]);
    assert!(device.events()[0].contains("deliver frame is not allowed before the welcome"));
    assert_eq!(device.sent(), [""; 0], "before the welcome not even a goodbye may go out");
    device.connect();
    device.sent();
    let detail = "full";
    device.server(&[Frame::Refuse { code: Code::TooManyConnections, retry_after_ms: 1, detail }]);
    assert_eq!(device.events(), ["refused too_many_connections full"]);
}

#[test]
fn a_second_welcome_is_not_allowed() {
    let mut device = Device::online();
    device.server(&[Frame::Welcome(WELCOME)]);
    assert!(device.events()[0].contains("welcome frame is not allowed"));
}

fn pong(device: &mut Device, head: u64) {
    let due = device.session.deadline_ms().unwrap();
    device.pass(due - device.now.elapsed_ms);
    assert_eq!(device.sent(), ["ping"]);
    device.server(&[Frame::Pong { heads: Pairs::Slice(&[(0, head)]) }]);
}

#[test]
fn a_head_that_is_never_delivered_leads_to_one_reconnect() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a")]);
    device.events();
    device.sent();
    pong(&mut device, 2);
    assert!(device.connected, "it may be on its way");
    pong(&mut device, 2);
    assert!(!device.connected);
    assert!(device.events()[0].contains("position 2 had to come"));
    device.sent();
    device.login();
    pong(&mut device, 2);
    pong(&mut device, 2);
    pong(&mut device, 2);
    assert!(device.connected, "to ask again for the same head would be a loop");
    pong(&mut device, 3);
    pong(&mut device, 3);
    assert!(!device.connected);
}

#[test]
fn a_pong_that_crossed_an_acknowledgement_is_no_sign_of_a_stall() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.server(&[deliver(1, 8, 1, "a")]);
    pong(&mut device, 2);
    let due = device.session.deadline_ms().unwrap();
    device.pass(due - device.now.elapsed_ms);
    assert_eq!(device.sent(), ["ping"]);
    device.stored();
    assert_eq!(device.sent(), ["ack 1"]);
    device.server(&[Frame::Pong { heads: Pairs::Slice(&[(0, 2)]) }]);
    assert!(device.connected, "the server had not seen the acknowledgement");
    pong(&mut device, 2);
    assert!(device.connected, "it may have read it together with the ping");
    pong(&mut device, 2);
    assert!(!device.connected, "now it had an interval of time for it");
}

#[test]
fn a_pong_before_what_an_acknowledgement_made_room_for_is_no_sign_of_a_stall() {
    let mut device = Device::online();
    let due = device.session.deadline_ms().unwrap();
    device.pass(due - device.now.elapsed_ms);
    assert_eq!(device.sent(), ["ping"]);
    device.server(&[deliver(1, 8, 1, "a"), Frame::Pong { heads: Pairs::Slice(&[(0, 2)]) }]);
    assert_eq!(device.sent(), ["ack 1"]);
    // The server reads this acknowledgement only with the next ping, and answers that first.
    pong(&mut device, 2);
    assert!(device.connected);
    device.server(&[deliver(2, 8, 2, "b")]);
    assert_eq!(device.events(), ["message @1 8 #1 a", "message @2 8 #2 b"]);
}

#[test]
fn a_large_body_of_a_group_is_no_sign_of_a_stall() {
    let mut device = Device::online();
    let body = large_body(4 * PART_BYTES_MAX);
    let (first, rest) = body.split_at(PART_BYTES_MAX);
    let total_bytes = Chunks::total_bytes(&body);
    let (group, position, author, time_ms) = (30, 1, 9, START_MS);
    let (content, own) = (content::TEXT, false);
    device.server(&[Frame::GroupDeliver(GroupDeliver {
        group,
        position,
        author,
        time_ms,
        content,
        own,
        total_bytes,
        body: first,
    })]);
    let mut rest = rest.chunks(PART_BYTES_MAX);
    pong(&mut device, 1);
    for body in rest.by_ref().take(2) {
        device.server(&[Frame::Part { body }]);
        pong(&mut device, 1);
        assert!(device.connected, "a large message may wait behind it");
    }
    pong(&mut device, 1);
    assert!(!device.connected, "nothing at all came");
}

#[test]
fn a_failed_store_ends_the_client() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.server(&[deliver(1, 8, 1, "a")]);
    device.store_fails();
    assert_eq!(device.events(), ["store failed: the store is damaged: disk full"]);
    assert_eq!(device.sent(), ["goodbye none"], "and no acknowledgement");
    assert!(device.session.is_finished());
    let body = std::sync::Arc::from(&b"x"[..]);
    assert!(device.session.send(device.now, 8, 1, body, &mut Vec::new()).is_err());
    device.reconnect();
    assert_eq!(device.session.deadline_ms(), None);
}

#[test]
fn half_a_frame_of_a_lost_connection_is_forgotten() {
    let mut device = Device::online();
    let mut bytes = Vec::new();
    deliver(1, 8, 1, "a").encode(&mut bytes);
    device.bytes(&bytes[..4]);
    device.lose();
    device.events();
    device.login();
    device.bytes(&bytes);
    assert_eq!(device.events(), ["message @1 8 #1 a"]);
}
