//! Pages of what a log keeps, for a device that asks: one at a time for each session, read at once, and told
//! as far as live messages leave room.
//!
//! ```text
//! HISTORY ──► Asked ──bounds──► Loading ──entries──► Telling ──► HISTORY_END
//!               └─ not in the group: GROUP_GONE
//! ```
//!
//! Of the inbox the bounds are known here, of a group its home tells them.

use std::collections::VecDeque;

use bytes::Bytes;
use fulmar_protocol::history::{History, HistoryEnd, Past};
use fulmar_protocol::{Chunks, Code, Frame};

use super::group::{GroupLetter, Readable, is_absent};
use super::record::split_entry;
use super::{ConnId, Effects, GroupId, Load, LogId, Shard};
use crate::faults::{Fault, is_planted};
use crate::limits::{HISTORY_PAGE_BYTES, PAGES_BYTES_MAX};

/// A page that a session asked for.
#[derive(Debug)]
pub(super) struct Page {
    log: LogId,
    asked: History,
    stage: Stage,
    /// In this turn's list of sessions that are told of their pages.
    is_queued: bool,
    /// What its entries count in the bytes of all pages.
    held_bytes: usize,
}

/// See the module's description.
#[derive(Debug)]
enum Stage {
    Asked,
    Loading(Readable),
    Telling { readable: Readable, entries: VecDeque<(u64, Bytes)>, end: HistoryEnd },
}

impl Page {
    /// The positions that are to be read.
    fn range(&self, readable: &Readable) -> (u64, u64) {
        let last = readable.head.min(readable.until);
        (self.asked.from.max(readable.before.saturating_add(1)), self.asked.through.min(last))
    }

    /// What the page covers if everything from `from` through `through`, of what was to be read, is in it.
    fn end(&self, readable: &Readable, from: u64, through: u64) -> HistoryEnd {
        let History { group, from: asked_from, newest_first, .. } = self.asked;
        let (first, last) = self.range(readable);
        let whole = HistoryEnd { group, from: asked_from, through: last, has_more: false };
        if newest_first && from > first {
            HistoryEnd { from, has_more: true, ..whole }
        } else if !newest_first && through < last {
            HistoryEnd { through, has_more: true, ..whole }
        } else {
            whole
        }
    }
}

/// The end of a page of what there isn't.
fn nothing_of(asked: &History) -> HistoryEnd {
    let &History { group, from, .. } = asked;
    HistoryEnd { group, from, through: from.saturating_sub(1), has_more: false }
}

impl Shard {
    /// A device asks for a page.
    pub(super) fn history(&mut self, conn: ConnId, asked: &History, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        if session.page.is_some() {
            let detail = "a page of a log is under way; the next one waits for its end";
            self.end(conn, Code::UnexpectedFrame, detail, fx);
            return;
        }
        let (user, slot) = (session.user, session.user_slot);
        let log = if asked.group == 0 { LogId::Inbox(user) } else { LogId::Group(asked.group) };
        let asker = match log {
            LogId::Inbox(_) => self.asker(conn),
            LogId::Group(group) => self.group_asker(conn, group, fx),
        };
        let Some(asker) = asker else {
            // It was told that the group is none of its user's.
            self.put(conn, &Frame::HistoryEnd(nothing_of(asked)), fx);
            return self.pause_if_full(conn, fx);
        };
        let Some(session) = self.session(conn) else { return };
        let (asked, stage, is_queued, held_bytes) = (*asked, Stage::Asked, false, 0);
        session.page = Some(Box::new(Page { log, asked, stage, is_queued, held_bytes }));
        match log {
            LogId::Inbox(_) => {
                let user = &self.users[slot];
                let readable = Readable {
                    head: user.durable,
                    before: user.record.trim,
                    until: u64::MAX,
                    absences: Box::default(),
                };
                self.read_page(conn, readable, fx);
            }
            LogId::Group(group) => {
                self.post_to_group(group, GroupLetter::Page { asker, group }, fx);
            }
        }
        self.pause_if_full(conn, fx);
    }

    /// What of a group the user of a session may read; none if it never was a member.
    pub(super) fn page_is_readable(
        &mut self,
        conn: ConnId,
        group: GroupId,
        readable: Option<Readable>,
        fx: &mut Effects,
    ) {
        let is_asked =
            |page: &Page| page.log == LogId::Group(group) && matches!(page.stage, Stage::Asked);
        let Some(session) = self.session(conn) else { return };
        if !session.page.as_deref().is_some_and(is_asked) {
            return;
        }
        if let Some(readable) = readable {
            self.read_page(conn, readable, fx);
        } else {
            let page = session.page.take();
            self.is_told_what_it_asked(conn);
            self.put(conn, &Frame::GroupGone { group, position: 0 }, fx);
            if let Some(page) = page {
                self.put(conn, &Frame::HistoryEnd(nothing_of(&page.asked)), fx);
            }
        }
    }

