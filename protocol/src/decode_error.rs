//! Why bytes are not a frame, in words that say what is allowed.

use std::fmt;

use crate::code::Code;
use crate::limits;

/// Why bytes are not a frame. Each names the field or the rule that was broken; a field is named
/// `kind.field`, as in the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The frame has no kind byte.
    Empty,
    /// A kind that isn't defined and may not be skipped.
    UnknownKind(u8),
    /// A flag that this kind doesn't have.
    UnknownFlag(u8),
    /// The hello doesn't begin with the magic bytes.
    NotFulmar,
    /// The frame ends inside this field.
    Truncated(&'static str),
    /// This number is longer than 64 bits or not in its shortest form.
    Number(&'static str),
    /// This field is over its limit.
    TooLong(&'static str),
    /// This field is not valid UTF-8, or holds control characters.
    Text(&'static str),
    /// This field has a value that isn't allowed.
    Value(&'static str),
    /// Bytes follow the last field.
    Trailing,
}

impl DecodeError {
    /// The code that a peer is told.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            DecodeError::UnknownKind(_) => Code::UnknownKind,
            DecodeError::NotFulmar => Code::NotFulmar,
            _ => Code::MalformedFrame,
        }
    }

    /// A stable name in snake case, for logs, metrics and vectors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DecodeError::Empty => "empty",
            DecodeError::UnknownKind(_) => "unknown_kind",
            DecodeError::UnknownFlag(_) => "unknown_flag",
            DecodeError::NotFulmar => "not_fulmar",
            DecodeError::Truncated(_) => "truncated",
            DecodeError::Number(_) => "number",
            DecodeError::TooLong(_) => "too_long",
            DecodeError::Text(_) => "text",
            DecodeError::Value(_) => "value",
            DecodeError::Trailing => "trailing",
        }
    }

    /// The field that is wrong, as `kind.field`; `None` where the frame as a whole is.
    #[must_use]
    pub const fn field(self) -> Option<&'static str> {
        match self {
            DecodeError::Truncated(field)
            | DecodeError::Number(field)
            | DecodeError::TooLong(field)
            | DecodeError::Text(field)
            | DecodeError::Value(field) => Some(field),
            _ => None,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DecodeError::Empty => write!(f, "frame of length 0; a frame has at least a kind byte"),
            DecodeError::UnknownKind(kind) => {
                write!(f, "kind {kind} is unknown and below 32, so it can't be skipped")
            }
            DecodeError::UnknownFlag(byte) => {
                write!(f, "kind byte {byte:#04x} has a flag that this kind doesn't have")
            }
            DecodeError::NotFulmar => write!(f, "a hello begins with the bytes FLMR"),
            DecodeError::Truncated(field) => write!(f, "frame ends inside {field}"),
            DecodeError::Number(field) => {
                write!(f, "{field} is not a shortest-form varint of at most 64 bits")
            }
            DecodeError::TooLong(field) => {
                write!(f, "{field} is over its limit of {}", Limit(field))
            }
            DecodeError::Text(field) => {
                write!(f, "{field} is not UTF-8 without control characters")
            }
            DecodeError::Value(field) => {
                write!(f, "{field} has a value that is not allowed; {}", allowed(field))
            }
            DecodeError::Trailing => write!(f, "bytes follow the last field"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The limit of a field that has one, with its unit.
struct Limit(&'static str);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_groups = self.0 == "group_resume.cursors";
        let of_people = match self.0 {
            "put.value" | "item.value" => Some(limits::VALUE_BYTES_MAX),
            "put.key" | "item.key" | "put_rejected.key" => Some(limits::KEY_BYTES_MAX),
            "profile.name" => Some(limits::PROFILE_NAME_BYTES_MAX),
            "profile.status" => Some(limits::PROFILE_STATUS_BYTES_MAX),
            "profile.avatar" => Some(limits::PROFILE_AVATAR_BYTES_MAX),
            "find.name" | "found.name" => Some(limits::NAME_BYTES_MAX),
            _ => None,
        };
        if let Some(bytes) = of_people {
            return write!(f, "{bytes} bytes");
        }
        match self.0.split_once('.').map_or("", |(_, field)| field) {
            "cursors" if of_groups => write!(f, "{} groups", limits::RESUME_MAX),
            "body" if self.0 == "reaction.body" => {
                write!(f, "{} bytes", limits::REACTION_BYTES_MAX)
            }
            "users" => write!(f, "{} users", limits::USERS_MAX),
            "who" | "roles" => write!(f, "{} members", limits::WHO_MAX),
            "value" | "name" | "info" => write!(f, "{} bytes", limits::GROUP_VALUE_BYTES_MAX),
            "token" => write!(f, "{} bytes", limits::TOKEN_BYTES_MAX),
            "agent" => write!(f, "{} bytes", limits::AGENT_BYTES_MAX),
            "detail" => write!(f, "{} bytes", limits::DETAIL_BYTES_MAX),
            "address" => write!(f, "{} bytes", limits::ADDRESS_BYTES_MAX),
            "cursors" | "heads" => write!(f, "{} logs", limits::LOGS_MAX),
            "body" => write!(f, "{} bytes in one frame", limits::PART_BYTES_MAX),
            _ => write!(f, "this field"),
        }
    }
}

fn allowed(field: &'static str) -> &'static str {
    match field.split_once('.').map_or("", |(_, field)| field) {
        "number" => "numbers start at 1",
        "total_bytes" => "it is more than the body bytes in this frame",
        "code" => "codes are at most 65535",
        "cursors" | "heads" => "logs stand once each, in increasing order",
        "users" => "users start at 1 and stand once each, in increasing order",
        "who" | "roles" => "members stand once each, in increasing order",
        "limit" => "a page has 1 to 256 entries",
        "action" => "actions are 1 to 11",
        "content" if !field.starts_with("group") => "not every content may stand in another",
        "target" => "targets are numbered from 1",
        "whose" => "it is 0 or 1, in a group 0",
        "seconds" => "it is at most a year, and of a message at least a second",
        "content" => "content 2 is for entries that the server makes",
        "is_here" | "is_online" | "is_typing" | "shows_history" | "reset" | "newest_first"
        | "has_more" => "it is 0 or 1",
        _ => "see the specification",
    }
}
