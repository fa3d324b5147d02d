//! The log of a group: one entry at a position for all, in the order in which its authors wrote.

use fulmar_protocol::group::{Change, GroupDeliver, GroupSend};
use fulmar_protocol::{Code, Frame, Numbers, Pairs};

use super::grouped::{GROUP, entry};
use super::{History, READER, TIME_MS};

impl History {
    /// The reader's other device takes the group, and was told of its first position.
    fn takes_group(&mut self) {
        self.wrote(3, &Frame::GroupResume { cursors: Pairs::Slice(&[]) });
        self.group_skip(3, 1);
    }
}

#[test]
fn all_members_see_one_entry_at_a_position() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.takes_group();
    history.group_deliver(3, 2, 1, b"message two");
    history.complains("all members see one entry at a position");

    let mut history = History::with_group();
    history.takes_group();
    let deliver = GroupDeliver { time_ms: TIME_MS + 1, ..entry(2, b"message one") };
    history.told(3, &Frame::GroupDeliver(deliver));
    history.complains("all members see one entry at a position");
}

#[test]
fn a_resend_to_a_group_is_answered_as_at_first() {
    let mut history = History::with_group();
    history.group_send(1, 2, 1, b"message one");
    history.told_group(1, 2, 2);
    history.is_quiet();
    history.group_send(1, 2, 1, b"message one");
    history.told_group(1, 2, 3);
    history.complains("a resend to a group is answered as at first");
}

#[test]
fn what_was_not_sent_whole_to_a_group_is_not_ticked() {
    let mut history = History::with_group();
    let (group, number, content) = (GROUP, 3, 1);
    let first = GroupSend { group, number, content, total_bytes: Some(100), body: b"a part" };
    history.wrote(1, &Frame::GroupSend(first));
    history.told_group(1, 3, 3);
    history.complains("a tick of a group is for something that was sent");
}

#[test]
fn a_sender_s_order_is_kept_in_a_group() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_send(1, 4, 1, b"message three");
    history.told_group(1, 3, 4);
    history.is_quiet();
    history.told_group(1, 4, 3);
    history.complains("a sender's order is kept in a group");
}

/// Two devices of one user write the same, and only one of them stands there.
#[test]
fn a_position_of_a_group_is_used_once() {
    let mut history = History::with_group();
    for conn in [2, 3] {
        history.group_send(conn, 1, 1, b"hello");
    }
    history.told_group(2, 1, 3);
    history.is_quiet();
    history.told_group(3, 1, 3);
    history.complains("a position of a group is used once");
}

#[test]
fn a_body_arrives_in_a_group_as_it_was_sent() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_ack(2);
    history.group_deliver(2, 3, 1, b"message tw0");
    history.complains("a body arrives in a group as it was sent");
}

#[test]
fn a_group_is_made_once() {
    let mut history = History::with_group();
    let users = Numbers::Slice(&[READER]);
    let change = Change { action: fulmar_client::Action::Create, users, value: b"g" };
    history.wrote(1, &Frame::GroupChange { group: 0, number: 1, change });
    let (group, number, position, time_ms) = (GROUP + 1, 1, 1, 0);
    history.told(1, &Frame::GroupSent { group, number, position, time_ms });
    history.complains("a group is made once");
}

#[test]
fn a_group_refuses_for_a_reason_of_its_own() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_reject(3, Code::BadPeer);
    history.complains("a group refuses for a reason of its own");

    // What refers to nothing isn't refused as a reference.
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_reject(3, Code::TooOld);
    history.complains("a group refuses for a reason of its own");
}

/// Which of several bodies under one number was taken is seen where it is delivered, if its sender doesn't keep the
/// rules.
#[test]
fn a_number_with_two_bodies_is_one_of_them() {
    let taken = |body: &[u8]| {
        let mut history = History::with_group();
        history.group_send(1, 3, 1, b"message two");
        history.group_send(1, 3, 1, b"message 2");
        history.told_group(1, 3, 3);
        history.group_ack(2);
        history.group_deliver(2, 3, 1, body);
        history
    };
    taken(b"message two").is_quiet();
    taken(b"message 2").is_quiet();
    taken(b"message tw0").complains("a body arrives in a group as it was sent");
    let mut history = taken(b"message 2");
    history.group_ack(3);
    history.group_deliver(2, 4, 1, b"message two");
    history.complains("positions of a group are dense");
}
