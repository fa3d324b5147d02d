//! The data directory and its version.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::Access;

use super::OpenError;

/// The version of everything in a data directory: keys, values, journal.
const FORMAT: &str = "fulmar data 6\n";
/// Name of the FORMAT file while it is written.
const TEMPORARY: &str = "FORMAT.tmp";
/// Name of the file that sessions are numbered by, the last one that a first start writes.
const SESSIONS: &str = "SESSIONS";
/// Time that each start has for its sessions, in milliseconds. 1,024 sessions of each core fit in one,
/// so this is enough for 18,000 logins a second over a year and a half.
const SESSIONS_MS: u64 = 10 * 86_400_000;

/// Makes the directory, readable by its owner only, or checks that it is one of this version.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Directory { path: path.to_owned(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    if has_format(path)? {
        return Ok(());
    }
    let (file, temporary) = (path.join("FORMAT"), path.join(TEMPORARY));
    write(path, &file, &temporary, FORMAT).and_then(|()| sync_parent(path)).map_err(failed)
}

/// Whether the directory is one of this version; false of one that is new.
fn has_format(path: &Path) -> Result<bool, OpenError> {
    let failed = |error| OpenError::Directory { path: path.to_owned(), error };
    let file = path.join("FORMAT");
    match fs::read(&file) {
        Ok(found) if found == FORMAT.as_bytes() => Ok(true),
        Ok(found) => {
            let found = String::from_utf8_lossy(&found);
            Err(OpenError::Format {
                path: path.to_owned(),
                found: found.lines().next().unwrap_or_default().chars().take(40).collect(),
                wanted: FORMAT.trim_end(),
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for entry in fs::read_dir(path).map_err(failed)? {
                // A crash may have left the file that is renamed to FORMAT.
                if entry.map_err(failed)?.file_name() != TEMPORARY {
                    return Err(OpenError::Foreign { path: path.to_owned() });
                }
            }
            Ok(false)
        }
        // Another path component is at fault.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(failed(error)),
        Err(error) => Err(OpenError::File { path: file, error }),
    }
}

/// Whether there is a data directory of this version. False of what a start would make one of: an empty
/// directory, or none where one can be made.
pub(super) fn is_there(path: &Path) -> Result<bool, OpenError> {
    match fs::metadata(path) {
        Ok(_) => {
            let is_there = has_format(path)?;
            may(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
            Ok(is_there)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent =
                path.ancestors().skip(1).find(|parent| is_named(parent) && parent.exists());
            may_make(path, parent.unwrap_or(Path::new(".")))?;
            Ok(false)
        }
        Err(error) => Err(OpenError::Directory { path: path.to_owned(), error }),
    }
}

/// Refuses a data directory whose files may not be used. A file may go at any time, if a server runs.
pub(super) fn may_be_used(path: &Path) -> Result<(), OpenError> {
    let (read, write, enter) = (Access::READ_OK, Access::WRITE_OK, Access::EXEC_OK);
    may_if_there(&path.join(SESSIONS), read)?;
    may_if_there(&path.join("rocksdb/LOCK"), read | write)?;
    for (name, access) in [("journal", read | write), ("rocksdb", read)] {
        let directory = path.join(name);
        may_if_there(&directory, read | write | enter)?;
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            may_if_there(&entry.path(), access)?;
        }
    }
    Ok(())
}

fn is_named(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

/// Refuses a directory that can't be made because its first parent that is there is none, or may not be
/// written to.
fn may_make(path: &Path, parent: &Path) -> Result<(), OpenError> {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let outcome = if parent.is_dir() {
        rustix::fs::access(parent, access).map_err(io::Error::from)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    };
    outcome.map_err(|error| OpenError::Unmade {
        path: path.to_owned(),
        parent: parent.to_owned(),
        error,
    })
}

fn may_if_there(path: &Path, access: Access) -> Result<(), OpenError> {
    match may(path, access) {
        Err(OpenError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn may(path: &Path, access: Access) -> Result<(), OpenError> {
    rustix::fs::access(path, access)
        .map_err(|error| OpenError::File { path: path.to_owned(), error: error.into() })
}

/// Whether a start ever got as far as to number its sessions: from then on clients may have come.
pub(super) fn was_started(path: &Path) -> bool {
    path.join(SESSIONS).exists()
}

/// The time from which this start numbers its sessions, in Unix milliseconds: not before the present,
/// and not before what any earlier start could have used, whatever the clock says now. The directory
/// must be open, so that nobody else asks.
pub fn begin_sessions(path: &Path) -> Result<u64, OpenError> {
    let file = path.join(SESSIONS);
    let failed = |error| OpenError::Sessions { path: file.clone(), error };
    let free_from_ms = match fs::read_to_string(&file) {
        Ok(text) => text
            .strip_suffix('\n')
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| failed(io::Error::other("it holds no number")))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let begin_ms = free_from_ms.max(now.as_millis() as u64);
    let text = format!("{}\n", begin_ms + SESSIONS_MS);
    write(path, &file, &path.join("SESSIONS.tmp"), &text).map_err(failed)?;
    Ok(begin_ms)
}

/// Replaces a file of the directory, whole and durably.
fn write(directory: &Path, file: &Path, temporary: &Path, text: &str) -> io::Result<()> {
    let mut out = fs::File::create(temporary)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(temporary, file)?;
    fs::File::open(directory)?.sync_all()
}

/// Makes the directory's own name durable; a bare one lies in the current directory.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match fs::File::open(parent.unwrap_or(Path::new("."))) {
        Ok(parent) => parent.sync_all(),
        // Who may not list it can't sync it either. It was there before us, or its owner made it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_sessions_of_its_own() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path();
        prepare(path).expect("prepare");
        let first = begin_sessions(path).expect("begin");
        assert!(first > 1_700_000_000_000, "the time is {first}");
        // The clock doesn't move in between, as far as this goes.
        assert_eq!(begin_sessions(path).expect("begin"), first + SESSIONS_MS);
        // It was years ahead at the last start.
        fs::write(path.join("SESSIONS"), "9000000000000\n").expect("write");
        assert_eq!(begin_sessions(path).expect("begin"), 9_000_000_000_000);
        prepare(path).expect("still a data directory");
        for damaged in ["", "9000000000000", "90000000x0000\n"] {
            fs::write(path.join("SESSIONS"), damaged).expect("write");
            let error = begin_sessions(path).expect_err("refused").to_string();
            assert!(error.contains("SESSIONS: it holds no number"), "{error}");
        }
    }
}
