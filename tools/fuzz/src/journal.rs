//! A journal at work, against a map: commits, drains, ends of the process at any moment; at last a
//! byte changes on the disk.
//!
//! What a commit wrote is there until it is trimmed. A changed byte is never answered with less or
//! with something else, but for the last commit: nothing behind it says that it was complete. What
//! it overwrote is there again, unless a drain dropped it in the meantime.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fastrand::Rng;
use fulmar::shard::{ConnId, Key, Load, Loaded, LogId, Write};
use fulmar::storage::journal::{
    self, Drain, JournalCommitter, JournalError, JournalOptions, JournalReader, Parts,
};
use fulmar::storage::{DiskDirectory, SimulatedDatabase};

use crate::layout;
use crate::script::Script;

const STEPS_MAX: usize = 48;
const WRITES_MAX: usize = 6;
/// Whose records are written and read.
const PEERS: u64 = 3;
/// The logs that are written and read: inboxes, and groups of the same numbers.
const LOGS: [LogId; 4] = [LogId::Inbox(1), LogId::Inbox(2), LogId::Group(1), LogId::Group(2)];

const OPTIONS: JournalOptions =
    JournalOptions { segment_bytes: 6 * 1024, segments_kept: 1, segments_max: 1_000 };

/// What should be there.
#[derive(Debug, Clone, Default)]
struct Model {
    records: BTreeMap<Key, Bytes>,
    heads: [u64; LOGS.len()],
    trims: [u64; LOGS.len()],
}

struct Run {
    directory: tempfile::TempDir,
    is_syncing: bool,
    behind: SimulatedDatabase,
    committer: JournalCommitter<DiskDirectory>,
    reader: JournalReader<DiskDirectory, SimulatedDatabase>,
    drain: Drain<DiskDirectory, SimulatedDatabase>,
    /// After each commit, and before the first.
    models: Vec<Model>,
    /// How many there were at the last drain.
    drained: usize,
}

/// See the module's description.
pub fn journal(data: &[u8]) {
    let mut script = Script::new(data);
    let mut run = Run::new(script.flag());
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        match script.byte() {
            0..160 => run.commit(&mut script),
            160..190 => {
                run.drain.drain_oldest(0).expect("a drain");
                run.drained = run.models.len();
            }
            190..220 => run.restart(script.below(8)),
            byte => {
                let expire_through_ms = u64::from(byte - 220);
                run.last().check(&run.reader, expire_through_ms);
            }
        }
    }
    run.last().check(&run.reader, 0);
    run.change_a_byte(&mut script);
}

fn open(
    directory: &Path,
    is_syncing: bool,
    behind: &SimulatedDatabase,
) -> Result<Parts<DiskDirectory, SimulatedDatabase>, JournalError> {
    journal::open(DiskDirectory::make(directory)?, OPTIONS, is_syncing, behind.clone())
}

impl Run {
    fn new(is_syncing: bool) -> Self {
        let (directory, behind) = (layout::directory(), SimulatedDatabase::default());
        let (committer, reader, drain) =
            open(directory.path(), is_syncing, &behind).expect("a new journal");
        let models = vec![Model::default()];
        Run { directory, is_syncing, behind, committer, reader, drain, models, drained: 0 }
    }

    fn last(&self) -> &Model {
        self.models.last().expect("there always is one")
    }

    fn commit(&mut self, script: &mut Script<'_>) {
        let mut model = self.last().clone();
        let writes: Vec<Write> =
            (0..=script.below(WRITES_MAX)).filter_map(|_| model.write(script)).collect();
        self.committer.commit(writes.iter()).expect("a commit");
        if !writes.is_empty() {
            self.models.push(model);
        }
    }

    /// The process ends and starts again; the database keeps some of what wasn't flushed.
    fn restart(&mut self, kept: usize) {
        self.behind.crash(&mut Rng::with_seed(kept as u64));
        let opened = open(self.directory.path(), self.is_syncing, &self.behind);
        (self.committer, self.reader, self.drain) = opened.expect("a journal that was in use");
        self.last().check(&self.reader, 0);
    }

    /// The segments' files by number.
    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.directory.path()).expect("a directory");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        paths.sort();
        paths
    }

    /// Changes a byte of some record, or of a segment's header, and opens the journal again.
    fn change_a_byte(self, script: &mut Script<'_>) {
        let files = self.files();
        let nth_file = script.below(files.len());
        let path = &files[nth_file];
        let mut bytes = fs::read(path).expect("a segment");
        let records = layout::records(&bytes);
        let is_last_file = nth_file + 1 == files.len();
        let nth = script.below(records.len() + 1);
        let place = records.get(nth).cloned().unwrap_or(0..layout::SEGMENT_HEADER_BYTES);
        let at = place.start + script.number() as usize % place.len();
        bytes[at] ^= 1 + script.byte() % 255;
        fs::write(path, bytes).expect("a segment");
        self.behind.crash(&mut Rng::with_seed(0));
        let opened = open(self.directory.path(), self.is_syncing, &self.behind);
        let lost = records.len() - nth.min(records.len());
        let may_open = is_last_file && lost > 0 && (lost == 1 || !self.is_syncing);
        match opened {
            Err(JournalError::Damaged { path: named, .. }) => {
                assert!(!may_open, "only the last commit was cut short");
                assert_eq!(named.file_name(), path.file_name());
            }
            Err(other) => panic!("{other}"),
            Ok((_, reader, _)) => {
                assert!(may_open, "a changed byte at {at} of {} was not seen", path.display());
                let left = self.models.len() - lost;
                if left >= self.drained {
                    self.models[left - 1].check(&reader, 0);
                }
            }
        }
    }
}

