//! Reading what lies behind the cursors: a page of a log from either end, and single entries.

use bytes::Bytes;

use super::error::JournalError;
use super::files::JournalDirectory;
use super::load::{JournalReader, Range, find};
use crate::shard::seam::{Key, Load, Loaded, LogId};
use crate::storage::Storage;

impl<D: JournalDirectory, S: Storage> JournalReader<D, S> {
    /// The answer to [`Load::Page`].
    pub(super) fn page(&self, range: Range, newest_first: bool) -> Result<Loaded, JournalError> {
        if newest_first {
            return self.page_down(range);
        }
        Ok(self.entries(range)?.into_page(range.from))
    }

    fn page_down(&self, range: Range) -> Result<Loaded, JournalError> {
        let Range { log, conn, from, through, entries_max, bytes_max } = range;
        // The log first: what the drain moves meanwhile is then found in both, not in neither.
        let (logged_from, logged) = {
            let index = self.shared.read();
            let (first, last) = index.entries(log).unwrap_or((u64::MAX, 0));
            let logged: Vec<_> = (first.max(from)..=last.min(through))
                .rev()
                .take(entries_max as usize + 1)
                .filter_map(|position| {
                    Some((position, find(&index, Key::Entry { log, position })?))
                })
                .collect();
            (first, logged)
        };
        let mut entries: Vec<(u64, Bytes)> = Vec::new();
        let mut bytes = 0;
        for (position, found) in logged {
            let is_full = entries.len() >= entries_max as usize || bytes >= bytes_max as usize;
            if is_full && !entries.is_empty() {
                return Ok(Loaded::Page { log, conn, entries, from: position + 1, through });
            }
            let value = found.value()?;
            bytes += value.len();
            entries.push((position, value));
        }
        let mut reached = from;
        if from < logged_from {
            // Even if the page is full, for what tells whether there is more.
            let load = Load::Page {
                log,
                conn,
                from,
                through: through.min(logged_from - 1),
                newest_first: true,
                entries_max: entries_max.saturating_sub(entries.len() as u32),
                bytes_max: bytes_max.saturating_sub(bytes as u32),
            };
            if let Loaded::Page { entries: older, from: lowest, .. } = self.behind(load)? {
                reached = lowest;
                let has_room = entries.len() < entries_max as usize && bytes < bytes_max as usize;
                match older.first() {
                    // A read brings one entry at least.
                    Some(&(next, _)) if !has_room && !entries.is_empty() => reached = next + 1,
                    _ => entries.extend(older),
                }
            }
        }
        Ok(Loaded::Page { log, conn, entries, from: reached, through })
    }

    /// The answer to [`Load::Entry`].
    pub(super) fn entry(&self, log: LogId, position: u64) -> Result<Loaded, JournalError> {
        match self.logged_entry(log, position)? {
            Some((_, value)) => Ok(Loaded::Entry { log, position, value: Some(value) }),
            None => self.behind(Load::Entry { log, position }),
        }
    }
}
