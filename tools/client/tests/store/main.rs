//! The store in a file: what it accepts to open, and that it does what the store in memory does.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use fulmar_client::store::{
    Clocks, ConversationState, GroupState, MemoryStore, SqliteStore, Store, StoreError, Write,
};
use fulmar_client::{
    Change, Changes, Message, MessageId, Profile, Receipt, Role, Star, State, Target, content,
};
use fulmar_protocol::Code;
use fulmar_protocol::content::{Content, Target as Meant};
use tempfile::TempDir;

struct Place {
    _directory: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("device.db");
    Place { _directory: directory, path }
}

fn message(id: i64, peer: u64, state: State, position: Option<u64>) -> Message {
    Message {
        id: MessageId(id),
        group: None,
        peer,
        state,
        ordinal: position,
        position,
        time_ms: 1_000 + id.unsigned_abs(),
        content: content::TEXT,
        body: Arc::from(format!("body {id}").into_bytes()),
        changes: Changes::default(),
    }
}

#[test]
fn a_new_store_is_empty_and_its_owner_s_alone() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    assert_eq!(store.load().unwrap(), MemoryStore::new().load().unwrap());
    let mode = std::fs::metadata(&place.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_store_is_open_in_one_place_at_a_time() {
    let place = place();
    let store = SqliteStore::open(&place.path, 7, 1).unwrap();
    let second = SqliteStore::open(&place.path, 7, 1);
    assert!(matches!(second, Err(StoreError::InUse)), "{second:?}");
    drop(store);
    SqliteStore::open(&place.path, 7, 1).unwrap();
}

#[test]
fn a_store_belongs_to_one_device() {
    let place = place();
    drop(SqliteStore::open(&place.path, u64::MAX, 2).unwrap());
    let other = SqliteStore::open(&place.path, 7, 1).unwrap_err();
    assert!(matches!(other, StoreError::Identity { user: u64::MAX, device: 2 }), "{other}");
    SqliteStore::open(&place.path, u64::MAX, 2).unwrap();
}

#[test]
fn other_files_and_other_formats_are_left_alone() {
    let text = place();
    let note = "this is a note to myself, long enough for a database header. ".repeat(20);
    std::fs::write(&text.path, &note).unwrap();
    assert!(matches!(SqliteStore::open(&text.path, 7, 1), Err(StoreError::NotAStore)));
    assert_eq!(std::fs::read_to_string(&text.path).unwrap(), note);

    let strange = place();
    let database = rusqlite::Connection::open(&strange.path).unwrap();
    database.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(database);
    assert!(matches!(SqliteStore::open(&strange.path, 7, 1), Err(StoreError::NotAStore)));

    let later = place();
    drop(SqliteStore::open(&later.path, 7, 1).unwrap());
    let database = rusqlite::Connection::open(&later.path).unwrap();
    database.pragma_update(None, "user_version", 5).unwrap();
    drop(database);
    let error = SqliteStore::open(&later.path, 7, 1).unwrap_err();
    assert!(matches!(error, StoreError::Format { found: 5, known: 4 }), "{error}");
}

#[test]
fn a_directory_that_is_missing_is_said_so() {
    let place = place();
    let path = place.path.join("nowhere").join("device.db");
    assert!(matches!(SqliteStore::open(&path, 7, 1), Err(StoreError::Create(_))));
}

#[test]
fn a_position_is_stored_once_and_a_failed_batch_leaves_nothing() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    store.commit(&[Write::Insert(message(1, 8, State::Received, Some(1)))]).unwrap();
    let before = store.load().unwrap();
    let batch = [
        Write::Insert(message(2, 8, State::Received, Some(2))),
        Write::Cursor(2),
        Write::Insert(message(3, 8, State::Received, Some(1))),
    ];
    assert!(store.commit(&batch).is_err());
    assert_eq!(store.load().unwrap(), before);
    let unknown = Write::Ticked { id: MessageId(9), number: 1, ordinal: 1, time_ms: 0 };
    assert!(matches!(store.commit(&[unknown]), Err(StoreError::Damaged(_))));
    assert_eq!(store.load().unwrap(), before);
}

