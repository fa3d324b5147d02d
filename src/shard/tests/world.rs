//! A node in a test: shards, a disk in memory, the letters between the shards, and clients.
//!
//! Each thing that a test does is followed by turns until nothing is left to do, except for what the
//! test holds back: commits, loads, or the reading of a client.

use std::collections::VecDeque;

use fulmar_protocol::{Chunks, Code, Frame, Hello, Pairs, Send, VERSION};

use super::client::Client;
use super::disk::Disk;
use crate::shard::{
    Arrival, ConnId, DeviceId, Effects, Event, Identity, Letter, Load, Loaded, Now, Refusal, Shard,
    ShardConfig, Ticket, UserId, Write, home_core,
};

/// When the clocks of a test begin.
pub(super) const BEGIN: Now = Now { unix_ms: 1_800_000_000_000, mono_ms: 10_000 };

/// Handle of a client.
pub(super) type C = usize;

/// See the module's description.
pub(super) struct World {
    pub(super) config: ShardConfig,
    pub(super) cores: Vec<Core>,
    pub(super) disk: Disk,
    pub(super) clients: Vec<Client>,
    pub(super) now: Now,
    pub(super) holds_stores: bool,
    pub(super) holds_loads: bool,
}

/// One shard and what is on its way to it and from it.
pub(super) struct Core {
    pub(super) shard: Shard,
    fx: Effects,
    events: VecDeque<Happening>,
    pub(super) unstored: VecDeque<(Ticket, Vec<Write>)>,
    pub(super) loads: VecDeque<Load>,
    generations: Vec<u32>,
    free: Vec<u32>,
    /// Turns so far.
    pub(super) turns: u64,
}

/// An event that waits for its turn.
pub(super) enum Happening {
    Accepted(ConnId),
    Arrived(ConnId, Arrival),
    Received(ConnId, Vec<u8>),
    Sent(ConnId),
    Letter(Letter),
    Stored(Ticket),
    Loaded(Loaded),
    Closed(ConnId),
    Authenticated(ConnId, Result<Identity, Refusal>),
    Load(u8),
    ShutDown,
}

impl World {
    /// One core that believes every hello.
    pub(super) fn new() -> Self {
        World::with(|_| {})
    }

    /// The same with other settings.
    pub(super) fn with(settings: impl FnOnce(&mut ShardConfig)) -> Self {
        World::of_cores(1, settings)
    }

