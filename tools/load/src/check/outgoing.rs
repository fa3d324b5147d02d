//! The author's view of one direction: what was sent, ticked and receipted.

use std::collections::VecDeque;

use super::Faults;

/// One direction, author → recipient, as its author sees it.
///
/// ```text
/// sequence   0 ……… completed ……… receipted ……… ticked ……… sent
///                  └─────────── flight (intended times) ──┘
/// ```
/// A receipt may overtake a tick, so the two in the middle can also stand the other way round;
/// `completed` is the smaller.
#[derive(Debug)]
pub struct Outgoing {
    number_first: u64,
    sent: u64,
    ticked: u64,
    receipted: u64,
    completed: u64,
    /// Intended times of the messages from `completed` on.
    flight: VecDeque<u64>,
    /// Ordinal of the message with sequence 0, learned from the first tick.
    ordinal_first: Option<u64>,
    /// The largest receipt that came before the first tick, when ordinals meant nothing yet.
    receipt_held: u64,
}

/// What a tick said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticked {
    /// When the ticked message was meant to be sent, in nanoseconds.
    pub intended_ns: u64,
    /// Messages that no longer wait for a tick: 1, and more where the server left some out.
    pub answered: u64,
    /// Messages that this tick completed, as their receipt was there before.
    pub completed: u64,
}

impl Outgoing {
    /// A direction whose first send has `number_first`. Room for `flight` messages under way is
    /// made at once; more grows once and stays.
    pub fn new(number_first: u64, flight: usize) -> Outgoing {
        Outgoing {
            number_first,
            sent: 0,
            ticked: 0,
            receipted: 0,
            completed: 0,
            flight: VecDeque::with_capacity(flight),
            ordinal_first: None,
            receipt_held: 0,
        }
    }

    /// Takes a send that was meant for `intended_ns`: its sequence and its number on the wire.
    #[inline]
    pub fn send(&mut self, intended_ns: u64) -> (u64, u64) {
        let sequence = self.sent;
        self.sent += 1;
        self.flight.push_back(intended_ns);
        (sequence, self.number_first + sequence)
    }

    /// Takes a tick. `None` where it answers nothing that waits.
    #[inline]
    pub fn on_sent(&mut self, number: u64, ordinal: u64, faults: &mut Faults) -> Option<Ticked> {
        let sequence = number.wrapping_sub(self.number_first);
        if sequence >= self.sent || sequence < self.ticked {
            faults
                .irregular(|| format!("a tick for number {number}, which is not waiting for one"));
            return None;
        }
        let left_out = sequence - self.ticked;
        if left_out > 0 {
            faults.unanswered += left_out;
            faults.describe(|| format!("{left_out} sends before number {number} got no tick"));
        }
        let first = *self.ordinal_first.get_or_insert(ordinal.wrapping_sub(sequence));
        if ordinal.wrapping_sub(sequence) != first {
            faults.irregular(|| {
                format!(
                    "message {sequence} was ticked with ordinal {ordinal}, the first was {first}"
                )
            });
        }
        self.ticked = sequence + 1;
        let intended_ns = self.flight[(sequence - self.completed) as usize];
        let held = std::mem::take(&mut self.receipt_held);
        if held > 0 {
            self.receipted = self.receipted.max(self.count_through(held)?);
        }
        Some(Ticked { intended_ns, answered: left_out + 1, completed: self.complete() })
    }

    /// Takes a receipt that the recipient stored everything up to the ordinal `delivered`, of which
    /// `acknowledged` messages are known to be true. Calls `receipted` with the intended time of
    /// each message that it newly covers, and returns how many it completed.
    #[inline]
    pub fn on_receipt(
        &mut self,
        delivered: u64,
        acknowledged: u64,
        faults: &mut Faults,
        mut receipted: impl FnMut(u64),
    ) -> u64 {
        let Some(count) = self.count_through(delivered) else {
            self.receipt_held = self.receipt_held.max(delivered);
            return 0;
        };
        if count > acknowledged {
            faults.receipts_ahead += 1;
            faults.describe(|| {
                format!("a receipt for {count} messages, the recipient acknowledged {acknowledged}")
            });
        }
        let count = count.min(self.sent);
        if count <= self.receipted {
            return 0;
        }
        let from = (self.receipted - self.completed) as usize;
        let to = (count - self.completed) as usize;
        self.flight.range(from..to).for_each(|&intended_ns| receipted(intended_ns));
        self.receipted = count;
        self.complete()
    }

