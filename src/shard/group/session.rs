//! Groups as a session sees them: its frames on their way to the groups' homes, and the answers.

use bytes::Bytes;
use fulmar_protocol::group::{Action, Change, GroupRejected, GroupSend, GroupState};
use fulmar_protocol::{Code, Frame, Pairs};

use super::super::counters::count;
use super::super::home::mix;
use super::super::seam::{ConnId, CoreId, DeviceId, GroupId, Message, Origin, UserId};
use super::super::{Answer, Effects, Shard, home_core};
use super::letter::{Asker, GroupLetter, Progress, State};
use super::rules::Wanted;
use crate::limits::{MEMBER_COST_BYTES, NOTICE_COST_BYTES, NOTICES_MAX, QUOTA_RETRY_MS};

impl Shard {
    /// A message to a group, or its first piece.
    pub(in super::super) fn group_send(
        &mut self,
        conn: ConnId,
        send: &GroupSend<'_>,
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        if session.upload.is_some() && send.total_bytes.is_some() {
            let detail = "a large body is in progress; the next one waits until it is complete";
            self.end(conn, Code::UnexpectedPart, detail, fx);
            return;
        }
        let body_bytes = send.total_bytes.unwrap_or(send.body.len() as u64);
        let refusal = if !self.knows_group(conn, send.group) {
            Some(Code::NotAMember)
        } else if body_bytes > self.config.body_bytes_max {
            Some(Code::BodyTooLarge)
        } else {
            None
        };
        if let Some(code) = refusal {
            self.ignore_rest(conn, send.total_bytes, send.body.len());
            if let Some((_, origin)) = self.origin(conn, send.number, 0) {
                self.reject_group(origin, send.group, code, fx);
            }
        } else if let Some(total_bytes) = send.total_bytes {
            self.begin_group_upload(conn, send, total_bytes as usize, fx);
        } else {
            let body = self.arena.copy(send.body);
            let message = Message { content: send.content, body };
            self.offer_to_group(conn, send.group, send.number, message, fx);
        }
        self.pause_if_full(conn, fx);
    }

    /// A whole message to a group.
    pub(in super::super) fn offer_to_group(
        &mut self,
        conn: ConnId,
        group: GroupId,
        number: u64,
        message: Message,
        fx: &mut Effects,
    ) {
        let Some((_, origin)) = self.origin(conn, number, message.body.len()) else { return };
        self.post_to_group(group, GroupLetter::Append { origin, group, message }, fx);
    }

    /// A change that the person wants.
    pub(in super::super) fn group_change(
        &mut self,
        conn: ConnId,
        group: GroupId,
        number: u64,
        change: &Change<'_>,
        fx: &mut Effects,
    ) {
        let is_creation = change.action == Action::Create;
        let is_telling = is_creation || change.action == Action::Add;
        let told = if is_telling { change.users.iter().count() } else { 0 };
        let members = if is_creation { 0 } else { self.config.group_members_max };
        let cost_bytes = told * NOTICE_COST_BYTES + members * MEMBER_COST_BYTES;
        let Some((_, origin)) = self.origin(conn, number, cost_bytes) else { return };
        if is_creation && group > 0 {
            self.reject_group(origin, group, Code::BadChange, fx);
        } else if !is_creation && !self.knows_group(conn, group) {
            self.reject_group(origin, group, Code::NotAMember, fx);
        } else {
            let group = if is_creation { new_group(origin) } else { group };
            let wanted = Box::new(Wanted {
                action: change.action,
                users: change.users.iter().collect(),
                value: Bytes::copy_from_slice(change.value),
            });
            self.post_to_group(group, GroupLetter::Change { origin, group, wanted }, fx);
        }
        self.pause_if_full(conn, fx);
    }

    /// The person saw a group up to a position.
    pub(in super::super) fn group_read(
        &mut self,
        conn: ConnId,
        group: GroupId,
        position: u64,
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        let user = session.user;
        let moves = vec![Progress { user, delivered: position, read: position }];
        if position > 0 && self.knows_group(conn, group) {
            self.post_to_group(group, GroupLetter::Moved { group, moves }, fx);
        }
    }

    pub(in super::super) fn group_ask(
        &mut self,
        conn: ConnId,
        group: GroupId,
        position: u64,
        after: UserId,
        fx: &mut Effects,
    ) {
        let Some(asker) = self.group_asker(conn, group, fx) else { return };
        self.post_to_group(group, GroupLetter::Ask { asker, group, position, after }, fx);
        self.pause_if_full(conn, fx);
    }

