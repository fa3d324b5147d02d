//! Who is there, when somebody was last seen, and who writes.

use fulmar_protocol::people::privacy;
use fulmar_protocol::{Frame, Numbers, Pairs};

use super::{History, READER, SENDER};
use crate::clock::{SECOND, Time};

/// The wall clock when a history begins.
const BEGIN_MS: u64 = 1_800_000_000_000;
const HERE: Frame<'_> = Frame::Activity { is_here: true };
const AWAY: Frame<'_> = Frame::Activity { is_here: false };

impl History {
    /// The sender watches the reader.
    fn watches(&mut self) {
        self.wrote(1, &Frame::Watch { users: Numbers::Slice(&[READER]) });
    }

    fn unwatches(&mut self) {
        self.wrote(1, &Frame::Unwatch { users: Numbers::Slice(&[READER]) });
    }

    fn presence(&mut self, is_online: bool, last_seen_ms: u64) {
        self.told(1, &Frame::Presence { user: READER, is_online, last_seen_ms });
    }

    /// The server answers: it has come to everything before.
    fn ping(&mut self, conn: u32) {
        self.wrote(conn, &Frame::Ping);
        self.told(conn, &Frame::Pong { heads: Pairs::Slice(&[]) });
    }

    fn at(&mut self, time: Time) {
        self.0.time(time);
    }

    fn types(&mut self, user: u64) {
        self.wrote(1, &Frame::Typing { group: 0, user, is_typing: true });
    }

    fn typing(&mut self, conn: u32) {
        self.told(conn, &Frame::Typing { group: 0, user: SENDER, is_typing: true });
    }

    /// The reader was there for a moment, at one second.
    fn was_there() -> History {
        let mut history = History::new();
        history.watches();
        history.at(SECOND);
        history.wrote(2, &HERE);
        history.at(2 * SECOND);
        history.ping(2);
        history.presence(true, BEGIN_MS + 1_500);
        assert_eq!(history.0.failure, None);
        history
    }
}

#[test]
fn who_is_shown_as_there_is_there() {
    let mut history = History::was_there();
    history.at(100 * SECOND);
    history.wrote(2, &AWAY);
    history.ping(2);
    history.at(400 * SECOND);
    history.ping(1);
    history.presence(true, BEGIN_MS + 1_500);
    history.complains("who is shown as there is there");

    // Who only sends was never there.
    let mut history = History::new();
    history.watches();
    history.wrote(2, &Frame::Read { peer: SENDER, ordinal: 0 });
    history.presence(true, BEGIN_MS);
    history.complains("who is shown as there is there");
}

#[test]
fn last_seen_is_when_a_person_did_something() {
    let mut history = History::was_there();
    history.at(3 * SECOND);
    history.ack(2, 0);
    history.at(4 * SECOND);
    history.presence(true, BEGIN_MS + 3_000);
    history.complains("last seen is when a person did something");
}

#[test]
fn last_seen_survives_a_crash_once_it_had_its_time() {
    let mut history = History::was_there();
    history.at(200 * SECOND);
    history.0.ended();
    history.0.closed(1);
    history.log_in(4, SENDER, 1, 0, 0);
    history.at(201 * SECOND);
    history.wrote(4, &Frame::Watch { users: Numbers::Slice(&[READER]) });
    history.ping(4);
    history.told(4, &Frame::Presence { user: READER, is_online: false, last_seen_ms: 0 });
    history.complains("last seen doesn't stay behind");

    // A crash takes what is new.
    let mut history = History::was_there();
    history.at(20 * SECOND);
    history.0.ended();
    history.0.closed(1);
    history.log_in(4, SENDER, 1, 0, 0);
    history.at(201 * SECOND);
    history.wrote(4, &Frame::Watch { users: Numbers::Slice(&[READER]) });
    history.ping(4);
    history.told(4, &Frame::Presence { user: READER, is_online: false, last_seen_ms: 0 });
    assert_eq!(history.0.failure, None);
}

