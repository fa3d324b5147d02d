//! Receipts and reads: maxima, questions after a reconnect, reads that may be lost.

use fulmar_client::store::Store;
use fulmar_protocol::{Frame, Pairs};

use crate::device::{Device, Pace};
use crate::frames::{START_MS, deliver, own_copy, receipt, tick};

/// A device with two messages to 8 that are ticked.
fn with_two_ticked() -> Device {
    let mut device = Device::online();
    device.send(8, "a");
    device.send(8, "b");
    device.server(&[tick(8, START_MS, 1), tick(8, START_MS + 1, 2)]);
    device.events();
    device.sent();
    device
}

fn pong(device: &mut Device) {
    let due = device.session.deadline_ms().unwrap();
    device.pass(due - device.now.elapsed_ms);
    assert_eq!(device.sent(), ["ping"]);
    device.server(&[Frame::Pong { heads: Pairs::Slice(&[]) }]);
}

#[test]
fn receipts_only_rise() {
    let mut device = with_two_ticked();
    device.server(&[receipt(8, 1, 0)]);
    assert_eq!(device.events(), ["delivered 8 #1"]);
    device.server(&[receipt(8, 2, 2)]);
    assert_eq!(device.events(), ["delivered 8 #2", "read 8 #2"]);
    device.server(&[receipt(8, 1, 0), receipt(8, 2, 1), receipt(8, 2, 2)]);
    assert_eq!(device.events(), [""; 0], "late ones say nothing new");
    let conversation = &device.store.conversations().unwrap()[0];
    assert_eq!((conversation.delivered, conversation.read), (2, 2));
}

#[test]
fn what_is_read_is_also_delivered() {
    let mut device = with_two_ticked();
    device.server(&[receipt(8, 0, 2)]);
    assert_eq!(device.events(), ["delivered 8 #2", "read 8 #2"]);
}

#[test]
fn a_receipt_may_come_before_the_tick_or_the_copy_that_it_is_about() {
    let mut device = Device::online();
    device.send(8, "a");
    device.server(&[receipt(8, 1, 1)]);
    assert_eq!(device.events(), ["delivered 8 #1", "read 8 #1"]);
    device.server(&[tick(8, START_MS, 1)]);
    assert_eq!(device.events(), ["ticked 1 8 #1"]);
    device.server(&[receipt(9, 3, 0), own_copy(1, 9, 3, "elsewhere")]);
    assert_eq!(device.events(), ["delivered 9 #3", "own @1 9 #3 elsewhere"]);
    let conversations = device.store.conversations().unwrap();
    assert_eq!((conversations[0].peer, conversations[0].delivered), (9, 3));
    assert_eq!((conversations[1].peer, conversations[1].read), (8, 1));
}

#[test]
fn a_reconnect_asks_for_what_is_not_read_yet_and_for_nothing_else() {
    let mut device = with_two_ticked();
    device.server(&[deliver(1, 9, 1, "incoming only")]);
    device.send(10, "c");
    device.server(&[tick(10, START_MS + 2, 1), receipt(10, 1, 1), receipt(8, 2, 1)]);
    device.sent();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["ask 8"]);
    device.server(&[receipt(8, 2, 2)]);
    assert_eq!(device.events(), ["read 8 #2"]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn many_questions_go_out_in_a_window_newest_conversation_first() {
    let mut device = Device::online();
    for peer in 101..=140 {
        device.server(&[own_copy(peer - 100, peer, 1, "x")]);
    }
    device.sent();
    device.lose();
    device.events();
    device.login();
    let asked = device.sent();
    assert_eq!((asked.len(), asked[0].as_str()), (32, "ask 140"));
    device.server(&[receipt(140, 0, 0), receipt(139, 1, 0)]);
    assert_eq!(device.sent(), ["ask 108", "ask 107"]);
}

#[test]
fn a_question_that_an_overloaded_server_leaves_is_asked_again() {
    let mut device = with_two_ticked();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["ask 8"]);
    pong(&mut device);
    let due = device.session.deadline_ms().unwrap();
    device.pass(due - device.now.elapsed_ms);
    assert_eq!(device.sent(), ["ping", "ask 8"]);
}

