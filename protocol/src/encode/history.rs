//! Frames about pages of logs, to bytes.

use super::{begin, numbers};
use crate::history::{History, HistoryEnd, Past};
use crate::kind::{FLAG_OWN, FLAG_PARTS, Kind};
use crate::varint;

pub(super) fn encode(history: &History, out: &mut Vec<u8>) {
    let History { group, from, through, limit, newest_first } = *history;
    let fields = [group, from, through, limit, u64::from(newest_first)];
    numbers(Kind::History, 0, fields, out);
}

pub(super) fn encode_past(past: &Past<'_>, out: &mut Vec<u8>) {
    let parts = if past.total_bytes.is_some() { FLAG_PARTS } else { 0 };
    let own = if past.own { FLAG_OWN } else { 0 };
    let fields = [past.group, past.position, past.peer, past.ordinal, past.time_ms];
    let fields_len = fields.iter().map(|&field| varint::len(field)).sum::<usize>()
        + 1
        + past.total_bytes.map_or(0, varint::len)
        + past.body.len();
    begin(Kind::Past, parts | own, fields_len, out);
    for field in fields {
        varint::write(field, out);
    }
    out.push(past.content);
    if let Some(total_bytes) = past.total_bytes {
        varint::write(total_bytes, out);
    }
    out.extend_from_slice(past.body);
}

pub(super) fn encode_end(end: &HistoryEnd, out: &mut Vec<u8>) {
    let HistoryEnd { group, from, through, has_more } = *end;
    numbers(Kind::HistoryEnd, 0, [group, from, through, u64::from(has_more)], out);
}
