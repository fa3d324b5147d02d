//! What a device writes down about groups: HISTORY.md says what each line means.

use std::fmt;

use fulmar_protocol::group::{Action, Change, GroupReceipt};

use super::book::write_wording;
use super::wording::{Whose, Wording};

/// What an entry of a group's log is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    Message(Whose),
    Change(&'a Change<'a>),
}

/// An entry of a group's log as it is written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupEntry<'a> {
    pub(super) group: u64,
    pub(super) position: u64,
    pub(super) author: u64,
    pub(super) own: bool,
    pub(super) content: Content<'a>,
    pub(super) digest: u64,
}

/// What is written down.
#[derive(Debug, Clone, Copy)]
pub(super) enum GroupNote<'a> {
    Notice { position: u64, group: u64, by: u64 },
    Resume { group: u64, cursor: u64 },
    Send { group: u64, number: u64, bytes: usize, digest: u64, wording: &'a Wording },
    Change { group: u64, number: u64, change: &'a Change<'a>, digest: u64 },
    Resend { group: u64, number: u64 },
    Made { number: u64, group: u64 },
    Tick { group: u64, number: u64, position: u64 },
    Rejected { group: u64, number: u64, code: u16 },
    Shown(GroupEntry<'a>),
    Again(GroupEntry<'a>),
    Skip { group: u64, position: u64 },
    OutOfTurn { group: u64, position: u64 },
    Ack { group: u64, position: u64 },
    Read { group: u64, position: u64 },
    Stored { group: u64, position: u64 },
    Ask { group: u64, position: u64 },
    Receipt(&'a GroupReceipt<'a>),
    State { group: u64, head: u64 },
    Gone { group: u64, position: u64 },
}

impl fmt::Display for GroupNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            GroupNote::Notice { position, group, by } => {
                write!(f, "notice position={position} group={group} by={by}")
            }
            GroupNote::Resume { group, cursor } => {
                write!(f, "gresume group={group} cursor={cursor}")
            }
            GroupNote::Send { group, number, bytes, digest, wording } => {
                write!(
                    f,
                    "gsend group={group} number={number} bytes={bytes} digest={digest:016x}"
                )?;
                write_wording(f, wording)
            }
            GroupNote::Change { group, number, change, digest } => {
                write!(f, "gchange group={group} number={number} ")?;
                write!(f, "change={} digest={digest:016x}", Words(change))
            }
            GroupNote::Resend { group, number } => {
                write!(f, "gresend group={group} number={number}")
            }
            GroupNote::Made { number, group } => write!(f, "gmade number={number} group={group}"),
            GroupNote::Tick { group, number, position } => {
                write!(f, "gtick group={group} number={number} position={position}")
            }
            GroupNote::Rejected { group, number, code } => {
                write!(f, "grejected group={group} number={number} code={code}")
            }
            GroupNote::Shown(entry) => write!(f, "gshown {entry}"),
            GroupNote::Again(entry) => write!(f, "gagain {entry}"),
            GroupNote::Skip { group, position } => at(f, "gskip", group, position),
            GroupNote::OutOfTurn { group, position } => at(f, "goutofturn", group, position),
            GroupNote::Ack { group, position } => at(f, "gack", group, position),
            GroupNote::Read { group, position } => at(f, "gread", group, position),
            GroupNote::Stored { group, position } => at(f, "gstored", group, position),
            GroupNote::Ask { group, position } => at(f, "gask", group, position),
            GroupNote::Receipt(receipt) => write_receipt(f, receipt),
            GroupNote::State { group, head } => write!(f, "gstate group={group} head={head}"),
            GroupNote::Gone { group, position } => at(f, "ggone", group, position),
        }
    }
}

fn at(f: &mut fmt::Formatter<'_>, event: &str, group: u64, position: u64) -> fmt::Result {
    write!(f, "{event} group={group} position={position}")
}

fn write_receipt(f: &mut fmt::Formatter<'_>, receipt: &GroupReceipt<'_>) -> fmt::Result {
    let GroupReceipt { group, position, members, delivered, read, delivered_all, read_all, .. } =
        *receipt;
    write!(
        f,
        "greceipt group={group} position={position} members={members} delivered={delivered} "
    )?;
    write!(f, "read={read} delivered_all={delivered_all} read_all={read_all}")
}

impl fmt::Display for GroupEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupEntry { group, position, author, own, content, digest } = *self;
        let own = u8::from(own);
        write!(f, "group={group} position={position} author={author} own={own} ")?;
        match content {
            Content::Message(whose) => write!(f, "body={whose} ")?,
            Content::Change(change) => write!(f, "body={} ", Words(change))?,
        }
        write!(f, "digest={digest:016x}")
    }
}

/// A change as one word: its action, a colon, the users with commas between them, or what is set.
struct Words<'a>(&'a Change<'a>);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.0.action.name())?;
        if let (Action::ShowHistory, &[shows]) = (self.0.action, self.0.value) {
            return write!(f, "{shows}");
        }
        for (index, user) in self.0.users.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{user}")?;
        }
        Ok(())
    }
}
