//! A small server in memory that keeps every promise of the protocol, or breaks a chosen one.
//!
//! It stands in for the real server in the tests of the load generator, and shares only the frames
//! with it. It also watches the client: what the load does against the protocol fails the test.

#![allow(dead_code, reason = "each test file uses a part")]

mod groups;
mod presence;
mod state;

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser as _;
use fulmar_load::cli::Cli;
use fulmar_load::failure::Failure;
use fulmar_load::measurement::carry_out;
use fulmar_load::report::Report;
use fulmar_protocol::{Frame, Frames, limits};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::Timespec;

use state::{State, Step};

/// What the stand-in does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Ticks every n-th message and forgets it.
    Drop(u64),
    /// Ticks every n-th message, gives it a position, and never delivers it.
    Hole(u64),
    /// Delivers every n-th message twice.
    Duplicate(u64),
    /// Gives every n-th message to a group two positions.
    Twice(u64),
    /// Delivers every n-th message of a direction after the next one.
    Swap(u64),
    /// Changes a byte in every n-th body.
    Corrupt(u64),
    /// Gives every n-th message to another user.
    Misdeliver(u64),
    /// Forgets every n-th tick.
    DropTick(u64),
    /// Sends every n-th delivered receipt before the recipient acknowledged.
    ReceiptAhead(u64),
    /// Never sends a delivered receipt.
    NoReceipts,
    /// Never tells the authors of a group that somebody read it.
    NoReadReceipts,
    /// Tells the authors of a group that those who have a message read it.
    ReadAhead,
    /// Tells a member of a group that it read more than it said, in every n-th answer.
    ReadTooFar(u64),
    /// Leaves out one watcher in every n-th change of somebody's presence.
    Untold(u64),
    /// Tells the opposite of every n-th change.
    Lie(u64),
    /// Tells one watcher an older last seen than the others.
    OldSeen,
    /// Tells every n-th change to somebody who doesn't watch.
    Stranger(u64),
    /// Does nothing at all for `ms`, once, `after_ms` after the first message.
    Stall { after_ms: u64, ms: u64 },
    /// Says goodbye after this many messages.
    Goodbye(u64),
    /// Closes a connection without a word after this many messages.
    Vanish(u64),
    /// Rejects everything after this many messages: the quota is exceeded.
    Reject(u64),
    /// Refuses every login.
    Refuse,
    /// Answers the hello with bytes that aren't a frame.
    Garbage,
}

/// What the stand-in offers in its welcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) sends_max: u64,
    pub(crate) window_messages: u64,
    pub(crate) body_bytes_max: u64,
    pub(crate) idle_s: u64,
}

impl Default for Terms {
    fn default() -> Self {
        let body_bytes_max = limits::BODY_BYTES_MAX as u64;
        Terms { sends_max: 64, window_messages: 256, body_bytes_max, idle_s: 60 }
    }
}

/// A running stand-in; dropping it stops it.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    complaints: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    pub(crate) fn start(fault: Fault, terms: Terms) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let mut server = Server::new(listener, fault, terms, Arc::clone(&complaints));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || server.serve(&stopped));
        StandIn { address, stop, complaints, thread: Some(thread) }
    }

    /// What the client did against the protocol.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the stand-in does not panic");
        }
    }
}

/// For how many seconds nothing may come before what is outstanding counts as lost. Where all comes
/// nobody waits for it, so a machine that stands still for a moment loses nothing.
const fn drain(fault: Fault) -> &'static str {
    match fault {
        Fault::None | Fault::Stall { .. } => "20",
        _ => "1.5",
    }
}

/// Runs a scenario against a stand-in and checks that the load kept to the protocol.
pub(crate) fn run_with(line: &str, fault: Fault, terms: Terms) -> Result<Report, Failure> {
    let server = StandIn::start(fault, terms);
    let address = server.address.to_string();
    let words = ["fulmar-load", "run"].into_iter().chain(line.split(' '));
    let words = words.chain(["--server", &address, "--drain", drain(fault)]);
    let plan = Cli::try_parse_from(words).expect("valid options").plan().expect("valid options");
    let report = carry_out(&plan, &Arc::new(AtomicBool::new(false)));
    assert_eq!(server.complaints(), Vec::<String>::new());
    report
}

