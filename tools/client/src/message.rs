//! Messages and conversations as the device keeps them.

use std::fmt;
use std::sync::Arc;

use fulmar_protocol::Code;

use crate::refer::Changes;

/// What a body is, see SPEC.md, section 12. The server reads the heads of [`EDIT`] to [`TIMER`], and makes
/// [`CHANGE`]; the others are a matter between clients.
pub mod content {
    /// Bytes of which nothing is known.
    pub const OPAQUE: u8 = 0;
    /// Text in UTF-8. A sender may send anything, so check it before it is shown.
    pub const TEXT: u8 = 1;
    /// In a group only: what its author changed about the group, see [`GroupChange`](crate::GroupChange).
    pub const CHANGE: u8 = fulmar_protocol::group::CONTENT_CHANGE;
    pub use fulmar_protocol::content::{DELETE, DISAPPEARING, EDIT, MENTION, REACTION, TIMER};

    /// The first of those that belong to the application; those between are reserved.
    pub const APPLICATION_FIRST: u8 = 128;
}

/// A message's number in this device's store. They stand in the order of the history: from 1 upwards what the
/// device met, from −1 downwards what it fetched of the time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub i64);

impl MessageId {
    /// The newer one of two, of which 0 stands for none.
    #[must_use]
    pub(crate) fn newer(self, other: MessageId) -> MessageId {
        match (self.0, other.0) {
            (0, _) => other,
            (_, 0) => self,
            _ => self.max(other),
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// To a user.
    Peer(u64),
    /// To a group. Group 0 is the one that a change is about to make.
    Group(u64),
}

/// What became of a message.
///
/// ```text
///   send ──► Pending ──tick──► Sent          deliver ──► Received
///              ▲ └──no──► Rejected
///              └──resend────┘
/// ```
///
/// How far a sent message came with its recipient is not kept per message: compare its ordinal
/// with [`Conversation::delivered`] and [`Conversation::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The peer wrote it.
    Received,
    /// This device sent it and has no answer yet.
    Pending,
    /// This user sent it, from this or another device, and the server has it durably.
    Sent,
    /// The server didn't take it.
    Rejected(Code),
}

impl State {
    /// Whether this user wrote the message.
    #[must_use]
    pub const fn is_own(self) -> bool {
        !matches!(self, State::Received)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in this store.
    pub id: MessageId,
    /// The group that it is in; none in a conversation of two. 0 for the change that makes a group, until
    /// its tick tells the group's number.
    pub group: Option<u64>,
    /// The other user of the conversation; in a group the author, this user included.
    pub peer: u64,
    /// What became of it, and with that who wrote it.
    pub state: State,
    /// Which message of its direction (author → recipient) it is, from 1, and in a group its position,
    /// which all members share; none until it is ticked.
    pub ordinal: Option<u64>,
    /// Its position in the inbox or group that brought it; none for what this device sent.
    pub position: Option<u64>,
    /// When the server took it, in milliseconds since the Unix epoch; before the tick, and where
    /// the server no longer knows, when it was written by this device's clock.
    pub time_ms: u64,
    /// What the body is, see [`content`].
    pub content: u8,
    /// The body; empty once it was deleted.
    pub body: Arc<[u8]>,
    /// What became of it since.
    pub changes: Changes,
}

impl Message {
    /// Where it belongs.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self.group {
            Some(group) => Target::Group(group),
            None => Target::Peer(self.peer),
        }
    }
}

/// One conversation, as a list of conversations shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The other user.
    pub peer: u64,
    /// A device of the peer stored my messages up to this ordinal.
    pub delivered: u64,
    /// The peer saw my messages up to this ordinal.
    pub read: u64,
    /// I saw the peer's messages up to this ordinal.
    pub seen: u64,
    /// Messages of the peer after [`Conversation::seen`].
    pub unread: u64,
    /// The newest message of either side.
    pub last: MessageId,
    /// After how many seconds messages should disappear; 0 for never. A timer that this device's person set counts
    /// from the moment at which it is stored, and no more once it is rejected.
    pub timer_s: u64,
}
