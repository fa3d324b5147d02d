//! A disk of any content, under a shard.
//!
//! What a shard is given by storage it judges once, when it is loaded. Damage that it finds there ends
//! the process, which is right, so inputs with such damage are passed over here. What it takes, it
//! can work with: it never panics later, and a damaged message ends the connection that wants it.

use bytes::{Bytes, BytesMut};
use fulmar::shard::group;
use fulmar::shard::people::{Book, NameRecord};
use fulmar::shard::record::{ConversationRecord, EntryHeader};
use fulmar::shard::{ConnId, Found, GroupId, Key, Load, Loaded, LogId, UserId, Write};
use fulmar::storage::{SimulatedDatabase, Storage};
use fulmar_protocol::content::EDIT;
use fulmar_protocol::group::{Action, Change, GroupSend};
use fulmar_protocol::history::History;
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::people::{item, privacy};
use fulmar_protocol::{Frame, Frames, Numbers, Pairs, Send};

use crate::node::{EXPIRED_THROUGH_MS, Node};
use crate::script::Script;

const ENTRIES_MAX: usize = 6;
const ROUNDS_MAX: usize = 24;
/// Times of entries are multiples of this, so that none expires while the node runs.
const TIME_MS: u64 = 10_000_000_000;
/// Positions between the first and the last entry: to trim more would take too long.
const GAP_MAX: u64 = 10_000;
const ANN: UserId = 1;
const BOB: UserId = 2;
const GROUP: GroupId = 3;
const NAME: &[u8] = b"bob";

/// What there is on the disk besides an inbox, a bit each.
const WITH_GROUP: u8 = 1;
const WITH_PEOPLE: u8 = 2;

/// See the module's description. The first byte says what there is.
pub fn stored(data: &[u8]) {
    let mut script = Script::new(data);
    let disk = SimulatedDatabase::default();
    let kinds = script.byte();
    fill(&disk, kinds, &mut script);
    if !is_taken(&disk) {
        return;
    }
    let mut node = Node::new(disk);
    let bob = node.log_in(0, BOB, 1);
    let ann = node.log_in(1, ANN, 1);
    let number = script.number().max(1);
    for nth in 0..3 {
        let number = number.saturating_add(nth);
        let (peer, content, total_bytes, body) = (BOB, 1, None, &b"a message"[..]);
        node.frames(ann, &[Frame::Send(Send { peer, number, content, total_bytes, body })]);
        node.frames(ann, &[Frame::Ask { peer: BOB }]);
        acknowledge(&mut node, bob);
        node.frames(bob, &[Frame::Read { peer: ANN, ordinal: script.number() }, Frame::Ping]);
        node.pass(300);
    }
    ask_for_page(&mut node, bob, 0, script.number());
    if kinds & WITH_GROUP > 0 {
        use_group(&mut node, (ann, bob), number, &mut script);
    }
    if kinds & WITH_PEOPLE > 0 {
        use_people(&mut node, (ann, bob));
    }
    let second = node.log_in(2, BOB, 1 + u16::from(script.byte()));
    acknowledge(&mut node, second);
    node.pass(1_000);
}

/// A page of what lies behind the cursor.
fn ask_for_page(node: &mut Node, conn: ConnId, group: GroupId, through: u64) {
    let (from, limit, newest_first) = (1, 8, through.is_multiple_of(2));
    node.frames(conn, &[Frame::History(History { group, from, through, limit, newest_first })]);
}

