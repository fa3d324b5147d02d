//! Which frames move last seen: those that a person causes, and no other.

use fulmar_protocol::group::{
    Action, Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected, GroupSend, GroupState,
};
use fulmar_protocol::history::{History, HistoryEnd, Past};
use fulmar_protocol::people::{Found, Item, Profile, PutRejected};
use fulmar_protocol::{Code, Deliver, Frame, Goodbye, Kind, Numbers, Pairs, Welcome};

use super::world::{BEGIN, World, hello, send};
use crate::limits::PRESENCE_SETTLE_MS;

#[test]
fn last_seen_moves_with_what_a_person_does_and_with_nothing_else() {
    for kind in Kind::ALL {
        let mut world = World::new();
        let ann = world.log_in(1, 1);
        let bob = world.log_in(2, 1);
        world.frame(ann, &Frame::Watch { users: Numbers::Slice(&[2]) });
        // Not even with a login.
        world.expect(ann, &["presence 2 seen 0"]);
        world.pass(PRESENCE_SETTLE_MS);
        let seen_ms = world.now.unix_ms;
        assert!(seen_ms > BEGIN.unix_ms);
        world.frame(bob, &example(kind));
        world.hang_up(bob);
        world.pass(100_000);
        let told = world.told(ann);
        let mut last_seen =
            told.iter().rev().filter_map(|words| words.strip_prefix("presence 2 seen "));
        let expected = kind.is_by_person().then(|| seen_ms.to_string());
        assert_eq!(last_seen.next(), expected.as_deref(), "{kind:?}");
    }
}

/// A frame of this kind, from whoever sends such.
fn example(kind: Kind) -> Frame<'static> {
    let users = Numbers::EMPTY;
    let code = Code::NotAllowed;
    match kind {
        Kind::Hello => hello(2, 1, b"", &[]),
        Kind::Welcome => Frame::Welcome(Welcome {
            version: 1,
            capabilities: 0,
            session: 1,
            time_ms: 1,
            body_bytes_max: 1,
            window_messages: 1,
            window_bytes: 1,
            sends_max: 1,
            idle_s: 1,
            presence_s: 1,
            heads: Pairs::Slice(&[]),
        }),
        Kind::Refuse => Frame::Refuse { code, retry_after_ms: 0, detail: "" },
        Kind::Send => send(3, 1, "a"),
        Kind::Part => Frame::Part { body: b"a" },
        Kind::Sent => Frame::Sent { peer: 1, number: 1, ordinal: 1, time_ms: 1 },
        Kind::Rejected => Frame::Rejected { peer: 1, number: 1, code, retry_after_ms: 0 },
        Kind::Deliver => Frame::Deliver(Deliver {
            position: 1,
            peer: 1,
            ordinal: 1,
            time_ms: 1,
            content: 1,
            own: false,
            total_bytes: None,
            body: b"a",
        }),
        Kind::Skip => Frame::Skip { position: 1 },
        Kind::Ack => Frame::Ack { position: 0 },
        Kind::Read => Frame::Read { peer: 3, ordinal: 1 },
        Kind::Receipt => Frame::Receipt { peer: 1, delivered: 1, read: 1, own: false },
        Kind::Ask => Frame::Ask { peer: 3 },
        Kind::Ping => Frame::Ping,
        Kind::Pong => Frame::Pong { heads: Pairs::Slice(&[]) },
        Kind::Goodbye => {
            Frame::Goodbye(Goodbye { code, retry_after_ms: 0, address: "", detail: "" })
        }
        Kind::GroupSend => Frame::GroupSend(GroupSend {
            group: 1,
            number: 1,
            content: 1,
            total_bytes: None,
            body: b"a",
        }),
        Kind::GroupSent => Frame::GroupSent { group: 1, number: 1, position: 1, time_ms: 1 },
        Kind::GroupRejected => {
            Frame::GroupRejected(GroupRejected { group: 1, number: 1, code, retry_after_ms: 0 })
        }
        Kind::GroupDeliver => Frame::GroupDeliver(GroupDeliver {
            group: 1,
            position: 1,
            author: 1,
            time_ms: 1,
            content: 1,
            own: false,
            total_bytes: None,
            body: b"a",
        }),
        Kind::GroupSkip => Frame::GroupSkip { group: 1, position: 1 },
        Kind::GroupAck => Frame::GroupAck { group: 1, position: 1 },
        Kind::GroupRead => Frame::GroupRead { group: 1, position: 1 },
        Kind::GroupReceipt => Frame::GroupReceipt(GroupReceipt {
            group: 1,
            position: 1,
            members: 1,
            delivered: 1,
            read: 1,
            delivered_all: 1,
            read_all: 1,
            who: Pairs::Slice(&[]),
        }),
        Kind::GroupAsk => Frame::GroupAsk { group: 1, position: 1, after: 0 },
        Kind::GroupChange => Frame::GroupChange {
            group: 1,
            number: 1,
            change: Change { action: Action::Leave, users, value: b"" },
        },
        Kind::GroupResume => Frame::GroupResume { cursors: Pairs::Slice(&[]) },
        Kind::GroupLook => Frame::GroupLook { group: 1, after: 0 },
        Kind::GroupState => Frame::GroupState(GroupState {
            group: 1,
            head: 1,
            members: 1,
            shows_history: false,
            name: b"",
            info: b"",
            roles: Pairs::Slice(&[]),
        }),
        Kind::GroupNotice => {
            Frame::GroupNotice(GroupNotice { position: 1, group: 1, by: 1, time_ms: 1 })
        }
        Kind::GroupGone => Frame::GroupGone { group: 1, position: 0 },
        Kind::Activity => Frame::Activity { is_here: true },
        Kind::Watch => Frame::Watch { users },
        Kind::Unwatch => Frame::Unwatch { users },
        Kind::Presence => Frame::Presence { user: 1, is_online: true, last_seen_ms: 1 },
        Kind::Typing => Frame::Typing { group: 0, user: 3, is_typing: true },
        Kind::History => {
            let (group, from, through) = (0, 1, 1);
            Frame::History(History { group, from, through, limit: 1, newest_first: false })
        }
        Kind::Past => Frame::Past(Past {
            group: 0,
            position: 1,
            peer: 1,
            ordinal: 1,
            time_ms: 1,
            content: 1,
            own: false,
            total_bytes: None,
            body: b"a",
        }),
        Kind::HistoryEnd => {
            Frame::HistoryEnd(HistoryEnd { group: 0, from: 1, through: 1, has_more: false })
        }
        Kind::Put => Frame::Put { item: 128, key: b"a", value: b"b" },
        Kind::Item => Frame::Item(Item { version: 1, item: 128, key: b"a", value: b"b" }),
        Kind::PutRejected => {
            Frame::PutRejected(PutRejected { item: 0, key: b"", code, retry_after_ms: 0 })
        }
        Kind::BookResume => Frame::BookResume { version: 0 },
        Kind::Book => Frame::Book { version: 1, head: 1, reset: false },
        Kind::ProfileLook => Frame::ProfileLook { user: 3, version: 0 },
        Kind::Profile => {
            Frame::Profile(Profile { user: 1, version: 1, name: b"", status: b"", avatar: b"" })
        }
        Kind::ProfileNews => Frame::ProfileNews { user: 1, version: 1 },
        Kind::Find => Frame::Find { name: b"bob" },
        Kind::Found => {
            Frame::Found(Found { name: b"bob", user: 0, code: Code::None, retry_after_ms: 0 })
        }
    }
}
