//! Groups: who may make which change, what everybody is told of it and in which order, and what the
//! members are afterwards.

use fulmar_protocol::Frame;
use fulmar_protocol::content::Content;
use fulmar_protocol::group::Action;

use super::world::{C, World};
use crate::shard::UserId;

const NOTHING: [&str; 0] = [];
const OWNER: usize = 0;
const ADMIN: usize = 1;
const MEMBER: usize = 2;
const STRANGER: usize = 4;

/// A change that is asked for.
type Asked = (Action, &'static [UserId], &'static [u8]);

/// Users 1 to 4 in a group, of whom 1 is the owner and 2 and 4 are admins, and 9, who isn't in it; each with
/// a device. Everybody has heard so far; the head is 2, and so is each client's cursor.
fn company(world: &mut World) -> (u64, [C; 5]) {
    let all = [1, 2, 3, 4, 9].map(|user| world.join(user, 1));
    let group = world.group(all[OWNER], 1, &[2, 3, 4]);
    world.change(all[OWNER], group, 2, Action::Promote, &[2, 4], b"");
    for &c in &all[..STRANGER] {
        world.ack(c, 1);
        world.ack_group(c, group, 2);
        world.told(c);
    }
    assert_eq!(world.told(all[STRANGER]), NOTHING);
    (group, all)
}

impl World {
    /// What a member is told that the group is.
    fn state(&mut self, c: C, group: u64) -> String {
        self.told(c);
        self.frame(c, &Frame::GroupLook { group, after: 0 });
        let told = self.heard(c);
        let [state] = &told[..] else { panic!("{told:?}") };
        state.strip_prefix(&format!("group {group} is ")).expect("a state").to_owned()
    }
}

/// Asks for a change in a new company; whether it was made and told, or refused and not told.
#[track_caller]
fn asks(
    cores: u16,
    asker: usize,
    (action, users, value): Asked,
    told: &str,
    refusal: Option<&str>,
) {
    let mut world = World::of_cores(cores, |_| {});
    let (group, all) = company(&mut world);
    let other = if asker == OWNER { all[MEMBER] } else { all[OWNER] };
    let before = world.state(other, group);
    world.change(all[asker], group, 3, action, users, value);
    let case = format!("{action:?} by the {asker}th");
    let answer = match refusal {
        None => format!("group {group} sent n3 @3"),
        Some(code) => format!("group {group} rejected n3 {code}"),
    };
    assert_eq!(world.told(all[asker]), [answer], "{case}");
    let entry = format!("@3 {}: {told}", world.clients[all[asker]].user);
    for (member, &c) in all.iter().enumerate().filter(|&(member, _)| member != asker) {
        let is_told = refusal.is_none() && member != STRANGER;
        let expected = if is_told { vec![entry.clone()] } else { Vec::new() };
        assert_eq!(world.heard(c), expected, "{case}, told to the {member}th");
    }
    assert_eq!(world.state(other, group) == before, refusal.is_some(), "{case}");
}

#[test]
fn each_role_may_make_the_changes_that_the_table_says() {
    let changes: [(Asked, &str, usize); 5] = [
        ((Action::Describe, &[], b"of the sea"), "describe of the sea", ADMIN),
        ((Action::Demote, &[4], b""), "demote [4]", OWNER),
        ((Action::HandOver, &[3], b""), "hand_over [3]", OWNER),
        ((Action::HandOver, &[4], b""), "hand_over [4]", OWNER),
        ((Action::ShowHistory, &[], b"\x01"), "show_history [1]", OWNER),
    ];
    for cores in [1, 2] {
        for (change, told, least) in changes {
            for asker in [OWNER, ADMIN, MEMBER, STRANGER] {
                let refusal = match asker {
                    STRANGER => Some("not_a_member"),
                    asker if asker > least => Some("not_allowed"),
                    _ => None,
                };
                asks(cores, asker, change, told, refusal);
            }
        }
    }
}