#[test]
fn a_starred_message_is_found_by_what_all_devices_call_it() {
    let place = place();
    let mut file = SqliteStore::open(&place.path, 7, 1).unwrap();
    let theirs = message(1, 8, State::Received, Some(5));
    let mine = message(2, 8, State::Sent, None);
    let mine = Message { ordinal: Some(5), ..mine };
    let other = message(3, 9, State::Received, Some(6));
    let in_group = Message { group: Some(8), ..message(4, 9, State::Received, Some(5)) };
    let all = [&theirs, &mine, &other, &in_group];
    let batch: Vec<_> = all.into_iter().cloned().map(Write::Insert).collect();
    file.commit(&batch).unwrap();
    for message in all {
        let star = Star::of(message).unwrap();
        assert_eq!(file.starred(star).unwrap().as_ref(), Some(message));
    }
    let nowhere = Star { target: Target::Peer(8), place: 6, is_own: false };
    assert_eq!(file.starred(nowhere).unwrap(), None);
    let pending = message(5, 8, State::Pending, None);
    assert_eq!(Star::of(&pending), None, "nobody else calls it anything yet");
}

/// An entry of group 30.
fn entry(id: i64, what: &Content<'_>) -> Write {
    let mut body = Vec::new();
    what.encode(&mut body);
    let message = message(id, 9, State::Received, Some(id as u64));
    let (group, body) = (Some(30), Arc::from(body));
    Write::Insert(Message { group, content: what.number(), body, ..message })
}

#[test]
fn what_refers_to_a_timer_or_a_change_of_a_group_is_ignored() {
    let place = place();
    let mut file = SqliteStore::open(&place.path, 7, 1).unwrap();
    let mut memory = MemoryStore::new();
    let mut batch = vec![
        entry(1, &Content::Timer { seconds: 60 }),
        entry(2, &Content::Plain { content: content::CHANGE, body: b"" }),
        entry(3, &Content::Plain { content: content::TEXT, body: b"text" }),
    ];
    for target in 1..=3 {
        let (of_peer, id) = (false, 10 * target as i64);
        let meant = Meant { of_peer, place: target };
        batch.push(entry(id, &Content::Edit { target, body: b"edited" }));
        batch.push(entry(id + 1, &Content::Reaction { target: meant, body: b"+1" }));
    }
    for store in [&mut file as &mut dyn Store, &mut memory] {
        store.commit(&batch).unwrap();
        let changed = |it: &Message| it.changes != Changes::default();
        let kept = store.history(Target::Group(30), None, 9).unwrap();
        assert_eq!(kept.iter().map(changed).collect::<Vec<_>>(), [false, false, true]);
        store
            .commit(&[1, 2, 3].map(|it| entry(50 + it as i64, &Content::Delete { target: it })))
            .unwrap();
        let kept = store.history(Target::Group(30), None, 9).unwrap();
        let is_deleted = |it: &Message| it.changes.is_deleted;
        assert_eq!(kept.iter().map(is_deleted).collect::<Vec<_>>(), [false, false, true]);
        let can_be_changed = |it: &Message| it.change(Change::React(b"+1")).is_some();
        assert_eq!(kept.iter().map(can_be_changed).collect::<Vec<_>>(), [false, false, true]);
    }
}

#[test]
fn history_is_read_in_pages_from_the_newest() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    for id in 1..=9 {
        let peer = if id % 3 == 0 { u64::MAX } else { 8 };
        let write = Write::Insert(message(id, peer, State::Received, Some(id as u64)));
        store.commit(&[write]).unwrap();
    }
    let ids = |page: Vec<Message>| page.iter().map(|message| message.id.0).collect::<Vec<_>>();
    assert_eq!(ids(store.history(Target::Peer(8), None, 3).unwrap()), [5, 7, 8]);
    assert_eq!(ids(store.history(Target::Peer(8), Some(MessageId(5)), 3).unwrap()), [1, 2, 4]);
    assert_eq!(ids(store.history(Target::Peer(8), Some(MessageId(1)), 3).unwrap()), [0; 0]);
    assert_eq!(ids(store.history(Target::Peer(u64::MAX), None, 100).unwrap()), [3, 6, 9]);
}

