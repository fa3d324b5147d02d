//! The client without I/O: inputs in, actions out.
//!
//! [`Session`] holds the whole behaviour of a client. Whoever drives it (the tokio driver of this
//! crate, or a simulation) feeds it what happened and carries out what it answers:
//!
//! ```text
//!   connected, bytes, written, lost ──►┌─────────┐──► connect, write bytes, close
//!   batch stored ─────────────────────►│ Session │──► commit batch
//!   send, mark_seen, reconnect … ─────►└─────────┘──► tell the program, confirm a send
//!                 the time ─────────────────┘  └────► deadline of the next timer
//! ```
//!
//! Rules of the seam:
//! - At most one [`Action::Transmit`] and one [`Action::Commit`] are under way at a time; the next
//!   comes after [`Input::Transmitted`] and [`Input::Stored`] of the one before. What happens
//!   meanwhile goes into the next one together.
//! - A batch may be stored at once or much later, across a reconnect too; everything that rests on
//!   it waits.
//! - After [`Action::Close`] no input of that connection is fed any more.
//!
//! There is no I/O, clock, thread or randomness in here: the time is an argument, and the jitter of
//! reconnects comes from the seed.

mod arrivals;
mod asks;
mod backoff;
mod book;
mod clock;
mod conversations;
mod expiry;
mod group_frames;
mod groups;
mod heartbeat;
mod intake;
mod io;
mod ledger;
mod link;
mod log;
mod outbox;
mod output;
mod past;
mod presence;
mod receive;
mod session;
mod violation;

pub(crate) use link::is_address;

pub use io::{Action, Identity, Input, Now};
pub use outbox::SendError;
pub use session::Session;
