//! Bodies, told apart and compared without keeping them.

use crc32fast::Hasher;

/// What a message's content is known by. The people of a world begin each body with a number of its own,
/// so two messages have the same digest only if their bodies are too short for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest {
    pub(crate) content: u8,
    pub(crate) bytes: u32,
    head: u64,
    checksum: u32,
}

/// Takes a body piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct Digester {
    content: u8,
    bytes: u32,
    head: [u8; 8],
    hasher: Hasher,
}

impl Digest {
    pub(crate) fn of(content: u8, body: &[u8]) -> Self {
        let mut digester = Digester::new(content);
        digester.push(body);
        digester.finish()
    }
}

impl Digest {
    /// The first bytes of the body, eight at most.
    pub(crate) fn start(&self) -> Vec<u8> {
        let bytes = (self.bytes as usize).min(size_of::<u64>());
        self.head.to_le_bytes()[..bytes].to_vec()
    }
}

impl Digester {
    pub(crate) fn new(content: u8) -> Self {
        Digester { content, bytes: 0, head: [0; 8], hasher: Hasher::new() }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        let at = (self.bytes as usize).min(self.head.len());
        let count = piece.len().min(self.head.len() - at);
        self.head[at..at + count].copy_from_slice(&piece[..count]);
        self.bytes += piece.len() as u32;
        self.hasher.update(piece);
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    pub(crate) fn finish(self) -> Digest {
        let (content, bytes, head) = (self.content, self.bytes, u64::from_le_bytes(self.head));
        Digest { content, bytes, head, checksum: self.hasher.finalize() }
    }
}
