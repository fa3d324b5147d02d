//! What is kept between an inbox and one peer, or a group and one member.

use bytes::{BufMut, BytesMut};
use fulmar_protocol::varint;
use smallvec::SmallVec;

use super::super::seam::DeviceId;
use super::{COUNT_MAX, Fields, Marks, RecordError, SENDERS_MAX, VERSION, put};
use crate::limits::{RESENDS_MAX, RUNS_MAX};

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
    pub(in super::super) const fn is_known(self) -> bool {
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
    pub(in super::super) fn bytes_max(&self) -> usize {
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
        let ConversationRecord { ordinal, delivered, read, marks, senders, copies, .. } = self;
        if read > delivered || delivered > ordinal || *ordinal > COUNT_MAX {
            return Err(RecordError("conversation.ordinal"));
        }
        if marks.ordinal_last() > *ordinal {
            return Err(RecordError("conversation.marks"));
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
    pub(in super::super) fn ordinal_of(&self, number: u64) -> Option<u64> {
        let run = self.runs.iter().rev().find(|run| run.number <= number)?;
        let offset = number - run.number;
        (offset < run.len).then(|| run.ordinal + offset)
    }

    /// The last accepted number, 0 before the first.
    pub(in super::super) fn last(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.number + (run.len - 1))
    }

    /// Notes that `number`, which is above the last one, got `ordinal`.
    pub(in super::super) fn push(&mut self, number: u64, ordinal: u64) {
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
