//! The one order of a group: which message is at which position, and who has it.
//!
//! All members of a group see the same messages at the same positions. What one member gets is compared
//! with what the author was told and with what the others got; an author's messages stand in the order
//! in which they were sent.

use std::collections::VecDeque;

use super::Faults;
use crate::message::Stamp;

/// Which message is at a position.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// What is known of it: `None` before anybody said anything about the position.
    author: Option<u32>,
    sequence: Option<u64>,
    intended_ns: u64,
    /// Members who don't have it yet.
    missing: u32,
    is_ticked: bool,
}

/// The positions of a group from the first that isn't with everybody.
#[derive(Debug)]
pub struct Order {
    /// Position of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    /// By member: the next position that has to come.
    next: Vec<u64>,
    /// By author: the sequence that comes next in the order.
    sequences: Vec<u64>,
    completed: Vec<u64>,
}

/// A delivery that was as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether it was the last member who lacked the message.
    pub is_last: bool,
}

impl Order {
    /// A group of this many members that all have everything up to `head`.
    pub fn new(members: usize, head: u64) -> Order {
        Order {
            first: head + 1,
            slots: VecDeque::new(),
            next: vec![head + 1; members],
            sequences: vec![0; members],
            completed: vec![0; members],
        }
    }

    /// The author was told that its message is at this position.
    pub fn ticked(
        &mut self,
        position: u64,
        author: u32,
        sequence: u64,
        intended_ns: u64,
        faults: &mut Faults,
    ) {
        let Some(slot) = self.slot(position) else {
            return faults.irregular(|| format!("a tick names position {position} again"));
        };
        slot.intended_ns = intended_ns;
        let was_ticked = std::mem::replace(&mut slot.is_ticked, true);
        let is_same = slot.is(author, sequence);
        if was_ticked || !is_same {
            faults.irregular(|| {
                format!("position {position} is ticked for message {sequence} of {author} and is another's")
            });
        }
        self.complete(faults);
    }

    /// A member got a message. `None` where it was wrong.
    pub fn delivered(
        &mut self,
        member: usize,
        position: u64,
        stamp: &Stamp,
        faults: &mut Faults,
    ) -> Option<Taken> {
        let expected = self.next[member];
        if position < expected {
            faults.duplicated += 1;
            faults.describe(|| format!("member {member} got position {position} again"));
            return None;
        }
        if position > expected {
            faults.gaps += position - expected;
            faults.describe(|| {
                format!("member {member} got position {position} where {expected} had to come")
            });
        }
        self.next[member] = position + 1;
        if stamp.author as usize == member {
            faults.irregular(|| format!("member {member} got its own message at {position}"));
            return None;
        }
        let slot = self.slot(position)?;
        slot.intended_ns = stamp.intended_ns;
        if !slot.is(stamp.author, stamp.sequence) {
            faults.irregular(|| {
                format!("member {member} got another message at position {position} than others")
            });
            return None;
        }
        slot.missing = slot.missing.saturating_sub(1);
        let is_last = slot.missing == 0;
        self.complete(faults);
        Some(Taken { is_last })
    }

    /// A member was told that the positions up to this one hold nothing for it: they are its own.
    pub fn skipped(&mut self, member: usize, position: u64, faults: &mut Faults) {
        for position in self.next[member]..=position {
            let Some(slot) = self.slot(position) else { continue };
            let author = *slot.author.get_or_insert(member as u32);
            if author as usize != member {
                faults.lost += 1;
                faults.describe(|| {
                    format!("member {member} was told to skip position {position}, of {author}")
                });
            }
        }
        self.next[member] = self.next[member].max(position + 1);
    }

    /// How many of an author's messages are with everybody, and ticked.
    pub fn completed(&self, author: usize) -> u64 {
        self.completed[author]
    }

    /// Deliveries of ticked messages that never came.
    pub fn lost(&self) -> u64 {
        self.slots.iter().filter(|slot| slot.is_ticked).map(|slot| u64::from(slot.missing)).sum()
    }

