//! A large body on its way to a device: what is small comes between its pieces, what is large waits.

use fulmar_protocol::Frame;
use fulmar_protocol::history::History;
use fulmar_protocol::limits::PART_BYTES_MAX;

use super::world::{C, Happening, World};
use crate::limits::OUTPUT_HIGH_BYTES;
use crate::shard::{Retention, ShardConfig};

/// Several times what an output holds.
const LARGE: &[u8] = &[b'x'; 300_000];

/// The windows hold several of them.
fn wide(config: &mut ShardConfig) {
    config.window_bytes = 4 * LARGE.len() as u64;
}

/// Where among what a client was told is something that begins so.
fn place(told: &[String], begin: &str) -> usize {
    let found = told.iter().position(|told| told.starts_with(begin));
    found.unwrap_or_else(|| panic!("no {begin} in {told:?}"))
}

/// User 1 and user 2 in a group, whose device reads nothing while the first writes something large to the group.
fn a_group_with_something_large(world: &mut World) -> (u64, [C; 2]) {
    let [ann, bob] = [1, 2].map(|user| world.join(user, 1));
    let group = world.group(ann, 1, &[2]);
    world.send(ann, 2, 1, "first");
    world.told(bob);
    world.ack(bob, 2);
    world.stall(bob);
    world.say_large(ann, group, 2, LARGE);
    (group, [ann, bob])
}

#[test]
fn a_small_message_overtakes_a_large_one_of_a_group() {
    let mut world = World::with(wide);
    let (group, [ann, bob]) = a_group_with_something_large(&mut world);
    world.send(ann, 2, 2, "quick");
    let other = world.group(ann, 3, &[2]);
    world.say(ann, other, 4, "quick too");
    world.say(ann, group, 5, "behind");
    world.unstall(bob);
    let told = world.told(bob);
    let large = place(&told, "@2 1: 300000 bytes");
    assert!(place(&told, "deliver @3 1#2 quick") < large, "{told:?}");
    assert!(told[..large].iter().any(|told| told.contains("quick too")), "{told:?}");
}

#[test]
fn a_small_message_overtakes_a_large_one_of_a_page() {
    let mut world = World::with(|config| {
        wide(config);
        config.retention = Retention::History;
    });
    let ann = world.log_in(1, 1);
    world.send_large(ann, 2, 1, LARGE);
    let bob = world.log_in_from(2, 1, 1);
    world.told(bob);
    world.stall(bob);
    let (group, from, through, limit, newest_first) = (0, 1, 1, 9, false);
    world.frame(bob, &Frame::History(History { group, from, through, limit, newest_first }));
    world.send(ann, 2, 2, "quick");
    world.unstall(bob);
    let told = world.told(bob);
    assert!(place(&told, "deliver @2 1#2 quick") < place(&told, "past @1"), "{told:?}");
}

#[test]
fn a_large_message_waits_for_another_and_what_follows_it_waits_too() {
    let mut world = World::with(wide);
    let (_, [ann, bob]) = a_group_with_something_large(&mut world);
    world.send(ann, 2, 2, "before");
    world.send_large(ann, 2, 3, LARGE);
    world.send(ann, 2, 4, "after");
    world.unstall(bob);
    let told = world.told(bob);
    let places =
        ["deliver @3 1#2 before", "@2 1: 300000", "deliver @4 1#3 300000", "deliver @5 1#4"]
            .map(|begin| place(&told, begin));
    assert!(places.is_sorted(), "{told:?}");
}

#[test]
fn what_is_read_from_storage_waits_too_and_is_not_read_over_and_over() {
    let mut world = World::with(wide);
    let (group, [ann, bob]) = a_group_with_something_large(&mut world);
    world.hang_up(bob);
    world.send(ann, 2, 2, "before");
    world.send_large(ann, 2, 3, LARGE);
    world.send(ann, 2, 4, "after");
    let before = world.shard().counters.cold_reads;
    let bob = world.log_in_from(2, 1, 2);
    world.told(bob);
    world.stall(bob);
    world.resume(bob, &[(group, 1)]);
    world.unstall(bob);
    let told = world.told(bob);
    place(&told, "@2 1: 300000");
    let delivered: Vec<_> = world.clients[bob].delivered.iter().map(|it| it.position).collect();
    assert_eq!(delivered, [3, 4, 5]);
    let reads = world.shard().counters.cold_reads - before;
    assert!(reads <= 6, "{reads} reads");
}

#[test]
fn one_group_takes_a_quarter_of_the_window_and_leaves_the_rest_to_others() {
    let mut world = World::new();
    let [ann, bob] = [1, 2].map(|user| world.join(user, 1));
    let [first, second] = [1, 2].map(|number| world.group(ann, number, &[2]));
    world.told(bob);
    let quarter = 128 * 1024 / 4;
    let body = "x".repeat(quarter / 4);
    for number in 3..23 {
        world.say(ann, first, number, &body);
    }
    let came = world.heard(bob).iter().filter(|told| told.contains("1: xxx")).count();
    assert_eq!(came, 4, "as much as fills a quarter");
    world.say(ann, second, 23, "quick");
    assert!(world.heard(bob).iter().any(|told| told.ends_with("1: quick")));
    for position in (2..22).step_by(4) {
        world.ack_group(bob, first, position + 3);
    }
    let came = world.heard(bob).iter().filter(|told| told.contains("1: xxx")).count();
    assert_eq!(came, 16, "with each acknowledgement more");
}

#[test]
fn a_large_body_goes_on_though_small_messages_fill_every_write() {
    let mut world = World::with(|config| {
        config.window_messages = u32::MAX;
        config.window_bytes = 1 << 30;
    });
    let (_, [ann, bob]) = a_group_with_something_large(&mut world);
    let small = "s".repeat(1_000);
    let mut number = 1;
    for _ in 0..=LARGE.len() / PART_BYTES_MAX {
        for _ in 0..=OUTPUT_HIGH_BYTES / small.len() {
            number += 1;
            world.send(ann, 2, number, &small);
        }
        // One write is done.
        let bytes = world.clients[bob].incoming.take().expect("a write under way");
        world.clients[bob].receive(&bytes);
        let (core, conn) = (world.clients[bob].core, world.clients[bob].conn);
        world.happen(core, Happening::Sent(conn));
        world.told(ann);
    }
    let last = world.clients[bob].incoming.take().unwrap_or_default();
    world.clients[bob].receive(&last);
    place(&world.told(bob), "@2 1: 300000 bytes");
}
