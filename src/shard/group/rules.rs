//! Who may do what in a group, and what it does: changes of a record, without anything around it.

use bytes::Bytes;
use fulmar_protocol::Code;
use fulmar_protocol::content::Content;
use fulmar_protocol::group::Action;

use super::super::content::inner;
use super::super::seam::{DeviceId, Message, UserId};
use super::entering::Target;
use super::record::{GroupRecord, Member, Role};
use crate::faults::{Fault, is_planted};
use crate::limits::{GROUP_ABSENCES_MAX, GROUP_FORMER_MAX, GROUP_NAME_BYTES_MAX};

/// A change that is asked for, with memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What is to be done.
    pub action: Action,
    /// To whom, in increasing order.
    pub users: Vec<UserId>,
    /// The name, the description, or the setting.
    pub value: Bytes,
}

impl Wanted {
    /// Whether a group can be made so by this owner; the code of the refusal if not.
    pub(super) fn judge_creation(&self, owner: UserId, members_max: usize) -> Result<(), Code> {
        if self.value.len() > GROUP_NAME_BYTES_MAX || self.users.contains(&owner) {
            return Err(Code::BadChange);
        }
        if self.users.len() + 1 > members_max {
            return Err(Code::GroupFull);
        }
        Ok(())
    }
}

impl GroupRecord {
    /// Makes a group that doesn't exist yet, as it was judged; its first entry will be at position 1.
    pub(super) fn create(&mut self, owner: UserId, device: DeviceId, number: u64, wanted: &Wanted) {
        self.made_by = (owner, device, number);
        self.name = wanted.value.clone();
        self.insert(owner, Role::Owner, 1);
        for &user in &wanted.users {
            self.insert(user, Role::Member, 1);
        }
    }

    /// Whether `actor` may make this change, and it can be made; the code of the refusal if not.
    pub(super) fn judge(
        &self,
        actor: UserId,
        wanted: &Wanted,
        members_max: usize,
    ) -> Result<(), Code> {
        let member = self.active(actor).ok_or(Code::NotAMember)?;
        let least = match wanted.action {
            Action::Create => return Err(Code::BadChange),
            Action::Leave => Role::Member,
            Action::Rename | Action::Describe | Action::Add | Action::Remove => Role::Admin,
            Action::Promote
            | Action::Demote
            | Action::HandOver
            | Action::Delete
            | Action::ShowHistory => Role::Owner,
        };
        if member.role < least {
            return Err(Code::NotAllowed);
        }
        if !self.is_sensible(wanted) {
            return Err(Code::BadChange);
        }
        if wanted.action == Action::Add && self.members_count() + wanted.users.len() > members_max {
            return Err(Code::GroupFull);
        }
        let is_above = |&user: &UserId| self.active(user).is_none_or(|it| it.role < member.role);
        if wanted.action == Action::Remove && !wanted.users.iter().all(is_above) {
            return Err(Code::NotAllowed);
        }
        Ok(())
    }

    /// Whether a member may read what is kept at this position.
    pub(super) fn may_read(&self, user: UserId, position: u64) -> bool {
        let is_kept = position > self.trim && position <= self.head;
        is_kept && self.find(user).is_some_and(|member| member.may_read(position))
    }

    /// Whether what a member sends parses, and what it refers to may exist; the position of a message that
    /// has to be read to judge it.
    pub(super) fn judge_content(
        &self,
        user: UserId,
        message: &Message,
    ) -> Result<Option<u64>, Code> {
        let content = inner(message.content, &message.body, true)?;
        let Some(target) = content.target() else { return Ok(None) };
        if !self.may_read(user, target.place) {
            return Err(Code::NoSuchMessage);
        }
        Ok(Some(target.place))
    }

    /// Whether a member may edit or delete this message, or react to it: to a message of anybody.
    pub(super) fn judge_reference(
        &self,
        user: UserId,
        message: &Message,
        target: Option<Target>,
        now_ms: u64,
        max_age_ms: u64,
    ) -> Result<(), Code> {
        let content = inner(message.content, &message.body, true)?;
        let target = target.ok_or(Code::NoSuchMessage)?;
        if matches!(content, Content::Reaction { .. }) {
            return Ok(());
        }
        let is_delete = matches!(content, Content::Delete { .. });
        let role = self.active(user).map(|member| member.role);
        let is_allowed = target.author == user || (is_delete && role >= Some(Role::Admin));
        if !is_allowed && !is_planted(Fault::GroupEditOfOthers) {
            return Err(Code::NotYours);
        }
        if target.time_ms.saturating_add(max_age_ms) <= now_ms {
            return Err(Code::TooOld);
        }
        Ok(())
    }

