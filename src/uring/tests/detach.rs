//! Handing a connection from one ring to another.

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

/// Runs a socket on the first ring until some bytes came, then on a second one in another thread.
/// Returns all bytes in the order of their reports.
fn hand_over(is_once: bool, bytes: &[u8]) -> Vec<u8> {
    let (ours, mut peer) = pair();
    let sent = bytes.to_vec();
    let writer = thread::spawn(move || {
        for chunk in sent.chunks(1_000) {
            peer.write_all(chunk).expect("write");
        }
    });
    let (send_fd, receive_fd) = mpsc::channel();
    let second = thread::spawn(move || {
        let mut bench = Bench::new(SMALL);
        let key = bench.ring.add(receive_fd.recv().expect("a socket")).expect("room for a socket");
        let mut received = Vec::new();
        loop {
            match bench.next() {
                Event::Received(of, bytes) if of == key => received.extend(bytes),
                Event::Closed(of, CloseReason::PeerEof) if of == key => return received,
                other => panic!("{other:?}"),
            }
        }
    });

    let mut bench = Bench::new(SMALL);
    let added = if is_once { bench.ring.add_once(ours) } else { bench.ring.add(ours) };
    let key = added.expect("room for a socket");
    let mut received = Vec::new();
    while received.is_empty() {
        match bench.next() {
            Event::Received(of, bytes) if of == key => received.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    bench.ring.detach(key);
    loop {
        match bench.next() {
            Event::Received(of, bytes) if of == key => received.extend(bytes),
            Event::Detached(of, fd) if of == key => {
                send_fd.send(fd).expect("the second ring");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.ring.sockets(), 0);
    received.extend(second.join().expect("the second ring"));
    writer.join().expect("the writer");
    received
}

#[test]
fn a_socket_changes_rings_in_full_flow_without_losing_a_byte() {
    let bytes = pattern(300_000);
    for round in 0..60 {
        assert!(hand_over(round % 2 == 0, &bytes) == bytes, "the bytes came in their order");
    }
}

#[test]
fn a_detach_after_one_report_needs_no_cancel() {
    let mut bench = Bench::new(SMALL);
    let (ours, mut peer) = pair();
    let key = bench.ring.add_once(ours).expect("room for a socket");
    peer.write_all(b"hello").expect("write");
    bench.receive(key, 5);
    bench.ring.detach(key);
    bench.ring.drain(|completion| bench.events.push_back(Event::of(completion)));
    assert!(matches!(bench.events.pop_front(), Some(Event::Detached(of, _)) if of == key));
}

/// The bytes lie where they may: in the kernel's buffer, behind a pause, behind a shortage of buffers.
#[test]
fn bytes_that_nobody_took_go_along() {
    let mut first = Bench::new(RingConfig { buffers: 2, buffer_bytes: 64, ..SMALL });
    let mut second = Bench::new(SMALL);
    let sent = pattern(50_000);
    for round in 0..200 {
        let (key, mut peer) = first.connect();
        if round % 2 == 0 {
            first.ring.pause(key);
        }
        if round % 3 != 0 {
            first.turn(Duration::ZERO);
        }
        peer.write_all(&sent).expect("write");
        if round % 5 == 0 {
            first.turn(Duration::ZERO);
        }
        first.ring.detach(key);
        let mut received = Vec::new();
        let fd = loop {
            match first.next() {
                Event::Received(of, bytes) if of == key => received.extend(bytes),
                Event::Detached(of, fd) if of == key => break fd,
                other => panic!("{other:?}"),
            }
        };
        let key = second.ring.add(fd).expect("room for a socket");
        received.extend(second.receive(key, sent.len() - received.len()));
        assert!(received == sent, "the bytes came in their order");
        drop(peer);
        assert!(matches!(second.closed(key), CloseReason::PeerEof));
    }
    assert!(first.ring.counters().enobufs > 0, "{:?}", first.ring.counters());
}

#[test]
fn a_detach_waits_for_the_send_in_flight() {
    use std::io::Read;
    let mut bench = Bench::new(SMALL);
    let (ours, mut peer) = pair();
    let key = bench.ring.add(ours).expect("room for a socket");
    let sent = pattern(16 << 20);
    bench.ring.send(key, sent.clone()).expect("an open socket");
    bench.ring.detach(key);
    bench.quiet();
    let reader = thread::spawn(move || {
        let mut received = vec![0; 16 << 20];
        peer.read_exact(&mut received).expect("read");
        (received, peer)
    });
    bench.sent(key);
    let Event::Detached(of, fd) = bench.next() else { panic!("detached after the send") };
    assert_eq!(of, key);
    let (received, mut peer) = reader.join().expect("the reader");
    assert!(received == sent, "every byte came");
    let key = bench.ring.add(fd).expect("room for a socket");
    peer.write_all(b"still here").expect("write");
    assert_eq!(bench.receive(key, 10), b"still here");
}

#[test]
fn a_connection_that_ends_during_a_detach_ends_once() {
    let mut bench = Bench::new(SMALL);
    for round in 0..300 {
        let (key, mut peer) = bench.connect();
        bench.turn(Duration::ZERO);
        if round % 2 == 0 {
            peer.write_all(b"bye").expect("write");
        }
        bench.ring.detach(key);
        drop(peer);
        bench.until("the end", |ring, _| ring.sockets() == 0);
        let ends = bench.events.iter().filter(
            |event| matches!(event, Event::Closed(of, _) | Event::Detached(of, _) if *of == key),
        );
        assert_eq!(ends.count(), 1, "{:?}", bench.events);
        bench.events.clear();
    }
}
