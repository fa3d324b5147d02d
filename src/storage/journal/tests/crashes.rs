//! The journal over simulated files and before a simulated database: whatever ends the process, and whenever, what was
//! confirmed is there afterwards, and of the rest either all up to some commit or nothing.

use bytes::Bytes;
use fastrand::Rng;

use super::*;
use crate::storage::{Fault, Loss, Operation, SimulatedDatabase, SimulatedDirectory};

type SimulatedReader = JournalReader<SimulatedDirectory, SimulatedDatabase>;
pub(super) type SimulatedParts = Parts<SimulatedDirectory, SimulatedDatabase>;

/// Whose conversation says how many commits there were.
const COUNTER: Key = Key::Conversation { user: 100, peer: 1 };
/// Histories that each test goes through.
const SEEDS: u64 = 3_000;
/// What may fail.
const OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::Read,
    Operation::Write,
    Operation::Sync,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncNames,
];
/// Longest row of changes of which one may be the last.
const CHANGES_MAX: u64 = 60;

/// How a process ends at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Kill,
    Either,
}

/// A disk that survives its processes, and what should be on it.
pub(super) struct World {
    pub(super) files: SimulatedDirectory,
    database: SimulatedDatabase,
    options: JournalOptions,
    is_syncing: bool,
    end: End,
    /// Whether the database drops what has expired, and up to which time it did so.
    has_expiry: bool,
    expired: u64,
    /// Whether single operations may fail.
    has_faults: bool,
    pub(super) random: Rng,
    model: Model,
    /// All commits that may be there.
    commits: Vec<Vec<Write>>,
    /// How many were confirmed.
    confirmed: usize,
    /// Where each commit of this process lies: its segment, where it begins and where it ends.
    pub(super) places: Vec<(u64, u64, u64)>,
    /// How many have been synced for sure.
    synced: usize,
    /// Whether something was planned to go wrong.
    is_planned: bool,
    /// Whether what was confirmed must be there though it isn't synced.
    is_all_kept: bool,
}

impl World {
    pub(super) fn new(seed: u64, is_syncing: bool, end: End, has_faults: bool) -> Self {
        fastrand::seed(seed);
        let mut random = Rng::with_seed(seed);
        let segments_kept = random.usize(0..3);
        let segments_max = segments_kept.max(1) + random.usize(0..3);
        let segment_bytes = random.u64(5..14) * 1_024;
        World {
            files: SimulatedDirectory::new(random.u64(..)),
            database: SimulatedDatabase::default(),
            options: JournalOptions { segment_bytes, segments_kept, segments_max },
            is_syncing,
            end,
            has_faults,
            has_expiry: false,
            expired: 0,
            random,
            model: Model::default(),
            commits: Vec::new(),
            confirmed: 0,
            places: Vec::new(),
            synced: 0,
            is_planned: false,
            is_all_kept: true,
        }
    }

    /// Plans that the process ends before long, or that something fails, or nothing.
    fn plan(&mut self) {
        self.is_planned = true;
        match self.random.u8(0..6) {
            0 | 1 => self.files.end_after(self.random.u64(0..CHANGES_MAX)),
            2 => self.database.end_after(self.random.u64(0..4)),
            3 if self.has_faults => {
                let operation = OPERATIONS[self.random.usize(..OPERATIONS.len())];
                let fault = if self.random.bool() { Fault::Io } else { Fault::NoSpace };
                self.files.fail(operation, self.random.u64(0..10), fault);
                // What a sync leaves out is lost with the process.
                self.is_all_kept &= operation != Operation::Sync;
            }
            _ => self.is_planned = false,
        }
    }

    /// Ends the process.
    pub(super) fn end(&mut self) {
        let is_power_cut = match self.end {
            End::Kill => false,
            End::Either => self.random.bool(),
        };
        if is_power_cut {
            let loss = if self.random.bool() { Loss::Newest } else { Loss::Any };
            self.files.cut_power(&mut self.random, loss);
            self.is_all_kept = false;
        } else {
            self.files.kill();
        }
        self.database.crash(&mut self.random);
    }

    fn must_be_planned(&self, error: &JournalError) {
        assert!(self.is_planned, "{error}");
    }

    /// Starts a process with which nothing goes wrong.
    pub(super) fn open_calmly(&mut self) -> Result<SimulatedParts, JournalError> {
        self.is_planned = false;
        self.places.clear();
        open(self.files.clone(), self.options, self.is_syncing, self.database.clone())
    }

