//! Which groups a user is in, as its inbox's record keeps it.

use bytes::BytesMut;

use super::super::seam::GroupId;
use super::{Fields, RecordError, put};
use crate::limits::{GROUPS_PAST_MAX, USER_GROUPS_MAX};

/// The groups of a user: what a device that lost its store, or a new one, learns them from, and beyond which
/// nothing about groups is taken from the user's devices.
///
/// A user is in none that isn't listed: it is listed before it becomes a member. It may be listed in one that it
/// isn't in, until a device asks for that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupList {
    /// Boxed, since many are in none.
    lists: Option<Box<Lists>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Lists {
    /// Groups that the user is in, by number.
    present: Vec<GroupId>,
    /// Groups that the user was in, the latest last. Their entries up to its end may still be read.
    past: Vec<GroupId>,
    /// Those among the present ones to which the user wrote, or that it changed or made: whose members it knows
    /// by its own doing. By number.
    own_doing: Vec<GroupId>,
}

impl GroupList {
    /// Groups that the user is in.
    pub fn present(&self) -> &[GroupId] {
        self.lists.as_deref().map_or(&[], |lists| &lists.present)
    }

    fn past(&self) -> &[GroupId] {
        self.lists.as_deref().map_or(&[], |lists| &lists.past)
    }

    /// Whether the user is in the group.
    #[must_use]
    pub fn is_in(&self, group: GroupId) -> bool {
        self.present().binary_search(&group).is_ok()
    }

    /// Whether the user is in the group, or was.
    #[must_use]
    pub fn has(&self, group: GroupId) -> bool {
        self.is_in(group) || self.past().contains(&group)
    }

    /// Groups that the user is in, and to which it wrote or that it changed or made.
    pub fn own_doing(&self) -> &[GroupId] {
        self.lists.as_deref().map_or(&[], |lists| &lists.own_doing)
    }

    /// The user wrote to a group, or changed or made it; `true` if that is new, and it is in it.
    pub fn act(&mut self, group: GroupId) -> bool {
        let Some(lists) = self.lists.as_deref_mut() else { return false };
        let Err(at) = lists.own_doing.binary_search(&group) else { return false };
        let is_present = lists.present.binary_search(&group).is_ok();
        if is_present {
            lists.own_doing.insert(at, group);
        }
        is_present
    }

    /// Whether the user is in one of these groups, which are sorted by number.
    #[must_use]
    pub fn is_in_any(&self, groups: &[GroupId]) -> bool {
        let (few, many) = match self.present() {
            own if own.len() < groups.len() => (own, groups),
            own => (groups, own),
        };
        few.iter().any(|group| many.binary_search(group).is_ok())
    }

    /// Whether the user may not be added to this group, since it is in too many.
    #[must_use]
    pub fn is_full_for(&self, group: GroupId) -> bool {
        self.present().len() >= USER_GROUPS_MAX && !self.is_in(group)
    }

    /// The user is added to a group; `true` if it wasn't listed there.
    pub fn begin(&mut self, group: GroupId) -> bool {
        debug_assert!(!self.is_full_for(group));
        let lists = self.lists.get_or_insert_default();
        lists.past.retain(|&known| known != group);
        let Err(at) = lists.present.binary_search(&group) else { return false };
        lists.present.insert(at, group);
        true
    }

    /// The user is in a group no more; `true` if it was listed there. Of too many past ones the oldest is
    /// forgotten.
    pub fn end(&mut self, group: GroupId) -> bool {
        let Some(lists) = self.lists.as_deref_mut() else { return false };
        let Ok(at) = lists.present.binary_search(&group) else { return false };
        lists.present.remove(at);
        lists.own_doing.retain(|&known| known != group);
        if lists.past.len() == GROUPS_PAST_MAX {
            lists.past.remove(0);
        }
        lists.past.push(group);
        true
    }

    pub(super) fn numbers(&self) -> usize {
        3 + self.present().len() + self.past().len() + self.own_doing().len()
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        for list in [self.present(), self.past()] {
            put(list.len() as u64, out);
            for &group in list {
                put(group, out);
            }
        }
    }

    /// Appends what the user did in them, as the end of the record; nothing where that is nothing.
    pub(super) fn encode_own_doing(&self, out: &mut BytesMut) {
        if !self.own_doing().is_empty() {
            put(self.own_doing().len() as u64, out);
            for &group in self.own_doing() {
                put(group, out);
            }
        }
    }

