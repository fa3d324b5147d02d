//! A node of one core in which everything happens at once: stores and loads are done before the next
//! turn, whatever is written is read, and a connection that is to be closed is closed.

use std::collections::BTreeMap;

use fulmar::shard::{ConnId, DeviceId, Effects, Event, Now, Refusal, Shard, ShardConfig, UserId};
use fulmar::storage::{SimulatedDatabase, Storage};
use fulmar_protocol::{Code, Frame, Hello, Pairs, VERSION};

/// When the clocks begin.
const BEGIN: Now = Now { unix_ms: 1_800_000_000_000, mono_ms: 1_000 };
/// What a node that has just begun takes for expired, in Unix milliseconds.
pub(crate) const EXPIRED_THROUGH_MS: u64 = BEGIN.unix_ms - ShardConfig::new(0, 1).expiry_ms;
/// Turns in which everything comes to rest.
const TURNS_MAX: usize = 10_000;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shard: Shard,
    fx: Effects,
    disk: SimulatedDatabase,
    now: Now,
    /// What each connection was told, and whether it is closed.
    pub(crate) told: BTreeMap<ConnId, Vec<u8>>,
    pub(crate) closed: Vec<ConnId>,
}

impl Node {
    /// A node on this disk that believes every hello.
    pub(crate) fn new(disk: SimulatedDatabase) -> Self {
        let config = ShardConfig { unsigned_users: true, ..ShardConfig::new(0, 1) };
        let (told, closed) = (BTreeMap::new(), Vec::new());
        let mut shard = Shard::new(config, BEGIN);
        shard.know_group_heads(disk.group_heads().expect("nothing is to fail"));
        Node { shard, fx: Effects::default(), disk, now: BEGIN, told, closed }
    }

    /// A connection that says hello.
    pub(crate) fn log_in(&mut self, slot: u32, user: UserId, device: DeviceId) -> ConnId {
        let conn = ConnId { slot, generation: 1 };
        self.turn(vec![Event::Accepted { conn }]);
        let mut bytes = Vec::new();
        let hello = Hello {
            version_min: VERSION,
            version_max: VERSION,
            capabilities: 0,
            user,
            device: u64::from(device),
            token: b"",
            agent: "fuzz",
            cursors: Pairs::Slice(&[]),
        };
        Frame::Hello(hello).encode(&mut bytes);
        self.turn(vec![Event::Received { conn, bytes: &bytes }]);
        conn
    }

    /// Frames from a client, in one piece.
    pub(crate) fn frames(&mut self, conn: ConnId, frames: &[Frame<'_>]) {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        self.turn(vec![Event::Received { conn, bytes: &bytes }]);
    }

    /// Time passes, with a turn at its end.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += ms;
        self.turn(Vec::new());
    }

    /// A turn with these events, then more until nothing is left to do.
    pub(crate) fn turn(&mut self, events: Vec<Event<'_>>) {
        let mut events = events;
        for _ in 0..TURNS_MAX {
            self.shard.begin_turn(self.now, &mut self.fx);
            for event in events.drain(..) {
                self.shard.on_event(event, &mut self.fx);
            }
            self.shard.end_turn(&mut self.fx);
            self.carry_out(&mut events);
            if events.is_empty() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn carry_out(&mut self, events: &mut Vec<Event<'_>>) {
        let Node { shard, fx, disk, told, closed, .. } = self;
        if !fx.writes.is_empty() {
            disk.apply(&fx.writes).expect("nothing is to fail");
            fx.writes.clear();
            events.push(Event::Stored { ticket: fx.ticket });
        }
        for load in fx.loads.drain(..) {
            let loaded = disk.load(load).expect("nothing is to fail");
            events.push(Event::Loaded(loaded));
        }
        for (conn, _) in fx.authenticate.drain(..) {
            let refusal = Refusal { code: Code::TokenInvalid, detail: "" };
            events.push(Event::Authenticated { conn, result: Err(refusal) });
        }
        fx.pause.clear();
        for conn in fx.flush.drain(..) {
            if let Some(bytes) = shard.take_output(conn) {
                told.entry(conn).or_default().extend_from_slice(&bytes);
                events.push(Event::Sent { conn });
            }
        }
        for conn in fx.close.drain(..).chain(fx.abort.drain(..)) {
            if !closed.contains(&conn) {
                closed.push(conn);
                events.push(Event::Closed { conn });
            }
        }
    }
}
