//! Pages of the past.

use fulmar_protocol::Frame;
use fulmar_protocol::history::{History as Asked, HistoryEnd, Past};

use super::{History, SENDER, TIME_MS};

impl History {
    /// Two messages, delivered to the reader's first device, which then asks for them again.
    fn page(limit: u64) -> Self {
        let mut history = History::new();
        for (number, body) in [(1, b"message one"), (2, b"message two")] {
            history.send(number, body);
            history.tick(number, number);
            history.deliver(2, number, number, body);
        }
        let asked = Asked { group: 0, from: 1, through: 2, limit, newest_first: true };
        history.wrote(2, &Frame::History(asked));
        history
    }

    fn past(&mut self, position: u64, body: &[u8]) {
        let past = Past {
            group: 0,
            position,
            peer: SENDER,
            ordinal: position,
            time_ms: TIME_MS,
            content: 1,
            own: false,
            total_bytes: None,
            body,
        };
        self.told(2, &Frame::Past(past));
    }

    fn page_ends(&mut self, from: u64, has_more: bool) {
        let end = HistoryEnd { group: 0, from, through: 2, has_more };
        self.told(2, &Frame::HistoryEnd(end));
    }
}

#[test]
fn a_page_has_what_was_there_in_order() {
    let mut history = History::page(2);
    history.past(2, b"message two");
    history.past(1, b"message one");
    history.page_ends(1, false);
    history.is_quiet();
    history.page_ends(1, false);
    history.complains("a page is asked for");

    let mut history = History::page(2);
    history.past(1, b"message one");
    history.past(2, b"message two");
    history.complains("a page has what was asked for, in order");

    let mut history = History::page(2);
    history.past(2, b"message one");
    history.complains("a position is used once");
}

#[test]
fn a_page_is_bounded_and_covers_what_it_says() {
    let mut history = History::page(1);
    history.past(2, b"message two");
    history.past(1, b"message one");
    history.complains("a page is bounded");

    let mut history = History::page(1);
    history.past(2, b"message two");
    history.page_ends(0, true);
    history.complains("a page covers what was asked for");
}

#[test]
fn a_page_has_everything_that_is_kept() {
    let mut history = History::page(2);
    history.past(2, b"message two");
    history.page_ends(1, false);
    history.complains("a page has everything that is kept");

    let mut history = History::page(2);
    history.0.keeps(false);
    history.past(2, b"message two");
    history.page_ends(1, false);
    history.is_quiet();

    let mut history = History::page(2);
    history.past(2, b"message two");
    history.page_ends(2, true);
    history.is_quiet();

    // It says that there is no more, and covers only a part.
    let mut history = History::page(2);
    history.past(2, b"message two");
    history.page_ends(2, false);
    history.complains("a page has everything that is kept");

    let mut history = History::page(2);
    let end = HistoryEnd { group: 0, from: 1, through: 0, has_more: false };
    history.told(2, &Frame::HistoryEnd(end));
    history.complains("a page has everything that is kept");
}

#[test]
fn a_page_may_lack_what_came_after_it_was_asked_for() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.tick(1, 1);
    history.deliver(2, 1, 1, b"message one");
    let asked = Asked { group: 0, from: 0, through: u64::MAX, limit: 9, newest_first: true };
    history.wrote(2, &Frame::History(asked));
    history.send(2, b"message two");
    history.tick(2, 2);
    history.deliver(2, 2, 2, b"message two");
    history.past(1, b"message one");
    let end = HistoryEnd { group: 0, from: 0, through: 1, has_more: false };
    history.told(2, &Frame::HistoryEnd(end));
    history.is_quiet();
}
