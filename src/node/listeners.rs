//! One listening socket per core on the same address; the kernel spreads connections over them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::NodeError;

/// Connections that wait to be accepted, per core. The kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// Listeners for `count` cores, and the address that they share.
pub(super) fn bind(
    address: SocketAddr,
    count: usize,
) -> Result<(Vec<OwnedFd>, SocketAddr), NodeError> {
    let failed = |error| NodeError::Listen { address, error };
    // A port that somebody else listens on must be an error, not a share of its connections: only
    // once the first listener has it alone do the others join.
    let first = listen(address, false).map_err(failed)?;
    let bound = first.local_addr().map_err(failed)?.as_socket().unwrap_or(address);
    drop(first);
    let listeners: Result<Vec<OwnedFd>, NodeError> =
        (0..count).map(|_| listen(bound, true).map(OwnedFd::from).map_err(failed)).collect();
    Ok((listeners?, bound))
}

fn listen(address: SocketAddr, shared: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Inherited by the accepted sockets.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_share_a_port_and_strangers_do_not() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listeners, address) = bind(any, 3).expect("bind");
        assert_eq!(listeners.len(), 3);
        assert_ne!(address.port(), 0);
        let error = bind(address, 1).expect_err("the port is taken");
        assert!(error.to_string().contains("another process"), "{error}");
    }
}
