//! The receive buffers that all sockets of a ring share.
//!
//! The kernel takes a buffer from a ring of free ones when bytes arrive, and a completion says which.
//! The protocol (`io_uring_register_buf_ring(3)`): an array of entries (address, length, buffer
//! number); the kernel reads from a head of its own, we append at the tail. The tail lies in the
//! unused last two bytes of entry 0, as 16 bits that wrap.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The only group of buffers that a ring registers.
pub(super) const BUFFER_GROUP: u16 = 0;

/// The kernel wants the ring of entries at the start of a page.
const PAGE_BYTES: usize = 4_096;

/// A buffer that the kernel filled and took out of the ring: ours until it is given back.
#[derive(Debug)]
#[must_use = "a buffer that is not given back is lost to the ring"]
pub(super) struct Lent {
    id: u16,
}

/// The buffers, and the ring in which the free ones are offered to the kernel.
pub(super) struct Buffers {
    /// `count` entries, page-aligned. Entry 0 carries the tail.
    entries: NonNull<BufRingEntry>,
    /// `count * buffer_bytes` bytes; buffer `id` begins at `id * buffer_bytes`.
    pool: NonNull<u8>,
    /// A power of two.
    count: u16,
    buffer_bytes: u32,
    /// The next entry to write; published to the kernel after the entry is.
    tail: u16,
    /// Buffers taken out by the kernel and not given back; at most `count`.
    lent: u16,
}

impl Buffers {
    /// Allocates the buffers and offers all of them. The kernel knows nothing of them yet.
    pub(super) fn allocate(count: u16, buffer_bytes: u32) -> Buffers {
        assert!(count.is_power_of_two());
        let entries = allocate_zeroed(entries_layout(count)).cast();
        let pool = allocate_zeroed(pool_layout(count, buffer_bytes));
        touch(pool, pool_layout(count, buffer_bytes));
        let mut buffers = Buffers { entries, pool, count, buffer_bytes, tail: 0, lent: 0 };
        for id in 0..count {
            buffers.offer(id);
        }
        buffers
    }

    /// Makes the buffers known to the kernel of this ring.
    ///
    /// # Safety
    ///
    /// `self` must not be dropped before the ring's buffer group is unregistered (or the ring gone)
    /// and nothing is in flight that may write to a buffer.
    pub(super) unsafe fn register(&self, submitter: &Submitter<'_>) -> io::Result<()> {
        let address = self.entries.as_ptr() as u64;
        // SAFETY: the address is of `count` entries that live as long as the caller promised.
        unsafe { submitter.register_buf_ring_with_flags(address, self.count, BUFFER_GROUP, 0) }
    }

    /// How many buffers there are.
    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// Takes over the buffer that a completion named.
    pub(super) fn take(&mut self, id: u16) -> Lent {
        assert!(id < self.count, "the kernel names a buffer that exists");
        assert!(self.lent < self.count, "the kernel lends each buffer once");
        self.lent += 1;
        Lent { id }
    }

    /// The first `len` bytes of a buffer.
    pub(super) fn bytes(&self, buffer: &Lent, len: usize) -> &[u8] {
        assert!(len <= self.buffer_bytes as usize, "the kernel keeps to a buffer's length");
        // SAFETY: the buffer lies within the pool, which was allocated zeroed and so is initialised.
        // It is lent to us, so it is not in the ring and the kernel doesn't write to it; it can only
        // be given back through `&mut self`, after this borrow.
        unsafe {
            let start = self.pool.as_ptr().add(usize::from(buffer.id) * self.buffer_bytes as usize);
            std::slice::from_raw_parts(start, len)
        }
    }

    /// Gives a buffer back to the kernel.
    #[expect(clippy::needless_pass_by_value, reason = "a buffer is given back once")]
    pub(super) fn give_back(&mut self, buffer: Lent) {
        self.lent -= 1;
        self.offer(buffer.id);
    }

    fn offer(&mut self, id: u16) {
        let index = usize::from(self.tail & (self.count - 1));
        // SAFETY: the index is within the ring, and at most `count` buffers are offered, so the
        // kernel's head isn't at this entry. Fields are written one by one: the last two bytes of
        // entry 0 are the tail and stay untouched. The address is of a whole buffer in the pool.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(index);
            let start = self.pool.as_ptr().add(usize::from(id) * self.buffer_bytes as usize);
            entry.set_addr(start as u64);
            entry.set_len(self.buffer_bytes);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        self.shared_tail().store(self.tail, Ordering::Release);
    }

