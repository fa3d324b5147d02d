//! The bytes of one commit in a segment.
//!
//! Numbers are little-endian. A record begins at a multiple of eight.
//!
//! ```text
//!  0  salt             8   of the segment
//!  8  checksum         4   CRC-32 (IEEE) of everything from byte 12 to the end of the payload
//! 12  payload length   4
//! 16  sequence         8   rises by one from record to record, over all segments
//! 24  synced           8   every record up to this sequence was synced when this one was written
//! 32  payload              writes, one after the other
//! ```
//!
//! The salt keeps apart what was written into this segment from what its file held before, and from
//! bytes in a message that somebody made to look like a record: nobody outside knows it.
//!
//! A write is a tag byte, two numbers of eight bytes, and for a put the length (4) and the value:
//!
//! | tag | write | numbers |
//! |---|---|---|
//! | 1 | put inbox | user, 0 |
//! | 2 | put conversation | user, peer |
//! | 3 | put entry | user, position |
//! | 4 | trim | user, first position; then eight bytes more: last position |
//! | 5 to 8 | the same of a group's log | group in place of user, member in place of peer |
//! | 9 | put presence | user, 0 |
//! | 10 | put book | user, 0 |
//! | 11 | put name | hash, 0 |

use crate::faults::{Fault, is_planted};
use crate::shard::seam::{Key, LogId, Write};

/// Bytes of a record before its payload.
pub(super) const HEADER_BYTES: usize = 32;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;
/// Where the checked bytes begin.
const CHECKED_AT: usize = 12;

/// Tag and numbers of a write.
const HEAD_BYTES: usize = 17;
/// The length before a value.
const LENGTH_BYTES: usize = 4;

const STATE: u8 = 1;
const CONVERSATION: u8 = 2;
const ENTRY: u8 = 3;
const TRIM: u8 = 4;
/// What the tags of a group's log are above those of an inbox.
const GROUP: u8 = 4;
const PRESENCE: u8 = 9;
const BOOK: u8 = 10;
const NAME: u8 = 11;

/// The head of a record that was found intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) synced: u64,
    pub(super) payload_bytes: usize,
}

impl Header {
    /// Length of the whole record with its padding, in bytes.
    pub(super) const fn record_bytes(&self) -> u64 {
        ((HEADER_BYTES + self.payload_bytes) as u64).next_multiple_of(ALIGNMENT)
    }
}

/// A write in a payload; a put's value is given by its place and its CRC-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logged {
    Put { key: Key, value_at: usize, value_bytes: usize, checksum: u32 },
    Trim { log: LogId, from: u64, through: u64 },
}

/// Starts a record in an empty buffer.
pub(super) fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(HEADER_BYTES, 0);
}

/// Adds a write to the record in the buffer.
pub(super) fn push(buffer: &mut Vec<u8>, write: &Write) {
    let mut head = |tag: u8, log: LogId, second: u64| {
        let (first, kind) = match log {
            LogId::Inbox(user) => (user, 0),
            LogId::Group(group) => (group, GROUP),
        };
        let mut bytes = [0; HEAD_BYTES];
        bytes[0] = tag + kind;
        bytes[1..9].copy_from_slice(&first.to_le_bytes());
        bytes[9..].copy_from_slice(&second.to_le_bytes());
        buffer.extend_from_slice(&bytes);
    };
    match write {
        Write::Put { key, value } => {
            match *key {
                Key::State { log } => head(STATE, log, 0),
                Key::Conversation { log, peer } => head(CONVERSATION, log, peer),
                Key::Entry { log, position } => head(ENTRY, log, position),
                Key::Presence { user } => head(PRESENCE, LogId::Inbox(user), 0),
                Key::Book { user } => head(BOOK, LogId::Inbox(user), 0),
                Key::Name { hash } => head(NAME, LogId::Inbox(hash), 0),
            }
            buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
            buffer.extend_from_slice(value);
        }
        Write::Trim { log, from, through } => {
            head(TRIM, *log, *from);
            buffer.extend_from_slice(&through.to_le_bytes());
        }
    }
}

/// Length of the record that these writes make, in bytes; 0 if there are none.
pub(super) fn bytes_of<'a>(writes: impl Iterator<Item = &'a Write>) -> u64 {
    let payload: usize = writes
        .map(|write| match write {
            Write::Put { value, .. } => HEAD_BYTES + LENGTH_BYTES + value.len(),
            Write::Trim { .. } => HEAD_BYTES + size_of::<u64>(),
        })
        .sum();
    if payload == 0 { 0 } else { ((HEADER_BYTES + payload) as u64).next_multiple_of(ALIGNMENT) }
}

/// Length of the record in the buffer once it is completed, in bytes.
pub(super) const fn bytes_completed(buffer: &[u8]) -> u64 {
    (buffer.len() as u64).next_multiple_of(ALIGNMENT)
}

/// Completes the record in the buffer: header, checksum, padding.
pub(super) fn end(buffer: &mut Vec<u8>, salt: u64, sequence: u64, synced: u64) {
    let payload_bytes = (buffer.len() - HEADER_BYTES) as u32;
    buffer[0..8].copy_from_slice(&salt.to_le_bytes());
    buffer[12..16].copy_from_slice(&payload_bytes.to_le_bytes());
    buffer[16..24].copy_from_slice(&sequence.to_le_bytes());
    buffer[24..32].copy_from_slice(&synced.to_le_bytes());
    let checksum = crc32fast::hash(&buffer[CHECKED_AT..]);
    buffer[8..12].copy_from_slice(&checksum.to_le_bytes());
    buffer.resize(buffer.len().next_multiple_of(ALIGNMENT as usize), 0);
}

