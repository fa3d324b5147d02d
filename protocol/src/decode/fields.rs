//! Reads the fields of a frame off its bytes, in their order. Every length and count is judged against
//! its limit before the bytes behind it are looked for.

use crate::code::Code;
use crate::decode_error::DecodeError;
use crate::kind::FLAG_PARTS;
use crate::lists::{Numbers, Pairs};
use crate::{limits, varint};

/// The unread rest of a frame's fields.
pub(crate) struct Fields<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    pub(crate) fn number(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        match varint::read(self.rest) {
            Ok((value, taken)) => {
                self.rest = &self.rest[taken..];
                Ok(value)
            }
            Err(varint::VarintError::Truncated) => Err(DecodeError::Truncated(field)),
            Err(varint::VarintError::Invalid) => Err(DecodeError::Number(field)),
        }
    }

    /// A number from 1.
    #[inline]
    pub(crate) fn positive(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        match self.number(field)? {
            0 => Err(DecodeError::Value(field)),
            number => Ok(number),
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(byte)
    }

    /// All bytes that are left: a body, or a piece of one. The bound keeps room for the header of
    /// another frame around the same piece, so what one peer sent can always be delivered whole.
    #[inline]
    pub(super) fn piece(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        if self.rest.len() > limits::PART_BYTES_MAX {
            return Err(DecodeError::TooLong(field));
        }
        Ok(std::mem::take(&mut self.rest))
    }

    /// The length of the whole body, where the flag says that parts follow.
    #[inline]
    pub(super) fn total_bytes(
        &mut self,
        flags: u8,
        field: &'static str,
    ) -> Result<Option<u64>, DecodeError> {
        if flags & FLAG_PARTS == 0 {
            return Ok(None);
        }
        self.number(field).map(Some)
    }

    pub(super) fn code(&mut self, field: &'static str) -> Result<Code, DecodeError> {
        let number = u16::try_from(self.number(field)?).map_err(|_| DecodeError::Value(field))?;
        Ok(Code::from_number(number))
    }

    pub(super) fn bytes(
        &mut self,
        field: &'static str,
        max: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let len = self.number(field)?;
        if len > max as u64 {
            return Err(DecodeError::TooLong(field));
        }
        let (bytes, rest) =
            self.rest.split_at_checked(len as usize).ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Text for logs and for people. Without control characters, so that a peer can neither forge a
    /// line of a log nor steer a terminal.
    pub(super) fn text(&mut self, field: &'static str, max: usize) -> Result<&'a str, DecodeError> {
        let text =
            std::str::from_utf8(self.bytes(field, max)?).map_err(|_| DecodeError::Text(field))?;
        if text.chars().any(char::is_control) {
            return Err(DecodeError::Text(field));
        }
        Ok(text)
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// Yes or no, in one form each.
    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.number(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value(field)),
        }
    }

    /// Numbers from 1 in increasing order, so that a set has one encoding.
    pub(crate) fn numbers(
        &mut self,
        field: &'static str,
        max: usize,
    ) -> Result<Numbers<'a>, DecodeError> {
        let count = self.number(field)?;
        if count > max as u64 {
            return Err(DecodeError::TooLong(field));
        }
        let start = self.rest;
        let mut before = 0;
        for _ in 0..count {
            let number = self.number(field)?;
            if number <= before {
                return Err(DecodeError::Value(field));
            }
            before = number;
        }
        let encoded = &start[..start.len() - self.rest.len()];
        Ok(Numbers::Encoded(encoded, count as usize))
    }

    /// Pairs, each first number once and in increasing order, so that a set of cursors has one encoding
    /// and no log (group, member) has two answers.
    pub(super) fn pairs(
        &mut self,
        field: &'static str,
        max: usize,
    ) -> Result<Pairs<'a>, DecodeError> {
        let count = self.number(field)?;
        if count > max as u64 {
            return Err(DecodeError::TooLong(field));
        }
        let start = self.rest;
        let mut before = None;
        for _ in 0..count {
            let first = self.number(field)?;
            self.number(field)?;
            if before.is_some_and(|before| before >= first) {
                return Err(DecodeError::Value(field));
            }
            before = Some(first);
        }
        let encoded = &start[..start.len() - self.rest.len()];
        Ok(Pairs::Encoded(encoded, count as usize))
    }
}

/// A body that is complete in its first frame is not cut, so each body has one form per cut.
#[inline]
pub(super) fn judge_total(
    total_bytes: Option<u64>,
    body: &[u8],
    field: &'static str,
) -> Result<(), DecodeError> {
    match total_bytes {
        Some(total_bytes) if total_bytes <= body.len() as u64 => Err(DecodeError::Value(field)),
        _ => Ok(()),
    }
}
