//! What the ring hands out.

use std::io;
use std::os::fd::OwnedFd;

use super::lifecycle::Reason;
use super::sockets::SocketKey;

/// Why a socket was closed.
#[derive(Debug)]
pub enum CloseReason {
    /// The peer ended the connection in order.
    PeerEof,
    /// The connection failed.
    Error(io::Error),
    /// [`Ring::close`](super::Ring::close) or [`Ring::abort`](super::Ring::abort) was called.
    Local,
}

/// What happened. `S` is an open connection: a descriptor, unless the sockets are simulated.
#[derive(Debug)]
pub enum Completion<'a, S = OwnedFd> {
    /// A connection was accepted. It isn't on the ring before [`Ring::add`](super::Ring::add).
    Accepted {
        /// The connection.
        fd: S,
    },
    /// Accepting failed. For errors that would repeat themselves (no descriptor left) the ring tries
    /// again a tenth of a second later, and reports each failure.
    AcceptFailed {
        /// Why.
        error: io::Error,
    },
    /// Bytes came.
    Received {
        /// On which socket.
        key: SocketKey,
        /// At least one byte. The buffer goes back to the kernel when the callback returns.
        bytes: &'a [u8],
    },
    /// All bytes of a send were given to the kernel.
    Sent {
        /// On which socket.
        key: SocketKey,
        /// The buffer of the send, emptied, for reuse.
        buffer: Vec<u8>,
    },
    /// The socket is closed and its key is dead. Reported once per socket, unless it was detached.
    Closed {
        /// Which socket.
        key: SocketKey,
        /// Why.
        reason: CloseReason,
    },
    /// The socket left the ring and its key is dead. All bytes that the ring took from it were
    /// reported before.
    Detached {
        /// Which socket.
        key: SocketKey,
        /// The open connection.
        fd: S,
    },
    /// The wake-up descriptor was written to. Reported at most once per turn.
    Woken,
}

impl From<Reason> for CloseReason {
    fn from(reason: Reason) -> CloseReason {
        match reason {
            Reason::PeerEof => CloseReason::PeerEof,
            Reason::Error(errno) => CloseReason::Error(io::Error::from_raw_os_error(errno)),
            Reason::Local => CloseReason::Local,
        }
    }
}
