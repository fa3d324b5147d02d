//! Keys of RocksDB. Numbers are big-endian, so that keys sort as numbers do.
//!
//! ```text
//! column family "log"     user (8) position (8)      one entry of the user's inbox
//! column family "state"   user (8)                   the user's inbox record
//!                         user (8) 0 (1)             the highest position of the user's inbox so far (8)
//!                         user (8) peer (8)          the user's conversation with the peer
//! ```

use crate::shard::seam::{Key, UserId};

/// Column family of entries.
pub(super) const LOG: &str = "log";
/// Column family of records that are overwritten.
pub(super) const STATE: &str = "state";
/// Bytes of a key that name the user.
pub(super) const PREFIX_BYTES: usize = 8;

/// The bytes of a key, of which the first `len` count.
pub(super) struct KeyBytes {
    bytes: [u8; 16],
    len: usize,
}

impl KeyBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The key's bytes. Its column family follows from its kind.
pub(super) fn encode(key: Key) -> KeyBytes {
    let (user, second) = match key {
        Key::Inbox { user } => (user, None),
        Key::Conversation { user, peer } => (user, Some(peer)),
        Key::Entry { user, position } => (user, Some(position)),
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&user.to_be_bytes());
    bytes[8..].copy_from_slice(&second.unwrap_or(0).to_be_bytes());
    KeyBytes { bytes, len: if second.is_some() { 16 } else { 8 } }
}

/// The key of an entry.
pub(super) fn entry(user: UserId, position: u64) -> [u8; 16] {
    encode(Key::Entry { user, position }).bytes
}

/// The key of an inbox's head.
pub(super) fn head(user: UserId) -> [u8; 9] {
    let mut bytes = [0; 9];
    bytes[..8].copy_from_slice(&user.to_be_bytes());
    bytes
}

/// The position in an entry's key.
pub(super) fn position(key: &[u8]) -> Option<u64> {
    if key.len() != 16 {
        return None;
    }
    key.last_chunk().map(|position| u64::from_be_bytes(*position))
}