    /// How many messages of this run the ordinals up to this one cover. `None` before the first
    /// tick; 0 for the ordinals of an earlier run.
    fn count_through(&self, ordinal: u64) -> Option<u64> {
        self.ordinal_first.map(|first| ordinal.saturating_add(1).saturating_sub(first))
    }

    fn complete(&mut self) -> u64 {
        let completed = self.ticked.min(self.receipted);
        let newly = completed - self.completed;
        self.flight.drain(..newly as usize);
        self.completed = completed;
        newly
    }

    /// Messages sent.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages ticked.
    pub const fn ticked(&self) -> u64 {
        self.ticked
    }

    /// Messages that the receipts cover.
    pub const fn receipted(&self) -> u64 {
        self.receipted
    }

    /// Messages sent whose tick or receipt is still out.
    pub const fn incomplete(&self) -> u64 {
        self.sent - self.completed
    }

    /// Ordinal of the first message as ticked.
    pub const fn ordinal_first(&self) -> Option<u64> {
        self.ordinal_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A direction that continues an earlier run's, with this many sends meant for 100, 101, ….
    fn outgoing(sends: u64) -> (Outgoing, Faults) {
        let mut outgoing = Outgoing::new(1_000, 4);
        for sequence in 0..sends {
            assert_eq!(outgoing.send(100 + sequence), (sequence, 1_000 + sequence));
        }
        (outgoing, Faults::default())
    }

    #[test]
    fn ticks_and_receipts_complete_messages_whatever_comes_first() {
        let (mut outgoing, mut faults) = outgoing(4);
        let ticked = outgoing.on_sent(1_000, 51, &mut faults).unwrap();
        assert_eq!(ticked, Ticked { intended_ns: 100, answered: 1, completed: 0 });
        let mut seen = Vec::new();
        assert_eq!(outgoing.on_receipt(53, 4, &mut faults, |at| seen.push(at)), 1);
        assert_eq!(seen, [100, 101, 102]);
        let ticked = outgoing.on_sent(1_001, 52, &mut faults).unwrap();
        assert_eq!(ticked, Ticked { intended_ns: 101, answered: 1, completed: 1 });
        outgoing.on_sent(1_002, 53, &mut faults).unwrap();
        outgoing.on_sent(1_003, 54, &mut faults).unwrap();
        assert_eq!(outgoing.on_receipt(52, 4, &mut faults, |_| panic!("an old receipt")), 0);
        assert_eq!(outgoing.on_receipt(54, 4, &mut faults, |at| seen.push(at)), 1);
        assert_eq!((outgoing.incomplete(), outgoing.flight.len()), (0, 0));
        assert_eq!(seen, [100, 101, 102, 103]);
        assert!(faults.is_clean(), "{faults:?}");
    }

    #[test]
    fn a_receipt_before_the_first_tick_waits_for_it() {
        let (mut outgoing, mut faults) = outgoing(2);
        assert_eq!(outgoing.on_receipt(50, 2, &mut faults, |_| panic!("unknown ordinals")), 0);
        let ticked = outgoing.on_sent(1_000, 50, &mut faults).unwrap();
        assert_eq!(ticked.completed, 1);
        assert_eq!(outgoing.on_receipt(7, 2, &mut faults, |_| panic!("an earlier run's")), 0);
        assert!(faults.is_clean(), "{faults:?}");
    }

    #[test]
    fn wrong_answers_are_faults() {
        let (mut outgoing, mut faults) = outgoing(6);
        assert_eq!(outgoing.on_sent(999, 1, &mut faults), None);
        assert_eq!(outgoing.on_sent(1_006, 1, &mut faults), None);
        assert_eq!(faults.irregular, 2);
        outgoing.on_sent(1_000, 1, &mut faults).unwrap();
        assert_eq!(outgoing.on_sent(1_000, 1, &mut faults), None);
        assert_eq!(faults.irregular, 3);
        assert_eq!(outgoing.on_sent(1_003, 4, &mut faults).unwrap().answered, 3);
        assert_eq!(faults.unanswered, 2);
        outgoing.on_sent(1_004, 6, &mut faults).unwrap();
        assert_eq!(faults.irregular, 4);
        outgoing.on_receipt(4, 3, &mut faults, |_| ());
        assert_eq!(faults.receipts_ahead, 1);
        outgoing.on_receipt(u64::MAX, 6, &mut faults, |_| ());
        assert_eq!(outgoing.receipted(), 6, "never beyond what was sent");
    }
}
