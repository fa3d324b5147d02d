//! What devices store of groups, and what people are shown of them.

use fulmar_client::store::GroupState;
use fulmar_client::{Message, content};

use super::super::{Complaint, Oracle};
use super::log::Body;

impl Oracle {
    /// A device stored an entry of a group.
    pub(crate) fn inserted_in_group(
        &mut self,
        user: u64,
        device: u16,
        message: &Message,
    ) -> Result<(), Complaint> {
        let (group, position) = (message.group.unwrap_or(0), message.position.unwrap_or(0));
        let body = Body::of(message.content, &message.body);
        let is_change = message.content == content::CHANGE;
        let known = self.groups.log(group).entry(position);
        let is_same = known.is_some_and(|entry| {
            (entry.author, entry.body.digest) == (message.peer, body.digest)
                && entry.body.change.is_some() == is_change
        });
        if !is_same {
            let detail = format!("position {position} of {group} at {user}");
            return Err(Complaint("what is stored of a group is what was delivered", detail));
        }
        let state = self.groups.device(user, device, group);
        if !state.kept.insert(position) {
            let detail = format!("position {position} of {group} was stored twice");
            return Err(Complaint("an entry of a group is shown once", detail));
        }
        state.received.insert(position);
        Ok(())
    }

    /// A device stored how far it is with a group.
    pub(crate) fn group_stored(
        &mut self,
        user: u64,
        device: u16,
        new: &GroupState,
    ) -> Result<(), Complaint> {
        let state = self.groups.device(user, device, new.group);
        if new.cursor < state.cursor {
            let detail = format!("from {} to {} in {}", state.cursor, new.cursor, new.group);
            return Err(Complaint("a cursor never goes back", detail));
        }
        (state.is_known, state.is_gone) = (true, new.is_gone);
        (state.cursor, state.seen, state.own_last) = (new.cursor, new.seen, new.own_last);
        state.receipt = new.receipt;
        Ok(())
    }

    /// A person was shown an entry of a group.
    pub(crate) fn shown_of_group(
        &mut self,
        user: u64,
        device: u16,
        message: &Message,
    ) -> Result<(), Complaint> {
        let (group, position) = (message.group.unwrap_or(0), message.position.unwrap_or(0));
        let state = self.groups.device(user, device, group);
        if !state.kept.contains(position) {
            let detail = format!("position {position} of {group} is shown before it is stored");
            return Err(Complaint("what is shown is stored", detail));
        }
        if !state.shown.insert(position) {
            let detail = format!("position {position} of {group} was shown twice");
            return Err(Complaint("an entry of a group is shown once", detail));
        }
        Ok(())
    }

    /// A device lost what it had of groups.
    pub(crate) fn lost_groups(&mut self, user: u64, device: u16) {
        let all = (user, device, 0)..=(user, device, u64::MAX);
        for (_, state) in self.groups.devices.range_mut(all) {
            let received = std::mem::take(&mut state.received);
            *state = super::Device { received, ..super::Device::default() };
        }
    }
}
