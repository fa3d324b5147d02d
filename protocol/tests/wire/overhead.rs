//! What a frame costs beyond its body: length prefix, kind and fields, in bytes.

use fulmar_protocol::group::{GroupDeliver, GroupNotice, GroupReceipt, GroupSend};
use fulmar_protocol::history::{History, HistoryEnd, Past};
use fulmar_protocol::people::{Found, Item, Profile};
use fulmar_protocol::{Code, Deliver, Frame, Numbers, Pairs, Send};

const BODY: [u8; 100] = [0x61; 100];
/// User numbers below 2^35 take at most five bytes.
const USER: u64 = (1 << 35) - 1;
/// Milliseconds since the Unix epoch take six bytes until the year 2109.
const TIME_MS: u64 = (1 << 42) - 1;
const POSITION: u64 = (1 << 21) - 1;
const ORDINAL: u64 = (1 << 14) - 1;

/// As for users.
const GROUP: u64 = USER;
const MEMBERS: u64 = 1_024;

fn encoded_bytes(frame: Frame<'_>) -> usize {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out.len()
}

fn send_overhead(number: u64) -> usize {
    let send = Send { peer: USER, number, content: 1, total_bytes: None, body: &BODY };
    encoded_bytes(Frame::Send(send)) - BODY.len()
}

#[test]
fn send_costs_at_most_16_bytes() {
    assert_eq!(send_overhead(ORDINAL), 10);
    // A number taken from the clock, as a fresh store does.
    assert_eq!(send_overhead(TIME_MS), 14);
    assert!(send_overhead(TIME_MS) <= 16);
}

#[test]
fn deliver_costs_at_most_20_bytes() {
    let overhead = |own| {
        let deliver = Deliver {
            position: POSITION,
            peer: USER,
            ordinal: ORDINAL,
            time_ms: TIME_MS,
            content: 1,
            own,
            total_bytes: None,
            body: &BODY,
        };
        encoded_bytes(Frame::Deliver(deliver)) - BODY.len()
    };
    assert_eq!(overhead(false), 19);
    assert_eq!(overhead(true), 19);
}

#[test]
fn acknowledgements_cost_at_most_4_bytes() {
    assert_eq!(encoded_bytes(Frame::Ack { position: 127 }), 3);
    assert_eq!(encoded_bytes(Frame::Ack { position: (1 << 14) - 1 }), 4);
    assert_eq!(encoded_bytes(Frame::Ack { position: POSITION }), 5);
}

#[test]
fn ping_costs_2_bytes() {
    assert_eq!(encoded_bytes(Frame::Ping), 2);
}

/// The table of the specification's overhead section.
#[test]
fn the_other_frames_cost_what_the_specification_says() {
    let sent = Frame::Sent { peer: USER, number: TIME_MS, ordinal: ORDINAL, time_ms: TIME_MS };
    assert_eq!(encoded_bytes(sent), 21);
    assert_eq!(encoded_bytes(Frame::Skip { position: POSITION }), 5);
    assert_eq!(encoded_bytes(Frame::Read { peer: USER, ordinal: ORDINAL }), 9);
    let receipt = Frame::Receipt { peer: USER, delivered: ORDINAL, read: ORDINAL, own: false };
    assert_eq!(encoded_bytes(receipt), 11);
    assert_eq!(encoded_bytes(Frame::Ask { peer: USER }), 7);
    assert_eq!(encoded_bytes(Frame::Pong { heads: Pairs::Slice(&[(0, POSITION)]) }), 7);
    assert_eq!(encoded_bytes(Frame::Part { body: &BODY }) - BODY.len(), 2);
}

