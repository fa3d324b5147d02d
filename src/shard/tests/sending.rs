//! A message from its sender's frame to the tick: durable first, numbered once, refused in time.

use fulmar_protocol::{Frame, Send};

use super::world::{World, send};
use crate::limits::{CORE_SENDS_BYTES_MAX, RESENDS_MAX};
use crate::shard::{Key, LogId, home_core};

#[test]
fn the_tick_and_the_delivery_come_once_the_message_is_stored() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.holds_stores = true;
    world.send(ann, 2, 1, "hello");
    world.pass(1_000);
    world.expect(ann, &[]);
    world.expect(bob, &[]);
    world.store();
    world.expect(ann, &["sent 2 n1 #1"]);
    world.expect(bob, &["deliver @1 1#1 hello"]);
    assert!(world.disk.get(Key::Entry { log: LogId::Inbox(2), position: 1 }).is_some());
}

#[test]
fn each_commit_releases_what_it_stored_and_no_more() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    // The tick of the very first message waits for one more.
    world.send(ann, 2, 1, "hello");
    world.told(ann);
    world.told(bob);
    world.holds_stores = true;
    for number in 2..=4 {
        world.send(ann, 2, number, "hello");
    }
    world.store_one(0);
    world.settle();
    world.expect(ann, &["sent 2 n2 #2"]);
    world.expect(bob, &["deliver @2 1#2 hello"]);
    world.store();
    world.expect(ann, &["sent 2 n3 #3", "sent 2 n4 #4"]);
    world.expect(bob, &["deliver @3 1#3 hello", "deliver @4 1#4 hello"]);
}

#[test]
fn the_messages_of_a_device_keep_their_order() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frames(ann, &[send(2, 5, "a"), send(2, 6, "b"), send(2, 9, "c")]);
    world.expect(ann, &["sent 2 n5 #1", "sent 2 n6 #2", "sent 2 n9 #3"]);
    world.expect(bob, &["deliver @1 1#1 a", "deliver @2 1#2 b", "deliver @3 1#3 c"]);
}

#[test]
fn messages_that_wait_for_a_load_keep_their_order() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.holds_loads = true;
    world.frames(ann, &[send(2, 1, "a"), send(3, 2, "x"), send(2, 3, "b")]);
    world.send(ann, 2, 4, "c");
    // The inbox first, then the conversation, and the other way round for the other peer.
    while world.load_one(0) {
        world.settle();
        world.send(ann, 2, 100, "d");
    }
    let told = world.told(ann);
    let to_2: Vec<_> = told.iter().filter(|words| words.starts_with("sent 2")).collect();
    assert_eq!(to_2[..4], ["sent 2 n1 #1", "sent 2 n3 #2", "sent 2 n4 #3", "sent 2 n100 #4"]);
    let bob = world.log_in_from(2, 1, 0);
    world.load();
    let told = world.told(bob);
    assert_eq!(
        told[1..5],
        ["deliver @1 1#1 a", "deliver @2 1#2 b", "deliver @3 1#3 c", "deliver @4 1#4 d"]
    );
}

#[test]
fn ordinals_count_a_direction_and_are_shared_by_the_devices() {
    let mut world = World::new();
    let ann_1 = world.log_in(1, 1);
    let ann_2 = world.log_in(1, 2);
    let cid = world.log_in(3, 1);
    let bob = world.log_in(2, 1);
    world.send(ann_1, 2, 10, "a");
    world.send(cid, 2, 1, "x");
    world.send(ann_2, 2, 7, "b");
    world.send(ann_1, 2, 11, "c");
    world.send(bob, 1, 1, "back");
    let expected = ["deliver @1 1#1 a", "deliver @2 3#1 x", "deliver @3 1#2 b", "deliver @4 1#3 c"];
    world.expect(bob, &[&expected[..], &["sent 1 n1 #1"]].concat());
}

