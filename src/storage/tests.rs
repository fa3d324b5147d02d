//! RocksDB and the simulated database answer alike, and a data directory is what it says.

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::shard::seam::{ConnId, Key, LogId};

fn options() -> Options {
    Options {
        durability: Durability::Os,
        write_buffer_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        expiry: None,
        journal: journal::JournalOptions {
            segment_bytes: 1 << 16,
            ..journal::JournalOptions::default()
        },
    }
}

fn rocks(options: &Options) -> (TempDir, Rocks) {
    let directory = tempfile::tempdir().expect("directory");
    let rocks = Rocks::open(directory.path(), options).expect("open");
    (directory, rocks)
}

/// A value of an entry taken at `time_ms`.
fn value(time_ms: u64, bytes: usize) -> Bytes {
    let mut value = time_ms.to_le_bytes().to_vec();
    value.resize(8 + bytes, 7);
    value.into()
}

fn any_write() -> impl Strategy<Value = Write> {
    let log = (1u64..4, any::<bool>())
        .prop_map(|(id, is_group)| if is_group { LogId::Group(id) } else { LogId::Inbox(id) });
    prop_oneof![
        4 => (log.clone(), 1u64..60, 0u64..1_000, 0usize..100).prop_map(|(log, position, time, len)| {
            Write::Put { key: Key::Entry { log, position }, value: value(time, len) }
        }),
        1 => (log.clone(), 1u64..60, 0u64..20).prop_map(|(log, from, more)| {
            Write::Trim { log, from, through: from + more }
        }),
        1 => (log.clone(), 1u64..4, 0usize..40).prop_map(|(log, peer, len)| {
            Write::Put { key: Key::Conversation { log, peer }, value: value(0, len) }
        }),
        1 => (1u64..4, 0usize..40).prop_map(|(user, len)| {
            Write::Put { key: Key::Presence { user }, value: value(0, len) }
        }),
        1 => (1u64..4, 0usize..40).prop_map(|(user, len)| {
            Write::Put { key: Key::Book { user }, value: value(0, len) }
        }),
        1 => (1u64..4, 0usize..40).prop_map(|(hash, len)| {
            Write::Put { key: Key::Name { hash }, value: value(0, len) }
        }),
        1 => (log, 0usize..40).prop_map(|(log, len)| {
            Write::Put { key: Key::State { log }, value: value(0, len) }
        }),
    ]
}

fn loads() -> Vec<Load> {
    let conn = ConnId { slot: 1, generation: 2 };
    let mut loads = Vec::new();
    for log in (1..4).flat_map(|id| [LogId::Inbox(id), LogId::Group(id)]) {
        for peer in 1..4 {
            loads.push(Load::Conversation { log, peer });
        }
        loads.extend(log.user().into_iter().flat_map(|user| {
            [Load::Presence { user }, Load::Book { user }, Load::Name { hash: user }]
        }));
        for position in [0, 1, 7, 30, u64::MAX] {
            loads.push(Load::Entry { log, position });
        }
        for expire_through_ms in [0, 300, 2_000] {
            loads.push(Load::Log { log, expire_through_ms });
        }
        for (from, through, entries_max, bytes_max) in [
            (1, 80, 1_000, 1 << 20),
            (10, 20, 3, 1 << 20),
            (1, 80, 1_000, 150),
            (1, u64::MAX, 5, 1),
        ] {
            loads.push(Load::Entries { log, conn, from, through, entries_max, bytes_max });
            for newest_first in [false, true] {
                loads.push(Load::Page {
                    log,
                    conn,
                    from,
                    through,
                    newest_first,
                    entries_max,
                    bytes_max,
                });
            }
        }
    }
    loads
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn rocksdb_answers_as_the_simulated_database_does(
        batches in proptest::collection::vec(proptest::collection::vec(any_write(), 1..40), 1..12),
    ) {
        let ((_directory, rocks), disk) = (rocks(&options()), SimulatedDatabase::default());
        for (round, batch) in batches.iter().enumerate() {
            rocks.apply(batch).expect("apply");
            disk.apply(batch).expect("apply");
            if round % 3 == 0 {
                rocks.flush().expect("flush");
                disk.flush().expect("flush");
            }
            for load in loads() {
                let (got, expected) = (rocks.load(load).expect("load"), disk.load(load).expect("load"));
                prop_assert_eq!(got, expected);
            }
            prop_assert_eq!(rocks.group_heads().expect("heads"), disk.group_heads().expect("heads"));
        }
    }

    #[test]
    fn rocksdb_forgets_what_the_simulated_database_forgets(
        batches in proptest::collection::vec(proptest::collection::vec(any_write(), 1..40), 1..8),
    ) {
        let options = Options { expiry: Some(Duration::from_secs(24 * 3_600)), ..options() };
        let ((_directory, rocks), disk) = (rocks(&options), SimulatedDatabase::default());
        for mut batch in batches {
            batch.iter_mut().for_each(keep_every_third);
            rocks.apply(&batch).expect("apply");
            disk.apply(&batch).expect("apply");
            rocks.flush().expect("flush");
            disk.flush().expect("flush");
        }
        rocks.compact().expect("compact");
        disk.expire(u64::MAX - 1);
        for load in loads() {
            let (got, expected) = (rocks.load(load).expect("load"), disk.load(load).expect("load"));
            prop_assert_eq!(got, expected);
        }
        prop_assert_eq!(rocks.group_heads().expect("heads"), disk.group_heads().expect("heads"));
    }
}

