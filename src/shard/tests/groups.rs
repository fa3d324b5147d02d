//! Groups: one log for many, who is in them, what a device gets and when, receipts as counts.

use fulmar_protocol::group::{Action, Change, GroupSend};
use fulmar_protocol::{Chunks, Frame, Numbers, Pairs};

use super::world::{C, World, user_on};
use crate::limits::GROUP_RECEIPT_GATHER_MS;
use crate::shard::{Retention, UserId};

impl World {
    /// A device that logs in and takes groups, of which it has none.
    pub(super) fn join(&mut self, user: UserId, device: u16) -> C {
        let c = self.log_in(user, device);
        self.resume(c, &[]);
        c
    }

    pub(super) fn resume(&mut self, c: C, cursors: &[(u64, u64)]) {
        for &(group, cursor) in cursors {
            self.clients[c].groups.insert(group, cursor);
        }
        self.frame(c, &Frame::GroupResume { cursors: Pairs::Slice(cursors) });
    }

    pub(super) fn change(
        &mut self,
        c: C,
        group: u64,
        number: u64,
        action: Action,
        users: &[UserId],
        value: &[u8],
    ) {
        let change = Change { action, users: Numbers::Slice(users), value };
        self.frame(c, &Frame::GroupChange { group, number, change });
    }

    /// A group that this client makes with these members; they are told, and so is the client.
    pub(super) fn group(&mut self, c: C, number: u64, users: &[UserId]) -> u64 {
        self.change(c, 0, number, Action::Create, users, b"birds");
        let told = self.told(c);
        let sent = told.iter().find(|told| told.contains(&format!(" sent n{number} @1")));
        let sent = sent.unwrap_or_else(|| panic!("no tick in {told:?}"));
        sent.split(' ').nth(1).and_then(|group| group.parse().ok()).expect("a number")
    }

    pub(super) fn say(&mut self, c: C, group: u64, number: u64, text: &str) {
        let (content, total_bytes, body) = (1, None, text.as_bytes());
        self.frame(c, &Frame::GroupSend(GroupSend { group, number, content, total_bytes, body }));
    }

    /// A message that is cut into parts.
    pub(super) fn say_large(&mut self, c: C, group: u64, number: u64, body: &[u8]) {
        let mut pieces = Chunks::new(body);
        let (content, total_bytes) = (1, Chunks::total_bytes(body));
        let first = pieces.next().unwrap_or_default();
        let send = GroupSend { group, number, content, total_bytes, body: first };
        self.frame(c, &Frame::GroupSend(send));
        for body in pieces {
            self.frame(c, &Frame::Part { body });
        }
    }

    pub(super) fn ack_group(&mut self, c: C, group: u64, position: u64) {
        self.frame(c, &Frame::GroupAck { group, position });
    }

    /// What a client was told that isn't about receipts.
    pub(super) fn heard(&mut self, c: C) -> Vec<String> {
        let told = self.told(c);
        told.into_iter().filter(|told| !told.starts_with("receipt")).collect()
    }

    /// The last receipt that a client was told, once they had time to gather.
    pub(super) fn receipt(&mut self, c: C) -> String {
        self.pass(GROUP_RECEIPT_GATHER_MS);
        self.told(c).into_iter().rfind(|told| told.starts_with("receipt")).unwrap_or_default()
    }
}

/// Users 1, 2 and 3 in a group, each with a device; 1 made it. Everybody has heard so far.
pub(super) fn three(world: &mut World) -> (u64, [C; 3]) {
    let all = [world.join(1, 1), world.join(2, 1), world.join(3, 1)];
    let group = world.group(all[0], 1, &[2, 3]);
    for c in all {
        world.ack(c, 1);
        world.ack_group(c, group, 1);
        world.told(c);
    }
    (group, all)
}

#[test]
fn members_are_told_of_a_group_and_get_its_entries_in_one_order() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob, cat) = (world.join(1, 1), world.join(2, 1), world.join(3, 1));
        let group = world.group(ann, 1, &[2, 3]);
        for member in [bob, cat] {
            assert_eq!(world.heard(member), ["notice @1 by 1", "@1 1: create [2, 3]"]);
            assert_eq!(world.clients[member].notices, [group]);
        }
        world.say(bob, group, 1, "hello");
        world.say(cat, group, 1, "hi");
        assert_eq!(world.heard(ann), ["@2 2: hello", "@3 3: hi"]);
        let sent = |number, position| format!("group {group} sent n{number} @{position}");
        assert_eq!(world.heard(bob), [sent(1, 2), "@3 3: hi".to_owned()]);
        assert_eq!(world.heard(cat), ["@2 2: hello".to_owned(), sent(1, 3)]);
    }
}

