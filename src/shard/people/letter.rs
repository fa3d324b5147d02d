//! What cores tell each other about people.

use bytes::Bytes;
use fulmar_protocol::Code;

use super::super::group::Asker;
use super::super::seam::{ConnId, CoreId, GroupId, UserId};

/// What a watcher may see of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct May {
    /// When they were last seen.
    pub last_seen: bool,
    /// Whether they are online.
    pub online: bool,
    /// Their profile.
    pub profile: bool,
}

impl May {
    /// Everything.
    pub(in super::super) const ALL: May = May { last_seen: true, online: true, profile: true };
    /// Nothing.
    pub(in super::super) const NOTHING: May =
        May { last_seen: false, online: false, profile: false };
}

/// A profile on its way to who asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Its version; 0 where there is nothing to see.
    pub version: u64,
    /// The name.
    pub name: Bytes,
    /// The status line.
    pub status: Bytes,
    /// Where the picture is.
    pub avatar: Bytes,
}

/// See the module's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeopleLetter {
    /// To a core that watches: who may see what of this person has changed; it asks again.
    AskAgain {
        /// The person.
        user: UserId,
        /// The only watcher for whom it changed, if there is only one.
        watcher: Option<UserId>,
        /// Whether watchers must be looked at one by one from here on.
        is_guarded: bool,
    },
    /// To a person's home: what may this watcher see?
    MayI {
        /// The person.
        user: UserId,
        /// The session that watches.
        asker: Asker,
    },
    /// To the watcher's core: the answer.
    May {
        /// The session that watches.
        conn: ConnId,
        /// The person.
        user: UserId,
        /// What it may see.
        may: May,
        /// What it may see if it is in one of these groups, sorted by number; none where that makes no difference.
        mates: Option<(Box<[GroupId]>, May)>,
    },
    /// To an author's home: which groups is it in?
    WhichGroups {
        /// The author.
        user: UserId,
        /// The session whose user read what it wrote.
        asker: Asker,
    },
    /// To the asker's core: the answer.
    Groups {
        /// The session.
        conn: ConnId,
        /// The author.
        user: UserId,
        /// Its groups, sorted by number.
        groups: Box<[GroupId]>,
    },
    /// To a core that watches: the profile has changed.
    News {
        /// The person.
        user: UserId,
        /// The version of its profile.
        profile: u64,
    },
    /// To a person's home: what is the profile?
    Look {
        /// The person.
        user: UserId,
        /// Who asks.
        asker: Asker,
        /// The version that it knows.
        known: u64,
    },
    /// To the core of who asked.
    Profile {
        /// Who asked.
        conn: ConnId,
        /// The person.
        user: UserId,
        /// What it is; none where it can't be said now.
        shown: Option<Shown>,
    },
    /// To a name's home: this user wants it.
    Claim {
        /// The name.
        name: Bytes,
        /// Who.
        user: UserId,
    },
    /// To the user's home: it may have the name, which is stored; or why not.
    Claimed {
        /// Who.
        user: UserId,
        /// The name.
        name: Bytes,
        /// Why not.
        refusal: Option<Code>,
    },
    /// To a name's home: this user has it no longer.
    Release {
        /// The name.
        name: Bytes,
        /// Who.
        user: UserId,
    },
    /// To the home of who may have a name: is it its username?
    IsYours {
        /// Who.
        user: UserId,
        /// The name.
        name: Bytes,
        /// The name's home.
        core: CoreId,
    },
    /// To the name's home: the answer.
    Yours {
        /// Who.
        user: UserId,
        /// The name.
        name: Bytes,
        /// Whether it is.
        is_yours: bool,
    },
    /// To a name's home: who has it?
    Find {
        /// The name.
        name: Bytes,
        /// Who asks.
        asker: Asker,
        /// The number of the question on the asker's core.
        question: u64,
    },
    /// To the home of who may have it: is it so, and may the asker know?
    Resolve {
        /// Who may have it.
        user: UserId,
        /// The name.
        name: Bytes,
        /// Who asks.
        asker: Asker,
        /// The number of the question on the asker's core.
        question: u64,
    },
    /// To the asker's core: who has it, or 0; none where too many ask.
    Resolved {
        /// The number of the question.
        question: u64,
        /// Who.
        user: Option<UserId>,
        /// It is so only for who is in one of these groups, sorted by number.
        mates: Option<Box<[GroupId]>>,
    },
}

/// A letter and the core that it is for.
pub(super) type Addressed = (CoreId, PeopleLetter);
