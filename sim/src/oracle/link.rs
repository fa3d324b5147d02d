//! A connection as its client sees it: which frames may come when, and what is still to be answered.

use std::collections::VecDeque;

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Hello, Welcome};
use hashbrown::HashMap;

use super::Complaint;
use super::digest::Digester;
use super::group::Lines;
use super::past::Page;
use super::people::{Line, Written};
use crate::clock::{SECOND, Time};
use crate::network::ConnNo;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was said that can be a hello.
    Fresh,
    /// A hello was written whole.
    Greeted {
        at: Time,
        /// The server may close it without a word: the client went on talking.
        is_spoilt: bool,
    },
    /// Welcomed.
    Open,
    /// The server said why it ends.
    Told,
}

/// A large body on its way in one direction.
#[derive(Debug)]
pub(crate) struct Large<H> {
    pub(crate) header: H,
    pub(crate) digester: Digester,
    total_bytes: u64,
}

/// What a cut send is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendHeader {
    /// To this group; 0 for a send to the peer.
    pub(crate) group: u64,
    pub(crate) peer: u64,
    pub(crate) number: u64,
}

/// What a delivery is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliverHeader {
    /// From this group; 0 for the inbox.
    pub(crate) group: u64,
    pub(crate) position: u64,
    pub(crate) peer: u64,
    pub(crate) ordinal: u64,
    pub(crate) time_ms: u64,
    pub(crate) own: bool,
    /// It is an entry of a page.
    pub(crate) is_past: bool,
    /// The server put it on its way after this.
    pub(crate) since: Time,
}

/// A send without an answer.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    number: u64,
    written: Written,
    /// How far deliveries of this connection were acknowledged when it was written.
    settled: u64,
    floors: Floors,
}

/// Up to which positions the inboxes that a send may fill were surely emptied when it was written: the
/// recipient's, and for the copy the sender's.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Floors {
    pub(crate) to: u64,
    pub(crate) from: u64,
}

/// What an answer says besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// What is answered.
    pub(crate) written: Written,
    /// The server has taken the acknowledgement up to here.
    pub(crate) settled: u64,
    pub(crate) floors: Floors,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) conn: ConnNo,
    /// The client keeps the rules of the protocol.
    pub(crate) is_good: bool,
    /// Bytes of a frame that isn't complete.
    partial: Vec<u8>,
    pub(crate) stage: Stage,
    /// Index of the user, and the device, as the hello said.
    pub(crate) user: u32,
    pub(crate) device: u16,
    pub(crate) session: u64,
    /// The node's run to which it belongs: what was sent then may be read in the next one.
    pub(crate) run: u32,
    /// The user's head must be at least this.
    pub(crate) floor: u64,
    /// The user's book is at least at this version.
    pub(crate) book_floor: u64,
    /// The head that the welcome told.
    pub(crate) head: u64,
    /// The head that was told last.
    pub(crate) head_told: u64,
    /// The head at which a newer session of the device began: nothing beyond it may come.
    pub(crate) is_superseded_at: Option<u64>,
    pub(crate) hello_cursor: u64,
    /// The next position, once one was named.
    next: Option<u64>,
    pub(crate) delivered_max: u64,
    /// Delivered and not acknowledged: position and body bytes.
    in_flight: VecDeque<(u64, u64)>,
    in_flight_bytes: u64,
    /// The largest position that was acknowledged here.
    acked: u64,
    window_messages: u64,
    window_bytes: u64,
    /// Sends without an answer, by peer, in order.
    unanswered: HashMap<u64, VecDeque<Waiting>>,
    /// The largest delivered position that was acknowledged here.
    settled: u64,
    /// When the pings without an answer were written, and how far deliveries were acknowledged then.
    pings: VecDeque<(Time, Written, u64)>,
    /// The second of these of the last ping that was answered: with the next answer it is durable.
    ponged: u64,
    /// What comes from here on the server put on its way after this.
    pub(crate) told_since: Time,
    pub(crate) sending: Option<Large<SendHeader>>,
    pub(crate) delivering: Option<Large<DeliverHeader>>,
    pub(crate) groups: Lines,
    /// Pages that were asked for: one, where a client keeps the rules.
    pub(crate) pages: VecDeque<Page>,
    pub(crate) people: Line,
}

