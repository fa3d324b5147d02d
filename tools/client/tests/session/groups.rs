//! Groups: resuming, entries without holes, sends and changes, members, receipts and reads.

use std::sync::Arc;

use fulmar_client::core::SendError;
use fulmar_client::store::Store;
use fulmar_client::{Action, Group, GroupChange, MessageId, Role, State, Target, content};
use fulmar_protocol::group::{GroupDeliver, GroupNotice, GroupReceipt, GroupRejected, GroupState};
use fulmar_protocol::limits::WHO_MAX;
use fulmar_protocol::{Chunks, Code, Frame, Pairs, Welcome};

use crate::device::{Device, Pace};
use crate::frames::{START_MS, WELCOME, deliver, large_body};

pub(crate) const GROUP: u64 = 30;

pub(crate) fn entry(position: u64, author: u64, text: &str) -> Frame<'_> {
    let (time_ms, content) = (START_MS + position, content::TEXT);
    let (group, own, total_bytes, body) = (GROUP, false, None, text.as_bytes());
    let deliver =
        GroupDeliver { group, position, author, time_ms, content, own, total_bytes, body };
    Frame::GroupDeliver(deliver)
}

pub(crate) fn change(position: u64, author: u64, body: &[u8]) -> Frame<'_> {
    let Frame::GroupDeliver(entry) = entry(position, author, "") else { unreachable!() };
    Frame::GroupDeliver(GroupDeliver { content: content::CHANGE, body, ..entry })
}

pub(crate) const fn skip(position: u64) -> Frame<'static> {
    Frame::GroupSkip { group: GROUP, position }
}

pub(crate) const fn notice(position: u64) -> Frame<'static> {
    Frame::GroupNotice(GroupNotice { position, group: GROUP, by: 8, time_ms: START_MS })
}

pub(crate) const fn tick(number: u64, position: u64) -> Frame<'static> {
    Frame::GroupSent { group: GROUP, number, position, time_ms: START_MS + 5 }
}

pub(crate) const fn state(head: u64, roles: &[(u64, u64)]) -> Frame<'_> {
    Frame::GroupState(GroupState {
        group: GROUP,
        head,
        members: roles.len() as u64,
        shows_history: false,
        name: b"walkers",
        info: b"",
        roles: Pairs::Slice(roles),
    })
}

const fn receipt(position: u64, delivered: u64, read: u64, who: &[(u64, u64)]) -> Frame<'_> {
    Frame::GroupReceipt(GroupReceipt {
        group: GROUP,
        position,
        members: 3,
        delivered,
        read,
        delivered_all: 0,
        read_all: 0,
        who: Pairs::Slice(who),
    })
}

/// A device that was added to the group by 8 a moment ago, and has its first two entries.
pub(crate) fn member() -> Device {
    let mut device = Device::online();
    let added = GroupChange::of_users(Action::Add, &[7]).body();
    device.server(&[notice(1), skip(4), change(5, 8, &added), entry(6, 9, "hello")]);
    device.server(&[state(6, &[(7, 1), (8, 3), (9, 1)])]);
    device.sent();
    device.events();
    device
}

pub(crate) fn group(device: &mut Device) -> Group {
    let groups = device.store.groups().unwrap();
    groups.into_iter().find(|known| known.group == GROUP).expect("the group is known")
}

pub(crate) fn send(device: &mut Device, text: &str) -> MessageId {
    let body = Arc::from(text.as_bytes());
    let sent = device.ask(|session, now, actions| {
        session.send_to_group(now, GROUP, content::TEXT, body, actions)
    });
    sent.unwrap()
}

fn alter(device: &mut Device, group: u64, change: &GroupChange) -> Result<MessageId, SendError> {
    device.ask(|session, now, actions| session.change_group(now, group, change, actions))
}