#[test]
fn a_tick_waits_for_the_disk_and_so_does_everybody_else() {
    let mut world = World::new();
    let (group, [ann, bob, _]) = three(&mut world);
    world.holds_stores = true;
    world.say(ann, group, 2, "hello");
    assert_eq!((world.heard(ann), world.heard(bob)), (vec![], vec![]));
    world.store();
    assert_eq!(world.heard(ann), [format!("group {group} sent n2 @2")]);
    assert_eq!(world.heard(bob), ["@2 1: hello"]);
}

#[test]
fn a_resend_is_answered_with_the_first_position_also_after_a_crash() {
    let mut world = World::of_cores(2, |_| {});
    let (group, [ann, ..]) = three(&mut world);
    world.say(ann, group, 2, "hello");
    world.say(ann, group, 2, "hello");
    let sent = format!("group {group} sent n2 @2");
    assert_eq!(world.heard(ann), [sent.clone(), sent.clone()]);
    world.crash();
    let ann = world.join(1, 1);
    world.told(ann);
    world.say(ann, group, 2, "hello");
    world.say(ann, group, 3, "again");
    assert_eq!(world.heard(ann), [sent, format!("group {group} sent n3 @3")]);
    // The group is made once, however often that is asked for.
    assert_eq!(world.group(ann, 1, &[2, 3]), group);
}

#[test]
fn who_was_away_gets_what_it_lacks_and_quiet_groups_are_not_read() {
    let mut world = World::of_cores(2, |_| {});
    let (group, [ann, bob, _]) = three(&mut world);
    let quiet: Vec<u64> = (10..20).map(|number| world.group(ann, number, &[2])).collect();
    world.told(ann);
    world.hang_up(bob);
    world.say(ann, group, 2, "one");
    world.say(ann, group, 3, "two");
    world.crash();
    let bob = world.log_in(2, 1);
    world.told(bob);
    let mut cursors: Vec<(u64, u64)> = quiet.iter().map(|&group| (group, 1)).collect();
    cursors.push((group, 1));
    cursors.sort_unstable();
    let hydrations = |world: &World| -> u64 {
        world.cores.iter().map(|core| core.shard.counters().hydrations).sum()
    };
    let before = hydrations(&world);
    world.resume(bob, &cursors);
    assert_eq!(world.heard(bob), ["@2 1: one", "@3 1: two"]);
    assert_eq!(hydrations(&world) - before, 1, "only the group with news is read");
    // And live ones go on, also in a group that was quiet.
    let ann = world.join(1, 1);
    world.told(ann);
    world.say(ann, group, 4, "three");
    world.say(ann, quiet[0], 1_000, "wake up");
    assert_eq!(world.heard(bob), ["@4 1: three", "@2 1: wake up"]);
}

#[test]
fn a_message_that_finds_nobody_costs_the_same_for_few_and_for_many() {
    let bytes = |members: u64| {
        let mut world = World::with(|config| config.group_members_max = 2_000);
        let ann = world.join(1, 1);
        let first: Vec<u64> = (2..202.min(members + 1)).collect();
        let group = world.group(ann, 1, &first);
        let mut next = 202;
        for number in 2.. {
            let users: Vec<u64> = (next..=members.min(next + 199)).collect();
            if users.is_empty() {
                break;
            }
            world.change(ann, group, number, Action::Add, &users, b"");
            next += 200;
        }
        world.told(ann);
        world.hang_up(ann);
        world.pass(3_000);
        let ann = world.join(1, 1);
        world.pass(3_000);
        world.told(ann);
        world.holds_stores = true;
        world.say(ann, group, 1_000, "is anybody here?");
        let unstored = |world: &World| {
            world.cores[0].unstored.iter().map(|(_, writes)| writes.len()).sum::<usize>()
        };
        let writes = unstored(&world);
        world.store();
        assert_eq!(world.heard(ann).len(), 1);
        world.pass(3_000);
        assert_eq!(unstored(&world), 0, "nor does anything follow");
        writes
    };
    assert_eq!(bytes(10), bytes(1_000));
    assert_eq!(bytes(10), 2, "the entry, and what its author sent lately");
}