/// Lets an entry at every third position never expire. All others have.
fn keep_every_third(write: &mut Write) {
    if let Write::Put { key: Key::Entry { position, .. }, value: kept } = write
        && *position % 3 == 0
    {
        *kept = value(u64::MAX, 5);
    }
}

#[test]
fn the_last_position_survives_the_expiry_of_its_entry() {
    let options = Options { expiry: Some(Duration::from_secs(1)), ..options() };
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("data");
    let logs = [(LogId::Inbox(1), 3), (LogId::Group(1), 5)];
    let found = |store: &Store| {
        logs.map(|(log, _)| {
            let load = Load::Log { log, expire_through_ms: 0 };
            let Loaded::Log { last, head, .. } = store.reader.load(load).expect("load") else {
                panic!("a log")
            };
            (last.map(|(position, _)| position), head)
        })
    };
    let mut store = open(&path, &options).expect("open");
    for (log, head) in logs {
        for position in 1..=head {
            let entry = Write::Put { key: Key::Entry { log, position }, value: value(9, 9) };
            store.committer.commit([entry].iter()).expect("commit");
        }
    }
    drop(store);
    let store = open(&path, &options).expect("open");
    assert_eq!(found(&store), [(Some(3), 3), (Some(5), 5)]);
    store.drain.drain_oldest(super::entry::now_ms()).expect("drain");
    drop(store);
    let rocks = Rocks::open(&path.join("rocksdb"), &options).expect("open");
    rocks.compact().expect("compact");
    drop(rocks);
    let store = open(&path, &options).expect("open");
    assert_eq!(found(&store), [(None, 3), (None, 5)]);
    assert_eq!(store.reader.group_heads().expect("heads"), [(1, 5)]);
}

/// A value of an entry that is over at `over_ms`.
fn disappearing(over_ms: u64) -> Bytes {
    let mut value = 9_u64.to_le_bytes().to_vec();
    value.push(crate::shard::seam::FLAG_OVER);
    value.extend_from_slice(&over_ms.to_le_bytes());
    value.extend_from_slice(b"the rest");
    value.into()
}

fn positions(reader: &Reader, log: LogId) -> Vec<u64> {
    let conn = ConnId { slot: 0, generation: 0 };
    let (from, through, entries_max, bytes_max) = (1, 100, 100, u32::MAX);
    let load = Load::Entries { log, conn, from, through, entries_max, bytes_max };
    let Loaded::Entries { entries, .. } = reader.load(load).expect("load") else {
        panic!("entries")
    };
    entries.into_iter().map(|(position, _)| position).collect()
}

