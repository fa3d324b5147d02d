//! What devices store and people are shown.

use fulmar_client::Event;
use fulmar_client::store::Write;

use super::grouped::kept;
use super::{History, READER};

impl History {
    fn stores(&mut self, write: Write) {
        self.0.stored(READER, 1, &[write]);
    }

    fn shows(&mut self, event: &Event) {
        self.0.notified(READER, 1, event);
    }
}

#[test]
fn what_is_stored_of_a_group_is_what_was_delivered() {
    let rule = "what is stored of a group is what was delivered";
    for write in [Write::Insert, Write::Fill] {
        let mut history = History::with_group();
        history.stores(write(kept(2, b"message 0ne")));
        history.complains(rule);
    }
}

#[test]
fn an_entry_of_a_group_is_shown_once() {
    let rule = "an entry of a group is shown once";
    let entry = || kept(2, b"message one");
    let mut history = History::with_group();
    history.stores(Write::Insert(entry()));
    history.shows(&Event::GroupMessage(entry()));
    history.is_quiet();
    history.shows(&Event::GroupMessage(entry()));
    history.complains(rule);

    let mut history = History::with_group();
    history.stores(Write::Insert(entry()));
    history.stores(Write::Insert(entry()));
    history.complains(rule);
}

#[test]
fn what_is_shown_is_stored() {
    let mut history = History::with_group();
    history.shows(&Event::GroupMessage(kept(2, b"message one")));
    history.complains("what is shown is stored");

    let mut history = History::with_ticked();
    history.deliver(2, 1, 1, b"message one");
    history.shows(&Event::Message(History::message(1, 1, b"message one")));
    history.complains("what is shown is stored");
}

#[test]
fn a_cursor_never_goes_back() {
    let mut history = History::with_group();
    history.has_group(READER, 2);
    history.is_quiet();
    history.has_group(READER, 1);
    history.complains("a cursor never goes back");

    let mut history = History::with_message();
    history.stores(Write::Cursor(0));
    history.complains("a cursor never goes back");
}
