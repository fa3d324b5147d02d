//! The tables, and the checks before a file is taken for a store.
//!
//! Format 4. A store of format 1, which had no groups, is rewritten when it is opened; one of format 2, which
//! had no past of the server's, nothing that refers to messages and no book, gets what it lacks, as one of format
//! 3 does, which didn't know the server's time. Users and groups are 64-bit numbers kept in SQLite's signed
//! integers by their bits; all other numbers are below 2^63.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::StoreError;

/// The format that this program reads and writes (SQLite's `user_version`).
pub(super) const FORMAT: i64 = 4;

/// The format before there were groups.
const FORMAT_BEFORE_GROUPS: i64 = 1;

/// The format before there was a past to fetch, and a book.
const FORMAT_BEFORE_PAST: i64 = 2;

/// The format before the server's time was kept.
const FORMAT_BEFORE_CLOCKS: i64 = 3;

/// Marks the file as a store of this client (SQLite's `application_id`): "FLMC".
const APPLICATION: i64 = 0x464c_4d43;

const TABLES: &str = "
    -- Whose store it is and how far it is; one row.
    CREATE TABLE device (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        user INTEGER NOT NULL,
        device INTEGER NOT NULL,
        cursor INTEGER NOT NULL DEFAULT 0,      -- the inbox is stored up to this position
        number_last INTEGER NOT NULL DEFAULT 0, -- largest number ever used for a send
        filled_from INTEGER NOT NULL DEFAULT 0, -- from here on the inbox was fetched; 0: from the cursor
        clock_server_ms INTEGER,                -- the server's time when it was told; NULL before
        clock_unix_ms INTEGER                   -- the device's at that moment
    ) STRICT;

    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        of_group INTEGER,        -- NULL in a conversation; 0 for a change that makes a group
        peer INTEGER NOT NULL,   -- the other user; in a group the author
        state INTEGER NOT NULL,  -- 0 received, 1 pending, 2 sent, 3 rejected
        code INTEGER,            -- why it was rejected
        ordinal INTEGER,         -- n-th of its direction; in a group the position
        position INTEGER,        -- in the inbox or group that brought it
        time_ms INTEGER NOT NULL,
        content INTEGER NOT NULL,
        body BLOB NOT NULL,
        refers_to INTEGER,       -- ordinal or position of the message that it changes
        edited_body BLOB,
        edited_ms INTEGER,
        edited_at INTEGER,       -- ordinal or position of the edit
        is_deleted INTEGER NOT NULL DEFAULT 0,
        expires_ms INTEGER       -- when it is deleted here
    ) STRICT;
    CREATE INDEX messages_of_peer ON messages (peer, id) WHERE of_group IS NULL;
    CREATE INDEX messages_of_group ON messages (of_group, id) WHERE of_group IS NOT NULL;
    CREATE INDEX messages_received ON messages (peer, ordinal)
        WHERE state = 0 AND of_group IS NULL;
    CREATE INDEX messages_received_in_group ON messages (of_group, ordinal)
        WHERE state = 0 AND of_group IS NOT NULL;
    -- A position is stored once.
    CREATE UNIQUE INDEX inbox_positions ON messages (position) WHERE of_group IS NULL;
    CREATE UNIQUE INDEX group_positions ON messages (of_group, position)
        WHERE of_group IS NOT NULL;

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
        last INTEGER NOT NULL,
        timer_s INTEGER NOT NULL DEFAULT 0,  -- after which messages should disappear
        timer_ms INTEGER NOT NULL DEFAULT 0  -- when that was said
    ) STRICT;

    CREATE TABLE groups (
        of_group INTEGER PRIMARY KEY,
        cursor INTEGER NOT NULL,
        name BLOB NOT NULL,
        info BLOB NOT NULL,
        owner INTEGER NOT NULL,
        roles_at INTEGER NOT NULL,
        is_gone INTEGER NOT NULL,
        own_last INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        seen_confirmed INTEGER NOT NULL,
        receipt_position INTEGER NOT NULL,
        receipt_members INTEGER NOT NULL,
        receipt_delivered INTEGER NOT NULL,
        receipt_read INTEGER NOT NULL,
        receipt_delivered_all INTEGER NOT NULL,
        receipt_read_all INTEGER NOT NULL,
        last INTEGER NOT NULL,
        filled_from INTEGER NOT NULL DEFAULT 0, -- as of the inbox
        timer_s INTEGER NOT NULL DEFAULT 0,
        timer_ms INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE members (
        of_group INTEGER NOT NULL,
        user INTEGER NOT NULL,   -- the highest bit inverted, so that users sort by their number
        role INTEGER NOT NULL,   -- 1 member, 2 admin, 3 owner
        PRIMARY KEY (of_group, user)
    ) STRICT, WITHOUT ROWID;
";

/// What a store of format 2 lacks.
const ADD_PAST: &str = "
    ALTER TABLE device ADD COLUMN filled_from INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE groups ADD COLUMN filled_from INTEGER NOT NULL DEFAULT 0;
";

/// The user's book, and the profiles of others.
const BOOK_TABLES: &str = "
    -- The book is stored up to this version; one row.
    CREATE TABLE book_state (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        cursor INTEGER NOT NULL
    ) STRICT;
    INSERT INTO book_state (row, cursor) VALUES (1, 0);

    CREATE TABLE book (
        item INTEGER NOT NULL,   -- what it is
        key BLOB NOT NULL,       -- which one of these
        version INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (item, key)
    ) STRICT, WITHOUT ROWID;

    -- Items that were set and have no answer yet.
    CREATE TABLE wishes (
        item INTEGER NOT NULL,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (item, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE profiles (
        user INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        name BLOB NOT NULL,
        status BLOB NOT NULL,
        avatar BLOB NOT NULL
    ) STRICT;
";

/// What it lacks beside that: columns about changes.
const ADD_CHANGES: &str = "
    ALTER TABLE messages ADD COLUMN refers_to INTEGER;
    ALTER TABLE messages ADD COLUMN edited_body BLOB;
    ALTER TABLE messages ADD COLUMN edited_ms INTEGER;
    ALTER TABLE messages ADD COLUMN edited_at INTEGER;
    ALTER TABLE messages ADD COLUMN is_deleted INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN expires_ms INTEGER;
    ALTER TABLE conversations ADD COLUMN timer_s INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE conversations ADD COLUMN timer_ms INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE groups ADD COLUMN timer_s INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE groups ADD COLUMN timer_ms INTEGER NOT NULL DEFAULT 0;
";

/// The tables and indexes about changes, which stand behind the columns that they name.
const CHANGES: &str = "
    CREATE INDEX messages_by_ordinal ON messages (peer, ordinal) WHERE of_group IS NULL;
    CREATE INDEX messages_by_place ON messages (of_group, ordinal) WHERE of_group IS NOT NULL;
    CREATE INDEX messages_that_refer ON messages (refers_to) WHERE refers_to IS NOT NULL;
    CREATE INDEX messages_that_expire ON messages (expires_ms) WHERE expires_ms IS NOT NULL;

    -- The latest of each user.
    CREATE TABLE reactions (
        message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
        user INTEGER NOT NULL,   -- 0 for the own user in a conversation of two
        body BLOB NOT NULL,      -- empty where it was taken back
        place INTEGER NOT NULL,  -- ordinal or position of the reaction
        PRIMARY KEY (message, user)
    ) STRICT, WITHOUT ROWID;
";

/// What a store of format 3 lacks.
const ADD_CLOCKS: &str = "
    ALTER TABLE device ADD COLUMN clock_server_ms INTEGER;
    ALTER TABLE device ADD COLUMN clock_unix_ms INTEGER;
";

/// Makes room for the tables of the present format; none of the old ones has a reference to another
/// while they are moved.
const SET_ASIDE: &str = "
    DROP INDEX messages_of_peer;
    DROP INDEX messages_received;
    ALTER TABLE outbox RENAME TO old_outbox;
    ALTER TABLE messages RENAME TO old_messages;
    ALTER TABLE conversations RENAME TO old_conversations;
    ALTER TABLE device RENAME TO old_device;
";

const BRING_OVER: &str = "
    INSERT INTO device (row, user, device, cursor, number_last)
        SELECT row, user, device, cursor, number_last FROM old_device;
    INSERT INTO messages (id, peer, state, code, ordinal, position, time_ms, content, body)
        SELECT id, peer, state, code, ordinal, position, time_ms, content, body
        FROM old_messages;
    INSERT INTO outbox (number, message) SELECT number, message FROM old_outbox;
    INSERT INTO conversations
            (peer, delivered, read, seen, seen_confirmed, in_last, out_last, last)
        SELECT peer, delivered, read, seen, seen_confirmed, in_last, out_last, last
        FROM old_conversations;
    DROP TABLE old_outbox;
    DROP TABLE old_messages;
    DROP TABLE old_conversations;
    DROP TABLE old_device;
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
    let format = if empty { FORMAT } else { check_format(connection)? };
    // A commit must survive a power failure before its message is acknowledged: with WAL, FULL is
    // the level that syncs each commit.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(opening)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(opening)?;
    connection.pragma_update(None, "foreign_keys", "ON").map_err(opening)?;
    if empty {
        create(connection, user, device)?;
    }
    check_identity(connection, user, device)?;
    match format {
        FORMAT_BEFORE_GROUPS => {
            upgrade(connection, &[SET_ASIDE, TABLES, BRING_OVER, CHANGES, BOOK_TABLES])
        }
        FORMAT_BEFORE_PAST => {
            upgrade(connection, &[ADD_PAST, ADD_CHANGES, CHANGES, BOOK_TABLES, ADD_CLOCKS])
        }
        FORMAT_BEFORE_CLOCKS => upgrade(connection, &[ADD_CLOCKS]),
        _ => Ok(()),
    }
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
    transaction.execute_batch(BOOK_TABLES)?;
    transaction.execute_batch(CHANGES)?;
    transaction.execute(
        "INSERT INTO device (row, user, device) VALUES (1, ?1, ?2)",
        [user as i64, device as i64],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// Brings a store to the present format, as a whole or not at all.
fn upgrade(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// The format of the file, which is one that this program knows.
fn check_format(connection: &Connection) -> Result<i64, StoreError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION {
        return Err(StoreError::NotAStore);
    }
    match pragma("user_version")? {
        format @ FORMAT_BEFORE_GROUPS..=FORMAT => Ok(format),
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
