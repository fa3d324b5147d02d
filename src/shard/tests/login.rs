//! From connect to welcome, and the end of sessions.

use fulmar_protocol::{Code, Frame, Goodbye, VERSION};

use super::world::{C, Happening, World, hello, send, user_on};

fn without_unsigned() -> World {
    World::with(|config| config.unsigned_users = false)
}

/// A connection that says hello with a token.
fn with_token(world: &mut World, token: &str) -> C {
    let c = world.connect();
    world.frame(c, &hello(7, 1, token.as_bytes(), &[]));
    c
}

/// A hello of user 7, device 1, with something changed.
fn changed(change: impl FnOnce(&mut fulmar_protocol::Hello<'static>)) -> Frame<'static> {
    let Frame::Hello(mut frame) = hello(7, 1, b"", &[]) else { unreachable!() };
    change(&mut frame);
    Frame::Hello(frame)
}

#[test]
fn the_welcome_tells_the_head() {
    let mut world = World::new();
    let bob = world.log_in_from(2, 1, 0);
    world.expect(bob, &["welcome 0"]);
    world.hang_up(bob);
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 1, "one");
    world.send(ann, 2, 2, "two");
    let bob = world.log_in_from(2, 1, 0);
    world.expect(bob, &["welcome 2", "deliver @1 1#1 one", "deliver @2 1#2 two"]);
}

#[test]
fn a_hello_is_refused_with_the_reason() {
    let cases = [
        (changed(|hello| hello.version_min = VERSION + 1), "refused unsupported_version"),
        (changed(|hello| hello.version_max = VERSION - 1), "refused unsupported_version"),
        (changed(|hello| hello.user = 0), "refused bad_identity"),
        (changed(|hello| hello.device = 0), "refused bad_identity"),
        (changed(|hello| hello.device = 65_536), "refused bad_identity"),
        (Frame::Ping, "refused unexpected_frame"),
        (send(2, 1, "hello"), "refused unexpected_frame"),
    ];
    for (frame, expected) in cases {
        let mut world = World::new();
        let c = world.connect();
        world.frame(c, &frame);
        world.expect(c, &[expected]);
        assert!(world.is_closed(c));
        assert_eq!(world.shard().counters().connections, 0);
    }
}

#[test]
fn a_hello_that_offers_a_range_with_this_version_is_welcomed() {
    let mut world = World::new();
    let c = world.connect();
    let frame = changed(|hello| {
        hello.version_min = 0;
        hello.version_max = u64::MAX;
        hello.capabilities = u64::MAX;
    });
    world.frame(c, &frame);
    world.expect(c, &["welcome 0"]);
}

#[test]
fn a_token_is_judged_before_anything_else_happens() {
    let cases = [
        ("7.1", "welcome 0"),
        ("7.2", "refused token_mismatch"),
        ("8.1", "refused token_mismatch"),
        ("token_invalid", "refused token_invalid"),
        ("token_expired", "refused token_expired"),
        ("token_unknown_key", "refused token_unknown_key"),
        ("overloaded", "refused overloaded"),
        ("", "refused token_required"),
    ];
    for (token, expected) in cases {
        let mut world = without_unsigned();
        let c = with_token(&mut world, token);
        world.expect(c, &[expected]);
        let users = u64::from(expected.starts_with("welcome"));
        assert_eq!(world.shard().counters().users_warm, users, "{token}");
    }
}

#[test]
fn a_token_is_judged_even_where_none_is_needed() {
    let mut world = World::new();
    let c = with_token(&mut world, "8.1");
    world.expect(c, &["refused token_mismatch"]);
}

#[test]
fn bytes_of_another_protocol_are_refused() {
    let request = format!("GET / HTTP/1.1\r\nHost: chat.example\r\nUser-Agent: {:80}", "browser");
    let cases = [
        (request.as_bytes(), "refused malformed_frame"),
        (&b"\x05\x01FLMX"[..], "refused not_fulmar"),
        (b"\x00", "refused malformed_frame"),
        (b"\x01\x00", "refused unknown_kind"),
        (b"\x01\x3f", "refused unexpected_frame"),
    ];
    for (bytes, expected) in cases {
        let mut world = World::new();
        let c = world.connect();
        world.bytes(c, bytes);
        world.expect(c, &[expected]);
        assert!(world.is_closed(c));
    }
}

#[test]
fn a_frame_before_login_is_small() {
    let mut world = World::new();
    let c = world.connect();
    // The length alone is enough: 2,049.
    world.bytes(c, &[0x81, 0x10]);
    world.expect(c, &["refused frame_too_large"]);
}

#[test]
fn nothing_may_follow_the_hello_before_the_welcome() {
    // In the same piece, while the token is verified, and while the inbox is loaded; a whole frame,
    // or only its first byte.
    let mut ping = Vec::new();
    Frame::Ping.encode(&mut ping);
    for bytes in [&ping[..], &ping[..1]] {
        let mut world = World::new();
        let c = world.connect();
        let mut piece = Vec::new();
        hello(7, 1, b"", &[]).encode(&mut piece);
        piece.extend_from_slice(bytes);
        world.bytes(c, &piece);
        world.expect(c, &["refused unexpected_frame"]);

        let mut world = World::new();
        world.holds_loads = true;
        let c = world.connect();
        world.frame(c, &hello(7, 1, b"", &[]));
        world.bytes(c, bytes);
        world.expect(c, &["refused unexpected_frame"]);
        world.load();
        world.expect(c, &[]);
        assert_eq!(world.shard().counters().sessions, 0);
    }
    let mut world = without_unsigned();
    let c = world.connect();
    let mut bytes = Vec::new();
    hello(7, 1, b"7.1", &[]).encode(&mut bytes);
    let conn = world.clients[c].conn;
    let early = [Happening::Received(conn, bytes), Happening::Received(conn, ping)];
    world.happen_together(0, early);
    world.expect(c, &["refused unexpected_frame"]);
}

#[test]
fn what_follows_a_hello_that_came_in_pieces_is_too_early_as_well() {
    let mut ping = Vec::new();
    Frame::Ping.encode(&mut ping);
    for bytes in [&ping[..], &ping[..1]] {
        let mut world = World::new();
        let c = world.connect();
        let mut piece = Vec::new();
        hello(7, 1, b"", &[]).encode(&mut piece);
        piece.extend_from_slice(bytes);
        let (begin, end) = piece.split_at(5);
        world.bytes(c, begin);
        world.bytes(c, end);
        world.expect(c, &["refused unexpected_frame"]);
    }
}

#[test]
fn what_follows_the_hello_of_a_user_of_another_core_is_too_early_as_well() {
    let user = user_on(1, 2, 0);
    for token in ["", &format!("{user}.1")] {
        let mut world = World::of_cores(2, |_| {});
        let c = world.connect();
        let (mut bytes, mut ping) = (Vec::new(), Vec::new());
        hello(user, 1, token.as_bytes(), &[]).encode(&mut bytes);
        Frame::Ping.encode(&mut ping);
        let conn = world.clients[c].conn;
        let early = [Happening::Received(conn, bytes), Happening::Received(conn, ping)];
        world.happen_together(0, early);
        world.expect(c, &["refused unexpected_frame"]);
    }
}

#[test]
fn a_hello_that_comes_in_pieces_is_welcomed() {
    let mut world = World::new();
    let c = world.connect();
    let mut bytes = Vec::new();
    hello(7, 1, b"", &[(0, 5)]).encode(&mut bytes);
    for byte in bytes {
        world.expect(c, &[]);
        world.bytes(c, &[byte]);
    }
    world.expect(c, &["welcome 0"]);
}

#[test]
fn a_connection_without_a_complete_hello_is_closed_in_time() {
    let mut world = World::new();
    let silent = world.connect();
    let trickling = world.connect();
    let mut bytes = Vec::new();
    hello(7, 1, b"", &[]).encode(&mut bytes);
    for &byte in &bytes[..9] {
        world.bytes(trickling, &[byte]);
        world.pass(500);
    }
    assert!(!world.is_closed(silent));
    world.pass(750);
    world.expect(silent, &["refused hello_timeout"]);
    world.expect(trickling, &["refused hello_timeout"]);
    assert_eq!(world.shard().counters().connections, 0);
}

#[test]
fn a_login_that_storage_never_answers_is_ended() {
    let mut world = World::new();
    world.holds_loads = true;
    let c = world.connect();
    world.frame(c, &hello(7, 1, b"", &[]));
    world.pass(29_000);
    assert!(!world.is_closed(c));
    world.pass(1_500);
    world.expect(c, &["refused internal"]);
    world.load();
    world.expect(c, &[]);
}

#[test]
fn a_frame_that_is_begun_must_be_completed_in_time() {
    let mut world = World::new();
    let c = world.log_in(7, 1);
    world.bytes(c, &[5]);
    world.pass(9_500);
    assert!(!world.is_closed(c));
    world.pass(1_000);
    world.expect(c, &["goodbye frame_timeout"]);
}

#[test]
fn a_silent_connection_is_closed_and_a_ping_keeps_it() {
    let mut world = World::with(|config| config.idle_s = 60);
    let silent = world.log_in(7, 1);
    let pinging = world.log_in(7, 2);
    for _ in 0..4 {
        world.pass(20_000);
        world.frame(pinging, &Frame::Ping);
        world.expect(pinging, &["pong 0"]);
    }
    world.expect(silent, &["goodbye idle_timeout"]);
    assert!(world.is_closed(silent) && !world.is_closed(pinging));
    // What the server says doesn't count.
    world.send(pinging, 7, 1, "to myself");
    world.pass(61_000);
    let told = world.told(pinging);
    assert_eq!(told.last().map(String::as_str), Some("goodbye idle_timeout"));
}

#[test]
fn a_ping_is_answered_with_what_is_durable() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.holds_stores = true;
    world.send(ann, 2, 1, "hello");
    world.frame(bob, &Frame::Ping);
    world.expect(bob, &["pong 0"]);
    // The second one says that everything from before the first is stored, so it waits for that.
    world.frame(bob, &Frame::Ping);
    world.expect(bob, &[]);
    world.store();
    world.expect(bob, &["deliver @1 1#1 hello"]);
    // Of that the record of the inbox is part.
    world.holds_stores = false;
    world.pass(1_000);
    world.expect(bob, &["pong 1"]);
    world.frame(bob, &Frame::Ping);
    world.expect(bob, &["pong 1"]);
}

