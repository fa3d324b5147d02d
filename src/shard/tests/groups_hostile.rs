//! Groups against clients that mean harm, and against orders of events that are rare.

use fulmar_protocol::group::{Action, Change, GroupSend};
use fulmar_protocol::{Frame, Numbers, Pairs};

use super::groups::three;
use super::world::{C, World};
use crate::limits::{USER_GROUPS_MAX, WAITING_MAX, WARM_MS};

const NOTHING: [&str; 0] = [];

/// The mixing of group numbers, which anybody can read.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[test]
fn a_group_that_is_being_made_is_not_given_to_another() {
    let mut world = World::new();
    let (ann, eve) = (world.join(1, 1), world.join(9, 1));
    let start = |user| mix(mix(user) ^ 1_u64.rotate_left(48));
    // The number under which eve's group is the one that ann makes next.
    let number = start(1).wrapping_add(1).wrapping_sub(start(9));
    world.holds_stores = true;
    world.change(ann, 0, 1, Action::Create, &[2], b"birds");
    world.change(eve, 0, number, Action::Create, &[], b"mine");
    world.holds_stores = false;
    world.store();
    let heard = world.heard(ann);
    let sent = heard.iter().find(|told| told.contains(" sent n1 @1")).expect("a tick");
    let group: u64 = sent.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a number");
    assert_eq!(world.heard(eve), [format!("group 0 rejected n{number} bad_change")]);
    world.frame(ann, &Frame::GroupLook { group, after: 0 });
    assert_eq!(world.heard(ann), [format!("group {group} is birds, head 1 [(1, 3), (2, 1)]")]);
}

#[test]
fn who_acknowledges_nothing_while_a_group_rests_is_fed_when_it_wakes() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.say(ann, group, 2, "one");
        assert_eq!(world.heard(bob), ["@2 1: one"]);
        world.pass(130_000);
        assert!(world.cores.iter().all(|core| core.shard.seats.is_empty()), "it rests");
        world.say(ann, group, 3, "two");
        assert_eq!(world.heard(bob), ["@3 1: two"]);
        world.ack_group(bob, group, 3);
        world.say(ann, group, 4, "three");
        assert_eq!(world.heard(bob), ["@4 1: three"]);
    }
}

#[test]
fn who_asks_for_what_it_lacks_has_not_got_it() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.hang_up(bob);
        world.say(ann, group, 2, "hello");
        world.crash();
        let ann = world.log_in(1, 1);
        world.resume(ann, &[(group, 2)]);
        let bob = world.log_in(2, 1);
        world.resume(bob, &[(group, 1)]);
        world.frame(ann, &Frame::GroupAsk { group, position: 2, after: 0 });
        let expected = "receipt @2 of 2: 0 0, all (0, 0) [(2, 0), (3, 0)]";
        assert_eq!(world.receipt(ann), expected);
    }
}

#[test]
fn what_follows_an_addition_waits_for_it() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        let dan = world.join(4, 1);
        let users = Numbers::Slice(&[4]);
        let change = Change { action: Action::Add, users, value: b"" };
        let (content, total_bytes, body) = (1, None, &b"welcome, dan"[..]);
        let send =
            |number| Frame::GroupSend(GroupSend { group, number, content, total_bytes, body });
        let add = Frame::GroupChange { group, number: 2, change };
        world.frames(ann, &[add, send(3), send(4)]);
        let sent = |number, position| format!("group {group} sent n{number} @{position}");
        assert_eq!(world.heard(ann), [sent(2, 2), sent(3, 3), sent(4, 4)]);
        let heard = ["@2 1: add [4]", "@3 1: welcome, dan", "@4 1: welcome, dan"];
        assert_eq!(world.heard(bob), heard);
        assert_eq!(world.heard(dan)[1..], heard);
    }
}

