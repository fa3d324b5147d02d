//! What crosses the shard's border: events in, effects out. Plain values, no I/O.

use bytes::Bytes;

use fulmar_protocol::Code;

use super::group::GroupLetter;
use super::people::PeopleLetter;

/// A person. 64 bits, from 1.
pub type UserId = u64;
/// A group. 64 bits, from 1; the numbers of users and of groups have nothing to do with each other.
pub type GroupId = u64;
/// A device of a person, from 1.
pub type DeviceId = u16;
/// A core of this node, from 0.
pub type CoreId = u16;

/// A log of messages with the records that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogId {
    /// The inbox of a user.
    Inbox(UserId),
    /// The messages of a group.
    Group(GroupId),
}

impl LogId {
    /// Whose inbox it is, if it is one.
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            LogId::Inbox(user) => Some(user),
            LogId::Group(_) => None,
        }
    }
}

impl std::fmt::Display for LogId {
    /// An inbox is called by its user's number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogId::Inbox(user) => write!(f, "{user}"),
            LogId::Group(group) => write!(f, "group {group}"),
        }
    }
}

/// A connection of this core: a slot in the driver's table, and how often the slot was used before,
/// so that news about an earlier connection of the slot is recognised as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// Index in the table.
    pub slot: u32,
    /// Use of the slot.
    pub generation: u32,
}

/// The time, read once a turn by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the Unix epoch; may jump.
    pub unix_ms: u64,
    /// Milliseconds on a clock that never goes back.
    pub mono_ms: u64,
}

/// What a verified token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// The device of the user.
    pub device: DeviceId,
}

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The reason for programs.
    pub code: Code,
    /// The reason for people, up to
    /// [`DETAIL_BYTES_MAX`](fulmar_protocol::limits::DETAIL_BYTES_MAX) bytes.
    pub detail: &'static str,
}

/// A login that was accepted and is on its way to the user's home core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Who logs in.
    pub identity: Identity,
    /// Capabilities that the client offered.
    pub capabilities: u64,
    /// How far the device has its inbox, as it says.
    pub inbox_cursor: u64,
}

/// A state record or a log entry in durable storage. How a key becomes bytes is the storage's
/// matter, what a value's bytes mean is [`record`](super::record)'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// State of a log: of an inbox trim and devices, of a group its settings and members.
    State {
        /// Which log.
        log: LogId,
    },
    /// State between a log and one user. Of an inbox the ordinals, receipts and numbers with this
    /// peer; of a group what the member sent lately.
    Conversation {
        /// Which log.
        log: LogId,
        /// The other side of the inbox's user, or the member of the group.
        peer: UserId,
    },
    /// When a user was last seen.
    Presence {
        /// Who.
        user: UserId,
    },
    /// What a user set for itself.
    Book {
        /// Who.
        user: UserId,
    },
    /// Who has the usernames of this hash.
    Name {
        /// Of the name's bytes.
        hash: u64,
    },
    /// One message of a log.
    Entry {
        /// Which log.
        log: LogId,
        /// Position in the log, from 1.
        position: u64,
    },
}

impl Key {
    /// The log that it belongs to, or of whose user it is; of a name, the one in whose place it is kept.
    #[must_use]
    pub const fn log(self) -> LogId {
        match self {
            Key::State { log } | Key::Conversation { log, .. } | Key::Entry { log, .. } => log,
            Key::Presence { user } | Key::Book { user } => LogId::Inbox(user),
            // It is kept beside the users' records.
            Key::Name { hash } => LogId::Inbox(hash),
        }
    }
}

/// Flag of an entry that says when it is over, which storage reads: in the byte behind its time. The eight
/// bytes that follow have it as they have the time.
pub const FLAG_OVER: u8 = 4;

/// A change of durable storage. All writes of one turn are stored together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets a record. An entry's key is put at most once, ever.
    Put {
        /// Which record.
        key: Key,
        /// Its value.
        value: Bytes,
    },
    /// Deletes the entries `from..=through` of a log, each of which was put once before or has
    /// been removed by expiry.
    Trim {
        /// Which log.
        log: LogId,
        /// First position to delete.
        from: u64,
        /// Last position to delete.
        through: u64,
    },
}

/// A numbered set of writes. Tickets of a core are dense and rise by one.
pub type Ticket = u64;

