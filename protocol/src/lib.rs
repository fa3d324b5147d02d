//! The wire protocol of Fulmar, without any I/O.
//!
//! A connection carries frames in both directions. A frame is a [varint] length, one byte
//! that names its kind and two flags, and the kind's fields; [`Frame`] is one such frame with its
//! byte fields borrowed from the receive buffer. [`Frames`] cuts a byte stream into frames,
//! [`Frame::decode`] reads one, [`Frame::encode`] appends one to a buffer.
//!
//! The bytes are defined in `SPEC.md` beside this crate; `vectors/` holds examples of each frame
//! that a client in any language can run, and `dissector/` reads them in Wireshark.
//!
//! This crate never allocates while decoding, never performs I/O, never reads a clock, and never
//! panics on bytes from a peer.

#![forbid(unsafe_code)]

mod body;
mod code;
pub mod content;
mod decode;
mod decode_error;
mod encode;
mod frame;
mod frames;
pub mod group;
pub mod history;
mod kind;
pub mod limits;
mod lists;
pub mod people;
pub mod varint;

pub use body::{Assembly, AssemblyError, Chunks};
pub use code::Code;
pub use decode_error::DecodeError;
pub use frame::{Deliver, Frame, Goodbye, Hello, Send, Welcome};
pub use frames::{FrameError, Frames, Split, split_frame};
pub use kind::Kind;
pub use lists::{Numbers, Pairs};

/// The protocol version that this crate speaks. A hello offers a range of versions; the welcome
/// names the one in use.
pub const VERSION: u64 = 1;

/// The first four bytes of a hello's fields, so that a stranger's bytes are told apart at once.
pub const MAGIC: [u8; 4] = *b"FLMR";

/// Capability bits offered in a hello and confirmed in a welcome.
///
/// Version 1 defines none; a peer ignores bits that it doesn't know.
pub mod capability {
    /// No optional behaviour.
    pub const NONE: u64 = 0;
}
