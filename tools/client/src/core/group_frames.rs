//! Frames about groups, and about who is there.

use std::sync::Arc;

use fulmar_protocol::group::{Action as ChangeAction, GroupReceipt, GroupRejected};
use fulmar_protocol::{Frame, Pairs};

use super::io::{Action, Now};
use super::ledger::Effect;
use super::link::Link;
use super::log::LogId;
use super::outbox::SendError;
use super::session::Session;
use super::violation::{Violation, counted, cursor, user};
use crate::event::{Event, Progress};
use crate::group::{GroupChange, Receipt};
use crate::limits::NUMBER_MAX;
use crate::message::{MessageId, Target, content};
use crate::store::{Unanswered, Write};

impl Session {
    /// Takes a message for sending to a group, as [`Session::send`] does to a user.
    pub fn send_to_group(
        &mut self,
        now: Now,
        group: u64,
        content: u8,
        body: Arc<[u8]>,
        actions: &mut Vec<Action>,
    ) -> Result<MessageId, SendError> {
        if group == 0 {
            return Err(SendError::BadGroup);
        }
        if content == content::CHANGE {
            return Err(SendError::BadContent);
        }
        self.send_to(now, Target::Group(group), content, body, actions)
    }

    /// Takes a change of a group for sending, or of group 0 the change that makes one. It is kept as a
    /// message of that group.
    pub fn change_group(
        &mut self,
        now: Now,
        group: u64,
        change: &GroupChange,
        actions: &mut Vec<Action>,
    ) -> Result<MessageId, SendError> {
        if (group == 0) != (change.action == ChangeAction::Create) {
            return Err(SendError::BadGroup);
        }
        if !change.fits() {
            return Err(SendError::BadChange);
        }
        let (target, body) = (Target::Group(group), Arc::from(change.body()));
        self.send_to(now, target, content::CHANGE, body, actions)
    }

    /// The person saw the group up to `position`. What the server is told never goes beyond what is
    /// stored; nothing happens where it isn't new.
    pub fn mark_group_read(
        &mut self,
        now: Now,
        group: u64,
        position: u64,
        actions: &mut Vec<Action>,
    ) {
        if matches!(self.link, Link::Ended) || self.groups.get(group).is_none() {
            return;
        }
        let stored = self.intake.group(group).durable();
        if self.groups.saw(group, position, stored) {
            self.write_group(group);
            self.pump(now, actions);
        }
    }

    /// Asks how far the members after `after` are with an entry. The answer is an event; without a
    /// connection there is none.
    pub fn ask_group(
        &mut self,
        now: Now,
        group: u64,
        position: u64,
        after: u64,
        actions: &mut Vec<Action>,
    ) {
        if self.is_online() {
            self.groups.ask(group, position, after);
            self.pump(now, actions);
        }
    }

    /// Asks what a group is and who its members are. The answer goes to the store and is an event;
    /// without a connection there is none.
    pub fn look_group(&mut self, now: Now, group: u64, actions: &mut Vec<Action>) {
        if self.is_online() {
            self.groups.look(group);
            self.pump(now, actions);
        }
    }

    /// The person does something in the program, or has it no more before them. It counts as being before them for
    /// [`PRESENT_MS`](crate::limits::PRESENT_MS), on connections to come too; a program may tell this with every key.
    pub fn set_active(&mut self, now: Now, is_active: bool, actions: &mut Vec<Action>) {
        self.presence.set_active(now.elapsed_ms, is_active);
        self.pump(now, actions);
    }

    /// Tells of the presence of these people from now on, on every connection.
    pub fn watch(&mut self, now: Now, users: &[u64], actions: &mut Vec<Action>) {
        self.presence.watch(users);
        self.pump(now, actions);
    }

    /// Tells of it no more.
    pub fn unwatch(&mut self, now: Now, users: &[u64], actions: &mut Vec<Action>) {
        self.presence.unwatch(users);
        self.pump(now, actions);
    }

    /// The person writes there, or stopped. Without a connection it falls away.
    pub fn typing(&mut self, now: Now, target: Target, is_typing: bool, actions: &mut Vec<Action>) {
        if self.is_online() {
            self.presence.typing(now.elapsed_ms, target, is_typing);
            self.pump(now, actions);
        }
    }

    pub(super) fn write_group(&mut self, group: u64) {
        let state = self.groups.state(group).clone();
        self.ledger.write(Write::Group(state));
    }

