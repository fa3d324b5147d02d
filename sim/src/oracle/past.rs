//! Pages of the past: what was asked for and no more, in its order, as it was, and all of it where all is kept.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use fulmar_client::Message;
use fulmar_protocol::Frame;
use fulmar_protocol::history::{History, HistoryEnd, Past};

use super::digest::Digest;
use super::group::Body;
use super::link::{DeliverHeader, Large, Link};
use super::user::Entry;
use super::{Complaint, Oracle};
use crate::clock::Time;
use crate::coverage::Happening;

/// Body bytes in a page from which on no further entry is put into it.
pub(super) const PAGE_BYTES: u64 = 64 * 1024;

/// A page under way on a connection.
#[derive(Debug)]
pub(crate) struct Page {
    asked: History,
    pub(crate) asked_at: Time,
    /// The last position of the own inbox that had come when it was asked for: the page has all up to it.
    head: u64,
    /// Positions that came, the last one, and their body bytes.
    told: BTreeSet<u64>,
    last: Option<u64>,
    bytes: u64,
}

impl Page {
    /// Its next entry.
    fn take(&mut self, past: &Past<'_>) -> Result<(), Complaint> {
        let History { group, from, through, limit, newest_first } = self.asked;
        let position = past.position;
        let is_next = match self.last {
            Some(last) if newest_first => position < last,
            Some(last) => position > last,
            None => true,
        };
        if past.group != group || !(from..=through).contains(&position) || !is_next {
            let detail = format!("position {position} of {}, of {self:?}", past.group);
            return Err(Complaint("a page has what was asked for, in order", detail));
        }
        if self.told.len() as u64 >= limit || self.bytes >= PAGE_BYTES {
            let detail = format!("position {position} too, of {self:?}");
            return Err(Complaint("a page is bounded", detail));
        }
        self.told.insert(position);
        self.last = Some(position);
        self.bytes += past.total_bytes.unwrap_or(past.body.len() as u64);
        Ok(())
    }

    /// It is over.
    fn end(&self, end: &HistoryEnd) -> Result<(), Complaint> {
        let History { group, from, through, .. } = self.asked;
        let is_within = end.from >= from && end.through <= through;
        let has_all = self.told.iter().all(|at| (end.from..=end.through).contains(at));
        if end.group == group && is_within && has_all {
            return Ok(());
        }
        Err(Complaint("a page covers what was asked for", format!("{end:?} of {self:?}")))
    }

    /// The positions of which it must have everything: it begins at the end that was asked for, and where there is
    /// no more it covers all.
    fn owed(&self, end: &HistoryEnd) -> RangeInclusive<u64> {
        let History { from, through, newest_first, .. } = self.asked;
        let last = end.through.max(through.min(self.head));
        match (end.has_more, newest_first) {
            (true, true) => end.from..=last,
            (true, false) => from..=end.through,
            (false, _) => from..=last,
        }
    }
}

impl Oracle {
    /// The node starts, and keeps everything for ever or doesn't.
    pub(crate) fn keeps(&mut self, is_history: bool) {
        if !is_history {
            self.temporary_runs += 1;
            return;
        }
        if self.keeping_runs == 0 {
            self.expect_copies();
        }
        self.keeping_runs += 1;
    }

    /// What has no answer yet may be taken from now on with a copy, whoever sent it.
    fn expect_copies(&mut self) {
        for (&(from, to), &at) in &self.directions_by_pair {
            if from == to || self.inboxes_of(from, to).count() > 1 {
                continue;
            }
            let attempts = &self.directions[at as usize].attempts;
            for attempt in attempts.iter().filter(|attempt| !attempt.is_rejected) {
                self.users[from as usize].may_get(attempt.digest);
            }
        }
    }

    /// A client asks for a page.
    pub(super) fn wrote_history(&mut self, link: &mut Link, asked: &History) {
        if link.is_good {
            link.pages.clear();
        }
        link.pages.push_back(Page {
            asked: *asked,
            asked_at: self.now,
            head: if asked.group == 0 { link.delivered_max } else { 0 },
            told: BTreeSet::new(),
            last: None,
            bytes: 0,
        });
    }

