//! Storage in memory, for the simulator and for tests: deterministic, without threads or a file system.
//! It keeps apart what a process sees from what the disk holds, so that a crash can lose the difference.

mod database;
mod directory;
mod faults;
#[cfg(test)]
mod tests;

pub use database::SimulatedDatabase;
pub use directory::{Loss, Lost, SimulatedDirectory, SimulatedFile};
pub use faults::{Counts, Fault, Operation};
