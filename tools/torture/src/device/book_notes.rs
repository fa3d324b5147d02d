//! What a device writes down about the book of its user: HISTORY.md says what each line means.

use std::fmt;

use fulmar_protocol::people::item;

use super::digest::digest;

/// What is written down.
#[derive(Debug, Clone, Copy)]
pub(super) enum BookNote<'a> {
    Resume { version: u64 },
    Page { version: u64, head: u64, reset: bool },
    Item { version: u64, kind: u8, key: &'a [u8], value: &'a [u8] },
    Put { kind: u8, key: &'a [u8], value: &'a [u8] },
    PutAgain { kind: u8, key: &'a [u8] },
    Rejected { kind: u8, key: &'a [u8], code: u16 },
    Forget,
}

impl fmt::Display for BookNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BookNote::Resume { version } => write!(f, "bresume version={version}"),
            BookNote::Page { version, head, reset } => {
                write!(f, "bpage version={version} head={head} reset={}", u8::from(reset))
            }
            BookNote::Item { version, kind, key, value } => {
                let place = Place(kind, key);
                write!(f, "bitem version={version} {place} value={}", Value(kind, value))
            }
            BookNote::Put { kind, key, value } => {
                write!(f, "bput {} value={}", Place(kind, key), Value(kind, value))
            }
            BookNote::PutAgain { kind, key } => write!(f, "bputagain {}", Place(kind, key)),
            BookNote::Rejected { kind, key, code } => {
                write!(f, "brejected {} code={code}", Place(kind, key))
            }
            BookNote::Forget => f.write_str("bforget"),
        }
    }
}

struct Place<'a>(u8, &'a [u8]);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item={}.", self.0)?;
        self.1.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The value of an item of a kind.
pub(super) struct Value<'a>(pub(super) u8, pub(super) &'a [u8]);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value(_, []) => f.write_str("none"),
            Value(item::PRIVACY, &[audience]) => write!(f, "{audience:016x}"),
            Value(kind, value) => write!(f, "{:016x}", digest(kind, value)),
        }
    }
}
