//! How threads of a node hand things to each other: bounded rings with one producer and one
//! consumer, and a doorbell that wakes the consumer only if it sleeps. Knows nothing of chat.
//!
//! A producer never waits. What doesn't fit the ring stays with the producer, in order, and the
//! length of that backlog is what its owner pushes back on.

mod doorbell;
mod lane;

pub use doorbell::Doorbell;
pub use lane::{Inlet, Outlet, lane};