pub(crate) fn run(line: &str, fault: Fault) -> Report {
    run_with(line, fault, Terms::default()).unwrap()
}

struct Connection {
    socket: TcpStream,
    input: Vec<u8>,
    out: Vec<u8>,
}

struct Server {
    listener: TcpListener,
    epoll: rustix::fd::OwnedFd,
    connections: HashMap<u64, Connection>,
    next: u64,
    state: State,
    complaints: Arc<Mutex<Vec<String>>>,
    stalled: bool,
}

impl Server {
    fn new(
        listener: TcpListener,
        fault: Fault,
        terms: Terms,
        complaints: Arc<Mutex<Vec<String>>>,
    ) -> Server {
        listener.set_nonblocking(true).unwrap();
        // A longer queue than the standard library's, which the logins of a load overflow.
        rustix::net::listen(&listener, 4_096).unwrap();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(0), flags).unwrap();
        let (connections, state) = (HashMap::new(), State::new(fault, terms));
        Server { listener, epoll, connections, next: 1, state, complaints, stalled: false }
    }

    fn serve(&mut self, stop: &AtomicBool) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        let mut touched = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => (),
                Err(error) => panic!("{error}"),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    0 => self.accept(),
                    id => self.read(id, &mut touched),
                }
            }
            self.state.tell_authors();
            self.collect(&mut touched);
            self.flush(&mut touched);
            self.stall();
        }
    }

    fn stall(&mut self) {
        if let (Fault::Stall { after_ms, ms }, Some(first)) = (self.state.fault, self.state.first)
            && !self.stalled
            && Instant::now() >= first + Duration::from_millis(after_ms)
        {
            self.stalled = true;
            thread::sleep(Duration::from_millis(ms));
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true).unwrap();
            socket.set_nodelay(true).unwrap();
            let data = epoll::EventData::new_u64(self.next);
            epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN).unwrap();
            let connection = Connection { socket, input: Vec::new(), out: Vec::new() };
            self.connections.insert(self.next, connection);
            self.next += 1;
        }
    }

    fn read(&mut self, id: u64, touched: &mut Vec<u64>) {
        touched.push(id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut input = std::mem::take(&mut connection.input);
        let held = input.len();
        input.resize(held + 65_536, 0);
        match connection.socket.read(&mut input[held..]) {
            Ok(0) => return self.close(id),
            Ok(bytes) => input.truncate(held + bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => input.truncate(held),
            Err(_) => return self.close(id),
        }
        let mut frames = Frames::new(&input, limits::FRAME_BYTES_MAX);
        for frame in &mut frames {
            let frame = Frame::decode(frame.expect("frames of the load are well-formed"));
            let frame = frame.expect("frames of the load are well-formed");
            match self.state.on_frame(id, &frame) {
                Ok(Step::Go) => (),
                Ok(Step::Close) => return self.close(id),
                Ok(Step::SayAndClose) => {
                    self.collect(touched);
                    self.flush(&mut vec![id]);
                    return self.close(id);
                }
                Err(complaint) => self.complaints.lock().unwrap().push(complaint),
            }
        }
        let rest = frames.rest().to_vec();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.input = rest;
        }
        self.collect(touched);
    }

    /// Takes what the state wants to be written.
    fn collect(&mut self, touched: &mut Vec<u64>) {
        for (id, bytes) in self.state.take_output() {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.out.extend_from_slice(&bytes);
                touched.push(id);
            }
        }
    }

    fn close(&mut self, id: u64) {
        self.connections.remove(&id);
        self.state.on_closed(id);
    }

    /// Writes; a full socket is waited for, as the load is known to read.
    fn flush(&mut self, touched: &mut Vec<u64>) {
        for id in touched.drain(..) {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            let mut written = 0;
            while written < connection.out.len() {
                match connection.socket.write(&connection.out[written..]) {
                    Ok(bytes) => written += bytes,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(Duration::from_micros(50));
                    }
                    Err(_) => break,
                }
            }
            connection.out.clear();
        }
    }
}
