//! Opening a journal: reading the log back, and judging where it ends.
//!
//! Records are read as long as they are intact and their sequences rise by one. The first that isn't
//! is where the log ends, *unless* something shows that more was synced behind it: a newer segment that
//! begins with a later sequence, or an intact record that says so. Then the disk has lost acknowledged
//! data and the journal refuses to open. A record that was being written at the crash is the last one, so
//! nothing follows it; without syncing (`os`) later ones may have reached the disk before it, and what
//! they say was synced lies before it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, RwLock};

use super::commit::JournalCommitter;
use super::drain::Drain;
use super::error::JournalError;
use super::index::Index;
use super::load::JournalReader;
use super::record;
use super::scan::Scan;
use super::segment::{self, RECORDS_AT, Segment};
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
    assert!(options.segments_kept <= options.segments_max, "else a commit may wait for ever");
    std::fs::create_dir_all(directory)
        .and_then(|()| segment::sync_directory(directory.parent().unwrap_or(directory)))
        .map_err(|error| JournalError::file("create", directory, error))?;
    let mut index = Index::default();
    let (numbers, spares) = list(directory)?;
    if numbers.is_empty() && !behind.is_empty() {
        // There always is a segment once the journal was opened.
        return Err(JournalError::Missing { path: segment::path(directory, 1) });
    }
    for spare in spares {
        std::fs::remove_file(&spare)
            .map_err(|error| JournalError::file("remove", &spare, error))?;
    }
    let (mut sequence, mut number) = (1, 1);
    let mut last: Option<(Segment, u64)> = None;
    for (nth, &found) in numbers.iter().enumerate() {
        number = numbers[0] + nth as u64;
        if found != number {
            return Err(JournalError::Missing { path: segment::path(directory, number) });
        }
        let segment = Segment::open(&segment::path(directory, number), number)?;
        if let Some((earlier, end)) = last.take() {
            if segment.first_sequence != sequence {
                return Err(JournalError::Damaged { path: earlier.path, at: end });
            }
            index.segments.insert(earlier.number, Arc::new(earlier));
        }
        let is_last = nth + 1 == numbers.len();
        let end = replay(&segment, is_last, &mut sequence, &mut index)?;
        last = Some((segment, end));
    }
    let mut empty = None;
    if let Some((segment, end)) = last {
        if end == RECORDS_AT {
            // Opening it again and again must not make the log longer.
            empty = Some(segment.retire()?).filter(|spare| spare.bytes() == options.segment_bytes);
        } else {
            index.segments.insert(number, Arc::new(segment));
            number += 1;
        }
    }
    let full = Full { segments: index.segments.len(), ..Full::default() };
    let shared = Arc::new(Shared {
        directory: directory.to_owned(),
        index: RwLock::new(index),
        spare: Mutex::new(Vec::new()),
        spares_made: AtomicU64::new(0),
        full: Mutex::new(full),
        changed: Condvar::new(),
        options,
    });
    let spare = match empty {
        Some(spare) => spare,
        None => shared.create_spare(options.segment_bytes)?,
    };
    let active = Arc::new(spare.begin(directory, number, sequence)?);
    shared.write().segments.insert(number, Arc::clone(&active));
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

/// Enters a segment's writes in the index; returns the byte at which its records end. The last segment is
/// settled first, because nothing says that its records were ever synced, and then judged.
fn replay(
    segment: &Segment,
    is_last: bool,
    sequence: &mut u64,
    index: &mut Index,
) -> Result<u64, JournalError> {
    if is_last {
        segment.settle()?;
    }
    let mut scan = Scan::new(segment);
    while let Some(record) = scan.next()? {
        for logged in record::writes(&record.payload) {
            // Its checksum is right, so it was written like this; but no journal of this version
            // writes it, and to pass over it would mean to go on with less.
            let applied =
                logged.map(|logged| index.apply(segment.number, record.payload_at, logged));
            if applied.is_none_or(|applied| applied.is_err()) {
                let (path, at) = (segment.path.clone(), record.payload_at);
                return Err(JournalError::Damaged { path, at });
            }
        }
    }
    if is_last && scan.was_more_synced()? {
        return Err(JournalError::Damaged { path: segment.path.clone(), at: scan.end() });
    }
    *sequence = scan.next_sequence();
    Ok(scan.end())
}
