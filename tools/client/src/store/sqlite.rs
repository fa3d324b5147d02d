//! The store in an SQLite file.
//!
//! One transaction per batch, synced on commit. The tables are in `schema.rs`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::Code;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use super::{
    ConversationState, GroupState, Snapshot, Store, StoreError, Unanswered, Write, book, schema,
};
use crate::group::{Group, Receipt, Role};
use crate::message::{Conversation, Message, MessageId, State, Target};
use crate::people::{BookItem, Profile};
use crate::refer::Changes;

mod refer;

/// How long an open waits for a program that is just closing the store.
const BUSY_WAIT: Duration = Duration::from_millis(500);

const MESSAGE_COLUMNS: &str =
    "id, peer, state, code, ordinal, position, time_ms, content, body, of_group,
    edited_body, edited_ms, is_deleted, expires_ms";

const GROUP_COLUMNS: &str =
    "of_group, cursor, name, info, owner, roles_at, is_gone, own_last, seen,
    seen_confirmed, receipt_position, receipt_members, receipt_delivered, receipt_read,
    receipt_delivered_all, receipt_read_all, last, filled_from, timer_s, timer_ms";

/// Inverted in the numbers of members, so that SQLite's signed integers sort as the numbers do.
const HIGHEST_BIT: u64 = 1 << 63;

/// A store in a file. The file is locked while it is open.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) connection: Connection,
}

impl SqliteStore {
    /// Opens the store of this user and device at `path`, creating it where nothing is there. The
    /// file is readable by its owner only.
    pub fn open(path: &Path, user: u64, device: u64) -> Result<Self, StoreError> {
        create_file(path).map_err(StoreError::Create)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        schema::prepare(&mut connection, user, device)?;
        Ok(SqliteStore { connection })
    }
}