/// The same for the frames about groups.
#[test]
fn frames_about_groups_cost_what_the_specification_says() {
    let send = |number| {
        let send = GroupSend { group: GROUP, number, content: 1, total_bytes: None, body: &BODY };
        encoded_bytes(Frame::GroupSend(send)) - BODY.len()
    };
    assert_eq!(send(ORDINAL), 10);
    assert_eq!(send(TIME_MS), 14);
    let deliver = GroupDeliver {
        group: GROUP,
        position: POSITION,
        author: USER,
        time_ms: TIME_MS,
        content: 1,
        own: false,
        total_bytes: None,
        body: &BODY,
    };
    assert_eq!(encoded_bytes(Frame::GroupDeliver(deliver)) - BODY.len(), 22);
    let (group, position) = (GROUP, POSITION);
    let sent = Frame::GroupSent { group, number: TIME_MS, position, time_ms: TIME_MS };
    assert_eq!(encoded_bytes(sent), 22);
    for frame in [
        Frame::GroupAck { group, position },
        Frame::GroupSkip { group, position },
        Frame::GroupRead { group, position },
        Frame::GroupGone { group, position },
    ] {
        assert_eq!(encoded_bytes(frame), 10);
    }
    let receipt = GroupReceipt {
        group,
        position,
        members: MEMBERS,
        delivered: MEMBERS,
        read: MEMBERS,
        delivered_all: POSITION,
        read_all: POSITION,
        who: Pairs::Slice(&[]),
    };
    assert_eq!(encoded_bytes(Frame::GroupReceipt(receipt)), 23);
    assert_eq!(encoded_bytes(Frame::GroupAsk { group, position, after: 0 }), 11);
    assert_eq!(encoded_bytes(Frame::GroupLook { group, after: 0 }), 8);
    let notice = GroupNotice { position, group, by: USER, time_ms: TIME_MS };
    assert_eq!(encoded_bytes(Frame::GroupNotice(notice)), 21);
    let resume = |cursors| encoded_bytes(Frame::GroupResume { cursors: Pairs::Slice(cursors) });
    assert_eq!(resume(&[]), 3);
    assert_eq!(resume(&[(GROUP, POSITION)]), 11);
}

#[test]
fn frames_about_pages_cost_what_the_specification_says() {
    let (group, from, through) = (GROUP, POSITION, POSITION);
    let history = History { group, from, through, limit: 100, newest_first: true };
    assert_eq!(encoded_bytes(Frame::History(history)), 15);
    let past = |group, ordinal| {
        encoded_bytes(Frame::Past(Past {
            group,
            position: POSITION,
            peer: USER,
            ordinal,
            time_ms: TIME_MS,
            content: 1,
            own: false,
            total_bytes: None,
            body: &BODY,
        })) - BODY.len()
    };
    assert_eq!(past(0, ORDINAL), 20);
    assert_eq!(past(GROUP, 0), 23);
    let end = HistoryEnd { group, from, through, has_more: true };
    assert_eq!(encoded_bytes(Frame::HistoryEnd(end)), 14);
}

#[test]
fn frames_of_presence_cost_what_the_specification_says() {
    assert_eq!(encoded_bytes(Frame::Activity { is_here: true }), 3);
    assert_eq!(encoded_bytes(Frame::Watch { users: Numbers::Slice(&[USER]) }), 8);
    let presence = Frame::Presence { user: USER, is_online: true, last_seen_ms: TIME_MS };
    assert_eq!(encoded_bytes(presence), 14);
    assert_eq!(encoded_bytes(Frame::Typing { group: 0, user: USER, is_typing: true }), 9);
    assert_eq!(encoded_bytes(Frame::Typing { group: GROUP, user: USER, is_typing: true }), 13);
}

#[test]
fn frames_about_people_cost_what_the_specification_says() {
    let put = Frame::Put { item: 0, key: b"k", value: b"v" };
    assert_eq!(encoded_bytes(put) - 2, 5);
    let item = Item { version: POSITION, item: 0, key: b"k", value: b"v" };
    assert_eq!(encoded_bytes(Frame::Item(item)) - 2, 8);
    assert_eq!(encoded_bytes(Frame::BookResume { version: POSITION }), 5);
    let book = Frame::Book { version: POSITION, head: POSITION, reset: false };
    assert_eq!(encoded_bytes(book), 9);
    let (user, version) = (USER, POSITION);
    assert_eq!(encoded_bytes(Frame::ProfileLook { user, version }), 10);
    assert_eq!(encoded_bytes(Frame::ProfileNews { user, version }), 10);
    let profile = Profile { user, version, name: b"", status: b"", avatar: b"" };
    assert_eq!(encoded_bytes(Frame::Profile(profile)) + 2, 15);
    assert_eq!(encoded_bytes(Frame::Find { name: b"" }), 3);
    let found = Found { name: b"ann", user, code: Code::None, retry_after_ms: 0 };
    assert_eq!(encoded_bytes(Frame::Found(found)) + 2 - 3, 12);
}
