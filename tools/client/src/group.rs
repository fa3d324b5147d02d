//! Groups as the device keeps them.

use std::sync::Arc;

use fulmar_protocol::Numbers;
pub use fulmar_protocol::group::Action;
use fulmar_protocol::group::Change;
use fulmar_protocol::limits::{GROUP_VALUE_BYTES_MAX, USERS_MAX};

use crate::message::MessageId;

/// What a member may do in a group. The number is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Writes and reads.
    Member = 1,
    /// Adds and removes members too.
    Admin = 2,
    /// Everything.
    Owner = 3,
}

impl Role {
    /// The role with this number. One that this version doesn't know counts as a member.
    #[must_use]
    pub const fn from_number(number: u64) -> Role {
        match number {
            2 => Role::Admin,
            3 => Role::Owner,
            _ => Role::Member,
        }
    }

    /// A stable name in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }
}

/// A change of a group: what a program asks for, and what an entry with [`content::CHANGE`] tells.
///
/// [`content::CHANGE`]: crate::content::CHANGE
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// What is done.
    pub action: Action,
    /// To whom, in increasing order.
    pub users: Vec<u64>,
    /// The name, the description or the setting. Bytes of a stranger: make them harmless before they are
    /// shown.
    pub value: Vec<u8>,
}

impl GroupChange {
    /// A change of these users.
    #[must_use]
    pub fn of_users(action: Action, users: &[u64]) -> Self {
        let mut users = users.to_vec();
        users.sort_unstable();
        users.dedup();
        GroupChange { action, users, value: Vec::new() }
    }

    /// A change of a value.
    #[must_use]
    pub fn of_value(action: Action, value: &[u8]) -> Self {
        GroupChange { action, users: Vec::new(), value: value.to_vec() }
    }

    /// The change that makes a group of this user and these others.
    #[must_use]
    pub fn create(name: &str, members: &[u64]) -> Self {
        let value = name.as_bytes().to_vec();
        GroupChange { value, ..GroupChange::of_users(Action::Create, members) }
    }

    /// The change in the body of an entry; `None` where the body is something else.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Option<Self> {
        let change = Change::decode(body).ok()?;
        let (users, value) = (change.users.iter().collect(), change.value.to_vec());
        Some(GroupChange { action: change.action, users, value })
    }

    /// The body that an entry about it has.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        Change { action: self.action, users: Numbers::Slice(&self.users), value: &self.value }
            .encode(&mut body);
        body
    }

    /// Whether a frame can carry it.
    pub(crate) fn fits(&self) -> bool {
        self.users.len() <= USERS_MAX
            && self.value.len() <= GROUP_VALUE_BYTES_MAX
            && self.users.first() != Some(&0)
            && self.users.is_sorted_by(|a, b| a < b)
    }
}

/// One group, as a list of groups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub group: u64,
    /// Its name. Bytes of strangers: make them harmless before they are shown.
    pub name: Arc<[u8]>,
    /// Its description, bytes of strangers too.
    pub info: Arc<[u8]>,
    /// Whether this user is a member no more.
    pub is_gone: bool,
    /// This user saw the group up to this position.
    pub seen: u64,
    /// Messages of others after [`Group::seen`], changes not counted.
    pub unread: u64,
    /// How far the members are with the newest own entry.
    pub receipt: Receipt,
    /// The newest message; 0 before the first.
    pub last: MessageId,
    /// After how many seconds messages should disappear; 0 for never. A timer that this device's person set counts
    /// from the moment at which it is stored, and no more once it is rejected.
    pub timer_s: u64,
    /// The members that are known, by number.
    pub members: Vec<(u64, Role)>,
}

/// How far the members of a group are with an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The entry; 0 where nothing is known.
    pub position: u64,
    /// Members besides its author that it is for.
    pub members: u64,
    /// How many of them have it on a device.
    pub delivered: u64,
    /// How many of them saw it.
    pub read: u64,
    /// Position up to which all of them have everything.
    pub delivered_all: u64,
    /// Position up to which all of them saw everything.
    pub read_all: u64,
}

impl Receipt {
    /// Takes what is newer in `other`; whether anything was. Counts about the same entry fall when somebody leaves.
    pub(crate) fn merge(&mut self, other: &Receipt) -> bool {
        let before = *self;
        if other.position >= self.position {
            (self.position, self.members) = (other.position, other.members);
            (self.delivered, self.read) = (other.delivered, other.read);
        }
        self.delivered_all = self.delivered_all.max(other.delivered_all);
        self.read_all = self.read_all.max(other.read_all);
        *self != before
    }
}
