//! Groups: what waits is bounded, and whoever would wait beyond that comes again.

use fulmar_protocol::group::Action;

use super::groups::three;
use super::world::World;
use crate::limits::{
    GROUP_BEHIND_MAX, GROUP_EARLY_MAX, MEMBER_COST_BYTES, NOTICES_MAX, SEATS_BYTES_MAX, WARM_MS,
};
use crate::shard::connection::SENDS_BYTES_MAX;

#[test]
fn no_more_sessions_than_so_many_wait_to_hear_whether_their_users_were_added() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    let dan = world.join(6, 1);
    world.say(ann, group, 2, "so what this user sent lately is here");
    // User 5's inbox isn't read yet, so the addition waits; user 6 was told of it.
    world.holds_loads = true;
    world.change(ann, group, 3, Action::Add, &[5, 6], b"");
    assert_eq!(world.heard(dan), ["notice @1 by 1"]);
    for _ in 0..GROUP_EARLY_MAX {
        world.resume(dan, &[(group, 0)]);
    }
    assert_eq!(world.told(dan), [""; 0]);
    world.resume(dan, &[(group, 0)]);
    world.expect(dan, &["goodbye overloaded"]);
    // The others weren't hurt by that.
    world.holds_loads = false;
    world.load();
    assert!(world.heard(ann).iter().any(|told| told.contains("sent n3 @3")));
}

/// Groups that one device makes, fewer than it may have without an answer.
const EACH: u64 = 64;

#[test]
fn no_more_groups_than_so_many_wait_to_tell_a_user_of_being_added() {
    let mut world = World::new();
    // As many makers as it takes.
    let makers: Vec<_> =
        (0..=NOTICES_MAX as u64 / EACH).map(|nth| world.join(100 + nth, 1)).collect();
    world.holds_loads = true;
    let (last, others) = makers.split_last().expect("makers");
    for &maker in others {
        for number in 1..=EACH {
            world.change(maker, 0, number, Action::Create, &[5], b"birds");
        }
        world.told(maker);
        assert!(!world.is_closed(maker));
    }
    world.change(*last, 0, 1, Action::Create, &[5], b"birds");
    let told = world.told(*last);
    assert_eq!(told.last().map(String::as_str), Some("goodbye overloaded"), "{told:?}");
    world.holds_loads = false;
    world.load();
    let told = world.told(others[0]);
    assert_eq!(told.iter().filter(|told| told.contains(" sent ")).count(), EACH as usize);
}

#[test]
fn no_more_than_so_much_of_a_device_waits_behind_what_waits() {
    let mut world = World::new();
    let (group, [mut ann, bob, _]) = three(&mut world);
    world.say(ann, group, 2, "so what this user sent lately is here");
    world.told(ann);
    world.told(bob);
    // User 5's inbox isn't read yet, so the addition waits, and with it what comes after it.
    world.holds_loads = true;
    world.change(ann, group, 3, Action::Add, &[5], b"");
    let last = 3 + GROUP_BEHIND_MAX as u64;
    for number in 4..=last {
        if number % EACH == 0 {
            world.hang_up(ann);
            ann = world.log_in(1, 1);
        }
        world.say(ann, group, number, "behind");
    }
    world.told(ann);
    assert!(!world.is_closed(ann));
    world.say(ann, group, last + 1, "one too many");
    assert_eq!(world.told(ann).last().map(String::as_str), Some("goodbye overloaded"));
    // All that waited comes in its order.
    world.holds_loads = false;
    world.load();
    let mut heard = Vec::new();
    while heard.len() < GROUP_BEHIND_MAX + 1 {
        let more = world.heard(bob);
        assert!(!more.is_empty(), "{} came", heard.len());
        heard.extend(more);
        world.ack_group(bob, group, 2 + heard.len() as u64);
    }
    assert_eq!(heard[0], "@3 1: add [5]");
    for (position, said) in (4..).zip(&heard[1..]) {
        assert_eq!(*said, format!("@{position} 1: behind"));
    }
}

#[test]
fn entries_are_kept_in_memory_for_those_who_are_there_and_no_more_than_so_much_of_them() {
    let mut world = World::new();
    let (group, [ann, bob, cat]) = three(&mut world);
    world.say(ann, group, 2, "to those who are there");
    let bytes = world.shard().seats_bytes;
    assert!(bytes > 0);
    world.heard(bob);
    // With more than so much the log is read.
    let core = &mut world.cores[0].shard;
    core.seats_bytes += SEATS_BYTES_MAX;
    world.say(ann, group, 3, "from the log");
    assert_eq!(world.heard(bob), ["@3 1: from the log"]);
    assert_eq!(world.shard().seats_bytes, SEATS_BYTES_MAX);
    world.cores[0].shard.seats_bytes = 0;
    for there in [ann, bob, cat] {
        world.hang_up(there);
    }
    let ann = world.log_in(1, 1);
    world.say(ann, group, 4, "to nobody");
    assert_eq!(world.shard().seats_bytes, 0);
    world.pass(2 * WARM_MS);
    let bob = world.log_in(2, 1);
    world.told(bob);
    world.resume(bob, &[(group, 3)]);
    assert_eq!(world.heard(bob), ["@4 1: to nobody"]);
}

#[test]
fn no_more_changes_of_large_groups_wait_to_be_stored_than_their_records_allow() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    world.holds_stores = true;
    let changes = 40;
    for number in 2..2 + changes {
        world.change(ann, group, number, Action::Rename, &[], b"birds");
    }
    let waits = world.shard().sends_bytes;
    assert!(waits <= SENDS_BYTES_MAX + 1_024 * MEMBER_COST_BYTES, "{waits}");
    world.holds_stores = false;
    world.store();
    let told = world.told(ann);
    assert_eq!(told.iter().filter(|told| told.contains(" sent ")).count(), changes as usize);
    assert_eq!(world.shard().sends_bytes, 0);
}
