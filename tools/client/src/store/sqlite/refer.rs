//! What entries that refer to messages do to them, in the tables.

use rusqlite::{Connection, OptionalExtension, params};

use super::{MESSAGE_COLUMNS, StoreError, Stored, blob, read_message, unsigned};
use crate::message::{Message, MessageId, Target, content};
use crate::refer::{Reaction, Reference, What};

/// Lets an entry change the message that it refers to, if that is here.
pub(super) fn refer(connection: &Connection, entry: &Message) -> Result<(), StoreError> {
    let (Some(Reference { target, is_own, what }), Some(place)) =
        (entry.reference(), entry.ordinal)
    else {
        return Ok(());
    };
    let Some(id) = meant(connection, entry.target(), target, is_own)? else { return Ok(()) };
    match what {
        What::Edit(body) => {
            connection
                .prepare_cached(
                    "UPDATE messages SET edited_body = ?2, edited_ms = ?3, edited_at = ?4
                     WHERE id = ?1 AND is_deleted = 0 AND coalesce(edited_at, 0) < ?4",
                )?
                .execute(params![id.0, &*body, entry.time_ms as i64, place as i64])?;
        }
        What::Delete => {
            connection
                .prepare_cached(
                    "UPDATE messages SET is_deleted = 1, body = x'', edited_body = NULL,
                         edited_ms = NULL
                     WHERE id = ?1",
                )?
                .execute([id.0])?;
            connection
                .prepare_cached("DELETE FROM reactions WHERE message = ?1")?
                .execute([id.0])?;
        }
        What::Reaction(user, body) => {
            connection
                .prepare_cached(
                    "INSERT INTO reactions (message, user, body, place)
                     SELECT id, ?2, ?3, ?4 FROM messages WHERE id = ?1 AND is_deleted = 0
                     ON CONFLICT (message, user) DO UPDATE
                     SET body = excluded.body, place = excluded.place
                     WHERE excluded.place > place",
                )?
                .execute(params![id.0, user as i64, &*body, place as i64])?;
        }
    }
    Ok(())
}

/// The message that has this ordinal or position there and isn't about another one; `is_own` says of which direction.
pub(super) fn find(
    connection: &Connection,
    target: Target,
    place: u64,
    is_own: bool,
) -> Result<Option<MessageId>, StoreError> {
    find_of(connection, target, place, is_own, "")
}

/// The same of what others may refer to: neither a timer nor a change of a group is.
fn meant(
    connection: &Connection,
    target: Target,
    place: u64,
    is_own: bool,
) -> Result<Option<MessageId>, StoreError> {
    let is_shown = format!("AND content NOT IN ({}, {})", content::CHANGE, content::TIMER);
    find_of(connection, target, place, is_own, &is_shown)
}

fn find_of(
    connection: &Connection,
    target: Target,
    place: u64,
    is_own: bool,
    condition: &str,
) -> Result<Option<MessageId>, StoreError> {
    let id = |row: &rusqlite::Row<'_>| Ok(MessageId(row.get(0)?));
    let found = match target {
        Target::Group(group) => connection
            .prepare_cached(&format!(
                "SELECT id FROM messages WHERE of_group IS NOT NULL AND of_group = ?1
                     AND ordinal = ?2 AND refers_to IS NULL {condition} ORDER BY id LIMIT 1"
            ))?
            .query_row(params![group as i64, place as i64], id)
            .optional()?,
        Target::Peer(peer) => connection
            .prepare_cached(&format!(
                "SELECT id FROM messages WHERE of_group IS NULL AND peer = ?1
                     AND ordinal = ?2 AND (state <> 0) = ?3 AND refers_to IS NULL {condition}
                 ORDER BY id LIMIT 1"
            ))?
            .query_row(params![peer as i64, place as i64, is_own], id)
            .optional()?,
    };
    Ok(found)
}

/// An own message has its tick, and with it a place: what refers to it may have come before.
pub(super) fn ticked(connection: &Connection, id: MessageId) -> Result<(), StoreError> {
    let sql = format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?1");
    let row = connection.prepare_cached(&sql)?.query_row([id.0], read_message).optional()?;
    match row.map(Stored::check).transpose()? {
        Some(message) => {
            refer(connection, &message)?;
            referred(connection, &message)
        }
        None => Ok(()),
    }
}

/// Lets what is here already change a message that came later.
pub(super) fn referred(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    let Some(place) = message.ordinal else { return Ok(()) };
    let (of, number) = match message.group {
        Some(group) => ("of_group IS NOT NULL AND of_group", group),
        None => ("of_group IS NULL AND peer", message.peer),
    };
    let sql = format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE {of} = ?1 AND refers_to = ?2 ORDER BY id"
    );
    let entries = connection
        .prepare_cached(&sql)?
        .query_map(params![number as i64, place as i64], read_message)?
        .map(|row| row?.check())
        .collect::<Result<Vec<_>, _>>()?;
    entries.iter().try_for_each(|entry| refer(connection, entry))
}

/// What people made of a message.
pub(super) fn reactions(
    connection: &Connection,
    id: MessageId,
) -> Result<Vec<Reaction>, StoreError> {
    let mut all = connection
        .prepare_cached("SELECT user, body FROM reactions WHERE message = ?1 AND body <> x''")?
        .query_map([id.0], |row| Ok((unsigned(row, 0)?, blob(row, 1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable_by_key(|(user, _)| *user);
    Ok(all)
}
