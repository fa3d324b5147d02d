//! The journal against a simple model: random commits, trims, loads, drains, crashes, cuts.

mod crashes;
mod damage;
mod pages;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::shard::seam::{ConnId, GroupId, Key, Load, Loaded, LogId, Write};
use crate::storage::{SimulatedDatabase, Storage};

fn apply(map: &mut BTreeMap<Key, Bytes>, write: &Write) {
    match write {
        Write::Put { key, value } => {
            map.insert(*key, value.clone());
        }
        &Write::Trim { log, from, through } => {
            for position in from..=through {
                map.remove(&Key::Entry { log, position });
            }
        }
    }
}

/// The load that brings all entries of a log.
fn all_entries(log: LogId) -> Load {
    let conn = ConnId { slot: 0, generation: 0 };
    let (entries_max, bytes_max) = (u32::MAX, u32::MAX);
    Load::Entries { log, conn, from: 0, through: u64::MAX, entries_max, bytes_max }
}

fn time_ms(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().expect("a time"))
}

fn load(map: &BTreeMap<Key, Bytes>, load: Load) -> Loaded {
    let range = |log, from, through| {
        let (from, through) =
            (Key::Entry { log, position: from }, Key::Entry { log, position: through });
        map.range(from..=through).filter_map(|(key, value)| match key {
            Key::Entry { position, .. } => Some((*position, value.clone())),
            _ => None,
        })
    };
    match load {
        Load::Conversation { log, peer } => {
            let record = map.get(&Key::Conversation { log, peer }).cloned();
            Loaded::Conversation { log, peer, record }
        }
        Load::Presence { user } => {
            Loaded::Presence { user, record: map.get(&Key::Presence { user }).cloned() }
        }
        Load::Book { user } => Loaded::Book { user, record: map.get(&Key::Book { user }).cloned() },
        Load::Name { hash } => Loaded::Name { hash, record: map.get(&Key::Name { hash }).cloned() },
        Load::Log { log, expire_through_ms } => Loaded::Log {
            log,
            record: map.get(&Key::State { log }).cloned(),
            last: range(log, 0, u64::MAX).last(),
            first: range(log, 0, u64::MAX).find(|(_, value)| time_ms(value) > expire_through_ms),
            // The model has its own.
            head: 0,
        },
        Load::Entry { log, position } => {
            let value = map.get(&Key::Entry { log, position }).cloned();
            Loaded::Entry { log, position, value }
        }
        Load::Page { .. } => panic!("pages are compared with what the entries say"),
        Load::Entries { log, conn, from, through, entries_max, .. } => {
            let entries: Vec<_> = range(log, from, through).take(entries_max as usize).collect();
            let is_cut = entries.len() == entries_max as usize;
            let through = entries.last().filter(|_| is_cut).map_or(through, |&(last, _)| last);
            Loaded::Entries { log, conn, entries, through }
        }
    }
}

/// When the drains of these tests run: before anything that these tests write is over by itself.
const NOW_MS: u64 = 0;

const SMALL: JournalOptions =
    JournalOptions { segment_bytes: 16 * 1024, segments_kept: 1, segments_max: 1_000 };

fn start(
    directory: &Path,
    behind: &SimulatedDatabase,
) -> Result<Parts<DiskDirectory, SimulatedDatabase>, JournalError> {
    open(DiskDirectory::make(directory)?, SMALL, true, behind.clone())
}

fn disk(directory: &TempDir) -> DiskDirectory {
    DiskDirectory::make(directory.path()).expect("directory")
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(segment::name(number))
}

/// The logs that histories write: inboxes, and groups of the same numbers.
const LOGS: [LogId; 7] = [
    LogId::Inbox(1),
    LogId::Inbox(2),
    LogId::Inbox(3),
    LogId::Inbox(4),
    LogId::Group(1),
    LogId::Group(2),
    LogId::Group(3),
];