#[test]
fn a_client_that_resumes_without_end_and_reads_nothing_is_not_read() {
    let mut world = World::of_cores(2, |_| {});
    let eve = world.join(9, 1);
    world.stall(eve);
    let mut unknown = 1..;
    for _ in 0..20 {
        let cursors: Vec<(u64, u64)> = unknown.by_ref().take(1_000).map(|it| (it, 0)).collect();
        world.resume(eve, &cursors);
    }
    assert!(world.clients[eve].is_paused, "its answers wait, and so does it");
    world.unstall(eve);
    assert_eq!(world.heard(eve).len(), 20_000, "each is answered once there is room");
}

#[test]
fn cold_groups_keep_to_the_window_of_all() {
    const GROUPS: u64 = 12;
    let mut world = World::with(|config| config.window_messages = 8);
    let (ann, bob) = (world.join(1, 1), world.join(2, 1));
    world.hang_up(bob);
    let groups: Vec<u64> = (1..=GROUPS).map(|number| world.group(ann, number, &[2])).collect();
    for &group in &groups {
        world.say(ann, group, 1_000, "one");
        world.say(ann, group, 1_001, "two");
    }
    world.crash();
    let bob = world.log_in(2, 1);
    world.told(bob);
    let mut cursors: Vec<(u64, u64)> = groups.iter().map(|&group| (group, 0)).collect();
    cursors.sort_unstable();
    world.holds_loads = true;
    world.resume(bob, &cursors);
    world.load();
    let under_way = world.cores[0].loads.len();
    assert!(under_way <= crate::limits::GROUP_READS_MAX, "{under_way} reads under way");
    world.holds_loads = false;
    world.load();
    let mut heard = world.heard(bob).len();
    assert_eq!(heard, 8, "the window of all groups");
    while heard < 3 * GROUPS as usize {
        for (group, position) in world.clients[bob].groups.clone() {
            if position > 0 {
                world.ack_group(bob, group, position);
            }
        }
        let more = world.heard(bob).len();
        assert!((1..=8).contains(&more), "{more} after {heard}");
        heard += more;
    }
}

#[test]
fn what_members_say_unasked_does_not_fill_the_list_of_a_group_that_is_being_read() {
    let mut world = World::new();
    let (group, [ann, bob, _]) = three(&mut world);
    world.hang_up(bob);
    world.say(ann, group, 2, "hello");
    world.crash();
    let (cat, bob) = (world.log_in(3, 1), world.log_in(2, 1));
    world.told(bob);
    world.holds_loads = true;
    for _ in 0..=WAITING_MAX {
        world.frame(cat, &Frame::GroupRead { group, position: 1 });
    }
    world.resume(bob, &[(group, 1)]);
    world.holds_loads = false;
    world.load();
    assert_eq!(world.heard(bob), ["@2 1: hello"]);
}

#[test]
fn what_strangers_say_of_a_group_is_not_passed_on() {
    let mut world = World::new();
    let (group, _) = three(&mut world);
    world.crash();
    let eve = world.join(9, 1);
    world.resume(eve, &[(group, 1)]);
    for frame in [
        Frame::GroupRead { group, position: 1 },
        Frame::GroupAck { group, position: 1 },
        Frame::GroupLook { group, after: 0 },
        Frame::GroupAsk { group, position: 1, after: 0 },
        Frame::Typing { group, user: 0, is_typing: true },
    ] {
        world.frame(eve, &frame);
    }
    assert_eq!(world.shard().groups.len(), 0, "nothing was loaded");
    let gone = format!("group {group} gone @0");
    assert_eq!(world.heard(eve), [gone.clone(), gone.clone(), gone]);
}

