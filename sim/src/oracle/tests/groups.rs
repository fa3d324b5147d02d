//! Groups: what is taken and what is rejected, and that positions are dense.

use fulmar_client::Action;
use fulmar_protocol::group::GroupState as Told;
use fulmar_protocol::{Code, Frame, Pairs};

use super::grouped::GROUP;
use super::{History, READER, SENDER};

#[test]
fn what_a_group_rejected_it_never_delivers() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    // It may fill the position.
    history.group_send(1, 4, 1, b"message three");
    history.group_reject(3, Code::NotAMember);
    history.give_up(3, Code::NotAMember);
    history.is_quiet();
    history.group_ack(2);
    history.group_deliver(2, 3, 1, b"message two");
    history.complains("a group keeps nothing of what it rejected");

    // It was delivered before its sender was told.
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_send(1, 4, 1, b"message three");
    history.group_ack(2);
    history.group_deliver(2, 3, 1, b"message two");
    history.group_reject(3, Code::NotAMember);
    history.is_quiet();
    history.give_up(3, Code::NotAMember);
    history.complains("a group keeps nothing of what it rejected");
}

/// The same body, sent again under a new number, may be taken once.
#[test]
fn what_a_group_rejected_may_be_sent_again() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_reject(3, Code::NotAMember);
    history.give_up(3, Code::NotAMember);
    history.group_send(1, 4, 1, b"message two");
    history.group_send(1, 5, 1, b"message three");
    history.group_ack(2);
    history.group_deliver(2, 3, 1, b"message two");
    history.is_quiet();
    history.group_ack(3);
    history.group_deliver(2, 4, 1, b"message two");
    history.complains("a group keeps nothing of what it rejected");
}

#[test]
fn a_resend_to_a_group_is_not_stale() {
    let mut history = History::with_group();
    history.group_send(1, 2, 1, b"message one");
    history.group_reject(2, Code::StaleNumber);
    history.complains("what a group ticked is never rejected");

    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_reject(3, Code::StaleNumber);
    history.complains("a number is stale only behind a newer one");
}

#[test]
fn a_position_of_a_group_is_filled() {
    let mut history = History::with_group();
    history.group_skip(2, 3);
    history.complains("positions of a group are dense");

    // What is rejected takes none, however the position is heard of.
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_reject(3, Code::NotAMember);
    history.group_send(1, 4, 1, b"message three");
    history.told_group(1, 4, 4);
    history.is_quiet();
    history.give_up(3, Code::NotAMember);
    history.0.judge_whole();
    history.complains("positions of a group are dense");
}

#[test]
fn a_group_is_full_only_when_it_is() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_reject(3, Code::QuotaExceeded);
    history.complains("a group is full only when it is");

    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.told_group(1, 3, 3);
    history.group_send(1, 4, 1, b"message three");
    history.group_reject(4, Code::QuotaExceeded);
    history.is_quiet();
}

#[test]
fn a_group_has_room_for_as_many_members_as_it_says() {
    let mut history = History::with_group();
    history.group_change(3, Action::Add, &[9]);
    history.group_reject(3, Code::GroupFull);
    history.complains("a group is full only when it is");

    let mut history = History::with_group();
    history.group_change(3, Action::Add, &[9, 10]);
    history.group_reject(3, Code::GroupFull);
    history.is_quiet();
}

#[test]
fn an_owner_may_do_what_owners_may() {
    let mut history = History::with_group();
    history.has_group(SENDER, 1);
    history.group_change(3, Action::Promote, &[READER]);
    history.group_reject(3, Code::NotAllowed);
    history.is_quiet();
    history.0.judge_whole();
    history.complains("a role allows what it allows");
}

#[test]
fn ticks_of_a_group_come_in_the_order_of_the_sends() {
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_send(1, 4, 1, b"message three");
    history.told(1, &Frame::GroupSent { group: GROUP, number: 4, position: 4, time_ms: 1 });
    // The one before may have been refused, which it isn't told yet.
    assert_eq!(history.0.failure, None);
    history.told(1, &Frame::GroupSent { group: GROUP, number: 3, position: 3, time_ms: 1 });
    history.complains("ticks of a group come in the order of the sends");

    // Nor is it taken for an old one because of the later.
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_send(1, 4, 1, b"message three");
    history.told(1, &Frame::GroupSent { group: GROUP, number: 4, position: 4, time_ms: 1 });
    history.group_reject(3, Code::StaleNumber);
    history.complains("ticks of a group come in the order of the sends");

    // A rejection needn't wait for the disk.
    let mut history = History::with_group();
    history.group_send(1, 3, 1, b"message two");
    history.group_send(1, 4, 1, b"message three");
    history.group_reject(4, Code::BodyTooLarge);
    history.is_quiet();
}

#[test]
fn the_head_of_a_group_never_goes_back() {
    let state = |head| Told {
        group: GROUP,
        head,
        members: 2,
        shows_history: false,
        name: b"",
        info: b"",
        roles: Pairs::Slice(&[]),
    };
    let mut history = History::with_group();
    history.wrote(1, &Frame::GroupLook { group: GROUP, after: 0 });
    history.told(1, &Frame::GroupState(state(2)));
    history.is_quiet();
    history.wrote(1, &Frame::GroupLook { group: GROUP, after: 0 });
    history.told(1, &Frame::GroupState(state(1)));
    history.complains("the head of a group never goes back");

    let mut history = History::with_group();
    history.wrote(1, &Frame::GroupLook { group: GROUP, after: 0 });
    history.told(1, &Frame::GroupState(state(3)));
    history.complains("positions of a group are dense");
}

/// The group was made under number 1.
#[test]
fn creations_have_numbers_of_their_own() {
    for refused in [false, true] {
        let mut history = History::new();
        history.group();
        history.group_send(1, 1, 1, b"under the number of the creation");
        if refused {
            history.group_reject(1, Code::StaleNumber);
        } else {
            history.group_ack(2);
            history.group_deliver(2, 3, 1, b"under the number of the creation");
        }
        history.is_quiet();
    }
}
