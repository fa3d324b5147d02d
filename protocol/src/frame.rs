//! The frames, as values. Byte fields borrow from the buffer that they were decoded from.

use crate::code::Code;

/// What a frame is. The number is the low six bits of the kind byte.
///
/// Numbers from 32 upwards are *skippable*: a peer that doesn't know one ignores the frame. An
/// unknown number below 32 ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Client's first frame.
    Hello = 1,
    /// The login succeeded.
    Welcome = 2,
    /// The login failed; the connection closes.
    Refuse = 3,
    /// A message from this device to a peer.
    Send = 4,
    /// More bytes of the large body in progress in this direction.
    Part = 5,
    /// The tick: a send is durable.
    Sent = 6,
    /// A send was not taken.
    Rejected = 7,
    /// A message for this device.
    Deliver = 8,
    /// Positions that hold nothing for this device.
    Skip = 9,
    /// This device stored everything up to a position.
    Ack = 10,
    /// The person saw a conversation up to an ordinal.
    Read = 11,
    /// How far a peer received and read.
    Receipt = 12,
    /// Asks for the receipt of a peer.
    Ask = 13,
    /// Are you there.
    Ping = 14,
    /// Yes, and these are the heads of your logs.
    Pong = 15,
    /// The connection ends, with a reason.
    Goodbye = 16,
}

/// First skippable kind number.
pub(crate) const SKIPPABLE_FIRST: u8 = 32;
/// The bits of the kind byte that number the kind.
pub(crate) const KIND_MASK: u8 = 0x3f;
/// Flag of send and deliver: the body continues in part frames.
pub(crate) const FLAG_PARTS: u8 = 0x40;
/// Flag of deliver and receipt: about what this user itself sent or read elsewhere.
pub(crate) const FLAG_OWN: u8 = 0x80;

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 16] = [
        Kind::Hello,
        Kind::Welcome,
        Kind::Refuse,
        Kind::Send,
        Kind::Part,
        Kind::Sent,
        Kind::Rejected,
        Kind::Deliver,
        Kind::Skip,
        Kind::Ack,
        Kind::Read,
        Kind::Receipt,
        Kind::Ask,
        Kind::Ping,
        Kind::Pong,
        Kind::Goodbye,
    ];

    /// The kind with this number, if it is defined.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Kind> {
        if number == 0 || number as usize > Kind::ALL.len() {
            return None;
        }
        Some(Kind::ALL[number as usize - 1])
    }

    /// A stable name in snake case, for logs, metrics and vectors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Hello => "hello",
            Kind::Welcome => "welcome",
            Kind::Refuse => "refuse",
            Kind::Send => "send",
            Kind::Part => "part",
            Kind::Sent => "sent",
            Kind::Rejected => "rejected",
            Kind::Deliver => "deliver",
            Kind::Skip => "skip",
            Kind::Ack => "ack",
            Kind::Read => "read",
            Kind::Receipt => "receipt",
            Kind::Ask => "ask",
            Kind::Ping => "ping",
            Kind::Pong => "pong",
            Kind::Goodbye => "goodbye",
        }
    }

    /// The flags that this kind may carry.
    pub(crate) const fn flags(self) -> u8 {
        match self {
            Kind::Send => FLAG_PARTS,
            Kind::Deliver => FLAG_PARTS | FLAG_OWN,
            Kind::Receipt => FLAG_OWN,
            _ => 0,
        }
    }
}

/// A list of number pairs inside a frame: either a slice to encode or checked bytes to iterate.
#[derive(Debug, Clone, Copy)]
pub enum Pairs<'a> {
    /// Pairs to encode.
    Slice(&'a [(u64, u64)]),
    /// The encoded pairs of a decoded frame, already checked, and how many there are.
    Encoded(&'a [u8], usize),
}

impl<'a> Pairs<'a> {
    /// How many pairs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Pairs::Slice(pairs) => pairs.len(),
            Pairs::Encoded(_, count) => *count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pairs in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + 'a {
        let (slice, mut bytes) = match *self {
            Pairs::Slice(pairs) => (pairs, &[][..]),
            Pairs::Encoded(bytes, _) => (&[][..], bytes),
        };
        let mut next = move || {
            let (value, taken) = crate::varint::read(bytes).ok()?;
            bytes = &bytes[taken..];
            Some(value)
        };
        slice.iter().copied().chain(std::iter::from_fn(move || Some((next()?, next()?))))
    }
}

