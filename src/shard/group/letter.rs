//! What cores tell each other about groups.

use bytes::Bytes;
use fulmar_protocol::Code;

use super::super::seam::{ConnId, CoreId, GroupId, Message, Origin, UserId};
use super::receipts::Counts;
use super::record::Absence;
use super::rules::Wanted;

/// A connection on some core, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The core.
    pub core: CoreId,
    /// The connection there.
    pub conn: ConnId,
    /// Its user.
    pub user: UserId,
}

/// How far a member's devices say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The member.
    pub user: UserId,
    /// A device has everything up to here.
    pub delivered: u64,
    /// The user saw everything up to here; 0 where that isn't told.
    pub read: u64,
}

/// A member as the core knows it on which its user has its home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seated {
    /// The member.
    pub user: UserId,
    /// Position of the entry that made it a member.
    pub since: u64,
    /// What it may read begins after this position.
    pub before: u64,
    /// What it may read ends here.
    pub until: u64,
    /// Positions in between that it may not read; none for most.
    pub absences: Box<[Absence]>,
}

impl Seated {
    /// Whether it is in the group now.
    pub(super) const fn is_member(&self) -> bool {
        self.until == u64::MAX
    }
}

/// What somebody may read of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readable {
    /// The last durable position.
    pub head: u64,
    /// It begins after this position.
    pub before: u64,
    /// It ends here.
    pub until: u64,
    /// Positions in between that it doesn't include.
    pub absences: Box<[Absence]>,
}

/// How far a session has a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The group.
    pub group: GroupId,
    /// The position up to which it has everything.
    pub position: u64,
    /// The user is in the group, as far as its home knows.
    pub is_member: bool,
}

