//! One direction between two threads.

use std::collections::VecDeque;
use std::sync::Arc;

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::Doorbell;
use crate::faults::{Fault, is_planted};

/// The sending end.
#[derive(Debug)]
pub struct Outlet<T> {
    ring: Producer<T>,
    /// What didn't fit, oldest first. Empty unless the ring was full.
    backlog: VecDeque<T>,
    doorbell: Arc<Doorbell>,
    unrung: bool,
}

/// The receiving end.
#[derive(Debug)]
pub struct Inlet<T> {
    ring: Consumer<T>,
}

/// A lane whose ring holds `capacity` things and whose consumer is woken by `doorbell`.
#[must_use]
pub fn lane<T>(capacity: usize, doorbell: Arc<Doorbell>) -> (Outlet<T>, Inlet<T>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let outlet = Outlet { ring: producer, backlog: VecDeque::new(), doorbell, unrung: false };
    (outlet, Inlet { ring: consumer })
}

impl<T> Outlet<T> {
    /// Hands `thing` over, after everything before it. Doesn't wake the consumer: that is
    /// [`Outlet::flush`]'s, once for many.
    pub fn push(&mut self, thing: T) {
        self.unrung = true;
        if !self.backlog.is_empty() && !is_planted(Fault::BacklogOvertaken) {
            self.backlog.push_back(thing);
        } else if let Err(PushError::Full(thing)) = self.ring.push(thing)
            && !is_planted(Fault::FullRingDrops)
        {
            self.backlog.push_back(thing);
        }
    }

    /// Moves what fits from the backlog into the ring, and wakes the consumer if it sleeps and
    /// something new is there.
    pub fn flush(&mut self) {
        if self.ring.is_abandoned() {
            // The consumer has ended; nobody will ever take it.
            self.backlog.clear();
        }
        while let Some(thing) = self.backlog.pop_front() {
            if let Err(PushError::Full(thing)) = self.ring.push(thing) {
                self.backlog.push_front(thing);
                break;
            }
        }
        let is_unrung = std::mem::take(&mut self.unrung);
        if is_unrung || (!self.backlog.is_empty() && !is_planted(Fault::LostWakeUp)) {
            self.doorbell.ring();
        }
    }

    /// How many things wait for the ring to have room.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// The newest thing that waits, to be merged with what follows it.
    pub fn newest_waiting(&mut self) -> Option<&mut T> {
        self.backlog.back_mut()
    }
}

impl<T> Inlet<T> {
    /// The oldest thing.
    pub fn pop(&mut self) -> Option<T> {
        self.ring.pop().ok()
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// How many things are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.slots()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_keeps_the_order_and_loses_nothing() {
        let doorbell = Arc::new(Doorbell::new().expect("eventfd"));
        let (mut outlet, mut inlet) = lane(4, doorbell);
        let mut next = 0;
        for i in 0..100 {
            outlet.push(i);
            if i % 7 == 0 {
                outlet.flush();
                while let Some(got) = inlet.pop() {
                    assert_eq!(got, next);
                    next += 1;
                }
            }
        }
        while next < 100 {
            outlet.flush();
            while let Some(got) = inlet.pop() {
                assert_eq!(got, next);
                next += 1;
            }
        }
        assert_eq!(outlet.backlog(), 0);
    }

    const COUNT: u32 = 50_000;

    #[test]
    fn a_sleeping_consumer_never_misses_a_wake_up() {
        let doorbell = Arc::new(Doorbell::new().expect("eventfd"));
        let (mut outlet, mut inlet) = lane(8, Arc::clone(&doorbell));
        let producer = std::thread::spawn(move || {
            for i in 0..COUNT {
                outlet.push(i);
                outlet.flush();
                while outlet.backlog() > 0 {
                    std::thread::yield_now();
                    outlet.flush();
                }
            }
        });
        let mut next = 0;
        while next < COUNT {
            while let Some(got) = inlet.pop() {
                assert_eq!(got, next);
                next += 1;
            }
            if next == COUNT {
                break;
            }
            doorbell.about_to_sleep();
            if inlet.is_empty() {
                doorbell.wait();
            }
            doorbell.awake();
        }
        producer.join().expect("the producer ends");
    }
}