#[test]
fn a_new_member_starts_where_it_was_added() {
    let mut device = Device::online();
    device.server(&[notice(1)]);
    assert_eq!(device.sent(), ["resume [(30, 0)]", "ack 1"], "whether or not it is a member yet");
    let added = GroupChange::of_users(Action::Add, &[7]).body();
    device.server(&[skip(4), change(5, 8, &added), entry(6, 9, "hello")]);
    let told = ["added to 30 by 8", "group 30 @5 8: add [7] ", "group 30 @6 9: hello"];
    assert_eq!(device.events(), told);
    assert_eq!(device.sent(), ["look 30 0", "group ack 30 6"]);
    device.server(&[state(6, &[(7, 1), (8, 3), (9, 1)])]);
    assert_eq!(device.events(), ["state 30"]);
    let known = group(&mut device);
    assert_eq!(&*known.name, b"walkers");
    assert_eq!(known.members, [(7, Role::Member), (8, Role::Owner), (9, Role::Member)]);
    assert_eq!(known.unread, 1, "a change is no message");
}

#[test]
fn every_connection_resumes_the_groups_and_an_older_notice_adds_one() {
    let mut device = member();
    device.lose();
    device.events();
    device.connect();
    device.sent();
    let heads = [(0, 2)];
    device.server(&[Frame::Welcome(Welcome { heads: Pairs::Slice(&heads), ..WELCOME })]);
    assert_eq!(device.sent(), ["resume [(30, 6)]"]);
    let other = GroupNotice { position: 2, group: 31, by: 9, time_ms: START_MS };
    device.server(&[Frame::GroupNotice(other)]);
    assert_eq!(device.sent(), ["resume [(31, 0)]", "ack 2"]);
    let later = GroupNotice { position: 3, group: 32, by: 9, time_ms: START_MS };
    device.server(&[Frame::GroupNotice(later)]);
    let sent = device.sent();
    assert_eq!(sent, ["resume [(32, 0)]", "ack 3"], "the first resumption may have come too early");
}

#[test]
fn an_entry_is_acknowledged_once_it_is_stored() {
    let mut device = member();
    device.storing = Pace::WhenTold;
    device.server(&[entry(7, 9, "a"), deliver(2, 9, 1, "b")]);
    device.server(&[entry(8, 9, "c")]);
    assert_eq!((device.sent(), device.events()), (vec![], vec![]));
    device.stored();
    assert_eq!(device.events(), ["group 30 @7 9: a", "message @2 9 #1 b"]);
    assert_eq!(device.sent(), ["ack 2", "group ack 30 7"]);
    device.stored();
    assert_eq!(device.sent(), ["group ack 30 8"]);
}

#[test]
fn a_repetition_is_acknowledged_and_not_told() {
    let mut device = member();
    device.server(&[entry(6, 9, "hello")]);
    assert_eq!(device.events(), [""; 0]);
    assert_eq!(device.sent(), ["group ack 30 6"], "whatever was acknowledged before");
    device.lose();
    device.login_with_resume();
    device.server(&[entry(6, 9, "hello")]);
    assert_eq!(device.sent(), ["group ack 30 6", "look 30 0"], "does the server have all of it?");
    assert_eq!(device.events(), [""; 0]);
}

#[test]
fn a_hole_in_a_group_ends_the_connection() {
    let mut device = member();
    device.server(&[entry(8, 9, "too far")]);
    let told = device.events();
    assert!(told[0].contains("position 7 had to come before 8"), "{told:?}");
    assert_eq!(device.sent(), ["goodbye none"]);
    device.login_with_resume();
    device.server(&[entry(7, 9, "a"), entry(8, 9, "b")]);
    assert_eq!(device.events(), ["group 30 @7 9: a", "group 30 @8 9: b"]);
}

