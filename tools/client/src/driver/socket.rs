//! The connection as the driver sees it: one thing happens at a time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::limits::{CLOSE_MS_MAX, UNCONFIRMED_MS_MAX, WRITE_BYTES_FULL};

/// What happened to the connection.
#[derive(Debug)]
pub(super) enum Happened {
    /// It is open.
    Opened,
    /// Everything that was given to be written is written.
    Written,
    /// This many bytes were read into the buffer.
    Read(usize),
    /// It could not be opened, or is gone.
    Lost(String),
}

type Opening = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// ```text
///   Closed ──open──► Opening ──► Open ──close──► Closed, and a task that writes the rest, or a reset
///      ▲                │          │
///      └──── failure ───┴──────────┘
/// ```
enum State {
    Closed,
    Opening(Opening),
    Open(TcpStream),
}

/// At most one connection.
pub(super) struct Socket {
    state: State,
    /// Bytes to be written, of which `written` are.
    out: Vec<u8>,
    written: usize,
    /// Something came on this connection.
    is_answered: bool,
    /// The last connection that is being closed.
    finishing: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Closed => "closed",
            State::Opening(_) => "opening",
            State::Open(_) => "open",
        };
        write!(f, "Socket({state}, {} bytes to write)", self.out.len() - self.written)
    }
}

impl Socket {
    pub(super) const fn new() -> Self {
        Socket {
            state: State::Closed,
            out: Vec::new(),
            written: 0,
            is_answered: false,
            finishing: None,
        }
    }

    /// Starts to open a connection.
    pub(super) fn open(&mut self, address: String) {
        self.is_answered = false;
        self.state = State::Opening(Box::pin(connect(address)));
    }

    /// Gives bytes to be written.
    pub(super) fn write(&mut self, bytes: Vec<u8>) {
        if self.out.is_empty() {
            self.out = bytes;
        } else {
            self.out.extend(bytes);
        }
    }

    /// Closes the connection behind what was given to be written, without waiting for that. One on which
    /// nothing ever came is reset: the network might bring its hello to the server after that of the
    /// next connection, which it would replace.
    pub(super) fn close(&mut self) {
        let out = std::mem::take(&mut self.out);
        let written = std::mem::take(&mut self.written);
        if let State::Open(stream) = std::mem::replace(&mut self.state, State::Closed) {
            if !self.is_answered {
                // Where the system refuses, it is closed like any other.
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                return;
            }
            let last = async move { finish(&stream, &out[written..]).await };
            let bounded = async move {
                // Late or broken, there is nothing more to do for it.
                let _ = timeout(Duration::from_millis(CLOSE_MS_MAX), last).await;
            };
            self.finishing = Some(tokio::spawn(bounded));
        }
    }

    /// Waits for the last connection that is being closed.
    pub(super) async fn finished(&mut self) {
        if let Some(finishing) = self.finishing.take() {
            let _ = finishing.await;
        }
    }

    /// Waits for the next thing to happen; never returns while there is no connection. Reads only
    /// where `reads`. Nothing is lost where the returned future is dropped.
    pub(super) async fn next(&mut self, reads: bool, buffer: &mut [u8]) -> Happened {
        let happened = match &mut self.state {
            State::Closed => std::future::pending().await,
            State::Opening(opening) => match opening.await {
                Ok(stream) => {
                    self.state = State::Open(stream);
                    return Happened::Opened;
                }
                Err(error) => Happened::Lost(error.to_string()),
            },
            State::Open(stream) => {
                transfer(stream, &self.out, &mut self.written, reads, buffer).await
            }
        };
        match happened {
            Happened::Written | Happened::Lost(_) => {
                self.out.clear();
                self.written = 0;
            }
            Happened::Read(_) => self.is_answered = true,
            Happened::Opened => {}
        }
        if matches!(happened, Happened::Lost(_)) {
            self.state = State::Closed;
        }
        happened
    }
}

async fn connect(address: String) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A frame is written as soon as it exists; whatever may be combined already is.
    stream.set_nodelay(true)?;
    tune(&stream);
    Ok(stream)
}

/// A dead network ends the connection in a bounded time, and few bytes wait inside the kernel, so
/// that an acknowledgement or a ping doesn't stand behind a long queue. Where the kernel refuses,
/// everything still works, only slower to notice.
#[cfg(target_os = "linux")]
fn tune(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(UNCONFIRMED_MS_MAX)));
    let _ = socket.set_tcp_notsent_lowat(WRITE_BYTES_FULL as u32);
}

#[cfg(not(target_os = "linux"))]
fn tune(_: &TcpStream) {}

/// Writes and reads until something is complete.
async fn transfer(
    stream: &TcpStream,
    out: &[u8],
    written: &mut usize,
    reads: bool,
    buffer: &mut [u8],
) -> Happened {
    let interest = match (reads, out.is_empty()) {
        (true, true) => Interest::READABLE,
        (true, false) => Interest::READABLE | Interest::WRITABLE,
        (false, false) => Interest::WRITABLE,
        (false, true) => return std::future::pending().await,
    };
    loop {
        let attempt = match stream.ready(interest).await {
            Ok(ready) if ready.is_writable() && !out.is_empty() => {
                stream.try_write(&out[*written..]).map(|bytes| {
                    *written += bytes;
                    (*written == out.len()).then_some(Happened::Written)
                })
            }
            Ok(_) if reads => stream.try_read(buffer).map(|bytes| match bytes {
                0 => Some(Happened::Lost("closed by the server".into())),
                bytes => Some(Happened::Read(bytes)),
            }),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        match attempt {
            Ok(Some(happened)) => return happened,
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Happened::Lost(error.to_string()),
        }
    }
}

/// Writes the last bytes and waits until the server has closed its side too: closing with bytes
/// unread would throw away what was written last.
async fn finish(stream: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(bytes) => rest = &rest[bytes..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write)?;
    let mut ignored = [0; 4_096];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// How the server sees the end of a connection on which it said `answer`.
    async fn end_of_a_connection(answer: &[u8]) -> io::Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = Socket::new();
        socket.open(listener.local_addr().unwrap().to_string());
        let mut buffer = [0; 64];
        assert!(matches!(socket.next(true, &mut buffer).await, Happened::Opened));
        socket.write(b"hello".to_vec());
        assert!(matches!(socket.next(false, &mut buffer).await, Happened::Written));
        let (mut accepted, _) = listener.accept().unwrap();
        let mut hello = [0; 5];
        accepted.read_exact(&mut hello).unwrap();
        if !answer.is_empty() {
            accepted.write_all(answer).unwrap();
            assert!(matches!(socket.next(true, &mut buffer).await, Happened::Read(_)));
        }
        socket.close();
        tokio::task::spawn_blocking(move || accepted.read(&mut hello)).await.unwrap()
    }

    #[tokio::test]
    async fn an_answered_connection_is_closed_and_an_unanswered_one_is_reset() {
        assert_eq!(end_of_a_connection(b"welcome").await.unwrap(), 0);
        let error = end_of_a_connection(b"").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