/// What a store of the format before groups held: two messages, one of them without an answer.
const OLD_STORE: &str = "
    CREATE TABLE device (
        row INTEGER PRIMARY KEY CHECK (row = 1), user INTEGER NOT NULL, device INTEGER NOT NULL,
        cursor INTEGER NOT NULL DEFAULT 0, number_last INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY, peer INTEGER NOT NULL, state INTEGER NOT NULL, code INTEGER,
        ordinal INTEGER, position INTEGER UNIQUE, time_ms INTEGER NOT NULL,
        content INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX messages_of_peer ON messages (peer, id);
    CREATE INDEX messages_received ON messages (peer, ordinal) WHERE state = 0;
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY,
        message INTEGER NOT NULL UNIQUE REFERENCES messages (id)
    ) STRICT;
    CREATE TABLE conversations (
        peer INTEGER PRIMARY KEY, delivered INTEGER NOT NULL, read INTEGER NOT NULL,
        seen INTEGER NOT NULL, seen_confirmed INTEGER NOT NULL, in_last INTEGER NOT NULL,
        out_last INTEGER NOT NULL, last INTEGER NOT NULL
    ) STRICT;
    INSERT INTO device VALUES (1, 7, 1, 4, 90);
    INSERT INTO messages VALUES (1, 8, 0, NULL, 4, 4, 1001, 1, CAST('body 1' AS BLOB));
    INSERT INTO messages VALUES (2, 8, 1, NULL, NULL, NULL, 1002, 1, CAST('body 2' AS BLOB));
    INSERT INTO outbox VALUES (90, 2);
    INSERT INTO conversations VALUES (8, 1, 2, 3, 3, 4, 5, 2);
    PRAGMA application_id = 0x464c4d43;
    PRAGMA user_version = 1;
";

#[test]
fn a_store_without_groups_is_brought_over() {
    let place = place();
    let old = rusqlite::Connection::open(&place.path).unwrap();
    old.execute_batch(OLD_STORE).unwrap();
    drop(old);
    let mut memory = MemoryStore::new();
    let conversation = ConversationState {
        delivered: 1,
        read: 2,
        seen: 3,
        seen_confirmed: 3,
        in_last: 4,
        out_last: 5,
        last: MessageId(2),
        ..ConversationState::new(8)
    };
    let batch = [
        Write::Insert(message(1, 8, State::Received, Some(4))),
        Write::Enqueue { message: message(2, 8, State::Pending, None), number: 90 },
        Write::Conversation(conversation),
        Write::Cursor(4),
    ];
    memory.commit(&batch).unwrap();
    let other = SqliteStore::open(&place.path, 8, 1);
    assert!(matches!(other, Err(StoreError::Identity { .. })), "a stranger changes nothing");
    for _ in 0..2 {
        let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
        assert_eq!(store.load().unwrap(), memory.load().unwrap());
        let page = |store: &mut dyn Store| store.history(Target::Peer(8), None, 10).unwrap();
        assert_eq!(page(&mut store), page(&mut memory));
    }
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    for store in [&mut store as &mut dyn Store, &mut memory] {
        let ticked = Write::Ticked { id: MessageId(2), number: 90, ordinal: 6, time_ms: 0 };
        let entry = Message { group: Some(30), ..message(3, 9, State::Received, Some(4)) };
        store.commit(&[ticked, Write::Insert(entry)]).unwrap();
    }
    assert_eq!(store.load().unwrap(), memory.load().unwrap());
}

