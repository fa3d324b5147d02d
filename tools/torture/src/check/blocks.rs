//! Whom a user blocked, and when that is certain: from the answer to one change of it to the next change.

use std::collections::HashMap;

use super::books::{BlockEvent, BookEvent};
use super::identity::{Device, Direction};

/// A block that was put, or taken away.
#[derive(Debug, Clone, Copy)]
struct Put {
    by: Device,
    blocks: bool,
    written: u64,
    /// Never, where no answer came.
    confirmed: u64,
    confirmed_us: u64,
}

/// What certainly held for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) is_blocked: bool,
    /// The line that confirmed it; 0 if it was so from the beginning.
    pub(super) since: u64,
    /// When that was.
    pub(super) since_us: u64,
}

/// See the module's description. By the direction of what the blocked sends.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    puts: HashMap<Direction, Vec<Put>>,
}

impl Blocks {
    /// A line about a book.
    pub(super) fn gather(&mut self, by: Device, (sequence, us): (u64, u64), event: &BookEvent) {
        let Some(BlockEvent { blocked, blocks, is_put }) = event.about_a_block() else { return };
        let direction = Direction { author: blocked, reader: by.user };
        let puts = self.puts.entry(direction).or_default();
        if is_put {
            let (written, confirmed, confirmed_us) = (sequence, u64::MAX, u64::MAX);
            puts.push(Put { by, blocks, written, confirmed, confirmed_us });
            return;
        }
        let last = puts.iter_mut().rfind(|put| put.by == by);
        if let Some(put) = last.filter(|put| put.blocks == blocks && put.confirmed == u64::MAX) {
            (put.confirmed, put.confirmed_us) = (sequence, us);
        }
    }

    /// Whether the reader ever blocked the author.
    pub(super) fn touch(&self, direction: Direction) -> bool {
        self.puts.contains_key(&direction)
    }

    /// What certainly held from one line through another one.
    pub(super) fn held(&self, direction: Direction, from: u64, through: u64) -> Option<Held> {
        let puts = self.puts.get(&direction).map_or(&[][..], Vec::as_slice);
        let written = || puts.iter().filter(|put| put.written < through);
        if written().next().is_none() {
            return Some(Held { is_blocked: false, since: 0, since_us: 0 });
        }
        let last = written().filter(|put| put.confirmed < from).max_by_key(|put| put.written)?;
        let is_over = |put: &Put| put.written == last.written || put.confirmed < last.written;
        let (since, since_us) = (last.confirmed, last.confirmed_us);
        let held = Held { is_blocked: last.blocks, since, since_us };
        written().all(is_over).then_some(held)
    }
}
