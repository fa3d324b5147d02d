//! Something that the server sent and that can't be taken.

use std::fmt;

use fulmar_protocol::{AssemblyError, Code, DecodeError, FrameError};

use crate::event::Reason;
use crate::limits::NUMBER_MAX;

/// Ends the connection: what the server is told, and what the program is told.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) code: Code,
    pub(super) reason: Reason,
}

impl Violation {
    pub(super) fn new(code: Code, detail: impl fmt::Display) -> Self {
        Violation { code, reason: Reason::Violation(detail.to_string()) }
    }

    pub(super) const fn gap(expected: u64, position: u64) -> Self {
        Violation { code: Code::None, reason: Reason::Gap { expected, position } }
    }
}

impl From<FrameError> for Violation {
    fn from(error: FrameError) -> Self {
        Violation::new(error.code(), error)
    }
}

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Self {
        Violation::new(error.code(), error)
    }
}

impl From<AssemblyError> for Violation {
    fn from(error: AssemblyError) -> Self {
        Violation::new(error.code(), error)
    }
}

/// Checks a number that begins at 1 and is kept in the store.
pub(super) fn counted(field: &str, value: u64) -> Result<u64, Violation> {
    if (1..=NUMBER_MAX).contains(&value) {
        Ok(value)
    } else {
        let detail = format!("{field} is {value}; allowed are 1 to {NUMBER_MAX}");
        Err(Violation::new(Code::MalformedFrame, detail))
    }
}

/// Checks a cursor, which may also be 0.
pub(super) fn cursor(field: &str, value: u64) -> Result<u64, Violation> {
    if value == 0 { Ok(0) } else { counted(field, value) }
}

/// Checks the other user of a conversation.
pub(super) fn user(field: &str, value: u64) -> Result<u64, Violation> {
    if value == 0 {
        return Err(Violation::new(
            Code::MalformedFrame,
            format!("{field} is 0, which is no user"),
        ));
    }
    Ok(value)
}
