//! Unsigned variable-length integers: LEB128, seven bits a byte, least significant group first,
//! the high bit set on every byte but the last. The same form as Protocol Buffers' `uint64`, with
//! one rule more: only the shortest form is valid, so each number has exactly one encoding.

/// Longest encoding of a 64-bit number.
pub const BYTES_MAX: usize = 10;

/// What a varint can be besides a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VarintError {
    /// The bytes end before the number does.
    Truncated,
    /// More than 64 bits, or not the shortest form.
    Invalid,
}

/// Bytes that `value` takes when encoded: 1 to 10.
#[inline]
#[must_use]
pub const fn len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends `value` to `out`.
#[inline]
pub fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number from the front of `bytes`: its value and how many bytes it took.
#[inline]
pub fn read(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    match bytes.first() {
        Some(&byte) if byte < 0x80 => Ok((u64::from(byte), 1)),
        Some(_) => read_long(bytes),
        None => Err(VarintError::Truncated),
    }
}

fn read_long(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        let group = u64::from(byte & 0x7f);
        if index == BYTES_MAX - 1 && byte > 1 {
            return Err(VarintError::Invalid);
        }
        value |= group << (7 * index);
        if byte < 0x80 {
            // A last group of zero could have been left out.
            let shortest = byte != 0 || index == 0;
            return if shortest { Ok((value, index + 1)) } else { Err(VarintError::Invalid) };
        }
    }
    Err(VarintError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write(value, &mut out);
        out
    }

    #[test]
    fn boundaries_round_trip_in_the_stated_length() {
        let mut values = vec![0, 1, u64::MAX];
        for shift in 1..64 {
            values.extend([(1u64 << shift) - 1, 1 << shift, (1 << shift) + 1]);
        }
        for value in values {
            let bytes = encoded(value);
            assert_eq!(bytes.len(), len(value), "{value}");
            assert_eq!(read(&bytes), Ok((value, bytes.len())), "{value}");
            for cut in 0..bytes.len() {
                assert_eq!(
                    read(&bytes[..cut]),
                    Err(VarintError::Truncated),
                    "{value} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn longer_forms_and_more_than_64_bits_are_invalid() {
        assert_eq!(read(&[0x80, 0x00]), Err(VarintError::Invalid));
        assert_eq!(read(&[0xff, 0x80, 0x00]), Err(VarintError::Invalid));
        let mut over = vec![0xff; 9];
        over.push(0x02);
        assert_eq!(read(&over), Err(VarintError::Invalid));
        over[9] = 0xff;
        assert_eq!(read(&over), Err(VarintError::Invalid));
    }
}
