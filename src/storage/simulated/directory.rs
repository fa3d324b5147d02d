//! A directory of files in memory.
//!
//! ```text
//! write ──► cache ── sync ──► disk        what a file holds
//! rename ─► names ── sync ──► durable     what the directory holds
//! ```
//!
//! A process sees cache and names. When it is killed they stay as they are. A power cut leaves what was synced,
//! and of the rest what chance kept ([`Loss`]).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

use super::faults::{Counts, Fault, Operation, Plan, Refusal};
use crate::storage::journal::{JournalDirectory, JournalFile};

/// Bytes that a disk writes whole or not at all, where order isn't kept.
const SECTOR_BYTES: u64 = 512;

/// What a power cut leaves of the writes to a file that were not synced. Of unsynced changes of names any number is
/// kept, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Any number of them, the oldest first, and the next one cut at any byte.
    Newest,
    /// Any of their sectors, in whatever order the system wrote them.
    Any,
}

/// What a power cut lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Writes that are gone, or of which only a part is there.
    pub writes: u64,
    /// Those of which a part is there.
    pub torn: u64,
}

/// See the module's description. Clones are handles on the same directory.
#[derive(Debug, Clone)]
pub struct SimulatedDirectory {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`SimulatedDirectory`].
#[derive(Debug)]
pub struct SimulatedFile {
    state: Arc<Mutex<State>>,
    content: Arc<Mutex<Content>>,
    /// The process that opened it.
    process: u64,
}

type Names = BTreeMap<String, Arc<Mutex<Content>>>;

#[derive(Debug)]
struct State {
    /// For salts, and for what is left of an operation that fails.
    random: Rng,
    names: Names,
    /// What a power cut leaves, if nothing of `unsynced`.
    durable: Names,
    /// Changes of names since they were synced, oldest first.
    unsynced: Vec<NameChange>,
    plan: Plan,
    counts: Counts,
    /// Number of the process that uses the directory.
    process: u64,
}

#[derive(Debug)]
enum NameChange {
    Create(String, Arc<Mutex<Content>>),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug, Default)]
struct Content {
    /// What a process reads.
    cache: Vec<u8>,
    /// What a power cut leaves, if nothing of `unsynced`.
    disk: Vec<u8>,
    /// Writes that are in the cache and not on the disk, oldest first. After a sync that failed the cache may
    /// also hold what is in neither of the others.
    unsynced: Vec<(u64, Vec<u8>)>,
}

