//! Stored values and keys. What is read is written to the same bytes, so a value has one form; and
//! keys sort as what they stand for does.

use bytes::{Bytes, BytesMut};
use fulmar::shard::group::record::GroupRecord;
use fulmar::shard::people::{Book, NameRecord};
use fulmar::shard::record::{
    ConversationRecord, ENTRY_HEADER_BYTES_MAX, EntryHeader, InboxRecord, PresenceRecord,
    split_entry,
};
use fulmar::shard::{Key, LogId};
use fulmar::storage::keys;

use crate::script::Script;

/// Reads the bytes as each kind of value, and as two keys.
pub fn records(data: &[u8]) {
    let mut written = BytesMut::new();
    if let Ok(record) = InboxRecord::decode(data) {
        record.encode(&mut written);
        assert_eq!(written, data);
    }
    if let Ok(record) = ConversationRecord::decode(data) {
        written.clear();
        record.encode(&mut written);
        assert_eq!(written, data);
    }
    if let Ok(record) = PresenceRecord::decode(data) {
        written.clear();
        record.encode(&mut written);
        assert_eq!(written, data);
    }
    if let Ok(book) = Book::decode(data) {
        written.clear();
        book.encode(&mut written);
        assert_eq!(written, data);
    }
    if let Ok(record) = NameRecord::decode(data) {
        written.clear();
        record.encode(&mut written);
        assert_eq!(written, data);
    }
    if let Ok((header, body_at)) = EntryHeader::decode(data) {
        written.clear();
        header.encode(&mut written);
        assert_eq!(written, data[..body_at]);
        assert!(body_at <= ENTRY_HEADER_BYTES_MAX);
        if let Ok((again, body)) = split_entry(&Bytes::copy_from_slice(data)) {
            assert_eq!((again, &body[..]), (header, &data[body_at..]));
            assert!(header.total_bytes >= body.len() as u64);
        }
    }
    if let Ok(record) = GroupRecord::decode(&Bytes::copy_from_slice(data)) {
        written.clear();
        record.encode(&mut written);
        assert_eq!(written, data);
    }
    let mut script = Script::new(data);
    check_keys(key(&mut script), key(&mut script));
    if let Some(position) = keys::position(data) {
        assert_eq!(position.to_be_bytes(), data[8..]);
    }
}

fn key(script: &mut Script<'_>) -> Key {
    let (number, second) = (script.number(), script.number());
    let kind = script.below(9);
    match kind {
        6 => return Key::Presence { user: number },
        7 => return Key::Book { user: number },
        8 => return Key::Name { hash: number },
        _ => {}
    }
    let log = if kind < 3 { LogId::Inbox(number) } else { LogId::Group(number) };
    match kind % 3 {
        0 => Key::State { log },
        1 => Key::Conversation { log, peer: second },
        _ => Key::Entry { log, position: second },
    }
}

/// Two keys. Those of inboxes and groups are in different column families, and so are entries and the rest.
fn check_keys(one: Key, other: Key) {
    let (bytes, other_bytes) = (keys::encode(one), keys::encode(other));
    let are_of_one_family = one.log().user().is_some() == other.log().user().is_some();
    match (one, other) {
        _ if !are_of_one_family => {}
        (Key::Entry { log, position }, Key::Entry { .. }) => {
            assert_eq!(keys::entry(log, position), bytes.as_slice());
            assert_eq!(keys::position(bytes.as_slice()), Some(position));
            assert_eq!(one.cmp(&other), bytes.as_slice().cmp(other_bytes.as_slice()));
        }
        (Key::Entry { .. }, _) | (_, Key::Entry { .. }) => {}
        _ => assert_eq!(one == other, bytes == other_bytes, "a key stands for one record"),
    }
}
