//! Groups: who wrote is told how far the others are, however long that takes and however many wrote; and what
//! waits to enter is judged once, however often it is sent.

use fulmar_protocol::Frame;
use fulmar_protocol::group::Action;

use super::contents::edit;
use super::groups::three;
use super::world::{C, World};
use crate::limits::{GROUP_AUTHORS_TOLD_MAX, GROUP_RECEIPT_GATHER_MS, WARM_MS};

/// Nothing happens for so long that groups rest; these stay.
fn rest(world: &mut World, staying: &[C]) {
    for _ in 0..4 {
        for &c in staying {
            world.frame(c, &Frame::Ping);
        }
        world.pass(WARM_MS / 2 + 1_000);
    }
    assert!(world.cores.iter().all(|core| core.shard.groups.len() == 0), "they rest");
}

/// Long enough for many authors to be told.
fn gather(world: &mut World) {
    for _ in 0..4 {
        world.pass(GROUP_RECEIPT_GATHER_MS);
    }
}

#[test]
fn an_author_who_stayed_is_told_of_who_comes_back_long_after_the_group_went_quiet() {
    for cores in [1, 2, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.hang_up(bob);
        world.say(ann, group, 2, "are you there?");
        world.ack_group(cat, group, 2);
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 1 0, all (1, 0) []");
        // Twice: what it awaits isn't forgotten when the group is read again.
        for _ in 0..2 {
            rest(&mut world, &[ann, cat]);
            world.frame(cat, &Frame::GroupLook { group, after: 0 });
        }
        assert_eq!(world.receipt(ann), "", "nothing happened");
        let bob = world.log_in(2, 1);
        world.resume(bob, &[(group, 1)]);
        world.ack_group(bob, group, 2);
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 0, all (2, 0) []");
        rest(&mut world, &[ann, bob, cat]);
        for c in [bob, cat] {
            world.frame(c, &Frame::GroupRead { group, position: 2 });
        }
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 2, all (2, 2) []");
    }
}

#[test]
fn what_one_device_asks_keeps_nothing_from_another() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        let tablet = world.log_in(1, 2);
        world.resume(tablet, &[(group, 1)]);
        world.say(ann, group, 2, "hello");
        world.pass(GROUP_RECEIPT_GATHER_MS);
        world.frame(cat, &Frame::GroupRead { group, position: 2 });
        world.told(ann);
        // What follows gathers; meanwhile the other device asks.
        world.frame(bob, &Frame::GroupRead { group, position: 2 });
        world.frame(tablet, &Frame::GroupAsk { group, position: 2, after: 0 });
        assert!(world.receipt(tablet).starts_with("receipt @2 of 2: 2 2, all (2, 2)"));
        assert_eq!(world.receipt(ann), "receipt @2 of 2: 2 2, all (2, 2) []");
    }
}

#[test]
fn an_author_is_told_however_crowded_it_is() {
    let mut world = World::with(|config| config.groups_warm_max = 1);
    let (group, [ann, bob, _]) = three(&mut world);
    world.say(ann, group, 2, "hello");
    for number in 3..20 {
        world.group(ann, number, &[2]);
        world.pass(1_000);
    }
    assert!(world.shard().groups.len() <= 2);
    world.told(ann);
    world.frame(bob, &Frame::GroupRead { group, position: 2 });
    assert_eq!(world.receipt(ann), "receipt @2 of 2: 1 1, all (1, 0) []");
}

/// What these were told since, each once at most.
fn receipts(world: &mut World, authors: &[C]) -> Vec<Option<String>> {
    let receipt = |&c: &C| {
        let told = world.told(c);
        let mut receipts = told.into_iter().filter(|told| told.starts_with("receipt"));
        let first = receipts.next();
        assert_eq!(receipts.next(), None, "one is enough");
        first
    };
    authors.iter().map(receipt).collect()
}

