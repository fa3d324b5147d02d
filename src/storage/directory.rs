//! The data directory and its version.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::OpenError;

/// The version of everything in a data directory: keys, values, journal.
const FORMAT: &str = "fulmar data 2\n";
/// Name of the FORMAT file while it is written.
const TEMPORARY: &str = "FORMAT.tmp";

/// Makes the directory, readable by its owner only, or checks that it is one of this version.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Directory { path: path.to_owned(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let file = path.join("FORMAT");
    match fs::read_to_string(&file) {
        Ok(found) if found == FORMAT => Ok(()),
        Ok(found) => Err(OpenError::Format {
            path: path.to_owned(),
            found: found.lines().next().unwrap_or_default().chars().take(40).collect(),
            wanted: FORMAT.trim_end(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for entry in fs::read_dir(path).map_err(failed)? {
                // A crash may have left the file that is renamed to FORMAT.
                if entry.map_err(failed)?.file_name() != TEMPORARY {
                    return Err(OpenError::Foreign { path: path.to_owned() });
                }
            }
            write_format(path, &file).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn write_format(path: &Path, file: &Path) -> io::Result<()> {
    let temporary = path.join(TEMPORARY);
    let mut out = fs::File::create(&temporary)?;
    out.write_all(FORMAT.as_bytes())?;
    out.sync_all()?;
    fs::rename(&temporary, file)?;
    fs::File::open(path)?.sync_all()?;
    // The directory's own name; a bare one lies in the current directory.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match fs::File::open(parent.unwrap_or(Path::new("."))) {
        Ok(parent) => parent.sync_all(),
        // Who may not list it can't sync it either. It was there before us, or its owner made it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}
