//! Blocks.

use fulmar_protocol::Frame;
use fulmar_protocol::people::{Item, item, user_key};

use super::{History, READER, SENDER};
use crate::clock::SECOND;

impl History {
    /// The reader blocks the sender, or takes that back.
    fn block(&mut self, version: u64, value: &[u8]) {
        let (item, key) = (item::BLOCK, &user_key(SENDER)[..]);
        self.wrote(2, &Frame::Put { item, key, value });
        self.told(2, &Frame::Item(Item { version, item, key, value }));
    }
}

#[test]
fn what_a_blocked_person_sends_is_ticked_and_never_delivered() {
    let mut history = History::with_message();
    history.block(1, &[1]);
    history.0.time(SECOND);
    history.send(2, b"message two");
    history.tick(2, 2);
    history.is_content();
    // Nor when it is taken back.
    history.0.time(2 * SECOND);
    history.block(2, b"");
    history.deliver(2, 2, 2, b"message two");
    history.0.judge_whole();
    history.complains("what a blocked person sends is not delivered");
}

#[test]
fn what_was_sent_before_a_block_is_owed() {
    let mut history = History::with_ticked();
    history.0.time(SECOND);
    history.block(1, &[1]);
    assert!(history.0.missing()[0].contains("message 1 from 7 to 8 lacks"));
    let blocked = (history.0.user(READER), history.0.user(SENDER));
    assert!(history.0.may_block(blocked.0, blocked.1));
}

#[test]
fn who_is_blocked_gets_no_receipts() {
    let mut history = History::with_ticked();
    history.block(1, &[1]);
    history.deliver(2, 1, 1, b"message one");
    history.ack(2, 1);
    history.0.time(SECOND);
    history.receipt(1, 0);
    history.complains("who is blocked gets no receipts");
}
