//! What a core needs of its sockets: the ring's methods, so that a simulated network can stand in
//! for the kernel.

use std::fmt;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use fulmar_protocol::limits::HELLO_BYTES_MAX;

use crate::uring::{Completion, Ring, SocketKey};

/// The sockets of one core. What each method means, and which completion follows it, is described at
/// the method of the same name of [`Ring`].
pub trait Sockets {
    /// An open connection that is on no core.
    type Socket: fmt::Debug;

    /// Adds a connection; gives it back if there is no room.
    fn add(&mut self, socket: Self::Socket) -> Result<SocketKey, Self::Socket>;

    /// Says some last bytes on a connection that is on no core, and closes it.
    fn turn_away(&mut self, socket: Self::Socket, bytes: &[u8]);

    /// Whether the key is a socket's whose end wasn't reported.
    fn contains(&self, key: SocketKey) -> bool;

    /// Sends bytes; gives them back if the socket is ending.
    fn send(&mut self, key: SocketKey, bytes: Vec<u8>) -> Result<(), Vec<u8>>;

    /// Stops receiving.
    fn pause(&mut self, key: SocketKey);

    /// Receives again.
    fn resume(&mut self, key: SocketKey);

    /// Takes a socket off, with its connection intact.
    fn detach(&mut self, key: SocketKey);

    /// Closes in order.
    fn close(&mut self, key: SocketKey);

    /// Closes at once.
    fn abort(&mut self, key: SocketKey);

    /// Accepts no more connections.
    fn stop_listening(&mut self);

    /// Hands out what completed.
    fn drain(&mut self, on: impl FnMut(Completion<'_, Self::Socket>));
}

impl Sockets for Ring {
    type Socket = OwnedFd;

    fn add(&mut self, socket: OwnedFd) -> Result<SocketKey, OwnedFd> {
        Ring::add(self, socket)
    }

    fn turn_away(&mut self, socket: OwnedFd, bytes: &[u8]) {
        // A new socket has room for it; if not, the client sees the connection end without a reason.
        let mut socket = socket2::Socket::from(socket);
        let _ = socket.set_nonblocking(true).and_then(|()| socket.send(bytes));
        let _ = socket.shutdown(std::net::Shutdown::Write);
        // A hello that nobody reads would turn the end into a reset, which may destroy the last bytes.
        let _ = socket.read(&mut [0; HELLO_BYTES_MAX]);
    }

    fn contains(&self, key: SocketKey) -> bool {
        Ring::contains(self, key)
    }

    fn send(&mut self, key: SocketKey, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        Ring::send(self, key, bytes)
    }

    fn pause(&mut self, key: SocketKey) {
        Ring::pause(self, key);
    }

    fn resume(&mut self, key: SocketKey) {
        Ring::resume(self, key);
    }

    fn detach(&mut self, key: SocketKey) {
        Ring::detach(self, key);
    }

    fn close(&mut self, key: SocketKey) {
        Ring::close(self, key);
    }

    fn abort(&mut self, key: SocketKey) {
        Ring::abort(self, key);
    }

    fn stop_listening(&mut self) {
        Ring::stop_listening(self);
    }

    fn drain(&mut self, on: impl FnMut(Completion<'_>)) {
        Ring::drain(self, on);
    }
}
