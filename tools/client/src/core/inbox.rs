//! The inbox as it arrives: positions without gaps, large bodies put together.

use std::collections::VecDeque;
use std::sync::Arc;

use fulmar_protocol::limits::BODY_BYTES_MAX;
use fulmar_protocol::{Assembly, Code, Deliver};

use super::violation::{Violation, counted, user};
use crate::limits::{HELD_BYTES_MAX, HELD_MESSAGES_MAX, MESSAGE_BYTES, NUMBER_MAX};

/// A message that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) position: u64,
    pub(super) peer: u64,
    pub(super) ordinal: u64,
    pub(super) time_ms: u64,
    pub(super) content: u8,
    pub(super) own: bool,
    pub(super) body: Arc<[u8]>,
}

impl Arrival {
    fn new(deliver: &Deliver<'_>, body: &[u8]) -> Self {
        Arrival {
            position: deliver.position,
            peer: deliver.peer,
            ordinal: deliver.ordinal,
            time_ms: deliver.time_ms.min(NUMBER_MAX),
            content: deliver.content,
            own: deliver.own,
            body: Arc::from(body),
        }
    }
}

/// What became of positions, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A message.
    Arrival(Arrival),
    /// Nothing for this device up to this position.
    Skip(u64),
}

/// The large body in progress.
#[derive(Debug)]
enum Large {
    None,
    /// A new message: its header (without the body), and the body so far.
    Keep(Arrival, Assembly),
    /// A message that is already here: bytes that are still to come.
    Discard {
        left_bytes: u64,
    },
}

/// The inbox of one device, across connections.
///
/// Invariant: `acknowledged ≤ durable ≤ received ≤ frontier`.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Everything up to here is in the store.
    durable: u64,
    /// Everything up to here arrived whole and was handed on to be stored.
    received: u64,
    /// The last position that this connection announced, its body complete or not.
    frontier: u64,
    /// The hello or an acknowledgement said that everything up to here is stored.
    acknowledged: u64,
    /// The last acknowledgement of this connection; 0 before the first. The server goes by these
    /// and not by the hello.
    acknowledged_here: u64,
    /// The largest position of this connection that came again, for the acknowledgement that an
    /// earlier connection sent was lost.
    repeated: u64,
    /// Frames that this connection brought.
    frames: u64,
    large: Large,
    /// What came after the large body in progress; it is handed on behind it.
    held: VecDeque<Entry>,
    held_bytes: usize,
    /// Complete, in order, to be handed on.
    ready: VecDeque<Entry>,
}

impl Inbox {
    /// Everything up to `cursor` is in the store.
    pub(super) fn new(cursor: u64) -> Self {
        Inbox {
            durable: cursor,
            received: cursor,
            frontier: cursor,
            acknowledged: cursor,
            acknowledged_here: 0,
            repeated: 0,
            frames: 0,
            large: Large::None,
            held: VecDeque::new(),
            held_bytes: 0,
            ready: VecDeque::new(),
        }
    }

    /// The server lost data and goes on from `head`, which is before what is stored here.
    pub(super) fn went_back(&mut self, head: u64) {
        *self = Inbox::new(head);
    }

    /// Forgets what a connection brought in part.
    pub(super) fn reset(&mut self) {
        let acknowledged = self.acknowledged.min(self.durable);
        *self = Inbox { durable: self.durable, acknowledged, ..Inbox::new(self.received) };
    }

    /// Whether everything received is stored: only then the cursor of a hello tells the truth about
    /// what the next connection has to deliver.
    pub(super) const fn is_settled(&self) -> bool {
        self.durable == self.received
    }

    /// Whether everything that this connection announced is stored and acknowledged.
    pub(super) const fn is_acknowledged(&self) -> bool {
        self.acknowledged == self.frontier
    }

    /// The cursor to resume from.
    pub(super) const fn resume(&mut self) -> u64 {
        self.acknowledged = self.durable;
        self.durable
    }

    /// The last position announced on this connection.
    pub(super) const fn frontier(&self) -> u64 {
        self.frontier
    }

    /// Delivers, parts and skips of this connection.
    pub(super) const fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether a large body is in progress: only reading on can complete it.
    pub(super) const fn is_mid_body(&self) -> bool {
        !matches!(self.large, Large::None)
    }

    /// Everything up to `position` is in the store now.
    pub(super) fn stored(&mut self, position: u64) {
        self.durable = self.durable.max(position);
    }

