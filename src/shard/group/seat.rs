//! A group on a core with members of it: who they are, which of their sessions are fed, and the
//! entries that came lately.

use std::collections::VecDeque;

use bytes::Bytes;
use fulmar_protocol::Frame;

use super::super::seam::{ConnId, GroupId, UserId};
use super::super::{Effects, Shard, home_core};
use super::letter::{Asker, Cursor, GroupLetter, Seated};
use crate::limits::{SEAT_RECENT_BYTES, SEAT_RECENT_ENTRIES, SEATS_BYTES_MAX};

/// See the module's description.
#[derive(Debug, Default)]
pub(in super::super) struct Seat {
    members: Vec<Seated>,
    /// Sessions with a feed of the group.
    pub(super) online: Vec<ConnId>,
    /// The last durable position.
    head: u64,
    recent: VecDeque<Bytes>,
    recent_bytes: usize,
}

impl Seat {
    /// The first position that it has in memory.
    pub(super) fn recent_first(&self) -> u64 {
        self.head + 1 - self.recent.len() as u64
    }

    pub(super) fn recent(&self, position: u64) -> Option<&Bytes> {
        self.recent.get(position.checked_sub(self.recent_first())? as usize)
    }

    fn member(&self, user: UserId) -> Option<&Seated> {
        let at = self.members.binary_search_by_key(&user, |member| member.user).ok()?;
        self.members.get(at)
    }

    fn push(&mut self, position: u64, value: Bytes) {
        if position != self.head + 1 {
            // The first since it was seated, or after some that weren't told.
            self.pass(position);
        }
        self.head = position;
        self.recent_bytes += value.len();
        self.recent.push_back(value);
        while self.recent.len() > SEAT_RECENT_ENTRIES || self.recent_bytes > SEAT_RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.len();
        }
    }

    /// Keeps nothing of what is there up to a position: who lacks it reads the log.
    fn pass(&mut self, position: u64) {
        self.head = position;
        self.recent.clear();
        self.recent_bytes = 0;
    }
}

impl Shard {
    /// The members of a group on this core are these.
    pub(super) fn seat(&mut self, group: GroupId, head: u64, members: &[Seated]) {
        let home = home_core(group, self.config.cores);
        if members.is_empty() {
            self.unseat(group);
            return;
        }
        let seat = self.seats.entry(group).or_default();
        if seat.head < head {
            self.seats_bytes -= seat.recent_bytes;
            seat.pass(head);
        }
        let head = seat.head;
        let before = std::mem::replace(&mut seat.members, members.to_vec());
        for member in members {
            let known = before.binary_search_by_key(&member.user, |it| it.user);
            if !known.is_ok_and(|at| before[at] == *member) {
                self.seat_member(group, home, head, member);
            }
        }
    }

    /// Feeds the group to the sessions of a member that is new here, or whose bounds changed.
    fn seat_member(&mut self, group: GroupId, home: u16, head: u64, member: &Seated) {
        let Some(slot) = self.loaded_user(member.user) else { return };
        for index in 0..self.users[slot].sessions.len() {
            let Some(&(_, conn)) = self.users[slot].sessions.get(index) else { break };
            let Some(feeds) = self.feeds(conn) else { continue };
            // Where a session that resumed it goes on its home says by itself, and knows by then who joins.
            let is_opening = feeds.is_opening(group) && member.since > head;
            if !feeds.is_attached(home) || is_opening {
                continue;
            }
            if let Some(feed) = feeds.find(group) {
                // It outlived a seat, since something was still under way.
                let acked = feed.acked;
                self.begin_feed(conn, group, acked, head, member);
                continue;
            }
            // Who joins just now is told in any case. Of a group that was there before only those come that
            // the client knows.
            let said = feeds.named(group);
            if member.since <= head && said.is_none() {
                continue;
            }
            // A session that is attached has everything there was of a group that it named. Who joins just now may
            // have been a member before, while this device was away: it has what it said that it has.
            let device_has = match said {
                Some(said) if member.since > head => said,
                None => 0,
                Some(_) => head.min(member.until),
            };
            // Its home may not know, after a crash or since it had too much to do. What was passed over behind
            // that may have expired.
            if let Some(said) = said.filter(|_| member.since <= head) {
                self.count_cursor(conn, group, said.min(device_has));
            }
            self.begin_feed(conn, group, device_has, head, member);
        }
    }

