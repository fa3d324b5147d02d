//! The life of one socket as a state machine without I/O.
//!
//! ```text
//!             close              send over                EOF
//!   Open ──────────────► Flushing ───────► Discarding ─────────────────────► closed
//!    │ │  detach                                                               ▲
//!    │ └──────────────► Detaching ──── nothing in flight ──► handed out        │
//!    │                                                                         │ nothing
//!    │ EOF, error, abort (the last two from every state)                       │ in flight
//!    └──────────────► Breaking ──────── the kernel is told ──────────────► Ending
//! ```
//!
//! Receiving is kept apart: what its owner wants ([`Wanted`]) and what the kernel has
//! ([`Receiving`]). Each input changes one of them; [`Lifecycle::next_due`] then says what has to be
//! done to bring them together, until there is nothing more. A socket is released only when the
//! kernel has nothing of it in flight: until then it may still write completions, and an operation in
//! flight keeps the connection open whatever we do with the descriptor.

/// What the owner wants of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Paused.
    Nothing,
    /// The next bytes, then paused. Nothing has to be cancelled afterwards.
    Once,
    /// All bytes as they come.
    Always,
}

/// What the kernel has of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// Nothing is in flight.
    Idle,
    /// In flight.
    Armed,
    /// In flight, and a cancel is too.
    Cancelling,
    /// Nothing is in flight; it is armed again at the end of the turn, after all buffers of the turn
    /// went back to the kernel.
    Waiting,
    /// Over: the peer's end was seen, or an error. Never armed again.
    Ended,
}

/// What is in flight of sending.
#[derive(Debug)]
pub(super) enum Sending {
    /// Nothing.
    Idle,
    /// A buffer, of which the kernel took the first `written` bytes. The kernel reads the rest, so it
    /// is neither changed nor freed before the completion.
    InFlight { buffer: Vec<u8>, written: u32 },
}

/// Why a socket was closed, as small as a slot can hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The peer ended its direction.
    PeerEof,
    /// An operation failed with this error number.
    Error(i32),
    /// The owner asked for it.
    Local,
}

/// Where a socket is in its life; the drawing is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    Detaching,
    Flushing,
    Discarding,
    Breaking(Reason),
    Ending(Reason),
}

/// What has to be done next for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before the next input.
    Nothing,
    /// Arm a receive (never [`Wanted::Nothing`]).
    Arm(Wanted),
    /// Cancel the receive.
    CancelReceive,
    /// Send FIN; if there is no connection any more, call [`Lifecycle::not_connected`].
    ShutdownWrite,
    /// End the send in flight.
    EndSend,
    /// Break the connection off.
    Reset,
    /// The socket is over: remove it, and hand out its descriptor.
    Detach,
    /// The socket is over: remove it, and close its descriptor.
    Close(Reason),
}

/// What became of a send.
#[derive(Debug)]
pub(super) enum Written {
    /// Everything was written.
    Whole(Vec<u8>),
    /// The rest has to be submitted.
    Part,
    /// The socket is ending; the rest doesn't matter.
    Dropped,
}

/// One socket's state.
#[derive(Debug)]
pub(super) struct Lifecycle {
    sending: Sending,
    life: Life,
    wanted: Wanted,
    receiving: Receiving,
}

/// What the owner asks for.
impl Lifecycle {
    pub(super) fn new(wanted: Wanted) -> Lifecycle {
        Lifecycle { sending: Sending::Idle, life: Life::Open, wanted, receiving: Receiving::Idle }
    }

    /// Pauses or resumes receiving. A resume for the next bytes only doesn't narrow an earlier one
    /// for all.
    pub(super) fn want(&mut self, wanted: Wanted) {
        if self.life != Life::Open || (wanted == Wanted::Once && self.wanted == Wanted::Always) {
            return;
        }
        self.wanted = wanted;
        if wanted == Wanted::Nothing && self.receiving == Receiving::Waiting {
            self.receiving = Receiving::Idle;
        }
    }

