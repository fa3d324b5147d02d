//! What the server keeps of the time before this device: fetched page by page, backwards, when the program
//! asks for it.
//!
//! ```text
//!   fill ──► due ──HISTORY──► under way ──PAST … HISTORY_END──┬─► due again, if more is wanted and kept
//!                                                             └─► Event::HistoryFilled
//! ```
//!
//! A page that a broken connection cut is asked for again on the next one; what came of it is in the store,
//! which keeps each position once.

use std::collections::VecDeque;

use fulmar_protocol::history::{History, HistoryEnd, Past};
use fulmar_protocol::limits::HISTORY_MAX;
use fulmar_protocol::{Code, Frame};

use super::intake::{Arrival, Entry};
use super::io::{Action, Now};
use super::ledger::Effect;
use super::log::LogId;
use super::session::Session;
use super::violation::{Violation, counted, cursor, user};
use crate::event::Event;
use crate::limits::{FILLS_MAX, NUMBER_MAX};
use crate::message::{Message, MessageId, State, Target};
use crate::refer::Changes;
use crate::store::Write;

/// One log that is to be filled.
#[derive(Debug, Clone, Copy)]
struct Fill {
    log: LogId,
    /// Entries that are still wanted.
    wanted: u64,
    /// Entries that came.
    came: u64,
}

/// The page under way.
#[derive(Debug, Clone, Copy)]
struct Page {
    log: LogId,
    /// Its next entry lies at or before this position.
    through: u64,
    /// The group isn't one of this user's: its end says nothing.
    is_void: bool,
}

/// What is to be filled, and the page under way.
#[derive(Debug)]
pub(super) struct Fills {
    due: VecDeque<Fill>,
    page: Option<Page>,
    /// What the server keeps of the inbox from here on was fetched, or came by itself; 0 where that isn't known.
    inbox_from: u64,
    /// The smallest message id that is in use, or 0.
    id_first: i64,
}

impl Fills {
    pub(super) const fn new(inbox_from: u64, id_first: i64) -> Self {
        Fills { due: VecDeque::new(), page: None, inbox_from, id_first }
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.page = None;
    }

    /// The next id of a message of the time before.
    const fn next_id(&mut self) -> MessageId {
        self.id_first -= 1;
        MessageId(self.id_first)
    }
}

impl Session {
    /// Fetches what the server keeps of a log before what this device has, `entries` of it at most: of the
    /// inbox, or of a group. [`Event::HistoryFilled`] tells when that is done. It goes on over breaks of the
    /// connection, but not over the end of the session; too many at once fall away.
    pub fn fill_history(
        &mut self,
        now: Now,
        group: Option<u64>,
        entries: u64,
        actions: &mut Vec<Action>,
    ) {
        let log = group.map_or(LogId::Inbox, LogId::Group);
        if let Some(fill) = self.fills.due.iter_mut().find(|fill| fill.log == log) {
            fill.wanted = fill.wanted.max(entries);
        } else if self.fills.due.len() < FILLS_MAX {
            self.fills.due.push_back(Fill { log, wanted: entries, came: 0 });
        }
        self.pump(now, actions);
    }

    /// What comes first of a log that this device has nothing of is where its past ends.
    pub(super) fn note_beginning(&mut self, log: LogId, entry: &Entry) {
        let from = match entry {
            Entry::Arrival(arrival) => arrival.position,
            Entry::Notice(notice) => notice.position,
            Entry::Skip(position) => position + 1,
            Entry::Gone(_) => return,
        };
        match log {
            LogId::Inbox if self.fills.inbox_from == 0 && self.intake.inbox().durable() == 0 => {
                self.fills.inbox_from = from;
                self.ledger.write(Write::Filled(from));
            }
            LogId::Group(group) if self.intake.group(group).durable() == 0 => {
                // Stored with what follows from the entry.
                let state = self.groups.state(group);
                if state.filled_from == 0 {
                    state.filled_from = from;
                }
            }
            _ => {}
        }
    }

    /// The last position that lies before what was fetched of a log, or came by itself.
    fn unfilled_through(&mut self, log: LogId) -> u64 {
        let (from, received) = match log {
            LogId::Inbox => (self.fills.inbox_from, self.intake.inbox().received),
            LogId::Group(group) => {
                let from = self.groups.get(group).map_or(0, |state| state.filled_from);
                (from, self.intake.group(group).received)
            }
        };
        if from == 0 { received } else { from - 1 }
    }

    /// Asks for the next page, where one is due and none is under way.
    pub(super) fn ask_past(&mut self) {
        while self.fills.page.is_none() && self.output.has_room() {
            let Some(&Fill { log, wanted, .. }) = self.fills.due.front() else { return };
            let through = self.unfilled_through(log);
            if wanted == 0 || through == 0 {
                self.end_fill(through == 0);
                continue;
            }
            let group = match log {
                LogId::Inbox => 0,
                LogId::Group(group) => group,
            };
            let limit = wanted.min(HISTORY_MAX as u64);
            let (from, newest_first) = (1, true);
            self.output.push(&Frame::History(History {
                group,
                from,
                through,
                limit,
                newest_first,
            }));
            self.fills.page = Some(Page { log, through, is_void: false });
        }
    }

