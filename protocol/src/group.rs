//! Frames about groups, and what changes in one.

use crate::code::Code;
use crate::lists::{Numbers, Pairs};

/// Content kind of an entry that tells of a change of its group; its body is a [`Change`].
pub const CONTENT_CHANGE: u8 = 2;

/// What is done to a group. The number is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Makes the group, with its first members and its name.
    Create = 1,
    /// Sets the name.
    Rename = 2,
    /// Sets the description, opaque bytes (a text, the address of a picture).
    Describe = 3,
    /// Adds members.
    Add = 4,
    /// Removes members.
    Remove = 5,
    /// The member leaves.
    Leave = 6,
    /// Makes members admins.
    Promote = 7,
    /// Makes admins members.
    Demote = 8,
    /// Makes another member the owner.
    HandOver = 9,
    /// Ends the group.
    Delete = 10,
    /// Sets whether new members may read what was before them: one byte, 0 or 1.
    ShowHistory = 11,
}

impl Action {
    /// Every action, in the order of their numbers.
    pub const ALL: [Action; 11] = [
        Action::Create,
        Action::Rename,
        Action::Describe,
        Action::Add,
        Action::Remove,
        Action::Leave,
        Action::Promote,
        Action::Demote,
        Action::HandOver,
        Action::Delete,
        Action::ShowHistory,
    ];

    /// The action with this number, if it is defined.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Action> {
        if number == 0 || number as usize > Action::ALL.len() {
            return None;
        }
        Some(Action::ALL[number as usize - 1])
    }

    /// A stable name in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Rename => "rename",
            Action::Describe => "describe",
            Action::Add => "add",
            Action::Remove => "remove",
            Action::Leave => "leave",
            Action::Promote => "promote",
            Action::Demote => "demote",
            Action::HandOver => "hand_over",
            Action::Delete => "delete",
            Action::ShowHistory => "show_history",
        }
    }
}

/// A change of a group: in a request, and as the body of the entry that tells the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// What is done.
    pub action: Action,
    /// To whom; empty where it is to nobody in particular.
    pub users: Numbers<'a>,
    /// The name, the description, or the setting; empty where there is none. At most
    /// [`GROUP_VALUE_BYTES_MAX`](crate::limits::GROUP_VALUE_BYTES_MAX).
    pub value: &'a [u8],
}

/// Client → server: a message to a group, or the first part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSend<'a> {
    /// The group.
    pub group: u64,
    /// This device's number for it, increasing within its sends to this group.
    pub number: u64,
    /// What the body is; opaque to the server. Not [`CONTENT_CHANGE`], which a decoder refuses.
    pub content: u8,
    /// Length of the whole body where it continues in part frames; `None` where it is all here.
    pub total_bytes: Option<u64>,
    /// The body, or its first bytes.
    pub body: &'a [u8],
}

/// Server → client: an entry of a group's log, or the first part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupDeliver<'a> {
    /// The group.
    pub group: u64,
    /// Its position in the group's log.
    pub position: u64,
    /// Who sent it, or made the change.
    pub author: u64,
    /// When the server took it, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What the body is; opaque to the server, but for [`CONTENT_CHANGE`].
    pub content: u8,
    /// Whether this user sent it, from another device.
    pub own: bool,
    /// Length of the whole body where it continues in part frames; `None` where it is all here.
    pub total_bytes: Option<u64>,
    /// The body, or its first bytes.
    pub body: &'a [u8],
}

/// Server → client: how far the members are. Each number counts what the members' devices said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupReceipt<'a> {
    /// The group.
    pub group: u64,
    /// The entry that the counts are about.
    pub position: u64,
    /// Members that it is for, besides the user who is told.
    pub members: u64,
    /// How many of them have it on a device.
    pub delivered: u64,
    /// How many of them saw it.
    pub read: u64,
    /// Position up to which all of them have everything on a device.
    pub delivered_all: u64,
    /// Position up to which all of them saw everything.
    pub read_all: u64,
    /// In the answer to a question: members and how far each is with the entry (0 not yet, 1 has it,
    /// 2 saw it), at most [`WHO_MAX`](crate::limits::WHO_MAX).
    pub who: Pairs<'a>,
}

/// Server → client: what a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupState<'a> {
    /// The group.
    pub group: u64,
    /// Position of its last entry.
    pub head: u64,
    /// How many members it has.
    pub members: u64,
    /// Whether new members may read what was before them.
    pub shows_history: bool,
    /// Its name.
    pub name: &'a [u8],
    /// Its description.
    pub info: &'a [u8],
    /// Members after the one that was asked for, and their roles (1 member, 2 admin, 3 owner), at most
    /// [`WHO_MAX`](crate::limits::WHO_MAX).
    pub roles: Pairs<'a>,
}

/// Server → client: an entry of the inbox that tells of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupNotice {
    /// Position in the inbox.
    pub position: u64,
    /// The group to which this user was added.
    pub group: u64,
    /// Who did it.
    pub by: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// Server → client: a send or change was not taken and nothing of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRejected {
    /// The group.
    pub group: u64,
    /// The device's number. It is spent: a new attempt takes a new number.
    pub number: u64,
    /// Why.
    pub code: Code,
    /// Earliest time to try again, in milliseconds from now; 0 where it makes no sense.
    pub retry_after_ms: u64,
}
