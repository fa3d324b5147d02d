//! Pages of a log, and single entries.

use bytes::Bytes;

use super::super::files::JournalDirectory;
use super::super::load::JournalReader;
use crate::shard::seam::{ConnId, Load, Loaded, LogId};
use crate::storage::Storage;

/// Page by page from either end, a log above `trim` is what all its entries in order are; and each of them
/// is found by itself.
pub(super) fn check(
    reader: &JournalReader<impl JournalDirectory, impl Storage>,
    log: LogId,
    trim: u64,
    entries: &[(u64, Bytes)],
) {
    for newest_first in [false, true] {
        let mut got = paged(reader, log, trim, newest_first);
        if newest_first {
            got.reverse();
        }
        assert_eq!(got, entries);
    }
    for (position, value) in entries.iter().step_by(7) {
        let position = *position;
        let value = Some(value.clone());
        let loaded = reader.load(Load::Entry { log, position }).expect("load");
        assert_eq!(loaded, Loaded::Entry { log, position, value });
    }
}

fn paged(
    reader: &JournalReader<impl JournalDirectory, impl Storage>,
    log: LogId,
    trim: u64,
    newest_first: bool,
) -> Vec<(u64, Bytes)> {
    let (mut from, mut through, mut got) = (trim + 1, u64::MAX - 1, Vec::new());
    while from <= through {
        let conn = ConnId { slot: 0, generation: 0 };
        let (entries_max, bytes_max) = (fastrand::u32(1..30), fastrand::u32(1..600));
        let load = Load::Page { log, conn, from, through, newest_first, entries_max, bytes_max };
        let Loaded::Page { entries, from: first, through: last, .. } =
            reader.load(load).expect("load")
        else {
            panic!("not a page");
        };
        assert!(entries.len() <= entries_max as usize, "more than was asked for");
        assert!(entries.iter().all(|(position, _)| (first..=last).contains(position)));
        got.extend(entries);
        if newest_first {
            assert_eq!(last, through);
            through = first - 1;
        } else {
            assert_eq!(first, from);
            from = last + 1;
        }
    }
    got
}
