//! Connecting, logging in, being refused, being sent elsewhere.

use fulmar_client::Target;
use fulmar_client::store::Store;
use fulmar_protocol::{Code, Frame, Goodbye, Pairs, Welcome};

use crate::device::{Device, Pace};
use crate::frames::{START_MS, WELCOME, deliver, receipt, tick};

fn goodbye(code: Code, retry_after_ms: u64, address: &'static str) -> Frame<'static> {
    Frame::Goodbye(Goodbye { code, retry_after_ms, address, detail: "why" })
}

fn refuse(code: Code, retry_after_ms: u64) -> Frame<'static> {
    Frame::Refuse { code, retry_after_ms, detail: "why" }
}

fn pause_ms(device: &Device) -> u64 {
    device.session.deadline_ms().unwrap() - device.now.elapsed_ms
}

#[test]
fn only_the_hello_goes_out_before_the_welcome() {
    let mut device = Device::new();
    device.send(8, "hello");
    device.connect();
    assert_eq!(device.sent(), ["hello 7/1 token script [(0, 0)]"]);
    device.send(8, "again");
    assert_eq!(device.sent(), [""; 0]);
    device.server(&[Frame::Welcome(WELCOME)]);
    assert_eq!(device.sent(), ["send 8 #0 hello", "send 8 #1 again"]);
    assert_eq!(device.events(), ["connected 5"]);
}

#[test]
fn a_wrong_login_stops_and_the_program_can_go_on_with_another_token() {
    for code in [Code::TokenExpired, Code::TokenMismatch, Code::BadIdentity, Code::Other(250)] {
        let mut device = Device::new();
        device.connect();
        device.server(&[refuse(code, 0)]);
        assert_eq!(device.events(), [format!("refused {} why; for good", code.name())]);
        assert_eq!(device.session.deadline_ms(), None);
        device.sent();
        device.reconnect();
        device.login();
    }
}

#[test]
fn an_overloaded_server_is_left_alone_for_as_long_as_it_asks() {
    let mut device = Device::new();
    device.connect();
    device.server(&[refuse(Code::Overloaded, 30_000)]);
    assert_eq!(device.events(), ["refused overloaded why"]);
    assert!((30_000..=30_500).contains(&pause_ms(&device)));
    device.sent();
    device.login();
}

#[test]
fn a_redirect_is_followed_and_left_again_where_no_login_succeeds() {
    let mut device = Device::online();
    device.server(&[goodbye(Code::Moved, 0, "10.0.0.2:7700")]);
    assert_eq!(device.events(), ["disconnected: the server said goodbye: moved (403): why"]);
    assert_eq!(device.wait_for_connect().as_deref(), Some("10.0.0.2:7700"));
    device.lose();
    assert_eq!(device.events(), ["disconnected: can't connect: reset by peer"]);
    assert_eq!(device.wait_for_connect(), None);
}

#[test]
fn a_redirect_stays_while_logins_there_succeed() {
    let mut device = Device::online();
    device.server(&[goodbye(Code::ShuttingDown, 2_000, "[::1]:7701")]);
    assert!(pause_ms(&device) >= 2_000);
    device.events();
    device.login();
    device.lose();
    assert_eq!(device.wait_for_connect().as_deref(), Some("[::1]:7701"));
}

#[test]
fn a_nonsensical_address_is_not_followed() {
    let mut device = Device::online();
    device.server(&[goodbye(Code::Moved, 0, "nowhere")]);
    assert_eq!(device.wait_for_connect(), None);
}

#[test]
fn a_replaced_device_does_not_replace_its_replacement() {
    let mut device = Device::online();
    device.server(&[goodbye(Code::Replaced, 0, "")]);
    let told = ["disconnected: the server said goodbye: replaced (207): why; for good"];
    assert_eq!(device.events(), told);
    assert_eq!(device.session.deadline_ms(), None);
    device.reconnect();
    device.login();
}

#[test]
fn no_answer_to_a_connect_or_a_hello_ends_the_attempt() {
    let mut device = Device::new();
    device.pass(0);
    device.pass(10_000);
    assert_eq!(device.events(), ["disconnected: can't connect: no answer within 10 s"]);
    device.connects.clear();
    device.connect();
    device.pass(30_000);
    assert_eq!(device.events(), ["disconnected: connection lost: no welcome within 30 s"]);
    assert!(!device.connected);
}

