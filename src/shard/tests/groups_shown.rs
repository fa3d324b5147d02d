//! Groups that show their history, and such that don't any more: what those who join then are sent, and
//! what they find by paging.

use fulmar_protocol::Frame;
use fulmar_protocol::group::Action;

use super::groups::three;
use super::world::{C, World};

/// What the log of `story` holds at its first positions.
const OLD: [&str; 3] = ["@1 1: create [2, 3]", "@2 1: of old", "@3 2: of bob"];

/// A group of 1, 2 and 3 with two messages.
fn story(world: &mut World) -> (u64, [C; 3]) {
    let (group, all) = three(world);
    world.say(all[0], group, 2, "of old");
    world.say(all[1], group, 1, "of bob");
    for c in all {
        world.ack_group(c, group, 3);
        world.told(c);
    }
    (group, all)
}

/// Entries that a device heard, in a page or as they come.
fn entries(told: &[String], with: &str) -> Vec<String> {
    told.iter().filter(|told| told.starts_with(with)).cloned().collect()
}

impl World {
    fn show(&mut self, c: C, group: u64, number: u64, shows: bool) {
        self.change(c, group, number, Action::ShowHistory, &[], &[u8::from(shows)]);
    }

    /// What a device of a user that has nothing of a group is sent of it.
    fn new_device(&mut self, group: u64, user: u64, device: u16) -> Vec<String> {
        let c = self.log_in(user, device);
        self.told(c);
        self.resume(c, &[(group, 0)]);
        let heard = self.heard(c);
        self.hang_up(c);
        entries(&heard, "@")
    }
}

#[test]
fn who_joins_while_the_history_is_shown_gets_all_and_others_get_what_came_since() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = story(&mut world);
        let (dan, eve, fay) = (world.join(4, 1), world.join(5, 1), world.join(6, 1));
        world.change(ann, group, 3, Action::Add, &[4], b"");
        world.show(ann, group, 4, true);
        world.change(ann, group, 5, Action::Add, &[5], b"");
        world.show(ann, group, 6, false);
        world.change(ann, group, 7, Action::Add, &[6], b"");
        world.say(ann, group, 8, "all of you");
        let new = [
            "@4 1: add [4]",
            "@5 1: show_history [1]",
            "@6 1: add [5]",
            "@7 1: show_history [0]",
            "@8 1: add [6]",
            "@9 1: all of you",
        ];
        assert_eq!(world.heard(bob), new);
        assert_eq!(entries(&world.heard(dan), "@"), new);
        assert_eq!(entries(&world.heard(eve), "@"), [&OLD[..], &new].concat());
        assert_eq!(entries(&world.heard(fay), "@"), new[4..]);
        // It holds for later devices too, and after a crash, whatever was set meanwhile.
        for _ in 0..2 {
            assert_eq!(world.new_device(group, 4, 2), new);
            assert_eq!(world.new_device(group, 5, 2), [&OLD[..], &new].concat());
            assert_eq!(world.new_device(group, 6, 2), new[4..]);
            world.crash();
        }
    }
}

#[test]
fn the_notice_comes_before_what_was_there_and_the_addition_at_its_place() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, ..]) = story(&mut world);
        world.show(ann, group, 3, true);
        let dan = world.join(4, 1);
        world.change(ann, group, 4, Action::Add, &[4], b"");
        let shown = ["@4 1: show_history [1]", "@5 1: add [4]"];
        assert_eq!(world.heard(dan), [&["notice @1 by 1"], &OLD[..], &shown].concat());
    }
}

#[test]
fn pages_show_who_joined_as_much_as_the_group_did_then() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, ..]) = story(&mut world);
        let (dan, eve) = (world.join(4, 1), world.join(5, 1));
        world.change(ann, group, 3, Action::Add, &[4], b"");
        world.show(ann, group, 4, true);
        world.change(ann, group, 5, Action::Add, &[5], b"");
        world.show(ann, group, 6, false);
        let positions = |page: &[String]| -> Vec<String> {
            let at = |told: &String| told.split(' ').nth(1).map(str::to_owned);
            entries(page, "past").iter().filter_map(at).collect()
        };
        let page = world.page_down(eve, group, 7, 100);
        assert_eq!(positions(&page), ["@7", "@6", "@5", "@4", "@3", "@2", "@1"], "{page:?}");
        let page = world.page_down(dan, group, 7, 100);
        assert_eq!(positions(&page), ["@7", "@6", "@5", "@4"], "{page:?}");
        let page = world.page_down(dan, group, 3, 100);
        assert_eq!(positions(&page), [""; 0], "{page:?}");
    }
}

