//! Frames about groups to bytes, and changes of groups.

use super::{begin, bytes_len, numbers_len, pairs_len, put_bytes, put_numbers, put_pairs};
use crate::group::{Change, GroupDeliver, GroupReceipt, GroupSend, GroupState};
use crate::kind::{FLAG_OWN, FLAG_PARTS, Kind};
use crate::varint;

#[inline]
pub(super) fn encode_send(send: &GroupSend<'_>, out: &mut Vec<u8>) {
    let flags = if send.total_bytes.is_some() { FLAG_PARTS } else { 0 };
    let fields_len = varint::len(send.group)
        + varint::len(send.number)
        + 1
        + send.total_bytes.map_or(0, varint::len)
        + send.body.len();
    begin(Kind::GroupSend, flags, fields_len, out);
    varint::write(send.group, out);
    varint::write(send.number, out);
    out.push(send.content);
    if let Some(total_bytes) = send.total_bytes {
        varint::write(total_bytes, out);
    }
    out.extend_from_slice(send.body);
}

#[inline]
pub(super) fn encode_deliver(deliver: &GroupDeliver<'_>, out: &mut Vec<u8>) {
    let parts = if deliver.total_bytes.is_some() { FLAG_PARTS } else { 0 };
    let own = if deliver.own { FLAG_OWN } else { 0 };
    let fields = [deliver.group, deliver.position, deliver.author, deliver.time_ms];
    let fields_len = fields.iter().map(|&field| varint::len(field)).sum::<usize>()
        + 1
        + deliver.total_bytes.map_or(0, varint::len)
        + deliver.body.len();
    begin(Kind::GroupDeliver, parts | own, fields_len, out);
    for field in fields {
        varint::write(field, out);
    }
    out.push(deliver.content);
    if let Some(total_bytes) = deliver.total_bytes {
        varint::write(total_bytes, out);
    }
    out.extend_from_slice(deliver.body);
}

pub(super) fn encode_receipt(receipt: &GroupReceipt<'_>, out: &mut Vec<u8>) {
    let fields = [
        receipt.group,
        receipt.position,
        receipt.members,
        receipt.delivered,
        receipt.read,
        receipt.delivered_all,
        receipt.read_all,
    ];
    let fields_len =
        fields.iter().map(|&field| varint::len(field)).sum::<usize>() + pairs_len(&receipt.who);
    begin(Kind::GroupReceipt, 0, fields_len, out);
    for field in fields {
        varint::write(field, out);
    }
    put_pairs(&receipt.who, out);
}

pub(super) fn encode_state(state: &GroupState<'_>, out: &mut Vec<u8>) {
    let fields = [state.group, state.head, state.members, u64::from(state.shows_history)];
    let fields_len = fields.iter().map(|&field| varint::len(field)).sum::<usize>()
        + bytes_len(state.name)
        + bytes_len(state.info)
        + pairs_len(&state.roles);
    begin(Kind::GroupState, 0, fields_len, out);
    for field in fields {
        varint::write(field, out);
    }
    put_bytes(state.name, out);
    put_bytes(state.info, out);
    put_pairs(&state.roles, out);
}

pub(super) fn encode_change_request(
    group: u64,
    number: u64,
    change: &Change<'_>,
    out: &mut Vec<u8>,
) {
    let fields_len = varint::len(group) + varint::len(number) + change.encoded_len();
    begin(Kind::GroupChange, 0, fields_len, out);
    varint::write(group, out);
    varint::write(number, out);
    change.encode(out);
}

impl Change<'_> {
    /// Bytes of its encoded form.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + numbers_len(&self.users) + bytes_len(self.value)
    }

    /// Appends its encoded form: the body of a [`CONTENT_CHANGE`](crate::group::CONTENT_CHANGE) entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.action as u8);
        put_numbers(&self.users, out);
        put_bytes(self.value, out);
    }
}