    /// Whether a send can begin.
    pub(super) fn takes_sends(&self) -> bool {
        self.life == Life::Open
    }

    /// Begins a send; its first bytes are the whole of [`Lifecycle::unsent`].
    pub(super) fn send(&mut self, buffer: Vec<u8>) {
        assert!(self.takes_sends());
        assert!(matches!(self.sending, Sending::Idle), "one send in flight per socket");
        self.sending = Sending::InFlight { buffer, written: 0 };
    }

    /// The bytes that the kernel hasn't taken yet. Empty where no send is in flight.
    pub(super) fn unsent(&self) -> &[u8] {
        match &self.sending {
            Sending::Idle => &[],
            Sending::InFlight { buffer, written } => &buffer[*written as usize..],
        }
    }

    pub(super) fn detach(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Detaching;
            self.wanted = Wanted::Nothing;
        }
    }

    pub(super) fn close(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Flushing;
            self.wanted = Wanted::Always;
        }
    }

    pub(super) fn abort(&mut self) {
        self.break_off(Reason::Local);
    }

    /// Ends the socket, for the end of the ring, which tells the kernel itself.
    pub(super) fn abandon(&mut self) {
        self.life = Life::Ending(Reason::Local);
    }
}

/// What completed.
impl Lifecycle {
    /// Whether received bytes are for the owner (or else discarded).
    pub(super) fn reports_input(&self) -> bool {
        matches!(self.life, Life::Open | Life::Detaching)
    }

    /// Bytes came. `more` says whether the receive is still in flight.
    pub(super) fn received(&mut self, more: bool) {
        debug_assert!(self.is_receive_in_flight());
        if self.wanted == Wanted::Once {
            self.wanted = Wanted::Nothing;
        }
        if !more {
            self.receive_over();
        }
    }

    /// The receive ended although the connection goes on: no buffer was free, it was cancelled, or
    /// the kernel had its own reasons.
    pub(super) fn receive_over(&mut self) {
        debug_assert!(self.is_receive_in_flight());
        self.receiving = match self.wanted {
            Wanted::Nothing => Receiving::Idle,
            Wanted::Once | Wanted::Always => Receiving::Waiting,
        };
    }

    /// The peer ended its direction.
    pub(super) fn received_eof(&mut self) {
        debug_assert!(self.is_receive_in_flight());
        self.receiving = Receiving::Ended;
        match self.life {
            Life::Open | Life::Detaching => self.life = Life::Breaking(Reason::PeerEof),
            // The peer may still be reading what is being flushed.
            Life::Flushing | Life::Discarding | Life::Breaking(_) | Life::Ending(_) => {}
        }
    }

    /// Receiving failed.
    pub(super) fn receive_failed(&mut self, errno: i32) {
        debug_assert!(self.is_receive_in_flight());
        self.receiving = Receiving::Ended;
        self.break_off(Reason::Error(errno));
    }

    /// A cancel found nothing to cancel. If the receive is in flight all the same it was on its way
    /// between two states in the kernel, and the cancel has to be repeated (true).
    pub(super) fn is_cancel_lost(&self) -> bool {
        self.receiving == Receiving::Cancelling
    }

    /// The kernel took `bytes` more bytes of the send.
    pub(super) fn sent(&mut self, bytes: u32) -> Written {
        let Sending::InFlight { buffer, written } = &mut self.sending else {
            unreachable!("a send completes once");
        };
        *written += bytes;
        assert!(*written as usize <= buffer.len(), "the kernel writes no more than it was given");
        if (*written as usize) < buffer.len() && !self.is_ending() {
            return Written::Part;
        }
        match std::mem::replace(&mut self.sending, Sending::Idle) {
            Sending::InFlight { buffer, written } if written as usize == buffer.len() => {
                Written::Whole(buffer)
            }
            _ => Written::Dropped,
        }
    }

