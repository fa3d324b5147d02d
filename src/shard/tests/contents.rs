//! Contents that refer to other messages: what is refused, and what is taken as it was before.

use fulmar_protocol::content::{Content, DELETE, EDIT, REACTION, Target};
use fulmar_protocol::group::{Action, GroupSend};
use fulmar_protocol::{Frame, Numbers, Send};

use super::groups::three;
use super::world::{C, World};
use crate::limits::RESENDS_MAX;

/// A day, the age from which on nothing is changed.
const DAY_MS: u64 = 24 * 3_600 * 1_000;

fn body_of(content: &Content<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    content.encode(&mut body);
    body
}

pub(super) const fn edit(target: u64) -> Content<'static> {
    Content::Edit { target, body: b"new" }
}

const fn delete(target: u64) -> Content<'static> {
    Content::Delete { target }
}

const fn react(of_peer: bool, place: u64) -> Content<'static> {
    Content::Reaction { target: Target { of_peer, place }, body: b"+1" }
}

impl World {
    fn refer(&mut self, c: C, peer: u64, number: u64, content: &Content<'_>) {
        let body = body_of(content);
        self.bytes_of(c, peer, number, content.number(), &body);
    }

    fn bytes_of(&mut self, c: C, peer: u64, number: u64, content: u8, body: &[u8]) {
        self.frame(c, &Frame::Send(Send { peer, number, content, total_bytes: None, body }));
    }

    pub(super) fn refer_in(&mut self, c: C, group: u64, number: u64, content: &Content<'_>) {
        let body = body_of(content);
        let send =
            GroupSend { group, number, content: content.number(), total_bytes: None, body: &body };
        self.frame(c, &Frame::GroupSend(send));
    }

    /// It is so much later by the calendar.
    fn jump(&mut self, ms: u64) {
        self.now.unix_ms += ms;
    }
}

#[test]
fn a_body_that_is_not_what_its_content_says_is_refused() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    for (number, (content, body)) in
        (1..).zip([(EDIT, &b""[..]), (DELETE, b"\x01\x01"), (REACTION, b"\x02\x01"), (8, b"\xff")])
    {
        world.bytes_of(ann, 2, number, content, body);
        world.expect(ann, &[&format!("rejected 2 n{number} bad_content")]);
    }
    // Nobody looks at what has no head.
    world.bytes_of(ann, 2, 9, 9, b"\xff");
    world.expect(ann, &["sent 2 n9 #1"]);
}

#[test]
fn an_edit_of_what_the_author_never_wrote_is_refused() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
        world.send(bob, 1, 1, "from bob");
        world.send(ann, 2, 1, "hello");
        world.told(ann);
        // Its own direction has one message, whatever bob wrote.
        world.refer(ann, 2, 2, &edit(2));
        world.refer(ann, 2, 3, &delete(2));
        world.expect(ann, &["rejected 2 n2 no_such_message", "rejected 2 n3 no_such_message"]);
        world.refer(ann, 2, 4, &edit(1));
        world.refer(ann, 2, 5, &delete(1));
        assert_eq!(world.told(ann), ["sent 2 n4 #2", "sent 2 n5 #3"]);
        let got: Vec<_> = world.clients[bob].delivered.iter().map(|it| it.content).collect();
        assert_eq!(got, [1, EDIT, DELETE]);
    }
}

#[test]
fn a_reaction_is_judged_in_the_direction_that_it_names() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
        world.send(bob, 1, 1, "from bob");
        world.ack(ann, 1);
        world.told(ann);
        world.refer(ann, 2, 1, &react(true, 2));
        world.refer(ann, 2, 2, &react(false, 1));
        let told = world.told(ann);
        assert_eq!(told, ["rejected 2 n1 no_such_message", "rejected 2 n2 no_such_message"]);
        world.refer(ann, 2, 3, &react(true, 1));
        world.refer(ann, 2, 4, &react(false, 1));
        assert_eq!(world.told(ann), ["sent 2 n3 #1", "sent 2 n4 #2"]);
    }
}

#[test]
fn nothing_overtakes_a_reaction_that_is_judged() {
    let mut world = World::of_cores(2, |_| {});
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(bob, 1, 1, "from bob");
    world.ack(ann, 1);
    world.pass(500);
    world.crash();
    let ann = world.log_in_from(1, 1, 1);
    world.told(ann);
    world.holds_loads = true;
    world.refer(ann, 2, 1, &react(true, 1));
    world.send(ann, 2, 2, "after it");
    world.expect(ann, &[]);
    world.holds_loads = false;
    world.load();
    assert_eq!(world.told(ann), ["sent 2 n1 #1", "sent 2 n2 #2"]);
}