    /// An entry of the page, or the first part of one.
    pub(super) fn on_past(&mut self, past: &Past<'_>) -> Result<(), Violation> {
        counted("past.position", past.position)?;
        user("past.peer", past.peer)?;
        let log = if past.group == 0 { LogId::Inbox } else { LogId::Group(past.group) };
        let ordinal = match log {
            LogId::Inbox => counted("past.ordinal", past.ordinal)?,
            LogId::Group(_) => past.position,
        };
        let page = self.fills.page.filter(|page| page.log == log && past.position <= page.through);
        if page.is_none() {
            let detail = "an entry of a page that wasn't asked for, or out of its order";
            return Err(Violation::new(Code::UnexpectedFrame, detail));
        }
        if let Some(page) = &mut self.fills.page {
            page.through = past.position - 1;
        }
        let arrival = Arrival {
            position: past.position,
            peer: past.peer,
            ordinal,
            time_ms: past.time_ms.min(NUMBER_MAX),
            content: past.content,
            own: past.own,
            body: std::sync::Arc::default(),
        };
        self.intake.past(log, arrival, past.total_bytes, past.body)?;
        self.keep_past();
        Ok(())
    }

    /// Gives the store what came whole of the page.
    pub(super) fn keep_past(&mut self) {
        let Some((log, arrival)) = self.intake.take_past() else { return };
        let id = self.fills.next_id();
        let (peer, ordinal) = (arrival.peer, arrival.ordinal);
        let group = match log {
            LogId::Inbox => None,
            LogId::Group(group) => Some(group),
        };
        let message = Message {
            id,
            group,
            peer,
            state: if arrival.own { State::Sent } else { State::Received },
            ordinal: Some(ordinal),
            position: Some(arrival.position),
            time_ms: arrival.time_ms,
            content: arrival.content,
            body: arrival.body,
            changes: Changes::default(),
        };
        let message = self.with_expiry(message);
        self.heed_timer(&message);
        self.ledger.write(Write::Fill(message));
        if let Some(fill) = self.fills.due.front_mut() {
            fill.came += 1;
            fill.wanted = fill.wanted.saturating_sub(1);
        }
        match group {
            None if arrival.own => {
                self.conversations.wrote(peer, id);
                self.conversations.sent(peer, ordinal);
                self.asks.ask(Target::Peer(peer));
                self.write_conversation(peer);
            }
            None => {
                self.conversations.received(peer, ordinal, id);
                self.write_conversation(peer);
                self.ledger.then(Effect::Filled { peer, ordinal });
            }
            Some(group) => {
                self.groups.met(group, id);
                if arrival.own {
                    self.groups.sent(group, arrival.position);
                    if self.groups.is_unread(group) {
                        self.asks.ask(Target::Group(group));
                    }
                }
                self.write_group(group);
            }
        }
    }

    /// The page is over.
    pub(super) fn on_history_end(&mut self, end: &HistoryEnd) -> Result<(), Violation> {
        let log = if end.group == 0 { LogId::Inbox } else { LogId::Group(end.group) };
        let Some(page) = self.fills.page.take_if(|page| page.log == log) else {
            let detail = "the end of a page that wasn't asked for";
            return Err(Violation::new(Code::UnexpectedFrame, detail));
        };
        if page.is_void {
            self.end_fill(true);
            return Ok(());
        }
        let from = cursor("history_end.from", end.from)?.max(1);
        let from = if end.has_more { from } else { 1 };
        match log {
            LogId::Inbox => {
                self.fills.inbox_from = from;
                self.ledger.write(Write::Filled(from));
            }
            LogId::Group(group) => {
                self.groups.state(group).filled_from = from;
                self.write_group(group);
            }
        }
        Ok(())
    }

    /// The group whose page is under way isn't one of this user's.
    pub(super) fn no_past_of(&mut self, group: u64) {
        let log = LogId::Group(group);
        if let Some(page) = self.fills.page.as_mut().filter(|page| page.log == log) {
            page.is_void = true;
        }
    }

    /// The server lost what lies above this position of the inbox, and will use the positions again.
    pub(super) fn past_went_back(&mut self, head: u64) {
        if self.fills.inbox_from > head {
            self.fills.inbox_from = 0;
            self.ledger.write(Write::Filled(0));
        }
    }

    fn end_fill(&mut self, is_complete: bool) {
        let Some(Fill { log, came, .. }) = self.fills.due.pop_front() else { return };
        let group = match log {
            LogId::Inbox => None,
            LogId::Group(group) => Some(group),
        };
        // Told behind everything that came, so with a write.
        self.ledger.write(Write::Filled(self.fills.inbox_from));
        self.ledger.then(Effect::Notify(Event::HistoryFilled {
            group,
            entries: came,
            is_complete,
        }));
    }
}
