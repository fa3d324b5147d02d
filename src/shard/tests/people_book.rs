//! Books: what is put is told to all devices once it is durable, and a device that comes back gets what it
//! lacks.

use fulmar_protocol::Frame;

use super::world::{C, World};
use crate::limits::{BOOK_REMOVED_MAX, OUTPUT_HIGH_BYTES, WARM_MS};
use crate::shard::Key;

fn put(world: &mut World, c: C, key: &str, value: &str) {
    world.frame(c, &Frame::Put { item: 128, key: key.as_bytes(), value: value.as_bytes() });
}

fn resume(world: &mut World, c: C, version: u64) {
    world.frame(c, &Frame::BookResume { version });
}

#[test]
fn a_put_is_told_to_every_device_that_follows_once_it_is_stored() {
    let mut world = World::new();
    let [phone, tablet, laptop] = [1, 2, 3].map(|device| world.log_in(1, device));
    let bob = world.log_in(2, 1);
    resume(&mut world, tablet, 0);
    world.expect(tablet, &["book 0 of 0"]);
    world.holds_stores = true;
    put(&mut world, phone, "a", "1");
    world.expect(phone, &[]);
    world.expect(tablet, &[]);
    world.holds_stores = false;
    world.store();
    world.expect(phone, &["item v1 128/a = 1"]);
    world.expect(tablet, &["item v1 128/a = 1"]);
    world.expect(laptop, &[]);
    world.expect(bob, &[]);
    put(&mut world, tablet, "a", "");
    world.expect(phone, &[]);
    world.expect(tablet, &["item v2 128/a = "]);
}

#[test]
fn what_was_ticked_is_there_after_a_crash_and_what_was_not_is_not() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    put(&mut world, phone, "a", "1");
    world.expect(phone, &["item v1 128/a = 1"]);
    world.holds_stores = true;
    put(&mut world, phone, "a", "2");
    resume(&mut world, phone, 0);
    // Not even the page may tell of what isn't stored.
    world.expect(phone, &[]);
    world.holds_stores = false;
    world.crash();
    let phone = world.log_in(1, 1);
    resume(&mut world, phone, 0);
    world.expect(phone, &["item v1 128/a = 1", "book 1 of 1"]);
    put(&mut world, phone, "a", "2");
    world.expect(phone, &["item v2 128/a = 2"]);
}

#[test]
fn a_put_that_changes_nothing_is_answered_with_what_is() {
    let mut world = World::new();
    let [phone, tablet] = [1, 2].map(|device| world.log_in(1, device));
    resume(&mut world, tablet, 0);
    put(&mut world, phone, "a", "1");
    put(&mut world, phone, "b", "1");
    world.told(tablet);
    world.told(phone);
    let commits = world.disk.commits;
    put(&mut world, phone, "a", "1");
    put(&mut world, phone, "c", "");
    world.expect(phone, &["item v1 128/a = 1", "item v2 128/c = "]);
    world.expect(tablet, &[]);
    assert_eq!(world.disk.commits, commits);
}

#[test]
fn puts_of_one_turn_are_one_record() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    put(&mut world, phone, "0", "0");
    world.told(phone);
    let commits = world.disk.commits;
    let puts =
        ["a", "b", "c"].map(|key| Frame::Put { item: 128, key: key.as_bytes(), value: b"x" });
    world.frames(phone, &puts);
    let told = ["item v2 128/a = x", "item v3 128/b = x", "item v4 128/c = x"];
    world.expect(phone, &told);
    assert_eq!(world.disk.commits, commits + 1);
}

