//! Why a data directory can't be opened, or can't be used any more.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::journal::JournalError;

/// What to do where the system denies something.
const DENIED: &str =
    "; it must belong to the user that the server runs as: give it to that user with chown";

/// What to do about an error of the system, as the end of a sentence.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied { DENIED } else { "" }
}

/// Why a data directory can't be opened. The text says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// The directory can't be made or read.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It isn't there and can't be made.
    Unmade {
        /// Which.
        path: PathBuf,
        /// Where it would be made.
        parent: PathBuf,
        /// Why it can't.
        error: io::Error,
    },
    /// It was written by another version.
    Format {
        /// Which directory.
        path: PathBuf,
        /// The version that it names.
        found: String,
        /// The version of this program.
        wanted: &'static str,
    },
    /// It isn't empty and not a data directory.
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A file of it can't be used.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of the database belongs to somebody else.
    Denied {
        /// Which directory.
        path: PathBuf,
        /// RocksDB's own error, which names the file.
        error: StorageError,
    },
    /// Another process has it open.
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The file that sessions are numbered by can't be used.
    Sessions {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of the database is gone, without which there is none.
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// There is no journal, though there was one.
    NoJournal {
        /// Where it should be.
        path: PathBuf,
    },
    /// The database in it can't be opened.
    Database {
        /// Which.
        path: PathBuf,
        /// Why.
        error: StorageError,
    },
    /// The journal in it can't be read back.
    Journal(JournalError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Directory { path, .. } if path.is_file() => {
                write!(
                    f,
                    "{} is a file, not a directory; choose another --data-dir",
                    path.display()
                )
            }
            OpenError::Directory { path, error } => {
                let remedy = remedy(error);
                write!(f, "can't use the data directory {}: {error}{remedy}", path.display())
            }
            OpenError::Unmade { path, parent, error } => write!(
                f,
                "the data directory {} can't be made in {}: {error}; make it, and give it with chown \
                 to the user that the server runs as, or choose another --data-dir",
                path.display(),
                parent.display()
            ),
            OpenError::Format { path, found, wanted } => write!(
                f,
                "the data directory {} has the format {found:?} by its file FORMAT, this program \
                 writes \"{wanted}\"; use the program that wrote it, or another --data-dir",
                path.display()
            ),
            OpenError::Foreign { path } => write!(
                f,
                "{} isn't empty and has no FORMAT file, so it isn't a data directory; choose an \
                 empty or a new one with --data-dir",
                path.display()
            ),
            OpenError::InUse { path } => write!(
                f,
                "another process has the data directory {} open; stop it, or choose another \
                 --data-dir",
                path.display()
            ),
            OpenError::Database { path, error } => write!(
                f,
                "the database in {} can't be opened: {error}; if a file is damaged (the one that is \
                 named, or for a MANIFEST also a table that it lists), restore the data directory \
                 from a backup",
                path.display()
            ),
            OpenError::Denied { path, error } => {
                write!(f, "the database in {} can't be opened: {error}{DENIED}", path.display())
            }
            OpenError::File { path, error } | OpenError::Sessions { path, error }
                if error.kind() == io::ErrorKind::PermissionDenied =>
            {
                write!(f, "can't use {}: {error}{DENIED}", path.display())
            }
            OpenError::File { path, error } => write!(f, "can't use {}: {error}", path.display()),
            OpenError::Sessions { path, error } => {
                write!(
                    f,
                    "can't use {}: {error}; restore it, or the data directory, from a backup",
                    path.display()
                )
            }
            OpenError::Missing { path } => write!(
                f,
                "{} is missing, without which the database is lost; restore the data directory \
                 from a backup",
                path.display()
            ),
            OpenError::NoJournal { path } => write!(
                f,
                "the journal in {} is missing, though this data directory was in use; what it held \
                 is nowhere else: restore the data directory from a backup, or choose an empty or a \
                 new one with --data-dir",
                path.display()
            ),
            OpenError::Journal(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Directory { error, .. }
            | OpenError::Unmade { error, .. }
            | OpenError::File { error, .. }
            | OpenError::Sessions { error, .. } => Some(error),
            OpenError::Database { error, .. } | OpenError::Denied { error, .. } => Some(error),
            OpenError::Journal(error) => Some(error),
            _ => None,
        }
    }
}

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        OpenError::Journal(error)
    }
}

/// RocksDB failed, or holds something that this program didn't write.
#[derive(Debug)]
pub enum StorageError {
    /// RocksDB's own error.
    Rocks(rocksdb::Error),
    /// A key that isn't one of ours.
    Key,
    /// A head that isn't a number.
    Head,
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Rocks(error) => write!(f, "RocksDB: {error}"),
            StorageError::Key => write!(f, "RocksDB holds a key of a form that is unknown"),
            StorageError::Head => write!(f, "RocksDB holds a head of a form that is unknown"),
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StorageError::Rocks(error) => Some(error),
            StorageError::Key | StorageError::Head => None,
        }
    }
}

impl From<rocksdb::Error> for StorageError {
    fn from(error: rocksdb::Error) -> Self {
        StorageError::Rocks(error)
    }
}