#[test]
fn a_read_goes_out_once_and_never_beyond_what_was_received() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b")]);
    device.sent();
    device.mark_read(8, 1);
    assert_eq!(device.sent(), ["read 8 1"]);
    device.mark_read(8, 99);
    assert_eq!(device.sent(), ["read 8 2"]);
    device.mark_read(8, 2);
    device.mark_read(8, 1);
    device.mark_read(77, 1);
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn a_read_is_told_again_until_the_server_surely_knows() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a")]);
    device.sent();
    device.mark_read(8, 1);
    device.sent();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["read 8 1"]);
    pong(&mut device);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["read 8 1"], "one pong says that it was read, not that it is safe");
    pong(&mut device);
    pong(&mut device);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn a_pong_to_a_ping_from_before_a_read_says_nothing_of_it() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a")]);
    device.sent();
    let due = device.session.deadline_ms().unwrap();
    device.pass(due - device.now.elapsed_ms);
    assert_eq!(device.sent(), ["ping"]);
    device.mark_read(8, 1);
    assert_eq!(device.sent(), ["read 8 1"]);
    device.server(&[Frame::Pong { heads: Pairs::Slice(&[]) }]);
    pong(&mut device);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["read 8 1"], "only one of the two came after it");
}

#[test]
fn a_read_that_the_server_tells_back_may_still_be_lost_there() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a")]);
    device.sent();
    device.mark_read(8, 1);
    assert_eq!(device.sent(), ["read 8 1"]);
    device.server(&[Frame::Receipt { peer: 8, delivered: 1, read: 1, own: true }]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["read 8 1"], "it was told from memory, and the server crashed");
}

#[test]
fn a_read_survives_the_process() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a")]);
    device.lose();
    device.mark_read(8, 1);
    let mut later = Device::on(device.store);
    later.login();
    assert_eq!(later.sent(), ["read 8 1"]);
}

#[test]
fn reads_become_one_while_a_write_is_under_way() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b"), deliver(3, 8, 3, "c")]);
    device.sent();
    device.writing = Pace::WhenTold;
    device.mark_read(8, 1);
    device.mark_read(8, 2);
    device.mark_read(8, 3);
    assert_eq!(device.sent(), ["read 8 1"]);
    device.written();
    assert_eq!(device.sent(), ["read 8 3"]);
}

#[test]
fn what_another_device_showed_is_seen_here_too() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b")]);
    device.events();
    device.sent();
    assert_eq!(device.store.conversations().unwrap()[0].unread, 2);
    device.server(&[Frame::Receipt { peer: 8, delivered: 2, read: 2, own: true }]);
    assert_eq!(device.events(), ["seen 8 #2"]);
    assert_eq!(device.store.conversations().unwrap()[0].unread, 0);
    device.mark_read(8, 2);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0], "the server told it, so it isn't told to the server");
}

#[test]
fn impossible_receipts_end_the_connection() {
    for (peer, delivered, read) in [(0, 1, 1), (8, 1 << 63, 0), (8, 0, u64::MAX)] {
        let mut device = with_two_ticked();
        device.server(&[receipt(peer, delivered, read)]);
        assert!(device.events()[0].contains("doesn't follow the protocol"));
        assert!(!device.connected);
    }
}

#[test]
fn what_was_seen_here_is_reported_though_more_was_seen_elsewhere() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b")]);
    device.mark_read(8, 1);
    // Told before it is durable, and the other device may never come back.
    device.server(&[Frame::Receipt { peer: 8, delivered: 2, read: 2, own: true }]);
    device.sent();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["read 8 2"]);
}