/// Length of the record that seems to begin here, up to the end of its payload, in bytes; `None` if none
/// does. Only [`read`] tells whether it is intact.
pub(super) fn bytes_claimed(bytes: &[u8], salt: u64) -> Option<usize> {
    let header = bytes.get(..HEADER_BYTES)?;
    (long(header, 0) == salt).then(|| HEADER_BYTES + word(header, 12) as usize)
}

/// The record at the front of `bytes`, if there is an intact one.
pub(super) fn read(bytes: &[u8], salt: u64) -> Option<Header> {
    let record_bytes = bytes_claimed(bytes, salt)?;
    let checked = bytes.get(CHECKED_AT..record_bytes)?;
    let is_intact = crc32fast::hash(checked) == word(bytes, 8);
    (is_intact || is_planted(Fault::TornRecordTaken)).then(|| Header {
        sequence: long(bytes, 16),
        synced: long(bytes, 24),
        payload_bytes: record_bytes - HEADER_BYTES,
    })
}

fn word(header: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn long(header: &[u8], at: usize) -> u64 {
    u64::from(word(header, at)) | u64::from(word(header, at + 4)) << 32
}

/// The writes of a payload, in order; places are counted from the payload's begin. `None` in place of a
/// write that can't be read, which an intact record doesn't have.
pub(super) fn writes(payload: &[u8]) -> impl Iterator<Item = Option<Logged>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= payload.len() {
            return None;
        }
        let logged = read_write(payload, at);
        at = match logged {
            Some((_, next)) => next,
            None => payload.len(),
        };
        Some(logged.map(|(logged, _)| logged))
    })
}

fn read_write(payload: &[u8], at: usize) -> Option<(Logged, usize)> {
    let number = |at: usize| {
        let bytes = payload.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let (first, second) = (number(at + 1)?, number(at + 9)?);
    let (tag, log) = match payload[at] {
        tag if tag > GROUP && tag <= 2 * GROUP => (tag - GROUP, LogId::Group(first)),
        tag => (tag, LogId::Inbox(first)),
    };
    let key = match tag {
        STATE => Key::State { log },
        CONVERSATION => Key::Conversation { log, peer: second },
        ENTRY => Key::Entry { log, position: second },
        PRESENCE => Key::Presence { user: first },
        BOOK => Key::Book { user: first },
        NAME => Key::Name { hash: first },
        TRIM => {
            let through = number(at + HEAD_BYTES)?;
            let end = at + HEAD_BYTES + size_of::<u64>();
            return Some((Logged::Trim { log, from: second, through }, end));
        }
        _ => return None,
    };
    let value_at = at + HEAD_BYTES + LENGTH_BYTES;
    let length = payload.get(at + HEAD_BYTES..value_at)?;
    let value_bytes = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let checksum = crc32fast::hash(payload.get(value_at..value_at + value_bytes)?);
    Some((Logged::Put { key, value_at, value_bytes, checksum }, value_at + value_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const SALT: u64 = 0x0123_4567_89ab_cdef;

    fn record(writes: &[Write], sequence: u64) -> Vec<u8> {
        let mut buffer = Vec::new();
        begin(&mut buffer);
        for write in writes {
            push(&mut buffer, write);
        }
        end(&mut buffer, SALT, sequence, sequence - 1);
        buffer
    }

    #[test]
    fn records_round_trip_and_any_changed_bit_is_seen() {
        let put = |key, value| Write::Put { key, value: Bytes::from_static(value) };
        let given = [LogId::Inbox(7), LogId::Group(7)].map(|log| {
            [
                put(Key::State { log }, b"state"),
                put(Key::Conversation { log, peer: u64::MAX }, b""),
                put(Key::Entry { log, position: 3 }, b"hello"),
                Write::Trim { log, from: 1, through: 2 },
            ]
        });
        let mut given = given.concat();
        given.push(put(Key::Presence { user: 7 }, b"presence"));
        given.push(put(Key::Book { user: 7 }, b"book"));
        given.push(put(Key::Name { hash: u64::MAX }, b"name"));
        let bytes = record(&given, 9);
        let header = read(&bytes, SALT).expect("intact");
        assert_eq!(read(&bytes, SALT + 1), None);
        assert_eq!((header.sequence, header.synced), (9, 8));
        assert_eq!(header.record_bytes(), bytes.len() as u64);
        assert_eq!(bytes_of(given.iter()), bytes.len() as u64);
        let payload = &bytes[HEADER_BYTES..HEADER_BYTES + header.payload_bytes];
        let got: Vec<Write> = writes(payload)
            .map(|logged| match logged.expect("a write") {
                Logged::Put { key, value_at, value_bytes, .. } => Write::Put {
                    key,
                    value: Bytes::copy_from_slice(&payload[value_at..value_at + value_bytes]),
                },
                Logged::Trim { log, from, through } => Write::Trim { log, from, through },
            })
            .collect();
        assert_eq!(got, given);
        for bit in 0..(HEADER_BYTES + header.payload_bytes) * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&damaged, SALT), None, "bit {bit}");
        }
        for cut in 0..HEADER_BYTES + header.payload_bytes {
            assert_eq!(read(&bytes[..cut], SALT), None);
        }
    }
}
