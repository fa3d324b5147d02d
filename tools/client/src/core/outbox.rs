//! Sends without an answer: their numbers, their window, and the large body in progress.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fulmar_protocol::group::{Change, GroupSend};
use fulmar_protocol::limits::{BODY_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Chunks, Frame, Send};

use super::io::Now;
use super::output::Output;
use crate::limits::{
    NUMBER_MAX, OUTBOX_BYTES_MAX, OUTBOX_MESSAGES_MAX, SENDS_IN_FLIGHT_MAX, SENDS_LOOKED_AT_MAX,
    SENDS_PER_PART_MAX,
};
use crate::message::{self, MessageId, Target};
use crate::store::Unanswered;

/// Why a message isn't taken for sending. Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// User 0.
    #[error("user 0 can't be a recipient; users are numbered from 1")]
    BadPeer,
    /// Group 0.
    #[error("group 0 can't be written to; groups are numbered from 1")]
    BadGroup,
    /// Users that aren't in increasing order from 1, too many of them, or a value that is too long.
    #[error("the change names too many users, user 0, or has a value that is too long")]
    BadChange,
    /// The content of a message to a group says that it is a change.
    #[error("content {} is what changes of a group have", message::content::CHANGE)]
    BadContent,
    /// The body is over the limit of the protocol.
    #[error("the body has {bytes} bytes; at most {bytes_max} can be sent")]
    BodyTooLarge {
        /// Its length.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// Too much waits for the server already.
    #[error(
        "{messages} messages of {bytes} bytes wait for the server already; at most \
         {OUTBOX_MESSAGES_MAX} messages or {OUTBOX_BYTES_MAX} bytes may"
    )]
    OutboxFull {
        /// Messages waiting.
        messages: usize,
        /// Their body bytes.
        bytes: usize,
    },
    /// Every number for sends is used up.
    #[error("this device has used up its {NUMBER_MAX} numbers for sends")]
    NumbersExhausted,
    /// Only a rejected message can be sent again.
    #[error("message {0} is not a rejected one, so it can't be sent again")]
    NotRejected(MessageId),
    /// The client is closed, or its store failed.
    #[error("the client is closed")]
    Closed,
}

/// Where a send is on its way.
///
/// ```text
///   Storing ──stored──► Queued ──window──► InFlight ──sent, rejected──► (gone)
///                         ▲ └── connection lost ──┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its number isn't durable yet. On the wire, it could be used again after a crash, for
    /// another message, which the server would then take for this one.
    Storing,
    Queued,
    InFlight,
}

#[derive(Debug)]
struct Waiting {
    id: MessageId,
    target: Target,
    content: u8,
    body: Arc<[u8]>,
    stage: Stage,
}

/// A send that is too large for the server.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) id: MessageId,
    pub(super) target: Target,
    pub(super) number: u64,
}

/// The large body in progress; it is finished whatever the answer, for the server counts its bytes.
#[derive(Debug)]
struct Cut {
    target: Target,
    body: Arc<[u8]>,
    sent_bytes: usize,
}

/// The sends of one device, across connections.
#[derive(Debug)]
pub(super) struct Outbox {
    number_last: u64,
    /// By number, which is the order in which they go out. One counter serves all peers and
    /// groups, so the numbers grow within each.
    waiting: BTreeMap<u64, Waiting>,
    /// Body bytes in `waiting`.
    bytes: usize,
    /// Numbers in stage `Queued`, ascending.
    queue: VecDeque<u64>,
    /// How many are in stage `InFlight`.
    in_flight: usize,
    /// Ticks that aren't durable yet. A crash would forget them, and their sends would be repeated; the
    /// server knows the last ones again, as many as the window has room for.
    unsettled: usize,
    /// How many sends may be in flight or unsettled together.
    in_flight_max: usize,
    /// Largest body that the server takes.
    body_bytes_max: usize,
    cut: Option<Cut>,
}

