//! A script in bytes: what a fuzzer's input means where it stands for a course of events.
//!
//! Every input is a script, so that no mutation is wasted: a number that is too large wraps around,
//! and what is missing at the end is zero. Numbers of one byte are the usual case, so that one
//! changed byte changes one thing.
//!
//! ```text
//! number   0..=239            itself
//!          240                two bytes more, little-endian
//!          241                eight bytes more, little-endian
//!          242..=248          2^63 - 4 and the numbers after it
//!          249..=255          2^64 - 7 and the numbers after it
//! bytes    length (a number), then as many of them as there are
//! ```

const WORD: u8 = 240;
const LONG: u8 = 241;
const MIDDLE: u8 = 242;
const END: u8 = 249;
const MIDDLE_FIRST: u64 = (1 << 63) - 4;
const END_FIRST: u64 = u64::MAX - 6;

/// Reads a script.
#[derive(Debug, Clone)]
pub(crate) struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    /// The script that these bytes stand for.
    #[must_use]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Script { rest: bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub(crate) const fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub(crate) const fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                byte
            }
            None => 0,
        }
    }

    /// A byte that says yes or no.
    pub(crate) const fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A byte as a number below `end`, which is from 1 to 256.
    pub(crate) const fn below(&mut self, end: usize) -> usize {
        self.byte() as usize % end
    }

    /// One of the choices.
    pub(crate) fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number of up to 64 bits.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            WORD => u64::from(u16::from_le_bytes([self.byte(), self.byte()])),
            LONG => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            byte @ MIDDLE..END => MIDDLE_FIRST + u64::from(byte - MIDDLE),
            byte @ END.. => END_FIRST + u64::from(byte - END),
            byte => u64::from(byte),
        }
    }

    /// Some bytes.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let wanted = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let (bytes, rest) = self.rest.split_at(wanted.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// Everything that is left.
    pub(crate) const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }
}

/// Writes a script, for the seeds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty script.
    #[must_use]
    pub(crate) fn new() -> Self {
        Writer::default()
    }

    /// Adds a byte, a flag or a choice.
    #[must_use]
    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    /// Adds a number.
    #[must_use]
    pub(crate) fn number(mut self, number: u64) -> Self {
        match number {
            0..240 => self.bytes.push(number as u8),
            240..=0xffff => {
                self.bytes.push(WORD);
                self.bytes.extend((number as u16).to_le_bytes());
            }
            _ => {
                self.bytes.push(LONG);
                self.bytes.extend(number.to_le_bytes());
            }
        }
        self
    }

    /// Adds bytes with their length.
    #[must_use]
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Adds bytes as they are.
    #[must_use]
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The script.
    #[must_use]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [0, 1, 239, 240, 0xffff, 0x1_0000, 1 << 63, u64::MAX];
        let mut writer = Writer::new();
        for number in numbers {
            writer = writer.number(number).bytes(b"piece");
        }
        let bytes = writer.byte(7).into_bytes();
        let mut script = Script::new(&bytes);
        for number in numbers {
            assert_eq!(script.number(), number);
            assert_eq!(script.bytes(), b"piece");
        }
        assert_eq!((script.below(5), script.is_over()), (2, true));
        assert_eq!((script.byte(), script.number(), script.bytes()), (0, 0, &[][..]));
    }

    #[test]
    fn the_last_numbers_take_one_byte() {
        let mut script = Script::new(&[242, 245, 246, 248, 249, 255]);
        let read = [(); 6].map(|()| script.number());
        let middle = 1 << 63;
        assert_eq!(read, [middle - 4, middle - 1, middle, middle + 2, u64::MAX - 6, u64::MAX]);
    }
}
