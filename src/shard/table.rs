//! Tables that grow page by page.
//!
//! A vector that doubles copies everything it holds, which at a million users is a pause that everybody
//! notices, and keeps twice the memory for a while. A page never moves.

use slab::Slab;

/// Entries of a page.
const PAGE: usize = 1_024;

/// A [`Slab`] of pages: stable slots, constant-time insert and remove.
#[derive(Debug)]
pub(super) struct Table<T> {
    pages: Vec<Slab<T>>,
    /// Pages that have room. A page is in it at most once.
    roomy: Vec<u32>,
    len: usize,
}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Table { pages: Vec::new(), roomy: Vec::new(), len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Slots below this one may hold something.
    pub(super) fn slots(&self) -> usize {
        self.pages.len() * PAGE
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        let page = if let Some(&page) = self.roomy.last() {
            page
        } else {
            let page = self.pages.len() as u32;
            self.pages.push(Slab::with_capacity(PAGE));
            self.roomy.push(page);
            page
        };
        let slab = &mut self.pages[page as usize];
        let slot = slab.insert(value);
        if slab.len() == PAGE {
            self.roomy.pop();
        }
        self.len += 1;
        page * PAGE as u32 + slot as u32
    }

    pub(super) fn remove(&mut self, slot: u32) -> T {
        let page = slot / PAGE as u32;
        let slab = &mut self.pages[page as usize];
        if slab.len() == PAGE {
            self.roomy.push(page);
        }
        self.len -= 1;
        slab.remove(slot as usize % PAGE)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.pages.get_mut(slot as usize / PAGE)?.get_mut(slot as usize % PAGE)
    }

    /// The entries with their slots, in the order of the slots.
    #[cfg(debug_assertions)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pages.iter().enumerate().flat_map(|(page, slab)| {
            slab.iter().map(move |(slot, value)| ((page * PAGE + slot) as u32, value))
        })
    }
}

impl<T> std::ops::Index<u32> for Table<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        &self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }
}

impl<T> std::ops::IndexMut<u32> for Table<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        &mut self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }
}

/// Values in slots that somebody else numbers.
#[derive(Debug)]
pub(super) struct Slots<T> {
    pages: Vec<Box<[Option<T>]>>,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Slots { pages: Vec::new() }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.pages.get_mut(slot as usize / PAGE)?[slot as usize % PAGE].as_mut()
    }

    /// Puts `value` into a free slot.
    pub(super) fn put(&mut self, slot: u32, value: T) {
        let page = slot as usize / PAGE;
        while self.pages.len() <= page {
            self.pages.push((0..PAGE).map(|_| None).collect());
        }
        let place = &mut self.pages[page][slot as usize % PAGE];
        debug_assert!(place.is_none(), "the slot is in use");
        *place = Some(value);
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<T> {
        self.pages.get_mut(slot as usize / PAGE)?[slot as usize % PAGE].take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(|page| page.iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_stay_and_are_used_again_over_several_pages() {
        let mut table = Table::new();
        let slots: Vec<u32> = (0..3_000).map(|value| table.insert(value)).collect();
        assert!(slots.iter().enumerate().all(|(value, &slot)| table[slot] == value));
        for &slot in slots.iter().step_by(3) {
            table.remove(slot);
        }
        assert_eq!((table.len(), table.slots()), (2_000, 3_072));
        let again: Vec<u32> = (0..1_000).map(|value| table.insert(value + 10_000)).collect();
        assert_eq!((table.len(), table.slots()), (3_000, 3_072));
        assert!(again.iter().enumerate().all(|(value, &slot)| table[slot] == value + 10_000));
        assert_eq!(table.get(9_999), None);
    }
}
