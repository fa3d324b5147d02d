//! The store in an SQLite file.
//!
//! One transaction per batch, synced on commit. The tables are in `schema.rs`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::{
    Clocks, ConversationState, GroupState, Snapshot, Store, StoreError, Write, book, schema,
};
use crate::group::{Group, Role};
use crate::message::{Conversation, Message, MessageId, Target, content};
use crate::people::{BookItem, Profile, Star};
use crate::refer::timer;

mod read;
mod refer;
mod write;

use read::{Stored, read_conversation, read_group, read_message, read_unanswered};
pub(super) use read::{blob, unsigned};
pub(super) use write::{apply, execute};

/// How long an open waits for a program that is just closing the store.
const BUSY_WAIT: Duration = Duration::from_millis(500);

const MESSAGE_COLUMNS: &str =
    "id, peer, state, code, ordinal, position, time_ms, content, body, of_group,
    edited_body, edited_ms, is_deleted, expires_ms";

const GROUP_COLUMNS: &str =
    "of_group, cursor, name, info, owner, roles_at, is_gone, own_last, seen,
    seen_confirmed, receipt_position, receipt_members, receipt_delivered, receipt_read,
    receipt_delivered_all, receipt_read_all, last, filled_from, timer_s, timer_ms";

const UNANSWERED_COLUMNS: &str = "number, id, peer, content, body, of_group";

const UNANSWERED: &str = "FROM outbox JOIN messages ON id = message";

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
        let clocks = self.read_clocks()?;
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
        let sql = format!("SELECT {UNANSWERED_COLUMNS} {UNANSWERED} ORDER BY number");
        let outbox = self
            .connection
            .prepare(&sql)?
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
            clocks,
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

    fn starred(&mut self, star: Star) -> Result<Option<Message>, StoreError> {
        let Star { target, place, is_own } = star;
        match refer::find(&self.connection, target, place, is_own)? {
            Some(id) => self.message(id),
            None => Ok(None),
        }
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
        let mut all = rows.collect::<Result<Vec<_>, _>>()?;
        let pending = self.pending_timers()?;
        for known in &mut all {
            known.timer_s = *pending.get(&Target::Peer(known.peer)).unwrap_or(&known.timer_s);
        }
        Ok(all)
    }

    fn groups(&mut self) -> Result<Vec<Group>, StoreError> {
        let mut states = self.read_groups()?;
        states.sort_by_key(|state| std::cmp::Reverse(state.last));
        let pending = self.pending_timers()?;
        let mut all: Vec<_> =
            states.into_iter().map(|state| self.summary(state)).collect::<Result<_, _>>()?;
        for known in &mut all {
            known.timer_s = *pending.get(&Target::Group(known.group)).unwrap_or(&known.timer_s);
        }
        Ok(all)
    }

    fn book(&mut self) -> Result<Vec<BookItem>, StoreError> {
        book::items(&self.connection)
    }

    fn profiles(&mut self) -> Result<Vec<Profile>, StoreError> {
        book::profiles(&self.connection)
    }
}

impl SqliteStore {
    fn read_clocks(&self) -> Result<Option<Clocks>, StoreError> {
        let sql = "SELECT clock_server_ms, clock_unix_ms FROM device
                   WHERE clock_server_ms IS NOT NULL";
        let clocks = |row: &rusqlite::Row<'_>| {
            Ok(Clocks { server_ms: unsigned(row, 0)?, unix_ms: unsigned(row, 1)? })
        };
        Ok(self.connection.query_row(sql, [], clocks).optional()?)
    }

    fn read_groups(&self) -> Result<Vec<GroupState>, StoreError> {
        let sql = format!("SELECT {GROUP_COLUMNS} FROM groups");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let states = statement.query_map([], read_group)?.collect::<Result<_, _>>()?;
        Ok(states)
    }

    /// The timers of this user's that wait for their ticks, of each conversation and group the latest.
    fn pending_timers(&self) -> Result<BTreeMap<Target, u64>, StoreError> {
        let sql =
            format!("SELECT {UNANSWERED_COLUMNS} {UNANSWERED} WHERE content = ?1 ORDER BY number");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let waiting = statement
            .query_map([content::TIMER], read_unanswered)?
            .collect::<Result<Vec<_>, _>>()?;
        let timers =
            waiting.iter().filter_map(|it| Some((it.target, timer(it.content, &it.body)?)));
        Ok(timers.collect())
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
