//! Storage in a test: what is committed, and nothing else, survives a crash.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::shard::record::split_entry;
use crate::shard::{Key, Load, Loaded, LogId, UserId, Write};

/// See the module's description.
#[derive(Default)]
pub(super) struct Disk {
    records: BTreeMap<Key, Bytes>,
    /// Every entry that was ever put: a position is never used twice.
    positions: BTreeSet<(LogId, u64)>,
    /// Writes committed so far.
    pub(super) commits: u64,
}

impl Disk {
    pub(super) fn commit(&mut self, writes: Vec<Write>) {
        self.commits += 1;
        for write in writes {
            match write {
                Write::Put { key, value } => {
                    if let Key::Entry { log, position } = key {
                        let is_new = self.positions.insert((log, position));
                        assert!(is_new, "position {position} of {log:?} was used twice");
                    }
                    // A copy of its own, as a real store makes one.
                    self.records.insert(key, Bytes::copy_from_slice(&value));
                }
                Write::Trim { log, from, through } => {
                    for position in from..=through {
                        self.records.remove(&Key::Entry { log, position });
                    }
                }
            }
        }
    }

    pub(super) fn answer(&self, load: Load) -> Loaded {
        match load {
            Load::Log { log, expire_through_ms } => {
                let first =
                    self.entries_of(log).find(|(_, value)| time_ms(value) > expire_through_ms);
                let record = self.records.get(&Key::State { log }).cloned();
                let last = self.entries_of(log).next_back();
                let positions = self.positions.range((log, 0)..=(log, u64::MAX));
                let head = positions.last().map_or(0, |&(_, position)| position);
                Loaded::Log { log, record, last, first, head }
            }
            Load::Presence { user } => {
                let record = self.records.get(&Key::Presence { user }).cloned();
                Loaded::Presence { user, record }
            }
            Load::Book { user } => {
                Loaded::Book { user, record: self.records.get(&Key::Book { user }).cloned() }
            }
            Load::Name { hash } => {
                Loaded::Name { hash, record: self.records.get(&Key::Name { hash }).cloned() }
            }
            Load::Conversation { log, peer } => {
                let record = self.records.get(&Key::Conversation { log, peer }).cloned();
                Loaded::Conversation { log, peer, record }
            }
            Load::Entries { log, conn, from, through, entries_max, bytes_max } => {
                let mut entries = Vec::new();
                let mut bytes = 0;
                let mut covered = through;
                for (position, value) in self.entries_of(log) {
                    if position < from || position > through {
                        continue;
                    }
                    bytes += value.len();
                    entries.push((position, value));
                    if entries.len() == entries_max as usize || bytes >= bytes_max as usize {
                        covered = position;
                        break;
                    }
                }
                Loaded::Entries { log, conn, entries, through: covered }
            }
            Load::Page { log, conn, from, through, newest_first, entries_max, bytes_max } => {
                let all = self.entries_of(log);
                let mut all: Vec<_> = all.filter(|(it, _)| (from..=through).contains(it)).collect();
                if newest_first {
                    all.reverse();
                }
                let mut bytes = 0;
                let kept = all.iter().take_while(|(_, value)| {
                    bytes += value.len();
                    bytes - value.len() < bytes_max as usize
                });
                let kept = kept.take(entries_max as usize).count();
                let (mut from, mut through) = (from, through);
                match all.get(kept) {
                    Some((next, _)) if newest_first => from = next + 1,
                    Some((next, _)) => through = next - 1,
                    None => {}
                }
                all.truncate(kept);
                Loaded::Page { log, conn, entries: all, from, through }
            }
            Load::Entry { log, position } => {
                let value = self.get(Key::Entry { log, position }).cloned();
                Loaded::Entry { log, position, value }
            }
        }
    }

    /// The head of each group.
    pub(super) fn group_heads(&self) -> Vec<(u64, u64)> {
        let mut heads = BTreeMap::new();
        for &(log, position) in &self.positions {
            if let LogId::Group(group) = log {
                heads.insert(group, position);
            }
        }
        heads.into_iter().collect()
    }

    /// The entries of an inbox, in order.
    pub(super) fn entries(
        &self,
        user: UserId,
    ) -> impl DoubleEndedIterator<Item = (u64, Bytes)> + '_ {
        self.entries_of(LogId::Inbox(user))
    }

    fn entries_of(&self, log: LogId) -> impl DoubleEndedIterator<Item = (u64, Bytes)> + '_ {
        let all = Key::Entry { log, position: 0 }..=Key::Entry { log, position: u64::MAX };
        self.records.range(all).filter_map(|(key, value)| match key {
            Key::Entry { position, .. } => Some((*position, value.clone())),
            _ => None,
        })
    }

    /// Removes what has expired, as storage does on its own.
    pub(super) fn remove_expired(&mut self, expire_through_ms: u64) {
        self.records.retain(|key, value| {
            !matches!(key, Key::Entry { .. }) || time_ms(value) > expire_through_ms
        });
    }

    /// Removes what is over by itself, likewise.
    pub(super) fn remove_over(&mut self, now_ms: u64) {
        self.records.retain(|key, value| {
            let Key::Entry { .. } = key else { return true };
            let (header, _) = split_entry(value).expect("an entry");
            header.over_ms == 0 || header.over_ms > now_ms
        });
    }

    /// Damages a value.
    pub(super) fn overwrite(&mut self, key: Key, value: Bytes) {
        self.records.insert(key, value);
    }

    pub(super) fn get(&self, key: Key) -> Option<&Bytes> {
        self.records.get(&key)
    }
}

fn time_ms(value: &Bytes) -> u64 {
    value.first_chunk().map_or(0, |time| u64::from_le_bytes(*time))
}
