//! Broken promises, by kind.

use std::fmt;

use crate::limits::EXAMPLES_MAX;

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Promise {
    /// A ticked message was not shown on a device that it is for.
    Lost,
    /// A message was shown twice, or a position holds two messages, or what was refused came.
    Duplicated,
    /// Positions, numbers or ordinals out of order.
    Reordered,
    /// A receipt said more than the recipient's devices had done by then.
    ReceiptsAhead,
    /// When everything was quiet, a receipt didn't say what the recipient's devices had done.
    ReceiptsBehind,
    /// A body that is not the one that was sent, or that came to the wrong place.
    Corrupt,
    /// Somebody was shown what isn't for them: what was sent to a group outside of their time there, or what
    /// one sent whom they blocked; or the blocked was told something of them.
    Leaked,
    /// A position came where an earlier one was due, without a skip.
    Gaps,
    /// A frame, an answer, a head or a session number against the protocol.
    Protocol,
    /// A device could not come to the end of what it was owed.
    Unsettled,
    /// The server ended by itself, or not cleanly when it was asked to.
    Server,
}

impl Promise {
    /// All kinds, in the order of reports.
    pub const ALL: [Promise; 11] = [
        Promise::Lost,
        Promise::Duplicated,
        Promise::Reordered,
        Promise::ReceiptsAhead,
        Promise::ReceiptsBehind,
        Promise::Corrupt,
        Promise::Leaked,
        Promise::Gaps,
        Promise::Protocol,
        Promise::Unsettled,
        Promise::Server,
    ];

    /// Its key in the JSON report.
    pub const fn name(self) -> &'static str {
        match self {
            Promise::Lost => "lost",
            Promise::Duplicated => "duplicated",
            Promise::Reordered => "reordered",
            Promise::ReceiptsAhead => "receipts_ahead",
            Promise::ReceiptsBehind => "receipts_behind",
            Promise::Corrupt => "corrupt",
            Promise::Leaked => "leaked",
            Promise::Gaps => "gaps",
            Promise::Protocol => "protocol",
            Promise::Unsettled => "unsettled",
            Promise::Server => "server",
        }
    }
}

/// Violations: how many of each kind, and the first ones in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: [u64; Promise::ALL.len()],
    /// At most [`EXAMPLES_MAX`] of a kind, in the order in which they were found.
    examples: Vec<(Promise, String)>,
}

impl Tally {
    /// Counts a violation.
    pub fn add(&mut self, kind: Promise, text: impl fmt::Display) {
        let count = &mut self.counts[kind as usize];
        *count += 1;
        if *count <= EXAMPLES_MAX as u64 {
            self.examples.push((kind, text.to_string()));
        }
    }

    /// How many there are of a kind.
    pub const fn count(&self, kind: Promise) -> u64 {
        self.counts[kind as usize]
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.counts.iter().all(|&count| count == 0)
    }

    /// The described violations of a kind.
    pub fn examples(&self, kind: Promise) -> impl Iterator<Item = &str> {
        self.examples.iter().filter(move |(known, _)| *known == kind).map(|(_, text)| &**text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbered_as_they_are_listed() {
        for (index, kind) in Promise::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn examples_are_bounded_and_counts_are_not() {
        let mut tally = Tally::default();
        for number in 0..100 {
            tally.add(Promise::Lost, number);
        }
        assert_eq!(tally.count(Promise::Lost), 100);
        assert_eq!(tally.examples(Promise::Lost).count(), EXAMPLES_MAX);
        assert!(!tally.is_clean() && Tally::default().is_clean());
    }
}