#[test]
fn a_resend_of_what_was_taken_is_answered_before_any_check() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
        world.send(ann, 2, 1, "hello");
        world.refer(ann, 2, 2, &edit(1));
        world.told(ann);
        world.jump(2 * DAY_MS);
        world.refer(ann, 2, 2, &edit(1));
        world.expect(ann, &["sent 2 n2 #2"]);
        world.refer(ann, 2, 3, &edit(1));
        world.expect(ann, &["rejected 2 n3 too_old"]);
        // Also where the sender's home would say no.
        world.bytes_of(ann, 2, 2, REACTION, b"\x01\x09x");
        world.expect(ann, &["sent 2 n2 #2"]);
        world.told(bob);
    }
}

#[test]
fn an_edit_is_taken_until_the_limit_and_refused_after_half_as_much_again() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    world.send(ann, 2, next(), "first");
    world.jump(DAY_MS / 4);
    world.send(ann, 2, next(), "second");
    world.jump(3 * DAY_MS / 4 - 1);
    for target in [1, 2] {
        world.refer(ann, 2, next(), &edit(target));
    }
    assert!(world.told(ann).iter().all(|told| told.starts_with("sent")));
    world.jump(3 * DAY_MS / 4 + 1);
    for target in [1, 2] {
        world.refer(ann, 2, next(), &delete(target));
    }
    let told = world.told(ann);
    assert!(told.iter().all(|told| told.ends_with("too_old")), "{told:?}");
    // A reaction is as good as ever.
    world.refer(ann, 2, next(), &react(false, 1));
    assert!(world.told(ann)[0].starts_with("sent"));
}

#[test]
fn the_age_is_known_after_the_messages_are_gone_and_after_a_crash() {
    let mut world = World::new();
    let (ann, bob) = (world.log_in(1, 1), world.log_in(2, 1));
    world.send(ann, 2, 1, "hello");
    world.ack(bob, 1);
    world.pass(500);
    world.jump(DAY_MS + 1);
    world.crash();
    let ann = world.log_in(1, 1);
    world.refer(ann, 2, 2, &edit(1));
    world.expect(ann, &["rejected 2 n2 too_old"]);
}

#[test]
fn what_disappears_is_judged_as_what_it_carries() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let inner = body_of(&edit(7));
    let edit = Content::Disappearing { seconds: 60, content: EDIT, body: &inner };
    world.refer(ann, 2, 1, &edit);
    world.expect(ann, &["rejected 2 n1 no_such_message"]);
}

#[test]
fn in_a_group_only_the_author_edits_and_admins_delete() {
    for cores in [1, 3] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, cat]) = three(&mut world);
        world.change(ann, group, 2, Action::Promote, &[2], b"");
        world.say(cat, group, 1, "mine");
        for c in [ann, bob, cat] {
            world.told(c);
        }
        let refused = |number, code| vec![format!("group {group} rejected n{number} {code}")];
        world.refer_in(bob, group, 1, &edit(3));
        assert_eq!(world.heard(bob), refused(1, "not_yours"));
        world.refer_in(ann, group, 3, &edit(3));
        assert_eq!(world.heard(ann), refused(3, "not_yours"));
        world.say(ann, group, 4, "of the owner");
        world.told(ann);
        world.refer_in(cat, group, 2, &delete(4));
        assert_eq!(world.heard(cat).last(), refused(2, "not_yours").last());
        world.refer_in(bob, group, 2, &delete(3));
        assert!(world.heard(bob).last().expect("an answer").contains("sent n2 @5"));
        world.refer_in(cat, group, 3, &edit(3));
        let told = world.heard(cat);
        assert!(told.last().expect("an answer").contains("sent n3 @6"), "{told:?}");
    }
}

#[test]
fn in_a_group_what_is_referred_to_has_to_be_there() {
    let mut world = World::of_cores(2, |_| {});
    let (group, [ann, bob, _]) = three(&mut world);
    let dan = world.join(4, 1);
    world.say(ann, group, 2, "before dan");
    world.change(ann, group, 3, Action::Add, &[4], b"");
    world.say(ann, group, 4, "for dan too");
    for c in [ann, bob, dan] {
        world.told(c);
    }
    let refused = |number| format!("group {group} rejected n{number} no_such_message");
    // Nothing yet, a change, and one that came before this member's time.
    world.refer_in(ann, group, 5, &edit(9));
    world.refer_in(ann, group, 6, &delete(1));
    world.refer_in(ann, group, 7, &react(false, 1));
    assert_eq!(world.heard(ann), [refused(5), refused(6), refused(7)]);
    world.refer_in(dan, group, 1, &react(false, 2));
    assert_eq!(world.heard(dan), [refused(1)]);
    world.refer_in(dan, group, 2, &react(false, 4));
    assert!(world.heard(dan)[0].contains("sent n2 @5"));
    let users = [2, 3];
    let mention = Content::Mention { users: Numbers::Slice(&users), content: 1, body: b"you" };
    world.refer_in(dan, group, 3, &mention);
    assert!(world.heard(dan)[0].contains("sent n3 @6"));
}

