//! What is kept in storage, and its bytes.
//!
//! Numbers are varints unless stated. Each record begins with a byte, its version; an entry
//! begins with its time, and behind its flags when it is over by itself if it ever is; both storage reads to
//! find what is to be dropped.
//!
//! ```text
//! inbox         1, trim, trim_bytes, head, head_bytes, device count,
//!               then per device: number, cursor, cursor_bytes
//!               group count, then per group that the user is in its number
//!               group count, then per group that the user was in its number, then the face
//! conversation  1, ordinal, delivered, read,
//!               mark count, then per mark: ordinal and time, each counted from the mark before
//!               sender count, then per sending device:
//!                   device, run count, then per run: number and ordinal, each counted from the last
//!                   one of the run before (from 0 for the first), and length
//!               copy count, then per own device: device, number,
//!               flags (bit 0: blocked, bit 1: contact, bit 2: wrote), and how far delivered and read are
//!               ahead of what the peer was shown
//! presence      2, last seen (8 bytes, little-endian Unix milliseconds), the face
//! face          bits 0-1: who may see last seen (0 all, 1 known, 2 nobody), 2-3: online, 4-5: reads,
//!               6: there are blocks; version of the profile
//! book          see `people::book`
//! entry         time (8 bytes, little-endian Unix milliseconds), flags (bit 0: own, bit 1: notice, bit 2: over),
//!               with bit 2 when it is over (8 bytes, as the time), content, peer, ordinal, device, total_bytes, body
//! ```

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use fulmar_protocol::{limits as wire, varint};
use smallvec::SmallVec;

use super::seam::{DeviceId, FLAG_OVER, UserId};

mod conversation;
mod face;
mod groups;
mod marks;
mod presence;

pub use conversation::{ConversationRecord, Run, Sender, Ties};
pub use face::{Audience, Face};
pub use groups::GroupList;
pub use marks::{MARKS_MAX, Marks};
pub use presence::PresenceRecord;

const VERSION: u8 = 1;
/// Largest position, ordinal and total: more than there can ever be, and few enough to add to.
pub(super) const COUNT_MAX: u64 = u64::MAX / 2;
const FLAG_OWN: u8 = 1;
const FLAG_NOTICE: u8 = 2;
/// Longest part of an entry before its body.
pub const ENTRY_HEADER_BYTES_MAX: usize = 8 + 1 + 8 + 1 + 4 * varint::BYTES_MAX;
const SENDERS_MAX: u64 = wire::DEVICE_MAX;

/// A stored value that isn't what it should be: the storage is damaged, or of another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordError(pub(super) &'static str);

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored record is damaged at {}", self.0)
    }
}

impl std::error::Error for RecordError {}

/// A device of a user, and how far it has the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its number.
    pub device: DeviceId,
    /// Everything up to this position is safe on the device.
    pub cursor: u64,
    /// The inbox's running total of bytes at that position.
    pub cursor_bytes: u64,
}

/// State of an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxRecord {
    /// Positions up to here are gone.
    pub trim: u64,
    /// Running total of bytes at `trim`.
    pub trim_bytes: u64,
    /// Position of the last message when the record was stored: a lower bound that holds when the
    /// messages themselves have expired.
    pub head: u64,
    /// Running total of bytes at `head`.
    pub head_bytes: u64,
    /// The devices of the user.
    pub devices: SmallVec<[Device; 1]>,
    /// The groups of the user.
    pub groups: GroupList,
    /// What others may see of the user.
    pub face: Face,
}

impl InboxRecord {
    /// The device that is furthest behind, if there is any.
    pub(super) fn slowest(&self) -> Option<&Device> {
        self.devices.iter().min_by_key(|device| device.cursor)
    }

