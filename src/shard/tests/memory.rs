//! What is let go from memory comes back as it was, and what is in storage is all that counts.

use bytes::Bytes;

use super::world::{Happening, World, send};
use crate::limits::WARM_MS;
use crate::shard::{Key, Load, LogId};

/// Time after which unused state has been let go.
const LET_GO_MS: u64 = WARM_MS + 2_000;

/// A world in which 1 sent three messages to 2, who acknowledged two and read one.
fn with_state() -> World {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b"), send(2, 7, "c")]);
    world.ack(bob, 2);
    world.read(bob, 1, 1);
    world.hang_up(ann);
    world.hang_up(bob);
    world
}

/// What `with_state` left is known: head, cursor, numbers, ordinals and receipts.
fn check_state(world: &mut World) {
    let bob = world.log_in_from(2, 1, 1);
    world.expect(bob, &["welcome 3", "skip @2", "deliver @3 1#3 c"]);
    let ann = world.log_in(1, 1);
    world.ask(ann, 2);
    world.expect(ann, &["own receipt 2 delivered 0 read 0", "receipt 2 delivered 2 read 1"]);
    world.frames(ann, &[send(2, 7, "c"), send(2, 3, "stale"), send(2, 8, "d")]);
    world.expect(ann, &["sent 2 n7 #3", "rejected 2 n3 stale_number", "sent 2 n8 #4"]);
    world.expect(bob, &["deliver @4 1#4 d"]);
}

#[test]
fn what_nobody_uses_is_let_go_and_comes_back_as_it_was() {
    let mut world = with_state();
    world.pass(LET_GO_MS);
    let counters = world.shard().counters();
    assert_eq!((counters.users_warm, counters.conversations_warm), (0, 0));
    assert!(counters.evictions >= 3);
    check_state(&mut world);
}

#[test]
fn what_is_stored_survives_a_restart() {
    let mut world = with_state();
    world.pass(1_000);
    world.crash();
    check_state(&mut world);
}

#[test]
fn a_shutdown_stores_what_moved_and_tells_every_client() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frames(ann, &[send(2, 1, "a"), send(2, 2, "b"), send(2, 7, "c")]);
    world.ack(bob, 2);
    world.read(bob, 1, 1);
    world.told(ann);
    world.told(bob);
    world.shut_down();
    world.expect(ann, &["goodbye shutting_down"]);
    world.expect(bob, &["goodbye shutting_down"]);
    assert!(world.shard().is_drained());
    world.crash();
    check_state(&mut world);
}

#[test]
fn a_shutdown_waits_for_what_is_not_stored() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.holds_stores = true;
    world.send(ann, 2, 1, "a");
    world.shut_down();
    assert!(!world.shard().is_drained());
    world.store();
    assert!(world.shard().is_drained());
    world.crash();
    world.holds_stores = false;
    let bob = world.log_in(2, 1);
    world.expect(bob, &["deliver @1 1#1 a"]);
}

#[test]
fn what_is_not_stored_is_not_let_go() {
    let mut world = with_state();
    world.pass(1_000);
    world.holds_stores = true;
    let ann = world.log_in(1, 1);
    world.told(ann);
    world.send(ann, 2, 8, "d");
    world.hang_up(ann);
    world.pass(LET_GO_MS);
    assert!(world.shard().loaded_user(2).is_some());
    world.store();
    world.holds_stores = false;
    world.pass(LET_GO_MS);
    assert!(world.shard().loaded_user(2).is_none());
    let bob = world.log_in(2, 1);
    world.expect(bob, &["skip @2", "deliver @3 1#3 c", "deliver @4 1#4 d"]);
}

#[test]
fn a_cursor_and_a_receipt_whose_commit_is_late_are_not_let_go() {
    let mut world = with_state();
    world.pass(1_000);
    let bob = world.log_in(2, 1);
    world.holds_stores = true;
    world.ack(bob, 3);
    world.hang_up(bob);
    world.pass(LET_GO_MS);
    assert!(world.shard().loaded_user(2).is_some());
    let bob = world.log_in_from(2, 1, 0);
    world.expect(bob, &["welcome 3", "skip @3"]);
    let ann = world.log_in(1, 1);
    world.ask(ann, 2);
    world.expect(ann, &["own receipt 2 delivered 0 read 0", "receipt 2 delivered 3 read 1"]);
}