#[test]
fn a_position_of_a_group_is_stored_once() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    let entry = |id, group| Message { group, ..message(id, 8, State::Received, Some(1)) };
    let batch: Vec<_> = [(1, None), (2, Some(30)), (3, Some(31))]
        .map(|(id, group)| Write::Insert(entry(id, group)))
        .into();
    store.commit(&batch).unwrap();
    assert!(store.commit(&[Write::Insert(entry(4, Some(30)))]).is_err());
    assert!(store.commit(&[Write::Insert(entry(4, None))]).is_err());
}

/// A resend is ticked without a time, since the server doesn't keep when it took it; a page of the past knows.
#[test]
fn an_own_message_that_a_page_brought_before_its_tick_has_the_time_of_the_page() {
    for group in [None, Some(30)] {
        let place = place();
        let mut file = SqliteStore::open(&place.path, 7, 1).unwrap();
        let mut memory = MemoryStore::new();
        let pending = Message { group, ..message(1, 8, State::Pending, None) };
        let taken_ms = pending.time_ms + 77;
        let filled = Message {
            id: MessageId(-1),
            state: State::Sent,
            ordinal: Some(4),
            position: Some(4),
            time_ms: taken_ms,
            ..pending.clone()
        };
        let ticked = Write::Ticked { id: pending.id, number: 1, ordinal: 4, time_ms: 0 };
        for write in [Write::Enqueue { message: pending, number: 1 }, Write::Fill(filled), ticked] {
            file.commit(std::slice::from_ref(&write)).unwrap();
            memory.commit(&[write]).unwrap();
        }
        let target = group.map_or(Target::Peer(8), Target::Group);
        for store in [&mut file as &mut dyn Store, &mut memory] {
            let kept = store.history(target, None, 9).unwrap();
            let kept: Vec<_> = kept.iter().map(|it| (it.id.0, it.state, it.time_ms)).collect();
            assert_eq!(kept, [(1, State::Sent, taken_ms)], "{group:?}");
        }
    }
}

/// A store of the format before there was a past to fetch, and a book, goes on as it was.
#[test]
fn a_store_of_the_format_before_gets_what_it_lacks() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    let kept = message(1, 8, State::Received, Some(5));
    let states = [
        Write::Conversation(ConversationState::new(8)),
        Write::Group(GroupState { cursor: 3, ..GroupState::new(30) }),
    ];
    store
        .commit(&[&[Write::Insert(kept.clone()), Write::Cursor(5)], &states[..]].concat())
        .unwrap();
    let before = store.load().unwrap();
    drop(store);
    let database = rusqlite::Connection::open(&place.path).unwrap();
    database.execute_batch(BACK_TO_FORMAT_2).unwrap();
    drop(database);
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    assert_eq!(store.load().unwrap(), before);
    assert_eq!(store.message(kept.id).unwrap(), Some(kept));
    let item = Write::Item { item: 200, key: vec![1], version: 1, value: vec![2] };
    store.commit(&[Write::Filled(3), item]).unwrap();
    drop(store);
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    assert_eq!(store.load().unwrap().filled_from, 3);
    assert_eq!(store.book().unwrap().len(), 1);
}

/// So does one of the format before the server's time was kept.
#[test]
fn a_store_that_does_not_know_the_server_s_time_learns_it() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    store.commit(&[Write::Cursor(5)]).unwrap();
    let before = store.load().unwrap();
    drop(store);
    let database = rusqlite::Connection::open(&place.path).unwrap();
    database.execute_batch(BACK_TO_FORMAT_3).unwrap();
    drop(database);
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    assert_eq!(store.load().unwrap(), before);
    let clocks = Clocks { server_ms: 9, unix_ms: 7 };
    store.commit(&[Write::Clocks(clocks)]).unwrap();
    drop(store);
    let mut store = SqliteStore::open(&place.path, 7, 1).unwrap();
    assert_eq!(store.load().unwrap().clocks, Some(clocks));
}