#[test]
fn a_newer_connection_of_a_device_replaces_the_older() {
    let mut world = World::new();
    let bob = world.log_in(2, 1);
    let older = world.log_in(1, 1);
    world.holds_stores = true;
    world.send(older, 2, 1, "hello");
    let newer = world.log_in(1, 1);
    world.expect(older, &["goodbye replaced"]);
    assert!(world.clients[newer].session > world.clients[older].session);
    // The tick belongs to the older connection, and what that one still sends does nothing.
    let conn = world.clients[older].conn;
    let mut late = Vec::new();
    send(2, 2, "late").encode(&mut late);
    world.happen(0, Happening::Received(conn, late));
    world.happen(0, Happening::Sent(conn));
    world.store();
    world.pass(10_000);
    world.expect(older, &[]);
    world.expect(newer, &[]);
    world.expect(bob, &["deliver @1 1#1 hello"]);
    // The newer one asks again and is told.
    world.send(newer, 2, 1, "hello");
    world.store();
    world.expect(newer, &["sent 2 n1 #1"]);
    world.happen(0, Happening::Closed(conn));
    world.frame(newer, &Frame::Ping);
    world.expect(newer, &["pong 0"]);
    assert_eq!(world.shard().counters().takeovers, 1);
    assert_eq!(world.shard().counters().sessions, 2);
}