#[test]
fn nobody_is_in_more_groups_than_are_allowed() {
    let mut world = World::new();
    let (ann, bob) = (world.join(1, 1), world.join(2, 1));
    let full = |number| format!("group 0 rejected n{number} group_full");
    let mut first = 0;
    for number in 1..=USER_GROUPS_MAX as u64 {
        let group = world.group(if number % 2 == 0 { ann } else { bob }, number, &[2 - number % 2]);
        first = if first == 0 { group } else { first };
        for c in [ann, bob] {
            world.ack(c, number);
            world.told(c);
        }
    }
    let number = USER_GROUPS_MAX as u64 + 1;
    world.change(ann, 0, number, Action::Create, &[2], b"");
    assert_eq!(world.heard(ann).last(), Some(&full(number)));
    // Neither is who makes one, though the others might.
    world.change(ann, 0, number + 1, Action::Create, &[3], b"");
    assert_eq!(world.heard(ann).last(), Some(&full(number + 1)));
    for c in [ann, bob] {
        world.change(c, first, number, Action::Leave, &[], b"");
    }
    world.settle();
    world.told(bob);
    world.group(ann, number + 2, &[2]);
}

#[test]
fn a_question_that_finds_no_place_is_not_passed_over_in_silence() {
    let mut world = World::new();
    let ann = world.join(1, 1);
    let users: Vec<u64> = [2].into_iter().chain(100..150).collect();
    let group = world.group(ann, 1, &users);
    world.say(ann, group, 2, "hello");
    world.crash();
    let bob = world.log_in(2, 1);
    let askers: Vec<C> = (100..150).map(|user| world.log_in(user, 1)).collect();
    for &c in askers.iter().chain([&bob]) {
        world.told(c);
    }
    world.holds_loads = true;
    for &c in &askers {
        for _ in 0..32 {
            world.frame(c, &Frame::GroupLook { group, after: 0 });
        }
    }
    world.resume(bob, &[(group, 1)]);
    assert_eq!(world.heard(bob), ["goodbye overloaded"]);
    assert_eq!(world.heard(askers[49]), ["goodbye overloaded"]);
    world.holds_loads = false;
    world.load();
    assert_eq!(world.heard(askers[0]).len(), 32);
}

#[test]
fn a_former_member_is_shown_neither_writing_nor_receipts() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.frame(bob, &Frame::Activity { is_here: true });
        world.say(bob, group, 2, "mine");
        world.told(bob);
        world.change(ann, group, 2, Action::Remove, &[2], b"");
        world.told(bob);
        world.frame(ann, &Frame::Typing { group, user: 0, is_typing: true });
        world.say(ann, group, 3, "now that bob is gone");
        world.ack_group(cat, group, 4);
        world.ack_group(ann, group, 3);
        assert_eq!(world.told(bob), NOTHING);
    }
}

#[test]
fn groups_that_nobody_may_make_take_no_memory_and_those_in_memory_are_bounded() {
    let mut world = World::with(|config| config.groups_warm_max = 4);
    let ann = world.join(1, 1);
    for number in 1..50 {
        world.change(ann, 0, number, Action::Create, &[1], b"of myself");
    }
    assert_eq!(world.shard().groups.len(), 0);
    let groups: Vec<u64> = (50..250).map(|number| world.group(ann, number, &[])).collect();
    world.pass(2_000);
    for &group in &groups {
        world.frame(ann, &Frame::GroupRead { group, position: 1 });
        world.pass(1_250);
    }
    for &group in &groups {
        world.frame(ann, &Frame::GroupLook { group, after: 0 });
    }
    let held = world.shard().groups.len();
    // A sweep before each new one looks at a part of the table.
    assert!(held <= 100, "{held} groups in memory");
}

#[test]
fn changes_count_in_the_quota_but_who_leaves_may_leave() {
    let mut world = World::with(|config| config.group_quota_messages = 3);
    let (group, [ann, bob, _]) = three(&mut world);
    for number in 2..=4 {
        world.change(ann, group, number, Action::Rename, &[], b"x");
    }
    let refused = format!("group {group} rejected n4 quota_exceeded");
    assert_eq!(world.heard(ann).last(), Some(&refused));
    world.told(bob);
    world.change(bob, group, 1, Action::Leave, &[], b"");
    assert_eq!(world.heard(bob)[0], format!("group {group} sent n1 @4"));
}

