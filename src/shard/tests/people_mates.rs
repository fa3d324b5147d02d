//! The members of a group to which a user wrote are among those whom it knows, as long as both are in it.

use fulmar_protocol::group::Action;
use fulmar_protocol::people::{audience, item, privacy, user_key};
use fulmar_protocol::{Frame, Numbers};

use super::world::{C, World, user_on};
use crate::limits::FIND_ANSWER_MS;
use crate::shard::UserId;

/// Ann, who shows herself to whom she knows, and Bob and Eve, whom she doesn't.
struct Three {
    world: World,
    users: [UserId; 3],
    ann: C,
    bob: C,
    eve: C,
}

fn three(cores: u16) -> Three {
    let mut world = World::of_cores(cores, |_| {});
    let users = [0, 1, 2].map(|nth| user_on(nth as u16 % cores, cores, nth));
    let [ann, bob, eve] = users.map(|user| world.join(user, 1));
    for what in [privacy::LAST_SEEN, privacy::ONLINE, privacy::READS, privacy::FOUND] {
        set(&mut world, ann, item::PRIVACY, &[what], &[audience::KNOWN]);
    }
    world.frame(ann, &Frame::Activity { is_here: true });
    Three { world, users, ann, bob, eve }
}

fn set(world: &mut World, c: C, item: u8, key: &[u8], value: &[u8]) {
    world.frame(c, &Frame::Put { item, key, value });
    assert!(world.told(c).iter().any(|told| told.starts_with("item ")));
}

/// What a device sees of a person when it watches her from now on.
fn seen(world: &mut World, c: C, user: UserId) -> String {
    world.told(c);
    world.frame(c, &Frame::Watch { users: Numbers::Slice(&[user]) });
    news(world, c)
}

/// The last that a device was told of somebody's presence.
fn news(world: &mut World, c: C) -> String {
    let told = world.told(c);
    told.into_iter().rfind(|told| told.starts_with("presence ")).unwrap_or_default()
}

#[test]
fn members_of_one_group_see_what_is_for_those_whom_one_knows() {
    for cores in [1, 2, 3] {
        let Three { mut world, users: [ann, bob, _], ann: c_ann, eve: c_eve, bob: c_bob } =
            three(cores);
        let group = world.group(c_eve, 1, &[ann, bob]);
        assert_eq!(seen(&mut world, c_bob, ann), format!("presence {ann} seen 0"), "only added");
        world.say(c_ann, group, 1, "hello");
        assert_eq!(news(&mut world, c_bob), format!("presence {ann} online"));
        let stranger = world.join(user_on(0, cores, 9), 1);
        assert_eq!(seen(&mut world, stranger, ann), format!("presence {ann} seen 0"));
    }
}

#[test]
fn who_wrote_to_a_group_knows_its_members_once_that_is_ticked_whatever_a_crash_takes() {
    for cores in [1, 2, 3] {
        let Three { mut world, users: [ann, bob, _], ann: c_ann, eve, .. } = three(cores);
        let group = world.group(eve, 1, &[ann, bob]);
        world.pass(1_000);
        world.heard(c_ann);
        world.holds_stores = true;
        world.say(c_ann, group, 1, "one");
        world.say(c_ann, group, 2, "two");
        let is_ticked = |world: &mut World| {
            let told = world.told(c_ann);
            told.iter().filter(|told| told.contains(" sent ")).count()
        };
        let mut commits = 0;
        let mut ticks = 0;
        while ticks == 0 {
            assert!(
                (0..usize::from(cores)).any(|core| world.store_one(core)),
                "it is never ticked"
            );
            world.settle();
            ticks = is_ticked(&mut world);
            commits += 1;
        }
        assert!(commits > 1, "the entry and then the record");
        world.crash();
        world.holds_stores = false;
        let [c_ann, c_bob] = [ann, bob].map(|user| world.join(user, 1));
        world.frame(c_ann, &Frame::Activity { is_here: true });
        assert_eq!(seen(&mut world, c_bob, ann), format!("presence {ann} online"));
    }
}

#[test]
fn whoever_comes_or_goes_what_is_seen_changes_at_once() {
    for cores in [1, 2, 3] {
        let Three { mut world, users: [ann, bob, _], ann: c_ann, bob: c_bob, eve } = three(cores);
        let (online, dark) = (format!("presence {ann} online"), format!("presence {ann} seen 0"));
        assert_eq!(seen(&mut world, c_bob, ann), dark);
        // The watcher comes into a group to which the person wrote, then the person into one of the watcher.
        for (number, [first, second]) in [(1, [ann, bob]), (10, [bob, ann])] {
            let group = world.group(eve, number, &[first]);
            if first == ann {
                world.say(c_ann, group, number, "hello");
            }
            assert_eq!(news(&mut world, c_bob), "", "alone");
            world.change(eve, group, number + 1, Action::Add, &[second], b"");
            if second == ann {
                assert_eq!(news(&mut world, c_bob), "", "she didn't do anything");
                world.say(c_ann, group, number, "hello");
            }
            assert_eq!(news(&mut world, c_bob), online);
            let leaver = if second == ann { c_ann } else { c_bob };
            world.change(leaver, group, number + 2, Action::Leave, &[], b"");
            assert_eq!(news(&mut world, c_bob), dark);
        }
    }
}

#[test]
fn a_group_that_comes_while_it_is_asked_counts() {
    let Three { mut world, users: [ann, bob, _], ann: c_ann, bob: c_bob, eve } = three(1);
    let group = world.group(eve, 1, &[ann]);
    world.say(c_ann, group, 1, "hello");
    world.holds_loads = true;
    assert_eq!(seen(&mut world, c_bob, ann), "");
    world.change(eve, group, 2, Action::Add, &[bob], b"");
    world.holds_loads = false;
    world.load();
    assert_eq!(news(&mut world, c_bob), format!("presence {ann} online"));
}