const BACK_TO_FORMAT_3: &str = "
    ALTER TABLE device DROP COLUMN clock_server_ms;
    ALTER TABLE device DROP COLUMN clock_unix_ms;
    PRAGMA user_version = 3;
";

const BACK_TO_FORMAT_2: &str = "
    DROP TABLE book_state;
    DROP TABLE book;
    DROP TABLE wishes;
    DROP TABLE profiles;
    DROP TABLE reactions;
    DROP INDEX messages_by_ordinal;
    DROP INDEX messages_by_place;
    DROP INDEX messages_that_refer;
    DROP INDEX messages_that_expire;
    ALTER TABLE messages DROP COLUMN refers_to;
    ALTER TABLE messages DROP COLUMN edited_body;
    ALTER TABLE messages DROP COLUMN edited_ms;
    ALTER TABLE messages DROP COLUMN edited_at;
    ALTER TABLE messages DROP COLUMN is_deleted;
    ALTER TABLE messages DROP COLUMN expires_ms;
    ALTER TABLE conversations DROP COLUMN timer_s;
    ALTER TABLE conversations DROP COLUMN timer_ms;
    ALTER TABLE groups DROP COLUMN timer_s;
    ALTER TABLE groups DROP COLUMN timer_ms;
    ALTER TABLE device DROP COLUMN filled_from;
    ALTER TABLE device DROP COLUMN clock_server_ms;
    ALTER TABLE device DROP COLUMN clock_unix_ms;
    ALTER TABLE groups DROP COLUMN filled_from;
    PRAGMA user_version = 2;
";

/// Batches as a session makes them, drawn by lot.
struct Life {
    rng: fastrand::Rng,
    id_last: i64,
    id_first: i64,
    number_last: u64,
    position: u64,
    pending: Vec<(MessageId, u64)>,
    rejected: Vec<MessageId>,
    wishes: Vec<Vec<u8>>,
}