impl PartialEq for Pairs<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Pairs<'_> {}

/// Client → server, first: who connects and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Lowest protocol version that the client speaks.
    pub version_min: u64,
    /// Highest protocol version that the client speaks.
    pub version_max: u64,
    /// Optional behaviour that the client offers, a bit each.
    pub capabilities: u64,
    /// The user that logs in, from 1.
    pub user: u64,
    /// The device of the user, 1 to [`DEVICE_MAX`](crate::limits::DEVICE_MAX).
    pub device: u64,
    /// A PASETO v4.public token, or nothing where the server runs in development mode.
    pub token: &'a [u8],
    /// Name and version of the client program, for logs. Without control characters.
    pub agent: &'a str,
    /// How far this device has each log: pairs of (log, cursor), each log once and in increasing
    /// order. Log 0 is the inbox, other numbers are groups; everything up to the cursor is safe in
    /// the device's store.
    pub cursors: Pairs<'a>,
}

/// Server → client: the login succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// Protocol version in use on this connection.
    pub version: u64,
    /// The offered capabilities that the server takes.
    pub capabilities: u64,
    /// Number of this session; a later session of the same device has a larger one.
    pub session: u64,
    /// The server's clock, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Largest body that the server takes, in bytes.
    pub body_bytes_max: u64,
    /// The server sends at most this many messages that are not acknowledged yet.
    pub window_messages: u64,
    /// The server sends no further message while this many body bytes are not acknowledged; the
    /// message that reaches them is sent whole.
    pub window_bytes: u64,
    /// The client may have at most this many sends without an answer.
    pub sends_max: u64,
    /// The server closes a connection on which it heard nothing for this long, in seconds.
    pub idle_s: u64,
    /// The head of each log of this user: pairs of (log, head), each log once and in increasing
    /// order. Log 0 is the inbox; head is the position of the last message, 0 in a log that never
    /// had one.
    pub heads: Pairs<'a>,
}

/// Client → server: a message, or the first part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send<'a> {
    /// The user that it is for.
    pub peer: u64,
    /// This device's number for it, increasing within its sends to this peer.
    pub number: u64,
    /// What the body is; opaque to the server.
    pub content: u8,
    /// Length of the whole body where it continues in part frames; `None` where it is all here.
    pub total_bytes: Option<u64>,
    /// The body, or its first bytes; at most
    /// [`PART_BYTES_MAX`](crate::limits::PART_BYTES_MAX).
    pub body: &'a [u8],
}

/// Server → client: a message from the inbox, or the first part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deliver<'a> {
    /// Its position in this user's inbox.
    pub position: u64,
    /// Who sent it; for a copy of a message that this user sent (`own`), who it was sent to.
    pub peer: u64,
    /// Which message of its direction (sender → recipient) it is, from 1.
    pub ordinal: u64,
    /// When the server took it, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What the body is; opaque to the server.
    pub content: u8,
    /// Whether it is a copy of what this user sent from another device.
    pub own: bool,
    /// Length of the whole body where it continues in part frames; `None` where it is all here.
    pub total_bytes: Option<u64>,
    /// The body, or its first bytes; at most
    /// [`PART_BYTES_MAX`](crate::limits::PART_BYTES_MAX).
    pub body: &'a [u8],
}

