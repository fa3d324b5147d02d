//! Blocks: what the blocked sends is ticked and never delivered, and nothing tells it so.

use fulmar_protocol::people::{audience, item, privacy, user_key};
use fulmar_protocol::{Frame, Numbers};

use super::world::{C, World, user_on};
use crate::limits::{PRESENCE_SETTLE_MS, WARM_MS};
use crate::shard::{Key, UserId};

const HERE: Frame<'_> = Frame::Activity { is_here: true };

fn put(world: &mut World, c: C, item: u8, user: UserId, value: &[u8]) {
    world.frame(c, &Frame::Put { item, key: &user_key(user), value });
}

fn block(world: &mut World, c: C, user: UserId) {
    put(world, c, item::BLOCK, user, &[1]);
    world.told(c);
}

fn unblock(world: &mut World, c: C, user: UserId) {
    put(world, c, item::BLOCK, user, b"");
    world.told(c);
}

fn watch(world: &mut World, c: C, user: UserId) {
    world.frame(c, &Frame::Watch { users: Numbers::Slice(&[user]) });
}

/// User 1 and user 2.
fn ann_and_bob() -> (World, C, C) {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    (world, ann, bob)
}

#[test]
fn what_the_blocked_sends_is_ticked_and_never_delivered() {
    let (mut world, ann, bob) = ann_and_bob();
    world.send(bob, 1, 1, "before");
    world.expect(bob, &["sent 1 n1 #1"]);
    world.expect(ann, &["deliver @1 2#1 before"]);
    block(&mut world, ann, 2);
    world.send(bob, 1, 2, "lost");
    world.send_large(bob, 1, 3, &vec![b'x'; 40_000]);
    world.expect(bob, &["sent 1 n2 #2", "sent 1 n3 #3"]);
    world.expect(ann, &[]);
    assert_eq!(world.disk.entries(1).count(), 1);
    // A repetition is recognised as ever.
    world.send(bob, 1, 2, "lost");
    world.expect(bob, &["sent 1 n2 #2"]);
    unblock(&mut world, ann, 2);
    world.send(bob, 1, 4, "after");
    world.expect(bob, &["sent 1 n4 #4"]);
    world.expect(ann, &["deliver @2 2#4 after"]);
}

#[test]
fn the_tick_waits_until_the_number_is_stored_and_a_crash_changes_nothing() {
    let (mut world, ann, bob) = ann_and_bob();
    block(&mut world, ann, 2);
    world.holds_stores = true;
    world.send(bob, 1, 1, "lost");
    world.expect(bob, &[]);
    world.holds_stores = false;
    world.store();
    world.expect(bob, &["sent 1 n1 #1"]);
    world.crash();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(bob, 1, 1, "lost");
    world.send(bob, 1, 2, "lost too");
    world.expect(bob, &["sent 1 n1 #1", "sent 1 n2 #2"]);
    world.expect(ann, &[]);
}

#[test]
fn the_block_and_what_it_does_are_stored_together() {
    let (mut world, ann, bob) = ann_and_bob();
    world.holds_stores = true;
    put(&mut world, ann, item::BLOCK, 2, &[1]);
    world.expect(ann, &[]);
    world.holds_stores = false;
    world.crash();
    let _ = bob;
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.frame(ann, &Frame::BookResume { version: 0 });
    world.expect(ann, &["book 0 of 0"]);
    world.send(bob, 1, 1, "there");
    world.expect(ann, &["deliver @1 2#1 there"]);
    let commits = world.disk.commits;
    world.holds_stores = true;
    put(&mut world, ann, item::BLOCK, 2, &[1]);
    assert!(world.store_one(0));
    world.holds_stores = false;
    world.settle();
    world.expect(ann, &["item v1 2/\\x02 = \\x01"]);
    assert_eq!(world.disk.commits, commits + 1);
    assert!(world.disk.get(Key::Book { user: 1 }).is_some());
}

#[test]
fn a_sender_with_several_devices_gets_its_copies() {
    let (mut world, ann, bob) = ann_and_bob();
    let tablet = world.log_in(2, 2);
    block(&mut world, ann, 2);
    world.send(bob, 1, 1, "lost");
    world.expect(bob, &["sent 1 n1 #1", "skip @1"]);
    world.expect(tablet, &["own @1 1#1 lost"]);
    world.expect(ann, &[]);
}

#[test]
fn a_full_inbox_says_so_to_the_blocked_too() {
    let mut world = World::with(|config| config.quota_messages = 1);
    let (ann, bob, eve) = (world.log_in(1, 1), world.log_in(2, 1), world.log_in(3, 1));
    block(&mut world, ann, 2);
    world.send(eve, 1, 1, "fills it");
    world.send(bob, 1, 1, "lost");
    world.expect(bob, &["rejected 1 n1 quota_exceeded"]);
}

