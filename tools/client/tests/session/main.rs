//! The session against scripts: what it answers to each input, rule by rule, and against a small
//! model of a server under random faults.

mod book;
mod contents;
mod device;
#[path = "../script/frames.rs"]
mod frames;
mod groups;
mod groups_return;
mod login;
mod past;
mod presence;
mod receipts;
mod receiving;
mod sending;
mod trouble;
mod world;
