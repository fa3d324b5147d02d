//! What a data directory promises when the disk, the file system or the process fails: everything that was
//! committed is there, or the directory is refused, or the read fails, each time with the file's name.
//! Never less without a word, and never a wrong value.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use fulmar::shard::seam::{ConnId, Key, Load, Loaded, LogId, Write};
use fulmar::storage::journal::JournalOptions;
use fulmar::storage::{self, Durability, JournalError, Options, Reader, Store};
use tempfile::TempDir;

#[path = "storage/groups.rs"]
mod groups;

const INBOX: LogId = LogId::Inbox(7);
/// Where the records of a segment begin.
const RECORDS_AT: u64 = 4_096;

fn options(segment_bytes: u64) -> Options {
    Options {
        durability: Durability::Fsync,
        write_buffer_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        expiry: None,
        journal: JournalOptions { segment_bytes, segments_kept: 1, segments_max: 4 },
    }
}

/// The value of an entry, which can be told from that of any other. Sizes differ widely.
fn value(position: u64) -> Bytes {
    let len = [9, 60, 500, 3_000][position as usize % 4];
    let mut value = (position << 20).to_le_bytes().to_vec();
    value.extend((0..len).map(|nth| (position * 31 + nth) as u8));
    value.into()
}

/// Commits one entry and what goes with it; returns the bytes appended.
fn commit(store: &mut Store, position: u64) -> Result<u64, JournalError> {
    commit_to(INBOX, store, position)
}

fn commit_to(log: LogId, store: &mut Store, position: u64) -> Result<u64, JournalError> {
    let writes = [
        Write::Put { key: Key::Entry { log, position }, value: value(position) },
        Write::Put { key: Key::Conversation { log, peer: 1 }, value: value(position) },
    ];
    store.committer.commit(writes.iter()).map(|commit| commit.bytes)
}

/// The user's last position, once every entry up to it has been read and compared.
fn head(reader: &Reader) -> Result<u64, JournalError> {
    head_of(INBOX, reader)
}

fn head_of(log: LogId, reader: &Reader) -> Result<u64, JournalError> {
    let conn = ConnId { slot: 0, generation: 0 };
    let mut head = 0;
    loop {
        let (from, through) = (head + 1, u64::MAX - 1);
        let wanted =
            Load::Entries { log, conn, from, through, entries_max: 100, bytes_max: 1 << 20 };
        let Loaded::Entries { entries, through: reached, .. } = reader.load(wanted)? else {
            panic!("not entries");
        };
        for (position, found) in entries {
            assert_eq!((position, found), (head + 1, value(head + 1)), "a hole or a wrong value");
            head += 1;
        }
        if reached == through {
            break;
        }
    }
    let load = Load::Log { log, expire_through_ms: 0 };
    let Loaded::Log { last, .. } = reader.load(load)? else { panic!("not a log") };
    assert_eq!(last, (head > 0).then(|| (head, value(head))));
    let load = Load::Conversation { log, peer: 1 };
    let Loaded::Conversation { record, .. } = reader.load(load)? else { panic!("no conversation") };
    assert_eq!(record, (head > 0).then(|| value(head)));
    Ok(head)
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The files below a directory.
fn listed(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.extend(listed(&entry.path())?);
        }
        all.insert(entry.path());
    }
    Ok(all)
}

/// A copy of a data directory, as a crash leaves it. The database makes and deletes files in the background; a copy
/// during which it did shows two moments, and is made anew.
fn copied(from: &Path) -> TempDir {
    for _ in 0..100 {
        let directory = tempfile::tempdir().expect("directory");
        let before = listed(from);
        let copy = copy_directory(from, directory.path());
        let vanished = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        match (copy, before, listed(from)) {
            (Ok(()), Ok(before), Ok(after)) if before == after => return directory,
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) if !vanished(&error) => {
                panic!("copy: {error}")
            }
            _ => {}
        }
    }
    panic!("{} doesn't come to rest", from.display());
}

fn segment(data: &Path, number: u64) -> PathBuf {
    data.join(format!("journal/journal-{number:012}.log"))
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .expect("directory")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}

