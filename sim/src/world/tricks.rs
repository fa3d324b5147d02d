//! Clients that misbehave about groups, pages of the past, books and people.

use fulmar_protocol::group::{Action, Change, GroupSend};
use fulmar_protocol::history::History;
use fulmar_protocol::limits::{HISTORY_MAX, USERS_MAX, VALUE_BYTES_MAX};
use fulmar_protocol::{Frame, Numbers, Pairs};

use super::World;
use crate::coverage::Happening;
use crate::network::ConnNo;
use crate::rogue::Trick;

/// Numbers of groups and users that there aren't.
const NOBODIES: u64 = 3_000_000_000;
/// Groups that a rogue makes at most.
const GROUPS_MAX: usize = 3;
/// People of whom one who watches too many asks in each of two frames.
const WATCHED: u64 = USERS_MAX as u64 - 1;
/// Questions for usernames, more than a user may ask in a minute.
const FINDS: u32 = 70;

/// What may be wanted of a group by somebody who isn't in it.
const STRANGE: [Action; 6] =
    [Action::Add, Action::Remove, Action::Rename, Action::Promote, Action::Leave, Action::Delete];

impl World {
    pub(super) fn trick(&mut self, rogue: u32, conn: ConnNo) {
        match self.tricks.pick(&Trick::ALL) {
            trick if trick.is_of_groups() && self.plan.groups == 0 => {}
            Trick::Make => self.rogue_makes_group(rogue, conn),
            Trick::Resume => {
                let known = self.rogues[rogue as usize].groups.clone();
                self.put(conn, &Frame::GroupResume { cursors: Pairs::Slice(&known) });
            }
            Trick::ResumeLie => self.rogue_resumes(rogue, conn),
            Trick::Write => self.rogue_writes(rogue, conn),
            Trick::WriteOther => self.rogue_writes_again(rogue, conn),
            Trick::Ack => {
                if let Some((group, position)) = self.group_of_rogue(rogue) {
                    self.put(conn, &Frame::GroupAck { group, position });
                }
            }
            Trick::AckAhead => {
                if let Some((group, position)) = self.group_of_rogue(rogue) {
                    self.coverage.hit(Happening::RogueGroupAckAhead);
                    let position = self.tricks.pick(&[position + 1, position + 1_000, u64::MAX]);
                    self.put(conn, &Frame::GroupAck { group, position });
                }
            }
            Trick::ReadAhead => {
                if let Some((group, position)) = self.group_of_rogue(rogue) {
                    self.coverage.hit(Happening::RogueGroupReadAhead);
                    let position = self.tricks.pick(&[position, position + 1, u64::MAX]);
                    self.put(conn, &Frame::GroupRead { group, position });
                }
            }
            Trick::Strange => self.rogue_changes(rogue, conn),
            Trick::NoGroup => self.rogue_of_nothing(rogue, conn),
            Trick::TwoPages => {
                self.coverage.hit(Happening::RogueTwoPages);
                let (group, from, limit) = (0, 0, HISTORY_MAX as u64);
                let newest_first = self.tricks.percent(50);
                let asked = History { group, from, through: u64::MAX, limit, newest_first };
                self.put(conn, &Frame::History(asked));
                self.put(conn, &Frame::History(asked));
            }
            Trick::BadPut => self.rogue_puts(conn),
            Trick::WatchMany => {
                self.coverage.hit(Happening::RogueWatchesMany);
                for first in [NOBODIES, NOBODIES + WATCHED] {
                    let mut users: Vec<u64> = (first..first + WATCHED).collect();
                    users.push(self.tricks.pick(&self.users));
                    self.put(conn, &Frame::Watch { users: Numbers::Slice(&users) });
                }
            }
            Trick::FindMany => {
                self.coverage.hit(Happening::RogueFindFlood);
                for _ in 0..FINDS {
                    let name = self.tricks.pick(&super::profiles::NAMES).as_bytes();
                    self.put(conn, &Frame::Find { name });
                }
            }
        }
    }

    /// A group that a rogue knows, and how far this connection brought it.
    fn group_of_rogue(&mut self, rogue: u32) -> Option<(u64, u64)> {
        let known = &self.rogues[rogue as usize].groups;
        (!known.is_empty()).then(|| self.tricks.pick(known))
    }

    fn next_in_group(&mut self, rogue: u32) -> u64 {
        let step = self.tricks.magnitude(1..=50);
        let state = &mut self.rogues[rogue as usize];
        state.group_number += step;
        state.group_number
    }

    /// It puts people who know nothing of it into a group.
    fn rogue_makes_group(&mut self, rogue: u32, conn: ConnNo) {
        if self.rogues[rogue as usize].groups.len() >= GROUPS_MAX {
            return;
        }
        self.coverage.hit(Happening::RogueGroup);
        let number = self.next_in_group(rogue);
        let mut users: Vec<u64> =
            (0..self.tricks.below(4)).map(|_| self.tricks.pick(&self.users)).collect();
        users.sort_unstable();
        users.dedup();
        // A name of its own tells which request made which group.
        self.serial += 1;
        let name = format!("group {} of a rogue", self.serial);
        let (action, users) = (Action::Create, Numbers::Slice(&users));
        let change = Change { action, users, value: name.as_bytes() };
        self.put(conn, &Frame::GroupChange { group: 0, number, change });
    }

