//! A core's driver turn by turn, with real sockets; the other threads are played by the test.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::Receiver;
use fulmar_protocol::{Hello, Pairs, split_frame};

use super::*;
use crate::mesh::{Inlet, Outlet, lane};
use crate::shard::{Identity, Refusal, ShardConfig, home_core};
use crate::uring::RingConfig;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Things that a ring between threads holds here.
const RING: usize = 16;
const ANSWERS: usize = 4;

/// Core 0 of two, and the ends of its lanes that others hold.
struct Bench {
    core: CoreLoop<Ring>,
    started: Instant,
    address: SocketAddr,
    answers: Arc<Answers>,
    from_neighbour: Outlet<Parcel<OwnedFd>>,
    to_neighbour: Inlet<Parcel<OwnedFd>>,
    jobs: Receiver<Job>,
    _batches: Inlet<Batch>,
    _stored: Outlet<Stored>,
}

impl Bench {
    fn new(sockets_max: u32, unsigned_users: bool) -> Bench {
        let bell = || Arc::new(Doorbell::new().expect("eventfd"));
        let (doorbell, neighbours, journals) = (bell(), bell(), bell());
        let (outlet, to_neighbour) = lane(RING, neighbours);
        let (from_neighbour, inlet) = lane(RING, Arc::clone(&doorbell));
        let (journal, batches) = lane(RING, journals);
        let (stored_in, stored) = lane(RING, Arc::clone(&doorbell));
        let (workers, jobs) = crossbeam_channel::bounded(1);
        let answers = Arc::new(Answers::new(ANSWERS, Arc::clone(&doorbell)));
        let cores_out = vec![None, Some(outlet)];
        let mail =
            Mail::new(cores_out, vec![inlet], journal, stored, workers, Arc::clone(&answers));
        let config = ShardConfig { unsigned_users, ..ShardConfig::new(0, 2) };
        let parts = CoreParts {
            core: 0,
            shard: Shard::new(config, Now::default()),
            mail,
            doorbell,
            stop: Arc::new(AtomicBool::new(false)),
        };
        let ring = RingConfig { buffers: 16, sockets_max, ..RingConfig::default() };
        let ring = Ring::new(&ring).expect("a ring");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
        let address = listener.local_addr().expect("an address");
        let core = CoreLoop::listening(parts, ring, listener.into()).expect("a core");
        Bench {
            core,
            started: Instant::now(),
            address,
            answers,
            from_neighbour,
            to_neighbour,
            jobs,
            _batches: batches,
            _stored: stored_in,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// A wait and a turn.
    fn turn(&mut self) {
        self.core.sleep(self.started).expect("a wait");
        self.core.turn(run::now(self.started, Instant::now()));
    }

    /// Turns until something holds.
    fn until(&mut self, what: &str, holds: impl Fn(&CoreLoop<Ring>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.core) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.turn();
        }
    }

    /// Turns until a client has read to the end; what it was told.
    fn refusal(&mut self, mut client: TcpStream) -> Option<Code> {
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).expect("an orderly end");
            (bytes, client)
        });
        let deadline = Instant::now() + PATIENCE;
        while !reader.is_finished() {
            assert!(Instant::now() < deadline, "the client is not told");
            self.turn();
        }
        let (bytes, client) = reader.join().expect("the client");
        // A reset behind the last bytes would be noted here, and make other systems forget the bytes.
        assert!(client.take_error().expect("SO_ERROR").is_none(), "no reset");
        let (frame, _) = split_frame(&bytes, bytes.len()).ok()??;
        match Frame::decode(frame).ok()? {
            Frame::Refuse { code, .. } => Some(code),
            _ => None,
        }
    }

    fn connections(&self) -> u64 {
        self.core.parts.shard.counters().connections
    }
}

fn hello(user: u64, token: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::Hello(Hello {
        version_min: 1,
        version_max: 1,
        capabilities: 0,
        user,
        device: 1,
        token,
        agent: "test",
        cursors: Pairs::Slice(&[]),
    })
    .encode(&mut bytes);
    bytes
}

/// The first user whose home is this core of two.
fn user_of(core: CoreId) -> u64 {
    (1..100).find(|&user| home_core(user, 2) == core).expect("each core is somebody's home")
}

fn arrival(user: u64) -> Arrival {
    Arrival { identity: Identity { user, device: 1 }, capabilities: 0, inbox_cursor: 0 }
}

