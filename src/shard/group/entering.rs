//! What enters a group's log: sends and changes are judged by the group and by what their author sent before, get
//! their position, and are told and ticked once they are stored.

use bytes::Bytes;
use fulmar_protocol::Code;

use super::super::content::over_ms;
use super::super::conversation::{self, Verdict};
use super::super::record::{ENTRY_HEADER_BYTES_MAX, EntryHeader};
use super::super::seam::{ConnId, GroupId, Key, LogId, Message, Origin, UserId, Write};
use super::super::{Answer, Effects, Shard};
use super::letter::GroupLetter;
use super::rules::Wanted;
use crate::faults::{Fault, is_planted};

/// Whose message another one refers to, and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Target {
    pub(super) author: UserId,
    pub(super) time_ms: u64,
}

/// Something that needs the record of a member's sends.
#[derive(Debug)]
pub(in super::super) enum Entering {
    /// A message.
    Message(Message),
    /// A message that refers to another one, which was read: whose it is, if there is one.
    Reference(Message, Option<Target>),
    /// A change.
    Change(Box<Wanted>),
    /// A change whose new members were told of it.
    Addition(Box<Wanted>),
}

impl Entering {
    /// The letter that it came with.
    fn into_letter(self, origin: Origin, group: GroupId) -> GroupLetter {
        match self {
            Entering::Message(message) | Entering::Reference(message, _) => {
                GroupLetter::Append { origin, group, message }
            }
            Entering::Change(wanted) | Entering::Addition(wanted) => {
                GroupLetter::Change { origin, group, wanted }
            }
        }
    }
}

impl Shard {
    /// Turns a send or change down for what the group is.
    pub(super) fn refuse_entry(&mut self, slot: u32, origin: Origin, code: Code, fx: &mut Effects) {
        let group = self.groups[slot].id;
        if self.groups[slot].is_ahead() {
            let letter = GroupLetter::Rejected { origin, group, code };
            self.hand_over_when_stored(slot, letter);
        } else {
            self.reject_group(origin, group, code, fx);
        }
    }

    /// Judges the number of a send or change once what the member sent lately is here.
    pub(super) fn enter(
        &mut self,
        group: GroupId,
        origin: Origin,
        what: Entering,
        fx: &mut Effects,
    ) {
        let action = conversation::Action::Enter { origin, what };
        self.with_conversation(LogId::Group(group), origin.user, action, fx);
    }

    /// Takes a send or a change into the log, or says why not.
    pub(in super::super) fn entered(
        &mut self,
        group: GroupId,
        conversation_slot: u32,
        origin: Origin,
        what: Entering,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.loaded_group(group) else {
            debug_assert!(false, "a group stays as long as something is to enter it");
            self.hand_to_group(group, what.into_letter(origin, group), fx);
            return;
        };
        self.groups[slot].entering = self.groups[slot].entering.saturating_sub(1);
        // It came while both waited for what the member sent lately.
        if self.groups[slot].is_held_back(origin)
            && matches!(what, Entering::Message(_) | Entering::Change(_))
        {
            self.hold_behind(slot, what.into_letter(origin, group), fx);
            return;
        }
        let addition = match &what {
            Entering::Addition(wanted) => Some(wanted.clone()),
            _ => None,
        };
        self.enter_judged(slot, conversation_slot, origin, what, fx);
        if let Some(wanted) = addition {
            self.end_joining(slot, origin.user, &wanted, fx);
        }
    }