#[test]
fn more_authors_than_are_told_at_once_take_turns_and_hear_only_what_is_new() {
    for cores in [1, 2] {
        let many = 2 * GROUP_AUTHORS_TOLD_MAX as u64 + 5;
        let mut world = World::of_cores(cores, |config| config.group_members_max = 500);
        let (ann, silent) = (world.join(1, 1), world.join(2, 1));
        let users: Vec<u64> = (100..100 + many).collect();
        let authors: Vec<C> = users.iter().map(|&user| world.join(user, 1)).collect();
        let members: Vec<u64> = std::iter::once(2).chain(users).collect();
        let group = world.group(ann, 1, &members);
        for (position, &c) in (2..).zip(&authors) {
            world.say(c, group, 1, "my two pence");
            // Before the windows are full.
            if position % 20 == 0 {
                for &c in &authors {
                    world.ack_group(c, group, position);
                }
            }
        }
        let last = 1 + many;
        for &c in &authors {
            world.ack_group(c, group, last);
        }
        gather(&mut world);
        for &c in &authors {
            world.told(c);
        }
        // One reads; another, who is silent, doesn't even get it.
        world.frame(ann, &Frame::GroupRead { group, position: last });
        gather(&mut world);
        for (nth, receipt) in receipts(&mut world, &authors).into_iter().enumerate() {
            let others = many + 1;
            let (position, delivered) = (2 + nth as u64, others - 1);
            let told = format!("receipt @{position} of {others}: {delivered} 1, all (0, 0) []");
            assert_eq!(receipt, Some(told));
        }
        // That somebody read it again is no news, nor what concerns later messages only.
        world.frame(ann, &Frame::GroupRead { group, position: last });
        world.say(ann, group, 2, "mine");
        world.frame(authors[0], &Frame::GroupRead { group, position: last + 1 });
        gather(&mut world);
        let told = receipts(&mut world, &authors);
        assert_eq!(told[0], None, "it read what it knows of itself");
        assert!(
            told[1..].iter().all(|receipt| receipt.as_ref().is_some_and(|it| it.contains(" 2, ")))
        );
        world.told(ann);
        // Only the last message is new to this one.
        world.frame(authors[1], &Frame::GroupAck { group, position: last + 1 });
        gather(&mut world);
        assert_eq!(receipts(&mut world, &authors).iter().flatten().count(), 0);
        assert!(world.told(ann)[0].starts_with(&format!("receipt @{} of", last + 1)));
        // What nobody lacks any more is news to all who wrote some of it.
        world.ack_group(silent, group, 2);
        gather(&mut world);
        let told = receipts(&mut world, &authors);
        assert!(
            told.iter()
                .all(|receipt| receipt.as_ref().is_some_and(|it| it.ends_with("all (2, 0) []")))
        );
    }
}

#[test]
fn a_resend_of_an_addition_that_waits_is_not_judged_by_what_happened_meanwhile() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |config| config.group_quota_messages = 4);
        let (group, [ann, bob, _]) = three(&mut world);
        world.say(ann, group, 2, "so what both sent lately is here");
        world.say(bob, group, 1, "mine too");
        world.told(ann);
        world.holds_loads = true;
        world.change(ann, group, 3, Action::Add, &[5], b"");
        world.say(bob, group, 2, "now it is full");
        world.hang_up(ann);
        let ann = world.join(1, 1);
        world.told(ann);
        world.change(ann, group, 3, Action::Add, &[5], b"");
        assert_eq!(world.heard(ann), [""; 0], "it waits with the first one");
        world.holds_loads = false;
        world.load();
        let answers: Vec<String> = world.heard(ann);
        let answers: Vec<_> = answers.iter().filter(|told| told.contains(" n3 ")).collect();
        assert_eq!(answers, [&format!("group {group} sent n3 @5")]);
    }
}

#[test]
fn a_resend_of_an_edit_that_waits_is_not_judged_by_what_happened_meanwhile() {
    let mut world = World::with(|config| config.group_quota_messages = 4);
    let (group, [ann, bob, _]) = three(&mut world);
    world.say(ann, group, 2, "helo");
    world.say(bob, group, 1, "what?");
    world.told(ann);
    world.holds_loads = true;
    world.refer_in(ann, group, 3, &edit(2));
    world.say(bob, group, 2, "now it is full");
    world.hang_up(ann);
    let ann = world.join(1, 1);
    world.told(ann);
    world.refer_in(ann, group, 3, &edit(2));
    assert_eq!(world.heard(ann), [""; 0], "it waits with the first one");
    world.holds_loads = false;
    world.load();
    let answers: Vec<String> = world.heard(ann);
    let answers: Vec<_> = answers.iter().filter(|told| told.contains(" n3 ")).collect();
    // One answer, by what is when it enters.
    assert_eq!(answers, [&format!("group {group} rejected n3 quota_exceeded")]);
}