#[test]
fn a_repeated_send_is_ticked_with_its_first_ordinal() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 3, "b"), send(2, 4, "c")]);
    world.told(ann);
    world.told(bob);
    world.frames(ann, &[send(2, 3, "b"), send(2, 1, "a"), send(2, 4, "c")]);
    world.expect(ann, &["sent 2 n3 #2", "sent 2 n1 #1", "sent 2 n4 #3"]);
    world.expect(bob, &[]);
}

#[test]
fn a_send_that_is_repeated_before_its_commit_is_ticked_after_it() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.holds_stores = true;
    // In the same turn, in a later one, and on a later connection.
    world.frames(ann, &[send(2, 1, "a"), send(2, 1, "a")]);
    world.send(ann, 2, 1, "a");
    let ann_again = world.log_in(1, 1);
    world.send(ann_again, 2, 1, "a");
    world.expect(ann_again, &[]);
    world.store();
    world.expect(ann, &["goodbye replaced"]);
    world.expect(ann_again, &["sent 2 n1 #1"]);
    world.expect(bob, &["deliver @1 1#1 a"]);
}

#[test]
fn a_send_that_is_repeated_after_a_crash_is_known_if_it_was_stored() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 1, "a");
    world.holds_stores = true;
    world.send(ann, 2, 2, "b");
    world.expect(ann, &["sent 2 n1 #1"]);
    world.crash();
    world.holds_stores = false;
    let ann = world.log_in(1, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b")]);
    world.expect(ann, &["sent 2 n1 #1", "sent 2 n2 #2"]);
    let bob = world.log_in(2, 1);
    world.expect(bob, &["deliver @1 1#1 a", "deliver @2 1#2 b"]);
}

#[test]
fn a_repeated_send_is_known_though_everything_was_trimmed() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.send(ann, 2, 1, "a");
    world.send(ann, 2, 2, "b");
    world.ack(bob, 2);
    world.pass(1_000);
    assert_eq!(world.disk.entries(2).count(), 0);
    world.told(ann);
    world.crash();
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 1, "a");
    world.send(ann, 2, 3, "c");
    world.expect(ann, &["sent 2 n1 #1", "sent 2 n3 #3"]);
    let bob = world.log_in_from(2, 1, 2);
    world.expect(bob, &["welcome 3", "deliver @3 1#3 c"]);
}

#[test]
fn as_many_sends_as_may_be_unanswered_can_be_repeated_and_older_numbers_are_stale() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let other = world.log_in(1, 2);
    // Holes and another device's sends make each number a run of its own.
    for number in 1..=2 * RESENDS_MAX {
        world.send(ann, 2, 2 * number, "a");
        world.send(other, 2, number, "b");
    }
    world.told(ann);
    let oldest = 2 * (RESENDS_MAX + 1);
    let ordinal = 2 * (RESENDS_MAX + 1) - 1;
    world.frames(ann, &[send(2, oldest, "a"), send(2, oldest - 2, "a"), send(2, oldest + 1, "a")]);
    let expected = [
        format!("rejected 2 n{} stale_number", oldest - 2),
        format!("rejected 2 n{} stale_number", oldest + 1),
        format!("sent 2 n{oldest} #{ordinal}"),
    ];
    assert_eq!(world.told(ann), expected);
}

#[test]
fn the_largest_number_can_be_used() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, u64::MAX, "b"), send(2, u64::MAX, "b")]);
    let max = u64::MAX;
    let last = format!("sent 2 n{max} #2");
    world.expect(ann, &["sent 2 n1 #1", &last, &last]);
    world.frames(ann, &[send(2, max - 1, "c")]);
    world.expect(ann, &[&format!("rejected 2 n{} stale_number", max - 1)]);
    world.crash();
    let ann = world.log_in(1, 1);
    world.send(ann, 2, max, "b");
    world.expect(ann, &[&last]);
}

#[test]
fn a_message_to_nobody_or_of_too_many_bytes_is_rejected() {
    let mut world = World::with(|config| config.body_bytes_max = 10);
    let ann = world.log_in(1, 1);
    world.send(ann, 0, 1, "hello");
    world.send(ann, 2, 1, "eleven byte");
    world.send(ann, 2, 2, "ten  bytes");
    world.expect(ann, &["rejected 0 n1 bad_peer", "rejected 2 n1 body_too_large", "sent 2 n2 #1"]);
}