#[test]
fn a_question_about_what_is_not_there_asks_for_no_receipts() {
    let mut world = World::new();
    let (group, [ann, bob, cat]) = three(&mut world);
    world.say(ann, group, 2, "hello");
    world.frame(cat, &Frame::GroupAsk { group, position: u64::MAX, after: 0 });
    world.told(cat);
    world.ack_group(bob, group, 2);
    assert_eq!(world.told(cat), NOTHING);
}

#[test]
fn being_added_between_the_welcome_and_the_resume_is_not_missed() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, ..]) = three(&mut world);
        let dan = world.log_in(4, 1);
        world.change(ann, group, 2, Action::Add, &[4], b"");
        world.resume(dan, &[]);
        world.say(ann, group, 3, "hello");
        assert_eq!(world.heard(dan), ["notice @1 by 1", "@2 1: add [4]", "@3 1: hello"]);
    }
}

#[test]
fn one_connection_has_few_inboxes_loaded_for_its_changes() {
    let mut world = World::with(|config| config.group_members_max = 1_000);
    let ann = world.join(1, 1);
    world.holds_loads = true;
    for number in 1..=20 {
        let users: Vec<u64> = (number * 1_000..number * 1_000 + 256).collect();
        world.change(ann, 0, number, Action::Create, &users, b"crowd");
    }
    let loads = world.cores[0].loads.len();
    assert!(loads <= 256, "{loads} loads");
    world.holds_loads = false;
    world.load();
    assert_eq!(world.heard(ann).iter().filter(|told| told.contains("sent")).count(), 20);
}

#[test]
fn the_list_of_groups_is_stored_with_the_notice() {
    let mut world = World::new();
    let (bob, cat) = (world.log_in(2, 1), world.log_in(3, 1));
    world.send(cat, 2, 1, "hello");
    world.told(bob);
    world.crash();
    let (ann, bob) = (world.join(1, 1), world.log_in(2, 1));
    world.told(ann);
    world.told(bob);
    world.holds_loads = true;
    // The receipt waits for its conversation, and until then the inbox's record isn't stored.
    world.ack(bob, 1);
    world.change(ann, 0, 1, Action::Create, &[2], b"birds");
    assert_eq!(world.heard(ann), ["notice @1 by 1"], "the maker's own, and no tick");
    world.holds_loads = false;
    world.load();
    let heard = world.heard(ann);
    assert!(heard.iter().any(|told| told.contains(" sent n1 @1")), "{heard:?}");
    world.crash();
    let bob = world.join(2, 1);
    let heard = world.heard(bob);
    assert!(heard.iter().any(|told| told.contains("create [2]")), "{heard:?}");
}

#[test]
fn an_answer_that_comes_late_brings_nothing_that_was_acknowledged() {
    let mut world = World::with(|config| config.idle_s = 1_000);
    let (group, [ann, bob, _]) = three(&mut world);
    world.say(ann, group, 2, "once");
    assert_eq!(world.heard(bob), ["@2 1: once"]);
    world.ack_group(bob, group, 2);
    // The group rests, and so does its feed; then it is named as it was before.
    world.pass(2 * WARM_MS);
    world.frame(bob, &Frame::GroupResume { cursors: Pairs::Slice(&[(group, 0)]) });
    world.say(ann, group, 3, "twice");
    assert_eq!(world.heard(bob), ["@3 1: twice"]);
}

#[test]
fn a_cursor_beyond_the_head_acknowledges_nothing_that_comes_later() {
    let mut world = World::new();
    let (group, [ann, bob, _]) = three(&mut world);
    world.hang_up(bob);
    let bob = world.log_in_from(2, 1, 1);
    let resume = |cursor: u64| [(group, cursor)];
    world.frame(bob, &Frame::GroupResume { cursors: Pairs::Slice(&resume(1_000)) });
    world.clients[bob].groups.insert(group, 1);
    world.say(ann, group, 2, "not acknowledged");
    world.frame(bob, &Frame::GroupResume { cursors: Pairs::Slice(&resume(1)) });
    world.told(ann);
    world.frame(ann, &Frame::GroupAsk { group, position: 2, after: 0 });
    world.expect(ann, &["receipt @2 of 2: 0 0, all (1, 0) [(2, 0), (3, 0)]"]);
}

