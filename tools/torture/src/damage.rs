//! What may be wrong with a data directory: a power cut, a hole in what was synced, damaged files.
//!
//! Of the layout only names are known (src/storage/mod.rs): `FORMAT`, `SESSIONS`,
//! `journal/journal-NUMBER.log`, `rocksdb/`. What was synced is known from the layer under the server.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::limits::UNSYNCED_BYTES;
use crate::machine::layer::{Layer, Synced};

/// What a disk writes as a whole.
const SECTOR_BYTES: u64 = 512;
/// Length of a segment's header, in bytes. Nothing stands between it and the records.
const HEADER_BYTES: u64 = 36;
/// Where a segment's records begin.
const RECORDS_AT: u64 = 4_096;
/// Attempts to find a place where a wound changes something.
const TRIES_MAX: usize = 32;

/// A change of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wound {
    /// One bit is another.
    Flip {
        /// Of this byte.
        at: u64,
        /// From 0.
        bit: u8,
    },
    /// Bytes are zero.
    Zero {
        /// From here.
        at: u64,
        /// So many.
        bytes: u64,
    },
    /// Bytes are anything.
    Garbage {
        /// From here.
        at: u64,
        /// So many.
        bytes: u64,
        /// Of what they are.
        seed: u64,
    },
    /// The file ends here.
    Cut {
        /// So many bytes are left.
        at: u64,
    },
    /// The file is gone.
    Remove,
}

/// A wound and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, inside the data directory.
    pub file: PathBuf,
    /// What was done to it.
    pub wound: Wound,
}

impl Damage {
    /// The file's own name.
    pub fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        match self.wound {
            Wound::Flip { at, bit } => write!(f, "{file}: bit {bit} of byte {at} flipped"),
            Wound::Zero { at, bytes } => write!(f, "{file}: {bytes} bytes at {at} zeroed"),
            Wound::Garbage { at, bytes, .. } => write!(f, "{file}: {bytes} bytes at {at} garbled"),
            Wound::Cut { at } => write!(f, "{file}: cut at {at}"),
            Wound::Remove => write!(f, "{file}: removed"),
        }
    }
}

/// Changes a file; whether that made a difference.
pub fn wound(path: &Path, wound: Wound) -> io::Result<bool> {
    let file = File::options().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let replace = |at: u64, change: &mut dyn FnMut(&mut [u8]), bytes: u64| {
        let bytes = bytes.min(length.saturating_sub(at));
        let mut before = vec![0; bytes as usize];
        file.read_exact_at(&mut before, at)?;
        let mut after = before.clone();
        change(&mut after);
        file.write_all_at(&after, at)?;
        Ok(before != after)
    };
    match wound {
        Wound::Flip { at, bit } => {
            replace(at, &mut |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1 << bit), 1)
        }
        Wound::Zero { at, bytes } => replace(at, &mut |bytes| bytes.fill(0), bytes),
        Wound::Garbage { at, bytes, seed } => {
            let mut rng = Rng::with_seed(seed);
            replace(at, &mut |bytes| rng.fill(bytes), bytes)
        }
        Wound::Cut { at } => {
            file.set_len(at.min(length))?;
            Ok(at < length)
        }
        Wound::Remove => fs::remove_file(path).map(|()| true),
    }
}

/// Copies a directory and what is in it.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What the layer knows about the files of a data directory whose server is gone.
#[derive(Debug)]
pub struct Anatomy {
    /// Segments of the journal, the oldest first, with what was synced of each.
    segments: Vec<(PathBuf, Synced)>,
    /// RocksDB's files that the layer watched.
    tables: Vec<(PathBuf, Synced)>,
}