impl Outbox {
    /// The unanswered sends of an earlier run.
    pub(super) fn new(number_last: u64, unanswered: Vec<Unanswered>) -> Self {
        let mut outbox = Outbox {
            number_last,
            waiting: BTreeMap::new(),
            bytes: 0,
            queue: VecDeque::new(),
            in_flight: 0,
            unsettled: 0,
            in_flight_max: 0,
            body_bytes_max: BODY_BYTES_MAX,
            cut: None,
        };
        for send in unanswered {
            outbox.insert(send, Stage::Queued);
        }
        outbox.reset();
        outbox
    }

    fn insert(&mut self, send: Unanswered, stage: Stage) {
        let Unanswered { number, id, target, content, body } = send;
        self.bytes += body.len();
        self.number_last = self.number_last.max(number);
        self.waiting.insert(number, Waiting { id, target, content, body, stage });
    }

    /// Judges a message before anything of it is kept.
    pub(super) fn judge(&self, target: Target, body_bytes: usize) -> Result<(), SendError> {
        if target == Target::Peer(0) {
            return Err(SendError::BadPeer);
        }
        if body_bytes > BODY_BYTES_MAX {
            return Err(SendError::BodyTooLarge { bytes: body_bytes, bytes_max: BODY_BYTES_MAX });
        }
        if self.number_last >= NUMBER_MAX {
            return Err(SendError::NumbersExhausted);
        }
        if self.waiting.len() >= OUTBOX_MESSAGES_MAX || self.bytes + body_bytes > OUTBOX_BYTES_MAX {
            return Err(SendError::OutboxFull { messages: self.waiting.len(), bytes: self.bytes });
        }
        Ok(())
    }

    /// Takes a judged message; its number. `server_ahead_ms` is how far the server's clock is ahead
    /// of this device's, where it is known.
    ///
    /// A store that never sent starts at the current time in milliseconds, which is above any
    /// number that the device used before it lost its store, unless it sent a thousand messages a
    /// second all its life.
    pub(super) fn add(
        &mut self,
        now: Now,
        server_ahead_ms: u64,
        mut send: Unanswered,
    ) -> Unanswered {
        send.number = if self.number_last == 0 {
            now.unix_ms.saturating_add(server_ahead_ms).clamp(1, NUMBER_MAX)
        } else {
            self.number_last + 1
        };
        self.insert(send.clone(), Stage::Storing);
        send
    }

    /// Raises the numbers above `number`; whether that changed anything.
    pub(super) fn raise_number(&mut self, number: u64) -> bool {
        let raised = number.min(NUMBER_MAX) > self.number_last;
        self.number_last = self.number_last.max(number.min(NUMBER_MAX));
        raised
    }

    /// Largest number in use.
    pub(super) const fn number_last(&self) -> u64 {
        self.number_last
    }

    /// The number is durable: the send may go out.
    pub(super) fn stored(&mut self, number: u64) {
        if let Some(waiting) = self.waiting.get_mut(&number) {
            waiting.stage = Stage::Queued;
            self.queue.push_back(number);
        }
    }

    /// A connection begins.
    pub(super) fn begin(&mut self, sends_max: u64, body_bytes_max: u64) {
        self.in_flight_max = sends_max.clamp(1, SENDS_IN_FLIGHT_MAX as u64) as usize;
        self.body_bytes_max = body_bytes_max.min(BODY_BYTES_MAX as u64) as usize;
    }

    /// The connection is gone: what had no answer goes out again, in order, with its number.
    pub(super) fn reset(&mut self) {
        self.cut = None;
        self.in_flight = 0;
        self.in_flight_max = 0;
        self.queue.clear();
        for (&number, waiting) in &mut self.waiting {
            if waiting.stage != Stage::Storing {
                waiting.stage = Stage::Queued;
                self.queue.push_back(number);
            }
        }
    }

    /// Whether an answer is awaited.
    pub(super) const fn is_waiting(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether this message waits for an answer.
    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.waiting.values().any(|waiting| waiting.id == id)
    }

