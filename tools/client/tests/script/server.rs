//! A server that does what a script says, on a loopback socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Welcome, split_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::frames::{IN_PASSING, NO_GROUPS, WELCOME, describe};

/// What a script waits for comes within this time, or the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) address: String,
    /// The first number of a send that any connection brought; lines count from it.
    base: Arc<AtomicU64>,
}

/// One connection of a client.
pub(crate) struct Peer {
    stream: TcpStream,
    bytes: Vec<u8>,
    base: Arc<AtomicU64>,
    /// What was left out of it so far as said in passing.
    #[allow(dead_code, reason = "only scripts of the chat look at it")]
    pub(crate) in_passing: Vec<String>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Server { listener, address, base: Arc::default() }
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) =
            timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, bytes: Vec::new(), base: self.base.clone(), in_passing: Vec::new() }
    }

    /// Accepts a login; the line of its hello.
    pub(crate) async fn login_with(&self, welcome: Welcome<'_>) -> (Peer, String) {
        let mut peer = self.accept().await;
        let hello = peer.next().await.expect("a hello");
        assert!(hello.starts_with("hello "), "{hello}");
        peer.say(&[Frame::Welcome(welcome)]).await;
        (peer, hello)
    }

    pub(crate) async fn login(&self) -> Peer {
        self.login_with(WELCOME).await.0
    }
}

impl Peer {
    /// The next frame as a line; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((frame, rest)) = split_frame(&self.bytes, FRAME_BYTES_MAX).expect("frames")
            {
                let frame = Frame::decode(frame).expect("a frame");
                let number = match &frame {
                    Frame::Send(send) => Some(send.number),
                    Frame::GroupSend(send) => Some(send.number),
                    Frame::GroupChange { number, .. } => Some(*number),
                    _ => None,
                };
                if let Some(number) = number {
                    let first = (0, number, Ordering::Relaxed, Ordering::Relaxed);
                    let _ = self.base.compare_exchange(first.0, first.1, first.2, first.3);
                }
                let line = describe(&frame, self.base());
                self.bytes = rest.to_vec();
                if line == NO_GROUPS || IN_PASSING.iter().any(|word| line.starts_with(word)) {
                    self.in_passing.push(line);
                    continue;
                }
                return Some(line);
            }
            let read = self.stream.read_buf(&mut self.bytes);
            match timeout(PATIENCE, read).await.expect("a frame in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next frame that is not a ping, which a slow machine may bring in between.
    pub(crate) async fn expect(&mut self, line: &str) {
        loop {
            match self.next().await.as_deref() {
                Some("ping") if line != "ping" => {}
                next => return assert_eq!(next, Some(line)),
            }
        }
    }

    pub(crate) async fn say(&mut self, frames: &[Frame<'_>]) {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        self.say_bytes(&bytes).await;
    }

    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("room").unwrap();
    }

    /// The number of the send that lines show as 0.
    pub(crate) fn base(&self) -> u64 {
        self.base.load(Ordering::Relaxed)
    }
}