impl Life {
    fn write(&mut self) -> Write {
        let lot = self.rng.u8(0..21);
        match lot {
            0 | 1 => {
                self.id_last += 1;
                self.position += 1;
                let state = if lot == 0 { State::Received } else { State::Sent };
                let message = message(self.id_last, self.peer(), state, Some(self.position));
                let message = self.perhaps_about(message);
                Write::Insert(self.perhaps_in_group(message))
            }
            2 => {
                self.id_last += 1;
                self.number_last += 1;
                self.pending.push((MessageId(self.id_last), self.number_last));
                let message = message(self.id_last, self.peer(), State::Pending, None);
                let message = self.perhaps_about(message);
                let message = self.perhaps_in_group(message);
                Write::Enqueue { message, number: self.number_last }
            }
            3 if !self.pending.is_empty() => {
                let (id, number) = self.pending.remove(0);
                let (ordinal, time_ms) = (self.rng.u64(1..99), self.rng.u64(0..2) * 5_000);
                Write::Ticked { id, number, ordinal, time_ms }
            }
            4 if !self.pending.is_empty() => {
                let (id, number) = self.pending.remove(0);
                self.rejected.push(id);
                Write::Rejected { id, number, code: Code::from_number(self.rng.u16(300..304)) }
            }
            5 if !self.rejected.is_empty() => {
                let id = self.rejected.remove(0);
                self.number_last += 1;
                self.pending.push((id, self.number_last));
                Write::Requeue { id, number: self.number_last }
            }
            6 => Write::Conversation(ConversationState {
                delivered: self.rng.u64(0..50),
                read: self.rng.u64(0..50),
                seen: self.rng.u64(0..50),
                seen_confirmed: self.rng.u64(0..50),
                in_last: self.rng.u64(0..50),
                out_last: self.rng.u64(0..50),
                last: MessageId(self.rng.i64(0..=self.id_last)),
                ..ConversationState::new(self.peer())
            }),
            7 if self.rng.u8(0..3) == 0 => {
                self.position = self.rng.u64(0..=self.position);
                Write::WentBack { head: self.position }
            }
            7 if self.rng.u8(0..3) == 0 => {
                Write::GroupWentBack { group: self.group(), head: self.rng.u64(0..20) }
            }
            8 if !self.pending.is_empty() => {
                Write::Placed { id: self.pending[0].0, group: self.group() }
            }
            9 | 10 => {
                let group = self.group();
                let mut number = || self.rng.u64(0..50);
                let receipt = Receipt {
                    position: number(),
                    members: number(),
                    delivered: number(),
                    read: number(),
                    delivered_all: number(),
                    read_all: number(),
                };
                Write::Group(GroupState {
                    group,
                    cursor: number(),
                    name: Arc::from(format!("name {}", number()).into_bytes()),
                    info: Arc::from(vec![7; number() as usize]),
                    owner: u64::MAX - number(),
                    roles_at: number(),
                    is_gone: number() < 10,
                    own_last: number(),
                    seen: number(),
                    seen_confirmed: number(),
                    receipt,
                    last: MessageId((number() as i64).min(self.id_last)),
                    filled_from: number(),
                    timer: (number(), number()),
                })
            }
            11 => {
                let users = [1, 5, 8, 1 << 63, u64::MAX];
                let (first, count) = (self.rng.usize(0..5), self.rng.usize(0..3));
                let through = users[(first + 2).min(4)];
                let after = users[first] - 1;
                let kept = users.into_iter().filter(|user| *user > after && *user <= through);
                let roles: Vec<_> = kept.take(count).map(|user| (user, Role::Admin)).collect();
                Write::Roles { group: self.group(), after, through, roles }
            }
            12 => self.about_the_book(),
            13 => {
                let key = vec![self.rng.u8(0..5)];
                if let Some(at) = self.wishes.iter().position(|wished| *wished == key) {
                    self.wishes.remove(at);
                    return Write::Wish { item: 128, key, value: None };
                }
                self.wishes.push(key.clone());
                Write::Wish { item: 128, key, value: Some(vec![self.rng.u8(..)]) }
            }
            14 => Write::Profile(Profile {
                user: self.peer(),
                version: self.rng.u64(0..50),
                name: Arc::from(vec![self.rng.u8(..)]),
                ..Profile::default()
            }),
            7 => {
                self.number_last += self.rng.u64(0..3);
                Write::NumberLast(self.number_last)
            }
            15 => {
                self.id_first -= 1;
                let state = if self.rng.bool() { State::Received } else { State::Sent };
                let position = 10_000 + self.rng.u64(0..40);
                let mut message = message(self.id_first, self.peer(), state, Some(position));
                message.group = self.rng.bool().then(|| self.group());
                if message.group.is_none() {
                    message.ordinal = Some(self.rng.u64(1..99));
                }
                Write::Fill(self.perhaps_about(message))
            }
            17 => Write::Expire { through_ms: 1_000 + self.rng.u64(0..200) },
            18 if !self.rejected.is_empty() => {
                let (id, at_ms) = (self.rejected[0], 1_000 + self.rng.u64(0..400));
                self.rejected.remove(0);
                Write::Expires { id, at_ms }
            }
            16 => Write::Filled(self.rng.u64(0..40)),
            19 => Write::Clocks(Clocks {
                server_ms: self.rng.u64(0..50),
                unix_ms: self.rng.u64(0..50),
            }),
            _ => Write::Cursor(self.position),
        }
    }

    fn about_the_book(&mut self) -> Write {
        match self.rng.u8(0..8) {
            0 => Write::BookForgotten,
            1 | 2 => Write::BookCursor(self.rng.u64(0..50)),
            lot => Write::Item {
                item: 128 + lot % 2,
                key: vec![self.rng.u8(0..4)],
                version: self.rng.u64(1..50),
                value: vec![7; self.rng.usize(0..3)],
            },
        }
    }

