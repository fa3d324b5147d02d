//! The logs as they arrive: positions without gaps, large bodies put together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fulmar_protocol::group::{GroupDeliver, GroupNotice};
use fulmar_protocol::limits::BODY_BYTES_MAX;
use fulmar_protocol::{Assembly, Code, Deliver};

use super::log::{Log, LogId};
use super::violation::{Violation, counted, user};
use crate::limits::{HELD_BYTES_MAX, HELD_MESSAGES_MAX, MESSAGE_BYTES, NUMBER_MAX};

/// A message that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) position: u64,
    /// The other user of the conversation; in a group the author.
    pub(super) peer: u64,
    /// In a group the position.
    pub(super) ordinal: u64,
    pub(super) time_ms: u64,
    pub(super) content: u8,
    pub(super) own: bool,
    pub(super) body: Arc<[u8]>,
}

/// The same while it arrives: its header, and how much of the body is in the first frame.
#[derive(Debug)]
struct Incoming<'a> {
    log: LogId,
    arrival: Arrival,
    total_bytes: Option<u64>,
    body: &'a [u8],
}

/// What became of positions, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A message.
    Arrival(Arrival),
    /// In the inbox: this user was added to a group.
    Notice(GroupNotice),
    /// Nothing for this device up to this position.
    Skip(u64),
    /// In a group: this user is a member no more, and this was the last position.
    Gone(u64),
}

impl Entry {
    fn position(&self) -> u64 {
        match self {
            Entry::Arrival(arrival) => arrival.position,
            Entry::Notice(notice) => notice.position,
            Entry::Skip(position) | Entry::Gone(position) => *position,
        }
    }
}

/// The large body in progress; there is one for all logs.
#[derive(Debug)]
enum Large {
    None,
    /// A new message: its header (without the body), and the body so far.
    Keep(LogId, Arrival, Assembly),
    /// An entry of a page of the past.
    Past(LogId, Arrival, Assembly),
    /// A message that is already here: bytes that are still to come.
    Discard {
        log: LogId,
        left_bytes: u64,
    },
}

/// All logs of one device, across connections.
#[derive(Debug)]
pub(super) struct Intake {
    inbox: Log,
    groups: BTreeMap<u64, Log>,
    /// Delivers and skips of the inbox that this connection brought, and parts of whatever body: while one comes,
    /// a large one waits.
    inbox_frames: u64,
    large: Large,
    /// An entry of a page of the past that came whole.
    past: Option<(LogId, Arrival)>,
    /// What came in the log of the large body in progress after it; it is handed on behind it.
    held: VecDeque<Entry>,
    held_bytes: usize,
    /// Complete, and in order within its log; to be handed on.
    ready: VecDeque<(LogId, Entry)>,
    /// Logs of which something may have to be acknowledged.
    acks_due: BTreeSet<LogId>,
}

impl Intake {
    /// Everything in the inbox up to `cursor`, and in the groups up to these, is in the store.
    pub(super) fn new(cursor: u64, groups: impl Iterator<Item = (u64, u64)>) -> Self {
        Intake {
            inbox: Log::new(cursor),
            groups: groups.map(|(group, cursor)| (group, Log::new(cursor))).collect(),
            inbox_frames: 0,
            large: Large::None,
            past: None,
            held: VecDeque::new(),
            held_bytes: 0,
            ready: VecDeque::new(),
            acks_due: BTreeSet::new(),
        }
    }

    /// The server lost data and goes on from `head`, which is before what is stored here.
    pub(super) fn inbox_went_back(&mut self, head: u64) {
        self.inbox = Log::new(head);
    }

    /// The same of a group.
    pub(super) fn group_went_back(&mut self, group: u64, head: u64) {
        self.groups.insert(group, Log::new(head));
    }

    /// Whether a position of a group is here already though this connection brought nothing of it before.
    pub(super) fn is_early(&mut self, group: u64, position: u64) -> bool {
        let log = self.group(group);
        log.first == 0 && position <= log.durable()
    }

    /// Forgets what a connection brought in part.
    pub(super) fn reset(&mut self) {
        self.inbox.reset();
        self.groups.values_mut().for_each(Log::reset);
        self.inbox_frames = 0;
        self.large = Large::None;
        self.past = None;
        self.held.clear();
        self.held_bytes = 0;
        self.ready.clear();
        self.acks_due.clear();
    }

    /// Whether everything received is stored.
    pub(super) fn is_settled(&self) -> bool {
        self.inbox.is_settled() && self.groups.values().all(Log::is_settled)
    }

    /// The inbox.
    pub(super) const fn inbox(&mut self) -> &mut Log {
        &mut self.inbox
    }

    /// The log of a group, which begins now if it is new.
    pub(super) fn group(&mut self, group: u64) -> &mut Log {
        self.groups.entry(group).or_default()
    }