    /// Says where the groups are to be resumed. The first of these also says that this device takes
    /// groups at all.
    pub(super) fn resume_groups(&mut self) {
        while self.output.has_room()
            && let Some(groups) = self.groups.next_resumption()
        {
            let cursors: Vec<_> = groups
                .into_iter()
                .map(|group| (group, self.intake.group(group).resume()))
                .collect();
            self.output.push(&Frame::GroupResume { cursors: Pairs::Slice(&cursors) });
        }
    }

    /// Asks for the receipt of the newest own message there.
    pub(super) fn push_ask(&mut self, target: Target) {
        self.output.push(&match target {
            Target::Peer(peer) => Frame::Ask { peer },
            Target::Group(group) => {
                // No member's number is larger: only the counts are wanted.
                let position = self.groups.state(group).own_last;
                Frame::GroupAsk { group, position, after: u64::MAX }
            }
        });
    }

    /// Adds reads of groups and questions about them.
    pub(super) fn ask_groups(&mut self) {
        while self.output.has_room()
            && let Some((group, position)) = self.groups.next_read()
        {
            self.output.push(&Frame::GroupRead { group, position });
        }
        while self.output.has_room()
            && let Some((group, after)) = self.groups.next_look()
        {
            self.groups.looks(group, self.intake.group(group).frontier);
            self.output.push(&Frame::GroupLook { group, after });
        }
        while self.output.has_room()
            && let Some((group, position, after)) = self.groups.next_ask()
        {
            self.output.push(&Frame::GroupAsk { group, position, after });
        }
    }

    /// A frame about groups or presence; `None` for any other.
    pub(super) fn on_group_frame(
        &mut self,
        now: Now,
        frame: &Frame<'_>,
        actions: &mut Vec<Action>,
    ) -> Option<Result<(), Violation>> {
        Some(match *frame {
            Frame::GroupDeliver(ref deliver) => {
                if self.intake.is_early(deliver.group, deliver.position) {
                    // The server may have lost what lies behind it.
                    self.groups.look(deliver.group);
                }
                self.intake.group_deliver(deliver)
            }
            Frame::GroupSkip { group, position } => self.intake.skip(LogId::Group(group), position),
            Frame::GroupNotice(ref notice) => self.intake.notice(notice),
            Frame::GroupSent { group, number, position, time_ms } => {
                self.on_group_sent((group, number), position, time_ms)
            }
            Frame::GroupRejected(GroupRejected { group, number, code, retry_after_ms }) => {
                self.on_rejected(now, Target::Group(group), number, code, retry_after_ms);
                Ok(())
            }
            Frame::GroupRead { group, position } => self.on_group_read(group, position),
            Frame::GroupReceipt(ref receipt) => self.on_group_receipt(receipt, actions),
            Frame::GroupState(ref state) => {
                if let Err(violation) = self.compare_head(state.group, state.head) {
                    return Some(Err(violation));
                }
                if let Some((writes, is_complete)) = self.groups.page(state) {
                    self.ledger.write_all(writes);
                    if is_complete {
                        let event = Event::GroupState { group: state.group };
                        self.ledger.then(Effect::Notify(event));
                    }
                }
                Ok(())
            }
            Frame::GroupGone { group, position } => self.on_group_gone(group, position, actions),
            Frame::Presence { user, is_online, last_seen_ms } => {
                let last_seen_ms = last_seen_ms.min(NUMBER_MAX);
                actions.push(Action::Notify(Event::Presence { user, is_online, last_seen_ms }));
                Ok(())
            }
            Frame::Typing { group, user, is_typing } => {
                let group = (group > 0).then_some(group);
                actions.push(Action::Notify(Event::Typing { group, user, is_typing }));
                Ok(())
            }
            _ => return None,
        })
    }