    /// A message that is perhaps about another one.
    fn perhaps_about(&mut self, message: Message) -> Message {
        let target = self.rng.u64(1..=20);
        // What waits may get a place in a group, where nothing is of a peer.
        let (of_peer, place) = (message.position.is_some() && self.rng.bool(), target);
        let content = match self.rng.u8(0..8) {
            0 | 1 => Content::Edit { target, body: b"edited" },
            2 => Content::Delete { target },
            3 => Content::Reaction { target: Meant { of_peer, place }, body: b"+1" },
            4 => Content::Reaction { target: Meant { of_peer: false, place }, body: b"" },
            5 => Content::Timer { seconds: target },
            _ => return message,
        };
        let mut body = Vec::new();
        content.encode(&mut body);
        Message { content: content.number(), body: Arc::from(body), ..message }
    }

    fn perhaps_in_group(&mut self, message: Message) -> Message {
        let group = self.rng.bool().then(|| self.group());
        // A group doesn't go back with the inbox, so its positions are never used again.
        let own = 1_000 + self.id_last as u64;
        let position = message.position.map(|inbox| if group.is_some() { own } else { inbox });
        Message { group, position, ..message }
    }

    fn group(&mut self) -> u64 {
        [30, 31, u64::MAX][self.rng.usize(0..3)]
    }

    fn peer(&mut self) -> u64 {
        [8, 9, u64::MAX][self.rng.usize(0..3)]
    }
}

#[test]
fn the_file_does_what_the_memory_does() {
    for seed in 0..10 {
        let place = place();
        let mut memory = MemoryStore::new();
        let rng = fastrand::Rng::with_seed(seed);
        let mut life = Life {
            rng,
            id_last: 0,
            id_first: 0,
            number_last: 0,
            position: 0,
            pending: Vec::new(),
            rejected: Vec::new(),
            wishes: Vec::new(),
        };
        for _ in 0..6 {
            let mut file = SqliteStore::open(&place.path, 7, 1).unwrap();
            for _ in 0..20 {
                let writes = life.rng.usize(1..6);
                let batch: Vec<_> = (0..writes).map(|_| life.write()).collect();
                file.commit(&batch).unwrap();
                memory.commit(&batch).unwrap();
            }
            assert_eq!(file.load().unwrap(), memory.load().unwrap());
            assert_eq!(file.book().unwrap(), memory.book().unwrap());
            assert_eq!(file.profiles().unwrap(), memory.profiles().unwrap());
            for peer in [8, 9, u64::MAX] {
                let page =
                    |store: &mut dyn Store| store.history(Target::Peer(peer), None, 1_000).unwrap();
                assert_eq!(page(&mut file), page(&mut memory));
            }
            let sorted = |store: &mut dyn Store| {
                let mut all = store.conversations().unwrap();
                assert!(all.is_sorted_by_key(|conversation| std::cmp::Reverse(conversation.last)));
                all.sort_by_key(|conversation| conversation.peer);
                all
            };
            assert_eq!(sorted(&mut file), sorted(&mut memory));
            for group in [30, 31, u64::MAX] {
                let page = |store: &mut dyn Store| {
                    store.history(Target::Group(group), None, 1_000).unwrap()
                };
                assert_eq!(page(&mut file), page(&mut memory));
            }
            let groups = |store: &mut dyn Store| {
                let mut all = store.groups().unwrap();
                assert!(all.is_sorted_by_key(|group| std::cmp::Reverse(group.last)));
                all.sort_by_key(|group| group.group);
                all
            };
            assert_eq!(groups(&mut file), groups(&mut memory));
            let places =
                [(Target::Peer(8), false), (Target::Peer(8), true), (Target::Group(30), false)];
            for (target, is_own) in places {
                for place in 1..60 {
                    let star = Star { target, place, is_own };
                    assert_eq!(file.starred(star).unwrap(), memory.starred(star).unwrap());
                }
            }
            for id in [-1, 1, life.id_last, life.id_last + 1].map(MessageId) {
                assert_eq!(file.message(id).unwrap(), memory.message(id).unwrap());
            }
        }
    }
}
