//! Privacy: who sees last seen, online and reads.

use fulmar_protocol::people::{audience, item, privacy, user_key};
use fulmar_protocol::{Frame, Numbers};

use super::world::{BEGIN, C, World, user_on};
use crate::limits::PRESENCE_SETTLE_MS;
use crate::shard::{Key, UserId};

const HERE: Frame<'_> = Frame::Activity { is_here: true };
const AWAY: Frame<'_> = Frame::Activity { is_here: false };

fn set(world: &mut World, c: C, what: u8, who: u8) {
    world.frame(c, &Frame::Put { item: item::PRIVACY, key: &[what], value: &[who] });
    world.told(c);
}

fn watch(world: &mut World, c: C, user: UserId) {
    world.frame(c, &Frame::Watch { users: Numbers::Slice(&[user]) });
}

#[test]
fn online_and_last_seen_are_shown_to_whom_the_user_says() {
    // To nobody, to those whom the user knows, to everybody; what a stranger and a known one see.
    for (who, stranger_sees, known_sees) in [
        (audience::NOBODY, false, false),
        (audience::KNOWN, false, true),
        (audience::EVERYBODY, true, true),
    ] {
        for cores in [1, 2] {
            let mut world = World::of_cores(cores, |_| {});
            let user = |nth| user_on(nth as u16 % cores, cores, nth);
            let ann = world.log_in(user(0), 1);
            let [bob, eve] = [1, 2].map(|nth| world.log_in(user(nth), 1));
            world.send(ann, user(1), 1, "known by this");
            set(&mut world, ann, privacy::ONLINE, who);
            set(&mut world, ann, privacy::LAST_SEEN, who);
            world.frame(ann, &HERE);
            for (c, sees) in [(bob, known_sees), (eve, stranger_sees)] {
                world.told(c);
                watch(&mut world, c, user(0));
                let shown = if sees { "online" } else { "seen 0" };
                world.expect(c, &[&format!("presence {} {shown}", user(0))]);
            }
            world.frame(ann, &AWAY);
            world.pass(PRESENCE_SETTLE_MS + 30_000);
            for (c, sees) in [(bob, known_sees), (eve, stranger_sees)] {
                let told = format!("presence {} seen {}", user(0), BEGIN.unix_ms);
                let told: &[&str] = if sees { &[&told] } else { &[] };
                world.expect(c, told);
            }
        }
    }
}

#[test]
fn one_of_the_two_can_be_hidden() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    set(&mut world, ann, privacy::LAST_SEEN, audience::NOBODY);
    world.frame(ann, &HERE);
    watch(&mut world, bob, 1);
    world.expect(bob, &["presence 1 online"]);
    world.frame(ann, &AWAY);
    world.pass(PRESENCE_SETTLE_MS + 30_000);
    world.expect(bob, &["presence 1 seen 0"]);
    set(&mut world, ann, privacy::LAST_SEEN, audience::EVERYBODY);
    set(&mut world, ann, privacy::ONLINE, audience::NOBODY);
    world.told(bob);
    world.frame(ann, &HERE);
    world.pass(PRESENCE_SETTLE_MS + 30_000);
    assert!(world.told(bob).iter().all(|told| !told.contains("online")));
}

#[test]
fn watchers_are_told_when_it_changes() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.frame(ann, &HERE);
    watch(&mut world, bob, 1);
    world.expect(bob, &["presence 1 online"]);
    for what in [privacy::ONLINE, privacy::LAST_SEEN] {
        set(&mut world, ann, what, audience::KNOWN);
    }
    assert_eq!(world.told(bob).last().expect("told"), "presence 1 seen 0");
    // A contact is somebody whom the user knows, as long as it is one.
    world.frame(ann, &Frame::Put { item: item::CONTACT, key: &user_key(2), value: b"Bob" });
    world.expect(bob, &["presence 1 online"]);
    world.frame(ann, &Frame::Put { item: item::CONTACT, key: &user_key(2), value: b"" });
    world.expect(bob, &["presence 1 seen 0"]);
    world.send(ann, 2, 1, "hello");
    world.expect(bob, &["presence 1 online", "deliver @1 1#1 hello"]);
}

#[test]
fn somebody_who_shows_everything_costs_watchers_no_read() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.frame(ann, &HERE);
    let before = world.shard().counters().hydrations;
    watch(&mut world, bob, 1);
    world.expect(bob, &["presence 1 online"]);
    assert_eq!(world.shard().counters().hydrations, before);
}

#[test]
fn many_guarded_people_are_asked_about_and_the_session_is_read_later() {
    let mut world = World::new();
    let users: Vec<UserId> = (100..164).collect();
    for &user in &users {
        let c = world.log_in(user, 1);
        set(&mut world, c, privacy::ONLINE, audience::NOBODY);
        world.hang_up(c);
    }
    // Their presence is in memory, what they are to user 2 isn't.
    let eve = world.log_in(3, 1);
    world.frame(eve, &Frame::Watch { users: Numbers::Slice(&users) });
    let bob = world.log_in(2, 1);
    world.holds_loads = true;
    world.frame(bob, &Frame::Watch { users: Numbers::Slice(&users) });
    assert!(world.clients[bob].is_paused);
    // It changes its mind, and watches them once more.
    world.frame(bob, &Frame::Unwatch { users: Numbers::Slice(&users) });
    world.holds_loads = false;
    world.load();
    assert!(!world.clients[bob].is_paused);
    world.told(bob);
    world.frame(bob, &Frame::Watch { users: Numbers::Slice(&users) });
    assert_eq!(world.told(bob).len(), users.len());
}

