//! Bodies that say whose they are. HISTORY.md has the layout.

use super::digest::Digest;

/// Bytes before the filling: user, device, peer, number, checksum.
pub(super) const BYTES_MIN: usize = 40;
/// The checksum is over everything before and behind it.
const CHECKSUM_AT: usize = 32;

/// Which send a body is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyId {
    pub(super) user: u64,
    pub(super) device: u64,
    pub(super) peer: u64,
    pub(super) number: u64,
}

/// What the body of a send is said to be, on the wire: one of the kinds that applications may use.
pub(super) const fn content(number: u64) -> u8 {
    128 | (number % 128) as u8
}

/// A body of `bytes` bytes, at least [`BYTES_MIN`].
pub(super) fn write(id: BodyId, bytes: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes.max(BYTES_MIN));
    for field in [id.user, id.device, id.peer, id.number, 0] {
        body.extend_from_slice(&field.to_le_bytes());
    }
    // No two sends have the same filling, so that a piece of another body shows.
    let mut filling = fastrand::Rng::with_seed(checksum(&body));
    body.resize_with(bytes.max(BYTES_MIN), || filling.u8(..));
    let checksum = checksum(&body);
    body[CHECKSUM_AT..BYTES_MIN].copy_from_slice(&checksum.to_le_bytes());
    body
}

/// Whose the body is; `None` where its checksum is wrong.
pub(super) fn read(body: &[u8]) -> Option<BodyId> {
    let (header, _) = body.split_first_chunk::<BYTES_MIN>()?;
    let mut fields = header
        .chunks_exact(8)
        .map(|bytes| bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)));
    let mut next = || fields.next();
    let id = BodyId { user: next()?, device: next()?, peer: next()?, number: next()? };
    (next()? == checksum(body)).then_some(id)
}

fn checksum(body: &[u8]) -> u64 {
    Digest::new().with(&body[..CHECKSUM_AT]).with(&body[BYTES_MIN..]).value()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: BodyId = BodyId { user: 1 << 40, device: 2, peer: 3, number: 1_700_000_000_000 };

    #[test]
    fn what_is_written_is_read() {
        for bytes in [0, BYTES_MIN, BYTES_MIN + 1, 10_000] {
            let body = write(ID, bytes);
            assert_eq!(body.len(), bytes.max(BYTES_MIN));
            assert_eq!(read(&body), Some(ID));
        }
    }

    #[test]
    fn every_changed_byte_shows() {
        let body = write(ID, 100);
        for index in 0..body.len() {
            let mut changed = body.clone();
            changed[index] ^= 1;
            assert_eq!(read(&changed), None, "byte {index}");
        }
        for length in 0..body.len() {
            assert_eq!(read(&body[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn fillings_differ() {
        let other = BodyId { number: ID.number + 1, ..ID };
        assert_ne!(write(ID, 60)[BYTES_MIN..], write(other, 60)[BYTES_MIN..]);
    }
}
