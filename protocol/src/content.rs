//! What the body of a message is, as far as both sides agree on it: contents that refer to other messages or
//! say something about the one that they carry. Each has a head that the server reads; the rest is the
//! clients' matter.
//!
//! ```text
//! 3 edit          target, new body
//! 4 delete        target
//! 5 reaction      whose (1 byte), target, up to 64 bytes
//! 6 mention       users, inner content (1 byte), body
//! 7 disappearing  seconds, inner content (1 byte), body
//! 8 timer         seconds
//! ```
//!
//! Numbers are varints, and users a list as in frames. Reading borrows and never allocates.

use crate::decode::Fields;
use crate::decode_error::DecodeError;
use crate::encode::{numbers_len, put_numbers};
use crate::group::CONTENT_CHANGE;
use crate::limits::{DISAPPEAR_SECONDS_MAX, REACTION_BYTES_MAX, USERS_MAX};
use crate::lists::Numbers;
use crate::varint;

/// Bytes of which nothing is known.
pub const OPAQUE: u8 = 0;
/// Text in UTF-8, which nobody checks.
pub const TEXT: u8 = 1;
/// A message of the same author has another body from now on.
pub const EDIT: u8 = 3;
/// A message is to be seen no more.
pub const DELETE: u8 = 4;
/// What somebody makes of a message; empty takes it back.
pub const REACTION: u8 = 5;
/// A message that names users whom it concerns.
pub const MENTION: u8 = 6;
/// A message that is over some time after it was taken.
pub const DISAPPEARING: u8 = 7;
/// From here on messages of this conversation should disappear after some time, or not.
pub const TIMER: u8 = 8;

/// Which message of a conversation is meant: of two users its ordinal counts in its author's direction, of a
/// group its position in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// In a conversation of two whether the author is the recipient of what refers to it; `false` in a group.
    pub of_peer: bool,
    /// The ordinal or position, from 1.
    pub place: u64,
}

/// A content and its body, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// One that has no head here.
    Plain {
        /// Which content.
        content: u8,
        /// The whole body.
        body: &'a [u8],
    },
    /// See [`EDIT`].
    Edit {
        /// Ordinal, in the author's own direction, or position of the message.
        target: u64,
        /// Its new body.
        body: &'a [u8],
    },
    /// See [`DELETE`].
    Delete {
        /// As of an edit.
        target: u64,
    },
    /// See [`REACTION`].
    Reaction {
        /// The message.
        target: Target,
        /// At most [`REACTION_BYTES_MAX`].
        body: &'a [u8],
    },
    /// See [`MENTION`].
    Mention {
        /// Whom it concerns, at most [`USERS_MAX`].
        users: Numbers<'a>,
        /// What `body` is; none that has a head.
        content: u8,
        /// The message itself.
        body: &'a [u8],
    },
    /// See [`DISAPPEARING`].
    Disappearing {
        /// After so many seconds, 1 to [`DISAPPEAR_SECONDS_MAX`].
        seconds: u64,
        /// What `body` is; neither a change, a timer, nor disappearing itself.
        content: u8,
        /// The message itself.
        body: &'a [u8],
    },
    /// See [`TIMER`].
    Timer {
        /// After so many seconds; 0 for never.
        seconds: u64,
    },
}

impl<'a> Content<'a> {
    /// Takes a body apart. In a group a reaction names no side. An error names the field as
    /// `content.field` (`edit.target`).
    #[inline]
    pub fn parse(content: u8, body: &'a [u8], in_group: bool) -> Result<Content<'a>, DecodeError> {
        if !(EDIT..=TIMER).contains(&content) {
            return Ok(Content::Plain { content, body });
        }
        parse_head(content, body, in_group)
    }

    /// What is in a disappearing message; of any other content it is that itself.
    pub fn inner(&self, in_group: bool) -> Result<Content<'a>, DecodeError> {
        match *self {
            Content::Disappearing { content, body, .. } => Content::parse(content, body, in_group),
            other => Ok(other),
        }
    }

    /// The content's number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Content::Plain { content, .. } => *content,
            Content::Edit { .. } => EDIT,
            Content::Delete { .. } => DELETE,
            Content::Reaction { .. } => REACTION,
            Content::Mention { .. } => MENTION,
            Content::Disappearing { .. } => DISAPPEARING,
            Content::Timer { .. } => TIMER,
        }
    }

    /// The message that it refers to, if it is one that does.
    #[must_use]
    pub const fn target(&self) -> Option<Target> {
        match *self {
            Content::Edit { target, .. } | Content::Delete { target } => {
                Some(Target { of_peer: false, place: target })
            }
            Content::Reaction { target, .. } => Some(target),
            _ => None,
        }
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Content::Plain { body, .. } => out.extend_from_slice(body),
            Content::Edit { target, body } => {
                varint::write(target, out);
                out.extend_from_slice(body);
            }
            Content::Delete { target } => varint::write(target, out),
            Content::Reaction { target, body } => {
                out.push(u8::from(target.of_peer));
                varint::write(target.place, out);
                out.extend_from_slice(body);
            }
            Content::Mention { ref users, content, body } => {
                out.reserve(numbers_len(users) + 1 + body.len());
                put_numbers(users, out);
                out.push(content);
                out.extend_from_slice(body);
            }
            Content::Disappearing { seconds, content, body } => {
                varint::write(seconds, out);
                out.push(content);
                out.extend_from_slice(body);
            }
            Content::Timer { seconds } => varint::write(seconds, out),
        }
    }
}

fn parse_head(content: u8, body: &[u8], in_group: bool) -> Result<Content<'_>, DecodeError> {
    let mut fields = Fields { rest: body };
    Ok(match content {
        EDIT => Content::Edit { target: fields.positive("edit.target")?, body: fields.rest },
        DELETE => {
            let target = fields.positive("delete.target")?;
            fields.end()?;
            Content::Delete { target }
        }
        REACTION => {
            let whose = fields.byte("reaction.whose")?;
            if whose > u8::from(!in_group) {
                return Err(DecodeError::Value("reaction.whose"));
            }
            let place = fields.positive("reaction.target")?;
            if fields.rest.len() > REACTION_BYTES_MAX {
                return Err(DecodeError::TooLong("reaction.body"));
            }
            Content::Reaction { target: Target { of_peer: whose == 1, place }, body: fields.rest }
        }
        MENTION => {
            let users = fields.numbers("mention.users", USERS_MAX)?;
            let content = fields.byte("mention.content")?;
            if (CONTENT_CHANGE..=TIMER).contains(&content) {
                return Err(DecodeError::Value("mention.content"));
            }
            Content::Mention { users, content, body: fields.rest }
        }
        DISAPPEARING => {
            let seconds = fields.positive("disappearing.seconds")?;
            if seconds > DISAPPEAR_SECONDS_MAX {
                return Err(DecodeError::Value("disappearing.seconds"));
            }
            let content = fields.byte("disappearing.content")?;
            if matches!(content, CONTENT_CHANGE | DISAPPEARING | TIMER) {
                return Err(DecodeError::Value("disappearing.content"));
            }
            let body = fields.rest;
            // What is in it has to be as it would be by itself.
            Content::parse(content, body, in_group)?;
            Content::Disappearing { seconds, content, body }
        }
        _ => {
            let seconds = fields.number("timer.seconds")?;
            if seconds > DISAPPEAR_SECONDS_MAX {
                return Err(DecodeError::Value("timer.seconds"));
            }
            fields.end()?;
            Content::Timer { seconds }
        }
    })
}
