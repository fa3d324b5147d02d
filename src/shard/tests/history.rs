//! Pages of what a log keeps: which entries, whose, in which order; and what they leave alone.

use fulmar_protocol::Frame;
use fulmar_protocol::group::Action;
use fulmar_protocol::history::History;
use fulmar_protocol::limits::{BODY_BYTES_MAX, HISTORY_MAX};

use super::groups::three;
use super::world::{C, World, send};
use crate::limits::{HISTORY_PAGE_BYTES, PAGES_BYTES_MAX};
use crate::shard::{Key, LogId, Retention, ShardConfig, Write};

impl World {
    /// A device asks for a page backwards; what it was told.
    pub(super) fn page_down(&mut self, c: C, group: u64, through: u64, limit: u64) -> Vec<String> {
        self.told(c);
        self.ask_page(c, group, (1, through), limit, true);
        self.told(c)
    }

    fn ask_page(
        &mut self,
        c: C,
        group: u64,
        (from, through): (u64, u64),
        limit: u64,
        newest_first: bool,
    ) {
        self.frame(c, &Frame::History(History { group, from, through, limit, newest_first }));
    }
}

fn keeping(config: &mut ShardConfig) {
    config.retention = Retention::History;
}

/// User 2 with seven entries of user 1 in its inbox, acknowledged, and a client of it.
fn seven(world: &mut World) -> (C, C) {
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    for number in 1..=7 {
        world.send(ann, 2, number, &format!("m{number}"));
    }
    world.ack(bob, 7);
    world.pass(500);
    world.told(ann);
    world.told(bob);
    (ann, bob)
}

#[test]
fn a_device_pages_backwards_through_what_is_kept() {
    let mut world = World::with(keeping);
    let (_, bob) = seven(&mut world);
    assert_eq!(
        world.page_down(bob, 0, 7, 3),
        ["past @7 1#7 m7", "past @6 1#6 m6", "past @5 1#5 m5", "end @5 to @7, more"]
    );
    assert_eq!(
        world.page_down(bob, 0, 4, 100),
        ["past @4 1#4 m4", "past @3 1#3 m3", "past @2 1#2 m2", "past @1 1#1 m1", "end @1 to @4"]
    );
    // Exactly as many as there are.
    assert_eq!(world.page_down(bob, 0, 2, 2).last().expect("an end"), "end @1 to @2");
}

#[test]
fn a_device_pages_forwards_too() {
    let mut world = World::with(keeping);
    let (_, bob) = seven(&mut world);
    world.ask_page(bob, 0, (3, 6), 2, false);
    world.expect(bob, &["past @3 1#3 m3", "past @4 1#4 m4", "end @3 to @4, more"]);
    world.ask_page(bob, 0, (5, 100), 9, false);
    world.expect(bob, &["past @5 1#5 m5", "past @6 1#6 m6", "past @7 1#7 m7", "end @5 to @7"]);
}

#[test]
fn what_does_not_exist_is_not_covered() {
    let mut world = World::with(keeping);
    let (_, bob) = seven(&mut world);
    world.ask_page(bob, 0, (8, 100), 9, false);
    world.expect(bob, &["end @8 to @7"]);
    world.ask_page(bob, 0, (u64::MAX, u64::MAX), 9, true);
    world.expect(bob, &[&format!("end @{} to @7", u64::MAX)]);
    world.ask_page(bob, 0, (0, u64::MAX), HISTORY_MAX as u64, true);
    assert_eq!(world.told(bob).last().expect("an end"), "end @0 to @7");
}

#[test]
fn trimmed_and_expired_entries_are_holes() {
    let mut world = World::with(|config| config.expiry_ms = 10_000);
    let (ann, bob) = seven(&mut world);
    // All devices have them, so they are gone.
    assert_eq!(world.page_down(bob, 0, 7, 9), ["end @1 to @7"]);
    world.hang_up(bob);
    world.send(ann, 2, 8, "old");
    world.pass(8_000);
    world.send(ann, 2, 9, "new");
    let bob = world.log_in(2, 1);
    assert_eq!(
        world.page_down(bob, 0, 9, 9),
        ["past @9 1#9 new", "past @8 1#8 old", "end @1 to @9"]
    );
    world.pass(3_000);
    assert_eq!(world.page_down(bob, 0, 9, 9), ["past @9 1#9 new", "end @1 to @9"]);
}

#[test]
fn own_sends_of_every_device_are_in_a_page() {
    let mut world = World::with(keeping);
    let (_, phone, tablet) = (world.log_in(1, 1), world.log_in(2, 1), world.log_in(2, 2));
    world.send(phone, 1, 1, "from here");
    world.send(tablet, 1, 1, "from there");
    assert_eq!(
        world.page_down(phone, 0, 2, 9),
        ["past own @2 1#2 from there", "past own @1 1#1 from here", "end @1 to @2"]
    );
}

