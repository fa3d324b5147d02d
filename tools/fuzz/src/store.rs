//! A device's store of any content: an SQLite file of which values, or bytes, were changed.
//!
//! It opens or is refused with an error. A client that begins on it receives, sends and stores
//! without a panic; a batch that the store can't take is an error as well.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fulmar_client::core::{Action, Identity, Input, Now, Session};
use fulmar_client::store::{ConversationState, GroupState, SqliteStore, Store, StoreError, Write};
use fulmar_client::{Changes, Message, MessageId, Profile, Role, State, Target, content};
use fulmar_protocol::group::{self, GroupDeliver};
use fulmar_protocol::{Deliver, Frame, Pairs, VERSION, Welcome};
use rusqlite::Connection;

use crate::layout;
use crate::script::Script;

const USER: u64 = 7;
const DEVICE: u64 = 1;
const PEER: u64 = 8;
const GROUP: u64 = 9;
const CHANGES_MAX: usize = 6;
/// Batches of a client that are stored.
const BATCHES_MAX: usize = 16;

/// Columns that a change may hit. All of them hold numbers, but for those in [`BLOBS`].
const COLUMNS: [(&str, &str); 50] = [
    ("device", "user"),
    ("device", "device"),
    ("device", "cursor"),
    ("device", "number_last"),
    ("messages", "id"),
    ("messages", "of_group"),
    ("messages", "peer"),
    ("messages", "state"),
    ("messages", "code"),
    ("messages", "ordinal"),
    ("messages", "position"),
    ("messages", "time_ms"),
    ("messages", "content"),
    ("messages", "body"),
    ("outbox", "number"),
    ("outbox", "message"),
    ("conversations", "peer"),
    ("conversations", "delivered"),
    ("conversations", "read"),
    ("conversations", "seen"),
    ("conversations", "seen_confirmed"),
    ("conversations", "in_last"),
    ("conversations", "out_last"),
    ("conversations", "last"),
    ("groups", "of_group"),
    ("groups", "cursor"),
    ("groups", "name"),
    ("groups", "info"),
    ("groups", "owner"),
    ("groups", "roles_at"),
    ("groups", "is_gone"),
    ("groups", "own_last"),
    ("groups", "seen"),
    ("groups", "seen_confirmed"),
    ("groups", "receipt_position"),
    ("groups", "receipt_members"),
    ("groups", "receipt_delivered"),
    ("groups", "receipt_read"),
    ("groups", "receipt_delivered_all"),
    ("groups", "receipt_read_all"),
    ("groups", "last"),
    ("members", "of_group"),
    ("members", "user"),
    ("members", "role"),
    ("book_state", "cursor"),
    ("book", "version"),
    ("wishes", "value"),
    ("profiles", "version"),
    ("messages", "rowid"),
    ("conversations", "rowid"),
];

/// Columns that hold bytes.
const BLOBS: [&str; 4] = ["body", "name", "info", "value"];

/// Every table.
const TABLES: [&str; 10] = [
    "device",
    "messages",
    "outbox",
    "conversations",
    "groups",
    "members",
    "book_state",
    "book",
    "wishes",
    "profiles",
];

/// See the module's description.
pub fn store(data: &[u8]) {
    let mut script = Script::new(data);
    let directory = layout::directory();
    let path = directory.path().join("device.db");
    let mut store = SqliteStore::open(&path, USER, DEVICE).expect("a new store");
    store.commit(&batch()).expect("a batch");
    drop(store);
    if script.byte() < 224 {
        change_values(&path, &mut script);
    } else {
        change_bytes(&path, &mut script);
    }
    if let Err(error) = use_store(&path) {
        assert!(!error.to_string().is_empty());
    }
}

/// What a device has after a little chat.
fn batch() -> Vec<Write> {
    let message = |id, state, ordinal, position| Message {
        id: MessageId(id),
        group: None,
        peer: PEER,
        state,
        ordinal,
        position,
        time_ms: 1_700_000_000_000,
        content: content::TEXT,
        body: Arc::from(&b"hello"[..]),
        changes: Changes::default(),
    };
    let conversation =
        ConversationState { in_last: 1, last: MessageId(3), ..ConversationState::new(PEER) };
    let in_group = |message| Message { group: Some(GROUP), ..message };
    let group = GroupState {
        cursor: 2,
        name: Arc::from(&b"birds"[..]),
        owner: PEER,
        roles_at: 1,
        own_last: 3,
        last: MessageId(5),
        ..GroupState::new(GROUP)
    };
    vec![
        Write::Insert(message(1, State::Received, Some(1), Some(1))),
        Write::Enqueue { message: message(2, State::Pending, None, None), number: 100 },
        Write::Enqueue { message: message(3, State::Pending, None, None), number: 101 },
        Write::Conversation(conversation),
        Write::Insert(in_group(message(4, State::Received, Some(2), Some(2)))),
        Write::Enqueue { message: in_group(message(5, State::Pending, None, None)), number: 102 },
        Write::Group(group),
        Write::Roles {
            group: GROUP,
            after: 0,
            through: u64::MAX,
            roles: vec![(USER, Role::Member), (PEER, Role::Owner)],
        },
        Write::Cursor(1),
        Write::Item { item: 200, key: vec![1], version: 2, value: vec![2] },
        Write::BookCursor(2),
        Write::Wish { item: 200, key: vec![2], value: Some(vec![3]) },
        Write::Profile(Profile { user: PEER, version: 4, ..Profile::default() }),
    ]
}

