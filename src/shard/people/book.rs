//! What a user set for itself: a log that is compacted by key, and its record in storage.
//!
//! ```text
//! book   1, newest version, floor, version of the profile,
//!        item count, then per item in the order of versions:
//!            version, counted from the one before, kind, key length, key, value length, value
//! name   1, count, then per name: length, name, user
//! ```
//!
//! Numbers are varints. An item with an empty value was removed; a bounded number of those is kept, so that
//! devices that were away learn of it.

use bytes::{BufMut, Bytes, BytesMut};
use fulmar_protocol::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use fulmar_protocol::people::item;
use fulmar_protocol::varint;

use super::super::record::{COUNT_MAX, Fields, RecordError, put};
use crate::faults::{Fault, is_planted};
use crate::limits::{
    BOOK_BYTES_MAX, BOOK_ITEM_COST_BYTES, BOOK_ITEMS_MAX, BOOK_PAGE_BYTES, BOOK_REMOVED_MAX,
};

/// One thing that a user set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The version of the book in which it was set last.
    pub version: u64,
    /// What it is.
    pub kind: u8,
    /// Which one of these.
    pub key: Bytes,
    /// Its value; empty where it was removed.
    pub value: Bytes,
}

impl Item {
    fn cost_bytes(&self) -> usize {
        if self.value.is_empty() {
            return 0;
        }
        self.key.len() + self.value.len() + BOOK_ITEM_COST_BYTES
    }
}

/// What is to be set: an item without its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What it is.
    pub kind: u8,
    /// Which one of these.
    pub key: Bytes,
    /// Its value; empty to remove it.
    pub value: Bytes,
}

/// What becomes of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is so already; the item, which may have been removed.
    Same(Item),
    /// It changes something.
    Change,
    /// There is no room.
    Full,
}

/// See the module's description.
///
/// Invariant: versions of items rise, and lie in `1 ..= head`; a kind and key stands once; no more items are
/// removed ones than [`BOOK_REMOVED_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// The newest version.
    pub head: u64,
    /// A device below it may have missed a removal.
    pub floor: u64,
    /// The version of the last change of the profile.
    pub profile_version: u64,
    /// In the order of their versions.
    items: Vec<Item>,
    /// Those that aren't removed, and what they take.
    live: usize,
    live_bytes: usize,
}

/// Items for a device, and how far it then is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) version: u64,
    pub(super) head: u64,
    pub(super) reset: bool,
}

impl Book {
    fn at(&self, kind: u8, key: &[u8]) -> Option<usize> {
        self.items.iter().position(|known| known.kind == kind && known.key == key)
    }

    /// The value of an item; none where there is none.
    pub(super) fn value(&self, kind: u8, key: &[u8]) -> Option<&Bytes> {
        let found = &self.items[self.at(kind, key)?].value;
        (!found.is_empty()).then_some(found)
    }

    /// All items, in the order of their versions; those that were removed have no value.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Whether there is any item of a kind.
    pub(super) fn has_any(&self, kind: u8) -> bool {
        self.items.iter().any(|known| known.kind == kind && !known.value.is_empty())
    }

    /// Says what would become of a wish that can be.
    pub(super) fn judge(&self, wish: &Wish) -> Verdict {
        let known = self.at(wish.kind, &wish.key).map(|at| &self.items[at]);
        let known_value = known.map_or(&[][..], |known| &known.value);
        if known_value == wish.value {
            let nothing = || Item {
                version: self.head,
                kind: wish.kind,
                key: wish.key.clone(),
                value: Bytes::new(),
            };
            return Verdict::Same(known.cloned().unwrap_or_else(nothing));
        }
        let before_bytes = known.map_or(0, Item::cost_bytes);
        let bytes = wish.key.len() + wish.value.len() + BOOK_ITEM_COST_BYTES;
        let more = usize::from(known_value.is_empty());
        let is_full = self.live_bytes - before_bytes + bytes > BOOK_BYTES_MAX
            || self.live + more > BOOK_ITEMS_MAX;
        if is_full && !wish.value.is_empty() { Verdict::Full } else { Verdict::Change }
    }