#[test]
fn the_blocked_is_shown_no_receipt_any_more() {
    let (mut world, ann, bob) = ann_and_bob();
    world.send(bob, 1, 1, "read");
    world.send(bob, 1, 2, "delivered");
    world.send(bob, 1, 3, "on its way");
    world.ack(ann, 2);
    world.read(ann, 2, 1);
    world.told(bob);
    let before = "receipt 1 delivered 2 read 1";
    world.ask(bob, 1);
    assert!(world.told(bob).contains(&before.to_owned()));
    block(&mut world, ann, 2);
    world.ack(ann, 3);
    world.read(ann, 2, 3);
    world.send(bob, 1, 4, "lost");
    world.read(ann, 2, 4);
    world.pass(1_000);
    world.expect(bob, &["sent 1 n4 #4"]);
    world.ask(bob, 1);
    assert!(world.told(bob).contains(&before.to_owned()));
    // Neither after a crash.
    world.crash();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.ask(bob, 1);
    assert!(world.told(bob).contains(&before.to_owned()));
    // The own devices know.
    world.told(ann);
    world.ask(ann, 2);
    assert!(world.told(ann).contains(&"own receipt 2 delivered 4 read 4".to_owned()));
}

#[test]
fn typing_of_the_blocked_is_not_passed_on_and_that_of_others_is() {
    let (mut world, ann, bob) = ann_and_bob();
    let eve = world.log_in(3, 1);
    world.frame(ann, &HERE);
    block(&mut world, ann, 2);
    world.pass(2 * WARM_MS);
    world.frame(ann, &HERE);
    for (who, c) in [(2, bob), (3, eve)] {
        world.frame(c, &Frame::Typing { group: 0, user: 1, is_typing: true });
        let expected = if who == 2 { vec![] } else { vec!["typing 3".to_owned()] };
        assert_eq!(world.told(ann), expected);
    }
}

#[test]
fn the_blocked_sees_what_it_would_see_of_a_user_that_there_is_not() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (one, two) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let (ann, bob) = (world.log_in(one, 1), world.log_in(two, 1));
        world.frame(ann, &Frame::Put { item: item::PROFILE, key: &[0], value: b"Ann" });
        world.frame(ann, &HERE);
        block(&mut world, ann, two);
        let nobody = 1 << 40;
        for user in [one, nobody] {
            watch(&mut world, bob, user);
            world.expect(bob, &[&format!("presence {user} seen 0")]);
            world.frame(bob, &Frame::ProfileLook { user, version: 0 });
            world.expect(bob, &[&format!("profile {user} v0   ")]);
        }
        // Nothing of what happens is told either.
        world.frame(ann, &Frame::Put { item: item::PROFILE, key: &[0], value: b"Anna" });
        world.frame(ann, &Frame::Activity { is_here: false });
        world.pass(60_000);
        world.frame(ann, &HERE);
        world.pass(60_000);
        world.expect(bob, &[]);
    }
}

#[test]
fn a_watcher_who_is_blocked_sees_somebody_go_and_after_the_unblock_come_back() {
    let (mut world, ann, bob) = ann_and_bob();
    let eve = world.log_in(3, 1);
    world.frame(ann, &HERE);
    for c in [bob, eve] {
        watch(&mut world, c, 1);
        world.expect(c, &["presence 1 online"]);
    }
    block(&mut world, ann, 2);
    world.expect(bob, &["presence 1 seen 0"]);
    world.expect(eve, &[]);
    world.frame(ann, &Frame::Activity { is_here: false });
    world.pass(PRESENCE_SETTLE_MS + 30_000);
    world.expect(bob, &[]);
    assert_eq!(world.told(eve).len(), 1);
    world.frame(ann, &HERE);
    world.expect(eve, &["presence 1 online"]);
    unblock(&mut world, ann, 2);
    world.expect(bob, &["presence 1 online"]);
    world.expect(eve, &[]);
}

#[test]
fn a_block_outlives_the_memory_of_everything() {
    let (mut world, ann, bob) = ann_and_bob();
    block(&mut world, ann, 2);
    world.hang_up(ann);
    world.hang_up(bob);
    world.pass(10 * WARM_MS);
    let bob = world.log_in(2, 1);
    world.send(bob, 1, 1, "lost");
    watch(&mut world, bob, 1);
    world.expect(bob, &["sent 1 n1 #1", "presence 1 seen 0"]);
    let ann = world.log_in(1, 1);
    world.expect(ann, &[]);
}

