//! Frames about groups, from bytes, and changes of groups.

use super::fields::{Fields, judge_total};
use crate::decode_error::DecodeError;
use crate::frame::Frame;
use crate::group::{
    Action, CONTENT_CHANGE, Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected,
    GroupSend, GroupState,
};
use crate::kind::FLAG_OWN;
use crate::limits;

#[inline]
pub(super) fn send<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<GroupSend<'a>, DecodeError> {
    let group = fields.number("group_send.group")?;
    let number = fields.positive("group_send.number")?;
    let content = fields.byte("group_send.content")?;
    // Members take an entry of this content for a change that the server made.
    if content == CONTENT_CHANGE {
        return Err(DecodeError::Value("group_send.content"));
    }
    let total_bytes = fields.total_bytes(flags, "group_send.total_bytes")?;
    let body = fields.piece("group_send.body")?;
    judge_total(total_bytes, body, "group_send.total_bytes")?;
    Ok(GroupSend { group, number, content, total_bytes, body })
}

#[inline]
pub(super) fn deliver<'a>(
    flags: u8,
    fields: &mut Fields<'a>,
) -> Result<GroupDeliver<'a>, DecodeError> {
    let group = fields.number("group_deliver.group")?;
    let position = fields.number("group_deliver.position")?;
    let author = fields.number("group_deliver.author")?;
    let time_ms = fields.number("group_deliver.time_ms")?;
    let content = fields.byte("group_deliver.content")?;
    let total_bytes = fields.total_bytes(flags, "group_deliver.total_bytes")?;
    let body = fields.piece("group_deliver.body")?;
    judge_total(total_bytes, body, "group_deliver.total_bytes")?;
    let own = flags & FLAG_OWN != 0;
    Ok(GroupDeliver { group, position, author, time_ms, content, own, total_bytes, body })
}

pub(super) fn sent<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::GroupSent {
        group: fields.number("group_sent.group")?,
        number: fields.number("group_sent.number")?,
        position: fields.number("group_sent.position")?,
        time_ms: fields.number("group_sent.time_ms")?,
    })
}

pub(super) fn rejected(fields: &mut Fields<'_>) -> Result<GroupRejected, DecodeError> {
    Ok(GroupRejected {
        group: fields.number("group_rejected.group")?,
        number: fields.number("group_rejected.number")?,
        code: fields.code("group_rejected.code")?,
        retry_after_ms: fields.number("group_rejected.retry_after_ms")?,
    })
}

pub(super) fn receipt<'a>(fields: &mut Fields<'a>) -> Result<GroupReceipt<'a>, DecodeError> {
    Ok(GroupReceipt {
        group: fields.number("group_receipt.group")?,
        position: fields.number("group_receipt.position")?,
        members: fields.number("group_receipt.members")?,
        delivered: fields.number("group_receipt.delivered")?,
        read: fields.number("group_receipt.read")?,
        delivered_all: fields.number("group_receipt.delivered_all")?,
        read_all: fields.number("group_receipt.read_all")?,
        who: fields.pairs("group_receipt.who", limits::WHO_MAX)?,
    })
}

pub(super) fn ask<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::GroupAsk {
        group: fields.number("group_ask.group")?,
        position: fields.number("group_ask.position")?,
        after: fields.number("group_ask.after")?,
    })
}

pub(super) fn change_request<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::GroupChange {
        group: fields.number("group_change.group")?,
        number: fields.positive("group_change.number")?,
        change: change(fields)?,
    })
}

/// The fields of a change, which are named as those of the request wherever they stand.
fn change<'a>(fields: &mut Fields<'a>) -> Result<Change<'a>, DecodeError> {
    let action = fields.byte("group_change.action")?;
    Ok(Change {
        action: Action::from_number(action).ok_or(DecodeError::Value("group_change.action"))?,
        users: fields.numbers("group_change.users", limits::USERS_MAX)?,
        value: fields.bytes("group_change.value", limits::GROUP_VALUE_BYTES_MAX)?,
    })
}

pub(super) fn state<'a>(fields: &mut Fields<'a>) -> Result<GroupState<'a>, DecodeError> {
    Ok(GroupState {
        group: fields.number("group_state.group")?,
        head: fields.number("group_state.head")?,
        members: fields.number("group_state.members")?,
        shows_history: fields.flag("group_state.shows_history")?,
        name: fields.bytes("group_state.name", limits::GROUP_VALUE_BYTES_MAX)?,
        info: fields.bytes("group_state.info", limits::GROUP_VALUE_BYTES_MAX)?,
        roles: fields.pairs("group_state.roles", limits::WHO_MAX)?,
    })
}

pub(super) fn notice(fields: &mut Fields<'_>) -> Result<GroupNotice, DecodeError> {
    Ok(GroupNotice {
        position: fields.number("group_notice.position")?,
        group: fields.number("group_notice.group")?,
        by: fields.number("group_notice.by")?,
        time_ms: fields.number("group_notice.time_ms")?,
    })
}

impl<'a> Change<'a> {
    /// Reads the body of a [`CONTENT_CHANGE`] entry. An error names the field as that of the request
    /// (`group_change.users`).
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields { rest: bytes };
        let change = change(&mut fields)?;
        if fields.rest.is_empty() { Ok(change) } else { Err(DecodeError::Trailing) }
    }
}