/// Both are in the group, if its record says so.
fn use_group(node: &mut Node, (ann, bob): (ConnId, ConnId), number: u64, script: &mut Script<'_>) {
    for conn in [ann, bob] {
        let cursors = [(GROUP, script.number())];
        node.frames(conn, &[Frame::GroupResume { cursors: Pairs::Slice(&cursors) }]);
        acknowledge(node, conn);
    }
    for nth in 0..3u8 {
        let number = number.saturating_add(u64::from(nth));
        let (content, body) =
            if nth == 1 { (EDIT, &[script.byte(), b'e'][..]) } else { (1, &b"all"[..]) };
        let send = GroupSend { group: GROUP, number, content, total_bytes: None, body };
        node.frames(ann, &[Frame::GroupSend(send)]);
        acknowledge(node, bob);
        let position = script.number();
        node.frames(bob, &[Frame::GroupRead { group: GROUP, position }]);
        node.frames(ann, &[Frame::GroupAsk { group: GROUP, position, after: 0 }]);
        node.pass(300);
    }
    let users = [script.number().max(1)];
    for (nth, action) in (3..).zip(script.choose(&[
        [Action::Rename, Action::Add, Action::Leave],
        [Action::Promote, Action::Remove, Action::Add],
        [Action::ShowHistory, Action::HandOver, Action::Delete],
    ])) {
        let users: &[u64] = if matches!(
            action,
            Action::Rename | Action::Leave | Action::ShowHistory | Action::Delete
        ) {
            &[]
        } else {
            &users
        };
        let value: &[u8] = match action {
            Action::Rename => b"name",
            Action::ShowHistory => &[1],
            _ => b"",
        };
        let change = Change { action, users: Numbers::Slice(users), value };
        let number = number.saturating_add(nth);
        node.frames(ann, &[Frame::GroupChange { group: GROUP, number, change }]);
        acknowledge(node, bob);
    }
    for conn in [ann, bob] {
        ask_for_page(node, conn, GROUP, script.number());
        node.frames(conn, &[Frame::GroupLook { group: GROUP, after: 0 }]);
    }
    node.pass(6_000);
}

fn use_people(node: &mut Node, (ann, bob): (ConnId, ConnId)) {
    let put = |item, key, value| Frame::Put { item, key, value };
    let watched = Numbers::Slice(&[ANN, BOB]);
    node.frames(ann, &[Frame::Watch { users: watched }, Frame::Find { name: NAME }]);
    node.frames(ann, &[Frame::ProfileLook { user: BOB, version: 0 }]);
    node.frames(bob, &[Frame::BookResume { version: 0 }, Frame::Activity { is_here: true }]);
    node.pass(1_000);
    node.frames(ann, &[put(item::USERNAME, b"", NAME), Frame::Find { name: NAME }]);
    node.frames(bob, &[put(item::PRIVACY, &[privacy::ONLINE], &[0]), put(item::BLOCK, &[1], &[1])]);
    node.frames(bob, &[put(item::PROFILE, &[0], b"Bob"), put(item::APPLICATION, b"key", b"")]);
    node.pass(1_000);
    node.frames(bob, &[put(item::BLOCK, &[1], b""), put(item::USERNAME, b"", b"")]);
    node.frames(bob, &[Frame::BookResume { version: 1 }, Frame::Activity { is_here: false }]);
    node.pass(6_000);
}

/// Puts what the script says onto the disk.
fn fill(disk: &SimulatedDatabase, kinds: u8, script: &mut Script<'_>) {
    let inbox = LogId::Inbox(BOB);
    put(disk, &[Key::State { log: inbox }, Key::Conversation { log: inbox, peer: ANN }], script);
    put_entries(disk, inbox, script);
    if kinds & WITH_GROUP > 0 {
        let log = LogId::Group(GROUP);
        put(
            disk,
            &[
                Key::State { log },
                Key::Conversation { log, peer: ANN },
                Key::State { log: LogId::Inbox(ANN) },
            ],
            script,
        );
        put_entries(disk, log, script);
    }
    if kinds & WITH_PEOPLE > 0 {
        put(
            disk,
            &[
                Key::Presence { user: BOB },
                Key::Book { user: BOB },
                Key::Name { hash: hash(NAME) },
                Key::Book { user: ANN },
                Key::Conversation { log: inbox, peer: ANN },
            ],
            script,
        );
    }
}

/// Puts records of any content, or none.
fn put(disk: &SimulatedDatabase, keys: &[Key], script: &mut Script<'_>) {
    let are_there: Vec<_> = keys.iter().map(|key| (*key, script.byte() < 224)).collect();
    for (key, is_there) in are_there {
        if is_there {
            let value = Bytes::copy_from_slice(script.bytes());
            disk.apply(&[Write::Put { key, value }]).expect("nothing is to fail");
        }
    }
}

