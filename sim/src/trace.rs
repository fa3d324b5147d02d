//! What happened, as one number: two runs are the same if their numbers are.

use std::fmt;
use std::io::Write as _;

use fulmar_protocol::{Deliver, Frame, Send};

use crate::clock::Time;
use crate::dice::mix;

/// A hash over everything that happened, in its order; on request also in words, on standard output.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    is_printing: bool,
}

impl Trace {
    pub(crate) const fn new(is_printing: bool) -> Self {
        Trace { hash: 0, events: 0, is_printing }
    }

    /// Takes in an event: what it is, and the numbers that tell it from others.
    pub(crate) fn note(&mut self, now: Time, what: u64, numbers: [u64; 3]) {
        self.events += 1;
        let mut hash = self.hash ^ now;
        for word in [what, numbers[0], numbers[1], numbers[2]] {
            hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        self.hash = hash;
    }

    /// Takes in bytes that crossed the network.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.hash = mix(self.hash ^ u64::from(crc32fast::hash(bytes)));
    }

    /// Tells it in words, if somebody reads them.
    pub(crate) fn say(&self, now: Time, words: impl FnOnce() -> String) {
        if self.is_printing {
            // Who reads it may have seen enough.
            let _ = writeln!(std::io::stdout(), "{:>12.6} {}", now as f64 / 1e6, words());
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        mix(self.hash)
    }

    /// Events so far.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }
}

/// A hash as it is printed.
pub(crate) struct Hash(pub(crate) u64);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A frame in words, without the body.
pub(crate) fn in_words(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Send(send) => {
            let Send { peer, number, total_bytes, body, .. } = send;
            format!("send {number} to {peer} of {total_bytes:?} bytes, {} here", body.len())
        }
        Frame::Deliver(deliver) => {
            let Deliver { position, peer, ordinal, total_bytes, body, own, .. } = deliver;
            let bytes = total_bytes.unwrap_or(body.len() as u64);
            format!("deliver {position}: {ordinal} of {peer}, own {own}, {bytes} bytes")
        }
        Frame::Part { body } => format!("part of {} bytes", body.len()),
        other => format!("{other:?}"),
    }
}
