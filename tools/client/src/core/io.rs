//! What crosses the session's border.

use crate::event::Event;
use crate::message::MessageId;
use crate::store::{StoreError, Write};

/// The time, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// A clock that never goes back, in milliseconds from any start.
    pub elapsed_ms: u64,
    /// The wall clock, in milliseconds since the Unix epoch. It may jump.
    pub unix_ms: u64,
}

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user, from 1.
    pub user: u64,
    /// The device of the user, from 1.
    pub device: u64,
    /// The login token; empty where the server runs in development mode.
    pub token: Vec<u8>,
    /// Name and version of the program, for the server's logs.
    pub agent: String,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The connection asked for is open.
    Connected,
    /// The connection could not be opened or is gone; what the system said.
    Disconnected(&'a str),
    /// Bytes arrived, cut anywhere.
    Received(&'a [u8]),
    /// The bytes of the last [`Action::Transmit`] were all taken by the connection.
    Transmitted,
    /// The batch of the last [`Action::Commit`] is durable, or the store failed.
    Stored(Result<(), StoreError>),
    /// Only time passed.
    Tick,
}

/// Something to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection: to this address (`host:port`) where the server named one, otherwise to
    /// the configured one.
    Connect {
        /// The server's address for this client.
        address: Option<String>,
    },
    /// Write these bytes to the connection.
    Transmit(Vec<u8>),
    /// Write out what was given to transmit, then close the connection, or give up opening it.
    Close,
    /// Store this batch durably, as a whole.
    Commit(Vec<Write>),
    /// The message of a send is stored: it survives from here on.
    Saved(MessageId),
    /// Tell the program.
    Notify(Event),
}
