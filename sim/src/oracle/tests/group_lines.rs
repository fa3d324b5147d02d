//! Groups on one connection: what may come when, and how much of it.

use fulmar_protocol::group::{GroupDeliver, GroupReceipt};
use fulmar_protocol::{Deliver, Frame, Pairs};

use super::grouped::{GROUP, entry};
use super::{History, SENDER, TIME_MS};

impl History {
    fn begins_large(&mut self, position: u64) {
        let deliver = Deliver {
            position,
            peer: SENDER,
            ordinal: position,
            time_ms: TIME_MS,
            content: 1,
            own: false,
            total_bytes: Some(50),
            body: b"a part",
        };
        self.told(2, &Frame::Deliver(deliver));
    }

    fn group_receipt(
        &mut self,
        (delivered, read): (u64, u64),
        (delivered_all, read_all): (u64, u64),
    ) {
        let (group, position, members, who) = (GROUP, 2, 1, Pairs::Slice(&[]));
        let receipt = GroupReceipt {
            group,
            position,
            members,
            delivered,
            read,
            delivered_all,
            read_all,
            who,
        };
        self.told(1, &Frame::GroupReceipt(receipt));
    }
}

#[test]
fn a_send_to_a_group_is_answered_once() {
    let mut history = History::with_group();
    history.told_group(1, 2, 2);
    history.complains("a send to a group is answered once");
}

#[test]
fn groups_come_to_who_takes_them() {
    let mut history = History::with_group();
    history.group_deliver(3, 1, 1, b"message one");
    history.complains("groups come to who takes them");
}

#[test]
fn positions_of_a_group_come_without_holes() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_send(1, 4, 1, b"message three");
    history.group_ack(2);
    history.group_deliver(2, 4, 1, b"message three");
    history.complains("positions of a group come without holes");

    // Nor does a device begin behind what it said that it has.
    let mut history = History::with_group();
    history.wrote(3, &Frame::GroupResume { cursors: Pairs::Slice(&[]) });
    history.group_deliver(3, 2, 1, b"message one");
    history.complains("positions of a group come without holes");
}

#[test]
fn a_group_has_its_share_of_the_window() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_deliver(2, 3, 1, b"message two");
    history.complains("the window of groups is kept");
}

#[test]
fn a_skip_of_a_group_says_something_new() {
    let mut history = History::with_group();
    history.group_skip(2, 2);
    history.complains("a skip says something new");

    // Who is added again hears of what it had once more.
    let mut history = History::with_told_group();
    history.group_skip(2, 2);
    history.is_quiet();
}

#[test]
fn large_bodies_come_one_after_the_other() {
    let mut history = History::with_two_sent();
    history.begins_large(1);
    history.is_quiet();
    history.begins_large(2);
    history.complains("one large body at a time");

    // Also where one is of a group.
    let mut history = History::with_group();
    history.send(1, b"message one");
    history.begins_large(1);
    history.group_send(1, 3, 1, b"message two");
    history.group_ack(2);
    history.is_quiet();
    let deliver = GroupDeliver { total_bytes: Some(50), ..entry(3, b"a part") };
    history.told(2, &Frame::GroupDeliver(deliver));
    history.complains("one large body at a time");
}

#[test]
fn a_device_gets_nothing_of_what_it_sent() {
    let mut history = History::with_group();
    history.group_skip(1, 1);
    history.is_quiet();
    let deliver = GroupDeliver { own: true, ..entry(2, b"message one") };
    history.told(1, &Frame::GroupDeliver(deliver));
    history.complains("a device gets nothing of what it sent");
}

#[test]
fn what_is_one_s_own_is_marked() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_ack(2);
    let deliver = GroupDeliver { own: true, ..entry(3, b"message two") };
    history.told(2, &Frame::GroupDeliver(deliver));
    history.complains("what is one's own is marked");
}

#[test]
fn receipts_of_a_group_never_run_ahead() {
    let mut history = History::with_group();
    history.group_receipt((0, 0), (0, 0));
    history.is_quiet();
    history.group_receipt((1, 0), (2, 0));
    history.complains("a receipt of a group tells the truth");

    let mut history = History::with_group();
    history.group_ack(2);
    history.group_receipt((1, 0), (2, 0));
    history.is_quiet();
    history.group_receipt((1, 1), (2, 2));
    history.complains("a receipt of a group tells the truth");

    // Not all have it where one lacks it.
    let mut history = History::with_group();
    history.group_receipt((0, 0), (2, 0));
    history.complains("a receipt of a group tells the truth");
}

#[test]
fn what_was_seen_is_told_back_as_it_was() {
    let seen = |position| Frame::GroupRead { group: GROUP, position };
    let mut history = History::with_group();
    history.wrote(2, &seen(2));
    history.told(3, &seen(2));
    history.is_quiet();
    // What comes next may be that it was added: what was before it needn't be read.
    history.told(1, &seen(2));
    history.is_quiet();
    history.told(1, &seen(1));
    history.complains("what was seen is told back as it was");
}
