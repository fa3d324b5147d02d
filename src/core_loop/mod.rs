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
mod mail;
mod publish;

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fulmar_protocol::{Code, Frame};
use tracing::{debug, warn};

use crate::limits::{CLOSE_GRACE_MS, OVERLOAD_RETRY_MS, STOP_MS};
use crate::mesh::Doorbell;
use crate::metrics::Metrics;
use crate::shard::{Arrival, ConnId, CoreId, Effects, Event, Now, Shard};
use crate::uring::{Completion, Ring, SocketKey};

pub use mail::{Answers, Batch, Job, Mail, Parcel, Reply, Stored};

/// Letters and answers taken in one turn from each lane, so that sockets get their turn too.
const MAIL_PER_TURN: usize = 1_024;

/// What a core thread is made of, besides its ring, which must be made on the thread itself.
pub struct CoreParts {
    /// Number of this core.
    pub core: CoreId,
    /// Its state machine.
    pub shard: Shard,
    /// Its lanes to and from the other threads.
    pub mail: Mail,
    /// What others wake it with.
    pub doorbell: Arc<Doorbell>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Set when the node is to stop; the doorbell is rung afterwards.
    pub stop: Arc<AtomicBool>,
    /// The instant from which the monotonic clock counts; the same for all cores.
    pub started: Instant,
}

/// See the module's description.
pub struct CoreLoop {
    parts: CoreParts,
    ring: Ring,
    fx: Effects,
    /// Connections on their way to their home core, and what they sent too early.
    moving: HashMap<SocketKey, Moving>,
    /// Connections that the shard paused.
    paused: HashSet<SocketKey>,
    /// Connections that are not read because too much waits for other threads.
    gated: Vec<SocketKey>,
    /// Accepted in this turn.
    accepted: Vec<OwnedFd>,
    /// Detached in this turn.
    detached: Vec<(SocketKey, OwnedFd)>,
    /// Closing connections, in the order of their deadlines on the monotonic clock.
    closing: VecDeque<(u64, SocketKey)>,
    /// When the core was told to stop.
    stopping_since: Option<Instant>,
    published: Instant,
}

/// A connection on its way to another core.
struct Moving {
    core: CoreId,
    arrival: Arrival,
    early: Vec<u8>,
}

impl CoreLoop {
    /// Puts the parts together. Called on the thread that will run it.
    pub fn new(
        parts: CoreParts,
        mut ring: Ring,
        listener: OwnedFd,
    ) -> Result<Self, std::io::Error> {
        ring.watch(parts.doorbell.descriptor()?);
        ring.listen(listener);
        Ok(CoreLoop {
            parts,
            ring,
            fx: Effects::default(),
            moving: HashMap::new(),
            paused: HashSet::new(),
            gated: Vec::new(),
            accepted: Vec::new(),
            detached: Vec::new(),
            closing: VecDeque::new(),
            stopping_since: None,
            published: Instant::now(),
        })
    }

    /// Runs turns until the node stops and everything is handed over.
    pub fn run(mut self) -> Result<(), std::io::Error> {
        while !self.is_done() {
            self.sleep()?;
            let begun = Instant::now();
            let now = self.now(begun);
            self.parts.shard.begin_turn(now, &mut self.fx);
            self.note_stop();
            self.take_completions();
            self.take_mail();
            self.parts.shard.end_turn(&mut self.fx);
            self.carry_out(now);
            self.abort_overdue(now);
            self.open_gate();
            self.publish(begun);
        }
        self.parts.mail.flush();
        Ok(())
    }

    /// Submits what the last turn queued and waits until there is something to do.
    fn sleep(&mut self) -> Result<(), std::io::Error> {
        if self.parts.mail.has_backlog() {
            // Another thread is behind; it rings the bell as it takes something, but not for room.
            return self.ring.wait(Some(Duration::from_micros(100)));
        }
        self.parts.doorbell.about_to_sleep();
        let timeout = if self.parts.mail.is_empty() { self.timeout() } else { Duration::ZERO };
        let waited = self.ring.wait(Some(timeout));
        self.parts.doorbell.awake();
        waited
    }

    fn timeout(&self) -> Duration {
        let now_ms = self.mono_ms(Instant::now());
        let closing_ms = self.closing.front().map_or(u64::MAX, |&(deadline_ms, _)| deadline_ms);
        let next_ms = self.parts.shard.next_turn_ms().min(closing_ms);
        Duration::from_millis(next_ms.saturating_sub(now_ms))
    }