    fn read_page(&mut self, conn: ConnId, readable: Readable, fx: &mut Effects) {
        let Some(page) = self.page(conn) else { return };
        let (from, through) = page.range(&readable);
        if from > through {
            let end = page.end(&readable, from, through);
            self.end_page(conn, &end, fx);
            return;
        }
        page.stage = Stage::Loading(readable);
        let (log, History { newest_first, limit, .. }) = (page.log, page.asked);
        let is_crowded = self.pages_bytes >= PAGES_BYTES_MAX;
        fx.loads.push(Load::Page {
            log,
            conn,
            from,
            through,
            newest_first,
            entries_max: if is_crowded {
                1
            } else {
                limit as u32 + u32::from(is_planted(Fault::PageTooLong))
            },
            bytes_max: HISTORY_PAGE_BYTES as u32,
        });
        self.counters.cold_reads += 1;
    }

    /// The entries of a page.
    pub(super) fn page_loaded(
        &mut self,
        log: LogId,
        conn: ConnId,
        entries: Vec<(u64, Bytes)>,
        (from, through): (u64, u64),
    ) {
        let Some(page) = self.page(conn).filter(|page| page.log == log) else { return };
        let Stage::Loading(readable) = &page.stage else { return };
        let (end, readable) = (page.end(readable, from, through), readable.clone());
        let mut entries = VecDeque::from(entries);
        if is_planted(Fault::PageLacksEntry) {
            entries.pop_back();
        }
        let held_bytes = entries.iter().map(|(_, value)| value.len()).sum();
        page.stage = Stage::Telling { readable, entries, end };
        page.held_bytes = held_bytes;
        self.pages_bytes += held_bytes;
        self.queue_page(conn);
    }

    /// Has a session told of its page once live messages were served.
    pub(super) fn queue_page(&mut self, conn: ConnId) {
        let Some(page) = self.page(conn) else { return };
        let is_ready = matches!(page.stage, Stage::Telling { .. });
        if is_ready && !std::mem::replace(&mut page.is_queued, true) {
            self.paging.push(conn);
        }
    }

    /// Goes on with every page in the list.
    pub(super) fn tell_pages(&mut self, fx: &mut Effects) {
        while let Some(conn) = self.paging.pop() {
            if let Some(page) = self.page(conn) {
                page.is_queued = false;
                self.tell_page(conn, fx);
            }
        }
    }

    /// Puts as many entries of a page into the output as leave half of it to live messages.
    fn tell_page(&mut self, conn: ConnId, fx: &mut Effects) {
        let room_bytes = self.config.output_high_bytes / 2;
        loop {
            let Some(connection) = self.connection(conn) else { return };
            let is_full = connection.output.len() >= room_bytes;
            let Some(session) = connection.session() else { return };
            if is_full || session.download.is_some() {
                return;
            }
            let Some(page) = session.page.as_deref_mut() else { return };
            let Stage::Telling { readable, entries, end } = &mut page.stage else { return };
            let Some((position, value)) = entries.pop_front() else {
                let end = *end;
                self.end_page(conn, &end, fx);
                return;
            };
            if !is_absent(&readable.absences, position) {
                self.tell_past(conn, position, &value, fx);
            }
        }
    }

    /// Puts one entry into the output, unless it is for nobody any more.
    fn tell_past(&mut self, conn: ConnId, position: u64, value: &Bytes, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let user = session.user;
        let Some(log) = session.page.as_deref().map(|page| page.log) else { return };
        let Ok((header, body)) = split_entry(value) else {
            self.end(conn, Code::Internal, "a stored message is damaged", fx);
            return;
        };
        if self.is_over(&header) || header.is_notice {
            return;
        }
        let (group, ordinal, own) = match log {
            LogId::Inbox(_) => (0, header.ordinal, header.own),
            LogId::Group(group) => (group, 0, header.peer == user),
        };
        let piece = Chunks::new(&body).next().unwrap_or_default();
        let done = piece.len();
        let past = Past {
            group,
            position,
            peer: header.peer,
            ordinal,
            time_ms: header.time_ms,
            content: header.content,
            own,
            total_bytes: Chunks::total_bytes(&body),
            body: piece,
        };
        self.put(conn, &Frame::Past(past), fx);
        self.put_rest(conn, body, done, fx);
    }

    fn end_page(&mut self, conn: ConnId, end: &HistoryEnd, fx: &mut Effects) {
        self.drop_page(conn);
        self.is_told_what_it_asked(conn);
        self.put(conn, &Frame::HistoryEnd(*end), fx);
    }

    /// A page is told, or its session is over.
    pub(super) fn drop_page(&mut self, conn: ConnId) {
        let Some(page) = self.session(conn).and_then(|session| session.page.take()) else { return };
        self.pages_bytes -= page.held_bytes;
    }

    fn page(&mut self, conn: ConnId) -> Option<&mut Page> {
        self.session(conn)?.page.as_deref_mut()
    }
}
