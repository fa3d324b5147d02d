//! The frames, as values. Byte fields borrow from the buffer that they were decoded from.

use crate::code::Code;
use crate::group::{
    Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected, GroupSend, GroupState,
};

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
    /// A message from this device to a group.
    GroupSend = 17,
    /// The tick for it, or for a change of a group.
    GroupSent = 18,
    /// A send or change was not taken.
    GroupRejected = 19,
    /// An entry of a group's log.
    GroupDeliver = 20,
    /// Positions of a group that hold nothing for this device.
    GroupSkip = 21,
    /// This device stored a group's entries up to a position.
    GroupAck = 22,
    /// The person saw a group up to a position.
    GroupRead = 23,
    /// How far the members of a group are.
    GroupReceipt = 24,
    /// Asks how far which members are.
    GroupAsk = 25,
    /// Makes or changes a group.
    GroupChange = 26,
    /// How far this device has its groups.
    GroupResume = 27,
    /// Asks what a group is, and who is in it.
    GroupLook = 28,
    /// The answer to that.
    GroupState = 29,
    /// An inbox entry: this user was added to a group.
    GroupNotice = 30,
    /// This user is no member of a group (any more).
    GroupGone = 31,
    /// Whether the person has the program before them.
    Activity = 32,
    /// Asks to be told of people's presence.
    Watch = 33,
    /// Asks to be told no more.
    Unwatch = 34,
    /// Whether somebody is online, or was when.
    Presence = 35,
    /// Somebody writes.
    Typing = 36,
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
    pub const ALL: [Kind; 36] = [
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
        Kind::GroupSend,
        Kind::GroupSent,
        Kind::GroupRejected,
        Kind::GroupDeliver,
        Kind::GroupSkip,
        Kind::GroupAck,
        Kind::GroupRead,
        Kind::GroupReceipt,
        Kind::GroupAsk,
        Kind::GroupChange,
        Kind::GroupResume,
        Kind::GroupLook,
        Kind::GroupState,
        Kind::GroupNotice,
        Kind::GroupGone,
        Kind::Activity,
        Kind::Watch,
        Kind::Unwatch,
        Kind::Presence,
        Kind::Typing,
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
            Kind::GroupSend => "group_send",
            Kind::GroupSent => "group_sent",
            Kind::GroupRejected => "group_rejected",
            Kind::GroupDeliver => "group_deliver",
            Kind::GroupSkip => "group_skip",
            Kind::GroupAck => "group_ack",
            Kind::GroupRead => "group_read",
            Kind::GroupReceipt => "group_receipt",
            Kind::GroupAsk => "group_ask",
            Kind::GroupChange => "group_change",
            Kind::GroupResume => "group_resume",
            Kind::GroupLook => "group_look",
            Kind::GroupState => "group_state",
            Kind::GroupNotice => "group_notice",
            Kind::GroupGone => "group_gone",
            Kind::Activity => "activity",
            Kind::Watch => "watch",
            Kind::Unwatch => "unwatch",
            Kind::Presence => "presence",
            Kind::Typing => "typing",
        }
    }

    /// The flags that this kind may carry.
    pub(crate) const fn flags(self) -> u8 {
        match self {
            Kind::Send | Kind::GroupSend => FLAG_PARTS,
            Kind::Deliver | Kind::GroupDeliver => FLAG_PARTS | FLAG_OWN,
            Kind::Receipt => FLAG_OWN,
            _ => 0,
        }
    }

    /// Whether a client sends it because its person did something just now. Only such frames count for
    /// online and last seen: the rest (acknowledgements, pings, logins) programs send by themselves.
    #[must_use]
    pub const fn is_by_person(self) -> bool {
        matches!(
            self,
            Kind::Send
                | Kind::Read
                | Kind::GroupSend
                | Kind::GroupRead
                | Kind::GroupChange
                | Kind::Activity
                | Kind::Typing
        )
    }
}

/// An increasing list of numbers inside a frame: either a slice to encode or checked bytes to iterate.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// Numbers to encode, in increasing order.
    Slice(&'a [u64]),
    /// The encoded numbers of a decoded frame, already checked, and how many there are.
    Encoded(&'a [u8], usize),
}

impl<'a> Numbers<'a> {
    /// None.
    pub const EMPTY: Numbers<'static> = Numbers::Slice(&[]);

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Numbers::Slice(numbers) => numbers.len(),
            Numbers::Encoded(_, count) => *count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + 'a {
        let (slice, mut bytes) = match *self {
            Numbers::Slice(numbers) => (numbers, &[][..]),
            Numbers::Encoded(bytes, _) => (&[][..], bytes),
        };
        let next = move || {
            let (value, taken) = crate::varint::read(bytes).ok()?;
            bytes = &bytes[taken..];
            Some(value)
        };
        slice.iter().copied().chain(std::iter::from_fn(next))
    }
}

