//! The groups: what was committed of them.
//!
//! Positions are dense and used once, by somebody who was a member then; a record never goes back, knows no
//! entry that isn't stored, and says no more of its members than their devices did.

use std::collections::BTreeMap;

use bytes::Bytes;
use fulmar::shard::group::record::{GroupRecord, Member, Role};
use fulmar::shard::record::{ConversationRecord, EntryHeader};
use fulmar::shard::{DeviceId, GroupId, UserId};
use fulmar_protocol::group::{Action, CONTENT_CHANGE, Change};

use super::{Entry, Known, check_running_total};

/// What a group was from some change on.
#[derive(Debug)]
struct State {
    record: GroupRecord,
    /// The last entry before the next one changed it.
    through: u64,
}

/// One group.
#[derive(Debug, Default)]
struct Log {
    /// By position; entries stay here when they are trimmed.
    entries: Vec<Entry>,
    record: Option<GroupRecord>,
    /// What it was, change by change; the last one is what it is.
    states: Vec<State>,
    trim: u64,
    /// How far each ever read it.
    reads: BTreeMap<UserId, u64>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(in super::super) struct Groups {
    logs: BTreeMap<GroupId, Log>,
    /// In the order in which they were made.
    pub(in super::super) order: Vec<GroupId>,
}

impl Groups {
    pub(super) fn entry(&mut self, group: GroupId, position: u64, value: &Bytes, known: &Known) {
        let (header, body_at) = EntryHeader::decode(value).expect("an entry");
        let body = value.slice(body_at..);
        let log = self.logs.entry(group).or_default();
        assert_eq!(position, log.entries.len() as u64 + 1, "positions of group {group} are dense");
        assert_eq!(header.ordinal, position);
        assert!(!header.own && !header.is_notice);
        let last = log.entries.last().map(|last| &last.header);
        check_running_total(last, &header, body.len(), known);
        if position == 1 {
            let change = Change::decode(&body).expect("a change");
            assert!(header.content == CONTENT_CHANGE && change.action == Action::Create);
            self.order.push(group);
        } else {
            let record = log.record.as_ref().expect("a group has a record");
            let is_member = record.active(header.peer).is_some();
            assert!(is_member, "{} wrote to {group} and is no member", header.peer);
            assert!(header.content != CONTENT_CHANGE || Change::decode(&body).is_ok());
        }
        log.entries.push(Entry { header, body });
    }

    pub(super) fn record(&mut self, group: GroupId, value: &Bytes, known: &Known) {
        let record = GroupRecord::decode(value).expect("a group's record");
        let log = self.logs.entry(group).or_default();
        let head = log.entries.len() as u64;
        assert!(record.head <= head, "the record of {group} names a head that isn't stored");
        let owners = record.members.iter().filter(|member| member.role == Role::Owner);
        let expected = usize::from(!record.is_deleted);
        assert_eq!(owners.count(), expected, "group {group} has one owner as long as it is one");
        for member in &record.members {
            log.check_progress(group, member, known);
            let read = log.reads.entry(member.user).or_default();
            *read = member.read.max(*read);
        }
        if let Some(before) = &log.record {
            assert_eq!(record.made_by, before.made_by);
            assert!(record.head >= before.head && record.trim >= before.trim, "it went back");
            assert!(record.is_deleted || !before.is_deleted, "group {group} is back");
            for old in &before.members {
                if let Some(member) = record.find(old.user) {
                    assert!(member.delivered >= old.delivered && member.read >= old.read);
                }
            }
        }
        let is_changed = log.states.last().is_none_or(|last| !is_same(&last.record, &record));
        if is_changed {
            if let Some(last) = log.states.last_mut() {
                last.through = head;
            }
            log.states.push(State { record: record.clone(), through: u64::MAX });
        }
        log.record = Some(record);
    }

    /// What a member sent lately names entries that are its own.
    pub(super) fn sender(&self, group: GroupId, user: UserId, value: &[u8]) {
        let record = ConversationRecord::decode(value).expect("a conversation record");
        for sender in &record.senders {
            for run in &sender.runs {
                for position in run.ordinal..run.ordinal + run.len {
                    let entry =
                        self.entry_at(group, position).expect("it is stored with its number");
                    let is_own = (entry.header.peer, entry.header.device) == (user, sender.device);
                    assert!(is_own, "{user}.{} sent no {position} of {group}", sender.device);
                }
            }
        }
    }