    /// Several cores.
    pub(super) fn of_cores(cores: u16, settings: impl FnOnce(&mut ShardConfig)) -> Self {
        let mut config = ShardConfig::new(0, cores);
        config.unsigned_users = true;
        settings(&mut config);
        let mut world = World {
            config,
            cores: Vec::new(),
            disk: Disk::default(),
            clients: Vec::new(),
            now: BEGIN,
            holds_stores: false,
            holds_loads: false,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        self.cores = (0..self.config.cores)
            .map(|core| {
                let config = ShardConfig { core, ..self.config.clone() };
                Core {
                    shard: self.shard_of(config),
                    fx: Effects::default(),
                    events: VecDeque::new(),
                    unstored: VecDeque::new(),
                    loads: VecDeque::new(),
                    generations: Vec::new(),
                    free: Vec::new(),
                    turns: 0,
                }
            })
            .collect();
    }

    fn shard_of(&self, config: ShardConfig) -> Shard {
        let (core, cores) = (config.core, config.cores);
        let mut shard = Shard::new(config, self.now);
        let heads = self.disk.group_heads().into_iter();
        shard.know_group_heads(heads.filter(|(it, _)| home_core(*it, cores) == core).collect());
        shard
    }

    /// The node dies and starts again: what isn't committed is gone, and every connection.
    pub(super) fn crash(&mut self) {
        for client in &mut self.clients {
            client.is_closed = true;
            client.outgoing.clear();
            client.incoming = None;
        }
        self.start();
    }

    // What clients do.

    /// A connection, accepted on core 0.
    pub(super) fn connect(&mut self) -> C {
        self.connect_to(0)
    }

    pub(super) fn connect_to(&mut self, core: usize) -> C {
        let conn = self.cores[core].new_conn();
        self.clients.push(Client::new(core, conn));
        self.cores[core].events.push_back(Happening::Accepted(conn));
        self.settle();
        self.clients.len() - 1
    }

    /// A connection that says hello. What it was told is left to the caller.
    pub(super) fn log_in_from(&mut self, user: UserId, device: DeviceId, cursor: u64) -> C {
        let c = self.connect();
        self.clients[c].user = user;
        self.clients[c].device = device;
        self.clients[c].cursor = cursor;
        self.frame(c, &hello(user, device, b"", &[(0, cursor)]));
        c
    }

    /// A device that logs in and is welcomed.
    pub(super) fn log_in(&mut self, user: UserId, device: DeviceId) -> C {
        let c = self.log_in_from(user, device, 0);
        let told = &mut self.clients[c].told;
        assert!(told.first().is_some_and(|first| first.starts_with("welcome")), "{told:?}");
        told.remove(0);
        c
    }

    pub(super) fn frame(&mut self, c: C, frame: &Frame<'_>) {
        self.frames(c, &[*frame]);
    }

    /// Several frames in one piece.
    pub(super) fn frames(&mut self, c: C, frames: &[Frame<'_>]) {
        for frame in frames {
            if let Frame::Ack { position } = frame {
                self.clients[c].acked = self.clients[c].acked.max(*position);
            }
            frame.encode(&mut self.clients[c].outgoing);
        }
        self.settle();
    }

    pub(super) fn bytes(&mut self, c: C, bytes: &[u8]) {
        self.clients[c].outgoing.extend_from_slice(bytes);
        self.settle();
    }

    pub(super) fn send(&mut self, c: C, peer: UserId, number: u64, body: &str) {
        self.frame(c, &send(peer, number, body));
    }

    /// A message that is cut into parts.
    pub(super) fn send_large(&mut self, c: C, peer: UserId, number: u64, body: &[u8]) {
        let mut pieces = Chunks::new(body);
        let first = Send {
            peer,
            number,
            content: 1,
            total_bytes: Chunks::total_bytes(body),
            body: pieces.next().unwrap_or_default(),
        };
        self.frame(c, &Frame::Send(first));
        for body in pieces {
            self.frame(c, &Frame::Part { body });
        }
    }

    pub(super) fn ack(&mut self, c: C, position: u64) {
        self.frame(c, &Frame::Ack { position });
    }

    pub(super) fn read(&mut self, c: C, peer: UserId, ordinal: u64) {
        self.frame(c, &Frame::Read { peer, ordinal });
    }

    pub(super) fn ask(&mut self, c: C, peer: UserId) {
        self.frame(c, &Frame::Ask { peer });
    }

    /// The client's connection breaks.
    pub(super) fn hang_up(&mut self, c: C) {
        let client = &mut self.clients[c];
        client.is_closed = true;
        let (core, conn) = (client.core, client.conn);
        self.cores[core].close(conn);
        self.settle();
    }

    /// The client stops reading.
    pub(super) fn stall(&mut self, c: C) {
        self.clients[c].is_stalled = true;
    }

    /// The client reads again.
    pub(super) fn unstall(&mut self, c: C) {
        self.clients[c].is_stalled = false;
        self.settle();
    }

    /// What a client was told since the last time, in words.
    pub(super) fn told(&mut self, c: C) -> Vec<String> {
        std::mem::take(&mut self.clients[c].told)
    }

    #[track_caller]
    pub(super) fn expect(&mut self, c: C, expected: &[&str]) {
        assert_eq!(self.told(c), expected);
    }

    // What the world does.

    /// Time passes, in steps in which the shard's timers run.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        while self.now.mono_ms < end {
            let step = (end - self.now.mono_ms).min(250);
            self.now.mono_ms += step;
            self.now.unix_ms += step;
            self.turn_of_each();
            self.settle();
        }
    }

    /// One turn of each core, whether something happened or not.
    pub(super) fn turn_of_each(&mut self) {
        for core in 0..self.cores.len() {
            self.turn(core);
        }
    }

    /// Commits everything, though commits are held.
    pub(super) fn store(&mut self) {
        loop {
            let mut is_idle = true;
            for core in 0..self.cores.len() {
                while self.store_one(core) {
                    is_idle = false;
                }
            }
            self.settle();
            // What was stored may lead to more.
            if is_idle {
                return;
            }
        }
    }