#[test]
fn what_one_watcher_may_see_changes_nothing_for_one_who_was_told_nothing_yet() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.frame(ann, &HERE);
    set(&mut world, ann, privacy::ONLINE, audience::NOBODY);
    set(&mut world, ann, privacy::LAST_SEEN, audience::NOBODY);
    // So far behind that presence waits.
    world.holds_stores = true;
    world.send(ann, 3, 1, "hello");
    world.pass(200);
    watch(&mut world, bob, 1);
    world.frame(ann, &Frame::Put { item: item::BLOCK, key: &user_key(4), value: &[1] });
    world.expect(bob, &[]);
    world.holds_stores = false;
    world.store();
    world.frame(ann, &HERE);
    world.pass(PRESENCE_SETTLE_MS + 30_000);
    world.expect(bob, &["presence 1 seen 0"]);
}

#[test]
fn a_damaged_record_shows_nothing_until_the_person_comes() {
    let mut world = World::new();
    let bytes = bytes::Bytes::from_static(&[9, 9]);
    world.disk.overwrite(Key::Presence { user: 1 }, bytes);
    let bob = world.log_in(2, 1);
    watch(&mut world, bob, 1);
    world.expect(bob, &["presence 1 seen 0"]);
    let ann = world.log_in(1, 1);
    world.frame(ann, &HERE);
    world.expect(bob, &["presence 1 online"]);
}

#[test]
fn settings_outlive_a_crash_and_the_memory_of_the_person() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    set(&mut world, ann, privacy::LAST_SEEN, audience::NOBODY);
    world.crash();
    let bob = world.log_in(2, 1);
    watch(&mut world, bob, 1);
    world.expect(bob, &["presence 1 seen 0"]);
    let ann = world.log_in(1, 1);
    world.send(ann, 3, 1, "active");
    world.pass(100_000);
    world.expect(bob, &[]);
}

#[test]
fn reads_are_shown_to_whom_the_reader_says() {
    for (who, is_known, is_shown) in [
        (audience::NOBODY, true, false),
        (audience::KNOWN, false, false),
        (audience::KNOWN, true, true),
        (audience::EVERYBODY, false, true),
    ] {
        let mut world = World::new();
        let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
        let tablet = world.log_in(1, 2);
        if is_known {
            world.send(ann, 2, 1, "known by this");
            world.told(bob);
        }
        set(&mut world, ann, privacy::READS, who);
        world.send(bob, 1, 1, "hello");
        let at = world.clients[ann].position.expect("something");
        world.ack(ann, at);
        world.told(bob);
        world.told(tablet);
        world.read(ann, 2, 1);
        let receipt = "receipt 1 delivered 1 read 1".to_owned();
        assert_eq!(world.told(bob).contains(&receipt), is_shown);
        assert_eq!(world.told(tablet), ["own receipt 2 delivered 1 read 1"]);
        world.ask(bob, 1);
        assert_eq!(world.told(bob).contains(&receipt), is_shown);
    }
}

#[test]
fn reads_that_were_hidden_show_with_the_next_one_that_is_not() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    set(&mut world, ann, privacy::READS, audience::NOBODY);
    for number in 1..=3 {
        world.send(bob, 1, number, "hello");
    }
    world.ack(ann, 3);
    world.read(ann, 2, 2);
    set(&mut world, ann, privacy::READS, audience::EVERYBODY);
    world.told(bob);
    world.pass(1_000);
    world.expect(bob, &[]);
    world.send(bob, 1, 4, "nor with what arrives");
    world.told(bob);
    world.ack(ann, 4);
    world.expect(bob, &["receipt 1 delivered 4 read 0"]);
    world.read(ann, 2, 3);
    world.expect(bob, &["receipt 1 delivered 4 read 3"]);
}

#[test]
fn the_first_message_is_ticked_once_it_is_noted_that_the_user_wrote_and_the_next_ones_after_it() {
    let mut world = World::of_cores(2, |_| {});
    let (one, two) = (user_on(0, 2, 0), user_on(1, 2, 0));
    let ann = world.log_in(one, 1);
    world.holds_loads = true;
    for number in 1..=3 {
        world.send(ann, two, number, "hello");
    }
    world.holds_stores = true;
    while world.load_one(1) {}
    world.settle();
    while world.store_one(1) {}
    world.settle();
    world.expect(ann, &[]);
    while world.load_one(0) {}
    world.settle();
    world.send(ann, two, 4, "hello");
    while world.store_one(1) {}
    world.settle();
    world.expect(ann, &[]);
    assert!(world.store_one(0));
    world.settle();
    let sent = |number| format!("sent {two} n{number} #{number}");
    assert_eq!(world.told(ann), [sent(1), sent(2), sent(3), sent(4)]);
}

#[test]
fn who_wrote_knows_the_peer_though_a_crash_came_after_the_first_message() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let [user, peer] = [0, 1].map(|nth| user_on(nth as u16 % cores, cores, nth));
        let (ann, bob) = (world.log_in(user, 1), world.log_in(peer, 1));
        set(&mut world, ann, privacy::ONLINE, audience::KNOWN);
        world.told(bob);
        // It is stored, and never ticked; and its device comes back without knowing of it.
        world.holds_stores = true;
        world.send(ann, peer, 1, "lost on the way back");
        while !world.disk.entries(peer).any(|_| true) {
            for core in 0..usize::from(cores) {
                world.store_one(core);
            }
        }
        world.crash();
        world.holds_stores = false;
        let (ann, bob) = (world.log_in(user, 1), world.log_in(peer, 1));
        world.told(ann);
        world.send(ann, peer, 9, "ticked");
        world.expect(ann, &[&format!("sent {peer} n9 #2")]);
        world.frame(ann, &HERE);
        world.told(bob);
        watch(&mut world, bob, user);
        world.expect(bob, &[&format!("presence {user} online")]);
    }
}
