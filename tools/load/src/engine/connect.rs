//! Opening a socket without waiting for it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::limits::CONNECTIONS_PER_SOURCE;

/// The address that connection `index` comes from, where the system's choice would run short of
/// ports: on the loopback net each further [`CONNECTIONS_PER_SOURCE`] take the next address.
pub fn source_address(index: usize, server: SocketAddr) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = server.ip() else { return None };
    let source = index / CONNECTIONS_PER_SOURCE;
    if source == 0 || !address.is_loopback() {
        return None;
    }
    Some(Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + source as u32))
}

/// Starts to connect. The socket becomes writable when the connection stands or failed.
pub(super) fn connect(address: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // Every write is a whole turn's; nothing is gained by holding it back.
    sockopt::set_tcp_nodelay(&socket, true)?;
    if let Some(source) = source {
        bind(&socket, &SocketAddr::from((source, 0)))?;
    }
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_change_only_where_ports_would_run_short() {
        let loopback = "127.0.0.1:7700".parse().unwrap();
        assert_eq!(source_address(CONNECTIONS_PER_SOURCE - 1, loopback), None);
        let second = source_address(CONNECTIONS_PER_SOURCE, loopback);
        assert_eq!(second, Some(Ipv4Addr::new(127, 0, 0, 2)));
        assert_eq!(source_address(CONNECTIONS_PER_SOURCE, "192.0.2.1:7700".parse().unwrap()), None);
        assert_eq!(source_address(CONNECTIONS_PER_SOURCE, "[::1]:7700".parse().unwrap()), None);
    }

    #[test]
    fn a_connection_comes_from_the_chosen_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let source = Ipv4Addr::new(127, 0, 0, 2);
        let _socket = connect(address, Some(source)).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), IpAddr::V4(source));
    }
}
