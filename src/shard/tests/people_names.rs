//! Usernames: one user has a name at a time, and who asks learns no more than it may.

use fulmar_protocol::Frame;
use fulmar_protocol::people::{audience, item, privacy, user_key};

use super::world::{C, World, user_on};
use crate::limits::{FIND_ANSWER_MS, FINDS_MAX, FINDS_WINDOW_MS, WARM_MS};

fn take(world: &mut World, c: C, name: &str) -> String {
    world.frame(c, &Frame::Put { item: item::USERNAME, key: b"", value: name.as_bytes() });
    world.told(c).join(", ")
}

/// The answer to a question, and after how many milliseconds it came.
fn find(world: &mut World, c: C, name: &str) -> (String, u64) {
    let begun_ms = world.now.mono_ms;
    world.frame(c, &Frame::Find { name: name.as_bytes() });
    loop {
        let told = world.told(c);
        if let Some(told) = told.first() {
            return (told.clone(), world.now.mono_ms - begun_ms);
        }
        world.now.mono_ms += 1;
        world.now.unix_ms += 1;
        world.turn_of_each();
        world.settle();
    }
}

/// Users 0 to 2 of as many cores.
fn three(cores: u16) -> (World, [u64; 3], [C; 3]) {
    let mut world = World::of_cores(cores, |_| {});
    let users = [0, 1, 2].map(|nth| user_on(nth as u16 % cores, cores, nth));
    let clients = users.map(|user| world.log_in(user, 1));
    (world, users, clients)
}

#[test]
fn a_name_is_one_users_until_it_has_another_or_none() {
    for cores in [1, 3] {
        let (mut world, [one, two, _], [ann, bob, eve]) = three(cores);
        assert_eq!(take(&mut world, ann, "ann"), "item v1 6/ = ann");
        assert_eq!(take(&mut world, bob, "ann"), "put 6/ rejected name_taken");
        assert_eq!(find(&mut world, eve, "ann").0, format!("found ann {one}"));
        assert_eq!(take(&mut world, ann, "anna"), "item v2 6/ = anna");
        assert_eq!(find(&mut world, eve, "ann").0, "found ann 0");
        assert_eq!(take(&mut world, bob, "ann"), "item v1 6/ = ann");
        assert_eq!(find(&mut world, eve, "ann").0, format!("found ann {two}"));
        assert_eq!(take(&mut world, ann, ""), "item v3 6/ = ");
        assert_eq!(find(&mut world, eve, "anna").0, "found anna 0");
        assert_eq!(take(&mut world, bob, "anna"), "item v2 6/ = anna");
        // It is theirs already.
        assert_eq!(take(&mut world, bob, "anna"), "item v2 6/ = anna");
        world.crash();
        let [ann, eve] = [0, 2].map(|nth| user_on(nth as u16 % cores, cores, nth));
        let (ann, eve) = (world.log_in(ann, 1), world.log_in(eve, 1));
        assert_eq!(take(&mut world, ann, "anna"), "put 6/ rejected name_taken");
        assert_eq!(find(&mut world, eve, "anna").0, format!("found anna {two}"));
    }
}

#[test]
fn nothing_is_said_before_it_is_stored() {
    let (mut world, _, [ann, bob, _]) = three(1);
    world.holds_stores = true;
    assert_eq!(take(&mut world, ann, "ann"), "");
    assert_eq!(take(&mut world, bob, "ann"), "");
    world.store();
    assert_eq!(world.told(ann), ["item v1 6/ = ann"]);
    assert_eq!(world.told(bob), ["put 6/ rejected name_taken"]);
}

#[test]
fn wishes_of_one_user_are_done_in_their_order() {
    let (mut world, [one, ..], [ann, bob, _]) = three(3);
    let put = |value| Frame::Put { item: item::USERNAME, key: b"", value };
    world.frames(ann, &[put(b"first"), put(b""), put(b"second"), put(b"first"), put(b"third")]);
    let told = [
        "item v1 6/ = first",
        "item v2 6/ = ",
        "item v3 6/ = second",
        "item v4 6/ = first",
        "item v5 6/ = third",
    ];
    assert_eq!(world.told(ann), told);
    assert_eq!(find(&mut world, bob, "third").0, format!("found third {one}"));
    for free in ["first", "second"] {
        assert!(take(&mut world, bob, free).ends_with(&format!("= {free}")));
    }
}

#[test]
fn a_crash_between_the_claim_and_the_item_is_healed_by_a_resend_or_gives_the_name_away() {
    for heals in [true, false] {
        // The name's home is the only core that stores anything.
        let (mut world, users, [ann, _, eve]) = three(3);
        let name = ["ann", "bea", "cat", "dot", "eve", "fay", "gil", "hal"];
        world.holds_stores = true;
        // A name whose home is elsewhere than its user's.
        let mut claimed = None;
        for name in name {
            take(&mut world, ann, name);
            let elsewhere = [1, 2].into_iter().find(|&core| !world.cores[core].unstored.is_empty());
            if let Some(core) = elsewhere {
                claimed = Some((name, core));
                break;
            }
            world.store();
            take(&mut world, ann, "");
            world.store();
            world.told(ann);
        }
        let (name, core) = claimed.expect("a name of another core");
        assert!(world.store_one(core));
        world.crash();
        world.holds_stores = false;
        let [ann, bob, eve_again] = users.map(|user| world.log_in(user, 1));
        let _ = eve;
        assert_eq!(find(&mut world, eve_again, name).0, format!("found {name} 0"));
        if heals {
            assert!(take(&mut world, ann, name).ends_with(&format!("= {name}")));
            assert_eq!(take(&mut world, bob, name), "put 6/ rejected name_taken");
        } else {
            assert!(take(&mut world, bob, name).ends_with(&format!("= {name}")));
            assert_eq!(take(&mut world, ann, name), "put 6/ rejected name_taken");
            let found = format!("found {name} {}", users[1]);
            assert_eq!(find(&mut world, eve_again, name).0, found);
        }
    }
}