impl Anatomy {
    /// Looks at a data directory.
    pub fn read(data: &Path, layer: &mut Layer) -> io::Result<Anatomy> {
        let mut known = |directory: &str, wanted: &dyn Fn(&str) -> bool| {
            let mut found = Vec::new();
            for entry in fs::read_dir(data.join(directory))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let inode = entry.metadata()?.ino();
                if let (true, Some(synced)) = (wanted(&name), layer.synced(inode)?) {
                    found.push((Path::new(directory).join(name), synced));
                }
            }
            found.sort_by(|(a, _): &(PathBuf, Synced), (b, _)| a.cmp(b));
            Ok::<_, io::Error>(found)
        };
        let segments = known("journal", &|name| name.starts_with("journal-"))?;
        let tables = known("rocksdb", &|_| true)?;
        Ok(Anatomy { segments, tables })
    }

    /// Takes away, in `data`, what a power cut may take: bytes that were written and not synced. Says
    /// what was done.
    pub fn cut_power(&self, data: &Path, rng: &mut Rng) -> io::Result<String> {
        for (file, synced) in &self.tables {
            // Written from front to back, so the file may end anywhere behind what was synced.
            let path = data.join(file);
            let length = fs::metadata(&path)?.len();
            if length > synced.end {
                wound(&path, Wound::Cut { at: rng.u64(synced.end..=length) })?;
            }
        }
        let Some((file, synced)) = self.segments.last() else {
            return Ok("no segment was written".to_owned());
        };
        // A header and nothing else: records would follow at their place.
        let safe = if synced.end <= RECORDS_AT { RECORDS_AT } else { synced.end };
        let path = data.join(file);
        let length = fs::metadata(&path)?.len();
        let through = length.min(safe + UNSYNCED_BYTES);
        let at = rng.u64(safe..=through);
        let what = match rng.u8(0..4) {
            0 => {
                wound(&path, Wound::Cut { at })?;
                format!("cut at {at}")
            }
            1 => {
                wound(&path, Wound::Zero { at, bytes: length - at })?;
                format!("zeros from {at}")
            }
            way => {
                let lost = lose_sectors(&path, (safe, through), way == 2, rng)?;
                format!("{lost} sectors lost")
            }
        };
        Ok(format!("{}: {what}, synced up to {safe}", file.display()))
    }

    /// A hole in what was synced of the newest segment, with a later synced record behind it; `None`
    /// where there are no two records.
    pub fn hole(&self, data: &Path, rng: &mut Rng) -> io::Result<Option<Damage>> {
        let Some((file, synced)) = self.segments.last() else { return Ok(None) };
        if synced.begin <= RECORDS_AT {
            return Ok(None);
        }
        strike(data, file, rng, |rng| {
            let at = rng.u64(RECORDS_AT..synced.begin);
            inside(at, synced.begin, rng)
        })
    }

    /// Damages some file so that something is wrong that must be noticed. `None` if the file that
    /// was chosen offers no such place.
    ///
    /// Left out is what can't be noticed, as docs/decisions/0002-journal.md says: the very last record
    /// that was synced, and the newest segment as a whole.
    pub fn damage(&self, data: &Path, rng: &mut Rng) -> io::Result<Option<Damage>> {
        match rng.u8(0..13) {
            0..5 => self.damage_segment(data, rng),
            5..9 => damage_rocksdb(data, rng, |name| name.trim_end_matches(".sst") != name),
            9 => damage_rocksdb(data, rng, |name| name.starts_with("MANIFEST-")),
            10 => damage_rocksdb(data, rng, |name| name == "CURRENT"),
            way => {
                let file = Path::new(if way == 11 { "FORMAT" } else { "SESSIONS" });
                let length = fs::metadata(data.join(file))?.len();
                strike(data, file, rng, |rng| anything(length, rng))
            }
        }
    }

    fn damage_segment(&self, data: &Path, rng: &mut Rng) -> io::Result<Option<Damage>> {
        let Some(newest) = self.segments.len().checked_sub(1) else { return Ok(None) };
        let nth = rng.usize(0..=newest);
        let (file, synced) = &self.segments[nth];
        if nth == newest {
            let through = synced.begin.max(HEADER_BYTES);
            return strike(data, file, rng, |rng| {
                let at = place(through, rng);
                inside(at, if at < HEADER_BYTES { HEADER_BYTES } else { through }, rng)
            });
        }
        strike(data, file, rng, |rng| match rng.u8(0..6) {
            0 => Wound::Remove,
            1 => Wound::Cut { at: place(synced.end, rng) },
            _ => {
                let at = place(synced.end, rng);
                inside(at, if at < HEADER_BYTES { HEADER_BYTES } else { synced.end }, rng)
            }
        })
    }
}

/// Damages one of RocksDB's files.
fn damage_rocksdb(
    data: &Path,
    rng: &mut Rng,
    wanted: impl Fn(&str) -> bool,
) -> io::Result<Option<Damage>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data.join("rocksdb"))? {
        let entry = entry?;
        if wanted(&entry.file_name().to_string_lossy()) {
            found.push((Path::new("rocksdb").join(entry.file_name()), entry.metadata()?.len()));
        }
    }
    found.sort();
    let Some((file, length)) = rng.choice(&found).cloned() else { return Ok(None) };
    strike(data, &file, rng, |rng| anything(length, rng))
}

/// A place in a segment's used bytes: in its header, or in its records.
fn place(through: u64, rng: &mut Rng) -> u64 {
    if through <= RECORDS_AT || rng.u8(0..10) == 0 {
        rng.u64(0..HEADER_BYTES)
    } else {
        rng.u64(RECORDS_AT..through)
    }
}

/// A wound that begins at `at` and ends before `through`.
fn inside(at: u64, through: u64, rng: &mut Rng) -> Wound {
    let bytes = rng.u64(1..=(through - at).min(3 * SECTOR_BYTES));
    match rng.u8(0..3) {
        0 => Wound::Flip { at, bit: rng.u8(0..8) },
        1 => Wound::Zero { at, bytes },
        _ => Wound::Garbage { at, bytes, seed: rng.u64(..) },
    }
}

