//! Messages that are over by themselves: never told afterwards, wherever they lie and whoever asks.

use fulmar_protocol::content::{Content, DISAPPEARING};
use fulmar_protocol::group::GroupSend;
use fulmar_protocol::history::History;
use fulmar_protocol::{Frame, Send};

use super::groups::three;
use super::world::{C, World};
use crate::shard::Retention;

/// A text that is over after so many seconds.
fn body(seconds: u64, text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    Content::Disappearing { seconds, content: 1, body: text.as_bytes() }.encode(&mut body);
    body
}

impl World {
    fn send_for(&mut self, c: C, peer: u64, number: u64, seconds: u64) {
        let (content, total_bytes) = (DISAPPEARING, None);
        let body = &body(seconds, "psst")[..];
        self.frame(c, &Frame::Send(Send { peer, number, content, total_bytes, body }));
    }

    fn say_for(&mut self, c: C, group: u64, number: u64, seconds: u64) {
        let (content, total_bytes) = (DISAPPEARING, None);
        let body = &body(seconds, "psst")[..];
        let send = GroupSend { group, number, content, total_bytes, body };
        self.frame(c, &Frame::GroupSend(send));
    }

    fn page(&mut self, c: C, group: u64) -> Vec<String> {
        self.told(c);
        let (from, through, limit, newest_first) = (1, 100, 100, true);
        self.frame(c, &Frame::History(History { group, from, through, limit, newest_first }));
        self.told(c)
    }
}

fn is_skip(told: &str) -> bool {
    told.starts_with("skip")
}

#[test]
fn a_message_is_delivered_as_long_as_its_time_is_not_over() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send_for(ann, 2, 1, 10);
    assert_eq!(world.told(bob).len(), 1);
    world.hang_up(bob);
    // Not acknowledged, and in time for the next connection.
    world.pass(9_000);
    let bob = world.log_in(2, 1);
    assert!(world.told(bob).iter().any(|told| told.starts_with("deliver @1")));
}

/// From memory and from storage.
#[test]
fn a_message_whose_time_is_over_is_passed_over() {
    for is_cold in [false, true] {
        let mut world = World::of_cores(2, |_| {});
        let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
        world.hang_up(bob);
        world.send_for(ann, 2, 1, 10);
        world.send(ann, 2, 2, "stays");
        if is_cold {
            world.pass(500);
            world.crash();
        }
        world.pass(10_000);
        let bob = world.log_in(2, 1);
        let told = world.told(bob);
        assert!(is_skip(&told[0]) && told[1] == "deliver @2 1#2 stays", "{told:?}");
        world.ack(bob, 2);
        // Its author is told that everything is there.
        let ann = world.log_in(1, 1);
        world.ask(ann, 2);
        let told = world.told(ann);
        assert!(told.iter().any(|told| told == "receipt 2 delivered 2 read 0"), "{told:?}");
    }
}

#[test]
fn a_message_that_waits_for_the_window_is_over_meanwhile() {
    let mut world = World::with(|config| config.window_messages = 1);
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(ann, 2, 1, "first");
    world.send_for(ann, 2, 2, 5);
    world.pass(5_000);
    world.told(bob);
    world.ack(bob, 1);
    world.expect(bob, &["skip @2"]);
}

#[test]
fn the_copy_for_an_own_device_is_over_at_the_same_time() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (phone, tablet) = (world.log_in(1, 1), world.log_in(1, 2));
        world.hang_up(tablet);
        world.send_for(phone, 2, 1, 10);
        world.pass(9_000);
        let tablet = world.log_in(1, 2);
        assert!(world.told(tablet).iter().any(|told| told.starts_with("own @1 2#1")));
        world.hang_up(tablet);
        world.pass(1_000);
        let tablet = world.log_in(1, 2);
        let told = world.told(tablet);
        assert!(told.iter().all(|told| !told.starts_with("own")), "{told:?}");
    }
}

#[test]
fn a_page_has_it_only_until_then() {
    let mut world = World::with(|config| config.retention = Retention::History);
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send_for(ann, 2, 1, 10);
    world.send(ann, 2, 2, "stays");
    world.ack(bob, 2);
    assert_eq!(world.page(bob, 0).len(), 3);
    world.pass(10_000);
    assert_eq!(world.page(bob, 0), ["past @2 1#2 stays", "end @1 to @2"]);
}

#[test]
fn an_entry_of_a_group_is_over_for_all_of_it() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.hang_up(cat);
        world.say_for(ann, group, 2, 10);
        assert!(world.heard(bob)[0].starts_with("@2 1:"));
        world.pass(10_000);
        world.say(ann, group, 3, "stays");
        let cat = world.log_in(3, 1);
        world.told(cat);
        world.resume(cat, &[(group, 1)]);
        assert_eq!(world.heard(cat), ["@3 1: stays"]);
        let told = world.page(bob, group);
        assert!(told.iter().all(|told| !told.contains("@2 ")), "{told:?}");
        // It can't be changed any more either.
        let body = &[2][..];
        let (content, total_bytes) = (4, None);
        world.told(ann);
        let send = GroupSend { group, number: 4, content, total_bytes, body };
        world.frame(ann, &Frame::GroupSend(send));
        assert_eq!(world.heard(ann), [format!("group {group} rejected n4 no_such_message")]);
    }
}

/// What a crash takes of the cursors doesn't bring it back.
#[test]
fn a_position_of_one_that_is_gone_from_storage_is_not_used_again() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.send_for(ann, 2, 1, 10);
    world.pass(11_000);
    world.disk.remove_over(world.now.unix_ms);
    world.crash();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(ann, 2, 2, "next");
    let told = world.told(bob);
    assert_eq!(told.last().map(String::as_str), Some("deliver @2 1#2 next"), "{told:?}");
}
