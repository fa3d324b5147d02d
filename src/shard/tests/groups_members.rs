//! Groups: who comes, goes and comes back, and what of the log is for whom.

use fulmar_protocol::Frame;
use fulmar_protocol::group::Action;

use super::groups::three;
use super::world::World;

#[test]
fn a_removed_member_reads_up_to_its_end_and_nothing_after_it() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.hang_up(cat);
        world.say(ann, group, 2, "before");
        world.change(ann, group, 3, Action::Remove, &[2, 3], b"");
        world.say(ann, group, 4, "after");
        let gone = format!("group {group} gone @3");
        assert_eq!(world.heard(bob), ["@2 1: before", "@3 1: remove [2, 3]", &gone]);
        let cat = world.log_in(3, 1);
        world.told(cat);
        world.resume(cat, &[(group, 1)]);
        assert_eq!(world.heard(cat), ["@2 1: before", "@3 1: remove [2, 3]", &gone]);
        world.say(bob, group, 2, "let me in");
        let refused = format!("group {group} rejected n2 not_a_member");
        assert_eq!(world.heard(bob), [refused]);
        // Back again, it gets what comes from then on.
        world.change(ann, group, 5, Action::Add, &[2], b"");
        world.say(ann, group, 6, "welcome back");
        assert_eq!(world.heard(bob), ["notice @2 by 1", "@5 1: add [2]", "@6 1: welcome back"]);
        // A new device of it doesn't see what was said in between.
        let second = world.log_in(2, 2);
        world.told(second);
        world.resume(second, &[(group, 0)]);
        let all = world.heard(second);
        assert!(all.iter().any(|told| told.contains("before")), "{all:?}");
        assert!(all.iter().all(|told| !told.contains("after")), "{all:?}");
    }
}

#[test]
fn who_has_everything_up_to_its_end_still_hears_that_it_is_over() {
    for (cores, action) in [(1, Action::Delete), (2, Action::Delete), (1, Action::Remove)] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        let users: &[u64] = if action == Action::Remove { &[2] } else { &[] };
        world.change(ann, group, 2, action, users, b"");
        let gone = format!("group {group} gone @2");
        assert_eq!(world.heard(bob).last(), Some(&gone));
        // It stored its end, and the connection was gone before it heard more.
        world.hang_up(bob);
        let bob = world.log_in(2, 1);
        world.told(bob);
        world.resume(bob, &[(group, 2)]);
        assert_eq!(world.heard(bob).join(", "), gone);
        world.pass(1_000);
        world.crash();
        let bob = world.log_in(2, 1);
        world.told(bob);
        world.resume(bob, &[(group, 2)]);
        assert_eq!(world.heard(bob), [gone]);
    }
}

#[test]
fn a_new_member_begins_at_its_joining_unless_the_group_shows_its_history() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    let dan = world.join(4, 1);
    world.say(ann, group, 2, "of old");
    world.change(ann, group, 3, Action::Add, &[4], b"");
    assert_eq!(world.heard(dan), ["notice @1 by 1", "@3 1: add [4]"]);
    world.change(ann, group, 4, Action::ShowHistory, &[], b"\x01");
    let eve = world.join(5, 1);
    world.change(ann, group, 5, Action::Add, &[5], b"");
    let heard = world.heard(eve);
    assert_eq!(heard[..3], ["notice @1 by 1", "@1 1: create [2, 3]", "@2 1: of old"]);
    assert_eq!(heard.last().map(String::as_str), Some("@5 1: add [5]"));
}

#[test]
fn strangers_learn_nothing_and_can_do_nothing() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    let stranger = world.join(9, 1);
    for group in [group, 12_345] {
        world.resume(stranger, &[(group, 0)]);
        world.frame(stranger, &Frame::GroupLook { group, after: 0 });
        world.frame(stranger, &Frame::GroupAsk { group, position: 1, after: 0 });
        world.say(stranger, group, group, "hello?");
        world.change(stranger, group, group + 1, Action::Rename, &[], b"mine");
        let gone = format!("group {group} gone @0");
        let refused = |number| format!("group {group} rejected n{number} not_a_member");
        let expected = [gone.clone(), gone.clone(), gone, refused(group), refused(group + 1)];
        assert_eq!(world.heard(stranger), expected);
    }
    // Nor does it get anything by saying that it has everything.
    world.resume(stranger, &[(group, 1_000)]);
    assert_eq!(world.heard(stranger), [format!("group {group} gone @0")]);
    world.say(ann, group, 2, "secret");
    assert_eq!(world.heard(stranger), [] as [String; 0]);
}

