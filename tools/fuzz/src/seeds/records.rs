//! Records as a shard would write them, in small: one of each kind.

use bytes::{Bytes, BytesMut};
use fulmar::shard::UserId;
use fulmar::shard::group::record::{GroupRecord, Member, Role};
use fulmar::shard::record::{
    Audience, ConversationRecord, Device, EntryHeader, Face, GroupList, InboxRecord, Marks,
    PresenceRecord, Run, Sender, Ties,
};
use fulmar_protocol::people::{item, privacy};
use fulmar_protocol::varint;

use super::Seed;
use crate::script::Writer;

/// One of each kind.
pub(super) fn all() -> Vec<Seed> {
    let key = Writer::new().number(7).number(8).byte(2).number(7).number(300).byte(2);
    let people = Writer::new().number(7).number(0).byte(7).number(9).number(0).byte(8);
    vec![
        ("inbox".into(), inbox()),
        ("conversation".into(), conversation()),
        ("group".into(), group()),
        ("presence".into(), presence()),
        ("book".into(), book()),
        ("name".into(), name(&[(b"ann", 7), (b"bob.2", u64::MAX)])),
        ("entry".into(), entry(b"hello")),
        ("notice".into(), notice()),
        ("keys".into(), key.into_bytes()),
        ("keys-of-people".into(), people.into_bytes()),
        ("entry-key".into(), vec![0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 0]),
    ]
}

fn encoded(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(&mut bytes);
    bytes.to_vec()
}

pub(crate) fn inbox() -> Vec<u8> {
    let device = |device, cursor| Device { device, cursor, cursor_bytes: cursor * 10 };
    let devices = [device(1, 3), device(2, 2)].into_iter().collect();
    let record = InboxRecord {
        trim: 2,
        trim_bytes: 20,
        head: 4,
        head_bytes: 40,
        devices,
        groups: groups(),
        face: Face { profile: 2, ..Face::default() },
    };
    encoded(|out| record.encode(out))
}

/// Groups of a user, one of them over.
fn groups() -> GroupList {
    let mut groups = GroupList::default();
    for group in [3, 1, 2] {
        groups.begin(group);
    }
    groups.end(2);
    groups.act(3);
    groups
}

pub(crate) fn conversation() -> Vec<u8> {
    let run = |number, ordinal, len| Run { number, ordinal, len };
    let sender = |device, runs: &[Run]| Sender { device, runs: runs.iter().copied().collect() };
    let senders = [sender(1, &[run(1, 1, 2), run(9, 3, 1)]), sender(2, &[run(300, 4, 1)])];
    let record = ConversationRecord {
        ordinal: 4,
        delivered: 3,
        read: 2,
        marks: Marks::default(),
        senders: senders.into_iter().collect(),
        copies: [(1, 5)].into_iter().collect(),
        ties: Ties { wrote: true, ..Ties::default() },
        delivered_shown: 3,
        read_shown: 1,
    };
    encoded(|out| record.encode(out))
}

/// A group of two, with one who left and one who came back.
pub(crate) fn group() -> Vec<u8> {
    let member = |user: UserId, role, until| Member {
        user,
        role,
        since: 1,
        before: 0,
        until,
        absences: Vec::new(),
        delivered: 3,
        read: 2,
        awaits: 0,
    };
    let back = Member { since: 4, absences: vec![(2, 4)], ..member(2, Role::Member, 0) };
    let record = GroupRecord {
        trim: 1,
        trim_bytes: 10,
        head: 5,
        head_bytes: 50,
        shows_history: true,
        is_deleted: false,
        made_by: (1, 1, 5),
        name: Bytes::from_static(b"birds"),
        info: Bytes::from_static(&[0, 255]),
        members: vec![
            Member { awaits: 5, ..member(1, Role::Owner, 0) },
            back,
            member(9, Role::Former, 4),
        ],
    };
    encoded(|out| record.encode(out))
}

pub(crate) fn presence() -> Vec<u8> {
    let face = Face { online: Audience::Known, profile: 300, ..Face::default() };
    let record = PresenceRecord { last_seen_ms: 1_799_999_000_000, face };
    encoded(|out| record.encode(out))
}

/// A book in the form that its module states: a name, who sees it online, a contact, an item that was removed,
/// and a username.
pub(crate) fn book() -> Vec<u8> {
    let items: [(u8, &[u8], &[u8]); 5] = [
        (item::PROFILE, &[0], b"Ann"),
        (item::PRIVACY, &[privacy::ONLINE], &[1]),
        (item::CONTACT, &[1], b"Bob"),
        (item::APPLICATION, b"key", b""),
        (item::USERNAME, b"", b"bob"),
    ];
    // Version, newest version, floor, version of the profile.
    let mut bytes = vec![1, 9, 2, 1, items.len() as u8];
    for (kind, key, value) in items {
        // One version behind the other.
        bytes.extend([1, kind, key.len() as u8]);
        bytes.extend_from_slice(key);
        bytes.push(value.len() as u8);
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Usernames of one hash, and who has them.
pub(crate) fn name(claims: &[(&[u8], UserId)]) -> Vec<u8> {
    let mut bytes = vec![1, claims.len() as u8];
    for &(name, user) in claims {
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name);
        varint::write(user, &mut bytes);
    }
    bytes
}

fn header() -> EntryHeader {
    EntryHeader {
        time_ms: 1_800_000_000_000,
        own: true,
        is_notice: false,
        over_ms: 1_800_000_009_000,
        content: 7,
        peer: 1 << 40,
        ordinal: 12,
        device: 3,
        total_bytes: 300,
    }
}

fn entry(body: &[u8]) -> Vec<u8> {
    let mut bytes = encoded(|out| header().encode(out));
    bytes.extend_from_slice(body);
    bytes
}

fn notice() -> Vec<u8> {
    let header = EntryHeader { own: false, is_notice: true, over_ms: 0, content: 0, ..header() };
    encoded(|out| header.encode(out))
}
