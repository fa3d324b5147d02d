//! The database behind the journal, in memory. What was applied after the last flush is lost by a crash, even if
//! only the process ends, but for what chance kept: a database writes some of it out by itself.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fastrand::Rng;

use crate::shard::seam::{GroupId, Key, Load, Loaded, LogId, Write};
use crate::storage::Storage;
use crate::storage::entry::{is_over, time_ms};

/// See the module's description. Clones are handles on the same database.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDatabase {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: Records,
    /// What a crash leaves, if nothing of `unflushed`.
    durable: Records,
    /// What was applied since the last flush.
    unflushed: Vec<Write>,
    /// The last segment that was drained into it, and what a crash leaves of that.
    drained: u64,
    drained_durable: u64,
    /// Calls that change something until the process ends in the middle of one; none if it doesn't.
    changes_left: Option<u64>,
}

#[derive(Debug, Default, Clone)]
struct Records {
    values: BTreeMap<Key, Bytes>,
    heads: BTreeMap<LogId, u64>,
}

impl SimulatedDatabase {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process and loses what was applied since the last flush. Of the entries any number is kept, the
    /// oldest first, and of the records likewise: they are written out independently.
    pub fn crash(&self, random: &mut Rng) {
        let mut state = self.state();
        let unflushed = std::mem::take(&mut state.unflushed);
        let entries_kept = random.usize(0..=unflushed.len());
        let records_kept = random.usize(0..=unflushed.len());
        for write in &unflushed[..entries_kept] {
            state.durable.apply_to_entries(write);
        }
        for write in &unflushed[..records_kept] {
            state.durable.apply_to_records(write);
        }
        state.records = state.durable.clone();
        state.drained = state.drained_durable;
        state.changes_left = None;
    }

    /// Lets the process end in the middle of an apply or a flush, after that many others. From then on
    /// everything fails, until [`SimulatedDatabase::crash`].
    pub fn end_after(&self, changes: u64) {
        self.state().changes_left = Some(changes + 1);
    }

    /// Whether the process has ended so.
    pub fn has_ended(&self) -> bool {
        self.state().has_ended()
    }

    /// Forgets an end that was to come.
    pub fn calm(&self) {
        self.state().changes_left = None;
    }

    /// Writes that a crash could lose.
    pub fn unflushed(&self) -> usize {
        self.state().unflushed.len()
    }

    /// Drops the flushed entries of this time (Unix milliseconds) and earlier, as a compaction does it.
    /// Returns how many.
    pub fn expire(&self, through_ms: u64) -> u64 {
        self.state().drop_entries(|value| time_ms(value) <= through_ms)
    }

    /// Drops the flushed entries whose own time is over at `now_ms` (Unix milliseconds), as a compaction does it.
    /// Returns how many.
    pub fn drop_over(&self, now_ms: u64) -> u64 {
        self.state().drop_entries(|value| is_over(value, now_ms))
    }
}

impl State {
    /// Drops flushed entries; returns how many.
    fn drop_entries(&mut self, is_dropped: impl Fn(&Bytes) -> bool) -> u64 {
        let State { records, durable, unflushed, .. } = self;
        let before = durable.values.len();
        durable.values.retain(|key, value| !is_entry(key) || !is_dropped(value));
        let dropped = before - durable.values.len();
        if dropped > 0 {
            records.clone_from(durable);
            for write in unflushed.iter() {
                records.apply(write);
            }
        }
        dropped as u64
    }

    fn has_ended(&self) -> bool {
        self.changes_left == Some(0)
    }

    fn note_change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.changes_left {
            *left = left.saturating_sub(1);
        }
        if self.has_ended() { Err(ended()) } else { Ok(()) }
    }
}

impl Storage for SimulatedDatabase {
    type Error = io::Error;

