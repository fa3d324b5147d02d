//! The table of a ring's sockets: slots that are reused, each with a generation.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::lifecycle::Lifecycle;
use super::token::SLOTS_MAX;

/// Names a socket of one ring. A slot is reused, but with another generation, so a key is never
/// mistaken for that of a later socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketKey {
    /// Index in the ring's table of sockets.
    pub slot: u32,
    /// How often the slot had been used before.
    pub generation: u32,
}

/// How many of the shared buffers a socket took in the last turn in which it took any. Turns are
/// told apart by 16 bits: a count that seems new but is 65,536 turns old makes a socket rest early, no
/// more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    turn: u16,
    taken: u16,
}

impl Share {
    /// Counts a buffer taken in this turn.
    pub(super) fn take(&mut self, turn: u16) {
        if self.turn != turn {
            *self = Share { turn, taken: 0 };
        }
        self.taken = self.taken.saturating_add(1);
    }

    /// How many were taken in this turn, or else in the one before it.
    pub(super) fn taken(self, turn: u16) -> u16 {
        if turn.wrapping_sub(self.turn) <= 1 { self.taken } else { 0 }
    }
}

/// A socket on the ring.
#[derive(Debug)]
pub(super) struct Socket {
    /// Open as long as the socket is in the table.
    fd: OwnedFd,
    pub(super) share: Share,
    pub(super) lifecycle: Lifecycle,
}

impl Socket {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

#[derive(Debug)]
enum Entry {
    /// Free; the next free slot, or [`NO_SLOT`].
    Vacant { next: u32 },
    /// In use.
    Occupied(Socket),
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    entry: Entry,
}

/// What an idle socket costs in this process.
const SLOT_BYTES: usize = 64;
const _: () = assert!(size_of::<Slot>() <= SLOT_BYTES);

const NO_SLOT: u32 = u32::MAX;
const _: () = assert!(NO_SLOT > SLOTS_MAX);

/// The table.
pub(super) struct Sockets {
    /// Never longer than its first capacity, so it never moves.
    slots: Vec<Slot>,
    /// Head of the list of free slots. The last one freed is used first: it is still in the cache.
    free: u32,
    occupied: u32,
    max: u32,
}

impl Sockets {
    /// A table for at most `max` sockets. Address space is reserved for all of them now, so that no
    /// turn is ever held up by copying the table; memory is taken as slots are first used.
    pub(super) fn new(max: u32) -> Sockets {
        assert!(max <= SLOTS_MAX);
        Sockets { slots: Vec::with_capacity(max as usize), free: NO_SLOT, occupied: 0, max }
    }

    /// How many sockets there are.
    pub(super) fn len(&self) -> u32 {
        self.occupied
    }

    /// Adds a socket; gives the descriptor back if the table is full.
    pub(super) fn insert(
        &mut self,
        fd: OwnedFd,
        lifecycle: Lifecycle,
    ) -> Result<SocketKey, OwnedFd> {
        if self.occupied == self.max {
            return Err(fd);
        }
        self.occupied += 1;
        let entry = Entry::Occupied(Socket { fd, share: Share::default(), lifecycle });
        if self.free == NO_SLOT {
            let slot = self.slots.len() as u32;
            self.slots.push(Slot { generation: 0, entry });
            return Ok(SocketKey { slot, generation: 0 });
        }
        let slot = self.free;
        let reused = &mut self.slots[slot as usize];
        match std::mem::replace(&mut reused.entry, entry) {
            Entry::Vacant { next } => self.free = next,
            Entry::Occupied(_) => unreachable!("the free list holds free slots"),
        }
        Ok(SocketKey { slot, generation: reused.generation })
    }

    /// Whether the socket of this key is there.
    pub(super) fn contains(&self, key: SocketKey) -> bool {
        self.slots.get(key.slot as usize).is_some_and(|slot| {
            slot.generation == key.generation && matches!(slot.entry, Entry::Occupied(_))
        })
    }

