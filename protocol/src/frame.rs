//! The frames, as values. Byte fields borrow from the buffer that they were decoded from.

use crate::code::Code;
use crate::group::{
    Change, GroupDeliver, GroupNotice, GroupReceipt, GroupRejected, GroupSend, GroupState,
};
use crate::history::{History, HistoryEnd, Past};
use crate::kind::Kind;
use crate::lists::{Numbers, Pairs};
use crate::people::{Found, Item, Profile, PutRejected};

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
    /// order. Log 0 is the inbox, the only one in this version; everything up to the cursor is safe in
    /// the device's store. Groups have their cursors in a resume.
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
    /// Whose person did nothing for this long counts as away, in seconds.
    pub presence_s: u64,
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
        /// This device's number for it, from the same sequence as its sends to the group; creations have
        /// a sequence of their own.
        number: u64,
        /// What is to be done.
        change: Change<'a>,
    },
    /// Client → server: how far this device has its groups, as pairs of (group, cursor), at most
    /// [`RESUME_MAX`](crate::limits::RESUME_MAX), and no more than fit into a frame. From here on it is
    /// sent what it lacks of these.
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
    /// See [`History`].
    History(History),
    /// See [`Past`].
    Past(Past<'a>),
    /// See [`HistoryEnd`].
    HistoryEnd(HistoryEnd),
    /// Client → server: sets an item of the user's book; an empty value removes it. Answered by an item or a
    /// rejection.
    Put {
        /// What it is, see [`people::item`](crate::people::item).
        item: u8,
        /// Which one of these, at most [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX).
        key: &'a [u8],
        /// Its value, at most [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
        value: &'a [u8],
    },
    /// See [`Item`].
    Item(Item<'a>),
    /// See [`PutRejected`].
    PutRejected(PutRejected<'a>),
    /// Client → server: the version up to which this device has its user's book. It is sent a page of what
    /// follows, and from here on every change.
    BookResume {
        /// The version; 0 for nothing.
        version: u64,
    },
    /// Server → client: the end of a page of the book.
    Book {
        /// The device now has the book up to this version.
        version: u64,
        /// The book's newest version.
        head: u64,
        /// The device must forget what it has of the book, and asks from 0.
        reset: bool,
    },
    /// Client → server: what somebody's profile is.
    ProfileLook {
        /// Whose.
        user: u64,
        /// The version that the device has; 0 for none.
        version: u64,
    },
    /// See [`Profile`].
    Profile(Profile<'a>),
    /// Server → client: the version of the profile of somebody who is watched.
    ProfileNews {
        /// Whose.
        user: u64,
        /// Its version.
        version: u64,
    },
    /// Client → server: who has this username.
    Find {
        /// At most [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX).
        name: &'a [u8],
    },
    /// See [`Found`].
    Found(Found<'a>),
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
            Frame::History(_) => Kind::History,
            Frame::Past(_) => Kind::Past,
            Frame::HistoryEnd(_) => Kind::HistoryEnd,
            Frame::Put { .. } => Kind::Put,
            Frame::Item(_) => Kind::Item,
            Frame::PutRejected(_) => Kind::PutRejected,
            Frame::BookResume { .. } => Kind::BookResume,
            Frame::Book { .. } => Kind::Book,
            Frame::ProfileLook { .. } => Kind::ProfileLook,
            Frame::Profile(_) => Kind::Profile,
            Frame::ProfileNews { .. } => Kind::ProfileNews,
            Frame::Find { .. } => Kind::Find,
            Frame::Found(_) => Kind::Found,
            Frame::Unknown { .. } => return None,
        })
    }
}
