//! What the simulated storage loses, keeps and refuses.

use std::collections::BTreeSet;
use std::io;

use bytes::Bytes;
use fastrand::Rng;

use super::*;
use crate::shard::seam::{Key, Load, Loaded, LogId, Write};
use crate::storage::Storage as _;
use crate::storage::journal::{JournalDirectory as _, JournalFile as _};

fn put(position: u64, time_ms: u64) -> Write {
    let value = Bytes::copy_from_slice(&time_ms.to_le_bytes());
    Write::Put { key: Key::Entry { log: LogId::Inbox(1), position }, value }
}

fn conversation(value: &'static [u8]) -> Write {
    let key = Key::Conversation { log: LogId::Inbox(1), peer: 2 };
    Write::Put { key, value: Bytes::from_static(value) }
}

/// Position of the last entry, and the conversation's record.
fn newest(database: &SimulatedDatabase) -> (Option<u64>, Option<Bytes>) {
    let load = Load::Log { log: LogId::Inbox(1), expire_through_ms: 0 };
    let Loaded::Log { last, .. } = database.load(load).expect("load") else { panic!() };
    let load = Load::Conversation { log: LogId::Inbox(1), peer: 2 };
    let Loaded::Conversation { record, .. } = database.load(load).expect("load") else { panic!() };
    (last.map(|(position, _)| position), record)
}

#[test]
fn a_crashed_database_keeps_a_prefix_of_the_entries_and_one_of_the_records() {
    let mut found = BTreeSet::new();
    for seed in 0..200 {
        let database = SimulatedDatabase::default();
        database.apply(&[put(1, 5), conversation(b"a")]).expect("apply");
        database.flush().expect("flush");
        database.apply(&[put(2, 5), conversation(b"b"), put(3, 5)]).expect("apply");
        assert_eq!(database.unflushed(), 3);
        database.crash(&mut Rng::with_seed(seed));
        found.insert(newest(&database));
        assert_eq!(database.unflushed(), 0);
    }
    let expected = [1, 2, 3].into_iter().flat_map(|position| {
        [&b"a"[..], b"b"].map(|record| (Some(position), Some(Bytes::from_static(record))))
    });
    assert_eq!(found, expected.collect());
}

#[test]
fn a_database_expires_what_it_has_flushed() {
    let database = SimulatedDatabase::default();
    database.apply(&[put(1, 5), put(2, 9)]).expect("apply");
    database.flush().expect("flush");
    database.apply(&[put(3, 5)]).expect("apply");
    database.expire(9);
    assert_eq!(newest(&database).0, Some(3));
    database.flush().expect("flush");
    database.expire(4);
    assert_eq!(newest(&database).0, Some(3));
    database.expire(5);
    assert_eq!(newest(&database).0, None);
}

#[test]
fn a_database_ends_in_the_middle_and_goes_on_after_the_crash() {
    let database = SimulatedDatabase::default();
    database.end_after(1);
    database.apply(&[put(1, 5)]).expect("apply");
    database.flush().expect_err("it ends");
    assert!(database.has_ended());
    database.apply(&[put(2, 5)]).expect_err("it has ended");
    database.crash(&mut Rng::with_seed(1));
    assert!(newest(&database).0 <= Some(1));
    database.apply(&[put(1, 5)]).expect("apply");
    database.flush().expect("flush");
}

#[test]
fn a_killed_process_leaves_what_it_wrote() {
    let directory = SimulatedDirectory::new(1);
    let file = directory.create("a").expect("create");
    file.write_at(b"hello", 3).expect("write");
    directory.rename("a", "b").expect("rename");
    directory.kill();
    assert_eq!(directory.list().expect("list"), ["b"]);
    assert_eq!(directory.content("b").expect("content"), b"\0\0\0hello");
    file.write_at(b"x", 0).expect_err("its process has ended");
    let file = directory.open("b").expect("open");
    assert_eq!(file.bytes().expect("length"), 8);
    file.read_at(&mut [0; 9], 0).expect_err("the file ends before");
}

/// What a power cut leaves of a file that holds "abcd" and then gets "12" and "345".
fn after_power_cut(seed: u64, loss: Loss) -> Vec<u8> {
    let directory = SimulatedDirectory::new(seed);
    let file = directory.create("a").expect("create");
    file.write_at(b"abcd", 0).expect("write");
    file.sync_data().expect("sync");
    directory.sync_names().expect("sync");
    file.write_at(b"12", 0).expect("write");
    file.write_at(b"345", 2).expect("write");
    directory.cut_power(&mut Rng::with_seed(seed), loss);
    directory.content("a").expect("content")
}

