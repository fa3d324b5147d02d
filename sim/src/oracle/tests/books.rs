//! What users set for themselves.

use fulmar_client::BookItem;
use fulmar_protocol::people::Item;
use fulmar_protocol::people::PutRejected;
use fulmar_protocol::{Code, Frame};

use super::{History, READER};

/// What an application puts.
const ITEM: u8 = 128;

impl History {
    fn put(&mut self, value: &[u8]) {
        self.wrote(2, &Frame::Put { item: ITEM, key: b"k", value });
    }

    fn item(&mut self, version: u64, value: &[u8]) {
        self.told(2, &Frame::Item(Item { version, item: ITEM, key: b"k", value }));
    }

    fn lacks(&self, device: u16, has: &[BookItem]) -> Vec<String> {
        self.0.missing_of_book(READER, device, has)
    }
}

fn has(version: u64, value: &[u8]) -> [BookItem; 1] {
    [BookItem { item: ITEM, key: b"k".to_vec(), version, value: value.to_vec() }]
}

#[test]
fn what_a_book_confirmed_all_devices_have() {
    let mut history = History::new();
    history.put(b"one");
    history.item(1, b"one");
    history.is_quiet();
    assert_eq!(history.lacks(1, &has(1, b"one")), [""; 0]);
    assert_eq!(history.lacks(2, &[]).len(), 1);
    history.put(b"");
    history.item(2, b"");
    history.is_quiet();
    assert_eq!(history.lacks(1, &[]), [""; 0]);
    assert_eq!(history.lacks(2, &has(1, b"one")).len(), 1);
}

#[test]
fn a_version_is_one_change() {
    let mut history = History::new();
    history.put(b"one");
    history.put(b"two");
    history.item(1, b"one");
    history.item(1, b"two");
    history.complains("a version of a book is used once");

    let mut history = History::new();
    history.put(b"one");
    history.item(2, b"one");
    history.complains("versions of a book are dense");

    let mut history = History::new();
    history.put(b"one");
    history.item(1, b"0ne");
    history.complains("an item is as it was put");
}

#[test]
fn a_book_never_goes_back() {
    let mut history = History::new();
    history.put(b"one");
    history.item(1, b"one");
    history.log_in(4, READER, 2, 0, 0);
    history.told(4, &Frame::Book { version: 0, head: 0, reset: false });
    history.complains("a book never goes back");
}

#[test]
fn what_makes_sense_is_taken() {
    let mut history = History::new();
    let rejected = PutRejected { item: ITEM, key: b"k", code: Code::BadItem, retry_after_ms: 0 };
    history.told(2, &Frame::PutRejected(rejected));
    history.complains("what makes sense in a book is taken");
}

#[test]
fn a_device_goes_on_with_its_book() {
    let mut history = History::new();
    history.told(2, &Frame::Book { version: 0, head: 0, reset: false });
    history.is_quiet();
    history.told(2, &Frame::Book { version: 0, head: 0, reset: true });
    history.complains("a device goes on with its book");
}