/// Makes sure that the file exists, with its directory entry durable.
fn create_file(path: &Path) -> std::io::Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Ok(_) => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let device = "SELECT cursor, number_last, filled_from FROM device";
        let (cursor, number_last, filled_from) = self.connection.query_row(device, [], |row| {
            Ok((unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?))
        })?;
        let ids = "SELECT coalesce(max(id), 0), coalesce(min(id), 0) FROM messages";
        let (id_last, id_first) =
            self.connection.query_row(ids, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut conversations: Vec<ConversationState> = self
            .connection
            .prepare(
                "SELECT peer, delivered, read, seen, seen_confirmed, in_last, out_last, last,
                     timer_s, timer_ms
                 FROM conversations",
            )?
            .query_map([], read_conversation)?
            .collect::<Result<_, _>>()?;
        conversations.sort_unstable_by_key(|state| state.peer);
        let mut groups = self.read_groups()?;
        groups.sort_unstable_by_key(|state| state.group);
        let outbox = self
            .connection
            .prepare(
                "SELECT number, id, peer, content, body, of_group
                 FROM outbox JOIN messages ON id = message ORDER BY number",
            )?
            .query_map([], read_unanswered)?
            .collect::<Result<_, _>>()?;
        let book_cursor =
            self.connection
                .query_row("SELECT cursor FROM book_state", [], |row| unsigned(row, 0))?;
        let wishes = book::wishes(&self.connection)?;
        let profiles = book::profiles(&self.connection)?;
        let expiries = self
            .connection
            .prepare(
                "SELECT DISTINCT expires_ms FROM messages
                 WHERE expires_ms IS NOT NULL ORDER BY expires_ms",
            )?
            .query_map([], |row| unsigned(row, 0))?
            .collect::<Result<_, _>>()?;
        Ok(Snapshot {
            expiries,
            cursor,
            filled_from,
            number_last,
            id_last: i64::max(id_last, 0),
            id_first: i64::min(id_first, 0),
            conversations,
            groups,
            outbox,
            book_cursor,
            wishes,
            profiles,
        })
    }

    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in batch {
            apply(&transaction, write)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn message(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let sql = format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let row = statement.query_row([id.0], read_message).optional()?;
        let mut message = row.map(Stored::check).transpose()?;
        if let Some(message) = &mut message {
            message.changes.reactions = refer::reactions(&self.connection, id)?;
        }
        Ok(message)
    }

    fn history(
        &mut self,
        target: Target,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let (place, number) = match target {
            Target::Peer(peer) => ("of_group IS NULL AND peer", peer),
            Target::Group(group) => ("of_group IS NOT NULL AND of_group", group),
        };
        let sql = format!(
            "SELECT {MESSAGE_COLUMNS} FROM messages
             WHERE {place} = ?1 AND id < ?2 AND refers_to IS NULL ORDER BY id DESC LIMIT ?3"
        );
        let before = before.map_or(i64::MAX, |id| id.0);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut newest = statement
            .query_map(params![number as i64, before, limit as i64], read_message)?
            .map(|row| row?.check())
            .collect::<Result<Vec<_>, _>>()?;
        newest.reverse();
        for message in &mut newest {
            message.changes.reactions = refer::reactions(&self.connection, message.id)?;
        }
        Ok(newest)
    }

    fn conversations(&mut self) -> Result<Vec<Conversation>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT peer, delivered, read, seen, last, timer_s,
                 (SELECT count(*) FROM messages
                  WHERE messages.peer = conversations.peer AND of_group IS NULL AND state = 0
                      AND ordinal > seen AND id > 0 AND refers_to IS NULL)
             FROM conversations ORDER BY last DESC",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Conversation {
                peer: unsigned(row, 0)?,
                delivered: unsigned(row, 1)?,
                read: unsigned(row, 2)?,
                seen: unsigned(row, 3)?,
                last: MessageId(row.get(4)?),
                timer_s: unsigned(row, 5)?,
                unread: unsigned(row, 6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn groups(&mut self) -> Result<Vec<Group>, StoreError> {
        let mut states = self.read_groups()?;
        states.sort_by_key(|state| std::cmp::Reverse(state.last));
        states.into_iter().map(|state| self.summary(state)).collect()
    }

    fn book(&mut self) -> Result<Vec<BookItem>, StoreError> {
        book::items(&self.connection)
    }

    fn profiles(&mut self) -> Result<Vec<Profile>, StoreError> {
        book::profiles(&self.connection)
    }
}

impl SqliteStore {
    fn read_groups(&self) -> Result<Vec<GroupState>, StoreError> {
        let sql = format!("SELECT {GROUP_COLUMNS} FROM groups");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let states = statement.query_map([], read_group)?.collect::<Result<_, _>>()?;
        Ok(states)
    }

    fn summary(&self, state: GroupState) -> Result<Group, StoreError> {
        let group = state.group as i64;
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM messages
             WHERE of_group IS NOT NULL AND of_group = ?1 AND state = 0 AND ordinal > ?2
                 AND content <> ?3 AND id > 0 AND refers_to IS NULL",
        )?;
        let changes = fulmar_protocol::group::CONTENT_CHANGE;
        let unread = statement
            .query_row(params![group, state.seen as i64, changes], |row| unsigned(row, 0))?;
        let mut statement = self
            .connection
            .prepare_cached("SELECT user, role FROM members WHERE of_group = ?1 ORDER BY user")?;
        let members = statement
            .query_map([group], |row| {
                Ok((unsigned(row, 0)? ^ HIGHEST_BIT, Role::from_number(unsigned(row, 1)?)))
            })?
            .collect::<Result<_, _>>()?;
        Ok(Group {
            group: state.group,
            name: state.name,
            info: state.info,
            is_gone: state.is_gone,
            seen: state.seen,
            unread,
            receipt: state.receipt,
            last: state.last,
            timer_s: state.timer.0,
            members,
        })
    }
}

/// Makes one change within the caller's transaction.
pub(super) fn apply(connection: &Connection, write: &Write) -> Result<(), StoreError> {
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
            set_state(connection, *id, State::Sent)?;
            execute(
                connection,
                "UPDATE messages SET ordinal = ?2,
                     time_ms = CASE ?3 WHEN 0 THEN time_ms ELSE ?3 END WHERE id = ?1",
                params![id.0, *ordinal as i64, *time_ms as i64],
            )?;
            dequeue(connection, *number)?;
            forget_filled(connection, *id)?;
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
        Write::Cursor(position) => {
            execute(connection, "UPDATE device SET cursor = ?1", params![*position as i64])
        }
        Write::WentBack { head } => go_back(connection, *head),
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

/// The time before may have brought an own message that had no tick yet.
fn forget_filled(connection: &Connection, ticked: MessageId) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM messages WHERE of_group IS NULL AND id < 0 AND state = 2
                 AND (peer, ordinal) =
                     (SELECT peer, ordinal FROM messages WHERE id = ?1 AND of_group IS NULL)",
        )?
        .execute([ticked.0])?;
    connection
        .prepare_cached(
            "DELETE FROM messages WHERE of_group IS NOT NULL AND id < 0 AND state = 2
                 AND (of_group, ordinal) =
                     (SELECT of_group, ordinal FROM messages WHERE id = ?1)",
        )?
        .execute([ticked.0])?;
    Ok(())
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
pub(super) fn execute(
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

pub(super) fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)? as u64)
}