    /// Starts processes until one has read everything back, and checks what it found.
    fn open(&mut self) -> SimulatedParts {
        loop {
            self.places.clear();
            self.plan();
            let (files, database) = (self.files.clone(), self.database.clone());
            match open(files, self.options, self.is_syncing, database) {
                Ok(parts) => {
                    self.files.calm();
                    self.database.calm();
                    self.check(&parts.1);
                    return parts;
                }
                Err(error) => self.must_be_planned(&error),
            }
            self.end();
        }
    }

    /// What is there must be all up to some commit, and at least what was promised.
    fn check(&mut self, reader: &SimulatedReader) {
        let found = count(reader);
        let is_kept = self.is_syncing || self.is_all_kept;
        let promised = if is_kept { self.confirmed } else { self.synced };
        let tried = self.commits.len();
        assert!((promised..=tried).contains(&found), "{found} of {promised} to {tried} commits");
        self.commits.truncate(found);
        (self.confirmed, self.synced, self.is_all_kept) = (found, found, true);
        self.model = Model { expired: self.expired, ..Model::after(&self.commits) };
        self.model.check(reader);
    }

    /// After damage everything must be there, or all but the last few commits. What these overwrote or trimmed may
    /// be gone with them, if it was drained.
    pub(super) fn check_damaged(&self, (committer, reader, _): &SimulatedParts, lost_max: usize) {
        let found = committer.sequence as usize - 1;
        assert!(found + lost_max >= self.confirmed, "lost without a word");
        if found == self.confirmed {
            self.model.check(reader);
        }
    }

    /// Commits, drains and reads for a while, or until the process ends.
    pub(super) fn live(&mut self, parts: &mut SimulatedParts) {
        let (committer, reader, drain) = parts;
        for _ in 0..self.random.usize(1..60) {
            let done = match self.random.u8(0..16) {
                0 => drain.drain_oldest(),
                1 => drain.keep_a_spare(),
                2..5 if drain.is_due() => drain.drain_oldest(),
                5 if !self.is_planned => {
                    self.model.check(reader);
                    Ok(())
                }
                6 if self.has_expiry => {
                    let through = u64::from_le_bytes([self.random.u8(..); 8]);
                    self.database.expire(through);
                    self.expired = self.expired.max(through);
                    self.model.expired = self.expired;
                    Ok(())
                }
                _ => self.commit(committer, drain),
            };
            if let Err(error) = done {
                self.must_be_planned(&error);
                return;
            }
        }
    }

    fn commit(
        &mut self,
        committer: &mut JournalCommitter<SimulatedDirectory>,
        drain: &Drain<SimulatedDirectory, SimulatedDatabase>,
    ) -> Result<(), JournalError> {
        let mut writes = self.model.random_writes();
        let mut put = |key, value| {
            let write = Write::Put { key, value };
            apply(&mut self.model.all, &write);
            writes.push(write);
        };
        if self.random.u8(0..20) == 0 {
            // More than a segment holds.
            put(Key::Inbox { user: 3 }, Bytes::from(vec![1; 12_000]));
        }
        let count = self.commits.len() as u64 + 1;
        put(COUNTER, Bytes::copy_from_slice(&count.to_le_bytes()));
        while committer.would_wait(writes.iter()) {
            drain.drain_oldest()?;
        }
        self.commits.push(writes.clone());
        let segment = committer.active.number;
        let Commit { bytes, .. } = committer.commit(writes.iter())?;
        self.places.push((committer.active.number, committer.at - bytes, committer.at));
        self.confirmed = self.commits.len();
        if committer.active.number != segment {
            self.synced = self.confirmed - 1;
        }
        Ok(())
    }

    /// Lets some processes live and end, and the last one find what they left.
    fn run(mut self) {
        for _ in 0..self.random.usize(1..6) {
            let mut parts = self.open();
            self.plan();
            self.live(&mut parts);
            drop(parts);
            self.end();
        }
        let (mut committer, reader, drain) = self.open();
        let drain_all = |committer: &JournalCommitter<_>| {
            while committer.shared.read().segments.len() > 1 {
                drain.drain_oldest().expect("drain");
            }
        };
        drain_all(&committer);
        committer.next_segment(0).expect("segment");
        drain_all(&committer);
        self.model.check(&reader);
        for user in (1..8).filter(|_| !self.has_expiry) {
            let (all, kept) = (load(&self.model.all, all_entries(user)), all_entries(user));
            assert_eq!(self.database.load(kept).expect("load"), all, "nothing trimmed is left");
        }
    }
}

/// How many commits the journal holds.
fn count(reader: &SimulatedReader) -> usize {
    let Key::Conversation { user, peer } = COUNTER else { panic!("a conversation") };
    let loaded = reader.load(Load::Conversation { user, peer }).expect("load");
    let Loaded::Conversation { record, .. } = loaded else { panic!("a conversation") };
    record.map_or(0, |count| u64::from_le_bytes(count[..].try_into().expect("8"))) as usize
}

