//! Frames about pages of logs, from bytes.

use super::fields::{Fields, judge_total};
use crate::decode_error::DecodeError;
use crate::history::{History, HistoryEnd, Past};
use crate::kind::FLAG_OWN;
use crate::limits::HISTORY_MAX;

pub(super) fn history(fields: &mut Fields<'_>) -> Result<History, DecodeError> {
    let (group, from) = (fields.number("history.group")?, fields.number("history.from")?);
    let through = fields.number("history.through")?;
    let limit = fields.positive("history.limit")?;
    if limit > HISTORY_MAX as u64 {
        return Err(DecodeError::Value("history.limit"));
    }
    let newest_first = fields.flag("history.newest_first")?;
    Ok(History { group, from, through, limit, newest_first })
}

pub(super) fn past<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<Past<'a>, DecodeError> {
    let group = fields.number("past.group")?;
    let position = fields.number("past.position")?;
    let peer = fields.number("past.peer")?;
    let ordinal = fields.number("past.ordinal")?;
    let time_ms = fields.number("past.time_ms")?;
    let content = fields.byte("past.content")?;
    let total_bytes = fields.total_bytes(flags, "past.total_bytes")?;
    let body = fields.piece("past.body")?;
    judge_total(total_bytes, body, "past.total_bytes")?;
    let own = flags & FLAG_OWN != 0;
    Ok(Past { group, position, peer, ordinal, time_ms, content, own, total_bytes, body })
}

pub(super) fn end(fields: &mut Fields<'_>) -> Result<HistoryEnd, DecodeError> {
    Ok(HistoryEnd {
        group: fields.number("history_end.group")?,
        from: fields.number("history_end.from")?,
        through: fields.number("history_end.through")?,
        has_more: fields.flag("history_end.has_more")?,
    })
}
