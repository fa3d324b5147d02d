//! A node whose every outside is in the script's hands: shards, a disk, the letters between the
//! shards, verdicts on tokens, the time, and the ends of connections.
//!
//! What is not held back happens at once.

use fastrand::Rng;
use fulmar::shard::{
    Arrival, ConnId, Event, Identity, LogId, Now, Refusal, Retention, ShardConfig, Write,
    by_home_core, home_core,
};
use fulmar::storage::{SimulatedDatabase, Storage};
use fulmar_protocol::Code;

use super::core::{Core, Happening};
use super::facts::Facts;
use super::line::{Limits, Line};

/// When the clocks begin.
const BEGIN: Now = Now { unix_ms: 1_800_000_000_000, mono_ms: 10_000 };
/// Output of one connection that is never exceeded, in bytes: what is full isn't added to, but for
/// what can't wait.
const OUTPUT_BYTES_MAX: usize = 2 * fulmar::limits::OUTPUT_HIGH_BYTES;
/// Rounds in which everything comes to rest.
const ROUNDS_MAX: usize = 100_000;

/// What is held back until the script lets it happen.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub(super) struct Holds {
    pub(super) turns: bool,
    pub(super) stores: bool,
    pub(super) loads: bool,
    pub(super) letters: bool,
    pub(super) verdicts: bool,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct World {
    config: ShardConfig,
    pub(super) cores: Vec<Core>,
    disk: SimulatedDatabase,
    pub(super) facts: Facts,
    pub(super) lines: Vec<Line>,
    pub(super) now: Now,
    pub(super) holds: Holds,
    pub(super) is_stopping: bool,
}