    pub(in super::super) fn group_look(
        &mut self,
        conn: ConnId,
        group: GroupId,
        after: UserId,
        fx: &mut Effects,
    ) {
        let Some(asker) = self.group_asker(conn, group, fx) else { return };
        self.post_to_group(group, GroupLetter::Look { asker, group, after }, fx);
        self.pause_if_full(conn, fx);
    }

    /// Somebody writes to a group; who may be heard there its home knows.
    pub(in super::super) fn typing_in_group(
        &mut self,
        group: GroupId,
        user: UserId,
        is_typing: bool,
        fx: &mut Effects,
    ) {
        self.post_to_group(group, GroupLetter::Typing { group, user, is_typing }, fx);
    }

    /// A session with a question about a group. None if its user has nothing to do with the group; that is
    /// said at once.
    pub(in super::super) fn group_asker(
        &mut self,
        conn: ConnId,
        group: GroupId,
        fx: &mut Effects,
    ) -> Option<Asker> {
        if !self.knows_group(conn, group) {
            self.put(conn, &Frame::GroupGone { group, position: 0 }, fx);
            return None;
        }
        self.asker(conn)
    }

    /// A session with a question, which counts among those that wait.
    pub(in super::super) fn asker(&mut self, conn: ConnId) -> Option<Asker> {
        let core = self.config.core;
        let session = self.session(conn)?;
        session.asking += 1;
        Some(Asker { core, conn, user: session.user })
    }

    pub(in super::super) fn post_to_group(
        &mut self,
        group: GroupId,
        letter: GroupLetter,
        fx: &mut Effects,
    ) {
        let core = home_core(group, self.config.cores);
        self.post_to_core(core, letter.into(), fx);
    }

    /// Moved cursors of this turn, a letter per group.
    pub(in super::super) fn post_group_moves(&mut self, fx: &mut Effects) {
        if self.group_moves.is_empty() {
            return;
        }
        let mut moves = std::mem::take(&mut self.group_moves);
        moves.sort_unstable_by_key(|(group, progress)| (*group, progress.user, progress.delivered));
        for same in moves.chunk_by(|one, other| one.0 == other.0) {
            let group = same[0].0;
            let mut latest: Vec<Progress> = Vec::with_capacity(same.len());
            for &(_, progress) in same {
                match latest.last_mut() {
                    Some(last) if last.user == progress.user => *last = progress,
                    _ => latest.push(progress),
                }
            }
            self.post_to_group(group, GroupLetter::Moved { group, moves: latest }, fx);
        }
        moves.clear();
        self.group_moves = moves;
    }

    /// A letter about groups, at whichever end.
    pub(in super::super) fn group_letter(&mut self, letter: GroupLetter, fx: &mut Effects) {
        match letter {
            GroupLetter::Append { group, .. }
            | GroupLetter::Change { group, .. }
            | GroupLetter::Moved { group, .. }
            | GroupLetter::Ask { group, .. }
            | GroupLetter::Look { group, .. }
            | GroupLetter::Page { group, .. }
            | GroupLetter::Typing { group, .. }
            | GroupLetter::Noticed { group, .. } => self.hand_to_known_group(group, letter, fx),
            GroupLetter::Resume { asker, cursors } => self.compare_resumed(asker, cursors, fx),
            GroupLetter::Accepted { origin, group, position, time_ms, is_member } => {
                if self.acted_in_group(origin, group, is_member, fx) {
                    let answer = Answer::Acted { origin, group, position, time_ms };
                    self.answer_when_stored(None, answer, fx);
                } else {
                    self.tell_accepted(origin, group, position, time_ms, fx);
                }
            }
            GroupLetter::Rejected { origin, group, code } => {
                self.tell_rejected(origin, group, code, fx);
            }
            GroupLetter::Seat { group, head, members } => self.seat(group, head, &members),
            GroupLetter::Entry { group, position, value } => {
                self.group_entry(group, position, &value);
            }
            GroupLetter::Unseat { group } => self.unseat(group),
            GroupLetter::TypingHere { group, user, is_typing } => {
                self.show_typing_in_group(group, user, is_typing, fx);
            }
            GroupLetter::Open { conn, group, cursor, head, member } => {
                if !member.is_member() {
                    self.unlist_group(member.user, group, fx);
                }
                if let Some(feeds) = self.feeds(conn) {
                    feeds.opened(group);
                }
                self.count_cursor(conn, group, cursor);
                self.begin_feed(conn, group, cursor, head, &member);
            }
            GroupLetter::Gone { conn, group, is_answer, position } => {
                if is_answer && !self.is_told_what_it_asked(conn) {
                    return;
                }
                if !is_answer {
                    // Who was told goodbye meanwhile is told nothing more.
                    let Some(feeds) = self.feeds(conn) else { return };
                    feeds.opened(group);
                }
                if let Some(position) = position {
                    if let Some(user) = self.session(conn).map(|session| session.user) {
                        self.unlist_group(user, group, fx);
                    }
                    self.put(conn, &Frame::GroupGone { group, position }, fx);
                }
            }
            GroupLetter::Readable { conn, group, readable } => {
                self.page_is_readable(conn, group, readable, fx);
            }
            GroupLetter::Overloaded { conn } => self.end_overloaded(conn, fx),
            GroupLetter::Resumed { conn, home, quiet } => self.resumed(conn, home, quiet),
            GroupLetter::Receipt { author, group, counts } => {
                self.group_receipt(author, group, counts, fx);
            }
            GroupLetter::Who { conn, group, counts, who } => {
                self.group_who(conn, group, counts, &who, fx);
            }
            GroupLetter::State { conn, group, state } => self.group_state(conn, group, &state, fx),
            GroupLetter::Read { user, group, position } => {
                self.group_read_stored(user, group, position, fx);
            }
            GroupLetter::Ended { user, group } => self.unlist_group(user, group, fx),
            GroupLetter::Notice { user, group, by, adding, home } => {
                self.notice(user, group, by, (home, adding), fx);
            }
        }
    }

