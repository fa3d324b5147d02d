//! Pairs of people of which one writes to the other, on a shard without sockets and storage: what
//! the benchmark and the test of the message path measure.
//!
//! Once everybody is welcomed and warmed up, nothing in here allocates, so that what is counted is
//! the shard's.

use fulmar::shard::{
    ConnId, Effects, Event, Load, Loaded, Now, Shard, ShardConfig, Ticket, UserId, Write,
};
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Frames, Hello, Pairs as LogPairs, Send, VERSION};

/// Messages of a pair that are on their way at once.
const IN_FLIGHT: u64 = 16;
/// Bytes of a body: a line of text.
const BODY: [u8; 100] = [b'x'; 100];
/// Pairs that write in the same turn.
const GROUP: usize = 50;
/// Time between two turns, in milliseconds.
const TURN_MS: u64 = 1;

/// See the module's description.
pub(crate) struct Pairs {
    shard: Shard,
    fx: Effects,
    now: Now,
    /// Writes that storage has and didn't confirm.
    storing: Vec<Write>,
    ticket: Option<Ticket>,
    /// By the slot of their connection; those with an even one write to the one after them.
    people: Vec<Person>,
    /// Those who have something to send, by slot.
    ready: Vec<u32>,
    /// Connections whose output was written.
    written: Vec<ConnId>,
}

/// One device, and what it was told.
struct Person {
    outgoing: Vec<u8>,
    is_welcome: bool,
    /// The last number that it used.
    number: u64,
    /// The last ordinal that was ticked.
    ticked: u64,
    /// The last ordinal that a receipt named.
    delivered: u64,
    /// The last position that was delivered to it.
    position: u64,
    /// The last position that it acknowledged.
    acked: u64,
}

impl Pairs {
    /// So many pairs, everybody logged in.
    pub(crate) fn new(pairs: usize) -> Self {
        let now = Now { unix_ms: 1_800_000_000_000, mono_ms: 1_000 };
        let mut config = ShardConfig::new(0, 1);
        config.unsigned_users = true;
        let person = || Person {
            outgoing: Vec::with_capacity(IN_FLIGHT as usize * (BODY.len() + 32)),
            is_welcome: false,
            number: 0,
            ticked: 0,
            delivered: 0,
            position: 0,
            acked: 0,
        };
        let mut world = Pairs {
            shard: Shard::new(config, now),
            fx: Effects::default(),
            now,
            storing: Vec::new(),
            ticket: None,
            people: (0..2 * pairs).map(|_| person()).collect(),
            ready: Vec::new(),
            written: Vec::new(),
        };
        world.log_in();
        world
    }

    fn log_in(&mut self) {
        for slot in 0..self.people.len() as u32 {
            self.shard.on_event(Event::Accepted { conn: conn(slot) }, &mut self.fx);
            let hello = Frame::Hello(Hello {
                version_min: VERSION,
                version_max: VERSION,
                capabilities: 0,
                user: user(slot),
                device: 1,
                token: b"",
                agent: "pairs",
                cursors: LogPairs::Slice(&[]),
            });
            hello.encode(&mut self.people[slot as usize].outgoing);
            self.ready.push(slot);
        }
        self.run();
        assert!(self.people.iter().all(|person| person.is_welcome), "somebody isn't welcome");
    }

    /// Each pair sends `IN_FLIGHT` messages, each is delivered and acknowledged, and the writer is
    /// told both. Returns the number of messages.
    pub(crate) fn round(&mut self) -> u64 {
        let pairs = self.people.len() / 2;
        for first in (0..pairs).step_by(GROUP) {
            for pair in first..pairs.min(first + GROUP) {
                self.write(2 * pair as u32);
            }
            self.run();
        }
        for pair in self.people.chunks_exact(2) {
            let sent = pair[0].number;
            let told = [pair[0].ticked, pair[0].delivered, pair[1].position];
            assert!(told == [sent; 3], "ticked, delivered, position {told:?} of {sent}");
        }
        pairs as u64 * IN_FLIGHT
    }