    fn enter_judged(
        &mut self,
        slot: u32,
        conversation_slot: u32,
        origin: Origin,
        what: Entering,
        fx: &mut Effects,
    ) {
        let group = self.groups[slot].id;
        match self.conversations[conversation_slot].judge(origin.device, origin.number) {
            Verdict::New => {}
            Verdict::Repeated { .. } | Verdict::Stale
                if is_planted(Fault::GroupResendNotRecognised) => {}
            Verdict::Repeated { .. } if is_planted(Fault::GroupResendStale) => {
                return self.reject_group(origin, group, Code::StaleNumber, fx);
            }
            Verdict::Repeated { ordinal } => {
                // What was told of it may have found nobody.
                self.groups[slot].note_author(origin.user, ordinal);
                self.queue_group_receipts(slot);
                let answer = Answer::GroupTick { origin, group, position: ordinal, time_ms: 0 };
                self.answer_when_stored(None, answer, fx);
                return;
            }
            Verdict::Stale => return self.reject_group(origin, group, Code::StaleNumber, fx),
        }
        // A resend that came while the first one waits: that one was judged, and is once more when it enters.
        if matches!(what, Entering::Message(_) | Entering::Change(_))
            && self.take_place(slot, origin, fx)
        {
            return;
        }
        let is_member = self.groups[slot].record.active(origin.user).is_some();
        match what {
            _ if !is_member => self.refuse_entry(slot, origin, Code::NotAMember, fx),
            Entering::Message(ref message) | Entering::Reference(ref message, _)
                if self.is_group_full(slot, message.body.len(), fx) =>
            {
                let group = &mut self.groups[slot];
                if is_planted(Fault::GroupPositionBurned) && group.durable == group.record.head {
                    group.record.head += 1;
                    group.durable = group.record.head;
                }
                if is_planted(Fault::GroupRejectedKept) {
                    // Nobody hears the tick.
                    let conn = ConnId { generation: u32::MAX, ..origin.conn };
                    let silent = Origin { conn, body_bytes: 0, ..origin };
                    self.append_to_group(slot, conversation_slot, silent, message, false, fx);
                }
                let group = self.groups[slot].id;
                self.reject_group(origin, group, Code::QuotaExceeded, fx);
            }
            Entering::Message(message) => {
                match self.groups[slot].record.judge_content(origin.user, &message) {
                    Err(code) => self.reject_group(origin, group, code, fx),
                    Ok(Some(position)) => self.read_target(slot, origin, message, position, fx),
                    Ok(None) => {
                        self.append_to_group(slot, conversation_slot, origin, &message, false, fx);
                    }
                }
            }
            Entering::Reference(message, target) => {
                let (now_ms, max_age_ms) = (self.now.unix_ms, self.config.edit_max_age_ms);
                let record = &self.groups[slot].record;
                match record.judge_reference(origin.user, &message, target, now_ms, max_age_ms) {
                    Ok(()) => {
                        self.append_to_group(slot, conversation_slot, origin, &message, false, fx);
                    }
                    Err(code) => self.reject_group(origin, group, code, fx),
                }
            }
            Entering::Addition(wanted) => {
                // The group may have changed meanwhile.
                let members_max = self.config.group_members_max;
                match self.groups[slot].record.judge(origin.user, &wanted, members_max) {
                    Ok(()) => self.enter_change(slot, conversation_slot, origin, &wanted, fx),
                    Err(code) => self.refuse_entry(slot, origin, code, fx),
                }
            }
            Entering::Change(wanted) => {
                self.change_group(slot, conversation_slot, origin, wanted, fx);
            }
        }
    }

    pub(super) fn append_to_group(
        &mut self,
        slot: u32,
        conversation_slot: u32,
        origin: Origin,
        message: &Message,
        is_change: bool,
        fx: &mut Effects,
    ) {
        let (position, value) = self.write_group_entry(slot, origin, message, fx);
        self.conversations[conversation_slot].accept_at(origin.device, origin.number, position);
        self.queue_conversation_write(conversation_slot);
        self.finish_entry(slot, origin, position, value, is_change, fx);
    }

    /// Writes an entry at the head of a group's log.
    pub(super) fn write_group_entry(
        &mut self,
        slot: u32,
        origin: Origin,
        message: &Message,
        fx: &mut Effects,
    ) -> (u64, Bytes) {
        let time_ms = self.now.unix_ms;
        let group = &mut self.groups[slot];
        let record = &mut group.record;
        record.head += 1;
        record.head_bytes += message.body.len() as u64;
        let header = EntryHeader {
            time_ms,
            own: false,
            is_notice: false,
            over_ms: over_ms(message.content, &message.body, time_ms),
            content: message.content,
            peer: origin.user,
            ordinal: record.head,
            device: origin.device,
            total_bytes: record.head_bytes,
        };
        let position = record.head;
        let value = self.arena.value(ENTRY_HEADER_BYTES_MAX + message.body.len(), |block| {
            header.encode(block);
            block.extend_from_slice(&message.body);
        });
        group.last_ticket = self.ticket;
        group.used_ms = self.now.mono_ms;
        let key = Key::Entry { log: LogId::Group(group.id), position };
        fx.writes.push(Write::Put { key, value: value.clone() });
        self.counters.messages += 1;
        (position, value)
    }

