//! A disk in memory, for the simulator and for tests: deterministic, without threads or files. What was
//! applied after the last flush can be lost by a crash, from any write on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Storage;
use crate::shard::seam::{Key, Load, Loaded, UserId, Write};

/// See the module's description. Clones are handles on the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<Key, Bytes>,
    /// What a crash falls back to.
    durable: BTreeMap<Key, Bytes>,
    /// What was applied since the last flush.
    unflushed: Vec<Write>,
}

impl SimulatedDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses what was applied since the last flush, but for the first `kept` writes.
    pub fn crash(&self, kept: usize) {
        let mut state = self.state();
        let unflushed = std::mem::take(&mut state.unflushed);
        let mut records = state.durable.clone();
        unflushed.iter().take(kept).for_each(|write| apply(&mut records, write));
        state.durable.clone_from(&records);
        state.records = records;
    }

    /// Writes that a crash could lose.
    pub fn unflushed(&self) -> usize {
        self.state().unflushed.len()
    }
}

impl Storage for SimulatedDisk {
    type Error = Infallible;

    fn load(&self, load: Load) -> Result<Loaded, Infallible> {
        let state = self.state();
        let records = &state.records;
        Ok(match load {
            Load::Conversation { user, peer } => {
                let record = records.get(&Key::Conversation { user, peer }).cloned();
                Loaded::Conversation { user, peer, record }
            }
            Load::Inbox { user, expire_through_ms } => Loaded::Inbox {
                user,
                record: records.get(&Key::Inbox { user }).cloned(),
                last: entries(records, user, 0, u64::MAX).next_back(),
                first: entries(records, user, 0, u64::MAX)
                    .find(|(_, value)| time_ms(value) > expire_through_ms),
            },
            Load::Entries { user, conn, from, through, entries_max, bytes_max } => {
                let (mut found, mut bytes, mut reached) = (Vec::new(), 0, through);
                for (position, value) in entries(records, user, from, through) {
                    let is_full =
                        found.len() >= entries_max as usize || bytes >= bytes_max as usize;
                    if is_full && !found.is_empty() {
                        reached = position - 1;
                        break;
                    }
                    bytes += value.len();
                    found.push((position, value));
                }
                Loaded::Entries { user, conn, entries: found, through: reached }
            }
        })
    }

    fn apply(&self, writes: &[Write]) -> Result<(), Infallible> {
        let mut state = self.state();
        for write in writes {
            apply(&mut state.records, write);
        }
        state.unflushed.extend_from_slice(writes);
        Ok(())
    }

    fn flush(&self) -> Result<(), Infallible> {
        let mut state = self.state();
        state.durable = state.records.clone();
        state.unflushed.clear();
        Ok(())
    }

    fn is_empty(&self) -> bool {
        let state = self.state();
        state.records.is_empty() && state.unflushed.is_empty()
    }
}

fn apply(records: &mut BTreeMap<Key, Bytes>, write: &Write) {
    match write {
        Write::Put { key, value } => {
            // The value may be a slice of a large block, which must not be kept alive for it.
            records.insert(*key, Bytes::copy_from_slice(value));
        }
        Write::Trim { user, from, through } => {
            for position in *from..=*through {
                records.remove(&Key::Entry { user: *user, position });
            }
        }
    }
}

fn entries(
    records: &BTreeMap<Key, Bytes>,
    user: UserId,
    from: u64,
    through: u64,
) -> impl DoubleEndedIterator<Item = (u64, Bytes)> + '_ {
    let range = Key::Entry { user, position: from }..=Key::Entry { user, position: through };
    records.range(range).filter_map(|(key, value)| match key {
        Key::Entry { position, .. } => Some((*position, value.clone())),
        _ => None,
    })
}

fn time_ms(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |time| u64::from_le_bytes(*time))
}