    /// Commits the oldest turn of a core; its shard hears of it in its next turn.
    pub(super) fn store_one(&mut self, core: usize) -> bool {
        let Some((ticket, writes)) = self.cores[core].unstored.pop_front() else { return false };
        self.disk.commit(writes);
        self.cores[core].events.push_back(Happening::Stored(ticket));
        true
    }

    /// Answers every load, though loads are held.
    pub(super) fn load(&mut self) {
        for core in 0..self.cores.len() {
            while self.load_one(core) {}
        }
        self.settle();
    }

    pub(super) fn load_one(&mut self, core: usize) -> bool {
        let Some(load) = self.cores[core].loads.pop_front() else { return false };
        let loaded = self.disk.answer(load);
        self.cores[core].events.push_back(Happening::Loaded(loaded));
        true
    }

    pub(super) fn shut_down(&mut self) {
        for core in &mut self.cores {
            core.events.push_back(Happening::ShutDown);
        }
        self.settle();
    }

    /// Turns until nothing is left to do but what is held back.
    pub(super) fn settle(&mut self) {
        loop {
            let mut is_idle = true;
            for core in 0..self.cores.len() {
                self.carry_bytes(core);
                self.release(core);
                if !self.cores[core].events.is_empty() {
                    is_idle = false;
                    self.turn(core);
                }
            }
            if is_idle {
                return;
            }
        }
    }

    fn release(&mut self, core: usize) {
        while !self.holds_stores && self.store_one(core) {}
        while !self.holds_loads && self.load_one(core) {}
    }

    /// Moves bytes between the clients and the shard's connections.
    fn carry_bytes(&mut self, core: usize) {
        for client in self.clients.iter_mut().filter(|client| client.core == core) {
            if let Some(bytes) = client.incoming.take_if(|_| !client.is_stalled) {
                client.receive(&bytes);
                self.cores[core].events.push_back(Happening::Sent(client.conn));
            }
            if !client.outgoing.is_empty() && !client.is_paused && !client.is_closed {
                let bytes = std::mem::take(&mut client.outgoing);
                self.cores[core].events.push_back(Happening::Received(client.conn, bytes));
            }
        }
    }

    /// One turn of a core with everything that waits for it.
    pub(super) fn turn(&mut self, core: usize) {
        let Core { shard, fx, events, turns, .. } = &mut self.cores[core];
        *turns += 1;
        shard.begin_turn(self.now, fx);
        for event in events.drain(..) {
            match event {
                Happening::Received(conn, bytes) => {
                    shard.on_event(Event::Received { conn, bytes: &bytes }, fx);
                }
                Happening::Accepted(conn) => shard.on_event(Event::Accepted { conn }, fx),
                Happening::Arrived(conn, arrival) => {
                    shard.on_event(Event::Arrived { conn, arrival }, fx);
                }
                Happening::Sent(conn) => shard.on_event(Event::Sent { conn }, fx),
                Happening::Letter(letter) => shard.on_event(Event::Letter(letter), fx),
                Happening::Stored(ticket) => shard.on_event(Event::Stored { ticket }, fx),
                Happening::Loaded(loaded) => shard.on_event(Event::Loaded(loaded), fx),
                Happening::Closed(conn) => shard.on_event(Event::Closed { conn }, fx),
                Happening::Authenticated(conn, result) => {
                    shard.on_event(Event::Authenticated { conn, result }, fx);
                }
                Happening::Load(busy_percent) => {
                    shard.on_event(Event::Load { busy_percent }, fx);
                }
                Happening::ShutDown => shard.on_event(Event::ShutDown, fx),
            }
        }
        shard.end_turn(fx);
        self.carry_out(core);
    }

