//! The network: connections of two directions each, in which bytes take their time, arrive in pieces,
//! wait in buffers that fill up, and get lost when a connection breaks.
//!
//! ```text
//! writer ──► unsent ──(room)──► in flight ──Arrive──► arrived ──read──► reader
//!                               ╰────────── capacity ─────────╯
//! ```
//!
//! It knows bytes and ends of streams; what they mean, and who reads when, is the world's matter.

use std::collections::BTreeSet;

use fulmar::uring::SocketKey;

use crate::clock::{MS, Time};
use crate::dice::Dice;
use crate::schedule::{Event, Schedule};

/// A connection, numbered in the order of the attempts.
pub(crate) type ConnNo = u32;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    /// A device, by its index.
    Device(u32),
    /// A misbehaving client, by its index.
    Rogue(u32),
    /// The network, which made a second connection of one that a device dialed.
    Echo(u32),
}

/// Where the server's end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerEnd {
    /// Nowhere yet, or accepted and not yet on a core.
    Arriving,
    /// On a core's table of sockets.
    Owned { core: u16, key: SocketKey },
    /// Being handed to another core.
    Moving,
    /// Closed, or never opened.
    Gone,
}

/// Where the client's end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientEnd {
    /// It waits to hear whether it is open.
    Dialing,
    Open,
    Closed,
}

/// How far the end of a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fin {
    /// It goes on.
    No,
    /// The writer closed it; it follows what is unsent.
    Wanted,
    /// On its way.
    Sent,
    /// The reader can see it behind the last byte.
    Arrived,
}

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    bytes: Vec<u8>,
    /// Bytes at the front of `bytes` that were read.
    read: usize,
    /// Bytes behind them that can be read; the rest is in flight.
    arrived: usize,
    /// Most bytes in flight and unread together.
    capacity: usize,
    /// What the writer wrote and the pipe had no room for.
    unsent: Vec<u8>,
    unsent_at: usize,
    /// The writer waits to be told that everything was taken.
    is_writing: bool,
    /// When the last byte that was sent arrives.
    arrives: Time,
    pub(crate) fin: Fin,
    /// Nothing enters any more.
    is_broken: bool,
}

/// A connection.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub(crate) struct Connection {
    pub(crate) party: Party,
    up: Pipe,
    down: Pipe,
    pub(crate) server: ServerEnd,
    pub(crate) client: ClientEnd,
    /// The core wants what comes.
    pub(crate) is_receiving: bool,
    /// The core closes it: what comes is thrown away.
    pub(crate) is_closing: bool,
    /// To be taken off its core once its send is through.
    pub(crate) is_detaching: bool,
    /// Nothing arrives at either side any more, and nobody is told.
    pub(crate) has_vanished: bool,
    /// The client doesn't read before this time.
    pub(crate) stalled_until: Time,
    latency: Time,
}

/// Bytes that fit a direction at least, once nothing breaks any more.
const CALM_CAPACITY: u64 = 16 * 1024;

/// How the connections of a world are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    /// One-way time, at most.
    pub(crate) latency_max: Time,
    /// Bytes that fit a direction, at least and at most.
    pub(crate) capacity: (u64, u64),
    /// One in so many arrivals is late by up to a second.
    pub(crate) late_once_in: u64,
    /// One in so many reads gets only a part.
    pub(crate) split_once_in: u64,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Network {
    connections: Vec<Connection>,
    /// Those that somebody has open.
    open: BTreeSet<ConnNo>,
    quality: Quality,
    dice: Dice,
}

impl Network {
    pub(crate) fn new(quality: Quality, dice: Dice) -> Self {
        Network { connections: Vec::new(), open: BTreeSet::new(), quality, dice }
    }

    /// No more trouble from here on. Lines that let only a few kilobytes a second through would take longer
    /// for what gathered than everything may take to come to rest.
    pub(crate) fn calm_down(&mut self) {
        self.quality.late_once_in = 0;
        let (least, most) = self.quality.capacity;
        self.quality.capacity = (least.max(CALM_CAPACITY), most.max(CALM_CAPACITY));
        for connection in &mut self.connections {
            for pipe in [&mut connection.up, &mut connection.down] {
                pipe.capacity = pipe.capacity.max(CALM_CAPACITY as usize);
            }
        }
    }

