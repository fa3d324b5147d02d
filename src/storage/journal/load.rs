//! Reading: from the log what it still holds, from the database what it doesn't.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;

use super::Shared;
use super::error::JournalError;
use super::files::{JournalDirectory, JournalFile};
use super::index::{Index, Place};
use super::segment::Segment;
use crate::shard::seam::{ConnId, GroupId, Key, Load, Loaded, LogId};
use crate::storage::Storage;
use crate::storage::entry::time_ms;

/// Answers loads. Cheap to clone; used from several threads.
#[derive(Debug)]
pub struct JournalReader<D: JournalDirectory, S> {
    pub(super) shared: Arc<Shared<D>>,
    behind: S,
}

/// A value in the log. Holding it keeps its segment from being used again.
pub(super) struct Found<F> {
    segment: Arc<Segment<F>>,
    place: Place,
}

/// Positions of entries in the log, and where they lie.
type Logged<F> = Vec<(u64, Found<F>)>;

/// The bounds of a [`Load::Entries`] or [`Load::Page`].
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) log: LogId,
    pub(super) conn: ConnId,
    pub(super) from: u64,
    pub(super) through: u64,
    pub(super) entries_max: u32,
    pub(super) bytes_max: u32,
}

impl<D: JournalDirectory, S: Clone> Clone for JournalReader<D, S> {
    fn clone(&self) -> Self {
        JournalReader { shared: Arc::clone(&self.shared), behind: self.behind.clone() }
    }
}

impl<D: JournalDirectory, S: Storage> JournalReader<D, S> {
    pub(super) const fn new(shared: Arc<Shared<D>>, behind: S) -> Self {
        JournalReader { shared, behind }
    }

    /// Answers one load.
    pub fn load(&self, load: Load) -> Result<Loaded, JournalError> {
        match load {
            Load::Conversation { log, peer } => {
                let found = find(&self.shared.read(), Key::Conversation { log, peer });
                match found {
                    Some(found) => {
                        Ok(Loaded::Conversation { log, peer, record: Some(found.value()?) })
                    }
                    None => self.behind(load),
                }
            }
            Load::Presence { user } => {
                let found = find(&self.shared.read(), Key::Presence { user });
                match found {
                    Some(found) => Ok(Loaded::Presence { user, record: Some(found.value()?) }),
                    None => self.behind(load),
                }
            }
            Load::Book { user } => {
                let found = find(&self.shared.read(), Key::Book { user });
                match found {
                    Some(found) => Ok(Loaded::Book { user, record: Some(found.value()?) }),
                    None => self.behind(load),
                }
            }
            Load::Name { hash } => {
                let found = find(&self.shared.read(), Key::Name { hash });
                match found {
                    Some(found) => Ok(Loaded::Name { hash, record: Some(found.value()?) }),
                    None => self.behind(load),
                }
            }
            Load::Log { log, expire_through_ms } => self.log(log, expire_through_ms),
            Load::Entries { log, conn, from, through, entries_max, bytes_max } => {
                self.entries(Range { log, conn, from, through, entries_max, bytes_max })
            }
            Load::Page { log, conn, from, through, newest_first, entries_max, bytes_max } => {
                let range = Range { log, conn, from, through, entries_max, bytes_max };
                self.page(range, newest_first)
            }
            Load::Entry { log, position } => self.entry(log, position),
        }
    }

    /// The head of every group of which anything is stored, as [`Loaded::Log`] has it; 0 of one without an
    /// entry. In no order. For the start of a node: it takes time in proportion to what the journal
    /// holds and to the number of groups.
    pub fn group_heads(&self) -> Result<Vec<(GroupId, u64)>, JournalError> {
        let mut heads: HashMap<GroupId, u64> = HashMap::new();
        let mut note = |(group, position): (GroupId, u64)| {
            let head = heads.entry(group).or_default();
            *head = position.max(*head);
        };
        // The log first, for the same reason as in a load.
        self.shared.read().group_heads().for_each(&mut note);
        self.behind.group_heads().map_err(JournalError::database)?.into_iter().for_each(note);
        Ok(heads.into_iter().collect())
    }

    pub(super) fn behind(&self, load: Load) -> Result<Loaded, JournalError> {
        self.behind.load(load).map_err(JournalError::database)
    }

