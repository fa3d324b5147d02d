//! From an inbox to a device: windows, cold reads, redelivery, large bodies, expiry.

use super::world::{C, World, send};
use crate::limits::{OUTPUT_HIGH_BYTES, TAIL_BYTES_MAX};
use crate::shard::{Retention, ShardConfig};

/// Sends `count` messages with numbers from 1 on.
fn send_many(world: &mut World, c: C, count: u64, body: &str) {
    for number in 1..=count {
        world.send(c, 2, number, body);
    }
}

/// The positions that were delivered on this connection.
fn positions(world: &World, c: C) -> Vec<u64> {
    world.clients[c].delivered.iter().map(|delivered| delivered.position).collect()
}

/// Acknowledges everything that comes until nothing more does.
fn ack_all(world: &mut World, c: C) {
    while world.clients[c].unacknowledged() > 0 {
        let last = world.clients[c].delivered.last().map_or(0, |delivered| delivered.position);
        world.ack(c, last);
    }
}

fn expiring(config: &mut ShardConfig) {
    config.expiry_ms = 10_000;
}

#[test]
fn a_device_has_no_more_unacknowledged_messages_than_its_window() {
    let mut world = World::with(|config| config.window_messages = 3);
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    send_many(&mut world, ann, 10, "hello");
    assert_eq!(positions(&world, bob), [1, 2, 3]);
    world.ack(bob, 2);
    assert_eq!(positions(&world, bob), [1, 2, 3, 4, 5]);
    // What was acknowledged before opens nothing.
    world.ack(bob, 1);
    world.ack(bob, 2);
    world.ack(bob, 0);
    assert_eq!(world.clients[bob].unacknowledged(), 3);
    ack_all(&mut world, bob);
    assert_eq!(positions(&world, bob), (1..=10).collect::<Vec<_>>());
}

#[test]
fn the_window_by_bytes_is_exceeded_by_one_message_at_most() {
    let mut world = World::with(|config| config.window_bytes = 100);
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    send_many(&mut world, ann, 10, &"x".repeat(60));
    assert_eq!(positions(&world, bob), [1, 2]);
    world.ack(bob, 1);
    assert_eq!(positions(&world, bob), [1, 2, 3]);
    ack_all(&mut world, bob);
    assert_eq!(positions(&world, bob), (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_message_larger_than_the_window_is_delivered_alone() {
    for is_cold in [false, true] {
        let mut world = World::with(|config| config.window_bytes = 100);
        let ann = world.log_in(1, 1);
        let online = (!is_cold).then(|| world.log_in(2, 1));
        send_many(&mut world, ann, 3, &"x".repeat(500));
        let bob = online.unwrap_or_else(|| world.log_in(2, 1));
        for through in 1..=3 {
            assert_eq!(positions(&world, bob), (1..=through).collect::<Vec<_>>());
            world.ack(bob, through);
        }
    }
}

#[test]
fn a_device_that_was_away_is_given_what_storage_holds_window_by_window() {
    let mut world = World::with(|config| config.window_messages = 3);
    let ann = world.log_in(1, 1);
    send_many(&mut world, ann, 10, "hello");
    let bob = world.log_in(2, 1);
    assert_eq!(positions(&world, bob), [1, 2, 3]);
    world.send(ann, 2, 11, "warm");
    ack_all(&mut world, bob);
    assert_eq!(positions(&world, bob), (1..=11).collect::<Vec<_>>());
    assert!(world.shard().counters().cold_reads >= 3);
}

#[test]
fn a_slow_device_is_given_what_memory_let_go() {
    let mut world = World::with(|config| config.window_messages = 2);
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    let body = "x".repeat(10_000);
    let count = 2 * (TAIL_BYTES_MAX / body.len()) as u64;
    send_many(&mut world, ann, count, &body);
    assert_eq!(world.shard().counters().cold_reads, 0);
    assert!(world.shard().tail_bytes <= TAIL_BYTES_MAX);
    ack_all(&mut world, bob);
    assert_eq!(positions(&world, bob), (1..=count).collect::<Vec<_>>());
    assert!(world.shard().counters().cold_reads > 0);
    assert_eq!(world.shard().tail_bytes, 0);
}

#[test]
fn what_comes_while_a_cold_read_is_under_way_follows_it() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    send_many(&mut world, ann, 2, "cold");
    world.holds_loads = true;
    let bob = world.log_in(2, 1);
    world.send(ann, 2, 3, "warm");
    world.expect(bob, &[]);
    world.load();
    world.expect(bob, &["deliver @1 1#1 cold", "deliver @2 1#2 cold", "deliver @3 1#3 warm"]);
}

#[test]
fn a_cold_read_for_a_connection_that_is_gone_is_passed_by() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    send_many(&mut world, ann, 2, "cold");
    world.holds_loads = true;
    let gone = world.log_in(2, 1);
    world.hang_up(gone);
    let bob = world.log_in(2, 1);
    world.load();
    world.expect(gone, &[]);
    world.expect(bob, &["deliver @1 1#1 cold", "deliver @2 1#2 cold"]);
}

#[test]
fn a_device_that_returns_is_given_again_what_the_server_has_no_acknowledgement_for() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    send_many(&mut world, ann, 3, "hello");
    world.ack(bob, 1);
    world.hang_up(bob);
    // It says that it has everything, or even more.
    for cursor in [3, 1_000] {
        let bob = world.log_in_from(2, 1, cursor);
        world.expect(bob, &["welcome 3", "deliver @2 1#2 hello", "deliver @3 1#3 hello"]);
        world.hang_up(bob);
    }
}

