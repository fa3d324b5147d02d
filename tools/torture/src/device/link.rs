//! One connection and its bytes.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fulmar_protocol::Frame;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_linger;

use crate::limits::{CONNECT, READ_BYTES};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Link {
    socket: TcpStream,
    /// Where the server was, to which it connected. Each process of it is somewhere else.
    pub(super) server: SocketAddr,
    /// What came and isn't handled yet.
    pub(super) input: Vec<u8>,
    /// Encoded frames.
    output: Vec<u8>,
    /// Of the output, this many bytes are with the kernel.
    written: usize,
}

impl Link {
    /// Connects; on loopback this takes no time unless the server hangs.
    pub(super) fn connect(server: SocketAddr) -> io::Result<Link> {
        let socket = TcpStream::connect_timeout(&server, CONNECT)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Link { socket, server, input: Vec::new(), output: Vec::new(), written: 0 })
    }

    /// Queues a frame.
    pub(super) fn queue(&mut self, frame: &Frame<'_>) {
        frame.encode(&mut self.output);
    }

    /// Encoded bytes that are not with the kernel.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// Waits until there is something to read (if `reads`), room for what is to be written, or the
    /// time is over.
    pub(super) fn wait(&self, reads: bool, longest: Duration) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, reads);
        flags.set(PollFlags::OUT, self.pending_bytes() > 0);
        let timeout = Timespec {
            tv_sec: longest.as_secs().cast_signed(),
            tv_nsec: i64::from(longest.subsec_nanos()),
        };
        if flags.is_empty() {
            // A poll for nothing would return at once, and again and again, once the peer is gone.
            std::thread::sleep(longest);
            return;
        }
        // An error shows in the read or the write that follows.
        let _ = poll(&mut [PollFd::new(&self.socket, flags)], Some(&timeout));
    }

    /// Reads once; whether something came. An error means that the connection is over.
    pub(super) fn receive(&mut self) -> io::Result<bool> {
        let held = self.input.len();
        self.input.resize(held + READ_BYTES, 0);
        let result = self.socket.read(&mut self.input[held..]);
        self.input.truncate(held + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if is_transient(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands the kernel as much as it takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.pending_bytes() > 0 {
            match self.socket.write(&self.output[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if is_transient(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Closes without a farewell, and without sending what is queued: the server gets a reset.
    pub(super) fn reset(self) {
        // Without the option the server gets an ordinary end, which is as good a test.
        let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
