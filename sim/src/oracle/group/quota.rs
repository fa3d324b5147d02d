//! Whether a group's log, a group or an inbox could be full when something was refused for that, and whether a role
//! didn't allow what was refused for that.
//!
//! What was sent and not rejected may be in the log: of what expired the server learns in its own time.

use fulmar_client::{Action, Role};

use super::super::quota::USER_GROUPS_MAX;
use super::super::{Complaint, Oracle};
use super::Sender;
use super::line::Asked;
use super::members::Members;

impl Oracle {
    /// The log is full, or the inbox of somebody who would have to be told.
    pub(super) fn judge_group_quota(
        &self,
        run: u32,
        group: u64,
        by: Sender,
        asked: &Asked,
    ) -> Result<(), Complaint> {
        let Some(quota) = self.quota_of(run) else { return Ok(()) };
        let could_be_full = |&(user, floor): &(u32, u64)| {
            self.users[user as usize].could_be_full(floor, (0, 0), 0, quota)
        };
        if asked.floors.iter().any(could_be_full) {
            return Ok(());
        }
        let mut size = String::new();
        if group > 0 {
            let log = self.groups.logs.get(&group);
            let Some(log) = log else { return Ok(()) };
            let Some((entries, bytes)) = log.size_max_without(by) else { return Ok(()) };
            let own_bytes = log.attempt_of(by).map_or(0, |body| u64::from(body.digest.bytes));
            if entries >= quota.group_messages || bytes + own_bytes > quota.group_bytes {
                return Ok(());
            }
            size = format!("; {group} has at most {entries} entries of {bytes} bytes");
        }
        let detail = format!("{by:?}; {quota:?}{size}");
        Err(Complaint("a group is full only when it is", detail))
    }

    /// The group would have too many members.
    pub(super) fn judge_group_size(
        &self,
        run: u32,
        group: u64,
        by: Sender,
    ) -> Result<(), Complaint> {
        let Some(quota) = self.quota_of(run) else { return Ok(()) };
        if self.groups.creations.len() >= USER_GROUPS_MAX {
            return Ok(());
        }
        let log = self.groups.logs.get(&group);
        let body = match group {
            0 => self.groups.creations.get(&by),
            _ => log.and_then(|log| log.attempt_of(by)),
        };
        let Some(change) = body.and_then(|body| body.change.as_ref()) else { return Ok(()) };
        let before = match log.filter(|_| group > 0) {
            Some(log) => match log.members_max_without(by) {
                Some(members) => members.len(),
                None => return Ok(()),
            },
            // Who makes it.
            None => 1,
        };
        let count = before + change.users.len();
        if count as u64 > quota.group_members {
            return Ok(());
        }
        let detail = format!("{change:?} of {by:?} to {group}, which then has at most {count}");
        Err(Complaint("a group is full only when it is", detail))
    }

    /// Who has had the role for something ever since, is allowed it.
    pub(super) fn judge_roles(&self, group: u64, members: &Members) -> Result<(), Complaint> {
        let Some(log) = self.groups.logs.get(&group) else { return Ok(()) };
        for &(by, of, cursor) in self.groups.not_allowed.iter().filter(|it| it.1 == group) {
            let change = log.attempt_of(by).and_then(|body| body.change.as_ref());
            let Some(change) = change else { continue };
            let least = match change.action {
                Action::Leave => Role::Member,
                Action::Rename | Action::Describe | Action::Add => Role::Admin,
                // Of those of the own role nobody can be removed.
                Action::Remove | Action::Create => continue,
                _ => Role::Owner,
            };
            let had = members.role_since(by.0).filter(|&(role, since)| {
                role >= least && since <= cursor && cursor <= members.through
            });
            if let Some((role, since)) = had {
                let detail = format!("{change:?} of {by:?} in {of}, {role:?} since {since}");
                return Err(Complaint("a role allows what it allows", detail));
            }
        }
        Ok(())
    }
}
