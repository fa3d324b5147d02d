//! Receipts: how far a reader is, told to the author and to the reader's other devices.

use fulmar_protocol::Frame;

use super::world::{Happening, World, send, user_on};
use crate::limits::{RECEIPT_GATHER_MS, STALLED_RECEIPTS_MAX, TICK_GATHER_MS};

#[test]
fn an_acknowledgement_is_a_delivered_receipt_and_a_read_is_a_read_receipt() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let ann_1 = world.log_in(ann, 1);
        let bob_1 = world.log_in(bob, 1);
        world.frames(ann_1, &[send(bob, 1, "a"), send(bob, 2, "b")]);
        world.told(ann_1);
        world.ack(bob_1, 1);
        world.expect(ann_1, &[&format!("receipt {bob} delivered 1 read 0")]);
        world.ack(bob_1, 2);
        world.read(bob_1, ann, 1);
        let expected = [
            format!("receipt {bob} delivered 2 read 0"),
            format!("receipt {bob} delivered 2 read 1"),
        ];
        assert_eq!(world.told(ann_1), expected);
    }
}

#[test]
fn receipts_only_rise_and_end_at_what_exists() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b"), send(2, 3, "c")]);
    world.told(ann);
    // What was read was delivered.
    world.read(bob, 1, 2);
    world.expect(ann, &["receipt 2 delivered 2 read 2"]);
    world.read(bob, 1, 1);
    world.ack(bob, 1);
    world.ack(bob, 2);
    world.read(bob, 1, 2);
    world.expect(ann, &[]);
    world.read(bob, 1, u64::MAX);
    world.expect(ann, &["receipt 2 delivered 3 read 3"]);
    world.read(bob, 7, 5);
    world.read(bob, 0, 5);
    assert!(!world.is_closed(bob));
}

#[test]
fn one_acknowledgement_tells_every_author() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let cid = world.log_in(3, 1);
    let bob = world.log_in(2, 1);
    world.send(ann, 2, 1, "a");
    world.send(cid, 2, 1, "x");
    world.send(ann, 2, 2, "b");
    world.told(ann);
    world.told(cid);
    world.ack(bob, 3);
    world.expect(ann, &["receipt 2 delivered 2 read 0"]);
    world.expect(cid, &["receipt 2 delivered 1 read 0"]);
}

#[test]
fn the_receipts_of_a_turn_are_told_as_one() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b")]);
    world.told(ann);
    let ack = |position| fulmar_protocol::Frame::Ack { position };
    let read = fulmar_protocol::Frame::Read { peer: 1, ordinal: 1 };
    world.frames(bob, &[ack(1), read, ack(2)]);
    world.expect(ann, &["receipt 2 delivered 2 read 1"]);
}

#[test]
fn the_first_device_that_has_a_message_delivers_it() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob_1 = world.log_in(2, 1);
    let bob_2 = world.log_in(2, 2);
    world.send(ann, 2, 1, "a");
    world.told(ann);
    world.ack(bob_2, 1);
    world.expect(ann, &["receipt 2 delivered 1 read 0"]);
    world.ack(bob_1, 1);
    world.expect(ann, &[]);
}

#[test]
fn what_one_device_read_is_told_to_the_others() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob_1 = world.log_in(2, 1);
    let bob_2 = world.log_in(2, 2);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b")]);
    world.told(bob_1);
    world.told(bob_2);
    world.read(bob_1, 1, 2);
    world.read(bob_1, 1, 1);
    world.expect(bob_1, &[]);
    world.expect(bob_2, &["own receipt 1 delivered 2 read 2"]);
}

#[test]
fn a_device_that_asks_is_told_both_sides() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let ann_1 = world.log_in(ann, 1);
        let bob_1 = world.log_in(bob, 1);
        world.frames(ann_1, &[send(bob, 1, "a"), send(bob, 2, "b")]);
        world.send(bob_1, ann, 1, "x");
        world.read(ann_1, bob, 1);
        world.hang_up(ann_1);
        world.ack(bob_1, 2);
        world.read(bob_1, ann, 1);
        for is_restarted in [false, true] {
            if is_restarted {
                world.pass(1_000);
                world.crash();
            }
            let again = world.log_in(ann, 1);
            world.told(again);
            world.ask(again, bob);
            let expected = [
                format!("own receipt {bob} delivered 1 read 1"),
                format!("receipt {bob} delivered 2 read 1"),
            ];
            assert_eq!(world.told(again), expected);
        }
    }
}

#[test]
fn a_question_is_answered_though_there_is_nothing_to_tell() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.ask(ann, 2);
    world.expect(ann, &["own receipt 2 delivered 0 read 0", "receipt 2 delivered 0 read 0"]);
    world.ask(ann, 0);
    world.expect(ann, &["receipt 0 delivered 0 read 0"]);
}

