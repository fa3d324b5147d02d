//! What a journal needs of its directory and of the files in it. Two kinds: the real ones here, and
//! simulated ones that lose in a crash what was not synced
//! ([`SimulatedDirectory`](crate::storage::SimulatedDirectory)).

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::JournalError;

/// A directory that holds the files of one journal and nothing else.
pub trait JournalDirectory: Debug {
    /// Its files.
    type File: JournalFile;

    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, which must not be there yet.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, and takes it from the file that has it, at once.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file's name away. Who has it open can still read it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes what the calls before did to the names durable.
    fn sync_names(&self) -> io::Result<()>;

    /// A number that nobody outside can know.
    fn salt(&self) -> u64;

    /// How messages to people call a file.
    fn path(&self, name: &str) -> PathBuf;
}

/// A file of a journal. It is never made shorter.
pub trait JournalFile: Debug {
    /// Its length in bytes.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills `bytes` from byte `at` on; an error if the file ends before.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes all of `bytes` from byte `at` on.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes what was written durable.
    fn sync_data(&self) -> io::Result<()>;

    /// The same, and whatever else the file system knows of the file.
    fn sync_all(&self) -> io::Result<()>;

    /// Makes sure that what is read from now on is what the disk holds. A process that was killed, or whose
    /// sync failed, may have left bytes in the system's cache that never reached the disk.
    fn settle(&self) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Debug, Clone)]
pub struct DiskDirectory {
    path: PathBuf,
}

impl DiskDirectory {
    /// Makes the directory durably, unless it is there.
    pub fn make(path: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(path)
            .and_then(|()| sync_names(path.parent().unwrap_or(path)))
            .map_err(|error| JournalError::file("create", path, error))?;
        Ok(DiskDirectory { path: path.to_owned() })
    }
}

impl JournalDirectory for DiskDirectory {
    type File = DiskFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that isn't UTF-8 isn't one of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        let mut options = OpenOptions::new();
        options.create_new(true).read(true).write(true).open(self.path(name)).map(DiskFile)
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        OpenOptions::new().read(true).write(true).open(self.path(name)).map(DiskFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_names(&self.path)
    }

    fn salt(&self) -> u64 {
        RandomState::new().hash_one(0)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A file of the file system.
#[derive(Debug)]
pub struct DiskFile(File);

impl JournalFile for DiskFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn settle(&self) -> io::Result<()> {
        self.0.sync_all()?;
        rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed)?;
        Ok(())
    }
}
