//! Who is in a group: what members may do and read, and strangers may not.

use fulmar_client::Action;
use fulmar_protocol::content::{Content, EDIT};
use fulmar_protocol::group::{GroupRejected, GroupState};
use fulmar_protocol::{Code, Frame, Pairs};

use super::grouped::GROUP;
use super::{ConnNo, History, READER, SENDER};

impl History {
    /// The reader is a member no more.
    fn without_reader() -> Self {
        let mut history = History::with_told_group();
        history.group_change(3, Action::Remove, &[READER]);
        history.told_group(1, 3, 3);
        history
    }

    /// Somebody is told what the group is.
    fn shown(&mut self, conn: ConnNo, head: u64, name: &[u8], roles: &[(u64, u64)]) {
        self.wrote(conn, &Frame::GroupLook { group: GROUP, after: 0 });
        let members = roles.len() as u64;
        let (shows_history, info, roles) = (false, &b""[..], Pairs::Slice(roles));
        let group = GROUP;
        let state = GroupState { group, head, members, shows_history, name, info, roles };
        self.told(conn, &Frame::GroupState(state));
        self.is_quiet();
        self.0.judge_whole();
    }

    /// The reader, whose device has the group up to here, is refused as a stranger.
    fn strange(&mut self, cursor: u64) {
        self.has_group(READER, cursor);
        self.group_send(2, 1, 1, b"hello");
        let (group, number, code) = (GROUP, 1, Code::NotAMember);
        let rejected = GroupRejected { group, number, code, retry_after_ms: 0 };
        self.told(2, &Frame::GroupRejected(rejected));
        self.is_quiet();
        self.0.judge_whole();
    }
}

#[test]
fn a_good_history_of_a_group_is_quiet() {
    let mut history = History::with_told_group();
    history.0.judge_whole();
    history.is_quiet();
    let mut history = History::without_reader();
    history.strange(3);
    history.is_quiet();
}

#[test]
fn who_is_not_a_member_writes_nothing() {
    let mut history = History::without_reader();
    history.group_send(2, 1, 1, b"hello");
    history.told_group(2, 1, 4);
    history.is_quiet();
    history.0.judge_whole();
    history.complains("who isn't a member writes nothing");
}

#[test]
fn a_change_is_made_by_who_may_make_it() {
    let mut history = History::with_told_group();
    history.changes(2, 1, Action::Rename, &[]);
    history.told_group(2, 1, 3);
    history.is_quiet();
    history.0.judge_whole();
    history.complains("a change is made by who may make it");
}

#[test]
fn who_is_not_a_member_reads_nothing() {
    let mut history = History::without_reader();
    history.group_send(1, 4, 1, b"message two");
    history.told_group(1, 4, 4);
    history.group_ack(2);
    history.group_skip(2, 3);
    history.0.judge_whole();
    history.is_quiet();
    history.group_deliver(2, 4, 1, b"message two");
    history.is_quiet();
    history.0.judge_whole();
    history.complains("who isn't a member reads nothing");
}

#[test]
fn who_is_added_is_told() {
    let mut history = History::with_group();
    history.0.judge_whole();
    history.complains("who is added is told");
}

#[test]
fn a_member_may_write() {
    let mut history = History::with_told_group();
    history.strange(2);
    history.complains("a member may write");
}

#[test]
fn an_author_may_change_a_message_of_a_group() {
    let mut history = History::with_told_group();
    let mut body = Vec::new();
    Content::Edit { target: 2, body: b"new" }.encode(&mut body);
    history.group_send(1, 3, EDIT, &body);
    history.group_reject(3, Code::NotYours);
    history.is_quiet();
    history.0.judge_whole();
    history.complains("an author may change a message");
}

#[test]
fn a_group_is_said_to_be_what_its_log_made_of_it() {
    let both = [(SENDER, 3), (READER, 1)];
    let mut history = History::with_told_group();
    history.shown(2, 2, b"g", &both);
    history.is_quiet();
    history.group_change(3, Action::Promote, &[READER]);
    history.told_group(1, 3, 3);
    history.shown(1, 3, b"g", &[(SENDER, 3), (READER, 2)]);
    history.is_quiet();
    history.shown(1, 3, b"g", &both);
    history.complains("a group is said to be what its log made of it");

    for (name, roles) in [(&b"h"[..], &both[..]), (b"g", &both[..1]), (b"g", &[])] {
        let mut history = History::with_told_group();
        history.shown(1, 2, name, roles);
        history.complains("a group is said to be what its log made of it");
    }
}

#[test]
fn who_is_not_a_member_is_not_told_what_a_group_is() {
    let mut history = History::without_reader();
    history.shown(2, 3, b"g", &[(SENDER, 3)]);
    history.complains("who isn't a member isn't told what a group is");
}

#[test]
fn members_alone_are_shown_who_writes() {
    const HERE: Frame<'_> = Frame::Activity { is_here: true };
    let types = Frame::Typing { group: GROUP, user: 0, is_typing: true };
    let told = Frame::Typing { group: GROUP, user: SENDER, is_typing: true };
    let mut history = History::with_told_group();
    history.wrote(2, &HERE);
    history.wrote(1, &types);
    history.told(2, &told);
    history.group_change(3, Action::Remove, &[READER]);
    history.told_group(1, 3, 3);
    // It may have been on the way.
    history.told(2, &told);
    history.0.judge_whole();
    history.is_quiet();

    let mut history = History::without_reader();
    history.wrote(2, &HERE);
    history.wrote(1, &types);
    history.told(2, &told);
    history.is_quiet();
    history.0.judge_whole();
    history.complains("members alone are shown who writes in a group");
}

#[test]
fn what_is_said_behind_an_end_may_answer_an_older_question() {
    let mut history = History::with_told_group();
    history.wrote(2, &Frame::GroupLook { group: GROUP, after: 0 });
    history.told(2, &Frame::GroupGone { group: GROUP, position: 0 });
    history.group_change(3, Action::Add, &[9]);
    history.told_group(1, 3, 3);
    // Of before the addition, though a later question was asked since.
    history.shown(2, 2, b"g", &[(SENDER, 3), (READER, 1)]);
    history.is_quiet();
    let mut history = History::with_told_group();
    history.wrote(2, &Frame::GroupLook { group: GROUP, after: 0 });
    history.told(2, &Frame::GroupGone { group: GROUP, position: 0 });
    let (group, head, members, shows_history) = (GROUP, 1, 2, false);
    let (name, info, roles) = (&b"g"[..], &b""[..], Pairs::Slice(&[]));
    let state = GroupState { group, head, members, shows_history, name, info, roles };
    history.told(2, &Frame::GroupState(state));
    history.complains("the head of a group never goes back");
}
