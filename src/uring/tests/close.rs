//! The ends of a connection, from either side and in each other's way.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::super::ring::END_WAIT;
use super::*;

const STUCK_BYTES: usize = 1 << 20;

/// Fills the connection towards a peer that doesn't read, so that a send stays in flight.
fn stuck_send(bench: &mut Bench) -> (SocketKey, TcpStream) {
    let (ours, peer) = pair();
    SockRef::from(&ours).set_send_buffer_size(16_384).expect("SO_SNDBUF");
    let key = bench.ring.add(ours).expect("room for a socket");
    bench.ring.send(key, pattern(STUCK_BYTES)).expect("an open socket");
    bench.turn(Duration::ZERO);
    let is_sent =
        bench.events.iter().any(|event| matches!(event, Event::Sent(of, _) if *of == key));
    assert!(!is_sent, "more bytes than the kernel buffers");
    (key, peer)
}

fn read_to_end(peer: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn the_peers_end_is_reported_after_its_last_bytes() {
    let mut bench = Bench::new(SMALL);
    for round in 0..500 {
        let (key, mut peer) = bench.connect();
        if round % 2 == 0 {
            bench.turn(Duration::ZERO);
        }
        peer.write_all(b"last words").expect("write");
        drop(peer);
        assert_eq!(bench.receive(key, 10), b"last words");
        assert!(matches!(bench.closed(key), CloseReason::PeerEof));
    }
    assert_eq!(bench.ring.sockets(), 0);
}

#[test]
fn a_close_delivers_the_last_send_and_then_the_end() {
    let mut bench = Bench::new(SMALL);
    for round in 0..300 {
        let (key, mut peer) = bench.connect();
        if round % 3 != 0 {
            bench.turn(Duration::ZERO);
        }
        // Unread input would turn the end into a reset that destroys the last send.
        peer.write_all(&pattern(5_000)).expect("write");
        let last = pattern(1 + round * 997);
        bench.ring.send(key, last.clone()).expect("an open socket");
        if round % 2 == 0 {
            bench.turn(Duration::ZERO);
            bench.events.clear();
        }
        bench.ring.close(key);
        let reader = thread::spawn(move || read_to_end(&mut peer).map(|bytes| (bytes, peer)));
        bench.until("flushed", |_, events| {
            events.iter().any(|event| matches!(event, Event::Sent(..))) || round % 2 == 0
        });
        let peer = loop {
            bench.turn(Duration::from_millis(1));
            assert!(!bench.events.iter().any(|event| matches!(event, Event::Closed(..))));
            if reader.is_finished() {
                let (bytes, peer) = reader.join().expect("the reader").expect("no reset");
                assert!(bytes == last, "every byte came before the end");
                break peer;
            }
        };
        drop(peer);
        bench.until("closed", |ring, _| ring.sockets() == 0);
        assert!(
            matches!(bench.events.pop_back(), Some(Event::Closed(of, CloseReason::Local)) if of == key)
        );
        bench.events.clear();
    }
}

#[test]
fn input_after_a_close_is_discarded_until_the_peer_ends() {
    let mut bench = Bench::new(SMALL);
    for is_paused in [false, true] {
        let (key, mut peer) = bench.connect();
        if is_paused {
            bench.ring.pause(key);
            bench.turn(Duration::ZERO);
        }
        bench.ring.close(key);
        assert_eq!(read_to_end(&mut peer).expect("an orderly end"), b"");
        for _ in 0..100 {
            peer.write_all(&pattern(10_000)).expect("no reset while the peer still talks");
        }
        peer.shutdown(Shutdown::Write).expect("end");
        assert!(matches!(bench.closed(key), CloseReason::Local));
    }
    assert_eq!(bench.ring.counters().discarded_bytes, 2_000_000);
    assert_eq!(bench.ring.counters().received_bytes, 0);
}

#[test]
fn a_peer_that_half_closes_still_gets_what_is_being_flushed() {
    let mut bench = Bench::new(SMALL);
    let (key, mut peer) = stuck_send(&mut bench);
    bench.ring.close(key);
    peer.shutdown(Shutdown::Write).expect("end");
    bench.quiet();
    let reader = thread::spawn(move || read_to_end(&mut peer));
    assert_eq!(bench.sent(key).len(), 0);
    assert!(matches!(bench.closed(key), CloseReason::Local));
    let bytes = reader.join().expect("the reader").expect("an orderly end");
    assert!(bytes == pattern(STUCK_BYTES), "every byte came before the end");
}

#[test]
fn a_peer_that_never_ends_is_aborted() {
    let mut bench = Bench::new(SMALL);
    let (key, mut peer) = bench.connect();
    bench.ring.close(key);
    bench.quiet();
    bench.ring.abort(key);
    assert!(matches!(bench.closed(key), CloseReason::Local));
    assert_eq!(read_to_end(&mut peer).expect("the end came before the reset"), b"");
    bench.quiet();
}

#[test]
fn an_abort_resets_whatever_is_in_flight() {
    let mut bench = Bench::new(SMALL);
    for round in 0..300 {
        let (key, mut peer) = if round % 2 == 0 { stuck_send(&mut bench) } else { bench.connect() };
        if round % 3 == 0 {
            peer.write_all(&pattern(3_000)).expect("write");
        }
        if round % 5 == 0 {
            bench.ring.pause(key);
        }
        if round % 7 == 0 {
            bench.turn(Duration::ZERO);
            bench.events.clear();
        }
        bench.ring.abort(key);
        bench.ring.abort(key);
        bench.ring.close(key);
        assert!(matches!(bench.closed(key), CloseReason::Local));
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let error = read_to_end(&mut peer).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(bench.ring.sockets(), 0);
}

#[test]
fn a_peer_that_closes_during_a_send_ends_the_socket_once() {
    let mut bench = Bench::new(SMALL);
    for round in 0..200 {
        let (key, mut peer) = stuck_send(&mut bench);
        match round % 4 {
            // Unread bytes at the peer: RST.
            0 => drop(peer),
            // FIN, and the peer stays without reading.
            1 => {
                peer.shutdown(Shutdown::Write).expect("end");
                assert!(matches!(bench.closed(key), CloseReason::PeerEof));
                continue;
            }
            // Bytes, and RST right behind them.
            2 => {
                peer.write_all(b"bye").expect("write");
                SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
                drop(peer);
            }
            // Bytes and FIN at once.
            _ => {
                peer.write_all(b"bye").expect("write");
                peer.shutdown(Shutdown::Write).expect("end");
                bench.until("the end", |ring, _| ring.sockets() == 0);
                drop(peer);
            }
        }
        bench.until("the end", |ring, _| ring.sockets() == 0);
        let ends =
            bench.events.iter().filter(|event| matches!(event, Event::Closed(of, _) if *of == key));
        assert_eq!(ends.count(), 1, "{:?}", bench.events);
        bench.events.clear();
    }
    assert!(bench.ring.counters().short_writes > 0, "{:?}", bench.ring.counters());
}

/// On kernels that miss a reset behind the last bytes (see the module) the next send tells.
#[test]
fn a_reset_behind_the_last_bytes_is_seen_at_the_next_send_at_the_latest() {
    let mut bench = Bench::new(SMALL);
    for round in 0..2_000 {
        let (key, mut peer) = bench.connect();
        if round % 2 == 0 {
            bench.turn(Duration::ZERO);
        }
        peer.write_all(b"bye").expect("write");
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        drop(peer);
        for _ in 0..5 {
            if bench.ring.sockets() > 0 {
                bench.turn(Duration::from_millis(1));
            }
        }
        if bench.ring.sockets() > 0 {
            bench.ring.send(key, b"are you there".to_vec()).expect("an open socket");
        }
        bench.until("the end", |ring, _| ring.sockets() == 0);
        let end = bench.events.pop_back();
        assert!(
            matches!(&end, Some(Event::Closed(of, CloseReason::Error(_))) if *of == key),
            "{end:?}"
        );
        bench.events.clear();
    }
}

#[test]
fn a_close_of_a_connection_that_is_gone_ends() {
    let mut bench = Bench::new(SMALL);
    for round in 0..200 {
        let (key, mut peer) = bench.connect();
        bench.ring.pause(key);
        bench.turn(Duration::ZERO);
        if round % 2 == 0 {
            peer.write_all(b"bye").expect("write");
        }
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        drop(peer);
        bench.ring.close(key);
        bench.closed(key);
    }
}

#[test]
fn dropping_a_ring_with_everything_in_flight_ends_soon() {
    for _ in 0..5 {
        let mut bench = Bench::new(SMALL);
        let (listener, _) = listener();
        bench.ring.listen(listener.into());
        let mut peers = Vec::new();
        for n in 0..20 {
            peers.push(stuck_send(&mut bench));
            let (key, mut peer) = bench.connect();
            peer.write_all(&pattern(10_000)).expect("write");
            match n % 4 {
                0 => bench.ring.pause(key),
                1 => bench.ring.close(key),
                2 => bench.ring.detach(key),
                _ => bench.ring.abort(key),
            }
            peers.push((key, peer));
        }
        let began = std::time::Instant::now();
        drop(bench);
        // What the kernel kept would have been waited for.
        assert!(began.elapsed() < END_WAIT, "{:?}", began.elapsed());
        for (_, mut peer) in peers {
            // The kernel still sends what it took, so there is an end to read to.
            let mut bytes = Vec::new();
            let _ = peer.read_to_end(&mut bytes);
            assert!(pattern(STUCK_BYTES).starts_with(&bytes), "nothing but what was being sent");
        }
    }
}
