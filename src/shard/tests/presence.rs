//! Who is there: what makes somebody online, what watchers are told and when, and what is stored.

use fulmar_protocol::{Frame, Numbers};

use super::world::{BEGIN, C, World, send, user_on};
use crate::limits::{
    CORE_WATCHES_MAX, PEOPLE_WARM_MAX, PRESENCE_NOTE_MS, PRESENCE_READS_MAX, PRESENCE_SETTLE_MS,
    WATCHED_MAX,
};
use crate::shard::{Key, UserId};

const INTERVAL_MS: u64 = 30_000;
const HERE: Frame<'_> = Frame::Activity { is_here: true };
const AWAY: Frame<'_> = Frame::Activity { is_here: false };

fn watch(world: &mut World, c: C, users: &[UserId]) {
    world.frame(c, &Frame::Watch { users: Numbers::Slice(users) });
}

fn unwatch(world: &mut World, c: C, users: &[UserId]) {
    world.frame(c, &Frame::Unwatch { users: Numbers::Slice(users) });
}

/// User 1, who watches 2, and user 2.
fn watcher_and_watched() -> (World, C, C) {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    watch(&mut world, ann, &[2]);
    world.expect(ann, &["presence 2 seen 0"]);
    (world, ann, bob)
}

/// "presence 2 seen" so long after the begin.
fn seen(user: UserId, after_ms: u64) -> String {
    format!("presence {user} seen {}", BEGIN.unix_ms + after_ms)
}

#[test]
fn a_watcher_is_told_what_holds_and_what_changes() {
    let (mut world, ann, bob) = watcher_and_watched();
    world.frame(bob, &HERE);
    world.expect(ann, &["presence 2 online"]);
    assert_eq!(world.shard().counters().users_online, 1);
    world.pass(INTERVAL_MS);
    world.pass(PRESENCE_SETTLE_MS);
    world.expect(ann, &[&seen(2, 0)]);
    assert_eq!(world.shard().counters().users_online, 0);
    watch(&mut world, ann, &[2]);
    world.expect(ann, &[&seen(2, 0)]);
    unwatch(&mut world, ann, &[2]);
    world.frame(bob, &HERE);
    world.expect(ann, &[]);
}

#[test]
fn only_a_session_that_said_so_makes_a_person_online() {
    let (mut world, ann, bob) = watcher_and_watched();
    world.send(bob, 3, 1, "a");
    world.pass(PRESENCE_SETTLE_MS);
    world.expect(ann, &[&seen(2, 0)]);
    let tablet = world.log_in(2, 2);
    world.frame(tablet, &HERE);
    world.pass(INTERVAL_MS);
    assert_eq!(world.shard().counters().users_online, 0);
}

#[test]
fn one_message_right_after_the_other_is_noted_once() {
    let (mut world, ann, bob) = watcher_and_watched();
    world.send(bob, 3, 1, "a");
    world.pass(PRESENCE_NOTE_MS - 1);
    world.send(bob, 3, 2, "b");
    world.pass(PRESENCE_SETTLE_MS);
    world.expect(ann, &[&seen(2, 0)]);
    world.pass(INTERVAL_MS);
    world.send(bob, 3, 3, "c");
    world.pass(PRESENCE_NOTE_MS);
    world.send(bob, 3, 4, "d");
    world.pass(PRESENCE_SETTLE_MS + 1);
    let last_ms = (PRESENCE_NOTE_MS - 1) + PRESENCE_SETTLE_MS + INTERVAL_MS + PRESENCE_NOTE_MS;
    world.expect(ann, &[&seen(2, last_ms)]);
}

#[test]
fn what_comes_right_before_the_activity_does_not_delay_it() {
    let (mut world, ann, bob) = watcher_and_watched();
    world.send(bob, 3, 1, "a");
    world.pass(1_000);
    world.frame(bob, &HERE);
    world.expect(ann, &["presence 2 online"]);
}

