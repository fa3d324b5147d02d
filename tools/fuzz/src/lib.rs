//! What the fuzzer runs: one body for each kind of bytes that come from the world.
//!
//! A body takes any bytes, gives them to the code that reads such bytes, and asserts what must hold
//! whatever they are. It panics where that doesn't hold, and only there. The same bodies run as ordinary
//! tests over the stored inputs (`tests/inputs.rs`); `fuzz/` has the targets that a fuzzer runs, and
//! `docs/fuzzing.md` says how, and what was found.
//!
//! | body | reads |
//! |---|---|
//! | [`decode`] | a byte stream: frames |
//! | [`assembly`] | the pieces of a large body |
//! | [`input`] | what a client sends to a shard, whole and cut |
//! | [`shard`] | any course of events around the shards of a node |
//! | [`token`] | login tokens |
//! | [`keys`] | key files |
//! | [`config`] | configuration files |
//! | [`records`] | stored records, entries, keys |
//! | [`stored`] | a disk of any content, under a shard |
//! | [`segments`] | journal files of any content |
//! | [`journal`] | a journal at work, and a byte of it that changes |
//! | [`session`] | any server, store and person around a client |
//! | [`store`] | a device's SQLite file of any content |
//! | [`text`] | received text on its way to a terminal |

#![forbid(unsafe_code)]

mod assembly;
mod config;
mod decode;
mod input;
mod journal;
mod keys;
mod layout;
mod node;
mod records;
mod script;
pub mod seeds;
mod segments;
mod session;
mod shard;
mod store;
mod stored;
mod text;
mod token;

pub use assembly::assembly;
pub use config::config;
pub use decode::decode;
pub use input::input;
pub use journal::journal;
pub use keys::keys;
pub use records::records;
pub use segments::segments;
pub use session::session;
pub use shard::shard;
pub use store::store;
pub use stored::stored;
pub use text::text;
pub use token::token;

/// A body and its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every body, by the name of its target.
pub const TARGETS: &[Target] = &[
    ("assembly", assembly),
    ("config", config),
    ("decode", decode),
    ("input", input),
    ("journal", journal),
    ("keys", keys),
    ("records", records),
    ("segments", segments),
    ("session", session),
    ("shard", shard),
    ("store", store),
    ("stored", stored),
    ("text", text),
    ("token", token),
];
