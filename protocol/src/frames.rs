//! Cutting a byte stream into frames.

use std::fmt;

use crate::code::Code;
use crate::varint::{self, VarintError};

/// Why a stream can't be cut any further. The connection is lost: there is no way to find the next
/// frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The length is not a shortest-form varint.
    Length,
    /// A length of zero: a frame has at least a kind byte.
    Empty,
    /// A length over what is allowed now.
    TooLarge {
        /// The length that was announced, in bytes.
        bytes: u64,
        /// What is allowed, in bytes.
        bytes_max: usize,
    },
}

impl FrameError {
    /// The code that a peer is told.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            FrameError::TooLarge { .. } => Code::FrameTooLarge,
            FrameError::Length | FrameError::Empty => Code::MalformedFrame,
        }
    }

    /// A stable name in snake case, for logs, metrics and vectors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FrameError::Length => "length",
            FrameError::Empty => "empty",
            FrameError::TooLarge { .. } => "too_large",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Length => write!(f, "frame length is not a shortest-form varint"),
            FrameError::Empty => write!(f, "frame of length 0; a frame has at least a kind byte"),
            FrameError::TooLarge { bytes, bytes_max } => {
                write!(f, "frame of {bytes} bytes; at most {bytes_max} are allowed here")
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// A frame without its length prefix, and the bytes that follow it.
pub type Split<'a> = (&'a [u8], &'a [u8]);

/// Cuts the first frame off `bytes`: the frame without its length prefix, and what follows it.
///
/// `None` means that the frame is not complete yet. The length is judged against `bytes_max` as
/// soon as its varint is complete, before the frame itself has arrived.
#[inline]
pub fn split_frame(bytes: &[u8], bytes_max: usize) -> Result<Option<Split<'_>>, FrameError> {
    let (len, prefix) = match varint::read(bytes) {
        Ok(read) => read,
        Err(VarintError::Truncated) => return Ok(None),
        Err(VarintError::Invalid) => return Err(FrameError::Length),
    };
    if len == 0 {
        return Err(FrameError::Empty);
    }
    if len > bytes_max as u64 {
        return Err(FrameError::TooLarge { bytes: len, bytes_max });
    }
    Ok(bytes[prefix..].split_at_checked(len as usize))
}

/// The complete frames at the front of a buffer, one after the other, each without its length
/// prefix. Ends at the first incomplete frame, and after the first error; [`Frames::rest`] is what
/// is left.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    rest: &'a [u8],
    bytes_max: usize,
    /// Set by the first error. A caller that skips errors would otherwise loop for ever on the same
    /// bytes.
    failed: bool,
}

impl<'a> Frames<'a> {
    /// Frames of at most `bytes_max` bytes after their length prefix.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8], bytes_max: usize) -> Self {
        Frames { rest: bytes, bytes_max, failed: false }
    }

    /// The bytes that no returned frame covers.
    #[inline]
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Changes the limit for the frames to come, as the login does.
    pub const fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match split_frame(self.rest, self.bytes_max) {
            Ok(Some((frame, rest))) => {
                self.rest = rest;
                Some(Ok(frame))
            }
            Ok(None) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}
