//! The ring as its owner sees it: calls that queue work, one that waits, one that hands out.

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::buffers::Buffers;
use super::completion::Completion;
use super::config::RingConfig;
use super::counters::Counters;
use super::descriptor;
use super::lifecycle::{Due, Lifecycle, Wanted, Written};
use super::listeners::Listeners;
use super::queues::{Completed, Queues};
use super::sockets::{SocketKey, Sockets};
use super::start_error::StartError;
use super::token::{Kind, Token};

/// A socket that takes more than this part of the shared buffers in one turn is greedy.
const SHARE_DIVISOR: u16 = 4;
/// At most this part of the shared buffers is promised to starved sockets in one turn; arming more
/// of them would only make them starve again, at the cost of a completion each.
const REARM_DIVISOR: u16 = 2;
/// Greedy sockets that are armed again in one turn.
const GREEDY_REARMS: usize = 1;
/// How long the end of a ring waits for the next completion, for the kernel to let go of our memory.
pub(super) const END_WAIT: Duration = Duration::from_secs(2);

/// The sockets of one thread; see the [module](super).
pub struct Ring {
    queues: Queues,
    /// Known to the kernel until `drop`.
    buffers: ManuallyDrop<Buffers>,
    sockets: ManuallyDrop<Sockets>,
    listeners: Listeners,
    /// The wake-up descriptor; taken at the end of the ring.
    eventfd: Option<OwnedFd>,
    /// Sockets that were over when the owner asked for something, to be reported.
    finished: Vec<Completion<'static>>,
    /// Sockets whose receive is to be armed again, oldest first. May name dead ones.
    starved: VecDeque<SocketKey>,
    /// The same for greedy ones, with the turn in which their receive ended.
    greedy: VecDeque<(SocketKey, u16)>,
    /// Number of the drain in progress.
    turn: u16,
    /// Whether [`Completion::Woken`] was reported in this turn.
    is_woken: bool,
    counters: Counters,
}

/// Making it, and its listeners.
impl Ring {
    /// Makes a ring that belongs to the calling thread.
    pub fn new(config: &RingConfig) -> Result<Ring, StartError> {
        config.check()?;
        let queues = Queues::open(config)?;
        let buffers = Buffers::allocate(config.buffers, config.buffer_bytes);
        // SAFETY: the buffers are withdrawn before they are dropped; on an error here the kernel
        // never knew them.
        unsafe { queues.offer(&buffers) }.map_err(|error| {
            let feature = "rings of provided buffers";
            StartError::of_step("registering buffers", feature, config.pool_bytes(), error)
        })?;
        Ok(Ring {
            queues,
            buffers: ManuallyDrop::new(buffers),
            sockets: ManuallyDrop::new(Sockets::new(config.sockets_max)),
            listeners: Listeners::default(),
            eventfd: None,
            finished: Vec::new(),
            starved: VecDeque::new(),
            greedy: VecDeque::new(),
            turn: 0,
            is_woken: false,
            counters: Counters::default(),
        })
    }

    /// Accepts connections from a listening socket until [`Ring::stop_listening`]. May be called for
    /// several. Accepted sockets inherit the listener's options: set `TCP_NODELAY` there.
    pub fn listen(&mut self, listener: OwnedFd) {
        descriptor::clear_nonblocking(listener.as_fd());
        self.listeners.add(listener, &mut self.queues);
    }

    /// Stops accepting and closes all listeners. Connections accepted meanwhile are still reported.
    pub fn stop_listening(&mut self) {
        self.listeners.stop(&mut self.queues);
    }

    /// Reports every write to this eventfd as [`Completion::Woken`], so that other threads can end a
    /// [`Ring::wait`]. It is never read: the kernel tells of each write, and the sum doesn't matter.
    /// At most one per ring.
    pub fn watch(&mut self, eventfd: OwnedFd) {
        assert!(self.eventfd.is_none(), "a ring watches one eventfd");
        self.queues.poll(eventfd.as_raw_fd(), Token::other(Kind::Wake));
        self.eventfd = Some(eventfd);
    }

