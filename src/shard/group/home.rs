//! A group on its home core: its entries get their positions here, and from here they go to the cores
//! with members, one letter per core and entry.

use bytes::Bytes;
use fulmar_protocol::Code;
use fulmar_protocol::group::Action;

use super::super::content::over_ms;
use super::super::conversation::{self, Verdict};
use super::super::inbox::Stage;
use super::super::record::{ENTRY_HEADER_BYTES_MAX, EntryHeader};
use super::super::seam::{
    ConnId, CoreId, GroupId, Key, LogId, Message, Origin, Ticket, UserId, Write,
};
use super::super::{Answer, Effects, Letter, Shard};
use super::held::Held;
use super::letter::{Asker, GroupLetter};
use super::receipts::Author;
use super::record::GroupRecord;
use super::rules::Wanted;
use crate::faults::{Fault, is_planted};
use crate::limits::WAITING_MAX;

/// See the module's description.
///
/// Invariant: `record.trim <= durable <= record.head`.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent marks
pub(in super::super) struct Group {
    pub(super) id: GroupId,
    pub(in super::super) stage: Stage,
    pub(super) record: GroupRecord,
    /// Position up to which everything is stored.
    pub(super) durable: u64,
    /// Position of the last change that was made since the group was loaded.
    changed: u64,
    /// Entries up to here were deleted, or their deletion was handed to storage.
    pub(super) trim_stored: u64,
    /// What came before the record was here.
    pub(super) waiting: Vec<GroupLetter>,
    /// Cores with members, which were told who these are; empty while they weren't.
    pub(super) cores: Vec<CoreId>,
    pub(super) is_seated: bool,
    /// What waits before it may enter; at most [`GROUP_HELD_MAX`](crate::limits::GROUP_HELD_MAX).
    pub(super) held: Vec<Held>,
    /// What waits until it is known what its author sent lately.
    pub(in super::super) entering: usize,
    pub(super) last_adding: u64,
    /// Users who were told, or are being told, that they are added, and aren't members yet.
    pub(super) joining: Vec<UserId>,
    /// Sessions of such users that want the group: they hear once that is decided. At most
    /// [`GROUP_EARLY_MAX`].
    pub(super) early: Vec<(Asker, u64)>,
    /// Who is still to hear that all saw its newest entry, the next to be told, and how many are to be told
    /// until each of them was.
    pub(super) authors: Vec<Author>,
    pub(super) author_turn: usize,
    pub(super) authors_untold: usize,
    /// Somebody awaits something of which the stored record knows nothing.
    pub(super) is_await_unstored: bool,
    pub(super) receipts_queued: bool,
    /// When receipts were told last.
    pub(super) told_ms: u64,
    /// Members who said what they saw and weren't told that it is stored.
    pub(super) said: Vec<UserId>,
    /// In the list of those to store.
    pub(super) dirty: bool,
    pub(super) last_ticket: Ticket,
    /// Storage is asked what expired, and when it was asked last; 0 for never.
    pub(super) is_looking: bool,
    pub(super) looked_ms: u64,
    pub(super) used_ms: u64,
}

impl Group {
    pub(super) fn loading(id: GroupId, mono_ms: u64) -> Self {
        Group {
            id,
            stage: Stage::Loading,
            record: GroupRecord::default(),
            durable: 0,
            changed: 0,
            trim_stored: 0,
            waiting: Vec::new(),
            cores: Vec::new(),
            is_seated: false,
            held: Vec::new(),
            entering: 0,
            last_adding: 0,
            joining: Vec::new(),
            early: Vec::new(),
            authors: Vec::new(),
            author_turn: 0,
            authors_untold: 0,
            is_await_unstored: false,
            receipts_queued: false,
            told_ms: 0,
            said: Vec::new(),
            dirty: false,
            last_ticket: 0,
            is_looking: false,
            looked_ms: 0,
            used_ms: mono_ms,
        }
    }

    /// Whether the record says something of the group that a crash could still take back. Nobody is told of
    /// that, neither what it is nor that something is refused because of it.
    pub(super) const fn is_ahead(&self) -> bool {
        self.changed > self.durable
    }

    /// Whether a user was told, or is being told, that it is added, and isn't a member yet.
    pub(super) fn is_joining(&self, user: UserId) -> bool {
        self.joining.contains(&user)
    }