#[test]
fn roles_are_kept_and_shown() {
    let mut world = World::new();
    let (group, [ann, bob, _]) = three(&mut world);
    world.change(bob, group, 1, Action::Rename, &[], b"gulls");
    assert_eq!(world.heard(bob), [format!("group {group} rejected n1 not_allowed")]);
    world.change(ann, group, 2, Action::Promote, &[2], b"");
    world.change(bob, group, 2, Action::Rename, &[], b"gulls");
    world.told(bob);
    world.crash();
    let bob = world.join(2, 1);
    world.told(bob);
    world.frame(bob, &Frame::GroupLook { group, after: 0 });
    let expected = format!("group {group} is gulls, head 3 [(1, 3), (2, 2), (3, 1)]");
    assert_eq!(world.heard(bob), [expected]);
    world.frame(bob, &Frame::GroupLook { group, after: 2 });
    assert_eq!(world.heard(bob), [format!("group {group} is gulls, head 3 [(3, 1)]")]);
}

#[test]
fn what_is_sent_behind_an_addition_does_not_overtake_it() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.holds_stores = true;
        world.change(ann, group, 2, Action::Add, &[7], b"");
        world.say(ann, group, 3, "welcome");
        world.change(ann, group, 4, Action::Add, &[8], b"");
        world.say(ann, group, 5, "and you");
        world.holds_stores = false;
        world.store();
        let sent = |number, position| format!("group {group} sent n{number} @{position}");
        assert_eq!(world.heard(ann), [sent(2, 2), sent(3, 3), sent(4, 4), sent(5, 5)]);
        let heard = ["@2 1: add [7]", "@3 1: welcome", "@4 1: add [8]", "@5 1: and you"];
        assert_eq!(world.heard(bob), heard);
    }
}

#[test]
fn who_comes_back_twice_is_never_sent_what_was_between() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    // A device that falls behind: it takes nothing while its user leaves and comes back, twice.
    let slow = world.log_in(2, 2);
    world.stall(slow);
    world.resume(slow, &[(group, 1)]);
    for number in 1..=30 {
        world.send(ann, 2, number, &"x".repeat(4_000));
    }
    let mut number = 100;
    for _ in 0..2 {
        world.change(ann, group, number, Action::Remove, &[2], b"");
        world.say(ann, group, number + 1, "secret");
        world.change(ann, group, number + 2, Action::Add, &[2], b"");
        number += 3;
    }
    world.unstall(slow);
    let heard = world.heard(slow);
    assert!(heard.iter().all(|told| !told.contains("secret")), "{heard:?}");
}

#[test]
fn of_each_of_its_times_a_member_gets_what_was_in_it() {
    for is_back in [true, false] {
        let mut world = World::new();
        let (group, [ann, bob, _]) = three(&mut world);
        world.hang_up(bob);
        let mut number = 2;
        for nth in 0..4 {
            world.say(ann, group, number, "for bob");
            if nth == 3 && is_back {
                break;
            }
            world.change(ann, group, number + 1, Action::Remove, &[2], b"");
            world.say(ann, group, number + 2, "secret");
            if nth < 3 {
                world.change(ann, group, number + 3, Action::Add, &[2], b"");
            }
            number += 4;
        }
        world.crash();
        let bob = world.log_in(2, 1);
        world.told(bob);
        world.resume(bob, &[(group, 1)]);
        let heard = world.heard(bob);
        let texts = |text| heard.iter().filter(|told| told.contains(text)).count();
        assert_eq!((texts("for bob"), texts("secret")), (4, 0), "{heard:?}");
        let page = world.page_down(bob, group, 100, 100);
        let texts = |text| page.iter().filter(|told| told.contains(text)).count();
        assert_eq!((texts("for bob"), texts("secret")), (4, 0), "{page:?}");
    }
}

