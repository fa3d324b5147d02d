//! Groups: how far the members are, as their authors are told it.

use fulmar_protocol::Frame;
use fulmar_protocol::group::Action;

use super::groups::three;
use super::world::{C, World};
use crate::limits::GROUP_RECEIPT_GATHER_MS;
use crate::shard::UserId;

#[test]
fn authors_are_shown_counts_and_however_many_move_at_once_they_hear_it_once() {
    const MEMBERS: u64 = 300;
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |config| config.group_members_max = 1_024);
        let ann = world.join(1, 1);
        let members: Vec<C> = (2..=MEMBERS).map(|user| world.join(user, 1)).collect();
        let first: Vec<u64> = (2..=250).collect();
        let group = world.group(ann, 1, &first);
        let rest: Vec<u64> = (251..=MEMBERS).collect();
        world.change(ann, group, 2, Action::Add, &rest, b"");
        world.say(ann, group, 3, "all of you");
        world.told(ann);
        world.pass(GROUP_RECEIPT_GATHER_MS);
        // All acknowledge and read in one turn.
        for &c in &members {
            let frames =
                [Frame::GroupAck { group, position: 3 }, Frame::GroupRead { group, position: 3 }];
            for frame in frames {
                frame.encode(&mut world.clients[c].outgoing);
            }
        }
        world.settle();
        world.pass(GROUP_RECEIPT_GATHER_MS);
        let told = world.told(ann);
        let receipts = told.iter().filter(|told| told.starts_with("receipt")).count();
        assert!((1..=2 * usize::from(cores)).contains(&receipts), "{told:?}");
        let others = MEMBERS - 1;
        let last = format!("receipt @3 of {others}: {others} {others}, all (3, 3) []");
        assert_eq!(told.last(), Some(&last));
    }
}

#[test]
fn receipts_tell_who_and_reads_are_confirmed_once_they_are_stored() {
    let mut world = World::new();
    let (group, [ann, bob, cat]) = three(&mut world);
    world.say(ann, group, 2, "hello");
    world.ack_group(bob, group, 2);
    assert_eq!(world.receipt(ann), "receipt @2 of 2: 1 0, all (1, 0) []");
    world.ack_group(cat, group, 2);
    world.told(bob);
    world.frame(bob, &Frame::GroupRead { group, position: 2 });
    assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 1, all (2, 0) []");
    assert_eq!(world.heard(bob), [] as [String; 0], "it isn't stored yet");
    world.pass(3_000);
    assert_eq!(world.heard(bob), [format!("group {group} read @2")]);
    world.frame(ann, &Frame::GroupAsk { group, position: 2, after: 0 });
    assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 1, all (2, 0) [(2, 2), (3, 1)]");
    world.crash();
    let ann = world.join(1, 1);
    world.told(ann);
    world.frame(ann, &Frame::GroupAsk { group, position: 2, after: 2 });
    assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 1, all (2, 0) [(3, 1)]");
    // From here on it is told again what changes.
    let cat = world.log_in(3, 1);
    world.resume(cat, &[(group, 2)]);
    world.frame(cat, &Frame::GroupRead { group, position: 2 });
    assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 2, all (2, 2) []");
}

#[test]
fn acknowledgements_that_a_crash_took_are_counted_once_their_devices_are_back() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.say(ann, group, 2, "hello");
        for member in [bob, cat] {
            world.ack_group(member, group, 2);
        }
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 0, all (2, 0) []");
        // Cursors are stored a while after they moved.
        world.crash();
        let back = [1, 2, 3].map(|user| world.log_in(user, 1));
        for c in back {
            world.resume(c, &[(group, 2)]);
        }
        world.frame(back[0], &Frame::GroupAsk { group, position: 2, after: 0 });
        let receipt = world.receipt(back[0]);
        assert!(receipt.starts_with("receipt @2 of 2: 2 0, all (2, 0)"), "{receipt}");
    }
}

#[test]
fn acknowledgements_one_after_the_other_are_few_receipts() {
    let mut world = World::new();
    let ann = world.join(1, 1);
    let users: Vec<UserId> = (2..=200).collect();
    let members: Vec<C> = users.iter().map(|&user| world.join(user, 1)).collect();
    let group = world.group(ann, 1, &users);
    world.say(ann, group, 2, "all of you");
    world.pass(GROUP_RECEIPT_GATHER_MS);
    world.told(ann);
    let step_ms = 1;
    for &c in &members {
        world.ack_group(c, group, 2);
        world.pass(step_ms);
    }
    world.pass(GROUP_RECEIPT_GATHER_MS);
    let told = world.told(ann);
    let most = users.len() * step_ms as usize / GROUP_RECEIPT_GATHER_MS as usize + 2;
    assert!(told.len() <= most, "{} receipts for {} members", told.len(), users.len());
    assert_eq!(told.last(), Some(&"receipt @2 of 199: 199 0, all (2, 0) []".to_owned()));
}

