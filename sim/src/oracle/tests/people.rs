//! Profiles, usernames, and who may see what.

use fulmar_protocol::people::{
    Found, Item, Profile, PutRejected, audience, item, privacy, profile, user_key,
};
use fulmar_protocol::{Code, Frame};

use super::{History, READER, SENDER};
use crate::clock::{MS, SECOND};

/// The connections of the two.
const OF_SENDER: u32 = 1;
const OF_READER: u32 = 2;

impl History {
    /// Somebody sets something, and is told that it is set.
    pub(super) fn sets(&mut self, conn: u32, version: u64, (item, key, value): (u8, &[u8], &[u8])) {
        self.wrote(conn, &Frame::Put { item, key, value });
        self.told(conn, &Frame::Item(Item { version, item, key, value }));
    }

    pub(super) fn hides(&mut self, what: u8) {
        self.sets(OF_READER, 1, (item::PRIVACY, &[what], &[audience::NOBODY]));
    }

    pub(super) fn blocks_sender(&mut self) {
        self.sets(OF_READER, 1, (item::BLOCK, &user_key(SENDER), &[1]));
    }

    /// The reader calls itself something.
    fn calls(&mut self, version: u64, name: &[u8]) {
        self.sets(OF_READER, version, (item::PROFILE, &[profile::NAME], name));
    }

    fn looks(&mut self, version: u64) {
        self.wrote(OF_SENDER, &Frame::ProfileLook { user: READER, version });
    }

    fn profile(&mut self, version: u64, name: &[u8]) {
        let (status, avatar) = (&b""[..], &b""[..]);
        let profile = Profile { user: READER, version, name, status, avatar };
        self.told(OF_SENDER, &Frame::Profile(profile));
    }

    fn named(&mut self, conn: u32, version: u64, name: &[u8]) {
        self.sets(conn, version, (item::USERNAME, b"", name));
    }

    fn refused(&mut self, conn: u32, name: &[u8], code: Code) {
        self.wrote(conn, &Frame::Put { item: item::USERNAME, key: b"", value: name });
        let refused = PutRejected { item: item::USERNAME, key: b"", code, retry_after_ms: 0 };
        self.told(conn, &Frame::PutRejected(refused));
    }

    /// The sender asks who has a name, and is told after a while.
    fn finds(&mut self, name: &[u8], user: u64, after: u64) {
        let now = self.0.now;
        self.wrote(OF_SENDER, &Frame::Find { name });
        self.0.time(now + after);
        let found = Found { name, user, code: Code::None, retry_after_ms: 0 };
        self.told(OF_SENDER, &Frame::Found(found));
    }
}

#[test]
fn a_profile_is_as_it_was_put() {
    let mut history = History::new();
    history.looks(0);
    history.calls(1, b"Ann");
    history.profile(1, b"Ann");
    history.looks(1);
    history.profile(1, b"");
    history.looks(0);
    assert_eq!(history.0.failure, None);
    history.profile(1, b"Bob");
    history.complains("a profile is as it was put");

    let mut history = History::new();
    history.sets(OF_READER, 1, (item::CONTACT, &user_key(SENDER), b"x"));
    history.calls(2, b"Ann");
    history.looks(0);
    history.profile(1, b"Ann");
    history.complains("a profile never goes back");
}

#[test]
fn a_version_is_one_profile() {
    let mut history = History::new();
    history.calls(1, b"Ann");
    history.wrote(OF_READER, &Frame::Put { item: 0, key: &[profile::NAME], value: b"Bob" });
    history.looks(0);
    history.profile(2, b"Bob");
    history.looks(0);
    assert_eq!(history.0.failure, None);
    history.profile(2, b"Ann");
    history.complains("a version of a profile is used once");
}

#[test]
fn a_profile_that_was_told_is_not_taken_back() {
    let mut history = History::new();
    history.calls(1, b"Ann");
    history.calls(2, b"Bob");
    history.looks(0);
    history.profile(1, b"Ann");
    history.complains("a profile never goes back");

    let mut history = History::new();
    history.calls(1, b"Ann");
    history.looks(0);
    history.profile(0, b"");
    history.complains("a profile never goes back");
}

#[test]
fn who_asks_in_the_end_is_told_what_was_put_last() {
    let mut history = History::new();
    history.calls(1, b"Ann");
    history.sets(OF_READER, 2, (item::PROFILE, &[profile::STATUS], b"away"));
    history.0.time(SECOND);
    history.0.asks_in_the_end();
    history.looks(0);
    assert_eq!(history.0.missing_of_people().len(), 1);
    let (name, status, avatar) = (&b""[..], &b"away"[..], &b""[..]);
    let profile = Profile { user: READER, version: 2, name, status, avatar };
    history.told(OF_SENDER, &Frame::Profile(profile));
    history.complains("a profile ends as it was put");
}

