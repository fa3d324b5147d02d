//! Waking a waiting ring from another thread.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::EventfdFlags;

use super::*;

fn eventfd() -> OwnedFd {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd")
}

fn wake(eventfd: &OwnedFd) {
    let written = rustix::io::write(eventfd, &1_u64.to_ne_bytes()).expect("write");
    assert_eq!(written, 8);
}

#[test]
fn every_wake_up_ends_a_wait() {
    let mut bench = Bench::new(SMALL);
    let ours = eventfd();
    let theirs = ours.try_clone().expect("another descriptor of it");
    bench.ring.watch(ours);
    let (send, receive) = mpsc::channel::<u32>();
    let waker = thread::spawn(move || {
        for round in receive {
            if round % 3 == 0 {
                thread::sleep(Duration::from_micros(100));
            }
            wake(&theirs);
        }
    });
    for round in 0..3_000 {
        send.send(round).expect("the waker");
        assert!(matches!(bench.next(), Event::Woken));
    }
    drop(send);
    waker.join().expect("the waker");
    bench.quiet();
}

#[test]
fn wake_ups_are_reported_once_a_turn() {
    let mut bench = Bench::new(SMALL);
    let ours = eventfd();
    let theirs = ours.try_clone().expect("another descriptor of it");
    bench.ring.watch(ours);
    bench.turn(Duration::ZERO);
    for _ in 0..10 {
        wake(&theirs);
    }
    assert!(matches!(bench.next(), Event::Woken));
    bench.quiet();
}

/// A full completion queue ends the poll of the eventfd; it is armed again, and no wake-up is lost.
#[test]
fn wake_ups_survive_a_full_completion_queue() {
    const SOCKETS: usize = 200;
    let config =
        RingConfig { entries: 8, buffers: 8, sends_per_turn: 1, accepts_per_turn: 1, ..SMALL };
    let mut bench = Bench::new(config);
    let ours = eventfd();
    let theirs = ours.try_clone().expect("another descriptor of it");
    bench.ring.watch(ours);
    let sockets: Vec<_> = (0..SOCKETS).map(|_| bench.connect()).collect();
    for round in 1..=50 {
        for (key, _) in &sockets {
            bench.ring.send(*key, b"x".to_vec()).expect("an open socket");
        }
        wake(&theirs);
        bench.until("woken and all sent", |ring, events| {
            ring.counters().sent_bytes == round * SOCKETS as u64
                && events.iter().any(|event| matches!(event, Event::Woken))
        });
        bench.events.clear();
        wake(&theirs);
        bench.until("woken", |_, events| events.iter().any(|event| matches!(event, Event::Woken)));
        bench.events.clear();
    }
    assert!(bench.ring.counters().cq_overflows > 0, "{:?}", bench.ring.counters());
}

#[test]
fn a_wait_ends_with_its_time() {
    let mut bench = Bench::new(SMALL);
    let began = Instant::now();
    bench.ring.wait(Some(Duration::from_millis(30))).expect("wait");
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(bench.ring.drain(|_| ()), 0);
    // One that waited would do so each time; a busy machine delays some.
    let waits = (0..50).map(|_| {
        let began = Instant::now();
        bench.ring.wait(Some(Duration::ZERO)).expect("wait");
        began.elapsed()
    });
    assert!(waits.min().expect("fifty of them") < Duration::from_millis(1));
}

#[test]
fn a_wait_does_not_sleep_over_what_is_to_be_reported() {
    let mut bench = Bench::new(SMALL);
    let (ours, mut peer) = pair();
    let key = bench.ring.add_once(ours).expect("room for a socket");
    std::io::Write::write_all(&mut peer, b"x").expect("write");
    bench.receive(key, 1);
    // Nothing is in flight, so this is over at once, but it is for `drain` to say so.
    bench.ring.abort(key);
    let began = Instant::now();
    bench.ring.wait(Some(PATIENCE)).expect("wait");
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(bench.ring.drain(|_| ()), 1);
}
