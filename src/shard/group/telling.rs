//! What a group's home tells cores and sessions of it beside its entries: who is in it, where it goes on, what
//! it is.

use fulmar_protocol::limits::WHO_MAX;

use super::super::seam::{GroupId, UserId};
use super::super::{Effects, Shard, home_core};
use super::letter::{Asker, GroupLetter, Progress, Seated, State};
use super::record::{Member, Role};
use crate::faults::{Fault, is_planted};
use crate::limits::GROUP_EARLY_MAX;

impl Shard {
    /// Tells each core with members who they are. Cores that had some and have none hear that too.
    pub(super) fn seat_group(&mut self, slot: u32, head: u64, fx: &mut Effects) {
        let cores = self.config.cores;
        let group = &mut self.groups[slot];
        let id = group.id;
        let mut seats: Vec<Vec<Seated>> = vec![Vec::new(); usize::from(cores)];
        for member in &group.record.members {
            // A former one matters as long as it may have something to read.
            if member.is_active() || member.until > group.record.trim {
                seats[usize::from(home_core(member.user, cores))].push(seated(member));
            }
        }
        let before = std::mem::take(&mut group.cores);
        let mut now = Vec::new();
        for (core, members) in (0..).zip(seats) {
            if !members.is_empty() {
                now.push(core);
            } else if !before.contains(&core) {
                continue;
            }
            self.post_to_core(core, GroupLetter::Seat { group: id, head, members }.into(), fx);
        }
        let group = &mut self.groups[slot];
        (group.cores, group.is_seated) = (now, true);
    }

    /// A member writes: told to each core with members.
    pub(super) fn member_types(
        &mut self,
        slot: u32,
        user: UserId,
        is_typing: bool,
        fx: &mut Effects,
    ) {
        let group = &self.groups[slot];
        if group.record.active(user).is_none() && !is_planted(Fault::StrangerShownToWrite) {
            return;
        }
        let (id, head) = (group.id, group.durable);
        if !group.is_seated {
            self.seat_group(slot, head, fx);
        }
        let cores = self.groups[slot].cores.clone();
        for core in cores {
            let letter = GroupLetter::TypingHere { group: id, user, is_typing };
            self.post_to_core(core, letter.into(), fx);
        }
    }

    /// A session wants what it lacks of the group.
    pub(super) fn open_group(&mut self, slot: u32, asker: Asker, cursor: u64, fx: &mut Effects) {
        let group = &self.groups[slot];
        let (id, head) = (group.id, group.durable);
        let member = group.record.find(asker.user);
        if group.is_joining(asker.user) && member.is_none_or(|member| !member.is_active()) {
            if self.groups[slot].early.len() < GROUP_EARLY_MAX {
                self.groups[slot].early.push((asker, cursor));
            } else {
                let letter = GroupLetter::Overloaded { conn: asker.conn };
                self.post_to_core(asker.core, letter.into(), fx);
            }
            return;
        }
        let Some(member) = member.map(seated) else {
            self.group_gone(asker, id, false, fx);
            return;
        };
        if !self.groups[slot].is_seated {
            self.seat_group(slot, head, fx);
        }
        // A crash may have taken what it acknowledged last.
        let said = Progress { user: asker.user, delivered: cursor, read: 0 };
        self.group_moved(slot, &[said]);
        let letter = GroupLetter::Open { conn: asker.conn, group: id, cursor, head, member };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    pub(super) fn group_gone(
        &mut self,
        asker: Asker,
        group: GroupId,
        is_answer: bool,
        fx: &mut Effects,
    ) {
        let letter = GroupLetter::Gone { conn: asker.conn, group, is_answer, position: Some(0) };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    /// Answers a question of somebody who isn't a member. A former one is told its end, which may lie before
    /// what its device still gets; one who is just being added is told nothing that would make its device
    /// forget the group.
    pub(super) fn refuse_question(&mut self, slot: u32, asker: Asker, fx: &mut Effects) {
        let group = &self.groups[slot];
        let is_joining = group.is_joining(asker.user);
        let end = group.record.find(asker.user).map_or(0, |member| member.until);
        let position = (!is_joining).then_some(end);
        let (conn, group) = (asker.conn, group.id);
        let letter = GroupLetter::Gone { conn, group, is_answer: true, position };
        self.post_to_core(asker.core, letter.into(), fx);
    }

    pub(super) fn group_looked(
        &mut self,
        slot: u32,
        asker: Asker,
        after: UserId,
        fx: &mut Effects,
    ) {
        let group = &self.groups[slot];
        let head = group.durable - u64::from(is_planted(Fault::GroupHeadBehind));
        let (id, record) = (group.id, &group.record);
        if record.active(asker.user).is_none() && !is_planted(Fault::GroupShownToStranger) {
            self.refuse_question(slot, asker, fx);
            return;
        }
        let members = record.members.iter().filter(|it| it.user > after && it.is_active());
        let state = State {
            head,
            members: record.members_count() as u64,
            shows_history: record.shows_history,
            name: record.name.clone(),
            info: record.info.clone(),
            roles: members.take(WHO_MAX).map(|it| (it.user, role_number(it.role))).collect(),
        };
        let letter = GroupLetter::State { conn: asker.conn, group: id, state: Box::new(state) };
        self.post_to_core(asker.core, letter.into(), fx);
    }
}

pub(super) fn seated(member: &Member) -> Seated {
    Seated {
        user: member.user,
        since: member.since,
        before: if is_planted(Fault::GroupHistoryShown) { 0 } else { member.before },
        until: if is_planted(Fault::GroupMemberNotRemoved) { u64::MAX } else { member.last() },
        absences: member.absences.as_slice().into(),
    }
}

fn role_number(role: Role) -> u64 {
    if role == Role::Owner && is_planted(Fault::GroupRoleShownWrong) {
        return Role::Admin as u64;
    }
    role as u64
}