pub(super) fn blob(row: &Row<'_>, index: usize) -> rusqlite::Result<Arc<[u8]>> {
    match row.get_ref(index)? {
        ValueRef::Blob(bytes) => Ok(Arc::from(bytes)),
        _ => Ok(Arc::from(&[][..])),
    }
}

/// A row of the messages, before its state is known to make sense.
struct Stored {
    state: i64,
    code: Option<u16>,
    message: Message,
}

impl Stored {
    fn check(mut self) -> Result<Message, StoreError> {
        self.message.state = match (self.state, self.code) {
            (0, _) => State::Received,
            (1, _) => State::Pending,
            (2, _) => State::Sent,
            (3, Some(code)) => State::Rejected(Code::from_number(code)),
            (state, _) => {
                let id = self.message.id;
                return Err(StoreError::Damaged(format!("message {id} has state {state}")));
            }
        };
        Ok(self.message)
    }
}

fn read_message(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        state: row.get(2)?,
        code: row.get(3)?,
        message: Message {
            id: MessageId(row.get(0)?),
            peer: unsigned(row, 1)?,
            state: State::Received,
            ordinal: row.get::<_, Option<i64>>(4)?.map(|ordinal| ordinal as u64),
            position: row.get::<_, Option<i64>>(5)?.map(|position| position as u64),
            time_ms: unsigned(row, 6)?,
            content: row.get(7)?,
            body: blob(row, 8)?,
            group: row.get::<_, Option<i64>>(9)?.map(|group| group as u64),
            changes: Changes {
                edited: match row.get::<_, Option<i64>>(11)? {
                    Some(time_ms) => Some((blob(row, 10)?, time_ms as u64)),
                    None => None,
                },
                is_deleted: row.get(12)?,
                reactions: Vec::new(),
                expires_ms: row.get::<_, Option<i64>>(13)?.map(|at_ms| at_ms as u64),
            },
        },
    })
}

fn read_conversation(row: &Row<'_>) -> rusqlite::Result<ConversationState> {
    Ok(ConversationState {
        peer: unsigned(row, 0)?,
        delivered: unsigned(row, 1)?,
        read: unsigned(row, 2)?,
        seen: unsigned(row, 3)?,
        seen_confirmed: unsigned(row, 4)?,
        in_last: unsigned(row, 5)?,
        out_last: unsigned(row, 6)?,
        last: MessageId(row.get(7)?),
        timer: (unsigned(row, 8)?, unsigned(row, 9)?),
    })
}

fn read_group(row: &Row<'_>) -> rusqlite::Result<GroupState> {
    Ok(GroupState {
        group: unsigned(row, 0)?,
        cursor: unsigned(row, 1)?,
        name: blob(row, 2)?,
        info: blob(row, 3)?,
        owner: unsigned(row, 4)?,
        roles_at: unsigned(row, 5)?,
        is_gone: row.get(6)?,
        own_last: unsigned(row, 7)?,
        seen: unsigned(row, 8)?,
        seen_confirmed: unsigned(row, 9)?,
        receipt: Receipt {
            position: unsigned(row, 10)?,
            members: unsigned(row, 11)?,
            delivered: unsigned(row, 12)?,
            read: unsigned(row, 13)?,
            delivered_all: unsigned(row, 14)?,
            read_all: unsigned(row, 15)?,
        },
        last: MessageId(row.get(16)?),
        filled_from: unsigned(row, 17)?,
        timer: (unsigned(row, 18)?, unsigned(row, 19)?),
    })
}

fn read_unanswered(row: &Row<'_>) -> rusqlite::Result<Unanswered> {
    Ok(Unanswered {
        number: unsigned(row, 0)?,
        id: MessageId(row.get(1)?),
        target: match row.get::<_, Option<i64>>(5)? {
            Some(group) => Target::Group(group as u64),
            None => Target::Peer(unsigned(row, 2)?),
        },
        content: row.get(3)?,
        body: blob(row, 4)?,
    })
}
