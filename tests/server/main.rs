//! The built server, over real sockets. Nothing here is server code: a client made of the protocol
//! crate talks to the binary as any client would.

mod chat;
mod contents;
mod groups;
mod harness;
mod history;
mod hostile;
mod lifecycle;
mod login;
mod people;
mod presence;
mod python;
mod refusals;
mod windows;
