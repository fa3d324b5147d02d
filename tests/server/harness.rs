//! A server process in a directory of its own, and a small blocking client.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Assembly, Chunks, Code, Frame, Hello, Pairs, Send, split_frame};
use tempfile::TempDir;

use super::groups::group_words;

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How a server is started.
pub(crate) struct Setup {
    pub(crate) options: Vec<String>,
}

impl Setup {
    /// Development mode, two cores.
    pub(crate) fn development() -> Self {
        Setup { options: vec!["--insecure-dev".into()] }
    }

    pub(crate) fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    pub(crate) fn start(self) -> Server {
        let directory = tempfile::tempdir().expect("temporary directory");
        Server::start(directory, self.options)
    }
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) control: Option<SocketAddr>,
    pub(crate) directory: TempDir,
    options: Vec<String>,
}

impl Server {
    pub(crate) fn start(directory: TempDir, options: Vec<String>) -> Server {
        let mut child = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
            .args(["--cores", "2", "--log", "warn"])
            .arg("--data-dir")
            .arg(directory.path().join("data"))
            .args(&options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("stdout");
        let (mut address, mut control) = (None, None);
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("text");
            if let Some(text) = line.strip_prefix("fulmar control on ") {
                control = Some(text.parse().expect("control address"));
            }
            if let Some(text) = line.strip_prefix("fulmar ready on ") {
                address = Some(text.parse().expect("address"));
                break;
            }
        }
        let Some(address) = address else {
            let status = child.wait().expect("exit status");
            panic!("the server ended before it was ready: {status}");
        };
        Server { child, address, control, directory, options }
    }

    /// Kills the server as a crash would and starts it again on the same data.
    pub(crate) fn crash_and_restart(mut self) -> Server {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
        self.again()
    }

    /// Starts a server that ended again, on the same data.
    pub(crate) fn restart_stopped(self) -> Server {
        self.again()
    }

    fn again(mut self) -> Server {
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().expect("dir"));
        let options = self.options.clone();
        drop(self);
        Server::start(directory, options)
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// Asks the server to stop and waits for it.
    pub(crate) fn stop(&mut self) -> std::process::ExitStatus {
        self.signal("-TERM");
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server doesn't end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Resident memory of the server, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kib * 1024
    }