    /// How many messages wait for an answer, on the wire or not.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The server answered; the send that it is about. Nothing for an answer to no question, which is
    /// what a repeated answer is. The answer about a group that was just made names its number, which
    /// the request couldn't.
    pub(super) fn answered(&mut self, target: Target, number: u64) -> Option<Unanswered> {
        let waiting = self.waiting.get(&number)?;
        let made_now = waiting.target == Target::Group(0) && matches!(target, Target::Group(_));
        if (waiting.target != target && !made_now) || waiting.stage != Stage::InFlight {
            return None;
        }
        self.in_flight -= 1;
        let Waiting { id, target, content, body, .. } = self.remove(number)?;
        Some(Unanswered { number, id, target, content, body })
    }

    /// The answer was a tick, which is being stored.
    pub(super) const fn ticked(&mut self) {
        self.unsettled += 1;
    }

    /// A tick is durable.
    pub(super) const fn settled(&mut self) {
        self.unsettled -= 1;
    }

    fn remove(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&number)?;
        self.bytes -= waiting.body.len();
        Some(waiting)
    }

    /// Adds sends and parts to the output while it has room. Returns those whose body is over the
    /// server's limit: they are not sent.
    pub(super) fn fill(&mut self, output: &mut Output) -> Vec<Refused> {
        let mut too_large = Vec::new();
        loop {
            let mut progress = false;
            for _ in 0..SENDS_PER_PART_MAX {
                if !output.has_room() || self.in_flight + self.unsettled >= self.in_flight_max {
                    break;
                }
                let Some(number) = self.next_sendable() else { break };
                progress = true;
                if let Some(refused) = self.send(number, output) {
                    too_large.push(refused);
                }
            }
            if output.has_room() {
                progress |= self.send_part(output);
            }
            if !progress {
                return too_large;
            }
        }
    }

    /// Takes the next send that may go out from the queue. Sends to others pass the large
    /// body in progress, if they are small; within a target the order stays.
    fn next_sendable(&mut self) -> Option<u64> {
        let Some(cut) = &self.cut else { return self.queue.pop_front() };
        let mut blocked = BTreeSet::from([cut.target]);
        let index = self.queue.iter().take(SENDS_LOOKED_AT_MAX).position(|number| {
            let Some(waiting) = self.waiting.get(number) else { return false };
            let passes = waiting.body.len() <= PART_BYTES_MAX && !blocked.contains(&waiting.target);
            if !passes {
                blocked.insert(waiting.target);
            }
            passes
        })?;
        self.queue.remove(index)
    }

    /// Sends one message, or returns what is too large for the server.
    fn send(&mut self, number: u64, output: &mut Output) -> Option<Refused> {
        let waiting = self.waiting.get_mut(&number)?;
        if waiting.body.len() > self.body_bytes_max {
            let refused = self.remove(number)?;
            return Some(Refused { id: refused.id, target: refused.target, number });
        }
        let total_bytes = Chunks::total_bytes(&waiting.body);
        let body = Chunks::new(&waiting.body).next().unwrap_or_default();
        let (target, content) = (waiting.target, waiting.content);
        match target {
            Target::Peer(peer) => {
                output.push(&Frame::Send(Send { peer, number, content, total_bytes, body }));
            }
            Target::Group(group) if content == message::content::CHANGE => {
                // A change is judged before it is kept, so that it parses.
                if let Ok(change) = Change::decode(body) {
                    output.push(&Frame::GroupChange { group, number, change });
                }
            }
            Target::Group(group) => {
                let send = GroupSend { group, number, content, total_bytes, body };
                output.push(&Frame::GroupSend(send));
            }
        }
        if total_bytes.is_some() {
            self.cut = Some(Cut { target, body: waiting.body.clone(), sent_bytes: body.len() });
        }
        waiting.stage = Stage::InFlight;
        self.in_flight += 1;
        None
    }

    /// Sends the next part of the large body in progress; whether there was one.
    fn send_part(&mut self, output: &mut Output) -> bool {
        let Some(cut) = &mut self.cut else { return false };
        let rest = &cut.body[cut.sent_bytes..];
        let part = &rest[..rest.len().min(PART_BYTES_MAX)];
        output.push(&Frame::Part { body: part });
        cut.sent_bytes += part.len();
        if cut.sent_bytes == cut.body.len() {
            self.cut = None;
        }
        true
    }
}
