//! The one order of a group: which message is at which position, and who has it.
//!
//! All members of a group see the same messages at the same positions. What one member gets is compared
//! with what the author was told and with what the others got; an author's messages stand in the order
//! in which they were sent. Members come and go: a message is for those who are there when it is first
//! heard of, and who was away must get it when it comes back.

use std::collections::VecDeque;

use super::Faults;
use crate::message::Stamp;

/// A member who is away counts for no position.
const NEVER: u64 = u64::MAX;

/// What is known of a position.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// `None` before anybody said anything about it.
    author: Option<u32>,
    sequence: Option<u64>,
    /// Members who are there and don't have it yet.
    missing: u32,
    /// All members who don't have it yet.
    lacking: u32,
    is_ticked: bool,
    /// It was counted as complete.
    is_complete: bool,
}

/// The positions of a group from the first that isn't with everybody.
#[derive(Debug)]
pub struct Order {
    /// Position of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    /// By member: the next position that has to come.
    next: Vec<u64>,
    /// By member: from where on messages are for it as one who is there.
    from: Vec<u64>,
    /// Members who are there.
    here: u32,
    /// By author: the position of its last message that was ticked, and how many were.
    ticked: Vec<(u64, u64)>,
    /// By author: how many of its messages are complete.
    completed: Vec<u64>,
    /// Complete messages that weren't asked for yet.
    newly_completed: u64,
}

/// A delivery that was as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether the member was there when the message was first heard of.
    pub is_live: bool,
    /// Whether it was the last of these who lacked the message.
    pub is_last: bool,
}

impl Order {
    /// A group of this many members that are all away and have everything up to `head`.
    pub fn new(members: usize, head: u64) -> Order {
        Order {
            first: head + 1,
            slots: VecDeque::new(),
            next: vec![head + 1; members],
            from: vec![NEVER; members],
            here: 0,
            ticked: vec![(0, 0); members],
            completed: vec![0; members],
            newly_completed: 0,
        }
    }

    /// The last position that anybody heard of.
    pub fn head(&self) -> u64 {
        self.end() - 1
    }

    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// A member is there from now on: what is first heard of later is for it.
    pub fn come(&mut self, member: usize) {
        if self.from[member] == NEVER {
            self.from[member] = self.end();
            self.here += 1;
        }
    }

    /// A member went. Nobody waits for it any more.
    pub fn leave(&mut self, member: usize) {
        let from = std::mem::replace(&mut self.from[member], NEVER);
        if from == NEVER {
            return;
        }
        self.here -= 1;
        for position in self.next[member].max(from).max(self.first)..self.end() {
            let slot = &mut self.slots[(position - self.first) as usize];
            if slot.author != Some(member as u32) {
                slot.missing = slot.missing.saturating_sub(1);
                self.settle(position);
            }
        }
    }

    /// The author was told that its message is at this position.
    pub fn ticked(&mut self, position: u64, author: u32, sequence: u64, faults: &mut Faults) {
        let ticked = &mut self.ticked[author as usize];
        let (last, _) = std::mem::replace(ticked, (position, sequence + 1));
        if position <= last {
            faults.reordered += 1;
            faults.describe(|| {
                format!("message {sequence} of {author} stands at {position}, one before at {last}")
            });
        }
        let Some(slot) = self.slot(position) else {
            return faults.irregular(|| format!("a tick names position {position} again"));
        };
        let was_ticked = std::mem::replace(&mut slot.is_ticked, true);
        let is_same = self.is(position, author, sequence);
        if was_ticked || !is_same {
            faults.reordered += 1;
            faults.describe(|| {
                format!("position {position} is ticked for message {sequence} of {author} and is another's")
            });
        }
        self.settle(position);
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
        self.slot(position)?;
        if !self.is(position, stamp.author, stamp.sequence) {
            faults.reordered += 1;
            faults.describe(|| {
                format!("member {member} got another message at position {position} than others")
            });
            return None;
        }
        let is_live = self.from[member] <= position;
        let slot = self.slot(position)?;
        slot.lacking = slot.lacking.saturating_sub(1);
        slot.missing = slot.missing.saturating_sub(u32::from(is_live));
        let is_last = is_live && slot.missing == 0;
        self.settle(position);
        Some(Taken { is_live, is_last })
    }

