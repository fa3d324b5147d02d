//! Keys of RocksDB. Numbers are big-endian, so that keys sort as numbers do.
//!
//! ```text
//! column family "log"           user (8) position (8)    one entry of the user's inbox
//! column family "state"         user (8)                 the user's inbox record
//!                               user (8) 0 (1)           the highest position of the user's inbox so far (8)
//!                               user (8) 1 (1)           when the user was last seen
//!                               user (8) 2 (1)           what the user set for itself
//!                               hash (8) 3 (1)           who has the usernames of this hash
//!                               user (8) peer (8)        the user's conversation with the peer
//!                               "drained"                the last segment of the journal that is in here
//! column family "group-log"     group (8) position (8)   one entry of the group's log
//! column family "group-state"   group (8)                the group's record
//!                               group (8) 0 (1)          the highest position of the group's log so far (8)
//!                               group (8) member (8)     what the member sent to the group lately
//! ```

use crate::shard::seam::{Key, LogId};

/// Column family of the inboxes' entries.
pub const LOG: &str = "log";
/// Column family of their records, which are overwritten.
pub const STATE: &str = "state";
/// Column family of the groups' entries.
pub const GROUP_LOG: &str = "group-log";
/// Column family of their records.
pub const GROUP_STATE: &str = "group-state";
/// Bytes of a key that name the user or group.
pub const PREFIX_BYTES: usize = 8;

/// Key of the number of the last segment that was carried over. No other key has its length.
pub(super) const DRAINED: &[u8] = b"drained";

/// The last byte of the keys that say when a user was last seen; 0 is that of the heads.
const PRESENCE: u8 = 1;
/// That of books, and that of names.
const BOOK: u8 = 2;
/// See [`BOOK`].
const NAME: u8 = 3;

/// The bytes of a key, of which the first `len` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBytes {
    bytes: [u8; 16],
    len: usize,
}

impl KeyBytes {
    /// The bytes that count.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The column family of a log's entries.
pub const fn entries_of(log: LogId) -> &'static str {
    match log {
        LogId::Inbox(_) => LOG,
        LogId::Group(_) => GROUP_LOG,
    }
}

/// The column family of a log's records.
pub const fn records_of(log: LogId) -> &'static str {
    match log {
        LogId::Inbox(_) => STATE,
        LogId::Group(_) => GROUP_STATE,
    }
}

/// The key's bytes. Its column family follows from its kind and its log.
pub fn encode(key: Key) -> KeyBytes {
    let (log, second) = match key {
        Key::State { log } => (log, None),
        Key::Conversation { log, peer } => (log, Some(peer)),
        Key::Entry { log, position } => (log, Some(position)),
        Key::Presence { user } => return tagged(user, PRESENCE),
        Key::Book { user } => return tagged(user, BOOK),
        Key::Name { hash } => return tagged(hash, NAME),
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number(log).to_be_bytes());
    bytes[8..].copy_from_slice(&second.unwrap_or(0).to_be_bytes());
    KeyBytes { bytes, len: if second.is_some() { 16 } else { 8 } }
}

fn tagged(number: u64, tag: u8) -> KeyBytes {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8] = tag;
    KeyBytes { bytes, len: 9 }
}

/// The key of an entry.
pub fn entry(log: LogId, position: u64) -> [u8; 16] {
    encode(Key::Entry { log, position }).bytes
}

/// The first key that is above those of all entries of a log; none if there can't be one.
pub fn after(log: LogId) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number(log).checked_add(1)?.to_be_bytes());
    Some(bytes)
}

/// The key of a log's head.
pub(super) fn head(log: LogId) -> [u8; 9] {
    let mut bytes = [0; 9];
    bytes[..8].copy_from_slice(&number(log).to_be_bytes());
    bytes
}

/// The number of the user or group that a key begins with; none in bytes that are no key of either.
pub(super) fn number_in(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|number| u64::from_be_bytes(*number))
}

/// The number of the user or group.
const fn number(log: LogId) -> u64 {
    match log {
        LogId::Inbox(user) => user,
        LogId::Group(group) => group,
    }
}

/// The position in an entry's key; none in bytes that are no such key.
pub fn position(key: &[u8]) -> Option<u64> {
    if key.len() != 16 {
        return None;
    }
    key.last_chunk().map(|position| u64::from_be_bytes(*position))
}
