//! What is sent and not taken, or asked for and large, is bounded.

use std::ops::RangeInclusive;

use fulmar_protocol::group::Action;

use super::groups::three;
use super::world::{C, Happening, World, send};
use crate::limits::{INPUT_BACKLOG_BYTES_MAX, LOAD_ENTRIES_MAX};
use crate::shard::{Load, LogId};

/// Sends of these numbers, as they would come although nobody reads them any more.
fn flood(world: &mut World, c: C, numbers: RangeInclusive<u64>, body: &str) {
    let conn = world.clients[c].conn;
    for number in numbers {
        let mut bytes = Vec::new();
        send(2, number, body).encode(&mut bytes);
        assert!(bytes.len() <= body.len() + FRAME_HEAD_BYTES);
        world.happen(0, Happening::Received(conn, bytes));
    }
}

/// More than a send's frame has around its body.
const FRAME_HEAD_BYTES: usize = 32;

#[test]
fn a_client_that_sends_without_waiting_for_answers_is_told_so_once_too_much_of_it_waits() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    // So no answer comes.
    world.holds_stores = true;
    let body = "x".repeat(16_000);
    let allowed = u64::from(world.config.sends_max);
    let fits = (INPUT_BACKLOG_BYTES_MAX / (body.len() + FRAME_HEAD_BYTES)) as u64;
    flood(&mut world, ann, 1..=fits, &body);
    world.expect(ann, &[]);
    assert!(!world.is_closed(ann), "as much may wait");
    flood(&mut world, ann, fits + 1..=allowed + fits + 2, &body);
    world.expect(ann, &["goodbye overloaded"]);
    assert!(world.is_closed(ann));
    // What was taken before isn't lost, and the rest is sent again.
    world.holds_stores = false;
    world.store();
    let ann = world.log_in(1, 1);
    for number in 1..=allowed + 1 {
        world.send(ann, 2, number, &body);
    }
    let told = world.told(ann);
    let expected: Vec<String> = (1..=allowed + 1).map(|it| format!("sent 2 n{it} #{it}")).collect();
    assert_eq!(told, expected);
}

#[test]
fn one_read_brings_no_more_entries_than_so_many_however_large_the_window_is() {
    let most = u64::from(LOAD_ENTRIES_MAX);
    let mut world = World::with(|config| {
        config.window_messages = 100_000;
        config.window_bytes = 100 << 20;
    });
    let ann = world.log_in(1, 1);
    for number in 1..=2 * most {
        world.send(ann, 2, number, "x");
    }
    world.crash();
    world.holds_loads = true;
    let bob = world.log_in_from(2, 1, 0);
    let mut reads = 0;
    while let Some(load) = world.cores[0].loads.front() {
        if let Load::Entries { log: LogId::Inbox(2), entries_max, .. } = load {
            assert!(*entries_max <= LOAD_ENTRIES_MAX, "{load:?}");
            reads += 1;
        }
        world.load_one(0);
        world.settle();
    }
    assert!(reads >= 2, "{reads}");
    assert_eq!(world.told(bob).len() as u64, 1 + 2 * most, "the welcome, and all of it");
}

#[test]
fn a_message_costs_as_many_letters_for_a_thousand_members_as_for_ten() {
    let letters = |members: u64| {
        let mut world = World::of_cores(2, |_| {});
        let ann = world.join(1, 1);
        let group = world.group(ann, 1, &(2..=10).collect::<Vec<_>>());
        let rest: Vec<u64> = (11..=members).collect();
        for (number, some) in (2..).zip(rest.chunks(256)) {
            world.change(ann, group, number, Action::Add, some, b"");
        }
        // Some are there.
        world.join(2, 1);
        world.say(ann, group, 100, "so the group is seated");
        let sent = |world: &World| -> u64 {
            world.cores.iter().map(|core| core.shard.counters().letters).sum()
        };
        let before = sent(&world);
        world.say(ann, group, 101, "all of you");
        assert!(world.told(ann).iter().any(|told| told.contains("sent n101")));
        sent(&world) - before
    };
    assert_eq!(letters(1_000), letters(10));
}

#[test]
fn a_group_that_is_full_keeps_nothing_else_from_a_member_who_is_away() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |config| {
            config.group_quota_messages = 5;
            config.quota_messages = 5;
        });
        let (group, [ann, bob, _]) = three(&mut world);
        let other = world.group(ann, 2, &[2]);
        world.hang_up(bob);
        for number in 3..=6 {
            world.say(ann, group, number, "chatter");
        }
        world.told(ann);
        world.say(ann, group, 7, "too much");
        assert_eq!(world.heard(ann), [format!("group {group} rejected n7 quota_exceeded")]);
        world.say(ann, other, 8, "in another group");
        world.send(ann, 2, 9, "to you alone");
        let told = world.heard(ann);
        assert!(told[0].contains("sent n8 @2") && told[1].starts_with("sent 2 n9"), "{told:?}");
        let bob = world.log_in_from(2, 1, 1);
        world.resume(bob, &[(group, 1)]);
        let heard = world.heard(bob);
        for text in ["in another group", "to you alone"] {
            assert!(heard.iter().any(|told| told.ends_with(text)), "{heard:?}");
        }
        assert_eq!(heard.iter().filter(|told| told.ends_with("chatter")).count(), 4);
    }
}
