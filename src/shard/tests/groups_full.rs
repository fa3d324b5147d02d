//! Groups that are full: what would make them larger is refused as a whole, and nobody hears of it.

use fulmar_protocol::group::Action;

use super::groups::three;
use super::world::World;

const NOTHING: [&str; 0] = [];
const MEMBERS_MAX: usize = 5;

fn world(cores: u16) -> World {
    World::of_cores(cores, |config| config.group_members_max = MEMBERS_MAX)
}

#[test]
fn a_group_is_made_with_as_many_as_are_allowed_and_not_with_one_more() {
    for cores in [1, 2] {
        let mut world = world(cores);
        let ann = world.join(1, 1);
        let others = [2, 3, 4, 5, 6].map(|user| world.join(user, 1));
        let commits = world.disk.commits;
        world.change(ann, 0, 1, Action::Create, &[2, 3, 4, 5, 6], b"birds");
        world.expect(ann, &["group 0 rejected n1 group_full"]);
        for c in others {
            assert_eq!(world.told(c), NOTHING);
        }
        assert_eq!(world.disk.commits, commits, "nothing is stored of it");
        assert!(world.cores.iter().all(|core| core.shard.groups.len() == 0));
        // The whole limit may be used, and the refusal left no notice behind.
        let group = world.group(ann, 2, &[2, 3, 4, 5]);
        for (c, is_in) in others.into_iter().zip([true, true, true, true, false]) {
            let told = ["notice @1 by 1", "@1 1: create [2, 3, 4, 5]"];
            assert_eq!(world.heard(c), if is_in { &told[..] } else { &[] });
        }
        assert!(world.clients[others[0]].notices == [group]);
    }
}

#[test]
fn members_are_added_up_to_the_limit_and_an_addition_beyond_it_adds_none_of_them() {
    for cores in [1, 2] {
        let mut world = world(cores);
        let (group, [ann, bob, cat]) = three(&mut world);
        let (dan, eve, fay) = (world.join(4, 1), world.join(5, 1), world.join(6, 1));
        let full = |number| format!("group {group} rejected n{number} group_full");
        world.change(ann, group, 2, Action::Add, &[4, 5, 6], b"");
        world.expect(ann, &[&full(2)]);
        for c in [bob, cat, dan, eve, fay] {
            assert_eq!(world.told(c), NOTHING);
        }
        world.change(ann, group, 3, Action::Add, &[4], b"");
        world.change(ann, group, 4, Action::Add, &[5, 6], b"");
        world.change(ann, group, 5, Action::Add, &[5], b"");
        world.change(ann, group, 6, Action::Add, &[6], b"");
        let sent = |number, position| format!("group {group} sent n{number} @{position}");
        assert_eq!(world.heard(ann), [sent(3, 2), full(4), sent(5, 3), full(6)]);
        assert_eq!(world.heard(bob), ["@2 1: add [4]", "@3 1: add [5]"]);
        assert_eq!(world.heard(eve), ["notice @1 by 1", "@3 1: add [5]"]);
        assert_eq!(world.told(fay), NOTHING);
        // The refusals hold after a crash too; a place that becomes free is one.
        world.crash();
        let (ann, fay) = (world.log_in(1, 1), world.join(6, 1));
        world.told(ann);
        world.change(ann, group, 6, Action::Add, &[6], b"");
        world.change(ann, group, 7, Action::Add, &[6], b"");
        world.change(ann, group, 8, Action::Remove, &[3], b"");
        world.change(ann, group, 9, Action::Add, &[6], b"");
        world.change(ann, group, 10, Action::Add, &[3], b"");
        let told = world.heard(ann);
        assert_eq!(told[1..], [full(7), sent(8, 4), sent(9, 5), full(10)], "{told:?}");
        assert_eq!(world.heard(fay), ["notice @1 by 1", "@5 1: add [6]"]);
    }
}

#[test]
fn additions_that_are_asked_for_together_do_not_exceed_the_limit() {
    let mut world = world(1);
    let (group, [ann, bob, _]) = three(&mut world);
    world.change(ann, group, 2, Action::Promote, &[2], b"");
    world.told(ann);
    world.told(bob);
    world.holds_stores = true;
    world.change(ann, group, 3, Action::Add, &[4, 5], b"");
    world.change(bob, group, 1, Action::Add, &[6], b"");
    world.holds_stores = false;
    world.store();
    assert!(world.heard(ann).contains(&format!("group {group} sent n3 @3")));
    let refused = format!("group {group} rejected n1 group_full");
    let mut heard = world.heard(bob);
    heard.sort();
    assert_eq!(heard, ["@3 1: add [4, 5]", &refused]);
}