    /// A member was told that the positions up to this one hold nothing for it: they are its own.
    pub fn skipped(&mut self, member: usize, position: u64, faults: &mut Faults) {
        for position in self.next[member]..=position {
            let Some(author) = self.slot(position).map(|slot| slot.author) else { continue };
            match author {
                None => self.note_author(position, member as u32),
                Some(author) if author as usize == member => (),
                Some(author) => {
                    faults.lost += 1;
                    faults.describe(|| {
                        format!("member {member} was told to skip position {position}, of {author}")
                    });
                }
            }
        }
        self.next[member] = self.next[member].max(position + 1);
    }

    /// How many of an author's messages are ticked and with everybody who is there.
    pub fn completed(&self, author: usize) -> u64 {
        self.completed[author]
    }

    /// How many messages of all became complete since this was last asked.
    pub const fn take_completed(&mut self) -> u64 {
        std::mem::replace(&mut self.newly_completed, 0)
    }

    /// Ticked messages that are still to come for a member.
    pub fn outstanding(&self, member: usize) -> u64 {
        let begin = self.next[member].saturating_sub(self.first) as usize;
        let is_for_it = |slot: &&Slot| slot.is_ticked && slot.author != Some(member as u32);
        self.slots.iter().skip(begin).filter(is_for_it).count() as u64
    }

    /// Judges what never came to the members who are there, and what has two places.
    pub fn finish(&self, faults: &mut Faults) {
        for slot in &self.slots {
            // A position that was passed over is lost for good.
            faults.lost += if slot.is_ticked { u64::from(slot.missing) } else { 0 };
        }
        for member in (0..self.next.len()).filter(|&member| self.from[member] != NEVER) {
            // Of before it came nothing is missing, but it may be outstanding.
            let before = self.from[member].saturating_sub(self.first) as usize;
            let begin = self.next[member].saturating_sub(self.first) as usize;
            let slots = self.slots.iter().take(before).skip(begin);
            let is_for_it = |slot: &&Slot| slot.is_ticked && slot.author != Some(member as u32);
            faults.lost += slots.filter(is_for_it).count() as u64;
        }
        if faults.lost > 0 {
            faults.describe(|| format!("messages up to {} didn't come to all", self.head()));
        }
        for slot in self.slots.iter().filter(|slot| !slot.is_ticked) {
            let Some((author, sequence)) = slot.author.zip(slot.sequence) else { continue };
            if sequence < self.ticked[author as usize].1 {
                faults.duplicated += 1;
                faults.describe(|| format!("message {sequence} of {author} has two positions"));
            }
        }
    }