    /// The socket of this key, unless it is gone.
    pub(super) fn get_mut(&mut self, key: SocketKey) -> Option<&mut Socket> {
        match self.slots.get_mut(key.slot as usize) {
            Some(Slot { generation, entry: Entry::Occupied(socket) })
                if *generation == key.generation =>
            {
                Some(socket)
            }
            _ => None,
        }
    }

    /// Takes a socket out; its key is dead from now on.
    pub(super) fn remove(&mut self, key: SocketKey) -> Option<Socket> {
        self.get_mut(key)?;
        let slot = &mut self.slots[key.slot as usize];
        let entry = std::mem::replace(&mut slot.entry, Entry::Vacant { next: self.free });
        slot.generation = slot.generation.wrapping_add(1);
        self.free = key.slot;
        self.occupied -= 1;
        match entry {
            Entry::Occupied(socket) => Some(socket),
            Entry::Vacant { .. } => unreachable!("looked up above"),
        }
    }

    /// The keys of all sockets, by slot.
    pub(super) fn keys(&self) -> Vec<SocketKey> {
        let occupied = |(slot, entry): (usize, &Slot)| match entry.entry {
            Entry::Occupied(_) => {
                Some(SocketKey { slot: slot as u32, generation: entry.generation })
            }
            Entry::Vacant { .. } => None,
        };
        self.slots.iter().enumerate().filter_map(occupied).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lifecycle::Wanted;
    use super::*;

    fn any_fd() -> OwnedFd {
        std::fs::File::open("/dev/null").expect("open /dev/null").into()
    }

    fn insert(sockets: &mut Sockets) -> SocketKey {
        sockets.insert(any_fd(), Lifecycle::new(Wanted::Always)).expect("room in the table")
    }

    #[test]
    fn a_key_is_dead_once_its_slot_has_another_owner() {
        let mut sockets = Sockets::new(4);
        let first = insert(&mut sockets);
        assert!(sockets.remove(first).is_some());
        let second = insert(&mut sockets);
        assert_eq!(second.slot, first.slot);
        assert_ne!(second.generation, first.generation);
        assert!(sockets.get_mut(first).is_none() && !sockets.contains(first));
        assert!(sockets.remove(first).is_none());
        assert!(sockets.get_mut(second).is_some() && sockets.contains(second));
        assert!(!sockets.contains(SocketKey { slot: 3, generation: 0 }), "never used");
        assert_eq!(sockets.keys(), [second]);
    }

    #[test]
    fn a_full_table_gives_the_descriptor_back() {
        let mut sockets = Sockets::new(2);
        let keys = [insert(&mut sockets), insert(&mut sockets)];
        let fd = any_fd();
        let raw = fd.as_raw_fd();
        let refused = sockets.insert(fd, Lifecycle::new(Wanted::Always)).expect_err("table full");
        assert_eq!(refused.as_raw_fd(), raw);
        assert_eq!(sockets.len(), 2);
        sockets.remove(keys[0]);
        insert(&mut sockets);
        assert_eq!(sockets.len(), 2);
    }

    #[test]
    fn freed_slots_are_used_before_new_ones() {
        let mut sockets = Sockets::new(8);
        let keys: Vec<_> = (0..4).map(|_| insert(&mut sockets)).collect();
        sockets.remove(keys[1]);
        sockets.remove(keys[3]);
        assert_eq!(insert(&mut sockets).slot, 3);
        assert_eq!(insert(&mut sockets).slot, 1);
        assert_eq!(insert(&mut sockets).slot, 4);
    }

    #[test]
    fn a_share_is_of_this_turn_or_the_one_before() {
        let mut share = Share::default();
        share.take(65_535);
        share.take(65_535);
        assert_eq!([share.taken(65_535), share.taken(0), share.taken(1)], [2, 2, 0]);
        share.take(0);
        assert_eq!([share.taken(0), share.taken(1), share.taken(2)], [1, 1, 0]);
    }
}
