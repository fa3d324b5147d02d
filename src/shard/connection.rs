//! A connection as the shard sees it: where its login stands, its unread input, its unwritten
//! output, and the session once it is logged in.
//!
//! ```text
//! Hello ──► Authenticating ──► Login ──► Open ──► Closing
//!   │             │  └► handed over        │         ▲
//!   └─────────────┴───────────────┴────────┴─────────┘
//! ```

use std::collections::VecDeque;

use bytes::Bytes;
use fulmar_protocol::Assembly;

use super::seam::{Arrival, ConnId, DeviceId, Origin, UserId};

/// Where a connection stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Waits for the hello.
    Hello,
    /// Waits for the verdict on the token.
    Authenticating(Box<Arrival>),
    /// Waits for the user's inbox to be loaded, or for a new device to be stored.
    Login(Box<Arrival>),
    /// Logged in.
    Open(Box<Session>),
    /// Was told why it ends; only its output still goes out.
    Closing,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnId,
    pub(super) stage: Stage,
    /// Input that is not a complete frame yet, or that waits because the connection is paused.
    pub(super) input: Vec<u8>,
    /// Encoded frames that the driver has not taken.
    pub(super) output: Vec<u8>,
    /// The driver writes output that it took.
    pub(super) writing: bool,
    /// Named in the effects of this turn already.
    pub(super) flush_queued: bool,
    /// Input isn't looked at, since the client has too many sends or too much output waiting.
    pub(super) paused: bool,
    /// When the last frame came, or when the stage began; on the monotonic clock.
    pub(super) heard_ms: u64,
    /// When the frame in `input` began; 0 while none is split.
    pub(super) partial_ms: u64,
    /// When the earliest timer entry of this connection fires.
    pub(super) armed_ms: u64,
}

impl Connection {
    pub(super) const fn new(id: ConnId, stage: Stage, mono_ms: u64) -> Self {
        Connection {
            id,
            stage,
            input: Vec::new(),
            output: Vec::new(),
            writing: false,
            flush_queued: false,
            paused: false,
            heard_ms: mono_ms,
            partial_ms: 0,
            armed_ms: u64::MAX,
        }
    }

    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.stage {
            Stage::Open(session) => Some(session),
            _ => None,
        }
    }
}

/// A message that was sent to the device and is not acknowledged, or a position that was skipped.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub(super) position: u64,
    /// The author, or 0 where there is no receipt to give: a copy, or a skipped position.
    pub(super) author: UserId,
    pub(super) ordinal: u64,
    /// The inbox's running total of bytes at this position.
    pub(super) total_bytes: u64,
    /// Counts in the window; a skipped position doesn't.
    pub(super) body_bytes: Option<u32>,
}

/// A large body on its way to the device.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) body: Bytes,
    /// Bytes that were put into frames.
    pub(super) done: usize,
}

/// A large send of which not all has come.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) origin: Origin,
    pub(super) peer: UserId,
    pub(super) content: u8,
    pub(super) assembly: Assembly,
}

/// A large body on its way from the device.
#[derive(Debug)]
pub(super) enum Upload {
    /// It is kept.
    Taken(Incoming),
    /// It was rejected; this many bytes of it are still to be ignored.
    Refused { rest_bytes: u64 },
}

/// A logged-in device.
///
/// Invariants: `acked < next`; positions in `window` rise, lie in `acked < p < next`, and every
/// such position is in it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    /// Slot of the user in the table; the user isn't evicted while it has a session.
    pub(super) user_slot: u32,
    pub(super) device: DeviceId,
    /// Everything up to here is safe on the device.
    pub(super) acked: u64,
    /// The next position to send.
    pub(super) next: u64,
    pub(super) window: VecDeque<InFlight>,
    /// Messages in `window`.
    pub(super) window_messages: u32,
    /// Body bytes in `window`.
    pub(super) window_bytes: u64,
    /// A position was passed over since the last frame that told the device so.
    pub(super) skip_untold: bool,
    /// A cold read for this session is under way.
    pub(super) loading: bool,
    /// Sends without an answer.
    pub(super) unanswered: u32,
    pub(super) upload: Option<Box<Upload>>,
    /// When the last piece of it came.
    pub(super) upload_ms: u64,
    pub(super) download: Option<Box<Download>>,
    /// Peers whose receipts could not be told since the output was full.
    pub(super) stalled_receipts: Vec<UserId>,
}

impl Session {
    pub(super) fn new(user: UserId, user_slot: u32, device: DeviceId, cursor: u64) -> Self {
        Session {
            user,
            user_slot,
            device,
            acked: cursor,
            next: cursor + 1,
            window: VecDeque::new(),
            window_messages: 0,
            window_bytes: 0,
            skip_untold: false,
            loading: false,
            unanswered: 0,
            upload: None,
            upload_ms: 0,
            download: None,
            stalled_receipts: Vec::new(),
        }
    }

    /// Notes that the position at `next` was sent to the device or passed over.
    pub(super) fn advance(&mut self, flight: InFlight) {
        debug_assert_eq!(flight.position, self.next);
        self.next += 1;
        match flight.body_bytes {
            Some(bytes) => {
                self.window_messages += 1;
                self.window_bytes += u64::from(bytes);
            }
            None => self.skip_untold = true,
        }
        self.window.push_back(flight);
    }

    /// Takes the oldest position out of the window if it is acknowledged by `through`, or was
    /// passed over and so needs no acknowledgement.
    pub(super) fn settle(&mut self, through: u64) -> Option<InFlight> {
        let oldest = self.window.front()?;
        if oldest.position > through && oldest.body_bytes.is_some() {
            return None;
        }
        let settled = self.window.pop_front()?;
        self.acked = settled.position;
        if let Some(bytes) = settled.body_bytes {
            self.window_messages -= 1;
            self.window_bytes -= u64::from(bytes);
        }
        Some(settled)
    }
}