    fn load(&self, load: Load) -> io::Result<Loaded> {
        let state = self.state();
        if state.has_ended() {
            return Err(ended());
        }
        let records = &state.records;
        if let Load::Page { log, conn, from, through, newest_first: false, .. } = load {
            let Load::Page { entries_max, bytes_max, .. } = load else { return Err(ended()) };
            let upwards = Load::Entries { log, conn, from, through, entries_max, bytes_max };
            drop(state);
            return Ok(self.load(upwards)?.into_page(from));
        }
        Ok(match load {
            Load::Conversation { log, peer } => {
                let record = records.values.get(&Key::Conversation { log, peer }).cloned();
                Loaded::Conversation { log, peer, record }
            }
            Load::Presence { user } => {
                let record = records.values.get(&Key::Presence { user }).cloned();
                Loaded::Presence { user, record }
            }
            Load::Book { user } => {
                Loaded::Book { user, record: records.values.get(&Key::Book { user }).cloned() }
            }
            Load::Name { hash } => {
                Loaded::Name { hash, record: records.values.get(&Key::Name { hash }).cloned() }
            }
            Load::Log { log, expire_through_ms } => Loaded::Log {
                log,
                record: records.values.get(&Key::State { log }).cloned(),
                last: records.entries(log, 0, u64::MAX).next_back(),
                first: records
                    .entries(log, 0, u64::MAX)
                    .find(|(_, value)| time_ms(value) > expire_through_ms),
                head: records.heads.get(&log).copied().unwrap_or(0),
            },
            Load::Entries { log, conn, from, through, entries_max, bytes_max } => {
                let (mut found, mut bytes, mut reached) = (Vec::new(), 0, through);
                for (position, value) in records.entries(log, from, through) {
                    let is_full =
                        found.len() >= entries_max as usize || bytes >= bytes_max as usize;
                    if is_full && !found.is_empty() {
                        reached = position - 1;
                        break;
                    }
                    bytes += value.len();
                    found.push((position, value));
                }
                Loaded::Entries { log, conn, entries: found, through: reached }
            }
            Load::Page { log, conn, from, through, entries_max, bytes_max, .. } => {
                let (mut found, mut bytes, mut reached) = (Vec::new(), 0, from);
                for (position, value) in records.entries(log, from, through).rev() {
                    let is_full =
                        found.len() >= entries_max as usize || bytes >= bytes_max as usize;
                    if is_full && !found.is_empty() {
                        reached = position + 1;
                        break;
                    }
                    bytes += value.len();
                    found.push((position, value));
                }
                Loaded::Page { log, conn, entries: found, from: reached, through }
            }
            Load::Entry { log, position } => {
                let value = records.values.get(&entry(log, position)).cloned();
                Loaded::Entry { log, position, value }
            }
        })
    }

    fn group_heads(&self) -> io::Result<Vec<(GroupId, u64)>> {
        let state = self.state();
        if state.has_ended() {
            return Err(ended());
        }
        let mut heads = BTreeMap::new();
        for key in state.records.values.keys() {
            if let (LogId::Group(group), false) = (key.log(), is_entry(key)) {
                heads.insert(group, 0);
            }
        }
        for (&log, &head) in &state.records.heads {
            if let LogId::Group(group) = log {
                heads.insert(group, head);
            }
        }
        Ok(heads.into_iter().collect())
    }

    fn apply(&self, writes: &[Write]) -> io::Result<()> {
        let mut state = self.state();
        if state.has_ended() {
            return Err(ended());
        }
        for write in writes {
            state.records.apply(write);
        }
        state.unflushed.extend_from_slice(writes);
        // If the process ends in here, the crash decides how much of it was done.
        state.note_change()
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        state.note_change()?;
        let State { durable, unflushed, .. } = &mut *state;
        for write in unflushed.drain(..) {
            durable.apply(&write);
        }
        state.drained_durable = state.drained;
        Ok(())
    }

    fn note_drained(&self, segment: u64) -> io::Result<()> {
        self.state().drained = segment;
        Ok(())
    }

    fn drained(&self) -> io::Result<Option<u64>> {
        Ok(Some(self.state().drained))
    }

    fn is_empty(&self) -> bool {
        let state = self.state();
        state.records.values.is_empty() && state.records.heads.is_empty()
    }
}

const fn entry(log: LogId, position: u64) -> Key {
    Key::Entry { log, position }
}

impl Records {
    fn apply(&mut self, write: &Write) {
        self.apply_to_entries(write);
        self.apply_to_records(write);
    }

    /// Does what a write does to the entries.
    fn apply_to_entries(&mut self, write: &Write) {
        match write {
            Write::Put { key, value } if is_entry(key) => self.put(*key, value),
            Write::Put { .. } => {}
            Write::Trim { log, from, through } => {
                // Whatever the range says, only what is there takes time.
                let (first, last) = (entry(*log, *from), entry(*log, *through));
                let gone: Vec<Key> = self.values.range(first..=last).map(|(key, _)| *key).collect();
                for key in gone {
                    self.values.remove(&key);
                }
            }
        }
    }

    /// Does what a write does to everything else.
    fn apply_to_records(&mut self, write: &Write) {
        match write {
            Write::Put { key: Key::Entry { log, position }, .. } => {
                self.heads.insert(*log, *position);
            }
            Write::Put { key, value } => self.put(*key, value),
            Write::Trim { log: log @ LogId::Group(_), through, .. } => {
                let head = self.heads.entry(*log).or_default();
                *head = (*through).max(*head);
            }
            Write::Trim { .. } => {}
        }
    }

    fn put(&mut self, key: Key, value: &Bytes) {
        // The value may be a slice of a large block, which must not be kept alive for it.
        self.values.insert(key, Bytes::copy_from_slice(value));
    }

    fn entries(
        &self,
        log: LogId,
        from: u64,
        through: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, Bytes)> + '_ {
        let range = Key::Entry { log, position: from }..=Key::Entry { log, position: through };
        self.values.range(range).filter_map(|(key, value)| match key {
            Key::Entry { position, .. } => Some((*position, value.clone())),
            _ => None,
        })
    }
}

fn ended() -> io::Error {
    io::Error::other("the simulated process has ended")
}

const fn is_entry(key: &Key) -> bool {
    matches!(key, Key::Entry { .. })
}
