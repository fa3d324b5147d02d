//! Opening a journal: reading the log back, and judging where it ends.
//!
//! Records are read as long as they are intact and their sequences rise by one. The first that isn't
//! is where the log ends, *unless* something shows that more was synced behind it: a newer segment that
//! begins with a later sequence, or an intact record that says so. Then the disk has lost acknowledged
//! data and the journal refuses to open. A record that was being written at the crash is the last one, so
//! nothing follows it; without syncing (`os`) later ones may have reached the disk before it, and what
//! they say was synced lies before it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, RwLock};

use super::commit::JournalCommitter;
use super::drain::Drain;
use super::error::JournalError;
use super::index::Index;
use super::load::JournalReader;
use super::record::{self, ALIGNMENT, HEADER_BYTES, Header};
use super::segment::{self, RECORDS_AT, Segment, Spare};
use super::{Full, JournalOptions, Shared};
use crate::storage::Storage;

/// Opens or creates the journal in `directory`, before the database `behind` it. With `is_syncing` a
/// commit survives a power cut, otherwise only a crash of the process.
pub fn open<S: Storage + Clone>(
    directory: &Path,
    options: JournalOptions,
    is_syncing: bool,
    behind: S,
) -> Result<(JournalCommitter, JournalReader<S>, Drain<S>), JournalError> {
    std::fs::create_dir_all(directory)
        .map_err(|error| JournalError::file("create", directory, error))?;
    let mut index = Index::default();
    let (numbers, spares) = list(directory)?;
    for spare in spares {
        std::fs::remove_file(&spare)
            .map_err(|error| JournalError::file("remove", &spare, error))?;
    }
    let mut sequence = 1;
    let mut last: Option<(PathBuf, u64)> = None;
    for (nth, &number) in numbers.iter().enumerate() {
        let expected = numbers[0] + nth as u64;
        if number != expected {
            return Err(JournalError::Missing { path: segment::path(directory, expected) });
        }
        let segment = Segment::open(&segment::path(directory, number), number)?;
        if let Some((path, at)) = &last
            && segment.first_sequence != sequence
        {
            return Err(JournalError::Damaged { path: path.clone(), at: *at });
        }
        sequence = segment.first_sequence;
        let bytes = read_whole(&segment)?;
        let end = replay(&bytes, &segment, &mut sequence, &mut index);
        if nth + 1 == numbers.len() {
            refuse_if_more_was_synced(&bytes, &segment, end, sequence)?;
        }
        last = Some((segment.path.clone(), end));
        index.segments.insert(number, Arc::new(segment));
    }
    let number = numbers.last().map_or(1, |last| last + 1);
    let spare = Spare::create(directory, number, options.segment_bytes)?;
    let active = Arc::new(spare.begin(directory, number, sequence)?);
    index.segments.insert(number, Arc::clone(&active));
    let shared = Arc::new(Shared {
        directory: directory.to_owned(),
        index: RwLock::new(index),
        spare: Mutex::new(Vec::new()),
        full: Mutex::new(Full { segments: numbers.len(), ..Full::default() }),
        changed: Condvar::new(),
        options,
    });
    let committer = JournalCommitter {
        shared: Arc::clone(&shared),
        active,
        at: RECORDS_AT,
        sequence,
        synced: sequence - 1,
        is_syncing,
        buffer: Vec::new(),
    };
    let reader = JournalReader::new(Arc::clone(&shared), behind.clone());
    Ok((committer, reader, Drain::new(shared, behind)))
}

/// The numbers of the segments in a directory, rising, and the files that are none yet or no more.
fn list(directory: &Path) -> Result<(Vec<u64>, Vec<PathBuf>), JournalError> {
    let failed = |error| JournalError::file("list", directory, error);
    let (mut numbers, mut spares) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match segment::number_in(&path) {
            Some(number) => numbers.push(number),
            None if path.extension().is_some_and(|extension| extension == "tmp") => {
                spares.push(path);
            }
            None => {}
        }
    }
    numbers.sort_unstable();
    Ok((numbers, spares))
}

pub(super) fn read_whole(segment: &Segment) -> Result<Vec<u8>, JournalError> {
    let mut bytes = vec![0; segment.bytes as usize];
    segment.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// The intact records of a segment, in order, with the place of each.
pub(super) fn records(
    bytes: &[u8],
    first_sequence: u64,
) -> impl Iterator<Item = (u64, Header)> + '_ {
    let (mut at, mut sequence) = (RECORDS_AT, first_sequence);
    std::iter::from_fn(move || {
        let header = record::read(bytes.get(at as usize..)?)?;
        if header.sequence != sequence {
            return None;
        }
        let begin = at;
        at += header.record_bytes();
        sequence += 1;
        Some((begin, header))
    })
}

/// Enters a segment's writes in the index; returns the byte at which its records end.
fn replay(bytes: &[u8], segment: &Segment, sequence: &mut u64, index: &mut Index) -> u64 {
    let mut end = RECORDS_AT;
    for (at, header) in records(bytes, segment.first_sequence) {
        let payload_at = at + HEADER_BYTES as u64;
        let payload = &bytes[payload_at as usize..][..header.payload_bytes];
        for logged in record::writes(payload).flatten() {
            index.apply(segment.number, payload_at, logged);
        }
        end = at + header.record_bytes();
        *sequence = header.sequence + 1;
    }
    end
}

/// Looks behind the end of the last segment for a sign that something synced is missing.
fn refuse_if_more_was_synced(
    bytes: &[u8],
    segment: &Segment,
    end: u64,
    sequence: u64,
) -> Result<(), JournalError> {
    let mut at = end as usize;
    while let Some(rest) = bytes.get(at..)
        && rest.len() >= HEADER_BYTES
    {
        if let Some(header) = record::read(rest)
            && header.sequence > sequence
            && header.synced >= sequence
        {
            return Err(JournalError::Damaged { path: segment.path.clone(), at: end });
        }
        at += ALIGNMENT as usize;
    }
    Ok(())
}