    /// A page of the control plane: status line and body.
    pub(crate) fn http(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.control.expect("control")).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .expect("request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("response");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    pub(crate) fn login(&self, user: u64, device: u64) -> Client {
        let mut client = Client::connect(self.address);
        client.hello(user, device, b"", 0);
        client.welcome();
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `fulmar` command of this build.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fulmar"))
}

/// Runs `fulmar` with these arguments to its end; standard output.
pub(crate) fn fulmar(args: &[&str], directory: &Path) -> String {
    let output = command().args(args).current_dir(directory).output().expect("fulmar runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// What a client was sent, with bodies put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    Welcome {
        sends_max: u64,
        window_messages: u64,
        head: u64,
    },
    Refuse(Code),
    Sent {
        peer: u64,
        number: u64,
        ordinal: u64,
        is_repeat: bool,
    },
    Rejected {
        peer: u64,
        number: u64,
        code: Code,
    },
    Deliver {
        position: u64,
        peer: u64,
        ordinal: u64,
        own: bool,
        body: Vec<u8>,
    },
    Skip(u64),
    Receipt {
        peer: u64,
        delivered: u64,
        read: u64,
        own: bool,
    },
    Pong {
        head: u64,
    },
    Presence {
        user: u64,
        is_online: bool,
        last_seen_ms: u64,
    },
    Typing {
        user: u64,
        is_typing: bool,
    },
    GroupDeliver {
        group: u64,
        position: u64,
        author: u64,
        own: bool,
        content: u8,
        body: Vec<u8>,
    },
    /// Another frame about a group, in words.
    Group(String),
    /// An entry of a page, complete.
    Past {
        position: u64,
        own: bool,
        body: Vec<u8>,
    },
    HistoryEnd {
        from: u64,
        has_more: bool,
    },
    /// An item of the book: its version, kind, key and value.
    Item(u64, u8, Vec<u8>, Vec<u8>),
    PutRejected(Code),
    Book {
        version: u64,
        head: u64,
        reset: bool,
    },
    /// Somebody's profile: user, version and name.
    Profile(u64, u64, Vec<u8>),
    ProfileNews(u64, u64),
    Found(Vec<u8>, u64),
    Goodbye(Code),
    /// The server ended the connection.
    Eof,
}

/// A client that does what the test says and nothing by itself.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    upcoming: VecDeque<Got>,
    /// A large body that is arriving, and the message that it belongs to.
    large: Option<(Got, Assembly)>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        Client { stream, buffer: Vec::new(), upcoming: VecDeque::new(), large: None }
    }

    pub(crate) fn put(&mut self, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).expect("write");
    }

    pub(crate) fn hello(&mut self, user: u64, device: u64, token: &[u8], cursor: u64) {
        self.put(&Frame::Hello(Hello {
            version_min: 1,
            version_max: 1,
            capabilities: 0,
            user,
            device,
            token,
            agent: "fulmar-test",
            cursors: Pairs::Slice(&[(0, cursor)]),
        }));
    }

    pub(crate) fn welcome(&mut self) -> u64 {
        match self.next() {
            Got::Welcome { head, .. } => head,
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    /// Sends a message, in parts if it is large.
    pub(crate) fn send(&mut self, peer: u64, number: u64, body: &[u8]) {
        let total_bytes = Chunks::total_bytes(body);
        for (index, piece) in Chunks::new(body).enumerate() {
            if index == 0 {
                let send = Send { peer, number, content: 1, total_bytes, body: piece };
                self.put(&Frame::Send(send));
            } else {
                self.put(&Frame::Part { body: piece });
            }
        }
    }

    pub(crate) fn ack(&mut self, position: u64) {
        self.put(&Frame::Ack { position });
    }

    /// The next thing that the server sends, or the end of the connection.
    pub(crate) fn next(&mut self) -> Got {
        loop {
            if let Some(got) = self.upcoming.pop_front() {
                return got;
            }
            let mut chunk = [0; 16_384];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Got::Eof,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Got::Eof;
                }
                // With a timeout a read isn't begun anew by itself when a signal came.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing came: {error}"),
            }
            self.parse();
        }
    }

    /// The refusal that comes unasked, if one comes within a moment.
    pub(crate) fn refusal(&mut self) -> Option<Code> {
        self.stream.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk).ok()?;
        self.buffer.extend_from_slice(&chunk[..count]);
        self.parse();
        match self.upcoming.pop_front() {
            Some(Got::Refuse(code)) => Some(code),
            _ => None,
        }
    }

    /// Asserts what comes next.
    pub(crate) fn expect(&mut self, expected: &Got) {
        let got = self.next();
        assert_eq!(&got, expected);
    }

    /// The next delivery; skips everything else.
    pub(crate) fn delivery(&mut self) -> Got {
        loop {
            if let got @ (Got::Deliver { .. } | Got::Eof) = self.next() {
                return got;
            }
        }
    }

    /// The next tick; skips everything else.
    pub(crate) fn tick(&mut self) -> (u64, u64) {
        loop {
            match self.next() {
                Got::Sent { number, ordinal, .. } => return (number, ordinal),
                Got::Eof | Got::Rejected { .. } => panic!("no tick"),
                _ => {}
            }
        }
    }

    /// Waits until what this client's user acknowledged and was told of receipts is stored, as a crash
    /// soon after takes it. Skips everything that comes.
    pub(crate) fn let_it_be_stored(&mut self) {
        // It is written a moment later (PERSIST_DELAY_MS), and by then before anything else is.
        std::thread::sleep(Duration::from_millis(700));
        self.put(&Frame::Put { item: 200, key: b"after", value: b"it" });
        while !matches!(self.next(), Got::Item(..)) {}
    }

    /// Asserts that nothing comes for a short while.
    pub(crate) fn expect_nothing(&mut self) {
        self.stream.set_read_timeout(Some(Duration::from_millis(150))).expect("timeout");
        let mut chunk = [0; 4096];
        assert!(self.upcoming.is_empty(), "{:?}", self.upcoming);
        if let Ok(count) = self.stream.read(&mut chunk) {
            panic!("{count} unexpected bytes");
        }
        self.stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    }

    fn parse(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = &buffer[..];
        while let Some((frame, after)) = split_frame(rest, FRAME_BYTES_MAX).expect("a frame") {
            let frame = Frame::decode(frame).expect("a valid frame");
            self.take(&frame);
            rest = after;
        }
        self.buffer = rest.to_vec();
    }

    fn take(&mut self, frame: &Frame<'_>) {
        let got = match *frame {
            Frame::Welcome(welcome) => Got::Welcome {
                sends_max: welcome.sends_max,
                window_messages: welcome.window_messages,
                head: welcome.heads.iter().next().expect("the inbox").1,
            },
            Frame::Refuse { code, .. } => Got::Refuse(code),
            Frame::Sent { peer, number, ordinal, time_ms } => {
                Got::Sent { peer, number, ordinal, is_repeat: time_ms == 0 }
            }
            Frame::Rejected { peer, number, code, .. } => Got::Rejected { peer, number, code },
            Frame::Deliver(deliver) => {
                let got = Got::Deliver {
                    position: deliver.position,
                    peer: deliver.peer,
                    ordinal: deliver.ordinal,
                    own: deliver.own,
                    body: deliver.body.to_vec(),
                };
                let Some(got) = self.whole(got, deliver.total_bytes, deliver.body) else { return };
                got
            }
            Frame::GroupDeliver(deliver) => {
                let got = Got::GroupDeliver {
                    group: deliver.group,
                    position: deliver.position,
                    author: deliver.author,
                    own: deliver.own,
                    content: deliver.content,
                    body: deliver.body.to_vec(),
                };
                let Some(got) = self.whole(got, deliver.total_bytes, deliver.body) else { return };
                got
            }
            Frame::Part { body } => {
                let (mut got, mut assembly) = self.large.take().expect("a body in progress");
                if !assembly.push(body).expect("a piece that fits") {
                    self.large = Some((got, assembly));
                    return;
                }
                if let Got::Deliver { body, .. }
                | Got::GroupDeliver { body, .. }
                | Got::Past { body, .. } = &mut got
                {
                    *body = assembly.into_body();
                }
                got
            }
            Frame::Past(past) => {
                let (position, own) = (past.position, past.own);
                let got = Got::Past { position, own, body: past.body.to_vec() };
                if let Some(total_bytes) = past.total_bytes {
                    assert!(self.large.is_none(), "two large bodies at once");
                    self.large = Some((got, Assembly::new(total_bytes as usize, past.body)));
                    return;
                }
                got
            }
            Frame::HistoryEnd(end) => Got::HistoryEnd { from: end.from, has_more: end.has_more },
            Frame::Skip { position } => Got::Skip(position),
            Frame::Receipt { peer, delivered, read, own } => {
                Got::Receipt { peer, delivered, read, own }
            }
            Frame::Pong { heads } => Got::Pong { head: heads.iter().next().expect("inbox").1 },
            Frame::Presence { user, is_online, last_seen_ms } => {
                Got::Presence { user, is_online, last_seen_ms }
            }
            Frame::Typing { user, is_typing, .. } => Got::Typing { user, is_typing },
            Frame::Item(item) => {
                Got::Item(item.version, item.item, item.key.to_vec(), item.value.to_vec())
            }
            Frame::PutRejected(rejected) => Got::PutRejected(rejected.code),
            Frame::Book { version, head, reset } => Got::Book { version, head, reset },
            Frame::Profile(shown) => Got::Profile(shown.user, shown.version, shown.name.to_vec()),
            Frame::ProfileNews { user, version } => Got::ProfileNews(user, version),
            Frame::Found(found) => Got::Found(found.name.to_vec(), found.user),
            Frame::Goodbye(goodbye) => Got::Goodbye(goodbye.code),
            ref other => match group_words(other) {
                Some(words) => Got::Group(words),
                None => panic!("not a frame for clients: {other:?}"),
            },
        };
        self.upcoming.push_back(got);
    }

    /// What came, if its body is all here; else it waits for its parts.
    fn whole(&mut self, got: Got, total_bytes: Option<u64>, body: &[u8]) -> Option<Got> {
        let Some(total_bytes) = total_bytes else { return Some(got) };
        assert!(self.large.is_none(), "two large bodies at once");
        self.large = Some((got, Assembly::new(total_bytes as usize, body)));
        None
    }
}

/// A delivery of a peer's message.
pub(crate) fn deliver(position: u64, peer: u64, ordinal: u64, body: &[u8]) -> Got {
    Got::Deliver { position, peer, ordinal, own: false, body: body.to_vec() }
}

/// The tick of a first send.
pub(crate) fn sent(peer: u64, number: u64, ordinal: u64) -> Got {
    Got::Sent { peer, number, ordinal, is_repeat: false }
}
