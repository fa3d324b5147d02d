//! Frames to bytes.

mod group;
mod history;
mod people;

use std::borrow::Cow;

use crate::frame::{Deliver, Frame, Goodbye, Hello, Send, Welcome};
use crate::group::{GroupNotice, GroupRejected};
use crate::kind::{FLAG_OWN, FLAG_PARTS, Kind};
use crate::lists::{Numbers, Pairs};
use crate::{MAGIC, limits, varint};

impl Frame<'_> {
    /// Appends the frame, its length prefix included, to `out`.
    ///
    /// The caller keeps the fields within [`limits`](crate::limits); a decoder refuses what isn't.
    /// Only a `detail`, which is made from other errors' texts, is cut to its limit and cleaned of
    /// control characters here: a peer must get the code whatever its explanation holds.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Send(send) => encode_send(send, out),
            Frame::Deliver(deliver) => encode_deliver(deliver, out),
            Frame::Part { body } => {
                begin(Kind::Part, 0, body.len(), out);
                out.extend_from_slice(body);
            }
            Frame::Sent { peer, number, ordinal, time_ms } => {
                numbers(Kind::Sent, 0, [*peer, *number, *ordinal, *time_ms], out);
            }
            Frame::Rejected { peer, number, code, retry_after_ms } => {
                let code = u64::from(code.number());
                numbers(Kind::Rejected, 0, [*peer, *number, code, *retry_after_ms], out);
            }
            Frame::Skip { position } => numbers(Kind::Skip, 0, [*position], out),
            Frame::Ack { position } => numbers(Kind::Ack, 0, [*position], out),
            Frame::Read { peer, ordinal } => numbers(Kind::Read, 0, [*peer, *ordinal], out),
            Frame::Receipt { peer, delivered, read, own } => {
                let flags = if *own { FLAG_OWN } else { 0 };
                numbers(Kind::Receipt, flags, [*peer, *delivered, *read], out);
            }
            Frame::Ask { peer } => numbers(Kind::Ask, 0, [*peer], out),
            Frame::Ping => numbers(Kind::Ping, 0, [], out),
            Frame::Pong { heads } => {
                begin(Kind::Pong, 0, pairs_len(heads), out);
                put_pairs(heads, out);
            }
            Frame::Hello(hello) => encode_hello(hello, out),
            Frame::Welcome(welcome) => encode_welcome(welcome, out),
            Frame::Refuse { code, retry_after_ms, detail } => {
                encode_refuse(u64::from(code.number()), *retry_after_ms, detail, out);
            }
            Frame::Goodbye(goodbye) => encode_goodbye(goodbye, out),
            Frame::GroupSend(send) => group::encode_send(send, out),
            Frame::GroupDeliver(deliver) => group::encode_deliver(deliver, out),
            Frame::GroupSent { group, number, position, time_ms } => {
                numbers(Kind::GroupSent, 0, [*group, *number, *position, *time_ms], out);
            }
            Frame::GroupRejected(rejected) => {
                let GroupRejected { group, number, code, retry_after_ms } = *rejected;
                let code = u64::from(code.number());
                numbers(Kind::GroupRejected, 0, [group, number, code, retry_after_ms], out);
            }
            Frame::GroupSkip { group, position } => {
                numbers(Kind::GroupSkip, 0, [*group, *position], out);
            }
            Frame::GroupAck { group, position } => {
                numbers(Kind::GroupAck, 0, [*group, *position], out);
            }
            Frame::GroupRead { group, position } => {
                numbers(Kind::GroupRead, 0, [*group, *position], out);
            }
            Frame::GroupReceipt(receipt) => group::encode_receipt(receipt, out),
            Frame::GroupAsk { group, position, after } => {
                numbers(Kind::GroupAsk, 0, [*group, *position, *after], out);
            }
            Frame::GroupChange { group, number, change } => {
                group::encode_change_request(*group, *number, change, out);
            }
            Frame::GroupResume { cursors } => {
                begin(Kind::GroupResume, 0, pairs_len(cursors), out);
                put_pairs(cursors, out);
            }
            Frame::GroupLook { group, after } => {
                numbers(Kind::GroupLook, 0, [*group, *after], out);
            }
            Frame::GroupState(state) => group::encode_state(state, out),
            Frame::GroupNotice(notice) => {
                let GroupNotice { position, group, by, time_ms } = *notice;
                numbers(Kind::GroupNotice, 0, [position, group, by, time_ms], out);
            }
            Frame::GroupGone { group, position } => {
                numbers(Kind::GroupGone, 0, [*group, *position], out);
            }
            Frame::Activity { is_here } => {
                numbers(Kind::Activity, 0, [u64::from(*is_here)], out);
            }
            Frame::Watch { users } => {
                begin(Kind::Watch, 0, numbers_len(users), out);
                put_numbers(users, out);
            }
            Frame::Unwatch { users } => {
                begin(Kind::Unwatch, 0, numbers_len(users), out);
                put_numbers(users, out);
            }
            Frame::Presence { user, is_online, last_seen_ms } => {
                let fields = [*user, u64::from(*is_online), *last_seen_ms];
                numbers(Kind::Presence, 0, fields, out);
            }
            Frame::Typing { group, user, is_typing } => {
                numbers(Kind::Typing, 0, [*group, *user, u64::from(*is_typing)], out);
            }
            Frame::History(history) => history::encode(history, out),
            Frame::Past(past) => history::encode_past(past, out),
            Frame::HistoryEnd(end) => history::encode_end(end, out),
            Frame::Put { item, key, value } => people::encode_put(*item, key, value, out),
            Frame::Item(item) => people::encode_item(item, out),
            Frame::PutRejected(rejected) => people::encode_put_rejected(rejected, out),
            Frame::BookResume { version } => numbers(Kind::BookResume, 0, [*version], out),
            Frame::Book { version, head, reset } => {
                numbers(Kind::Book, 0, [*version, *head, u64::from(*reset)], out);
            }
            Frame::ProfileLook { user, version } => {
                numbers(Kind::ProfileLook, 0, [*user, *version], out);
            }
            Frame::Profile(profile) => people::encode_profile(profile, out),
            Frame::ProfileNews { user, version } => {
                numbers(Kind::ProfileNews, 0, [*user, *version], out);
            }
            Frame::Find { name } => people::encode_find(name, out),
            Frame::Found(found) => people::encode_found(found, out),
            Frame::Unknown { kind } => {
                varint::write(1, out);
                out.push(*kind);
            }
        }
    }
}