    fn mono_ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.parts.started).as_millis() as u64
    }

    fn now(&self, now: Instant) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { unix_ms: unix.as_millis() as u64, mono_ms: self.mono_ms(now) }
    }

    fn take_completions(&mut self) {
        let CoreLoop { ring, parts, fx, moving, paused, gated, accepted, detached, .. } = self;
        let shard = &mut parts.shard;
        let is_gated = parts.mail.is_congested();
        ring.drain(|completion| match completion {
            Completion::Received { key, bytes } => {
                if let Some(moving) = moving.get_mut(&key) {
                    moving.keep(bytes);
                    return;
                }
                shard.on_event(Event::Received { conn: conn_id(key), bytes }, fx);
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
        self.shut_gate();
        self.add_accepted();
        self.send_detached();
    }

    /// Stops reading from connections that sent while too much waits for other threads.
    fn shut_gate(&mut self) {
        if self.parts.mail.is_congested() {
            for &key in &self.gated {
                self.ring.pause(key);
            }
        }
    }

    /// Reads from them again once what waited is gone.
    fn open_gate(&mut self) {
        if self.gated.is_empty() || self.parts.mail.is_congested() {
            return;
        }
        for key in self.gated.drain(..) {
            if !self.paused.contains(&key) {
                self.ring.resume(key);
            }
        }
    }

    fn add_accepted(&mut self) {
        for fd in self.accepted.drain(..) {
            match self.ring.add(fd) {
                Ok(key) => {
                    debug!(slot = key.slot, generation = key.generation, "connection accepted");
                    self.parts.shard.on_event(Event::Accepted { conn: conn_id(key) }, &mut self.fx);
                }
                Err(fd) => turn_away(fd),
            }
        }
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
    fn adopt(&mut self, fd: OwnedFd, arrival: Arrival, early: &[u8]) {
        let key = match self.ring.add(fd) {
            Ok(key) => key,
            Err(fd) => return turn_away(fd),
        };
        let conn = conn_id(key);
        self.parts.shard.on_event(Event::Arrived { conn, arrival }, &mut self.fx);
        if !early.is_empty() {
            self.parts.shard.on_event(Event::Received { conn, bytes: early }, &mut self.fx);
        }
    }

    fn note_stop(&mut self) {
        if self.stopping_since.is_none() && self.parts.stop.load(Ordering::Acquire) {
            self.stopping_since = Some(Instant::now());
            self.ring.stop_listening();
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
            self.ring.abort(key);
        }
    }

    fn close(&mut self, conn: ConnId, now: Now) {
        let key = socket_key(conn);
        self.ring.close(key);
        self.closing.push_back((now.mono_ms + CLOSE_GRACE_MS, key));
    }

    /// Whether the node stops and nothing is left to do here, or it took too long.
    fn is_done(&self) -> bool {
        let Some(since) = self.stopping_since else { return false };
        let drained = self.parts.shard.is_drained() && !self.parts.mail.has_backlog();
        drained || since.elapsed() > Duration::from_millis(STOP_MS)
    }
}

/// Tells a client that this core holds as many connections as it may, and closes.
fn turn_away(fd: OwnedFd) {
    debug!("connection refused: this core holds as many as it may");
    let mut bytes = Vec::new();
    let (code, retry_after_ms) = (Code::TooManyConnections, OVERLOAD_RETRY_MS);
    let detail = "this server holds as many connections as it may";
    Frame::Refuse { code, retry_after_ms, detail }.encode(&mut bytes);
    // A new socket has room for it; if not, the client sees the connection end without a reason.
    let socket = socket2::Socket::from(fd);
    let _ = socket.set_nonblocking(true).and_then(|()| socket.send(&bytes));
    let _ = socket.shutdown(std::net::Shutdown::Write);
}

impl Moving {
    /// Keeps what a client sent before its welcome, so that its home core judges it.
    fn keep(&mut self, bytes: &[u8]) {
        let room = fulmar_protocol::limits::HELLO_BYTES_MAX.saturating_sub(self.early.len());
        self.early.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

const fn conn_id(key: SocketKey) -> ConnId {
    ConnId { slot: key.slot, generation: key.generation }
}

const fn socket_key(conn: ConnId) -> SocketKey {
    SocketKey { slot: conn.slot, generation: conn.generation }
}