fn flip(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).expect("file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("read");
    byte[0] ^= 0x10;
    file.write_all_at(&byte, at).expect("write");
}

/// A data directory with one segment of records, and where each record ends.
fn one_segment(records: u64) -> (TempDir, Vec<u64>) {
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(1 << 17)).expect("open");
    let (mut ends, mut end) = (Vec::new(), RECORDS_AT);
    for position in 1..=records {
        end += commit(&mut store, position).expect("commit");
        ends.push(end);
    }
    (data, ends)
}

/// Places worth damaging: around each end of a record, and some in between.
fn places(ends: &[u64]) -> Vec<u64> {
    let mut places: Vec<u64> =
        ends.iter().flat_map(|end| [end - 9, end - 1, end + 1, end + 33]).collect();
    places.extend(ends.windows(2).map(|pair| u64::midpoint(pair[0], pair[1])));
    places.extend([0, 17, 30, RECORDS_AT - 1, RECORDS_AT]);
    places.retain(|place| place <= ends.last().expect("an end"));
    places
}

#[test]
fn what_was_synced_before_a_cut_is_there() {
    let (data, ends) = one_segment(12);
    let whole = fs::read(segment(data.path(), 1)).expect("segment");
    for cut in places(&ends) {
        for is_truncated in [true, false] {
            let copy = copied(data.path());
            let mut bytes = whole.clone();
            if is_truncated {
                bytes.truncate(cut as usize);
            } else {
                bytes[cut as usize..].fill(0);
            }
            fs::write(segment(copy.path(), 1), &bytes).expect("write");
            match storage::open(copy.path(), &options(1 << 17)) {
                Ok(store) => {
                    let before = ends.iter().filter(|&&end| end <= cut).count() as u64;
                    let head = head(&store.reader).expect("read");
                    // The last bytes of a record may be padding.
                    assert!(
                        (before..=before + 1).contains(&head),
                        "cut {cut}: {head}, not {before}"
                    );
                    assert!(cut >= 36, "a segment without a header was taken for one");
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(cut < RECORDS_AT, "cut {cut}: {error}");
                    assert!(error.contains("journal-000000000001.log"), "{error}");
                }
            }
        }
    }
}

#[test]
fn damage_in_the_middle_of_the_journal_is_refused_by_name() {
    let (data, ends) = one_segment(12);
    let last_begins = ends[ends.len() - 2];
    let mut refused = 0;
    for at in places(&ends).into_iter().filter(|&at| at < last_begins) {
        let copy = copied(data.path());
        flip(&segment(copy.path(), 1), at);
        match storage::open(copy.path(), &options(1 << 17)) {
            // Bytes that carry nothing: padding, and the rest of the first block.
            Ok(store) => assert_eq!(head(&store.reader).expect("read"), 12, "flip at {at}"),
            Err(error) => {
                refused += 1;
                let error = error.to_string();
                assert!(error.contains("journal-000000000001.log"), "{error}");
            }
        }
    }
    assert!(refused > 20, "{refused}");
    // A lost sector is no torn end.
    let copy = copied(data.path());
    let file = fs::OpenOptions::new().write(true).open(segment(copy.path(), 1)).expect("file");
    file.write_all_at(&[0; 512], RECORDS_AT + 512).expect("write");
    let error = storage::open(copy.path(), &options(1 << 17)).expect_err("refused").to_string();
    assert!(error.contains("journal-000000000001.log is damaged"), "{error}");
}

#[test]
fn a_message_that_looks_like_a_record_stops_nothing() {
    let (forger, _) = one_segment(12);
    let records = fs::read(segment(forger.path(), 1)).expect("segment");
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(1 << 18)).expect("open");
    let first = commit(&mut store, 1).expect("commit");
    // Records of higher sequences, at every alignment, in a commit that is torn.
    let mut body = 0u64.to_le_bytes().to_vec();
    for shift in 0..8 {
        body.resize(body.len().next_multiple_of(8) + shift, 0);
        body.extend_from_slice(&records[RECORDS_AT as usize..][..12_000]);
    }
    let key = Key::Entry { log: INBOX, position: 2 };
    store.committer.commit([Write::Put { key, value: body.into() }].iter()).expect("commit");
    drop(store);
    flip(&segment(data.path(), 1), RECORDS_AT + first + 60);
    let store = storage::open(data.path(), &options(1 << 18)).expect("open");
    assert_eq!(head(&store.reader).expect("read"), 1);
}

