//! Histories of a journal over simulated files and before a simulated database: processes that commit, drain and read until
//! they end, and what they must leave to each other.

use bytes::Bytes;
use fastrand::Rng;

use super::*;
use crate::storage::{Fault, Loss, Operation, SimulatedDatabase, SimulatedDirectory};

pub(super) type SimulatedReader = JournalReader<SimulatedDirectory, SimulatedDatabase>;
pub(super) type SimulatedParts = Parts<SimulatedDirectory, SimulatedDatabase>;

/// Whose conversation says how many commits there were.
const COUNTER: Key = Key::Conversation { log: LogId::Inbox(100), peer: 1 };
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
    KillOrPowerCut,
}

/// What may happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    /// Whether commits are synced.
    pub(super) is_syncing: bool,
    pub(super) end: End,
    /// Whether single operations may fail.
    pub(super) has_faults: bool,
    /// Whether the database drops what has expired.
    pub(super) has_expiry: bool,
}

/// A disk that survives its processes, and what should be on it.
pub(super) struct World {
    pub(super) files: SimulatedDirectory,
    database: SimulatedDatabase,
    options: JournalOptions,
    history: History,
    /// Up to which time the database dropped what has expired.
    expired: u64,
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
    pub(super) fn new(seed: u64, history: History) -> Self {
        fastrand::seed(seed);
        let mut random = Rng::with_seed(seed);
        let segments_kept = random.usize(0..3);
        let segments_max = segments_kept.max(1) + random.usize(0..3);
        let segment_bytes = random.u64(5..14) * 1_024;
        World {
            files: SimulatedDirectory::new(random.u64(..)),
            database: SimulatedDatabase::default(),
            options: JournalOptions { segment_bytes, segments_kept, segments_max },
            history,
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
            3 if self.history.has_faults => {
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
        let is_power_cut = match self.history.end {
            End::Kill => false,
            End::KillOrPowerCut => self.random.bool(),
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
        open(self.files.clone(), self.options, self.history.is_syncing, self.database.clone())
    }

    /// Starts processes until one has read everything back, and checks what it found.
    fn open(&mut self) -> SimulatedParts {
        loop {
            self.places.clear();
            self.plan();
            let (files, database) = (self.files.clone(), self.database.clone());
            match open(files, self.options, self.history.is_syncing, database) {
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
        let is_kept = self.history.is_syncing || self.is_all_kept;
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
                0 => drain.drain_oldest(NOW_MS),
                1 => drain.keep_a_spare(),
                2..5 if drain.is_due() => drain.drain_oldest(NOW_MS),
                5 if !self.is_planned => {
                    self.model.check(reader);
                    Ok(())
                }
                6 if self.history.has_expiry => {
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
            put(Key::State { log: LogId::Inbox(3) }, Bytes::from(vec![1; 12_000]));
        }
        let count = self.commits.len() as u64 + 1;
        put(COUNTER, Bytes::copy_from_slice(&count.to_le_bytes()));
        while committer.would_wait(writes.iter()) {
            drain.drain_oldest(NOW_MS)?;
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
    pub(super) fn run(mut self) {
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
                drain.drain_oldest(NOW_MS).expect("drain");
            }
        };
        drain_all(&committer);
        committer.next_segment(0).expect("segment");
        drain_all(&committer);
        self.model.check(&reader);
        for log in LOGS.into_iter().filter(|_| !self.history.has_expiry) {
            let (all, kept) = (load(&self.model.all, all_entries(log)), all_entries(log));
            assert_eq!(self.database.load(kept).expect("load"), all, "nothing trimmed is left");
        }
    }
}

/// How many commits the journal holds.
fn count(reader: &SimulatedReader) -> usize {
    let Key::Conversation { log, peer } = COUNTER else { panic!("a conversation") };
    let loaded = reader.load(Load::Conversation { log, peer }).expect("load");
    let Loaded::Conversation { record, .. } = loaded else { panic!("a conversation") };
    record.map_or(0, |count| u64::from_le_bytes(count[..].try_into().expect("8"))) as usize
}

/// Calls `run` with many seeds, and names the one that fails.
pub(super) fn for_seeds(seeds: u64, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