    /// Reads that, as far as there is something left.
    pub(super) fn decode_own_doing(&mut self, fields: &mut Fields<'_>) -> Result<(), RecordError> {
        if fields.rest.is_empty() {
            return Ok(());
        }
        let count = fields.count(USER_GROUPS_MAX as u64, "inbox.own_doing")?;
        if count == 0 {
            // A list of none isn't written, so that a record has one form.
            return Err(RecordError("inbox.own_doing"));
        }
        let mut before = 0;
        for _ in 0..count {
            let group = fields.number("inbox.own_doing")?;
            if group < before || !self.act(group) {
                return Err(RecordError("inbox.own_doing"));
            }
            before = group;
        }
        Ok(())
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, RecordError> {
        let mut list = |max: usize| {
            let count = fields.count(max as u64, "inbox.groups")?;
            (0..count).map(|_| fields.number("inbox.group")).collect::<Result<Vec<_>, _>>()
        };
        let (present, past) = (list(USER_GROUPS_MAX)?, list(GROUPS_PAST_MAX)?);
        if !present.is_sorted_by(|one, next| one < next) {
            return Err(RecordError("inbox.groups"));
        }
        let lists = Lists { present, past, own_doing: Vec::new() };
        let is_empty = lists == Lists::default();
        Ok(GroupList { lists: (!is_empty).then(|| Box::new(lists)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_begin_end_and_begin_again() {
        let mut list = GroupList::default();
        assert!(list.begin(9) && list.begin(3) && !list.begin(9));
        assert_eq!(list.present(), [3, 9]);
        assert!(list.is_in_any(&[1, 2, 3, 4]) && list.is_in_any(&[9]));
        assert!(!list.is_in_any(&[1, 8, 10]) && !list.is_in_any(&[]));
        assert!(list.end(9) && !list.end(9) && !list.end(7));
        assert!(list.present() == [3] && list.has(9) && !list.has(7));
        list.begin(9);
        assert_eq!((list.present(), list.past().len()), (&[3, 9][..], 0));
    }

    #[test]
    fn what_one_did_in_a_group_ends_with_being_in_it() {
        let mut list = GroupList::default();
        assert!(!list.act(3));
        for group in [3, 9] {
            list.begin(group);
        }
        assert!(list.act(9) && !list.act(9) && !list.act(4));
        let mut bytes = BytesMut::new();
        list.encode_own_doing(&mut bytes);
        let mut again = GroupList::default();
        for group in [3, 9] {
            again.begin(group);
        }
        assert_eq!(again.decode_own_doing(&mut Fields { rest: &bytes }), Ok(()));
        assert_eq!(again, list);
        assert!(again.decode_own_doing(&mut Fields { rest: &bytes }).is_err(), "twice");
        assert!(again.decode_own_doing(&mut Fields { rest: &[0] }).is_err(), "none");
        list.begin(3);
        let unsorted = &mut Fields { rest: &[2, 9, 3] };
        assert!(list.clone().decode_own_doing(unsorted).is_err(), "unsorted");
        list.end(9);
        list.begin(9);
        assert_eq!(list.own_doing(), [0; 0]);
    }

    #[test]
    fn both_lists_are_bounded() {
        let mut list = GroupList::default();
        for group in 1..=USER_GROUPS_MAX as u64 {
            list.begin(group);
        }
        assert!(list.is_full_for(1_000_000) && !list.is_full_for(1));
        for group in 1..=GROUPS_PAST_MAX as u64 + 1 {
            list.end(group);
        }
        assert_eq!(list.past().len(), GROUPS_PAST_MAX);
        assert!(!list.has(1) && list.has(2) && !list.is_full_for(1_000_000));
    }

    #[test]
    fn a_list_comes_back_as_it_was_and_an_unsorted_one_does_not() {
        let own_doing = Vec::new();
        let lists = Lists { present: vec![3, 9, u64::MAX], past: vec![8, 1], own_doing };
        let list = GroupList { lists: Some(Box::new(lists)) };
        let mut bytes = BytesMut::new();
        list.encode(&mut bytes);
        assert!(bytes.len() <= list.numbers() * fulmar_protocol::varint::BYTES_MAX);
        assert_eq!(GroupList::decode(&mut Fields { rest: &bytes }), Ok(list));
        bytes[1] = 10;
        assert!(GroupList::decode(&mut Fields { rest: &bytes }).is_err());
    }
}
