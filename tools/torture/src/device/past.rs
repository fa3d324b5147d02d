//! After the clean stop, a device asks for pages of its groups' logs, and of its inbox where the server keeps
//! everything: what it is told must be what everybody was told before.

use std::collections::VecDeque;

use fulmar_protocol::history::{History, HistoryEnd, Past};
use fulmar_protocol::limits::BODY_BYTES_MAX;
use fulmar_protocol::{Assembly, Frame};

use super::book::Note;
use super::digest::digest;
use super::past_notes::{PastEntry, PastNote};
use super::wording::whose;
use super::{Device, End, Line};
use crate::feature::Feature;
use crate::limits::{HISTORY_LIMITS, HISTORY_PAGES};
use crate::world::Phase;

/// One of so many devices asks.
const ASKING: usize = 3;

/// A page that is wanted.
#[derive(Debug, Clone, Copy)]
struct Page {
    /// 0 for the inbox.
    group: u64,
    through: u64,
    /// Pages of this log that may still be asked for, this one included.
    left: usize,
}

/// The pages of a device.
#[derive(Debug, Default)]
pub(super) struct Pages {
    has_begun: bool,
    wanted: VecDeque<Page>,
    /// It is under way.
    asked: Option<Page>,
    large: Option<(PastEntry, u8, Assembly)>,
}

impl Pages {
    /// The connection is gone: the page is asked for again.
    pub(super) fn reset(&mut self) {
        self.large = None;
        self.wanted.extend(self.asked.take());
    }

    fn is_over(&self) -> bool {
        self.has_begun && self.wanted.is_empty() && self.asked.is_none()
    }
}

impl Device {
    /// Whether everything that this device asks of the past was told.
    pub(super) fn has_read_the_past(&self) -> bool {
        !self.asks_for_the_past() || self.pages.is_over()
    }

    fn asks_for_the_past(&self) -> bool {
        let asks = self.role.index.is_multiple_of(ASKING) && self.world.has(Feature::History);
        asks && self.phase == Phase::Final
    }

    /// Asks for the next page.
    pub(super) fn speak_of_the_past(&mut self) {
        if !self.asks_for_the_past() || self.pages.asked.is_some() {
            return;
        }
        if !self.pages.has_begun {
            if !self.is_up_to_date() {
                return;
            }
            self.begin_pages();
        }
        let Line::Online { link, .. } = &mut self.line else { return };
        let Some(page) = self.pages.wanted.pop_front() else { return };
        let Page { group, through, .. } = page;
        self.book.note(Note::Past(PastNote::Ask { group, from: 1, through }));
        let limit = HISTORY_LIMITS[self.habits.choose(HISTORY_LIMITS.len())];
        link.queue(&Frame::History(History { group, from: 1, through, limit, newest_first: true }));
        self.pages.asked = Some(page);
    }

    fn begin_pages(&mut self) {
        self.pages.has_begun = true;
        let left = HISTORY_PAGES;
        if self.world.has(Feature::WholeInbox) {
            let through = self.inbox.cursor();
            self.pages.wanted.push_back(Page { group: 0, through, left });
        }
        let groups = self.groups.by_number.iter().filter(|(_, group)| group.is_member);
        let pages = groups.map(|(&group, known)| Page { group, through: known.log.cursor(), left });
        self.pages.wanted.extend(pages);
    }

    pub(super) fn on_past(&mut self, past: &Past<'_>) -> Result<(), End> {
        let Past { group, position, peer, ordinal, content, own, total_bytes, body, .. } = *past;
        let entry = PastEntry { group, position, peer, ordinal, own };
        if self.pages.asked.is_none_or(|page| page.group != group) {
            return Err(End::Broken(format!("a past of {group}, which wasn't asked for")));
        }
        let is_large = self.inbox.is_in_parts() || self.groups.in_parts.is_some();
        match total_bytes {
            None => self.note_past(&entry, content, body),
            Some(bytes) if is_large || bytes > BODY_BYTES_MAX as u64 => {
                return Err(End::Broken("a large past that can't be".to_owned()));
            }
            Some(bytes) => {
                let assembly = Assembly::new(bytes as usize, body);
                self.pages.large = Some((entry, content, assembly));
            }
        }
        Ok(())
    }

    /// More of a large body of the past; `None` if none is in progress.
    pub(super) fn on_past_part(&mut self, piece: &[u8]) -> Option<Result<(), End>> {
        let (entry, content, mut assembly) = self.pages.large.take()?;
        match assembly.push(piece) {
            Ok(true) => self.note_past(&entry, content, &assembly.into_body()),
            Ok(false) => self.pages.large = Some((entry, content, assembly)),
            Err(error) => return Some(Err(End::Broken(error.to_string()))),
        }
        Some(Ok(()))
    }

    fn note_past(&mut self, entry: &PastEntry, content: u8, body: &[u8]) {
        let (whose, digest) = (whose(content, body, entry.group > 0), digest(content, body));
        self.book.note(Note::Past(PastNote::Entry { entry: *entry, content, whose, digest }));
    }

    pub(super) fn on_history_end(&mut self, end: &HistoryEnd) -> Result<(), End> {
        let HistoryEnd { group, from, through, has_more } = *end;
        let Some(page) = self.pages.asked.take().filter(|page| page.group == group) else {
            return Err(End::Broken(format!(
                "the end of a page of {group}, which isn't under way"
            )));
        };
        self.book.note(Note::Past(PastNote::End { group, from, through, has_more }));
        if has_more && from > 1 && from <= through && page.left > 1 {
            let next = Page { through: from - 1, left: page.left - 1, ..page };
            self.pages.wanted.push_front(next);
        }
        Ok(())
    }
}