#[test]
fn neither_a_block_nor_nobody_has_exceptions_for_members() {
    let Three { mut world, users: [ann, bob, _], ann: c_ann, bob: c_bob, eve } = three(1);
    let group = world.group(eve, 1, &[ann, bob]);
    world.say(c_ann, group, 1, "hello");
    set(&mut world, c_ann, item::BLOCK, &user_key(bob), &[1]);
    assert_eq!(seen(&mut world, c_bob, ann), format!("presence {ann} seen 0"));
    set(&mut world, c_ann, item::BLOCK, &user_key(bob), &[]);
    assert_eq!(news(&mut world, c_bob), format!("presence {ann} online"));
    set(&mut world, c_ann, item::PRIVACY, &[privacy::ONLINE], &[audience::NOBODY]);
    assert!(news(&mut world, c_bob).starts_with(&format!("presence {ann} seen 1")));
}

#[test]
fn a_member_sees_that_what_it_wrote_was_read() {
    for cores in [1, 2] {
        let Three { mut world, users: [ann, bob, eve], ann: c_ann, bob: c_bob, eve: c_eve } =
            three(cores);
        let read = |ordinal| format!("receipt {ann} delivered 2 read {ordinal}");
        for number in [1, 2] {
            world.send(c_bob, ann, number, "hello");
            world.send(c_eve, ann, number, "hello");
        }
        world.ack(c_ann, 4);
        world.read(c_ann, bob, 1);
        assert!(!world.told(c_bob).contains(&read(1)), "a stranger");
        let group = world.group(c_bob, 3, &[ann]);
        world.say(c_ann, group, 1, "hello");
        world.read(c_ann, bob, 2);
        world.read(c_ann, eve, 2);
        assert!(world.told(c_bob).contains(&read(2)));
        assert!(!world.told(c_eve).contains(&read(2)), "of another group");
        world.ask(c_bob, ann);
        assert!(world.told(c_bob).contains(&read(2)));
        // It is stored with the cursors.
        world.pass(1_000);
        world.crash();
        let c_bob = world.log_in(bob, 1);
        world.ask(c_bob, ann);
        assert!(world.told(c_bob).contains(&read(2)));
    }
}

#[test]
fn a_member_finds_the_username() {
    for cores in [1, 2, 3] {
        let Three { mut world, users: [ann, bob, _], ann: c_ann, bob: c_bob, eve } = three(cores);
        set(&mut world, c_ann, item::USERNAME, b"", b"ann");
        let group = world.group(eve, 1, &[ann]);
        world.say(c_ann, group, 1, "hello");
        for found in [0, ann] {
            world.told(c_bob);
            world.frame(c_bob, &Frame::Find { name: b"ann" });
            world.pass(2 * FIND_ANSWER_MS);
            assert_eq!(world.told(c_bob), [format!("found ann {found}")]);
            world.change(eve, group, 2, Action::Add, &[bob], b"");
        }
    }
}

#[test]
fn whoever_is_removed_while_away_is_none_any_more() {
    let Three { mut world, users: [ann, bob, _], ann: c_ann, bob: c_bob, eve } = three(1);
    let group = world.group(eve, 1, &[ann, bob]);
    world.say(c_ann, group, 1, "hello");
    world.hang_up(c_bob);
    world.pass(1_000);
    world.crash();
    let eve = world.join(user_on(0, 1, 2), 1);
    world.change(eve, group, 2, Action::Remove, &[bob], b"");
    let c_ann = world.log_in(ann, 1);
    world.frame(c_ann, &Frame::Activity { is_here: true });
    // Its device says nothing of groups.
    let c_bob = world.log_in(bob, 1);
    assert_eq!(seen(&mut world, c_bob, ann), format!("presence {ann} seen 0"));
}

#[test]
fn what_she_did_in_a_group_is_stored_and_ends_with_her_time_there() {
    let Three { mut world, users: [ann, bob, _], ann: c_ann, eve, .. } = three(1);
    let group = world.group(eve, 1, &[ann, bob]);
    world.say(c_ann, group, 1, "hello");
    world.pass(1_000);
    world.crash();
    let (eve, c_ann, c_bob) =
        (world.join(user_on(0, 1, 2), 1), world.join(ann, 1), world.join(bob, 1));
    world.frame(c_ann, &Frame::Activity { is_here: true });
    assert_eq!(seen(&mut world, c_bob, ann), format!("presence {ann} online"));
    world.change(eve, group, 2, Action::Remove, &[ann], b"");
    assert_eq!(news(&mut world, c_bob), format!("presence {ann} seen 0"));
    world.change(eve, group, 3, Action::Add, &[ann], b"");
    assert_eq!(news(&mut world, c_bob), "", "she didn't come by her own doing");
}

#[test]
fn who_was_to_be_added_and_could_not_be_is_no_member() {
    let mut world = World::with(|config| config.quota_messages = 1);
    let [ann, bob, eve] = [1, 2, 3].map(|user| world.join(user, 1));
    for what in [privacy::LAST_SEEN, privacy::ONLINE] {
        set(&mut world, ann, item::PRIVACY, &[what], &[audience::KNOWN]);
    }
    world.frame(ann, &Frame::Activity { is_here: true });
    let group = world.group(ann, 1, &[3]);
    // User 4 has no room for the word of it, so nobody is added.
    world.send(eve, 4, 1, "full");
    world.change(ann, group, 2, Action::Add, &[2, 4], b"");
    assert!(world.told(ann).iter().any(|told| told.contains("rejected n2")));
    assert_eq!(seen(&mut world, bob, 1), "presence 1 seen 0");
}