/// Either side: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye<'a> {
    /// Why.
    pub code: Code,
    /// Earliest time to come back, in milliseconds from now.
    pub retry_after_ms: u64,
    /// Where to go instead (`host:port`), or empty.
    pub address: &'a str,
    /// What was wrong and what is allowed, for people.
    pub detail: &'a str,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// See [`Hello`].
    Hello(Hello<'a>),
    /// See [`Welcome`].
    Welcome(Welcome<'a>),
    /// Server → client: the login failed.
    Refuse {
        /// Why.
        code: Code,
        /// Earliest time to try again, in milliseconds from now; 0 where it makes no sense.
        retry_after_ms: u64,
        /// What was wrong and what is allowed, for people.
        detail: &'a str,
    },
    /// See [`Send`].
    Send(Send<'a>),
    /// Both: the next bytes of the body in progress in this direction.
    Part {
        /// At least one byte, at most [`PART_BYTES_MAX`](crate::limits::PART_BYTES_MAX).
        body: &'a [u8],
    },
    /// Server → client: the tick. The message is durable and will be offered to every device of
    /// the recipient.
    Sent {
        /// Who it was sent to.
        peer: u64,
        /// The device's number of the send.
        number: u64,
        /// Which message from this user to the peer it is, from 1.
        ordinal: u64,
        /// When the server took it, in milliseconds since the Unix epoch.
        time_ms: u64,
    },
    /// Server → client: the send was not taken and nothing of it is kept.
    Rejected {
        /// Who it was sent to.
        peer: u64,
        /// The device's number of the send. It is spent: a new attempt takes a new number.
        number: u64,
        /// Why.
        code: Code,
        /// Earliest time to try again, in milliseconds from now; 0 where it makes no sense.
        retry_after_ms: u64,
    },
    /// See [`Deliver`].
    Deliver(Deliver<'a>),
    /// Server → client: the positions up to this one that were not delivered hold nothing for this
    /// device (its own sends, or messages past their expiry).
    Skip {
        /// Position in the inbox.
        position: u64,
    },
    /// Client → server: every position up to this one is safe in this device's own store.
    Ack {
        /// Position in the inbox.
        position: u64,
    },
    /// Client → server: the person saw the messages of this peer up to this ordinal.
    Read {
        /// Who wrote them.
        peer: u64,
        /// Ordinal of the last one seen.
        ordinal: u64,
    },
    /// Server → client: how far the peer is with what this user sent to it. With `own`: how far
    /// this user is, on its other devices, with what the peer sent.
    Receipt {
        /// The other user of the conversation.
        peer: u64,
        /// A device of the recipient stored everything up to this ordinal.
        delivered: u64,
        /// The recipient saw everything up to this ordinal.
        read: u64,
        /// Whether the messages meant are the peer's and the cursors this user's.
        own: bool,
    },
    /// Client → server: asks for the receipt of this peer, answered whatever it is.
    Ask {
        /// The other user of the conversation.
        peer: u64,
    },
    /// Client → server: keeps the connection; answered by a pong.
    Ping,
    /// Server → client: the heads of the user's logs, as pairs of (log, head).
    Pong {
        /// Log 0 is the inbox.
        heads: Pairs<'a>,
    },
    /// See [`Goodbye`].
    Goodbye(Goodbye<'a>),
    /// A skippable frame that this version doesn't know.
    Unknown {
        /// Its kind byte, flags included.
        kind: u8,
    },
}

impl Frame<'_> {
    /// The frame's kind; `None` for an unknown one.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        Some(match self {
            Frame::Hello(_) => Kind::Hello,
            Frame::Welcome(_) => Kind::Welcome,
            Frame::Refuse { .. } => Kind::Refuse,
            Frame::Send(_) => Kind::Send,
            Frame::Part { .. } => Kind::Part,
            Frame::Sent { .. } => Kind::Sent,
            Frame::Rejected { .. } => Kind::Rejected,
            Frame::Deliver(_) => Kind::Deliver,
            Frame::Skip { .. } => Kind::Skip,
            Frame::Ack { .. } => Kind::Ack,
            Frame::Read { .. } => Kind::Read,
            Frame::Receipt { .. } => Kind::Receipt,
            Frame::Ask { .. } => Kind::Ask,
            Frame::Ping => Kind::Ping,
            Frame::Pong { .. } => Kind::Pong,
            Frame::Goodbye(_) => Kind::Goodbye,
            Frame::Unknown { .. } => return None,
        })
    }
}
