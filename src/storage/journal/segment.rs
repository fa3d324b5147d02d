//! One file of the log.
//!
//! A segment has a fixed length and is filled with zeros before it is used, so that syncing it never
//! has to sync the file system's own records too. Its first block names it:
//!
//! ```text
//!  0  magic            8   "FulmarJ1"
//!  8  number           8   of the segment
//! 16  first sequence   8   of its first record
//! 24  checksum         4   CRC-32 (IEEE) of bytes 0 to 24
//! ```
//!
//! Records follow from byte 4096. A segment that is used again keeps its old bytes: what lies behind
//! its last record has older sequences and so is no part of the log.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::JournalError;

/// Where the records begin.
pub(super) const RECORDS_AT: u64 = 4096;
const MAGIC: [u8; 8] = *b"FulmarJ1";
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// A segment of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) first_sequence: u64,
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// A file of zeros or of old records that can become a segment.
#[derive(Debug)]
pub(super) struct Spare {
    file: File,
    path: PathBuf,
    bytes: u64,
}

/// The file of segment `number`.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("journal-{number:012}.log"))
}

/// The number in a segment's file name.
pub(super) fn number_in(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("journal-")?.strip_suffix(".log")?.parse().ok()
}

impl Spare {
    /// Makes a file of zeros; `nonce` tells it from others in the directory.
    pub(super) fn create(directory: &Path, nonce: u64, bytes: u64) -> Result<Spare, JournalError> {
        let path = directory.join(format!("spare-{nonce:012}.tmp"));
        let create = || {
            let file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .read(true)
                .write(true)
                .open(&path)?;
            let mut at = 0;
            while at < bytes {
                let piece = (bytes - at).min(ZEROS.len() as u64);
                file.write_all_at(&ZEROS[..piece as usize], at)?;
                at += piece;
            }
            file.sync_all()?;
            Ok(file)
        };
        let file = create().map_err(|error| JournalError::file("create", &path, error))?;
        Ok(Spare { file, path, bytes })
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it segment `number`, durably.
    pub(super) fn begin(
        self,
        directory: &Path,
        number: u64,
        first_sequence: u64,
    ) -> Result<Segment, JournalError> {
        let Spare { file, path: old, bytes } = self;
        let path = path(directory, number);
        let begin = || {
            file.write_all_at(&header(number, first_sequence), 0)?;
            file.sync_all()?;
            std::fs::rename(&old, &path)?;
            File::open(directory)?.sync_all()
        };
        begin().map_err(|error| JournalError::file("begin", &path, error))?;
        Ok(Segment { number, first_sequence, file, path, bytes })
    }
}

impl Segment {
    /// Opens the segment in a file that has its number in the name.
    pub(super) fn open(path: &Path, number: u64) -> Result<Segment, JournalError> {
        let failed = |error| JournalError::file("open", path, error);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut given = [0; 28];
        file.read_exact_at(&mut given, 0).map_err(failed)?;
        let first = u64::from_le_bytes([
            given[16], given[17], given[18], given[19], given[20], given[21], given[22], given[23],
        ]);
        if given != header(number, first) {
            return Err(JournalError::Damaged { path: path.to_owned(), at: 0 });
        }
        Ok(Segment { number, first_sequence: first, file, path: path.to_owned(), bytes })
    }

    pub(super) fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<(), JournalError> {
        let read = self.file.read_exact_at(bytes, at);
        read.map_err(|error| JournalError::file("read", &self.path, error))
    }

    /// The file as one that can become another segment. It leaves the log at once and durably, so
    /// that it is never taken for a part of it again.
    pub(super) fn retire(self) -> Result<Spare, JournalError> {
        let directory = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        let path = directory.join(format!("spare-{:012}.tmp", self.number));
        let retire = || -> io::Result<()> {
            std::fs::rename(&self.path, &path)?;
            File::open(&directory)?.sync_all()
        };
        retire().map_err(|error| JournalError::file("retire", &self.path, error))?;
        Ok(Spare { file: self.file, path, bytes: self.bytes })
    }
}

fn header(number: u64, first_sequence: u64) -> [u8; 28] {
    let mut bytes = [0; 28];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..24].copy_from_slice(&first_sequence.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..24]);
    bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
    bytes
}
