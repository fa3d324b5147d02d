//! Questions for receipts, of peers and of groups.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::limits::{ASK_AGAIN_MS, ASKS_IN_FLIGHT_MAX};
use crate::message::Target;

/// The questions of one connection.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Whose receipt has to be asked for, the newest conversation first.
    due: VecDeque<Target>,
    /// Whose receipt was or will be asked for. What changes after that is told.
    covered: BTreeSet<Target>,
    /// Whose receipt was asked for and didn't come yet, and when it was asked for.
    asked: BTreeMap<Target, u64>,
}

impl Asks {
    /// A connection begins, or ends with nothing to ask.
    pub(super) fn begin(&mut self, due: impl Iterator<Item = Target>) {
        *self = Asks { due: due.collect(), ..Asks::default() };
        self.covered = self.due.iter().copied().collect();
    }

    /// A message turned out to be older than this connection, or may be: its receipts may have been told
    /// before. What is told after the answer is told to this connection too.
    pub(super) fn ask_once(&mut self, target: Target) {
        if self.covered.insert(target) {
            self.due.push_back(target);
        }
    }

    /// There is nobody to ask any more: the user isn't in the group.
    pub(super) fn drop(&mut self, target: Target) {
        self.due.retain(|due| *due != target);
        self.covered.remove(&target);
        self.asked.remove(&target);
    }

    /// A receipt came.
    pub(super) fn answered(&mut self, target: Target) {
        self.asked.remove(&target);
    }

    /// The next question that may go out. An overloaded server may leave questions unanswered; they
    /// are asked again later, behind the others.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Target> {
        let due = &mut self.due;
        self.asked.retain(|target, asked_ms| {
            let patient = now_ms.saturating_sub(*asked_ms) < ASK_AGAIN_MS;
            if !patient {
                due.push_back(*target);
            }
            patient
        });
        if self.asked.len() >= ASKS_IN_FLIGHT_MAX {
            return None;
        }
        let target = self.due.pop_front()?;
        self.asked.insert(target, now_ms);
        Some(target)
    }
}
