//! What of this machine is too small for a number of connections, and the command that mends it.
//!
//! [`Facts`] are read from the kernel, [`Report`] judges them; the judgement is a pure function, so
//! it is tested with the texts of other machines. Nothing is ever changed here.

mod checks;
mod facts;
mod report;
#[cfg(test)]
mod tests;

pub use checks::{Check, Status};
pub use facts::{Facts, Limit};
pub use report::Report;