    /// Delivers and skips of the inbox that this connection brought, and parts of whatever body: while one comes,
    /// a large one waits.
    pub(super) const fn inbox_frames(&self) -> u64 {
        self.inbox_frames
    }

    /// Whether a large body is in progress: only reading on can complete it.
    pub(super) const fn is_mid_body(&self) -> bool {
        !matches!(self.large, Large::None)
    }

    /// Everything of this log up to `position` is in the store now.
    pub(super) fn stored(&mut self, log: LogId, position: u64) {
        self.log(log).stored(position);
        self.acks_due.insert(log);
    }

    /// The next acknowledgement that is due; it counts as sent. The inbox comes first.
    pub(super) fn take_ack(&mut self) -> Option<(LogId, u64)> {
        while let Some(log) = self.acks_due.pop_first() {
            if let Some(position) = self.log(log).take_ack() {
                return Some((log, position));
            }
        }
        None
    }

    /// The next entry that is complete and in order.
    pub(super) fn next_ready(&mut self) -> Option<(LogId, Entry)> {
        let (id, entry) = self.ready.pop_front()?;
        let log = self.log(id);
        log.received = log.received.max(entry.position());
        Some((id, entry))
    }

    fn log(&mut self, log: LogId) -> &mut Log {
        match log {
            LogId::Inbox => &mut self.inbox,
            LogId::Group(group) => self.group(group),
        }
    }

    /// A message of the inbox, or the first part of one.
    pub(super) fn deliver(&mut self, deliver: &Deliver<'_>) -> Result<(), Violation> {
        self.inbox_frames += 1;
        counted("deliver.position", deliver.position)?;
        counted("deliver.ordinal", deliver.ordinal)?;
        user("deliver.peer", deliver.peer)?;
        let arrival = Arrival {
            position: deliver.position,
            peer: deliver.peer,
            ordinal: deliver.ordinal,
            time_ms: deliver.time_ms.min(NUMBER_MAX),
            content: deliver.content,
            own: deliver.own,
            body: Arc::default(),
        };
        let (log, total_bytes, body) = (LogId::Inbox, deliver.total_bytes, deliver.body);
        self.take(Incoming { log, arrival, total_bytes, body })
    }

    /// An entry of a group, or the first part of one.
    pub(super) fn group_deliver(&mut self, deliver: &GroupDeliver<'_>) -> Result<(), Violation> {
        user("group_deliver.group", deliver.group)?;
        counted("group_deliver.position", deliver.position)?;
        user("group_deliver.author", deliver.author)?;
        let arrival = Arrival {
            position: deliver.position,
            peer: deliver.author,
            ordinal: deliver.position,
            time_ms: deliver.time_ms.min(NUMBER_MAX),
            content: deliver.content,
            own: deliver.own,
            body: Arc::default(),
        };
        let (log, total_bytes) = (LogId::Group(deliver.group), deliver.total_bytes);
        self.take(Incoming { log, arrival, total_bytes, body: deliver.body })
    }

    /// The user was added to a group.
    pub(super) fn notice(&mut self, notice: &GroupNotice) -> Result<(), Violation> {
        self.inbox_frames += 1;
        counted("group_notice.position", notice.position)?;
        user("group_notice.group", notice.group)?;
        if self.advance(LogId::Inbox, notice.position)? {
            self.enter(LogId::Inbox, Entry::Notice(*notice))?;
        }
        Ok(())
    }

    /// The user is a member no more. It stands behind what came of the group before. What is said about an
    /// end that this device hasn't come to is said again behind what lies before it.
    pub(super) fn gone(&mut self, group: u64, position: u64) -> Result<(), Violation> {
        let frontier = self.group(group).frontier;
        if position > frontier {
            return Ok(());
        }
        self.enter(LogId::Group(group), Entry::Gone(position.min(frontier)))
    }

    fn take(&mut self, incoming: Incoming<'_>) -> Result<(), Violation> {
        let Incoming { log, mut arrival, total_bytes, body } = incoming;
        if let Some(total_bytes) = total_bytes {
            self.judge_large(total_bytes)?;
        }
        let is_new = self.advance(log, arrival.position)?;
        match total_bytes {
            None if is_new => {
                arrival.body = Arc::from(body);
                self.enter(log, Entry::Arrival(arrival))?;
            }
            None => {}
            Some(total_bytes) if is_new => {
                let assembly = Assembly::new(total_bytes as usize, body);
                self.large = Large::Keep(log, arrival, assembly);
            }
            Some(total_bytes) => {
                let left_bytes = total_bytes - body.len() as u64;
                self.large = Large::Discard { log, left_bytes };
            }
        }
        Ok(())
    }

