//! What a group was said to be, and who was told what its members do: compared in the end with what the changes of
//! its log make of it.

use fulmar_protocol::group::GroupState;

use super::super::{Complaint, Oracle};
use super::Groups;
use super::log::Log;
use super::members::Members;

/// Answers that are kept of one group, the first ones.
const SHOWN_MAX: usize = 256;
/// Members in one answer.
const PAGE_MEMBERS: usize = 256;

/// An answer to the question what a group is.
#[derive(Debug)]
pub(super) struct Shown {
    /// Who asked.
    user: u64,
    /// Members with larger numbers were asked for.
    after: u64,
    head: u64,
    members: u64,
    shows_history: bool,
    name: Vec<u8>,
    info: Vec<u8>,
    roles: Vec<(u64, u64)>,
}

impl Shown {
    fn judge(&self, group: u64, members: &Members) -> Result<(), Complaint> {
        let roles = members.roles();
        let detail = || format!("{group} at {} is {members:?}, told was {self:?}", self.head);
        if !roles.contains_key(&self.user) {
            return Err(Complaint("who isn't a member isn't told what a group is", detail()));
        }
        let page = roles.iter().filter(|(user, _)| **user > self.after).take(PAGE_MEMBERS);
        let is_so = self.members == roles.len() as u64
            && self.shows_history == members.shows_history
            && self.name == members.name
            && self.info == members.info
            && page.map(|(user, role)| (*user, *role as u64)).eq(self.roles.iter().copied());
        if is_so {
            return Ok(());
        }
        Err(Complaint("a group is said to be what its log made of it", detail()))
    }
}

impl Groups {
    /// A user who asked for the members after one was told what a group is.
    pub(super) fn show(&mut self, user: u64, after: u64, state: &GroupState<'_>) {
        let shown = self.shown.entry(state.group).or_default();
        if shown.len() < SHOWN_MAX {
            shown.push(Shown {
                user,
                after,
                head: state.head,
                members: state.members,
                shows_history: state.shows_history,
                name: state.name.to_vec(),
                info: state.info.to_vec(),
                roles: state.roles.iter().collect(),
            });
        }
    }

    /// Somebody was told what another one does in a group who said so when this much of its log was known.
    pub(crate) fn mates(&mut self, group: u64, by: u64, told: u64, head: u64) {
        let known = self.mates.entry(group).or_default().entry((by, told)).or_default();
        *known = (*known).max(head);
    }
}

impl Oracle {
    /// Whoever was told what a member does was one itself, and that one too.
    pub(super) fn judge_mates(&self, group: u64, members: &Members) -> Result<(), Complaint> {
        for (&(by, told), &head) in self.groups.mates.get(&group).into_iter().flatten() {
            let is_in = |user: u64| {
                let mut spans = members.spans(user).iter();
                spans.any(|span| span.ended.is_none_or(|end| end > head))
            };
            if !is_in(by) || !is_in(told) {
                let spans = (members.spans(by), members.spans(told));
                let detail =
                    format!("{by} writes in {group} behind {head}, told to {told}: {spans:?}");
                return Err(Complaint("members alone are shown who writes in a group", detail));
            }
        }
        Ok(())
    }

    /// Plays the log of a group, and compares with it what the group was said to be.
    pub(super) fn members_as_shown(&self, group: u64, log: &Log) -> Result<Members, Complaint> {
        let shown = self.groups.shown.get(&group).map_or(&[][..], Vec::as_slice);
        Members::play(group, log, |members, position, _| {
            let mut of_it = shown.iter().filter(|shown| shown.head == position);
            of_it.try_for_each(|shown| shown.judge(group, members))
        })
    }
}