#[test]
fn what_a_person_does_keeps_them_online_and_what_a_program_does_not() {
    for (frame, keeps) in [
        (send(3, 1, "a"), true),
        (Frame::Read { peer: 1, ordinal: 1 }, true),
        (Frame::Ping, false),
        (Frame::Ack { position: 0 }, false),
        (Frame::Watch { users: Numbers::EMPTY }, false),
    ] {
        let (mut world, _, bob) = watcher_and_watched();
        world.frame(bob, &HERE);
        world.pass(INTERVAL_MS - 1_000);
        world.frame(bob, &frame);
        world.pass(INTERVAL_MS - 1_000);
        let is_online = world.shard().counters().users_online == 1;
        assert_eq!(is_online, keeps, "{frame:?}");
    }
}

#[test]
fn going_away_ends_it_unless_another_device_is_here() {
    let (mut world, ann, bob) = watcher_and_watched();
    let tablet = world.log_in(2, 2);
    world.frame(bob, &HERE);
    world.expect(ann, &["presence 2 online"]);
    world.frame(tablet, &HERE);
    world.frame(bob, &AWAY);
    world.frame(bob, &AWAY);
    assert_eq!(world.shard().counters().users_online, 1);
    world.pass(1_000);
    world.hang_up(tablet);
    world.turn_of_each();
    assert_eq!(world.shard().counters().users_online, 0);
    world.pass(INTERVAL_MS);
    world.expect(ann, &[&seen(2, 0)]);
}

#[test]
fn a_phone_that_flaps_makes_one_change_in_an_interval() {
    let (mut world, ann, mut bob) = watcher_and_watched();
    world.frame(bob, &HERE);
    world.expect(ann, &["presence 2 online"]);
    for _ in 0..5 {
        world.frame(bob, &AWAY);
        world.pass(2_000);
        world.frame(bob, &HERE);
        world.hang_up(bob);
        world.pass(2_000);
        bob = world.log_in(2, 1);
        world.frame(bob, &HERE);
        world.pass(1_000);
    }
    world.frame(bob, &AWAY);
    world.expect(ann, &[]);
    world.pass(INTERVAL_MS);
    world.expect(ann, &[&seen(2, 25_000)]);
    assert_eq!(world.shard().counters().presence_told, 2);
}

#[test]
fn at_most_one_change_is_told_in_an_interval_and_the_last_state_arrives() {
    let (mut world, ann, bob) = watcher_and_watched();
    let mut told_ms = Vec::new();
    let mut last = String::new();
    for step in 0..600 {
        let frame = if step % 90 < 40 { HERE } else { AWAY };
        if step < 400 {
            world.frame(bob, &frame);
        }
        world.pass(250);
        for words in world.told(ann) {
            told_ms.push(world.now.mono_ms);
            last = words;
        }
    }
    assert!(told_ms.len() >= 4, "{told_ms:?}");
    assert!(told_ms.windows(2).all(|pair| pair[1] - pair[0] >= INTERVAL_MS), "{told_ms:?}");
    assert_eq!(last, seen(2, 399 * 250));
}

#[test]
fn a_connection_that_is_replaced_is_not_seen_to_go() {
    let (mut world, ann, bob) = watcher_and_watched();
    world.frame(bob, &HERE);
    world.pass(INTERVAL_MS - 1_000);
    world.frame(bob, &HERE);
    world.expect(ann, &["presence 2 online"]);
    world.pass(2_000);
    world.hang_up(bob);
    world.pass(PRESENCE_SETTLE_MS - 500);
    let bob = world.log_in(2, 1);
    world.frame(bob, &HERE);
    world.pass(INTERVAL_MS - 1_000);
    world.expect(ann, &[]);
}

