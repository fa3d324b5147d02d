//! A bad network: two namespaces, and between them a cable that loses, delays, repeats and reorders
//! packets, and can be cut.
//!
//! Each end is a TUN device; a thread per direction reads packets from one and writes them, or
//! doesn't, to the other. The kernels' own TCP does the rest. (The kernel's `netem` does the same, where
//! it is there; this needs nothing but TUN.)

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tappers::{Interface, Tun};

use super::namespace::{Holder, enter_network};
use crate::limits::{CABLE_PACKETS, CABLE_STEP};

/// The clients' end.
pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The server's end.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
/// Name of either device, in its own namespace.
const DEVICE: &str = "cable";
/// Longest packet, in bytes: what the devices allow, and some.
const PACKET_BYTES_MAX: usize = 2_048;

/// What happens to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Shortest time on the way.
    pub delay: Duration,
    /// It may take so much longer: packets that follow each other closely change places.
    pub jitter: Duration,
    /// Of a thousand packets, so many are lost.
    pub lost_permille: u32,
    /// And so many come twice.
    pub repeated_permille: u32,
    /// Nothing goes from the clients to the server, from the server to the clients.
    pub cut: [bool; 2],
}

impl Conditions {
    /// A cable that does nothing to packets.
    pub const GOOD: Conditions = Conditions {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        lost_permille: 0,
        repeated_permille: 0,
        cut: [false, false],
    };

    /// When the copies of a packet that comes now arrive, after now.
    fn fates(&self, way: usize, rng: &mut Rng) -> [Option<Duration>; 2] {
        let mut happens = |permille| rng.u32(0..1_000) < permille;
        let is_lost = self.cut[way] || happens(self.lost_permille);
        let is_repeated = happens(self.repeated_permille);
        let mut time = || self.delay + self.jitter.mul_f64(rng.f64());
        match (is_lost, is_repeated) {
            (true, _) => [None, None],
            (false, true) => [Some(time()), Some(time())],
            (false, false) => [Some(time()), None],
        }
    }
}

/// What happened to packets.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Came to an end of the cable.
    pub packets: AtomicU64,
    /// Were lost, also to a cut.
    pub lost: AtomicU64,
    /// Came twice.
    pub repeated: AtomicU64,
    /// Arrived after one that had come to the cable later.
    pub overtaken: AtomicU64,
}

/// See the module's description.
#[derive(Debug)]
pub struct Cable {
    clients: Holder,
    server: Holder,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    conditions: Mutex<Conditions>,
    traffic: Traffic,
    is_over: AtomicBool,
}

impl Cable {
    /// Lays a cable. An error is a sentence that says what this machine refuses.
    pub fn lay(seed: u64) -> Result<Cable, String> {
        let hold = || Holder::start(&["--net"], "ip link set lo up");
        let (clients, server) = (hold()?, hold()?);
        let ends = [(&clients, CLIENTS, SERVER), (&server, SERVER, CLIENTS)];
        let ends = ends.map(|(holder, own, other)| make_end(&holder.network(), own, other));
        let [first, second] = ends;
        let ends = [Arc::new(first?), Arc::new(second?)];
        let shared = Arc::new(Shared {
            conditions: Mutex::new(Conditions::GOOD),
            traffic: Traffic::default(),
            is_over: AtomicBool::new(false),
        });
        let threads = [0, 1].map(|index| {
            let (from, to) = (Arc::clone(&ends[index]), Arc::clone(&ends[1 - index]));
            let (shared, rng) = (Arc::clone(&shared), Rng::with_seed(seed ^ index as u64));
            thread::spawn(move || {
                Way { index, from, to, rng, queue: BinaryHeap::new() }.run(&shared);
            })
        });
        Ok(Cable { clients, server, shared, threads: threads.into() })
    }

    /// The network of the clients.
    pub fn clients(&self) -> PathBuf {
        self.clients.network()
    }

    /// The network of the server.
    pub fn server(&self) -> PathBuf {
        self.server.network()
    }

    /// Changes what happens to packets from now on.
    pub fn set(&self, conditions: Conditions) {
        *self.shared.conditions.lock().unwrap_or_else(PoisonError::into_inner) = conditions;
    }

    /// What happened so far.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // What it panicked with is on the screen.
            let _ = thread.join();
        }
    }
}

/// Makes the device at one end and gives it an address. On a thread of its own, which lives in the other
/// namespace afterwards.
fn make_end(network: &Path, own: Ipv4Addr, other: Ipv4Addr) -> Result<Tun, String> {
    let network = network.to_owned();
    let make = move || -> io::Result<Tun> {
        enter_network(&network)?;
        let mut device = Tun::new_named(Interface::new(DEVICE)?)?;
        device.set_nonblocking(true)?;
        let peer = ["peer", &other.to_string()].map(str::to_owned);
        let own = own.to_string();
        ip(&["address", "add", &own, &peer[0], &peer[1], "dev", DEVICE])?;
        ip(&["link", "set", DEVICE, "up"])?;
        Ok(device)
    };
    let made = thread::spawn(make).join();
    let made = made.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
    made.map_err(|error| format!("no TUN device in a network namespace: {error}"))
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = std::process::Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}", arguments.join(" "), said.trim())))
}