#[test]
fn an_owner_is_refused_what_makes_no_sense_and_nobody_is_told() {
    let changes: [Asked; 13] = [
        (Action::Demote, &[], b""),
        (Action::Demote, &[3], b""),
        (Action::Demote, &[2, 3], b""),
        (Action::Demote, &[1], b""),
        (Action::Demote, &[9], b""),
        (Action::Demote, &[2], b"x"),
        (Action::HandOver, &[], b""),
        (Action::HandOver, &[2, 4], b""),
        (Action::HandOver, &[1], b""),
        (Action::HandOver, &[9], b""),
        (Action::Describe, &[2], b"of the sea"),
        (Action::ShowHistory, &[], b"\x02"),
        (Action::ShowHistory, &[], b""),
    ];
    for change in changes {
        asks(1, OWNER, change, "", Some("bad_change"));
    }
}

#[test]
fn changes_come_to_all_in_one_order_and_to_who_was_away_as_well() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat, dan, eve]) = company(&mut world);
        let tablet = world.log_in(1, 2);
        world.resume(tablet, &[(group, 2)]);
        world.told(tablet);
        world.hang_up(cat);
        let changes: [Asked; 6] = [
            (Action::Describe, &[], b"of the sea"),
            (Action::ShowHistory, &[], b"\x01"),
            (Action::Demote, &[2, 4], b""),
            (Action::Describe, &[], b""),
            (Action::ShowHistory, &[], b"\x00"),
            (Action::HandOver, &[4], b""),
        ];
        for (number, (action, users, value)) in (3..).zip(changes) {
            world.change(ann, group, number, action, users, value);
        }
        let ticks: Vec<_> = (3..9).map(|it| format!("group {group} sent n{it} @{it}")).collect();
        assert_eq!(world.told(ann), ticks);
        assert_eq!(world.clients[ann].groups[&group], 8, "it is passed over what it did itself");
        let entries = [
            "@3 1: describe of the sea",
            "@4 1: show_history [1]",
            "@5 1: demote [2, 4]",
            "@6 1: describe ",
            "@7 1: show_history [0]",
            "@8 1: hand_over [4]",
        ];
        for member in [bob, dan] {
            assert_eq!(world.heard(member), entries);
        }
        assert_eq!(world.heard(tablet), entries.map(|entry| format!("own {entry}")));
        assert_eq!(world.told(eve), NOTHING);
        world.crash();
        let cat = world.log_in(3, 1);
        world.told(cat);
        world.resume(cat, &[(group, 2)]);
        assert_eq!(world.heard(cat), entries);
        let state = "birds, head 8 [(1, 2), (2, 1), (3, 1), (4, 3)]";
        assert_eq!(world.state(cat, group), state);
    }
}

#[test]
fn a_description_as_long_as_may_be_comes_back_whole() {
    let mut world = World::new();
    let (group, [ann, bob, ..]) = company(&mut world);
    let info = vec![b'x'; 4_096];
    world.change(bob, group, 3, Action::Describe, &[], &info);
    world.crash();
    let ann = (world.log_in(1, 1), world.told(ann)).0;
    let state = world.state(ann, group);
    let expected = format!("birds ({}), head 3", "x".repeat(4_096));
    assert!(state.starts_with(&expected), "{state}");
}

/// What only admins may do, and the answer to each; the first is asked for under this number.
fn admin_things(world: &mut World, c: C, group: u64, first: u64) -> Vec<String> {
    world.told(c);
    let changes: [Asked; 4] = [
        (Action::Rename, &[], b"gulls"),
        (Action::Describe, &[], b"of the sea"),
        (Action::Add, &[5], b""),
        (Action::Remove, &[5], b""),
    ];
    for (number, (action, users, value)) in (first..).zip(changes) {
        world.change(c, group, number, action, users, value);
    }
    // Position 3 is what user 3 wrote.
    world.refer_in(c, group, first + 4, &Content::Delete { target: 3 });
    let answers = world.heard(c);
    answers.iter().map(|told| told.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_demoted_admin_may_do_nothing_that_admins_may() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat, ..]) = company(&mut world);
        world.say(cat, group, 1, "hello");
        assert_eq!(admin_things(&mut world, bob, group, 10), ["@4", "@5", "@6", "@7", "@8"]);
        world.change(ann, group, 3, Action::Demote, &[2], b"");
        let state = world.state(cat, group);
        let refused = ["not_allowed", "not_allowed", "not_allowed", "not_allowed", "not_yours"];
        assert_eq!(admin_things(&mut world, bob, group, 20), refused);
        assert_eq!(world.heard(cat), NOTHING);
        assert_eq!(world.state(cat, group), state);
        // Nor after a crash; until it is an admin again.
        world.crash();
        let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
        assert_eq!(admin_things(&mut world, bob, group, 30), refused);
        world.change(ann, group, 4, Action::Promote, &[2], b"");
        assert_eq!(admin_things(&mut world, bob, group, 40)[..4], ["@11", "@12", "@13", "@14"]);
    }
}

