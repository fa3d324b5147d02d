//! That somebody writes: told to those who are there, of somebody who just said so, and never kept.

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
}

impl Oracle {
    pub(super) fn wrote_typing(&mut self, link: &mut Link, group: u64, to: u64, is_typing: bool) {
        let typing = Typing { by: self.id_of(link), group, to, begins: is_typing };
        let typed = Typed { written: link.people.written, run: link.run, until: None };
        self.people.typed.entry(typing).or_default().insert(link.conn, typed);
        link.people.typed.push((typing, link.people.written));
    }

    pub(super) fn typing_told(&mut self, link: &Link, told: Typing) -> Result<(), Complaint> {
        let is_of_group = told.group > 0;
        self.hit(if is_of_group { Happening::GroupTypingTold } else { Happening::TypingTold });
        let (since, user, id) = (since(link), link.user, self.id_of(link));
        let typing = Typing { to: if is_of_group { 0 } else { id }, ..told };
        let is_recent = |typed: &Typed| {
            let is_late = typed.until.is_some_and(|until| until + ON_THE_WAY < since);
            typed.run == link.run && !is_late
        };
        let typed = self.people.typed.get(&typing);
        let is_recent = typed.is_some_and(|typed| typed.values().any(is_recent));
        if !is_recent {
            let detail = format!("{typing:?} in run {} after {since} µs; {typed:?}", link.run);
            return Err(Complaint("who is shown to write just wrote", detail));
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