    /// Moves the trim, and the devices behind it, over entries that are gone.
    pub(super) fn trim_to(&mut self, through: u64, through_bytes: u64) {
        if through <= self.trim {
            return;
        }
        (self.trim, self.trim_bytes) = (through, through_bytes);
        for device in self.devices.iter_mut().filter(|device| device.cursor < through) {
            (device.cursor, device.cursor_bytes) = (through, through_bytes);
        }
    }

    /// Most bytes of the encoded form.
    pub(super) fn bytes_max(&self) -> usize {
        let numbers = 7 + self.devices.len() * 3 + self.groups.numbers();
        1 + numbers * varint::BYTES_MAX
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(VERSION);
        put(self.trim, out);
        put(self.trim_bytes, out);
        put(self.head, out);
        put(self.head_bytes, out);
        put(self.devices.len() as u64, out);
        for device in &self.devices {
            put(u64::from(device.device), out);
            put(device.cursor, out);
            put(device.cursor_bytes, out);
        }
        self.groups.encode(out);
        self.face.encode(out);
        self.groups.encode_own_doing(out);
    }

    /// Reads the encoded form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = Fields::versioned(bytes, "inbox.version")?;
        let trim = fields.number("inbox.trim")?;
        let trim_bytes = fields.number("inbox.trim_bytes")?;
        let head = fields.number("inbox.head")?;
        let head_bytes = fields.number("inbox.head_bytes")?;
        let count = fields.count(wire::DEVICE_MAX, "inbox.devices")?;
        let mut devices = SmallVec::new();
        for _ in 0..count {
            devices.push(Device {
                device: fields.device("inbox.device")?,
                cursor: fields.number("inbox.cursor")?,
                cursor_bytes: fields.number("inbox.cursor_bytes")?,
            });
        }
        let mut groups = GroupList::decode(&mut fields)?;
        let face = Face::decode(&mut fields)?;
        groups.decode_own_doing(&mut fields)?;
        fields.end("inbox")?;
        let record = InboxRecord { trim, trim_bytes, head, head_bytes, devices, groups, face };
        record.check()?;
        Ok(record)
    }

    /// What holds for every record that is written, and what a shard relies on.
    fn check(&self) -> Result<(), RecordError> {
        let InboxRecord { trim, trim_bytes, head, head_bytes, devices, .. } = self;
        if trim > head || *head > COUNT_MAX {
            return Err(RecordError("inbox.head"));
        }
        if trim_bytes > head_bytes || *head_bytes > COUNT_MAX {
            return Err(RecordError("inbox.head_bytes"));
        }
        for (nth, known) in devices.iter().enumerate() {
            if devices[..nth].iter().any(|other| other.device == known.device) {
                return Err(RecordError("inbox.device"));
            }
            if !(*trim..=*head).contains(&known.cursor) || known.cursor_bytes > *head_bytes {
                return Err(RecordError("inbox.cursor"));
            }
        }
        Ok(())
    }
}

/// A message in an inbox, without its position (that is its key).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHeader {
    /// When it was taken, Unix milliseconds.
    pub time_ms: u64,
    /// Whether it is a copy of what the user sent itself.
    pub own: bool,
    /// Whether it tells that `peer` adds the user to the group `ordinal`.
    pub is_notice: bool,
    /// When it is over by itself, Unix milliseconds; 0 for never.
    pub over_ms: u64,
    /// Kind of content.
    pub content: u8,
    /// Who sent it; for a copy, who it was sent to.
    pub peer: UserId,
    /// Its ordinal in its direction.
    pub ordinal: u64,
    /// The sender's device.
    pub device: DeviceId,
    /// The inbox's running total of body bytes, this one included.
    pub total_bytes: u64,
}