    /// Sending failed. The rest of the bytes is dropped.
    pub(super) fn send_failed(&mut self, errno: i32) -> Written {
        debug_assert!(self.is_send_in_flight());
        self.sending = Sending::Idle;
        self.break_off(Reason::Error(errno));
        Written::Dropped
    }

    /// FIN couldn't be sent: there is no connection any more.
    pub(super) fn not_connected(&mut self) {
        self.break_off(Reason::Error(libc::ENOTCONN));
    }
}

/// What follows.
impl Lifecycle {
    /// What has to be done next. The state is moved on as if it had been done, so it is to be done
    /// before anything else, and then to be asked again until it is [`Due::Nothing`] or the socket is
    /// removed.
    pub(super) fn next_due(&mut self) -> Due {
        match self.life {
            Life::Detaching if self.is_quiet() => Due::Detach,
            Life::Flushing if !self.is_send_in_flight() => {
                self.life = Life::Discarding;
                Due::ShutdownWrite
            }
            Life::Discarding if self.receiving == Receiving::Ended => Due::Close(Reason::Local),
            Life::Open | Life::Detaching | Life::Flushing | Life::Discarding => {
                self.due_of_receiving()
            }
            Life::Breaking(reason) => {
                self.life = Life::Ending(reason);
                self.due_of_breaking(reason)
            }
            Life::Ending(reason) if self.is_quiet() => Due::Close(reason),
            Life::Ending(_) => Due::Nothing,
        }
    }

    /// Stops a receive for a turn; it waits for the end of the next. False if it isn't armed.
    pub(super) fn rest(&mut self) -> bool {
        if self.receiving != Receiving::Armed {
            return false;
        }
        self.receiving = Receiving::Cancelling;
        true
    }

    /// Whether receiving is to be armed at the end of the turn.
    pub(super) fn is_waiting(&self) -> bool {
        self.receiving == Receiving::Waiting
    }

    /// The turn is over: receiving that waited may be armed.
    pub(super) fn turn_over(&mut self) {
        if self.receiving == Receiving::Waiting {
            self.receiving = Receiving::Idle;
        }
    }

    pub(super) fn is_send_in_flight(&self) -> bool {
        matches!(self.sending, Sending::InFlight { .. })
    }

    fn due_of_receiving(&mut self) -> Due {
        match (self.receiving, self.wanted) {
            (Receiving::Idle, Wanted::Once | Wanted::Always) => {
                self.receiving = Receiving::Armed;
                Due::Arm(self.wanted)
            }
            (Receiving::Armed, Wanted::Nothing) => {
                self.receiving = Receiving::Cancelling;
                Due::CancelReceive
            }
            _ => Due::Nothing,
        }
    }

    fn due_of_breaking(&self, reason: Reason) -> Due {
        match reason {
            // The last bytes written still go out, then FIN; only a send that waits is ended.
            Reason::PeerEof if self.is_send_in_flight() => Due::EndSend,
            Reason::PeerEof => self.due_of_ending(reason),
            // A failed receive is over, a failed send may leave a receive that would wait for ever.
            Reason::Error(_) if self.is_quiet() => self.due_of_ending(reason),
            Reason::Error(_) | Reason::Local => Due::Reset,
        }
    }

    fn due_of_ending(&self, reason: Reason) -> Due {
        if self.is_quiet() { Due::Close(reason) } else { Due::Nothing }
    }

    fn break_off(&mut self, reason: Reason) {
        if !self.is_ending() {
            self.life = Life::Breaking(reason);
        }
    }

    fn is_ending(&self) -> bool {
        matches!(self.life, Life::Breaking(_) | Life::Ending(_))
    }

    fn is_receive_in_flight(&self) -> bool {
        matches!(self.receiving, Receiving::Armed | Receiving::Cancelling)
    }

    fn is_quiet(&self) -> bool {
        !self.is_receive_in_flight() && !self.is_send_in_flight()
    }
}

#[cfg(test)]
mod tests;