/// Neither drain nor compaction keeps an entry whose own time is over, whatever the retention; and the drain
/// tells the database of its position, which is never used again.
#[test]
fn what_is_over_is_neither_carried_over_nor_kept() {
    let never_ms = u64::MAX;
    // A slow disk has done everything up to the look after the drain by then.
    let soon_ms = super::entry::now_ms() + 5_000;
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("data");
    let mut store = open(&path, &options()).expect("open");
    // The last one of each log is over; in the first log only later than the drain.
    let logs = [
        (LogId::Inbox(1), [1, never_ms, 1, soon_ms], vec![2, 4], vec![2]),
        (LogId::Group(1), [1, 1, never_ms, 1], vec![3], vec![3]),
        (LogId::Inbox(2), [1, 1, 1, 1], vec![], vec![]),
    ];
    for (log, over, ..) in &logs {
        for (position, &over_ms) in (1..).zip(over) {
            let value = disappearing(over_ms);
            let entry = Write::Put { key: Key::Entry { log: *log, position }, value };
            store.committer.commit([entry].iter()).expect("commit");
        }
    }
    drop(store);
    let store = open(&path, &options()).expect("open");
    store.drain.drain_oldest(super::entry::now_ms()).expect("drain");
    let head = |store: &Store, log| {
        let load = Load::Log { log, expire_through_ms: 0 };
        let Loaded::Log { head, .. } = store.reader.load(load).expect("load") else {
            panic!("a log")
        };
        head
    };
    for (log, _, carried, _) in &logs {
        assert_eq!((&positions(&store.reader, *log), head(&store, *log)), (carried, 4), "{log}");
    }
    drop(store);
    let left_ms = (soon_ms + 100).saturating_sub(super::entry::now_ms());
    std::thread::sleep(Duration::from_millis(left_ms));
    let rocks = Rocks::open(&path.join("rocksdb"), &options()).expect("open");
    rocks.flush().expect("flush");
    rocks.compact().expect("compact");
    drop(rocks);
    let store = open(&path, &options()).expect("open");
    for (log, _, _, kept) in &logs {
        assert_eq!((&positions(&store.reader, *log), head(&store, *log)), (kept, 4), "{log}");
    }
}

#[test]
fn a_store_keeps_what_was_committed() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("data");
    let mut head = 0;
    for _ in 0..4 {
        let mut store = open(&path, &options()).expect("open");
        for _ in 0..300 {
            head += 1;
            let key = Key::Entry { log: LogId::Inbox(1), position: head };
            let write = Write::Put { key, value: value(head, 500) };
            store.committer.commit([write].iter()).expect("commit");
        }
        store.drain.drain_oldest(super::entry::now_ms()).expect("drain");
        let load = Load::Log { log: LogId::Inbox(1), expire_through_ms: 0 };
        let Loaded::Log { last, first, .. } = store.reader.load(load).expect("load") else {
            panic!("an inbox")
        };
        assert_eq!(last, Some((head, value(head, 500))));
        assert_eq!(first, Some((1, value(1, 500))));
    }
}

#[test]
fn other_formats_and_foreign_directories_are_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("data");
    drop(open(&path, &options()).expect("open"));
    std::fs::write(path.join("FORMAT"), "fulmar data 99\n").expect("write");
    let error = open(&path, &options()).expect_err("refused").to_string();
    assert!(error.contains("\"fulmar data 99\"") && error.contains("--data-dir"), "{error}");
    std::fs::write(path.join("FORMAT"), "\x1b[31mfulmar \x07\"\n").expect("write");
    let error = open(&path, &options()).expect_err("refused").to_string();
    assert!(error.contains("u{1b}[31mfulmar") && !error.contains(['\x1b', '\x07']), "{error}");
    let error = open(directory.path(), &options()).expect_err("refused").to_string();
    assert!(error.contains("isn't empty"), "{error}");
}

fn names(path: &Path) -> Vec<std::path::PathBuf> {
    let mut names: Vec<_> =
        std::fs::read_dir(path).expect("list").map(|entry| entry.expect("entry").path()).collect();
    names.sort();
    names
}