/// A question to storage, answered by one [`Loaded`] in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Load {
    /// The log's record, the first unexpired and the last entry, and the head.
    Log {
        /// Which log.
        log: LogId,
        /// Entries of this time (Unix milliseconds) and earlier count as expired.
        expire_through_ms: u64,
    },
    /// One conversation record.
    Conversation {
        /// Which log.
        log: LogId,
        /// The user that the record is about.
        peer: UserId,
    },
    /// When a user was last seen.
    Presence {
        /// Who.
        user: UserId,
    },
    /// What a user set for itself.
    Book {
        /// Who.
        user: UserId,
    },
    /// Who has the usernames of a hash.
    Name {
        /// Of the name's bytes.
        hash: u64,
    },
    /// Entries of a log, in order, for one connection.
    Entries {
        /// Which log.
        log: LogId,
        /// Who waits for them.
        conn: ConnId,
        /// First position wanted.
        from: u64,
        /// Last position wanted.
        through: u64,
        /// At most this many entries.
        entries_max: u32,
        /// Stop after the entry that brings the values to this many bytes; at least one is given.
        bytes_max: u32,
    },
    /// Entries of a log from one end of a range, for one connection.
    Page {
        /// Which log.
        log: LogId,
        /// Who waits for them.
        conn: ConnId,
        /// First position wanted.
        from: u64,
        /// Last position wanted.
        through: u64,
        /// Whether it begins at the last one and goes down.
        newest_first: bool,
        /// As of [`Load::Entries`].
        entries_max: u32,
        /// As of [`Load::Entries`].
        bytes_max: u32,
    },
    /// One entry of a log.
    Entry {
        /// Which log.
        log: LogId,
        /// Its position.
        position: u64,
    },
}

/// The answer to a [`Load`]. Values are as they were put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// Answer to [`Load::Log`].
    Log {
        /// Which log.
        log: LogId,
        /// The log's record, if there is one.
        record: Option<Bytes>,
        /// Position and value of the last entry, if the log holds any.
        last: Option<(u64, Bytes)>,
        /// Position and value of the first entry that hasn't expired, if the log holds any such.
        first: Option<(u64, Bytes)>,
        /// No position is above it of which an entry was put and not trimmed, though it may have expired and
        /// be gone; 0 if none is known.
        head: u64,
    },
    /// Answer to [`Load::Conversation`].
    Conversation {
        /// Which log.
        log: LogId,
        /// The user that the record is about.
        peer: UserId,
        /// The record, if there is one.
        record: Option<Bytes>,
    },
    /// Answer to [`Load::Presence`].
    Presence {
        /// Who.
        user: UserId,
        /// The record, if there is one.
        record: Option<Bytes>,
    },
    /// Answer to [`Load::Book`].
    Book {
        /// Who.
        user: UserId,
        /// The record, if there is one.
        record: Option<Bytes>,
    },
    /// Answer to [`Load::Name`].
    Name {
        /// Of the name's bytes.
        hash: u64,
        /// The record, if there is one.
        record: Option<Bytes>,
    },
    /// Answer to [`Load::Entries`].
    Entries {
        /// Which log.
        log: LogId,
        /// Who waits for them.
        conn: ConnId,
        /// Position and value of each entry that exists, in order.
        entries: Vec<(u64, Bytes)>,
        /// Everything that exists up to this position is in `entries`.
        through: u64,
    },
    /// Answer to [`Load::Page`].
    Page {
        /// Which log.
        log: LogId,
        /// Who waits for them.
        conn: ConnId,
        /// Position and value of each entry that exists, in the order that was asked for.
        entries: Vec<(u64, Bytes)>,
        /// Everything that exists from this position on, up to `through`, is in `entries`.
        from: u64,
        /// See `from`.
        through: u64,
    },
    /// Answer to [`Load::Entry`].
    Entry {
        /// Which log.
        log: LogId,
        /// Its position.
        position: u64,
        /// Its value, if it exists.
        value: Option<Bytes>,
    },
}

impl Loaded {
    /// The entries of a range as a page that goes up from its begin.
    #[must_use]
    pub fn into_page(self, from: u64) -> Loaded {
        match self {
            Loaded::Entries { log, conn, entries, through } => {
                Loaded::Page { log, conn, entries, from, through }
            }
            other => other,
        }
    }
}

/// Where a send came from, so that its answer finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Core of the sender.
    pub core: CoreId,
    /// Connection of the sender on that core.
    pub conn: ConnId,
    /// The sender.
    pub user: UserId,
    /// The sender's device.
    pub device: DeviceId,
    /// The device's number for the send.
    pub number: u64,
    /// Body bytes that count in the sender's window until the answer comes.
    pub body_bytes: u32,
}

/// A message on its way into a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Kind of content, opaque.
    pub content: u8,
    /// The body, opaque.
    pub body: Bytes,
}

/// What a watcher is told of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether they are there.
    pub is_online: bool,
    /// When they last did something, Unix milliseconds; 0 if that isn't known.
    pub last_seen_ms: u64,
}