    /// A letter to a group that there may not be.
    fn hand_to_known_group(&mut self, group: GroupId, letter: GroupLetter, fx: &mut Effects) {
        let is_known =
            self.groups_by_id.contains_key(&group) || self.group_heads.contains_key(&group);
        match letter {
            GroupLetter::Change { origin, ref wanted, .. } if wanted.action == Action::Create => {
                let judged = wanted.judge_creation(origin.user, self.config.group_members_max);
                match judged {
                    // It takes no memory where there will be none.
                    Err(code) if !is_known => self.reject_group(origin, 0, code, fx),
                    _ => self.hand_to_group(group, letter, fx),
                }
            }
            _ if is_known => self.hand_to_group(group, letter, fx),
            GroupLetter::Append { origin, .. } | GroupLetter::Change { origin, .. } => {
                self.reject_group(origin, group, Code::NotAMember, fx);
            }
            GroupLetter::Ask { asker, .. } | GroupLetter::Look { asker, .. } => {
                self.group_gone(asker, group, true, fx);
            }
            GroupLetter::Page { asker, group } => {
                let letter = GroupLetter::Readable { conn: asker.conn, group, readable: None };
                self.post_to_core(asker.core, letter.into(), fx);
            }
            _ => {}
        }
    }

    fn tell_rejected(&mut self, origin: Origin, group: GroupId, code: Code, fx: &mut Effects) {
        if code == Code::Overloaded {
            self.answer_came(origin.body_bytes as usize);
            self.end_overloaded(origin.conn, fx);
            return;
        }
        let is_there = self.is_answered(origin);
        if code == Code::None {
            return;
        }
        count(&mut self.counters.rejected, code);
        if is_there {
            let retry_after_ms = if code == Code::QuotaExceeded { QUOTA_RETRY_MS } else { 0 };
            let number = origin.number;
            let rejected = GroupRejected { group, number, code, retry_after_ms };
            self.put(origin.conn, &Frame::GroupRejected(rejected), fx);
        }
    }

    fn group_state(&mut self, conn: ConnId, group: GroupId, state: &State, fx: &mut Effects) {
        if !self.is_told_what_it_asked(conn) {
            return;
        }
        let frame = Frame::GroupState(GroupState {
            group,
            head: state.head,
            members: state.members,
            shows_history: state.shows_history,
            name: &state.name,
            info: &state.info,
            roles: Pairs::Slice(&state.roles),
        });
        self.put(conn, &frame, fx);
    }

    /// Tells a user through its inbox that it is about to be added to a group.
    fn notice(
        &mut self,
        user: UserId,
        group: GroupId,
        by: UserId,
        (home, adding): (CoreId, u64),
        fx: &mut Effects,
    ) {
        let slot = self.user_slot(user, fx);
        // The list of groups is stored with the notice, and the record that it is in not ahead of receipts.
        if self.loaded_user(user).is_none() || self.users[slot].receipts_waiting > 0 {
            let notices = &mut self.users[slot].waits().notices;
            if notices.len() < NOTICES_MAX {
                notices.push((group, by, home, adding));
                return;
            }
            let refusal = Some(Code::Overloaded);
            self.post_to_core(home, GroupLetter::Noticed { group, adding, refusal }.into(), fx);
            return;
        }
        let refusal = if self.users[slot].record.groups.is_full_for(group) {
            Some(Code::GroupFull)
        } else if self.is_over_quota(slot, 0) {
            self.look_for_expired(slot, fx);
            Some(Code::QuotaExceeded)
        } else {
            None
        };
        if refusal.is_some() {
            self.post_to_core(home, GroupLetter::Noticed { group, adding, refusal }.into(), fx);
            return;
        }
        let position = self.append_notice(slot, group, by, fx);
        let answer = Answer::Noticed { group, adding, home };
        self.answer_when_stored(Some((slot, position)), answer, fx);
    }

