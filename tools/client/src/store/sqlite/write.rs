//! Changes of a batch, in the tables.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::{ConversationState, GroupState, StoreError, Write, book};
use super::{GROUP_COLUMNS, HIGHEST_BIT, refer};
use crate::group::Role;
use crate::message::{Message, MessageId, State};

/// Makes one change within the caller's transaction.
pub(in super::super) fn apply(connection: &Connection, write: &Write) -> Result<(), StoreError> {
    match write {
        Write::Insert(message) => {
            insert(connection, message)?;
            refer::refer(connection, message)?;
            refer::referred(connection, message)
        }
        Write::Fill(message) => fill(connection, message),
        Write::Filled(from) => {
            execute(connection, "UPDATE device SET filled_from = ?1", params![*from as i64])
        }
        Write::Enqueue { message, number } => {
            insert(connection, message)?;
            enqueue(connection, message.id, *number)
        }
        Write::Requeue { id, number } => {
            set_state(connection, *id, State::Pending)?;
            enqueue(connection, *id, *number)
        }
        Write::Ticked { id, number, ordinal, time_ms } => {
            dequeue(connection, *number)?;
            set_state(connection, *id, State::Sent)?;
            execute(
                connection,
                "UPDATE messages SET ordinal = ?2 WHERE id = ?1",
                params![id.0, *ordinal as i64],
            )?;
            let time_ms = Some(*time_ms as i64).filter(|time_ms| *time_ms > 0);
            let filled_ms = forget_filled(connection, *id)?;
            if let Some(time_ms) = time_ms.or(filled_ms) {
                execute(
                    connection,
                    "UPDATE messages SET time_ms = ?2 WHERE id = ?1",
                    params![id.0, time_ms],
                )?;
            }
            refer::ticked(connection, *id)
        }
        Write::Expires { id, at_ms } => execute(
            connection,
            "UPDATE messages SET expires_ms = ?2 WHERE id = ?1",
            params![id.0, *at_ms as i64],
        ),
        Write::Expire { through_ms } => {
            connection
                .prepare_cached("DELETE FROM messages WHERE expires_ms <= ?1")?
                .execute([*through_ms as i64])?;
            Ok(())
        }
        Write::Rejected { id, number, code } => {
            set_state(connection, *id, State::Rejected(*code))?;
            dequeue(connection, *number)
        }
        Write::Conversation(state) => put_conversation(connection, state),
        Write::Placed { id, group } => execute(
            connection,
            "UPDATE messages SET of_group = ?2 WHERE id = ?1",
            params![id.0, *group as i64],
        ),
        Write::Group(state) => put_group(connection, state),
        Write::Roles { group, after, through, roles } => {
            put_roles(connection, *group, *after, *through, roles)
        }
        Write::Clocks(clocks) => execute(
            connection,
            "UPDATE device SET clock_server_ms = ?1, clock_unix_ms = ?2",
            params![clocks.server_ms as i64, clocks.unix_ms as i64],
        ),
        Write::Cursor(position) => {
            execute(connection, "UPDATE device SET cursor = ?1", params![*position as i64])
        }
        Write::WentBack { head } => go_back(connection, *head),
        Write::GroupWentBack { group, head } => go_back_in_group(connection, *group, *head),
        Write::NumberLast(number) => raise_number(connection, *number),
        Write::Item { item, key, version, value } => {
            book::put_item(connection, *item, key, *version, value)
        }
        Write::BookCursor(version) => {
            execute(connection, "UPDATE book_state SET cursor = ?1", params![*version as i64])
        }
        Write::BookForgotten => {
            connection.execute("DELETE FROM book", [])?;
            execute(connection, "UPDATE book_state SET cursor = 0", params![])
        }
        Write::Wish { item, key, value } => {
            book::put_wish(connection, *item, key, value.as_deref())
        }
        Write::Profile(profile) => book::put_profile(connection, profile),
    }
}

fn insert(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    let (state, code) = state_columns(message.state);
    execute(
        connection,
        "INSERT INTO messages
             (id, peer, state, code, ordinal, position, time_ms, content, body, of_group,
              expires_ms, refers_to)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            message.id.0,
            message.peer as i64,
            state,
            code,
            message.ordinal.map(|ordinal| ordinal as i64),
            message.position.map(|position| position as i64),
            message.time_ms as i64,
            message.content,
            &*message.body,
            message.group.map(|group| group as i64),
            message.changes.expires_ms.map(|at_ms| at_ms as i64),
            message.reference().map(|reference| reference.target as i64),
        ],
    )
}

/// The time before may have brought an own message that had no tick yet: forgets that, and says when the server
/// had taken it.
fn forget_filled(connection: &Connection, ticked: MessageId) -> Result<Option<i64>, StoreError> {
    let of_two = "DELETE FROM messages WHERE of_group IS NULL AND id < 0 AND state = 2
             AND (peer, ordinal) =
                 (SELECT peer, ordinal FROM messages WHERE id = ?1 AND of_group IS NULL)
         RETURNING time_ms";
    let of_group = "DELETE FROM messages WHERE of_group IS NOT NULL AND id < 0 AND state = 2
             AND (of_group, ordinal) = (SELECT of_group, ordinal FROM messages WHERE id = ?1)
         RETURNING time_ms";
    for sql in [of_two, of_group] {
        let mut forget = connection.prepare_cached(sql)?;
        if let Some(time_ms) = forget.query_row([ticked.0], |row| row.get(0)).optional()? {
            return Ok(Some(time_ms));
        }
    }
    Ok(None)
}

