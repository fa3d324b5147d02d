//! What the mesh is built on: the machine's atomics, queues from crates, and an eventfd. Under
//! `--cfg loom` the file `model.rs` takes the place of this one.

pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};

use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

pub(super) use crossbeam_queue::ArrayQueue;
pub(super) use rtrb::{Consumer, Producer, PushError, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};

/// How long a thread that may wait does so before it looks for room again.
const PAUSE: Duration = Duration::from_micros(50);

/// Something to wait for: an eventfd.
#[derive(Debug)]
pub(super) struct Event(OwnedFd);

impl Event {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Event(eventfd(0, EventfdFlags::CLOEXEC)?))
    }

    /// Ends a wait: the one under way, or else the next.
    pub(super) fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // It fails only if the sum of unread signals overflows 64 bits.
        let _ = rustix::io::write(&self.0, &one);
    }

    /// Waits for a signal. May return without one.
    pub(super) fn wait(&self) {
        let mut count = [0u8; 8];
        // An interrupted read is a spurious wake-up, which the consumer's loop takes in its stride.
        let _ = rustix::io::read(&self.0, &mut count);
    }

    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

/// Waits a little, where another thread has to make room.
pub(super) fn pause() {
    thread::sleep(PAUSE);
}