    /// Does what was judged a change.
    pub(super) fn set(&mut self, wish: Wish) -> Item {
        let Wish { kind, key, value } = wish;
        if let Some(at) = self.at(kind, &key) {
            let before = self.items.remove(at);
            self.live -= usize::from(!before.value.is_empty());
            self.live_bytes -= before.cost_bytes();
        }
        self.head += u64::from(self.head == 0 || !is_planted(Fault::BookVersionReused));
        let is_kept = self.profile_version > 0 && is_planted(Fault::ProfileVersionReused);
        if kind == item::PROFILE && !is_kept {
            self.profile_version = self.head;
        }
        let set = Item { version: self.head, kind, key, value };
        self.live += usize::from(!set.value.is_empty());
        self.live_bytes += set.cost_bytes();
        self.items.push(set.clone());
        self.forget_removals();
        set
    }

    fn forget_removals(&mut self) {
        if self.items.len() - self.live <= BOOK_REMOVED_MAX {
            return;
        }
        if let Some(at) = self.items.iter().position(|known| known.value.is_empty()) {
            self.floor = self.items.remove(at).version;
        }
    }

    /// What a device with the book up to `version` is told next. Of one that has nothing of before, and began
    /// when `begun` was the newest version, no removal up to then matters.
    pub(super) fn page(&self, version: u64, begun: Option<u64>) -> Page {
        let head = self.head;
        let has_missed = version < self.floor && begun.is_none_or(|begun| self.floor > begun);
        if version > head || (version > 0 && has_missed) {
            return Page { items: Vec::new(), version: 0, head, reset: true };
        }
        let first = self.items.partition_point(|known| known.version <= version);
        let mut bytes = 0;
        let mut last = first;
        while last < self.items.len() && bytes < BOOK_PAGE_BYTES {
            bytes +=
                self.items[last].key.len() + self.items[last].value.len() + BOOK_ITEM_COST_BYTES;
            last += 1;
        }
        let items = self.items[first..last].to_vec();
        let is_last = last == self.items.len();
        let reached = items.last().map_or(version, |known| known.version);
        Page { items, version: if is_last { head } else { reached }, head, reset: false }
    }

    /// Memory that it takes, about.
    pub(super) fn held_bytes(&self) -> usize {
        let removed_keys_bytes = (self.items.len() - self.live) * KEY_BYTES_MAX;
        self.live_bytes + removed_keys_bytes + self.items.len() * size_of::<Item>()
    }

    /// Most bytes of the encoded form.
    pub(super) fn bytes_max(&self) -> usize {
        let values: usize =
            self.items.iter().map(|known| known.key.len() + known.value.len()).sum();
        1 + 4 * varint::BYTES_MAX + self.items.len() * (varint::BYTES_MAX + 1 + 1 + 2) + values
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(1);
        put(self.head, out);
        put(self.floor, out);
        put(self.profile_version, out);
        put(self.items.len() as u64, out);
        let mut before = 0;
        for known in &self.items {
            put(known.version - before, out);
            before = known.version;
            out.put_u8(known.kind);
            put(known.key.len() as u64, out);
            out.extend_from_slice(&known.key);
            put(known.value.len() as u64, out);
            out.extend_from_slice(&known.value);
        }
    }