    fn log(&self, log: LogId, expire_through_ms: u64) -> Result<Loaded, JournalError> {
        // The log first: what the drain moves meanwhile is then found in both, not in neither.
        let (record, entries) = {
            let index = self.shared.read();
            (find(&index, Key::State { log }), index.entries(log))
        };
        let newest = match entries {
            Some((_, last)) => self.logged_entry(log, last)?,
            None => None,
        };
        let oldest = self.unexpired(log, entries, expire_through_ms)?;
        let mut loaded = self.behind(Load::Log { log, expire_through_ms })?;
        if let Loaded::Log { record: stored, last, first, head, .. } = &mut loaded {
            *head = newest.as_ref().map_or(*head, |&(position, _)| position.max(*head));
            if let Some(found) = record {
                *stored = Some(found.value()?);
            }
            *last = newest.or(last.take());
            *first = first.take().or(oldest);
        }
        Ok(loaded)
    }

    /// The first of the logged entries that hasn't expired.
    fn unexpired(
        &self,
        log: LogId,
        entries: Option<(u64, u64)>,
        expire_through_ms: u64,
    ) -> Result<Option<(u64, Bytes)>, JournalError> {
        for position in entries.into_iter().flat_map(|(first, last)| first..=last) {
            match self.logged_entry(log, position)? {
                Some(entry) if time_ms(&entry.1) > expire_through_ms => return Ok(Some(entry)),
                _ => {}
            }
        }
        Ok(None)
    }

    pub(super) fn logged_entry(
        &self,
        log: LogId,
        position: u64,
    ) -> Result<Option<(u64, Bytes)>, JournalError> {
        let found = find(&self.shared.read(), Key::Entry { log, position });
        found.map(|found| Ok((position, found.value()?))).transpose()
    }

    pub(super) fn entries(&self, range: Range) -> Result<Loaded, JournalError> {
        let Range { log, conn, from, through, entries_max, bytes_max } = range;
        let (logged_from, logged) = self.logged(range);
        let mut entries: Vec<(u64, Bytes)> = Vec::new();
        if from < logged_from {
            let through = through.min(logged_from - 1);
            let load = Load::Entries { log, conn, from, through, entries_max, bytes_max };
            if let Loaded::Entries { entries: older, through: reached, .. } = self.behind(load)? {
                if reached < through {
                    return Ok(Loaded::Entries { log, conn, entries: older, through: reached });
                }
                entries = older;
            }
        }
        let mut bytes: usize = entries.iter().map(|(_, value)| value.len()).sum();
        for (position, found) in logged {
            let is_full = entries.len() >= entries_max as usize || bytes >= bytes_max as usize;
            if is_full && !entries.is_empty() {
                return Ok(Loaded::Entries { log, conn, entries, through: position - 1 });
            }
            let value = found.value()?;
            bytes += value.len();
            entries.push((position, value));
        }
        Ok(Loaded::Entries { log, conn, entries, through })
    }

    /// The first position of the range that the log holds (or one beyond it), and where the entries lie.
    fn logged(&self, range: Range) -> (u64, Logged<D::File>) {
        let index = self.shared.read();
        let Some((first, last)) = index.entries(range.log) else { return (u64::MAX, Vec::new()) };
        let last = last.min(range.through);
        let found = (first.max(range.from)..=last)
            .take(range.entries_max as usize + 1)
            .filter_map(|position| {
                let key = Key::Entry { log: range.log, position };
                Some((position, find(&index, key)?))
            })
            .collect();
        (first, found)
    }
}

impl<F: JournalFile> Found<F> {
    pub(super) fn value(&self) -> Result<Bytes, JournalError> {
        let mut value = vec![0; self.place.bytes as usize];
        let at = u64::from(self.place.at);
        self.segment.read_at(at, &mut value)?;
        if crc32fast::hash(&value) != self.place.checksum {
            return Err(JournalError::Damaged { path: self.segment.path.clone(), at });
        }
        Ok(Bytes::from(value))
    }
}

pub(super) fn find<F>(index: &Index<F>, key: Key) -> Option<Found<F>> {
    let place = index.place(key)?;
    let segment = Arc::clone(index.segments.get(&u64::from(place.segment))?);
    Some(Found { segment, place })
}