/// Sets columns of all rows, or of one, to numbers of any size.
fn change_values(path: &Path, script: &mut Script<'_>) {
    let connection = Connection::open(path).expect("a database");
    for _ in 0..script.below(CHANGES_MAX + 1) {
        let (table, column) = script.choose(&COLUMNS);
        let value = script.number() as i64;
        let value = match (column, script.byte()) {
            (blob, _) if BLOBS.contains(&blob) => {
                format!("zeroblob({})", value.unsigned_abs() % 1_000_000)
            }
            (_, 0..32) => "NULL".to_owned(),
            (_, 32..64) => format!("{column} + 1"),
            (_, 64..96) => format!("-{column}"),
            _ => value.to_string(),
        };
        let rows = if script.flag() { "" } else { " WHERE rowid = (SELECT max(rowid) FROM" };
        let rows = if rows.is_empty() || ["members", "book", "wishes"].contains(&table) {
            // These have no rows by number.
            String::new()
        } else {
            format!("{rows} {table})")
        };
        // What the tables' own rules forbid stays as it is.
        let _ = connection.execute(&format!("UPDATE {table} SET {column} = {value}{rows}"), []);
    }
    if script.byte() >= 250 {
        let table = script.choose(&TABLES);
        let what = script.choose(&["DELETE FROM", "DROP TABLE"]);
        let _ = connection.execute(&format!("{what} {table}"), []);
    }
}

fn change_bytes(path: &Path, script: &mut Script<'_>) {
    let mut bytes = fs::read(path).expect("a file");
    for _ in 0..=script.below(CHANGES_MAX) {
        let (at, change) = (script.number() as usize, script.bytes());
        bytes.iter_mut().skip(at).zip(change).for_each(|(byte, change)| *byte = *change);
    }
    if script.flag() {
        bytes.truncate(script.number() as usize);
    }
    fs::write(path, bytes).expect("a file");
}

/// Looks at everything, then lets a client work on it.
fn use_store(path: &Path) -> Result<(), StoreError> {
    let mut store = SqliteStore::open(path, USER, DEVICE)?;
    let snapshot = store.load()?;
    for conversation in store.conversations()? {
        store.message(conversation.last)?;
        store.history(Target::Peer(conversation.peer), None, 10)?;
        store.history(Target::Peer(conversation.peer), Some(conversation.last), 1)?;
    }
    store.book()?;
    store.profiles()?;
    for group in store.groups()? {
        store.message(group.last)?;
        store.history(Target::Group(group.group), None, 10)?;
    }
    let of_group = snapshot.groups.iter().find(|state| state.group == GROUP);
    let group_head = of_group.map_or(0, |state| state.cursor);
    let identity = Identity { user: USER, device: DEVICE, token: Vec::new(), agent: "fuzz".into() };
    let head = snapshot.cursor;
    let mut session = Session::new(identity, snapshot, 1);
    let mut actions = Vec::new();
    let now = Now { elapsed_ms: 1, unix_ms: 1_700_000_000_000 };
    session.handle(now, Input::Tick, &mut actions);
    session.handle(now, Input::Connected, &mut actions);
    session.handle(now, Input::Transmitted, &mut actions);
    session.handle(now, Input::Received(&server(head, group_head)), &mut actions);
    let body = Arc::from(&b"more"[..]);
    // A store whose numbers are used up takes no more.
    let _ = session.send(now, PEER, content::TEXT, body, &mut actions);
    session.mark_read(now, PEER, u64::MAX, &mut actions);
    session.mark_group_read(now, GROUP, u64::MAX, &mut actions);
    session.look_group(now, GROUP, &mut actions);
    for _ in 0..BATCHES_MAX {
        let Some(Action::Commit(batch)) =
            actions.drain(..).find(|action| matches!(action, Action::Commit(_)))
        else {
            break;
        };
        let stored = store.commit(&batch);
        session.handle(now, Input::Stored(stored), &mut actions);
        session.handle(now, Input::Transmitted, &mut actions);
    }
    store.load().map(drop)
}

/// A welcome, the next message of the inbox and of the group, and answers to what waits.
fn server(head: u64, group_head: u64) -> Vec<u8> {
    let position = head.saturating_add(1);
    let heads = [(0, position)];
    let welcome = Welcome {
        version: VERSION,
        capabilities: 0,
        session: 1,
        time_ms: 1_700_000_000_000,
        body_bytes_max: 400_000,
        window_messages: 64,
        window_bytes: 1 << 20,
        sends_max: 8,
        idle_s: 90,
        presence_s: 30,
        heads: Pairs::Slice(&heads),
    };
    let deliver = Deliver {
        position,
        peer: PEER,
        ordinal: 2,
        time_ms: 1_700_000_000_000,
        content: content::TEXT,
        own: false,
        total_bytes: None,
        body: b"next",
    };
    let (peer, time_ms) = (PEER, 1_700_000_000_000);
    let group_deliver = GroupDeliver {
        group: GROUP,
        position: group_head.saturating_add(1),
        author: PEER,
        time_ms,
        content: content::TEXT,
        own: false,
        total_bytes: None,
        body: b"to all",
    };
    let state = group::GroupState {
        group: GROUP,
        head: group_head.saturating_add(1),
        members: 2,
        shows_history: false,
        name: b"birds",
        info: b"",
        roles: Pairs::Slice(&[(USER, 1), (PEER, 3)]),
    };
    let mut bytes = Vec::new();
    for frame in [
        Frame::Welcome(welcome),
        Frame::Deliver(deliver),
        Frame::Sent { peer, number: 100, ordinal: 1, time_ms },
        Frame::Receipt { peer, delivered: 1, read: 1, own: false },
        Frame::GroupDeliver(group_deliver),
        Frame::GroupSent { group: GROUP, number: 102, position: 3, time_ms },
        Frame::GroupRead { group: GROUP, position: 1 },
        Frame::GroupState(state),
        Frame::GroupGone { group: GROUP, position: u64::MAX },
    ] {
        frame.encode(&mut bytes);
    }
    bytes
}
