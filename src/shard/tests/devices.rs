//! A user with several devices: copies of own messages, cursors of their own, one session each.

use fulmar_protocol::Frame;

use super::world::{World, send, user_on};

#[test]
fn the_other_devices_get_a_copy_and_the_sending_one_is_told_to_skip_it() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let ann_1 = world.log_in(ann, 1);
        let ann_2 = world.log_in(ann, 2);
        let bob_1 = world.log_in(bob, 1);
        world.send(ann_1, bob, 1, "hello");
        world.expect(ann_1, &[&format!("sent {bob} n1 #1"), "skip @1"]);
        world.expect(ann_2, &[&format!("own @1 {bob}#1 hello")]);
        world.expect(bob_1, &[&format!("deliver @1 {ann}#1 hello")]);
        world.send(bob_1, ann, 1, "back");
        world.expect(ann_1, &[&format!("deliver @2 {bob}#1 back")]);
        world.expect(ann_2, &[&format!("deliver @2 {bob}#1 back")]);
    }
}

#[test]
fn a_device_that_was_away_gets_the_copies_and_skips_its_own() {
    let mut world = World::new();
    let ann_1 = world.log_in(1, 1);
    let ann_2 = world.log_in(1, 2);
    world.send(ann_1, 2, 1, "a");
    world.hang_up(ann_1);
    world.hang_up(ann_2);
    let ann_2 = world.log_in_from(1, 2, 0);
    world.expect(ann_2, &["welcome 1", "own @1 2#1 a"]);
    world.send(ann_2, 2, 1, "b");
    world.expect(ann_2, &["sent 2 n1 #2", "skip @2"]);
    let ann_1 = world.log_in_from(1, 1, 0);
    world.expect(ann_1, &["welcome 2", "skip @1", "own @2 2#2 b"]);
}

#[test]
fn the_tick_waits_for_the_copy() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let ann_1 = world.log_in(ann, 1);
        world.log_in(ann, 2);
        world.holds_stores = true;
        world.send(ann_1, bob, 1, "hello");
        assert!(world.store_one(usize::from(cores) - 1));
        world.settle();
        world.expect(ann_1, &[]);
        world.store();
        world.expect(ann_1, &[&format!("sent {bob} n1 #1"), "skip @1"]);
    }
}

#[test]
fn a_copy_that_a_crash_prevented_is_made_when_the_message_is_sent_again() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let ann_1 = world.log_in(ann, 1);
        world.log_in(ann, 2);
        world.holds_stores = true;
        world.send(ann_1, bob, 1, "hello");
        assert!(world.store_one(usize::from(cores) - 1));
        world.settle();
        world.crash();
        world.holds_stores = false;
        assert_eq!((world.disk.entries(ann).count(), world.disk.entries(bob).count()), (0, 1));
        let ann_1 = world.log_in(ann, 1);
        world.send(ann_1, bob, 1, "hello");
        world.expect(ann_1, &[&format!("sent {bob} n1 #1"), "skip @1"]);
        let ann_2 = world.log_in(ann, 2);
        world.expect(ann_2, &[&format!("own @1 {bob}#1 hello")]);
        assert_eq!(world.disk.entries(bob).count(), 1);
    }
}

#[test]
fn a_message_that_is_sent_again_is_copied_once() {
    let mut world = World::new();
    let ann_1 = world.log_in(1, 1);
    let ann_2 = world.log_in(1, 2);
    world.frames(ann_1, &[send(2, 1, "a"), send(2, 2, "b")]);
    world.expect(ann_1, &["sent 2 n1 #1", "sent 2 n2 #2", "skip @2"]);
    world.frames(ann_1, &[send(2, 1, "a"), send(2, 2, "b")]);
    world.expect(ann_1, &["sent 2 n1 #1", "sent 2 n2 #2"]);
    world.expect(ann_2, &["own @1 2#1 a", "own @2 2#2 b"]);
}

#[test]
fn the_slowest_device_holds_back_the_trimming() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob_1 = world.log_in(2, 1);
    let bob_2 = world.log_in(2, 2);
    for number in 1..=3 {
        world.send(ann, 2, number, "hello");
    }
    world.ack(bob_1, 3);
    world.pass(1_000);
    assert_eq!(world.disk.entries(2).count(), 3);
    world.ack(bob_2, 1);
    world.pass(1_000);
    assert_eq!(world.disk.entries(2).count(), 2);
    world.ack(bob_2, 3);
    world.pass(1_000);
    assert_eq!(world.disk.entries(2).count(), 0);
}

#[test]
fn a_new_device_begins_with_the_oldest_message_that_some_device_lacks() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    for number in 1..=3 {
        world.send(ann, 2, number, "hello");
    }
    world.ack(bob, 2);
    let new = world.log_in_from(2, 2, 0);
    world.expect(new, &["welcome 3", "skip @2", "deliver @3 1#3 hello"]);
    world.ack(bob, 3);
    world.pass(1_000);
    assert_eq!(world.disk.entries(2).count(), 1);
    // Now it is the second device that lacks the oldest.
    let third = world.log_in_from(2, 3, 0);
    world.expect(third, &["welcome 3", "skip @2", "deliver @3 1#3 hello"]);
}

#[test]
fn a_replaced_session_changes_nothing_any_more() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let old = world.log_in(2, 1);
    world.send(ann, 2, 1, "a");
    world.send(ann, 2, 2, "b");
    // It isn't closed yet, since it doesn't take its goodbye.
    world.stall(old);
    world.send(ann, 2, 3, "c");
    let new = world.log_in_from(2, 1, 0);
    assert!(!world.is_closed(old));
    world.told(ann);
    world.frames(old, &[Frame::Ack { position: 2 }, send(1, 1, "x"), Frame::Ping]);
    world.read(old, 1, 2);
    world.expect(ann, &[]);
    let deliveries = ["deliver @1 1#1 a", "deliver @2 1#2 b", "deliver @3 1#3 c"];
    world.expect(new, &[&["welcome 3"], &deliveries[..]].concat());
    world.send(ann, 2, 4, "d");
    world.expect(new, &["deliver @4 1#4 d"]);
    world.unstall(old);
    world.expect(old, &[&deliveries[..], &["goodbye replaced"]].concat());
    assert!(world.is_closed(old));
}
