//! What a message is: plain, or with a head that refers to another message or says something about the one
//! behind it. The server reads that head and judges it.

use std::fmt;

use fulmar_protocol::Numbers;
use fulmar_protocol::content::{Content, DELETE, EDIT, REACTION, TIMER, Target};
use fulmar_protocol::limits::{BODY_BYTES_MAX, REACTION_BYTES_MAX, USERS_MAX};

use super::body::{self, BodyId};

/// Bytes that a head takes at most: a list of users, and a few numbers.
const HEAD_BYTES_MAX: usize = USERS_MAX * 10;

/// What a send says, besides whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wording {
    Plain,
    Edit {
        target: u64,
    },
    Delete {
        target: u64,
    },
    Reaction {
        target: Target,
    },
    Mention {
        users: Vec<u64>,
    },
    Timer {
        seconds: u64,
    },
    Disappearing {
        seconds: u64,
    },
    /// No form of the content that it says to be.
    Malformed,
}

/// Whose a body is, by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Says(BodyId),
    /// Its content has no room to say so.
    Silent,
    Damaged,
}

impl Wording {
    /// The content and the body of a send of about so many bytes.
    pub(super) fn write(&self, id: BodyId, bytes: usize) -> (u8, Vec<u8>) {
        let most = match self {
            Wording::Plain => BODY_BYTES_MAX,
            Wording::Reaction { .. } => REACTION_BYTES_MAX,
            _ => BODY_BYTES_MAX - HEAD_BYTES_MAX,
        };
        let inner = body::write(id, bytes.min(most));
        let (plain, inner) = (body::content(id.number), &inner[..]);
        let content = match *self {
            Wording::Plain => Content::Plain { content: plain, body: inner },
            Wording::Edit { target } => Content::Edit { target, body: inner },
            Wording::Delete { target } => Content::Delete { target },
            Wording::Reaction { target } => Content::Reaction { target, body: inner },
            Wording::Mention { ref users } => {
                Content::Mention { users: Numbers::Slice(users), content: plain, body: inner }
            }
            Wording::Timer { seconds } => Content::Timer { seconds },
            Wording::Disappearing { seconds } => {
                Content::Disappearing { seconds, content: plain, body: inner }
            }
            Wording::Malformed => return malformed(id.number),
        };
        let mut body = Vec::new();
        content.encode(&mut body);
        (content.number(), body)
    }
}

/// A body that ends early, names nobody's message, or takes no end.
fn malformed(number: u64) -> (u8, Vec<u8>) {
    match number % 4 {
        0 => (EDIT, Vec::new()),
        1 => (DELETE, vec![1, 0]),
        2 => (REACTION, vec![7, 1]),
        _ => (TIMER, vec![0xff; 12]),
    }
}

/// Whose a body is.
pub(super) fn whose(content: u8, body: &[u8], in_group: bool) -> Whose {
    let inner = Content::parse(content, body, in_group);
    let inner = match inner.and_then(|content| content.inner(in_group)) {
        Ok(Content::Delete { .. } | Content::Timer { .. }) => return Whose::Silent,
        Ok(
            Content::Plain { body, .. }
            | Content::Edit { body, .. }
            | Content::Reaction { body, .. }
            | Content::Mention { body, .. }
            | Content::Disappearing { body, .. },
        ) => body,
        Err(_) => return Whose::Damaged,
    };
    body::read(inner).map_or(Whose::Damaged, Whose::Says)
}

impl fmt::Display for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Wording::Plain => f.write_str("plain"),
            Wording::Edit { target } => write!(f, "edit:{target}"),
            Wording::Delete { target } => write!(f, "delete:{target}"),
            Wording::Reaction { target: Target { of_peer: false, place } } => {
                write!(f, "react:{place}")
            }
            Wording::Reaction { target: Target { of_peer: true, place } } => {
                write!(f, "react_to_peer:{place}")
            }
            Wording::Mention { .. } => f.write_str("mention"),
            Wording::Timer { seconds } => write!(f, "timer:{seconds}"),
            Wording::Disappearing { seconds } => write!(f, "disappear:{seconds}"),
            Wording::Malformed => f.write_str("malformed"),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Whose::Says(BodyId { user, device, peer, number }) => {
                write!(f, "{user}.{device}.{peer}.{number}")
            }
            Whose::Silent => f.write_str("none"),
            Whose::Damaged => f.write_str("damaged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: BodyId = BodyId { user: 1, device: 2, peer: 3, number: 1_700_000_000_000 };

    #[test]
    fn what_is_written_says_whose_it_is() {
        let of_peer = true;
        for wording in [
            Wording::Plain,
            Wording::Edit { target: 7 },
            Wording::Reaction { target: Target { of_peer, place: 7 } },
            Wording::Mention { users: vec![3, 9] },
            Wording::Disappearing { seconds: 5 },
        ] {
            for bytes in [50, BODY_BYTES_MAX] {
                let (content, body) = wording.write(ID, bytes);
                assert!(body.len() <= BODY_BYTES_MAX);
                assert_eq!(whose(content, &body, false), Whose::Says(ID), "{wording}");
            }
        }
        for wording in [Wording::Delete { target: 7 }, Wording::Timer { seconds: 60 }] {
            let (content, body) = wording.write(ID, 50);
            assert_eq!(whose(content, &body, true), Whose::Silent, "{wording}");
        }
    }

    #[test]
    fn what_is_malformed_does_not_parse() {
        for number in 0..4 {
            let (content, body) = Wording::Malformed.write(BodyId { number, ..ID }, 50);
            for in_group in [false, true] {
                assert!(Content::parse(content, &body, in_group).is_err(), "{number}");
            }
        }
    }
}