#[test]
fn who_comes_back_to_a_group_that_shows_its_history_may_read_what_was_between() {
    for shows in [true, false] {
        let mut world = World::new();
        let (group, [ann, bob, _]) = story(&mut world);
        world.change(ann, group, 3, Action::Remove, &[2], b"");
        world.say(ann, group, 4, "without bob");
        world.show(ann, group, 5, shows);
        world.told(bob);
        world.change(ann, group, 6, Action::Add, &[2], b"");
        world.say(ann, group, 7, "welcome back");
        let heard = world.heard(bob);
        assert_eq!(heard.first().map(String::as_str), Some("notice @2 by 1"));
        let came = ["@7 1: add [2]", "@8 1: welcome back"];
        let between = ["@5 1: without bob", "@6 1: show_history [1]"];
        let all = world.new_device(group, 2, 2);
        let ends = [&OLD[..2], &["own @3 2: of bob", "@4 1: remove [2]"]].concat();
        let expected =
            if shows { [&ends[..], &between, &came].concat() } else { [&ends[..], &came].concat() };
        let expected: Vec<_> = expected.into_iter().filter(|told| told.starts_with('@')).collect();
        assert_eq!(all, expected);
        assert_eq!(
            entries(&heard, "@"),
            if shows { [between, came].concat() } else { came.to_vec() }
        );
    }
}

#[test]
fn who_comes_back_may_read_what_was_between_also_where_what_it_had_has_expired() {
    for expires in [false, true] {
        let mut world = World::with(|config| config.expiry_ms = 10_000);
        let (group, [ann, ..]) = story(&mut world);
        world.show(ann, group, 3, true);
        world.pass(if expires { 12_000 } else { 1_000 });
        // The group is read anew, and what has expired is left out of it.
        world.crash();
        let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
        world.resume(bob, &[(group, 4)]);
        world.change(ann, group, 4, Action::Remove, &[2], b"");
        world.say(ann, group, 5, "without bob");
        world.told(bob);
        world.change(ann, group, 6, Action::Add, &[2], b"");
        let came = ["@5 1: remove [2]", "@6 1: without bob", "@7 1: add [2]"];
        assert_eq!(entries(&world.heard(bob), "@"), came[1..], "expired before: {expires}");
        let all = world.new_device(group, 2, 2);
        assert!(all.ends_with(&came.map(str::to_owned)), "expired before: {expires}, {all:?}");
    }
}

#[test]
fn what_expired_is_not_shown_to_who_joins() {
    let mut world = World::with(|config| config.expiry_ms = 10_000);
    let (group, [ann, ..]) = story(&mut world);
    world.show(ann, group, 3, true);
    world.pass(8_000);
    world.say(ann, group, 4, "later");
    world.pass(4_000);
    let dan = world.join(4, 1);
    world.change(ann, group, 5, Action::Add, &[4], b"");
    assert_eq!(entries(&world.heard(dan), "@"), ["@5 1: later", "@6 1: add [4]"]);
}

#[test]
fn a_stranger_sees_nothing_of_a_group_that_shows_its_history() {
    let mut world = World::new();
    let (group, [ann, ..]) = story(&mut world);
    world.show(ann, group, 3, true);
    let eve = world.join(9, 1);
    world.resume(eve, &[(group, 0)]);
    world.frame(eve, &Frame::GroupLook { group, after: 0 });
    let gone = format!("group {group} gone @0");
    assert_eq!(world.told(eve), [gone.clone(), gone]);
    let page = world.page_down(eve, group, 4, 100);
    assert_eq!(entries(&page, "past"), [""; 0]);
}