impl<H> Large<H> {
    pub(crate) fn new(header: H, content: u8, total_bytes: u64) -> Self {
        Large { header, digester: Digester::new(content), total_bytes }
    }

    /// Takes a piece; whether the body is complete.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<bool, Complaint> {
        self.digester.push(piece);
        let bytes = self.digester.bytes();
        if bytes > self.total_bytes {
            let detail = format!("{bytes} bytes of {}", self.total_bytes);
            return Err(Complaint("a large body is as long as announced", detail));
        }
        Ok(bytes == self.total_bytes)
    }
}

impl Link {
    pub(crate) fn new(conn: ConnNo, is_good: bool, run: u32) -> Self {
        Link {
            conn,
            is_good,
            partial: Vec::new(),
            stage: Stage::Fresh,
            user: 0,
            device: 0,
            session: 0,
            run,
            floor: 0,
            book_floor: 0,
            head: 0,
            head_told: 0,
            is_superseded_at: None,
            hello_cursor: 0,
            next: None,
            delivered_max: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            acked: 0,
            window_messages: 0,
            window_bytes: 0,
            unanswered: HashMap::new(),
            settled: 0,
            pings: VecDeque::new(),
            ponged: 0,
            told_since: 0,
            sending: None,
            delivering: None,
            groups: Lines::default(),
            pages: VecDeque::new(),
            people: Line::default(),
        }
    }