/// A packet on the way: when it is due, its number, its bytes.
type Packet = Reverse<(Instant, u64, Vec<u8>)>;

/// One direction.
struct Way {
    /// 0 is towards the server.
    index: usize,
    from: Arc<Tun>,
    to: Arc<Tun>,
    rng: Rng,
    queue: BinaryHeap<Packet>,
}

impl Way {
    fn run(mut self, shared: &Shared) {
        let (mut number, mut newest) = (0, 0);
        while !shared.is_over.load(Ordering::Relaxed) {
            self.wait();
            let conditions = *shared.conditions.lock().unwrap_or_else(PoisonError::into_inner);
            let mut bytes = [0; PACKET_BYTES_MAX];
            // Nothing there, or a device that is gone with its namespace: both end in a wait.
            while let Ok(length) = self.from.recv(&mut bytes) {
                number += 1;
                self.take(number, &bytes[..length], &conditions, &shared.traffic);
            }
            let now = Instant::now();
            while self.queue.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
                let Some(Reverse((_, number, bytes))) = self.queue.pop() else { break };
                shared.traffic.overtaken.fetch_add(u64::from(number < newest), Ordering::Relaxed);
                newest = newest.max(number);
                // A full device loses it, as networks do.
                let _ = self.to.send(&bytes);
            }
        }
    }

    fn take(&mut self, number: u64, bytes: &[u8], conditions: &Conditions, traffic: &Traffic) {
        traffic.packets.fetch_add(1, Ordering::Relaxed);
        let fates = conditions.fates(self.index, &mut self.rng);
        if fates[0].is_none() || self.queue.len() >= CABLE_PACKETS {
            traffic.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        traffic.repeated.fetch_add(u64::from(fates[1].is_some()), Ordering::Relaxed);
        let now = Instant::now();
        for time in fates.into_iter().flatten() {
            self.queue.push(Reverse((now + time, number, bytes.to_vec())));
        }
    }

    /// Waits for a packet, or until one is due.
    fn wait(&self) {
        let due = self.queue.peek().map(|Reverse((due, ..))| *due);
        let time = due.map_or(CABLE_STEP, |due| due.saturating_duration_since(Instant::now()));
        let time = time.min(CABLE_STEP);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        let device = self.from.as_fd();
        let mut waits = [PollFd::new(&device, PollFlags::IN)];
        let _ = poll(&mut waits, Some(&timeout));
        if waits[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            // The device is gone, and a poll would return at once from now on.
            thread::sleep(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const BAD: Conditions = Conditions {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(5),
        lost_permille: 50,
        repeated_permille: 50,
        cut: [false, false],
    };

    #[test]
    fn a_bad_cable_brings_all_bytes_in_the_end() {
        let cable = match Cable::lay(7) {
            Ok(cable) => cable,
            Err(why) => {
                eprintln!("skipped: {why}");
                return;
            }
        };
        cable.set(BAD);
        let bytes: Vec<u8> = (0..200_000_u32).map(|nth| (nth % 251) as u8).collect();
        let (server, clients) = (cable.server(), cable.clients());
        let (told, port) = std::sync::mpsc::channel();
        let reader = thread::spawn(move || {
            enter_network(&server).unwrap();
            let listener = TcpListener::bind((SERVER, 0)).unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let mut read = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut read).unwrap();
            read
        });
        let address = port.recv().unwrap();
        let sent = bytes.clone();
        let writer = thread::spawn(move || {
            enter_network(&clients).unwrap();
            TcpStream::connect(address).unwrap().write_all(&sent).unwrap();
        });
        writer.join().unwrap();
        assert!(reader.join().unwrap() == bytes);
        for count in [&cable.traffic().lost, &cable.traffic().repeated, &cable.traffic().overtaken]
        {
            assert!(count.load(Ordering::Relaxed) > 0, "{:?}", cable.traffic());
        }
    }

    #[test]
    fn fates_are_as_often_as_stated_and_a_cut_takes_all() {
        let mut rng = Rng::with_seed(1);
        let mut count = |conditions: &Conditions, wanted: [bool; 2]| {
            let fates = (0..10_000).map(|_| conditions.fates(1, &mut rng));
            fates.filter(|fates| fates.map(|fate| fate.is_some()) == wanted).count()
        };
        assert!((400..600).contains(&count(&BAD, [false, false])));
        assert!((400..600).contains(&count(&BAD, [true, true])));
        let cut = Conditions { cut: [false, true], ..Conditions::GOOD };
        assert_eq!(count(&cut, [false, false]), 10_000);
        assert_eq!(count(&Conditions { cut: [true, false], ..cut }, [true, false]), 10_000);
    }
}
