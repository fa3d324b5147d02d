//! A group on its home core: its entries get their positions here, and from here they go to the cores
//! with members, one letter per core and entry.

use fulmar_protocol::Code;
use fulmar_protocol::group::Action;

use super::super::inbox::Stage;
use super::super::seam::{CoreId, GroupId, Ticket, UserId};
use super::super::{Answer, Effects, Letter, Shard};
use super::entering::Entering;
use super::held::Held;
use super::letter::{Asker, GroupLetter};
use super::receipts::Author;
use super::record::GroupRecord;
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
    pub(super) changed: u64,
    /// Letters that wait until what it is now is stored.
    handed_over: u32,
    /// Sends and changes that wait until those were looked at.
    pub(super) postponed: Vec<GroupLetter>,
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
            handed_over: 0,
            postponed: Vec::new(),
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

    /// Whether somebody waits to be told what the group is once that is stored. It doesn't change before that: else
    /// they would wait as long as somebody changes it.
    pub(super) const fn is_waited_for(&self) -> bool {
        self.is_ahead() && (self.handed_over > 0 || self.receipts_queued)
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
            && self.handed_over == 0
            && self.postponed.is_empty()
            && self.joining.is_empty()
            && !(self.dirty || self.receipts_queued || self.is_looking)
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
        let Some(letter) = self.hold_behind(slot, letter, fx) else { return };
        let Some(letter) = self.postpone(slot, letter) else { return };
        self.take_at_group(slot, letter, fx);
    }

    /// The same of one that nothing keeps back.
    pub(super) fn take_at_group(&mut self, slot: u32, letter: GroupLetter, fx: &mut Effects) {
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
                for cursor in cursors {
                    self.open_group(slot, asker, cursor.position, fx);
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
    pub(super) fn hand_over_when_stored(&mut self, slot: u32, letter: GroupLetter) {
        let group = &mut self.groups[slot];
        group.handed_over += 1;
        let group = group.id;
        self.answer_behind_others(Answer::ToGroup { group, letter: Box::new(letter) });
    }

    /// The changes before it are stored.
    pub(in super::super) fn hand_over_again(
        &mut self,
        id: GroupId,
        letter: GroupLetter,
        fx: &mut Effects,
    ) {
        if let Some(slot) = self.loaded_group(id) {
            self.groups[slot].handed_over -= 1;
        }
        self.hand_to_group(id, letter, fx);
    }
}

impl From<GroupLetter> for Letter {
    fn from(letter: GroupLetter) -> Letter {
        Letter::Group(Box::new(letter))
    }
}