#[test]
fn a_large_body_holds_back_its_own_log_only() {
    let mut device = member();
    let body = large_body(40_000);
    let mut chunks = Chunks::new(&body);
    let Frame::GroupDeliver(header) = entry(7, 9, "") else { unreachable!() };
    let total_bytes = Some(body.len() as u64);
    let first = GroupDeliver { total_bytes, body: chunks.next().unwrap(), ..header };
    device.server(&[Frame::GroupDeliver(first), deliver(2, 8, 1, "inbox"), entry(8, 9, "later")]);
    assert_eq!(device.events(), ["message @2 8 #1 inbox"]);
    assert_eq!(device.sent(), ["ack 2"]);
    let parts: Vec<_> = chunks.map(|body| Frame::Part { body }).collect();
    device.server(&parts);
    assert_eq!(device.events(), ["group 30 @7 9: [40000 bytes]", "group 30 @8 9: later"]);
    assert_eq!(device.sent(), ["group ack 30 8"]);
    let history = device.store.history(Target::Group(GROUP), None, 2).unwrap();
    assert_eq!(*history[0].body, body);
}

#[test]
fn a_send_to_a_group_is_ticked_with_its_position() {
    let mut device = member();
    let id = send(&mut device, "mine");
    assert_eq!(device.sent(), ["group send 30 #0 mine"]);
    device.server(&[tick(START_MS, 7), skip(7)]);
    assert_eq!(device.events(), [format!("group ticked {id} 30 @7")]);
    assert_eq!(device.sent(), ["group ack 30 7"]);
    let message = device.store.message(id).unwrap().unwrap();
    assert_eq!((message.state, message.ordinal), (State::Sent, Some(7)));
    assert_eq!((message.group, message.peer), (Some(GROUP), 7));
    assert!(device.store.history(Target::Peer(7), None, 10).unwrap().is_empty());
}

#[test]
fn a_send_without_an_answer_goes_out_again_with_its_number_in_another_process() {
    let mut device = member();
    let id = send(&mut device, "mine");
    device.send(8, "to a person");
    let mut later = Device::on(device.store);
    later.login();
    let again = ["resume [(30, 6)]", "group send 30 #0 mine", "send 8 #1 to a person"];
    assert_eq!(later.sent(), again);
    later.server(&[Frame::GroupSent { group: GROUP, number: START_MS, position: 7, time_ms: 0 }]);
    assert_eq!(later.events(), [format!("group ticked {id} 30 @7")]);
    assert_eq!(later.sent(), ["group ask 30 7"], "its receipts may have been told before");
}

#[test]
fn a_rejected_send_can_be_sent_again() {
    let mut device = member();
    let id = send(&mut device, "mine");
    let (number, code) = (START_MS, Code::QuotaExceeded);
    let no = GroupRejected { group: GROUP, number, code, retry_after_ms: 9 };
    device.server(&[Frame::GroupRejected(no)]);
    assert_eq!(device.events(), [format!("group rejected {id} 30 quota_exceeded")]);
    let message = device.store.message(id).unwrap().unwrap();
    device.sent();
    device.ask(|session, now, actions| session.resend(now, &message, actions)).unwrap();
    assert_eq!(device.sent(), ["group send 30 #1 mine"]);
}

#[test]
fn a_group_is_made_and_its_number_comes_with_the_tick() {
    let mut device = Device::online();
    let id = alter(&mut device, 0, &GroupChange::create("walkers", &[9, 8])).unwrap();
    assert_eq!(device.sent(), ["change 0 #0 create [8, 9] walkers"]);
    assert_eq!(device.store.message(id).unwrap().unwrap().group, Some(0));
    device.server(&[tick(START_MS, 1), skip(1)]);
    assert_eq!(device.events(), [format!("group ticked {id} 30 @1")]);
    let known = group(&mut device);
    assert_eq!(&*known.name, b"walkers");
    assert_eq!(known.members, [(7, Role::Owner), (8, Role::Member), (9, Role::Member)]);
    let message = device.store.message(id).unwrap().unwrap();
    assert_eq!((message.group, message.ordinal), (Some(GROUP), Some(1)));
    assert_eq!(device.sent(), ["group ack 30 1"]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["resume [(30, 1)]", "group ask 30 1"]);
}

