//! The driver of one core: turns completions and letters into the shard's events, and the shard's
//! effects into submissions, letters, writes and questions.
//!
//! One turn: wait for something to happen, take the time, feed everything that is there, end the
//! shard's turn, carry out its effects. All of a turn's output is submitted by the wait of the next
//! one, with one system call.
//!
//! It never waits for another thread. What doesn't fit a ring stays here, in order, and while too
//! much stays the sockets are not read.

mod effects;
mod load;
mod mail;
mod publish;
mod run;
mod sockets;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fulmar_protocol::limits::HELLO_BYTES_MAX;
use fulmar_protocol::{Code, Frame};
use tracing::{debug, warn};

use crate::limits::{CLOSE_GRACE_MS, OVERLOAD_RETRY_MS, STOP_MS};
use crate::mesh::Doorbell;
use crate::shard::{Arrival, ConnId, CoreId, Effects, Event, Now, Shard};
use crate::uring::{Completion, Ring, SocketKey};

pub use mail::{Answers, Batch, Job, Mail, Parcel, Reply, Stored};
pub use sockets::Sockets;

/// Letters and answers taken in one turn from each lane, so that sockets get their turn too.
pub const MAIL_PER_TURN: usize = 1_024;

/// What a core is made of, besides its sockets.
pub struct CoreParts<S> {
    /// Number of this core.
    pub core: CoreId,
    /// Its state machine.
    pub shard: Shard,
    /// Its lanes to and from the other threads.
    pub mail: Mail<S>,
    /// What others wake it with.
    pub doorbell: Arc<Doorbell>,
    /// Set when the node is to stop; the doorbell is rung afterwards.
    pub stop: Arc<AtomicBool>,
}

impl<S> CoreParts<S> {
    /// Whether there is anything that the doorbell is rung for.
    fn is_work_there(&self, is_stop_noted: bool) -> bool {
        !self.mail.is_empty() || (!is_stop_noted && self.stop.load(Ordering::Acquire))
    }
}

/// See the module's description.
pub struct CoreLoop<S: Sockets> {
    parts: CoreParts<S::Socket>,
    sockets: S,
    fx: Effects,
    /// Connections on their way to their home core, and what they sent too early.
    moving: HashMap<SocketKey, Moving>,
    /// Those of them that are still to be taken off the sockets, in this turn.
    leaving: Vec<SocketKey>,
    /// Connections that the shard paused.
    paused: HashSet<SocketKey>,
    /// Connections that are not read because too much waits for other threads.
    gated: Vec<SocketKey>,
    /// Accepted in this turn.
    accepted: Vec<S::Socket>,
    /// Detached in this turn.
    detached: Vec<(SocketKey, S::Socket)>,
    /// Logins for which too many others wait, to be refused in the next turn.
    turned_down: Vec<ConnId>,
    /// Connections that were refused because the core holds as many as it may, since the start.
    turned_away: u64,
    /// Closing connections, in the order of their deadlines on the monotonic clock.
    closing: VecDeque<(u64, SocketKey)>,
    /// When the core was told to stop, in milliseconds on the monotonic clock.
    stopping_since_ms: Option<u64>,
    /// How busy the thread was, to be told in the next turn, in percent.
    load: Option<u8>,
}

/// A connection on its way to another core.
struct Moving {
    core: CoreId,
    arrival: Arrival,
    early: Vec<u8>,
}

/// How long a core may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Not at all: something came in.
    No,
    /// A moment, since another thread is behind and doesn't say when it has room.
    Short,
    /// Until this time on the monotonic clock, or until the doorbell rings or a socket has something.
    Until {
        /// In milliseconds.
        mono_ms: u64,
    },
}

impl CoreLoop<Ring> {
    /// A core on a ring, with its listener. Called on the thread that will run it.
    pub fn listening(
        parts: CoreParts<OwnedFd>,
        mut ring: Ring,
        listener: OwnedFd,
    ) -> Result<Self, std::io::Error> {
        ring.watch(parts.doorbell.descriptor()?);
        ring.listen(listener);
        Ok(CoreLoop::new(parts, ring))
    }
}

impl<S: Sockets> CoreLoop<S> {
    /// Puts the parts together.
    pub fn new(parts: CoreParts<S::Socket>, sockets: S) -> Self {
        CoreLoop {
            parts,
            sockets,
            fx: Effects::default(),
            moving: HashMap::new(),
            leaving: Vec::new(),
            paused: HashSet::new(),
            gated: Vec::new(),
            accepted: Vec::new(),
            detached: Vec::new(),
            turned_down: Vec::new(),
            turned_away: 0,
            closing: VecDeque::new(),
            stopping_since_ms: None,
            load: None,
        }
    }