impl World {
    pub(super) fn new(config: ShardConfig) -> Self {
        let limits = Limits {
            window_messages: u64::from(config.window_messages),
            window_bytes: config.window_bytes,
            body_bytes_max: config.body_bytes_max,
        };
        let facts = Facts::new(limits, config.retention);
        let mut world = World {
            config,
            cores: Vec::new(),
            disk: SimulatedDatabase::default(),
            facts,
            lines: Vec::new(),
            now: BEGIN,
            holds: Holds::default(),
            is_stopping: false,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let cores = self.config.cores;
        let config = |core| ShardConfig { core, ..self.config.clone() };
        self.cores = (0..cores).map(|core| Core::new(config(core), self.now)).collect();
        let heads = self.disk.group_heads().expect("nothing is to fail");
        for (core, heads) in self.cores.iter_mut().zip(by_home_core(heads, cores)) {
            core.shard.know_group_heads(heads);
        }
        self.is_stopping = false;
        self.note_time();
    }

    /// The process ends and starts again: what isn't committed is gone, and every connection.
    pub(super) fn crash(&mut self) {
        self.lines.clear();
        self.disk.crash(&mut Rng::with_seed(0));
        self.start();
    }

    /// A new connection, accepted on a core.
    pub(super) fn connect(&mut self, core: usize) -> usize {
        let conn = self.cores[core].new_conn();
        self.lines.push(Line::new(core, conn));
        self.cores[core].events.push_back(Happening::Accepted(conn));
        self.lines.len() - 1
    }

    /// The client's end of a connection goes away.
    pub(super) fn hang_up(&mut self, line: usize) {
        let Line { core, conn, is_closed, .. } = self.lines[line];
        if !is_closed {
            self.lines[line].is_closed = true;
            self.cores[core].close(conn);
        }
    }

    /// Commits the oldest turns of a core, of which its shard hears in one event.
    pub(super) fn store(&mut self, core: usize, turns: usize) -> bool {
        let mut stored = None;
        for _ in 0..turns {
            let Some((ticket, writes)) = self.cores[core].unstored.pop_front() else { break };
            self.facts.ledger.commit(&writes, &self.facts.known);
            self.disk.apply(&writes).expect("nothing is to fail");
            self.disk.flush().expect("nothing is to fail");
            stored = Some(ticket);
        }
        self.cores[core].events.extend(stored.map(Happening::Stored));
        stored.is_some()
    }

    /// Answers one load of a core.
    pub(super) fn load(&mut self, core: usize, nth: usize) -> bool {
        let loads = &mut self.cores[core].loads;
        if loads.is_empty() {
            return false;
        }
        let nth = nth % loads.len();
        let loaded = self.disk.load(loads.remove(nth)).expect("nothing is to fail");
        self.cores[core].events.push_back(Happening::Loaded(loaded));
        true
    }

    /// Delivers the oldest letter to a core.
    pub(super) fn bring_letter(&mut self, core: usize) -> bool {
        let letter = self.cores[core].letters.pop_front();
        let is_there = letter.is_some();
        self.cores[core].events.extend(letter.map(Happening::Letter));
        is_there
    }

    /// Tells what became of the oldest token, which in this world says what its hello says.
    pub(super) fn judge(&mut self, core: usize, refusal: Option<Code>) -> bool {
        let Some(conn) = self.cores[core].verdicts.pop_front() else { return false };
        let line = self.lines.iter().find(|line| line.core == core && line.conn == conn);
        if let Some(line) = line {
            let (user, device) = line.identity;
            let verdict = refusal
                .map_or(Ok(Identity { user, device }), |code| Err(Refusal { code, detail: "" }));
            self.cores[core].events.push_back(Happening::Authenticated(conn, verdict));
        }
        true
    }

    /// Storage removes an expired entry on its own.
    pub(super) fn remove_expired(&mut self, log: LogId, nth: u64) {
        let position = nth + 1;
        let expired_ms = self.expired_through_ms();
        let ledger = &self.facts.ledger;
        let entry = match log {
            LogId::Inbox(user) => ledger.entry_at(user, position),
            LogId::Group(group) => ledger.groups.entry_at(group, position),
        };
        if entry.is_some_and(|entry| entry.header.time_ms <= expired_ms) {
            self.disk
                .apply(&[Write::Trim { log, from: position, through: position }])
                .expect("nothing is to fail");
            self.disk.flush().expect("nothing is to fail");
        }
    }

    pub(super) fn shut_down(&mut self) {
        self.is_stopping = true;
        for core in &mut self.cores {
            core.events.push_back(Happening::ShutDown);
        }
    }

    /// Time passes, in steps in which timers run.
    pub(super) fn pass(&mut self, ms: u64, step_ms: u64) {
        let end = self.now.mono_ms + ms;
        while self.now.mono_ms < end {
            let step = (end - self.now.mono_ms).min(step_ms);
            self.now.mono_ms += step;
            self.now.unix_ms += step;
            self.note_time();
            for core in 0..self.cores.len() {
                self.turn(core);
            }
            self.settle();
        }
    }

    /// The wall clock jumps.
    pub(super) fn jump(&mut self, unix_ms: u64) {
        self.now.unix_ms = unix_ms;
        self.note_time();
    }

    fn expired_through_ms(&self) -> u64 {
        match self.config.retention {
            Retention::Temporary => self.now.unix_ms.saturating_sub(self.config.expiry_ms),
            Retention::History => 0,
        }
    }

    fn note_time(&mut self) {
        let expired_ms = self.expired_through_ms();
        let known = &mut self.facts.known;
        known.expired_through_ms = known.expired_through_ms.max(expired_ms);
        known.latest_ms = known.latest_ms.max(self.now.unix_ms);
    }

    /// Turns until nothing is left to do but what is held back.
    pub(super) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut is_idle = true;
            for core in 0..self.cores.len() {
                self.carry_bytes(core);
                self.release(core);
                if !self.cores[core].events.is_empty() && !self.holds.turns {
                    is_idle = false;
                    self.turn(core);
                }
            }
            if is_idle {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn release(&mut self, core: usize) {
        while !self.holds.stores && self.store(core, 1) {}
        while !self.holds.loads && self.load(core, 0) {}
        while !self.holds.letters && self.bring_letter(core) {}
        while !self.holds.verdicts && self.judge(core, None) {}
    }

    /// Moves bytes between the clients and the shard's connections.
    fn carry_bytes(&mut self, core: usize) {
        for line in self.lines.iter_mut().filter(|line| line.core == core && !line.is_closed) {
            if line.is_writing && !line.is_stalled {
                line.is_writing = false;
                self.cores[core].events.push_back(Happening::Sent(line.conn));
            }
            if !line.outgoing.is_empty() && !line.is_paused {
                let bytes = std::mem::take(&mut line.outgoing);
                line.say(&bytes, &mut self.facts);
                self.cores[core].events.push_back(Happening::Received(line.conn, bytes));
            }
        }
    }

    /// One turn of a core with everything that waits for it.
    fn turn(&mut self, core: usize) {
        let Core { shard, fx, events, .. } = &mut self.cores[core];
        shard.begin_turn(self.now, fx);
        for event in events.drain(..) {
            let bytes;
            let event = match event {
                Happening::Received(conn, received) => {
                    bytes = received;
                    Event::Received { conn, bytes: &bytes }
                }
                Happening::Accepted(conn) => Event::Accepted { conn },
                Happening::Arrived(conn, arrival) => Event::Arrived { conn, arrival },
                Happening::Sent(conn) => Event::Sent { conn },
                Happening::Letter(letter) => Event::Letter(letter),
                Happening::Stored(ticket) => Event::Stored { ticket },
                Happening::Loaded(loaded) => Event::Loaded(loaded),
                Happening::Closed(conn) => Event::Closed { conn },
                Happening::Authenticated(conn, result) => Event::Authenticated { conn, result },
                Happening::ShutDown => Event::ShutDown,
            };
            shard.on_event(event, fx);
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
        self.cores[core].loads.append(&mut fx.loads);
        for (to, letter) in fx.letters.drain(..) {
            assert_ne!(usize::from(to), core, "no letter to oneself leaves the shard");
            self.cores[usize::from(to)].letters.push_back(letter);
        }
        self.cores[core].verdicts.extend(fx.authenticate.drain(..).map(|(conn, _)| conn));
        for (conn, to, arrival) in fx.hand_over.drain(..) {
            self.hand_over(core, conn, usize::from(to), arrival);
        }
        for (conn, is_paused) in fx.pause.drain(..) {
            if let Some(line) = self.line_at(core, conn) {
                line.is_paused = is_paused;
            }
        }
        for conn in fx.flush.drain(..) {
            self.flush(core, conn);
        }
        for conn in fx.close.drain(..).chain(fx.abort.drain(..)) {
            if let Some(line) = self.line_at(core, conn) {
                line.is_closed = true;
                self.cores[core].close(conn);
            }
        }
        self.cores[core].fx = fx;
    }

    fn flush(&mut self, core: usize, conn: ConnId) {
        let Some(bytes) = self.cores[core].shard.take_output(conn) else { return };
        assert!(bytes.len() <= OUTPUT_BYTES_MAX, "{} bytes of output", bytes.len());
        let same = |line: &&mut Line| line.core == core && line.conn == conn && !line.is_closed;
        // The socket of one that hung up takes nothing.
        if let Some(line) = self.lines.iter_mut().find(same) {
            assert!(!line.is_writing, "two writes at once");
            line.is_writing = true;
            line.tell(&bytes, &mut self.facts);
        }
        self.cores[core].shard.recycle(bytes);
    }

    fn hand_over(&mut self, core: usize, conn: ConnId, to: usize, arrival: Arrival) {
        assert_eq!(usize::from(home_core(arrival.identity.user, self.config.cores)), to);
        // One that hung up meanwhile doesn't arrive.
        if self.line_at(core, conn).is_none() {
            return;
        }
        let new = self.cores[to].new_conn();
        if let Some(line) = self.line_at(core, conn) {
            (line.core, line.conn) = (to, new);
        }
        self.cores[core].free.push(conn.slot);
        self.cores[to].events.push_back(Happening::Arrived(new, arrival));
    }

    fn line_at(&mut self, core: usize, conn: ConnId) -> Option<&mut Line> {
        let same = |line: &&mut Line| line.core == core && line.conn == conn && !line.is_closed;
        self.lines.iter_mut().find(same)
    }

    /// Whether every shard has nothing left to store and no connection.
    pub(super) fn is_drained(&self) -> bool {
        self.cores.iter().all(|core| core.shard.is_drained())
    }
}
