//! The tables, and the checks before a file is taken for a store.
//!
//! Format 1. Users are 64-bit numbers kept in SQLite's signed integers by their bits; all other
//! numbers are below 2^63.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::StoreError;

/// The format that this program reads and writes (SQLite's `user_version`).
pub(super) const FORMAT: i64 = 1;

/// Marks the file as a store of this client (SQLite's `application_id`): "FLMC".
const APPLICATION: i64 = 0x464c_4d43;

const TABLES: &str = "
    -- Whose store it is and how far it is; one row.
    CREATE TABLE device (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        user INTEGER NOT NULL,
        device INTEGER NOT NULL,
        cursor INTEGER NOT NULL DEFAULT 0,      -- the inbox is stored up to this position
        number_last INTEGER NOT NULL DEFAULT 0  -- largest number ever used for a send
    ) STRICT;

    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        peer INTEGER NOT NULL,
        state INTEGER NOT NULL,  -- 0 received, 1 pending, 2 sent, 3 rejected
        code INTEGER,            -- why it was rejected
        ordinal INTEGER,         -- n-th of its direction
        position INTEGER UNIQUE, -- in the inbox; a position is stored once
        time_ms INTEGER NOT NULL,
        content INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX messages_of_peer ON messages (peer, id);
    CREATE INDEX messages_received ON messages (peer, ordinal) WHERE state = 0;

    -- Sends without an answer, in the order in which they go out.
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY,
        message INTEGER NOT NULL UNIQUE REFERENCES messages (id)
    ) STRICT;

    CREATE TABLE conversations (
        peer INTEGER PRIMARY KEY,
        delivered INTEGER NOT NULL,
        read INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        seen_confirmed INTEGER NOT NULL,
        in_last INTEGER NOT NULL,
        out_last INTEGER NOT NULL,
        last INTEGER NOT NULL
    ) STRICT;
";

/// Sets the connection's modes and makes sure that the file is a store of this user and device,
/// creating its tables where the file is empty.
pub(super) fn prepare(
    connection: &mut Connection,
    user: u64,
    device: u64,
) -> Result<(), StoreError> {
    // Two programs on one store would use each other's send numbers; the lock is the kernel's and
    // falls with the process.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(opening)?;
    let empty = is_empty(connection)?;
    if !empty {
        check_format(connection)?;
    }
    // A commit must survive a power failure before its message is acknowledged: with WAL, FULL is
    // the level that syncs each commit.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(opening)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(opening)?;
    connection.pragma_update(None, "foreign_keys", "ON").map_err(opening)?;
    if empty {
        create(connection, user, device)?;
    }
    check_identity(connection, user, device)
}

fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(opening)?;
    Ok(tables == 0)
}

fn create(connection: &mut Connection, user: u64, device: u64) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO device (row, user, device) VALUES (1, ?1, ?2)",
        [user as i64, device as i64],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

fn check_format(connection: &Connection) -> Result<(), StoreError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION {
        return Err(StoreError::NotAStore);
    }
    match pragma("user_version")? {
        FORMAT => Ok(()),
        found => Err(StoreError::Format { found, known: FORMAT }),
    }
}

fn check_identity(connection: &Connection, user: u64, device: u64) -> Result<(), StoreError> {
    let (stored_user, stored_device) = connection
        .query_row("SELECT user, device FROM device", [], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        })
        .map_err(opening)?;
    if (stored_user, stored_device) == (user, device) {
        Ok(())
    } else {
        Err(StoreError::Identity { user: stored_user, device: stored_device })
    }
}

/// What an error of the first accesses means.
fn opening(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse,
        Some(ErrorCode::NotADatabase) => StoreError::NotAStore,
        _ => StoreError::Sqlite(error),
    }
}