#[test]
fn receipts_wait_while_storage_is_behind_and_are_told_afterwards() {
    // After so long the read receipts wait, and then the delivered ones.
    for (behind_ms, delivered) in [(200, "receipt 2 delivered 1 read 0"), (450, "")] {
        let mut world = World::new();
        let ann = world.log_in(1, 1);
        let bob = world.log_in(2, 1);
        let cid = world.log_in(3, 1);
        world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b")]);
        world.told(ann);
        world.holds_stores = true;
        world.send(cid, 4, 1, "x");
        world.pass(behind_ms);
        world.ack(bob, 1);
        let told = world.told(ann);
        assert_eq!(told.join(","), delivered);
        world.read(bob, 1, 1);
        world.expect(ann, &[]);
        assert!(world.shard().counters().receipts_held > 0);
        world.store();
        world.pass(50);
        world.expect(ann, &["receipt 2 delivered 1 read 1"]);
    }
}

#[test]
fn on_a_busy_core_a_receipt_waits_for_company() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b")]);
    world.told(ann);
    world.happen(0, Happening::Load(50));
    world.ack(bob, 1);
    world.expect(ann, &[]);
    assert_eq!(world.shard().counters().gathered, 1);
    // It goes with the next frame, and keeps its place before it.
    world.send(bob, 1, 1, "c");
    world.expect(ann, &["receipt 2 delivered 1 read 0", "deliver @1 2#1 c"]);
}

#[test]
fn on_a_busy_core_a_tick_waits_for_company_too_but_not_for_long() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.log_in(2, 1);
    world.happen(0, Happening::Load(50));
    world.send(ann, 2, 1, "a");
    world.pass(TICK_GATHER_MS - 1);
    world.expect(ann, &[]);
    world.pass(1);
    world.expect(ann, &["sent 2 n1 #1"]);
}

#[test]
fn a_receipt_without_company_is_told_after_a_moment() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.send(ann, 2, 1, "a");
    world.told(ann);
    world.happen(0, Happening::Load(90));
    world.ack(bob, 1);
    world.read(bob, 1, 1);
    world.pass(RECEIPT_GATHER_MS - 1);
    world.expect(ann, &[]);
    assert_eq!(world.shard().next_turn_ms(), world.now.mono_ms + 1);
    world.pass(1);
    world.expect(ann, &["receipt 2 delivered 1 read 0", "receipt 2 delivered 1 read 1"]);
}

#[test]
fn receipts_gather_until_the_load_falls_to_half() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    for (number, (busy_percent, waits)) in
        (1..).zip([(49, false), (50, true), (25, true), (24, false), (49, false)])
    {
        world.send(ann, 2, number, "a");
        world.told(ann);
        world.happen(0, Happening::Load(busy_percent));
        world.ack(bob, number);
        assert_eq!(world.told(ann).is_empty(), waits, "{busy_percent} %");
        world.pass(250);
        world.told(ann);
    }
}

#[test]
fn a_read_that_is_news_of_the_delivery_too_does_not_wait_with_the_reads() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    let cid = world.log_in(3, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b")]);
    world.told(ann);
    world.holds_stores = true;
    world.send(cid, 4, 1, "x");
    world.pass(200);
    world.read(bob, 1, 2);
    world.expect(ann, &["receipt 2 delivered 2 read 2"]);
}

/// A world in which user 1, who is stalled with its output full, has `peers` peers with a message of
/// its own each.
fn stalled_author(peers: u64) -> (World, usize, Vec<usize>) {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let readers: Vec<_> = (2..2 + peers).map(|user| world.log_in(user, 1)).collect();
    for user in 2..2 + peers {
        world.send(ann, user, 1, "hello");
    }
    world.told(ann);
    world.stall(ann);
    for number in 1..=30 {
        world.send(readers[0], 1, number, &"x".repeat(4_000));
    }
    (world, ann, readers)
}

#[test]
fn an_author_whose_output_is_full_is_told_once_it_has_room() {
    let (mut world, ann, readers) = stalled_author(2);
    world.ack(readers[0], 1);
    world.ack(readers[1], 1);
    world.read(readers[1], 1, 1);
    world.unstall(ann);
    let told = world.told(ann);
    let receipts: Vec<_> = told.iter().filter(|words| words.starts_with("receipt")).collect();
    assert_eq!(receipts, ["receipt 2 delivered 1 read 0", "receipt 3 delivered 1 read 1"]);
}

#[test]
fn an_author_who_takes_nothing_while_many_receipts_come_is_disconnected() {
    let (mut world, ann, readers) = stalled_author(STALLED_RECEIPTS_MAX as u64 + 1);
    for &reader in &readers {
        world.ack(reader, 1);
    }
    world.unstall(ann);
    let last = world.told(ann).pop();
    assert_eq!(last.as_deref(), Some("goodbye overloaded"));
    let ann = world.log_in(1, 1);
    world.told(ann);
    world.ask(ann, 2);
    world.expect(ann, &["own receipt 2 delivered 0 read 0", "receipt 2 delivered 1 read 0"]);
}