    /// It says that it has what it hasn't, also of groups that it is not in, or that there aren't.
    fn rogue_resumes(&mut self, rogue: u32, conn: ConnNo) {
        self.coverage.hit(Happening::RogueGroupLie);
        let ahead = self.tricks.pick(&[1, 1_000, u64::MAX / 2]);
        let mut cursors: Vec<(u64, u64)> = self.rogues[rogue as usize].groups.clone();
        for (_, cursor) in &mut cursors {
            *cursor += ahead;
        }
        cursors.extend(self.foreign_group(rogue).map(|group| (group, ahead)));
        cursors.push((NOBODIES + self.tricks.below(20), ahead));
        cursors.sort_unstable();
        cursors.dedup_by_key(|(group, _)| *group);
        self.put(conn, &Frame::GroupResume { cursors: Pairs::Slice(&cursors) });
    }

    /// A group that was heard of, and that this rogue doesn't know.
    fn foreign_group(&mut self, rogue: u32) -> Option<u64> {
        let known = &self.rogues[rogue as usize].groups;
        let is_foreign = |group: &u64| *group > 0 && known.iter().all(|(known, _)| known != group);
        let foreign: Vec<u64> = self.oracle.groups().filter(is_foreign).collect();
        (!foreign.is_empty()).then(|| self.tricks.pick(&foreign))
    }

    fn rogue_writes(&mut self, rogue: u32, conn: ConnNo) {
        let Some((group, _)) = self.group_of_rogue(rogue) else { return };
        let number = self.next_in_group(rogue);
        let bytes = self.tricks.between(8..=100) as usize;
        let body = self.new_body(bytes);
        self.write_as_rogue(conn, group, number, &body);
        self.rogues[rogue as usize].remember_in_group(group, number);
    }

    /// Something under a number that it used, with another body.
    fn rogue_writes_again(&mut self, rogue: u32, conn: ConnNo) {
        let sent = &self.rogues[rogue as usize].sent_in_groups;
        if sent.is_empty() {
            return;
        }
        self.coverage.hit(Happening::RogueGroupOtherBody);
        let (group, number) = self.tricks.pick(sent);
        let body = self.new_body(40);
        self.write_as_rogue(conn, group, number, &body);
    }

    fn write_as_rogue(&mut self, conn: ConnNo, group: u64, number: u64, body: &[u8]) {
        let send = GroupSend { group, number, content: 0, total_bytes: None, body };
        self.put(conn, &Frame::GroupSend(send));
    }

    /// A change of a group whose member it isn't.
    fn rogue_changes(&mut self, rogue: u32, conn: ConnNo) {
        let Some(group) = self.foreign_group(rogue) else { return };
        self.coverage.hit(Happening::RogueStranger);
        let number = self.next_in_group(rogue);
        let action = self.tricks.pick(&STRANGE);
        let own = self.rogues[rogue as usize].user;
        let user = if action == Action::Add { own } else { self.tricks.pick(&self.users) };
        let users = [user];
        let users = match action {
            Action::Add | Action::Remove | Action::Promote => Numbers::Slice(&users),
            _ => Numbers::Slice(&[]),
        };
        let change = Change { action, users, value: b"" };
        self.put(conn, &Frame::GroupChange { group, number, change });
    }

    /// Something of a group that there isn't.
    fn rogue_of_nothing(&mut self, rogue: u32, conn: ConnNo) {
        self.coverage.hit(Happening::RogueNoGroup);
        let group = NOBODIES + self.tricks.below(20);
        let position = 1;
        match self.tricks.below(5) {
            0 | 1 => {
                let number = self.next_in_group(rogue);
                self.write_as_rogue(conn, group, number, b"to nobody");
            }
            2 => self.put(conn, &Frame::GroupLook { group, after: 0 }),
            3 => self.put(conn, &Frame::GroupAsk { group, position, after: 0 }),
            _ => {
                self.put(conn, &Frame::GroupAck { group, position });
                self.put(conn, &Frame::GroupRead { group, position });
            }
        }
    }

    /// Something that no book has.
    fn rogue_puts(&mut self, conn: ConnNo) {
        self.coverage.hit(Happening::RogueBadPut);
        if self.tricks.percent(60) {
            let item = self.tricks.pick(&[7, 60, 127]);
            self.put(conn, &Frame::Put { item, key: b"k", value: b"v" });
            return;
        }
        // A value that is a byte too long: no frame that parses.
        let mut bytes = vec![0x87, 0x08, 0x28, 128, 1, b'k', 0x81, 0x08];
        bytes.resize(bytes.len() + VALUE_BYTES_MAX + 1, b'v');
        self.put_bytes(conn, &bytes);
    }
}