    /// How many sockets are on the ring.
    pub fn sockets(&self) -> u32 {
        self.sockets.len()
    }

    /// What the ring counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// What the owner asks for a socket. A key that is dead, or dies before the ring comes to it, is no
/// error: its end is on the way to the owner.
impl Ring {
    /// Adds a connected socket and reports all bytes that come. Gives the descriptor back if the ring
    /// has `sockets_max` sockets.
    pub fn add(&mut self, fd: OwnedFd) -> Result<SocketKey, OwnedFd> {
        self.insert(fd, Wanted::Always)
    }

    /// Like [`Ring::add`], but after the first bytes receiving is paused until [`Ring::resume`] or
    /// [`Ring::resume_once`]. A socket in that state is detached without a cancel, for which the kernel
    /// searches one of at most 256 lists: that costs 0.6 µs among 1,000 sockets, 2.2 µs among 10,000,
    /// and so on in proportion.
    pub fn add_once(&mut self, fd: OwnedFd) -> Result<SocketKey, OwnedFd> {
        self.insert(fd, Wanted::Once)
    }

    /// Whether the socket is still on the ring. If not, its end was reported or is about to be.
    pub fn contains(&self, key: SocketKey) -> bool {
        self.sockets.contains(key)
    }

    /// Sends bytes (at least one). One send may be in flight per socket: the next may begin after
    /// [`Completion::Sent`]. Gives the bytes back if the socket is ending.
    pub fn send(&mut self, key: SocketKey, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        assert!(!bytes.is_empty(), "a send has at least one byte");
        match self.sockets.get_mut(key) {
            Some(socket) if socket.lifecycle.takes_sends() => socket.lifecycle.send(bytes),
            _ => return Err(bytes),
        }
        self.submit_unsent(key);
        Ok(())
    }

    /// Stops receiving. What had arrived at the ring by then is still reported; the rest stays in the
    /// kernel, and when its buffer is full the peer can't send any more.
    pub fn pause(&mut self, key: SocketKey) {
        self.change(key, |lifecycle| lifecycle.want(Wanted::Nothing));
    }

    /// Receives again.
    pub fn resume(&mut self, key: SocketKey) {
        self.change(key, |lifecycle| lifecycle.want(Wanted::Always));
    }

    /// Receives the next bytes and pauses again.
    pub fn resume_once(&mut self, key: SocketKey) {
        self.change(key, |lifecycle| lifecycle.want(Wanted::Once));
    }

    /// Takes the socket off the ring with its connection intact, after the send in flight. Ends as
    /// [`Completion::Detached`], or as `Closed` if the connection ends first.
    pub fn detach(&mut self, key: SocketKey) {
        self.change(key, Lifecycle::detach);
    }

    /// Closes in order: the send in flight is completed, FIN follows, and what the peer still sends
    /// is discarded until it ends its side too. (Closing with unread bytes would send RST, which
    /// destroys what the peer hasn't read yet.) A peer that never ends its side keeps the socket: call
    /// [`Ring::abort`] after a while.
    pub fn close(&mut self, key: SocketKey) {
        self.change(key, Lifecycle::close);
    }

    /// Closes now: the peer gets RST, and whatever waits in either direction is lost.
    pub fn abort(&mut self, key: SocketKey) {
        self.change(key, Lifecycle::abort);
    }

    fn insert(&mut self, fd: OwnedFd, wanted: Wanted) -> Result<SocketKey, OwnedFd> {
        descriptor::clear_nonblocking(fd.as_fd());
        let key = self.sockets.insert(fd, Lifecycle::new(wanted))?;
        let finished = self.settle(key);
        debug_assert!(finished.is_none(), "a new socket isn't over");
        Ok(key)
    }

