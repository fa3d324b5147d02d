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
    /// Groups in which somebody lacked the entry by the answer, and when it was asked for. They are asked for once
    /// more: acknowledgements that a crash took are counted when their devices are back.
    unsure: BTreeMap<Target, u64>,
    /// Those for which that was so once.
    repeated: BTreeSet<Target>,
    /// Groups of which an own entry came that may be newer than the one that was asked about: what was told of it
    /// before it came, this connection doesn't know.
    outdated: BTreeSet<Target>,
}

impl Asks {
    /// A connection begins, or ends with nothing to ask.
    pub(super) fn begin(&mut self, due: impl Iterator<Item = Target>) {
        *self = Asks { due: due.collect(), ..Asks::default() };
        self.covered = self.due.iter().copied().collect();
    }

    /// A message turned out to be older than this connection, or may be: its receipts may have been told
    /// before. What is told after the answer is told to this connection too. A question about a group is about one
    /// message: for those that came since it was asked, it is asked once more a while later.
    pub(super) fn ask(&mut self, target: Target) {
        if !self.ask_once(target) && matches!(target, Target::Group(_)) {
            self.outdated.insert(target);
        }
    }

    /// Nothing was asked about it when this connection began, since the user wasn't in the group; whether it is now.
    pub(super) fn ask_once(&mut self, target: Target) -> bool {
        let is_new = self.covered.insert(target);
        if is_new {
            self.due.push_back(target);
        }
        is_new
    }

    /// There is nobody to ask any more: the user isn't in the group.
    pub(super) fn drop(&mut self, target: Target) {
        self.due.retain(|due| *due != target);
        self.covered.remove(&target);
        self.asked.remove(&target);
        self.unsure.remove(&target);
        self.outdated.remove(&target);
    }

    /// A receipt came of a peer.
    pub(super) fn answered(&mut self, target: Target) {
        self.asked.remove(&target);
    }

    /// A receipt came of a group, by which all have the entry, or not.
    pub(super) fn counted(&mut self, target: Target, is_whole: bool) {
        let asked_ms = self.asked.remove(&target);
        if is_whole {
            self.unsure.remove(&target);
        } else if let Some(asked_ms) = asked_ms
            && self.repeated.insert(target)
        {
            self.unsure.insert(target, asked_ms);
        }
    }

    /// The next question that may go out. An overloaded server may leave questions unanswered; they
    /// are asked again later, behind the others.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Target> {
        for target in std::mem::take(&mut self.outdated) {
            self.unsure.entry(target).or_insert(now_ms);
        }
        let due = &mut self.due;
        let mut is_early = |target: &Target, asked_ms: &mut u64| {
            let is_early = now_ms.saturating_sub(*asked_ms) < ASK_AGAIN_MS;
            if !is_early {
                due.push_back(*target);
            }
            is_early
        };
        self.asked.retain(&mut is_early);
        self.unsure.retain(&mut is_early);
        if self.asked.len() >= ASKS_IN_FLIGHT_MAX {
            return None;
        }
        let target = self.due.pop_front()?;
        self.asked.insert(target, now_ms);
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Target = Target::Group(300);

    #[test]
    fn a_group_in_which_somebody_lacks_the_entry_is_asked_for_once_more() {
        let mut asks = Asks::default();
        asks.begin([GROUP].into_iter());
        assert_eq!(asks.next(1_000), Some(GROUP));
        asks.counted(GROUP, false);
        assert_eq!(asks.next(ASK_AGAIN_MS), None);
        assert_eq!(asks.next(1_000 + ASK_AGAIN_MS), Some(GROUP));
        asks.counted(GROUP, false);
        assert_eq!(asks.next(10 * ASK_AGAIN_MS), None);
    }

    #[test]
    fn a_group_in_which_all_have_it_meanwhile_is_not() {
        let mut asks = Asks::default();
        asks.begin([GROUP].into_iter());
        assert_eq!(asks.next(0), Some(GROUP));
        asks.counted(GROUP, false);
        asks.counted(GROUP, true);
        assert_eq!(asks.next(2 * ASK_AGAIN_MS), None);
    }

    #[test]
    fn a_group_in_which_an_own_entry_came_since_is() {
        let mut asks = Asks::default();
        asks.begin([GROUP].into_iter());
        assert_eq!(asks.next(0), Some(GROUP));
        asks.counted(GROUP, true);
        for _ in 0..3 {
            asks.ask(GROUP);
        }
        assert_eq!(asks.next(1_000), None);
        assert_eq!(asks.next(1_000 + ASK_AGAIN_MS), Some(GROUP));
        asks.counted(GROUP, true);
        assert_eq!(asks.next(9 * ASK_AGAIN_MS), None);

        // What is told of a peer's messages is about all of them.
        let mut asks = Asks::default();
        asks.begin([Target::Peer(7)].into_iter());
        assert_eq!(asks.next(0), Some(Target::Peer(7)));
        asks.answered(Target::Peer(7));
        asks.ask(Target::Peer(7));
        assert_eq!(asks.next(9 * ASK_AGAIN_MS), None);
    }
}