#[test]
fn a_check_refuses_what_a_start_would_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("below/data");
    check(&path).expect("it can be made");
    assert!(names(directory.path()).is_empty(), "it was made");
    let store = open(&path, &options()).expect("open");
    begin_sessions(&path).expect("begin");
    let before = names(&path);
    check(&path).expect("also while it is in use");
    assert_eq!(names(&path), before);
    drop(store);
    check(&path).expect("good");
    let refused = |path: &Path| check(path).expect_err("refused").to_string();
    let file = path.join("SESSIONS");
    assert!(refused(&file).contains("is a file, not a directory"), "{}", refused(&file));
    let below = refused(&file.join("data"));
    assert!(below.contains("SESSIONS/data") && below.contains("Not a directory"), "{below}");
    assert!(refused(directory.path()).contains("isn't empty"), "{}", refused(directory.path()));
    let format = std::fs::read(path.join("FORMAT")).expect("read");
    std::fs::write(path.join("FORMAT"), "fulmar data 3\n").expect("write");
    assert!(refused(&path).contains("fulmar data 3"), "{}", refused(&path));
    std::fs::write(path.join("FORMAT"), format).expect("write");
    std::fs::remove_dir_all(path.join("journal")).expect("remove");
    assert!(refused(&path).contains("data/journal is missing"), "{}", refused(&path));
}

/// What was said is in the journal and nowhere else until it is carried over, and what was trimmed before
/// leaves its position only there.
#[test]
fn a_directory_that_was_in_use_is_refused_without_its_journal() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("data");
    let mut store = open(&path, &options()).expect("open");
    begin_sessions(&path).expect("begin");
    let key = Key::Entry { log: LogId::Inbox(1), position: 1 };
    store.committer.commit([Write::Put { key, value: value(9, 9) }].iter()).expect("commit");
    drop(store);
    let journal = path.join("journal");
    std::fs::rename(&journal, directory.path().join("journal")).expect("move");
    for is_empty in [false, true] {
        if is_empty {
            std::fs::create_dir(&journal).expect("make");
        }
        let error = open(&path, &options()).expect_err("refused").to_string();
        assert!(error.contains("data/journal is missing") && error.contains("backup"), "{error}");
        assert_eq!(journal.exists(), is_empty, "it was left as it is");
    }
    std::fs::remove_dir(&journal).expect("remove");
    let database = path.join("rocksdb");
    std::fs::rename(&database, directory.path().join("rocksdb")).expect("move");
    let error = open(&path, &options()).expect_err("refused").to_string();
    assert!(error.contains("rocksdb/CURRENT is missing"), "{error}");
    std::fs::rename(directory.path().join("rocksdb"), &database).expect("move");
    std::fs::rename(directory.path().join("journal"), &journal).expect("move");
    open(&path, &options()).expect("all is there again");
}

/// A first start that ended early had no clients, however far it got.
#[test]
fn a_first_start_that_ended_early_is_done_again() {
    // What it writes, the last first: the journal's first segment, its directory, the database.
    let segment = "journal/journal-000000000001.log";
    for missing in [&[segment][..], &["journal"], &["journal", "rocksdb"]] {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data");
        drop(open(&path, &options()).expect("open"));
        for name in missing {
            let gone = path.join(name);
            let removed = if gone.is_dir() {
                std::fs::remove_dir_all(gone)
            } else {
                std::fs::remove_file(gone)
            };
            removed.expect("remove");
        }
        drop(open(&path, &options()).unwrap_or_else(|error| panic!("{missing:?}: {error}")));
        begin_sessions(&path).expect("begin");
        open(&path, &options()).unwrap_or_else(|error| panic!("{missing:?}: {error}"));
    }
}

/// A file that can't be used is named, and nobody is sent to look for another process.
#[test]
fn a_file_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("blocks");
    drop(open(&path, &options()).expect("open"));
    for name in ["rocksdb/LOCK", "FORMAT"] {
        let file = path.join(name);
        let kept = directory.path().join("kept");
        std::fs::rename(&file, &kept).expect("move");
        std::fs::create_dir(&file).expect("make");
        let error = open(&path, &options()).expect_err("refused").to_string();
        assert!(error.contains(name) && error.contains("directory"), "{error}");
        assert!(!error.contains("another process"), "{error}");
        std::fs::remove_dir(&file).expect("remove");
        std::fs::rename(&kept, &file).expect("move");
    }
    drop(open(&path, &options()).expect("open"));
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = OpenError::File { path: path.join("FORMAT"), error: denied }.to_string();
    assert!(error.contains("blocks/FORMAT: permission denied; it must belong to"), "{error}");
}

#[test]
fn a_directory_in_use_is_refused_as_such() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("data");
    let _store = open(&path, &options()).expect("open");
    let error = open(&path, &options()).expect_err("refused").to_string();
    assert!(error.contains("another process"), "{error}");
}
