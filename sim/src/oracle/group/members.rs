//! Who is in a group and may do what: the changes of its log, played again in their order.

use std::collections::BTreeMap;

use fulmar_client::{Action, GroupChange, Role};

use super::super::Complaint;
use super::log::{Entry, Log};

/// Times of a user in a group that the server remembers, the latest.
pub(crate) const SPANS_KEPT: usize = 17;

/// A time in which a user is a member: the entry that began it, the one that ended it, if one did, and the
/// first position that the user may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) joined: u64,
    pub(crate) ended: Option<u64>,
    pub(crate) first: u64,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Members {
    roles: BTreeMap<u64, Role>,
    /// The entry that gave each its role.
    ranked: BTreeMap<u64, u64>,
    spans: BTreeMap<u64, Vec<Span>>,
    pub(crate) shows_history: bool,
    pub(crate) name: Vec<u8>,
    pub(crate) info: Vec<u8>,
    /// The last position that was played; what comes after it isn't known, or nothing does.
    pub(crate) through: u64,
}

impl Members {
    /// Plays a log as far as it is known without holes.
    pub(crate) fn of(group: u64, log: &Log) -> Result<Self, Complaint> {
        Self::play(group, log, |_, _, _| Ok(()))
    }

    /// The same, and shows each entry with the group as it was once that was taken.
    pub(crate) fn play(
        group: u64,
        log: &Log,
        mut on: impl FnMut(&Self, u64, &Entry) -> Result<(), Complaint>,
    ) -> Result<Self, Complaint> {
        let mut members = Members::default();
        for (position, entry) in (1..).zip(&log.entries) {
            let Some(entry) = entry else { break };
            members.through = position;
            let author = entry.author;
            let is_first = position == 1;
            if !is_first && !members.roles.contains_key(&author) {
                let detail = format!("position {position} of {group} is of {author}, a stranger");
                return Err(Complaint("who isn't a member writes nothing", detail));
            }
            let Some(change) = &entry.body.change else {
                on(&members, position, entry)?;
                continue;
            };
            if (change.action == Action::Create) != is_first || !members.may(author, change) {
                let role = members.roles.get(&author);
                let detail = format!("position {position} of {group}: {change:?} of {role:?}");
                return Err(Complaint("a change is made by who may make it", detail));
            }
            members.change(author, change, position);
            on(&members, position, entry)?;
        }
        Ok(members)
    }

    /// Members as they are in the end.
    pub(crate) fn present(&self) -> impl Iterator<Item = (u64, Span)> {
        self.roles.keys().filter_map(|user| Some((*user, *self.spans.get(user)?.last()?)))
    }

    pub(crate) fn spans(&self, user: u64) -> &[Span] {
        self.spans.get(&user).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &[Span])> {
        self.spans.iter().map(|(user, spans)| (*user, spans.as_slice()))
    }

    /// The members and what they are.
    pub(crate) const fn roles(&self) -> &BTreeMap<u64, Role> {
        &self.roles
    }

    /// The role of a member, and the entry that gave it.
    pub(crate) fn role_since(&self, user: u64) -> Option<(Role, u64)> {
        Some((*self.roles.get(&user)?, *self.ranked.get(&user)?))
    }

    /// Whether a user may ever have read this position.
    pub(crate) fn may_read(&self, user: u64, position: u64) -> bool {
        let covers =
            |span: &Span| span.first <= position && span.ended.is_none_or(|end| position <= end);
        self.spans(user).iter().any(covers)
    }

    /// Whether a user is an admin or the owner.
    pub(crate) fn is_admin(&self, user: u64) -> bool {
        self.roles.get(&user) >= Some(&Role::Admin)
    }

    fn may(&self, author: u64, change: &GroupChange) -> bool {
        let GroupChange { action, users, value } = change;
        let role = |user: &u64| self.roles.get(user).copied();
        let author = role(&author);
        let is_admin = author >= Some(Role::Admin);
        let is_owner = author == Some(Role::Owner);
        let all = |test: &dyn Fn(Option<Role>) -> bool| {
            !users.is_empty() && users.iter().all(|user| test(role(user)))
        };
        match action {
            Action::Create => author.is_none(),
            Action::Rename => is_admin && users.is_empty() && value.len() <= 256,
            Action::Describe => is_admin && users.is_empty(),
            Action::Add => is_admin && all(&|role| role.is_none()),
            Action::Remove => is_admin && all(&|role| role.is_some() && role < author),
            Action::Leave => author.is_some() && users.is_empty(),
            Action::Promote => is_owner && all(&|role| role == Some(Role::Member)),
            Action::Demote => is_owner && all(&|role| role == Some(Role::Admin)),
            Action::HandOver => {
                let is_other = |role| role == Some(Role::Member) || role == Some(Role::Admin);
                is_owner && users.len() == 1 && all(&is_other)
            }
            Action::Delete => is_owner,
            Action::ShowHistory => is_owner && matches!(value[..], [0 | 1]),
        }
    }

    fn change(&mut self, author: u64, change: &GroupChange, position: u64) {
        let users = &change.users;
        match change.action {
            Action::Create => {
                self.name.clone_from(&change.value);
                self.join(author, Role::Owner, position);
                for &user in users {
                    self.join(user, Role::Member, position);
                }
            }
            Action::Add => users.iter().for_each(|&user| self.join(user, Role::Member, position)),
            Action::Remove => users.iter().for_each(|&user| self.end(user, position)),
            Action::Leave => self.leave(author, position),
            Action::Promote => self.set(users, Role::Admin, position),
            Action::Demote => self.set(users, Role::Member, position),
            Action::HandOver => {
                self.set(&[author], Role::Admin, position);
                self.set(users, Role::Owner, position);
            }
            Action::Delete => {
                let all: Vec<u64> = self.roles.keys().copied().collect();
                for user in all {
                    self.end(user, position);
                }
            }
            Action::ShowHistory => self.shows_history = change.value == [1],
            Action::Rename => self.name.clone_from(&change.value),
            Action::Describe => self.info.clone_from(&change.value),
        }
    }

    fn join(&mut self, user: u64, role: Role, position: u64) {
        self.roles.insert(user, role);
        self.ranked.insert(user, position);
        let first = if self.shows_history { 1 } else { position };
        self.spans.entry(user).or_default().push(Span { joined: position, ended: None, first });
    }

    fn end(&mut self, user: u64, position: u64) {
        self.roles.remove(&user);
        if let Some(span) = self.spans.get_mut(&user).and_then(|spans| spans.last_mut()) {
            span.ended = Some(position);
        }
    }

    fn leave(&mut self, user: u64, position: u64) {
        let was_owner = self.roles.get(&user) == Some(&Role::Owner);
        self.end(user, position);
        if !was_owner {
            return;
        }
        // The one longest in the group among those with the highest role.
        let since = |user: u64| self.spans(user).last().map_or(0, |span| span.joined);
        let next = self
            .roles
            .iter()
            .min_by_key(|(user, role)| (std::cmp::Reverse(**role), since(**user), **user))
            .map(|(user, _)| *user);
        self.set(&next.into_iter().collect::<Vec<_>>(), Role::Owner, position);
    }

    fn set(&mut self, users: &[u64], role: Role, position: u64) {
        for user in users {
            if let Some(known) = self.roles.get_mut(user) {
                *known = role;
                self.ranked.insert(*user, position);
            }
        }
    }
}