#[test]
fn a_creation_that_was_answered_on_an_earlier_connection_is_resumed() {
    let mut device = Device::online();
    alter(&mut device, 0, &GroupChange::create("walkers", &[8])).unwrap();
    device.lose();
    device.sent();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["change 0 #0 create [8] walkers"]);
    device.server(&[Frame::GroupSent { group: GROUP, number: START_MS, position: 1, time_ms: 0 }]);
    assert_eq!(device.sent(), ["resume [(30, 0)]", "group ask 30 1"]);
}

#[test]
fn what_cannot_be_sent_to_a_group_is_refused_at_once() {
    let mut device = member();
    let body: Arc<[u8]> = Arc::from(&b"x"[..]);
    let sent = |device: &mut Device, group, content, body: &Arc<[u8]>| {
        let body = body.clone();
        device
            .ask(|session, now, actions| session.send_to_group(now, group, content, body, actions))
    };
    assert_eq!(sent(&mut device, 0, content::TEXT, &body), Err(SendError::BadGroup));
    assert_eq!(sent(&mut device, GROUP, content::CHANGE, &body), Err(SendError::BadContent));
    let create = GroupChange::create("walkers", &[8]);
    assert_eq!(alter(&mut device, GROUP, &create), Err(SendError::BadGroup));
    let add = |users: &[u64]| GroupChange::of_users(Action::Add, users);
    assert_eq!(alter(&mut device, 0, &add(&[8])), Err(SendError::BadGroup));
    assert_eq!(alter(&mut device, GROUP, &add(&[0])), Err(SendError::BadChange));
    let many: Vec<_> = (1..=257).collect();
    assert_eq!(alter(&mut device, GROUP, &add(&many)), Err(SendError::BadChange));
    let long = GroupChange::of_value(Action::Describe, &[b'x'; 4_097]);
    assert_eq!(alter(&mut device, GROUP, &long), Err(SendError::BadChange));
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
pub(crate) fn changes_that_are_told_move_the_members() {
    let mut device = member();
    let changes = [
        GroupChange::of_users(Action::Add, &[10, 11]),
        GroupChange::of_users(Action::Promote, &[9, 10]),
        GroupChange::of_users(Action::Demote, &[10]),
        GroupChange::of_users(Action::Remove, &[11]),
        GroupChange::of_value(Action::Rename, b"runners"),
    ];
    for (position, body) in (7..).zip(changes.map(|change| change.body())) {
        device.server(&[change(position, 8, &body)]);
    }
    let leave = GroupChange::of_users(Action::Leave, &[]).body();
    device.server(&[change(12, 9, &leave)]);
    let known = group(&mut device);
    assert_eq!(&*known.name, b"runners");
    assert_eq!(known.members, [(7, Role::Member), (8, Role::Owner), (10, Role::Member)]);
    device.sent();
    device.server(&[change(13, 8, &leave)]);
    let sent = device.sent();
    assert!(sent.contains(&"look 30 0".into()), "only the server knows the next owner: {sent:?}");
}

#[test]
pub(crate) fn members_come_in_pages_and_a_change_that_they_include_does_nothing() {
    let mut device = member();
    device.ask(|session, now, actions| session.look_group(now, GROUP, actions));
    assert_eq!(device.sent(), ["look 30 0"]);
    let many: Vec<_> = (7..).map(|user| (user, 1)).take(WHO_MAX).collect();
    device.server(&[state(9, &many)]);
    let last = many.last().unwrap().0;
    assert_eq!(device.sent(), [format!("look 30 {last}")]);
    assert_eq!(device.events(), [""; 0], "the page is not all");
    // Told at 7, and undone again before the page was made.
    let removed = GroupChange::of_users(Action::Remove, &[9]).body();
    device.server(&[change(7, 8, &removed)]);
    device.events();
    device.server(&[state(9, &[(last + 5, 2)])]);
    assert_eq!(device.events(), ["state 30"]);
    let known = group(&mut device);
    assert_eq!(known.members.len(), WHO_MAX + 1);
    assert_eq!(known.members.last(), Some(&(last + 5, Role::Admin)));
    assert!(known.members.contains(&(9, Role::Member)));
}

#[test]
fn a_member_that_the_page_before_told_is_not_told_again() {
    let mut device = member();
    device.ask(|session, now, actions| session.look_group(now, GROUP, actions));
    let many: Vec<_> = (7..).map(|user| (user, 1)).take(WHO_MAX).collect();
    let last = many.last().unwrap().0;
    // It would stand in the store twice, which a store doesn't take.
    device.server(&[state(9, &many)]);
    device.server(&[state(9, &[(last, 2), (last + 5, 1)])]);
    let members = group(&mut device).members;
    assert_eq!(members.len(), WHO_MAX + 1);
    assert_eq!(members[WHO_MAX - 1..], [(last, Role::Member), (last + 5, Role::Member)]);
    device.ask(|session, now, actions| session.look_group(now, GROUP, actions));
    device.server(&[state(9, &[(0, 1), (7, 1)])]);
    assert_eq!(group(&mut device).members, [(7, Role::Member)]);
}

#[test]
fn a_page_that_a_change_overtook_is_not_taken_for_the_first_one() {
    let mut device = member();
    device.ask(|session, now, actions| session.look_group(now, GROUP, actions));
    let many: Vec<_> = (7..).map(|user| (user, 1)).take(WHO_MAX).collect();
    device.server(&[state(6, &many)]);
    let last = many.last().unwrap().0;
    assert_eq!(device.sent(), ["look 30 0".to_owned(), format!("look 30 {last}")]);
    // Who owns the group now only the server knows, so it is asked for again, once.
    let handed = GroupChange::of_users(Action::HandOver, &[9]).body();
    device.server(&[change(7, 8, &handed)]);
    assert!(!device.sent().iter().any(|sent| sent.starts_with("look")));
    device.server(&[state(7, &[(last + 5, 1)])]);
    assert_eq!(device.sent(), ["look 30 0"]);
    assert!(!group(&mut device).members.contains(&(last + 5, Role::Member)));
    device.server(&[state(7, &many)]);
    device.server(&[state(7, &[(last + 5, 1)])]);
    assert_eq!(group(&mut device).members.len(), WHO_MAX + 1);
}

#[test]
pub(crate) fn members_that_were_told_before_a_known_change_are_asked_for_again() {
    let mut device = member();
    device.ask(|session, now, actions| session.look_group(now, GROUP, actions));
    let added = GroupChange::of_users(Action::Add, &[10]).body();
    device.server(&[change(7, 8, &added)]);
    device.sent();
    device.server(&[state(6, &[(7, 1), (8, 3), (9, 1)])]);
    assert_eq!(device.sent(), ["look 30 0"]);
    assert!(group(&mut device).members.contains(&(10, Role::Member)));
}

/// The server was restored from a backup in which the group ended at 5, and somebody wrote since.
#[test]
fn a_group_that_the_server_has_no_more_as_far_goes_back() {
    let mut device = member();
    device.server(&[entry(7, 8, "lost")]);
    device.sent();
    device.lose();
    device.events();
    device.login();
    device.sent();
    device.server(&[entry(6, 9, "written since")]);
    assert!(device.sent().contains(&"look 30 0".to_owned()), "it has that position");
    device.server(&[state(6, &[(7, 1), (8, 3), (9, 1)])]);
    assert!(!device.connected);
    device.events();
    device.sent();
    device.connect();
    device.server(&[Frame::Welcome(WELCOME)]);
    assert_eq!(device.events().last().map(String::as_str), Some("30 went back from 7 to 5"));
    assert!(device.sent().contains(&"resume [(30, 5)]".to_owned()));
    device.server(&[entry(6, 9, "written since"), entry(7, 8, "more")]);
    let kept = device.store.history(Target::Group(GROUP), None, 9).unwrap();
    let last: Vec<_> = kept.iter().rev().take(2).map(|it| (it.position, &it.body[..])).collect();
    assert_eq!(last, [(Some(7), &b"more"[..]), (Some(6), b"written since")]);
}

#[test]
fn a_member_that_was_removed_reads_what_was_before_and_no_more() {
    let mut device = member();
    let removed = GroupChange::of_users(Action::Remove, &[7]).body();
    let gone = Frame::GroupGone { group: GROUP, position: 7 };
    device.server(&[change(7, 8, &removed), gone]);
    assert_eq!(device.events(), ["group 30 @7 8: remove [7] ", "gone 30 @7"]);
    assert_eq!(device.sent(), ["group ack 30 7"]);
    assert!(group(&mut device).is_gone);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0], "it isn't resumed");
    // Added again: what lay between is passed over.
    device.server(&[notice(2), skip(9), entry(10, 9, "back")]);
    assert!(!group(&mut device).is_gone);
    assert_eq!(device.events(), ["added to 30 by 8", "group 30 @10 9: back"]);
    assert_eq!(device.sent(), ["look 30 0", "ack 2", "group ack 30 10"]);
    // A question that was answered before the user was a member again.
    device.server(&[Frame::GroupGone { group: GROUP, position: 0 }, entry(11, 9, "still here")]);
    assert_eq!(device.events(), ["gone 30 @0", "group 30 @11 9: still here"]);
    assert!(!group(&mut device).is_gone);
    device.server(&[Frame::GroupGone { group: 77, position: 0 }]);
    assert_eq!(device.events(), ["gone 77 @0"]);
}

