//! Rows of the tables, as values.

use std::sync::Arc;

use fulmar_protocol::Code;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::super::{ConversationState, GroupState, StoreError, Unanswered};
use crate::group::Receipt;
use crate::message::{Message, MessageId, State, Target};
use crate::refer::Changes;

pub(in super::super) fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)? as u64)
}

pub(in super::super) fn blob(row: &Row<'_>, index: usize) -> rusqlite::Result<Arc<[u8]>> {
    match row.get_ref(index)? {
        ValueRef::Blob(bytes) => Ok(Arc::from(bytes)),
        _ => Ok(Arc::from(&[][..])),
    }
}

/// A row of the messages, before its state is known to make sense.
pub(super) struct Stored {
    state: i64,
    code: Option<u16>,
    message: Message,
}

impl Stored {
    pub(super) fn check(mut self) -> Result<Message, StoreError> {
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

pub(super) fn read_message(row: &Row<'_>) -> rusqlite::Result<Stored> {
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

pub(super) fn read_conversation(row: &Row<'_>) -> rusqlite::Result<ConversationState> {
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

pub(super) fn read_group(row: &Row<'_>) -> rusqlite::Result<GroupState> {
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

pub(super) fn read_unanswered(row: &Row<'_>) -> rusqlite::Result<Unanswered> {
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