#[test]
fn a_deleted_segment_is_refused_by_name() {
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(16 << 10)).expect("open");
    let mut position = 0;
    while !segment(data.path(), 4).exists() {
        position += 1;
        commit(&mut store, position).expect("commit");
    }
    store.drain.drain_oldest(0).expect("drain");
    drop(store);
    let copy = copied(data.path());
    fs::remove_dir_all(copy.path().join("journal")).expect("remove");
    let error = storage::open(copy.path(), &options(16 << 10)).expect_err("refused").to_string();
    assert!(error.contains("is missing"), "{error}");
    let copy = copied(data.path());
    fs::remove_file(segment(copy.path(), 3)).expect("remove");
    let error = storage::open(copy.path(), &options(16 << 10)).expect_err("refused").to_string();
    assert!(error.contains("journal-000000000003.log"), "{error}");
    let store = storage::open(data.path(), &options(16 << 10)).expect("open");
    assert_eq!(head(&store.reader).expect("read"), position);
}

#[test]
fn opening_again_and_again_makes_nothing_longer() {
    let (data, ends) = one_segment(12);
    for _ in 0..5 {
        let store = storage::open(data.path(), &options(1 << 17)).expect("open");
        assert_eq!(head(&store.reader).expect("read"), ends.len() as u64);
    }
    assert_eq!(files(&data.path().join("journal"), "log").len(), 2);
    assert_eq!(files(&data.path().join("journal"), "tmp").len(), 0);
}

#[test]
fn damage_to_a_full_segment_is_seen_by_readers_and_stops_the_drain() {
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(16 << 10)).expect("open");
    let mut position = 0;
    while !segment(data.path(), 2).exists() {
        position += 1;
        commit(&mut store, position).expect("commit");
    }
    assert_eq!(head(&store.reader).expect("read"), position);
    for at in (5_000..14_000).step_by(1_000) {
        flip(&segment(data.path(), 1), at);
    }
    let error = head(&store.reader).expect_err("no wrong value").to_string();
    assert!(error.contains("journal-000000000001.log is damaged"), "{error}");
    let error = store.drain.drain_oldest(0).expect_err("refused").to_string();
    assert!(error.contains("journal-000000000001.log is damaged"), "{error}");
    assert!(segment(data.path(), 1).exists());
}

#[test]
fn a_flipped_byte_in_a_table_is_never_a_wrong_value() {
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(64 << 10)).expect("open");
    let mut position = 0;
    while !segment(data.path(), 4).exists() {
        position += 1;
        commit(&mut store, position).expect("commit");
    }
    for _ in 0..3 {
        store.drain.drain_oldest(0).expect("drain");
    }
    drop(store);
    let tables = files(&data.path().join("rocksdb"), "sst");
    assert!(tables.len() >= 2, "{tables:?}");
    let mut detected = 0;
    for table in &tables {
        let bytes = fs::metadata(table).expect("table").len();
        for at in (0..bytes).step_by(bytes as usize / 12).chain([bytes - 1, bytes - 30, bytes - 60])
        {
            let copy = copied(data.path());
            flip(&copy.path().join("rocksdb").join(table.file_name().expect("name")), at);
            let outcome = storage::open(copy.path(), &options(64 << 10))
                .map_err(|error| error.to_string())
                .and_then(|store| head(&store.reader).map_err(|error| error.to_string()));
            match outcome {
                Ok(head) => assert_eq!(head, position, "flip at {at} of {}", table.display()),
                Err(error) => {
                    detected += 1;
                    // Opening a table whose properties don't parse, RocksDB names the list of tables.
                    let is_named =
                        error.contains(".sst") || error.contains("a table that it lists");
                    assert!(is_named, "flip at {at} of {bytes}: {error}");
                }
            }
        }
    }
    assert!(detected > tables.len() * 5, "{detected}");
}

