//! What waits before it may enter a group's log, and what its device sent after it: a change that adds users
//! until these were told, and an edit or a deletion until the message that it refers to was read.
//!
//! ```text
//!             ┌── GROUP_NOTICE to each user ──► Noticed, all of them ──┐
//!  letter ──► Held                                                     ├──► enters, then what is behind it
//!             └── Load::Entry ──────────────► Loaded::Entry ───────────┘
//! ```

use bytes::Bytes;
use fulmar_protocol::Code;
use fulmar_protocol::group::{Action, CONTENT_CHANGE};

use super::super::conversation;
use super::super::record::split_entry;
use super::super::seam::{GroupId, Load, LogId, Message, Origin, UserId};
use super::super::{Effects, Shard};
use super::entering::{Entering, Target};
use super::home::Group;
use super::letter::GroupLetter;
use super::rules::Wanted;
use crate::limits::{GROUP_BEHIND_MAX, GROUP_HELD_MAX};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Held {
    origin: Origin,
    what: What,
    /// What its device sent after it, which must not overtake it; at most [`GROUP_BEHIND_MAX`].
    behind: Vec<GroupLetter>,
}

/// What is held, and what for.
#[derive(Debug)]
enum What {
    /// A change, until the users whom it adds were told.
    Addition { number: u64, wanted: Box<Wanted>, untold: usize, refusal: Option<Code> },
    /// A message, until the one that it refers to was read.
    Reference { message: Message, position: u64 },
}

fn is_same(one: Origin, other: Origin) -> bool {
    (one.user, one.device, one.number) == (other.user, other.device, other.number)
}

impl Group {
    /// What holds back a later send or change of the same device, if anything does.
    fn holder(&mut self, origin: Origin) -> Option<&mut Held> {
        self.held.iter_mut().find(|it| {
            (it.origin.user, it.origin.device) == (origin.user, origin.device)
                && it.origin.number < origin.number
        })
    }

    /// Whether something of the device that it sent before waits.
    pub(super) fn is_held_back(&mut self, origin: Origin) -> bool {
        self.holder(origin).is_some()
    }

    /// Who is making the group, as long as that is held.
    pub(super) fn maker(&self) -> Option<Origin> {
        self.held.first().map(|it| it.origin)
    }
}

impl Shard {
    /// Keeps a letter of a device behind what that device sent before, if that still waits; gives it back
    /// otherwise. Of too many the sender hears that it has to come again: its connection ends.
    pub(super) fn hold_behind(
        &mut self,
        slot: u32,
        letter: GroupLetter,
        fx: &mut Effects,
    ) -> Option<GroupLetter> {
        let (GroupLetter::Append { origin, .. } | GroupLetter::Change { origin, .. }) = letter
        else {
            return Some(letter);
        };
        let group = &mut self.groups[slot];
        let Some(holder) = group.holder(origin) else { return Some(letter) };
        if holder.behind.len() < GROUP_BEHIND_MAX {
            holder.behind.push(letter);
        } else {
            let id = group.id;
            self.reject_group(origin, id, Code::Overloaded, fx);
        }
        None
    }

    /// Keeps a change back as long as somebody waits for the one before to be stored, and what comes behind it; gives
    /// back any other letter.
    pub(super) fn postpone(&mut self, slot: u32, letter: GroupLetter) -> Option<GroupLetter> {
        let group = &mut self.groups[slot];
        let is_change = match letter {
            GroupLetter::Append { .. } => false,
            GroupLetter::Change { .. } => true,
            _ => return Some(letter),
        };
        let is_first = group.postponed.is_empty();
        if is_first && !(is_change && group.is_waited_for()) {
            return Some(letter);
        }
        // Bounded by what connections may have without an answer. To refuse one here and not the next of its device,
        // which comes later, would make the first one stale.
        group.postponed.push(letter);
        if is_first {
            let id = group.id;
            self.group_postponing.push(id);
        }
        None
    }

    /// Lets in what was kept back where nobody waits any more.
    pub(in super::super) fn let_in_postponed(&mut self, fx: &mut Effects) {
        let ids = std::mem::take(&mut self.group_postponing);
        for id in ids {
            let Some(slot) = self.loaded_group(id) else { continue };
            let group = &mut self.groups[slot];
            if group.is_waited_for() {
                self.group_postponing.push(id);
                continue;
            }
            // All at once: who asks meanwhile waits for no more than these.
            for letter in std::mem::take(&mut group.postponed) {
                if let Some(letter) = self.hold_behind(slot, letter, fx) {
                    self.take_at_group(slot, letter, fx);
                }
            }
        }
    }

    /// A resend of what is held takes its place; `false` if it isn't one.
    pub(super) fn take_place(&mut self, slot: u32, origin: Origin, fx: &mut Effects) -> bool {
        let held = &mut self.groups[slot].held;
        let Some(waiting) = held.iter_mut().find(|it| is_same(it.origin, origin)) else {
            return false;
        };
        let older = std::mem::replace(&mut waiting.origin, origin);
        self.forget_send(older, fx);
        true
    }