#[test]
fn who_is_blocked_sees_no_profile() {
    let mut history = History::new();
    history.blocks_sender();
    history.calls(2, b"Ann");
    history.0.time(SECOND);
    history.looks(0);
    history.profile(0, b"");
    assert_eq!(history.0.failure, None);
    history.looks(0);
    history.profile(2, b"Ann");
    history.complains("who is blocked sees no profile");
}

#[test]
fn a_name_is_one_users() {
    let mut history = History::new();
    history.named(OF_READER, 1, b"ann");
    history.0.time(SECOND);
    history.wrote(OF_SENDER, &Frame::Ping);
    history.told(OF_SENDER, &Frame::Pong { heads: fulmar_protocol::Pairs::Slice(&[]) });
    history.0.time(2 * SECOND);
    history.named(OF_SENDER, 1, b"ann");
    history.complains("a name is one user's");

    // It may have been given back before.
    let mut history = History::new();
    history.named(OF_READER, 1, b"ann");
    history.0.time(SECOND);
    history.named(OF_READER, 2, b"bob");
    history.named(OF_SENDER, 1, b"ann");
    assert_eq!(history.0.failure, None);
}

#[test]
fn a_name_is_taken_only_where_somebody_has_it() {
    let mut history = History::new();
    history.named(OF_READER, 1, b"ann");
    history.refused(OF_SENDER, b"ann", Code::NameTaken);
    assert_eq!(history.0.failure, None);
    history.0.time(SECOND);
    history.named(OF_READER, 2, b"bob");
    history.0.time(2 * SECOND);
    history.refused(OF_SENDER, b"ann", Code::NameTaken);
    history.complains("a name is taken only where somebody has it");

    let mut history = History::new();
    history.refused(OF_SENDER, b"ann", Code::BadName);
    history.complains("a name is refused for a reason of its own");
}

#[test]
fn who_has_a_name_is_found_and_nobody_else() {
    let mut history = History::new();
    history.named(OF_READER, 1, b"ann");
    history.0.time(SECOND);
    history.finds(b"ann", READER, 100 * MS);
    assert_eq!(history.0.failure, None);
    history.finds(b"ann", 0, 100 * MS);
    history.complains("who has a name is found");

    let mut history = History::new();
    history.named(OF_READER, 1, b"ann");
    history.named(OF_READER, 2, b"");
    history.0.time(SECOND);
    history.finds(b"ann", 0, 100 * MS);
    assert_eq!(history.0.failure, None);
    history.finds(b"ann", READER, 100 * MS);
    history.complains("who is found has the name");

    let mut history = History::new();
    history.finds(b"ann", 0, 50 * MS);
    history.complains("an answer about a name comes at its time");
}

#[test]
fn who_hides_is_not_found() {
    let mut history = History::new();
    history.hides(privacy::FOUND);
    history.named(OF_READER, 2, b"ann");
    history.0.time(SECOND);
    history.finds(b"ann", 0, 100 * MS);
    assert_eq!(history.0.failure, None);
    history.finds(b"ann", READER, 100 * MS);
    history.complains("who hides isn't found");
}

#[test]
fn a_user_may_ask_for_some_names() {
    let mut history = History::new();
    history.refused(OF_SENDER, b"ann", Code::TooManyLookups);
    history.complains("a user may ask for some names");
}

impl History {
    /// The reader hides what it reads, and then reads the only message.
    fn with_hidden_read() -> History {
        let mut history = History::new();
        history.send(1, b"message one");
        history.tick(1, 1);
        history.hides(privacy::READS);
        history.deliver(2, 1, 1, b"message one");
        history.ack(2, 1);
        history.0.time(SECOND);
        history.wrote(2, &Frame::Read { peer: SENDER, ordinal: 1 });
        history
    }
}

#[test]
fn who_hides_what_was_read_hides_it() {
    let mut history = History::with_hidden_read();
    history.receipt(1, 0);
    assert_eq!(history.0.failure, None);
    history.receipt(1, 1);
    history.complains("who hides what was read hides it");
}

/// The server may come to it after the setting, which went another way.
#[test]
fn what_was_read_just_before_reads_are_open_again_may_show() {
    let mut history = History::with_hidden_read();
    let (key, value) = (&[privacy::READS][..], &[audience::EVERYBODY][..]);
    history.wrote(2, &Frame::Put { item: item::PRIVACY, key, value });
    history.receipt(1, 1);
    assert_eq!(history.0.failure, None);
}