#[test]
fn a_send_without_a_number_ends_the_connection() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 0, "hello");
    world.expect(ann, &["goodbye malformed_frame"]);
}

#[test]
fn the_ticks_about_one_peer_keep_the_order_of_the_sends_and_a_rejection_waits_for_no_commit() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |config| {
            config.body_bytes_max = 10;
            config.quota_messages = 2;
        });
        let ann = world.log_in(1, 1);
        let bob = (2..1_000).find(|&user| home_core(user, cores) == cores - 1).unwrap_or(0);
        world.holds_stores = true;
        let sends = [
            send(bob, 3, "one"),
            send(bob, 4, "eleven byte"),
            send(bob, 2, "stale"),
            send(bob, 5, "two"),
            send(bob, 6, "full"),
        ];
        world.frames(ann, &sends);
        let rejected = [
            format!("rejected {bob} n4 body_too_large"),
            format!("rejected {bob} n2 stale_number"),
            format!("rejected {bob} n6 quota_exceeded"),
        ];
        assert_eq!(world.told(ann), rejected);
        world.store();
        assert_eq!(world.told(ann), [format!("sent {bob} n3 #1"), format!("sent {bob} n5 #2")]);
    }
}

#[test]
fn a_full_inbox_refuses_before_the_tick_and_opens_when_its_owner_returns() {
    let mut world = World::with(|config| config.quota_messages = 2);
    let ann = world.log_in(1, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b"), send(2, 3, "c")]);
    world.expect(ann, &["rejected 2 n3 quota_exceeded", "sent 2 n1 #1", "sent 2 n2 #2"]);
    // What was taken is answered as before, and a rejection leaves no trace.
    world.send(ann, 2, 2, "b");
    world.expect(ann, &["sent 2 n2 #2"]);
    let bob = world.log_in(2, 1);
    world.expect(bob, &["deliver @1 1#1 a", "deliver @2 1#2 b"]);
    world.ack(bob, 1);
    world.told(ann);
    world.frames(ann, &[send(2, 3, "c"), send(2, 4, "d")]);
    world.expect(ann, &["rejected 2 n4 quota_exceeded", "sent 2 n3 #3"]);
    world.expect(bob, &["deliver @3 1#3 c"]);
}

#[test]
fn an_inbox_is_full_by_bytes_too() {
    let mut world = World::with(|config| config.quota_bytes = 100);
    let ann = world.log_in(1, 1);
    let text = "x".repeat(60);
    world.send(ann, 2, 1, &text);
    world.send(ann, 2, 2, &text);
    world.send(ann, 2, 3, &text[..40]);
    world.send(ann, 2, 4, "x");
    world.send(ann, 2, 5, "");
    world.expect(
        ann,
        &[
            "sent 2 n1 #1",
            "rejected 2 n2 quota_exceeded",
            "sent 2 n3 #2",
            "rejected 2 n4 quota_exceeded",
            "sent 2 n5 #3",
        ],
    );
    world.crash();
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 6, "x");
    world.expect(ann, &["rejected 2 n6 quota_exceeded"]);
}

#[test]
fn a_message_to_oneself_is_delivered_to_every_device() {
    let mut world = World::new();
    let ann_1 = world.log_in(1, 1);
    let ann_2 = world.log_in(1, 2);
    world.send(ann_1, 1, 1, "note");
    world.expect(ann_1, &["sent 1 n1 #1", "deliver @1 1#1 note"]);
    world.expect(ann_2, &["deliver @1 1#1 note"]);
    world.ack(ann_1, 1);
    world.read(ann_2, 1, 1);
    world.expect(
        ann_1,
        &[
            "receipt 1 delivered 1 read 0",
            "own receipt 1 delivered 1 read 1",
            "receipt 1 delivered 1 read 1",
        ],
    );
}