    fn shared_tail(&self) -> &AtomicU16 {
        // SAFETY: the tail lies in entry 0, is aligned to two bytes and initialised (zeroed). The
        // kernel only reads it, and we touch it only through this atomic.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr());
            AtomicU16::from_ptr(tail.cast_mut())
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts, and whoever registered them promised that
        // the kernel doesn't use them any more.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), entries_layout(self.count));
            dealloc(self.pool.as_ptr(), pool_layout(self.count, self.buffer_bytes));
        }
    }
}

fn entries_layout(count: u16) -> Layout {
    let bytes = usize::from(count) * size_of::<BufRingEntry>();
    Layout::from_size_align(bytes, PAGE_BYTES).expect("at most 32,768 entries of 16 bytes")
}

fn pool_layout(count: u16, buffer_bytes: u32) -> Layout {
    let bytes = usize::from(count) * buffer_bytes as usize;
    Layout::from_size_align(bytes, PAGE_BYTES).expect("the configuration bounds the pool")
}

fn allocate_zeroed(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0);
    // SAFETY: the layout's size isn't zero.
    let start = unsafe { alloc_zeroed(layout) };
    NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Makes the pages of zeroed memory real at once, so that neither the first bytes of a client wait for
/// them nor the memory of the process seems to grow with its clients.
fn touch(start: NonNull<u8>, layout: Layout) {
    const PAGE_BYTES: usize = 4096;
    for at in (0..layout.size()).step_by(PAGE_BYTES) {
        // SAFETY: `at` is within the allocation, which nobody else knows yet.
        unsafe { start.add(at).write_volatile(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of the ring that the kernel could take now, oldest first, from `head` on.
    fn offered(buffers: &Buffers, head: u16) -> Vec<u16> {
        let count = buffers.shared_tail().load(Ordering::Acquire).wrapping_sub(head);
        (0..count)
            .map(|n| {
                let index = usize::from(head.wrapping_add(n) & (buffers.count - 1));
                // SAFETY: the index is within the ring, and nobody writes to it meanwhile.
                unsafe { (*buffers.entries.as_ptr().add(index)).bid() }
            })
            .collect()
    }

    #[test]
    fn buffers_come_back_in_the_order_in_which_they_were_given_back() {
        let mut buffers = Buffers::allocate(4, 64);
        assert_eq!(offered(&buffers, 0), [0, 1, 2, 3]);
        let (a, b) = (buffers.take(0), buffers.take(1));
        assert_eq!(buffers.bytes(&a, 64), [0; 64]);
        buffers.give_back(b);
        buffers.give_back(a);
        assert_eq!(offered(&buffers, 2), [2, 3, 1, 0]);
    }

    #[test]
    fn the_tail_wraps_around_its_sixteen_bits() {
        let mut buffers = Buffers::allocate(2, 64);
        let mut head = 0_u16;
        for turn in 0..70_000_u32 {
            let expected = (turn % 2) as u16;
            assert_eq!(offered(&buffers, head)[0], expected);
            let lent = buffers.take(expected);
            head = head.wrapping_add(1);
            buffers.give_back(lent);
        }
    }

    #[test]
    fn the_tail_is_kept_while_entry_0_is_written() {
        let mut buffers = Buffers::allocate(1, 64);
        for turn in 2..100 {
            let lent = buffers.take(0);
            buffers.give_back(lent);
            assert_eq!(buffers.shared_tail().load(Ordering::Acquire), turn);
            assert_eq!(offered(&buffers, turn - 1), [0]);
        }
    }

    #[test]
    #[should_panic(expected = "names a buffer that exists")]
    fn a_buffer_that_does_not_exist_is_refused() {
        let mut buffers = Buffers::allocate(2, 64);
        let _ = buffers.take(2);
    }

    #[test]
    #[should_panic(expected = "lends each buffer once")]
    fn more_buffers_than_there_are_is_refused() {
        let mut buffers = Buffers::allocate(2, 64);
        let _first = buffers.take(0);
        let _second = buffers.take(1);
        let _ = buffers.take(1);
    }

    #[test]
    #[should_panic(expected = "keeps to a buffer's length")]
    fn a_length_beyond_the_buffer_is_refused() {
        let mut buffers = Buffers::allocate(2, 64);
        let lent = buffers.take(0);
        let _ = buffers.bytes(&lent, 65);
    }
}