/// Calls `run` with many seeds, and names the one that fails.
pub(super) fn for_seeds(seeds: u64, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in 0..seeds {
        if std::panic::catch_unwind(|| run(seed)).is_err() {
            panic!("seed {seed}");
        }
    }
}

#[test]
fn with_fsync_nothing_confirmed_is_lost_however_the_process_ends() {
    for_seeds(SEEDS, |seed| World::new(seed, true, End::Either, false).run());
}

#[test]
fn with_fsync_nothing_confirmed_is_lost_though_operations_fail() {
    for_seeds(SEEDS, |seed| World::new(seed, true, End::Either, true).run());
}

#[test]
fn with_fsync_only_what_expired_is_missing_and_every_head_is_known() {
    for_seeds(SEEDS, |seed| {
        let world = World::new(seed, true, End::Either, false);
        World { has_expiry: true, ..world }.run();
    });
}

#[test]
fn with_os_a_killed_process_loses_nothing() {
    for_seeds(SEEDS, |seed| World::new(seed, false, End::Kill, false).run());
}

#[test]
fn with_os_a_power_cut_leaves_a_prefix() {
    for_seeds(SEEDS, |seed| World::new(seed, false, End::Either, true).run());
}

const OPTIONS: JournalOptions =
    JournalOptions { segment_bytes: 8_192, segments_kept: 0, segments_max: 4 };

fn state(value: u8) -> Write {
    let key = Key::Conversation { user: 1, peer: 2 };
    Write::Put { key, value: Bytes::copy_from_slice(&[value]) }
}

fn state_in(reader: &SimulatedReader) -> Option<Bytes> {
    let loaded = reader.load(Load::Conversation { user: 1, peer: 2 }).expect("load");
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
        drain.drain_oldest().expect("drain");
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
            Write::Put { key: Key::Entry { user: 1, position: 1 }, value: [7; 8][..].into() };
        committer.commit([entry].iter()).expect("commit");
        committer.next_segment(0).expect("segment");
        drain.drain_oldest().expect("drain");
        committer.commit([state(1)].iter()).expect("commit");
        committer.next_segment(0).expect("segment");
        // Overwritten and trimmed, but not synced.
        let trim = Write::Trim { user: 1, from: 1, through: 1 };
        committer.commit([state(2), trim].iter()).expect("commit");
        drain.drain_oldest().expect("drain");
        files.cut_power(&mut Rng::with_seed(seed), Loss::Newest);
        database.crash(&mut Rng::with_seed(seed));
        let (_, reader, _) = open();
        let load = Load::Inbox { user: 1, expire_through_ms: 0 };
        let Loaded::Inbox { last, .. } = reader.load(load).expect("load") else { panic!() };
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
    let entry = Write::Put { key: Key::Entry { user: 1, position: 1 }, value: [7; 8][..].into() };
    committer.commit([entry].iter()).expect("commit");
    committer.next_segment(0).expect("segment");
    // The database has the entry, the segment stays.
    files.end_after(0);
    drain.drain_oldest().expect_err("it ends");
    files.kill();
    let (mut committer, _, drain) = open();
    committer.commit([Write::Trim { user: 1, from: 1, through: 1 }].iter()).expect("commit");
    committer.next_segment(0).expect("segment");
    while drain.is_due() {
        drain.drain_oldest().expect("drain");
    }
    let load = Load::Inbox { user: 1, expire_through_ms: 0 };
    let Loaded::Inbox { last, .. } = database.load(load).expect("load") else { panic!() };
    assert_eq!(last, None);
}

#[test]
fn the_head_is_known_though_everything_has_expired() {
    let (files, database) = (SimulatedDirectory::new(1), SimulatedDatabase::default());
    let (mut committer, reader, drain) =
        open(files, OPTIONS, true, database.clone()).expect("open");
    let head = || {
        let load = Load::Inbox { user: 1, expire_through_ms: 0 };
        let Loaded::Inbox { head, .. } = reader.load(load).expect("load") else { panic!() };
        head
    };
    assert_eq!(head(), 0);
    for position in 1..=3u64 {
        let value = Bytes::copy_from_slice(&position.to_le_bytes());
        let entry = Write::Put { key: Key::Entry { user: 1, position }, value };
        committer.commit([entry].iter()).expect("commit");
    }
    assert_eq!(head(), 3);
    committer.next_segment(0).expect("segment");
    drain.drain_oldest().expect("drain");
    database.expire(10);
    assert_eq!(head(), 3);
}