/// What should be there, and a source of plausible writes.
#[derive(Default, Clone)]
struct Model {
    all: BTreeMap<Key, Bytes>,
    heads: BTreeMap<LogId, u64>,
    trims: BTreeMap<LogId, u64>,
    /// Entries of this time and earlier may be gone.
    expired: u64,
}

impl Model {
    fn random_writes(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        for _ in 0..fastrand::usize(1..20) {
            let log = LOGS[fastrand::usize(..LOGS.len())];
            let head = self.heads.entry(log).or_default();
            let trim = self.trims.entry(log).or_default();
            let value = Bytes::from(vec![fastrand::u8(1..); fastrand::usize(8..200)]);
            writes.push(match fastrand::u8(0..10) {
                0..5 => {
                    *head += 1;
                    Write::Put { key: Key::Entry { log, position: *head }, value }
                }
                5 => match log {
                    LogId::Inbox(user) if fastrand::bool() => {
                        let keys =
                            [Key::Presence { user }, Key::Book { user }, Key::Name { hash: user }];
                        Write::Put { key: keys[fastrand::usize(..keys.len())], value }
                    }
                    log => Write::Put { key: Key::State { log }, value },
                },
                6 | 7 => {
                    let peer = fastrand::u64(1..8);
                    Write::Put { key: Key::Conversation { log, peer }, value }
                }
                _ if *trim < *head => {
                    let (from, through) = (*trim + 1, fastrand::u64(*trim + 1..=*head));
                    *trim = through;
                    Write::Trim { log, from, through }
                }
                _ => continue,
            });
        }
        for write in &writes {
            apply(&mut self.all, write);
        }
        writes
    }

    /// What is there after these commits.
    fn after<'a>(commits: impl IntoIterator<Item = &'a Vec<Write>>) -> Self {
        let mut model = Model::default();
        for write in commits.into_iter().flatten() {
            apply(&mut model.all, write);
            match *write {
                Write::Put { key: Key::Entry { log, position }, .. } => {
                    model.heads.insert(log, position);
                }
                Write::Trim { log, through, .. } => {
                    model.trims.insert(log, through);
                }
                Write::Put { .. } => {}
            }
        }
        model
    }

    /// Everything that can be asked is answered as the model would. Entries below the trim may still be
    /// in the database for a while; nobody asks for them.
    fn check(&self, reader: &JournalReader<impl JournalDirectory, impl Storage>) {
        let heads = reader.group_heads().expect("heads");
        let known: BTreeMap<GroupId, u64> = heads.iter().copied().collect();
        assert_eq!(known.len(), heads.len(), "a group is named twice");
        for log in LOGS {
            let trim = self.trims.get(&log).copied().unwrap_or(0);
            for peer in 1..8 {
                let wanted = Load::Conversation { log, peer };
                assert_eq!(reader.load(wanted).expect("load"), load(&self.all, wanted));
            }
            if let LogId::Inbox(user) = log {
                let wanted =
                    [Load::Presence { user }, Load::Book { user }, Load::Name { hash: user }];
                for wanted in wanted {
                    assert_eq!(reader.load(wanted).expect("load"), load(&self.all, wanted));
                }
            }
            let wanted = Load::Log { log, expire_through_ms: self.expired };
            let loaded = reader.load(wanted).expect("load");
            let Loaded::Log { record, last, first, head: known_head, .. } = loaded else {
                panic!("not a log");
            };
            let Loaded::Log { record: model_record, last: model_last, first: model_first, .. } =
                load(&self.all, wanted)
            else {
                panic!("not a log");
            };
            assert_eq!(record, model_record);
            if model_last.as_ref().is_none_or(|(_, value)| time_ms(value) > self.expired) {
                assert_eq!(last.filter(|&(position, _)| position > trim), model_last);
            }
            let head = self.heads.get(&log).copied().unwrap_or(0);
            assert!(known_head == head || known_head < head && trim == head, "a head is forgotten");
            if let LogId::Group(group) = log {
                assert_eq!(known.get(&group).copied().unwrap_or(0), head, "of {group}");
                let is_stored = self.all.keys().any(|key| key.log() == log);
                assert!(known.contains_key(&group) || !is_stored, "a group is forgotten");
            }
            if first.as_ref().is_some_and(|&(position, _)| position > trim) {
                assert_eq!(first, model_first);
            }
            let conn = ConnId { slot: 0, generation: 0 };
            let (mut from, mut got) = (trim + 1, Vec::new());
            let through = u64::MAX - 1;
            loop {
                let entries_max = fastrand::u32(1..30);
                let bytes_max = 500;
                let wanted = Load::Entries { log, conn, from, through, entries_max, bytes_max };
                let Loaded::Entries { entries, through: reached, .. } =
                    reader.load(wanted).expect("load")
                else {
                    panic!("not entries");
                };
                got.extend(entries);
                if reached == through {
                    break;
                }
                from = reached + 1;
            }
            pages::check(reader, log, trim, &got);
            let all = load(&self.all, all_entries(log));
            let Loaded::Entries { mut entries, .. } = all else { panic!() };
            entries.retain(|(_, value)| time_ms(value) > self.expired);
            got.retain(|(_, value)| time_ms(value) > self.expired);
            assert_eq!(got, entries);
        }
    }
}

