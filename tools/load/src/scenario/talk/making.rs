//! The groups are made, and their members get what was before the first message.

use fulmar_protocol::group::{Action, Change};
use fulmar_protocol::limits::USERS_MAX;
use fulmar_protocol::{Frame, Numbers};

use super::{Event, Talk};
use crate::check::Order;
use crate::engine::{Links, Port};

impl Talk {
    /// Makes the next group of the user on `port`, or adds the next members to it, as many as one change
    /// names. Whether there was something to do.
    pub(in super::super) fn make(&mut self, port: &mut Port<'_>) -> bool {
        let Some(&index) = self.people[port.index].to_make.front() else { return false };
        let room = &mut self.rooms[index as usize];
        let until = room.members.len().min(room.added + USERS_MAX);
        let user = |&(user, _): &(u32, u32)| self.first_user + u64::from(user);
        let mut users: Vec<u64> = room.members[room.added..until].iter().map(user).collect();
        users.sort_unstable();
        room.added = until;
        let action = if room.id == 0 { Action::Create } else { Action::Add };
        let value: &[u8] = if room.id == 0 { b"load" } else { b"" };
        let change = Change { action, users: Numbers::Slice(&users), value };
        let (group, number) = (room.id, self.change_number);
        port.queue(&Frame::GroupChange { group, number, change });
        self.change_number += 1;
        true
    }

    /// A change was ticked: the next one goes.
    pub(super) fn on_made(
        &mut self,
        port: &mut Port<'_>,
        group: u64,
        number: u64,
        position: u64,
    ) -> Event {
        let person = &mut self.people[port.index];
        let Some(&index) = person.to_make.front().filter(|_| number < self.change_number) else {
            let user = port.user();
            self.faults.irregular(|| format!("user {user} got a tick for change {number}"));
            return Event::Other;
        };
        let room = &mut self.rooms[index as usize];
        room.head = position;
        let is_complete = room.added == room.members.len();
        if room.id == 0 {
            room.id = group;
            for &(user, seat) in &room.members {
                self.people[user as usize].seats[seat as usize].group = group;
            }
            self.take_early(group, port.now_ns);
        }
        if is_complete {
            self.people[port.index].to_make.pop_front();
            self.to_make -= 1;
        }
        if self.make(port) { Event::Other } else { Event::MadeAll }
    }

    /// Members may hear of a group before the one who made it.
    fn take_early(&mut self, group: u64, now_ns: u64) {
        for (_, user, position) in
            self.early.extract_if(.., |early| early.0 == group).collect::<Vec<_>>()
        {
            if let Some(seat) = self.seat_of(user, group) {
                self.reach(user, seat, position, now_ns);
            }
        }
    }

    /// How many groups are still to be made or to be filled.
    pub(in super::super) const fn to_make(&self) -> usize {
        self.to_make
    }

    /// How many of the members who are there lack an entry from before the first message.
    pub(in super::super) fn to_join(&self) -> usize {
        let people = self.people.iter().filter(|person| person.is_here);
        let seats = people.flat_map(|person| &person.seats);
        seats.filter(|seat| seat.reached < self.rooms[seat.room as usize].head).count()
    }

    /// Everything is made: from now on there are messages.
    pub(in super::super) fn begin(&mut self, links: &mut Links, now_ns: u64) {
        self.number_first = self.change_number + 1;
        for room in &mut self.rooms {
            room.order = Order::new(room.members.len(), room.head);
            for (member, &(user, _)) in room.members.iter().enumerate() {
                if self.people[user as usize].is_here {
                    room.order.come(member);
                }
            }
        }
        // What is left is of groups of an earlier run.
        for (group, user, position) in std::mem::take(&mut self.early) {
            links.port(user, now_ns).queue(&Frame::GroupAck { group, position });
        }
        for user in 0..self.people.len() {
            if self.people[user].is_here {
                self.acknowledge(&mut links.port(user, now_ns));
            }
        }
    }
}
