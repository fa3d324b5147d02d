//! What only the inside of a ring shows.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use super::*;

const SMALL: RingConfig = RingConfig {
    entries: 8,
    buffers: 4,
    buffer_bytes: 64,
    sockets_max: 64,
    sends_per_turn: 8,
    accepts_per_turn: 8,
};

fn pair(listener: &TcpListener) -> (OwnedFd, TcpStream) {
    let peer = TcpStream::connect(listener.local_addr().expect("an address")).expect("connect");
    let (ours, _) = listener.accept().expect("accept");
    (ours.into(), peer)
}

/// A completion of a socket that isn't there any more can't come by itself, because sockets
/// outlive what is in flight. So one is made from a real one.
#[test]
fn a_stale_completion_gives_its_buffer_back() {
    let mut ring = Ring::new(&SMALL).expect("a ring");
    let (ours, mut peer) = pair(&TcpListener::bind(("127.0.0.1", 0)).expect("listen"));
    let key = ring.add(ours).expect("room for a socket");
    for _ in 0..20 {
        peer.write_all(b"hello").expect("write");
        while ring.queues.completed() == 0 {
            ring.wait(Some(Duration::from_secs(1))).expect("wait");
        }
        let mut completed = ring.queues.pop().expect("a completion");
        assert!(completed.more && completed.buffer.is_some(), "{completed:?}");
        completed.token.key.generation = key.generation.wrapping_sub(1);
        ring.complete(completed, &mut |completion| panic!("{completion:?}"));
    }
    assert_eq!(ring.counters().stale_completions, 20);
    assert_eq!(ring.counters().enobufs, 0, "20 receives with 4 buffers");
}

/// `Drop` frees memory that the kernel was lent by this count, so it mustn't drift either way.
#[test]
fn at_the_end_of_a_ring_nothing_is_in_flight() {
    let mut ring = Ring::new(&SMALL).expect("a ring");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
    for round in 0..100 {
        let mut peers = Vec::new();
        let mut keys = Vec::new();
        for n in 0..20 {
            let (ours, mut peer) = pair(&listener);
            let key = ring.add(ours).expect("room for a socket");
            // Half of the sends are longer than what the kernel takes at once.
            ring.send(key, vec![7; [10, 8 << 20][n % 2]]).expect("an open socket");
            peer.write_all(&[7; 200]).expect("write");
            if (n + round) % 3 == 0 {
                ring.pause(key);
            }
            peers.push(peer);
            keys.push(key);
        }
        assert!(ring.queues.in_flight() >= 20);
        ring.wait(Some(Duration::ZERO)).expect("wait");
        ring.drain(|completion| drop(completion));
        for key in keys {
            if round % 2 == 0 {
                ring.close(key);
            }
            ring.abort(key);
        }
        let began = Instant::now();
        while ring.sockets() > 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", ring.counters());
            ring.wait(Some(Duration::from_millis(10))).expect("wait");
            ring.drain(|completion| drop(completion));
        }
        assert_eq!(ring.queues.in_flight(), 0, "round {round}");
    }
}

#[test]
fn a_ring_ends_only_when_the_kernel_is_through_with_its_memory() {
    let mut ring = Ring::new(&SMALL).expect("a ring");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
    let eventfd = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("eventfd");
    ring.watch(eventfd);
    let mut peers = Vec::new();
    for _ in 0..20 {
        let (ours, peer) = pair(&listener);
        let key = ring.add(ours).expect("room for a socket");
        ring.send(key, vec![7; 8 << 20]).expect("an open socket");
        peers.push(peer);
    }
    ring.listen(listener.into());
    ring.wait(Some(Duration::ZERO)).expect("wait");
    ring.drain(|completion| drop(completion));
    // Twenty receives, twenty sends that are stuck, an accept and a poll.
    assert_eq!(ring.queues.in_flight(), 42);
    assert!(ring.wind_up());
    assert_eq!(ring.queues.in_flight(), 0);
    assert_eq!(ring.sockets(), 0);
    // SAFETY: `drop` withdraws them, as ever.
    unsafe { ring.queues.offer(&ring.buffers) }.expect("to be withdrawn once more");
}