/// A notice of a change that didn't come to pass: the group's home says that the user isn't in it, a moment later.
#[test]
fn who_was_told_goodbye_is_not_told_that_a_group_is_gone() {
    let mut world = World::of_cores(2, |config| config.quota_messages = 1);
    let ann = world.join(1, 1);
    world.send(ann, 3, 1, "fills it");
    world.told(ann);
    world.change(ann, 0, 2, Action::Create, &[2, 3], b"birds");
    let heard = world.heard(ann);
    assert!(heard.iter().any(|told| told.ends_with("rejected n2 quota_exceeded")), "{heard:?}");
    let mut resume = |behind: &[Frame<'_>]| {
        let bob = world.log_in(2, 1);
        let heard = world.heard(bob);
        assert!(heard.iter().any(|told| told == "notice @1 by 1"), "{heard:?}");
        let group = world.clients[bob].notices[0];
        let cursors = [(group, 0)];
        let resume = Frame::GroupResume { cursors: Pairs::Slice(&cursors) };
        world.frames(bob, &[&[resume], behind].concat());
        (group, world.heard(bob))
    };
    let (_, heard) = resume(&[Frame::Ack { position: 1_000 }]);
    assert_eq!(heard, ["goodbye cursor_ahead"]);
    let (group, heard) = resume(&[]);
    assert_eq!(heard, [format!("group {group} gone @0")]);
}

/// The group is let go while the first waits for what its author sent lately; then the second waits for the group.
#[test]
fn a_send_does_not_overtake_one_that_waits_while_the_group_is_let_go() {
    let mut world = World::new();
    let (group, _) = three(&mut world);
    world.crash();
    let ann = world.log_in(1, 1);
    world.told(ann);
    world.holds_loads = true;
    world.say(ann, group, 2, "one");
    world.say(ann, group, 3, "two");
    assert!(world.load_one(0), "the group");
    world.settle();
    world.pass(2 * WARM_MS);
    assert_eq!(world.shard().groups.len(), 1, "it stays while something is to enter it");
    world.say(ann, group, 4, "three");
    world.holds_loads = false;
    world.load();
    let sent = |number, position| format!("group {group} sent n{number} @{position}");
    assert_eq!(world.heard(ann), [sent(2, 2), sent(3, 3), sent(4, 4)]);
    world.pass(2 * WARM_MS);
    assert_eq!(world.shard().groups.len(), 0, "it rests");
}

#[test]
fn who_asks_is_answered_though_somebody_changes_the_group_all_the_time() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.say(cat, group, 1, "hello");
        world.heard(bob);
        world.told(cat);
        world.hang_up(bob);
        let bob = world.log_in(2, 1);
        world.told(bob);
        world.holds_stores = true;
        let mut number = 1;
        let mut rename = |world: &mut World| {
            number += 1;
            world.change(ann, group, number, Action::Rename, &[], format!("{number}").as_bytes());
        };
        rename(&mut world);
        world.frame(bob, &Frame::GroupLook { group, after: 0 });
        world.resume(bob, &[(group, 1)]);
        // Before each commit there is another change, and a message.
        for round in 0..6 {
            rename(&mut world);
            world.say(cat, group, 2 + round, "more");
            for core in 0..usize::from(cores) {
                world.store_one(core);
            }
            world.settle();
        }
        let told = world.told(bob).join(", ");
        assert!(told.contains("head 3 "), "{told}");
        assert!(told.contains("hello"), "{told}");
        world.holds_stores = false;
        world.store();
        // Everything was taken, in order.
        let told = world.told(ann);
        let ticks = told.iter().filter(|it| it.contains("sent")).count();
        assert_eq!(ticks, 7, "{told:?}");
        let told = world.told(cat);
        let ticks = told.iter().filter(|it| it.contains("sent")).count();
        assert_eq!(ticks, 6, "{told:?}");
    }
}