    /// The slot of a position; `None` for one that is with everybody.
    fn slot(&mut self, position: u64) -> Option<&mut Slot> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        if index >= self.slots.len() {
            let new = Slot {
                author: None,
                sequence: None,
                missing: self.here,
                lacking: self.next.len() as u32 - 1,
                is_ticked: false,
                is_complete: false,
            };
            self.slots.resize(index + 1, new);
        }
        self.slots.get_mut(index)
    }

    /// Notes which message is at a position; whether nothing else was known.
    fn is(&mut self, position: u64, author: u32, sequence: u64) -> bool {
        let Some(slot) = self.slot(position) else { return false };
        let is_same_sequence = *slot.sequence.get_or_insert(sequence) == sequence;
        match slot.author {
            None => self.note_author(position, author),
            Some(known) if known != author => return false,
            Some(_) => (),
        }
        is_same_sequence
    }

    /// Nobody waits for the author of a message to get it.
    fn note_author(&mut self, position: u64, author: u32) {
        let is_counted = self.from[author as usize] <= position;
        let Some(slot) = self.slot(position) else { return };
        slot.author = Some(author);
        slot.missing = slot.missing.saturating_sub(u32::from(is_counted));
        self.settle(position);
    }

    /// Counts the message if it is complete now, and lets go of the first positions that are with
    /// everybody.
    fn settle(&mut self, position: u64) {
        let Some(slot) = self.slot(position) else { return };
        if slot.is_ticked && slot.missing == 0 && !slot.is_complete {
            slot.is_complete = true;
            if let Some(author) = slot.author {
                self.completed[author as usize] += 1;
                self.newly_completed += 1;
            }
        }
        while self.slots.front().is_some_and(|slot| slot.is_complete && slot.lacking == 0) {
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(author: u32, sequence: u64) -> Stamp {
        Stamp { run: 1, author, sequence, intended_ns: 5 }
    }

    /// Three members with everything up to position 4.
    fn order() -> (Order, Faults) {
        let mut order = Order::new(3, 4);
        (0..3).for_each(|member| order.come(member));
        (order, Faults::default())
    }

    fn lost(order: &Order) -> u64 {
        let mut faults = Faults::default();
        order.finish(&mut faults);
        faults.lost
    }

    #[test]
    fn a_message_is_complete_when_the_last_member_has_it_and_the_tick_came() {
        let (mut order, mut faults) = order();
        let taken = order.delivered(1, 5, &stamp(0, 0), &mut faults);
        assert_eq!(taken, Some(Taken { is_live: true, is_last: false }));
        order.skipped(0, 5, &mut faults);
        assert_eq!(
            order.delivered(2, 5, &stamp(0, 0), &mut faults),
            Some(Taken { is_live: true, is_last: true })
        );
        assert_eq!(order.completed(0), 0);
        order.ticked(5, 0, 0, &mut faults);
        assert_eq!((order.completed(0), order.take_completed(), lost(&order)), (1, 1, 0));
        assert!(faults.is_clean(), "{faults:?}");
    }

    #[test]
    fn what_never_comes_is_lost() {
        let (mut order, mut faults) = order();
        order.ticked(5, 0, 0, &mut faults);
        order.delivered(1, 5, &stamp(0, 0), &mut faults);
        assert_eq!((lost(&order), order.outstanding(2)), (1, 1));
        order.skipped(2, 5, &mut faults);
        assert_eq!(faults.lost, 1, "a skip of another's message");
    }

    #[test]
    fn who_is_away_is_not_waited_for_and_gets_it_when_it_comes_back() {
        let (mut order, mut faults) = order();
        order.ticked(5, 0, 0, &mut faults);
        order.delivered(1, 5, &stamp(0, 0), &mut faults);
        order.leave(2);
        assert_eq!((order.completed(0), lost(&order)), (1, 0), "member 2 left before it came");
        order.ticked(6, 0, 1, &mut faults);
        let taken = order.delivered(1, 6, &stamp(0, 1), &mut faults);
        assert_eq!(taken, Some(Taken { is_live: true, is_last: true }));
        assert_eq!(order.outstanding(2), 2);
        order.come(2);
        assert_eq!(lost(&order), 2);
        for (position, sequence) in [(5, 0), (6, 1)] {
            let taken = order.delivered(2, position, &stamp(0, sequence), &mut faults);
            assert_eq!(taken, Some(Taken { is_live: false, is_last: false }));
        }
        assert_eq!((order.completed(0), lost(&order), order.head()), (2, 0, 6));
        assert!(faults.is_clean(), "{faults:?}");
    }

    #[test]
    fn an_author_that_leaves_before_its_tick_is_counted_once() {
        let (mut order, mut faults) = order();
        order.leave(0);
        for member in [1, 2] {
            order.delivered(member, 5, &stamp(0, 0), &mut faults);
        }
        order.come(0);
        order.ticked(5, 0, 0, &mut faults);
        assert_eq!(order.completed(0), 1);
        order.ticked(6, 0, 1, &mut faults);
        order.delivered(1, 6, &stamp(0, 1), &mut faults);
        assert_eq!(order.completed(0), 1, "member 2 lacks it");
        order.leave(0);
        order.delivered(2, 6, &stamp(0, 1), &mut faults);
        assert_eq!((order.completed(0), lost(&order)), (2, 0));
        assert!(faults.is_clean(), "{faults:?}");
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
        other.ticked(5, 0, 1, &mut faults);
        assert_eq!(faults.reordered, 2);
        other.delivered(0, 5, &stamp(0, 0), &mut faults);
        assert_eq!(faults.irregular, 1, "its own");

        let (mut reordered, mut faults) = order();
        for (position, sequence) in [(6, 0), (5, 1)] {
            reordered.ticked(position, 0, sequence, &mut faults);
        }
        assert_eq!(faults.reordered, 1);

        let (mut twice, mut faults) = order();
        twice.ticked(5, 0, 0, &mut faults);
        for position in [5, 6] {
            for member in [1, 2] {
                twice.delivered(member, position, &stamp(0, 0), &mut faults);
            }
        }
        twice.ticked(7, 0, 1, &mut faults);
        assert!(faults.is_clean(), "{faults:?}");
        twice.finish(&mut faults);
        assert_eq!(faults.duplicated, 1);
    }
}
