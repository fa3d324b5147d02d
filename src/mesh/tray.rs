//! Where many threads leave things for one.

use std::sync::Arc;

use super::Doorbell;
use super::parts::{ArrayQueue, AtomicBool, Ordering, pause};

/// A bounded queue with many producers, who may wait, and one consumer, who doesn't.
#[derive(Debug)]
pub struct Tray<T> {
    queue: ArrayQueue<T>,
    doorbell: Arc<Doorbell>,
    /// The consumer has ended.
    is_abandoned: AtomicBool,
}

impl<T> Tray<T> {
    /// Room for `capacity` things to the consumer with this doorbell.
    #[must_use]
    pub fn new(capacity: usize, doorbell: Arc<Doorbell>) -> Self {
        Tray { queue: ArrayQueue::new(capacity), doorbell, is_abandoned: AtomicBool::new(false) }
    }

    /// For producers: leaves a thing, waiting for room if need be. Nobody waits for a consumer that
    /// has ended: what is left for it is dropped.
    pub fn give(&self, mut thing: T) {
        while let Err(refused) = self.offer(thing) {
            if self.is_abandoned.load(Ordering::Relaxed) {
                return;
            }
            thing = refused;
            pause();
        }
    }

    /// For producers: leaves a thing if there is room, and wakes the consumer in any case.
    pub fn offer(&self, thing: T) -> Result<(), T> {
        let offered = self.queue.push(thing);
        self.doorbell.ring();
        offered
    }

    /// For the consumer: the oldest thing.
    pub fn take(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// For the consumer: it takes nothing any more.
    pub fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }
}