/// Writes the length prefix and the kind byte of a frame whose fields take `fields_len` bytes.
#[inline]
fn begin(kind: Kind, flags: u8, fields_len: usize, out: &mut Vec<u8>) {
    out.reserve(3 + fields_len);
    varint::write(1 + fields_len as u64, out);
    out.push(kind as u8 | flags);
}

#[inline]
fn numbers<const N: usize>(kind: Kind, flags: u8, fields: [u64; N], out: &mut Vec<u8>) {
    let fields_len = fields.iter().map(|&field| varint::len(field)).sum();
    begin(kind, flags, fields_len, out);
    for field in fields {
        varint::write(field, out);
    }
}

#[inline]
fn encode_send(send: &Send<'_>, out: &mut Vec<u8>) {
    let flags = if send.total_bytes.is_some() { FLAG_PARTS } else { 0 };
    let fields_len = varint::len(send.peer)
        + varint::len(send.number)
        + 1
        + send.total_bytes.map_or(0, varint::len)
        + send.body.len();
    begin(Kind::Send, flags, fields_len, out);
    varint::write(send.peer, out);
    varint::write(send.number, out);
    out.push(send.content);
    if let Some(total_bytes) = send.total_bytes {
        varint::write(total_bytes, out);
    }
    out.extend_from_slice(send.body);
}

#[inline]
fn encode_deliver(deliver: &Deliver<'_>, out: &mut Vec<u8>) {
    let parts = if deliver.total_bytes.is_some() { FLAG_PARTS } else { 0 };
    let own = if deliver.own { FLAG_OWN } else { 0 };
    let fields_len = varint::len(deliver.position)
        + varint::len(deliver.peer)
        + varint::len(deliver.ordinal)
        + varint::len(deliver.time_ms)
        + 1
        + deliver.total_bytes.map_or(0, varint::len)
        + deliver.body.len();
    begin(Kind::Deliver, parts | own, fields_len, out);
    varint::write(deliver.position, out);
    varint::write(deliver.peer, out);
    varint::write(deliver.ordinal, out);
    varint::write(deliver.time_ms, out);
    out.push(deliver.content);
    if let Some(total_bytes) = deliver.total_bytes {
        varint::write(total_bytes, out);
    }
    out.extend_from_slice(deliver.body);
}

