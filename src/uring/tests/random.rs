//! Everything that an owner and a peer can do, in an order drawn from a seed, on a ring that is too
//! small for it: cancels, ends, sends and shortages in each other's way. A seed doesn't fix what the
//! kernel does meanwhile, so a failure may need several runs to come again.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::*;

const STEPS: usize = 4_000;
const SOCKETS_MAX: usize = 24;

/// What a test knows of one connection.
struct Known {
    peer: TcpStream,
    /// Bytes of the pattern that the peer wrote, and that the ring reported.
    written: usize,
    reported: usize,
    /// Bytes of the pattern that were given to the ring, and that the peer read.
    given: usize,
    read: usize,
    is_sending: bool,
}

struct World {
    bench: Bench,
    known: HashMap<SocketKey, Known>,
    /// By key, so that a choice depends on the seed alone.
    keys: Vec<SocketKey>,
    ends: usize,
    detached: usize,
    random: u64,
    pattern: Vec<u8>,
}

impl World {
    fn new(seed: u64, config: RingConfig) -> World {
        World {
            bench: Bench::new(config),
            known: HashMap::new(),
            keys: Vec::new(),
            ends: 0,
            detached: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            pattern: pattern(8 << 20),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }

    fn connect(&mut self) {
        let (ours, peer) = pair();
        if self.below(2) == 0 {
            SockRef::from(&ours).set_send_buffer_size(4_096).expect("SO_SNDBUF");
        }
        peer.set_nonblocking(true).expect("non-blocking");
        self.add(
            ours,
            Known { peer, written: 0, reported: 0, given: 0, read: 0, is_sending: false },
        );
    }

    fn add(&mut self, fd: OwnedFd, known: Known) {
        let ring = &mut self.bench.ring;
        let added = if known.written.is_multiple_of(2) { ring.add(fd) } else { ring.add_once(fd) };
        let key = added.expect("room for a socket");
        self.keys.push(key);
        assert!(self.known.insert(key, known).is_none(), "a key is used once");
    }

    /// One thing that the owner or a peer does.
    fn step(&mut self) {
        if self.keys.is_empty() || (self.keys.len() < SOCKETS_MAX && self.below(8) == 0) {
            self.connect();
        }
        let index = self.below(self.keys.len());
        let key = self.keys[index];
        let len = 1 + self.below(20_000);
        let choice = self.below(40);
        let known = self.known.get_mut(&key).expect("a known socket");
        let ring = &mut self.bench.ring;
        match choice {
            0..=2 => ring.pause(key),
            3..=6 => ring.resume(key),
            7..=8 => ring.resume_once(key),
            9 => ring.detach(key),
            10 => ring.close(key),
            11 => ring.abort(key),
            12..=19 if !known.is_sending => {
                let bytes = self.pattern[known.given..][..len].to_vec();
                if ring.send(key, bytes).is_ok() {
                    known.given += len;
                    known.is_sending = true;
                }
            }
            20..=31 => {
                let bytes = &self.pattern[known.written..][..len];
                known.written += (&known.peer).write(bytes).unwrap_or(0);
            }
            32..=37 => known.read_some(&self.pattern),
            38 => {
                let _ = known.peer.shutdown(Shutdown::Write);
            }
            39 => {
                SockRef::from(&known.peer).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
                let _ = known.peer.shutdown(Shutdown::Both);
            }
            _ => {}
        }
    }

    fn turn(&mut self, timeout: Duration) {
        self.bench.turn(timeout);
        while let Some(event) = self.bench.events.pop_front() {
            self.judge(event);
        }
    }

    fn judge(&mut self, event: Event) {
        match event {
            Event::Received(key, bytes) => {
                let known = self.known.get_mut(&key).expect("bytes of a socket that is alive");
                let expected = &self.pattern[known.reported..][..bytes.len()];
                assert!(bytes == expected, "the bytes came in their order");
                known.reported += bytes.len();
                assert!(known.reported <= known.written);
            }
            Event::Sent(key, buffer) => {
                let known = self.known.get_mut(&key).expect("a send of a socket that is alive");
                assert!(known.is_sending && buffer.is_empty());
                known.is_sending = false;
            }
            Event::Closed(key, _) => {
                self.remove(key);
                self.ends += 1;
            }
            Event::Detached(key, fd) => {
                let known = self.remove(key);
                assert!(!known.is_sending, "detached after the send");
                self.detached += 1;
                self.add(fd, known);
            }
            other => panic!("{other:?}"),
        }
    }

    fn remove(&mut self, key: SocketKey) -> Known {
        self.keys.retain(|&other| other != key);
        assert!(!self.bench.ring.contains(key));
        self.known.remove(&key).expect("a socket ends once")
    }

    fn end(&mut self) {
        for &key in &self.keys {
            self.bench.ring.abort(key);
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.keys.is_empty() {
            assert!(Instant::now() < deadline, "{:?}", self.bench.ring.counters());
            self.turn(Duration::from_millis(10));
        }
        assert_eq!(self.bench.ring.sockets(), 0);
    }
}

impl Known {
    fn read_some(&mut self, pattern: &[u8]) {
        let mut bytes = [0; 16_384];
        match self.peer.read(&mut bytes) {
            Ok(count) => {
                assert!(bytes[..count] == pattern[self.read..][..count], "in their order");
                self.read += count;
                assert!(self.read <= self.given);
            }
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                ),
                "{error}"
            ),
        }
    }
}

