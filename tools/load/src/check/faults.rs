//! What the server did wrong, counted.

use serde::Serialize;

use crate::limits::FAULT_EXAMPLES_MAX;

/// Counts of broken promises. All zero is the only good result.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Messages that were ticked and never delivered.
    pub lost: u64,
    /// Deliveries of a message that was delivered before.
    pub duplicated: u64,
    /// Messages delivered after a later one of the same author.
    pub reordered: u64,
    /// Sends that were never ticked.
    pub unanswered: u64,
    /// Messages delivered and acknowledged whose receipt never reached the author.
    pub unreceipted: u64,
    /// Receipts for messages that the recipient had not acknowledged yet.
    pub receipts_ahead: u64,
    /// Inbox positions that were neither delivered nor skipped.
    pub gaps: u64,
    /// Bodies that are not what was sent.
    pub corrupt: u64,
    /// Watchers who at the end were told something of somebody that isn't so, or nothing.
    pub stale: u64,
    /// Other answers that the protocol doesn't allow: wrong numbers, ordinals, positions, peers.
    pub irregular: u64,
    /// The first faults, in words.
    pub examples: Vec<String>,
}

impl Faults {
    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.total() == 0
    }

    /// All faults together.
    pub fn total(&self) -> u64 {
        self.counts().iter().map(|(_, count)| count).sum()
    }

    /// Each count with its name.
    pub fn counts(&self) -> [(&'static str, u64); 10] {
        [
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("unanswered", self.unanswered),
            ("unreceipted", self.unreceipted),
            ("receipts_ahead", self.receipts_ahead),
            ("gaps", self.gaps),
            ("corrupt", self.corrupt),
            ("stale", self.stale),
            ("irregular", self.irregular),
        ]
    }

    /// Keeps a description, while there is room for one more. The text is made only then.
    pub fn describe(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < FAULT_EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    /// Counts an irregular answer and describes it.
    pub fn irregular(&mut self, text: impl FnOnce() -> String) {
        self.irregular += 1;
        self.describe(text);
    }
}
