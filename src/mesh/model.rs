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

/// A place in a queue.
#[derive(Debug)]
struct Slot<T> {
    /// In a [`RingBuffer`] the number of the thing that was put here last; in an [`ArrayQueue`] what the
    /// crate calls the stamp.
    mark: AtomicUsize,
    thing: Mutex<Option<T>>,
}

impl<T> Slot<T> {
    fn put(&self, thing: T) {
        let was = self.thing.lock().unwrap_or_else(PoisonError::into_inner).replace(thing);
        assert!(was.is_none(), "a slot is put into when it is free");
    }

    fn take(&self) -> T {
        let thing = self.thing.lock().unwrap_or_else(PoisonError::into_inner).take();
        thing.expect("a slot is taken from when something is there")
    }
}

fn slots<T>(capacity: usize, mark: impl Fn(usize) -> usize) -> Box<[Slot<T>]> {
    let slot = |index| Slot { mark: AtomicUsize::new(mark(index)), thing: Mutex::new(None) };
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
            slots: slots(capacity, |_| 0),
        });
        let producer = Producer { ring: Arc::clone(&ring), head: Cell::new(0), tail: 0 };
        (producer, Consumer { ring, head: 0, tail: Cell::new(0) })
    }

    fn slot(&self, number: usize) -> &Slot<T> {
        &self.slots[number % self.slots.len()]
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
        let slot = self.ring.slot(self.tail);
        slot.put(thing);
        self.tail += 1;
        slot.mark.store(self.tail, Ordering::Relaxed);
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
        let slot = self.ring.slot(self.head);
        let mark = slot.mark.load(Ordering::Relaxed);
        assert_eq!(mark, self.head + 1, "a thing is taken after it was handed over");
        let thing = slot.take();
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

/// The queue of `crossbeam-queue`. Positions count on: a slot is free for the position that its mark
/// names, and holds the thing of the position before it.
#[derive(Debug)]
pub(super) struct ArrayQueue<T> {
    head: AtomicUsize,
    tail: AtomicUsize,
    slots: Box<[Slot<T>]>,
}

impl<T> ArrayQueue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let (head, tail) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // As in the crate, a mark tells free from taken only if there are two slots at least.
        assert!(capacity > 1, "a model of one slot would need the crate's laps");
        ArrayQueue { head, tail, slots: slots(capacity, |index| index) }
    }

    pub(super) fn push(&self, thing: T) -> Result<(), T> {
        let capacity = self.slots.len();
        loop {
            let tail = self.tail.load(Ordering::Relaxed);
            let slot = &self.slots[tail % capacity];
            let mark = slot.mark.load(Ordering::Acquire);
            if mark == tail {
                let (seq, relaxed) = (Ordering::SeqCst, Ordering::Relaxed);
                if self.tail.compare_exchange(tail, tail + 1, seq, relaxed).is_ok() {
                    slot.put(thing);
                    slot.mark.store(tail + 1, Ordering::Release);
                    return Ok(());
                }
            } else if mark + capacity == tail + 1 {
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
            let slot = &self.slots[head % capacity];
            let mark = slot.mark.load(Ordering::Acquire);
            if mark == head + 1 {
                let (seq, relaxed) = (Ordering::SeqCst, Ordering::Relaxed);
                if self.head.compare_exchange(head, head + 1, seq, relaxed).is_ok() {
                    let thing = slot.take();
                    slot.mark.store(head + capacity, Ordering::Release);
                    return Some(thing);
                }
            } else if mark == head {
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
