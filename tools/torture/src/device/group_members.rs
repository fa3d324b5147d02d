//! Who is in a group and what they are, as far as a device knows: who joined late doesn't know all.

use std::collections::BTreeMap;

use fulmar_protocol::group::{Action, Change};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Member,
    Admin,
    Owner,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Members {
    roles: BTreeMap<u64, Role>,
    /// The group was ended for all.
    pub(super) is_over: bool,
}

impl Members {
    /// A change is in the log.
    pub(super) fn apply(&mut self, author: u64, change: &Change<'_>) {
        match change.action {
            Action::Create => {
                self.set(change, Role::Member);
                self.roles.insert(author, Role::Owner);
            }
            Action::Add | Action::Demote => self.set(change, Role::Member),
            Action::Promote => self.set(change, Role::Admin),
            Action::HandOver => {
                self.roles.insert(author, Role::Admin);
                self.set(change, Role::Owner);
            }
            Action::Remove => {
                for user in change.users.iter() {
                    self.roles.remove(&user);
                }
            }
            Action::Leave => {
                self.roles.remove(&author);
            }
            Action::Delete => {
                self.roles.clear();
                self.is_over = true;
            }
            Action::Rename | Action::Describe | Action::ShowHistory => {}
        }
    }

    fn set(&mut self, change: &Change<'_>, role: Role) {
        self.roles.extend(change.users.iter().map(|user| (user, role)));
    }

    pub(super) fn role(&self, user: u64) -> Option<Role> {
        self.roles.get(&user).copied()
    }

    /// Those who are this.
    pub(super) fn those(&self, role: Role) -> Vec<u64> {
        let those = self.roles.iter().filter(|&(_, &known)| known == role);
        those.map(|(&user, _)| user).collect()
    }
}

#[cfg(test)]
mod tests {
    use fulmar_protocol::Numbers;

    use super::*;

    #[test]
    fn members_are_what_the_changes_made_them() {
        let mut members = Members::default();
        let mut change = |author, action, users: &[u64]| {
            let change = Change { action, users: Numbers::Slice(users), value: b"" };
            members.apply(author, &change);
            [Role::Member, Role::Admin, Role::Owner].map(|role| members.those(role))
        };
        assert_eq!(change(1, Action::Create, &[2, 3]), [vec![2, 3], vec![], vec![1]]);
        assert_eq!(change(1, Action::Promote, &[2, 3]), [vec![], vec![2, 3], vec![1]]);
        assert_eq!(change(1, Action::Demote, &[3]), [vec![3], vec![2], vec![1]]);
        assert_eq!(change(1, Action::HandOver, &[3]), [vec![], vec![1, 2], vec![3]]);
        assert_eq!(change(2, Action::Leave, &[]), [vec![], vec![1], vec![3]]);
        assert_eq!(change(3, Action::Remove, &[1]), [vec![], vec![], vec![3]]);
        assert_eq!(change(3, Action::Delete, &[]), [const { Vec::<u64>::new() }; 3]);
        assert!(members.is_over);
    }
}
