//! Models of what the mesh is built on, for loom (`--cfg loom`), in place of `parts.rs`.
//!
//! Neither `rtrb` nor `crossbeam-queue` can be run by loom. The queues here keep to the same
//! contracts with the same orderings, read off `rtrb` 0.4.1 and `crossbeam-queue` 0.3.14; what loom
//! has no notion of is weaker here than there, never stronger:
//! - `rtrb`: a push writes its slot, then stores the tail with release; a pop or a look loads it with
//!   acquire, through the copy that each side keeps; heads likewise in the other direction.
//! - `crossbeam-queue`: tail and head are moved by compare-exchange, a slot is handed on by its stamp.
//!   (Loom takes a sequentially consistent access for one that acquires and releases.)
//! - An eventfd: a sum that a wait takes as a whole. The kernel orders signal and wait by a lock.
//!
//! Things lie in mutexes of std, which loom doesn't see and which order nothing for it. That a slot is
//! looked into without having been handed over is found by a mark of its own.

pub(super) use loom::sync::atomic::{AtomicBool, Ordering};

use std::cell::Cell;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use loom::sync::atomic::AtomicUsize;
use loom::sync::{Condvar, Mutex as LoomMutex};
use loom::thread;

loom::thread_local! {
    static IS_WITHOUT_FENCES: Cell<bool> = Cell::new(false);
}

/// From now on the calling thread passes over every fence: for tests that show what fences are for.
pub(super) fn leave_out_fences() {
    IS_WITHOUT_FENCES.with(|is_without| is_without.set(true));
}

pub(super) fn fence(ordering: Ordering) {
    if !IS_WITHOUT_FENCES.with(Cell::get) {
        loom::sync::atomic::fence(ordering);
    }
}

/// Lets the others go on, where another thread has to make room.
pub(super) fn pause() {
    thread::yield_now();
}

/// Something to wait for.
#[derive(Debug)]
pub(super) struct Event {
    count: LoomMutex<u64>,
    is_signalled: Condvar,
}

impl Event {
    #[expect(clippy::unnecessary_wraps, reason = "an eventfd may be refused")]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Event { count: LoomMutex::new(0), is_signalled: Condvar::new() })
    }

    pub(super) fn signal(&self) {
        *self.count.lock().expect("no panic in between") += 1;
        self.is_signalled.notify_one();
    }

    pub(super) fn wait(&self) {
        let mut count = self.count.lock().expect("no panic in between");
        while *count == 0 {
            count = self.is_signalled.wait(count).expect("no panic in between");
        }
        *count = 0;
    }
}

/// A place in a queue. The thing at position `p` lies in slot `p % capacity`.
#[derive(Debug)]
struct Slot<T> {
    /// Twice the position that the slot is free for, or that plus one if its thing is there. A side
    /// that sees anything else than what the other one left was not handed the slot in order.
    mark: AtomicUsize,
    thing: Mutex<Option<T>>,
}

impl<T> Slot<T> {
    fn put(&self, position: usize, thing: T) {
        assert_eq!(self.mark.load(Ordering::Relaxed), 2 * position, "the slot is known to be free");
        *self.thing.lock().unwrap_or_else(PoisonError::into_inner) = Some(thing);
        self.mark.store(2 * position + 1, Ordering::Relaxed);
    }

    fn take(&self, position: usize, capacity: usize) -> T {
        let mark = self.mark.load(Ordering::Relaxed);
        assert_eq!(mark, 2 * position + 1, "the thing is known to be there");
        let thing = self.thing.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.mark.store(2 * (position + capacity), Ordering::Relaxed);
        thing.expect("something lies in a slot with this mark")
    }
}

fn slots<T>(capacity: usize) -> Box<[Slot<T>]> {
    let slot = |index| Slot { mark: AtomicUsize::new(2 * index), thing: Mutex::new(None) };
    (0..capacity).map(slot).collect()
}

/// The ring of `rtrb`. Heads and tails count on and don't wrap: a model is short.
#[derive(Debug)]
pub(super) struct RingBuffer<T> {
    head: AtomicUsize,
    tail: AtomicUsize,
    is_abandoned: AtomicBool,
    slots: Box<[Slot<T>]>,
}

impl<T> RingBuffer<T> {
    #[expect(clippy::new_ret_no_self, reason = "as the crate's")]
    pub(super) fn new(capacity: usize) -> (Producer<T>, Consumer<T>) {
        let ring = Arc::new(RingBuffer {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            is_abandoned: AtomicBool::new(false),
            slots: slots(capacity),
        });
        let producer = Producer { ring: Arc::clone(&ring), head: Cell::new(0), tail: 0 };
        (producer, Consumer { ring, head: 0, tail: Cell::new(0) })
    }

