//! What a device keeps, and the few operations that the client needs of it.
//!
//! A store is opened for one user and device. [`Store::load`] gives everything that a new session
//! needs; after that the session speaks only in batches of [`Write`]s, each applied as a whole or
//! not at all. So a crash at any moment leaves the store before a batch or after it, and the
//! session sends and acknowledges nothing before the batch that it rests on is durable.

mod book;
#[cfg(test)]
mod crash_tests;
mod memory;
mod schema;
mod sqlite;

use std::sync::Arc;

use fulmar_protocol::Code;

use crate::group::{Group, Receipt, Role};
use crate::message::{Conversation, Message, MessageId, Target};
use crate::people::{BookItem, Profile, Put, Star};

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

/// A device's store.
pub trait Store: Send {
    /// Everything that a session needs to begin.
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// Applies all of `batch`, in order, or nothing of it. On return it is durable.
    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError>;

    /// One message.
    fn message(&mut self, id: MessageId) -> Result<Option<Message>, StoreError>;

    /// The message that has this star.
    fn starred(&mut self, star: Star) -> Result<Option<Message>, StoreError>;

    /// The newest `limit` messages of a conversation or group that are older than `before` (of all,
    /// where it is `None`), oldest first.
    fn history(
        &mut self,
        target: Target,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError>;

    /// All conversations, the one with the newest message first.
    fn conversations(&mut self) -> Result<Vec<Conversation>, StoreError>;

    /// All groups, the one with the newest message first.
    fn groups(&mut self) -> Result<Vec<Group>, StoreError>;

    /// The user's book, by kind and key.
    fn book(&mut self) -> Result<Vec<BookItem>, StoreError>;

    /// The profiles of others, by user.
    fn profiles(&mut self) -> Result<Vec<Profile>, StoreError>;
}

/// One change. The session makes them; a store only applies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A message from the inbox or from a group.
    Insert(Message),
    /// A message of the time before, which is inserted unless it is here already.
    Fill(Message),
    /// What the server keeps of the inbox from this position on was fetched.
    Filled(u64),
    /// A message to be sent, and its number.
    Enqueue {
        /// The message, pending.
        message: Message,
        /// The number under which it is sent.
        number: u64,
    },
    /// A rejected message is to be sent again.
    Requeue {
        /// The message.
        id: MessageId,
        /// The new number under which it is sent.
        number: u64,
    },
    /// The tick of a sent message.
    Ticked {
        /// The message.
        id: MessageId,
        /// The number under which it was sent.
        number: u64,
        /// Which message of its direction it is; in a group its position.
        ordinal: u64,
        /// When the server took it, in milliseconds since the Unix epoch; 0 where the store keeps
        /// the time that it has.
        time_ms: u64,
    },
    /// The server's no to a sent message.
    Rejected {
        /// The message.
        id: MessageId,
        /// The number under which it was sent.
        number: u64,
        /// Why.
        code: Code,
    },
    /// The state of a conversation, which replaces the stored one.
    Conversation(ConversationState),
    /// The group that the change in this message made has this number.
    Placed {
        /// The message.
        id: MessageId,
        /// The group.
        group: u64,
    },
    /// The state of a group, which replaces the stored one.
    Group(GroupState),
    /// The members of a group among the users above `after` and up to `through`: these, and no others.
    Roles {
        /// The group.
        group: u64,
        /// A user, or 0.
        after: u64,
        /// A user.
        through: u64,
        /// The members, by number.
        roles: Vec<(u64, Role)>,
    },
    /// The message is deleted at this time.
    Expires {
        /// The message.
        id: MessageId,
        /// In milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// Deletes the messages whose time is this one, or earlier.
    Expire {
        /// In milliseconds since the Unix epoch.
        through_ms: u64,
    },
    /// How the device's clock stands to the server's.
    Clocks(Clocks),
    /// Everything up to this inbox position is in the store.
    Cursor(u64),
    /// The server lost data and goes on from this inbox position: forgets the positions above it,
    /// and of every conversation all ordinals but those of the own messages.
    WentBack {
        /// The new cursor.
        head: u64,
    },
    /// The server lost data of a group and goes on from this position: forgets the positions above it.
    GroupWentBack {
        /// The group.
        group: u64,
        /// The new cursor.
        head: u64,
    },
    /// No number up to this one is used for a send any more.
    NumberLast(u64),
    /// An item of the book, which replaces one that isn't newer; one with an empty value is removed.
    Item {
        /// What it is.
        item: u8,
        /// Which one of these.
        key: Vec<u8>,
        /// The version of the book.
        version: u64,
        /// Its value.
        value: Vec<u8>,
    },
    /// The book is in the store up to this version.
    BookCursor(u64),
    /// Nothing of the book is in the store any more.
    BookForgotten,
    /// An item is to be set, or was answered.
    Wish {
        /// What it is.
        item: u8,
        /// Which one of these.
        key: Vec<u8>,
        /// Its value; none once it was answered.
        value: Option<Vec<u8>>,
    },
    /// Somebody's profile, which replaces the stored one.
    Profile(Profile),
}

/// One moment by two clocks, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// By the server's.
    pub server_ms: u64,
    /// By the device's wall clock.
    pub unix_ms: u64,
}

impl Clocks {
    /// How far the server's clock is ahead of the device's.
    pub(crate) const fn ahead_ms(self) -> i64 {
        (self.server_ms as i64).wrapping_sub(self.unix_ms as i64)
    }
}

