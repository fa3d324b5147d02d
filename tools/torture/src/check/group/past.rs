//! What a page of a group's log must be.

use std::ops::RangeInclusive;

use super::super::violation::Promise;
use super::log::GroupFacts;

/// An entry of a page.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct EntryFacts {
    pub(in super::super) position: u64,
    pub(in super::super) author: u64,
    pub(in super::super) digest: u64,
}

impl GroupFacts {
    /// Which promise an entry of a page breaks, if it does.
    pub(in super::super) fn wrong_with_past(
        &self,
        group: u64,
        user: u64,
        entry: &EntryFacts,
        ask_us: u64,
    ) -> Option<Promise> {
        let EntryFacts { position, author, digest } = *entry;
        let held = self.logs.get(&group).and_then(|log| log.get(&position));
        let Some(held) = held.filter(|held| (held.author, held.digest) == (author, digest)) else {
            return Some(Promise::Corrupt);
        };
        let may_read = self.stays_of(group, user).iter().any(|stay| stay.shows(position));
        let sent = held.id.and_then(|id| self.sent.get(&id));
        let is_late = sent.is_some_and(|sent| {
            sent.time.late_us(sent.wording, sent.answer, ask_us, ask_us).is_some()
        });
        (!may_read || is_late).then_some(Promise::Leaked)
    }

    /// Positions that a member's page over this range must have: of the time that it is in. An earlier time
    /// may be forgotten.
    pub(in super::super) fn owed_past(
        &self,
        group: u64,
        user: u64,
        range: RangeInclusive<u64>,
        now_us: u64,
    ) -> Vec<u64> {
        let stay = self.stays_of(group, user).last().filter(|stay| stay.until.is_none());
        let (Some(log), Some(stay)) = (self.logs.get(&group), stay) else { return Vec::new() };
        if range.is_empty() {
            return Vec::new();
        }
        let owed = log.range(range).filter(|&(&position, held)| {
            stay.owes(position) && self.is_ticked(held) && !self.may_be_over(held, now_us)
        });
        owed.map(|(&position, _)| position).collect()
    }
}