#[test]
fn a_device_gets_what_it_lacks_in_pages() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    for nth in 0..100 {
        put(&mut world, phone, &format!("{nth:02}"), &"v".repeat(900));
    }
    world.told(phone);
    world.hang_up(phone);
    world.pass(2 * WARM_MS);
    assert_eq!(world.shard().counters().sessions, 0);
    let tablet = world.log_in(1, 2);
    let (mut version, mut items) = (0, 0);
    loop {
        resume(&mut world, tablet, version);
        let told = world.told(tablet);
        let (end, page) = told.split_last().expect("the end of a page");
        assert!(page.len() <= 20, "{} items in a page", page.len());
        items += page.len();
        let reached = end.strip_prefix("book ").and_then(|end| end.strip_suffix(" of 100"));
        version = reached.expect("a version").parse().expect("a version");
        if version == 100 {
            break;
        }
    }
    assert_eq!(items, 100);
    resume(&mut world, tablet, 40);
    let told = world.told(tablet);
    assert!(told[0].starts_with("item v41 "), "{}", told[0]);
}

#[test]
fn a_device_that_was_away_for_too_many_removals_begins_anew() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    put(&mut world, phone, "kept", "1");
    for nth in 0..=BOOK_REMOVED_MAX {
        put(&mut world, phone, &nth.to_string(), "1");
        put(&mut world, phone, &nth.to_string(), "");
    }
    world.told(phone);
    let tablet = world.log_in(1, 2);
    let head = 1 + 2 * (BOOK_REMOVED_MAX as u64 + 1);
    for version in [1, head + 1, u64::MAX] {
        resume(&mut world, tablet, version);
        world.expect(tablet, &[&format!("book reset, of {head}")]);
    }
    resume(&mut world, tablet, head);
    world.expect(tablet, &[&format!("book {head} of {head}")]);
}

#[test]
fn what_cannot_be_is_rejected_and_nothing_changes() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    for (item, key, value, told) in [
        (7, &b"a"[..], &b"1"[..], "put 7/a rejected bad_item"),
        (2, b"\0", b"\x01", "put 2/\\x00 rejected bad_item"),
        (6, b"", b"A", "put 6/ rejected bad_name"),
    ] {
        world.frame(phone, &Frame::Put { item, key, value });
        world.expect(phone, &[told]);
    }
    assert!(world.disk.get(Key::Book { user: 1 }).is_none());
    let value = [b'v'; 1_024];
    for nth in 0..200 {
        let key = format!("{nth:03}");
        world.frame(phone, &Frame::Put { item: 200, key: key.as_bytes(), value: &value });
    }
    let told = world.told(phone);
    assert!(told[100].starts_with("item v101 "));
    assert_eq!(told[199], "put 200/199 rejected book_full");
    // Less is always possible.
    world.frame(phone, &Frame::Put { item: 200, key: b"000", value: b"" });
    assert!(world.told(phone)[0].ends_with(" 200/000 = "));
}

#[test]
fn a_device_that_does_not_read_is_told_that_it_missed_something() {
    let mut world = World::new();
    let [phone, tablet] = [1, 2].map(|device| world.log_in(1, device));
    resume(&mut world, tablet, 0);
    put(&mut world, phone, "first", "1");
    world.expect(tablet, &["book 0 of 0", "item v1 128/first = 1"]);
    world.stall(tablet);
    let value = "v".repeat(1_000);
    let puts = 3 * OUTPUT_HIGH_BYTES / value.len();
    for nth in 0..puts {
        put(&mut world, phone, &(nth % 3).to_string(), &value[nth / 3..]);
    }
    world.unstall(tablet);
    let told = world.told(tablet);
    let last = told.last().expect("something").clone();
    let reached = last.strip_prefix("book ").and_then(|end| end.split(' ').next());
    let reached: u64 = reached.expect("how far it is").parse().expect("a version");
    assert!(reached < puts as u64 + 1, "{last}");
    assert!(told[told.len() - 2].starts_with(&format!("item v{reached} ")), "{told:?}");
    resume(&mut world, tablet, reached);
    let told = world.told(tablet);
    assert_eq!(told.len(), 4, "{told:?}");
    put(&mut world, phone, "last", "1");
    assert_eq!(world.told(tablet).len(), 1);
}

#[test]
fn a_session_with_many_puts_under_way_is_read_later() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    world.holds_loads = true;
    let puts = [Frame::Put { item: 128, key: b"a", value: b"1" }; 40];
    world.frames(phone, &puts);
    assert!(world.clients[phone].is_paused);
    world.holds_loads = false;
    world.load();
    assert_eq!(world.told(phone).len(), 40);
    assert!(!world.clients[phone].is_paused);
}

