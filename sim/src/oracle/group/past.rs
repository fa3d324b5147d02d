//! Pages of the past of groups.

use fulmar_client::Message;

use super::super::link::{DeliverHeader, Link};
use super::super::{Complaint, Oracle};
use super::log::Body;
use super::members::{Members, SPANS_KEPT};

impl Oracle {
    /// An entry of a group came in a page.
    pub(crate) fn entry_told(
        &mut self,
        link: &Link,
        header: &DeliverHeader,
        body: &Body,
    ) -> Result<(), Complaint> {
        self.group_entry_told(link, header, body)?;
        // That it may be read is judged once the log is known.
        let user = self.users[link.user as usize].id;
        let reader = self.groups.reader(user, header.group);
        reader.delivered.insert(header.position);
        reader.delivered_max = reader.delivered_max.max(header.position);
        Ok(())
    }

    /// Whether something is surely kept at a position for a user, where nothing expires.
    pub(crate) fn is_kept_in_group(&self, user: u64, group: u64, position: u64) -> bool {
        let Some(log) = self.groups.logs.get(&group) else { return false };
        let Some(entry) = log.entry(position) else { return false };
        let Ok(members) = Members::of(group, log) else { return false };
        let is_readable =
            members.spans(user).len() <= SPANS_KEPT && members.may_read(user, position);
        is_readable && position <= members.through && !self.entry_may_be_over(Some(entry))
    }

    /// A device stored an entry of the time before, unless it has it.
    pub(crate) fn filled_in_group(
        &mut self,
        user: u64,
        device: u16,
        message: &Message,
    ) -> Result<(), Complaint> {
        let (group, position) = (message.group.unwrap_or(0), message.position.unwrap_or(0));
        let digest = Body::of(message.content, &message.body).digest;
        let entry = self.groups.log(group).entry(position);
        if entry.is_none_or(|entry| entry.body.digest != digest) {
            let detail = format!("position {position} of {group} at {user}, of the past");
            return Err(Complaint("what is stored of a group is what was delivered", detail));
        }
        let state = self.groups.device(user, device, group);
        state.kept.insert(position);
        state.received.insert(position);
        Ok(())
    }
}