/// What a session keeps of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationState {
    /// The other user.
    pub peer: u64,
    /// A device of the peer stored my messages up to this ordinal.
    pub delivered: u64,
    /// The peer saw my messages up to this ordinal. Never above `delivered`.
    pub read: u64,
    /// I saw the peer's messages up to this ordinal.
    pub seen: u64,
    /// The server surely knows `seen` up to this ordinal.
    pub seen_confirmed: u64,
    /// Largest ordinal of the peer's messages.
    pub in_last: u64,
    /// Largest ordinal of my messages.
    pub out_last: u64,
    /// The newest message of either side; 0 before the first.
    pub last: MessageId,
    /// After how many seconds messages should disappear, and when the server took what said so; 0 for never. One that
    /// waits for its tick isn't in here: it is among the sends without an answer, and stands before this.
    pub timer: (u64, u64),
}

impl ConversationState {
    /// A conversation of which nothing is known.
    #[must_use]
    pub const fn new(peer: u64) -> Self {
        ConversationState {
            peer,
            delivered: 0,
            read: 0,
            seen: 0,
            seen_confirmed: 0,
            in_last: 0,
            out_last: 0,
            last: MessageId(0),
            timer: (0, 0),
        }
    }

    /// The server's numbers may have gone back, so they mean nothing any more, but for how many own
    /// messages there were.
    pub(crate) fn go_back(&mut self) {
        let (out_last, last, timer) = (self.out_last, self.last, self.timer);
        *self = ConversationState { out_last, last, timer, ..ConversationState::new(self.peer) };
    }
}

/// What a session keeps of one group, but for its members, which only the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// The group.
    pub group: u64,
    /// Its log is in the store up to this position.
    pub cursor: u64,
    /// Its name.
    pub name: Arc<[u8]>,
    /// Its description.
    pub info: Arc<[u8]>,
    /// Its owner; 0 where that isn't known.
    pub owner: u64,
    /// The stored members are right up to this position; 0 where they were never told.
    pub roles_at: u64,
    /// Whether this user is a member no more.
    pub is_gone: bool,
    /// Position of the newest own entry.
    pub own_last: u64,
    /// This user saw everything up to this position.
    pub seen: u64,
    /// The server surely knows `seen` up to this position.
    pub seen_confirmed: u64,
    /// How far the members are.
    pub receipt: Receipt,
    /// The newest message; 0 before the first.
    pub last: MessageId,
    /// What the server keeps from this position on was fetched; 0 where nothing was that lies before.
    pub filled_from: u64,
    /// As of a conversation.
    pub timer: (u64, u64),
}

impl GroupState {
    /// A group of which nothing is known.
    #[must_use]
    pub fn new(group: u64) -> Self {
        GroupState {
            group,
            cursor: 0,
            name: Arc::default(),
            info: Arc::default(),
            owner: 0,
            roles_at: 0,
            is_gone: false,
            own_last: 0,
            seen: 0,
            seen_confirmed: 0,
            receipt: Receipt::default(),
            last: MessageId(0),
            filled_from: 0,
            timer: (0, 0),
        }
    }
}

/// A send without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The number under which it is sent.
    pub number: u64,
    /// The message.
    pub id: MessageId,
    /// Whereto.
    pub target: Target,
    /// What the body is.
    pub content: u8,
    /// The body.
    pub body: Arc<[u8]>,
}

/// Everything that a session needs to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything up to this inbox position is in the store.
    pub cursor: u64,
    /// What the server keeps of the inbox from this position on was fetched; 0 where nothing was that
    /// lies before.
    pub filled_from: u64,
    /// Largest number ever used for a send; 0 where none was.
    pub number_last: u64,
    /// Largest message id in use; 0 where there is none.
    pub id_last: i64,
    /// Smallest message id in use; 0 where there is none below.
    pub id_first: i64,
    /// When messages are to be deleted, each time once and in order.
    pub expiries: Vec<u64>,
    /// How the device's clock stood to the server's at last; `None` before the first welcome.
    pub clocks: Option<Clocks>,
    /// Every conversation, by ascending peer.
    pub conversations: Vec<ConversationState>,
    /// Every group, by ascending number.
    pub groups: Vec<GroupState>,
    /// The sends without an answer, by ascending number.
    pub outbox: Vec<Unanswered>,
    /// The book is in the store up to this version.
    pub book_cursor: u64,
    /// Items without an answer, by kind and key.
    pub wishes: Vec<Put>,
    /// The profiles of others, by user.
    pub profiles: Vec<Profile>,
}

/// Why a store can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store is in use by another program; a device runs in one program at a time")]
    InUse,
    /// The file is something else.
    #[error("the file is not a store of this client")]
    NotAStore,
    /// The file was written by another version.
    #[error("the store has format {found}; this program reads format {known}")]
    Format {
        /// The format of the file.
        found: i64,
        /// The format that this program reads.
        known: i64,
    },
    /// The store belongs to someone else.
    #[error("the store belongs to user {user}, device {device}")]
    Identity {
        /// The user whose store it is.
        user: u64,
        /// The device whose store it is.
        device: u64,
    },
    /// The stored data contradict themselves.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The directory or file can't be created or made durable.
    #[error("the store's file can't be created: {0}")]
    Create(#[source] std::io::Error),
    /// The database failed.
    #[error("the store failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A store of another kind failed.
    #[error("the store failed: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}
