//! What refers to other messages.

use fulmar_client::Change;
use fulmar_protocol::content::{Content, EDIT, TIMER};
use fulmar_protocol::{Code, Frame, Send};

use super::{History, READER, TIME_MS};

impl History {
    fn refer(&mut self, number: u64, content: &Content<'_>) {
        let mut body = Vec::new();
        content.encode(&mut body);
        self.send_bytes(number, content.number(), &body);
    }

    fn send_bytes(&mut self, number: u64, content: u8, body: &[u8]) {
        let send = Send { peer: READER, number, content, total_bytes: None, body };
        self.wrote(1, &Frame::Send(send));
    }

    fn tick_at(&mut self, number: u64, ordinal: u64, time_ms: u64) {
        self.told(1, &Frame::Sent { peer: READER, number, ordinal, time_ms });
    }
}

const fn edit(target: u64) -> Content<'static> {
    Content::Edit { target, body: b"new" }
}

#[test]
fn a_reference_to_what_is_there_is_not_refused() {
    let mut history = History::with_message();
    history.refer(2, &edit(2));
    history.reject(2, Code::NoSuchMessage);
    history.is_quiet();
    history.refer(3, &edit(1));
    history.reject(3, Code::NoSuchMessage);
    history.complains("what exists may be referred to");

    let mut history = History::with_message();
    history.0.change_age(0);
    history.refer(2, &Content::Delete { target: 1 });
    history.reject(2, Code::TooOld);
    history.is_quiet();
    history.0.change_age(60_000);
    history.refer(3, &Content::Delete { target: 1 });
    history.reject(3, Code::TooOld);
    history.complains("a message may be changed for as long as is said");

    let mut history = History::with_message();
    history.refer(2, &edit(1));
    history.reject(2, Code::BadContent);
    history.complains("a send is rejected for a reason of its own");
}

#[test]
fn only_what_may_be_is_taken() {
    let mut history = History::with_message();
    history.refer(2, &edit(2));
    history.tick(2, 2);
    history.0.judge_whole();
    history.complains("what is referred to is there");

    let mut history = History::with_message();
    history.send_bytes(2, EDIT, b"\0new");
    history.tick(2, 2);
    history.0.judge_whole();
    history.complains("what makes no sense is refused");

    let mut history = History::new();
    history.0.change_age(60_000);
    history.one_message();
    history.refer(2, &edit(1));
    history.tick_at(2, 2, TIME_MS + 89_999);
    history.refer(3, &edit(1));
    history.tick_at(3, 3, TIME_MS + 90_000);
    history.0.judge_whole();
    history.complains("what is too old is changed no more");
}

#[test]
fn a_device_makes_of_a_message_what_it_was_told() {
    let mut history = History::new();
    let one = History::message(1, 1, b"message one");
    let (content, body) = {
        let own = fulmar_client::Message { state: fulmar_client::State::Sent, ..one.clone() };
        own.change(Change::Edit(b"new")).expect("it may be edited")
    };
    let edit = fulmar_client::Message { content, ..History::message(2, 2, &body) };
    let mut edited = one.clone();
    edited.changes.edited = Some((b"new"[..].into(), TIME_MS));
    history.0.judge_changes((READER, 1), [&edited, &edit].into_iter());
    history.is_quiet();
    history.0.judge_changes((READER, 1), [&one, &edit].into_iter());
    history.complains("all devices agree what became of a message");
}

#[test]
fn a_timer_stays_what_it_is() {
    let mut history = History::new();
    let timer = fulmar_client::Message { content: TIMER, ..History::message(1, 1, b"\x3c") };
    let mut body = Vec::new();
    edit(1).encode(&mut body);
    let edit = fulmar_client::Message { content: EDIT, ..History::message(2, 2, &body) };
    history.0.judge_changes((READER, 1), [&timer, &edit].into_iter());
    history.is_quiet();
    let mut edited = timer.clone();
    edited.changes.edited = Some((b"new"[..].into(), TIME_MS));
    history.0.judge_changes((READER, 1), [&edited, &edit].into_iter());
    history.complains("all devices agree what became of a message");
}

#[test]
fn in_a_group_only_the_author_changes_a_message() {
    let mut body = Vec::new();
    edit(2).encode(&mut body);
    let mut history = History::with_group();
    history.group_send(1, 3, EDIT, &body);
    history.told_group(1, 3, 3);
    let judged = history.0.judge_group_references();
    assert_eq!((judged, history.0.failure.take()), (Ok(()), None));

    let mut history = History::with_group();
    history.group_send(2, 1, EDIT, &body);
    history.told_group(2, 1, 3);
    let judged = history.0.judge_group_references();
    assert_eq!(judged.err().map(|it| it.0), Some("only the author changes a message"));
}