    fn slot(&self, position: usize) -> &Slot<T> {
        &self.slots[position % self.slots.len()]
    }
}

/// What didn't fit.
pub(super) enum PushError<T> {
    Full(T),
}

#[derive(Debug)]
pub(super) struct Producer<T> {
    ring: Arc<RingBuffer<T>>,
    /// As last looked up.
    head: Cell<usize>,
    tail: usize,
}

impl<T> Producer<T> {
    pub(super) fn push(&mut self, thing: T) -> Result<(), PushError<T>> {
        let capacity = self.ring.slots.len();
        if self.tail - self.head.get() == capacity {
            self.head.set(self.ring.head.load(Ordering::Acquire));
            if self.tail - self.head.get() == capacity {
                return Err(PushError::Full(thing));
            }
        }
        self.ring.slot(self.tail).put(self.tail, thing);
        self.tail += 1;
        self.ring.tail.store(self.tail, Ordering::Release);
        Ok(())
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
pub(super) struct Consumer<T> {
    ring: Arc<RingBuffer<T>>,
    head: usize,
    /// As last looked up.
    tail: Cell<usize>,
}

impl<T> Consumer<T> {
    pub(super) fn pop(&mut self) -> Result<T, ()> {
        if self.is_empty() {
            return Err(());
        }
        let thing = self.ring.slot(self.head).take(self.head, self.ring.slots.len());
        self.head += 1;
        self.ring.head.store(self.head, Ordering::Release);
        Ok(thing)
    }

    pub(super) fn is_empty(&self) -> bool {
        if self.head == self.tail.get() {
            self.tail.set(self.ring.tail.load(Ordering::Acquire));
        }
        self.head == self.tail.get()
    }

    pub(super) fn slots(&self) -> usize {
        self.tail.set(self.ring.tail.load(Ordering::Acquire));
        self.tail.get() - self.head
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.ring.is_abandoned.store(true, Ordering::Release);
    }
}

/// The queue of `crossbeam-queue`. Positions count on.
#[derive(Debug)]
pub(super) struct ArrayQueue<T> {
    head: AtomicUsize,
    tail: AtomicUsize,
    slots: Box<[Slot<T>]>,
    /// By slot: the position that it is free for, or the one behind that of the thing in it.
    stamps: Box<[AtomicUsize]>,
}

impl<T> ArrayQueue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        // With one slot a stamp would mean two things; the crate has laps for that.
        assert!(capacity > 1, "a model of two slots or more");
        let (head, tail) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let stamps = (0..capacity).map(AtomicUsize::new).collect();
        ArrayQueue { head, tail, slots: slots(capacity), stamps }
    }

    pub(super) fn push(&self, thing: T) -> Result<(), T> {
        let capacity = self.slots.len();
        loop {
            let tail = self.tail.load(Ordering::Relaxed);
            let stamp = self.stamps[tail % capacity].load(Ordering::Acquire);
            if stamp == tail {
                let (seq, relaxed) = (Ordering::SeqCst, Ordering::Relaxed);
                if self.tail.compare_exchange(tail, tail + 1, seq, relaxed).is_ok() {
                    self.slots[tail % capacity].put(tail, thing);
                    self.stamps[tail % capacity].store(tail + 1, Ordering::Release);
                    return Ok(());
                }
            } else if stamp + capacity == tail + 1 {
                loom::sync::atomic::fence(Ordering::SeqCst);
                if self.head.load(Ordering::Relaxed) + capacity == tail {
                    return Err(thing);
                }
            }
            thread::yield_now();
        }
    }

    pub(super) fn pop(&self) -> Option<T> {
        let capacity = self.slots.len();
        loop {
            let head = self.head.load(Ordering::Relaxed);
            let stamp = self.stamps[head % capacity].load(Ordering::Acquire);
            if stamp == head + 1 {
                let (seq, relaxed) = (Ordering::SeqCst, Ordering::Relaxed);
                if self.head.compare_exchange(head, head + 1, seq, relaxed).is_ok() {
                    let thing = self.slots[head % capacity].take(head, capacity);
                    self.stamps[head % capacity].store(head + capacity, Ordering::Release);
                    return Some(thing);
                }
            } else if stamp == head {
                loom::sync::atomic::fence(Ordering::SeqCst);
                if self.tail.load(Ordering::Relaxed) == head {
                    return None;
                }
            }
            thread::yield_now();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let head = self.head.load(Ordering::SeqCst);
        let tail = self.tail.load(Ordering::SeqCst);
        tail == head
    }
}