    /// A durable entry.
    pub(super) fn group_entry(&mut self, group: GroupId, position: u64, value: &Bytes) {
        let Some(seat) = self.seats.get_mut(&group) else { return };
        let bytes_before = seat.recent_bytes;
        if seat.online.is_empty() || self.seats_bytes > SEATS_BYTES_MAX {
            seat.pass(position);
        } else {
            // A value is cut from a block that other values hold, and may stay here for long.
            seat.push(position, Bytes::copy_from_slice(value));
        }
        self.seats_bytes = self.seats_bytes + seat.recent_bytes - bytes_before;
        let online = std::mem::take(&mut seat.online);
        for &conn in &online {
            if let Some(feed) = self.feeds(conn).and_then(|feeds| feeds.find(group)) {
                feed.head = position;
            }
            self.queue_feeds(conn);
        }
        if let Some(seat) = self.seats.get_mut(&group) {
            seat.online = online;
        }
    }

    /// A member writes: shown to the sessions of the others that have the group before them.
    pub(super) fn show_typing_in_group(
        &mut self,
        group: GroupId,
        user: UserId,
        is_typing: bool,
        fx: &mut Effects,
    ) {
        let Some(seat) = self.seats.get_mut(&group) else { return };
        let online = std::mem::take(&mut seat.online);
        for &conn in &online {
            let Some(reader) = self.session(conn).map(|session| session.user) else { continue };
            let seat = self.seats.get(&group);
            // A former member is fed up to its end and sees no more.
            let is_member =
                seat.and_then(|seat| seat.member(reader)).is_some_and(Seated::is_member);
            if is_member && reader != user {
                self.show_typing(conn, &Frame::Typing { group, user, is_typing }, fx);
            }
        }
        if let Some(seat) = self.seats.get_mut(&group) {
            seat.online = online;
        }
    }

    /// The group rests.
    pub(super) fn unseat(&mut self, group: GroupId) {
        let Some(seat) = self.seats.remove(&group) else { return };
        self.seats_bytes -= seat.recent_bytes;
        for conn in seat.online {
            self.end_idle_feeds(conn, group);
        }
    }

    /// A session ends: it is fed no more.
    pub(in super::super) fn leave_groups(&mut self, conn: ConnId) {
        let Some(feeds) = self.feeds(conn) else { return };
        let groups: Vec<GroupId> = feeds.all.iter().map(|feed| feed.group).collect();
        for group in groups {
            if let Some(seat) = self.seats.get_mut(&group) {
                seat.online.retain(|&known| known != conn);
            }
        }
    }

    /// What a session resumed is known at the home of these groups.
    pub(super) fn resumed(&mut self, conn: ConnId, home: u16, quiet: Vec<(GroupId, u64)>) {
        self.is_told_what_it_asked(conn);
        let Some(session) = self.session(conn) else { return };
        let user = session.user;
        let Some(feeds) = session.groups.as_deref_mut() else { return };
        feeds.attach(home);
        for &(group, cursor) in &quiet {
            feeds.name(group, cursor);
            feeds.opened(group);
        }
        for (group, cursor) in quiet {
            let Some(seat) = self.seats.get(&group) else { continue };
            let Some(member) = seat.member(user).cloned() else { continue };
            let head = seat.head;
            self.count_cursor(conn, group, cursor);
            self.begin_feed(conn, group, cursor, head, &member);
        }
        self.queue_feeds(conn);
    }

