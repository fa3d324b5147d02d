//! A disk of any content, under a shard.
//!
//! What a shard is given by storage it judges once, when it is loaded. Damage that it finds there ends
//! the process, which is right, so inputs with such damage are passed over here. What it takes, it
//! can work with: it never panics later, and a damaged message ends the connection that wants it.

use bytes::{Bytes, BytesMut};
use fulmar::shard::record::{ConversationRecord, EntryHeader};
use fulmar::shard::{ConnId, Found, Key, Load, Loaded, LogId, UserId, Write};
use fulmar::storage::{SimulatedDatabase, Storage};
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Frames, Send};

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

/// See the module's description.
pub fn stored(data: &[u8]) {
    let mut script = Script::new(data);
    let disk = SimulatedDatabase::default();
    fill(&disk, &mut script);
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
    let second = node.log_in(2, BOB, 1 + u16::from(script.byte()));
    acknowledge(&mut node, second);
    node.pass(1_000);
}

/// Puts what the script says onto the disk.
fn fill(disk: &SimulatedDatabase, script: &mut Script<'_>) {
    let put = |key, value: &[u8]| {
        let value = Bytes::copy_from_slice(value);
        disk.apply(&[Write::Put { key, value }]).expect("nothing is to fail");
    };
    for (key, is_there) in [
        (Key::State { log: LogId::Inbox(BOB) }, script.byte() < 224),
        (Key::Conversation { log: LogId::Inbox(BOB), peer: ANN }, script.byte() < 224),
    ] {
        if is_there {
            put(key, script.bytes());
        }
    }
    let mut position = script.number();
    for _ in 0..script.below(ENTRIES_MAX + 1) {
        let value = match script.byte() {
            0..240 => entry(script),
            _ => script.bytes().to_vec(),
        };
        put(Key::Entry { log: LogId::Inbox(BOB), position }, &value);
        position = match script.byte() {
            0..240 => position.wrapping_add(1),
            _ => script.number(),
        };
    }
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
    let expire_through_ms = EXPIRED_THROUGH_MS;
    let loaded = disk
        .load(Load::Log { log: LogId::Inbox(BOB), expire_through_ms })
        .expect("nothing is to fail");
    let Loaded::Log { record, last, first, head, .. } = loaded else { return false };
    if let (Some((first, _)), Some((last, _))) = (&first, &last)
        && last - first > GAP_MAX
    {
        return false;
    }
    let found = Found::new(record.as_deref(), first, last, head);
    let loaded = disk
        .load(Load::Conversation { log: LogId::Inbox(BOB), peer: ANN })
        .expect("nothing is to fail");
    let Loaded::Conversation { record, .. } = loaded else { return false };
    let conversation = record.map(|record| ConversationRecord::decode(&record)).transpose();
    found.is_ok() && conversation.is_ok()
}

/// Acknowledges whatever a device is given, until nothing more comes.
fn acknowledge(node: &mut Node, conn: ConnId) {
    for _ in 0..ROUNDS_MAX {
        let told = node.told.remove(&conn).unwrap_or_default();
        let frames = Frames::new(&told, FRAME_BYTES_MAX).map(|frame| frame.expect("a length"));
        let last = frames.filter_map(|frame| match Frame::decode(frame).expect("a frame") {
            Frame::Deliver(deliver) => Some(deliver.position),
            Frame::Skip { position } => Some(position),
            _ => None,
        });
        let Some(position) = last.last() else { return };
        node.frames(conn, &[Frame::Ack { position }]);
    }
}
