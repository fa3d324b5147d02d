//! Contents that refer to other messages, as far as their digests tell: which message is meant, and what may be
//! said of one that is refused or taken.

use fulmar_protocol::content::{Content, DISAPPEARING, EDIT, REACTION};

use super::Complaint;
use super::digest::Digest;

/// What an entry wants with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Edit,
    Delete,
    React,
}

/// An entry that refers to a message of its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) want: Want,
    /// In a conversation of two: the message is the recipient's.
    pub(crate) of_peer: bool,
    /// Ordinal or position of the message.
    pub(crate) place: u64,
}

/// A body that isn't what its content says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Senseless;

impl Digest {
    /// What it refers to, if it is an edit, a deletion or a reaction. People write targets that the beginning of
    /// a body has room for.
    pub(crate) fn reference(&self, in_group: bool) -> Result<Option<Reference>, Senseless> {
        let is_one = (EDIT..=REACTION).contains(&self.content) || self.content == DISAPPEARING;
        if !is_one {
            return Ok(None);
        }
        let parse = |content, body| Content::parse(content, body, in_group);
        let start = self.start();
        let content = parse(self.content, &start)
            .and_then(|content| content.inner(in_group))
            .map_err(|_| Senseless)?;
        let want = match content {
            Content::Edit { .. } => Want::Edit,
            Content::Delete { .. } => Want::Delete,
            Content::Reaction { .. } => Want::React,
            _ => return Ok(None),
        };
        let target = content.target().ok_or(Senseless)?;
        Ok(Some(Reference { want, of_peer: target.of_peer, place: target.place }))
    }
}

/// A change of a message was refused as too late: the message was this old at most, in milliseconds.
pub(crate) fn refused_as_old(
    most_ms: u64,
    limit_ms: u64,
    detail: impl Fn() -> String,
) -> Result<(), Complaint> {
    if most_ms >= limit_ms {
        return Ok(());
    }
    Err(Complaint("a message may be changed for as long as is said", detail()))
}

/// A change of a message was taken: the message was this old at least, in milliseconds.
pub(crate) fn taken_at_age(
    least_ms: u64,
    limit_ms: u64,
    detail: impl Fn() -> String,
) -> Result<(), Complaint> {
    if least_ms < limit_ms {
        return Ok(());
    }
    Err(Complaint("what is too old is changed no more", detail()))
}
