//! Random frames of every kind.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_protocol::group::{
    Action, CONTENT_CHANGE, Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected,
    GroupSend, GroupState,
};
use fulmar_protocol::history::{History, HistoryEnd, Past};
use fulmar_protocol::people::{Found, Item, Profile, PutRejected};
use fulmar_protocol::{
    Code, Deliver, Frame, Goodbye, Hello, Kind, Numbers, Pairs, Send, Welcome, limits,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

/// What a random frame is made of; each kind takes what it needs.
#[derive(Debug)]
pub(crate) struct Material {
    kind: Kind,
    numbers: [u64; 10],
    code: u16,
    content: u8,
    own: bool,
    /// How many bytes of the body are in later parts; 0 for a body that isn't cut.
    later_bytes: u64,
    bytes: Vec<u8>,
    short_text: String,
    long_text: String,
    pairs: Vec<(u64, u64)>,
    action: Action,
    users: Vec<u64>,
}

impl Material {
    pub(crate) fn frame(&self) -> Frame<'_> {
        let [first, second, third, fourth, ..] = self.numbers;
        let code = Code::from_number(self.code);
        match self.kind {
            Kind::Hello => Frame::Hello(self.hello()),
            Kind::Welcome => Frame::Welcome(self.welcome()),
            Kind::Refuse => Frame::Refuse { code, retry_after_ms: first, detail: &self.long_text },
            Kind::Send => Frame::Send(Send {
                peer: first,
                number: second.max(1),
                content: self.content,
                total_bytes: self.total_bytes(),
                body: &self.bytes,
            }),
            // A part has at least one byte.
            Kind::Part if self.bytes.is_empty() => Frame::Part { body: &[0] },
            Kind::Part => Frame::Part { body: &self.bytes },
            Kind::Sent => {
                Frame::Sent { peer: first, number: second, ordinal: third, time_ms: fourth }
            }
            Kind::Rejected => {
                Frame::Rejected { peer: first, number: second, code, retry_after_ms: third }
            }
            Kind::Deliver => Frame::Deliver(Deliver {
                position: first,
                peer: second,
                ordinal: third,
                time_ms: fourth,
                content: self.content,
                own: self.own,
                total_bytes: self.total_bytes(),
                body: &self.bytes,
            }),
            Kind::Skip => Frame::Skip { position: first },
            Kind::Ack => Frame::Ack { position: first },
            Kind::Read => Frame::Read { peer: first, ordinal: second },
            Kind::Receipt => {
                Frame::Receipt { peer: first, delivered: second, read: third, own: self.own }
            }
            Kind::Ask => Frame::Ask { peer: first },
            Kind::Ping => Frame::Ping,
            Kind::Pong => Frame::Pong { heads: Pairs::Slice(&self.pairs) },
            Kind::Goodbye => Frame::Goodbye(Goodbye {
                code,
                retry_after_ms: first,
                address: &self.short_text,
                detail: &self.long_text,
            }),
            Kind::History => Frame::History(History {
                group: first,
                from: second,
                through: third,
                limit: fourth % limits::HISTORY_MAX as u64 + 1,
                newest_first: self.own,
            }),
            Kind::Past => Frame::Past(self.past()),
            Kind::HistoryEnd => {
                let (group, from, through, has_more) = (first, second, third, self.own);
                Frame::HistoryEnd(HistoryEnd { group, from, through, has_more })
            }
            kind if kind as u8 >= Kind::Put as u8 => self.people_frame(kind),
            kind => self.group_frame(kind),
        }
    }

    /// A frame about groups, presence or typing.
    fn group_frame(&self, kind: Kind) -> Frame<'_> {
        let [group, position, after, fourth, ..] = self.numbers;
        let cursors = Pairs::Slice(&self.pairs);
        let users = Numbers::Slice(&self.users);
        match kind {
            Kind::GroupSend => Frame::GroupSend(self.group_send()),
            Kind::GroupSent => Frame::GroupSent { group, number: after, position, time_ms: fourth },
            Kind::GroupRejected => Frame::GroupRejected(GroupRejected {
                group,
                number: position,
                code: Code::from_number(self.code),
                retry_after_ms: after,
            }),
            Kind::GroupDeliver => Frame::GroupDeliver(self.group_deliver()),
            Kind::GroupSkip => Frame::GroupSkip { group, position },
            Kind::GroupAck => Frame::GroupAck { group, position },
            Kind::GroupRead => Frame::GroupRead { group, position },
            Kind::GroupReceipt => Frame::GroupReceipt(self.group_receipt()),
            Kind::GroupAsk => Frame::GroupAsk { group, position, after },
            Kind::GroupChange => {
                Frame::GroupChange { group, number: position.max(1), change: self.change() }
            }
            Kind::GroupResume => Frame::GroupResume { cursors },
            Kind::GroupLook => Frame::GroupLook { group, after },
            Kind::GroupState => Frame::GroupState(self.group_state()),
            Kind::GroupNotice => {
                Frame::GroupNotice(GroupNotice { position, group, by: after, time_ms: fourth })
            }
            Kind::GroupGone => Frame::GroupGone { group, position },
            Kind::Activity => Frame::Activity { is_here: self.own },
            Kind::Watch => Frame::Watch { users },
            Kind::Unwatch => Frame::Unwatch { users },
            Kind::Presence => {
                Frame::Presence { user: group, is_online: self.own, last_seen_ms: position }
            }
            Kind::Typing => Frame::Typing { group, user: position, is_typing: self.own },
            other => panic!("not about groups: {other:?}"),
        }
    }

    /// A frame about people.
    fn people_frame(&self, kind: Kind) -> Frame<'_> {
        let [user, version, head, ..] = self.numbers;
        let item = self.content;
        let key = self.up_to(limits::KEY_BYTES_MAX);
        let value = self.up_to(limits::VALUE_BYTES_MAX);
        let code = Code::from_number(self.code);
        match kind {
            Kind::Put => Frame::Put { item, key, value },
            Kind::Item => Frame::Item(Item { version, item, key, value }),
            Kind::PutRejected => {
                Frame::PutRejected(PutRejected { item, key, code, retry_after_ms: head })
            }
            Kind::BookResume => Frame::BookResume { version },
            Kind::Book => Frame::Book { version, head, reset: self.own },
            Kind::ProfileLook => Frame::ProfileLook { user, version },
            Kind::Profile => Frame::Profile(Profile {
                user,
                version,
                name: key,
                status: self.up_to(limits::PROFILE_STATUS_BYTES_MAX),
                avatar: self.up_to(limits::PROFILE_AVATAR_BYTES_MAX),
            }),
            Kind::ProfileNews => Frame::ProfileNews { user, version },
            Kind::Find => Frame::Find { name: self.up_to(limits::NAME_BYTES_MAX) },
            Kind::Found => Frame::Found(Found {
                name: self.up_to(limits::NAME_BYTES_MAX),
                user,
                code,
                retry_after_ms: head,
            }),
            other => panic!("not about people: {other:?}"),
        }
    }

    fn up_to(&self, bytes_max: usize) -> &[u8] {
        &self.bytes[..self.bytes.len().min(bytes_max)]
    }

    /// As much of the bytes as a name, description or setting may have.
    fn value(&self) -> &[u8] {
        &self.bytes[..self.bytes.len().min(limits::GROUP_VALUE_BYTES_MAX)]
    }

    pub(crate) fn change(&self) -> Change<'_> {
        Change { action: self.action, users: Numbers::Slice(&self.users), value: self.value() }
    }

    fn group_send(&self) -> GroupSend<'_> {
        let [group, number, ..] = self.numbers;
        GroupSend {
            group,
            number: number.max(1),
            content: if self.content == CONTENT_CHANGE { 1 } else { self.content },
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn group_deliver(&self) -> GroupDeliver<'_> {
        let [group, position, author, time_ms, ..] = self.numbers;
        GroupDeliver {
            group,
            position,
            author,
            time_ms,
            content: self.content,
            own: self.own,
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn past(&self) -> Past<'_> {
        let [group, position, peer, ordinal, time_ms, ..] = self.numbers;
        Past {
            group,
            position,
            peer,
            ordinal,
            time_ms,
            content: self.content,
            own: self.own,
            total_bytes: self.total_bytes(),
            body: &self.bytes,
        }
    }

    fn group_receipt(&self) -> GroupReceipt<'_> {
        let [group, position, members, delivered, read, delivered_all, read_all, ..] = self.numbers;
        let who = Pairs::Slice(&self.pairs);
        GroupReceipt { group, position, members, delivered, read, delivered_all, read_all, who }
    }

    fn group_state(&self) -> GroupState<'_> {
        let [group, head, members, ..] = self.numbers;
        GroupState {
            group,
            head,
            members,
            shows_history: self.own,
            name: self.short_text.as_bytes(),
            info: self.value(),
            roles: Pairs::Slice(&self.pairs),
        }
    }

    fn total_bytes(&self) -> Option<u64> {
        let total_bytes = (self.bytes.len() as u64).saturating_add(self.later_bytes);
        (self.later_bytes > 0).then_some(total_bytes)
    }

    fn hello(&self) -> Hello<'_> {
        let [version_min, version_max, capabilities, user, device, ..] = self.numbers;
        Hello {
            version_min,
            version_max,
            capabilities,
            user,
            device,
            token: &self.bytes[..self.bytes.len().min(limits::TOKEN_BYTES_MAX)],
            agent: &self.short_text,
            cursors: Pairs::Slice(&self.pairs),
        }
    }

    fn welcome(&self) -> Welcome<'_> {
        let [version, capabilities, session, time_ms, body_bytes_max, ..] = self.numbers;
        let [.., window_messages, window_bytes, sends_max, idle_s, presence_s] = self.numbers;
        Welcome {
            version,
            capabilities,
            session,
            time_ms,
            body_bytes_max,
            window_messages,
            window_bytes,
            sends_max,
            idle_s,
            presence_s,
            heads: Pairs::Slice(&self.pairs),
        }
    }
}

