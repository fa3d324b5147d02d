//! The power fails between any two statements of a batch, and at any byte of the log's last write.
//!
//! A crash is a copy of the store's files at that moment: what the copy opens as is what the next
//! start finds. It must be the state before the batch or the state after it.

use std::path::Path;
use std::sync::Arc;

use fulmar_protocol::Code;
use rusqlite::TransactionBehavior;
use tempfile::TempDir;

use super::sqlite::{SqliteStore, apply};
use super::{Clocks, ConversationState, GroupState, MemoryStore, Snapshot, Store, Write};
use crate::group::{Group, Role};
use crate::message::{Message, MessageId, State, Target};

/// All that a store holds.
type Kept = (Snapshot, Vec<Message>, Vec<Group>);

const FILE: &str = "device.db";
const LOG: &str = "device.db-wal";

fn message(id: i64, state: State, position: Option<u64>) -> Message {
    Message {
        id: MessageId(id),
        group: None,
        peer: 8,
        state,
        ordinal: position,
        position,
        time_ms: id as u64,
        content: 1,
        body: Arc::from(vec![id as u8; 3_000]),
        changes: crate::Changes::default(),
    }
}

/// Every kind of write, in the order in which a session could make them.
fn batches() -> Vec<Vec<Write>> {
    let conversation =
        |seen| Write::Conversation(ConversationState { seen, ..ConversationState::new(8) });
    let enqueue =
        |id, number| Write::Enqueue { message: message(id, State::Pending, None), number };
    vec![
        vec![enqueue(1, 100), conversation(0), enqueue(2, 101)],
        vec![
            Write::Insert(message(3, State::Received, Some(1))),
            conversation(0),
            Write::Insert(message(4, State::Sent, Some(2))),
            Write::Cursor(2),
            Write::Clocks(Clocks { server_ms: 9, unix_ms: 7 }),
        ],
        vec![
            Write::Ticked { id: MessageId(1), number: 100, ordinal: 1, time_ms: 9 },
            Write::Rejected { id: MessageId(2), number: 101, code: Code::StaleNumber },
            Write::NumberLast(500),
            conversation(1),
        ],
        vec![Write::Requeue { id: MessageId(2), number: 501 }, Write::Cursor(7)],
        vec![
            Write::Insert(Message { group: Some(30), ..message(5, State::Received, Some(1)) }),
            Write::Enqueue {
                message: Message { group: Some(0), ..message(6, State::Pending, None) },
                number: 502,
            },
            Write::Group(GroupState { cursor: 1, ..GroupState::new(30) }),
            Write::Roles { group: 30, after: 0, through: 9, roles: vec![(8, Role::Owner)] },
        ],
        vec![
            Write::Placed { id: MessageId(6), group: 31 },
            Write::Ticked { id: MessageId(6), number: 502, ordinal: 1, time_ms: 3 },
            Write::Roles { group: 30, after: 7, through: 8, roles: Vec::new() },
        ],
        vec![Write::WentBack { head: 1 }, conversation(0)],
        vec![Write::GroupWentBack { group: 30, head: 0 }],
    ]
}

/// What a start on a copy of these files finds.
fn state_of_copy(directory: &Path, log_bytes: Option<u64>) -> Kept {
    let copy = TempDir::new().unwrap();
    for name in [FILE, LOG] {
        if directory.join(name).exists() {
            std::fs::copy(directory.join(name), copy.path().join(name)).unwrap();
        }
    }
    if let Some(log_bytes) = log_bytes {
        let log = std::fs::OpenOptions::new().write(true).open(copy.path().join(LOG)).unwrap();
        log.set_len(log_bytes).unwrap();
    }
    state(&mut SqliteStore::open(&copy.path().join(FILE), 7, 1).unwrap())
}

fn state(store: &mut dyn Store) -> Kept {
    let targets = [Target::Peer(8), Target::Group(30), Target::Group(0), Target::Group(31)];
    let messages =
        targets.into_iter().flat_map(|target| store.history(target, None, 100).unwrap()).collect();
    (store.load().unwrap(), messages, store.groups().unwrap())
}

#[test]
fn a_crash_between_any_two_statements_leaves_the_batch_before() {
    let directory = TempDir::new().unwrap();
    let mut store = SqliteStore::open(&directory.path().join(FILE), 7, 1).unwrap();
    let mut memory = MemoryStore::new();
    for batch in batches() {
        let before = state(&mut memory);
        let behavior = TransactionBehavior::Immediate;
        let transaction = store.connection.transaction_with_behavior(behavior).unwrap();
        for write in &batch {
            apply(&transaction, write).unwrap();
            assert_eq!(state_of_copy(directory.path(), None), before);
        }
        transaction.commit().unwrap();
        memory.commit(&batch).unwrap();
        assert_eq!(state_of_copy(directory.path(), None), state(&mut memory));
    }
}

#[test]
fn a_log_cut_at_any_place_leaves_whole_batches() {
    let directory = TempDir::new().unwrap();
    let mut store = SqliteStore::open(&directory.path().join(FILE), 7, 1).unwrap();
    let mut memory = MemoryStore::new();
    let log_bytes = || std::fs::metadata(directory.path().join(LOG)).unwrap().len();
    for batch in batches() {
        let (before, start) = (state(&mut memory), log_bytes());
        store.commit(&batch).unwrap();
        memory.commit(&batch).unwrap();
        let after = state(&mut memory);
        for cut in (start..log_bytes()).step_by(1_021) {
            assert_eq!(state_of_copy(directory.path(), Some(cut)), before, "cut at {cut}");
        }
        assert_eq!(state_of_copy(directory.path(), None), after);
    }
}

#[test]
fn a_crash_while_the_store_is_created_leaves_a_file_that_opens() {
    let whole = TempDir::new().unwrap();
    let store = SqliteStore::open(&whole.path().join(FILE), 7, 1).unwrap();
    let log_bytes = std::fs::metadata(whole.path().join(LOG)).unwrap().len();
    let empty = state(&mut MemoryStore::new());
    for cut in (0..=log_bytes).step_by(1_021) {
        assert_eq!(state_of_copy(whole.path(), Some(cut)), empty, "cut at {cut}");
    }
    drop(store);
    let untouched = TempDir::new().unwrap();
    std::fs::write(untouched.path().join(FILE), b"").unwrap();
    assert_eq!(state_of_copy(untouched.path(), None), empty);
}