    /// Whether the user of a session is in a group, was, or is about to be. Of other groups it learns nothing,
    /// and nothing that it says about them leaves this core.
    pub(in super::super) fn knows_group(&mut self, conn: ConnId, group: GroupId) -> bool {
        let Some(session) = self.session(conn) else { return false };
        let slot = session.user_slot;
        self.users[slot].record.groups.has(group)
    }

    /// A user wrote to a group, or changed or made it: from then on it knows its members, which is stored before
    /// that is ticked. Whether the tick has to wait for it, or for one of the same that does.
    fn acted_in_group(
        &mut self,
        origin: Origin,
        group: GroupId,
        is_member: bool,
        fx: &mut Effects,
    ) -> bool {
        // By its session, which costs no look into a table; one that is gone makes up for it with the next message.
        let conn = origin.conn;
        let Some(slot) = self.session(conn).map(|session| session.user_slot) else { return false };
        // Who went by it doesn't know them.
        let is_new = is_member && self.users[slot].record.groups.act(group);
        if is_new {
            self.is_known_to_others(slot, fx);
        }
        let acting = (origin.user, group);
        let waits = !self.acting.is_empty() && self.acting.contains_key(&acting);
        // With receipts that aren't noted it can't be stored yet; then it is as soon as they are.
        let waits = waits || (is_new && self.store_cursors_soon(slot, fx));
        if waits {
            *self.acting.entry(acting).or_default() += 1;
        }
        waits
    }

    /// What a tick waited for is stored.
    pub(in super::super) fn acted_is_stored(
        &mut self,
        origin: Origin,
        group: GroupId,
        position: u64,
        time_ms: u64,
        fx: &mut Effects,
    ) {
        let acting = (origin.user, group);
        if let Some(waiting) = self.acting.get_mut(&acting) {
            *waiting -= 1;
            if *waiting == 0 {
                self.acting.remove(&acting);
                self.feed_user(origin.user);
            }
        }
        self.tell_accepted(origin, group, position, time_ms, fx);
    }

    /// Serves all sessions of a user.
    fn feed_user(&mut self, user: UserId) {
        let Some(slot) = self.loaded_user(user) else { return };
        let mut at = 0;
        while let Some(&(_, conn)) = self.users[slot].sessions.get(at) {
            self.queue_feeds(conn);
            at += 1;
        }
    }

    fn tell_accepted(
        &mut self,
        origin: Origin,
        group: GroupId,
        position: u64,
        time_ms: u64,
        fx: &mut Effects,
    ) {
        if self.is_answered(origin) {
            let frame = Frame::GroupSent { group, number: origin.number, position, time_ms };
            self.put_tick(origin.conn, &frame, fx);
        }
    }

    /// A user is in a group no more: it doesn't know its members by that, nor they it.
    pub(in super::super) fn unlist_group(
        &mut self,
        user: UserId,
        group: GroupId,
        fx: &mut Effects,
    ) {
        let slot = self.user_slot(user, fx);
        if self.loaded_user(user).is_none() {
            let ended = &mut self.users[slot].waits().ended;
            if ended.len() < NOTICES_MAX {
                ended.push(group);
            }
            return;
        }
        let knew_members = self.users[slot].record.groups.own_doing().contains(&group);
        if self.users[slot].record.groups.end(group) {
            self.mark_dirty(slot);
            self.may_see_more(slot, fx);
            if knew_members {
                self.is_known_to_others(slot, fx);
            }
        }
    }

    /// Does what waited for an inbox to be loaded.
    pub(in super::super) fn tell_waiting_notices(&mut self, slot: u32, fx: &mut Effects) {
        let user = self.users[slot].id;
        for (group, by, home, adding) in self.users[slot].take_waiting(|waits| &mut waits.notices) {
            self.notice(user, group, by, (home, adding), fx);
        }
    }
}

/// The number of a group that is to be made: the same for the same request, so that a resend makes none
/// beside it, and spread over all numbers. The mixing is that of `SplitMix64`.
fn new_group(origin: Origin) -> GroupId {
    let device: DeviceId = origin.device;
    let seed = mix(origin.user) ^ u64::from(device).rotate_left(48);
    mix(mix(seed).wrapping_add(origin.number)).max(1)
}
