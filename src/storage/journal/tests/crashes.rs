//! Whatever ends the process, and whenever, what was confirmed is there afterwards, and of the rest either all up to
//! some commit or nothing.

use bytes::Bytes;
use fastrand::Rng;

use super::world::{End, History, SimulatedReader, World, for_seeds};
use super::*;
use crate::storage::{Loss, SimulatedDatabase, SimulatedDirectory};

/// Histories that each test goes through.
const SEEDS: u64 = 3_000;
/// The log of the tests that need just one.
const INBOX: LogId = LogId::Inbox(1);

const WITH_FSYNC: History =
    History { is_syncing: true, end: End::KillOrPowerCut, has_faults: false, has_expiry: false };

fn check(history: History) {
    for_seeds(SEEDS, |seed| World::new(seed, history).run());
}

#[test]
fn with_fsync_nothing_confirmed_is_lost_however_the_process_ends() {
    check(WITH_FSYNC);
}

#[test]
fn with_fsync_nothing_confirmed_is_lost_though_operations_fail() {
    check(History { has_faults: true, ..WITH_FSYNC });
}

#[test]
fn with_fsync_only_what_expired_is_missing_and_every_head_is_known() {
    check(History { has_expiry: true, ..WITH_FSYNC });
}

#[test]
fn with_os_a_killed_process_loses_nothing() {
    check(History { is_syncing: false, end: End::Kill, ..WITH_FSYNC });
}

#[test]
fn with_os_a_power_cut_leaves_a_prefix() {
    check(History { is_syncing: false, has_faults: true, ..WITH_FSYNC });
}

const OPTIONS: JournalOptions =
    JournalOptions { segment_bytes: 8_192, segments_kept: 0, segments_max: 4 };

fn state(value: u8) -> Write {
    let key = Key::Conversation { log: INBOX, peer: 2 };
    Write::Put { key, value: Bytes::copy_from_slice(&[value]) }
}

fn state_in(reader: &SimulatedReader) -> Option<Bytes> {
    let loaded = reader.load(Load::Conversation { log: INBOX, peer: 2 }).expect("load");
    let Loaded::Conversation { record, .. } = loaded else { panic!("a conversation") };
    record
}

#[test]
fn an_end_in_the_middle_of_opening_leaves_a_journal() {
    for changes in 0..20 {
        let (files, database) = (SimulatedDirectory::new(changes), SimulatedDatabase::default());
        let open = || open(files.clone(), OPTIONS, true, database.clone());
        let (mut committer, _, drain) = open().expect("open");
        committer.commit([state(1)].iter()).expect("commit");
        committer.next_segment(0).expect("segment");
        // The only segment is an empty one now.
        drain.drain_oldest(NOW_MS).expect("drain");
        files.kill();
        files.end_after(changes);
        drop(open());
        files.kill();
        let (_, reader, _) = open().expect("open");
        assert_eq!(state_in(&reader), Some(Bytes::from_static(&[1])));
    }
}

#[test]
fn without_syncing_the_drain_gives_up_nothing_that_a_power_cut_could_bring_back() {
    for seed in 0..40 {
        let (files, database) = (SimulatedDirectory::new(seed), SimulatedDatabase::default());
        let open = || open(files.clone(), OPTIONS, false, database.clone()).expect("open");
        let (mut committer, _, drain) = open();
        let entry =
            Write::Put { key: Key::Entry { log: INBOX, position: 1 }, value: [7; 8][..].into() };
        committer.commit([entry].iter()).expect("commit");
        committer.next_segment(0).expect("segment");
        drain.drain_oldest(NOW_MS).expect("drain");
        committer.commit([state(1)].iter()).expect("commit");
        committer.next_segment(0).expect("segment");
        // Overwritten and trimmed, but not synced.
        let trim = Write::Trim { log: INBOX, from: 1, through: 1 };
        committer.commit([state(2), trim].iter()).expect("commit");
        drain.drain_oldest(NOW_MS).expect("drain");
        files.cut_power(&mut Rng::with_seed(seed), Loss::Newest);
        database.crash(&mut Rng::with_seed(seed));
        let (_, reader, _) = open();
        let load = Load::Log { log: INBOX, expire_through_ms: 0 };
        let Loaded::Log { last, .. } = reader.load(load).expect("load") else { panic!() };
        match state_in(&reader).as_deref() {
            Some([1]) => assert_eq!(last.map(|(position, _)| position), Some(1)),
            Some([2]) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_trimmed_after_a_broken_drain_leaves_the_database() {
    let (files, database) = (SimulatedDirectory::new(1), SimulatedDatabase::default());
    let open = || open(files.clone(), OPTIONS, true, database.clone()).expect("open");
    let (mut committer, _, drain) = open();
    let entry =
        Write::Put { key: Key::Entry { log: INBOX, position: 1 }, value: [7; 8][..].into() };
    committer.commit([entry].iter()).expect("commit");
    committer.next_segment(0).expect("segment");
    // The database has the entry, the segment stays.
    files.end_after(0);
    drain.drain_oldest(NOW_MS).expect_err("it ends");
    files.kill();
    let (mut committer, _, drain) = open();
    committer.commit([Write::Trim { log: INBOX, from: 1, through: 1 }].iter()).expect("commit");
    committer.next_segment(0).expect("segment");
    while drain.is_due() {
        drain.drain_oldest(NOW_MS).expect("drain");
    }
    let load = Load::Log { log: INBOX, expire_through_ms: 0 };
    let Loaded::Log { last, .. } = database.load(load).expect("load") else { panic!() };
    assert_eq!(last, None);
}

#[test]
fn the_head_is_known_though_everything_has_expired() {
    let (files, database) = (SimulatedDirectory::new(1), SimulatedDatabase::default());
    let (mut committer, reader, drain) =
        open(files, OPTIONS, true, database.clone()).expect("open");
    let head = || {
        let load = Load::Log { log: INBOX, expire_through_ms: 0 };
        let Loaded::Log { head, .. } = reader.load(load).expect("load") else { panic!() };
        head
    };
    assert_eq!(head(), 0);
    for position in 1..=3u64 {
        let value = Bytes::copy_from_slice(&position.to_le_bytes());
        let entry = Write::Put { key: Key::Entry { log: INBOX, position }, value };
        committer.commit([entry].iter()).expect("commit");
    }
    assert_eq!(head(), 3);
    committer.next_segment(0).expect("segment");
    drain.drain_oldest(NOW_MS).expect("drain");
    database.expire(10);
    assert_eq!(head(), 3);
}
