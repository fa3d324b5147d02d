//! The recipient's view of one direction: which messages of its author have come.

use std::collections::BTreeSet;

use super::Faults;

/// Which messages of one author reached one recipient.
#[derive(Debug, Default)]
pub struct Incoming {
    /// All sequences below this one came, but those in `missing`.
    next: u64,
    /// Invariant: all below `next`. Empty while the server keeps its promises.
    missing: BTreeSet<u64>,
    /// Messages below this one were delivered when the recipient last acknowledged.
    acknowledged: u64,
    /// Ordinal of the message with sequence 0, learned from the first delivery.
    ordinal_first: Option<u64>,
}

impl Incoming {
    /// Takes a delivered message. `sent` is how many the author has sent. Returns whether this is
    /// the first time that it comes.
    #[inline]
    pub fn observe(&mut self, sequence: u64, ordinal: u64, sent: u64, faults: &mut Faults) -> bool {
        if sequence >= sent {
            faults.corrupt += 1;
            faults.describe(|| format!("message {sequence} came, but only {sent} were sent"));
            return false;
        }
        let first = *self.ordinal_first.get_or_insert(ordinal.wrapping_sub(sequence));
        if ordinal.wrapping_sub(sequence) != first {
            faults.irregular(|| {
                format!("message {sequence} came with ordinal {ordinal}, the first was {first}")
            });
        }
        if sequence == self.next {
            self.next += 1;
            return true;
        }
        self.observe_out_of_order(sequence, faults)
    }

    #[cold]
    fn observe_out_of_order(&mut self, sequence: u64, faults: &mut Faults) -> bool {
        if sequence > self.next {
            self.missing.extend(self.next..sequence);
            self.next = sequence + 1;
            return true;
        }
        if self.missing.remove(&sequence) {
            faults.reordered += 1;
            faults.describe(|| format!("message {sequence} came after message {}", self.next - 1));
            return true;
        }
        faults.duplicated += 1;
        faults.describe(|| format!("message {sequence} came again, after {}", self.next - 1));
        false
    }

    /// The recipient acknowledges all that it has.
    #[inline]
    pub const fn acknowledge(&mut self) {
        self.acknowledged = self.next;
    }

    /// How many messages of the author the recipient's acknowledgements cover.
    #[inline]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Ordinal of the author's first message as delivered.
    pub const fn ordinal_first(&self) -> Option<u64> {
        self.ordinal_first
    }

    /// How many of the first `ticked` messages never came.
    pub fn lost(&self, ticked: u64) -> u64 {
        self.missing.range(..ticked).count() as u64 + ticked.saturating_sub(self.next)
    }

    /// The first of the `ticked` messages that never came.
    pub fn lost_first(&self, ticked: u64) -> Option<u64> {
        self.missing.range(..ticked).next().copied().or((self.next < ticked).then_some(self.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes these sequences, of 10 sent and ticked, and gives (lost, duplicated, reordered).
    fn check(sequences: &[u64]) -> (u64, u64, u64) {
        let (mut incoming, mut faults) = (Incoming::default(), Faults::default());
        for &sequence in sequences {
            incoming.observe(sequence, sequence + 4, 10, &mut faults);
        }
        assert_eq!(faults.irregular + faults.corrupt, 0);
        (incoming.lost(10), faults.duplicated, faults.reordered)
    }

    #[test]
    fn each_fault_is_told_apart() {
        assert_eq!(check(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), (0, 0, 0));
        assert_eq!(check(&[0, 1, 3, 4, 5, 6, 7, 8, 9]), (1, 0, 0));
        assert_eq!(check(&[0, 1, 2, 3, 4, 5, 6, 7]), (2, 0, 0));
        assert_eq!(check(&[0, 1, 2, 3, 3, 4, 5, 2, 6, 7, 8, 9]), (0, 2, 0));
        assert_eq!(check(&[0, 2, 1, 3, 4, 5, 6, 7, 9, 8]), (0, 0, 2));
        assert_eq!(check(&[5, 5, 4, 9]), (7, 1, 1));
        assert_eq!(check(&[]), (10, 0, 0));
    }

    #[test]
    fn messages_that_nobody_sent_and_wrong_ordinals_are_faults() {
        let (mut incoming, mut faults) = (Incoming::default(), Faults::default());
        assert!(!incoming.observe(3, 4, 3, &mut faults));
        assert_eq!(faults.corrupt, 1);
        assert!(incoming.observe(0, 1, 3, &mut faults));
        assert!(incoming.observe(1, 3, 3, &mut faults));
        assert_eq!(faults.irregular, 1);
        assert_eq!(incoming.lost_first(3), Some(2));
    }
}
