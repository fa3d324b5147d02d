//! The load generator and measure of Fulmar.
//!
//! It speaks the wire protocol over real sockets, from one thread that sleeps in one epoll, follows
//! every message from its author's send to the delivered receipt back at its author, and reports
//! rates, latencies, what the server spent, and every promise that was broken.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`], [`measurement`] | the command line; carrying it out |
//! | [`scenario`] | what the connections do |
//! | [`engine`] | sockets, logins, keep-alive: bytes to frames and back |
//! | [`exchange`], [`check`], [`message`] | messages, what became of them, what was promised |
//! | [`schedule`], [`latency`] | intended times of an open loop, histograms |
//! | [`server`], [`usage`], [`affinity`], [`descriptors`], [`machine`] | the server's process, its cost, the machine |
//! | [`report`] | JSON, text, HTML |
//!
//! Per message it allocates nothing, and reads the clock once per read, not per message.

pub mod affinity;
pub mod check;
pub mod cli;
pub mod descriptors;
pub mod engine;
pub mod exchange;
pub mod failure;
pub mod latency;
pub mod limits;
pub mod machine;
pub mod measurement;
pub mod message;
pub mod report;
pub mod scenario;
pub mod schedule;
pub mod seconds;
pub mod server;
pub mod usage;
