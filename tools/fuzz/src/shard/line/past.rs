//! Pages of what a log keeps: asked for one at a time, in order, within what was asked, and to their end.

use std::collections::BTreeSet;

use fulmar::shard::Retention;
use fulmar_protocol::Assembly;
use fulmar_protocol::history::{History, HistoryEnd, Past};

use super::super::facts::Facts;
use super::{Arriving, Line};

/// A page that was asked for.
#[derive(Debug)]
pub(super) struct Page {
    asked: History,
    told: BTreeSet<u64>,
}

impl Page {
    pub(super) const fn new(asked: History) -> Self {
        Page { asked, told: BTreeSet::new() }
    }

    /// Notes a position, which comes next in the direction that was asked for.
    fn note(&mut self, position: u64) {
        let History { from, through, limit, newest_first, .. } = self.asked;
        assert!((from..=through).contains(&position), "{position} of {:?}", self.asked);
        let is_next = if newest_first {
            self.told.first().is_none_or(|&last| position < last)
        } else {
            self.told.last().is_none_or(|&last| position > last)
        };
        assert!(is_next, "{position} of {:?} after {:?}", self.asked, self.told);
        self.told.insert(position);
        assert!(self.told.len() as u64 <= limit, "more than were asked for");
    }
}

impl Line {
    /// An entry of a page.
    pub(super) fn past(&mut self, past: &Past<'_>, facts: &Facts) {
        assert!(self.download.is_none(), "an entry within a large body");
        let page = self.pages.front_mut().expect("a page that was asked for");
        assert_eq!(past.group, page.asked.group);
        page.note(past.position);
        match past.total_bytes {
            None => self.check_past(past, past.body, facts),
            Some(total_bytes) => {
                let assembly = Assembly::new(total_bytes as usize, past.body);
                self.download = Some((Arriving::OfPage(Past { body: &[], ..*past }), assembly));
            }
        }
    }

    pub(super) fn check_past(&self, past: &Past<'_>, body: &[u8], facts: &Facts) {
        facts.check_past(self.identity.0, past, body);
    }

    /// The end of a page: where everything is kept, it had everything that it says it covers.
    pub(super) fn page_ends(&mut self, end: &HistoryEnd, facts: &Facts) {
        assert!(self.download.is_none(), "an end within a large body");
        let page = self.pages.pop_front().expect("a page that was asked for");
        let asked = page.asked;
        let user = self.identity.0;
        assert_eq!(end.group, asked.group);
        if end.through < end.from {
            assert!(page.told.is_empty(), "a page that covers nothing had {:?}", page.told);
            return;
        }
        assert!(end.from >= asked.from && end.through <= asked.through, "{end:?} of {asked:?}");
        assert!(end.through <= facts.head(user, end.group), "a page of what isn't durable");
        let is_within = page.told.iter().all(|told| (end.from..=end.through).contains(told));
        assert!(is_within, "{:?} in {end:?}", page.told);
        if facts.retention == Retention::History {
            for position in end.from..=end.through {
                let is_told = page.told.contains(&position);
                let is_for_it = facts.is_kept_for(user, end.group, position);
                assert!(is_told || !is_for_it, "{asked:?} lacks {position}");
            }
        }
    }
}
