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
        self.about_to_sleep();
        let waited = wait(is_work_there());
        self.awake();
        waited
    }

    /// For a consumer that can't sleep in a closure: says that it will sleep. It must look for work once
    /// more after this, and call [`Doorbell::awake`] once it doesn't sleep.
    pub fn about_to_sleep(&self) {
        // A store would do. But loom knows of the order of writes to one place only what follows from
        // other orders, and takes a producer's older write for a newer one; a swap has its place in it.
        self.sleeping.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// For the same: says that it is up again.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// For a consumer that is stepped instead of blocked: whether the bell was rung since it said
    /// that it will sleep.
    #[must_use]
    pub fn was_rung(&self) -> bool {
        !self.sleeping.load(Ordering::Relaxed)
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
