//! How a device changes groups: the one who makes them most, who is handed one gives it back, and now and
//! then somebody tries what it may not.

use std::time::{Duration, Instant};

use fulmar_protocol::Numbers;
use fulmar_protocol::group::{Action, Change};

use super::Device;
use super::group_members::Role;
use super::people::may_sleep;
use crate::feature::Feature;
use crate::limits::DELETIONS_MAX;

/// In this many of a hundred cases a member who isn't the owner leaves, when it may.
const PERCENT_LEAVING: u32 = 5;
/// The same for a change that it may not make, unless it has become an admin or the owner.
const PERCENT_MEDDLING: u32 = 6;
/// In this many of a hundred cases who was handed a group hands it back, when it may.
const PERCENT_BACK: u32 = 60;
/// Longest time between two changes of groups by one device.
const CHANGE_EVERY: Duration = Duration::from_millis(1_500);
/// The same for one that made groups.
const MAKERS_CHANGE_EVERY: Duration = Duration::from_millis(250);

/// What a device wants to do, and to whom.
type Wish = (Action, Vec<u64>);

impl Device {
    /// Has the groups made that this device makes.
    pub(super) fn make_groups(&mut self) {
        for pool in self.role.makes.clone() {
            self.make_group(pool);
        }
    }

    fn make_group(&mut self, pool: Vec<u64>) {
        // Two thirds of those who take turns are there from the beginning.
        let users = &pool[..(pool.len() * 2).div_ceil(3)];
        let change =
            Change { action: Action::Create, users: Numbers::Slice(users), value: b"torture" };
        let number = self.outbox.change(0, &change, &mut self.book);
        self.groups.making.insert(number, pool);
    }

    /// What was ended is made anew, with another number.
    fn make_again(&mut self) {
        let groups = &mut self.groups;
        let is_over =
            |group: &u64| groups.by_number.get(group).is_some_and(|it| it.members.is_over);
        let over: Vec<u64> = groups.made.keys().copied().filter(is_over).collect();
        for group in over {
            if let Some(pool) = self.groups.made.remove(&group) {
                self.make_group(pool);
            }
        }
    }

    /// Changes a group now and then.
    pub(super) fn change_groups(&mut self, now: Instant) {
        if now < self.change_at || !self.world.has(Feature::Groups) {
            return;
        }
        self.make_again();
        let is_maker = !self.groups.made.is_empty();
        let longest = if is_maker { MAKERS_CHANGE_EVERY } else { CHANGE_EVERY };
        self.change_at = now + longest / 5 + self.habits.up_to(longest);
        let mut groups = self.groups.writable();
        if is_maker {
            groups.retain(|group| self.groups.made.contains_key(group));
        }
        if groups.is_empty() || self.outbox.len() >= self.habits.window() {
            return;
        }
        let number = groups[self.habits.choose(groups.len())];
        let Some((action, users)) = self.group_wish(number) else { return };
        let value: &[u8] = match action {
            Action::Rename => b"renamed",
            Action::Describe => b"described",
            Action::ShowHistory if self.habits.happens(50) => &[1],
            Action::ShowHistory => &[0],
            _ => b"",
        };
        let change = Change { action, users: Numbers::Slice(&users), value };
        self.outbox.change(number, &change, &mut self.book);
    }

    fn group_wish(&mut self, number: u64) -> Option<Wish> {
        if let Some(pool) = self.groups.made.get(&number).cloned() {
            return Some(self.makers_wish(number, &pool));
        }
        let maker = self.world.groups().get(&number).copied();
        // Who made it stays, also on its other devices: it brings the others back.
        if maker.is_none_or(|maker| maker == self.role.user) {
            return None;
        }
        if self.role_in(number) == Some(Role::Owner) {
            return Some(self.guests_wish(number, maker?));
        }
        if self.habits.happens(PERCENT_LEAVING) {
            return Some((Action::Leave, Vec::new()));
        }
        let meddles = self.habits.happens(PERCENT_MEDDLING);
        meddles.then(|| self.meddling(number))
    }

    fn role_in(&self, number: u64) -> Option<Role> {
        self.groups.by_number.get(&number)?.members.role(self.role.user)
    }

    /// What the one wants who made the group, also while another owns it: it removes people of a pool and
    /// adds those who are missing, and now and then does something else.
    fn makers_wish(&mut self, number: u64, pool: &[u64]) -> Wish {
        let members = &self.groups.by_number[&number].members;
        let (there, missing): (Vec<u64>, Vec<u64>) =
            pool.iter().partition(|&&user| members.role(user).is_some());
        let mut admins = members.those(Role::Admin);
        admins.retain(|user| there.contains(user));
        let mut awake = there.clone();
        awake.retain(|&user| !may_sleep(user));
        let way = self.habits.choose(20);
        if way < 8 && !there.is_empty() {
            return (Action::Remove, vec![self.one_of(&there)]);
        }
        if way < 14 && !missing.is_empty() {
            let mut users = missing.clone();
            users.retain(|_| self.habits.happens(50));
            if users.is_empty() {
                users.push(self.one_of(&missing));
            }
            users.sort_unstable();
            return (Action::Add, users);
        }
        match way {
            14 | 15 if !there.is_empty() => (Action::Promote, vec![self.one_of(&there)]),
            16 if !admins.is_empty() => (Action::Demote, vec![self.one_of(&admins)]),
            17 => (Action::ShowHistory, Vec::new()),
            18 if !awake.is_empty() => (Action::HandOver, vec![self.one_of(&awake)]),
            19 if self.groups.deletions < DELETIONS_MAX && self.habits.happens(50) => {
                self.groups.deletions += 1;
                (Action::Delete, Vec::new())
            }
            _ if self.habits.happens(50) => (Action::Describe, Vec::new()),
            _ => (Action::Rename, Vec::new()),
        }
    }

    /// What one wants who was handed the group.
    fn guests_wish(&mut self, number: u64, maker: u64) -> Wish {
        if self.habits.happens(PERCENT_BACK) {
            return (Action::HandOver, vec![maker]);
        }
        let members = self.groups.by_number[&number].members.those(Role::Member);
        match self.habits.choose(5) {
            0 if !members.is_empty() => (Action::Promote, vec![self.one_of(&members)]),
            1 => (Action::Demote, vec![maker]),
            2 => (Action::ShowHistory, Vec::new()),
            3 => (Action::Leave, Vec::new()),
            _ => (Action::Describe, Vec::new()),
        }
    }

    /// What a member may not, or only as an admin.
    fn meddling(&mut self, number: u64) -> Wish {
        let own = self.role.user;
        let admins = self.groups.by_number[&number].members.those(Role::Admin);
        match self.habits.choose(8) {
            0 => (Action::Describe, Vec::new()),
            1 => (Action::ShowHistory, Vec::new()),
            2 => (Action::HandOver, vec![own]),
            3 => (Action::Promote, vec![own]),
            4 => (Action::Delete, Vec::new()),
            5 if !admins.is_empty() => (Action::Demote, vec![self.one_of(&admins)]),
            _ => (Action::Add, vec![self.role.peers[self.habits.choose(self.role.peers.len())]]),
        }
    }

    fn one_of(&mut self, users: &[u64]) -> u64 {
        users[self.habits.choose(users.len())]
    }
}
