//! Waking a waiting ring from another thread.

use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

fn eventfd() -> OwnedFd {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn wake(eventfd: &OwnedFd) {
    let one = 1_u64;
    // SAFETY: eight bytes that live for the call.
    let written = unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), 8) };
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

#[test]
fn a_wait_ends_with_its_time() {
    let mut bench = Bench::new(SMALL);
    let began = Instant::now();
    bench.ring.wait(Some(Duration::from_millis(30))).expect("wait");
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(bench.ring.drain(|_| ()), 0);
    let began = Instant::now();
    bench.ring.wait(Some(Duration::ZERO)).expect("wait");
    assert!(began.elapsed() < Duration::from_millis(20));
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
    bench.ring.wait(Some(Duration::from_secs(2))).expect("wait");
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(bench.ring.drain(|_| ()), 1);
}