#[test]
fn a_journal_behaves_like_a_map_over_drains_and_crashes() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let directory = tempfile::tempdir().expect("directory");
        let (behind, mut model) = (SimulatedDatabase::default(), Model::default());
        let (mut committer, mut reader, mut drain) =
            start(directory.path(), &behind).expect("open");
        for _ in 0..400 {
            match fastrand::u8(0..40) {
                0 => drain.drain_oldest(NOW_MS).expect("drain"),
                1 => {
                    behind.crash(&mut fastrand::Rng::new());
                    (committer, reader, drain) = start(directory.path(), &behind).expect("open");
                }
                2 => model.check(&reader),
                _ => {
                    committer.commit(model.random_writes().iter()).expect("commit");
                }
            }
        }
        model.check(&reader);
    }
}

#[test]
fn a_torn_last_commit_is_dropped_and_an_earlier_hole_is_refused() {
    fastrand::seed(7);
    let directory = tempfile::tempdir().expect("directory");
    let (behind, mut model) = (SimulatedDatabase::default(), Model::default());
    let mut ends = Vec::new();
    let mut models = vec![model.clone()];
    {
        let (mut committer, _, _) = start(directory.path(), &behind).expect("open");
        for _ in 0..8 {
            committer.commit(model.random_writes().iter()).expect("commit");
            ends.push(committer.at as usize);
            models.push(model.clone());
        }
    }
    let whole = std::fs::read(path(directory.path(), 1)).expect("segment");
    let last_begin = ends[ends.len() - 2];
    for damaged_at in segment::RECORDS_AT as usize..ends[ends.len() - 1] {
        if fastrand::u8(0..8) != 0 {
            continue;
        }
        let copy = tempfile::tempdir().expect("directory");
        let mut bytes = whole.clone();
        bytes[damaged_at] ^= 0x40;
        std::fs::write(path(copy.path(), 1), &bytes).expect("copy");
        let opened = start(copy.path(), &SimulatedDatabase::default());
        if damaged_at < last_begin {
            // Padding behind a record carries nothing.
            match opened {
                Err(JournalError::Damaged { path, .. }) => {
                    assert!(path.ends_with("journal-000000000001.log"));
                }
                Err(other) => panic!("{other}"),
                Ok((_, reader, _)) => model.check(&reader),
            }
        } else {
            let (_, reader, _) = opened.expect("the last record may be torn");
            let is_padding = models[models.len() - 2].all != model.all
                && std::panic::catch_unwind(|| model.check(&reader)).is_ok();
            if !is_padding {
                models[models.len() - 2].check(&reader);
            }
        }
    }
    for cut in [last_begin + 1, ends[ends.len() - 1] - 9] {
        let copy = tempfile::tempdir().expect("directory");
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        std::fs::write(path(copy.path(), 1), &bytes).expect("copy");
        let (_, reader, _) = start(copy.path(), &SimulatedDatabase::default()).expect("open");
        models[models.len() - 2].check(&reader);
    }
}