    /// One turn: takes everything that is there, and carries out what follows from it.
    pub fn turn(&mut self, now: Now) {
        self.parts.shard.begin_turn(now, &mut self.fx);
        self.note_load();
        self.note_stop(now);
        self.take_completions();
        self.take_mail();
        self.parts.shard.end_turn(&mut self.fx);
        self.carry_out(now);
        self.abort_overdue(now);
        self.open_gate();
    }

    /// Tells the shard, in the next turn, how much of its time the core was busy lately.
    pub const fn set_load(&mut self, busy_percent: u8) {
        self.load = Some(busy_percent);
    }

    /// Says that the core is about to sleep, and for how long it may. It is followed by
    /// [`CoreLoop::awake`].
    pub fn rest(&mut self) -> Rest {
        if self.parts.mail.has_backlog() {
            // Another thread is behind, and nobody rings for room.
            return if self.parts.mail.is_empty() { Rest::Short } else { Rest::No };
        }
        self.parts.doorbell.about_to_sleep();
        if self.parts.is_work_there(self.stopping_since_ms.is_some()) {
            return Rest::No;
        }
        let closing_ms = self.closing.front().map_or(u64::MAX, |&(deadline_ms, _)| deadline_ms);
        Rest::Until { mono_ms: self.parts.shard.next_turn_ms().min(closing_ms) }
    }

    /// Says that the core sleeps no more.
    pub fn awake(&mut self) {
        self.parts.doorbell.awake();
    }

    /// Whether the node stops and nothing is left to do here, or it took too long.
    #[must_use]
    pub fn is_done(&self, now: Now) -> bool {
        let Some(since_ms) = self.stopping_since_ms else { return false };
        let drained = self.parts.shard.is_drained() && !self.parts.mail.has_backlog();
        drained || now.mono_ms.saturating_sub(since_ms) > STOP_MS
    }

    /// Ends a core that is done, after a last look for room in the lanes.
    pub fn finish(mut self) {
        self.parts.mail.flush();
    }

    /// Its parts.
    #[must_use]
    pub const fn parts(&self) -> &CoreParts<S::Socket> {
        &self.parts
    }

    /// Its sockets.
    pub const fn sockets(&mut self) -> &mut S {
        &mut self.sockets
    }

    /// How many connections are not read now because too much waits for other threads.
    #[must_use]
    pub const fn gated(&self) -> usize {
        self.gated.len()
    }

    fn take_completions(&mut self) {
        let CoreLoop { sockets, parts, fx, moving, leaving, .. } = self;
        let (paused, gated) = (&mut self.paused, &mut self.gated);
        let (accepted, detached) = (&mut self.accepted, &mut self.detached);
        let shard = &mut parts.shard;
        let is_gated = parts.mail.is_congested();
        let gated_before = gated.len();
        sockets.drain(|completion| match completion {
            Completion::Received { key, bytes } => {
                if let Some(moving) = moving.get_mut(&key) {
                    moving.keep(bytes);
                    return;
                }
                shard.on_event(Event::Received { conn: conn_id(key), bytes }, fx);
                // At once: what the socket brings next is no longer this shard's.
                note_departures(fx, moving, leaving);
                if is_gated {
                    gated.push(key);
                }
            }
            Completion::Sent { key, buffer } => {
                shard.recycle(buffer);
                shard.on_event(Event::Sent { conn: conn_id(key) }, fx);
            }
            Completion::Closed { key, reason } => {
                debug!(slot = key.slot, generation = key.generation, ?reason, "connection closed");
                moving.remove(&key);
                paused.remove(&key);
                shard.on_event(Event::Closed { conn: conn_id(key) }, fx);
            }
            Completion::Accepted { fd } => accepted.push(fd),
            Completion::AcceptFailed { error } => {
                warn!(%error, "can't accept connections; raise the limit of open files if it is that");
            }
            Completion::Detached { key, fd } => detached.push((key, fd)),
            Completion::Woken => {}
        });
        // Those of earlier turns are paused already.
        for &key in &gated[gated_before..] {
            sockets.pause(key);
        }
        self.add_accepted();
        self.send_detached();
    }