#[test]
fn who_hides_is_not_shown() {
    let mut history = History::new();
    history.watches();
    history.hides(privacy::ONLINE);
    history.wrote(2, &HERE);
    history.at(60 * SECOND);
    history.ping(1);
    history.presence(false, BEGIN_MS);
    assert_eq!(history.0.failure, None);
    history.presence(true, BEGIN_MS);
    history.complains("who hides isn't shown as there");

    let mut history = History::new();
    history.watches();
    history.hides(privacy::LAST_SEEN);
    history.wrote(2, &HERE);
    history.at(60 * SECOND);
    history.ping(1);
    history.presence(true, BEGIN_MS);
    history.complains("who hides isn't shown as seen");

    let mut history = History::new();
    history.watches();
    history.blocks_sender();
    history.wrote(2, &HERE);
    history.at(60 * SECOND);
    history.ping(1);
    history.presence(false, 0);
    assert_eq!(history.0.failure, None);
    history.told(1, &Frame::ProfileNews { user: READER, version: 1 });
    history.complains("who is blocked sees no profile");
}

#[test]
fn who_is_not_watched_is_not_told_of() {
    let mut history = History::new();
    history.presence(false, 0);
    history.complains("who isn't watched isn't told of");

    let mut history = History::new();
    history.watches();
    history.at(SECOND);
    history.unwatches();
    history.presence(false, 0);
    assert_eq!(history.0.failure, None);
    history.at(2 * SECOND);
    history.ping(1);
    history.presence(false, 0);
    history.complains("who isn't watched isn't told of");
}

#[test]
fn changes_are_gathered() {
    let mut history = History::was_there();
    history.ping(1);
    history.wrote(2, &AWAY);
    history.at(8 * SECOND);
    history.ping(1);
    history.presence(false, BEGIN_MS + 2_000);
    assert_eq!(history.0.failure, None);
    history.wrote(2, &HERE);
    history.at(9 * SECOND);
    history.ping(1);
    history.presence(true, BEGIN_MS + 8_500);
    history.at(10 * SECOND);
    history.presence(false, BEGIN_MS + 8_500);
    history.complains("changes of presence are gathered");
}

#[test]
fn who_watches_is_shown_what_holds_in_the_end() {
    let mut history = History::was_there();
    history.at(3 * SECOND);
    history.0.asks_in_the_end();
    assert_eq!(history.0.missing_of_people(), [""; 0]);
    history.wrote(2, &AWAY);
    history.ping(2);
    history.at(300 * SECOND);
    assert!(history.0.missing_of_people()[0].contains("who is there: false"));
    history.presence(false, BEGIN_MS + 3_000);
    assert_eq!(history.0.missing_of_people(), [""; 0]);
    assert_eq!(history.0.failure, None);
}

#[test]
fn who_is_shown_to_write_just_wrote() {
    let mut history = History::new();
    history.wrote(2, &HERE);
    history.types(READER);
    history.typing(2);
    assert_eq!(history.0.failure, None);
    history.at(SECOND);
    history.ping(1);
    history.at(60 * SECOND);
    history.wrote(2, &HERE);
    history.ping(2);
    history.typing(2);
    history.complains("who is shown to write just wrote");

    let mut history = History::new();
    history.wrote(2, &HERE);
    history.types(SENDER);
    history.typing(2);
    history.complains("who is shown to write just wrote");
}

#[test]
fn typing_is_shown_to_who_is_there() {
    let mut history = History::new();
    history.wrote(2, &HERE);
    history.types(READER);
    history.typing(3);
    history.complains("typing is shown to who is there");
}

#[test]
fn who_is_blocked_is_not_shown_to_write() {
    let mut history = History::new();
    history.wrote(2, &HERE);
    history.blocks_sender();
    history.at(SECOND);
    history.ping(2);
    history.types(READER);
    history.typing(2);
    history.complains("who is blocked isn't shown to write");
}
