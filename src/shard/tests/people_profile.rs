//! Profiles: who sees them, and who is told that they changed.

use fulmar_protocol::people::{item, profile};
use fulmar_protocol::{Frame, Numbers};

use super::world::{C, World, user_on};
use crate::limits::WARM_MS;
use crate::shard::UserId;

fn set(world: &mut World, c: C, key: u8, value: &str) {
    world.frame(c, &Frame::Put { item: item::PROFILE, key: &[key], value: value.as_bytes() });
    world.told(c);
}

fn look(world: &mut World, c: C, user: UserId, version: u64) {
    world.frame(c, &Frame::ProfileLook { user, version });
}

fn watch(world: &mut World, c: C, user: UserId) {
    world.frame(c, &Frame::Watch { users: Numbers::Slice(&[user]) });
}

#[test]
fn a_profile_is_shown_with_its_version_and_its_parts_only_if_that_is_news() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (one, two) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let (ann, bob) = (world.log_in(one, 1), world.log_in(two, 1));
        set(&mut world, ann, profile::NAME, "Ann");
        world.frame(ann, &Frame::Put { item: 128, key: b"other", value: b"1" });
        set(&mut world, ann, profile::STATUS, "at sea");
        world.hang_up(ann);
        world.pass(2 * WARM_MS);
        look(&mut world, bob, one, 0);
        world.expect(bob, &[&format!("profile {one} v3 Ann at sea ")]);
        look(&mut world, bob, one, 3);
        world.expect(bob, &[&format!("profile {one} v3   ")]);
        look(&mut world, bob, 0, 0);
        look(&mut world, bob, two, 0);
        look(&mut world, bob, 1 << 50, 0);
        let nothing = [0, two, 1 << 50].map(|user| format!("profile {user} v0   "));
        assert_eq!(world.told(bob), nothing);
    }
}

#[test]
fn a_profile_that_is_not_stored_is_not_shown() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.holds_stores = true;
    set(&mut world, ann, profile::NAME, "Ann");
    look(&mut world, bob, 1, 0);
    world.expect(bob, &[]);
    world.store();
    world.expect(bob, &["profile 1 v1 Ann  "]);
}

#[test]
fn who_watches_is_told_the_version_and_each_change() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (one, two) = (user_on(0, cores, 0), user_on(cores - 1, cores, 1));
        let (ann, bob) = (world.log_in(one, 1), world.log_in(two, 1));
        watch(&mut world, bob, one);
        world.expect(bob, &[&format!("presence {one} seen 0")]);
        set(&mut world, ann, profile::NAME, "Ann");
        world.pass(40_000);
        let news = |version: u64| format!("profile news {one} v{version}");
        assert!(world.told(bob).contains(&news(1)));
        // Many changes are told once, the last one.
        for name in ["a", "b", "c"] {
            set(&mut world, ann, profile::NAME, name);
        }
        world.pass(60_000);
        let told = world.told(bob);
        let told: Vec<_> = told.iter().filter(|told| told.starts_with("profile")).collect();
        assert_eq!(*told.last().expect("news"), &news(4));
        assert!(told.len() <= 2, "{told:?}");
        // A later watcher is told with the first answer, also when nothing is in memory.
        world.hang_up(ann);
        world.hang_up(bob);
        world.pass(10 * WARM_MS);
        let bob = world.log_in(two, 1);
        watch(&mut world, bob, one);
        let told = world.told(bob);
        assert!(told[0].starts_with(&format!("presence {one} seen ")), "{told:?}");
        assert_eq!(told[1..], [news(4)]);
    }
}

#[test]
fn questions_without_an_answer_are_few() {
    let mut world = World::new();
    let bob = world.log_in(2, 1);
    world.holds_loads = true;
    let looks: Vec<Frame<'_>> =
        (100..140).map(|user| Frame::ProfileLook { user, version: 0 }).collect();
    world.frames(bob, &looks);
    assert!(world.clients[bob].is_paused);
    world.holds_loads = false;
    world.load();
    assert_eq!(world.told(bob).len(), 40);
}