    /// The acknowledgement that is due, if one is; it counts as sent.
    pub(super) fn take_ack(&mut self) -> Option<u64> {
        if self.durable > self.acknowledged {
            self.acknowledged = self.durable;
            self.acknowledged_here = self.durable;
            return Some(self.durable);
        }
        // A repetition is acknowledged once nothing waits for the store, for the acknowledgement of
        // that would cover it; and as itself, since beyond what a connection brought nothing may be
        // acknowledged on it.
        if self.repeated > self.acknowledged_here && self.is_settled() {
            self.acknowledged_here = self.repeated;
            return Some(self.repeated);
        }
        None
    }

    /// The next entry that is complete and in order.
    pub(super) fn next_ready(&mut self) -> Option<Entry> {
        let entry = self.ready.pop_front()?;
        self.received = match &entry {
            Entry::Arrival(arrival) => arrival.position,
            Entry::Skip(position) => *position,
        };
        Some(entry)
    }

    /// A message, or the first part of one.
    pub(super) fn deliver(&mut self, deliver: &Deliver<'_>) -> Result<(), Violation> {
        self.frames += 1;
        counted("deliver.position", deliver.position)?;
        counted("deliver.ordinal", deliver.ordinal)?;
        user("deliver.peer", deliver.peer)?;
        if let Some(total_bytes) = deliver.total_bytes {
            self.judge_large(total_bytes)?;
        }
        if deliver.position <= self.frontier {
            self.again(deliver);
            return Ok(());
        }
        if deliver.position != self.frontier + 1 {
            return Err(Violation::gap(self.frontier + 1, deliver.position));
        }
        self.frontier = deliver.position;
        match deliver.total_bytes {
            None => self.enter(Entry::Arrival(Arrival::new(deliver, deliver.body)))?,
            Some(total_bytes) => {
                let assembly = Assembly::new(total_bytes as usize, deliver.body);
                self.large = Large::Keep(Arrival::new(deliver, &[]), assembly);
            }
        }
        Ok(())
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

    /// A position that is already here: it is not shown again, but the server has to be told.
    fn again(&mut self, deliver: &Deliver<'_>) {
        self.repeat(deliver.position);
        if let Some(total_bytes) = deliver.total_bytes {
            self.large = Large::Discard { left_bytes: total_bytes - deliver.body.len() as u64 };
        }
    }

    /// More bytes of the large body.
    pub(super) fn part(&mut self, body: &[u8]) -> Result<(), Violation> {
        self.frames += 1;
        match &mut self.large {
            Large::None => {
                let detail = "a part without a body to continue";
                return Err(Violation::new(Code::UnexpectedPart, detail));
            }
            Large::Discard { left_bytes } => {
                let left = left_bytes.checked_sub(body.len() as u64).ok_or_else(|| {
                    Violation::new(Code::UnexpectedPart, "more bytes than were announced")
                })?;
                *left_bytes = left;
                if left == 0 {
                    self.release(None);
                }
            }
            Large::Keep(_, assembly) => {
                if assembly.push(body)? {
                    let Large::Keep(mut arrival, assembly) =
                        std::mem::replace(&mut self.large, Large::None)
                    else {
                        return Ok(());
                    };
                    arrival.body = Arc::from(assembly.into_body());
                    self.release(Some(Entry::Arrival(arrival)));
                }
            }
        }
        Ok(())
    }

    /// Positions that hold nothing for this device.
    pub(super) fn skip(&mut self, position: u64) -> Result<(), Violation> {
        self.frames += 1;
        counted("skip.position", position)?;
        if position <= self.frontier {
            self.repeat(position);
            return Ok(());
        }
        self.frontier = position;
        self.enter(Entry::Skip(position))
    }

    /// A position came again. One that isn't stored yet is acknowledged when it is.
    fn repeat(&mut self, position: u64) {
        if position <= self.durable {
            self.repeated = self.repeated.max(position);
        }
    }

    /// Takes a complete entry, behind the large body in progress where there is one.
    fn enter(&mut self, entry: Entry) -> Result<(), Violation> {
        if !self.is_mid_body() {
            self.ready.push_back(entry);
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
    fn release(&mut self, entry: Option<Entry>) {
        self.large = Large::None;
        self.held_bytes = 0;
        self.ready.extend(entry);
        self.ready.append(&mut self.held);
    }
}