impl PartialEq for Numbers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Numbers<'_> {}

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
    /// See [`GroupSend`].
    GroupSend(GroupSend<'a>),
    /// Server → client: the entry is durable, and every member will be offered it.
    GroupSent {
        /// The group; for one that was just made, its number.
        group: u64,
        /// The device's number of the send or change.
        number: u64,
        /// Its position in the group's log.
        position: u64,
        /// When the server took it, in milliseconds since the Unix epoch; 0 if that was earlier.
        time_ms: u64,
    },
    /// See [`GroupRejected`].
    GroupRejected(GroupRejected),
    /// See [`GroupDeliver`].
    GroupDeliver(GroupDeliver<'a>),
    /// Server → client: the positions up to this one that were not delivered hold nothing for this device.
    GroupSkip {
        /// The group.
        group: u64,
        /// Position in its log.
        position: u64,
    },
    /// Client → server: every position up to this one is safe in this device's own store.
    GroupAck {
        /// The group.
        group: u64,
        /// Position in its log.
        position: u64,
    },
    /// Client → server: the person saw the group up to this position. Server → client: this is stored, and
    /// holds for all of the user's devices.
    GroupRead {
        /// The group.
        group: u64,
        /// Position in its log.
        position: u64,
    },
    /// See [`GroupReceipt`].
    GroupReceipt(GroupReceipt<'a>),
    /// Client → server: asks how far the members after this one are with an entry.
    GroupAsk {
        /// The group.
        group: u64,
        /// Position of the entry.
        position: u64,
        /// Members with larger numbers are told; 0 for the first ones.
        after: u64,
    },
    /// Client → server: makes a group (`group` is 0) or changes one.
    GroupChange {
        /// The group, or 0.
        group: u64,
        /// This device's number for it, from the same sequence as its sends to the group.
        number: u64,
        /// What is to be done.
        change: Change<'a>,
    },
    /// Client → server: how far this device has its groups, as pairs of (group, cursor), at most
    /// [`RESUME_MAX`](crate::limits::RESUME_MAX). From here on it is sent what it lacks of these.
    GroupResume {
        /// Each group once, in increasing order.
        cursors: Pairs<'a>,
    },
    /// Client → server: asks what a group is, with the members after this one.
    GroupLook {
        /// The group.
        group: u64,
        /// Members with larger numbers are told; 0 for the first ones.
        after: u64,
    },
    /// See [`GroupState`].
    GroupState(GroupState<'a>),
    /// See [`GroupNotice`].
    GroupNotice(GroupNotice),
    /// Server → client: this user is no member of the group: it left, was removed, or never was. What came
    /// before stays readable up to `position`.
    GroupGone {
        /// The group.
        group: u64,
        /// Last position for this user; 0 if there is none.
        position: u64,
    },
    /// Client → server: the person has the program before them (or no more).
    Activity {
        /// Whether they have.
        is_here: bool,
    },
    /// Client → server: tell me of these people's presence, now and when it changes.
    Watch {
        /// The people, at most [`USERS_MAX`](crate::limits::USERS_MAX).
        users: Numbers<'a>,
    },
    /// Client → server: no more.
    Unwatch {
        /// The people.
        users: Numbers<'a>,
    },
    /// Server → client: somebody's presence, as far as this user may know it.
    Presence {
        /// Who.
        user: u64,
        /// Whether the person is there now.
        is_online: bool,
        /// When the person was last there, in milliseconds since the Unix epoch; 0 where that isn't told.
        last_seen_ms: u64,
    },
    /// Somebody writes. Client → server: to whom; server → client: who.
    Typing {
        /// The group, or 0 in a conversation of two.
        group: u64,
        /// Client → server: the peer, or 0 in a group. Server → client: who writes.
        user: u64,
        /// Whether they write, or stopped.
        is_typing: bool,
    },
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
            Frame::GroupSend(_) => Kind::GroupSend,
            Frame::GroupSent { .. } => Kind::GroupSent,
            Frame::GroupRejected(_) => Kind::GroupRejected,
            Frame::GroupDeliver(_) => Kind::GroupDeliver,
            Frame::GroupSkip { .. } => Kind::GroupSkip,
            Frame::GroupAck { .. } => Kind::GroupAck,
            Frame::GroupRead { .. } => Kind::GroupRead,
            Frame::GroupReceipt(_) => Kind::GroupReceipt,
            Frame::GroupAsk { .. } => Kind::GroupAsk,
            Frame::GroupChange { .. } => Kind::GroupChange,
            Frame::GroupResume { .. } => Kind::GroupResume,
            Frame::GroupLook { .. } => Kind::GroupLook,
            Frame::GroupState(_) => Kind::GroupState,
            Frame::GroupNotice(_) => Kind::GroupNotice,
            Frame::GroupGone { .. } => Kind::GroupGone,
            Frame::Activity { .. } => Kind::Activity,
            Frame::Watch { .. } => Kind::Watch,
            Frame::Unwatch { .. } => Kind::Unwatch,
            Frame::Presence { .. } => Kind::Presence,
            Frame::Typing { .. } => Kind::Typing,
            Frame::Unknown { .. } => return None,
        })
    }
}
