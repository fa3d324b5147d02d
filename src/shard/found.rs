//! An inbox as it is found in storage: the record and the entries at both ends, which are not written
//! at the same time.

use bytes::Bytes;

use super::record::{COUNT_MAX, InboxRecord, RecordError, split_entry};
use crate::faults::{Fault, is_planted};

/// An inbox as storage has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As it was stored.
    pub(super) record: InboxRecord,
    /// The last position ever used, and the running total of bytes there. Positions are never used
    /// twice, so it is the largest that the record, the last entry or storage knows.
    pub(super) head: u64,
    pub(super) head_bytes: u64,
    /// Everything up to here is gone or has expired.
    pub(super) gone: u64,
    pub(super) gone_bytes: u64,
}

impl Found {
    /// Puts together the answer to a [`Load::Log`](super::Load::Log): the record, the first entry that
    /// hasn't expired, the last one, and the highest position that storage knows of.
    pub fn new(
        record: Option<&[u8]>,
        first: Option<(u64, Bytes)>,
        last: Option<(u64, Bytes)>,
        known_head: u64,
    ) -> Result<Self, RecordError> {
        let record = record.map_or(Ok(InboxRecord::default()), InboxRecord::decode)?;
        let (mut head, mut head_bytes) = (record.head, record.head_bytes);
        if let Some((position, value)) = last
            && position > head
            && !is_planted(Fault::PositionReused)
        {
            (head, head_bytes) = (position, split_entry(&value)?.0.total_bytes);
        }
        // What is above the last entry has expired, so its bytes count nowhere any more.
        if !is_planted(Fault::PositionReused) {
            head = head.max(known_head);
        }
        let (mut gone, mut gone_bytes) = (head, head_bytes);
        if let Some((position, value)) = first {
            let (header, body) = split_entry(&value)?;
            gone = position.wrapping_sub(1);
            gone_bytes = header.total_bytes - body.len() as u64;
        }
        if gone > head || head > COUNT_MAX {
            return Err(RecordError("entry.position"));
        }
        if gone_bytes > head_bytes || record.head_bytes > head_bytes {
            return Err(RecordError("entry.total_bytes"));
        }
        Ok(Found { record, head, head_bytes, gone, gone_bytes })
    }

    /// The inbox as it stands after what expired is left out.
    pub(super) fn into_record(self) -> InboxRecord {
        let mut record = self.record;
        (record.head, record.head_bytes) = (self.head, self.head_bytes);
        record.trim_to(self.gone, self.gone_bytes);
        record
    }
}
