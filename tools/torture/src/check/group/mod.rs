//! Judges groups. What a group's log holds is known from its authors' ticks and from what members were
//! shown; who was a member when, from the changes in it.
//!
//! | promise | judged by |
//! |---|---|
//! | what was ticked is shown on each member's devices that follow the group | `entries`, against `log` |
//! | nothing is shown twice, nothing that was refused, nothing from outside of one's time | `entries` |
//! | a position holds one entry for all, an entry has one position, without holes | `log` |
//! | a device's entries keep their order | `log`, `entries` |
//! | edits, deletions and reactions are those that their author may make | `references` |
//! | changes are those that their author may make, by its role; who is no member writes nothing, so a group that ended takes nothing | `roles` |
//! | who is added is told in the inbox, and whose time ended, that it did | `entries` |
//! | who is added to a group that shows its history may read it all | `log`, `entries`, `past` |
//! | receipts are never ahead of the members and equal to them in the end | `receipts`, against `log` |
//!
//! Who is added to a group that shows its history is owed it where it is the first time of the user: a device
//! that followed an earlier one goes on from where it was.
//!
//! A device follows a group from its notice on, and then everything of its user's times is owed to it, also
//! what is older than the device; but where the group began by itself, not the times that were over by then. Of a
//! user who was in the group more often than the server remembers, the earliest times aren't owed.

mod entries;
mod line;
mod log;
mod past;
mod receipts;
mod references;
mod roles;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_past;
#[cfg(test)]
mod tests_references;
#[cfg(test)]
mod tests_roles;

pub(super) use entries::EntriesCheck;
pub(super) use line::{GroupEvent, group_event};
pub(super) use log::GroupFacts;
pub use log::GroupVolume;
pub(super) use past::EntryFacts;
pub(super) use receipts::GroupReceiptCheck;
