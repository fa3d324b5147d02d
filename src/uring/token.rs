//! What a completion belongs to, in the 64 bits of user data that the kernel carries for us.
//!
//! ```text
//!  63        56 55                          24 23                 0
//! ┌────────────┬──────────────────────────────┬────────────────────┐
//! │ kind       │ generation                   │ slot               │
//! └────────────┴──────────────────────────────┴────────────────────┘
//! ```
//!
//! The generation lets a late completion be told from one of the socket that has the slot now.

use super::sockets::SocketKey;

/// Most slots that a token can name.
pub(super) const SLOTS_MAX: u32 = 1 << SLOT_BITS;

const SLOT_BITS: u32 = 24;
const GENERATION_SHIFT: u32 = SLOT_BITS;
const KIND_SHIFT: u32 = SLOT_BITS + u32::BITS;

/// The operation that a completion is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Receiving on a socket.
    Receive = 1,
    /// Sending on a socket.
    Send = 2,
    /// The cancelling of a socket's receive.
    CancelReceive = 3,
    /// Accepting on a listener; the slot is the listener's index.
    Accept = 4,
    /// The cancelling of an accept; the slot is the listener's index.
    CancelAccept = 5,
    /// The end of a listener's pause after an error; the slot is the listener's index.
    AcceptRetry = 6,
    /// The wake-up descriptor.
    Wake = 7,
    /// Any cancel at the end of the ring.
    CancelAtEnd = 8,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Receive,
        Kind::Send,
        Kind::CancelReceive,
        Kind::Accept,
        Kind::CancelAccept,
        Kind::AcceptRetry,
        Kind::Wake,
        Kind::CancelAtEnd,
    ];
}

/// The kind of an operation, and the socket (or the listener) that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// For operations that aren't of a socket: the listener's index or 0, generation 0.
    pub(super) key: SocketKey,
}

impl Token {
    pub(super) const fn socket(kind: Kind, key: SocketKey) -> Token {
        Token { kind, key }
    }

    pub(super) const fn listener(kind: Kind, index: u32) -> Token {
        Token { kind, key: SocketKey { slot: index, generation: 0 } }
    }

    pub(super) const fn other(kind: Kind) -> Token {
        Token::listener(kind, 0)
    }

    pub(super) const fn to_user_data(self) -> u64 {
        debug_assert!(self.key.slot < SLOTS_MAX);
        (self.kind as u64) << KIND_SHIFT
            | (self.key.generation as u64) << GENERATION_SHIFT
            | self.key.slot as u64
    }

    /// The token in a completion's user data. Panics on what [`Token::to_user_data`] didn't make:
    /// only the kernel hands these out, and it repeats ours.
    pub(super) fn from_user_data(user_data: u64) -> Token {
        let number = (user_data >> KIND_SHIFT) as usize;
        let kind = *Kind::ALL.get(number.wrapping_sub(1)).expect("user data carries a known kind");
        let slot = user_data as u32 & (SLOTS_MAX - 1);
        let generation = (user_data >> GENERATION_SHIFT) as u32;
        Token { kind, key: SocketKey { slot, generation } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_round_trips() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index + 1);
            for slot in [0, 1, SLOTS_MAX - 1] {
                for generation in [0, 1, 0x00ff_ff00, u32::MAX] {
                    let token = Token::socket(kind, SocketKey { slot, generation });
                    assert_eq!(Token::from_user_data(token.to_user_data()), token);
                }
            }
        }
    }
}