#[test]
fn a_question_about_an_older_entry_hides_no_receipt_of_the_newest() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.say(ann, group, 2, "everybody sees it");
        for member in [bob, cat] {
            world.frame(member, &Frame::GroupRead { group, position: 2 });
        }
        world.pass(60_000);
        world.say(ann, group, 3, "nobody has it yet");
        world.crash();
        // The tablet doesn't know of the newest one yet.
        let (phone, tablet) = (world.join(1, 1), world.join(1, 2));
        for (device, position) in [(tablet, 2), (phone, 3)] {
            world.frame(device, &Frame::GroupAsk { group, position, after: 0 });
        }
        assert!(world.receipt(phone).starts_with("receipt @3 of 2: 0 0, all"));
        let bob = world.log_in(2, 1);
        world.resume(bob, &[(group, 3)]);
        assert_eq!(world.receipt(phone), "receipt @3 of 2: 1 0, all (2, 2) []");
    }
}

#[test]
fn a_second_device_of_the_author_gets_its_messages_marked_as_own() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    let tablet = world.log_in(1, 2);
    world.told(tablet);
    world.resume(tablet, &[(group, 1)]);
    world.say(ann, group, 2, "from the phone");
    assert_eq!(world.heard(tablet), ["own @2 1: from the phone"]);
    assert_eq!(world.clients[ann].groups[&group], 2, "the sender passes over its own");
}

#[test]
fn a_busy_group_neither_fills_the_window_nor_starves_other_conversations() {
    let mut world = World::with(|config| config.window_messages = 8);
    let (busy, [ann, bob, _]) = three(&mut world);
    let other = world.group(ann, 50, &[2]);
    world.told(bob);
    world.ack(bob, 2);
    for number in 2..40 {
        world.say(ann, busy, number, "noise");
    }
    assert_eq!(world.heard(bob).len(), 2, "a quarter of the window");
    world.say(ann, other, 60, "hear me");
    world.send(ann, 2, 1, "and me");
    assert_eq!(world.heard(bob), ["@2 1: hear me", "deliver @3 1#1 and me"]);
    // What waits comes as it is acknowledged, without a hole.
    while world.clients[bob].groups[&busy] < 39 {
        let position = world.clients[bob].groups[&busy];
        world.ack_group(bob, busy, position);
    }
    assert_eq!(world.heard(bob).len(), 36);
}

#[test]
fn the_quota_of_a_group_refuses_before_the_tick() {
    let mut world = World::with(|config| config.group_quota_messages = 3);
    let (group, [ann, bob, _]) = three(&mut world);
    for number in 2..=4 {
        world.say(ann, group, number, "x");
    }
    let refused = format!("group {group} rejected n4 quota_exceeded");
    assert_eq!(world.heard(ann).last(), Some(&refused));
    assert_eq!(world.heard(bob), ["@2 1: x", "@3 1: x"]);
}

#[test]
fn where_all_is_kept_a_group_has_no_quota() {
    let mut world = World::with(|config| {
        config.group_quota_messages = 3;
        config.retention = Retention::History;
    });
    let (group, [ann, bob, _]) = three(&mut world);
    for number in 2..=4 {
        world.say(ann, group, number, "x");
    }
    assert_eq!(world.heard(bob), ["@2 1: x", "@3 1: x", "@4 1: x"]);
}

#[test]
fn what_expired_is_passed_over() {
    let mut world = World::with(|config| config.expiry_ms = 10_000);
    let (group, [ann, bob, _]) = three(&mut world);
    world.hang_up(bob);
    world.say(ann, group, 2, "old");
    world.pass(8_000);
    world.say(ann, group, 3, "new");
    world.pass(4_000);
    let bob = world.log_in(2, 1);
    world.told(bob);
    world.resume(bob, &[(group, 1)]);
    assert_eq!(world.heard(bob), ["@3 1: new"]);
}

#[test]
fn a_group_is_let_go_when_it_rests_and_wakes_again() {
    let mut world = World::of_cores(2, |_| {});
    let (group, [ann, bob, _]) = three(&mut world);
    world.pass(130_000);
    assert!(world.cores.iter().all(|core| core.shard.groups.len() == 0), "let go");
    assert!(world.cores.iter().all(|core| core.shard.seats.is_empty()), "and its seats");
    world.say(ann, group, 2, "still here?");
    assert_eq!(world.heard(bob), ["@2 1: still here?"]);
}