#[test]
fn what_comes_again_on_the_same_connection_is_acknowledged_again() {
    let mut device = member();
    // Its user was removed and added again, and the group shows its history.
    let added = GroupChange::of_users(Action::Add, &[7]).body();
    device.server(&[change(5, 8, &added)]);
    assert_eq!(device.sent(), ["group ack 30 5"]);
    device.server(&[entry(6, 9, "hello"), entry(7, 9, "new")]);
    assert_eq!(device.sent(), ["group ack 30 7"]);
    assert_eq!(device.events(), ["group 30 @7 9: new"]);
}

#[test]
fn a_notice_behind_the_end_of_a_group_asks_again_where_it_goes_on() {
    let mut device = member();
    device.lose();
    device.login_with_resume();
    device.server(&[Frame::GroupGone { group: GROUP, position: 0 }]);
    device.server(&[notice(2)]);
    assert_eq!(device.sent(), ["resume [(30, 6)]", "ack 2"], "it may be an older one");
    device.server(&[Frame::GroupGone { group: GROUP, position: 0 }]);
    assert!(group(&mut device).is_gone);
}

#[test]
fn a_group_that_is_left_is_asked_about_no_more() {
    let mut device = member();
    send(&mut device, "mine");
    device.server(&[tick(START_MS, 7)]);
    device.sent();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent()[1..], ["group ask 30 7"]);
    device.server(&[Frame::GroupGone { group: GROUP, position: 0 }]);
    assert_eq!(device.events(), ["gone 30 @0"]);
    for _ in 0..4 {
        let due = device.session.deadline_ms().unwrap();
        device.pass(due - device.now.elapsed_ms);
        assert_eq!(device.sent(), ["ping"], "the question was answered");
        device.server(&[Frame::Pong { heads: Pairs::Slice(&[]) }]);
    }
}

