//! Who and what the checker speaks about.

use std::fmt;

/// A device of a user; `3.1` in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Device {
    pub(super) user: u64,
    pub(super) device: u64,
}

/// What one user sends to another; `3→4` in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Direction {
    pub(super) author: u64,
    pub(super) reader: u64,
}

/// A send, as its author numbered it; `3.1→4 #17` in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MessageId {
    pub(super) author: Device,
    pub(super) peer: u64,
    pub(super) number: u64,
}

impl MessageId {
    /// The direction that it belongs to.
    pub(super) const fn direction(self) -> Direction {
        Direction { author: self.author.user, reader: self.peer }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.user, self.device)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{}", self.author, self.reader)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{} #{}", self.author, self.peer, self.number)
    }
}
