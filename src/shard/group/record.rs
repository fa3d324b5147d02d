//! What is kept of a group beside its log, and its bytes.
//!
//! ```text
//! 1 (version), trim, trim_bytes, head, head_bytes, flags (bit 0: shows history, bit 1: deleted),
//! creator's device, creator's number, name (length, bytes), info (length, bytes),
//! member count, then per member, by user: user (counted from the one before), role, since,
//!     before, until, delivered, read, awaits,
//! absence count, then per absence, by user and position: user (counted from the one before), from, to
//! ```
//!
//! Numbers are varints. Positions of members are counted back from the head, which keeps them short.

use bytes::{BufMut, Bytes, BytesMut};
use fulmar_protocol::{limits as wire, varint};

use super::super::record::{COUNT_MAX, Fields, RecordError, put};
use super::super::seam::{DeviceId, UserId};
use crate::limits::{GROUP_ABSENCES_MAX, GROUP_FORMER_MAX, GROUP_MEMBERS_LIMIT};

const VERSION: u8 = 1;
const FLAG_SHOWS_HISTORY: u64 = 1;
const FLAG_DELETED: u64 = 2;

/// What somebody is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Was a member, and may read up to its end.
    Former = 0,
    /// A member.
    Member = 1,
    /// May change the group and who is in it.
    Admin = 2,
    /// May do everything; there is one.
    Owner = 3,
}

impl Role {
    const fn from_number(number: u64) -> Option<Role> {
        Some(match number {
            0 => Role::Former,
            1 => Role::Member,
            2 => Role::Admin,
            3 => Role::Owner,
            _ => return None,
        })
    }
}

/// Positions from the first up to but without the second, in between a member's times: it may not read them.
pub type Absence = (u64, u64);

/// Somebody who is or was in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Position of the entry that made this user a member.
    pub since: u64,
    /// First position that this user may read, less one.
    pub before: u64,
    /// For a former one: the last position that it may read; 0 for others.
    pub until: u64,
    /// In rising order, and apart from each other; empty for who was in it once.
    pub absences: Vec<Absence>,
    /// A device of the user has everything up to here.
    pub delivered: u64,
    /// The user saw everything up to here.
    pub read: u64,
    /// The newest entry of which the user is told how far the others are: one that it wrote, or asked about. 0 if
    /// there is none. What a crash takes of it the user's devices ask about again.
    pub awaits: u64,
}

impl Member {
    /// Whether it is in the group now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.role != Role::Former
    }

    /// The last position that it may read.
    #[must_use]
    pub fn last(&self) -> u64 {
        if self.is_active() { u64::MAX } else { self.until }
    }

    /// Whether it may read what is at this position, if that is there.
    #[must_use]
    pub fn may_read(&self, position: u64) -> bool {
        position > self.before && position <= self.last() && !is_absent(&self.absences, position)
    }
}

/// Whether a position lies in one of the absences.
pub fn is_absent(absences: &[Absence], position: u64) -> bool {
    absences.iter().any(|&(from, to)| (from..to).contains(&position))
}

/// State of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRecord {
    /// Positions up to here are gone.
    pub trim: u64,
    /// Running total of bytes at `trim`.
    pub trim_bytes: u64,
    /// Position of the last entry when the record was stored: a lower bound.
    pub head: u64,
    /// Running total of bytes at `head`.
    pub head_bytes: u64,
    /// New members may read what was before them.
    pub shows_history: bool,
    /// It was ended.
    pub is_deleted: bool,
    /// The device and the number under which it was made; its user is the first owner.
    pub made_by: (UserId, DeviceId, u64),
    /// Its name, opaque.
    pub name: Bytes,
    /// Its description, opaque.
    pub info: Bytes,
    /// Who is or was in it, in the order of the user numbers.
    pub members: Vec<Member>,
}

impl GroupRecord {
    /// Somebody who is or was in it.
    #[must_use]
    pub fn find(&self, user: UserId) -> Option<&Member> {
        let at = self.members.binary_search_by_key(&user, |member| member.user).ok()?;
        self.members.get(at)
    }