    fn change(&mut self, key: SocketKey, change: impl FnOnce(&mut Lifecycle)) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        change(&mut socket.lifecycle);
        let finished = self.settle(key);
        self.finished.extend(finished);
    }
}

/// A turn.
impl Ring {
    /// Submits everything queued and waits for a completion, at most as long as `timeout` says:
    /// `None` as long as it takes, zero not at all. May return early and with nothing to drain, and
    /// returning with nothing doesn't mean that nothing is left to do. An error means that the kernel
    /// lost completions or refuses the ring: it can't be used any further.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let has_work = !self.finished.is_empty()
            || !self.starved.is_empty()
            || !self.greedy.is_empty()
            || self.queues.completed() > 0;
        let timeout = if has_work { Some(Duration::ZERO) } else { timeout };
        self.queues.enter(timeout, &mut self.counters)
    }

    /// Hands out what completed, and returns how many times it called back. What comes in meanwhile
    /// is left for the next turn.
    pub fn drain(&mut self, mut on: impl FnMut(Completion<'_>)) -> usize {
        self.turn = self.turn.wrapping_add(1);
        self.is_woken = false;
        let mut count = 0;
        let mut on = |completion: Completion<'_>| {
            count += 1;
            on(completion);
        };
        for completion in self.finished.drain(..) {
            on(completion);
        }
        for _ in 0..self.queues.completed() {
            let Some(completed) = self.queues.pop() else { break };
            self.complete(completed, &mut on);
        }
        self.rearm();
        count
    }

    fn complete(&mut self, completed: Completed, on: &mut impl FnMut(Completion<'_>)) {
        self.counters.completions += 1;
        let Token { kind, key } = completed.token;
        match kind {
            Kind::Receive => self.receive_completed(completed, on),
            Kind::Send => self.send_completed(completed, on),
            Kind::CancelReceive => self.cancel_failed(key),
            Kind::Accept => self.accept_completed(completed, on),
            Kind::CancelAccept => {
                let is_repeated = self.listeners.cancel_failed(key.slot, &mut self.queues);
                self.counters.cancel_retries += u64::from(is_repeated);
            }
            Kind::AcceptRetry => self.listeners.rest_over(key.slot, &mut self.queues),
            Kind::Wake => self.woken(completed.more, on),
            Kind::CancelAtEnd => {}
        }
    }

    fn accept_completed(&mut self, completed: Completed, on: &mut impl FnMut(Completion<'_>)) {
        let Completed { token, result, more, .. } = completed;
        let errno = (result < 0).then_some(-result);
        if result >= 0 {
            self.counters.accepts += 1;
            // SAFETY: the kernel just opened this descriptor for us, and told nobody else.
            let fd = unsafe { OwnedFd::from_raw_fd(result) };
            on(Completion::Accepted { fd });
        } else if -result != libc::ECANCELED {
            self.counters.accept_errors += 1;
            on(Completion::AcceptFailed { error: io::Error::from_raw_os_error(-result) });
        }
        if !more {
            self.listeners.accept_over(token.key.slot, errno, &mut self.queues);
        }
    }

    fn woken(&mut self, more: bool, on: &mut impl FnMut(Completion<'_>)) {
        if let Some(eventfd) = &self.eventfd
            && !more
        {
            self.counters.rearms += 1;
            self.queues.poll(eventfd.as_raw_fd(), Token::other(Kind::Wake));
        }
        if !self.is_woken {
            self.is_woken = true;
            on(Completion::Woken);
        }
    }

    /// Arms receives that ended. It is the end of the turn: every buffer that the kernel had filled
    /// is free again. The receives queued here are tried before the kernel runs those that waited for
    /// readiness, so starved sockets come first; and a greedy one comes behind them, after it sat out
    /// a whole turn.
    fn rearm(&mut self) {
        let most = usize::from((self.buffers.count() / REARM_DIVISOR).max(1));
        for _ in 0..self.starved.len().min(most) {
            let Some(key) = self.starved.pop_front() else { break };
            self.rearm_one(key);
        }
        for _ in 0..GREEDY_REARMS {
            match self.greedy.front() {
                Some(&(key, turn)) if turn != self.turn => {
                    self.greedy.pop_front();
                    self.rearm_one(key);
                }
                _ => break,
            }
        }
    }

    fn rearm_one(&mut self, key: SocketKey) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        if socket.lifecycle.is_waiting() {
            socket.lifecycle.turn_over();
            self.counters.rearms += 1;
            let finished = self.settle(key);
            self.finished.extend(finished);
        }
    }
}

/// Completions of sockets.
impl Ring {
    fn receive_completed(&mut self, completed: Completed, on: &mut impl FnMut(Completion<'_>)) {
        let Completed { token: Token { key, .. }, result, more, buffer } = completed;
        let buffer = buffer.map(|id| self.buffers.take(id));
        let Some(socket) = self.sockets.get_mut(key) else {
            self.counters.stale_completions += 1;
            if let Some(buffer) = buffer {
                self.buffers.give_back(buffer);
            }
            return;
        };
        debug_assert!(result <= 0 || buffer.is_some(), "bytes come in a buffer");
        if let Some(buffer) = buffer {
            if result > 0 {
                socket.share.take(self.turn);
                if socket.lifecycle.reports_input() {
                    self.counters.received_bytes += result as u64;
                    let bytes = self.buffers.bytes(&buffer, result as usize);
                    on(Completion::Received { key, bytes });
                } else {
                    self.counters.discarded_bytes += result as u64;
                }
            }
            self.buffers.give_back(buffer);
        }
        let lifecycle = &mut socket.lifecycle;
        match result {
            1.. => lifecycle.received(more),
            0 => lifecycle.received_eof(),
            error => match -error {
                libc::ENOBUFS => {
                    self.counters.enobufs += 1;
                    lifecycle.receive_over();
                }
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => lifecycle.receive_over(),
                errno => lifecycle.receive_failed(errno),
            },
        }
        let is_greedy = socket.share.taken(self.turn) > self.buffers.count() / SHARE_DIVISOR;
        if lifecycle.is_waiting() && is_greedy {
            self.greedy.push_back((key, self.turn));
        } else if lifecycle.is_waiting() {
            self.starved.push_back(key);
        } else if is_greedy && lifecycle.rest() {
            self.counters.rests += 1;
            self.cancel_receive(key);
        }
        if !more || result <= 0 {
            self.settle_and_report(key, on);
        }
    }

    fn send_completed(&mut self, completed: Completed, on: &mut impl FnMut(Completion<'_>)) {
        let Completed { token: Token { key, .. }, result, .. } = completed;
        let Some(socket) = self.sockets.get_mut(key) else {
            self.counters.stale_completions += 1;
            return;
        };
        let written = match result {
            1.. => {
                self.counters.sent_bytes += result as u64;
                socket.lifecycle.sent(result as u32)
            }
            error => match -error {
                libc::EINTR | libc::EAGAIN | libc::ECANCELED => socket.lifecycle.sent(0),
                // A stream takes a byte at least, or fails; never mind, it isn't tried for ever.
                0 => socket.lifecycle.send_failed(libc::EPIPE),
                errno => socket.lifecycle.send_failed(errno),
            },
        };
        match written {
            Written::Part => {
                self.counters.short_writes += 1;
                self.submit_unsent(key);
                return;
            }
            Written::Whole(mut buffer) => {
                buffer.clear();
                on(Completion::Sent { key, buffer });
            }
            Written::Dropped => {}
        }
        self.settle_and_report(key, on);
    }

    fn cancel_failed(&mut self, key: SocketKey) {
        let socket = self.sockets.get_mut(key);
        if socket.is_some_and(|socket| socket.lifecycle.is_cancel_lost()) {
            self.counters.cancel_retries += 1;
            self.cancel_receive(key);
        }
    }

    fn cancel_receive(&mut self, key: SocketKey) {
        let receive = Token::socket(Kind::Receive, key);
        self.queues.cancel(receive, Token::socket(Kind::CancelReceive, key));
    }

    fn submit_unsent(&mut self, key: SocketKey) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let fd = socket.raw_fd();
        let bytes = socket.lifecycle.unsent();
        // SAFETY: the bytes belong to the socket's state, which lets go of them only when the send
        // completed. A socket is removed only with no send in flight, and the table outlives what is
        // in flight (see `drop`). The heap memory of a `Vec` stays where it is when the `Vec` moves.
        unsafe { self.queues.send(fd, Token::socket(Kind::Send, key), bytes) }
    }

    fn settle_and_report(&mut self, key: SocketKey, on: &mut impl FnMut(Completion<'_>)) {
        if let Some(completion) = self.settle(key) {
            on(completion);
        }
    }

    /// Does what is due for a socket, until nothing is. Returns how it ended, if it did.
    fn settle(&mut self, key: SocketKey) -> Option<Completion<'static>> {
        loop {
            let socket = self.sockets.get_mut(key)?;
            match socket.lifecycle.next_due() {
                Due::Nothing => return None,
                Due::Arm(wanted) => {
                    let token = Token::socket(Kind::Receive, key);
                    self.queues.receive(socket.raw_fd(), token, wanted);
                }
                Due::CancelReceive => self.cancel_receive(key),
                Due::ShutdownWrite => {
                    if !descriptor::shutdown_write(socket.fd()) {
                        socket.lifecycle.not_connected();
                    }
                }
                Due::EndSend => descriptor::shutdown_both(socket.fd()),
                Due::Reset => descriptor::reset(socket.fd()),
                Due::Detach => {
                    let fd = self.sockets.remove(key)?.into_fd();
                    return Some(Completion::Detached { key, fd });
                }
                Due::Close(reason) => {
                    drop(self.sockets.remove(key));
                    return Some(Completion::Closed { key, reason: reason.into() });
                }
            }
        }
    }
}

impl Ring {
    /// Closes everything and waits for what is in flight, since the kernel may use our memory until
    /// then. Whether it is through with all of it.
    fn wind_up(&mut self) -> bool {
        self.stop_listening();
        if self.eventfd.take().is_some() {
            self.queues.cancel(Token::other(Kind::Wake), Token::other(Kind::CancelAtEnd));
        }
        for key in self.sockets.keys() {
            if let Some(socket) = self.sockets.get_mut(key) {
                // Ends what is in flight without a search for it, which takes the kernel a time that
                // grows with the square of the number of sockets.
                descriptor::shutdown_both(socket.fd());
            }
            self.change(key, Lifecycle::abandon);
        }
        let mut progress = Instant::now();
        while self.queues.in_flight() > 0 && progress.elapsed() < END_WAIT {
            let before = self.counters.completions;
            if self.wait(Some(Duration::from_millis(10))).is_err() {
                break;
            }
            self.drain(|completion| drop(completion));
            if self.counters.completions == before {
                self.queues.cancel_all();
            } else {
                progress = Instant::now();
            }
        }
        self.queues.in_flight() == 0 && self.queues.withdraw().is_ok()
    }
}

impl Drop for Ring {
    /// Closes everything. Should the kernel ever stop completing what is in flight, its memory is leaked
    /// rather than freed.
    fn drop(&mut self) {
        if self.wind_up() {
            // SAFETY: nothing is in flight and the kernel gave the buffers back. Neither is used
            // after this.
            unsafe {
                ManuallyDrop::drop(&mut self.sockets);
                ManuallyDrop::drop(&mut self.buffers);
            }
        }
    }
}

#[cfg(test)]
mod tests;
