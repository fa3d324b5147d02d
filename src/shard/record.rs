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
use crate::limits::{RESENDS_MAX, RUNS_MAX};

mod face;
mod groups;
mod marks;
mod presence;

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
        let groups = GroupList::decode(&mut fields)?;
        let face = Face::decode(&mut fields)?;
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

/// Consecutive accepted sends of one device: numbers and ordinals rise together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first send.
    pub number: u64,
    /// Ordinal of the first send.
    pub ordinal: u64,
    /// How many.
    pub len: u64,
}

impl Run {
    /// Number and ordinal of the last send; none where the run is empty or 64 bits don't hold them.
    fn last(&self) -> Option<(u64, u64)> {
        let offset = self.len.checked_sub(1)?;
        Some((self.number.checked_add(offset)?, self.ordinal.checked_add(offset)?))
    }
}

/// The recent accepted sends of one device of the peer.
///
/// Invariant: runs rise in number and in ordinal and are not empty; together they cover the last
/// [`RESENDS_MAX`] accepted sends of the device, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The sending device.
    pub device: DeviceId,
    /// See above.
    pub runs: SmallVec<[Run; 1]>,
}

/// State between the inbox of a user and one peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationRecord {
    /// Ordinal of the last message from the peer.
    pub ordinal: u64,
    /// Ordinal up to which a device of the user stored them.
    pub delivered: u64,
    /// Ordinal up to which the user saw them.
    pub read: u64,
    /// When some of them came.
    pub marks: Marks,
    /// What the peer's devices sent lately.
    pub senders: SmallVec<[Sender; 1]>,
    /// For each device of the user: its last send to the peer of which the inbox has the copy.
    pub copies: SmallVec<[(DeviceId, u64); 1]>,
    /// What the user is to the peer.
    pub ties: Ties,
    /// Up to where the peer was shown that its messages were stored.
    pub delivered_shown: u64,
    /// Up to where it was shown that the user saw them.
    pub read_shown: u64,
}

/// What the user of an inbox is to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ties {
    /// The user blocks the peer: nothing of it is taken, and nothing is shown to it.
    pub blocks: bool,
    /// The peer is a contact.
    pub is_contact: bool,
    /// The user wrote to the peer.
    pub wrote: bool,
}

impl Ties {
    /// Whether the user knows the peer.
    pub(super) const fn is_known(self) -> bool {
        self.is_contact || self.wrote
    }

    const fn bits(self) -> u64 {
        self.blocks as u64 | (self.is_contact as u64) << 1 | (self.wrote as u64) << 2
    }

    const fn from_bits(bits: u64) -> Ties {
        Ties { blocks: bits & 1 != 0, is_contact: bits & 2 != 0, wrote: bits & 4 != 0 }
    }
}

impl ConversationRecord {
    /// Most bytes of the encoded form.
    pub(super) fn bytes_max(&self) -> usize {
        let runs: usize = self.senders.iter().map(|sender| sender.runs.len()).sum();
        let numbers = 8 + self.senders.len() * 2 + runs * 3 + self.copies.len() * 2;
        1 + numbers * varint::BYTES_MAX + Marks::BYTES_MAX
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(VERSION);
        put(self.ordinal, out);
        put(self.delivered, out);
        put(self.read, out);
        self.marks.encode(out);
        put(self.senders.len() as u64, out);
        for sender in &self.senders {
            put(u64::from(sender.device), out);
            put(sender.runs.len() as u64, out);
            // There may be many runs, and the record is stored with each message.
            let (mut number, mut ordinal) = (0, 0);
            for run in &sender.runs {
                put(run.number - number, out);
                put(run.ordinal - ordinal, out);
                put(run.len, out);
                (number, ordinal) = run.last().unwrap_or_default();
            }
        }
        put(self.copies.len() as u64, out);
        for &(device, number) in &self.copies {
            put(u64::from(device), out);
            put(number, out);
        }
        put(self.ties.bits(), out);
        put(self.delivered - self.delivered_shown, out);
        put(self.read - self.read_shown, out);
    }