    /// The same, to change.
    pub fn find_mut(&mut self, user: UserId) -> Option<&mut Member> {
        let at = self.members.binary_search_by_key(&user, |member| member.user).ok()?;
        self.members.get_mut(at)
    }

    /// A member, if the user is one now.
    #[must_use]
    pub fn active(&self, user: UserId) -> Option<&Member> {
        self.find(user).filter(|member| member.is_active() && !self.is_deleted)
    }

    /// How many are members now.
    #[must_use]
    pub fn members_count(&self) -> usize {
        if self.is_deleted {
            return 0;
        }
        self.members.iter().filter(|member| member.is_active()).count()
    }

    /// Most bytes of the encoded form.
    pub(in super::super) fn bytes_max(&self) -> usize {
        1 + 12 * varint::BYTES_MAX
            + self.name.len()
            + self.info.len()
            + self.members.len() * (1 + 7 * varint::BYTES_MAX)
            + self.absences().count() * 3 * varint::BYTES_MAX
    }

    fn absences(&self) -> impl Iterator<Item = (UserId, Absence)> {
        let members = self.members.iter();
        members.flat_map(|member| member.absences.iter().map(|&absence| (member.user, absence)))
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(VERSION);
        let flags = if self.shows_history { FLAG_SHOWS_HISTORY } else { 0 }
            | if self.is_deleted { FLAG_DELETED } else { 0 };
        let (user, device, number) = self.made_by;
        for field in [
            self.trim,
            self.trim_bytes,
            self.head,
            self.head_bytes,
            flags,
            user,
            u64::from(device),
            number,
        ] {
            put(field, out);
        }
        for bytes in [&self.name, &self.info] {
            put(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        put(self.members.len() as u64, out);
        let mut user = 0;
        for member in &self.members {
            put(member.user - user, out);
            user = member.user;
            put(member.role as u64, out);
            for position in
                [member.since, member.before, member.until, member.delivered, member.read]
            {
                put(self.head - position, out);
            }
            // Most await nothing, which is the shortest so.
            put(if member.awaits > 0 { self.head - member.awaits + 1 } else { 0 }, out);
        }
        put(self.absences().count() as u64, out);
        let mut user = 0;
        for (of, (from, to)) in self.absences() {
            put(of - user, out);
            user = of;
            put(self.head - from, out);
            put(self.head - to, out);
        }
    }

    /// Reads the encoded form.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut fields = Fields::versioned(bytes, "group.version")?;
        let trim = fields.number("group.trim")?;
        let trim_bytes = fields.number("group.trim_bytes")?;
        let head = fields.number("group.head")?;
        let head_bytes = fields.number("group.head_bytes")?;
        let flags = fields.number("group.flags")?;
        let made_by = (
            fields.number("group.creator")?,
            fields.device("group.device")?,
            fields.number("group.number")?,
        );
        let name = fields.bytes(wire::GROUP_VALUE_BYTES_MAX as u64, "group.name")?;
        let info = fields.bytes(wire::GROUP_VALUE_BYTES_MAX as u64, "group.info")?;
        // Of those who were removed at once all are remembered, or none.
        let most = (GROUP_MEMBERS_LIMIT + GROUP_FORMER_MAX + wire::USERS_MAX) as u64;
        let count = fields.count(most, "group.members")?;
        let mut members: Vec<Member> = Vec::with_capacity(count as usize);
        let mut user = 0;
        for _ in 0..count {
            user = fields.step(user, "group.user")?;
            let role = Role::from_number(fields.number("group.role")?);
            let role = role.ok_or(RecordError("group.role"))?;
            let mut position = |field| {
                let back = fields.number(field)?;
                head.checked_sub(back).ok_or(RecordError(field))
            };
            members.push(Member {
                user,
                role,
                since: position("group.since")?,
                before: position("group.before")?,
                until: position("group.until")?,
                absences: Vec::new(),
                delivered: position("group.delivered")?,
                read: position("group.read")?,
                awaits: match fields.number("group.awaits")? {
                    0 => 0,
                    back => {
                        let at = head.checked_sub(back - 1).filter(|&at| at > 0);
                        at.ok_or(RecordError("group.awaits"))?
                    }
                },
            });
        }
        let count = fields.count(most * GROUP_ABSENCES_MAX as u64, "group.absences")?;
        let mut user: UserId = 0;
        for _ in 0..count {
            let step = fields.number("group.absent")?;
            user = user.checked_add(step).ok_or(RecordError("group.absent"))?;
            let mut position = || {
                let back = fields.number("group.absence")?;
                head.checked_sub(back).ok_or(RecordError("group.absence"))
            };
            let absence = (position()?, position()?);
            let at = members.binary_search_by_key(&user, |member| member.user);
            let at = at.map_err(|_| RecordError("group.absent"))?;
            members[at].absences.push(absence);
        }
        fields.end("group")?;
        let record = GroupRecord {
            trim,
            trim_bytes,
            head,
            head_bytes,
            shows_history: flags & FLAG_SHOWS_HISTORY != 0,
            is_deleted: flags & FLAG_DELETED != 0,
            made_by,
            name,
            info,
            members,
        };
        record.check(flags)?;
        Ok(record)
    }

    /// What holds for every record that is written, and what a shard relies on.
    fn check(&self, flags: u64) -> Result<(), RecordError> {
        if flags & !(FLAG_SHOWS_HISTORY | FLAG_DELETED) != 0 {
            return Err(RecordError("group.flags"));
        }
        if self.trim > self.head || self.head > COUNT_MAX {
            return Err(RecordError("group.head"));
        }
        if self.trim_bytes > self.head_bytes || self.head_bytes > COUNT_MAX {
            return Err(RecordError("group.head_bytes"));
        }
        let mut before = 0;
        for member in &self.members {
            if member.user <= before {
                return Err(RecordError("group.user"));
            }
            before = member.user;
            if member.read > member.delivered || (member.until > 0) == member.is_active() {
                return Err(RecordError("group.member"));
            }
            let mut last = member.before;
            for &(from, to) in &member.absences {
                if from <= last || to <= from || to > member.since {
                    return Err(RecordError("group.absence"));
                }
                last = to;
            }
            if member.absences.len() > GROUP_ABSENCES_MAX {
                return Err(RecordError("group.absences"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let member = |user, role, until| Member {
            user,
            role,
            since: 3,
            before: 2,
            until,
            absences: Vec::new(),
            delivered: 9,
            read: 7,
            awaits: 0,
        };
        let record = GroupRecord {
            trim: 1,
            trim_bytes: 10,
            head: 12,
            head_bytes: 400,
            shows_history: true,
            is_deleted: false,
            made_by: (7, 2, 5),
            name: Bytes::from_static(b"birds"),
            info: Bytes::from_static(&[0, 255]),
            members: vec![
                Member { awaits: 12, ..member(7, Role::Owner, 0) },
                member(8, Role::Former, 11),
                Member { since: 10, absences: vec![(4, 5), (6, 10)], ..member(9, Role::Member, 0) },
                Member { awaits: 1, ..member(u64::MAX, Role::Member, 0) },
            ],
        };
        let mut bytes = BytesMut::new();
        record.encode(&mut bytes);
        assert!(bytes.len() <= record.bytes_max());
        let bytes = bytes.freeze();
        assert_eq!(GroupRecord::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            assert!(GroupRecord::decode(&bytes.slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_record_of_as_many_as_there_can_be_is_read() {
        let former = GROUP_FORMER_MAX + wire::USERS_MAX - 1;
        let member = |nth: usize| Member {
            user: nth as u64 + 1,
            role: if nth < former { Role::Former } else { Role::Member },
            since: 1,
            before: 0,
            until: if nth < former { 2 } else { 0 },
            absences: Vec::new(),
            delivered: 1,
            read: 1,
            awaits: 0,
        };
        let members = (0..former + GROUP_MEMBERS_LIMIT).map(member).collect();
        let record = GroupRecord { head: 2, members, ..GroupRecord::default() };
        let mut bytes = BytesMut::new();
        record.encode(&mut bytes);
        assert_eq!(GroupRecord::decode(&bytes.freeze()), Ok(record));
    }
}