#[test]
fn a_hello_that_is_behind_is_answered_with_a_skip() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    send_many(&mut world, ann, 3, "hello");
    world.ack(bob, 2);
    world.hang_up(bob);
    let bob = world.log_in_from(2, 1, 0);
    world.expect(bob, &["welcome 3", "skip @2", "deliver @3 1#3 hello"]);
    world.ack(bob, 3);
    world.hang_up(bob);
    let bob = world.log_in_from(2, 1, 2);
    world.expect(bob, &["welcome 3", "skip @3"]);
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_ends_the_connection() {
    let mut world = World::with(|config| config.window_messages = 2);
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.ack(bob, 1);
    world.expect(bob, &["goodbye cursor_ahead"]);
    let bob = world.log_in(2, 1);
    send_many(&mut world, ann, 3, "hello");
    world.told(bob);
    // The third is in the log, but not in the window.
    world.ack(bob, 3);
    world.expect(bob, &["goodbye cursor_ahead"]);
    let bob = world.log_in_from(2, 1, 0);
    world.expect(bob, &["welcome 3", "deliver @1 1#1 hello", "deliver @2 1#2 hello"]);
}

#[test]
fn a_large_body_is_delivered_whole_warm_and_cold() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    let body: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    world.send_large(ann, 2, 1, &body);
    world.send(ann, 2, 2, "small");
    // The window is full by bytes until the large one is acknowledged.
    world.expect(bob, &["deliver @1 1#1 200000 bytes"]);
    assert_eq!(world.clients[bob].delivered[0].body, body);
    world.hang_up(bob);
    let bob = world.log_in(2, 1);
    world.expect(bob, &["deliver @1 1#1 200000 bytes"]);
    assert_eq!(world.clients[bob].delivered[0].body, body);
    world.ack(bob, 1);
    world.expect(bob, &["deliver @2 1#2 small"]);
}

#[test]
fn small_frames_find_a_place_between_the_parts_of_a_large_body() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.stall(bob);
    world.send_large(ann, 2, 1, &vec![7; 200_000]);
    world.send(bob, 1, 1, "meanwhile");
    world.unstall(bob);
    world.expect(bob, &["sent 1 n1 #1", "deliver @1 1#1 200000 bytes"]);
}

