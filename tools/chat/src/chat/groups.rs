//! The groups of a chat.

use fulmar_client::store::StoreError;
use fulmar_client::{
    Action, Group, GroupChange, Message, MessageId, Receipt, State, Target, content,
};

use super::{Chat, Tick, is_unread};
use crate::command::Change;

impl Chat {
    /// The open group, if one is.
    pub(crate) fn open_group(&self) -> Option<&Group> {
        match self.open {
            Some(Target::Group(group)) => self.groups.get(&group),
            _ => None,
        }
    }

    /// How far the members of a group are with this person's newest message there, if that is known.
    pub(crate) fn receipt(&self, group: u64) -> Option<Receipt> {
        self.groups.get(&group).map(|known| known.receipt).filter(|receipt| receipt.position > 0)
    }

    /// The group with this name or number.
    pub(crate) fn find_group(&self, name: &str) -> Option<u64> {
        let named = self.groups.values().filter(|group| &*group.name == name.as_bytes());
        let newest = named.max_by_key(|group| group.last).map(|group| group.group);
        newest.or_else(|| name.parse().ok().filter(|number| self.groups.contains_key(number)))
    }

    pub(super) fn tick_in_group(&self, message: &Message, group: u64) -> Tick {
        let receipt = self.groups.get(&group).map(|known| known.receipt).unwrap_or_default();
        let is_newest = message.ordinal == Some(receipt.position) && receipt.members > 0;
        match (message.state, message.ordinal) {
            (State::Received, _) => Tick::Incoming,
            (State::Pending, _) => Tick::Pending,
            (State::Rejected(_), _) => Tick::Rejected,
            (State::Sent, Some(position)) if position <= receipt.read_all => Tick::Read,
            (State::Sent, _) if is_newest && receipt.read == receipt.members => Tick::Read,
            (State::Sent, Some(position)) if position <= receipt.delivered_all => Tick::Delivered,
            (State::Sent, _) if is_newest && receipt.delivered == receipt.members => {
                Tick::Delivered
            }
            (State::Sent, _) => Tick::Sent,
        }
    }

    /// How many members have and saw an own message, if it is the newest and that is known.
    pub(crate) fn counts(&self, message: &Message) -> Option<String> {
        let receipt = self.groups.get(&message.group?)?.receipt;
        let is_newest = message.state == State::Sent && message.ordinal == Some(receipt.position);
        is_newest.then(|| counts(&receipt))
    }

    /// Makes a group.
    pub(crate) async fn make_group(
        &mut self,
        name: &str,
        members: &[u64],
    ) -> Result<Message, String> {
        let change = GroupChange::create(name, members);
        let message = self.send_change(0, change).await?;
        self.making.push(message.id);
        Ok(message)
    }

    /// Whether this is a group that this person was making, and that is made now.
    pub(crate) fn is_made(&mut self, id: MessageId) -> bool {
        let before = self.making.len();
        self.making.retain(|making| *making != id);
        self.making.len() < before
    }

    /// Changes the open group.
    pub(crate) async fn change(&mut self, change: Change) -> Result<Message, String> {
        let Some(Target::Group(group)) = self.open else {
            return Err("no group is open; /join opens one".to_owned());
        };
        if let Change::End(name) = &change {
            self.judge_end(group, name)?;
        }
        let change = match change {
            Change::Add(users) => GroupChange::of_users(Action::Add, &users),
            Change::Remove(users) => GroupChange::of_users(Action::Remove, &users),
            Change::Promote(users) => GroupChange::of_users(Action::Promote, &users),
            Change::Demote(users) => GroupChange::of_users(Action::Demote, &users),
            Change::HandOver(user) => GroupChange::of_users(Action::HandOver, &[user]),
            Change::Describe(text) => GroupChange::of_value(Action::Describe, text.as_bytes()),
            Change::ShowHistory(is_shown) => {
                GroupChange::of_value(Action::ShowHistory, &[u8::from(is_shown)])
            }
            Change::End(_) => GroupChange::of_users(Action::Delete, &[]),
            Change::Rename(name) => GroupChange::of_value(Action::Rename, name.as_bytes()),
            Change::Leave => GroupChange::of_users(Action::Leave, &[]),
        };
        self.send_change(group, change).await
    }

    /// Nobody brings a group back, so who ends it says which.
    fn judge_end(&self, group: u64, name: &str) -> Result<(), String> {
        let label = self.label(Target::Group(group));
        if name == label || name == group.to_string() {
            return Ok(());
        }
        Err(format!("this ends {label} for everybody, for good; /end {group} does it"))
    }

    async fn send_change(&mut self, group: u64, change: GroupChange) -> Result<Message, String> {
        let body = change.body();
        let sent = self.client.change_group(group, change).await;
        let id = sent.map_err(|error| format!("not sent: {error}"))?;
        Ok(self.wrote(id, Target::Group(group), content::CHANGE, &body))
    }

    pub(super) async fn arrived_in_group(&mut self, message: &Message) -> Result<(), StoreError> {
        let Some(group) = message.group else { return Ok(()) };
        self.typing.remove(&(message.target(), message.peer));
        let is_change = message.content == content::CHANGE;
        match self.groups.get_mut(&group) {
            Some(known) if !is_change => {
                if message.id > known.last {
                    known.last = message.id;
                    known.unread += u64::from(is_unread(message, known.seen));
                }
            }
            _ => self.load_groups().await?,
        }
        if self.open == Some(message.target()) {
            self.insert(message.clone());
        } else {
            self.note_call(message);
        }
        Ok(())
    }
}

/// A group that isn't there, for people.
pub(crate) fn no_group(name: &str) -> String {
    format!("there is no group {name:?} here; /list shows them, /group makes one")
}

/// How far the members of a group are, for people.
pub(crate) fn counts(receipt: &Receipt) -> String {
    format!("delivered {} of {}, read {}", receipt.delivered, receipt.members, receipt.read)
}
