//! Frames about people, to bytes.

use super::{begin, bytes_len, put_bytes};
use crate::kind::Kind;
use crate::people::{Found, Item, Profile, PutRejected};
use crate::varint;

pub(super) fn encode_put(item: u8, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    begin(Kind::Put, 0, 1 + bytes_len(key) + bytes_len(value), out);
    out.push(item);
    put_bytes(key, out);
    put_bytes(value, out);
}

pub(super) fn encode_item(item: &Item<'_>, out: &mut Vec<u8>) {
    let fields_len = varint::len(item.version) + 1 + bytes_len(item.key) + bytes_len(item.value);
    begin(Kind::Item, 0, fields_len, out);
    varint::write(item.version, out);
    out.push(item.item);
    put_bytes(item.key, out);
    put_bytes(item.value, out);
}

pub(super) fn encode_put_rejected(rejected: &PutRejected<'_>, out: &mut Vec<u8>) {
    let code = u64::from(rejected.code.number());
    let fields_len =
        1 + bytes_len(rejected.key) + varint::len(code) + varint::len(rejected.retry_after_ms);
    begin(Kind::PutRejected, 0, fields_len, out);
    out.push(rejected.item);
    put_bytes(rejected.key, out);
    varint::write(code, out);
    varint::write(rejected.retry_after_ms, out);
}

pub(super) fn encode_profile(profile: &Profile<'_>, out: &mut Vec<u8>) {
    let texts = [profile.name, profile.status, profile.avatar];
    let texts_len: usize = texts.iter().map(|text| bytes_len(text)).sum();
    let fields_len = varint::len(profile.user) + varint::len(profile.version) + texts_len;
    begin(Kind::Profile, 0, fields_len, out);
    varint::write(profile.user, out);
    varint::write(profile.version, out);
    for text in texts {
        put_bytes(text, out);
    }
}

pub(super) fn encode_find(name: &[u8], out: &mut Vec<u8>) {
    begin(Kind::Find, 0, bytes_len(name), out);
    put_bytes(name, out);
}

pub(super) fn encode_found(found: &Found<'_>, out: &mut Vec<u8>) {
    let numbers = [found.user, u64::from(found.code.number()), found.retry_after_ms];
    let numbers_len: usize = numbers.iter().map(|&number| varint::len(number)).sum();
    begin(Kind::Found, 0, bytes_len(found.name) + numbers_len, out);
    put_bytes(found.name, out);
    for number in numbers {
        varint::write(number, out);
    }
}