#[test]
fn counts_of_the_newest_own_message_are_those_told_last() {
    let mut device = member();
    send(&mut device, "mine");
    device.server(&[tick(START_MS, 7), receipt(7, 2, 1, &[])]);
    assert_eq!(device.events()[1..], ["receipt 30 @7 2 of 3, read 1"]);
    device.server(&[receipt(7, 2, 1, &[])]);
    assert_eq!(device.events(), [""; 0]);
    device.server(&[receipt(7, 1, 1, &[])]);
    assert_eq!(device.events(), ["receipt 30 @7 1 of 3, read 1"], "somebody left");
    device.server(&[receipt(7, 3, 3, &[])]);
    assert_eq!(device.events(), ["receipt 30 @7 3 of 3, read 3"]);
    let known = group(&mut device).receipt;
    assert_eq!((known.position, known.delivered, known.read), (7, 3, 3));
    device.sent();
    device.lose();
    device.login_with_resume();
    assert_eq!(device.sent(), [""; 0], "all saw it: there is nothing to ask");
}

#[test]
fn a_receipt_that_comes_by_itself_does_not_answer_who_has_the_message() {
    let mut device = member();
    send(&mut device, "mine");
    device.server(&[tick(START_MS, 7)]);
    device.events();
    device.ask(|session, now, actions| session.ask_group(now, GROUP, 7, 0, actions));
    device.server(&[receipt(7, 1, 0, &[])]);
    assert_eq!(device.events(), ["receipt 30 @7 1 of 3, read 0"]);
    device.server(&[receipt(7, 1, 0, &[(8, 1), (9, 0)])]);
    assert_eq!(device.events(), ["who 30 @7 [(8, Delivered), (9, NotYet)]"]);
}

