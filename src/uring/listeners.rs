//! The listening sockets of a ring.
//!
//! ```text
//!              error that repeats itself
//!   Accepting ─────────────────────────► Resting
//!    │  ▲   └── other error: at once ──┐   │  │
//!    │  └──────────────────────────────┴───┘  │
//!    │ stop                  pause over       │ stop
//!    ▼         accept over                    ▼
//!   Stopping ──────────────────────────► Stopped
//! ```

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::queues::Queues;
use super::token::{Kind, Token};

/// All listening sockets of a ring.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// By the index that their tokens carry. Never shrinks.
    listeners: Vec<Listener>,
}

impl Listeners {
    /// Accepts from one more.
    pub(super) fn add(&mut self, fd: OwnedFd, queues: &mut Queues) {
        let index = self.listeners.len() as u32;
        queues.accept(fd.as_raw_fd(), Token::listener(Kind::Accept, index));
        self.listeners.push(Listener::new(fd));
    }

    /// Stops all.
    pub(super) fn stop(&mut self, queues: &mut Queues) {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            listener.stop().submit(index as u32, queues);
        }
    }

    /// An accept is over; with which error, if with one.
    pub(super) fn accept_over(&mut self, index: u32, errno: Option<i32>, queues: &mut Queues) {
        self.listeners[index as usize].accept_over(errno).submit(index, queues);
    }

    /// A pause after an error is over.
    pub(super) fn rest_over(&mut self, index: u32, queues: &mut Queues) {
        self.listeners[index as usize].rest_over().submit(index, queues);
    }

    /// A cancel found nothing to cancel. It is repeated (true) if the accept is in flight all the
    /// same: it was on its way between two states in the kernel.
    pub(super) fn cancel_failed(&mut self, index: u32, queues: &mut Queues) -> bool {
        let is_lost = self.listeners[index as usize].state == State::Stopping;
        if is_lost {
            Due::CancelAccept.submit(index, queues);
        }
        is_lost
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// An accept is in flight.
    Accepting,
    /// A timer is in flight, after which accepting goes on.
    Resting,
    /// An accept is in flight, and so is its cancel.
    Stopping,
    /// No accept is in flight, and none will be.
    Stopped,
}

/// One listening socket.
#[derive(Debug)]
struct Listener {
    /// Open until the listener is stopped.
    fd: Option<OwnedFd>,
    state: State,
}

/// What has to be done for a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    Accept(RawFd),
    Rest,
    CancelAccept,
}

impl Due {
    fn submit(self, index: u32, queues: &mut Queues) {
        let accept = Token::listener(Kind::Accept, index);
        match self {
            Due::Nothing => {}
            Due::Accept(fd) => queues.accept(fd, accept),
            Due::Rest => queues.accept_retry(Token::listener(Kind::AcceptRetry, index)),
            Due::CancelAccept => {
                queues.cancel(accept, Token::listener(Kind::CancelAccept, index));
            }
        }
    }
}

impl Listener {
    /// A listener whose accept is to be queued now.
    fn new(fd: OwnedFd) -> Listener {
        Listener { fd: Some(fd), state: State::Accepting }
    }

    /// The accept is over; with which error, if with one.
    fn accept_over(&mut self, errno: Option<i32>) -> Due {
        match self.state {
            State::Accepting if errno.is_some_and(repeats_itself) => {
                self.state = State::Resting;
                Due::Rest
            }
            State::Accepting => self.due_accept(),
            State::Stopping => {
                self.fd = None;
                self.state = State::Stopped;
                Due::Nothing
            }
            State::Resting | State::Stopped => unreachable!("no accept was in flight"),
        }
    }

    /// The pause after an error is over.
    fn rest_over(&mut self) -> Due {
        if self.state != State::Resting {
            return Due::Nothing;
        }
        self.state = State::Accepting;
        self.due_accept()
    }

    fn stop(&mut self) -> Due {
        match self.state {
            State::Accepting => {
                self.state = State::Stopping;
                Due::CancelAccept
            }
            State::Resting => {
                self.fd = None;
                self.state = State::Stopped;
                Due::Nothing
            }
            State::Stopping | State::Stopped => Due::Nothing,
        }
    }

    fn due_accept(&self) -> Due {
        let fd = self.fd.as_ref().expect("a listener that isn't stopped is open");
        Due::Accept(fd.as_raw_fd())
    }
}

/// Whether an error of accepting is of this side (no descriptor or memory left, or a broken listener)
/// and would come again at once. Other errors are of one connection, which is gone.
fn repeats_itself(errno: i32) -> bool {
    !matches!(
        errno,
        libc::ECONNABORTED
            | libc::EINTR
            | libc::EAGAIN
            | libc::ECANCELED
            | libc::EPROTO
            | libc::EPERM
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENOPROTOOPT
            | libc::ENONET
            | libc::ETIMEDOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (Listener, RawFd) {
        let fd: OwnedFd = std::fs::File::open("/dev/null").expect("open /dev/null").into();
        let raw = fd.as_raw_fd();
        (Listener::new(fd), raw)
    }

    #[test]
    fn an_error_of_one_connection_goes_on_at_once() {
        let (mut listener, fd) = listener();
        assert_eq!(listener.accept_over(Some(libc::ECONNABORTED)), Due::Accept(fd));
        assert_eq!(listener.accept_over(None), Due::Accept(fd));
    }

    #[test]
    fn a_lack_of_descriptors_rests_first() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::EBADF] {
            let (mut listener, fd) = listener();
            assert_eq!(listener.accept_over(Some(errno)), Due::Rest);
            assert_eq!(listener.rest_over(), Due::Accept(fd));
        }
    }

    #[test]
    fn a_stop_waits_for_the_accept_and_not_for_the_rest() {
        let (mut accepting, _) = listener();
        assert_eq!(accepting.stop(), Due::CancelAccept);
        assert!(accepting.fd.is_some(), "open until the accept is over");
        assert_eq!(accepting.accept_over(Some(libc::ECANCELED)), Due::Nothing);
        assert!(accepting.fd.is_none());

        let (mut resting, _) = listener();
        assert_eq!(resting.accept_over(Some(libc::EMFILE)), Due::Rest);
        assert_eq!(resting.stop(), Due::Nothing);
        assert!(resting.fd.is_none());
        assert_eq!(resting.rest_over(), Due::Nothing);
        assert_eq!(resting.stop(), Due::Nothing);
    }
}