#[test]
fn a_hello_of_a_connection_that_is_over_replaces_nobody() {
    // The node didn't get to it for a while. Its client gave up, and is back on another connection.
    let mut world = World::new();
    let given_up = world.connect();
    let back = world.log_in(1, 1);
    let conn = world.clients[given_up].conn;
    let mut bytes = Vec::new();
    hello(1, 1, b"", &[(0, 0)]).encode(&mut bytes);
    world.happen_together(0, [Happening::Received(conn, bytes), Happening::Closed(conn)]);
    world.expect(back, &[]);
    world.frame(back, &Frame::Ping);
    world.expect(back, &["pong 0"]);
    assert_eq!(world.shard().counters().takeovers, 0);
    assert_eq!(world.shard().counters().sessions, 1);
}

#[test]
fn an_event_of_an_earlier_connection_of_the_slot_does_nothing() {
    let mut world = World::new();
    let earlier = world.log_in(1, 1);
    let conn = world.clients[earlier].conn;
    world.hang_up(earlier);
    let later = world.log_in(1, 1);
    assert_eq!(world.clients[later].conn.slot, conn.slot);
    let mut bytes = Vec::new();
    Frame::Ping.encode(&mut bytes);
    world.happen(0, Happening::Received(conn, bytes));
    world.happen(0, Happening::Sent(conn));
    world.happen(0, Happening::Closed(conn));
    world.expect(later, &[]);
    assert_eq!(world.shard().counters().sessions, 1);
}

#[test]
fn a_device_too_many_is_refused() {
    let mut world = World::with(|config| config.devices_max = 2);
    world.log_in(7, 1);
    world.log_in(7, 2);
    let c = world.log_in_from(7, 3, 0);
    world.expect(c, &["refused too_many_devices"]);
    world.log_in(7, 2);
}