    fn carry_out(&mut self, core: usize) {
        let mut fx = std::mem::take(&mut self.cores[core].fx);
        if !fx.writes.is_empty() {
            let writes = std::mem::take(&mut fx.writes);
            self.cores[core].unstored.push_back((fx.ticket, writes));
        }
        self.cores[core].loads.extend(fx.loads.drain(..));
        for (to, letter) in fx.letters.drain(..) {
            self.cores[usize::from(to)].events.push_back(Happening::Letter(letter));
        }
        for (conn, token) in fx.authenticate.drain(..) {
            let verdict = Happening::Authenticated(conn, verify(&token));
            self.cores[core].events.push_back(verdict);
        }
        for (conn, to, arrival) in fx.hand_over.drain(..) {
            self.hand_over(core, conn, usize::from(to), arrival);
        }
        for (conn, is_paused) in fx.pause.drain(..) {
            if let Some(client) = self.client_at(core, conn) {
                client.is_paused = is_paused;
            }
        }
        for conn in fx.flush.drain(..) {
            if let Some(bytes) = self.cores[core].shard.take_output(conn) {
                let client = self.client_at(core, conn).expect("a client");
                assert!(client.incoming.is_none(), "two writes at once");
                client.incoming = Some(bytes);
            }
        }
        for conn in fx.close.drain(..).chain(fx.abort.drain(..)) {
            if let Some(client) = self.client_at(core, conn) {
                client.is_closed = true;
            }
            self.cores[core].close(conn);
        }
        self.cores[core].fx = fx;
    }

    fn hand_over(&mut self, core: usize, conn: ConnId, to: usize, arrival: Arrival) {
        self.cores[core].free.push(conn.slot);
        let new = self.cores[to].new_conn();
        let client = self.client_at(core, conn).expect("a client");
        (client.core, client.conn) = (to, new);
        self.cores[to].events.push_back(Happening::Arrived(new, arrival));
    }

    fn client_at(&mut self, core: usize, conn: ConnId) -> Option<&mut Client> {
        self.clients
            .iter_mut()
            .find(|client| client.core == core && client.conn == conn && !client.is_closed)
    }

    /// Whether the server ended the connection of this client.
    pub(super) fn is_closed(&self, c: C) -> bool {
        self.clients[c].is_closed
    }

    /// The only core's shard.
    pub(super) fn shard(&mut self) -> &mut Shard {
        &mut self.cores[0].shard
    }

    /// Feeds an event as if it had come late.
    pub(super) fn happen(&mut self, core: usize, happening: Happening) {
        self.happen_together(core, [happening]);
    }

    /// Feeds events in one turn.
    pub(super) fn happen_together<const N: usize>(
        &mut self,
        core: usize,
        happenings: [Happening; N],
    ) {
        self.cores[core].events.extend(happenings);
        self.settle();
    }
}

impl Core {
    fn new_conn(&mut self) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        let generation = &mut self.generations[slot as usize];
        *generation += 1;
        ConnId { slot, generation: *generation }
    }

    fn close(&mut self, conn: ConnId) {
        self.events.push_back(Happening::Closed(conn));
        self.free.push(conn.slot);
    }
}

/// Tokens in these tests are "user.device", or the name of an error.
fn verify(token: &[u8]) -> Result<Identity, Refusal> {
    let text = std::str::from_utf8(token).expect("a token of this test");
    if let Some(&code) = Code::ALL.iter().find(|code| code.name() == text) {
        return Err(Refusal { code, detail: code.name() });
    }
    let (user, device) = text.split_once('.').expect("a token of this test");
    Ok(Identity { user: user.parse().expect("a user"), device: device.parse().expect("a device") })
}

/// A hello of this version.
pub(super) fn hello<'a>(
    user: u64,
    device: DeviceId,
    token: &'a [u8],
    cursors: &'a [(u64, u64)],
) -> Frame<'a> {
    Frame::Hello(Hello {
        version_min: VERSION,
        version_max: VERSION,
        capabilities: 0,
        user,
        device: u64::from(device),
        token,
        agent: "test",
        cursors: Pairs::Slice(cursors),
    })
}

/// A small message.
pub(super) fn send(peer: UserId, number: u64, body: &str) -> Frame<'_> {
    Frame::Send(Send { peer, number, content: 1, total_bytes: None, body: body.as_bytes() })
}

/// The `nth` user whose home is this core.
pub(super) fn user_on(core: u16, cores: u16, nth: usize) -> UserId {
    (1..).filter(|&user| home_core(user, cores) == core).nth(nth).expect("a user")
}
