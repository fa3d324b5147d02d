//! Reading a segment's records one after the other, a window of the file at a time.

use bytes::Bytes;

use super::error::JournalError;
use super::files::JournalFile;
use super::record::{self, ALIGNMENT, HEADER_BYTES, Header};
use super::segment::{RECORDS_AT, Segment};

/// Bytes read at a time; a longer record is read whole.
const WINDOW_BYTES: u64 = 1 << 20;

/// A position in a segment from which intact records of rising sequences are read.
#[derive(Debug)]
pub(super) struct Scan<'a, F> {
    segment: &'a Segment<F>,
    window: Bytes,
    window_at: u64,
    /// Where the next record begins.
    at: u64,
    /// Its sequence.
    sequence: u64,
}

/// A record that was found intact.
#[derive(Debug)]
pub(super) struct Record {
    /// Where its payload begins in the segment, in bytes.
    pub(super) payload_at: u64,
    pub(super) payload: Bytes,
}

impl<'a, F: JournalFile> Scan<'a, F> {
    /// Begins with the first record of a segment.
    pub(super) fn new(segment: &'a Segment<F>) -> Self {
        let sequence = segment.first_sequence;
        Scan { segment, window: Bytes::new(), window_at: 0, at: RECORDS_AT, sequence }
    }

    /// The next record; `None` where there is no intact one of the next sequence.
    pub(super) fn next(&mut self) -> Result<Option<Record>, JournalError> {
        let Some((header, bytes)) = self.intact()? else { return Ok(None) };
        if header.sequence != self.sequence {
            return Ok(None);
        }
        let payload_at = self.at + HEADER_BYTES as u64;
        self.at += header.record_bytes();
        self.sequence += 1;
        Ok(Some(Record { payload_at, payload: bytes.slice(HEADER_BYTES..) }))
    }

    /// Where the records that were read end, in bytes.
    pub(super) const fn end(&self) -> u64 {
        self.at
    }

    /// The sequence that follows the records that were read.
    pub(super) const fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// Looks behind the end of the records, once they were all read, for one that says that the
    /// record missing there was synced.
    pub(super) fn was_more_synced(&mut self) -> Result<bool, JournalError> {
        let (end, missing) = (self.at, self.sequence);
        let mut is_damaged = false;
        while let Some(rest) = self.rest(HEADER_BYTES as u64)? {
            let salt = self.segment.salt.to_le_bytes();
            let step = ALIGNMENT as usize;
            let Some(nth) = rest.chunks_exact(step).position(|chunk| chunk == salt) else {
                self.at += (rest.len() / step * step) as u64;
                continue;
            };
            self.at += (nth * step) as u64;
            if let Some((header, _)) = self.intact()?
                && header.sequence > missing
                && header.synced >= missing
            {
                is_damaged = true;
                break;
            }
            self.at += ALIGNMENT;
        }
        self.at = end;
        Ok(is_damaged)
    }

    /// The intact record at the current place, if there is one, with its bytes up to the payload's end.
    fn intact(&mut self) -> Result<Option<(Header, Bytes)>, JournalError> {
        let Some(rest) = self.rest(HEADER_BYTES as u64)? else { return Ok(None) };
        let Some(bytes) = record::bytes_claimed(&rest, self.segment.salt) else { return Ok(None) };
        let Some(rest) = self.rest(bytes as u64)? else { return Ok(None) };
        let header = record::read(&rest, self.segment.salt);
        Ok(header.map(|header| (header, rest.slice(..bytes))))
    }

    /// What is known of the file from the current place on: `bytes_min` or more; `None` if the
    /// segment ends before.
    fn rest(&mut self, bytes_min: u64) -> Result<Option<Bytes>, JournalError> {
        let left = self.segment.bytes.saturating_sub(self.at);
        if left < bytes_min {
            return Ok(None);
        }
        let known_through = self.window_at + self.window.len() as u64;
        if self.at < self.window_at || self.at + bytes_min > known_through {
            let mut window = vec![0; WINDOW_BYTES.max(bytes_min).min(left) as usize];
            self.segment.read_at(self.at, &mut window)?;
            self.window = Bytes::from(window);
            self.window_at = self.at;
        }
        Ok(Some(self.window.slice((self.at - self.window_at) as usize..)))
    }
}