#[test]
fn a_new_device_is_welcomed_once_it_is_stored() {
    let mut world = World::new();
    world.holds_stores = true;
    let first = world.log_in_from(7, 1, 0);
    let second = world.log_in_from(7, 1, 0);
    world.expect(first, &[]);
    world.expect(second, &[]);
    world.store();
    world.expect(first, &["welcome 0", "goodbye replaced"]);
    world.expect(second, &["welcome 0"]);
    // A known device doesn't wait for storage.
    let third = world.log_in_from(7, 1, 0);
    world.expect(third, &["welcome 0"]);
}

#[test]
fn a_login_that_is_gone_when_storage_answers_leaves_nothing_behind() {
    let mut world = World::new();
    world.holds_loads = true;
    let c = world.log_in_from(7, 1, 0);
    world.hang_up(c);
    world.load();
    world.holds_loads = false;
    world.holds_stores = true;
    let c = world.log_in_from(7, 1, 0);
    world.hang_up(c);
    world.store();
    assert_eq!(world.shard().counters().sessions, 0);
    world.log_in(7, 1);
}

#[test]
fn under_overload_logins_are_told_to_come_later() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.log_in(2, 1);
    world.holds_stores = true;
    world.send(ann, 2, 1, "hello");
    world.pass(2_000);
    let c = world.connect();
    world.expect(c, &["refused overloaded"]);
    world.holds_stores = false;
    world.pass(250);
    world.expect(ann, &["sent 2 n1 #1"]);
    world.log_in(3, 1);
}

#[test]
fn a_stop_tells_everyone_and_stores_what_moved() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.send(ann, 2, 1, "hello");
    let waiting = world.connect();
    world.holds_stores = true;
    world.ack(bob, 1);
    world.shut_down();
    for c in [ann, bob] {
        let told = world.told(c);
        assert_eq!(told.last().map(String::as_str), Some("goodbye shutting_down"));
        assert!(world.is_closed(c));
    }
    world.expect(waiting, &["refused shutting_down"]);
    assert!(!world.shard().is_drained());
    world.store();
    assert!(world.shard().is_drained());
    let late = world.connect();
    world.expect(late, &["refused shutting_down"]);
    // The cursor was stored: nothing is delivered again.
    world.holds_stores = false;
    world.crash();
    let bob = world.log_in_from(2, 1, 1);
    world.expect(bob, &["welcome 1"]);
}

#[test]
fn a_client_may_say_goodbye() {
    let mut world = World::new();
    let c = world.log_in(7, 1);
    let goodbye = Goodbye { code: Code::None, retry_after_ms: 0, address: "", detail: "" };
    world.frame(c, &Frame::Goodbye(goodbye));
    world.expect(c, &[]);
    assert!(world.is_closed(c));
    assert_eq!(world.shard().counters().sessions, 0);
}

#[test]
fn a_frame_of_the_server_or_a_second_hello_ends_a_session() {
    let frames = [
        hello(7, 1, b"", &[]),
        Frame::Sent { peer: 1, number: 1, ordinal: 1, time_ms: 1 },
        Frame::Skip { position: 1 },
        Frame::Receipt { peer: 1, delivered: 1, read: 1, own: false },
    ];
    for frame in frames {
        let mut world = World::new();
        let c = world.log_in(7, 1);
        world.frame(c, &frame);
        world.expect(c, &["goodbye unexpected_frame"]);
    }
}

#[test]
fn an_unknown_frame_is_skipped_if_it_may_be_and_ends_the_session_if_not() {
    let mut world = World::new();
    let c = world.log_in(7, 1);
    world.bytes(c, &[3, 62, 1, 2, 1, 63]);
    world.frame(c, &Frame::Ping);
    world.expect(c, &["pong 0"]);
    world.bytes(c, &[1, 0]);
    world.expect(c, &["goodbye unknown_kind"]);
}

#[test]
fn a_connection_that_does_not_take_its_goodbye_is_aborted() {
    let mut world = World::new();
    let c = world.log_in(7, 1);
    world.frame(c, &Frame::Ping);
    world.stall(c);
    world.frame(c, &Frame::Ping);
    world.bytes(c, &[1, 31]);
    world.pass(1_500);
    assert!(!world.is_closed(c));
    world.pass(1_000);
    assert!(world.is_closed(c));
    assert_eq!(world.shard().counters().connections, 0);
}