    pub(super) fn trim(&mut self, group: GroupId, from: u64, through: u64, known: &Known) {
        let log = self.logs.get_mut(&group).expect("a trim has a log");
        let before = std::mem::replace(&mut log.trim, through);
        assert!(before < from && from <= through, "group {group} is trimmed once");
        let record = log.record.as_ref().expect("a trim has a record");
        assert!(record.trim >= through, "the record knows what is trimmed");
        for position in before + 1..=through {
            let is_expired = self.is_expired(group, position, known);
            assert!(is_expired, "the trim of group {group} takes {position}");
        }
    }

    /// The last committed position of a group.
    pub(in super::super) fn head(&self, group: GroupId) -> u64 {
        self.logs.get(&group).map_or(0, |log| log.entries.len() as u64)
    }

    /// The committed entry at a position.
    pub(in super::super) fn entry_at(&self, group: GroupId, position: u64) -> Option<&Entry> {
        self.logs.get(&group)?.entry_at(position)
    }

    /// What is committed of a group besides its entries.
    pub(in super::super) fn record_of(&self, group: GroupId) -> Option<&GroupRecord> {
        self.logs.get(&group)?.record.as_ref()
    }

    /// Whether a group was ever so, as far as that is told.
    pub(in super::super) fn was(&self, group: GroupId, is: impl Fn(&GroupRecord) -> bool) -> bool {
        self.states(group).any(|state| is(&state.record))
    }

    fn states(&self, group: GroupId) -> impl Iterator<Item = &State> {
        self.logs.get(&group).into_iter().flat_map(|log| &log.states)
    }

    /// Whether a user may read a position, by what the group was or is.
    pub(in super::super) fn may_read(&self, group: GroupId, user: UserId, position: u64) -> bool {
        let may = |record: &GroupRecord| {
            record.find(user).is_some_and(|member| member.may_read(position))
        };
        self.states(group).any(|state| position <= state.through && may(&state.record))
    }

    /// Whether a user may read a position, and might at all times since it came to the group.
    pub(in super::super) fn is_always_readable(
        &self,
        group: GroupId,
        user: UserId,
        position: u64,
    ) -> bool {
        let mut members = self.states(group).filter_map(|state| state.record.find(user)).peekable();
        members.peek().is_some() && members.all(|it| it.is_active() && it.may_read(position))
    }

    /// How far a user ever read a group, as it was stored.
    pub(in super::super) fn read_by(&self, group: GroupId, user: UserId) -> u64 {
        let reads = self.logs.get(&group).and_then(|log| log.reads.get(&user));
        reads.copied().unwrap_or(0)
    }

    /// Whether a device needn't get a position.
    pub(in super::super) fn is_settled(
        &self,
        group: GroupId,
        (user, device): (UserId, DeviceId),
        position: u64,
        known: &Known,
    ) -> bool {
        let Some(entry) = self.entry_at(group, position) else { return false };
        let is_readable = self
            .record_of(group)
            .and_then(|record| record.find(user))
            .is_some_and(|member| member.may_read(position));
        !is_readable
            || (entry.header.peer, entry.header.device) == (user, device)
            || known.is_over(&entry.header)
    }

    /// Whether a position may have expired.
    pub(in super::super) fn is_expired(
        &self,
        group: GroupId,
        position: u64,
        known: &Known,
    ) -> bool {
        let entry = self.entry_at(group, position);
        entry.is_some_and(|entry| entry.header.time_ms <= known.expired_through_ms)
    }
}

impl Log {
    fn entry_at(&self, position: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(position.checked_sub(1)?).ok()?)
    }

    /// What is noted of a member it said, or it follows from what it wrote.
    fn check_progress(&self, group: GroupId, member: &Member, known: &Known) {
        let user = member.user;
        let said = known.said.get(&(group, user)).copied().unwrap_or_default();
        let is_read = member.read < member.since || member.read <= said.read;
        assert!(is_read, "{user} read {} of {group}, and said {said:?}", member.read);
        let delivered = member.delivered;
        let is_own = self.entry_at(delivered).is_some_and(|entry| entry.header.peer == user);
        let is_delivered = delivered < member.since || delivered <= said.delivered || is_own;
        assert!(is_delivered, "{user} has {delivered} of {group}, and said {said:?}");
    }
}

/// Whether nothing differs but how far members are.
fn is_same(one: &GroupRecord, other: &GroupRecord) -> bool {
    let place =
        |it: &Member| (it.user, it.role, it.since, it.before, it.until, it.absences.clone());
    (&one.name, &one.info, one.shows_history, one.is_deleted)
        == (&other.name, &other.info, other.shows_history, other.is_deleted)
        && one.members.iter().map(place).eq(other.members.iter().map(place))
}