#[test]
fn a_reader_that_stalls_fills_its_output_only_and_then_gets_everything() {
    let mut world = World::with(|config| {
        config.window_messages = 10_000;
        config.window_bytes = 100_000_000;
    });
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.stall(bob);
    send_many(&mut world, ann, 300, &"x".repeat(1_000));
    assert_eq!(world.told(ann).len(), 300);
    let conn = world.clients[bob].conn;
    let waiting = world.shard().connection(conn).map_or(0, |connection| connection.output.len());
    assert!((OUTPUT_HIGH_BYTES..OUTPUT_HIGH_BYTES + 2_000).contains(&waiting), "{waiting}");
    world.unstall(bob);
    assert_eq!(positions(&world, bob), (1..=300).collect::<Vec<_>>());
}

#[test]
fn a_client_that_takes_no_answers_is_not_read_from() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.stall(ann);
    for number in 1..=10_000 {
        world.frames(ann, &[send(2, number, "hello")]);
    }
    assert!(world.clients[ann].is_paused);
    let conn = world.clients[ann].conn;
    let waiting = world.shard().connection(conn).map_or(0, |connection| connection.output.len());
    assert!(waiting < OUTPUT_HIGH_BYTES + 2_000, "{waiting}");
    world.unstall(ann);
    assert_eq!(world.told(ann).len(), 10_000);
}

#[test]
fn what_has_expired_is_skipped() {
    for is_restarted in [false, true] {
        let mut world = World::with(expiring);
        let ann = world.log_in(1, 1);
        world.send(ann, 2, 1, "a");
        world.send(ann, 2, 2, "b");
        world.pass(6_000);
        world.send(ann, 2, 3, "c");
        world.pass(5_000);
        if is_restarted {
            world.crash();
        }
        let bob = world.log_in_from(2, 1, 0);
        world.expect(bob, &["welcome 3", "skip @2", "deliver @3 1#3 c"]);
        world.ack(bob, 3);
        world.pass(1_000);
        // What has expired is the storage's to remove.
        world.disk.remove_expired(world.now.unix_ms - 10_000);
        assert_eq!(world.disk.entries(2).count(), 0);
    }
}

#[test]
fn a_device_is_told_that_everything_it_lacks_has_expired() {
    let mut world = World::with(expiring);
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 1, "a");
    world.send(ann, 2, 2, "b");
    world.pass(11_000);
    let bob = world.log_in_from(2, 1, 0);
    world.expect(bob, &["welcome 2", "skip @2"]);
    world.send(ann, 2, 3, "c");
    world.expect(bob, &["deliver @3 1#3 c"]);
}

#[test]
fn positions_are_not_used_again_though_everything_expired_while_nobody_looked() {
    for (is_stored, is_looked_at) in [(true, false), (false, true), (false, false)] {
        let mut world = World::with(expiring);
        let ann = world.log_in(1, 1);
        world.send(ann, 2, 1, "a");
        world.send(ann, 2, 2, "b");
        if is_stored {
            world.pass(1_000);
        }
        // Otherwise there is no inbox record that knows the head.
        world.crash();
        if is_looked_at {
            let ann = world.log_in(1, 1);
            world.send(ann, 2, 2, "b");
        }
        world.pass(11_000);
        world.crash();
        world.disk.remove_expired(world.now.unix_ms - 10_000);
        assert_eq!(world.disk.entries(2).count(), 0);
        let ann = world.log_in(1, 1);
        world.send(ann, 2, 3, "c");
        world.expect(ann, &["sent 2 n3 #3"]);
        let bob = world.log_in_from(2, 1, 0);
        world.expect(bob, &["welcome 3", "skip @2", "deliver @3 1#3 c"]);
    }
}

#[test]
fn history_keeps_what_was_acknowledged_and_what_is_old() {
    let mut world = World::with(|config| {
        config.retention = Retention::History;
        config.expiry_ms = 10_000;
    });
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 1, "a");
    world.pass(20_000);
    let bob = world.log_in(2, 1);
    world.send(ann, 2, 2, "b");
    world.expect(bob, &["deliver @1 1#1 a", "deliver @2 1#2 b"]);
    world.ack(bob, 2);
    world.pass(20_000);
    assert_eq!(world.disk.entries(2).count(), 2);
    world.crash();
    let bob = world.log_in_from(2, 1, 2);
    world.expect(bob, &["welcome 2"]);
}