impl SimulatedDirectory {
    /// An empty directory. The same seed and the same calls give the same salts and faults.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: Rng::with_seed(seed),
            names: Names::new(),
            durable: Names::new(),
            unsynced: Vec::new(),
            plan: Plan::default(),
            counts: Counts::default(),
            process: 0,
        };
        SimulatedDirectory { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Ends the process: what it wrote stays, synced or not. The files that it has open can't be used any
    /// more, and faults that were to come won't.
    pub fn kill(&self) {
        let mut state = self.state();
        state.process += 1;
        state.plan = Plan::default();
    }

    /// Ends the process and loses what was not synced, but for what chance keeps.
    pub fn cut_power(&self, random: &mut Rng, loss: Loss) -> Lost {
        let mut lost = Lost::default();
        self.kill();
        let mut state = self.state();
        let unsynced = std::mem::take(&mut state.unsynced);
        let kept = random.usize(0..=unsynced.len());
        for change in unsynced.into_iter().take(kept) {
            change.apply(&mut state.durable);
        }
        state.names = state.durable.clone();
        for content in state.names.values() {
            let mut content = lock(content);
            content.lose(random, loss, &mut lost);
            content.settle();
        }
        lost
    }

    /// Lets an operation fail, once: the one that follows `after` others of its kind. A write that fails
    /// may have written a part; a sync that fails may have synced some writes, and the others won't be
    /// synced any more though readers see them, as a kernel does it.
    pub fn fail(&self, operation: Operation, after: u64, fault: Fault) {
        self.state().plan.fail(operation, after, fault);
    }

    /// Lets the process end in the middle of a change, after that many others. From then on every operation
    /// fails, until [`SimulatedDirectory::kill`] or [`SimulatedDirectory::cut_power`].
    pub fn end_after(&self, changes: u64) {
        self.state().plan.end_after(changes + 1);
    }

    /// Whether the process has ended so.
    pub fn has_ended(&self) -> bool {
        self.state().plan.has_ended()
    }

    /// Forgets faults and an end that were to come.
    pub fn calm(&self) {
        self.state().plan = Plan::default();
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// What a file holds for a process that reads it.
    pub fn content(&self, name: &str) -> io::Result<Vec<u8>> {
        let content = self.state().find(name)?;
        let content = lock(&content);
        Ok(content.cache.clone())
    }

    /// Damages a file: flips the bits of one byte that are set in `mask`.
    pub fn flip(&self, name: &str, at: u64, mask: u8) -> io::Result<()> {
        self.damage(name, |bytes| {
            if let Some(byte) = bytes.get_mut(at as usize) {
                *byte ^= mask;
            }
        })
    }

    /// Damages a file: cuts off what is behind a byte.
    pub fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.damage(name, |content| content.truncate(bytes as usize))
    }

    fn damage(&self, name: &str, damage: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        let content = self.state().find(name)?;
        let mut content = lock(&content);
        damage(&mut content.disk);
        damage(&mut content.cache);
        Ok(())
    }

    fn file(&self, state: &State, content: Arc<Mutex<Content>>) -> SimulatedFile {
        SimulatedFile { state: Arc::clone(&self.state), content, process: state.process }
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<Arc<Mutex<Content>>> {
        self.names.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            NameChange::Create(name, content) => {
                names.insert(name.clone(), Arc::clone(content));
            }
            NameChange::Rename(from, to) => {
                if let Some(content) = names.remove(from) {
                    names.insert(to.clone(), content);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl JournalDirectory for SimulatedDirectory {
    type File = SimulatedFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.plan.note(Operation::Read)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut state = self.state();
        state.counts.creates += 1;
        state.plan.note(Operation::Create)?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Arc::new(Mutex::new(Content::default()));
        state.change(NameChange::Create(name.to_owned(), Arc::clone(&content)));
        Ok(self.file(&state, content))
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut state = self.state();
        state.plan.note(Operation::Read)?;
        let content = state.find(name)?;
        Ok(self.file(&state, content))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.counts.renames += 1;
        state.plan.note(Operation::Rename)?;
        state.find(from)?;
        state.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.counts.renames += 1;
        state.plan.note(Operation::Remove)?;
        state.find(name)?;
        state.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        state.counts.name_syncs += 1;
        state.plan.note(Operation::SyncNames)?;
        state.unsynced.clear();
        state.durable = state.names.clone();
        Ok(())
    }

    fn salt(&self) -> u64 {
        self.state().random.u64(..)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("simulated").join(name)
    }
}

impl SimulatedFile {
    /// Notes an operation; tells if it must not succeed.
    fn note(&self, state: &mut State, operation: Operation) -> Result<(), Refusal> {
        if self.process != state.process {
            return Err(Refusal::Ended);
        }
        state.plan.note(operation)
    }
}

impl JournalFile for SimulatedFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(lock(&self.content).cache.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.note(&mut lock(&self.state), Operation::Read)?;
        let content = lock(&self.content);
        let rest = content.cache.get(at as usize..).unwrap_or_default();
        let wanted = rest.get(..bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(wanted);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.counts.writes += 1;
        state.counts.written_bytes += bytes.len() as u64;
        let noted = self.note(&mut state, Operation::Write);
        let written = match noted {
            Ok(()) => bytes.len(),
            Err(Refusal::Ended) => 0,
            Err(Refusal::Failed(_) | Refusal::Ending) => state.random.usize(0..=bytes.len()),
        };
        lock(&self.content).write(at, &bytes[..written]);
        noted.map_err(io::Error::from)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.counts.syncs += 1;
        let noted = self.note(&mut state, Operation::Sync);
        let mut content = lock(&self.content);
        match noted {
            Ok(()) => content.sync(),
            Err(Refusal::Failed(_)) => {
                content.lose(&mut state.random, Loss::Any, &mut Lost::default());
            }
            // The crash decides.
            Err(Refusal::Ending | Refusal::Ended) => {}
        }
        noted.map_err(io::Error::from)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn settle(&self) -> io::Result<()> {
        self.sync_data()?;
        lock(&self.content).settle();
        Ok(())
    }
}

impl Content {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            put(&mut self.cache, at, bytes);
            self.unsynced.push((at, bytes.to_vec()));
        }
    }

    fn sync(&mut self) {
        for (at, bytes) in self.unsynced.drain(..) {
            put(&mut self.disk, at, &bytes);
        }
    }

    /// Brings to the disk what chance keeps of the writes that are not there; the others never get there.
    fn lose(&mut self, random: &mut Rng, loss: Loss, lost: &mut Lost) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let kept = random.usize(0..=unsynced.len());
        for (nth, (at, bytes)) in unsynced.into_iter().enumerate() {
            let kept_bytes = match loss {
                Loss::Newest => {
                    let kept_bytes = match nth.cmp(&kept) {
                        Ordering::Less => bytes.len(),
                        Ordering::Equal => random.usize(0..=bytes.len()),
                        Ordering::Greater => 0,
                    };
                    put(&mut self.disk, at, &bytes[..kept_bytes]);
                    kept_bytes
                }
                Loss::Any => {
                    let kept_of_4 = random.u8(0..=4);
                    let mut kept_bytes = 0;
                    for (at, sector) in sectors(at, &bytes) {
                        if random.u8(0..4) < kept_of_4 {
                            put(&mut self.disk, at, sector);
                            kept_bytes += sector.len();
                        }
                    }
                    kept_bytes
                }
            };
            lost.writes += u64::from(kept_bytes < bytes.len());
            lost.torn += u64::from(kept_bytes > 0 && kept_bytes < bytes.len());
        }
    }

    /// Lets readers see what the disk holds.
    fn settle(&mut self) {
        self.cache.clone_from(&self.disk);
    }
}

/// Writes bytes, behind zeros if the file ends before.
fn put(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = at as usize + bytes.len();
    if bytes.is_empty() {
        return;
    }
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at as usize..][..bytes.len()].copy_from_slice(bytes);
}

/// A write cut where the disk's sectors end.
fn sectors(mut at: u64, mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (begin, room) = (at, (SECTOR_BYTES - at % SECTOR_BYTES) as usize);
        let (sector, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        (at, bytes) = (at + room as u64, rest);
        (!sector.is_empty()).then_some((begin, sector))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