/// See the module's description. Most name the group first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupLetter {
    /// To the group's home: take this message.
    Append {
        /// Where the answer goes.
        origin: Origin,
        /// The group.
        group: GroupId,
        /// What is sent.
        message: Message,
    },
    /// To the group's home: make or change the group.
    Change {
        /// Where the answer goes.
        origin: Origin,
        /// The group; for one to be made, the number that it will have.
        group: GroupId,
        /// What is wanted.
        wanted: Box<Wanted>,
    },
    /// To the group's home: members moved forward.
    Moved {
        /// The group.
        group: GroupId,
        /// Who, and how far.
        moves: Vec<Progress>,
    },
    /// To the home of some groups: a session has them up to these positions.
    Resume {
        /// The session.
        asker: Asker,
        /// How far it has which group.
        cursors: Vec<Cursor>,
    },
    /// To the group's home: who has which entry.
    Ask {
        /// Who asks.
        asker: Asker,
        /// The group.
        group: GroupId,
        /// The entry.
        position: u64,
        /// Members after this one.
        after: UserId,
    },
    /// To the group's home: what it is.
    Look {
        /// Who asks.
        asker: Asker,
        /// The group.
        group: GroupId,
        /// Members after this one.
        after: UserId,
    },
    /// To the group's home: what may this user read.
    Page {
        /// Who asks.
        asker: Asker,
        /// The group.
        group: GroupId,
    },
    /// To the group's home: a member writes, or stopped.
    Typing {
        /// The group.
        group: GroupId,
        /// The member.
        user: UserId,
        /// Which of it.
        is_typing: bool,
    },
    /// To a core with members: the same.
    TypingHere {
        /// The group.
        group: GroupId,
        /// The member.
        user: UserId,
        /// Which of it.
        is_typing: bool,
    },
    /// To the group's home: a user was told of being added, or can't be.
    Noticed {
        /// The group.
        group: GroupId,
        /// Number of the change that waits for it.
        adding: u64,
        /// Why not.
        refusal: Option<Code>,
    },

    /// To the sender's home: the entry is durable.
    Accepted {
        /// The send or change.
        origin: Origin,
        /// The group.
        group: GroupId,
        /// Its position.
        position: u64,
        /// When it was taken; 0 if that was earlier.
        time_ms: u64,
        /// The sender is in the group, also behind it.
        is_member: bool,
    },
    /// To the sender's home: it wasn't taken.
    Rejected {
        /// The send or change.
        origin: Origin,
        /// The group.
        group: GroupId,
        /// Why.
        code: Code,
    },
    /// To a core with members: these they are, instead of those told before.
    Seat {
        /// The group.
        group: GroupId,
        /// The last durable position.
        head: u64,
        /// The members whose home is the receiver, in the order of their numbers.
        members: Vec<Seated>,
    },
    /// To a core with members: a durable entry.
    Entry {
        /// The group.
        group: GroupId,
        /// Its position.
        position: u64,
        /// As it was stored.
        value: Bytes,
    },
    /// To a core with members: nothing happens in the group just now.
    Unseat {
        /// The group.
        group: GroupId,
    },
    /// To the core of a session: the group has something for it.
    Open {
        /// The session's connection.
        conn: ConnId,
        /// The group.
        group: GroupId,
        /// What the session has.
        cursor: u64,
        /// The last durable position.
        head: u64,
        /// The member.
        member: Seated,
    },
    /// To the core of a session: the user isn't in the group.
    Gone {
        /// The session's connection.
        conn: ConnId,
        /// The group.
        group: GroupId,
        /// Whether that answers a question.
        is_answer: bool,
        /// What the user may read ends here; 0 where there was nothing. None where a question isn't answered.
        position: Option<u64>,
    },
    /// To the core of a session that wants a page: what its user may read; none if it never was a member.
    Readable {
        /// The session's connection.
        conn: ConnId,
        /// The group.
        group: GroupId,
        /// What.
        readable: Option<Readable>,
    },
    /// To the core of a session: so many wait for a group that what it asks can't be answered.
    Overloaded {
        /// The session's connection.
        conn: ConnId,
    },
    /// To the core of a session: what it resumed is known here, and of these nothing is missing.
    Resumed {
        /// The session's connection.
        conn: ConnId,
        /// The core that answers.
        home: CoreId,
        /// Groups and cursors, as they were asked.
        quiet: Vec<(GroupId, u64)>,
    },
    /// To an author's home: how far the members are with its newest entry.
    Receipt {
        /// The author.
        author: UserId,
        /// The group.
        group: GroupId,
        /// How far.
        counts: Counts,
    },
    /// To the core of a session that asked: who is how far.
    Who {
        /// The session's connection.
        conn: ConnId,
        /// The group.
        group: GroupId,
        /// How far all are.
        counts: Counts,
        /// Members and how far each is.
        who: Vec<(UserId, u64)>,
    },
    /// To the core of a session that asked: what the group is.
    State {
        /// The session's connection.
        conn: ConnId,
        /// The group.
        group: GroupId,
        /// What it is.
        state: Box<State>,
    },
    /// To a member's home: it is stored that the user saw the group up to here.
    Read {
        /// The member.
        user: UserId,
        /// The group.
        group: GroupId,
        /// How far.
        position: u64,
    },
    /// To a member's home: it is none any more.
    Ended {
        /// The user.
        user: UserId,
        /// The group.
        group: GroupId,
    },
    /// To a user's home: it is about to be added to a group; tell it, and say when that is durable.
    Notice {
        /// The user.
        user: UserId,
        /// The group.
        group: GroupId,
        /// Who adds it.
        by: UserId,
        /// Number of the change that waits for it.
        adding: u64,
        /// The group's home.
        home: CoreId,
    },
}

/// What a group is, for one who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its last durable position.
    pub head: u64,
    /// How many members it has.
    pub members: u64,
    /// Whether new members may read what was before them.
    pub shows_history: bool,
    /// Its name.
    pub name: Bytes,
    /// Its description.
    pub info: Bytes,
    /// Members and roles.
    pub roles: Vec<(UserId, u64)>,
}