    /// Reads the encoded form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = Fields::versioned(bytes, "conversation.version")?;
        let ordinal = fields.number("conversation.ordinal")?;
        let delivered = fields.number("conversation.delivered")?;
        let read = fields.number("conversation.read")?;
        let marks = Marks::decode(&mut fields)?;
        let mut senders = SmallVec::new();
        for _ in 0..fields.count(SENDERS_MAX, "conversation.senders")? {
            let device = fields.device("conversation.sender")?;
            let mut runs = SmallVec::new();
            let (mut number, mut ordinal) = (0, 0);
            for _ in 0..fields.count(RUNS_MAX as u64, "conversation.runs")? {
                let run = Run {
                    number: fields.step(number, "run.number")?,
                    ordinal: fields.step(ordinal, "run.ordinal")?,
                    len: fields.number("run.len")?,
                };
                (number, ordinal) = run.last().ok_or(RecordError("run.len"))?;
                runs.push(run);
            }
            senders.push(Sender { device, runs });
        }
        let mut copies = SmallVec::new();
        for _ in 0..fields.count(SENDERS_MAX, "conversation.copies")? {
            let device = fields.device("copy.device")?;
            copies.push((device, fields.number("copy.number")?));
        }
        let ties = Ties::from_bits(fields.count(7, "conversation.ties")?);
        let mut shown =
            |whole: u64, field| whole.checked_sub(fields.number(field)?).ok_or(RecordError(field));
        let delivered_shown = shown(delivered, "conversation.delivered_shown")?;
        let read_shown = shown(read, "conversation.read_shown")?;
        fields.end("conversation")?;
        let record = ConversationRecord {
            ordinal,
            delivered,
            read,
            marks,
            senders,
            copies,
            ties,
            delivered_shown,
            read_shown,
        };
        record.check()?;
        Ok(record)
    }

    /// What holds for every record that is written, and what a shard relies on.
    fn check(&self) -> Result<(), RecordError> {
        let ConversationRecord { ordinal, delivered, read, senders, copies, .. } = self;
        if read > delivered || delivered > ordinal || *ordinal > COUNT_MAX {
            return Err(RecordError("conversation.ordinal"));
        }
        for (nth, sender) in senders.iter().enumerate() {
            if senders[..nth].iter().any(|other| other.device == sender.device) {
                return Err(RecordError("conversation.sender"));
            }
            if !sender.is_sound(*ordinal) {
                return Err(RecordError("conversation.runs"));
            }
        }
        for (nth, (device, _)) in copies.iter().enumerate() {
            if copies[..nth].iter().any(|(other, _)| other == device) {
                return Err(RecordError("conversation.copies"));
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

impl Sender {
    /// Whether its invariant holds in a conversation of so many messages.
    fn is_sound(&self, ordinal_max: u64) -> bool {
        let mut before = (0, 0);
        for run in &self.runs {
            let Some((number, ordinal)) = run.last() else { return false };
            if run.number <= before.0 || run.ordinal <= before.1 || ordinal > ordinal_max {
                return false;
            }
            before = (number, ordinal);
        }
        !self.runs.is_empty()
    }

    /// The ordinal that `number` got, if it is among the recent accepted ones.
    pub(super) fn ordinal_of(&self, number: u64) -> Option<u64> {
        let run = self.runs.iter().rev().find(|run| run.number <= number)?;
        let offset = number - run.number;
        (offset < run.len).then(|| run.ordinal + offset)
    }

    /// The last accepted number, 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.number + (run.len - 1))
    }

    /// Notes that `number`, which is above the last one, got `ordinal`.
    pub(super) fn push(&mut self, number: u64, ordinal: u64) {
        debug_assert!(number > self.last());
        match self.runs.last_mut() {
            Some(run) if run.number + run.len == number && run.ordinal + run.len == ordinal => {
                run.len += 1;
            }
            _ => self.runs.push(Run { number, ordinal, len: 1 }),
        }
        let mut covered: u64 = self.runs.iter().map(|run| run.len).sum();
        while covered - self.runs[0].len >= RESENDS_MAX {
            covered -= self.runs.remove(0).len;
        }
    }
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
mod tests {
    use super::*;
    use smallvec::smallvec;

    fn conversation() -> ConversationRecord {
        ConversationRecord {
            ordinal: 300,
            delivered: 200,
            read: 1,
            marks: Marks::of(&[(1, 1_800_000_000_000), (250, 1_800_043_200_000)]),
            senders: smallvec![
                Sender { device: 1, runs: smallvec![Run { number: 1, ordinal: 1, len: 299 }] },
                Sender { device: 9, runs: smallvec![Run { number: 77, ordinal: 300, len: 1 }] },
            ],
            copies: smallvec![(1, 5), (2, u64::MAX)],
            ties: Ties { blocks: true, is_contact: false, wrote: true },
            delivered_shown: 150,
            read_shown: 0,
        }
    }

    fn encoded(encode: impl FnOnce(&mut BytesMut)) -> BytesMut {
        let mut out = BytesMut::new();
        encode(&mut out);
        out
    }

    #[test]
    fn records_round_trip_and_cut_ones_are_refused() {
        let record = conversation();
        let bytes = encoded(|out| record.encode(out));
        assert!(bytes.len() <= record.bytes_max());
        assert_eq!(ConversationRecord::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            assert!(ConversationRecord::decode(&bytes[..cut]).is_err());
        }
        let mut groups = GroupList::default();
        for group in [9, u64::MAX, 3] {
            groups.begin(group);
        }
        let inbox = InboxRecord {
            trim: 5,
            trim_bytes: 500,
            head: 9,
            head_bytes: 900,
            devices: smallvec![
                Device { device: 1, cursor: 7, cursor_bytes: 700 },
                Device { device: 2, cursor: 5, cursor_bytes: 500 },
            ],
            groups,
            face: Face { profile: 7, ..Face::default() },
        };
        let bytes = encoded(|out| inbox.encode(out));
        assert!(bytes.len() <= inbox.bytes_max());
        assert_eq!(InboxRecord::decode(&bytes), Ok(inbox));
        for cut in 0..bytes.len() {
            assert!(InboxRecord::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn many_short_runs_take_few_bytes() {
        // A device that writes to several peers in turn numbers its sends across all of them.
        let mut sender = Sender { device: 1, runs: SmallVec::new() };
        for nth in 1..=1_000 {
            sender.push(1_800_000_000_000 + 3 * nth, nth);
        }
        assert_eq!(sender.runs.len() as u64, RESENDS_MAX);
        let senders = smallvec![sender];
        let record =
            ConversationRecord { ordinal: 1_000, senders, ..ConversationRecord::default() };
        let bytes = encoded(|out| record.encode(out));
        assert!(bytes.len() < 3 * RUNS_MAX + 32, "{} bytes", bytes.len());
        assert_eq!(ConversationRecord::decode(&bytes), Ok(record));
    }

    #[test]
    fn entries_round_trip() {
        for over_ms in [0, 1, 1_800_000_060_000, u64::MAX] {
            let header = EntryHeader {
                time_ms: 1_800_000_000_000,
                own: true,
                is_notice: false,
                over_ms,
                content: 200,
                peer: u64::MAX,
                ordinal: 12,
                device: 3,
                total_bytes: 1 << 40,
            };
            let mut bytes = encoded(|out| header.encode(out));
            assert!(bytes.len() <= ENTRY_HEADER_BYTES_MAX);
            for cut in 0..bytes.len() {
                assert!(EntryHeader::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
            bytes.extend_from_slice(b"hello");
            assert_eq!(split_entry(&bytes.freeze()), Ok((header, Bytes::from_static(b"hello"))));
        }
    }

    #[test]
    fn resends_find_their_ordinal() {
        let mut sender = Sender { device: 1, runs: SmallVec::new() };
        sender.push(5, 1);
        sender.push(6, 2);
        sender.push(8, 3);
        sender.push(9, 7);
        assert_eq!(sender.runs.len(), 3);
        let found: Vec<_> = (4..=10).map(|number| sender.ordinal_of(number)).collect();
        assert_eq!(found, [None, Some(1), Some(2), None, Some(3), Some(7), None]);
        assert_eq!(sender.last(), 9);
    }

    #[test]
    fn runs_are_bounded_and_cover_the_recent_sends() {
        let mut sender = Sender { device: 1, runs: SmallVec::new() };
        for i in 1..=5_000 {
            sender.push(i, 2 * i);
        }
        assert_eq!(sender.runs.len() as u64, RESENDS_MAX);
        assert_eq!(sender.ordinal_of(5_000 - RESENDS_MAX + 1), Some(2 * (5_000 - RESENDS_MAX + 1)));
        assert_eq!(sender.ordinal_of(5_000 - RESENDS_MAX), None);
    }
}