    pub(super) fn finish_entry(
        &mut self,
        slot: u32,
        origin: Origin,
        position: u64,
        value: Bytes,
        is_change: bool,
        fx: &mut Effects,
    ) {
        if is_change {
            self.groups[slot].changed = position;
            self.write_group(slot, fx);
        }
        let time_ms = self.now.unix_ms;
        if is_planted(Fault::GroupEntryBeforeCommit) {
            self.group_entry_stored(slot, position, &value, origin, time_ms, is_change, fx);
            return;
        }
        let answer = Answer::GroupEntry { slot, position, value, origin, time_ms, is_change };
        self.answer_when_stored(None, answer, fx);
    }

    /// An entry is durable: the cores with members get it, and its author the tick.
    #[allow(clippy::too_many_arguments)]
    pub(in super::super) fn group_entry_stored(
        &mut self,
        slot: u32,
        position: u64,
        value: &Bytes,
        origin: Origin,
        time_ms: u64,
        is_change: bool,
        fx: &mut Effects,
    ) {
        let group = &mut self.groups[slot];
        let id = group.id;
        group.durable = position;
        group.note_author(origin.user, position);
        // Its author has it, if it had what was before. Noted here it is no news when the author's session says
        // so, which would have the record of all members stored.
        if let Some(author) = group.record.find_mut(origin.user)
            && author.delivered + 1 == position
        {
            author.delivered = position;
        }
        if is_change {
            group.count_anew();
        }
        if position == 1 || !is_planted(Fault::GroupHeadForgotten) {
            self.group_heads.insert(id, position);
        }
        let is_told = is_change && (position == 1 || !is_planted(Fault::GroupSeatNotTold));
        if is_told || !self.groups[slot].is_seated {
            self.seat_group(slot, position - 1, fx);
        }
        let cores = std::mem::take(&mut self.groups[slot].cores);
        for &core in &cores {
            let letter = GroupLetter::Entry { group: id, position, value: value.clone() };
            self.post_to_core(core, letter.into(), fx);
        }
        self.groups[slot].cores = cores;
        if is_change {
            self.queue_group_receipts(slot);
        }
        if position % 4 == 3 && is_planted(Fault::GroupTickOvertaken) {
            let tick = Answer::GroupTick { origin, group: id, position, time_ms };
            self.answer_behind_others(tick);
            return;
        }
        self.tick_group(origin, id, position, time_ms, fx);
    }

    /// Tells the sender, wherever it is, that its entry is durable.
    pub(in super::super) fn tick_group(
        &mut self,
        origin: Origin,
        group: GroupId,
        position: u64,
        time_ms: u64,
        fx: &mut Effects,
    ) {
        let slot = self.loaded_group(group);
        let is_member =
            slot.is_some_and(|slot| self.groups[slot].record.active(origin.user).is_some());
        let letter = GroupLetter::Accepted { origin, group, position, time_ms, is_member };
        self.post_to_core(origin.core, letter.into(), fx);
    }

    pub(in super::super) fn reject_group(
        &mut self,
        origin: Origin,
        group: GroupId,
        code: Code,
        fx: &mut Effects,
    ) {
        let letter = GroupLetter::Rejected { origin, group, code };
        self.post_to_core(origin.core, letter.into(), fx);
    }

    /// A send whose session is gone, since its device sends it again on another one: it isn't answered.
    pub(super) fn forget_send(&mut self, origin: Origin, fx: &mut Effects) {
        let letter = GroupLetter::Rejected { origin, group: 0, code: Code::None };
        self.post_to_core(origin.core, letter.into(), fx);
    }
}
