//! Waking a thread that sleeps, and only then.
//!
//! The consumer says that it is about to sleep, *then* looks once more for work; a producer hands
//! over its work, *then* looks whether the consumer sleeps. With a sequentially consistent fence on
//! both sides at least one of them sees the other, so no wake-up is lost.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};

/// The bell of one consumer thread, shared by all its producers.
#[derive(Debug)]
pub struct Doorbell {
    sleeping: AtomicBool,
    event: OwnedFd,
}

impl Doorbell {
    /// A bell whose consumer is awake.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Doorbell { sleeping: AtomicBool::new(false), event })
    }

    /// For producers, after handing over work: wakes the consumer if it sleeps.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            let one = 1u64.to_ne_bytes();
            // It fails only if the sum of unread wake-ups overflows 64 bits.
            let _ = rustix::io::write(&self.event, &one);
        }
    }

    /// For the consumer: says that it will sleep. It must look for work once more after this, and
    /// call [`Doorbell::awake`] if it finds some.
    pub fn about_to_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// For the consumer: says that it is up again.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// For a consumer that is stepped instead of blocked: whether the bell was rung since it said
    /// that it will sleep.
    #[must_use]
    pub fn was_rung(&self) -> bool {
        !self.sleeping.load(Ordering::Relaxed)
    }

    /// For a consumer without a ring of its own to wait on: blocks until the bell is rung.
    pub fn wait(&self) {
        let mut count = [0u8; 8];
        // An interrupted read is a spurious wake-up, which the consumer's loop takes in its stride.
        let _ = rustix::io::read(&self.event, &mut count);
    }

    /// The eventfd that is written to, for a consumer that waits on it together with other things.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.event.try_clone()
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
