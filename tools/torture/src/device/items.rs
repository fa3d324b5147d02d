//! The book of the user as the device has it: items with their versions, and what the device put and has no
//! answer for.

use std::collections::BTreeMap;

/// A kind of item and a key.
pub(super) type Place = (u8, Vec<u8>);

/// A value on its way.
#[derive(Debug)]
struct Wish {
    value: Vec<u8>,
    /// It went out on some connection.
    went_out: bool,
    /// It is on this connection.
    is_out: bool,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The version in which each item was set last; also of removed ones, whose value is empty.
    held: BTreeMap<Place, (u64, Vec<u8>)>,
    waiting: BTreeMap<Place, Wish>,
    /// The device has the book up to here.
    cursor: u64,
    /// What comes now continues what the device has.
    is_even: bool,
    /// A page is to be asked for.
    is_due: bool,
}

impl Items {
    /// A connection begins.
    pub(super) fn begin(&mut self) {
        (self.is_even, self.is_due) = (false, true);
        self.waiting.values_mut().for_each(|wish| wish.is_out = false);
    }

    /// Forgets what it has, as if it were a new device.
    pub(super) fn forget(&mut self) {
        self.held.clear();
        (self.cursor, self.is_even, self.is_due) = (0, false, true);
    }

    /// The version from which a page is to be asked for now.
    pub(super) fn next_page(&mut self) -> Option<u64> {
        std::mem::take(&mut self.is_due).then_some(self.cursor)
    }

    /// Wants an item to be this, or gone if it is empty. Not while an earlier value has no answer.
    pub(super) fn wish(&mut self, place: Place, value: Vec<u8>) -> bool {
        let is_free = !self.waiting.contains_key(&place);
        self.waiting.entry(place).or_insert(Wish { value, went_out: false, is_out: false });
        is_free
    }

    /// The next wish that has to go out, and whether it did before.
    pub(super) fn next_wish(&mut self) -> Option<(&Place, &[u8], bool)> {
        let (place, wish) = self.waiting.iter_mut().find(|(_, wish)| !wish.is_out)?;
        wish.is_out = true;
        Some((place, &wish.value, std::mem::replace(&mut wish.went_out, true)))
    }

    /// How many wishes have no answer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// An item came.
    pub(super) fn item(&mut self, place: Place, version: u64, value: &[u8]) {
        if self.waiting.get(&place).is_some_and(|wish| wish.is_out && wish.value == value) {
            self.waiting.remove(&place);
        }
        if self.is_even {
            self.cursor = self.cursor.max(version);
        }
        let held = self.held.entry(place).or_default();
        if version >= held.0 {
            *held = (version, value.to_vec());
        }
    }

    /// A wish was refused.
    pub(super) fn rejected(&mut self, place: &Place) {
        self.waiting.remove(place);
    }

    /// A page is over.
    pub(super) fn page(&mut self, version: u64, head: u64, reset: bool) {
        if reset {
            self.forget();
            return;
        }
        self.cursor = version;
        self.is_even = version >= head;
        self.is_due = !self.is_even;
    }

    /// An item that is there, among those of a kind.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.held.get(place).is_some_and(|(_, value)| !value.is_empty())
    }

    /// The value of an item that is there.
    pub(super) fn value(&self, place: &Place) -> Option<&[u8]> {
        let value = self.held.get(place).map(|(_, value)| &value[..]);
        value.filter(|value| !value.is_empty())
    }

    /// Whether everything came and is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.is_even && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: u8) -> Place {
        (3, vec![key])
    }

    #[test]
    fn the_cursor_follows_items_only_behind_the_last_page() {
        let mut items = Items::default();
        items.begin();
        assert_eq!((items.next_page(), items.next_page()), (Some(0), None));
        items.item(place(1), 4, b"x");
        items.page(2, 4, false);
        assert_eq!(items.next_page(), Some(2));
        items.page(4, 4, false);
        items.item(place(2), 5, b"y");
        assert!(items.is_settled() && items.has(&place(2)));
        items.begin();
        assert_eq!(items.next_page(), Some(5));
        items.page(0, 5, true);
        assert_eq!(items.next_page(), Some(0));
        assert!(!items.has(&place(1)));
    }

    #[test]
    fn a_wish_goes_out_with_each_connection_until_it_is_answered() {
        let mut items = Items::default();
        items.begin();
        assert!(items.wish(place(1), b"x".to_vec()) && !items.wish(place(1), b"y".to_vec()));
        assert_eq!(items.next_wish(), Some((&place(1), &b"x"[..], false)));
        assert_eq!(items.next_wish(), None);
        items.begin();
        assert_eq!(items.next_wish(), Some((&place(1), &b"x"[..], true)));
        items.item(place(1), 1, b"other");
        assert_eq!(items.waiting(), 1);
        items.item(place(1), 2, b"x");
        assert_eq!(items.waiting(), 0);
    }

    #[test]
    fn an_older_version_changes_nothing() {
        let mut items = Items::default();
        items.item(place(1), 3, b"");
        items.item(place(1), 2, b"x");
        assert!(!items.has(&place(1)));
    }
}
