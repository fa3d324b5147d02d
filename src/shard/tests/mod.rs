//! What the shard promises, as scripts: clients that speak real bytes, a disk that commits when the
//! script says so, letters between cores. Each test's name is a promise.

mod client;
mod delivery;
mod devices;
mod disk;
mod groups;
mod login;
mod memory;
mod random;
mod receipts;
mod sending;
mod uploads;
mod world;
