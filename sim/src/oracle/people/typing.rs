//! That somebody writes: told to those who are there, of somebody who just said so, and never kept.

use std::collections::BTreeMap;

use super::super::link::Link;
use super::super::{Complaint, Oracle};
use super::{Written, since};
use crate::clock::{SECOND, Time};
use crate::coverage::Happening;

/// How long it may take from the core of who writes to that of who is told.
const ON_THE_WAY: Time = 15 * SECOND;

/// Who writes where, or stopped: to a group, or to a user. One is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Typing {
    pub(super) by: u64,
    pub(super) group: u64,
    pub(super) to: u64,
    /// It begins, or ends.
    pub(super) begins: bool,
}

/// When that was written last, on one connection.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) written: Written,
    run: u32,
    /// The server came to it by then.
    pub(super) until: Option<Time>,
    /// How much of the group's log was known then.
    head: u64,
}

impl Typed {
    /// Whether somebody may be told of it still, on a connection of a run, about a question of this time.
    fn may_be_told(&self, run: u32, at: Time) -> bool {
        self.run == run && self.until.is_none_or(|until| until + ON_THE_WAY >= at)
    }
}

impl Oracle {
    pub(super) fn wrote_typing(&mut self, link: &mut Link, group: u64, to: u64, is_typing: bool) {
        let typing = Typing { by: self.id_of(link), group, to, begins: is_typing };
        let run = link.run;
        let known = self.people.typed.entry(typing).or_default();
        // Of what was written before somebody may hear only now, or later.
        let before = known.get(&link.conn).filter(|typed| typed.run == run);
        let head = self.groups.named(group).min(before.map_or(u64::MAX, |typed| typed.head));
        let typed = Typed { written: link.people.written, run, until: None, head };
        known.insert(link.conn, typed);
        link.people.typed.push((typing, link.people.written));
    }

    pub(super) fn typing_told(&mut self, link: &Link, told: Typing) -> Result<(), Complaint> {
        let is_of_group = told.group > 0;
        self.hit(if is_of_group { Happening::GroupTypingTold } else { Happening::TypingTold });
        let (since, user, id) = (since(link), link.user, self.id_of(link));
        let typing = Typing { to: if is_of_group { 0 } else { id }, ..told };
        let typed = self.people.typed.get(&typing);
        let recent = typed.into_iter().flat_map(BTreeMap::values);
        let recent = recent.filter(|typed| typed.may_be_told(link.run, since));
        let Some(head) = recent.map(|typed| typed.head).min() else {
            let detail = format!("{typing:?} in run {} after {since} µs; {typed:?}", link.run);
            return Err(Complaint("who is shown to write just wrote", detail));
        };
        if is_of_group {
            self.groups.mates(told.group, told.by, id, head);
        }
        if is_of_group && !link.groups.takes() {
            let detail = format!("{typing:?}, told to {id}");
            return Err(Complaint("groups come to who takes them", detail));
        }
        let acts = self.people.acts.get(&user);
        let interval = link.people.interval + SECOND;
        if !acts.is_some_and(|acts| acts.may_be_here_on(link.conn, since, interval)) {
            let detail = format!("{typing:?}, told to {id} after {since} µs, with {acts:?}");
            return Err(Complaint("typing is shown to who is there", detail));
        }
        let writer = self.user(told.by);
        let block = self.blocks.get(&(user, writer)).filter(|_| !is_of_group);
        if block.is_some_and(|block| block.held(since, self.now)) {
            let detail = format!("{typing:?}, where {block:?}");
            return Err(Complaint("who is blocked isn't shown to write", detail));
        }
        Ok(())
    }
}