#[test]
fn an_inbox_and_a_group_of_the_same_number_do_not_meet() {
    let mut world = World::new();
    let ann = world.join(1, 1);
    let group = world.group(ann, 1, &[2]);
    let twin = world.join(group, 1);
    world.send(ann, group, 9, "to the person");
    world.say(ann, group, 10, "to the group");
    assert_eq!(world.heard(twin), ["deliver @1 1#1 to the person"]);
    let bob = world.log_in(2, 1);
    world.told(bob);
    world.resume(bob, &[(group, 0)]);
    assert_eq!(world.heard(bob), ["@1 1: create [2]", "@2 1: to the group"]);
}

#[test]
fn homes_on_other_cores_make_no_difference() {
    let mut world = World::of_cores(4, |_| {});
    let users: Vec<u64> = (0..4).map(|core| user_on(core, 4, 0)).collect();
    let clients: Vec<C> = users.iter().map(|&user| world.join(user, 1)).collect();
    let mut others = users[1..].to_vec();
    others.sort_unstable();
    let group = world.group(clients[0], 1, &others);
    for (&c, &user) in clients.iter().zip(&users).skip(1) {
        world.say(c, group, 1, &format!("I am {user}"));
    }
    let heard = world.heard(clients[0]);
    assert_eq!(heard.len(), 3, "{heard:?}");
}

#[test]
fn groups_that_are_read_from_storage_at_once_share_one_window() {
    let mut world = World::with(|config| config.window_messages = 1);
    let (one, [ann, bob, _]) = three(&mut world);
    let other = world.group(ann, 50, &[2]);
    world.hang_up(bob);
    for number in 2..5 {
        world.say(ann, one, number, "one");
        world.say(ann, other, 100 + number, "other");
    }
    world.crash();
    let bob = world.log_in(2, 1);
    world.told(bob);
    world.holds_loads = true;
    let mut cursors = [(one, 1), (other, 1)];
    cursors.sort_unstable();
    world.resume(bob, &cursors);
    // The records, then the entries of both.
    for _ in 0..4 {
        world.load();
    }
    assert_eq!(world.heard(bob).len(), 1, "the window has room for one");
    world.holds_loads = false;
    world.load();
    for _ in 0..8 {
        for group in [one, other] {
            let position = world.clients[bob].groups[&group];
            world.ack_group(bob, group, position);
        }
    }
    assert_eq!(world.heard(bob).len(), 5, "the rest of both");
}

#[test]
fn who_writes_is_shown_to_the_members_who_are_there() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        let stranger = world.join(9, 1);
        for c in [ann, bob, stranger] {
            world.frame(c, &Frame::Activity { is_here: true });
        }
        let typing = |is_typing| Frame::Typing { group, user: 0, is_typing };
        world.frame(ann, &typing(true));
        world.frame(ann, &typing(false));
        let told = ["typing 1 in a group: true", "typing 1 in a group: false"];
        assert_eq!(world.heard(bob), told);
        for c in [ann, cat, stranger] {
            assert_eq!(
                world.heard(c),
                [] as [String; 0],
                "its writer, who isn't there, who isn't in it"
            );
        }
        world.frame(stranger, &typing(true));
        assert_eq!(world.heard(bob), [] as [String; 0]);
    }
}

#[test]
fn a_device_that_knows_none_of_its_groups_gets_them_all_and_so_does_one_that_was_added_while_it_logged_in()
 {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.say(ann, group, 2, "hello");
        world.ack_group(bob, group, 2);
        world.pass(1_000);
        world.crash();
        let tablet = world.join(2, 2);
        let heard = world.heard(tablet);
        assert_eq!(heard, ["skip @1", "@1 1: create [2, 3]", "@2 1: hello"]);
        // Its maker's too.
        let second = world.join(1, 2);
        let heard = world.heard(second);
        assert_eq!(heard, ["skip @1", "own @1 1: create [2, 3]", "own @2 1: hello"]);
        let dan = world.log_in(4, 1);
        let ann = world.join(1, 1);
        world.told(ann);
        world.change(ann, group, 3, Action::Add, &[4], b"");
        world.resume(dan, &[]);
        assert_eq!(world.heard(dan), ["notice @1 by 1", "@3 1: add [4]"]);
    }
}

#[test]
fn a_cursor_in_a_resume_acknowledges_what_is_under_way() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |config| config.window_messages = 1);
        let (group, [ann, bob, _]) = three(&mut world);
        world.say(ann, group, 2, "one");
        world.say(ann, group, 3, "two");
        assert_eq!(world.heard(bob), ["@2 1: one"]);
        world.frame(bob, &Frame::GroupResume { cursors: Pairs::Slice(&[(group, 2)]) });
        assert_eq!(world.heard(bob), ["@3 1: two"]);
    }
}