/// Puts some entries of a log.
fn put_entries(disk: &SimulatedDatabase, log: LogId, script: &mut Script<'_>) {
    let mut position = script.number();
    for _ in 0..script.below(ENTRIES_MAX + 1) {
        let value = match script.byte() {
            0..240 => entry(script),
            _ => script.bytes().to_vec(),
        };
        let key = Key::Entry { log, position };
        disk.apply(&[Write::Put { key, value: value.into() }]).expect("nothing is to fail");
        position = match script.byte() {
            0..240 => position.wrapping_add(1),
            _ => script.number(),
        };
    }
}

/// The hash under which a name is kept (FNV-1a).
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn entry(script: &mut Script<'_>) -> Vec<u8> {
    let header = EntryHeader {
        time_ms: script.number().saturating_mul(TIME_MS),
        own: script.flag(),
        is_notice: false,
        over_ms: 0,
        content: script.byte(),
        peer: script.number(),
        ordinal: script.number(),
        device: script.number() as u16,
        total_bytes: script.number(),
    };
    let mut value = BytesMut::new();
    header.encode(&mut value);
    value.extend_from_slice(script.bytes());
    value.to_vec()
}

/// Whether a shard goes on with what it loads of this disk.
fn is_taken(disk: &SimulatedDatabase) -> bool {
    let load = |load| disk.load(load).expect("nothing is to fail");
    let expire_through_ms = EXPIRED_THROUGH_MS;
    let logs = [LogId::Inbox(BOB), LogId::Inbox(ANN), LogId::Group(GROUP)];
    logs.iter().all(|&log| {
        let loaded = load(Load::Log { log, expire_through_ms });
        let Loaded::Log { record, last, first, head, .. } = &loaded else { return false };
        if let (Some((first, _)), Some((last, _))) = (first, last)
            && last - first > GAP_MAX
        {
            return false;
        }
        match log {
            LogId::Group(_) => group::found(loaded).is_ok(),
            LogId::Inbox(_) => {
                Found::new(record.as_deref(), first.clone(), last.clone(), *head).is_ok()
            }
        }
    }) && [LogId::Inbox(BOB), LogId::Group(GROUP)].iter().all(|&log| {
        let loaded = load(Load::Conversation { log, peer: ANN });
        let Loaded::Conversation { record, .. } = loaded else { return false };
        record.is_none_or(|record| ConversationRecord::decode(&record).is_ok())
    }) && [ANN, BOB].iter().all(|&user| {
        let Loaded::Book { record, .. } = load(Load::Book { user }) else { return false };
        record.is_none_or(|record| Book::decode(&record).is_ok())
    }) && {
        // With a damaged record of presence a shard goes on; see there.
        let loaded = load(Load::Name { hash: hash(NAME) });
        let Loaded::Name { record, .. } = loaded else { return false };
        record.is_none_or(|record| NameRecord::decode(&record).is_ok())
    }
}

/// Acknowledges whatever a device is given, until nothing more comes.
fn acknowledge(node: &mut Node, conn: ConnId) {
    for _ in 0..ROUNDS_MAX {
        let told = node.told.remove(&conn).unwrap_or_default();
        let frames = Frames::new(&told, FRAME_BYTES_MAX).map(|frame| frame.expect("a length"));
        let (mut inbox, mut group) = (None, None);
        for frame in frames {
            match Frame::decode(frame).expect("a frame") {
                Frame::Deliver(deliver) => inbox = Some(deliver.position),
                Frame::GroupNotice(notice) => inbox = Some(notice.position),
                Frame::Skip { position } => inbox = Some(position),
                Frame::GroupDeliver(deliver) => group = Some(deliver.position),
                Frame::GroupSkip { position, .. } => group = Some(position),
                _ => {}
            }
        }
        let inbox = inbox.map(|position| Frame::Ack { position });
        let group = group.map(|position| Frame::GroupAck { group: GROUP, position });
        let acks: Vec<_> = inbox.into_iter().chain(group).collect();
        if acks.is_empty() {
            return;
        }
        node.frames(conn, &acks);
    }
}