/// Numbers of every length alike.
fn numbers() -> impl Strategy<Value = u64> + Clone {
    (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..300),
        1 => (any::<u8>(), limits::PART_BYTES_MAX - 2..=limits::PART_BYTES_MAX)
            .prop_map(|(byte, len)| vec![byte; len]),
    ]
}

pub(crate) fn materials() -> impl Strategy<Value = Material> {
    // `\PC` is any character outside Unicode's category C, control characters among them.
    let texts = ("\\PC{0,16}", "\\PC{0,64}");
    let pairs = btree_map(numbers(), numbers(), 0..=limits::LOGS_MAX);
    let users = btree_set(numbers().prop_map(|user| user.max(1)), 0..=limits::LOGS_MAX);
    let kinds = prop::sample::select(Kind::ALL.to_vec());
    let actions = prop::sample::select(Action::ALL.to_vec());
    let scalars = (any::<u16>(), any::<u8>(), any::<bool>(), actions);
    let later_bytes = prop_oneof![Just(0), numbers()];
    let lists = (pairs, users);
    (kinds, prop::array::uniform10(numbers()), scalars, later_bytes, bodies(), texts, lists)
        .prop_map(|(kind, numbers, scalars, later_bytes, bytes, texts, (pairs, users))| {
            let (code, content, own, action) = scalars;
            Material {
                kind,
                numbers,
                code,
                content,
                own,
                later_bytes,
                bytes,
                short_text: texts.0,
                long_text: texts.1,
                pairs: BTreeMap::into_iter(pairs).collect(),
                action,
                users: BTreeSet::into_iter(users).collect(),
            }
        })
}
