//! One direction between two threads.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Doorbell;
use super::parts::{Consumer, Producer, PushError, RingBuffer};
use crate::faults::{Fault, is_planted};

/// The sending end.
#[derive(Debug)]
pub struct Outlet<T> {
    ring: Producer<T>,
    /// What didn't fit, oldest first. Empty unless the ring was full.
    backlog: VecDeque<T>,
    doorbell: Arc<Doorbell>,
    /// Something was put into the ring since the bell was rung.
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
        if !self.backlog.is_empty() && !is_planted(Fault::BacklogOvertaken) {
            self.backlog.push_back(thing);
            return;
        }
        match self.ring.push(thing) {
            Ok(()) => self.unrung = true,
            Err(PushError::Full(_)) if is_planted(Fault::FullRingDrops) => {}
            Err(PushError::Full(thing)) => self.backlog.push_back(thing),
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
            self.unrung = !is_planted(Fault::LostWakeUp);
        }
        if std::mem::take(&mut self.unrung) {
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