    /// Reads the encoded form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = Fields::versioned(bytes, "book.version")?;
        let mut book = Book {
            head: fields.count(COUNT_MAX, "book.head")?,
            floor: fields.number("book.floor")?,
            profile_version: fields.number("book.profile")?,
            ..Book::default()
        };
        if book.floor > book.head || book.profile_version > book.head {
            return Err(RecordError("book.floor"));
        }
        let mut before = 0;
        for _ in 0..fields.count((BOOK_ITEMS_MAX + BOOK_REMOVED_MAX) as u64, "book.items")? {
            let version = fields.step(before, "item.version")?;
            let kind = fields.byte("item.kind")?;
            let known = Item {
                version,
                kind,
                key: fields.bytes(KEY_BYTES_MAX as u64, "item.key")?,
                value: fields.bytes(VALUE_BYTES_MAX as u64, "item.value")?,
            };
            if version <= before || version > book.head {
                return Err(RecordError("item.version"));
            }
            before = version;
            book.live += usize::from(!known.value.is_empty());
            book.live_bytes += known.cost_bytes();
            book.items.push(known);
        }
        fields.end("book")?;
        book.check()?;
        Ok(book)
    }

    /// What holds for every record that is written, and what a shard relies on.
    fn check(&self) -> Result<(), RecordError> {
        let removed = self.items.len() - self.live;
        let is_bounded = self.live <= BOOK_ITEMS_MAX && removed <= BOOK_REMOVED_MAX;
        if !is_bounded || self.live_bytes > BOOK_BYTES_MAX {
            return Err(RecordError("book.items"));
        }
        let mut keys: Vec<(u8, &[u8])> =
            self.items.iter().map(|known| (known.kind, &known.key[..])).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(RecordError("item.key"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(kind: u8, key: &str, value: &str) -> Wish {
        Wish {
            kind,
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
        }
    }

    #[test]
    fn a_record_round_trips_and_cut_ones_are_refused() {
        let mut book = Book::default();
        for nth in 0..300 {
            book.set(wish(128, &format!("key {}", nth % 90), &format!("value {nth}")));
        }
        book.set(wish(item::PROFILE, "\0", "Ann"));
        book.set(wish(128, "key 7", ""));
        let mut bytes = BytesMut::new();
        book.encode(&mut bytes);
        assert!(bytes.len() <= book.bytes_max());
        assert_eq!(Book::decode(&bytes), Ok(book.clone()));
        assert_eq!((book.head, book.profile_version), (302, 301));
        for cut in 0..bytes.len() {
            assert!(Book::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn a_full_book_takes_removals_and_what_is_no_larger() {
        let mut book = Book::default();
        let value = "v".repeat(1_000);
        let mut nth = 0;
        while book.judge(&wish(128, &nth.to_string(), &value)) == Verdict::Change {
            book.set(wish(128, &nth.to_string(), &value));
            nth += 1;
        }
        assert!(nth >= BOOK_BYTES_MAX / 1_100);
        assert_eq!(book.judge(&wish(128, "0", &"w".repeat(1_000))), Verdict::Change);
        assert_eq!(book.judge(&wish(128, "0", "")), Verdict::Change);
        book.set(wish(128, "0", ""));
        assert_eq!(book.judge(&wish(128, "0", &value)), Verdict::Change);
        let mut book = Book::default();
        for nth in 0..BOOK_ITEMS_MAX {
            book.set(wish(128, &nth.to_string(), "v"));
        }
        assert_eq!(book.judge(&wish(128, "more", "v")), Verdict::Full);
        assert_eq!(book.judge(&wish(128, "7", "w")), Verdict::Change);
    }

    #[test]
    fn pages_bring_everything_and_a_device_that_missed_removals_begins_anew() {
        let mut book = Book::default();
        for nth in 0..200 {
            book.set(wish(128, &nth.to_string(), &"v".repeat(500)));
        }
        let (mut version, mut got, mut pages) = (0, 0, 0);
        while version < book.head {
            let page = book.page(version, None);
            assert!(!page.reset && page.head == book.head);
            assert!(page.items.iter().all(|known| known.version > version));
            (version, got, pages) = (page.version, got + page.items.len(), pages + 1);
        }
        assert_eq!(got, 200);
        assert!(pages > 5);
        assert!(book.page(book.head, None).items.is_empty());
        for nth in 0..BOOK_REMOVED_MAX {
            book.set(wish(129, &nth.to_string(), "v"));
            book.set(wish(129, &nth.to_string(), ""));
        }
        let before = book.head;
        assert!(!book.page(200, None).reset);
        book.set(wish(128, "0", ""));
        assert_eq!(book.floor, 202);
        let reset = book.page(201, None);
        assert!(reset.reset && reset.version == 0 && reset.items.is_empty());
        assert!(
            !book.page(202, None).reset
                && !book.page(before, None).reset
                && !book.page(0, None).reset
        );
        assert!(book.page(book.head + 1, None).reset);
        let mut bytes = BytesMut::new();
        book.encode(&mut bytes);
        assert_eq!(Book::decode(&bytes), Ok(book));
    }
}