/// What a crash after `commits` commits leaves of acknowledgements and reads.
fn crash_after(commits: usize, cores: u16, is_cold: bool) -> bool {
    let mut world = World::of_cores(cores, |_| {});
    let (ann, bob) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
    let ann_1 = world.log_in(ann, 1);
    let bob_1 = world.log_in(bob, 1);
    let sends: Vec<_> = (1..=5).map(|number| send(bob, number, "hello")).collect();
    world.frames(ann_1, &sends);
    let bob_1 = if is_cold {
        world.pass(1_000);
        world.crash();
        world.log_in(bob, 1)
    } else {
        bob_1
    };
    world.holds_stores = true;
    world.holds_loads = true;
    for position in 1..=5 {
        world.ack(bob_1, position);
        world.read(bob_1, ann, position - 1);
        world.pass(300);
    }
    world.load();
    world.pass(1_000);
    let home = usize::from(cores) - 1;
    let is_all = (0..commits).any(|_| !world.store_one(home));
    world.crash();
    world.holds_stores = false;
    world.holds_loads = false;
    let bob_1 = world.log_in(bob, 1);
    let cursor =
        world.clients[bob_1].position.unwrap_or(5) - world.clients[bob_1].delivered.len() as u64;
    let ann_1 = world.log_in(ann, 1);
    world.told(ann_1);
    world.ask(ann_1, bob);
    let told = world.told(ann_1).pop().unwrap_or_default();
    let known = told.split(' ').nth(3).and_then(|words| words.parse::<u64>().ok());
    assert!(known.is_some_and(|known| known >= cursor), "cursor {cursor}, told {told}");
    assert!(!is_all || cursor == 5, "stored {cursor} of 5");
    is_all
}

#[test]
fn a_cursor_is_never_stored_before_the_receipt_that_follows_from_it() {
    for cores in [1, 2] {
        for is_cold in [false, true] {
            let commits = (0..100).find(|&commits| crash_after(commits, cores, is_cold));
            assert!(commits.is_some_and(|commits| commits > 0), "there is something to store");
        }
    }
}

/// Nor one that is noted, while a receipt about somebody else holds back the cursor.
#[test]
fn a_read_is_stored_though_another_receipt_waits() {
    let mut world = World::new();
    let (ann, bob, carl) = (world.log_in(1, 1), world.log_in(2, 1), world.log_in(3, 1));
    world.send(ann, 2, 1, "hello");
    world.send(carl, 2, 1, "hello");
    world.ack(bob, 1);
    world.pass(1_000);
    world.crash();
    let bob = world.log_in(2, 1);
    // Of the one with 1 more is known than of the one with 3, which can't be read.
    world.ask(bob, 1);
    world.frame(bob, &Frame::Ping);
    world.told(bob);
    world.holds_loads = true;
    world.ack(bob, 2);
    world.read(bob, 1, 1);
    for pong in 0..2 {
        world.frame(bob, &Frame::Ping);
        world.pass(1_000);
        assert_eq!(world.told(bob).last().map(String::as_str), Some("pong 2"), "{pong}");
    }
    world.crash();
    world.holds_loads = false;
    let ann = world.log_in(1, 1);
    world.told(ann);
    world.ask(ann, 2);
    assert_eq!(world.told(ann).last().expect("a receipt"), "receipt 2 delivered 1 read 1");
    // The cursor wasn't stored.
    let bob = world.log_in(2, 1);
    assert!(world.told(bob).iter().any(|told| told.contains("hello")));
}

/// Two pongs confirm a READ, so none may pass one whose conversation isn't read yet.
#[test]
fn no_pong_overtakes_a_read() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(ann, 2, 1, "hello");
    world.ack(bob, 1);
    world.pass(1_000);
    world.crash();
    let bob = world.log_in(2, 1);
    world.frame(bob, &Frame::Ping);
    world.told(bob);
    world.holds_loads = true;
    world.read(bob, 1, 1);
    world.frame(bob, &Frame::Ping);
    world.pass(1_000);
    world.expect(bob, &[]);
    world.load();
    assert_eq!(world.told(bob), ["pong 1"]);
    // Nor does the next one come before it is stored.
    world.holds_stores = true;
    world.frame(bob, &Frame::Ping);
    world.pass(1_000);
    world.expect(bob, &[]);
    world.store();
    assert_eq!(world.told(bob), ["pong 1"]);
    world.crash();
    (world.holds_loads, world.holds_stores) = (false, false);
    let ann = world.log_in(1, 1);
    world.told(ann);
    world.ask(ann, 2);
    assert_eq!(world.told(ann).last().expect("a receipt"), "receipt 2 delivered 1 read 1");
}