    /// Whether the change names whom and what it must.
    fn is_sensible(&self, wanted: &Wanted) -> bool {
        let Wanted { action, users, value } = wanted;
        let all = |role: fn(Option<Role>) -> bool| {
            let role_of = |&user: &UserId| self.active(user).map(|member| member.role);
            !users.is_empty() && value.is_empty() && users.iter().all(|user| role(role_of(user)))
        };
        match action {
            Action::Create => false,
            Action::Rename => users.is_empty() && value.len() <= GROUP_NAME_BYTES_MAX,
            Action::Describe => users.is_empty(),
            Action::Add => all(|role| role.is_none()),
            Action::Remove => all(|role| role.is_some()),
            Action::Promote => all(|role| role == Some(Role::Member)),
            Action::Demote => all(|role| role == Some(Role::Admin)),
            Action::HandOver => {
                users.len() == 1 && all(|role| matches!(role, Some(Role::Member | Role::Admin)))
            }
            Action::Leave | Action::Delete => users.is_empty() && value.is_empty(),
            Action::ShowHistory => users.is_empty() && matches!(**value, [0 | 1]),
        }
    }

    /// Whose time ends with a change that was judged.
    pub(super) fn ends(&self, actor: UserId, wanted: &Wanted) -> Vec<UserId> {
        match wanted.action {
            Action::Remove => wanted.users.clone(),
            Action::Leave => vec![actor],
            Action::Delete => {
                let members = self.members.iter().filter(|member| member.is_active());
                members.map(|member| member.user).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Makes a change that was judged; its entry is at `position`.
    pub(super) fn apply(&mut self, actor: UserId, wanted: &Wanted, position: u64) {
        let Wanted { action, users, value } = wanted;
        match action {
            Action::Create => {}
            Action::Rename => self.name = value.clone(),
            Action::Describe => self.info = value.clone(),
            Action::Add => {
                for &user in users {
                    self.insert(user, Role::Member, position);
                }
            }
            Action::Remove => {
                for &user in users {
                    self.end(user, position);
                }
            }
            Action::Leave => self.leave(actor, position),
            Action::Promote => self.set_roles(users, Role::Admin),
            Action::Demote => self.set_roles(users, Role::Member),
            Action::HandOver => {
                self.set_roles(&[actor], Role::Admin);
                self.set_roles(users, Role::Owner);
            }
            Action::Delete => self.end_all(position),
            Action::ShowHistory => self.shows_history = **value == [1],
        }
        self.forget_former();
    }

    fn insert(&mut self, user: UserId, role: Role, position: u64) {
        let shows_history = self.shows_history;
        let before = if shows_history { self.trim } else { position - 1 };
        match self.members.binary_search_by_key(&user, |member| member.user) {
            Ok(at) => self.members[at].come_back(role, position, shows_history.then_some(before)),
            Err(at) => {
                let (delivered, read) = (position - 1, position - 1);
                let (since, until, awaits, absences) = (position, 0, 0, Vec::new());
                let member =
                    Member { user, role, since, before, until, absences, delivered, read, awaits };
                self.members.insert(at, member);
            }
        }
    }

    fn end(&mut self, user: UserId, position: u64) {
        if let Some(member) = self.find_mut(user) {
            member.end(position);
        }
    }

    fn end_all(&mut self, position: u64) {
        for member in self.members.iter_mut().filter(|member| member.is_active()) {
            member.end(position);
        }
        self.is_deleted = true;
    }

    /// A member leaves. If it was the owner, the admin who is longest in the group follows, or the member
    /// who is; without any the group ends.
    fn leave(&mut self, user: UserId, position: u64) {
        let was_owner = self.find(user).is_some_and(|member| member.role == Role::Owner);
        self.end(user, position);
        if !was_owner {
            return;
        }
        let active = self.members.iter().filter(|member| member.is_active());
        let next = active.min_by_key(|member| (std::cmp::Reverse(member.role), member.since));
        match next.map(|member| member.user) {
            Some(next) => self.set_roles(&[next], Role::Owner),
            None => self.is_deleted = true,
        }
    }

    fn set_roles(&mut self, users: &[UserId], role: Role) {
        for &user in users {
            if let Some(member) = self.find_mut(user) {
                member.role = role;
            }
        }
    }

    /// Forgets former members whose last entry is gone, and the oldest where there are too many.
    fn forget_former(&mut self) {
        let trim = self.trim;
        self.members.retain(|member| member.is_active() || member.until > trim);
        let former = self.members.iter().filter(|member| !member.is_active());
        let mut ends: Vec<u64> = former.map(|member| member.until).collect();
        if ends.len() > GROUP_FORMER_MAX && !self.is_deleted {
            ends.sort_unstable();
            let oldest = ends[ends.len() - GROUP_FORMER_MAX];
            self.members.retain(|member| member.is_active() || member.until >= oldest);
        }
    }
}

impl Member {
    /// Its time ends with this entry.
    const fn end(&mut self, position: u64) {
        (self.role, self.until) = (Role::Former, position);
    }

    /// It is in the group again, from this entry on, and may still read what was in its times before; where the
    /// group shows its history, all behind `shown`.
    fn come_back(&mut self, role: Role, position: u64, shown: Option<u64>) {
        match shown {
            Some(shown) => {
                self.before = self.before.min(shown);
                self.absences.clear();
            }
            None if self.until + 1 < position => {
                self.absences.push((self.until + 1, position));
                if self.absences.len() > GROUP_ABSENCES_MAX {
                    self.before = self.absences.remove(0).1 - 1;
                }
            }
            None => {}
        }
        (self.role, self.since, self.until) = (role, position, 0);
    }
}

#[cfg(test)]
mod tests {
    use fulmar_protocol::limits::USERS_MAX;

    use super::*;

    const MEMBERS_MAX: usize = 5;

    fn wanted(action: Action, users: &[UserId], value: &'static [u8]) -> Wanted {
        Wanted { action, users: users.to_vec(), value: Bytes::from_static(value) }
    }

    /// A group of owner 1, admin 2 and members 3 and 4; its last entry is at 2.
    fn group() -> GroupRecord {
        let mut record = GroupRecord::default();
        let create = wanted(Action::Create, &[2, 3, 4], b"birds");
        record.create(1, 1, 9, &create);
        record.apply(1, &wanted(Action::Promote, &[2], b""), 2);
        record.head = 2;
        record
    }

    #[track_caller]
    fn role(record: &GroupRecord, user: UserId) -> Option<Role> {
        record.active(user).map(|member| member.role)
    }

    #[test]
    fn each_change_needs_its_role() {
        let record = group();
        let changes = [
            (wanted(Action::Rename, &[], b"gulls"), 2),
            (wanted(Action::Describe, &[], b"of the sea"), 2),
            (wanted(Action::Add, &[5], b""), 2),
            (wanted(Action::Remove, &[4], b""), 2),
            (wanted(Action::Leave, &[], b""), 3),
            (wanted(Action::Promote, &[4], b""), 1),
            (wanted(Action::Demote, &[2], b""), 1),
            (wanted(Action::HandOver, &[3], b""), 1),
            (wanted(Action::Delete, &[], b""), 1),
            (wanted(Action::ShowHistory, &[], b"\x01"), 1),
        ];
        for (change, last) in changes {
            for actor in 1..=3 {
                let expected = if actor <= last { Ok(()) } else { Err(Code::NotAllowed) };
                let judged = record.judge(actor, &change, MEMBERS_MAX);
                assert_eq!(judged, expected, "{actor} wants {change:?}");
            }
            assert_eq!(record.judge(9, &change, MEMBERS_MAX), Err(Code::NotAMember));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let record = group();
        for change in [
            wanted(Action::Add, &[], b""),
            wanted(Action::Add, &[3], b""),
            wanted(Action::Remove, &[9], b""),
            wanted(Action::Promote, &[2], b""),
            wanted(Action::Demote, &[3], b""),
            wanted(Action::HandOver, &[2, 3], b""),
            wanted(Action::ShowHistory, &[], b"\x02"),
            wanted(Action::Leave, &[3], b""),
            wanted(Action::Create, &[], b""),
            wanted(Action::Rename, &[], &[b'x'; GROUP_NAME_BYTES_MAX + 1]),
        ] {
            assert_eq!(record.judge(1, &change, MEMBERS_MAX), Err(Code::BadChange), "{change:?}");
        }
        let many = wanted(Action::Add, &[5, 6], b"");
        assert_eq!(record.judge(1, &many, MEMBERS_MAX), Err(Code::GroupFull));
        // An admin removes neither admins nor the owner.
        for user in [1, 2] {
            let remove = wanted(Action::Remove, &[user], b"");
            assert_eq!(record.judge(2, &remove, MEMBERS_MAX), Err(Code::NotAllowed));
        }
    }

    #[test]
    fn an_owner_who_leaves_is_followed() {
        let mut record = group();
        record.apply(1, &wanted(Action::Leave, &[], b""), 3);
        assert_eq!((role(&record, 1), role(&record, 2)), (None, Some(Role::Owner)));
        assert_eq!(record.find(1).map(Member::last), Some(3));
        record.apply(2, &wanted(Action::Leave, &[], b""), 4);
        assert_eq!(role(&record, 3), Some(Role::Owner), "the first of the oldest members");
        record.apply(3, &wanted(Action::Leave, &[], b""), 5);
        record.apply(4, &wanted(Action::Leave, &[], b""), 6);
        assert!(record.is_deleted && record.members_count() == 0);
    }

    #[test]
    fn who_comes_back_reads_on_and_who_is_new_begins_at_the_join() {
        let mut record = group();
        record.apply(1, &wanted(Action::Remove, &[4], b""), 3);
        assert_eq!(
            record.find(4).map(|member| (member.role, member.last())),
            Some((Role::Former, 3))
        );
        record.apply(1, &wanted(Action::Add, &[4, 5], b""), 8);
        let member =
            |user| record.find(user).map(|member| (member.since, member.before, member.until));
        assert_eq!((member(4), member(5)), (Some((8, 0, 0)), Some((8, 7, 0))));
        assert_eq!(absences(&record, 4), [(4, 8)]);
        let mut open = record.clone();
        open.apply(1, &wanted(Action::ShowHistory, &[], b"\x01"), 9);
        open.apply(1, &wanted(Action::Add, &[6], b""), 10);
        assert_eq!(open.find(6).map(|member| member.before), Some(0));
    }

    /// What lies between the times of a user.
    #[track_caller]
    fn absences(record: &GroupRecord, user: UserId) -> &[(u64, u64)] {
        &record.find(user).expect("was a member").absences
    }

    #[test]
    fn of_each_time_a_member_may_read_what_was_in_it() {
        let mut record = group();
        record.head = 100;
        let mut times = vec![1..=10];
        record.apply(1, &wanted(Action::Remove, &[4], b""), 10);
        for nth in 1..3 {
            record.apply(1, &wanted(Action::Add, &[4], b""), 10 * nth + 5);
            record.apply(1, &wanted(Action::Remove, &[4], b""), 10 * nth + 10);
            times.push(10 * nth + 5..=10 * nth + 10);
        }
        for position in 1..=100 {
            let is_in_it = times.iter().any(|time| time.contains(&position));
            assert_eq!(record.may_read(4, position), is_in_it, "{position}");
        }
        let mut shown = record.clone();
        shown.apply(1, &wanted(Action::ShowHistory, &[], b"\x01"), 40);
        shown.apply(1, &wanted(Action::Add, &[4], b""), 41);
        assert!((1..=100).all(|position| shown.may_read(4, position)), "with its history");
        // Taken back at once: there was nothing in between.
        record.apply(1, &wanted(Action::Add, &[4], b""), 31);
        assert_eq!(absences(&record, 4), [(11, 15), (21, 25)]);
        // What has expired may still be there, and told again under a longer time.
        record.trim = 26;
        record.apply(1, &wanted(Action::Rename, &[], b"x"), 32);
        assert_eq!(absences(&record, 4), [(11, 15), (21, 25)]);
    }

    #[test]
    fn of_too_many_times_the_earliest_is_forgotten() {
        let mut record = group();
        let times = GROUP_ABSENCES_MAX as u64 + 1;
        for nth in 1..=times {
            record.apply(1, &wanted(Action::Remove, &[4], b""), 10 * nth);
            record.apply(1, &wanted(Action::Add, &[4], b""), 10 * nth + 5);
        }
        record.head = 1_000;
        assert_eq!(absences(&record, 4).len(), GROUP_ABSENCES_MAX);
        assert!(!record.may_read(4, 10));
        assert!((15..=20).all(|position| record.may_read(4, position)));
        assert!(!record.may_read(4, 21));
        let mut bytes = bytes::BytesMut::new();
        record.encode(&mut bytes);
        assert_eq!(GroupRecord::decode(&bytes.freeze()), Ok(record));
    }

    #[test]
    fn former_members_are_forgotten_with_their_last_entry() {
        let mut record = group();
        record.apply(1, &wanted(Action::Remove, &[4], b""), 3);
        record.trim = 3;
        record.apply(1, &wanted(Action::Rename, &[], b"x"), 9);
        assert_eq!(record.find(4), None);
    }

    #[test]
    fn of_those_who_were_removed_at_once_all_are_remembered_or_none() {
        let mut record = group();
        let mut remove = |count: usize| {
            let users: Vec<UserId> =
                (100..100 + count as u64).map(|nth| record.head * 1_000 + nth).collect();
            for action in [Action::Add, Action::Remove] {
                record.apply(1, &wanted(action, &users, b""), record.head + 1);
                record.head += 1;
            }
            record.members.iter().filter(|member| !member.is_active()).count()
        };
        for round in 1..=4 {
            assert_eq!(remove(USERS_MAX), round * USERS_MAX);
        }
        // The most that there can be: of the first removal all but one would be too many.
        let most = GROUP_FORMER_MAX + USERS_MAX - 1;
        assert_eq!(remove(USERS_MAX - 1), most);
        assert_eq!(remove(1), most + 1 - USERS_MAX);
    }
}
