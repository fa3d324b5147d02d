//! Waking a thread that sleeps, and only then.
//!
//! The consumer says that it is about to sleep, *then* looks once more for work; a producer hands
//! over its work, *then* looks whether the consumer sleeps. With a sequentially consistent fence on
//! both sides at least one of them sees the other, so no wake-up is lost.

use std::io;
#[cfg(not(loom))]
use std::os::fd::OwnedFd;

use super::parts::{AtomicBool, Event, Ordering, fence};

/// The bell of one consumer thread, shared by all its producers.
#[derive(Debug)]
pub struct Doorbell {
    sleeping: AtomicBool,
    event: Event,
}

impl Doorbell {
    /// A bell whose consumer is awake.
    pub fn new() -> io::Result<Self> {
        Ok(Doorbell { sleeping: AtomicBool::new(false), event: Event::new()? })
    }

    /// For producers, after handing over work: wakes the consumer if it sleeps.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            self.event.signal();
        }
    }

    /// For the consumer: sleeps in `wait`, which is told whether there is work all the same and
    /// must not block then. `is_work_there` has to look at everything that producers ring for.
    pub fn sleep<T>(
        &self,
        is_work_there: impl FnOnce() -> bool,
        wait: impl FnOnce(bool) -> T,
    ) -> T {
        // A store would do. But loom knows of the order of writes to one place only what follows from
        // other orders, and takes a producer's older write for a newer one; a swap has its place in it.
        self.sleeping.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let waited = wait(is_work_there());
        self.sleeping.store(false, Ordering::Relaxed);
        waited
    }

    /// For a consumer without a ring of its own to wait on, within [`Doorbell::sleep`]: blocks until
    /// the bell is rung.
    pub fn wait(&self) {
        self.event.wait();
    }

    /// An eventfd that is written to when the bell is rung, for a consumer that waits on it together
    /// with other things.
    #[cfg(not(loom))]
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.event.descriptor()
    }
}
