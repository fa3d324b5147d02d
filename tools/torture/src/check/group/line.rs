//! The lines about groups, read as strictly as the others.

use super::super::identity::{Device, MessageId};
use super::super::line::Fields;
use super::super::wording::Wording;

/// What a change does to who is a member, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Change {
    pub(super) action: Action,
    pub(super) users: Vec<u64>,
}

/// The part of a change's action that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Action {
    Create,
    Add,
    Remove,
    Leave,
    Delete,
    Promote,
    Demote,
    HandOver,
    /// Whether those who are added from now on may read what was before.
    ShowHistory(bool),
    /// The group is called or described anew.
    Wording,
}

/// What an entry is, by its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Content {
    Message(MessageId),
    Change(Change),
    /// There is no room in it to say whose it is; its author's tick says that.
    Silent,
    Damaged,
}

/// An entry of a group's log as a device got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Entry {
    pub(super) group: u64,
    pub(super) position: u64,
    pub(super) author: u64,
    pub(super) own: bool,
    pub(super) content: Content,
    pub(super) digest: u64,
}

/// How far the members are, as an author was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Receipt {
    pub(super) group: u64,
    pub(super) position: u64,
    pub(super) members: u64,
    pub(super) delivered: u64,
    pub(super) read: u64,
    pub(super) delivered_all: u64,
    pub(super) read_all: u64,
}

/// What a line says; HISTORY.md describes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum GroupEvent {
    Notice { position: u64, group: u64 },
    Resume { group: u64, cursor: u64 },
    Send { group: u64, number: u64, digest: u64, wording: Wording },
    Change { group: u64, number: u64, change: Change, digest: u64 },
    Resend { group: u64, number: u64 },
    Made { number: u64, group: u64 },
    Tick { group: u64, number: u64, position: u64 },
    Rejected { group: u64, number: u64, code: u16 },
    Shown(Entry),
    Again(Entry),
    Skip { group: u64, position: u64 },
    OutOfTurn { group: u64, position: u64 },
    Ack { group: u64, position: u64 },
    Read { group: u64, position: u64 },
    Stored { group: u64, position: u64 },
    Ask { group: u64 },
    Receipt(Receipt),
    State { group: u64, head: u64 },
    Gone { group: u64, position: u64 },
}

/// Reads the fields of an event; `None` if it is none about groups.
pub(in super::super) fn group_event(
    word: &str,
    fields: &mut Fields<'_>,
) -> Result<Option<GroupEvent>, String> {
    if word == "notice" {
        let (position, group) = (fields.number("position")?, fields.number("group")?);
        fields.number("by")?;
        return Ok(Some(GroupEvent::Notice { position, group }));
    }
    if word == "gmade" {
        let (number, group) = (fields.number("number")?, fields.number("group")?);
        return Ok(Some(GroupEvent::Made { number, group }));
    }
    if !word.starts_with('g') {
        return Ok(None);
    }
    let group = fields.number("group")?;
    let mut position = || fields.number("position");
    Ok(Some(match word {
        "gskip" => GroupEvent::Skip { group, position: position()? },
        "goutofturn" => GroupEvent::OutOfTurn { group, position: position()? },
        "gack" => GroupEvent::Ack { group, position: position()? },
        "gread" => GroupEvent::Read { group, position: position()? },
        "gstored" => GroupEvent::Stored { group, position: position()? },
        "gask" => {
            position()?;
            GroupEvent::Ask { group }
        }
        "ggone" => GroupEvent::Gone { group, position: position()? },
        "gresume" => GroupEvent::Resume { group, cursor: fields.number("cursor")? },
        "gstate" => GroupEvent::State { group, head: fields.number("head")? },
        "gshown" => GroupEvent::Shown(entry(group, fields)?),
        "gagain" => GroupEvent::Again(entry(group, fields)?),
        "greceipt" => GroupEvent::Receipt(receipt(group, fields)?),
        _ => return numbered(word, group, fields),
    }))
}

fn numbered(word: &str, group: u64, fields: &mut Fields<'_>) -> Result<Option<GroupEvent>, String> {
    let number = fields.number("number")?;
    Ok(Some(match word {
        "gsend" => {
            fields.number("bytes")?;
            let digest = fields.digest()?;
            GroupEvent::Send { group, number, digest, wording: fields.wording()? }
        }
        "gchange" => {
            let text = fields.text("change")?;
            let change = change(text)?.ok_or_else(|| format!("change={text} is none"))?;
            GroupEvent::Change { group, number, change, digest: fields.digest()? }
        }
        "gresend" => GroupEvent::Resend { group, number },
        "gtick" => GroupEvent::Tick { group, number, position: fields.number("position")? },
        "grejected" => GroupEvent::Rejected { group, number, code: fields.code()? },
        other => return Err(format!("{other:?} is not an event")),
    }))
}

fn entry(group: u64, fields: &mut Fields<'_>) -> Result<Entry, String> {
    Ok(Entry {
        group,
        position: fields.number("position")?,
        author: fields.number("author")?,
        own: fields.flag("own")?,
        content: content(fields.text("body")?)?,
        digest: fields.digest()?,
    })
}

fn receipt(group: u64, fields: &mut Fields<'_>) -> Result<Receipt, String> {
    Ok(Receipt {
        group,
        position: fields.number("position")?,
        members: fields.number("members")?,
        delivered: fields.number("delivered")?,
        read: fields.number("read")?,
        delivered_all: fields.number("delivered_all")?,
        read_all: fields.number("read_all")?,
    })
}

fn content(text: &str) -> Result<Content, String> {
    match text {
        "damaged" => return Ok(Content::Damaged),
        "none" => return Ok(Content::Silent),
        _ => {}
    }
    if let Some(change) = change(text)? {
        return Ok(Content::Change(change));
    }
    let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[user, device, peer, number]) => {
            Ok(Content::Message(MessageId { author: Device { user, device }, peer, number }))
        }
        _ => Err(format!(
            "body={text} is neither USER.DEVICE.GROUP.NUMBER, a change, none, nor damaged"
        )),
    }
}

/// A change in one word, such as `add:3,4` or `show_history:1`.
fn change(text: &str) -> Result<Option<Change>, String> {
    let Some((action, mut users)) = text.split_once(':') else { return Ok(None) };
    let action = match action {
        "create" => Action::Create,
        "add" => Action::Add,
        "remove" => Action::Remove,
        "leave" => Action::Leave,
        "delete" => Action::Delete,
        "promote" => Action::Promote,
        "demote" => Action::Demote,
        "hand_over" => Action::HandOver,
        "show_history" => match std::mem::take(&mut users) {
            "0" => Action::ShowHistory(false),
            "1" => Action::ShowHistory(true),
            other => return Err(format!("{text}: {other:?} is neither 0 nor 1")),
        },
        "rename" | "describe" => Action::Wording,
        other => return Err(format!("{other:?} is not an action")),
    };
    let users = users.split(',').filter(|user| !user.is_empty()).map(str::parse);
    let users = users.collect::<Result<_, _>>().map_err(|error| format!("{text}: {error}"))?;
    Ok(Some(Change { action, users }))
}
