//! Histories of a group: what its members write and are told.

use fulmar_client::store::{GroupState, Write};
use fulmar_client::{Action, Message, MessageId};
use fulmar_protocol::group::{Change, GroupDeliver, GroupNotice, GroupRejected, GroupSend};
use fulmar_protocol::{Code, Frame, Numbers, Pairs};

use super::{History, READER, SENDER, TIME_MS};
use crate::network::ConnNo;

/// A group of the sender and the reader.
pub(super) const GROUP: u64 = 300;

/// An entry of the sender, as somebody else is told of it.
pub(super) const fn entry(position: u64, body: &[u8]) -> GroupDeliver<'_> {
    GroupDeliver {
        group: GROUP,
        position,
        author: SENDER,
        time_ms: TIME_MS,
        content: 1,
        total_bytes: None,
        body,
        own: false,
    }
}

/// Such an entry in a store.
pub(super) fn kept(position: u64, body: &[u8]) -> Message {
    Message { group: Some(GROUP), ..History::message(position, position, body) }
}

impl History {
    /// See `group`.
    pub(super) fn with_group() -> Self {
        let mut history = History::new();
        history.group();
        history
    }

    /// The same, and the reader has been told of it.
    pub(super) fn with_told_group() -> Self {
        let mut history = History::with_group();
        let (position, group, by, time_ms) = (1, GROUP, SENDER, TIME_MS);
        for conn in [2, 3] {
            history.told(conn, &Frame::GroupNotice(GroupNotice { position, group, by, time_ms }));
        }
        history
    }

    /// The sender makes a group with the reader and writes one message to it.
    pub(super) fn group(&mut self) {
        for conn in [1, 2] {
            self.wrote(conn, &Frame::GroupResume { cursors: Pairs::Slice(&[]) });
        }
        let change =
            Change { action: Action::Create, users: Numbers::Slice(&[READER]), value: b"g" };
        self.wrote(1, &Frame::GroupChange { group: 0, number: 1, change });
        self.told_group(1, 1, 1);
        self.group_send(1, 2, 1, b"message one");
        self.told_group(1, 2, 2);
        self.group_skip(2, 1);
        self.group_deliver(2, 2, 1, b"message one");
    }

    pub(super) fn told_group(&mut self, conn: ConnNo, number: u64, position: u64) {
        let time_ms = TIME_MS;
        self.told(conn, &Frame::GroupSent { group: GROUP, number, position, time_ms });
    }

    pub(super) fn group_send(&mut self, conn: ConnNo, number: u64, content: u8, body: &[u8]) {
        let send = GroupSend { group: GROUP, number, content, total_bytes: None, body };
        self.wrote(conn, &Frame::GroupSend(send));
    }

    pub(super) fn group_deliver(&mut self, conn: ConnNo, position: u64, content: u8, body: &[u8]) {
        let deliver = GroupDeliver { content, ..entry(position, body) };
        self.told(conn, &Frame::GroupDeliver(deliver));
    }

    pub(super) fn group_skip(&mut self, conn: ConnNo, position: u64) {
        self.told(conn, &Frame::GroupSkip { group: GROUP, position });
    }

    pub(super) fn group_reject(&mut self, number: u64, code: Code) {
        let rejected = GroupRejected { group: GROUP, number, code, retry_after_ms: 0 };
        self.told(1, &Frame::GroupRejected(rejected));
    }

    pub(super) fn group_change(&mut self, number: u64, action: Action, users: &[u64]) {
        self.changes(1, number, action, users);
    }

    /// Somebody changes the group.
    pub(super) fn changes(&mut self, conn: ConnNo, number: u64, action: Action, users: &[u64]) {
        let change = Change { action, users: Numbers::Slice(users), value: b"" };
        self.wrote(conn, &Frame::GroupChange { group: GROUP, number, change });
    }

    /// A device stores how far it is.
    pub(super) fn has_group(&mut self, user: u64, cursor: u64) {
        let mut state = GroupState::new(GROUP);
        state.cursor = cursor;
        self.0.stored(user, 1, &[Write::Group(state)]);
    }

    pub(super) fn group_ack(&mut self, position: u64) {
        self.wrote(2, &Frame::GroupAck { group: GROUP, position });
    }

    /// The sender's device has stored that a send is rejected.
    pub(super) fn give_up(&mut self, number: u64, code: Code) {
        let rejected = Write::Rejected { id: MessageId(number as i64), number, code };
        self.0.stored(SENDER, 1, &[rejected]);
    }
}
