//! Fulmar: a chat edge server that holds the connections of very many people on a small machine
//! and loses nothing that it has acknowledged.
//!
//! The picture, the life of a message and the rules between the modules stand in
//! `ARCHITECTURE.md`; the wire in `protocol/SPEC.md`.

pub mod auth;
pub mod cli;
pub mod config;
pub mod control;
pub mod core_loop;
pub mod doctor;
pub mod faults;
pub mod limits;
pub mod mesh;
pub mod metrics;
pub mod node;
pub mod shard;
pub mod storage;
pub mod uring;
