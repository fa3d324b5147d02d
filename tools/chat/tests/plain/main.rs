//! The built program in line mode, against a scripted server.

mod connecting;
#[path = "../../../client/tests/script/frames.rs"]
#[allow(dead_code, reason = "the scripts of the client use the rest")]
mod frames;
mod groups;
mod people;
mod program;
mod reading;
mod sending;
#[path = "../../../client/tests/script/server.rs"]
#[allow(dead_code, reason = "the scripts of the client use the rest")]
mod server;
