//! What the shard promises, as scripts: clients that speak real bytes, a disk that commits when the
//! script says so, letters between cores. Each test's name is a promise.

mod client;
mod disk;
mod login;
mod sending;
mod world;
