//! Vectors of the frames about groups, presence and typing, and of changes.

use fulmar_protocol::group::{
    Action, Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected, GroupSend, GroupState,
};
use fulmar_protocol::{Frame, Kind, Numbers};
use serde_json::{Value, json};

use super::{Fields, describe_pairs, exact, hex};

impl Fields<'_> {
    /// The frame with these fields, of a kind that is about groups, presence or typing.
    pub(super) fn group_frame(&self, kind: Kind) -> Frame<'_> {
        let number = |field| self.number(field);
        let (group, position) = (|| number("group"), || number("position"));
        match kind {
            Kind::GroupSend => Frame::GroupSend(self.group_send()),
            Kind::GroupSent => Frame::GroupSent {
                group: group(),
                number: number("number"),
                position: position(),
                time_ms: number("time_ms"),
            },
            Kind::GroupRejected => Frame::GroupRejected(GroupRejected {
                group: group(),
                number: number("number"),
                code: self.code(),
                retry_after_ms: number("retry_after_ms"),
            }),
            Kind::GroupDeliver => Frame::GroupDeliver(self.group_deliver()),
            Kind::GroupSkip => Frame::GroupSkip { group: group(), position: position() },
            Kind::GroupAck => Frame::GroupAck { group: group(), position: position() },
            Kind::GroupRead => Frame::GroupRead { group: group(), position: position() },
            Kind::GroupReceipt => Frame::GroupReceipt(self.group_receipt()),
            Kind::GroupAsk => {
                Frame::GroupAsk { group: group(), position: position(), after: number("after") }
            }
            Kind::GroupChange => Frame::GroupChange {
                group: group(),
                number: number("number"),
                change: self.change(),
            },
            Kind::GroupResume => Frame::GroupResume { cursors: self.pairs() },
            Kind::GroupLook => Frame::GroupLook { group: group(), after: number("after") },
            Kind::GroupState => Frame::GroupState(self.group_state()),
            Kind::GroupNotice => Frame::GroupNotice(GroupNotice {
                position: position(),
                group: group(),
                by: number("by"),
                time_ms: number("time_ms"),
            }),
            Kind::GroupGone => Frame::GroupGone { group: group(), position: position() },
            Kind::Activity => Frame::Activity { is_here: self.flag("is_here") },
            Kind::Watch => Frame::Watch { users: self.users() },
            Kind::Unwatch => Frame::Unwatch { users: self.users() },
            Kind::Presence => Frame::Presence {
                user: number("user"),
                is_online: self.flag("is_online"),
                last_seen_ms: number("last_seen_ms"),
            },
            Kind::Typing => Frame::Typing {
                group: group(),
                user: number("user"),
                is_typing: self.flag("is_typing"),
            },
            other => panic!("not about groups: {other:?}"),
        }
    }

    fn group_send(&self) -> GroupSend<'_> {
        GroupSend {
            group: self.number("group"),
            number: self.number("number"),
            content: self.byte("content"),
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn group_deliver(&self) -> GroupDeliver<'_> {
        GroupDeliver {
            group: self.number("group"),
            position: self.number("position"),
            author: self.number("author"),
            time_ms: self.number("time_ms"),
            content: self.byte("content"),
            own: self.own(),
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn group_receipt(&self) -> GroupReceipt<'_> {
        GroupReceipt {
            group: self.number("group"),
            position: self.number("position"),
            members: self.number("members"),
            delivered: self.number("delivered"),
            read: self.number("read"),
            delivered_all: self.number("delivered_all"),
            read_all: self.number("read_all"),
            who: self.pairs(),
        }
    }

    fn group_state(&self) -> GroupState<'_> {
        GroupState {
            group: self.number("group"),
            head: self.number("head"),
            members: self.number("members"),
            shows_history: self.flag("shows_history"),
            name: &self.bytes,
            info: &self.info,
            roles: self.pairs(),
        }
    }

    /// The change with these fields, those of a request or of a vector of `changes.json`.
    pub(crate) fn change(&self) -> Change<'_> {
        let action = Action::from_number(self.byte("action")).expect("an action");
        Change { action, users: self.users(), value: &self.bytes }
    }
}

