//! What can be wrong with a journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::error::remedy;

/// See each variant. None of them may be passed over: what the journal can't give or take is not
/// known to be safe.
#[derive(Debug)]
pub enum JournalError {
    /// A file can't be used.
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// Bytes that were synced are not what was written.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it, in bytes.
        at: u64,
    },
    /// A segment in the middle of the log is missing, or the whole log.
    Missing {
        /// The file that should be there.
        path: PathBuf,
    },
    /// A segment left the log, and the database doesn't have what it held.
    Forgotten {
        /// The segment's file.
        path: PathBuf,
    },
    /// A commit is larger than [`COMMIT_BYTES_MAX`](super::COMMIT_BYTES_MAX).
    TooLarge {
        /// Its size, in bytes.
        bytes: u64,
    },
    /// The database behind the journal failed.
    Database(Box<dyn std::error::Error + Send + Sync>),
    /// The drain failed before; its own error says why.
    DrainFailed,
}

impl JournalError {
    pub(super) fn file(action: &'static str, path: &Path, error: io::Error) -> Self {
        JournalError::File { action, path: path.to_owned(), error }
    }

    pub(super) fn database(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        JournalError::Database(Box::new(error))
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::File { action, path, error } => {
                let remedy = remedy(error);
                write!(f, "can't {action} the journal file {}: {error}{remedy}", path.display())
            }
            JournalError::Damaged { path, at } => write!(
                f,
                "the journal file {} is damaged at byte {at}, though its end was written; going on \
                 would lose acknowledged messages: restore the data directory from a \
                 backup, or repair the disk",
                path.display()
            ),
            JournalError::Missing { path } => write!(
                f,
                "the journal file {} is missing; what it held is nowhere else: restore the data \
                 directory from a backup",
                path.display()
            ),
            JournalError::Forgotten { path } => write!(
                f,
                "the journal file {} is gone, and the database doesn't have what it held: it was \
                 deleted, or the database's CURRENT or MANIFEST file is damaged; restore the data \
                 directory from a backup",
                path.display()
            ),
            JournalError::TooLarge { bytes } => write!(
                f,
                "a commit of {bytes} bytes is too large for the journal, which takes up to {}",
                super::COMMIT_BYTES_MAX
            ),
            JournalError::Database(error) => write!(f, "{error}"),
            JournalError::DrainFailed => {
                write!(f, "old journal segments could not be carried over to the database")
            }
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JournalError::File { error, .. } => Some(error),
            JournalError::Database(error) => Some(&**error),
            _ => None,
        }
    }
}
