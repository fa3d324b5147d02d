//! One connection.

use std::net::TcpStream;

use fulmar_protocol::Frame;

/// Where a connection is.
///
/// ```text
/// Closed ──open──► Connecting ──connected──► Greeted ──welcome──► Ready
///    ▲                                                              │
///    └──────────────────────────── close ───────────────────────────┘
/// ```
/// Any other end of a connection ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No socket.
    Closed,
    /// The handshake of TCP is under way.
    Connecting,
    /// The hello is sent.
    Greeted,
    /// Logged in.
    Ready,
}

/// What the server's welcome allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Sends without an answer at once.
    pub sends_max: u64,
    /// Longest body, in bytes.
    pub body_bytes_max: u64,
    /// After this silence the server closes the connection, in seconds.
    pub idle_s: u64,
}

/// One connection and its bytes.
#[derive(Debug)]
pub struct Link {
    pub(super) socket: Option<TcpStream>,
    pub(super) stage: Stage,
    /// Counts the sockets of this link, so that an event of an old one is told apart.
    pub(super) generation: u32,
    /// The beginning of a frame whose rest has not come.
    pub(super) partial: Vec<u8>,
    /// Encoded frames; the first `out_written` bytes are with the kernel.
    pub(super) out: Vec<u8>,
    pub(super) out_written: usize,
    /// The socket was full: wait until it can be written.
    pub(super) blocked: bool,
    /// Whether the link is in the list of those to be flushed at the end of the turn.
    pub(super) queued: bool,
    /// The script wants it closed.
    pub(super) closing: bool,
    pub(super) opened_ns: u64,
    pub(super) written_ns: u64,
    /// Pings of the keep-alive whose pong is out. The script pings only what it wrote to lately,
    /// so pongs of the two never mix.
    pub(super) keep_alives: u32,
    pub(super) terms: Terms,
}

impl Link {
    pub(super) const fn new() -> Link {
        Link {
            socket: None,
            stage: Stage::Closed,
            generation: 0,
            partial: Vec::new(),
            out: Vec::new(),
            out_written: 0,
            blocked: false,
            queued: false,
            closing: false,
            opened_ns: 0,
            written_ns: 0,
            keep_alives: 0,
            terms: Terms { sends_max: 0, body_bytes_max: 0, idle_s: 0 },
        }
    }

    /// Where the connection is.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) const fn is_open(&self) -> bool {
        self.socket.is_some()
    }
}

/// A connection in the hands of a script, which queues frames on it.
#[derive(Debug)]
pub struct Port<'a> {
    /// Which user of the run, from 0.
    pub index: usize,
    /// The run's clock when the bytes at hand arrived, in nanoseconds.
    pub now_ns: u64,
    pub(super) user: u64,
    pub(super) link: &'a mut Link,
}

impl Port<'_> {
    /// Queues a frame for this turn's write.
    #[inline]
    pub fn queue(&mut self, frame: &Frame<'_>) {
        frame.encode(&mut self.link.out);
    }

    /// The user's number on the wire.
    pub const fn user(&self) -> u64 {
        self.user
    }

    /// When the connection was begun, of the run's clock, in nanoseconds.
    pub const fn opened_ns(&self) -> u64 {
        self.link.opened_ns
    }

    /// Encoded bytes that wait for the socket.
    #[inline]
    pub const fn pending_bytes(&self) -> usize {
        self.link.out.len() - self.link.out_written
    }

    /// What the server's welcome allows.
    pub const fn terms(&self) -> Terms {
        self.link.terms
    }

    /// Closes the connection at the end of this read, as a phone that loses its network does.
    pub const fn close(&mut self) {
        self.link.closing = true;
    }
}