#[test]
fn the_last_one_ends_the_group_and_ends_are_told() {
    let mut world = World::new();
    let (group, [ann, bob, cat]) = three(&mut world);
    world.change(ann, group, 2, Action::Leave, &[], b"");
    let gone = |position| format!("group {group} gone @{position}");
    assert_eq!(world.heard(ann), [format!("group {group} sent n2 @2"), gone(2)]);
    world.change(bob, group, 1, Action::Delete, &[], b"");
    assert_eq!(world.heard(bob).last(), Some(&gone(3)), "it is the owner now");
    assert_eq!(world.heard(cat), ["@2 1: leave []", "@3 2: delete []", &gone(3)]);
    world.say(cat, group, 1, "anybody?");
    assert_eq!(world.heard(cat), [format!("group {group} rejected n1 not_a_member")]);
}

#[test]
fn adding_is_refused_where_the_users_inbox_is_full() {
    let mut world = World::with(|config| config.quota_messages = 1);
    let ann = world.join(1, 1);
    world.send(ann, 2, 1, "fills it");
    world.told(ann);
    world.change(ann, 0, 2, Action::Create, &[2], b"birds");
    let told = world.heard(ann);
    assert!(told[0].ends_with("rejected n2 quota_exceeded"), "{told:?}");
}

#[test]
fn nobody_is_told_of_a_change_that_a_crash_could_take_back() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.say(ann, group, 2, "hello");
        world.told(ann);
        world.told(bob);
        world.holds_stores = true;
        world.change(ann, group, 3, Action::Remove, &[2], b"");
        world.resume(bob, &[(group, 2)]);
        world.say(bob, group, 1, "am I in it?");
        world.frame(bob, &Frame::GroupAsk { group, position: 2, after: 0 });
        world.frame(ann, &Frame::GroupLook { group, after: 0 });
        assert_eq!((world.told(bob), world.told(ann)), (vec![], vec![]));
        world.holds_stores = false;
        world.store();
        let gone = format!("group {group} gone @3");
        let refused = format!("group {group} rejected n1 not_a_member");
        let mut told = world.told(bob);
        told.sort();
        assert_eq!(told, ["@3 1: remove [2]".to_owned(), gone.clone(), gone, refused]);
        let heard = world.heard(ann);
        let state = format!("group {group} is birds, head 3 [(1, 3), (3, 1)]");
        assert_eq!(heard, [format!("group {group} sent n3 @3"), state]);
    }
}

#[test]
fn who_comes_back_while_it_is_added_again_gets_what_was_before() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.hang_up(bob);
        world.say(ann, group, 2, "before");
        world.change(ann, group, 3, Action::Remove, &[2], b"");
        world.say(ann, group, 4, "after");
        world.holds_stores = true;
        world.change(ann, group, 5, Action::Add, &[2], b"");
        let bob = world.log_in(2, 1);
        world.told(bob);
        world.resume(bob, &[(group, 1)]);
        // The notice; then the change, while the next one holds back the answer to the session.
        world.store();
        world.change(ann, group, 6, Action::Rename, &[], b"gulls");
        for core in 0..usize::from(cores) {
            world.store_one(core);
        }
        world.settle();
        world.holds_stores = false;
        world.store();
        let mut heard = world.heard(bob);
        heard.retain(|told| told.starts_with('@'));
        assert_eq!(heard, ["@2 1: before", "@3 1: remove [2]", "@5 1: add [2]", "@6 1: rename []"]);
    }
}

#[test]
fn who_was_away_for_a_whole_time_gets_it_although_the_next_one_begins_before_it_asks() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.change(ann, group, 2, Action::Remove, &[2], b"");
        world.told(bob);
        world.hang_up(bob);
        world.change(ann, group, 3, Action::Add, &[2], b"");
        world.say(ann, group, 4, "meanwhile");
        world.change(ann, group, 5, Action::Remove, &[2], b"");
        // It knows of no group, and hasn't read yet of having been in one.
        let bob = world.join(2, 1);
        world.say(ann, group, 6, "without");
        world.change(ann, group, 7, Action::Add, &[2], b"");
        let mut heard = world.heard(bob);
        heard.retain(|told| told.starts_with('@'));
        let earlier = ["@1 1: create [2, 3]", "@2 1: remove [2]"];
        let later = ["@3 1: add [2]", "@4 1: meanwhile", "@5 1: remove [2]", "@7 1: add [2]"];
        assert_eq!(heard, [&earlier[..], &later[..]].concat());
    }
}