    /// Whether it can be let go.
    pub(super) fn is_unused(&self, stored: Ticket) -> bool {
        self.stage == Stage::Ready
            && self.durable == self.record.head
            && self.last_ticket <= stored
            && self.entering == 0
            && self.held.is_empty()
            && self.joining.is_empty()
            && !(self.dirty || self.receipts_queued || self.is_looking)
    }
}

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
    /// A letter to a group, at its home: now, or once the group is loaded.
    pub(in super::super) fn hand_to_group(
        &mut self,
        id: GroupId,
        letter: GroupLetter,
        fx: &mut Effects,
    ) {
        let slot = self.group_slot(id, fx);
        if self.groups[slot].stage == Stage::Ready {
            self.at_group(slot, letter, fx);
            return;
        }
        // Cursors and who writes come from whoever likes, unasked, so they leave room for the others.
        let is_said = matches!(letter, GroupLetter::Moved { .. } | GroupLetter::Typing { .. });
        let waiting_max = if is_said { WAITING_MAX / 2 } else { WAITING_MAX };
        if self.groups[slot].waiting.len() < waiting_max {
            self.groups[slot].waiting.push(letter);
            return;
        }
        match letter {
            GroupLetter::Append { origin, group, .. }
            | GroupLetter::Change { origin, group, .. } => {
                self.reject_group(origin, group, Code::Overloaded, fx);
            }
            // Its session would wait for what doesn't come; on the next one it asks again.
            GroupLetter::Resume { asker, .. }
            | GroupLetter::Ask { asker, .. }
            | GroupLetter::Look { asker, .. }
            | GroupLetter::Page { asker, .. } => {
                let letter = GroupLetter::Overloaded { conn: asker.conn };
                self.post_to_core(asker.core, letter.into(), fx);
            }
            // What a device says of itself it says again.
            _ => {}
        }
    }

    /// What a letter wants of a group that is here.
    pub(super) fn at_group(&mut self, slot: u32, letter: GroupLetter, fx: &mut Effects) {
        let letter = match letter {
            GroupLetter::Append { origin, .. } | GroupLetter::Change { origin, .. } => {
                match self.hold_behind(slot, origin, letter, fx) {
                    Some(letter) => letter,
                    None => return,
                }
            }
            other => other,
        };
        let is_question = matches!(
            letter,
            GroupLetter::Resume { .. }
                | GroupLetter::Ask { .. }
                | GroupLetter::Look { .. }
                | GroupLetter::Page { .. }
        );
        let is_hasty = is_planted(Fault::GroupShownAhead);
        if is_question && self.groups[slot].is_ahead() && !is_hasty {
            self.hand_over_when_stored(slot, letter);
            return;
        }
        match letter {
            GroupLetter::Append { origin, group, message } => {
                self.enter(group, origin, Entering::Message(message), fx);
            }
            GroupLetter::Change { origin, group, wanted } => {
                if wanted.action == Action::Create {
                    self.create_group(slot, origin, wanted, fx);
                } else {
                    self.enter(group, origin, Entering::Change(wanted), fx);
                }
            }
            GroupLetter::Moved { moves, .. } => self.group_moved(slot, &moves),
            GroupLetter::Resume { asker, cursors } => {
                for (_, cursor) in cursors {
                    self.open_group(slot, asker, cursor, fx);
                }
            }
            GroupLetter::Ask { asker, position, after, .. } => {
                self.group_asked(slot, asker, position, after, fx);
            }
            GroupLetter::Look { asker, after, .. } => self.group_looked(slot, asker, after, fx),
            GroupLetter::Page { asker, .. } => self.page_asked(slot, asker, fx),
            GroupLetter::Typing { user, is_typing, .. } => {
                self.member_types(slot, user, is_typing, fx);
            }
            GroupLetter::Noticed { adding, refusal, .. } => {
                self.noticed(slot, adding, refusal, fx);
            }
            GroupLetter::Rejected { origin, group, code } => {
                self.reject_group(origin, group, code, fx);
            }
            _ => debug_assert!(false, "not a letter to a group's home"),
        }
    }

    /// Hands a letter over again once the changes made so far are stored, and those who wait for that know it.
    fn hand_over_when_stored(&mut self, slot: u32, letter: GroupLetter) {
        let group = self.groups[slot].id;
        self.answer_behind_others(Answer::ToGroup { group, letter: Box::new(letter) });
    }

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
    fn enter(&mut self, group: GroupId, origin: Origin, what: Entering, fx: &mut Effects) {
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
            self.hold_behind(slot, origin, what.into_letter(origin, group), fx);
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
        let letter = GroupLetter::Accepted { origin, group, position, time_ms };
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

impl From<GroupLetter> for Letter {
    fn from(letter: GroupLetter) -> Letter {
        Letter::Group(Box::new(letter))
    }
}
