//! Somebody writes: who is told, how often, and when it is dropped.

use fulmar_protocol::Frame;

use super::groups::three;
use super::world::{C, World, user_on};
use crate::limits::TYPING_PER_SECOND_MAX;
use crate::shard::UserId;

const HERE: Frame<'_> = Frame::Activity { is_here: true };

fn typing(world: &mut World, c: C, peer: UserId, is_typing: bool) {
    world.frame(c, &Frame::Typing { group: 0, user: peer, is_typing });
}

#[test]
fn those_of_a_peers_sessions_that_are_here_are_told_who_writes() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let ann_1 = world.log_in(ann, 1);
        let phones: Vec<C> = (1..=4).map(|device| world.log_in(bob, device)).collect();
        world.frame(phones[3], &HERE);
        world.pass(30_000);
        world.frame(phones[0], &HERE);
        world.frame(phones[1], &HERE);
        world.frame(phones[1], &Frame::Activity { is_here: false });
        typing(&mut world, ann_1, bob, true);
        typing(&mut world, ann_1, bob, false);
        world.expect(phones[0], &[&format!("typing {ann}"), &format!("typing {ann} stopped")]);
        // Away, never here, and silent for too long.
        for &c in &phones[1..] {
            world.expect(c, &[]);
        }
        world.expect(ann_1, &[]);
    }
}

#[test]
fn nothing_is_stored_and_nothing_waits_for_a_peer_who_is_offline() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let commits = world.disk.commits;
    typing(&mut world, ann, 2, true);
    typing(&mut world, ann, 0, true);
    typing(&mut world, ann, 1, true);
    world.expect(ann, &[]);
    assert_eq!(world.disk.commits, commits);
    let bob = world.log_in(2, 1);
    world.frame(bob, &HERE);
    world.expect(bob, &[]);
}

#[test]
fn few_are_passed_on_in_a_second_and_the_end_has_a_place() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let cid = world.log_in(3, 1);
    let bob = world.log_in(2, 1);
    world.frame(bob, &HERE);
    for _ in 0..100 {
        typing(&mut world, ann, 2, true);
    }
    assert_eq!(world.told(bob).len(), usize::from(TYPING_PER_SECOND_MAX) - 1);
    for _ in 0..100 {
        typing(&mut world, ann, 2, false);
    }
    world.expect(bob, &["typing 1 stopped"]);
    let limited = world.shard().counters().typing_limited;
    assert_eq!(limited, 200 - u64::from(TYPING_PER_SECOND_MAX));
    typing(&mut world, cid, 2, true);
    world.expect(bob, &["typing 3"]);
    world.pass(1_000);
    typing(&mut world, ann, 2, true);
    world.expect(bob, &["typing 1"]);
}

#[test]
fn it_is_the_first_thing_that_is_dropped_under_load() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frame(bob, &HERE);
    world.holds_stores = true;
    world.send(ann, 4, 1, "x");
    world.pass(80);
    typing(&mut world, ann, 2, true);
    world.expect(bob, &[]);
    assert_eq!(world.shard().counters().typing_shed, 1);
    // Presence isn't held yet.
    let watch = Frame::Watch { users: fulmar_protocol::Numbers::Slice(&[2]) };
    world.frame(ann, &watch);
    assert_eq!(world.told(ann).pop().as_deref(), Some("presence 2 online"));
    world.store();
    world.turn_of_each();
    world.expect(bob, &[]);
    typing(&mut world, ann, 2, true);
    world.expect(bob, &["typing 1"]);
}

#[test]
fn in_a_group_it_is_dropped_first_as_well() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        for c in [bob, cat] {
            world.frame(c, &HERE);
        }
        let types = |world: &mut World| {
            world.frame(ann, &Frame::Typing { group, user: 0, is_typing: true });
        };
        world.say(ann, group, 2, "so that the group is awake");
        for c in [ann, bob, cat] {
            world.told(c);
        }
        types(&mut world);
        world.expect(bob, &["typing 1 in a group: true"]);
        world.expect(cat, &["typing 1 in a group: true"]);
        let shed = |world: &World| -> u64 {
            world.cores.iter().map(|core| core.shard.counters().typing_shed).sum()
        };
        // The disk is behind.
        world.holds_stores = true;
        world.say(ann, group, 3, "one");
        world.send(ann, 4, 4, "x");
        world.send(bob, 4, 1, "x");
        world.pass(80);
        types(&mut world);
        world.expect(bob, &[]);
        assert!(shed(&world) > 0);
        world.holds_stores = false;
        world.store();
        world.turn_of_each();
        for c in [ann, bob, cat] {
            world.told(c);
        }
        // One output is full.
        world.pass(1_000);
        world.stall(bob);
        for number in 10..=40 {
            world.send(ann, 2, number, &"x".repeat(4_000));
        }
        types(&mut world);
        let told = "typing 1 in a group: true".to_owned();
        assert!(world.told(cat).contains(&told));
        world.unstall(bob);
        assert!(!world.told(bob).contains(&told));
    }
}

#[test]
fn it_is_dropped_where_an_output_is_full() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frame(bob, &HERE);
    world.stall(bob);
    for number in 1..=30 {
        world.send(ann, 2, number, &"x".repeat(4_000));
    }
    typing(&mut world, ann, 2, true);
    assert_eq!(world.shard().counters().typing_shed, 1);
    world.unstall(bob);
    assert!(!world.told(bob).contains(&"typing 1".to_owned()));
}