    fn on_group_sent(
        &mut self,
        (group, number): (u64, u64),
        position: u64,
        time_ms: u64,
    ) -> Result<(), Violation> {
        user("group_sent.group", group)?;
        counted("group_sent.position", position)?;
        let time_ms = time_ms.min(NUMBER_MAX);
        let answered = self.outbox.answered(Target::Group(group), number);
        let Some(Unanswered { id, target, content, body, .. }) = answered else { return Ok(()) };
        self.outbox.ticked();
        self.ledger.write(Write::Ticked { id, number, ordinal: position, time_ms });
        self.begin_expiry(id, content, &body, time_ms);
        self.set_timer(Some(group), 0, content, &body, self.taken_ms(time_ms));
        if target == Target::Group(0) {
            self.ledger.write(Write::Placed { id, group });
            self.groups.met(group, id);
            if time_ms == 0 && !self.intake.group(group).is_fed {
                // It was made on an earlier connection, so this one didn't resume it.
                self.groups.resume(group);
            }
        }
        self.groups.sent(group, position);
        if time_ms == 0 {
            // It was taken earlier, and perhaps delivered since.
            self.asks.ask(Target::Group(group));
        }
        if content == content::CHANGE
            && let Some(change) = GroupChange::of_body(&body)
        {
            let author = self.identity.user;
            let writes = self.groups.changed_here(group, position, author, &change);
            self.ledger.write_all(writes);
        }
        self.ledger.then(Effect::Settled);
        self.write_group(group);
        self.ledger.then(Effect::Notify(Event::GroupTicked { id, group, position, time_ms }));
        Ok(())
    }

    /// A head below what this device has: the server was restored from a backup. The group goes on from there on a
    /// new connection, once nothing waits for the store.
    fn compare_head(&mut self, group: u64, head: u64) -> Result<(), Violation> {
        if !self.groups.is_behind(group, head) {
            return Ok(());
        }
        let log = self.intake.group(group);
        let (back, had) = (log.back_to(head), log.frontier);
        self.groups.lost(group, back);
        Err(Violation::gap(back + 1, had + 1))
    }

    /// Goes on with the groups of which the server lost something, from where it has them.
    pub(super) fn go_back_in_groups(&mut self) {
        for (group, head) in self.groups.go_back() {
            let cursor = self.intake.group(group).durable();
            self.intake.group_went_back(group, head);
            self.ledger.write(Write::GroupWentBack { group, head });
            self.write_group(group);
            self.ledger.then(Effect::Notify(Event::GroupWentBack { group, cursor, head }));
        }
    }

    fn on_group_read(&mut self, group: u64, position: u64) -> Result<(), Violation> {
        let position = cursor("group_read.position", position)?;
        let (is_changed, is_new) = self.groups.read(group, position);
        if is_changed {
            self.write_group(group);
        }
        if is_new {
            let event = Event::GroupSeenElsewhere { group, position };
            self.ledger.then(Effect::Notify(event));
        }
        Ok(())
    }

    /// Counts about the newest own entry are kept; an answer about another is only told.
    fn on_group_receipt(
        &mut self,
        told: &GroupReceipt<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Violation> {
        let group = told.group;
        let receipt = Receipt {
            position: counted("group_receipt.position", told.position)?,
            members: cursor("group_receipt.members", told.members)?,
            delivered: cursor("group_receipt.delivered", told.delivered)?,
            read: cursor("group_receipt.read", told.read)?,
            delivered_all: cursor("group_receipt.delivered_all", told.delivered_all)?,
            read_all: cursor("group_receipt.read_all", told.read_all)?,
        };
        let tells_members = !told.who.is_empty() || receipt.members == 0;
        let was_asked = self.groups.take_question(group, receipt.position, tells_members);
        let own_last = self.groups.get(group).map_or(u64::MAX, |state| state.own_last);
        if receipt.position == own_last || (receipt.position > own_last && !was_asked) {
            self.asks.counted(Target::Group(group), receipt.delivered == receipt.members);
            if self.groups.receipt(group, &receipt) {
                self.write_group(group);
                self.ledger.then(Effect::Notify(Event::GroupReceipt { group, receipt }));
            }
        }
        if was_asked {
            let who =
                told.who.iter().map(|(user, far)| (user, Progress::from_number(far))).collect();
            actions.push(Action::Notify(Event::GroupWho { group, receipt, who }));
        }
        Ok(())
    }

    fn on_group_gone(
        &mut self,
        group: u64,
        position: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), Violation> {
        if position == 0 {
            self.no_past_of(group);
        }
        // It answers every question about the group. A notice that comes behind it may be an older one, so that
        // asks again where the group goes on.
        self.asks.drop(Target::Group(group));
        if self.groups.get(group).is_none() {
            actions.push(Action::Notify(Event::GroupGone { group, position: 0 }));
            return Ok(());
        }
        self.intake.group(group).is_fed = false;
        self.intake.gone(group, position)
    }
}
