//! One file of the log.
//!
//! A segment has a fixed length and is filled with zeros before it is used, so that syncing it never
//! has to sync the file system's own records too. Its first block names it:
//!
//! ```text
//!  0  magic            8   "FulmarJ1"
//!  8  number           8   of the segment
//! 16  first sequence   8   of its first record
//! 24  salt             8   random; each of its records begins with it
//! 32  checksum         4   CRC-32 (IEEE) of bytes 0 to 32
//! ```
//!
//! Records follow from byte 4096. A segment that is used again keeps its old bytes: what lies behind
//! its last record has another salt and so is no part of the log.

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::files::{JournalDirectory, JournalFile};

/// Where the records begin.
pub(super) const RECORDS_AT: u64 = 4096;
const MAGIC: [u8; 8] = *b"FulmarJ1";
const HEADER_BYTES: usize = 36;
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// A segment of the log.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) number: u64,
    pub(super) first_sequence: u64,
    pub(super) salt: u64,
    pub(super) file: F,
    /// How messages call the file.
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// A file of zeros or of old records that can become a segment.
#[derive(Debug)]
pub(super) struct Spare<F> {
    file: F,
    name: String,
    bytes: u64,
}

/// The file name of segment `number`.
pub(super) fn name(number: u64) -> String {
    format!("journal-{number:012}.log")
}

/// The number in a segment's file name.
pub(super) fn number_in(name: &str) -> Option<u64> {
    name.strip_prefix("journal-")?.strip_suffix(".log")?.parse().ok()
}

/// Whether a file isn't part of the log yet or any more.
pub(super) fn is_spare(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "tmp")
}

impl<F: JournalFile> Spare<F> {
    /// Makes a file of zeros; no other call of this process may have had the same `nonce`.
    pub(super) fn create(
        directory: &impl JournalDirectory<File = F>,
        nonce: u64,
        bytes: u64,
    ) -> Result<Self, JournalError> {
        let name = format!("new-{nonce:012}.tmp");
        let create = || {
            let file = directory.create(&name)?;
            let mut at = 0;
            while at < bytes {
                let piece = (bytes - at).min(ZEROS.len() as u64);
                file.write_at(&ZEROS[..piece as usize], at)?;
                at += piece;
            }
            file.sync_all()?;
            Ok(file)
        };
        let failed = |error| JournalError::file("create", &directory.path(&name), error);
        let file = create().map_err(failed)?;
        Ok(Spare { file, name, bytes })
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it segment `number`, durably. An earlier one of this number is gone at the same instant, so that
    /// at no time there is none.
    pub(super) fn begin(
        self,
        directory: &impl JournalDirectory<File = F>,
        number: u64,
        first_sequence: u64,
    ) -> Result<Segment<F>, JournalError> {
        let Spare { file, name: old, bytes } = self;
        let path = directory.path(&name(number));
        // Never zero, which is what an unused file is full of.
        let salt = directory.salt() | 1;
        let begin = || {
            file.write_at(&header(number, first_sequence, salt), 0)?;
            file.sync_all()?;
            directory.rename(&old, &name(number))?;
            directory.sync_names()
        };
        begin().map_err(|error| JournalError::file("begin", &path, error))?;
        Ok(Segment { number, first_sequence, salt, file, path, bytes })
    }
}

impl<F: JournalFile> Segment<F> {
    /// Opens the segment in the file that has its number in the name.
    pub(super) fn open(
        directory: &impl JournalDirectory<File = F>,
        number: u64,
    ) -> Result<Self, JournalError> {
        let path = directory.path(&name(number));
        let failed = |error| JournalError::file("open", &path, error);
        let file = directory.open(&name(number)).map_err(failed)?;
        let bytes = file.bytes().map_err(failed)?;
        let mut given = [0; HEADER_BYTES];
        file.read_at(&mut given, 0).map_err(failed)?;
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|nth| given[at + nth]));
        let (first_sequence, salt) = (long(16), long(24));
        if given != header(number, first_sequence, salt) {
            return Err(JournalError::Damaged { path, at: 0 });
        }
        Ok(Segment { number, first_sequence, salt, file, path, bytes })
    }

    /// Makes sure that what is read from now on is what the disk holds.
    pub(super) fn settle(&self) -> Result<(), JournalError> {
        self.file.settle().map_err(|error| JournalError::file("sync", &self.path, error))
    }

    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|error| JournalError::file("sync", &self.path, error))
    }

    pub(super) fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<(), JournalError> {
        let read = self.file.read_at(bytes, at);
        read.map_err(|error| JournalError::file("read", &self.path, error))
    }

    /// The file as one that can become another segment. It leaves the log at once and durably, so
    /// that it is never taken for a part of it again.
    pub(super) fn retire(
        self,
        directory: &impl JournalDirectory<File = F>,
    ) -> Result<Spare<F>, JournalError> {
        let spare = format!("old-{:012}.tmp", self.number);
        directory
            .rename(&name(self.number), &spare)
            .and_then(|()| directory.sync_names())
            .map_err(|error| JournalError::file("retire", &self.path, error))?;
        Ok(Spare { file: self.file, name: spare, bytes: self.bytes })
    }

    /// Deletes the file, durably. Readers that hold the segment can still read it.
    pub(super) fn remove(
        &self,
        directory: &impl JournalDirectory<File = F>,
    ) -> Result<(), JournalError> {
        directory
            .remove(&name(self.number))
            .and_then(|()| directory.sync_names())
            .map_err(|error| JournalError::file("remove", &self.path, error))
    }
}

fn header(number: u64, first_sequence: u64, salt: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..24].copy_from_slice(&first_sequence.to_le_bytes());
    bytes[24..32].copy_from_slice(&salt.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..32]);
    bytes[32..36].copy_from_slice(&checksum.to_le_bytes());
    bytes
}