#[test]
fn last_seen_is_stored_once_in_an_interval_and_survives_a_crash() {
    let (mut world, _, bob) = watcher_and_watched();
    let commits = world.disk.commits;
    for _ in 0..60 {
        world.frame(bob, &HERE);
        world.pass(1_000);
    }
    assert_eq!(world.disk.commits - commits, 2);
    world.crash();
    let ann = world.log_in(1, 1);
    watch(&mut world, ann, &[2]);
    let told = world.told(ann).pop().expect("an answer");
    let seen_ms: u64 = told.rsplit(' ').next().and_then(|ms| ms.parse().ok()).expect("a time");
    assert!(seen_ms > BEGIN.unix_ms + 59_000 - INTERVAL_MS, "{told}");
    assert!(world.disk.get(Key::Presence { user: 1 }).is_none());
}

#[test]
fn last_seen_whose_commit_is_late_is_not_let_go() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frame(bob, &AWAY);
    world.holds_stores = true;
    world.pass(4 * INTERVAL_MS);
    assert_eq!(world.shard().people.len(), 1);
    watch(&mut world, ann, &[2]);
    world.expect(ann, &[&seen(2, 0)]);
    unwatch(&mut world, ann, &[2]);
    world.store();
    world.pass(2 * INTERVAL_MS);
    assert_eq!(world.shard().people.len(), 0);
}

#[test]
fn a_shutdown_stores_last_seen() {
    let (mut world, _, bob) = watcher_and_watched();
    world.pass(1_000);
    world.frame(bob, &HERE);
    world.shut_down();
    assert!(world.shard().is_drained());
    world.crash();
    let ann = world.log_in(1, 1);
    watch(&mut world, ann, &[2]);
    world.expect(ann, &[&seen(2, 1_000)]);
}

#[test]
fn a_damaged_record_is_as_good_as_none() {
    let (mut world, ann, _) = watcher_and_watched();
    world.disk.overwrite(Key::Presence { user: 3 }, bytes::Bytes::from_static(&[1, 2]));
    watch(&mut world, ann, &[3]);
    world.expect(ann, &["presence 3 seen 0"]);
}

#[test]
fn a_session_watches_so_many_people_and_no_more() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let all: Vec<UserId> = (0..=WATCHED_MAX as u64).map(|nth| 10 + nth).collect();
    watch(&mut world, ann, &all[..200]);
    watch(&mut world, ann, &all[200..]);
    // Everybody is answered; the one too many isn't watched.
    assert_eq!(world.told(ann).len(), WATCHED_MAX + 1);
    assert_eq!(world.shard().counters().watches, WATCHED_MAX as u64);
    assert_eq!(world.shard().watching.len(), WATCHED_MAX);
    let (first, last) = (all[0], all[WATCHED_MAX]);
    let last_bob = world.log_in(last, 1);
    world.frame(last_bob, &HERE);
    world.expect(ann, &[]);
    unwatch(&mut world, ann, &[first]);
    watch(&mut world, ann, &[last]);
    world.expect(ann, &[&format!("presence {last} online")]);
}

#[test]
fn a_core_watches_so_many_people_and_no_more() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.shard().counters.watches = CORE_WATCHES_MAX - 1;
    watch(&mut world, ann, &[2, 3]);
    assert_eq!(world.told(ann).len(), 2);
    assert_eq!(world.shard().watching.len(), 1);
    assert_eq!(world.shard().counters().watches, CORE_WATCHES_MAX);
}

#[test]
fn nothing_is_left_of_sessions_that_ended() {
    let mut world = World::of_cores(2, |_| {});
    let all: Vec<UserId> = (1_000..1_200).collect();
    let watchers: Vec<C> = (1..=20).map(|user| world.log_in(user, 1)).collect();
    for &c in &watchers {
        watch(&mut world, c, &all);
        world.frame(c, &HERE);
        assert_eq!(world.told(c).len(), all.len());
    }
    let people = |world: &World| -> Vec<usize> {
        world.cores.iter().map(|core| core.shard.people.len()).collect()
    };
    assert_eq!(people(&world).iter().sum::<usize>(), all.len() + watchers.len());
    for &c in &watchers {
        world.hang_up(c);
    }
    world.pass(3 * INTERVAL_MS);
    assert_eq!(people(&world), [0, 0]);
    for core in &world.cores {
        let counters = core.shard.counters();
        assert_eq!((counters.watches, counters.users_online), (0, 0));
        assert_eq!(core.shard.watching.len(), 0);
    }
}