/// A data directory from which a few segments were carried over, and its head.
fn drained_directory() -> (TempDir, u64) {
    let data = tempfile::tempdir().expect("directory");
    let mut store = storage::open(data.path(), &options(16 << 10)).expect("open");
    let mut position = 0;
    while !segment(data.path(), 6).exists() {
        position += 1;
        commit(&mut store, position).expect("commit");
        if position % 10 == 0 && segment(data.path(), 4).exists() {
            store.drain.drain_oldest(0).expect("drain");
        }
    }
    (data, position)
}

/// The head of what a directory holds, or why it is refused.
fn opened(data: &Path) -> Result<u64, String> {
    let store = storage::open(data, &options(16 << 10)).map_err(|error| error.to_string())?;
    head(&store.reader).map_err(|error| error.to_string())
}

#[test]
fn a_list_of_files_that_lost_its_end_is_refused() {
    let (data, position) = drained_directory();
    let manifests = fs::read_dir(data.path().join("rocksdb")).expect("directory").flatten();
    let manifest = manifests
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("MANIFEST-"))
        .expect("a manifest");
    let bytes = fs::metadata(&manifest).expect("manifest").len();
    let mut refused = 0;
    for cut in (0..bytes).step_by(17) {
        let copy = copied(data.path());
        let path = copy.path().join("rocksdb").join(manifest.file_name().expect("name"));
        fs::File::options().write(true).open(path).expect("open").set_len(cut).expect("cut");
        match opened(copy.path()) {
            Ok(head) => assert_eq!(head, position, "cut at {cut} of {bytes}"),
            Err(error) => {
                refused += 1;
                assert!(error.contains("MANIFEST"), "cut at {cut} of {bytes}: {error}");
            }
        }
    }
    assert!(refused > 10, "{refused}");
    assert_eq!(opened(data.path()), Ok(position));
}

#[test]
fn a_damaged_format_is_refused_by_name() {
    let (data, _) = one_segment(1);
    let file = data.path().join("FORMAT");
    let bytes = fs::read(&file).expect("FORMAT");
    // Not text any more, another version, cut, empty.
    for damaged in [&b"fulmar \xff"[..], b"fulmar data 9\n", &bytes[..5], b""] {
        fs::write(&file, damaged).expect("write");
        let error = opened(data.path()).expect_err("refused");
        assert!(error.contains("FORMAT"), "{error}");
    }
    fs::remove_file(&file).expect("remove");
    let error = opened(data.path()).expect_err("refused");
    assert!(error.contains("has no FORMAT file"), "{error}");
}

#[test]
fn a_database_that_forgot_everything_is_refused() {
    let (data, _) = drained_directory();
    let copy = copied(data.path());
    fs::remove_file(copy.path().join("rocksdb/CURRENT")).expect("remove");
    let error = opened(copy.path()).expect_err("refused");
    assert!(error.contains("rocksdb/CURRENT is missing"), "{error}");
    // One that was made anew isn't the one that has what left the journal.
    let fresh = tempfile::tempdir().expect("directory");
    drop(storage::open(fresh.path(), &options(16 << 10)).expect("open"));
    fs::remove_dir_all(data.path().join("rocksdb")).expect("remove");
    copy_directory(&fresh.path().join("rocksdb"), &data.path().join("rocksdb")).expect("copy");
    let error = opened(data.path()).expect_err("refused");
    assert!(error.contains("journal-000000000001.log is gone"), "{error}");
}

#[test]
fn the_oldest_segment_is_missed() {
    let (data, _) = drained_directory();
    let oldest = files(&data.path().join("journal"), "log").remove(0);
    fs::remove_file(&oldest).expect("remove");
    let error = opened(data.path()).expect_err("refused");
    assert!(error.contains(oldest.to_str().expect("text")), "{error}");
}

#[test]
fn one_of_two_opens_is_refused() {
    let data = tempfile::tempdir().expect("directory");
    let path = data.path().join("data");
    drop(storage::open(&path, &options(1 << 16)).expect("open"));
    let open = || storage::open(&path, &options(1 << 16)).map_err(|error| error.to_string());
    let outcomes = std::thread::scope(|scope| {
        let other = scope.spawn(open);
        [open(), other.join().expect("no panic")]
    });
    let refused: Vec<&String> = outcomes.iter().filter_map(|open| open.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains("another process"), "{refused:?}");
}