/// The fields of a frame about groups, presence or typing, as a vector states them.
pub(super) fn describe(frame: &Frame<'_>) -> Value {
    match *frame {
        Frame::GroupSend(send) => json!({
            "group": exact(send.group), "number": exact(send.number), "content": send.content,
            "total_bytes": send.total_bytes.map(exact), "body": hex(send.body),
        }),
        Frame::GroupSent { group, number, position, time_ms } => json!({
            "group": exact(group), "number": exact(number),
            "position": exact(position), "time_ms": exact(time_ms),
        }),
        Frame::GroupRejected(rejected) => json!({
            "group": exact(rejected.group), "number": exact(rejected.number),
            "code": rejected.code.number(), "retry_after_ms": exact(rejected.retry_after_ms),
        }),
        Frame::GroupDeliver(deliver) => describe_deliver(&deliver),
        Frame::GroupSkip { group, position }
        | Frame::GroupAck { group, position }
        | Frame::GroupRead { group, position }
        | Frame::GroupGone { group, position } => {
            json!({ "group": exact(group), "position": exact(position) })
        }
        Frame::GroupReceipt(receipt) => describe_receipt(&receipt),
        Frame::GroupAsk { group, position, after } => json!({
            "group": exact(group), "position": exact(position), "after": exact(after),
        }),
        Frame::GroupChange { group, number, change } => {
            let mut fields = describe_change(&change);
            fields["group"] = exact(group);
            fields["number"] = exact(number);
            fields
        }
        Frame::GroupResume { cursors } => json!({ "cursors": describe_pairs(&cursors) }),
        Frame::GroupLook { group, after } => {
            json!({ "group": exact(group), "after": exact(after) })
        }
        Frame::GroupState(state) => describe_state(&state),
        Frame::GroupNotice(notice) => json!({
            "position": exact(notice.position), "group": exact(notice.group),
            "by": exact(notice.by), "time_ms": exact(notice.time_ms),
        }),
        Frame::Activity { is_here } => json!({ "is_here": is_here }),
        Frame::Watch { users } | Frame::Unwatch { users } => {
            json!({ "users": describe_numbers(&users) })
        }
        Frame::Presence { user, is_online, last_seen_ms } => json!({
            "user": exact(user), "is_online": is_online, "last_seen_ms": exact(last_seen_ms),
        }),
        Frame::Typing { group, user, is_typing } => json!({
            "group": exact(group), "user": exact(user), "is_typing": is_typing,
        }),
        other => panic!("not about groups: {other:?}"),
    }
}

fn describe_deliver(deliver: &GroupDeliver<'_>) -> Value {
    json!({
        "group": exact(deliver.group), "position": exact(deliver.position),
        "author": exact(deliver.author), "time_ms": exact(deliver.time_ms),
        "content": deliver.content, "own": deliver.own,
        "total_bytes": deliver.total_bytes.map(exact), "body": hex(deliver.body),
    })
}

fn describe_receipt(receipt: &GroupReceipt<'_>) -> Value {
    json!({
        "group": exact(receipt.group), "position": exact(receipt.position),
        "members": exact(receipt.members),
        "delivered": exact(receipt.delivered), "read": exact(receipt.read),
        "delivered_all": exact(receipt.delivered_all), "read_all": exact(receipt.read_all),
        "who": describe_pairs(&receipt.who),
    })
}

fn describe_state(state: &GroupState<'_>) -> Value {
    json!({
        "group": exact(state.group), "head": exact(state.head), "members": exact(state.members),
        "shows_history": state.shows_history,
        "name": hex(state.name), "info": hex(state.info), "roles": describe_pairs(&state.roles),
    })
}

/// The fields of a change, as a vector states them.
pub(crate) fn describe_change(change: &Change<'_>) -> Value {
    json!({
        "action": change.action as u8, "users": describe_numbers(&change.users),
        "value": hex(change.value),
    })
}

fn describe_numbers(numbers: &Numbers<'_>) -> Vec<Value> {
    let described: Vec<Value> = numbers.iter().map(exact).collect();
    assert_eq!(described.len(), numbers.len(), "a list of numbers that knows its own length");
    described
}