    /// A client says how far it has its groups. The homes of these compare that with their heads.
    pub(in super::super) fn resume_groups(
        &mut self,
        conn: ConnId,
        cursors: impl Iterator<Item = (GroupId, u64)>,
        fx: &mut Effects,
    ) {
        let cores = self.config.cores;
        let own = self.config.core;
        let Some(session) = self.session(conn) else { return };
        let (asker, slot) = (Asker { core: own, conn, user: session.user }, session.user_slot);
        let is_first = session.groups.is_none();
        session.groups.get_or_insert_default();
        let groups = &self.users[slot].record.groups;
        let (mut cursors, unknown): (Vec<_>, Vec<_>) =
            cursors.partition(|&(group, _)| groups.has(group));
        let said = cursors.len();
        if is_first {
            // What the device doesn't know of, since it is new, or lost its store, or was told just now.
            for &group in groups.present() {
                if cursors[..said].binary_search_by_key(&group, |&(known, _)| known).is_err() {
                    cursors.push((group, 0));
                }
            }
        }
        for (group, _) in unknown {
            self.put(conn, &Frame::GroupGone { group, position: 0 }, fx);
        }
        for &(group, cursor) in &cursors[..said] {
            self.acknowledge_through(conn, group, cursor);
        }
        let mut by_core: Vec<Vec<Cursor>> = vec![Vec::new(); usize::from(cores)];
        for (group, position) in cursors {
            let is_member = self.users[slot].record.groups.is_in(group);
            let cursor = Cursor { group, position, is_member };
            by_core[usize::from(home_core(group, cores))].push(cursor);
            if let Some(feeds) = self.feeds(conn) {
                feeds.open(group);
            }
        }
        for (core, cursors) in (0..).zip(by_core) {
            // The first one goes to all, so that groups to which the user is added later are told.
            if is_first || !cursors.is_empty() {
                if let Some(session) = self.session(conn) {
                    session.asking += 1;
                }
                self.post_to_core(core, GroupLetter::Resume { asker, cursors }.into(), fx);
            }
        }
        self.pause_if_full(conn, fx);
    }

    /// Compares what a session resumes with the heads of this core's groups, and opens those with news, and those
    /// that the user isn't in any more.
    pub(super) fn compare_resumed(&mut self, asker: Asker, cursors: Vec<Cursor>, fx: &mut Effects) {
        let mut quiet = Vec::with_capacity(cursors.len());
        for cursor in cursors {
            let Cursor { group, position, is_member } = cursor;
            match self.group_heads.get(&group) {
                // More than there is nobody has: it would acknowledge what comes later. Who isn't in it any more,
                // and may have everything, is still to hear that.
                Some(&head) if position >= head && is_member => quiet.push((group, head)),
                None if !self.groups_by_id.contains_key(&group) => {
                    self.group_gone(asker, group, false, fx);
                }
                // One that has news, or that is being made.
                _ => {
                    let cursors = vec![cursor];
                    self.hand_to_group(group, GroupLetter::Resume { asker, cursors }, fx);
                }
            }
        }
        let (conn, home) = (asker.conn, self.config.core);
        self.post_to_core(asker.core, GroupLetter::Resumed { conn, home, quiet }.into(), fx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_last_entries_and_no_more_than_so_many_or_so_much() {
        let mut seat = Seat::default();
        let most = SEAT_RECENT_ENTRIES as u64;
        for position in 1..=3 * most {
            seat.push(position, Bytes::from_static(b"entry"));
            assert!(seat.recent.len() <= SEAT_RECENT_ENTRIES);
        }
        assert_eq!((seat.recent_first(), seat.head), (2 * most + 1, 3 * most));
        assert!(seat.recent(2 * most).is_none() && seat.recent(2 * most + 1).is_some());
        for position in 1..=10 {
            seat.push(3 * most + position, Bytes::from(vec![0; SEAT_RECENT_BYTES / 4]));
            assert!(seat.recent_bytes <= SEAT_RECENT_BYTES);
        }
        assert_eq!(seat.recent.len(), 4);
        // One alone that is larger isn't kept at all: whoever lacks it reads the log.
        seat.push(3 * most + 11, Bytes::from(vec![0; SEAT_RECENT_BYTES + 1]));
        assert_eq!((seat.recent.len(), seat.recent_bytes), (0, 0));
        // Behind a hole nothing is kept of what was before it.
        seat.push(3 * most + 12, Bytes::from_static(b"entry"));
        seat.push(3 * most + 20, Bytes::from_static(b"entry"));
        assert_eq!(seat.recent_first(), 3 * most + 20);
    }
}
