//! The checker: every message is followed from its author's send to the receipt back at its author,
//! and each promise of the protocol that the two ends can see is compared with what happened.
//!
//! | promise | seen by |
//! |---|---|
//! | a ticked message is delivered (`lost`) | [`Incoming`], against the author's ticks |
//! | a message is shown once (`duplicated`) and in order (`reordered`) | [`Incoming`] |
//! | inbox positions are dense, holes are announced (`gaps`) | [`Mailbox`] |
//! | bodies arrive as sent (`corrupt`) | [`Mailbox`] |
//! | all members of a group see one order, without holes | [`Order`] |
//! | each send is answered, in order, with dense ordinals | [`Outgoing`] |
//! | receipts never run ahead of the recipient's acknowledgement | [`Outgoing`], [`Incoming`] |
//!
//! The checker shares the frames with the server and nothing else.

mod faults;
mod incoming;
mod mailbox;
mod order;
mod outgoing;

pub use faults::Faults;
pub use incoming::Incoming;
pub use mailbox::{Arrived, Mailbox};
pub use order::{Order, Taken};
pub use outgoing::{Outgoing, Ticked};
