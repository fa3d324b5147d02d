//! Changes of a group on their way into its log: judged, told to those whom they add, made.

use bytes::Bytes;
use fulmar_protocol::group::{Action, CONTENT_CHANGE, Change};
use fulmar_protocol::{Code, Numbers};

use super::super::seam::{GroupId, Message, Origin, UserId};
use super::super::{Answer, Effects, Shard};
use super::letter::{Cursor, GroupLetter};
use super::rules::Wanted;

impl Shard {
    pub(super) fn change_group(
        &mut self,
        slot: u32,
        conversation_slot: u32,
        origin: Origin,
        wanted: Box<Wanted>,
        fx: &mut Effects,
    ) {
        let members_max = self.config.group_members_max;
        let group = &mut self.groups[slot];
        if let Err(code) = group.record.judge(origin.user, &wanted, members_max) {
            return self.refuse_entry(slot, origin, code, fx);
        }
        let is_ending = matches!(wanted.action, Action::Leave | Action::Remove | Action::Delete);
        if !is_ending && self.is_group_full(slot, wanted.value.len(), fx) {
            return self.reject_group(origin, self.groups[slot].id, Code::QuotaExceeded, fx);
        }
        if wanted.action == Action::Add {
            self.tell_before_adding(slot, origin, wanted, fx);
        } else {
            self.enter_change(slot, conversation_slot, origin, &wanted, fx);
        }
    }

    /// Whether these users are members is decided: their sessions that asked early get the group, or hear
    /// that they aren't in it.
    pub(super) fn end_joining(&mut self, slot: u32, by: UserId, wanted: &Wanted, fx: &mut Effects) {
        let group = &mut self.groups[slot];
        let maker = (wanted.action == Action::Create).then_some(by);
        let users: Vec<UserId> = wanted.users.iter().copied().chain(maker).collect();
        for &user in &users {
            if let Some(at) = group.joining.iter().position(|joining| *joining == user) {
                group.joining.swap_remove(at);
            }
        }
        let id = group.id;
        // Those who were told of it and don't come are listed no more.
        self.tell_ended(id, users, fx);
        let group = &mut self.groups[slot];
        for (asker, cursor) in std::mem::take(&mut group.early) {
            let letter = GroupLetter::Resume {
                asker,
                cursors: vec![Cursor { group: id, position: cursor, is_member: true }],
            };
            self.at_group(slot, letter, fx);
        }
    }

    pub(super) fn create_group(
        &mut self,
        slot: u32,
        origin: Origin,
        wanted: Box<Wanted>,
        fx: &mut Effects,
    ) {
        let members_max = self.config.group_members_max;
        let group = &mut self.groups[slot];
        let id = group.id;
        if group.record.head > 0 {
            let made_by = (origin.user, origin.device, origin.number);
            if group.record.made_by == made_by {
                let answer = Answer::GroupTick { origin, group: id, position: 1, time_ms: 0 };
                self.answer_when_stored(None, answer, fx);
            } else {
                self.reject_group(origin, 0, Code::BadChange, fx);
            }
            return;
        }
        if let Err(code) = wanted.judge_creation(origin.user, members_max) {
            return self.reject_group(origin, 0, code, fx);
        }
        if self.take_place(slot, origin, fx) {
            return;
        }
        if self.groups[slot].maker().is_some() {
            // Numbers of groups can be guessed, also those of others.
            return self.reject_group(origin, 0, Code::BadChange, fx);
        }
        self.tell_before_adding(slot, origin, wanted, fx);
    }

    pub(super) fn enter_creation(
        &mut self,
        slot: u32,
        origin: Origin,
        wanted: &Wanted,
        fx: &mut Effects,
    ) {
        let record = &mut self.groups[slot].record;
        record.create(origin.user, origin.device, origin.number, wanted);
        let body = change_body(wanted);
        let message = Message { content: CONTENT_CHANGE, body };
        let (position, value) = self.write_group_entry(slot, origin, &message, fx);
        self.finish_entry(slot, origin, position, value, true, fx);
    }

    /// Makes a change and writes its entry.
    pub(super) fn enter_change(
        &mut self,
        slot: u32,
        conversation_slot: u32,
        origin: Origin,
        wanted: &Wanted,
        fx: &mut Effects,
    ) {
        let group = &mut self.groups[slot];
        let id = group.id;
        let ended = group.record.ends(origin.user, wanted);
        let position = group.record.head + 1;
        group.record.apply(origin.user, wanted, position);
        let message = Message { content: CONTENT_CHANGE, body: change_body(wanted) };
        self.append_to_group(slot, conversation_slot, origin, &message, true, fx);
        if !ended.is_empty() {
            let answer = Answer::GroupEnded { group: id, users: ended };
            self.answer_when_stored(None, answer, fx);
        }
    }

    /// Tells the homes of former members that they are; of those who weren't added again meanwhile.
    pub(in super::super) fn tell_ended(
        &mut self,
        id: GroupId,
        users: Vec<UserId>,
        fx: &mut Effects,
    ) {
        for user in users {
            let is_back = self.loaded_group(id).is_some_and(|slot| {
                let group = &self.groups[slot];
                group.joining.contains(&user) || group.record.active(user).is_some()
            });
            if !is_back {
                self.post(user, GroupLetter::Ended { user, group: id }.into(), fx);
            }
        }
    }
}

fn change_body(wanted: &Wanted) -> Bytes {
    let Wanted { action, users, value } = wanted;
    let change = Change { action: *action, users: Numbers::Slice(users), value };
    let mut body = Vec::with_capacity(change.encoded_len());
    change.encode(&mut body);
    Bytes::from(body)
}
