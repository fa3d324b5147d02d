//! Groups: logs with many readers.
//!
//! ```text
//!  author's core          group's home core                 cores with members
//!  GROUP_SEND ── Append ──► judge, number, append ─► stored ── Entry ──► seat ─► feeds ─► devices
//!  tick ◄────── Accepted ───────────────────────────────┘                 │
//!  receipt ◄──── Receipt ── counts ◄──────────────── Moved ◄──── acknowledgements
//! ```
//!
//! - `home`: the group on its home core: its record, its members, the letters to it.
//! - `entering`: what enters its log.
//! - `changes`: changes, judged and made.
//! - `telling`: what the home tells cores and sessions beside entries.
//! - `held`: what waits before it may enter.
//! - `rules`: who may do what.
//! - `seat`: the group on a core with members, for as long as it isn't resting.
//! - `feed`, `feeds`: one session's way through the log, and its state.
//! - `session`: frames of clients to letters, and back.
//! - `receipts`: how far members are, told to authors as counts.
//! - `past`: what a member may page back to.
//! - `memory`: loading, storing, letting go.
//!
//! The heads of all groups of this core are in memory, so that a member who returns is compared with them
//! without reading the groups that were quiet. An offline member costs a message nothing.

mod changes;
mod entering;
mod feed;
mod feeds;
mod held;
mod home;
pub mod letter;
mod memory;
mod past;
mod receipts;
pub mod record;
pub mod rules;
mod seat;
mod session;
mod telling;

pub(super) use entering::Entering;
pub(super) use feeds::Feeds;
pub(super) use home::Group;
pub(super) use letter::Progress;
pub use letter::{Asker, GroupLetter, Readable};
pub use memory::found;
pub(super) use record::is_absent;
pub(super) use seat::Seat;
