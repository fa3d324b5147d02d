//! The ring against real sockets on the loopback interface. Races are met by repetition.

mod accept;
mod close;
mod detach;
mod random;
mod receive;
mod send;
mod wake;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::{CloseReason, Completion, Ring, RingConfig, SocketKey};

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test watches for what must not happen.
const QUIET: Duration = Duration::from_millis(50);

/// A small ring; tests that need other sizes say so.
const SMALL: RingConfig = RingConfig {
    entries: 64,
    buffers: 64,
    buffer_bytes: 1_024,
    sockets_max: 4_096,
    sends_per_turn: 256,
    accepts_per_turn: 256,
};

/// A completion that owns its bytes.
#[derive(Debug)]
enum Event {
    Accepted(OwnedFd),
    AcceptFailed(io::Error),
    Received(SocketKey, Vec<u8>),
    Sent(SocketKey, Vec<u8>),
    Closed(SocketKey, CloseReason),
    Detached(SocketKey, OwnedFd),
    Woken,
}

impl Event {
    fn of(completion: Completion<'_>) -> Event {
        match completion {
            Completion::Accepted { fd } => Event::Accepted(fd),
            Completion::AcceptFailed { error } => Event::AcceptFailed(error),
            Completion::Received { key, bytes } => Event::Received(key, bytes.to_vec()),
            Completion::Sent { key, buffer } => Event::Sent(key, buffer),
            Completion::Closed { key, reason } => Event::Closed(key, reason),
            Completion::Detached { key, fd } => Event::Detached(key, fd),
            Completion::Woken => Event::Woken,
        }
    }
}

/// A ring and what it reported and nobody looked at yet.
struct Bench {
    ring: Ring,
    events: VecDeque<Event>,
}

impl Bench {
    fn new(config: RingConfig) -> Bench {
        let ring = Ring::new(&config).expect("a ring");
        Bench { ring, events: VecDeque::new() }
    }

    /// One turn.
    fn turn(&mut self, timeout: Duration) {
        self.ring.wait(Some(timeout)).expect("wait");
        self.ring.drain(|completion| self.events.push_back(Event::of(completion)));
    }

    /// The next event.
    fn next(&mut self) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            assert!(Instant::now() < deadline, "no event; {:?}", self.ring.counters());
            self.turn(Duration::from_millis(100));
        }
    }

    /// Bytes of a socket until there are `len`, which must be the only events.
    fn receive(&mut self, key: SocketKey, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            match self.next() {
                Event::Received(of, more) if of == key => bytes.extend(more),
                other => panic!("{other:?} instead of bytes"),
            }
        }
        assert_eq!(bytes.len(), len);
        bytes
    }

    /// The socket's end, which must be the only event.
    fn closed(&mut self, key: SocketKey) -> CloseReason {
        match self.next() {
            Event::Closed(of, reason) if of == key => reason,
            other => panic!("{other:?} instead of the end"),
        }
    }

    /// The end of a send, which must be the only event.
    fn sent(&mut self, key: SocketKey) -> Vec<u8> {
        match self.next() {
            Event::Sent(of, buffer) if of == key => buffer,
            other => panic!("{other:?} instead of a send"),
        }
    }

    /// Nothing happens for a while.
    fn quiet(&mut self) {
        let deadline = Instant::now() + QUIET;
        while Instant::now() < deadline {
            self.turn(Duration::from_millis(10));
            assert!(self.events.is_empty(), "{:?} instead of nothing", self.events);
        }
    }

    /// Turns until something holds.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Ring, &VecDeque<Event>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.ring, &self.events) {
            assert!(Instant::now() < deadline, "never: {what}; {:?}", self.ring.counters());
            self.turn(Duration::from_millis(10));
        }
    }

    /// A connection: its end on this ring, and the other end.
    fn connect(&mut self) -> (SocketKey, TcpStream) {
        let (ours, theirs) = pair();
        (self.ring.add(ours).expect("room for a socket"), theirs)
    }
}

/// Both ends of a connection.
fn pair() -> (OwnedFd, TcpStream) {
    let (listener, address) = listener();
    let theirs = TcpStream::connect(address).expect("connect");
    theirs.set_nodelay(true).expect("TCP_NODELAY");
    theirs.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    theirs.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let (ours, _) = listener.accept().expect("accept");
    (ours.into(), theirs)
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Bytes that tell where in the stream they stood.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