impl EntryHeader {
    /// Appends the header; the body follows it.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u64_le(self.time_ms);
        let own = if self.own { FLAG_OWN } else { 0 };
        let notice = if self.is_notice { FLAG_NOTICE } else { 0 };
        let over = if self.over_ms > 0 { FLAG_OVER } else { 0 };
        out.put_u8(own | notice | over);
        if self.over_ms > 0 {
            out.put_u64_le(self.over_ms);
        }
        out.put_u8(self.content);
        put(self.peer, out);
        put(self.ordinal, out);
        put(u64::from(self.device), out);
        put(self.total_bytes, out);
    }

    /// Reads the header and says where in the value the body begins.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), RecordError> {
        let (time, rest) = bytes.split_first_chunk().ok_or(RecordError("entry.time"))?;
        let (&flags, rest) = rest.split_first().ok_or(RecordError("entry.flags"))?;
        if flags & !(FLAG_OWN | FLAG_NOTICE | FLAG_OVER) != 0 {
            return Err(RecordError("entry.flags"));
        }
        let (over_ms, rest) = if flags & FLAG_OVER == 0 {
            (0, rest)
        } else {
            let (over, rest) = rest.split_first_chunk().ok_or(RecordError("entry.over"))?;
            (u64::from_le_bytes(*over), rest)
        };
        // In one form only.
        if (flags & FLAG_OVER != 0) != (over_ms > 0) {
            return Err(RecordError("entry.over"));
        }
        let (&content, rest) = rest.split_first().ok_or(RecordError("entry.content"))?;
        let mut fields = Fields { rest };
        let header = EntryHeader {
            time_ms: u64::from_le_bytes(*time),
            own: flags & FLAG_OWN != 0,
            is_notice: flags & FLAG_NOTICE != 0,
            over_ms,
            content,
            peer: fields.number("entry.peer")?,
            ordinal: fields.number("entry.ordinal")?,
            device: fields.device("entry.device")?,
            total_bytes: fields.number("entry.total_bytes")?,
        };
        Ok((header, bytes.len() - fields.rest.len()))
    }
}

/// An entry's header and its body.
pub fn split_entry(value: &Bytes) -> Result<(EntryHeader, Bytes), RecordError> {
    let (header, body_at) = EntryHeader::decode(value)?;
    let body_bytes = (value.len() - body_at) as u64;
    if !(body_bytes..=COUNT_MAX).contains(&header.total_bytes) {
        return Err(RecordError("entry.total_bytes"));
    }
    Ok((header, value.slice(body_at..)))
}

pub(super) fn put(mut value: u64, out: &mut BytesMut) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// The unread rest of a record.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn versioned(bytes: &'a [u8], field: &'static str) -> Result<Self, RecordError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(Fields { rest }),
            _ => Err(RecordError(field)),
        }
    }

    pub(super) fn number(&mut self, field: &'static str) -> Result<u64, RecordError> {
        let (value, taken) = varint::read(self.rest).map_err(|_| RecordError(field))?;
        self.rest = &self.rest[taken..];
        Ok(value)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, RecordError> {
        let (&byte, rest) = self.rest.split_first().ok_or(RecordError(field))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn device(&mut self, field: &'static str) -> Result<DeviceId, RecordError> {
        DeviceId::try_from(self.number(field)?).map_err(|_| RecordError(field))
    }

    /// Bytes with their length, in memory of their own.
    pub(super) fn bytes(&mut self, max: u64, field: &'static str) -> Result<Bytes, RecordError> {
        let len = self.count(max, field)? as usize;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(RecordError(field))?;
        self.rest = rest;
        Ok(Bytes::copy_from_slice(bytes))
    }

    /// A number that is written as its distance from another.
    pub(super) fn step(&mut self, from: u64, field: &'static str) -> Result<u64, RecordError> {
        from.checked_add(self.number(field)?).ok_or(RecordError(field))
    }

    pub(super) fn count(&mut self, max: u64, field: &'static str) -> Result<u64, RecordError> {
        match self.number(field)? {
            count if count <= max => Ok(count),
            _ => Err(RecordError(field)),
        }
    }

    pub(super) fn end(&self, record: &'static str) -> Result<(), RecordError> {
        if self.rest.is_empty() { Ok(()) } else { Err(RecordError(record)) }
    }
}

#[cfg(test)]
mod tests;