/// Both ends of a connection that this core hasn't accepted itself.
fn pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
    let theirs = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    theirs.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let (ours, _) = listener.accept().expect("accept");
    (ours.into(), theirs)
}

const fn refused(code: Code) -> Refusal {
    Refusal { code, detail: "as this test has it" }
}

const NOBODY: ConnId = ConnId { slot: 7, generation: 7 };

#[test]
fn a_connection_that_comes_home_to_a_full_core_is_told_so() {
    let mut bench = Bench::new(1, true);
    let _first = bench.connect();
    bench.until("the core is full", |core| core.sockets.sockets() == 1);
    let (fd, client) = pair();
    let arrival = arrival(user_of(0));
    bench.from_neighbour.push(Parcel::Connection { fd, arrival, early: Vec::new() });
    bench.from_neighbour.flush();
    assert_eq!(bench.refusal(client), Some(Code::TooManyConnections));
    assert_eq!(bench.core.sockets.sockets(), 1);
    assert_eq!(bench.connections(), 1);
}

#[test]
fn a_refusal_at_a_full_core_is_not_destroyed_by_what_the_client_sent() {
    let mut bench = Bench::new(1, true);
    let _first = bench.connect();
    bench.until("the core is full", |core| core.sockets.sockets() == 1);
    let mut client = bench.connect();
    client.write_all(&hello(user_of(0), b"")).expect("write");
    assert_eq!(bench.refusal(client), Some(Code::TooManyConnections));
}

#[test]
fn a_connection_goes_to_its_home_core() {
    let mut bench = Bench::new(8, true);
    let mut client = bench.connect();
    client.write_all(&hello(user_of(1), b"")).expect("write");
    bench.until("one is on its way", |core| core.moving.len() == 1);
    bench.until("it left", |core| core.moving.is_empty());
    let Some(Parcel::Connection { arrival, early, .. }) = bench.to_neighbour.pop() else {
        panic!("the neighbour gets it");
    };
    assert_eq!((arrival.identity.user, early.len()), (user_of(1), 0));
    assert_eq!(bench.core.sockets.sockets(), 0);
}

#[test]
fn a_connection_that_ends_with_its_hello_leaves_nothing_behind() {
    let mut bench = Bench::new(8, true);
    let mut client = bench.connect();
    // Both are there when the core first looks, so that it learns of them in one turn.
    client.write_all(&hello(user_of(1), b"")).expect("write");
    client.shutdown(Shutdown::Both).expect("end");
    bench.until("it came", |core| core.parts.shard.counters().accepted == 1);
    bench.until("it went", |core| core.sockets.sockets() == 0);
    bench.turn();
    assert!(bench.core.moving.is_empty() && bench.core.paused.is_empty());
    assert!(bench.to_neighbour.is_empty());
}

#[test]
fn what_the_shard_wanted_for_a_dead_connection_is_not_kept() {
    let mut bench = Bench::new(8, true);
    bench.core.fx.pause.push((NOBODY, true));
    bench.core.fx.hand_over.push((NOBODY, 1, arrival(user_of(1))));
    bench.core.fx.flush.push(NOBODY);
    bench.core.fx.abort.push(NOBODY);
    bench.core.carry_out(Now::default());
    assert!(bench.core.moving.is_empty() && bench.core.paused.is_empty());
}

#[test]
fn an_order_to_stop_is_work_until_it_is_noted() {
    let mut bench = Bench::new(8, true);
    assert!(!bench.core.parts.is_work_there(false));
    bench.core.parts.stop.store(true, Ordering::Release);
    assert!(bench.core.parts.is_work_there(false));
    bench.until("it is noted", |core| core.stopping_since_ms.is_some());
    assert!(!bench.core.parts.is_work_there(true));
    assert!(bench.core.is_done(Now::default()));
}

