//! A deterministic world for Fulmar: a whole node (its cores, journal and disk), its network and its clients
//! in one thread, from one seed. What is real in it, what is modelled, and what is checked, stands in
//! `sim/README.md`.
//!
//! [`run`] lives one world and tells what became of it.

mod clock;
mod coverage;
mod device;
mod dice;
mod disk;
mod network;
mod node;
mod oracle;
mod plan;
mod rogue;
mod schedule;
mod shrink;
mod sockets;
mod trace;
mod verdict;
mod world;

pub use coverage::Coverage;
pub use plan::{Trouble, Wishes};
pub use shrink::{Shrunk, shrink};
pub use verdict::{Failure, Verdict};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Lives the world of this seed, and tells what became of it. A panic in it is a broken promise like any
/// other. With `is_printing` everything that happens is told on standard output.
#[must_use]
pub fn run(seed: u64, wishes: &Wishes, is_printing: bool) -> Verdict {
    let world =
        AssertUnwindSafe(|| world::World::new(plan::Plan::new(seed, wishes), is_printing).run());
    catch_unwind(world).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let detail = text.unwrap_or("a panic without words").to_owned();
        Verdict {
            seed,
            hash: 0,
            events: 0,
            messages: 0,
            lived: 0,
            coverage: Coverage::default(),
            failure: Some(Failure { rule: "nothing panics", detail, at: 0 }),
        }
    })
}
