//! The book and the profiles in the SQLite file.

use rusqlite::{Connection, params};

use super::StoreError;
use super::sqlite::{blob, execute, unsigned};
use crate::people::{BookItem, Profile, Put};

pub(super) fn items(connection: &Connection) -> Result<Vec<BookItem>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT item, key, version, value FROM book ORDER BY item, key")?;
    let items = statement.query_map([], |row| {
        Ok(BookItem {
            item: row.get(0)?,
            key: row.get(1)?,
            version: unsigned(row, 2)?,
            value: row.get(3)?,
        })
    })?;
    Ok(items.collect::<Result<_, _>>()?)
}

pub(super) fn wishes(connection: &Connection) -> Result<Vec<Put>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT item, key, value FROM wishes ORDER BY item, key")?;
    let wishes = statement
        .query_map([], |row| Ok(Put { item: row.get(0)?, key: row.get(1)?, value: row.get(2)? }))?;
    Ok(wishes.collect::<Result<_, _>>()?)
}

pub(super) fn profiles(connection: &Connection) -> Result<Vec<Profile>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT user, version, name, status, avatar FROM profiles")?;
    let profiles = statement.query_map([], |row| {
        Ok(Profile {
            user: unsigned(row, 0)?,
            version: unsigned(row, 1)?,
            name: blob(row, 2)?,
            status: blob(row, 3)?,
            avatar: blob(row, 4)?,
        })
    })?;
    let mut profiles: Vec<Profile> = profiles.collect::<Result<_, _>>()?;
    // SQLite's integers are signed.
    profiles.sort_unstable_by_key(|profile| profile.user);
    Ok(profiles)
}

pub(super) fn put_item(
    connection: &Connection,
    item: u8,
    key: &[u8],
    version: u64,
    value: &[u8],
) -> Result<(), StoreError> {
    let version = version as i64;
    if value.is_empty() {
        connection
            .prepare_cached("DELETE FROM book WHERE item = ?1 AND key = ?2 AND version <= ?3")?
            .execute(params![item, key, version])?;
    } else {
        connection
            .prepare_cached(
                "INSERT INTO book (item, key, version, value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (item, key) DO UPDATE SET version = ?3, value = ?4
                     WHERE version <= ?3",
            )?
            .execute(params![item, key, version, value])?;
    }
    Ok(())
}

pub(super) fn put_wish(
    connection: &Connection,
    item: u8,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), StoreError> {
    match value {
        Some(value) => execute(
            connection,
            "INSERT OR REPLACE INTO wishes (item, key, value) VALUES (?1, ?2, ?3)",
            params![item, key, value],
        ),
        None => execute(
            connection,
            "DELETE FROM wishes WHERE item = ?1 AND key = ?2",
            params![item, key],
        ),
    }
}

pub(super) fn put_profile(connection: &Connection, profile: &Profile) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT OR REPLACE INTO profiles (user, version, name, status, avatar)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            profile.user as i64,
            profile.version as i64,
            &*profile.name,
            &*profile.status,
            &*profile.avatar,
        ],
    )
}