fn anything(length: u64, rng: &mut Rng) -> Wound {
    let at = rng.u64(0..length.max(1));
    match rng.u8(0..8) {
        0 => Wound::Remove,
        1 => Wound::Cut { at },
        _ => inside(at, length.max(1), rng),
    }
}

/// Wounds a file until something has changed.
fn strike(
    data: &Path,
    file: &Path,
    rng: &mut Rng,
    mut draw: impl FnMut(&mut Rng) -> Wound,
) -> io::Result<Option<Damage>> {
    for _ in 0..TRIES_MAX {
        let drawn = draw(rng);
        if wound(&data.join(file), drawn)? {
            return Ok(Some(Damage { file: file.to_owned(), wound: drawn }));
        }
    }
    Ok(None)
}

/// Some of the sectors in a range of bytes never reached the disk: they hold zeros, or anything. What
/// of a sector lies before the range stays. Returns how many were lost.
fn lose_sectors(
    path: &Path,
    (from, through): (u64, u64),
    zeros: bool,
    rng: &mut Rng,
) -> io::Result<u64> {
    let mut lost = 0;
    let mut at = from;
    while at < through {
        let next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let bytes = next.min(through) - at;
        if rng.bool() {
            let seed = rng.u64(..);
            let drawn =
                if zeros { Wound::Zero { at, bytes } } else { Wound::Garbage { at, bytes, seed } };
            lost += u64::from(wound(path, drawn)?);
        }
        at = next;
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, bytes).unwrap();
        (directory, path)
    }

    #[test]
    fn wounds_do_what_they_say() {
        let cases: [(Wound, &[u8], bool); 6] = [
            (Wound::Flip { at: 1, bit: 0 }, b"acc", true),
            (Wound::Zero { at: 1, bytes: 9 }, b"a\0\0", true),
            (Wound::Zero { at: 1, bytes: 0 }, b"abc", false),
            (Wound::Cut { at: 2 }, b"ab", true),
            (Wound::Cut { at: 3 }, b"abc", false),
            (Wound::Garbage { at: 3, bytes: 5, seed: 1 }, b"abc", false),
        ];
        for (drawn, expected, changes) in cases {
            let (_directory, path) = file(b"abc");
            assert_eq!(wound(&path, drawn).unwrap(), changes, "{drawn:?}");
            assert_eq!(fs::read(&path).unwrap(), expected, "{drawn:?}");
        }
        let (_directory, path) = file(b"abc");
        assert!(wound(&path, Wound::Remove).unwrap() && !path.exists());
    }

    #[test]
    fn a_power_cut_leaves_what_was_synced() {
        let mut rng = Rng::with_seed(1);
        for synced in [0, 36, 5_000, 70_000] {
            for _ in 0..50 {
                let directory = tempfile::tempdir().unwrap();
                let data = directory.path();
                fs::create_dir_all(data.join("journal")).unwrap();
                fs::create_dir_all(data.join("rocksdb")).unwrap();
                let segment = PathBuf::from("journal/journal-000000000001.log");
                let table = PathBuf::from("rocksdb/000009.sst");
                let bytes = vec![7; 80_000];
                fs::write(data.join(&segment), &bytes).unwrap();
                fs::write(data.join(&table), &bytes).unwrap();
                let known = Synced { begin: 0, end: synced };
                let anatomy = Anatomy {
                    segments: vec![(segment.clone(), known)],
                    tables: vec![(table.clone(), known)],
                };
                anatomy.cut_power(data, &mut rng).unwrap();
                let safe = synced as usize;
                assert_eq!(fs::read(data.join(&table)).unwrap()[..safe], bytes[..safe]);
                let left = fs::read(data.join(&segment)).unwrap();
                let safe = safe.max(RECORDS_AT as usize);
                assert_eq!(left[..safe], bytes[..safe]);
            }
        }
    }

    #[test]
    fn a_hole_lies_before_the_last_synced_record() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..200 {
            let directory = tempfile::tempdir().unwrap();
            let data = directory.path();
            fs::create_dir_all(data.join("journal")).unwrap();
            let segment = PathBuf::from("journal/journal-000000000001.log");
            let bytes = vec![7; 20_000];
            fs::write(data.join(&segment), &bytes).unwrap();
            let known = Synced { begin: 9_000, end: 9_500 };
            let anatomy = Anatomy { segments: vec![(segment.clone(), known)], tables: Vec::new() };
            assert!(anatomy.hole(data, &mut rng).unwrap().is_some());
            let left = fs::read(data.join(&segment)).unwrap();
            assert_eq!(left[..RECORDS_AT as usize], bytes[..RECORDS_AT as usize]);
            assert_eq!(left[9_000..], bytes[9_000..]);
            assert_ne!(left, bytes);
        }
    }
}
