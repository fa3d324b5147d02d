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
}

impl fmt::Display for AssemblyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AssemblyError::TooMany { total_bytes, bytes } = self;
        write!(f, "body of {total_bytes} bytes was announced, {bytes} arrived")
    }
}

impl std::error::Error for AssemblyError {}

/// A large body that is arriving. Memory grows with the bytes that came, not with those announced.
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
        self.body.extend_from_slice(piece);
        Ok(bytes == self.total_bytes)
    }

    /// The body.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}
