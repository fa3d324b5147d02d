//! What a message of the load carries: who sent it, which one it is, and when it was meant to go.
//!
//! ```text
//! 0        4        8                16               24            body_bytes
//! | run    | author | sequence       | intended_ns    | fill …      |     little endian
//! ```
//! The fill repeats one pattern, so that a recipient can compare every byte.

use crate::limits::BODY_BYTES_MIN;

/// The first bytes of every body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Tells this run's messages from what an earlier one left behind.
    pub run: u32,
    /// Index of the author among the run's users.
    pub author: u32,
    /// Which message of its direction, from 0.
    pub sequence: u64,
    /// When it was meant to be sent, in nanoseconds of the run's clock.
    pub intended_ns: u64,
}

impl Stamp {
    fn write(&self, out: &mut [u8]) {
        out[0..4].copy_from_slice(&self.run.to_le_bytes());
        out[4..8].copy_from_slice(&self.author.to_le_bytes());
        out[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        out[16..24].copy_from_slice(&self.intended_ns.to_le_bytes());
    }

    /// Reads the stamp at the front of `bytes`; `None` where they are too few.
    pub fn read(bytes: &[u8]) -> Option<Stamp> {
        let (run, rest) = bytes.split_first_chunk::<4>()?;
        let (author, rest) = rest.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (intended_ns, _) = rest.split_first_chunk::<8>()?;
        Some(Stamp {
            run: u32::from_le_bytes(*run),
            author: u32::from_le_bytes(*author),
            sequence: u64::from_le_bytes(*sequence),
            intended_ns: u64::from_le_bytes(*intended_ns),
        })
    }
}

/// The one body of a run, of which only the stamp changes.
#[derive(Debug)]
pub struct Template {
    body: Vec<u8>,
}

impl Template {
    /// A body of `body_bytes`, at least [`BODY_BYTES_MIN`].
    pub fn new(body_bytes: usize) -> Template {
        assert!(body_bytes >= BODY_BYTES_MIN, "a body has room for its stamp");
        Template { body: (0..body_bytes).map(|offset| (offset % 251) as u8).collect() }
    }

    /// The body with this stamp. Valid until the next call.
    #[inline]
    pub fn stamped(&mut self, stamp: &Stamp) -> &[u8] {
        stamp.write(&mut self.body);
        &self.body
    }

    /// Length of every body, in bytes.
    pub const fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Whether `piece` is the fill from `offset` on. The stamp's bytes, which differ, are left out.
    #[inline]
    pub fn matches(&self, offset: usize, piece: &[u8]) -> bool {
        let stamp_bytes = BODY_BYTES_MIN.saturating_sub(offset).min(piece.len());
        let (from, to) = (offset + stamp_bytes, offset + piece.len());
        self.body.get(from..to) == Some(&piece[stamp_bytes..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_and_a_changed_fill_is_seen() {
        let stamp = Stamp { run: 7, author: 3, sequence: 1 << 40, intended_ns: u64::MAX };
        let mut template = Template::new(100);
        let mut body = template.stamped(&stamp).to_vec();
        assert_eq!(Stamp::read(&body), Some(stamp));
        assert_eq!(Stamp::read(&body[..23]), None);
        assert!(template.matches(0, &body));
        assert!(template.matches(60, &body[60..]));
        assert!(template.matches(10, &body[10..12]), "inside the stamp nothing is compared");
        assert!(!template.matches(59, &body[60..]));
        assert!(!template.matches(60, &[0; 41]), "longer than the body");
        body[24] ^= 1;
        assert!(!template.matches(0, &body));
    }
}