#[test]
#[should_panic(expected = "book of 1")]
fn a_damaged_book_is_not_taken_for_an_empty_one() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    world.disk.overwrite(Key::Book { user: 1 }, bytes::Bytes::from_static(&[1, 2]));
    resume(&mut world, phone, 0);
}

#[test]
fn a_fresh_device_of_a_book_with_forgotten_removals_gets_it_all() {
    let mut world = World::new();
    let phone = world.log_in(1, 1);
    for nth in 0..40 {
        put(&mut world, phone, &format!("{nth:02}"), &"v".repeat(900));
    }
    for nth in 0..=BOOK_REMOVED_MAX {
        put(&mut world, phone, &format!("r{nth}"), "1");
        put(&mut world, phone, &format!("r{nth}"), "");
    }
    world.told(phone);
    let tablet = world.log_in(1, 2);
    let mut version = 0;
    for _ in 0..10 {
        resume(&mut world, tablet, version);
        let told = world.told(tablet);
        let end = told.last().expect("the end").clone();
        let Some(rest) = end.strip_prefix("book ") else { panic!("{end}") };
        if rest.starts_with("reset") {
            version = 0;
            continue;
        }
        let (reached, head) = rest.split_once(" of ").expect("of");
        version = reached.parse().expect("a version");
        if reached == head {
            return;
        }
    }
    panic!("never through");
}

#[test]
fn an_own_tick_does_not_hide_what_was_missed() {
    let mut world = World::new();
    let [phone, tablet] = [1, 2].map(|device| world.log_in(1, device));
    resume(&mut world, tablet, 0);
    world.told(tablet);
    world.stall(tablet);
    let value = "v".repeat(1_000);
    for nth in 0..OUTPUT_HIGH_BYTES / 1_000 - 1 {
        put(&mut world, phone, &(nth % 3).to_string(), &value[nth / 3..]);
    }
    world.holds_stores = true;
    for nth in 0..8 {
        put(&mut world, phone, &format!("late {nth}"), &value);
    }
    put(&mut world, tablet, "own", "1");
    assert!(!world.clients[tablet].is_paused);
    world.holds_stores = false;
    world.store();
    world.unstall(tablet);
    let mut told = world.told(tablet);
    // Its cursor is what the newest BOOK says, which is below the head, so later items don't move it.
    let reached = told.iter().rev().find_map(|line| line.strip_prefix("book "));
    let reached = reached.and_then(|end| end.split(' ').next());
    let reached: u64 = reached.expect("how far it is").parse().expect("a version");
    resume(&mut world, tablet, reached);
    told.extend(world.told(tablet));
    for nth in 0..8 {
        assert!(
            told.iter().any(|line| line.contains(&format!("128/late {nth}"))),
            "late {nth} is lost"
        );
    }
}

#[test]
fn what_a_page_brought_is_not_said_to_be_missed() {
    let mut world = World::new();
    let [phone, tablet] = [1, 2].map(|device| world.log_in(1, device));
    resume(&mut world, tablet, 0);
    world.told(tablet);
    world.stall(tablet);
    let value = "v".repeat(1_000);
    for nth in 0..OUTPUT_HIGH_BYTES / 1_000 - 1 {
        put(&mut world, phone, &(nth % 3).to_string(), &value[nth / 3..]);
    }
    let head = OUTPUT_HIGH_BYTES as u64 / 1_000;
    world.holds_stores = true;
    for nth in 0..8 {
        put(&mut world, phone, &format!("late {nth}"), &value);
    }
    // Its page is fixed now and comes behind the changes, which don't fit any more.
    resume(&mut world, tablet, head - 1);
    world.holds_stores = false;
    world.store();
    world.unstall(tablet);
    let told = world.told(tablet);
    let last = told.iter().rposition(|line| line.starts_with("book ")).expect("a page");
    assert_eq!(told[last], format!("book {0} of {0}", head + 7), "and nothing beyond that");
}