#[test]
fn a_power_cut_keeps_the_oldest_writes_and_tears_the_next() {
    let found: BTreeSet<Vec<u8>> =
        (0..300).map(|seed| after_power_cut(seed, Loss::Newest)).collect();
    let expected = [&b"abcd"[..], b"1bcd", b"12cd", b"123d", b"1234", b"12345"];
    assert_eq!(found, expected.into_iter().map(<[u8]>::to_vec).collect());
}

#[test]
fn a_power_cut_may_keep_writes_in_any_order() {
    let found: BTreeSet<Vec<u8>> = (0..300).map(|seed| after_power_cut(seed, Loss::Any)).collect();
    let expected = [&b"abcd"[..], b"12cd", b"ab345", b"12345"];
    assert_eq!(found, expected.into_iter().map(<[u8]>::to_vec).collect());
}

#[test]
fn names_that_were_not_synced_are_kept_as_a_prefix() {
    let mut found = BTreeSet::new();
    for seed in 0..200 {
        let directory = SimulatedDirectory::new(seed);
        directory.create("a").expect("create").sync_all().expect("sync");
        directory.sync_names().expect("sync");
        directory.create("b").expect("create");
        directory.create("b").expect_err("it is there");
        directory.rename("a", "c").expect("rename");
        directory.remove("b").expect("remove");
        directory.cut_power(&mut Rng::with_seed(seed), Loss::Newest);
        found.insert(directory.list().expect("list").concat());
    }
    assert_eq!(found, ["a", "ab", "bc", "c"].map(String::from).into());
}

#[test]
fn operations_fail_when_they_are_told_to() {
    let directory = SimulatedDirectory::new(3);
    directory.fail(Operation::Write, 1, Fault::NoSpace);
    directory.fail(Operation::Rename, 0, Fault::Io);
    let file = directory.create("a").expect("create");
    file.write_at(b"abc", 0).expect("the first");
    let error = file.write_at(b"def", 3).expect_err("the second");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.write_at(b"def", 3).expect("the third");
    assert!(directory.rename("a", "b").is_err());
    directory.rename("a", "b").expect("rename");
    let counts = directory.counts();
    assert_eq!((counts.creates, counts.writes, counts.renames), (1, 3, 2));
    assert_eq!((counts.written_bytes, counts.syncs), (9, 0));
}

#[test]
fn what_a_failed_sync_left_out_is_seen_until_the_file_is_settled() {
    let mut lost = 0;
    for seed in 0..100 {
        let directory = SimulatedDirectory::new(seed);
        let file = directory.create("a").expect("create");
        file.write_at(b"abc", 0).expect("write");
        directory.fail(Operation::Sync, 0, Fault::Io);
        file.sync_data().expect_err("it fails");
        file.sync_data().expect("there is nothing left to do");
        let mut seen = [0; 3];
        file.read_at(&mut seen, 0).expect("read");
        assert_eq!(&seen, b"abc");
        directory.kill();
        let file = directory.open("a").expect("open");
        assert_eq!(file.bytes().expect("length"), 3);
        file.settle().expect("settle");
        lost += u32::from(file.bytes().expect("length") == 0);
    }
    assert!((10..90).contains(&lost), "{lost}");
}

#[test]
fn a_process_ends_in_the_middle_of_a_write() {
    let mut lengths = BTreeSet::new();
    for seed in 0..100 {
        let directory = SimulatedDirectory::new(seed);
        directory.end_after(2);
        let file = directory.create("a").expect("create");
        file.sync_all().expect("sync");
        assert!(!directory.has_ended());
        file.write_at(b"abc", 0).expect_err("it ends");
        assert!(directory.has_ended());
        file.write_at(b"abc", 0).expect_err("it has ended");
        assert!(directory.open("a").is_err());
        directory.kill();
        lengths.insert(directory.content("a").expect("content").len());
    }
    assert_eq!(lengths, [0, 1, 2, 3].into());
}

#[test]
fn damage_is_seen_by_readers_and_stays() {
    let directory = SimulatedDirectory::new(1);
    let file = directory.create("a").expect("create");
    file.write_at(b"abc", 0).expect("write");
    file.sync_all().expect("sync");
    directory.sync_names().expect("sync");
    directory.flip("a", 1, 1).expect("flip");
    directory.truncate("a", 2).expect("truncate");
    directory.flip("b", 1, 1).expect_err("there is no such file");
    directory.cut_power(&mut Rng::with_seed(1), Loss::Any);
    assert_eq!(directory.content("a").expect("content"), b"ac");
}