#[test]
fn a_login_behind_too_many_others_is_refused() {
    let mut bench = Bench::new(8, false);
    let mut client = bench.connect();
    bench.until("it came", |core| core.sockets.sockets() == 1);
    for _ in 0..=crate::limits::JOBS_BACKLOG_MAX {
        let (core, conn, token) = (0, NOBODY, Bytes::new());
        bench.core.parts.mail.ask(Job::Verify { core, conn, token });
    }
    client.write_all(&hello(user_of(0), b"a token")).expect("write");
    assert_eq!(bench.refusal(client), Some(Code::Overloaded));

    // And once there is room again the next one gets its turn.
    let mut client = bench.connect();
    let jobs = bench.jobs.clone();
    let result = Err(refused(Code::TokenExpired));
    client.write_all(&hello(user_of(0), b"a token")).expect("write");
    let deadline = Instant::now() + PATIENCE;
    // Two questions of others are answered at the end.
    let (mut asked, mut unanswered) = (None, 0);
    while asked.is_none() {
        assert!(Instant::now() < deadline, "it is never asked about");
        for job in jobs.try_iter().take(ANSWERS) {
            let Job::Verify { conn, token, .. } = job else { panic!("{job:?}") };
            if &token[..] == b"a token" && conn != NOBODY {
                asked = Some(conn);
            } else if unanswered < 2 {
                unanswered += 1;
            } else {
                bench.answers.give(Reply::Verified { conn: NOBODY, result });
            }
        }
        bench.turn();
    }
    let conn = asked.expect("a connection");
    // Answers for a connection that is gone, or for an earlier one in its place, change nothing.
    bench.answers.give(Reply::Verified { conn: NOBODY, result });
    let earlier = ConnId { generation: conn.generation.wrapping_sub(1), ..conn };
    bench.answers.give(Reply::Verified { conn: earlier, result });
    bench.turn();
    assert_eq!(bench.connections(), 1);
    bench.answers.give(Reply::Verified { conn, result });
    assert_eq!(bench.refusal(client), Some(Code::TokenExpired));
}

#[test]
fn a_verdict_on_a_connection_that_closed_meanwhile_changes_nothing() {
    let mut bench = Bench::new(8, false);
    let mut client = bench.connect();
    client.write_all(&hello(user_of(0), b"a token")).expect("write");
    let jobs = bench.jobs.clone();
    bench.until("it is asked about", |_| !jobs.is_empty());
    drop(client);
    bench.until("it went", |core| core.sockets.sockets() == 0);
    let Ok(Job::Verify { conn, .. }) = bench.jobs.try_recv() else { panic!("a verification") };
    // Another connection has the slot by now.
    let mut next = bench.connect();
    bench.until("another came", |core| core.sockets.sockets() == 1);
    let identity = Identity { user: user_of(0), device: 1 };
    bench.answers.give(Reply::Verified { conn, result: Ok(identity) });
    bench.turn();
    assert_eq!(bench.connections(), 1);
    assert!(bench.jobs.is_empty(), "nobody logs in");
    next.write_all(&hello(user_of(0), b"its own")).expect("write");
    bench.until("it is asked about", |_| !jobs.is_empty());
}

#[test]
fn connections_are_not_read_while_a_neighbour_is_behind() {
    let mut bench = Bench::new(8, false);
    let mut client = bench.connect();
    bench.until("it came", |core| core.sockets.sockets() == 1);
    let letters = crate::limits::MESH_BACKLOG_LETTERS + RING + 1;
    for _ in 0..letters {
        let (arrival, early) = (arrival(user_of(1)), Vec::new());
        let fd = std::fs::File::open("/dev/null").expect("open").into();
        bench.core.parts.mail.send(1, Parcel::Connection { fd, arrival, early });
    }
    // The first byte is what closes the gate for this connection; the hello is not complete.
    let bytes = hello(user_of(0), b"a token");
    client.write_all(&bytes[..1]).expect("write");
    bench.until("it is noted", |core| core.gated.len() == 1);
    for _ in 0..3 {
        bench.turn();
    }
    client.write_all(&bytes[1..]).expect("write");
    for _ in 0..20 {
        bench.turn();
    }
    assert!(bench.jobs.is_empty(), "the rest is not read");
    while bench.core.parts.mail.has_backlog() {
        while bench.to_neighbour.pop().is_some() {}
        bench.core.parts.mail.flush();
    }
    let jobs = bench.jobs.clone();
    bench.until("the rest is read", |_| !jobs.is_empty());
    assert!(bench.core.gated.is_empty());
}

#[test]
fn no_worker_waits_for_a_core_that_has_ended() {
    let bench = Bench::new(8, false);
    let Bench { core, answers, .. } = bench;
    let worker = thread::spawn(move || {
        for _ in 0..=ANSWERS {
            answers
                .give(Reply::Verified { conn: NOBODY, result: Err(refused(Code::TokenExpired)) });
        }
    });
    drop(core);
    worker.join().expect("the worker ends");
}
