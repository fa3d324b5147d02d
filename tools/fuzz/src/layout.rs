//! The bytes of journal files, written and read from the description of their layout in
//! `fulmar::storage::journal`, and so a second opinion on it.

use std::path::{Path, PathBuf};

/// Where the records of a segment begin.
pub(crate) const RECORDS_AT: usize = 4096;
/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 36;
/// Bytes of a record before its payload.
const RECORD_HEADER_BYTES: usize = 32;

/// Tags of writes to an inbox.
pub(crate) const STATE: u8 = 1;
pub(crate) const CONVERSATION: u8 = 2;
pub(crate) const ENTRY: u8 = 3;
pub(crate) const TRIM: u8 = 4;
/// Tags of writes to a group's log.
pub(crate) const GROUP_STATE: u8 = 5;
pub(crate) const GROUP_CONVERSATION: u8 = 6;
pub(crate) const GROUP_ENTRY: u8 = 7;
pub(crate) const GROUP_TRIM: u8 = 8;
pub(crate) const PRESENCE: u8 = 9;
/// And of a book, and of a name.
pub(crate) const BOOK: u8 = 10;
/// See [`BOOK`].
pub(crate) const NAME: u8 = 11;

/// The file of segment `number`.
pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("journal-{number:012}.log"))
}

/// The first block of a segment.
pub(crate) fn segment_header(number: u64, first_sequence: u64, salt: u64) -> Vec<u8> {
    let mut bytes = b"FulmarJ1".to_vec();
    for field in [number, first_sequence, salt] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(RECORDS_AT, 0);
    bytes
}

/// A record with its padding.
pub(crate) fn record(salt: u64, sequence: u64, synced: u64, payload: &[u8]) -> Vec<u8> {
    let mut checked = (payload.len() as u32).to_le_bytes().to_vec();
    checked.extend(sequence.to_le_bytes());
    checked.extend(synced.to_le_bytes());
    checked.extend_from_slice(payload);
    let mut bytes = salt.to_le_bytes().to_vec();
    bytes.extend(crc32fast::hash(&checked).to_le_bytes());
    bytes.extend(checked);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A put in a record's payload: tag, numbers, value.
pub(crate) fn put(tag: u8, first: u64, second: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(first.to_le_bytes());
    bytes.extend(second.to_le_bytes());
    bytes.extend((value.len() as u32).to_le_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// A trim in a record's payload.
pub(crate) fn trim(tag: u8, log: u64, from: u64, through: u64) -> Vec<u8> {
    let mut bytes = vec![tag];
    for field in [log, from, through] {
        bytes.extend(field.to_le_bytes());
    }
    bytes
}

/// The intact records of a segment's file: where each begins and where its payload ends.
pub(crate) fn records(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let (Some(salt), mut at) = (file.get(24..32), RECORDS_AT) else { return found };
    while let Some(header) = file.get(at..at + RECORD_HEADER_BYTES)
        && &header[..8] == salt
    {
        let payload_bytes = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        let end = at + RECORD_HEADER_BYTES + payload_bytes as usize;
        let Some(checked) = file.get(at + 12..end) else { break };
        if crc32fast::hash(checked).to_le_bytes() != header[8..12] {
            break;
        }
        found.push(at..end);
        at = end.next_multiple_of(8);
    }
    found
}

/// A directory in memory where there is one, since journals sync a lot.
pub(crate) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}