#[test]
fn a_session_that_only_waits_for_messages_has_nothing_of_this() {
    let mut world = World::new();
    let bob = world.log_in(2, 1);
    world.frame(bob, &Frame::Ping);
    let conn = world.clients[bob].conn;
    assert!(world.shard().session(conn).is_some_and(|session| session.attention.is_none()));
    assert_eq!(world.shard().people.len(), 0);
    world.send(bob, 3, 1, "a");
    assert_eq!(world.shard().people.len(), 1);
    world.pass(3 * INTERVAL_MS);
    assert_eq!(world.shard().people.len(), 0, "stored and forgotten");
}

#[test]
fn last_seen_is_read_of_few_people_at_once() {
    let mut world = World::new();
    world.holds_loads = true;
    let watchers: Vec<C> = (1..=3).map(|user| world.log_in_from(user, 1, 0)).collect();
    world.load();
    for &c in &watchers {
        world.told(c);
        let all: Vec<UserId> = (0..200).map(|nth| c as u64 * 1_000 + 10 + nth).collect();
        watch(&mut world, c, &all);
        assert!(world.cores[0].loads.len() <= PRESENCE_READS_MAX);
    }
    // Those who are watched no more by the time it is their turn aren't read.
    world.hang_up(watchers[2]);
    world.turn_of_each();
    let mut reads = 0;
    while world.load_one(0) {
        reads += 1;
        world.settle();
        assert!(world.cores[0].loads.len() <= PRESENCE_READS_MAX);
    }
    assert_eq!(reads, 400);
    for &c in &watchers[..2] {
        assert_eq!(world.told(c).len(), 200);
    }
}

#[test]
fn a_core_is_told_once_for_all_its_sessions() {
    let cores = 2;
    let mut world = World::of_cores(cores, |_| {});
    let bob = user_on(1, cores, 0);
    let bob_1 = world.log_in(bob, 1);
    let watchers: Vec<C> = (0..10).map(|nth| world.log_in(user_on(0, cores, nth), 1)).collect();
    let letters = |world: &World| -> u64 {
        world.cores.iter().map(|core| core.shard.counters().letters).sum()
    };
    let before = letters(&world);
    for &c in &watchers {
        watch(&mut world, c, &[bob]);
        world.expect(c, &[&format!("presence {bob} seen 0")]);
    }
    assert_eq!(letters(&world) - before, 2, "one that it watches, one that says what holds");
    world.frame(bob_1, &HERE);
    for &c in &watchers {
        world.expect(c, &[&format!("presence {bob} online")]);
    }
    assert_eq!(letters(&world) - before, 3);
    for &c in &watchers {
        world.hang_up(c);
    }
    world.turn_of_each();
    assert_eq!(letters(&world) - before, 4);
    world.frame(bob_1, &AWAY);
    world.pass(2 * INTERVAL_MS);
    assert_eq!(letters(&world) - before, 4);
}

#[test]
fn cores_that_began_to_watch_at_different_times_are_told_the_same_in_the_end() {
    let cores = 3;
    let mut world = World::of_cores(cores, |_| {});
    let bob = user_on(2, cores, 0);
    let bob_1 = world.log_in(bob, 1);
    let ann = world.log_in(user_on(0, cores, 0), 1);
    let cid = world.log_in(user_on(1, cores, 0), 1);
    watch(&mut world, ann, &[bob]);
    world.frame(bob_1, &HERE);
    world.told(ann);
    world.pass(1_000);
    world.frame(bob_1, &AWAY);
    watch(&mut world, cid, &[bob]);
    world.expect(cid, &[&seen(bob, 1_000)]);
    world.pass(1_000);
    // Back to what the first core was told, but not the second.
    world.frame(bob_1, &HERE);
    world.pass(INTERVAL_MS - 3_000);
    world.frame(bob_1, &HERE);
    world.pass(2_000);
    world.expect(cid, &[&format!("presence {bob} online")]);
    world.expect(ann, &[]);
}

