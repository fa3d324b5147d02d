//! What became of a world.

use std::fmt;

use crate::clock::Time;
use crate::coverage::Coverage;
use crate::trace::Hash;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which promise.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
    /// When, in virtual microseconds.
    pub at: Time,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.6} s: {}", self.rule, self.at as f64 / 1e6, self.detail)
    }
}

/// See the module's description.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// Over everything that happened, in its order.
    pub hash: u64,
    /// Events that happened.
    pub events: u64,
    /// Messages that got a tick.
    pub messages: u64,
    /// How long the world lived, in virtual microseconds.
    pub lived: Time,
    /// What happened in it.
    pub coverage: Coverage,
    /// The first promise that was broken.
    pub failure: Option<Failure>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {} trace {} events {} messages {} virtual {:.1} s: ",
            self.seed,
            Hash(self.hash),
            self.events,
            self.messages,
            self.lived as f64 / 1e6
        )?;
        match &self.failure {
            None => write!(f, "every promise was kept"),
            Some(failure) => write!(f, "FAILED: {failure}"),
        }
    }
}
