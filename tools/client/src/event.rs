//! What the client tells the program.

use std::fmt;

use fulmar_protocol::Code;

use crate::group::Receipt;
use crate::message::{Message, MessageId};
use crate::people::Profile;

/// Something happened. What an event tells is already durable in the device's store, but for
/// presence, typing and answers who is how far, which aren't kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Logged in.
    Connected {
        /// Number of the session; a later one of the same device has a larger number.
        session: u64,
    },
    /// The connection ended, or could not be opened.
    Disconnected {
        /// Why.
        reason: Reason,
        /// Time until the next attempt, in milliseconds; `None` where there is none until the
        /// program asks for it.
        retry_in_ms: Option<u64>,
    },
    /// The server refused the login.
    Refused {
        /// Why.
        code: Code,
        /// What was wrong and what is allowed, as the server put it. Bytes of a stranger: make
        /// control characters harmless before showing them.
        detail: String,
        /// Time until the next attempt, in milliseconds; `None` where there is none until the
        /// program asks for it.
        retry_in_ms: Option<u64>,
    },
    /// A peer's message arrived.
    Message(Message),
    /// A message that this user sent from another device arrived.
    OwnCopy(Message),
    /// One tick: the server has the message durably.
    Ticked {
        /// The message.
        id: MessageId,
        /// Its recipient.
        peer: u64,
        /// Which message to this peer it is, from 1; receipts speak in this number.
        ordinal: u64,
        /// When the server took it, in milliseconds since the Unix epoch; 0 where it no longer
        /// knows.
        time_ms: u64,
    },
    /// The server didn't take a message and keeps nothing of it.
    Rejected {
        /// The message.
        id: MessageId,
        /// Its recipient.
        peer: u64,
        /// Why.
        code: Code,
        /// Earliest time to send it again, in milliseconds from now; 0 where it makes no sense.
        retry_after_ms: u64,
    },
    /// Two ticks: a device of the peer stored my messages up to this ordinal.
    Delivered {
        /// The recipient.
        peer: u64,
        /// The last ordinal of which this is true.
        ordinal: u64,
    },
    /// Blue ticks: the peer saw my messages up to this ordinal.
    Read {
        /// The recipient.
        peer: u64,
        /// The last ordinal of which this is true.
        ordinal: u64,
    },
    /// This user saw a peer's messages up to this ordinal, on another device.
    SeenElsewhere {
        /// Who wrote them.
        peer: u64,
        /// The last ordinal of which this is true.
        ordinal: u64,
    },
    /// An entry of a group arrived: a message or a change, of another member or of this user's other
    /// devices.
    GroupMessage(Message),
    /// One tick in a group: the server has the message or change durably.
    GroupTicked {
        /// The message.
        id: MessageId,
        /// The group; for one that was just made, its number.
        group: u64,
        /// Its position in the group, which all members share.
        position: u64,
        /// When the server took it, in milliseconds since the Unix epoch; 0 where it no longer
        /// knows.
        time_ms: u64,
    },
    /// The server didn't take a message or change of a group and keeps nothing of it.
    GroupRejected {
        /// The message.
        id: MessageId,
        /// The group; 0 for one that isn't made.
        group: u64,
        /// Why.
        code: Code,
        /// Earliest time to send it again, in milliseconds from now; 0 where it makes no sense.
        retry_after_ms: u64,
    },
    /// This user was added to a group.
    AddedToGroup {
        /// The group.
        group: u64,
        /// Who did it.
        by: u64,
        /// When, in milliseconds since the Unix epoch.
        time_ms: u64,
    },
    /// This user is no member of the group, or no more.
    GroupGone {
        /// The group.
        group: u64,
        /// Its last position for this user; 0 where there is none.
        position: u64,
    },
    /// The name and the members of the group are known, as they are now.
    GroupState {
        /// The group.
        group: u64,
    },
    /// More members of the group have, or saw, this user's newest message.
    GroupReceipt {
        /// The group.
        group: u64,
        /// How far they are.
        receipt: Receipt,
    },
    /// The answer to a question how far which members are.
    GroupWho {
        /// The group.
        group: u64,
        /// How many of them are how far.
        receipt: Receipt,
        /// Members by number, and how far each is. They are all where they are fewer than
        /// [`WHO_MAX`](fulmar_protocol::limits::WHO_MAX); the next ones come after the last.
        who: Vec<(u64, Progress)>,
    },
    /// This user saw a group up to this position, on another device.
    GroupSeenElsewhere {
        /// The group.
        group: u64,
        /// The last position of which this is true.
        position: u64,
    },
    /// What was asked for of the time before this device is in the history, as far as the server keeps it.
    HistoryFilled {
        /// The group; none of the inbox.
        group: Option<u64>,
        /// Entries that came.
        entries: u64,
        /// Whether the server keeps nothing that lies before.
        is_complete: bool,
    },
    /// Messages whose time is over were deleted from the store.
    Expired,
    /// Somebody who is watched is there, or no more.
    Presence {
        /// Who.
        user: u64,
        /// Whether they are there now.
        is_online: bool,
        /// When they were last there, in milliseconds since the Unix epoch; 0 where that isn't told.
        last_seen_ms: u64,
    },
    /// Somebody writes, or stopped.
    Typing {
        /// The group in which they do; none where they write to this user.
        group: Option<u64>,
        /// Who.
        user: u64,
        /// Whether they write.
        is_typing: bool,
    },
    /// An item of the user's book is so now. An empty value says that there is none.
    Item {
        /// What it is, see [`item`](crate::people::item).
        item: u8,
        /// Which one of these.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// The server didn't take an item, and nothing has changed.
    PutRejected {
        /// As it was put.
        item: u8,
        /// As it was put.
        key: Vec<u8>,
        /// Why.
        code: Code,
        /// Earliest time to try again, in milliseconds from now; 0 where it makes no sense.
        retry_after_ms: u64,
    },
    /// The store has the whole book.
    BookComplete,
    /// Somebody's profile is this.
    Profile(Profile),
    /// Who has a username.
    Found {
        /// The name. Bytes of the question.
        name: String,
        /// Who; none where nobody is to be found.
        user: Option<u64>,
        /// Why there is no answer, if there is none.
        code: Code,
        /// Earliest time to ask again, in milliseconds from now; 0 where it makes no sense.
        retry_after_ms: u64,
    },
    /// The server's inbox ends before what this device already has: the server lost data (a backup
    /// was restored), or it is another one. The client goes on from the server's head. What was
    /// received stays in the history; messages with a tick may be lost to their recipients.
    InboxWentBack {
        /// What this device had.
        cursor: u64,
        /// The server's last position.
        head: u64,
    },
    /// The same of a group: the server has its log only up to a position that this device had passed.
    GroupWentBack {
        /// The group.
        group: u64,
        /// What this device had.
        cursor: u64,
        /// The last position that holds.
        head: u64,
    },
    /// The device's store failed. Nothing more is sent, received or acknowledged by this client;
    /// what it acknowledged before is safe.
    StoreFailed {
        /// The store's error.
        detail: String,
    },
}