#[test]
fn a_user_who_is_logged_in_is_not_let_go() {
    let mut world = World::with(|config| config.idle_s = 1_000);
    let bob = world.log_in(2, 1);
    world.pass(2 * LET_GO_MS);
    assert!(world.shard().loaded_user(2).is_some());
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 1, "a");
    world.expect(bob, &["deliver @1 1#1 a"]);
}

#[test]
fn a_conversation_that_was_let_go_is_loaded_for_an_acknowledgement() {
    let mut world = World::with(|config| config.idle_s = 1_000);
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.send(ann, 2, 1, "a");
    world.told(ann);
    world.pass(LET_GO_MS);
    assert_eq!(world.shard().counters().conversations_warm, 0);
    world.ack(bob, 1);
    world.expect(ann, &["receipt 2 delivered 1 read 0"]);
}

#[test]
fn however_many_inboxes_moved_their_records_are_soon_stored() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    for peer in 2..=5_001 {
        world.send(ann, peer, 1, "a");
    }
    // A turn now and then, as of a core that has very much to do in each.
    world.holds_stores = true;
    world.pass(10_000);
    world.store();
    assert_eq!(world.shard().dirty.len(), 0);
    let stored = (2..=5_001)
        .filter(|&user| world.disk.get(Key::State { log: LogId::Inbox(user) }).is_some());
    assert_eq!(stored.count(), 5_000);
}

/// What no record looks like: it ends within a number.
const DAMAGED: Bytes = Bytes::from_static(&[1, 0xff]);

#[test]
#[should_panic(expected = "inbox of 2")]
fn a_damaged_inbox_record_stops_the_core() {
    let mut world = with_state();
    world.pass(1_000);
    world.crash();
    world.disk.overwrite(Key::State { log: LogId::Inbox(2) }, DAMAGED);
    world.log_in(2, 1);
}

#[test]
#[should_panic(expected = "conversation of 2 with 1")]
fn a_damaged_conversation_record_stops_the_core() {
    let mut world = with_state();
    world.pass(1_000);
    world.crash();
    world.disk.overwrite(Key::Conversation { log: LogId::Inbox(2), peer: 1 }, DAMAGED);
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 8, "d");
}

#[test]
fn a_damaged_message_ends_the_connection_and_is_not_passed_over() {
    let mut world = with_state();
    world.pass(1_000);
    world.disk.overwrite(Key::Entry { log: LogId::Inbox(2), position: 3 }, DAMAGED);
    let bob = world.log_in_from(2, 1, 2);
    world.expect(bob, &["welcome 3", "goodbye internal"]);
    let bob = world.log_in_from(2, 1, 2);
    world.expect(bob, &["welcome 3", "goodbye internal"]);
}

#[test]
fn an_answer_of_storage_that_nobody_waits_for_changes_nothing() {
    let mut world = with_state();
    world.pass(LET_GO_MS);
    let load = |user| Load::Log { log: LogId::Inbox(user), expire_through_ms: 0 };
    let inbox = world.disk.answer(load(2));
    world.happen(0, Happening::Loaded(inbox));
    let conversation = world.disk.answer(Load::Conversation { log: LogId::Inbox(2), peer: 1 });
    world.happen(0, Happening::Loaded(conversation));
    assert_eq!(world.shard().counters().users_warm, 0);
    check_state(&mut world);
}

#[test]
fn what_is_worked_on_is_not_let_go_although_memory_is_short() {
    let mut world = World::with(|config| config.conversations_warm_max = 3);
    let ann = world.log_in(1, 1);
    world.send(ann, 2, 1, "a");
    world.crash();
    let ann = world.log_in(1, 1);
    // Two that are looked at first.
    world.send(ann, 3, 3, "c");
    world.told(ann);
    // The answer to the first one loads the conversation of the other direction, with the second in between.
    world.frames(ann, &[send(2, 1, "a"), send(2, 4, "b")]);
    world.expect(ann, &["sent 2 n1 #1", "sent 2 n4 #2"]);
    let bob = world.log_in(2, 1);
    world.expect(bob, &["deliver @1 1#1 a", "deliver @2 1#2 b"]);
}