#[test]
fn what_is_asked_behind_a_demotion_is_refused_when_the_demotion_is_stored() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat, ..]) = company(&mut world);
        world.holds_stores = true;
        world.change(ann, group, 3, Action::Demote, &[2], b"");
        world.change(bob, group, 1, Action::Rename, &[], b"gulls");
        assert_eq!((world.told(bob), world.told(cat)), (vec![], vec![]));
        world.holds_stores = false;
        world.store();
        let mut told = world.heard(bob);
        told.sort();
        assert_eq!(told, ["@3 1: demote [2]", &format!("group {group} rejected n1 not_allowed")]);
        assert_eq!(world.heard(cat), ["@3 1: demote [2]"]);
        assert_eq!(world.state(cat, group), "birds, head 3 [(1, 3), (2, 1), (3, 1), (4, 2)]");
    }
}

#[test]
fn a_group_that_was_handed_over_has_one_owner_and_the_old_one_is_an_admin() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, _, cat, dan, _]) = company(&mut world);
        world.change(ann, group, 3, Action::HandOver, &[3], b"");
        let owners: [Asked; 6] = [
            (Action::Promote, &[3], b""),
            (Action::Demote, &[2], b""),
            (Action::HandOver, &[1], b""),
            (Action::ShowHistory, &[], b"\x01"),
            (Action::Delete, &[], b""),
            (Action::Remove, &[3], b""),
        ];
        world.told(ann);
        world.told(dan);
        for (number, (action, users, value)) in (4..).zip(owners) {
            world.change(ann, group, number, action, users, value);
            world.expect(ann, &[&format!("group {group} rejected n{number} not_allowed")]);
        }
        assert_eq!(world.heard(dan), NOTHING);
        assert_eq!(world.state(dan, group), "birds, head 3 [(1, 2), (2, 2), (3, 3), (4, 2)]");
        // What admins may, it may.
        world.change(ann, group, 20, Action::Describe, &[], b"of the sea");
        world.expect(ann, &[&format!("group {group} sent n20 @4")]);
        // The new owner may make a member of the old one, and hands over in turn.
        world.change(cat, group, 1, Action::Demote, &[1], b"");
        world.change(cat, group, 2, Action::HandOver, &[4], b"");
        let state = "birds (of the sea), head 6 [(1, 1), (2, 2), (3, 2), (4, 3)]";
        assert_eq!(world.state(dan, group), state);
        world.crash();
        let dan = world.log_in(4, 1);
        assert_eq!(world.state(dan, group), state);
    }
}

#[test]
fn an_owner_by_hand_over_who_leaves_is_followed_by_the_oldest_admin() {
    let mut world = World::new();
    let (group, [ann, bob, cat, ..]) = company(&mut world);
    world.change(ann, group, 3, Action::HandOver, &[3], b"");
    world.change(cat, group, 1, Action::Leave, &[], b"");
    assert_eq!(world.heard(bob), ["@3 1: hand_over [3]", "@4 3: leave []"]);
    let gone = format!("group {group} gone @4");
    assert_eq!(world.heard(cat).last(), Some(&gone));
    // All three admins are in it since its beginning; the first of them is who made it.
    assert_eq!(world.state(bob, group), "birds, head 4 [(1, 3), (2, 2), (4, 2)]");
}