const CHILD: &str = "FULMAR_TEST_CRASHING_CHILD";

/// Not a test of its own: the process that the next one kills. Commits, trims and drains as fast as it
/// can, and prints each position once it is durable.
#[test]
fn crashing_child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let Store { mut committer, reader, drain } =
        storage::open(Path::new(&path), &options(64 << 10)).expect("open");
    let mut position = head(&reader).expect("read");
    std::thread::spawn(move || drain.run().expect("drain"));
    let mut out = std::io::stdout().lock();
    loop {
        position += 1;
        let writes = [
            Write::Put { key: Key::Entry { log: INBOX, position }, value: value(position) },
            Write::Put { key: Key::Conversation { log: INBOX, peer: 1 }, value: value(position) },
        ];
        committer.commit(writes.iter()).expect("commit");
        writeln!(out, "{position}").expect("write");
    }
}

#[test]
fn what_a_killed_process_committed_is_there() {
    let data = tempfile::tempdir().expect("directory");
    let path = data.path().join("data");
    let mut committed = 0;
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["--exact", "crashing_child", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut positions = lines.map_while(Result::ok).filter_map(|line| line.parse().ok());
        let wanted = committed + 150 + round * 37;
        while committed < wanted {
            committed = positions.next().expect("the child goes on until it is killed");
        }
        child.kill().expect("kill");
        committed = positions.last().unwrap_or(committed);
        child.wait().expect("wait");
        let store = storage::open(&path, &options(64 << 10)).expect("open");
        let head = head(&store.reader).expect("read");
        assert!((committed..=committed + 1).contains(&head), "{head}, not {committed}");
    }
}

/// A small file system of its own, until it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<SmallDisk> {
        let directory = tempfile::tempdir().expect("directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(SmallDisk(directory));
        }
        eprintln!("SKIPPED: no file system may be mounted here, so none can be filled");
        None
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Leaves no more than this many bytes free.
    fn fill_up_to(&self, free: u64) {
        let path = self.0.path().join("ballast");
        let mut ballast = fs::File::create(&path).expect("ballast");
        while ballast.write_all(&[1; 4_096]).is_ok() {}
        let filled = ballast.metadata().expect("ballast").len();
        ballast.set_len(filled.saturating_sub(free)).expect("shrink");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_to_who_commits() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let mut store = storage::open(&disk.data(), &options(64 << 10)).expect("open");
    disk.fill_up_to(100 << 10);
    let mut position = 0;
    let error = loop {
        position += 1;
        assert!(position < 1_000, "the disk never gets full");
        if let Err(error) = commit(&mut store, position) {
            break error.to_string();
        }
    };
    assert!(error.contains("journal") && error.contains("No space left"), "{error}");
    fs::remove_file(disk.0.path().join("ballast")).expect("remove");
    drop(store);
    let store = storage::open(&disk.data(), &options(64 << 10)).expect("open");
    assert_eq!(head(&store.reader).expect("read"), position - 1);
}

#[test]
fn a_full_disk_is_told_to_who_drains_and_stops_the_commits() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let Store { mut committer, reader, drain } =
        storage::open(&disk.data(), &options(256 << 10)).expect("open");
    let mut position = 0;
    let mut commit = move || {
        position += 1;
        let key = Key::Entry { log: INBOX, position };
        let value = value(position);
        committer.commit([Write::Put { key, value }].iter()).map(|_| position)
    };
    while !segment(&disk.data(), 3).exists() {
        commit().expect("commit");
    }
    disk.fill_up_to(8 << 10);
    let (outcome, told) = mpsc::channel();
    let thread = std::thread::spawn(move || outcome.send(drain.run()));
    let error = told
        .recv_timeout(Duration::from_secs(10))
        .expect("the drain doesn't hang")
        .expect_err("the drain fails")
        .to_string();
    assert!(error.contains("No space left"), "{error}");
    thread.join().expect("no panic").expect("told");
    let error = (0..2_000).find_map(|_| commit().err()).expect("commits stop").to_string();
    assert!(error.contains("could not be carried over"), "{error}");
    drop(reader);
}
