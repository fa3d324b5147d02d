//! Torture of the server: load from small clients, faults at random moments, a checker that reads
//! what the clients wrote down. docs/torture.md describes the faults and what was run.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`], [`torture`] | the command line; carrying it out |
//! | [`campaign`], [`fault`], [`server`] | rounds, what is done to the server, its process |
//! | [`machine`], [`damage`] | what faults are made with: disk, clock, network; damaged files |
//! | [`audit`], [`metrics`] | what a data directory gives; what the server counts |
//! | [`device`], [`feature`], [`world`] | the clients, a thread each; what they do; what they share |
//! | [`check`] | the checker, which knows only the histories (HISTORY.md) |
//! | [`report`] | text and JSON |
//!
//! The checker imports nothing of the other modules but its bounds.

pub mod audit;
pub mod campaign;
pub mod check;
pub mod cli;
pub mod commit;
pub mod damage;
pub mod device;
pub mod failure;
pub mod fault;
pub mod feature;
pub mod limits;
pub mod machine;
pub mod metrics;
pub mod report;
pub mod server;
pub mod torture;
pub mod world;