/// Every buffer is with the kernel again: as many receives as there are buffers find one.
fn assert_no_buffer_is_lost(bench: &mut Bench, buffers: usize) {
    let mut sockets: Vec<_> = (0..buffers).map(|_| bench.connect()).collect();
    let before = bench.ring.counters().enobufs;
    bench.turn(Duration::ZERO);
    for (_, peer) in &mut sockets {
        peer.write_all(b"x").expect("write");
    }
    bench.until("all received", |_, events| events.len() == buffers);
    assert_eq!(bench.ring.counters().enobufs, before);
    assert!(bench.events.iter().all(|event| matches!(event, Event::Received(..))));
}

#[test]
fn whatever_is_done_to_sockets_each_ends_once_and_keeps_its_bytes() {
    let buffers = 4;
    let tight = RingConfig {
        entries: 4,
        buffers,
        buffer_bytes: 256,
        sends_per_turn: 1,
        accepts_per_turn: 1,
        ..SMALL
    };
    let (mut ends, mut detached) = (0, 0);
    for seed in 0..8 {
        let mut world = World::new(seed, tight);
        for step in 0..STEPS {
            world.step();
            if step % 3 == 0 {
                world.turn(Duration::ZERO);
            }
        }
        world.end();
        let counters = *world.bench.ring.counters();
        assert!(counters.enobufs > 0 && counters.rearms > 0, "seed {seed}: {counters:?}");
        assert_eq!(counters.stale_completions, 0, "seed {seed}: sockets outlive what is in flight");
        assert_no_buffer_is_lost(&mut world.bench, usize::from(buffers));
        (ends, detached) = (ends + world.ends, detached + world.detached);
    }
    assert!(ends > 500 && detached > 200, "{ends} ends, {detached} detached");
}

/// The ring goes while all of that is under way: what the kernel still uses must outlive it.
#[test]
fn a_ring_can_be_dropped_in_the_middle_of_it() {
    for seed in 100..140 {
        let config = RingConfig { entries: 4, buffers: 4, buffer_bytes: 256, ..SMALL };
        let mut world = World::new(seed, config);
        for step in 0..150 {
            world.step();
            if step % 5 == 0 {
                world.turn(Duration::ZERO);
            }
        }
        let World { bench, known, pattern, .. } = world;
        drop(bench);
        for mut known in known.into_values() {
            known.peer.set_nonblocking(false).expect("blocking");
            let mut bytes = Vec::new();
            // It may end in a reset; what came before is what was sent.
            let _ = known.peer.read_to_end(&mut bytes);
            assert!(pattern[known.read..].starts_with(&bytes), "nothing but what was being sent");
        }
    }
}
