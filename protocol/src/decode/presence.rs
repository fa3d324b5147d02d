//! Frames about presence and typing, from bytes.

use super::fields::Fields;
use crate::decode_error::DecodeError;
use crate::frame::Frame;

pub(super) fn presence<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::Presence {
        user: fields.number("presence.user")?,
        is_online: fields.flag("presence.is_online")?,
        last_seen_ms: fields.number("presence.last_seen_ms")?,
    })
}

pub(super) fn typing<'a>(fields: &mut Fields<'a>) -> Result<Frame<'a>, DecodeError> {
    Ok(Frame::Typing {
        group: fields.number("typing.group")?,
        user: fields.number("typing.user")?,
        is_typing: fields.flag("typing.is_typing")?,
    })
}
