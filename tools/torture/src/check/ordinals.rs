//! The ordinals of each direction: one message each, one ordinal per message, without holes.

use std::collections::HashMap;

use super::identity::{Device, Direction, MessageId};
use super::violation::{Promise, Tally};

/// Holes of a direction that are counted.
const HOLES_MAX: usize = 10_000;

/// What ticks and deliveries said about ordinals.
#[derive(Debug, Default)]
pub(super) struct Ordinals {
    by_ordinal: HashMap<(Direction, u64), MessageId>,
    by_message: HashMap<MessageId, u64>,
    /// The highest of each direction.
    last: HashMap<Direction, u64>,
}

impl Ordinals {
    /// A device was told that `id` is number `ordinal` of its direction.
    pub(super) fn claim(
        &mut self,
        witness: Device,
        id: MessageId,
        ordinal: u64,
        tally: &mut Tally,
    ) {
        let direction = id.direction();
        let known = *self.by_ordinal.entry((direction, ordinal)).or_insert(id);
        if known != id {
            let text = format!("{direction} ordinal {ordinal} is {known}, and {id} for {witness}");
            tally.add(Promise::Reordered, text);
        }
        let known = *self.by_message.entry(id).or_insert(ordinal);
        if known != ordinal {
            let text = format!("{id} is ordinal {known}, and {ordinal} for {witness}");
            tally.add(Promise::Reordered, text);
        }
        let last = self.last.entry(direction).or_default();
        *last = ordinal.max(*last);
    }

    /// The message that has an ordinal.
    pub(super) fn at(&self, direction: Direction, ordinal: u64) -> Option<MessageId> {
        self.by_ordinal.get(&(direction, ordinal)).copied()
    }

    /// Everything was claimed: looks for holes.
    pub(super) fn finish(&self, tally: &mut Tally) {
        let mut directions: Vec<_> = self.last.iter().collect();
        directions.sort_unstable();
        for (&direction, &last) in directions {
            let hole = |ordinal: &u64| !self.by_ordinal.contains_key(&(direction, *ordinal));
            // A wild ordinal would make a number of holes that nobody waits for.
            for ordinal in (1..=last).filter(hole).take(HOLES_MAX) {
                let text =
                    format!("{direction} ordinal {ordinal} is nobody's, though {last} exists");
                tally.add(Promise::Reordered, text);
            }
        }
    }
}