    /// Takes a frame about a page that a client read; `None` for any other.
    pub(super) fn told_of_past(
        &mut self,
        link: &mut Link,
        frame: &Frame<'_>,
    ) -> Option<Result<(), Complaint>> {
        Some(match *frame {
            Frame::Past(ref past) => self.past(link, past),
            Frame::HistoryEnd(ref end) => self.page_ends(link, end),
            _ => return None,
        })
    }

    fn past(&mut self, link: &mut Link, past: &Past<'_>) -> Result<(), Complaint> {
        let Some(page) = link.pages.front_mut() else {
            return Err(Complaint("a page is asked for", format!("{past:?}")));
        };
        page.take(past)?;
        let header = DeliverHeader {
            group: past.group,
            position: past.position,
            peer: past.peer,
            ordinal: past.ordinal,
            time_ms: past.time_ms,
            own: past.own,
            is_past: true,
            since: link.told_since,
        };
        match past.total_bytes {
            None => {
                let body = Body::of(past.content, past.body);
                self.past_told(link, &header, &body)
            }
            Some(_) if link.delivering.is_some() => {
                let detail = format!("position {}", past.position);
                Err(Complaint("one large body at a time", detail))
            }
            Some(total_bytes) => {
                let mut large = Large::new(header, past.content, total_bytes);
                large.push(past.body)?;
                link.delivering = Some(large);
                Ok(())
            }
        }
    }

    /// An entry of a page came whole: it is as it was when it was delivered.
    pub(super) fn past_told(
        &mut self,
        link: &Link,
        header: &DeliverHeader,
        body: &Body,
    ) -> Result<(), Complaint> {
        self.hit(Happening::Past);
        let &DeliverHeader { group, position, peer, ordinal, time_ms, own, since, .. } = header;
        if group > 0 {
            return self.entry_told(link, header, body);
        }
        let digest = body.digest;
        self.judge_in_time(digest, time_ms, since)?;
        let (user, peer) = (link.user, self.user(peer));
        let entry = Entry { peer, ordinal, own, is_notice: false, digest, time_ms };
        self.users[user as usize].place(position, entry)?;
        if own {
            let is_checked = self.users[user as usize].is_good;
            self.direction(user, peer).copied(ordinal, digest, position, is_checked)
        } else {
            self.direction(peer, user).delivered(ordinal, digest, time_ms, position)
        }
    }

    fn page_ends(&mut self, link: &mut Link, end: &HistoryEnd) -> Result<(), Complaint> {
        let Some(page) = link.pages.pop_front() else {
            return Err(Complaint("a page is asked for", format!("{end:?}")));
        };
        self.hit(Happening::Page);
        page.end(end)?;
        if self.temporary_runs > 0 {
            return Ok(());
        }
        for position in page.owed(end) {
            if !page.told.contains(&position) && self.is_kept(link.user, end.group, position) {
                let detail = format!("{position} lacks in {page:?}, which ends with {end:?}");
                return Err(Complaint("a page has everything that is kept", detail));
            }
        }
        Ok(())
    }

    /// Whether something is surely kept at a position for a user, where nothing expires.
    fn is_kept(&self, user: u32, group: u64, position: u64) -> bool {
        if group > 0 {
            return self.is_kept_in_group(self.users[user as usize].id, group, position);
        }
        self.users[user as usize].entry(position).is_some_and(|entry| {
            !entry.is_notice && !self.may_be_over(Some(entry.digest), Some(entry.time_ms), None)
        })
    }

    /// A device stored a message of the time before, unless it has it.
    pub(super) fn filled(
        &mut self,
        user: u32,
        device: u16,
        message: &Message,
    ) -> Result<(), Complaint> {
        let position = message.position.unwrap_or(0);
        let digest = Digest::of(message.content, &message.body);
        let state = &mut self.users[user as usize];
        if state.entry(position).is_none_or(|entry| entry.digest != digest) {
            let detail = format!("position {position} of user {}, of the past", state.id);
            return Err(Complaint("what is stored is what was delivered", detail));
        }
        if let Some(device) = state.device(device) {
            device.kept.insert(position);
            device.received.insert(position);
        }
        Ok(())
    }
}
