//! Frames about people, from bytes.

use super::fields::Fields;
use crate::decode_error::DecodeError;
use crate::frame::Frame;
use crate::limits;
use crate::people::{Found, Item, Profile, PutRejected};

pub(super) fn put<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::Put {
        item: fields.byte("put.item")?,
        key: fields.bytes("put.key", limits::KEY_BYTES_MAX)?,
        value: fields.bytes("put.value", limits::VALUE_BYTES_MAX)?,
    })
}

pub(super) fn item<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::Item(Item {
        version: fields.number("item.version")?,
        item: fields.byte("item.item")?,
        key: fields.bytes("item.key", limits::KEY_BYTES_MAX)?,
        value: fields.bytes("item.value", limits::VALUE_BYTES_MAX)?,
    }))
}

pub(super) fn put_rejected<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::PutRejected(PutRejected {
        item: fields.byte("put_rejected.item")?,
        key: fields.bytes("put_rejected.key", limits::KEY_BYTES_MAX)?,
        code: fields.code("put_rejected.code")?,
        retry_after_ms: fields.number("put_rejected.retry_after_ms")?,
    }))
}

pub(super) fn book<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::Book {
        version: fields.number("book.version")?,
        head: fields.number("book.head")?,
        reset: fields.flag("book.reset")?,
    })
}

pub(super) fn profile_look<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::ProfileLook {
        user: fields.number("profile_look.user")?,
        version: fields.number("profile_look.version")?,
    })
}

pub(super) fn profile<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::Profile(Profile {
        user: fields.number("profile.user")?,
        version: fields.number("profile.version")?,
        name: fields.bytes("profile.name", limits::PROFILE_NAME_BYTES_MAX)?,
        status: fields.bytes("profile.status", limits::PROFILE_STATUS_BYTES_MAX)?,
        avatar: fields.bytes("profile.avatar", limits::PROFILE_AVATAR_BYTES_MAX)?,
    }))
}

pub(super) fn profile_news<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::ProfileNews {
        user: fields.number("profile_news.user")?,
        version: fields.number("profile_news.version")?,
    })
}

pub(super) fn found<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::Found(Found {
        name: fields.bytes("found.name", limits::NAME_BYTES_MAX)?,
        user: fields.number("found.user")?,
        code: fields.code("found.code")?,
        retry_after_ms: fields.number("found.retry_after_ms")?,
    }))
}