#[test]
fn pauses_grow_until_a_connection_proves_good() {
    let mut device = Device::new();
    let mut pauses_ms = Vec::new();
    for _ in 0..40 {
        device.login();
        device.lose();
        pauses_ms.push(pause_ms(&device));
        device.events();
    }
    let longest = pauses_ms.iter().max().unwrap();
    assert!(*longest > 50_000, "a server that drops each login is left alone: {pauses_ms:?}");
    device.login();
    device.pass(29_999);
    device.server(&[Frame::Unknown { kind: 60 }]);
    device.pass(1);
    device.lose();
    assert!(pause_ms(&device) <= 500);
}

#[test]
fn the_hello_waits_for_the_store_so_that_its_cursor_is_true() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.server(&[deliver(1, 8, 1, "one"), deliver(2, 8, 2, "two")]);
    device.lose();
    device.events();
    device.connect();
    assert_eq!(device.sent(), [""; 0]);
    device.stored();
    assert_eq!(device.sent(), ["hello 7/1 token script [(0, 2)]"]);
    assert_eq!(device.events(), ["message @1 8 #1 one", "message @2 8 #2 two"]);
    device.server(&[Frame::Welcome(WELCOME)]);
    assert_eq!(device.sent(), [""; 0], "the hello's cursor was the acknowledgement");
}

#[test]
fn a_server_that_lost_data_is_gone_on_with_from_its_head() {
    let mut device = Device::online();
    device.send(8, "mine");
    device.server(&[tick(8, START_MS, 1), receipt(8, 1, 1)]);
    device.server(&[deliver(1, 8, 1, "a"), deliver(2, 8, 2, "b"), deliver(3, 8, 3, "c")]);
    device.mark_read(8, 3);
    device.lose();
    device.events();
    device.sent();
    device.connect();
    assert_eq!(device.sent(), ["hello 7/1 token script [(0, 3)]"]);
    let behind = Welcome { heads: Pairs::Slice(&[(0, 2), (3, 1)]), ..WELCOME };
    device.server(&[Frame::Welcome(behind)]);
    assert_eq!(device.events(), ["connected 5", "went back from 3 to 2"]);
    assert_eq!(device.sent(), ["ask 8"], "the receipts may have gone back too");
    device.server(&[receipt(8, 1, 0), deliver(3, 8, 3, "another third")]);
    let told = ["delivered 8 #1", "message @3 8 #3 another third"];
    assert_eq!(device.events(), told);
    assert_eq!(device.sent(), ["ack 3"]);
    assert_eq!(
        device.store.history(Target::Peer(8), None, 10).unwrap().len(),
        5,
        "nothing here is lost"
    );
    assert_eq!(device.store.conversations().unwrap()[0].unread, 1);
    device.mark_read(8, 3);
    assert_eq!(device.sent(), ["read 8 3"]);
    let mut later = Device::on(device.store);
    later.connect();
    assert_eq!(later.sent(), ["hello 7/1 token script [(0, 3)]"]);
}

#[test]
fn a_defect_is_not_repeated_soon() {
    for code in [Code::MalformedFrame, Code::CursorAhead, Code::Other(150)] {
        let mut device = Device::online();
        device.server(&[goodbye(code, 0, "")]);
        assert!(pause_ms(&device) >= 30_000, "{code}");
    }
    let mut device = Device::online();
    device.server(&[goodbye(Code::IdleTimeout, 0, "")]);
    assert!(pause_ms(&device) <= 500);
}

#[test]
fn a_new_store_numbers_from_the_later_of_both_clocks() {
    let mut device = Device::new();
    device.welcome(&Welcome { time_ms: START_MS + 500_000, ..WELCOME });
    device.send(8, "hello");
    assert_eq!(device.sent(), ["send 8 #500000 hello"]);
}

#[test]
fn a_version_that_was_not_offered_ends_the_attempt() {
    let mut device = Device::new();
    device.connect();
    device.server(&[Frame::Welcome(Welcome { version: 2, ..WELCOME })]);
    assert!(device.events()[0].contains("version 2 was not offered"));
    assert!(!device.connected);
}

#[test]
fn closing_says_goodbye_and_is_for_good() {
    let mut device = Device::online();
    device.close();
    assert_eq!(device.sent(), ["goodbye none"]);
    assert_eq!(device.events(), ["disconnected: closed; for good"]);
    assert!(device.session.is_finished());
    device.reconnect();
    assert_eq!(device.session.deadline_ms(), None);
}

#[test]
fn closing_still_stores_what_waits() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.send(8, "hello");
    device.send(8, "again");
    device.close();
    assert!(!device.session.is_finished());
    device.stored();
    device.stored();
    assert!(device.session.is_finished());
    let mut later = Device::on(device.store);
    later.login();
    assert_eq!(later.sent(), ["send 8 #0 hello", "send 8 #1 again"]);
}
