//! Sending: one at a time, whole, even to a peer that doesn't read.

use std::io::Read;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::*;

#[test]
fn a_stalling_reader_gets_every_byte() {
    const BYTES: usize = 3 << 20;
    let mut bench = Bench::new(SMALL);
    let (ours, mut peer) = pair();
    SockRef::from(&ours).set_send_buffer_size(16_384).expect("SO_SNDBUF");
    let key = bench.ring.add(ours).expect("room for a socket");
    let expected = pattern(BYTES);
    bench.ring.send(key, expected.clone()).expect("an open socket");
    bench.quiet();
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        let mut chunk = vec![0; 100_000];
        while received.len() < BYTES {
            let len = peer.read(&mut chunk).expect("read");
            received.extend_from_slice(&chunk[..len]);
            if received.len() % 7 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
        }
        (received, peer)
    });
    let buffer = bench.sent(key);
    assert!(buffer.is_empty() && buffer.capacity() >= BYTES, "the buffer comes back for reuse");
    let (received, _peer) = reader.join().expect("the reader");
    assert!(received == expected, "the bytes came in their order");
    assert_eq!(bench.ring.counters().sent_bytes, BYTES as u64);
}

#[test]
fn sends_follow_one_another_in_order() {
    let mut bench = Bench::new(SMALL);
    let (key, mut peer) = bench.connect();
    let mut buffer = Vec::new();
    for round in 0..1_000_u32 {
        buffer.extend_from_slice(&round.to_le_bytes());
        bench.ring.send(key, buffer).expect("an open socket");
        buffer = bench.sent(key);
    }
    let mut received = vec![0; 4_000];
    peer.read_exact(&mut received).expect("read");
    let expected: Vec<u8> = (0..1_000_u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(received, expected);
}

#[test]
fn more_sends_than_fit_the_queue_are_submitted_early() {
    let mut bench = Bench::new(RingConfig { entries: 4, ..SMALL });
    let mut sockets: Vec<_> = (0..100).map(|_| bench.connect()).collect();
    for (key, _) in &sockets {
        bench.ring.send(*key, pattern(100)).expect("an open socket");
    }
    bench.until("all sent", |_, events| events.len() == 100);
    for (_, peer) in &mut sockets {
        let mut received = vec![0; 100];
        peer.read_exact(&mut received).expect("read");
        assert_eq!(received, pattern(100));
    }
}

#[test]
#[should_panic(expected = "one send in flight")]
fn a_second_send_before_the_first_is_sent_is_a_bug() {
    let mut bench = Bench::new(SMALL);
    let (key, _peer) = bench.connect();
    bench.ring.send(key, b"first".to_vec()).expect("an open socket");
    let _ = bench.ring.send(key, b"second".to_vec());
}

#[test]
fn a_dead_key_gives_the_bytes_back() {
    let mut bench = Bench::new(SMALL);
    let (key, peer) = bench.connect();
    drop(peer);
    bench.closed(key);
    assert_eq!(bench.ring.send(key, b"late".to_vec()), Err(b"late".to_vec()));
    let (reused, _peer) = bench.connect();
    assert_eq!(reused.slot, key.slot);
    assert_eq!(bench.ring.send(key, b"late".to_vec()), Err(b"late".to_vec()));
}