    /// Cuts bytes from the server into frames.
    pub(crate) fn frames(
        &mut self,
        bytes: &[u8],
        mut on: impl FnMut(&mut Self, &Frame<'_>) -> Result<(), Complaint>,
    ) -> Result<(), Complaint> {
        let joined;
        let mut rest = if self.partial.is_empty() {
            bytes
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(bytes);
            joined = whole;
            &joined
        };
        loop {
            match fulmar_protocol::split_frame(rest, FRAME_BYTES_MAX) {
                Ok(Some((frame, after))) => {
                    let frame = Frame::decode(frame)
                        .map_err(|error| Complaint("frames parse", error.to_string()))?;
                    on(self, &frame)?;
                    rest = after;
                }
                Ok(None) => break,
                Err(error) => return Err(Complaint("frames parse", error.to_string())),
            }
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    pub(crate) fn greeted(&mut self, hello: &Hello<'_>, at: Time) {
        self.stage = Stage::Greeted { at, is_spoilt: false };
        self.told_since = at;
        self.hello_cursor = hello.cursors.iter().next().map_or(0, |(_, cursor)| cursor);
    }

    pub(crate) fn welcomed(&mut self, welcome: &Welcome<'_>, head: u64) {
        self.stage = Stage::Open;
        (self.session, self.head) = (welcome.session, head);
        self.people.interval = welcome.presence_s * SECOND;
        (self.window_messages, self.window_bytes) = (welcome.window_messages, welcome.window_bytes);
    }

    /// Entries and bytes that may be in flight.
    pub(crate) const fn window(&self) -> (u64, u64) {
        (self.window_messages, self.window_bytes)
    }

    pub(crate) fn pinged(&mut self, at: Time) {
        self.pings.push_back((at, self.people.written, self.settled));
    }

    /// A ping was answered: which, how far the server has taken acknowledgements, and how far they are durable.
    pub(crate) fn ponged(&mut self) -> Result<(Written, u64, u64), Complaint> {
        let Some((at, written, settled)) = self.pings.pop_front() else {
            return Err(Complaint("a pong answers a ping", String::new()));
        };
        self.told_since = at;
        Ok((written, settled, std::mem::replace(&mut self.ponged, settled)))
    }

    /// A send was written, or the first part of it.
    pub(crate) fn sent(&mut self, peer: u64, number: u64, floors: Floors) {
        let written = self.people.written;
        let waiting = Waiting { number, written, settled: self.settled, floors };
        self.unanswered.entry(peer).or_default().push_back(waiting);
    }

    /// A send was answered.
    pub(crate) fn answered(
        &mut self,
        peer: u64,
        number: u64,
        is_tick: bool,
    ) -> Result<Answered, Complaint> {
        let waiting = self.unanswered.get_mut(&peer);
        let found =
            waiting.as_ref().and_then(|waiting| waiting.iter().position(|it| it.number == number));
        let (Some(waiting), Some(at)) = (waiting, found) else {
            let detail = format!("number {number} to {peer}");
            return Err(Complaint("a send is answered once", detail));
        };
        if is_tick && self.is_good && at > 0 {
            let detail = format!("number {number} to {peer}, of {waiting:?}");
            return Err(Complaint("ticks come in the order of the sends", detail));
        }
        let Waiting { written, settled, floors, .. } = waiting[at];
        waiting.remove(at);
        Ok(Answered { written, settled, floors })
    }

    /// A delivery begins.
    pub(crate) fn delivers(&mut self, position: u64, body_bytes: u64) -> Result<(), Complaint> {
        let is_next = match self.next {
            Some(next) => position == next,
            None => position <= self.hello_cursor.saturating_add(1),
        };
        if !is_next {
            let detail = format!(
                "position {position}, after {:?} and a cursor of {}",
                self.next, self.hello_cursor
            );
            return Err(Complaint("positions come without holes", detail));
        }
        if let Some(head) = self.is_superseded_at
            && position > head
        {
            let detail = format!("position {position}; the newer session began at {head}");
            return Err(Complaint("a replaced session gets nothing more", detail));
        }
        let is_full = self.in_flight.len() as u64 >= self.window_messages
            || (!self.in_flight.is_empty() && self.in_flight_bytes >= self.window_bytes);
        if is_full {
            let detail = format!(
                "{} messages of {} bytes are in flight; allowed are {} and {}",
                self.in_flight.len(),
                self.in_flight_bytes,
                self.window_messages,
                self.window_bytes
            );
            return Err(Complaint("the window is kept", detail));
        }
        self.next = Some(position + 1);
        self.delivered_max = self.delivered_max.max(position);
        // A client that guesses well acknowledges what is still on its way.
        if position > self.acked {
            self.in_flight.push_back((position, body_bytes));
            self.in_flight_bytes += body_bytes;
        }
        Ok(())
    }

    /// Positions hold nothing; returns the last one that was named before, if any was.
    pub(crate) fn skips(&mut self, position: u64) -> Result<Option<u64>, Complaint> {
        let before = self.next.map(|next| next - 1);
        if before.is_some_and(|before| position <= before) {
            let detail = format!("skip of {position} after {before:?}");
            return Err(Complaint("a skip says something new", detail));
        }
        self.next = Some(position + 1);
        Ok(before)
    }

    /// The position that was named last, if any was.
    pub(crate) fn frontier(&self) -> Option<u64> {
        self.next.map(|next| next - 1)
    }

    /// An acknowledgement was written; whether it covers what didn't come.
    pub(crate) fn acks(&mut self, acked: u64) -> bool {
        self.acked = self.acked.max(acked);
        acked > self.frontier().unwrap_or(0)
    }

    /// The oldest position that was delivered here and that an acknowledgement covers; it counts no
    /// more.
    pub(crate) fn settled(&mut self, acked: u64) -> Option<u64> {
        let &(oldest, bytes) = self.in_flight.front()?;
        if oldest > acked {
            return None;
        }
        self.in_flight.pop_front();
        self.in_flight_bytes -= bytes;
        self.settled = self.settled.max(oldest);
        Some(oldest)
    }
}
