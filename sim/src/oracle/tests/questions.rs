//! Answers about people: they are asked for, and make sense.

use fulmar_protocol::people::{Found, Profile};
use fulmar_protocol::{Code, Frame, Numbers};

use super::{History, READER};
use crate::clock::SECOND;

const fn found(code: Code) -> Frame<'static> {
    Frame::Found(Found { name: b"ann", user: 0, code, retry_after_ms: 0 })
}

fn profile(version: u64, name: &[u8]) -> Frame<'_> {
    Frame::Profile(Profile { user: READER, version, name, status: b"", avatar: b"" })
}

#[test]
fn who_asked_for_a_name_is_told_or_why_not() {
    let mut history = History::new();
    history.told(1, &found(Code::None));
    history.complains("who has a name is told to who asked");

    let mut history = History::new();
    for code in [Code::Overloaded, Code::BadName] {
        history.is_quiet();
        history.wrote(1, &Frame::Find { name: b"ann" });
        let now = history.0.now;
        history.0.time(now + SECOND);
        history.told(1, &found(code));
    }
    history.complains("who has a name is told, or why not");
}

#[test]
fn a_profile_is_told_to_who_asked() {
    let mut history = History::new();
    history.told(1, &profile(0, b""));
    history.complains("a profile is told to who asked");
}

#[test]
fn where_there_is_no_profile_there_is_nothing() {
    let mut history = History::new();
    history.wrote(1, &Frame::ProfileLook { user: READER, version: 0 });
    history.told(1, &profile(0, b"Ann"));
    history.complains("where there is no profile there is nothing");
}

#[test]
fn versions_of_a_profile_are_those_of_its_book() {
    let mut history = History::new();
    history.wrote(1, &Frame::Watch { users: Numbers::Slice(&[READER]) });
    history.told(1, &Frame::ProfileNews { user: READER, version: 1 });
    history.complains("versions of a profile are those of its book");
}