#[test]
fn a_missing_segment_is_refused_by_name() {
    fastrand::seed(3);
    let directory = tempfile::tempdir().expect("directory");
    let (behind, mut model) = (SimulatedDatabase::default(), Model::default());
    let (mut committer, _, _) = start(directory.path(), &behind).expect("open");
    while committer.active.number < 4 {
        committer.commit(model.random_writes().iter()).expect("commit");
    }
    std::fs::remove_file(path(directory.path(), 2)).expect("remove");
    let error = start(directory.path(), &behind).map(|_| ()).expect_err("refused");
    assert!(error.to_string().contains("journal-000000000002.log"), "{error}");
}

#[test]
fn a_commit_larger_than_a_segment_gets_one_of_its_size() {
    let directory = tempfile::tempdir().expect("directory");
    let behind = SimulatedDatabase::default();
    let (mut committer, reader, drain) = start(directory.path(), &behind).expect("open");
    let value = Bytes::from(vec![9; 100_000]);
    let key = Key::Entry { log: LogId::Inbox(1), position: 1 };
    committer.commit([Write::Put { key, value: value.clone() }].iter()).expect("commit");
    let wanted = Load::Log { log: LogId::Inbox(1), expire_through_ms: 0 };
    for _ in 0..3 {
        let Loaded::Log { last, .. } = reader.load(wanted).expect("load") else { panic!() };
        assert_eq!(last, Some((1, value.clone())));
        committer.next_segment(0).expect("segment");
        drain.drain_oldest(NOW_MS).expect("drain");
    }
}

#[test]
fn a_drain_that_runs_beside_commits_loses_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let (behind, mut model) = (SimulatedDatabase::default(), Model::default());
    let options = JournalOptions { segments_max: 3, ..SMALL };
    let (mut committer, reader, drain) =
        open(disk(&directory), options, false, behind.clone()).expect("open");
    let stopper = drain.stopper();
    let thread = std::thread::spawn(move || drain.run());
    for round in 0..3_000 {
        committer.commit(model.random_writes().iter()).expect("commit");
        if round % 500 == 0 {
            model.check(&reader);
        }
    }
    stopper.stop();
    thread.join().expect("drain").expect("drain");
    model.check(&reader);
    let (_, reader, _) = open(disk(&directory), options, false, behind).expect("open");
    model.check(&reader);
}

#[test]
fn a_commit_that_waits_for_the_drain_goes_on_when_the_drain_is_told_to_end() {
    let directory = tempfile::tempdir().expect("directory");
    let options = JournalOptions { segments_max: 1, ..SMALL };
    let (mut committer, reader, drain) =
        open(disk(&directory), options, false, SimulatedDatabase::default()).expect("open");
    let stopper = drain.stopper();
    let thread = std::thread::spawn(move || {
        let value = Bytes::from(vec![1; 1_000]);
        for position in 1..=100 {
            let key = Key::Entry { log: LogId::Inbox(1), position };
            committer.commit([Write::Put { key, value: value.clone() }].iter()).expect("commit");
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(!thread.is_finished(), "nothing was drained, so the commits wait");
    stopper.stop();
    thread.join().expect("it ends");
    let Loaded::Log { last, .. } =
        reader.load(Load::Log { log: LogId::Inbox(1), expire_through_ms: 0 }).expect("load")
    else {
        panic!("not a log")
    };
    assert_eq!(last.map(|(position, _)| position), Some(100));
}
