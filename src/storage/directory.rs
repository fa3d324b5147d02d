//! The data directory and its version.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::OpenError;

/// The version of everything in a data directory: keys, values, journal.
const FORMAT: &str = "fulmar data 1\n";

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
            if fs::read_dir(path).map_err(failed)?.next().is_some() {
                return Err(OpenError::Foreign { path: path.to_owned() });
            }
            write_format(path, &file).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn write_format(path: &Path, file: &Path) -> io::Result<()> {
    let temporary = path.join("FORMAT.tmp");
    let mut out = fs::File::create(&temporary)?;
    out.write_all(FORMAT.as_bytes())?;
    out.sync_all()?;
    fs::rename(&temporary, file)?;
    fs::File::open(path)?.sync_all()
}