    /// The slot of a position; `None` for one that is with everybody.
    fn slot(&mut self, position: u64) -> Option<&mut Slot> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        let missing = self.next.len() as u32 - 1;
        let new = Slot { author: None, sequence: None, intended_ns: 0, missing, is_ticked: false };
        if index >= self.slots.len() {
            self.slots.resize(index + 1, new);
        }
        self.slots.get_mut(index)
    }

    /// Lets go of the first positions that are with everybody.
    fn complete(&mut self, faults: &mut Faults) {
        while let Some(slot) = self.slots.front() {
            if !slot.is_ticked || slot.missing > 0 {
                return;
            }
            if let (Some(author), Some(sequence)) = (slot.author, slot.sequence) {
                let author = author as usize;
                let expected = self.sequences[author];
                if sequence != expected {
                    faults.reordered += 1;
                    faults.describe(|| {
                        format!("message {sequence} of {author} stands where {expected} belongs")
                    });
                }
                self.sequences[author] = sequence + 1;
                self.completed[author] += 1;
            }
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

impl Slot {
    /// Notes which message it is; whether nothing else was known.
    fn is(&mut self, author: u32, sequence: u64) -> bool {
        *self.author.get_or_insert(author) == author
            && *self.sequence.get_or_insert(sequence) == sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(author: u32, sequence: u64) -> Stamp {
        Stamp { run: 1, author, sequence, intended_ns: 5 }
    }

    /// Three members with everything up to position 4; member 0 sent one message.
    fn order() -> (Order, Faults) {
        (Order::new(3, 4), Faults::default())
    }

    #[test]
    fn a_message_is_complete_when_the_last_member_has_it_and_the_tick_came() {
        let (mut order, mut faults) = order();
        let taken = order.delivered(1, 5, &stamp(0, 0), &mut faults);
        assert_eq!(taken, Some(Taken { is_last: false }));
        order.skipped(0, 5, &mut faults);
        assert_eq!(order.delivered(2, 5, &stamp(0, 0), &mut faults), Some(Taken { is_last: true }));
        assert_eq!(order.completed(0), 0);
        order.ticked(5, 0, 0, 5, &mut faults);
        assert_eq!((order.completed(0), order.lost()), (1, 0));
        assert!(faults.is_clean(), "{faults:?}");
    }

    #[test]
    fn what_never_comes_is_lost() {
        let (mut order, mut faults) = order();
        order.ticked(5, 0, 0, 5, &mut faults);
        order.delivered(1, 5, &stamp(0, 0), &mut faults);
        assert_eq!(order.lost(), 1);
        order.skipped(2, 5, &mut faults);
        assert_eq!(faults.lost, 1, "a skip of another's message");
    }

    #[test]
    fn repetitions_holes_and_other_orders_are_faults() {
        let (mut again, mut faults) = order();
        again.delivered(1, 5, &stamp(0, 0), &mut faults);
        again.delivered(1, 5, &stamp(0, 0), &mut faults);
        again.delivered(1, 8, &stamp(0, 3), &mut faults);
        assert_eq!((faults.duplicated, faults.gaps), (1, 2));

        let (mut other, mut faults) = order();
        other.delivered(1, 5, &stamp(0, 0), &mut faults);
        other.delivered(2, 5, &stamp(1, 0), &mut faults);
        other.ticked(5, 0, 1, 5, &mut faults);
        other.delivered(0, 5, &stamp(0, 0), &mut faults);
        assert_eq!(faults.irregular, 3);

        let (mut reordered, mut faults) = order();
        for (position, sequence) in [(5, 1), (6, 0)] {
            reordered.ticked(position, 0, sequence, 5, &mut faults);
            for member in [1, 2] {
                reordered.delivered(member, position, &stamp(0, sequence), &mut faults);
            }
        }
        assert_eq!(faults.reordered, 2);
    }
}
