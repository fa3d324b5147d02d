//! Memory for message values: cut from large blocks that are used again, so that a message costs
//! no allocation.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits::{ARENA_BLOCK_BYTES, ARENA_BLOCKS_SPARE};

/// Hands out [`Bytes`] that share a block. A block is used again once all its values are gone.
#[derive(Debug)]
pub(super) struct Arena {
    block: BytesMut,
    /// One handle on each used-up block, oldest first.
    retired: VecDeque<Bytes>,
}

impl Arena {
    pub(super) fn new() -> Self {
        Arena { block: BytesMut::new(), retired: VecDeque::with_capacity(ARENA_BLOCKS_SPARE) }
    }

    /// A value that `write` fills by appending at most `bytes_max` bytes.
    pub(super) fn value(&mut self, bytes_max: usize, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        if bytes_max > ARENA_BLOCK_BYTES / 4 {
            let mut own = BytesMut::with_capacity(bytes_max);
            write(&mut own);
            return own.freeze();
        }
        if self.block.capacity() - self.block.len() < bytes_max {
            self.next_block();
        }
        write(&mut self.block);
        debug_assert!(self.block.len() <= bytes_max);
        self.block.split().freeze()
    }

    /// A copy of `bytes`.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        self.value(bytes.len(), |block| block.extend_from_slice(bytes))
    }

    fn next_block(&mut self) {
        let block = self.retired.front_mut().and_then(|oldest| {
            let whole = std::mem::take(oldest);
            match whole.try_into_mut() {
                Ok(block) => Some(block),
                Err(shared) => {
                    *oldest = shared;
                    None
                }
            }
        });
        let mut block = match block {
            Some(mut block) => {
                self.retired.pop_front();
                block.clear();
                // The handle covers the first byte only; the block behind it is whole.
                block.reserve(ARENA_BLOCK_BYTES - 1);
                block
            }
            None => BytesMut::with_capacity(ARENA_BLOCK_BYTES),
        };
        // Keep a handle of one byte, which is what makes the block recognisable as free again.
        block.extend_from_slice(&[0]);
        if self.retired.len() == ARENA_BLOCKS_SPARE {
            self.retired.pop_front();
        }
        self.retired.push_back(block.split().freeze());
        self.block = block;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_used_again_once_their_values_are_gone() {
        let mut arena = Arena::new();
        let mut blocks = std::collections::HashSet::new();
        for _ in 0..100_000 {
            let value = arena.copy(&[7; 200]);
            assert_eq!(&value[..], &[7; 200]);
            blocks.insert(value.as_ptr() as usize / ARENA_BLOCK_BYTES);
        }
        assert!(blocks.len() <= 6, "{} blocks were touched", blocks.len());
    }

    #[test]
    fn values_stay_intact_while_held() {
        let mut arena = Arena::new();
        let held: Vec<(u32, Bytes)> =
            (0..20_000u32).map(|i| (i, arena.copy(&i.to_le_bytes().repeat(30)))).collect();
        for (i, value) in held {
            assert_eq!(&value[..], &i.to_le_bytes().repeat(30)[..]);
        }
        let large = arena.copy(&vec![1; ARENA_BLOCK_BYTES]);
        assert_eq!(large.len(), ARENA_BLOCK_BYTES);
    }
}