#[test]
fn content_and_time_are_delivered_as_they_were_taken() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let taken_ms = world.now.unix_ms;
    world.frame(
        ann,
        &Frame::Send(Send {
            peer: 2,
            number: 1,
            content: 77,
            total_bytes: None,
            body: b"\xff\x00",
        }),
    );
    world.pass(5_000);
    let bob = world.log_in(2, 1);
    let delivered = &world.clients[bob].delivered[0];
    assert_eq!((delivered.time_ms, &delivered.body[..]), (taken_ms, &b"\xff\x00"[..]));
    assert_eq!(delivered.content, 77);
}

#[test]
fn what_all_clients_together_may_have_unanswered_is_bounded() {
    let mut world = World::new();
    let body = vec![7; world.config.body_bytes_max as usize];
    // Each has two messages, the most that one client may have waiting.
    let clients = (CORE_SENDS_BYTES_MAX / body.len()) as u64;
    let senders: Vec<_> = (1..=clients).map(|user| world.log_in(user, 1)).collect();
    world.holds_stores = true;
    for (&c, peer) in senders.iter().zip(1_000..) {
        world.send_large(c, peer, 1, &body);
        world.send_large(c, peer, 2, &body);
    }
    let waiting = world.shard().sends_bytes;
    assert!(waiting >= CORE_SENDS_BYTES_MAX && waiting < CORE_SENDS_BYTES_MAX + body.len());
    // What a client sent that went away waits for storage all the same.
    world.hang_up(senders[0]);
    assert_eq!(world.shard().sends_bytes, waiting);
    world.holds_stores = false;
    world.store();
    for (&c, peer) in senders.iter().zip(1_000..).skip(1) {
        world.expect(c, &[&format!("sent {peer} n1 #1"), &format!("sent {peer} n2 #2")]);
    }
    assert_eq!(world.shard().sends_bytes, 0);
}

#[test]
fn a_frame_that_is_split_where_the_core_is_full_is_not_lost() {
    let mut world = World::new();
    let body = vec![7; world.config.body_bytes_max as usize];
    let clients = (CORE_SENDS_BYTES_MAX / body.len()) as u64 / 2 + 1;
    let senders: Vec<_> = (1..=clients).map(|user| world.log_in(user, 1)).collect();
    let ann = world.log_in(500, 1);
    world.holds_stores = true;
    let mut frames = Vec::new();
    send(501, 1, "split").encode(&mut frames);
    send(501, 2, "whole").encode(&mut frames);
    world.bytes(ann, &frames[..4]);
    for (&c, peer) in senders.iter().zip(1_000..) {
        world.send_large(c, peer, 1, &body);
        world.send_large(c, peer, 2, &body);
    }
    world.bytes(ann, &frames[4..]);
    world.expect(ann, &[]);
    assert!(world.clients[ann].is_paused);
    world.holds_stores = false;
    world.store();
    world.expect(ann, &["sent 501 n1 #1", "sent 501 n2 #2"]);
}

#[test]
fn more_than_may_wait_for_one_load_ends_the_connection_and_spends_no_number() {
    let mut world = World::with(|config| {
        config.sends_max = 128;
        config.devices_max = 16;
    });
    let anns: Vec<_> = (1..=9).map(|device| world.log_in(1, device)).collect();
    world.holds_loads = true;
    for &ann in &anns {
        let sends: Vec<_> = (1..=128).map(|number| send(2, number, "a")).collect();
        world.frames(ann, &sends);
    }
    for &ann in &anns[..8] {
        world.expect(ann, &[]);
    }
    // The ninth device comes too late: it sends again on its next connection.
    world.expect(anns[8], &["goodbye overloaded"]);
    world.load();
    world.holds_loads = false;
    world.settle();
    let again = world.log_in(1, 9);
    let sends: Vec<_> = (1..=128).map(|number| send(2, number, "a")).collect();
    world.frames(again, &sends);
    let sent = world.told(again).iter().filter(|words| words.starts_with("sent 2")).count();
    assert_eq!(sent, 128);
}
