//! Lists of numbers inside frames, in one form for encoding and for what was decoded.

use crate::varint;

/// An increasing list of numbers inside a frame: either a slice to encode or checked bytes to iterate.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// Numbers to encode, in increasing order.
    Slice(&'a [u64]),
    /// The encoded numbers of a decoded frame, already checked, and how many there are.
    Encoded(&'a [u8], usize),
}

impl<'a> Numbers<'a> {
    /// None.
    pub const EMPTY: Numbers<'static> = Numbers::Slice(&[]);

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Numbers::Slice(numbers) => numbers.len(),
            Numbers::Encoded(_, count) => *count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + 'a {
        let (slice, mut bytes) = match *self {
            Numbers::Slice(numbers) => (numbers, &[][..]),
            Numbers::Encoded(bytes, _) => (&[][..], bytes),
        };
        let next = move || {
            let (value, taken) = varint::read(bytes).ok()?;
            bytes = &bytes[taken..];
            Some(value)
        };
        slice.iter().copied().chain(std::iter::from_fn(next))
    }
}

impl PartialEq for Numbers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Numbers<'_> {}

/// A list of number pairs inside a frame: either a slice to encode or checked bytes to iterate.
#[derive(Debug, Clone, Copy)]
pub enum Pairs<'a> {
    /// Pairs to encode.
    Slice(&'a [(u64, u64)]),
    /// The encoded pairs of a decoded frame, already checked, and how many there are.
    Encoded(&'a [u8], usize),
}

impl<'a> Pairs<'a> {
    /// How many pairs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Pairs::Slice(pairs) => pairs.len(),
            Pairs::Encoded(_, count) => *count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pairs in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + 'a {
        let (slice, mut bytes) = match *self {
            Pairs::Slice(pairs) => (pairs, &[][..]),
            Pairs::Encoded(bytes, _) => (&[][..], bytes),
        };
        let mut next = move || {
            let (value, taken) = varint::read(bytes).ok()?;
            bytes = &bytes[taken..];
            Some(value)
        };
        slice.iter().copied().chain(std::iter::from_fn(move || Some((next()?, next()?))))
    }
}

impl PartialEq for Pairs<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Pairs<'_> {}
