//! People in groups: they make them, write to them, change who is in them, and look at what came.

use fulmar_client::core::Session;
use fulmar_client::{Action, Event as Told, GroupChange, Target};

use super::World;
use crate::coverage::Happening;
use crate::device;

/// What people do in groups; several times where it is done often.
const CHANGES: [Action; 20] = [
    Action::Add,
    Action::Add,
    Action::Add,
    Action::Add,
    Action::Add,
    Action::Add,
    Action::Remove,
    Action::Remove,
    Action::Remove,
    Action::Remove,
    Action::Leave,
    Action::Leave,
    Action::Promote,
    Action::Promote,
    Action::Promote,
    Action::Demote,
    Action::HandOver,
    Action::Rename,
    Action::ShowHistory,
    Action::Delete,
];

/// Members that a person puts into a group at once, at most.
const ADDED_MAX: u64 = 6;

impl World {
    /// A person does something in a group.
    pub(super) fn in_group(&mut self, device: u32) {
        let known = self.devices[device as usize].groups.len();
        let makes = known == 0 || (known < self.plan.groups as usize && self.people.once_in(10));
        match self.people.below(100) {
            _ if makes && self.people.percent(20) => self.make_group(device),
            _ if known == 0 => {}
            0..60 => self.write_to_a_group(device),
            60..85 => self.look_at_group(device),
            85..95 => self.change_a_group(device),
            _ => self.ask_of_group(device),
        }
    }

    fn group_of(&mut self, device: u32) -> Option<u64> {
        let groups = &self.devices[device as usize].groups;
        if groups.is_empty() {
            return None;
        }
        // The newest ones most.
        let at = self.people.index(groups.len()).max(self.people.index(groups.len()));
        Some(groups[at])
    }

    fn people_for(&mut self, but: u64) -> Vec<u64> {
        let count = self.people.below(ADDED_MAX + 1);
        let mut chosen: Vec<u64> = (0..count).map(|_| self.people.pick(&self.users)).collect();
        chosen.retain(|&user| user != but);
        chosen
    }

    fn make_group(&mut self, device: u32) {
        let user = self.devices[device as usize].user;
        let members = self.people_for(user);
        // A name of its own tells which request made which group.
        self.serial += 1;
        let change = GroupChange::create(&format!("group {}", self.serial), &members);
        self.with_session(device, |session, now, actions| {
            session.change_group(now, 0, &change, actions).is_ok()
        });
    }

    fn write_to_a_group(&mut self, device: u32) {
        let Some(group) = self.group_of(device) else { return };
        self.write_to_group(device, group);
    }

    pub(super) fn write_to_group(&mut self, device: u32, group: u64) {
        self.serial += 1;
        let large_percent = self.plan.large_percent;
        let bytes = device::body_bytes(&mut self.people, self.plan.body_bytes, large_percent);
        let content = self.people.pick(&[0, 1, 1, 1, 200]);
        let body = device::body(self.serial, bytes);
        let (content, body) = self.perhaps_fading(device, Target::Group(group), (content, body));
        let taken = self.with_session(device, |session, now, actions| {
            session.send_to_group(now, group, content, body, actions).is_ok()
        });
        if taken == Some(true) {
            self.coverage.hit(Happening::GroupSend);
        }
    }

    fn change_a_group(&mut self, device: u32) {
        let Some(group) = self.group_of(device) else { return };
        let action = self.people.pick(&CHANGES);
        if action == Action::Delete && !self.people.once_in(3) {
            return;
        }
        let change = match action {
            Action::Add => GroupChange::of_users(action, &self.people_for(0)),
            Action::Rename => GroupChange::of_value(action, b"another name"),
            Action::ShowHistory => {
                let value = self.people.pick(&[0, 1, 1, 2]);
                GroupChange::of_value(action, &[value])
            }
            Action::Leave | Action::Delete => GroupChange::of_users(action, &[]),
            _ => {
                let user = self.people.pick(&self.users);
                GroupChange::of_users(action, &[user])
            }
        };
        self.with_session(device, |session, now, actions| {
            session.change_group(now, group, &change, actions).is_ok()
        });
    }

    /// A person looks at what came last in a group, or at something older.
    pub(super) fn look_at_group(&mut self, device: u32) {
        let state = &mut self.devices[device as usize];
        let newest = self.people.percent(80);
        let unread = &mut state.unread_of_groups;
        let seen = if newest { unread.pop_back() } else { unread.pop_front() };
        if let Some((group, position)) = seen {
            self.coverage.hit(Happening::GroupSeen);
            self.with_session(device, |session, now, actions| {
                session.mark_group_read(now, group, position, actions);
            });
        }
    }

    fn ask_of_group(&mut self, device: u32) {
        let Some(group) = self.group_of(device) else { return };
        if self.people.percent(50) {
            self.with_session(device, |session, now, actions| {
                session.look_group(now, group, actions);
            });
            return;
        }
        let position = self.people.between(1..=20);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.ask_group(now, group, position, 0, actions);
        });
    }

    /// A device's program was told something of a group.
    pub(super) fn notified_of_group(&mut self, device: u32, event: &Told) {
        let state = &mut self.devices[device as usize];
        match event {
            Told::GroupMessage(message) => {
                let group = message.group.unwrap_or(0);
                state.knows_group(group);
                state.arrived_in_group(group, message.position.unwrap_or(0));
                state.remembers(message.id);
                state.heeds(message);
            }
            Told::GroupTicked { id, group, .. } => {
                state.knows_group(*group);
                state.remembers(*id);
                state.heeds_own(*id);
            }
            Told::AddedToGroup { group, .. } => state.knows_group(*group),
            Told::GroupRejected { id, .. } => state.was_rejected(*id),
            Told::GroupSeenElsewhere { .. } => self.coverage.hit(Happening::GroupSeenElsewhere),
            _ => {}
        }
    }
}
