//! Judges pages of the past: they tell what everybody was told before, and leave nothing out that is kept.
//!
//! A device asks for its inbox only where the server keeps everything.

use std::collections::{BTreeMap, HashMap};

use super::facts::Facts;
use super::group::EntryFacts;
use super::identity::Device;
use super::line::{Delivery, Event, Line};
use super::violation::{Promise, Tally};

/// The log that is the inbox.
const INBOX: u64 = 0;

/// What a line says; HISTORY.md describes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PastEvent {
    Ask { group: u64, from: u64, through: u64 },
    Entry { group: u64, entry: Delivery },
    End { from: u64, through: u64, has_more: bool },
}

/// A page on its way, with the newest first.
#[derive(Debug)]
struct Page {
    group: u64,
    from: u64,
    through: u64,
    ask_us: u64,
    /// In the order in which they came.
    entries: Vec<Delivery>,
}

/// Judges one device.
#[derive(Debug)]
pub(super) struct PastCheck<'a> {
    facts: &'a Facts,
    device: Device,
    /// What the device was shown in its inbox.
    shown: BTreeMap<u64, Delivery>,
    page: Option<Page>,
}

impl<'a> PastCheck<'a> {
    pub(super) fn new(facts: &'a Facts, device: Device) -> Self {
        PastCheck { facts, device, shown: BTreeMap::new(), page: None }
    }

    pub(super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        match line.event {
            Event::Hello { .. } => self.page = None,
            Event::Shown(delivery) => {
                self.shown.insert(delivery.position, delivery);
            }
            Event::Past(PastEvent::Ask { group, from, through }) => {
                let (ask_us, entries) = (line.us, Vec::new());
                self.page = Some(Page { group, from, through, ask_us, entries });
            }
            Event::Past(PastEvent::Entry { group, entry }) => {
                if let Some(page) = self.page.as_mut().filter(|page| page.group == group) {
                    page.entries.push(entry);
                } else {
                    let text = format!("{}: a past of {group} came unasked", self.device);
                    tally.add(Promise::Protocol, text);
                }
            }
            Event::Past(PastEvent::End { from, through, has_more }) => {
                if let Some(page) = self.page.take() {
                    self.judge(&page, (from, through, has_more), line.us, tally);
                }
            }
            _ => {}
        }
    }

    fn judge(
        &self,
        page: &Page,
        (from, through, has_more): (u64, u64, bool),
        now_us: u64,
        tally: &mut Tally,
    ) {
        let place =
            |position: u64| format!("{}: page of {}: position {position}", self.device, page.group);
        let mut told = HashMap::new();
        let mut before = page.through.saturating_add(1);
        for entry in &page.entries {
            let position = entry.position;
            if position >= before || position < from || position > through {
                let text =
                    format!("{} came after {before}, in {from} to {through}", place(position));
                tally.add(Promise::Reordered, text);
            }
            before = position;
            told.insert(position, entry);
            if page.group == INBOX {
                self.is_as_shown(entry, &place(position), tally);
            } else if let Some(wrong) = self.facts.groups.wrong_with_past(
                page.group,
                self.device.user,
                &EntryFacts { position, author: entry.peer, digest: entry.digest },
                page.ask_us,
            ) {
                tally.add(
                    wrong,
                    format!("{} isn't what the group's log has there", place(position)),
                );
            }
        }
        // A device asks for what lies before what it has, so all of it was there. The page begins with the newest, and
        // where there is no more it covers all.
        let first = if has_more { from } else { page.from };
        let owed: Vec<u64> = if first > page.through {
            Vec::new()
        } else if page.group == INBOX {
            let shown = self.shown.range(first..=page.through);
            let is_kept = |delivery: &&Delivery| !self.may_be_over(delivery, now_us);
            shown.map(|(_, it)| it).filter(is_kept).map(|it| it.position).collect()
        } else {
            let range = first..=page.through;
            self.facts.groups.owed_past(page.group, self.device.user, range, now_us)
        };
        for position in owed {
            if !told.contains_key(&position) {
                tally.add(Promise::Lost, format!("{} isn't in it", place(position)));
            }
        }
    }

    fn may_be_over(&self, delivery: &Delivery, now_us: u64) -> bool {
        let id = self.facts.whose(self.device.user, delivery);
        let sent = id.and_then(|id| self.facts.sent.get(&id));
        sent.is_some_and(|sent| sent.time.may_be_over(sent.wording, now_us))
    }

    /// A position of the inbox holds what the device was shown there; what it sent itself wasn't shown.
    fn is_as_shown(&self, entry: &Delivery, place: &str, tally: &mut Tally) {
        let sent = self.facts.whose(self.device.user, entry).and_then(|id| {
            let sent = self.facts.sent.get(&id)?;
            Some((id, sent))
        });
        let is_what_was_sent = sent.is_some_and(|(_, sent)| sent.digest == entry.digest);
        let shown = self.shown.get(&entry.position);
        let is_same = match shown {
            Some(shown) => shown == entry,
            None => true,
        };
        if !is_what_was_sent || !is_same {
            tally.add(Promise::Corrupt, format!("{place} isn't what was sent and shown"));
        }
    }
}