#[test]
fn the_blocker_may_write_and_nobody_blocks_itself() {
    let (mut world, ann, bob) = ann_and_bob();
    put(&mut world, ann, item::BLOCK, 1, &[1]);
    world.expect(ann, &["put 2/\\x01 rejected bad_item"]);
    block(&mut world, ann, 2);
    world.send(ann, 2, 1, "goodbye");
    world.expect(ann, &["sent 2 n1 #1"]);
    world.expect(bob, &["deliver @1 1#1 goodbye"]);
    world.ack(bob, 1);
    world.expect(ann, &["receipt 2 delivered 1 read 0"]);
}

#[test]
fn a_block_waits_for_receipts_that_the_inbox_must_not_overtake() {
    let (mut world, ann, bob) = ann_and_bob();
    world.send(bob, 1, 1, "hello");
    world.expect(ann, &["deliver @1 2#1 hello"]);
    world.pass(2 * WARM_MS);
    world.holds_loads = true;
    // The conversation has to be read before the receipt is noted.
    world.ack(ann, 1);
    put(&mut world, ann, item::BLOCK, 3, &[1]);
    world.pass(1_000);
    world.expect(ann, &[]);
    world.holds_loads = false;
    world.load();
    world.expect(ann, &["item v1 2/\\x03 = \\x01"]);
}

/// All that the blocked can do, against somebody who blocks it and is busy, and against somebody who was
/// never there: the same frames in the same order.
#[test]
fn the_blocked_cannot_tell_the_blocker_from_somebody_who_is_away() {
    for cores in [1, 3] {
        let [blocked, away] = [true, false].map(|blocks| {
            let mut world = World::of_cores(cores, |_| {});
            let (one, two) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
            let ann = blocks.then(|| world.log_in(one, 1));
            let bob = world.log_in(two, 1);
            let tablet = world.log_in(two, 2);
            if let Some(ann) = ann {
                world.frame(ann, &Frame::Put { item: item::PROFILE, key: &[0], value: b"Ann" });
                world.frame(ann, &Frame::Put { item: item::USERNAME, key: b"", value: b"ann" });
                block(&mut world, ann, two);
                world.frame(ann, &HERE);
            }
            let mut told = Vec::new();
            for number in 1..=3 {
                world.send(bob, one, number, "hello");
                world.send_large(bob, one, 10 + number, &vec![b'x'; 40_000]);
                if let Some(ann) = ann {
                    world.read(ann, two, 2 * number);
                    world.send(ann, 1 << 40, number, "busy");
                    world.frame(ann, &HERE);
                }
                world.send(bob, one, number, "hello");
                world.ask(bob, one);
                watch(&mut world, bob, one);
                world.frame(bob, &Frame::Typing { group: 0, user: one, is_typing: true });
                world.frame(bob, &Frame::ProfileLook { user: one, version: 0 });
                world.frame(bob, &Frame::Find { name: b"ann" });
                world.pass(61_000);
                told.push((world.told(bob), world.told(tablet)));
            }
            told
        });
        assert_eq!(blocked, away);
    }
}

#[test]
fn what_was_put_last_holds_whatever_it_waits_for() {
    let (mut world, ann, _) = ann_and_bob();
    block(&mut world, ann, 2);
    let nobody = [audience::NOBODY];
    let everybody = [audience::EVERYBODY];
    let privacy = |value| Frame::Put { item: item::PRIVACY, key: &[privacy::ONLINE], value };
    world.frame(ann, &privacy(&nobody));
    let carl = world.log_in(3, 1);
    world.send(carl, 1, 1, "hello");
    world.pass(1_000);
    world.crash();
    let ann = world.log_in(1, 1);
    world.frame(ann, &Frame::BookResume { version: 0 });
    world.told(ann);
    // The conversations with 2 and 3 can't be read yet, and a receipt about 3 waits.
    world.holds_loads = true;
    world.ack(ann, 1);
    put(&mut world, ann, item::BLOCK, 2, b"");
    put(&mut world, ann, item::BLOCK, 2, &[1]);
    world.frame(ann, &privacy(&everybody));
    world.frame(ann, &privacy(&nobody));
    world.expect(ann, &[]);
    world.holds_loads = false;
    world.load();
    let privacy = ["item v3 1/\\x01 = \\x02", "item v4 1/\\x01 = \\x00"];
    let block = ["item v5 2/\\x02 = ", "item v6 2/\\x02 = \\x01"];
    world.expect(ann, &[privacy, block].concat());
    let bob = world.log_in(2, 1);
    world.send(bob, 1, 9, "not to be seen");
    world.expect(ann, &[]);
    watch(&mut world, bob, 1);
    let shown = world.told(bob).join(" ");
    assert!(!shown.contains("online"), "{shown}");
}