    /// The log goes on with this position; whether it is new. One that is already here is not shown
    /// again, but the server has to be told.
    fn advance(&mut self, id: LogId, position: u64) -> Result<bool, Violation> {
        let log = self.log(id);
        log.begin(position);
        if position <= log.frontier {
            if log.repeat(position) {
                self.acks_due.insert(id);
            }
            return Ok(false);
        }
        if position != log.frontier + 1 {
            return Err(Violation::gap(log.frontier + 1, position));
        }
        log.frontier = position;
        Ok(true)
    }

    fn judge_large(&self, total_bytes: u64) -> Result<(), Violation> {
        if self.is_mid_body() {
            let detail = "a second large body before the first was complete";
            return Err(Violation::new(Code::UnexpectedFrame, detail));
        }
        if total_bytes > BODY_BYTES_MAX as u64 {
            let detail = format!("body of {total_bytes} bytes; at most {BODY_BYTES_MAX} exist");
            return Err(Violation::new(Code::MalformedFrame, detail));
        }
        Ok(())
    }

    /// An entry of a page of the past, or the first part of one. It stands in no order with anything else.
    pub(super) fn past(
        &mut self,
        log: LogId,
        mut arrival: Arrival,
        total_bytes: Option<u64>,
        body: &[u8],
    ) -> Result<(), Violation> {
        if let Some(total_bytes) = total_bytes {
            self.judge_large(total_bytes)?;
            self.large = Large::Past(log, arrival, Assembly::new(total_bytes as usize, body));
        } else {
            arrival.body = Arc::from(body);
            self.past = Some((log, arrival));
        }
        Ok(())
    }

    fn release_past(&mut self) {
        if let Large::Past(log, mut arrival, assembly) =
            std::mem::replace(&mut self.large, Large::None)
        {
            arrival.body = Arc::from(assembly.into_body());
            self.past = Some((log, arrival));
        }
    }

    /// The entry of a page that came whole.
    pub(super) const fn take_past(&mut self) -> Option<(LogId, Arrival)> {
        self.past.take()
    }

    /// More bytes of the large body.
    pub(super) fn part(&mut self, body: &[u8]) -> Result<(), Violation> {
        self.inbox_frames += 1;
        let (log, complete) = match &mut self.large {
            Large::None => {
                let detail = "a part without a body to continue";
                return Err(Violation::new(Code::UnexpectedPart, detail));
            }
            Large::Discard { log, left_bytes } => {
                *left_bytes = left_bytes.checked_sub(body.len() as u64).ok_or_else(|| {
                    Violation::new(Code::UnexpectedPart, "more bytes than were announced")
                })?;
                (*log, *left_bytes == 0)
            }
            Large::Keep(log, _, assembly) => (*log, assembly.push(body)?),
            Large::Past(_, _, assembly) => {
                if assembly.push(body)? {
                    self.release_past();
                }
                return Ok(());
            }
        };
        if complete {
            self.release(log);
        }
        Ok(())
    }

    /// Positions that hold nothing for this device.
    pub(super) fn skip(&mut self, id: LogId, position: u64) -> Result<(), Violation> {
        self.inbox_frames += u64::from(id == LogId::Inbox);
        counted("skip.position", position)?;
        if let LogId::Group(group) = id {
            user("group_skip.group", group)?;
        }
        let log = self.log(id);
        log.begin(position + 1);
        if position > log.frontier {
            log.frontier = position;
            return self.enter(id, Entry::Skip(position));
        }
        if log.repeat(position) {
            self.acks_due.insert(id);
        }
        Ok(())
    }

    /// Takes a complete entry, behind the large body in progress where that is of the same log.
    fn enter(&mut self, log: LogId, entry: Entry) -> Result<(), Violation> {
        let is_behind = match &self.large {
            Large::None | Large::Past(..) => false,
            Large::Keep(large, ..) | Large::Discard { log: large, .. } => *large == log,
        };
        if !is_behind {
            self.ready.push_back((log, entry));
            return Ok(());
        }
        if let Entry::Arrival(arrival) = &entry {
            self.held_bytes += arrival.body.len() + MESSAGE_BYTES;
        }
        self.held.push_back(entry);
        if self.held.len() > HELD_MESSAGES_MAX || self.held_bytes > HELD_BYTES_MAX {
            let detail = format!(
                "{} messages of {} bytes came between the parts of one body; at most \
                 {HELD_MESSAGES_MAX} and {HELD_BYTES_MAX} may",
                self.held.len(),
                self.held_bytes
            );
            return Err(Violation::new(Code::UnexpectedFrame, detail));
        }
        Ok(())
    }

    /// The large body is over: hands on what it became and what waited behind it.
    fn release(&mut self, log: LogId) {
        if let Large::Keep(_, mut arrival, assembly) =
            std::mem::replace(&mut self.large, Large::None)
        {
            arrival.body = Arc::from(assembly.into_body());
            self.ready.push_back((log, Entry::Arrival(arrival)));
        }
        self.held_bytes = 0;
        self.ready.extend(self.held.drain(..).map(|entry| (log, entry)));
    }
}
