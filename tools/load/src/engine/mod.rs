//! The event loop: one thread, one epoll, all connections.
//!
//! A turn waits for sockets, lets the script queue what is due, reads each ready socket once, hands
//! its frames to the script, and writes each connection once. Logins, keep-alive, goodbyes and
//! everything about bytes are handled here; what is sent and what it means is the script's.

mod connect;
mod link;
mod links;
mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fulmar_protocol::{Frame, Welcome};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::Timespec;

pub use connect::source_address;
pub use link::{Link, Port, Stage, Terms};
pub use links::Links;

use crate::failure::Failure;
use crate::latency::Latencies;
use crate::limits::{EVENTS_PER_TURN, READ_BYTES, SPIN_BEFORE_DUE_NS, SWEEP_NS, TURN_NS_MAX};

/// What a scenario does with its connections.
pub trait Script {
    /// A login succeeded.
    fn on_ready(&mut self, port: &mut Port<'_>, welcome: &Welcome<'_>) -> Result<(), Failure>;

    /// A frame for the scenario: sent, rejected, deliver, part, skip, receipt, or the pong of a
    /// ping that the scenario sent.
    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure>;

    /// All frames of one read were handled, or a full socket took what waited for it. Here the
    /// script acknowledges and refills.
    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure>;

    /// Once per turn, before its frames. Sends what is due, moves between phases, and says when it
    /// wants to be called again.
    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure>;
}

/// When a script's next turn should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When a socket is ready, or at this time of the run's clock, in nanoseconds.
    At(u64),
    /// When a socket is ready.
    Ready,
    /// The script is through.
    Done,
}

/// How an engine runs.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The server.
    pub server: std::net::SocketAddr,
    /// The number of user 0 on the wire.
    pub first_user: u64,
    /// Number of users, a connection each; they are opened by the script.
    pub users: usize,
    /// Poll the sockets instead of sleeping.
    pub spin: bool,
    /// Set by ctrl-C.
    pub interrupted: Arc<AtomicBool>,
}

/// All connections and what serves them.
pub struct Engine {
    epoch: Instant,
    spin: bool,
    interrupted: Arc<AtomicBool>,
    links: Links,
    events: Vec<epoll::Event>,
    read_buffer: Box<[u8]>,
    swept_ns: u64,
    next: Next,
}

impl Engine {
    /// An engine with all connections closed.
    pub fn new(options: &EngineOptions) -> Result<Engine, Failure> {
        // Timers of this thread fire when they are due, and not up to 50 µs later.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        Ok(Engine {
            epoch: Instant::now(),
            spin: options.spin,
            interrupted: Arc::clone(&options.interrupted),
            links: Links::new(options.server, options.first_user, options.users)?,
            events: Vec::with_capacity(EVENTS_PER_TURN),
            read_buffer: vec![0; READ_BYTES].into_boxed_slice(),
            swept_ns: 0,
            next: Next::At(0),
        })
    }

    /// Runs until the script is through.
    pub fn run(&mut self, script: &mut impl Script) -> Result<(), Failure> {
        self.next = Next::At(0);
        while self.next != Next::Done {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            self.turn(script)?;
        }
        Ok(())
    }

    /// The run's clock, in nanoseconds since the engine was made.
    pub fn now_ns(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// Ends all connections; the times from connect to welcome, of all logins.
    pub fn finish(self) -> Latencies {
        self.links.into_logins()
    }

    fn turn(&mut self, script: &mut impl Script) -> Result<(), Failure> {
        self.wait()?;
        let now_ns = self.now_ns();
        self.links.open_queued(now_ns)?;
        self.next = script.on_turn(&mut self.links, now_ns)?;
        for index in 0..self.events.len() {
            let event = self.events[index];
            self.on_event(script, event.data.u64(), event.flags)?;
        }
        self.events.clear();
        if now_ns - self.swept_ns >= SWEEP_NS {
            self.swept_ns = now_ns;
            self.links.keep_alive(now_ns);
        }
        self.links.flush_queued(now_ns)
    }

    /// Waits for sockets, no longer than the script wants.
    fn wait(&mut self) -> Result<(), Failure> {
        let now_ns = self.now_ns();
        let timeout_ns = match self.next {
            _ if self.spin => 0,
            Next::At(at_ns) => match at_ns.saturating_sub(now_ns) {
                gap_ns if gap_ns <= SPIN_BEFORE_DUE_NS => 0,
                gap_ns => (gap_ns - SPIN_BEFORE_DUE_NS).min(TURN_NS_MAX),
            },
            Next::Ready | Next::Done => TURN_NS_MAX,
        };
        // Less than a second, as the bound is.
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout_ns as i64 };
        let events = spare_capacity(&mut self.events);
        match epoll::wait(self.links.epoll(), events, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Failure::system("waiting for sockets")(error.into())),
        }
    }

    fn on_event(
        &mut self,
        script: &mut impl Script,
        token: u64,
        flags: epoll::EventFlags,
    ) -> Result<(), Failure> {
        let Some(index) = self.links.index_of(token) else { return Ok(()) };
        let now_ns = self.epoch.elapsed().as_nanos() as u64;
        if self.links.link(index).stage() == Stage::Connecting {
            return self.links.greet(index, now_ns);
        }
        // A hang-up or an error shows in the read.
        if flags != epoll::EventFlags::OUT {
            read::read(&mut self.links, script, &mut self.read_buffer, index, now_ns)?;
        }
        if flags.contains(epoll::EventFlags::OUT) && self.links.link(index).is_open() {
            self.links.flush(index, now_ns)?;
            let mut port = self.links.port(index, now_ns);
            script.on_batch(&mut port)?;
        }
        self.links.finish(index, now_ns)
    }
}