    fn hold(&mut self, slot: u32, origin: Origin, what: What, fx: &mut Effects) -> bool {
        let group = &mut self.groups[slot];
        if group.held.len() < GROUP_HELD_MAX {
            group.held.push(Held { origin, what, behind: Vec::new() });
            return true;
        }
        let id = group.id;
        self.reject_group(origin, id, Code::Overloaded, fx);
        false
    }

    /// Tells users that they are being added, before they are: what they were told must be durable when
    /// the change is ticked.
    pub(super) fn tell_before_adding(
        &mut self,
        slot: u32,
        origin: Origin,
        wanted: Box<Wanted>,
        fx: &mut Effects,
    ) {
        let home = self.config.core;
        let mut users = wanted.users.clone();
        let by = origin.user;
        if wanted.action == Action::Create {
            // Its maker's other devices learn of it in the same way.
            users.push(by);
        }
        let number = self.groups[slot].last_adding + 1;
        let what = What::Addition { number, wanted, untold: users.len(), refusal: None };
        if !self.hold(slot, origin, what, fx) {
            return;
        }
        let group = &mut self.groups[slot];
        group.last_adding = number;
        group.joining.extend(&users);
        let (id, adding) = (group.id, number);
        for user in users {
            self.post(user, GroupLetter::Notice { user, group: id, by, adding, home }.into(), fx);
        }
    }

    /// A user was told of being added, or can't be.
    pub(super) fn noticed(&mut self, slot: u32, adding: u64, told: Option<Code>, fx: &mut Effects) {
        let group = &mut self.groups[slot];
        let is_it =
            |it: &Held| matches!(it.what, What::Addition { number, .. } if number == adding);
        let Some(at) = group.held.iter().position(is_it) else { return };
        if let What::Addition { untold, refusal, .. } = &mut group.held[at].what {
            *untold = untold.saturating_sub(1);
            *refusal = refusal.or(told);
            if *untold > 0 {
                return;
            }
        }
        let Held { origin, what, behind } = group.held.remove(at);
        let id = group.id;
        if let What::Addition { wanted, refusal, .. } = what {
            self.all_noticed(slot, origin, wanted, refusal, fx);
        }
        self.let_in(id, behind, fx);
    }

    fn all_noticed(
        &mut self,
        slot: u32,
        origin: Origin,
        wanted: Box<Wanted>,
        refusal: Option<Code>,
        fx: &mut Effects,
    ) {
        let id = self.groups[slot].id;
        let is_creation = wanted.action == Action::Create;
        if let Some(code) = refusal {
            self.reject_group(origin, if is_creation { 0 } else { id }, code, fx);
            self.end_joining(slot, origin.user, &wanted, fx);
        } else if is_creation {
            self.enter_creation(slot, origin, &wanted, fx);
            self.end_joining(slot, origin.user, &wanted, fx);
        } else {
            let action = conversation::Action::Enter { origin, what: Entering::Addition(wanted) };
            self.with_conversation(LogId::Group(id), origin.user, action, fx);
        }
    }

    /// Reads the message that another one refers to, before that enters.
    pub(super) fn read_target(
        &mut self,
        slot: u32,
        origin: Origin,
        message: Message,
        position: u64,
        fx: &mut Effects,
    ) {
        let what = What::Reference { message, position };
        if self.hold(slot, origin, what, fx) {
            self.counters.cold_reads += 1;
            let log = LogId::Group(self.groups[slot].id);
            fx.loads.push(Load::Entry { log, position });
        }
    }

    /// A message that another one refers to was read.
    pub(in super::super) fn target_loaded(
        &mut self,
        id: GroupId,
        position: u64,
        value: Option<&Bytes>,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.loaded_group(id) else { return };
        let group = &mut self.groups[slot];
        let is_it =
            |it: &Held| matches!(it.what, What::Reference { position: at, .. } if at == position);
        let Some(at) = group.held.iter().position(is_it) else { return };
        let Held { origin, what, behind } = group.held.remove(at);
        let target = self.readable_target(slot, origin.user, position, value);
        if let What::Reference { message, .. } = what {
            let what = Entering::Reference(message, target);
            let action = conversation::Action::Enter { origin, what };
            self.with_conversation(LogId::Group(id), origin.user, action, fx);
        }
        self.let_in(id, behind, fx);
    }

    /// Whose message it is and of when; none where there is no message that the user may read.
    fn readable_target(
        &self,
        slot: u32,
        user: UserId,
        position: u64,
        value: Option<&Bytes>,
    ) -> Option<Target> {
        let (header, _) = split_entry(value?).ok()?;
        let is_kept = !self.is_over(&header);
        let is_message = header.content != CONTENT_CHANGE;
        let may_read = self.groups[slot].record.may_read(user, position);
        (is_kept && is_message && may_read)
            .then_some(Target { author: header.peer, time_ms: header.time_ms })
    }

    fn let_in(&mut self, id: GroupId, behind: Vec<GroupLetter>, fx: &mut Effects) {
        for letter in behind {
            self.hand_to_group(id, letter, fx);
        }
    }
}
