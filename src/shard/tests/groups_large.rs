//! A group of ten thousand: what one message costs storage, its author and everybody else.

use fulmar_protocol::group::Action;
use fulmar_protocol::{Frame, Pairs};

use super::world::{C, World, hello};
use crate::shard::Write;

const LARGE: u64 = 10_000;
/// Users whom one change names.
const NAMED: usize = 256;

fn world() -> World {
    World::with(|config| config.group_members_max = LARGE as usize)
}

impl World {
    /// A group of users 1 to `members`, made by user 1 on `ann`, and the position of its last entry.
    fn large_group(&mut self, ann: C, members: u64) -> (u64, u64) {
        let users: Vec<u64> = (2..=members).collect();
        let (first, rest) = users.split_at(users.len().min(NAMED));
        let group = self.group(ann, 1, first);
        for (number, part) in (2..).zip(rest.chunks(NAMED)) {
            self.change(ann, group, number, Action::Add, part, b"");
        }
        let told = self.heard(ann);
        assert!(told.iter().all(|told| told.contains("sent")), "{told:?}");
        (group, 1 + rest.chunks(NAMED).len() as u64)
    }

    /// Users log in at once and resume this group, of which they have everything.
    fn all_resume(
        &mut self,
        users: std::ops::RangeInclusive<u64>,
        group: u64,
        head: u64,
    ) -> Vec<C> {
        let members: Vec<C> = users
            .map(|user| {
                let c = self.connect();
                (self.clients[c].user, self.clients[c].device) = (user, 1);
                self.clients[c].groups.insert(group, head);
                c
            })
            .collect();
        self.each(&members, |world, c| {
            let user = world.clients[c].user;
            hello(user, 1, b"", &[(0, 0)]).encode(&mut world.clients[c].outgoing);
        });
        self.each(&members, |world, c| {
            let cursors = [(group, head)];
            let resume = Frame::GroupResume { cursors: Pairs::Slice(&cursors) };
            resume.encode(&mut world.clients[c].outgoing);
            world.clients[c].told.clear();
        });
        members
    }

    /// What each client does reaches the server in one turn.
    fn each(&mut self, clients: &[C], act: impl Fn(&mut World, C)) {
        for &c in clients {
            act(self, c);
        }
        self.settle();
    }

    fn receipts(&mut self, c: C) -> Vec<String> {
        let told = self.told(c);
        told.into_iter().filter(|told| told.starts_with("receipt")).collect()
    }
}

#[test]
fn the_author_is_told_of_ten_thousand_as_often_as_of_ten() {
    let receipts = |members: u64| {
        let mut world = world();
        let ann = world.join(1, 1);
        let (group, head) = world.large_group(ann, members);
        let others = world.all_resume(2..=members, group, head);
        world.told(ann);
        world.say(ann, group, 1_000, "who is coming?");
        let position = head + 1;
        for &c in &others {
            assert_eq!(world.told(c), [format!("@{position} 1: who is coming?")]);
        }
        world.each(&others, |world, c| {
            let outgoing = &mut world.clients[c].outgoing;
            Frame::GroupAck { group, position }.encode(outgoing);
            Frame::GroupRead { group, position }.encode(outgoing);
        });
        world.pass(3_000);
        let count = members - 1;
        let receipts = world.receipts(ann);
        let last = format!(
            "receipt @{position} of {count}: {count} {count}, all ({position}, {position}) []"
        );
        assert_eq!(receipts.last(), Some(&last), "{receipts:?}");
        for &c in &others {
            assert_eq!(world.told(c), [format!("group {group} read @{position}")]);
        }
        receipts.len()
    };
    assert_eq!(receipts(10), receipts(LARGE));
    assert!(receipts(10) <= 2, "one when they have it, one when they saw it");
}

#[test]
fn a_message_that_finds_nobody_stores_as_little_for_ten_thousand_as_for_ten() {
    let stored = |members: u64| {
        let mut world = world();
        let ann = world.join(1, 1);
        let (group, head) = world.large_group(ann, members);
        world.hang_up(ann);
        world.pass(3_000);
        let ann = world.log_in(1, 1);
        world.resume(ann, &[(group, head)]);
        world.pass(3_000);
        world.told(ann);
        world.holds_stores = true;
        world.say(ann, group, 1_000, "is anybody here?");
        let writes = world.cores[0].unstored.iter().flat_map(|(_, writes)| writes);
        let bytes: Vec<usize> = writes
            .map(|write| match write {
                Write::Put { value, .. } => value.len(),
                Write::Trim { .. } => panic!("nothing is trimmed"),
            })
            .collect();
        world.store();
        assert_eq!(world.heard(ann).len(), 1, "the tick");
        bytes
    };
    let few = stored(10);
    assert!(few.iter().sum::<usize>() < 64, "{few:?}");
    for many in [stored(1_000), stored(LARGE)] {
        // Only the numbers of what was written before are longer, as more changes added the members.
        assert_eq!(few.len(), many.len());
        for (few, many) in few.iter().zip(&many) {
            assert!((*few..=few + 4).contains(many), "{few} and {many} bytes");
        }
    }
}