/// What one core tells another (or itself). Letters between two cores keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// To the recipient's home: take this message.
    Append {
        /// Where the answer goes.
        origin: Origin,
        /// The recipient.
        to: UserId,
        /// What is sent.
        message: Message,
        /// Whether the answer must bring the message back, for the sender's other devices.
        copy: bool,
        /// Why the message must not be taken, as the sender's home judged. One that was taken
        /// before is answered as such all the same.
        refusal: Option<Code>,
    },
    /// To the sender's home: the message is durable in the recipient's inbox.
    Accepted {
        /// The send that is answered.
        origin: Origin,
        /// The recipient.
        to: UserId,
        /// Which message of the direction it is.
        ordinal: u64,
        /// When it was taken, Unix milliseconds; 0 for one that had been taken before.
        time_ms: u64,
        /// The message, where the sender asked for a copy.
        copy: Option<Message>,
    },
    /// To the sender's home: the message was not taken. Under [`Code::Overloaded`] its number was
    /// not even judged.
    Rejected {
        /// The send that is answered.
        origin: Origin,
        /// The recipient.
        to: UserId,
        /// Why.
        code: Code,
    },
    /// To the author's home: how far `reader` is with what `author` wrote.
    Receipt {
        /// Who is told.
        author: UserId,
        /// Whose cursors these are.
        reader: UserId,
        /// A device of the reader stored everything up to this ordinal.
        delivered: u64,
        /// The reader saw everything up to this ordinal.
        read: u64,
        /// The connection that asked, which alone is told; none where all devices are.
        asker: Option<ConnId>,
    },
    /// About a group.
    Group(Box<GroupLetter>),
    /// About what people set for themselves.
    People(Box<PeopleLetter>),
    /// To the reader's home: send the receipt to the author's home, whatever it is.
    Ask {
        /// Who asks.
        author: UserId,
        /// Whose cursors are wanted.
        reader: UserId,
        /// The connection of the author that asks; none where all its devices are to be told.
        asker: Option<ConnId>,
    },
    /// To a person's home: sessions of this core began to watch, or none does any more.
    Watch {
        /// The person.
        user: UserId,
        /// Where the sessions are.
        core: CoreId,
        /// Whether there are any.
        is_watching: bool,
    },
    /// To a core that watches: what holds now.
    Presence {
        /// The person.
        user: UserId,
        /// What watchers are told, if they may see it.
        seen: Seen,
        /// Whether they must be looked at one by one.
        is_guarded: bool,
        /// The version of the person's profile; 0 where there is none.
        profile: u64,
    },
    /// To the peer's home: somebody writes, or stopped.
    Typing {
        /// Who writes.
        from: UserId,
        /// To whom.
        to: UserId,
        /// Whether they write.
        is_typing: bool,
    },
}

/// What happened, as the driver tells the shard.
#[derive(Debug)]
pub enum Event<'a> {
    /// A new connection, accepted on this core.
    Accepted {
        /// Its id.
        conn: ConnId,
    },
    /// A connection that logged in elsewhere and has its home here.
    Arrived {
        /// Its id on this core.
        conn: ConnId,
        /// Who it is.
        arrival: Arrival,
    },
    /// Bytes from the peer, cut anywhere.
    Received {
        /// From whom.
        conn: ConnId,
        /// What.
        bytes: &'a [u8],
    },
    /// The output that was taken has been written; more may be taken.
    Sent {
        /// To whom.
        conn: ConnId,
    },
    /// The connection is gone. The last event of this connection.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// The answer to [`Effects::authenticate`].
    Authenticated {
        /// Which connection.
        conn: ConnId,
        /// Who the token is for, or why it isn't good.
        result: Result<Identity, Refusal>,
    },
    /// A letter from a core of this node.
    Letter(Letter),
    /// All writes up to and including this ticket are durable.
    Stored {
        /// The ticket.
        ticket: Ticket,
    },
    /// The answer to one load.
    Loaded(Loaded),
    /// How much of its time this core was busy lately, in percent.
    Load {
        /// 0 to 100.
        busy_percent: u8,
    },
    /// Tell clients to go and take no new ones.
    ShutDown,
}

/// What the shard wants done, collected during a turn. The driver empties it; the vectors keep
/// their capacity.
#[derive(Debug, Default)]
pub struct Effects {
    /// Connections with output to take by [`Shard::take_output`](super::Shard::take_output).
    /// One may be named twice.
    pub flush: Vec<ConnId>,
    /// Connections to close in an orderly way once their output is written.
    pub close: Vec<ConnId>,
    /// Connections to close at once, whatever is unwritten.
    pub abort: Vec<ConnId>,
    /// Connections to stop receiving from (true) or to receive from again (false), in order.
    pub pause: Vec<(ConnId, bool)>,
    /// Tokens to verify.
    pub authenticate: Vec<(ConnId, Bytes)>,
    /// Connections that belong to another core. The shard has forgotten them.
    pub hand_over: Vec<(ConnId, CoreId, Arrival)>,
    /// Letters to other cores, in order.
    pub letters: Vec<(CoreId, Letter)>,
    /// The writes of this turn, in order, to be stored under `ticket`.
    pub writes: Vec<Write>,
    /// Ticket of `writes`; meaningful when there are any.
    pub ticket: Ticket,
    /// Questions to storage.
    pub loads: Vec<Load>,
}