/// A world whose storage has been behind for so long.
fn behind(world: &mut World, behind_ms: u64) {
    let cid = world.log_in(3, 1);
    world.holds_stores = true;
    world.send(cid, 4, 1, "x");
    world.pass(behind_ms);
}

#[test]
fn presence_waits_while_storage_is_behind_and_the_latest_is_told_afterwards() {
    let (mut world, ann, bob) = watcher_and_watched();
    let dan = world.log_in(5, 1);
    behind(&mut world, 120);
    world.frame(bob, &HERE);
    watch(&mut world, dan, &[2, 6]);
    watch(&mut world, ann, &[2]);
    world.expect(ann, &[]);
    world.expect(dan, &[]);
    assert!(world.shard().counters().presence_held >= 3);
    assert_eq!(world.shard().next_turn_ms(), world.now.mono_ms + 50);
    world.store();
    world.holds_stores = false;
    world.pass(50);
    // The session was owed what its core knew; its core was owed the change.
    world.expect(ann, &["presence 2 online"]);
    let mut told = world.told(dan);
    told.sort();
    assert_eq!(told, ["presence 2 online", "presence 6 seen 0"]);
}

#[test]
fn a_watcher_whose_output_is_full_is_told_the_latest_once_it_has_room() {
    let (mut world, ann, bob) = watcher_and_watched();
    world.stall(ann);
    for number in 1..=30 {
        world.send(bob, 1, number, &"x".repeat(4_000));
    }
    world.frame(bob, &HERE);
    world.frame(bob, &AWAY);
    world.pass(2 * INTERVAL_MS);
    world.unstall(ann);
    let told = world.told(ann);
    let presence: Vec<_> = told.iter().filter(|words| words.starts_with("presence")).collect();
    assert_eq!(presence, [&seen(2, 0)]);
}

#[test]
fn what_a_full_output_left_out_is_not_forgotten_when_the_load_rises_meanwhile() {
    let (mut world, ann, bob) = watcher_and_watched();
    world.stall(ann);
    for number in 1..=30 {
        world.send(bob, 1, number, &"x".repeat(4_000));
    }
    world.frame(bob, &HERE);
    behind(&mut world, 120);
    world.unstall(ann);
    assert!(!world.told(ann).iter().any(|words| words.starts_with("presence")));
    world.store();
    world.holds_stores = false;
    world.pass(250);
    assert!(world.told(ann).iter().any(|words| words == "presence 2 online"));
}

#[test]
fn watches_come_again_with_the_session_after_a_crash() {
    let (mut world, _, bob) = watcher_and_watched();
    world.frame(bob, &HERE);
    world.crash();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frame(bob, &HERE);
    world.expect(ann, &[]);
    watch(&mut world, ann, &[2]);
    world.expect(ann, &["presence 2 online"]);
}

#[test]
fn watching_ever_other_people_takes_no_more_memory_than_a_core_has_for_it() {
    let mut world = World::new();
    let eve = world.log_in(9, 1);
    world.holds_loads = true;
    for batch in 1..600 {
        let users: Vec<u64> = (batch * 1_000..batch * 1_000 + 250).collect();
        let users = Numbers::Slice(&users);
        world.frames(eve, &[Frame::Watch { users }, Frame::Unwatch { users }]);
    }
    let people = world.shard().people.len();
    assert!(people <= PEOPLE_WARM_MAX + 1_024, "{people} people in memory");
    // Who is watched then is told nevertheless.
    world.holds_loads = false;
    world.load();
    world.frame(eve, &Frame::Watch { users: Numbers::Slice(&[77]) });
    assert_eq!(world.told(eve), ["presence 77 seen 0"]);
}