#[test]
fn an_author_whose_output_is_full_is_told_of_its_group_once_it_has_room() {
    let mut world = World::new();
    let (group, [ann, bob, cat]) = three(&mut world);
    world.say(ann, group, 2, "hello");
    world.told(ann);
    world.stall(ann);
    for number in 1..=30 {
        world.send(bob, 1, number, &"x".repeat(4_000));
    }
    for member in [bob, cat] {
        world.ack_group(member, group, 2);
    }
    world.frame(bob, &Frame::GroupRead { group, position: 2 });
    world.unstall(ann);
    assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 1, all (2, 0) []");
}

#[test]
fn authors_are_told_again_when_somebody_leaves() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.say(ann, group, 2, "hello");
        world.ack_group(bob, group, 2);
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 1 0, all (1, 0) []");
        world.change(cat, group, 1, Action::Leave, &[], b"");
        assert_eq!(world.receipt(ann), "receipt @2 of 1: 1 0, all (2, 0) []");
        // Also one who had heard that all saw it.
        world.change(ann, group, 3, Action::Add, &[4], b"");
        world.frame(bob, &Frame::GroupRead { group, position: 4 });
        world.say(ann, group, 4, "and now?");
        world.frame(bob, &Frame::GroupRead { group, position: 5 });
        let dan = world.join(4, 1);
        world.ack_group(dan, group, 5);
        world.frame(dan, &Frame::GroupRead { group, position: 5 });
        assert_eq!(world.receipt(ann), "receipt @5 of 2: 2 2, all (5, 5) []");
        world.change(dan, group, 1, Action::Leave, &[], b"");
        assert_eq!(world.receipt(ann), "receipt @5 of 1: 1 1, all (5, 5) []");
    }
}

#[test]
fn what_expired_before_a_device_got_it_is_not_delivered() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |config| config.expiry_ms = 10_000);
        let (group, [ann, bob, cat]) = three(&mut world);
        world.hang_up(cat);
        world.say(ann, group, 2, "old");
        world.ack_group(bob, group, 2);
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 1 0, all (1, 0) []");
        world.pass(12_000);
        let cat = world.log_in(3, 1);
        world.told(cat);
        world.resume(cat, &[(group, 1)]);
        assert_eq!(world.heard(cat), [] as [String; 0], "it is passed over");
        world.ack_group(cat, group, 2);
        // Nor once the group was read anew, whatever the device says that it has.
        world.pass(130_000);
        world.hang_up(cat);
        let cat = world.log_in(3, 1);
        world.told(cat);
        world.frame(ann, &Frame::GroupAsk { group, position: 2, after: 0 });
        world.resume(cat, &[(group, 2)]);
        world.frame(ann, &Frame::GroupAsk { group, position: 2, after: 0 });
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 1 0, all (1, 0) [(2, 1), (3, 0)]");
        // A later entry covers it, as in a conversation of two.
        world.say(ann, group, 3, "new");
        world.ack_group(cat, group, 3);
        assert_eq!(world.receipt(ann), "receipt @3 of 2: 1 0, all (2, 0) []");
        world.frame(ann, &Frame::GroupAsk { group, position: 2, after: 0 });
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 0, all (2, 0) [(2, 1), (3, 1)]");
    }
}

#[test]
fn an_author_who_left_and_is_back_before_its_device_heard_of_it_is_told_of_its_newest_entry() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        let tablet = world.log_in(2, 2);
        world.resume(tablet, &[(group, 1)]);
        world.say(bob, group, 2, "hello");
        world.frame(bob, &Frame::GroupAsk { group, position: 2, after: 0 });
        assert!(world.receipt(bob).starts_with("receipt @2 of 2: 0 0"));
        world.stall(bob);
        for number in 1..=60 {
            world.send(ann, 2, number, &"x".repeat(4_000));
        }
        world.change(tablet, group, 1, Action::Leave, &[], b"");
        for member in [ann, cat] {
            world.ack_group(member, group, 3);
            world.frame(member, &Frame::GroupRead { group, position: 3 });
        }
        world.pass(1_000);
        world.change(ann, group, 100, Action::Add, &[2], b"");
        world.pass(1_000);
        world.unstall(bob);
        world.pass(1_000);
        let told = world.told(bob);
        assert!(told.iter().any(|told| told == "@4 1: add [2]"), "it follows the group");
        let gone = format!("group {group} gone @3");
        let receipt = told.iter().rfind(|told| told.starts_with("receipt"));
        let is_told = receipt.is_some_and(|told| told.starts_with("receipt @3 of 2: 2 2"));
        assert!(is_told || told.contains(&gone), "{receipt:?}");
    }
}
