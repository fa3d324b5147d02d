//! A small file system of our own, in a mount namespace that nobody else sees.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::process::geteuid;

use super::namespace::Holder;

/// Smallest piece of ballast, in bytes.
const PIECE_BYTES_MIN: u64 = 4_096;

/// See the module's description.
#[derive(Debug)]
pub struct Room {
    /// Keeps it mounted.
    _holder: Holder,
    path: PathBuf,
    kind: &'static str,
}

impl Room {
    /// Makes one of a size, in bytes, that uses a directory outside for what it needs: as root ext4 on
    /// a loop device, else a tmpfs in a user namespace. An error is a sentence that says what this
    /// machine refuses.
    pub fn make(directory: &Path, bytes: u64) -> Result<Room, String> {
        let (image, point) = (directory.join("image"), directory.join("room"));
        fs::create_dir_all(&point).map_err(|error| format!("no directory for it: {error}"))?;
        let (image, at) = (quoted(&image), quoted(&point));
        let tmpfs = format!("mount -t tmpfs -o size={bytes} torture {at}");
        let (kind, holder) = if geteuid().is_root() {
            let ext4 = format!(
                "truncate -s {bytes} {image}\nmkfs.ext4 -q -F -m 0 {image}\nmount -o loop {image} {at}"
            );
            let unshare = ["--mount", "--propagation", "private"];
            match Holder::start(&unshare, &ext4) {
                Ok(holder) => ("ext4", Ok(holder)),
                Err(why) => {
                    let holder = Holder::start(&unshare, &tmpfs);
                    ("tmpfs", holder.map_err(|second| format!("{why}; {second}")))
                }
            }
        } else {
            ("tmpfs", Holder::start(&["--user", "--map-root-user", "--mount"], &tmpfs))
        };
        let holder = holder.map_err(|why| format!("no file system can be mounted: {why}"))?;
        let path = holder.root().join(point.strip_prefix("/").unwrap_or(&point));
        Ok(Room { _holder: holder, path, kind })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its type.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Takes up room until so many bytes are left.
    pub fn fill(&self, left: u64) -> io::Result<()> {
        let ballast = File::options().append(true).create(true).open(self.ballast())?;
        let mut at = ballast.metadata()?.len();
        let mut piece = u64::MAX;
        while piece >= PIECE_BYTES_MIN {
            let room = statvfs(&self.path)?;
            piece = piece.min((room.f_bavail * room.f_frsize).saturating_sub(left));
            match fallocate(&ballast, FallocateFlags::empty(), at, piece.max(1)) {
                Ok(()) if piece == 0 => return Ok(()),
                Ok(()) => at += piece,
                // The file system needs some of it itself.
                Err(rustix::io::Errno::NOSPC) => piece /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

/// A path as one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_room_is_small_and_can_be_filled_and_cleared() {
        let directory = tempfile::Builder::new().prefix("what's new").tempdir().unwrap();
        let room = match Room::make(directory.path(), 16 << 20) {
            Ok(room) => room,
            Err(why) => {
                eprintln!("skipped: {why}");
                return;
            }
        };
        let write = |name: &str| {
            let mut file = File::create(room.path().join(name))?;
            file.write_all(&vec![1; 1 << 20])?;
            file.sync_all()
        };
        write("first").unwrap();
        room.fill(0).unwrap();
        assert_eq!(write("second").unwrap_err().kind(), io::ErrorKind::StorageFull);
        room.clear().unwrap();
        write("third").unwrap();
        let path = room.path().to_owned();
        drop(room);
        assert!(!path.exists(), "nothing stays mounted");
    }
}