/// Inserts a message of the time before, unless it is here: this device may have received or sent it.
fn fill(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    let position = message.position.map(|position| position as i64);
    let ordinal = message.ordinal.map(|ordinal| ordinal as i64);
    let known = match message.group {
        Some(group) => connection
            .prepare_cached(
                "SELECT 1 FROM messages WHERE of_group IS NOT NULL AND of_group = ?1
                     AND (position = ?2 OR ordinal = ?2)",
            )?
            .exists(params![group as i64, position])?,
        None => connection
            .prepare_cached(
                "SELECT 1 FROM messages WHERE of_group IS NULL
                     AND (position = ?2
                          OR ?4 AND peer = ?1 AND state = 2 AND ordinal = ?3)",
            )?
            .exists(params![message.peer as i64, position, ordinal, message.state.is_own()])?,
    };
    if known {
        return Ok(());
    }
    insert(connection, message)?;
    refer::refer(connection, message)?;
    refer::referred(connection, message)
}

fn set_state(connection: &Connection, id: MessageId, state: State) -> Result<(), StoreError> {
    let (state, code) = state_columns(state);
    execute(
        connection,
        "UPDATE messages SET state = ?2, code = ?3 WHERE id = ?1",
        params![id.0, state, code],
    )
}

fn enqueue(connection: &Connection, id: MessageId, number: u64) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO outbox (number, message) VALUES (?1, ?2)",
        params![number as i64, id.0],
    )?;
    raise_number(connection, number)
}

fn dequeue(connection: &Connection, number: u64) -> Result<(), StoreError> {
    execute(connection, "DELETE FROM outbox WHERE number = ?1", params![number as i64])
}

fn raise_number(connection: &Connection, number: u64) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE device SET number_last = max(number_last, ?1)",
        params![number as i64],
    )
}

fn go_back_in_group(connection: &Connection, group: u64, head: u64) -> Result<(), StoreError> {
    for column in ["position", "ordinal"] {
        let sql = format!(
            "UPDATE messages SET {column} = NULL
             WHERE of_group IS NOT NULL AND of_group = ?1 AND {column} > ?2"
        );
        connection.prepare_cached(&sql)?.execute(params![group as i64, head as i64])?;
    }
    Ok(())
}

fn go_back(connection: &Connection, head: u64) -> Result<(), StoreError> {
    execute(connection, "UPDATE device SET cursor = ?1", params![head as i64])?;
    connection.execute(
        "UPDATE messages SET position = NULL WHERE of_group IS NULL AND position > ?1",
        [head as i64],
    )?;
    connection
        .execute("UPDATE messages SET ordinal = NULL WHERE of_group IS NULL AND state = 0", [])?;
    connection.execute(
        "UPDATE conversations
         SET delivered = 0, read = 0, seen = 0, seen_confirmed = 0, in_last = 0",
        [],
    )?;
    Ok(())
}

fn put_conversation(connection: &Connection, state: &ConversationState) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT OR REPLACE INTO conversations
             (peer, delivered, read, seen, seen_confirmed, in_last, out_last, last, timer_s,
              timer_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            state.peer as i64,
            state.delivered as i64,
            state.read as i64,
            state.seen as i64,
            state.seen_confirmed as i64,
            state.in_last as i64,
            state.out_last as i64,
            state.last.0,
            state.timer.0 as i64,
            state.timer.1 as i64,
        ],
    )
}

fn put_group(connection: &Connection, state: &GroupState) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT OR REPLACE INTO groups ({GROUP_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             ?18, ?19, ?20)"
    );
    execute(
        connection,
        &sql,
        params![
            state.group as i64,
            state.cursor as i64,
            &*state.name,
            &*state.info,
            state.owner as i64,
            state.roles_at as i64,
            state.is_gone,
            state.own_last as i64,
            state.seen as i64,
            state.seen_confirmed as i64,
            state.receipt.position as i64,
            state.receipt.members as i64,
            state.receipt.delivered as i64,
            state.receipt.read as i64,
            state.receipt.delivered_all as i64,
            state.receipt.read_all as i64,
            state.last.0,
            state.filled_from as i64,
            state.timer.0 as i64,
            state.timer.1 as i64,
        ],
    )
}

fn put_roles(
    connection: &Connection,
    group: u64,
    after: u64,
    through: u64,
    roles: &[(u64, Role)],
) -> Result<(), StoreError> {
    let sorted = |user: u64| (user ^ HIGHEST_BIT) as i64;
    connection
        .prepare_cached("DELETE FROM members WHERE of_group = ?1 AND user > ?2 AND user <= ?3")?
        .execute(params![group as i64, sorted(after), sorted(through)])?;
    for &(user, role) in roles {
        execute(
            connection,
            "INSERT INTO members (of_group, user, role) VALUES (?1, ?2, ?3)",
            params![group as i64, sorted(user), role as u8],
        )?;
    }
    Ok(())
}

/// Runs a statement that changes exactly one row; anything else means that session and store
/// disagree, and the batch is undone.
pub(in super::super) fn execute(
    connection: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<(), StoreError> {
    match connection.prepare_cached(sql)?.execute(params)? {
        1 => Ok(()),
        rows => Err(StoreError::Damaged(format!("{rows} rows, 1 expected, in: {sql}"))),
    }
}

const fn state_columns(state: State) -> (i64, Option<u16>) {
    match state {
        State::Received => (0, None),
        State::Pending => (1, None),
        State::Sent => (2, None),
        State::Rejected(code) => (3, Some(code.number())),
    }
}
