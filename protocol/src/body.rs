//! Bodies that are larger than a frame: cutting them into parts and putting them together.
//!
//! In each direction of a connection at most one large body is in progress; other frames may stand
//! between its parts, but no other send (deliver) that is cut.

use std::fmt;

use crate::code::Code;
use crate::limits;

/// The pieces of a body, in order: the first goes into the send or deliver frame, the others into
/// part frames. A body of at most [`limits::PART_BYTES_MAX`] is one piece.
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    rest: &'a [u8],
    first: bool,
}

impl<'a> Chunks<'a> {
    /// Cuts `body`.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Chunks { rest: body, first: true }
    }

    /// What the first frame states as the total length: `None` for a body of one piece.
    #[must_use]
    pub const fn total_bytes(body: &[u8]) -> Option<u64> {
        if body.len() > limits::PART_BYTES_MAX { Some(body.len() as u64) } else { None }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() && !self.first {
            return None;
        }
        self.first = false;
        let (piece, rest) = self.rest.split_at(self.rest.len().min(limits::PART_BYTES_MAX));
        self.rest = rest;
        Some(piece)
    }
}

/// Why a large body can't be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssemblyError {
    /// More bytes came than were announced.
    TooMany {
        /// Announced, in bytes.
        total_bytes: usize,
        /// Arrived, in bytes.
        bytes: usize,
    },
}

impl AssemblyError {
    /// The code that a peer is told.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::UnexpectedPart
    }

    /// A stable name in snake case, for logs, metrics and vectors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AssemblyError::TooMany { .. } => "too_many",
        }
    }
}

impl fmt::Display for AssemblyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AssemblyError::TooMany { total_bytes, bytes } = self;
        write!(f, "body of {total_bytes} bytes was announced, {bytes} arrived")
    }
}

impl std::error::Error for AssemblyError {}

/// A large body that is arriving. Memory grows with the bytes that came, at most to twice as many
/// and never beyond the length announced.
#[derive(Debug)]
pub struct Assembly {
    body: Vec<u8>,
    /// Invariant: `body.len() < total_bytes` until the body is complete.
    total_bytes: usize,
}

impl Assembly {
    /// Starts with the first piece. The caller has judged `total_bytes` against its limit.
    #[must_use]
    pub fn new(total_bytes: usize, first: &[u8]) -> Self {
        Assembly { body: first.to_vec(), total_bytes }
    }

    /// Bytes held so far.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.body.len()
    }

    /// Length of the whole body as announced, in bytes.
    #[must_use]
    pub const fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Adds a piece; `true` when the body is complete.
    pub fn push(&mut self, piece: &[u8]) -> Result<bool, AssemblyError> {
        let bytes = self.body.len() + piece.len();
        if bytes > self.total_bytes {
            return Err(AssemblyError::TooMany { total_bytes: self.total_bytes, bytes });
        }
        self.reserve(bytes);
        self.body.extend_from_slice(piece);
        Ok(bytes == self.total_bytes)
    }

    /// Makes room for `bytes` in all. Doubles, so that many small pieces cost linear time, but not
    /// past the announced length, which is all that can ever come.
    fn reserve(&mut self, bytes: usize) {
        if bytes > self.body.capacity() {
            let capacity = self.body.capacity().saturating_mul(2).clamp(bytes, self.total_bytes);
            self.body.reserve_exact(capacity - self.body.len());
        }
    }

    /// The body.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_what_came_and_stops_at_what_was_announced() {
        let total_bytes = 400_000;
        let mut assembly = Assembly::new(total_bytes, &[]);
        for held in 1..=total_bytes {
            let complete = assembly.push(&[7]).expect("within the length");
            assert_eq!(complete, held == total_bytes);
            let capacity = assembly.body.capacity();
            assert!(capacity <= (2 * held).min(total_bytes), "{capacity} for {held} bytes");
        }
        let error = assembly.push(&[7]).expect_err("one byte more than announced");
        assert_eq!(error, AssemblyError::TooMany { total_bytes, bytes: total_bytes + 1 });
        assert_eq!(assembly.into_body().len(), total_bytes);
    }
}