#[test]
fn two_who_want_a_name_at_once_do_not_both_get_it() {
    for cores in [1, 3] {
        let (mut world, _, [ann, bob, _]) = three(cores);
        for (nth, name) in ["one", "two", "three", "four"].into_iter().enumerate() {
            world.holds_loads = true;
            world.holds_stores = true;
            let put = Frame::Put { item: item::USERNAME, key: b"", value: name.as_bytes() };
            world.frame(if nth % 2 == 0 { ann } else { bob }, &put);
            world.frame(if nth % 2 == 0 { bob } else { ann }, &put);
            world.holds_loads = false;
            world.load();
            world.holds_stores = false;
            world.store();
            let told = [world.told(ann), world.told(bob)].concat();
            let taken = told.iter().filter(|told| told.ends_with("name_taken")).count();
            assert_eq!((told.len(), taken), (2, 1), "{told:?}");
        }
    }
}

#[test]
fn only_those_whom_the_user_lets_find_it() {
    for (who, is_contact, wrote, is_found) in [
        (audience::NOBODY, true, true, false),
        (audience::KNOWN, false, false, false),
        (audience::KNOWN, true, false, true),
        (audience::KNOWN, false, true, true),
        (audience::EVERYBODY, false, false, true),
    ] {
        let (mut world, [one, two, _], [ann, bob, _]) = three(3);
        take(&mut world, ann, "ann");
        world
            .frame(ann, &Frame::Put { item: item::PRIVACY, key: &[privacy::FOUND], value: &[who] });
        if is_contact {
            let key = user_key(two);
            world.frame(ann, &Frame::Put { item: item::CONTACT, key: &key, value: b"Bob" });
        }
        if wrote {
            world.send(ann, two, 1, "hello");
            world.told(bob);
        }
        world.told(ann);
        let found = format!("found ann {}", if is_found { one } else { 0 });
        assert_eq!(find(&mut world, bob, "ann").0, found);
        // Oneself in any case.
        assert_eq!(find(&mut world, ann, "ann").0, format!("found ann {one}"));
        let key = user_key(two);
        world.frame(ann, &Frame::Put { item: item::BLOCK, key: &key, value: &[1] });
        assert_eq!(find(&mut world, bob, "ann").0, "found ann 0");
    }
}

#[test]
fn the_time_of_an_answer_does_not_tell_whether_there_is_one_who_hides() {
    let (mut world, _, [ann, bob, _]) = three(3);
    take(&mut world, ann, "ann");
    world.frame(ann, &Frame::Put { item: item::PRIVACY, key: &[privacy::FOUND], value: &[0] });
    world.pass(10 * WARM_MS);
    let bob = if world.is_closed(bob) { world.log_in(user_on(1, 3, 1), 1) } else { bob };
    for name in ["ann", "nobody", "N", "ann"] {
        let (told, after_ms) = find(&mut world, bob, name);
        assert_eq!((told, after_ms), (format!("found {name} 0"), FIND_ANSWER_MS));
    }
    // If storage is slow, the time is another multiple.
    world.pass(10 * WARM_MS);
    let bob = world.log_in(user_on(1, 3, 1), 1);
    world.holds_loads = true;
    let begun_ms = world.now.mono_ms;
    world.frame(bob, &Frame::Find { name: b"ann" });
    world.pass(250);
    world.holds_loads = false;
    world.load();
    world.expect(bob, &[]);
    world.pass(250);
    world.expect(bob, &["found ann 0"]);
    assert!((world.now.mono_ms - begun_ms).is_multiple_of(50));
}

#[test]
fn a_user_asks_so_often_and_no_more() {
    let (mut world, _, [ann, bob, _]) = three(1);
    for _ in 0..FINDS_MAX / 2 {
        world.frame(ann, &Frame::Find { name: b"nobody" });
        world.pass(FIND_ANSWER_MS);
        world.expect(ann, &["found nobody 0"]);
    }
    // Wanting a name tells as much.
    take(&mut world, bob, "bob");
    for _ in 0..FINDS_MAX / 2 {
        assert_eq!(take(&mut world, ann, "bob"), "put 6/ rejected name_taken");
    }
    assert_eq!(take(&mut world, ann, "bob"), "put 6/ rejected too_many_lookups");
    let after_ms = FINDS_WINDOW_MS - u64::from(FINDS_MAX / 2) * FIND_ANSWER_MS;
    world.frame(ann, &Frame::Find { name: b"bob" });
    world.expect(ann, &[&format!("found bob too_many_lookups after {after_ms}")]);
    assert_eq!(find(&mut world, bob, "bob").0, "found bob 2");
    world.pass(after_ms);
    assert_eq!(find(&mut world, ann, "bob").0, "found bob 2");
}

#[test]
#[should_panic(expected = "names of")]
fn a_damaged_record_of_names_is_not_taken_for_an_empty_one() {
    let (mut world, _, [ann, ..]) = three(1);
    take(&mut world, ann, "ann");
    let hash = super::super::people::hash_of(b"ann");
    world.crash();
    let bytes = bytes::Bytes::from_static(&[1, 9, 9]);
    world.disk.overwrite(crate::shard::Key::Name { hash }, bytes);
    let bob = world.log_in(2, 1);
    world.frame(bob, &Frame::Find { name: b"ann" });
}