#[test]
fn in_a_group_the_age_counts_from_the_message() {
    let mut world = World::new();
    let (group, [ann, ..]) = three(&mut world);
    world.say(ann, group, 2, "old");
    world.jump(DAY_MS);
    world.say(ann, group, 3, "new");
    world.told(ann);
    world.refer_in(ann, group, 4, &edit(2));
    world.refer_in(ann, group, 5, &edit(3));
    let told = world.heard(ann);
    assert!(told[0].ends_with("n4 too_old") && told[1].contains("sent n5 @4"), "{told:?}");
}

#[test]
fn what_follows_an_edit_does_not_overtake_it_and_a_resend_makes_no_second_one() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (group, [ann, bob, _]) = three(&mut world);
        world.say(ann, group, 2, "one");
        world.say(bob, group, 1, "of bob");
        world.told(ann);
        world.told(bob);
        world.holds_loads = true;
        world.refer_in(ann, group, 3, &edit(2));
        world.say(ann, group, 4, "two");
        world.say(bob, group, 2, "of another");
        // Only the same device waits.
        assert!(world.heard(bob).iter().any(|told| told.contains("sent n2 @4")));
        world.hang_up(ann);
        let ann = world.join(1, 1);
        world.told(ann);
        world.resume(ann, &[(group, 4)]);
        world.refer_in(ann, group, 3, &edit(2));
        world.say(ann, group, 4, "two");
        world.holds_loads = false;
        world.load();
        let told = world.heard(ann);
        let sent: Vec<_> = told.iter().filter(|told| told.contains(" sent ")).collect();
        let expected = [format!("group {group} sent n3 @5"), format!("group {group} sent n4 @6")];
        assert!(sent.iter().copied().eq(&expected), "{told:?}");
        let heard = world.heard(bob);
        assert_eq!(heard.iter().filter(|told| told.ends_with("two")).count(), 1, "{heard:?}");
    }
}

#[test]
fn more_than_its_window_behind_an_edit_ends_the_connection_and_loses_nothing() {
    let mut world = World::with(|config| config.sends_max = 4 * RESENDS_MAX as u32);
    let (group, [ann, ..]) = three(&mut world);
    world.say(ann, group, 2, "one");
    world.told(ann);
    world.holds_loads = true;
    world.refer_in(ann, group, 3, &edit(2));
    for number in 4..4 + 2 * RESENDS_MAX {
        world.say(ann, group, number, "behind");
    }
    world.expect(ann, &[]);
    world.say(ann, group, 4 + 2 * RESENDS_MAX, "too many");
    world.expect(ann, &["goodbye overloaded"]);
    assert!(world.is_closed(ann));
}

#[test]
fn no_more_than_so_many_wait_to_enter_a_group() {
    let mut world = World::with(|config| config.group_members_max = 5_000);
    let (group, [ann, ..]) = three(&mut world);
    world.say(ann, group, 2, "one");
    world.told(ann);
    world.holds_loads = true;
    // Each device has one that waits.
    let mut devices = Vec::new();
    let members: Vec<u64> = (100..100 + crate::limits::GROUP_HELD_MAX as u64).collect();
    world.holds_loads = false;
    for (number, some) in (3..).zip(members.chunks(256)) {
        world.change(ann, group, number, Action::Add, some, b"");
    }
    world.say(ann, group, 50, "for all");
    let position = world.shard().group_heads[&group];
    for &user in &members {
        let c = world.log_in(user, 1);
        world.told(c);
        devices.push(c);
    }
    world.holds_loads = true;
    for &c in &devices {
        world.refer_in(c, group, 1, &delete(position));
    }
    // What the members sent lately is read first.
    world.holds_loads = false;
    let core = 0;
    let loads = world.cores[core].loads.len();
    assert!(loads >= members.len());
    for _ in 0..members.len() {
        world.load_one(core);
    }
    world.holds_loads = true;
    world.turn(core);
    world.told(ann);
    world.refer_in(ann, group, 51, &delete(position));
    world.expect(ann, &["goodbye overloaded"]);
}