/// How far a member is with an entry of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Doesn't have it yet.
    NotYet,
    /// Has it on a device.
    Delivered,
    /// Saw it.
    Read,
}

impl Progress {
    pub(crate) const fn from_number(number: u64) -> Progress {
        match number {
            0 => Progress::NotYet,
            1 => Progress::Delivered,
            _ => Progress::Read,
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No connection could be opened; what the system said.
    ConnectFailed(String),
    /// The connection broke; what the system said.
    Lost(String),
    /// The server said goodbye.
    Goodbye {
        /// Why.
        code: Code,
        /// The same for people. Bytes of a stranger: make control characters harmless before
        /// showing them.
        detail: String,
    },
    /// The server sent something that the protocol doesn't allow.
    Violation(String),
    /// Positions of the inbox or of a group are missing; the next connection asks for them again.
    Gap {
        /// The position that had to come.
        expected: u64,
        /// The position that came, or the head that the server named without delivering up to it.
        position: u64,
    },
    /// Nothing was heard for this long, in milliseconds.
    Silent {
        /// Milliseconds.
        silent_ms: u64,
    },
    /// The program asked for it.
    Asked,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ConnectFailed(detail) => write!(f, "can't connect: {detail}"),
            Reason::Lost(detail) => write!(f, "connection lost: {detail}"),
            Reason::Goodbye { code, detail } if detail.is_empty() => {
                write!(f, "the server said goodbye: {code}")
            }
            Reason::Goodbye { code, detail } => {
                write!(f, "the server said goodbye: {code}: {detail}")
            }
            Reason::Violation(detail) => {
                write!(f, "the server doesn't follow the protocol: {detail}")
            }
            Reason::Gap { expected, position } => {
                write!(f, "messages are missing: position {expected} had to come before {position}")
            }
            Reason::Silent { silent_ms } => {
                write!(f, "nothing was heard for {} s", silent_ms / 1_000)
            }
            Reason::Asked => write!(f, "closed"),
        }
    }
}
