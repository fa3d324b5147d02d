//! All connections: opening, writing, keeping alive and closing them.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fulmar_protocol::{Frame, Hello, Pairs, VERSION};
use rustix::event::epoll;

use super::connect;
use super::link::{Link, Port, Stage};
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::limits::OPENING_MAX;

/// The connections of a run, by index of their user.
#[derive(Debug)]
pub struct Links {
    server: SocketAddr,
    first_user: u64,
    epoll: OwnedFd,
    all: Vec<Link>,
    to_open: VecDeque<u32>,
    opening: usize,
    ready: usize,
    /// Links with something to write at the end of the turn. Invariant: exactly those that say so.
    to_flush: Vec<u32>,
    logins: Latencies,
}

impl Links {
    pub(super) fn new(server: SocketAddr, first_user: u64, users: usize) -> Result<Links, Failure> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| Failure::system("creating an epoll")(error.into()))?;
        Ok(Links {
            server,
            first_user,
            epoll,
            all: (0..users).map(|_| Link::new()).collect(),
            to_open: VecDeque::new(),
            opening: 0,
            ready: 0,
            to_flush: Vec::with_capacity(users),
            logins: Latencies::default(),
        })
    }

    /// Opens a connection and logs in its user, a device with an empty store, as soon as fewer than
    /// [`OPENING_MAX`] logins are under way.
    pub fn open(&mut self, index: usize) {
        assert_eq!(self.all[index].stage, Stage::Closed, "a link is closed before it is opened");
        self.to_open.push_back(index as u32);
    }

    /// Number of connections that are logged in.
    pub const fn ready(&self) -> usize {
        self.ready
    }

    /// Whether this user is logged in.
    pub fn is_ready(&self, index: usize) -> bool {
        self.all[index].stage == Stage::Ready
    }

    /// Number of users.
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are no users.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The connection of a user, to queue frames on. They are written at the end of the turn.
    pub fn port(&mut self, index: usize, now_ns: u64) -> Port<'_> {
        let link = &mut self.all[index];
        if !link.queued {
            link.queued = true;
            self.to_flush.push(index as u32);
        }
        Port { index, now_ns, user: self.first_user + index as u64, link }
    }

    pub(super) fn into_logins(self) -> Latencies {
        self.logins
    }

    pub(super) fn link(&mut self, index: usize) -> &mut Link {
        &mut self.all[index]
    }

    pub(super) const fn user(&self, index: usize) -> u64 {
        self.first_user + index as u64
    }

    pub(super) fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// The link that an event's token means, unless its socket was closed since.
    pub(super) fn index_of(&self, token: u64) -> Option<usize> {
        let index = token as u32 as usize;
        let link = self.all.get(index)?;
        (link.is_open() && link.generation == (token >> 32) as u32).then_some(index)
    }

    pub(super) fn open_queued(&mut self, now_ns: u64) -> Result<(), Failure> {
        while self.opening < OPENING_MAX {
            let Some(index) = self.to_open.pop_front() else { break };
            self.connect(index as usize, now_ns)?;
        }
        Ok(())
    }

    fn connect(&mut self, index: usize, now_ns: u64) -> Result<(), Failure> {
        let (user, address) = (self.user(index), self.server);
        let failure = |source: io::Error| Failure::Connect { user, address, source };
        let source = connect::source_address(index, address);
        let socket = connect::connect(address, source).map_err(failure)?;
        let link = &mut self.all[index];
        link.generation = link.generation.wrapping_add(1);
        let data = token(index, link.generation);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        epoll::add(&self.epoll, &socket, data, flags).map_err(|error| failure(error.into()))?;
        link.socket = Some(socket);
        link.stage = Stage::Connecting;
        link.opened_ns = now_ns;
        self.opening += 1;
        Ok(())
    }

    /// Sends the hello on a connection that stands now, or says why it doesn't.
    pub(super) fn greet(&mut self, index: usize, now_ns: u64) -> Result<(), Failure> {
        let user = self.user(index);
        let link = &mut self.all[index];
        let Some(socket) = &link.socket else { return Ok(()) };
        if let Some(source) = socket.take_error().unwrap_or_else(Some) {
            return Err(Failure::Connect { user, address: self.server, source });
        }
        let data = token(index, link.generation);
        epoll::modify(&self.epoll, socket, data, epoll::EventFlags::IN)
            .map_err(|error| Failure::system("watching a socket")(error.into()))?;
        link.stage = Stage::Greeted;
        Frame::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            capabilities: 0,
            user,
            device: 1,
            token: &[],
            agent: concat!("fulmar-load/", env!("CARGO_PKG_VERSION")),
            cursors: Pairs::Slice(&[(0, 0)]),
        })
        .encode(&mut link.out);
        self.flush(index, now_ns)
    }

    pub(super) fn on_welcome(&mut self, index: usize, now_ns: u64) {
        let link = &mut self.all[index];
        link.stage = Stage::Ready;
        self.logins.record(now_ns.saturating_sub(link.opened_ns));
        self.opening -= 1;
        self.ready += 1;
    }

    /// Writes what is queued, in one call where the socket takes it.
    pub(super) fn flush(&mut self, index: usize, now_ns: u64) -> Result<(), Failure> {
        let user = self.user(index);
        let link = &mut self.all[index];
        let Some(mut socket) = link.socket.as_ref() else { return Ok(()) };
        while link.out_written < link.out.len() {
            match socket.write(&link.out[link.out_written..]) {
                Ok(written) => {
                    link.out_written += written;
                    link.written_ns = now_ns;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.block(index);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                // The reason, a goodbye perhaps, is still to be read; the read ends the run.
                Err(error) if is_closed_by_peer(&error) => break,
                Err(source) => return Err(Failure::Lost { user, source }),
            }
        }
        link.out.clear();
        link.out_written = 0;
        if link.blocked {
            link.blocked = false;
            self.watch(index, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    #[cold]
    fn block(&mut self, index: usize) -> Result<(), Failure> {
        let link = &mut self.all[index];
        link.out.drain(..link.out_written);
        link.out_written = 0;
        if link.blocked {
            return Ok(());
        }
        link.blocked = true;
        self.watch(index, epoll::EventFlags::IN | epoll::EventFlags::OUT)
    }

    fn watch(&self, index: usize, flags: epoll::EventFlags) -> Result<(), Failure> {
        let link = &self.all[index];
        let Some(socket) = &link.socket else { return Ok(()) };
        epoll::modify(&self.epoll, socket, token(index, link.generation), flags)
            .map_err(|error| Failure::system("watching a socket")(error.into()))
    }

    /// After a read: closes the link if the script wants it.
    pub(super) fn finish(&mut self, index: usize, now_ns: u64) -> Result<(), Failure> {
        if self.all[index].closing {
            self.close(index);
            return Ok(());
        }
        self.flush_unless_blocked(index, now_ns)
    }

    fn flush_unless_blocked(&mut self, index: usize, now_ns: u64) -> Result<(), Failure> {
        if self.all[index].blocked { Ok(()) } else { self.flush(index, now_ns) }
    }

    /// Closes a logged-in connection at once.
    pub fn close(&mut self, index: usize) {
        let link = &mut self.all[index];
        if link.stage == Stage::Ready {
            self.ready -= 1;
        }
        // The socket's close takes it out of the epoll as well.
        *link = Link { generation: link.generation, queued: link.queued, ..Link::new() };
    }

    pub(super) fn flush_queued(&mut self, now_ns: u64) -> Result<(), Failure> {
        for position in 0..self.to_flush.len() {
            let index = self.to_flush[position] as usize;
            self.all[index].queued = false;
            self.finish(index, now_ns)?;
        }
        self.to_flush.clear();
        Ok(())
    }

    /// Pings the connections that have been silent for a third of what the server allows.
    pub(super) fn keep_alive(&mut self, now_ns: u64) {
        for index in 0..self.all.len() {
            let link = &mut self.all[index];
            let silent_ns = now_ns.saturating_sub(link.written_ns);
            let ready = link.stage == Stage::Ready && link.terms.idle_s > 0;
            if ready && silent_ns >= link.terms.idle_s.saturating_mul(1_000_000_000 / 3) {
                link.keep_alives += 1;
                self.port(index, now_ns).queue(&Frame::Ping);
            }
        }
    }
}

fn token(index: usize, generation: u32) -> epoll::EventData {
    epoll::EventData::new_u64(u64::from(generation) << 32 | index as u64)
}

fn is_closed_by_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