    fn write(&mut self, slot: u32) {
        let person = &mut self.people[slot as usize];
        for _ in 0..IN_FLIGHT {
            person.number += 1;
            let send = Send {
                peer: user(slot + 1),
                number: person.number,
                content: 1,
                total_bytes: None,
                body: &BODY,
            };
            Frame::Send(send).encode(&mut person.outgoing);
        }
        self.ready.push(slot);
    }

    /// Turns until nobody has anything to say.
    fn run(&mut self) {
        while self.ticket.is_some() || !self.ready.is_empty() || !self.written.is_empty() {
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.now.mono_ms += TURN_MS;
        self.now.unix_ms += TURN_MS;
        let fx = &mut self.fx;
        self.shard.begin_turn(self.now, fx);
        if let Some(ticket) = self.ticket.take() {
            self.storing.clear();
            self.shard.on_event(Event::Stored { ticket }, fx);
        }
        for conn in self.written.drain(..) {
            self.shard.on_event(Event::Sent { conn }, fx);
        }
        for slot in self.ready.drain(..) {
            let bytes = &mut self.people[slot as usize].outgoing;
            self.shard.on_event(Event::Received { conn: conn(slot), bytes }, fx);
            bytes.clear();
        }
        // Everybody is new here, so storage knows nothing of them.
        while let Some(load) = fx.loads.pop() {
            self.shard.on_event(Event::Loaded(nothing(load)), fx);
        }
        self.shard.end_turn(fx);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let fx = &mut self.fx;
        assert!(fx.close.is_empty() && fx.abort.is_empty() && fx.pause.is_empty());
        if !fx.writes.is_empty() {
            std::mem::swap(&mut self.storing, &mut fx.writes);
            self.ticket = Some(fx.ticket);
        }
        for conn in fx.flush.drain(..) {
            let Some(output) = self.shard.take_output(conn) else { continue };
            self.written.push(conn);
            let person = &mut self.people[conn.slot as usize];
            for frame in Frames::new(&output, FRAME_BYTES_MAX) {
                let frame = Frame::decode(frame.expect("a length")).expect("a frame");
                person.take(&frame);
            }
            if person.acknowledge() {
                self.ready.push(conn.slot);
            }
            self.shard.recycle(output);
        }
    }
}

impl Person {
    /// Notes what it is told.
    fn take(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Welcome(_) => self.is_welcome = true,
            Frame::Sent { ordinal, .. } => self.ticked = *ordinal,
            Frame::Receipt { delivered, .. } => self.delivered = *delivered,
            Frame::Deliver(deliver) => self.position = deliver.position,
            frame => panic!("nobody expects {frame:?}"),
        }
    }

    /// Acknowledges what came, if anything did.
    fn acknowledge(&mut self) -> bool {
        let is_news = self.position > self.acked;
        if is_news {
            self.acked = self.position;
            Frame::Ack { position: self.position }.encode(&mut self.outgoing);
        }
        is_news
    }
}

fn user(slot: u32) -> UserId {
    UserId::from(slot) + 1
}

fn conn(slot: u32) -> ConnId {
    ConnId { slot, generation: 1 }
}

/// The answer of a storage that holds nothing.
fn nothing(load: Load) -> Loaded {
    match load {
        Load::Log { log, .. } => {
            Loaded::Log { log, record: None, last: None, first: None, head: 0 }
        }
        Load::Conversation { log, peer } => Loaded::Conversation { log, peer, record: None },
        Load::Presence { user } => Loaded::Presence { user, record: None },
        Load::Book { user } => Loaded::Book { user, record: None },
        Load::Name { hash } => Loaded::Name { hash, record: None },
        Load::Entries { .. } | Load::Page { .. } | Load::Entry { .. } => {
            panic!("everything is delivered from memory")
        }
    }
}