    /// Reads again from connections that were not read, once what waited is gone.
    fn open_gate(&mut self) {
        if self.gated.is_empty() || self.parts.mail.is_congested() {
            return;
        }
        for key in self.gated.drain(..) {
            if !self.paused.contains(&key) {
                self.sockets.resume(key);
            }
        }
    }

    fn add_accepted(&mut self) {
        let mut accepted = std::mem::take(&mut self.accepted);
        for fd in accepted.drain(..) {
            match self.sockets.add(fd) {
                Ok(key) => {
                    debug!(slot = key.slot, generation = key.generation, "connection accepted");
                    self.parts.shard.on_event(Event::Accepted { conn: conn_id(key) }, &mut self.fx);
                }
                Err(fd) => self.turn_away(fd),
            }
        }
        self.accepted = accepted;
    }

    /// Refuses a connection for which there is no place. The shard never hears of it.
    fn turn_away(&mut self, socket: S::Socket) {
        self.turned_away += 1;
        self.sockets.turn_away(socket, &refusal());
    }

    /// Sends connections that left this ring to their home cores.
    fn send_detached(&mut self) {
        for (key, fd) in self.detached.drain(..) {
            if let Some(Moving { core, arrival, early }) = self.moving.remove(&key) {
                self.parts.mail.send(core, Parcel::Connection { fd, arrival, early });
            }
        }
    }

    /// A connection that logged in on another core and has its home here.
    fn adopt(&mut self, socket: S::Socket, arrival: Arrival, early: &[u8]) {
        let key = match self.sockets.add(socket) {
            Ok(key) => key,
            Err(socket) => return self.turn_away(socket),
        };
        let conn = conn_id(key);
        self.parts.shard.on_event(Event::Arrived { conn, arrival }, &mut self.fx);
        if !early.is_empty() {
            self.parts.shard.on_event(Event::Received { conn, bytes: early }, &mut self.fx);
        }
    }

    fn note_load(&mut self) {
        if let Some(busy_percent) = self.load.take() {
            self.parts.shard.on_event(Event::Load { busy_percent }, &mut self.fx);
        }
    }

    fn note_stop(&mut self, now: Now) {
        if self.stopping_since_ms.is_none() && self.parts.stop.load(Ordering::Acquire) {
            self.stopping_since_ms = Some(now.mono_ms);
            self.sockets.stop_listening();
            self.parts.shard.on_event(Event::ShutDown, &mut self.fx);
        }
    }

    /// Closes connections whose peers don't end their side.
    fn abort_overdue(&mut self, now: Now) {
        while let Some(&(deadline_ms, key)) = self.closing.front() {
            if deadline_ms > now.mono_ms {
                break;
            }
            self.closing.pop_front();
            self.sockets.abort(key);
        }
    }

    fn close(&mut self, conn: ConnId, now: Now) {
        let key = socket_key(conn);
        self.sockets.close(key);
        self.closing.push_back((now.mono_ms + CLOSE_GRACE_MS, key));
    }
}

/// What a client is told that comes when this core holds as many connections as it may.
fn refusal() -> Vec<u8> {
    debug!("connection refused: this core holds as many as it may");
    let mut bytes = Vec::new();
    let (code, retry_after_ms) = (Code::TooManyConnections, OVERLOAD_RETRY_MS);
    let detail = "this server holds as many connections as it may";
    Frame::Refuse { code, retry_after_ms, detail }.encode(&mut bytes);
    bytes
}

/// Notes the connections that the shard has forgotten because their home is another core.
fn note_departures(
    fx: &mut Effects,
    moving: &mut HashMap<SocketKey, Moving>,
    leaving: &mut Vec<SocketKey>,
) {
    for (conn, core, arrival) in fx.hand_over.drain(..) {
        moving.insert(socket_key(conn), Moving { core, arrival, early: Vec::new() });
        leaving.push(socket_key(conn));
    }
}

impl Moving {
    /// Keeps what a client sent before its welcome, so that its home core judges it.
    fn keep(&mut self, bytes: &[u8]) {
        let room = HELLO_BYTES_MAX.saturating_sub(self.early.len());
        self.early.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

const fn conn_id(key: SocketKey) -> ConnId {
    ConnId { slot: key.slot, generation: key.generation }
}

const fn socket_key(conn: ConnId) -> SocketKey {
    SocketKey { slot: conn.slot, generation: conn.generation }
}
