//! How threads of a node hand things to each other: bounded queues, and a doorbell that wakes the
//! consumer only if it sleeps. Knows nothing of chat.
//!
//! A [`lane`] has one producer, who never waits. What doesn't fit the ring stays with the producer,
//! in order, and the length of that backlog is what its owner pushes back on. A [`Tray`] has many
//! producers, who may wait.
//!
//! The code here is run by loom in every order that the memory model allows (`./dev loom`). For
//! that, `parts.rs` names everything that it is built on, and `model.rs` has a model of each.

mod doorbell;
mod lane;
#[cfg_attr(loom, path = "model.rs")]
mod parts;
#[cfg(test)]
mod tests;
mod tray;

pub use doorbell::Doorbell;
pub use lane::{Inlet, Outlet, lane};
pub use tray::Tray;