#[test]
fn what_an_only_device_sent_is_kept_for_those_to_come() {
    let mut world = World::with(keeping);
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(bob, 1, 1, "from here");
    world.send(ann, 2, 1, "from there");
    let tablet = world.log_in(2, 2);
    assert_eq!(
        world.page_down(tablet, 0, 2, 9),
        ["past @2 1#1 from there", "past own @1 1#1 from here", "end @1 to @2"]
    );
}

#[test]
fn notices_of_groups_are_holes() {
    let mut world = World::with(keeping);
    let (_, [_, bob, _]) = three(&mut world);
    assert_eq!(world.page_down(bob, 0, 9, 9), ["end @1 to @1"]);
}

#[test]
fn what_is_not_durable_is_in_no_page() {
    let mut world = World::with(keeping);
    let (ann, bob) = seven(&mut world);
    world.holds_stores = true;
    world.send(ann, 2, 8, "in the air");
    world.ask_page(bob, 0, (7, 8), 9, true);
    world.expect(bob, &["past @7 1#7 m7", "end @7 to @7"]);
}

#[test]
fn a_page_ends_at_its_bytes_with_one_entry_at_least() {
    let mut world = World::with(keeping);
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(ann, 2, 1, "first");
    world.send_large(ann, 2, 2, &vec![b'x'; BODY_BYTES_MAX]);
    for number in 3..=8 {
        world.send(ann, 2, number, &"y".repeat(HISTORY_PAGE_BYTES / 5));
    }
    world.ack(bob, 2);
    world.ack(bob, 8);
    let told = world.page_down(bob, 0, 8, 256);
    assert_eq!(told.last().expect("an end"), "end @4 to @8, more");
    let told = world.page_down(bob, 0, 2, 256);
    assert_eq!(told, ["past @2 1#2 416384 bytes", "end @2 to @2, more"]);
}

#[test]
fn one_page_at_a_time() {
    let mut world = World::with(keeping);
    let (_, bob) = seven(&mut world);
    world.holds_loads = true;
    world.ask_page(bob, 0, (1, 7), 1, true);
    world.ask_page(bob, 0, (1, 7), 1, true);
    world.expect(bob, &["goodbye unexpected_frame"]);
    // The answer comes late.
    world.holds_loads = false;
    world.load();
    assert!(world.is_closed(bob));
}

#[test]
fn live_messages_come_before_the_page() {
    let mut world = World::with(keeping);
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    for number in 1..=6 {
        world.send(ann, 2, number, &"y".repeat(10_000));
        world.ack(bob, number);
    }
    world.told(bob);
    world.stall(bob);
    world.ask_page(bob, 0, (1, 6), 9, true);
    // One write is under way, and what waits for the next one leaves room.
    for number in 7..=10 {
        world.send(ann, 2, number, "live");
    }
    world.unstall(bob);
    let told = world.told(bob);
    let place = |part: &str| told.iter().position(|told| told.contains(part)).expect("told");
    assert!(place("deliver @10") < place("past @1 "), "{told:?}");
    assert!(told.last().expect("an end").starts_with("end @1 to @6"));
    assert_eq!(told.iter().filter(|told| told.starts_with("past")).count(), 6);
}

#[test]
fn a_page_has_no_effect_on_the_window() {
    let mut world = World::with(|config| {
        keeping(config);
        config.window_messages = 7;
    });
    let (ann, bob) = seven(&mut world);
    assert_eq!(world.page_down(bob, 0, 7, 9).len(), 8);
    for number in 8..=20 {
        world.send(ann, 2, number, "a");
    }
    assert_eq!(world.told(bob).len(), 7);
}

#[test]
fn a_connection_that_breaks_ends_its_page() {
    let mut world = World::with(keeping);
    let (_, bob) = seven(&mut world);
    world.holds_loads = true;
    world.ask_page(bob, 0, (1, 7), 1, true);
    world.hang_up(bob);
    world.holds_loads = false;
    world.load();
    let bob = world.log_in_from(2, 1, 7);
    assert_eq!(world.page_down(bob, 0, 7, 1), ["past @7 1#7 m7", "end @7 to @7, more"]);
}

#[test]
fn questions_in_one_piece_are_answered_in_order() {
    let mut world = World::with(keeping);
    let (ann, bob) = seven(&mut world);
    world.ask_page(bob, 0, (7, 7), 1, true);
    world.ask_page(bob, 0, (6, 6), 1, true);
    world.expect(bob, &["past @7 1#7 m7", "end @7 to @7", "past @6 1#6 m6", "end @6 to @6"]);
    world.frames(ann, &[send(2, 8, "x"), Frame::Ping]);
}