#[test]
fn a_question_who_has_a_message_is_answered_once() {
    let mut device = member();
    device.ask(|session, now, actions| session.ask_group(now, GROUP, 6, 0, actions));
    assert_eq!(device.sent(), ["group ask 30 6 who after 0"]);
    device.server(&[receipt(6, 2, 1, &[(7, 2), (8, 1)])]);
    assert_eq!(device.events(), ["who 30 @6 [(7, Read), (8, Delivered)]"]);
    assert_eq!(group(&mut device).receipt.position, 0, "it is another member's message");
    device.lose();
    device.events();
    device.ask(|session, now, actions| session.ask_group(now, GROUP, 6, 0, actions));
    device.login();
    assert_eq!(device.sent(), ["resume [(30, 6)]"], "a question without a connection falls away");
}

#[test]
fn what_was_seen_is_reported_until_the_server_has_it() {
    let mut device = member();
    let saw = |device: &mut Device, position| {
        device.ask(|session, now, actions| session.mark_group_read(now, GROUP, position, actions));
    };
    saw(&mut device, 9);
    assert_eq!(device.sent(), ["group read 30 6"], "never beyond what is stored");
    assert_eq!(group(&mut device).unread, 0);
    saw(&mut device, 5);
    assert_eq!(device.sent(), [""; 0]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["resume [(30, 6)]", "group read 30 6"]);
    device.server(&[Frame::GroupRead { group: GROUP, position: 6 }]);
    assert_eq!(device.events(), [""; 0], "this device said so");
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["resume [(30, 6)]"]);
    device.server(&[entry(7, 9, "a"), Frame::GroupRead { group: GROUP, position: 7 }]);
    assert_eq!(device.events(), ["group seen 30 @7", "group 30 @7 9: a"]);
}

#[test]
fn numbers_that_cannot_be_are_violations() {
    let Frame::GroupDeliver(good) = entry(7, 9, "x") else { unreachable!() };
    for (field, frame) in [
        ("group_deliver.group", Frame::GroupDeliver(GroupDeliver { group: 0, ..good })),
        ("group_deliver.position", Frame::GroupDeliver(GroupDeliver { position: 0, ..good })),
        ("group_deliver.author", Frame::GroupDeliver(GroupDeliver { author: 0, ..good })),
        ("skip.position", skip(0)),
        ("group_sent.position", tick(START_MS, u64::MAX)),
        ("group_receipt.position", receipt(0, 0, 0, &[])),
        ("group_read.position", Frame::GroupRead { group: GROUP, position: u64::MAX }),
    ] {
        let mut device = member();
        device.server(&[frame]);
        let told = device.events();
        assert!(told[0].contains(field), "{field}: {told:?}");
    }
}