fn encode_hello(hello: &Hello<'_>, out: &mut Vec<u8>) {
    let fields =
        [hello.version_min, hello.version_max, hello.capabilities, hello.user, hello.device];
    let fields_len = MAGIC.len()
        + fields.iter().map(|&field| varint::len(field)).sum::<usize>()
        + bytes_len(hello.token)
        + bytes_len(hello.agent.as_bytes())
        + pairs_len(&hello.cursors);
    begin(Kind::Hello, 0, fields_len, out);
    out.extend_from_slice(&MAGIC);
    for field in fields {
        varint::write(field, out);
    }
    put_bytes(hello.token, out);
    put_bytes(hello.agent.as_bytes(), out);
    put_pairs(&hello.cursors, out);
}

fn encode_welcome(welcome: &Welcome<'_>, out: &mut Vec<u8>) {
    let fields = [
        welcome.version,
        welcome.capabilities,
        welcome.session,
        welcome.time_ms,
        welcome.body_bytes_max,
        welcome.window_messages,
        welcome.window_bytes,
        welcome.sends_max,
        welcome.idle_s,
        welcome.presence_s,
    ];
    let fields_len =
        fields.iter().map(|&field| varint::len(field)).sum::<usize>() + pairs_len(&welcome.heads);
    begin(Kind::Welcome, 0, fields_len, out);
    for field in fields {
        varint::write(field, out);
    }
    put_pairs(&welcome.heads, out);
}

fn encode_refuse(code: u64, retry_after_ms: u64, detail: &str, out: &mut Vec<u8>) {
    let detail = clean_detail(detail);
    let fields_len = varint::len(code) + varint::len(retry_after_ms) + bytes_len(detail.as_bytes());
    begin(Kind::Refuse, 0, fields_len, out);
    varint::write(code, out);
    varint::write(retry_after_ms, out);
    put_bytes(detail.as_bytes(), out);
}

fn encode_goodbye(goodbye: &Goodbye<'_>, out: &mut Vec<u8>) {
    let code = u64::from(goodbye.code.number());
    let detail = clean_detail(goodbye.detail);
    let fields_len = varint::len(code)
        + varint::len(goodbye.retry_after_ms)
        + bytes_len(goodbye.address.as_bytes())
        + bytes_len(detail.as_bytes());
    begin(Kind::Goodbye, 0, fields_len, out);
    varint::write(code, out);
    varint::write(goodbye.retry_after_ms, out);
    put_bytes(goodbye.address.as_bytes(), out);
    put_bytes(detail.as_bytes(), out);
}

/// As much of `detail` as a frame takes, with a space for each control character.
fn clean_detail(detail: &str) -> Cow<'_, str> {
    let mut end = detail.len().min(limits::DETAIL_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    let detail = &detail[..end];
    if detail.chars().any(char::is_control) {
        return Cow::Owned(detail.replace(char::is_control, " "));
    }
    Cow::Borrowed(detail)
}

const fn bytes_len(bytes: &[u8]) -> usize {
    varint::len(bytes.len() as u64) + bytes.len()
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint::write(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn pairs_len(pairs: &Pairs<'_>) -> usize {
    let numbers: usize = pairs.iter().map(|(a, b)| varint::len(a) + varint::len(b)).sum();
    varint::len(pairs.len() as u64) + numbers
}

pub(crate) fn numbers_len(list: &Numbers<'_>) -> usize {
    varint::len(list.len() as u64) + list.iter().map(varint::len).sum::<usize>()
}

pub(crate) fn put_numbers(list: &Numbers<'_>, out: &mut Vec<u8>) {
    varint::write(list.len() as u64, out);
    for number in list.iter() {
        varint::write(number, out);
    }
}

fn put_pairs(pairs: &Pairs<'_>, out: &mut Vec<u8>) {
    varint::write(pairs.len() as u64, out);
    for (first, second) in pairs.iter() {
        varint::write(first, out);
        varint::write(second, out);
    }
}
