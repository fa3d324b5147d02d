//! What each member is, entry by entry, and whether each author might do what it did: a change by somebody
//! whose role isn't enough, an impossible one, and whatever somebody wrote who is no member, are complained
//! about. So is everything behind the end of a group, which has no members.

use std::collections::BTreeMap;

use super::super::violation::{Promise, Tally};
use super::line::{Action, Change};
use super::log::{GroupFacts, Held};
use super::references;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Member,
    Admin,
    Owner,
}

/// What a member is. If an owner left and several may have followed, each is at least what it was and at
/// most the owner.
#[derive(Debug, Clone, Copy)]
struct Rank {
    least: Role,
    most: Role,
    /// Position of the change that added it.
    since: u64,
}

/// The members of a group at some place of its log.
#[derive(Debug, Default)]
pub(super) struct Roles {
    ranks: BTreeMap<u64, Rank>,
}

/// Judges all that a group's log holds.
pub(super) fn judge(facts: &GroupFacts, group: u64, log: &BTreeMap<u64, Held>, tally: &mut Tally) {
    let mut roles = Roles::default();
    // Behind a hole nobody knows who is what; the hole itself is complained about.
    let whole = (1..).zip(log.keys()).take_while(|&(due, &position)| due == position).count();
    for (nth, (&position, held)) in log.iter().enumerate() {
        if nth < whole
            && let Some(wrong) = roles.wrong_with(held)
        {
            let text = format!("group {group}: position {position}, by {}, {wrong}", held.author);
            tally.add(Promise::Protocol, text);
        }
        references::judge(facts, group, log, (position, held), &roles, tally);
        roles.apply(position, held);
    }
}

impl Roles {
    /// Whether somebody may have been this, or more.
    pub(super) fn may_be(&self, user: u64, role: Role) -> bool {
        self.ranks.get(&user).is_some_and(|rank| rank.most >= role)
    }

    /// What is wrong with an entry that the server took, in words.
    fn wrong_with(&self, held: &Held) -> Option<String> {
        let change = held.change.as_ref();
        if change.is_some_and(|change| change.action == Action::Create) {
            return (!self.ranks.is_empty()).then(|| "makes a group that there is".to_owned());
        }
        let Some(author) = self.ranks.get(&held.author) else {
            return Some("is by somebody who is no member".to_owned());
        };
        let change = change?;
        let least = match change.action {
            Action::Create | Action::Leave => Role::Member,
            Action::Add | Action::Remove | Action::Wording => Role::Admin,
            Action::Delete
            | Action::Promote
            | Action::Demote
            | Action::HandOver
            | Action::ShowHistory(_) => Role::Owner,
        };
        if author.most < least {
            return Some(format!("is a {:?} by a mere {:?}", change.action, author.most));
        }
        let is_wrong = |&&user: &&u64| !is_possible(change, author, self.ranks.get(&user));
        let wrong = change.users.iter().find(is_wrong)?;
        Some(format!("is a {:?} of {wrong}, which can't be", change.action))
    }

    /// Makes a change.
    fn apply(&mut self, position: u64, held: &Held) {
        let Some(change) = &held.change else { return };
        let author = held.author;
        let since = position;
        let role = match change.action {
            Action::Create => {
                let (least, most) = (Role::Owner, Role::Owner);
                self.ranks.insert(author, Rank { least, most, since });
                Role::Member
            }
            Action::Add | Action::Demote => Role::Member,
            Action::Remove => return self.ranks.retain(|user, _| !change.users.contains(user)),
            Action::Leave => return self.leave(author),
            Action::Delete => return self.ranks.clear(),
            Action::Promote => Role::Admin,
            Action::HandOver => {
                self.set(author, Role::Admin, since);
                Role::Owner
            }
            Action::ShowHistory(_) | Action::Wording => return,
        };
        for &user in &change.users {
            self.set(user, role, since);
        }
        if change.action == Action::HandOver {
            self.own(&change.users);
        }
    }

    /// A member is this from now on, or somebody became a member.
    fn set(&mut self, user: u64, role: Role, since: u64) {
        let since = self.ranks.get(&user).map_or(since, |rank| rank.since);
        self.ranks.insert(user, Rank { least: role, most: role, since });
    }

    /// There is no other owner than these.
    fn own(&mut self, owners: &[u64]) {
        for (_, rank) in self.ranks.iter_mut().filter(|(user, _)| !owners.contains(user)) {
            rank.most = rank.most.min(Role::Admin).max(rank.least);
        }
    }

    /// If it was the owner, the admin who is longest in the group follows, or the member who is.
    fn leave(&mut self, author: u64) {
        let Some(left) = self.ranks.remove(&author).filter(|left| left.most == Role::Owner) else {
            return;
        };
        let all: Vec<Rank> = self.ranks.values().copied().collect();
        let is_before = |other: &Rank, rank: &Rank| {
            let is_older = other.since < rank.since;
            other.least > rank.most || (other.least >= rank.most && is_older)
        };
        let mut heirs: Vec<&mut Rank> = self.ranks.values_mut().collect();
        heirs.retain(|rank| !all.iter().any(|other| is_before(other, rank)));
        let is_certain = left.least == Role::Owner && heirs.len() == 1;
        for heir in heirs {
            heir.most = Role::Owner;
            if is_certain {
                heir.least = Role::Owner;
            }
        }
    }
}

/// Whether a change may name somebody who is this.
fn is_possible(change: &Change, author: &Rank, named: Option<&Rank>) -> bool {
    let may_be = |role: Role| named.is_some_and(|it| (it.least..=it.most).contains(&role));
    match change.action {
        Action::Add => named.is_none(),
        Action::Remove => named.is_some_and(|it| it.least < author.most),
        Action::Promote => may_be(Role::Member),
        Action::Demote => may_be(Role::Admin),
        Action::HandOver => may_be(Role::Member) || may_be(Role::Admin),
        Action::Create
        | Action::Leave
        | Action::Delete
        | Action::ShowHistory(_)
        | Action::Wording => false,
    }
}
