//! Receiving: pausing, a shortage of buffers, and sockets that take too much.

use std::collections::HashMap;
use std::io::Write;
use std::thread;
use std::time::Duration;

use super::*;

#[test]
fn pausing_and_resuming_loses_and_reorders_nothing() {
    const BYTES: usize = 4 << 20;
    let mut bench = Bench::new(SMALL);
    let (key, mut peer) = bench.connect();
    let sent = pattern(BYTES);
    let expected = sent.clone();
    let writer = thread::spawn(move || peer.write_all(&sent).map(|()| peer).expect("write"));
    let mut received = Vec::new();
    let mut step = 0_u32;
    while received.len() < BYTES {
        for event in std::mem::take(&mut bench.events) {
            match event {
                Event::Received(of, bytes) if of == key => received.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        // All orders of the calls, with and without turns between them.
        step += 1;
        match step % 7 {
            0 | 3 => bench.ring.pause(key),
            2 => bench.ring.resume_once(key),
            4 => {
                bench.ring.resume(key);
                bench.ring.pause(key);
                bench.ring.resume(key);
            }
            5 => {
                bench.ring.pause(key);
                bench.ring.resume_once(key);
            }
            _ => bench.ring.resume(key),
        }
        bench.turn(Duration::from_millis(1));
    }
    assert!(received == expected, "the bytes came in their order");
    bench.ring.resume(key);
    drop(writer.join().expect("the writer"));
    assert!(matches!(bench.closed(key), CloseReason::PeerEof));
}

#[test]
fn a_paused_socket_reports_nothing_and_holds_its_peer_back() {
    for _ in 0..50 {
        let mut bench = Bench::new(SMALL);
        let (key, mut peer) = bench.connect();
        bench.ring.pause(key);
        bench.turn(Duration::ZERO);
        bench.turn(Duration::ZERO);
        peer.write_all(b"later").expect("write");
        for _ in 0..3 {
            bench.turn(Duration::from_millis(1));
        }
        assert!(bench.events.is_empty(), "{:?}", bench.events);
        bench.ring.resume(key);
        assert_eq!(bench.receive(key, 5), b"later");
    }
    let mut bench = Bench::new(SMALL);
    let (key, mut peer) = bench.connect();
    bench.ring.pause(key);
    bench.turn(Duration::ZERO);
    peer.set_write_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let error = peer.write_all(&vec![0; 64 << 20]).expect_err("the kernel's buffers are finite");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    bench.quiet();
}

#[test]
fn once_means_one_report() {
    let mut bench = Bench::new(SMALL);
    let (ours, mut peer) = pair();
    let key = bench.ring.add_once(ours).expect("room for a socket");
    for round in 0..100_u8 {
        peer.write_all(&[round; 10]).expect("write");
        assert_eq!(bench.receive(key, 10), [round; 10]);
        peer.write_all(&[round; 7]).expect("write");
        bench.turn(Duration::ZERO);
        bench.turn(Duration::ZERO);
        assert!(bench.events.is_empty(), "{:?}", bench.events);
        bench.ring.resume_once(key);
        assert_eq!(bench.receive(key, 7), [round; 7]);
        bench.ring.resume_once(key);
    }
    peer.write_all(b"a").expect("write");
    bench.receive(key, 1);
    bench.ring.resume(key);
    for _ in 0..3 {
        peer.write_all(b"b").expect("write");
        bench.receive(key, 1);
    }
    drop(peer);
    assert!(matches!(bench.closed(key), CloseReason::PeerEof));
}

#[test]
fn a_shortage_of_buffers_loses_nothing_and_is_retried_sparingly() {
    const SOCKETS: usize = 200;
    const ROUNDS: usize = 20;
    let mut bench = Bench::new(RingConfig { buffers: 8, buffer_bytes: 64, ..SMALL });
    let mut peers: HashMap<SocketKey, std::net::TcpStream> = HashMap::new();
    for _ in 0..SOCKETS {
        let (key, peer) = bench.connect();
        peers.insert(key, peer);
    }
    let mut received: HashMap<SocketKey, Vec<u8>> = HashMap::new();
    let message = pattern(300);
    for round in 1..=ROUNDS {
        for peer in peers.values_mut() {
            peer.write_all(&message).expect("write");
        }
        let wanted = (round * SOCKETS * message.len()) as u64;
        bench.until("all received", |ring, _| ring.counters().received_bytes == wanted);
        for event in bench.events.drain(..) {
            match event {
                Event::Received(key, bytes) => received.entry(key).or_default().extend(bytes),
                other => panic!("{other:?}"),
            }
        }
    }
    for key in peers.keys() {
        assert!(received[key] == message.repeat(ROUNDS), "the bytes came in their order");
    }
    let counters = bench.ring.counters();
    let messages = (SOCKETS * ROUNDS) as u64;
    assert!(counters.enobufs > 0, "the test is about this: {counters:?}");
    assert!(counters.enobufs < messages * 4, "{counters:?}");
}

#[test]
fn a_flooding_socket_does_not_starve_the_others() {
    let mut bench = Bench::new(RingConfig { buffers: 16, buffer_bytes: 256, ..SMALL });
    let (flooder, mut peer) = bench.connect();
    let flood = thread::spawn(move || while peer.write_all(&[0; 16_384]).is_ok() {});
    let (quiet, mut quiet_peer) = bench.connect();
    bench.until("a flood", |ring, _| ring.counters().received_bytes > 1 << 20);
    for _ in 0..200 {
        bench.events.clear();
        quiet_peer.write_all(b"hello").expect("write");
        let mut turns = 0;
        while !bench
            .events
            .iter()
            .any(|event| matches!(event, Event::Received(key, _) if *key == quiet))
        {
            bench.events.clear();
            bench.turn(Duration::from_millis(100));
            turns += 1;
            assert!(turns < 20, "{:?}", bench.ring.counters());
        }
    }
    assert!(bench.ring.counters().rests > 0, "{:?}", bench.ring.counters());
    bench.ring.abort(flooder);
    bench.until("the end", |ring, _| ring.sockets() == 1);
    flood.join().expect("the flood");
}

#[test]
fn a_full_completion_queue_is_survived() {
    const SOCKETS: usize = 500;
    let config =
        RingConfig { entries: 8, buffers: 32, sends_per_turn: 1, accepts_per_turn: 1, ..SMALL };
    let mut bench = Bench::new(config);
    let mut sockets: Vec<_> = (0..SOCKETS).map(|_| bench.connect()).collect();
    for round in 1..=10_u64 {
        // Every send completes as it is submitted, with nobody looking at the queue meanwhile.
        for (key, peer) in &mut sockets {
            peer.write_all(b"from them").expect("write");
            bench.ring.send(*key, b"from us".to_vec()).expect("an open socket");
        }
        let (theirs, ours) = (round * 9 * SOCKETS as u64, round * 7 * SOCKETS as u64);
        bench.until("all sent and received", |ring, _| {
            let counters = ring.counters();
            counters.received_bytes == theirs && counters.sent_bytes == ours
        });
    }
    let sent = bench.events.iter().filter(|event| matches!(event, Event::Sent(..))).count();
    assert_eq!(sent, 10 * SOCKETS);
    assert!(bench.ring.counters().cq_overflows > 0, "{:?}", bench.ring.counters());
}
