//! Opening a journal: reading the log back, and judging where it ends.
//!
//! Records are read as long as they are intact and their sequences rise by one. The first that isn't
//! is where the log ends, *unless* something shows that more was synced behind it: a newer segment that
//! begins with a later sequence, or an intact record that says so. Then the disk has lost acknowledged
//! data and the journal refuses to open. A record that was being written at the crash is the last one, so
//! nothing follows it; without syncing (`os`) later ones may have reached the disk before it, and what
//! they say was synced lies before it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use super::backlog::Backlog;
use super::commit::JournalCommitter;
use super::drain::Drain;
use super::error::JournalError;
use super::files::{JournalDirectory, JournalFile};
use super::index::Index;
use super::load::JournalReader;
use super::record;
use super::scan::Scan;
use super::segment::{self, RECORDS_AT, Segment};
use super::{JournalOptions, Shared};
use crate::faults::{Fault, is_planted};
use crate::storage::Storage;

/// The parts of an opened journal.
pub type Parts<D, S> = (JournalCommitter<D>, JournalReader<D, S>, Drain<D, S>);

/// Opens or begins the journal in `directory`, before the database `behind` it. With `is_syncing` a
/// commit survives a power cut, otherwise only a crash of the process.
pub fn open<D: JournalDirectory, S: Storage + Clone>(
    directory: D,
    options: JournalOptions,
    is_syncing: bool,
    behind: S,
) -> Result<Parts<D, S>, JournalError> {
    let JournalOptions { segments_kept, segments_max, .. } = options;
    assert!(segments_kept <= segments_max && segments_max > 0, "else a commit may wait for ever");
    let mut index = Index::new();
    let (numbers, spares) = list(&directory)?;
    let missing = |number| JournalError::Missing { path: directory.path(&segment::name(number)) };
    if numbers.is_empty() && !behind.is_empty() {
        // There always is a segment once the journal was opened.
        return Err(missing(1));
    }
    if let (Some(&first), Some(drained)) =
        (numbers.first(), behind.drained().map_err(JournalError::database)?)
        && first > drained + 1
    {
        return Err(JournalError::Forgotten { path: directory.path(&segment::name(drained + 1)) });
    }
    for spare in spares {
        let failed = |error| JournalError::file("remove", &directory.path(&spare), error);
        directory.remove(&spare).map_err(failed)?;
    }
    let (mut sequence, mut number) = (1, 1);
    let mut last: Option<(Segment<D::File>, u64)> = None;
    for (nth, &found) in numbers.iter().enumerate() {
        number = numbers[0] + nth as u64;
        if found != number {
            return Err(missing(number));
        }
        let segment = Segment::open(&directory, number)?;
        if let Some((earlier, end)) = last.take() {
            if segment.first_sequence != sequence {
                return Err(JournalError::Damaged { path: earlier.path, at: end });
            }
            index.segments.insert(earlier.number, Arc::new(earlier));
        }
        let is_last = nth + 1 == numbers.len();
        let end = replay(&segment, is_last, &mut sequence, &mut index)?;
        if nth == 0 {
            index.note_begun_drain(number);
        }
        last = Some((segment, end));
    }
    // One without a record is replaced by the new one, so that opening it again and again doesn't make the
    // log longer.
    if let Some((segment, end)) = last
        && end > RECORDS_AT
        && !is_planted(Fault::LastSegmentDropped)
    {
        index.segments.insert(number, Arc::new(segment));
        number += 1;
    }
    let backlog = Arc::new(Backlog::new(index.segments.len(), &options));
    let shared = Arc::new(Shared {
        directory,
        index: RwLock::new(index),
        spares: Mutex::new(Vec::new()),
        spares_made: AtomicU64::new(0),
        backlog,
        segment_bytes: options.segment_bytes,
    });
    let spare = shared.create_spare(options.segment_bytes)?;
    let active = Arc::new(spare.begin(&shared.directory, number, sequence)?);
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
    Ok((committer, reader, Drain::new(shared, behind, is_syncing)))
}

/// Whether there is a segment in the directory at `path`: whether a journal was ever opened there. There
/// always is one from then on.
pub fn is_begun(path: &Path) -> Result<bool, JournalError> {
    match fs::read_dir(path) {
        Ok(entries) => {
            let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            Ok(names.any(|name| segment::number_in(&name).is_some()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(JournalError::file("list", path, error)),
    }
}

/// The numbers of the segments in a directory, rising, and the files that are none yet or no more.
fn list(directory: &impl JournalDirectory) -> Result<(Vec<u64>, Vec<String>), JournalError> {
    let failed = |error| JournalError::file("list", &directory.path(""), error);
    let (mut numbers, mut spares) = (Vec::new(), Vec::new());
    for name in directory.list().map_err(failed)? {
        match segment::number_in(&name) {
            Some(number) => numbers.push(number),
            None if segment::is_spare(&name) => spares.push(name),
            None => {}
        }
    }
    numbers.sort_unstable();
    Ok((numbers, spares))
}

/// Enters a segment's writes in the index; returns the byte at which its records end. The last segment is
/// settled first, because nothing says that its records were ever synced, and then judged.
fn replay<F: JournalFile>(
    segment: &Segment<F>,
    is_last: bool,
    sequence: &mut u64,
    index: &mut Index<F>,
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