/// What each member may read of a group with a history that isn't shown.
#[test]
fn a_member_pages_through_its_time_only() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.say(ann, group, 2, "one");
        world.change(ann, group, 3, Action::Remove, &[3], b"");
        world.say(ann, group, 4, "two");
        let dan = world.join(4, 1);
        world.change(ann, group, 5, Action::Add, &[4], b"");
        world.say(dan, group, 1, "three");
        let end = |through| format!("end @1 to @{through}");
        let all = [
            "past @6 4 three".to_owned(),
            "past @5 1 \u{4}\u{1}\u{4}\0".into(),
            "past @4 1 two".into(),
            "past @3 1 \u{5}\u{1}\u{3}\0".into(),
            "past @2 1 one".into(),
            "past @1 1 \u{1}\u{2}\u{2}\u{3}\u{5}birds".into(),
        ];
        let told = world.page_down(bob, group, 9, 256);
        assert_eq!((&told[..6], &told[6]), (&all[..], &end(6)));
        // Who was removed, up to that.
        let told = world.page_down(cat, group, 9, 256);
        assert_eq!((&told[..3], &told[3]), (&all[3..], &end(3)));
        // Who came later, from then on; its own entry is among them.
        let told = world.page_down(dan, group, 9, 256);
        let mine = ["past own @6 4 three".to_owned(), all[1].clone(), end(6)];
        assert_eq!(told, mine);
        // Who came back has a hole.
        world.change(ann, group, 6, Action::Add, &[3], b"");
        let told = world.page_down(cat, group, 9, 256);
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told[0].starts_with("past @7"));
        assert_eq!((&told[1..4], &told[4]), (&all[3..], &end(7)));
    }
}

#[test]
fn strangers_can_not_tell_a_group_from_none() {
    let mut world = World::of_cores(2, |_| {});
    let (group, _) = three(&mut world);
    let eve = world.join(9, 1);
    for number in [group, group ^ 1, 77] {
        let nothing = [format!("group {number} gone @0"), "end @1 to @0".to_owned()];
        assert_eq!(world.page_down(eve, number, 9, 9), nothing);
    }
    // The next question isn't held up by that.
    assert_eq!(world.page_down(eve, 0, 9, 9), ["end @1 to @0"]);
    // Nor is a group read because of one who isn't in it.
    world.crash();
    let eve = world.join(9, 1);
    let nothing = [format!("group {group} gone @0"), "end @1 to @0".to_owned()];
    assert_eq!(world.page_down(eve, group, 9, 9), nothing);
    assert!(world.cores.iter().all(|core| core.shard.groups.len() == 0), "nothing was loaded");
}

#[test]
fn who_is_being_added_reads_nothing_until_that_is_stored() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    world.change(ann, group, 2, Action::ShowHistory, &[], b"\x01");
    world.say(ann, group, 3, "before");
    let dan = world.log_in(4, 1);
    world.told(dan);
    world.holds_stores = true;
    world.change(ann, group, 4, Action::Add, &[4], b"");
    // The notice is stored, the change isn't.
    world.store_one(0);
    world.settle();
    assert_eq!(world.page_down(dan, group, 9, 9), [] as [String; 0]);
    world.holds_stores = false;
    world.store();
    let told = world.told(dan);
    assert!(told.iter().any(|told| told.ends_with("1 before")), "{told:?}");
}

#[test]
fn a_page_of_a_group_is_found_after_a_crash() {
    let mut world = World::of_cores(2, |_| {});
    let (group, [ann, ..]) = three(&mut world);
    world.say(ann, group, 2, "one");
    world.crash();
    let bob = world.join(2, 1);
    let told = world.page_down(bob, group, 2, 1);
    assert_eq!(told, ["past @2 1 one", "end @2 to @2, more"]);
}

#[test]
fn devices_that_take_nothing_hold_so_much_of_all_pages_and_then_pages_are_short() {
    const BODY_BYTES: usize = 60_000;
    let mut world = World::with(keeping);
    let ann = world.log_in(1, 1);
    for number in 1..=2 {
        world.send_large(ann, 2, number, &vec![b'x'; BODY_BYTES]);
    }
    let values: Vec<_> = world.disk.entries(2).map(|(_, value)| value).collect();
    let users = 1_000..1_000 + (PAGES_BYTES_MAX / (2 * BODY_BYTES)) as u64 + 1;
    for user in users.clone() {
        let log = LogId::Inbox(user);
        let key = |position| Key::Entry { log, position };
        let puts =
            (1..).zip(&values).map(|(at, value)| Write::Put { key: key(at), value: value.clone() });
        world.disk.commit(puts.collect());
    }
    let mut slow = Vec::new();
    for user in users {
        let c = world.log_in_from(user, 1, 2);
        world.stall(c);
        world.ask_page(c, 0, (1, 2), 9, false);
        slow.push(c);
    }
    let c = world.log_in_from(2, 1, 2);
    world.told(c);
    world.ask_page(c, 0, (1, 2), 9, false);
    assert_eq!(world.told(c).last().expect("an end"), "end @1 to @1, more");
    // Who takes its page, or goes, makes room.
    for c in slow.drain(..2) {
        world.unstall(c);
        assert_eq!(world.told(c).last().expect("an end"), "end @1 to @2");
    }
    for c in slow {
        world.hang_up(c);
    }
    world.ask_page(c, 0, (1, 2), 9, false);
    assert_eq!(world.told(c).last().expect("an end"), "end @1 to @2");
    assert_eq!(world.shard().pages_bytes, 0);
}
