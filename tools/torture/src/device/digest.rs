//! FNV-1a, 64 bits, by Fowler, Noll and Vo (RFC 9923). It tells accidents apart, not attacks: what
//! is tortured here is our own server.

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The digest of some bytes, which may come in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    /// The digest of nothing.
    pub(super) const fn new() -> Digest {
        Digest(OFFSET_BASIS)
    }

    /// With these bytes behind what it had.
    #[must_use]
    pub(super) fn with(self, bytes: &[u8]) -> Digest {
        Digest(
            bytes.iter().fold(self.0, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)),
        )
    }

    pub(super) const fn value(self) -> u64 {
        self.0
    }
}

/// The digest of a message: what its body is said to be, and the body.
pub(crate) fn digest(content: u8, body: &[u8]) -> u64 {
    Digest::new().with(&[content]).with(body).value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let of = |bytes: &[u8]| Digest::new().with(bytes).value();
        assert_eq!(of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(digest(b'f', b"oobar"), of(b"foobar"));
    }
}