impl Model {
    /// A write that a shard could ask for.
    fn write(&mut self, script: &mut Script<'_>) -> Option<Write> {
        let kind = script.byte();
        let index = script.below(LOGS.len());
        let log = LOGS[index];
        let key = match kind {
            0..120 => {
                self.heads[index] += 1;
                Key::Entry { log, position: self.heads[index] }
            }
            120..160 => Key::State { log },
            160..200 => Key::Conversation { log, peer: 1 + u64::from(kind) % PEERS },
            _ => {
                let (from, head) = (self.trims[index] + 1, self.heads[index]);
                let through = head.min(self.trims[index] + u64::from(kind - 199));
                if from > through {
                    return None;
                }
                self.trims[index] = through;
                let gone =
                    Key::Entry { log, position: from }..=Key::Entry { log, position: through };
                self.records.retain(|key, _| !gone.contains(key));
                return Some(Write::Trim { log, from, through });
            }
        };
        let mut value = u64::from(script.byte()).to_le_bytes().to_vec();
        value.resize(8 + 4 * usize::from(script.byte()), kind);
        let value = Bytes::from(value);
        self.records.insert(key, value.clone());
        Some(Write::Put { key, value })
    }

    fn entries(&self, log: LogId) -> impl DoubleEndedIterator<Item = (u64, Bytes)> + '_ {
        let all = Key::Entry { log, position: 0 }..=Key::Entry { log, position: u64::MAX };
        self.records.range(all).filter_map(|(key, value)| match key {
            Key::Entry { position, .. } => Some((*position, value.clone())),
            _ => None,
        })
    }

    /// Everything that can be asked is answered as the model would. What is trimmed may still be in
    /// the database for a while; nobody asks for it.
    fn check(
        &self,
        reader: &JournalReader<DiskDirectory, SimulatedDatabase>,
        expire_through_ms: u64,
    ) {
        let heads = reader.group_heads().expect("the heads");
        for (index, log) in LOGS.into_iter().enumerate() {
            let trim = self.trims[index];
            for peer in 1..=PEERS {
                let record = self.records.get(&Key::Conversation { log, peer }).cloned();
                let loaded = reader.load(Load::Conversation { log, peer }).expect("a load");
                assert_eq!(loaded, Loaded::Conversation { log, peer, record });
            }
            let loaded = reader.load(Load::Log { log, expire_through_ms }).expect("a load");
            let Loaded::Log { record, last, first, head, .. } = loaded else { panic!("no log") };
            if let LogId::Group(group) = log {
                let known = heads.iter().find(|(known, _)| *known == group);
                // Of what never left the journal only the table says that it was there.
                assert_eq!(known.map_or(0, |&(_, head)| head), head.max(trim), "the head of {log}");
            }
            assert_eq!(record.as_ref(), self.records.get(&Key::State { log }));
            assert_eq!(
                last.filter(|&(position, _)| position > trim),
                self.entries(log).next_back()
            );
            let is_fresh = |value: &Bytes| u64::from(value[0]) > expire_through_ms;
            let expected = self.entries(log).find(|(_, value)| is_fresh(value));
            if first.as_ref().is_none_or(|&(position, _)| position > trim) {
                assert_eq!(first, expected);
            }
            self.check_entries(reader, index, trim + 1);
        }
    }

    fn check_entries(
        &self,
        reader: &JournalReader<DiskDirectory, SimulatedDatabase>,
        index: usize,
        from: u64,
    ) {
        let conn = ConnId { slot: 0, generation: 0 };
        let (log, through) = (LOGS[index], self.heads[index]);
        let (mut next, mut found) = (from, Vec::new());
        while next <= through {
            let (from, entries_max, bytes_max) = (next, 3, 900);
            let load = Load::Entries { log, conn, from, through, entries_max, bytes_max };
            let loaded = reader.load(load).expect("a load");
            let Loaded::Entries { entries, through: reached, .. } = loaded else { panic!("none") };
            assert!(reached >= next && reached <= through, "each load brings something");
            found.extend(entries);
            next = reached + 1;
        }
        assert!(found.into_iter().eq(self.entries(log)), "entries of {log}");
    }
}
