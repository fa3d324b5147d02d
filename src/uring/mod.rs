//! The I/O layer of one core thread: one `io_uring`, its sockets, and nothing about chat.
//!
//! A [`Ring`] belongs to the thread that created it. Its owner calls methods that queue work
//! ([`Ring::send`], [`Ring::pause`], [`Ring::close`] …), then [`Ring::wait`], which submits all of it
//! with one system call, then [`Ring::drain`], which hands out what completed. Bytes and keys go in
//! and out; frames, users and time are not known here.
//!
//! What it promises:
//! - Every socket that was added is reported exactly once as [`Completion::Closed`] or
//!   [`Completion::Detached`], and its key is dead from then on.
//! - Bytes of a socket are reported in their order, and none is lost by pausing, by a shortage of
//!   receive buffers or by an overflow of the completion queue.
//! - An idle socket pins no buffer: receiving is armed once and takes a buffer from a shared pool
//!   only when bytes arrive. In this process an idle socket costs one slot (64 bytes).
//! - No socket can keep the shared pool to itself: one that takes too much of it in a turn sits out
//!   the next, and one that found the pool empty is armed again before anything else is received.
//!
//! What it can't promise: kernels from before spring 2026 may miss the end of a connection that is
//! reset right behind its last bytes (axboe/liburing#1549). Such a socket looks idle until the next
//! send on it fails, so its owner needs a limit on idle time, as for a peer that vanished.
//!
//! What it never does: spin, block outside of `wait` (and the end of the ring), or allocate for a
//! message.
//!
//! The parts, from the kernel upwards: `queues` (submission and completion queue), `buffers` (the
//! shared receive buffers), `token` (what a completion belongs to), `descriptor` (system calls on one
//! descriptor), `lifecycle` (the life of a socket as a state machine without I/O), `sockets` (the
//! table of them), `listeners`, and `ring`, which joins them.

mod buffers;
mod completion;
mod config;
mod counters;
mod descriptor;
mod lifecycle;
mod listeners;
mod probe;
mod queues;
mod ring;
mod sockets;
mod start_error;
#[cfg(test)]
mod tests;
mod token;

pub use completion::{CloseReason, Completion};
pub use config::RingConfig;
pub use counters::Counters;
pub use probe::{Feature, Features, probe};
pub use ring::Ring;
pub use sockets::SocketKey;
pub use start_error::StartError;