    /// A client begins to connect.
    pub(crate) fn dial(&mut self, party: Party, schedule: &mut Schedule) -> ConnNo {
        let conn = self.connections.len() as ConnNo;
        let latency = self.dice.magnitude(20..=self.quality.latency_max);
        let (least, most) = self.quality.capacity;
        let mut pipe = || Pipe {
            bytes: Vec::new(),
            read: 0,
            arrived: 0,
            capacity: self.dice.magnitude(least..=most) as usize,
            unsent: Vec::new(),
            unsent_at: 0,
            is_writing: false,
            arrives: 0,
            fin: Fin::No,
            is_broken: false,
        };
        let (up, down) = (pipe(), pipe());
        self.connections.push(Connection {
            party,
            up,
            down,
            server: ServerEnd::Arriving,
            client: ClientEnd::Dialing,
            is_receiving: false,
            is_closing: false,
            is_detaching: false,
            has_vanished: false,
            stalled_until: 0,
            latency,
        });
        self.open.insert(conn);
        schedule.after(latency, Event::Dial { conn });
        conn
    }

    pub(crate) fn get(&mut self, conn: ConnNo) -> &mut Connection {
        &mut self.connections[conn as usize]
    }

    /// Connections that somebody has open, in the order of their numbers.
    pub(crate) fn open(&self) -> impl Iterator<Item = ConnNo> + '_ {
        self.open.iter().copied()
    }

    /// One of the open connections.
    pub(crate) fn any_open(&mut self, dice: &mut Dice) -> Option<ConnNo> {
        let nth = dice.index(self.open.len().max(1));
        self.open.iter().nth(nth).copied()
    }

    /// Writes bytes into a direction. One write is under way at a time, and its end is told by
    /// [`Event::Written`].
    pub(crate) fn write(
        &mut self,
        conn: ConnNo,
        way: Way,
        bytes: Vec<u8>,
        schedule: &mut Schedule,
    ) {
        let pipe = self.pipe(conn, way);
        pipe.is_writing = true;
        if pipe.unsent_at == pipe.unsent.len() {
            (pipe.unsent, pipe.unsent_at) = (bytes, 0);
        } else {
            // A client's last words come on top of what it had begun to write.
            pipe.unsent.extend_from_slice(&bytes);
        }
        self.push_on(conn, way, schedule);
    }

    /// Ends a direction behind what was written.
    pub(crate) fn end(&mut self, conn: ConnNo, way: Way, schedule: &mut Schedule) {
        let pipe = self.pipe(conn, way);
        if pipe.fin == Fin::No {
            pipe.fin = Fin::Wanted;
        }
        self.push_on(conn, way, schedule);
    }

    /// Moves what is unsent into the pipe as far as there is room.
    fn push_on(&mut self, conn: ConnNo, way: Way, schedule: &mut Schedule) {
        let (late_once_in, latency) =
            (self.quality.late_once_in, self.connections[conn as usize].latency);
        let mut pause = latency + self.dice.below(latency / 4 + 50);
        if self.dice.once_in(late_once_in) {
            pause += self.dice.between(10 * MS..=1_000 * MS);
        }
        let arrives = schedule.now() + pause;
        let pipe = self.pipe(conn, way);
        if pipe.is_broken {
            return;
        }
        let room = pipe.capacity.saturating_sub(pipe.bytes.len() - pipe.read);
        let count = room.min(pipe.unsent.len() - pipe.unsent_at);
        pipe.arrives = pipe.arrives.max(arrives);
        let arrives = pipe.arrives;
        if count > 0 {
            let piece = &pipe.unsent[pipe.unsent_at..pipe.unsent_at + count];
            pipe.bytes.extend_from_slice(piece);
            pipe.unsent_at += count;
            schedule.at(arrives, Event::Arrive { conn, way, bytes: count as u32 });
        }
        if pipe.unsent_at < pipe.unsent.len() {
            return;
        }
        if pipe.is_writing {
            pipe.is_writing = false;
            schedule.after(1, Event::Written { conn, way });
        }
        if pipe.fin == Fin::Wanted {
            pipe.fin = Fin::Sent;
            schedule.at(arrives, Event::Fin { conn, way });
        }
    }

    /// The buffer of the write that is through, for reuse; nothing if another one follows it already.
    pub(crate) fn take_written(&mut self, conn: ConnNo, way: Way) -> Option<Vec<u8>> {
        let pipe = self.pipe(conn, way);
        if pipe.is_writing {
            return None;
        }
        pipe.unsent_at = 0;
        Some(std::mem::take(&mut pipe.unsent))
    }

    /// Whether a write of this direction had no room for all of its bytes.
    pub(crate) fn has_unsent(&mut self, conn: ConnNo, way: Way) -> bool {
        let pipe = self.pipe(conn, way);
        pipe.unsent_at < pipe.unsent.len()
    }

    /// Whether a write of this direction is under way, or through and not yet told.
    pub(crate) fn is_writing(&mut self, conn: ConnNo, way: Way) -> bool {
        let pipe = self.pipe(conn, way);
        pipe.is_writing || !pipe.unsent.is_empty()
    }

    /// Whether the end of a direction is behind what was read of it.
    pub(crate) fn is_at_end(&mut self, conn: ConnNo, way: Way) -> bool {
        let pipe = self.pipe(conn, way);
        pipe.fin == Fin::Arrived && pipe.arrived == 0
    }

    /// The end of a direction arrives.
    pub(crate) fn fin_arrives(&mut self, conn: ConnNo, way: Way) {
        self.pipe(conn, way).fin = Fin::Arrived;
    }

    /// Bytes arrive.
    pub(crate) fn arrive(&mut self, conn: ConnNo, way: Way, bytes: usize) {
        let pipe = self.pipe(conn, way);
        // What a break cut off doesn't arrive.
        pipe.arrived = (pipe.arrived + bytes).min(pipe.bytes.len() - pipe.read);
    }

    /// What can be read of a direction now: all that arrived, or a part of it.
    pub(crate) fn readable(&mut self, conn: ConnNo, way: Way) -> &[u8] {
        let split_once_in = self.quality.split_once_in;
        let is_split = self.dice.once_in(split_once_in);
        let cut = self.dice.number();
        let pipe = self.pipe(conn, way);
        let mut count = pipe.arrived;
        if is_split && count > 1 {
            count = 1 + (cut % (count as u64 - 1)) as usize;
        }
        &pipe.bytes[pipe.read..pipe.read + count]
    }

    /// The reader took this many bytes; whether more had arrived.
    pub(crate) fn consume(
        &mut self,
        conn: ConnNo,
        way: Way,
        count: usize,
        schedule: &mut Schedule,
    ) -> bool {
        let pipe = self.pipe(conn, way);
        pipe.read += count;
        pipe.arrived -= count;
        if pipe.read == pipe.bytes.len() {
            pipe.bytes.clear();
            pipe.read = 0;
        } else if pipe.read > 64 * 1024 {
            pipe.bytes.drain(..pipe.read);
            pipe.read = 0;
        }
        let has_more = pipe.arrived > 0;
        let unsent = pipe.unsent.len() - pipe.unsent_at;
        let room = pipe.capacity.saturating_sub(pipe.bytes.len() - pipe.read);
        // A little room isn't told to the writer: it would be filled with tiny pieces for ever.
        if unsent > 0 && room >= unsent.min(pipe.capacity / 2) {
            self.push_on(conn, way, schedule);
        }
        has_more
    }

    /// Bytes that arrived and weren't read.
    pub(crate) fn arrived(&mut self, conn: ConnNo, way: Way) -> usize {
        self.pipe(conn, way).arrived
    }

    /// Throws away what is in a direction, and takes nothing more.
    pub(crate) fn discard(&mut self, conn: ConnNo, way: Way) {
        let pipe = self.pipe(conn, way);
        pipe.is_broken = true;
        (pipe.bytes, pipe.unsent) = (Vec::new(), Vec::new());
        (pipe.read, pipe.arrived, pipe.unsent_at) = (0, 0, 0);
    }

    /// Cuts off what is in flight in a direction, but for its first bytes, and takes nothing more.
    /// Returns whether that cut it inside of what was written.
    pub(crate) fn cut(&mut self, conn: ConnNo, way: Way) -> bool {
        let share = self.dice.below(101);
        let pipe = self.pipe(conn, way);
        let in_flight = pipe.bytes.len() - pipe.read - pipe.arrived;
        let kept = in_flight * share as usize / 100;
        let is_cut = kept < in_flight || pipe.unsent_at < pipe.unsent.len();
        pipe.bytes.truncate(pipe.read + pipe.arrived + kept);
        pipe.is_broken = true;
        pipe.unsent = Vec::new();
        pipe.unsent_at = 0;
        is_cut
    }

    /// Nobody has the connection open any more.
    pub(crate) fn forget_if_over(&mut self, conn: ConnNo) {
        let connection = &self.connections[conn as usize];
        if connection.client == ClientEnd::Closed && connection.server == ServerEnd::Gone {
            self.open.remove(&conn);
            self.discard(conn, Way::Up);
            self.discard(conn, Way::Down);
        }
    }

    pub(crate) fn pipe(&mut self, conn: ConnNo, way: Way) -> &mut Pipe {
        let connection = &mut self.connections[conn as usize];
        match way {
            Way::Up => &mut connection.up,
            Way::Down => &mut connection.down,
        }
    }

    /// The time that something takes to cross a connection.
    pub(crate) fn crossing(&mut self, conn: ConnNo) -> Time {
        let latency = self.connections[conn as usize].latency;
        latency + self.dice.below(latency / 4 + 50)
    }
}
