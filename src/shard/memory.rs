//! What a shard holds in memory: state is loaded when it is first needed, moved cursors are stored
//! a little later, and what nobody uses is let go.

use fulmar_protocol::Code;

use super::conversation::{Action, Conversation, Save};
use super::found::Found;
use super::inbox::{SaveCursors, Stage, User};
use super::record::{ConversationRecord, PresenceRecord};
use super::{Effects, Key, Load, Loaded, LogId, Retention, Shard, UserId, Write};
use crate::faults::{Fault, is_planted};
use crate::limits::{
    PERSIST_DELAY_MS, PERSIST_DIVISOR, PERSIST_PER_TURN, QUOTA_RETRY_MS, SWEEP_MS, SWEEP_SLOTS,
    WAITING_MAX, WARM_MS,
};

/// Slots that are looked at for unused state for each one by which a table that holds as much as it should
/// grew: more than one, so that those in use don't keep it growing.
const SWEEP_SLOTS_CROWDED: usize = 16;

/// Where the search for unused state stands.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next_ms: u64,
    user_slot: u32,
    conversation_slot: u32,
    pub(super) grown: Grown,
}

/// By how many each table grew in this turn beyond what it should hold.
///
/// What is unused is let go at the end of a turn, never in the middle of one: there a slot is a name for
/// what is being worked on, also where what follows from that loads something else.
#[derive(Debug, Default)]
pub(super) struct Grown {
    users: usize,
    conversations: usize,
    pub(super) groups: usize,
    pub(super) books: usize,
    pub(super) names: usize,
}

impl Shard {
    /// The slot of a user, whose inbox is asked for if it isn't in memory.
    pub(super) fn user_slot(&mut self, user: UserId, fx: &mut Effects) -> u32 {
        debug_assert!(self.is_home_of(user));
        if let Some(&slot) = self.users_by_id.get(&user) {
            self.users[slot].used_ms = self.now.mono_ms;
            return slot;
        }
        if self.users.len() >= self.config.users_warm_max {
            self.sweep.grown.users += 1;
        }
        let slot = self.users.insert(User::loading(user, self.now.mono_ms));
        self.users_by_id.insert(user, slot);
        self.counters.hydrations += 1;
        let expire_through_ms = self.expired_through_ms();
        fx.loads.push(Load::Log { log: LogId::Inbox(user), expire_through_ms });
        slot
    }

    /// The slot of a user whose inbox is in memory.
    pub(super) fn loaded_user(&self, user: UserId) -> Option<u32> {
        let &slot = self.users_by_id.get(&user)?;
        (self.users[slot].stage == Stage::Ready).then_some(slot)
    }

    /// The slot of the user whose inbox a log is, if it is one and in memory.
    pub(super) fn loaded_owner(&self, log: LogId) -> Option<u32> {
        self.loaded_user(log.user()?)
    }

    /// The slot of a conversation that is in memory.
    pub(super) fn loaded_conversation(&mut self, log: LogId, peer: UserId) -> Option<u32> {
        let &slot = self.conversations_by_id.get(&(log, peer))?;
        let conversation = &mut self.conversations[slot];
        conversation.used_ms = self.now.mono_ms;
        (conversation.stage == Stage::Ready).then_some(slot)
    }

    /// The slots of a user and a conversation that are in memory, without anything waiting.
    pub(super) fn ready_conversation(&mut self, user: UserId, peer: UserId) -> Option<(u32, u32)> {
        let conversation = self.loaded_conversation(LogId::Inbox(user), peer)?;
        let user = self.loaded_user(user)?;
        self.conversations[conversation].waiting.is_none().then_some((user, conversation))
    }

    /// Performs an action on a conversation now, or once what it needs is loaded. Actions of one
    /// conversation keep their order.
    pub(super) fn with_conversation(
        &mut self,
        log: LogId,
        peer: UserId,
        action: Action,
        fx: &mut Effects,
    ) {
        if action.needs_inbox()
            && let Some(user) = log.user()
        {
            self.user_slot(user, fx);
        }
        if let (Action::Enter { .. }, LogId::Group(group)) = (&action, log) {
            self.is_entering_group(group, true);
        }
        let slot = self.conversation_slot(log, peer, fx);
        let is_user_here = self.loaded_owner(log).is_some();
        let conversation = &mut self.conversations[slot];
        let waits = conversation.waiting.is_some();
        let is_here = conversation.stage == Stage::Ready;
        if is_here && !waits && (is_user_here || !action.needs_inbox()) {
            self.perform(slot, action, fx);
            return;
        }
        let waiting = conversation.waiting.get_or_insert_default();
        if let Action::Append { origin, .. } = action
            && let Some(user) = log.user()
            && waiting.len() >= WAITING_MAX
        {
            self.reject(origin, user, Code::Overloaded, fx);
            return;
        }
        // Those to be added were told, so that isn't turned down here; so many are held in a group, and no more.
        if let (Action::Enter { origin, what }, LogId::Group(group)) = (&action, log)
            && waiting.len() >= WAITING_MAX
            && !matches!(what, super::group::Entering::Addition(_))
        {
            let origin = *origin;
            self.is_entering_group(group, false);
            self.reject_group(origin, group, Code::Overloaded, fx);
            return;
        }
        let moves_receipt = action.moves_receipt();
        waiting.push(action);
        let Some(user) = log.user() else { return };
        let Some(&user_slot) = self.users_by_id.get(&user) else { return };
        let user = &mut self.users[user_slot];
        if moves_receipt {
            user.receipts_waiting += 1;
        }
        if user.stage == Stage::Loading {
            self.stall(slot, user_slot);
        }
    }

    /// Lets a conversation's waiting actions be performed once the inbox is loaded.
    fn stall(&mut self, slot: u32, user_slot: u32) {
        let conversation = &mut self.conversations[slot];
        if !conversation.stalled {
            conversation.stalled = true;
            let peer = conversation.peer;
            self.users[user_slot].waits().stalled.push(peer);
        }
    }

    fn conversation_slot(&mut self, log: LogId, peer: UserId, fx: &mut Effects) -> u32 {
        if let Some(&slot) = self.conversations_by_id.get(&(log, peer)) {
            self.conversations[slot].used_ms = self.now.mono_ms;
            return slot;
        }
        if self.conversations.len() >= self.config.conversations_warm_max {
            self.sweep.grown.conversations += 1;
        }
        let conversation = Conversation::loading(log, peer, self.now.mono_ms);
        let slot = self.conversations.insert(conversation);
        self.conversations_by_id.insert((log, peer), slot);
        self.counters.hydrations += 1;
        fx.loads.push(Load::Conversation { log, peer });
        slot
    }

    fn perform(&mut self, slot: u32, action: Action, fx: &mut Effects) {
        let (log, peer) = {
            let conversation = &self.conversations[slot];
            (conversation.log, conversation.peer)
        };
        match action {
            Action::Delivered { ordinal } => self.note_delivered(slot, ordinal),
            Action::Read { ordinal, device, conn } => {
                self.note_read(slot, ordinal, device, fx);
                self.ask_whether_mate(slot, conn, fx);
                self.read_is_noted(conn, fx);
            }
            Action::Ask { asker } => self.answer_ask(slot, asker, fx),
            Action::AskOwn { conn } => self.answer_ask_own(slot, conn, fx),
            Action::Offer { origin, message, place } => {
                self.reaction_judged(slot, origin, message, place, fx);
            }
            Action::Put { wish, conn } => self.put_about(slot, conn, wish, fx),
            Action::Wrote => self.wrote(slot, fx),
            Action::Found { asker, question } => self.resolve_known(slot, asker, question, fx),
            Action::May { asker, .. } => self.judge_watcher(slot, asker, fx),
            Action::Groups { asker } => self.tell_groups_of(slot, asker, fx),
            Action::ShowRead => self.show_read_to_mate(slot),
            Action::Typing { is_typing } => self.typing_judged(slot, is_typing, fx),
            Action::Enter { origin, what } => {
                let LogId::Group(group) = self.conversations[slot].log else { return };
                self.entered(group, slot, origin, what, fx);
            }
            Action::Append { origin, message, copy, refusal } => {
                let Some(user_slot) = self.loaded_owner(log) else { return };
                let (content, body) = (message.content, message.body.clone());
                let copy = copy.then_some(message);
                self.append(user_slot, slot, origin, content, &body, copy, refusal, fx);
            }
            Action::Copy { origin, ordinal, time_ms, message } => {
                debug_assert_eq!(log, LogId::Inbox(origin.user));
                debug_assert_ne!(peer, origin.user);
                let Some(user_slot) = self.loaded_owner(log) else { return };
                self.append_copy(user_slot, slot, origin, ordinal, time_ms, &message, fx);
            }
        }
    }

    /// Performs what waited for a conversation, if everything it needs is here.
    fn perform_waiting(&mut self, slot: u32, fx: &mut Effects) {
        let conversation = &mut self.conversations[slot];
        if conversation.stage == Stage::Loading {
            return;
        }
        let log = conversation.log;
        let needs_inbox = |waiting: &Vec<Action>| waiting.iter().any(Action::needs_inbox);
        let waits_for_inbox = conversation.waiting.as_deref().is_some_and(needs_inbox);
        if waits_for_inbox
            && let Some(user) = log.user()
            && self.loaded_user(user).is_none()
        {
            // The inbox may have been let go since the action came.
            let user_slot = self.user_slot(user, fx);
            self.stall(slot, user_slot);
            return;
        }
        let Some(waiting) = self.conversations[slot].waiting.take() else { return };
        for action in *waiting {
            let moves_receipt = action.moves_receipt();
            self.perform(slot, action, fx);
            if moves_receipt && let Some(user_slot) = self.loaded_owner(log) {
                self.receipt_arrived(user_slot, fx);
            }
        }
    }

    /// A receipt that had to wait is noted; with the last one the inbox's record may be stored.
    fn receipt_arrived(&mut self, user_slot: u32, fx: &mut Effects) {
        let user = &mut self.users[user_slot];
        debug_assert!(user.receipts_waiting > 0);
        user.receipts_waiting -= 1;
        if user.receipts_waiting == 0 {
            if user.save == SaveCursors::Overdue {
                self.store_cursors(user_slot, fx);
            }
            let user = &mut self.users[user_slot];
            for conn in user.take_waiting(|waits| &mut waits.logins) {
                self.log_in(conn, fx);
            }
            self.put_waiting(user_slot, fx);
            self.tell_waiting_notices(user_slot, fx);
        }
    }

    pub(super) fn loaded(&mut self, loaded: Loaded, fx: &mut Effects) {
        match loaded {
            Loaded::Log { log: LogId::Inbox(user), record, last, first, head } => {
                // A damaged record must not be taken for an empty one: positions would repeat.
                let damaged = |error| panic!("inbox of {user}: {error}");
                let found = Found::new(record.as_deref(), first, last, head);
                let found = found.unwrap_or_else(damaged);
                self.inbox_loaded(user, found, fx);
            }
            Loaded::Conversation { log, peer, record } => {
                let Some(&slot) = self.conversations_by_id.get(&(log, peer)) else { return };
                let record = record.as_deref().map_or(Ok(ConversationRecord::default()), |bytes| {
                    ConversationRecord::decode(bytes)
                });
                let conversation = &mut self.conversations[slot];
                // A damaged record must not be taken for an empty one: ordinals would repeat.
                conversation.record = record
                    .unwrap_or_else(|error| panic!("conversation of {log} with {peer}: {error}"));
                conversation.stage = Stage::Ready;
                self.perform_waiting(slot, fx);
            }
            Loaded::Presence { user, record } => {
                // With a damaged record it is as if nothing were shown, until the person comes.
                let decode = |bytes: bytes::Bytes| PresenceRecord::decode(&bytes);
                let damaged = PresenceRecord::DAMAGED;
                let record = record.map(|bytes| decode(bytes).unwrap_or(damaged));
                self.presence_loaded(user, record, fx);
            }
            Loaded::Book { user, record } => self.book_loaded(user, record.as_deref(), fx),
            Loaded::Name { hash, record } => self.names_loaded(hash, record.as_deref(), fx),
            Loaded::Entries { log: LogId::Inbox(user), conn, entries, through } => {
                self.entries_loaded(user, conn, entries, through, fx);
            }
            Loaded::Page { log, conn, entries, from, through } => {
                self.page_loaded(log, conn, entries, (from, through));
            }
            Loaded::Entry { log: LogId::Group(group), position, value } => {
                self.target_loaded(group, position, value.as_ref(), fx);
            }
            // Nobody asks for one of an inbox.
            Loaded::Entry { .. } => {}
            Loaded::Log { log: LogId::Group(group), .. } => self.group_loaded(group, loaded, fx),
            Loaded::Entries { log: LogId::Group(group), conn, entries, through } => {
                self.group_entries_loaded(group, conn, entries, through, fx);
            }
        }
    }

    fn inbox_loaded(&mut self, id: UserId, found: Found, fx: &mut Effects) {
        let Some(&slot) = self.users_by_id.get(&id) else { return };
        let user = &mut self.users[slot];
        if user.stage == Stage::Ready {
            self.expired_found(slot, &found);
            return;
        }
        let trim_stored = found.record.trim;
        // Once the last message has expired, only the record knows its position.
        let is_behind = found.head > found.record.head;
        let has_expired = found.gone > trim_stored;
        user.loaded(found.into_record(), trim_stored);
        if self.config.retention == Retention::Temporary {
            // What every device has may have been kept until now, as history.
            user.trim_to_devices();
        }
        let is_over = user.record.trim > trim_stored;
        if is_behind || has_expired || is_over {
            self.mark_dirty(slot);
        }
        let user = &mut self.users[slot];
        let logins = user.take_waiting(|waits| &mut waits.logins);
        let stalled = user.take_waiting(|waits| &mut waits.stalled);
        for group in user.take_waiting(|waits| &mut waits.ended) {
            self.unlist_group(id, group, fx);
        }
        for peer in stalled {
            if let Some(&conversation) = self.conversations_by_id.get(&(LogId::Inbox(id), peer)) {
                self.conversations[conversation].stalled = false;
                self.perform_waiting(conversation, fx);
            }
        }
        self.tell_waiting_notices(slot, fx);
        for conn in logins {
            self.log_in(conn, fx);
        }
    }

    /// Looks for messages that expired while the inbox was in memory, since it is full.
    pub(super) fn look_for_expired(&mut self, slot: u32, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let expire_through_ms = self.expired_through_ms();
        let user = &mut self.users[slot];
        let is_due = user.looked_ms == 0 || now_ms >= user.looked_ms + QUOTA_RETRY_MS;
        if self.config.retention == Retention::Temporary && is_due && !user.is_looking {
            user.is_looking = true;
            user.looked_ms = now_ms.max(1);
            fx.loads.push(Load::Log { log: LogId::Inbox(user.id), expire_through_ms });
        }
    }

    fn expired_found(&mut self, slot: u32, found: &Found) {
        let user = &mut self.users[slot];
        user.is_looking = false;
        // What was appended since storage looked isn't judged by its answer.
        if found.gone > user.record.trim && found.gone <= user.durable {
            user.trim_to(found.gone, found.gone_bytes);
            self.mark_dirty(slot);
        }
    }

    /// Stores a conversation with this turn's writes.
    pub(super) fn queue_conversation_write(&mut self, slot: u32) {
        let conversation = &mut self.conversations[slot];
        conversation.last_ticket = self.ticket;
        if conversation.save != Save::Queued {
            conversation.save = Save::Queued;
            self.writes_queued.push(slot);
        }
    }

    pub(super) fn write_conversations(&mut self, fx: &mut Effects) {
        while let Some(slot) = self.writes_queued.pop() {
            let conversation = &mut self.conversations[slot];
            conversation.save = Save::Stored;
            let key = Key::Conversation { log: conversation.log, peer: conversation.peer };
            let record = &conversation.record;
            let value = self.arena.value(record.bytes_max(), |block| record.encode(block));
            fx.writes.push(Write::Put { key, value });
        }
    }

    /// Stores an inbox's record with this turn's writes, and with it the receipts that its cursors
    /// led to: a cursor without its receipt would leave the author waiting. Deletes what is trimmed.
    pub(super) fn write_inbox(&mut self, slot: u32, fx: &mut Effects) {
        if !is_planted(Fault::ReceiptNotStored) {
            self.queue_moved_receipts(slot);
        }
        let user = &mut self.users[slot];
        debug_assert_eq!(user.receipts_waiting, 0);
        user.last_ticket = self.ticket;
        let record = &user.record;
        let value = self.arena.value(record.bytes_max(), |block| record.encode(block));
        fx.writes.push(Write::Put { key: Key::State { log: LogId::Inbox(user.id) }, value });
        if record.trim > user.trim_stored {
            let (from, through) = (user.trim_stored + 1, record.trim);
            fx.writes.push(Write::Trim { log: LogId::Inbox(user.id), from, through });
            user.trim_stored = through;
        }
    }

    /// Notes that an inbox's record must be stored before long.
    pub(super) fn mark_dirty(&mut self, slot: u32) {
        let user = &mut self.users[slot];
        if user.save == SaveCursors::Stored {
            user.save = SaveCursors::Moved;
            self.dirty.push_back((self.now.mono_ms, user.id));
        }
    }

    /// Notes that a conversation's receipts must be stored, no later than the user's cursors.
    pub(super) fn mark_conversation_dirty(&mut self, slot: u32) {
        let conversation = &mut self.conversations[slot];
        if conversation.save != Save::Stored {
            return;
        }
        let (log, peer) = (conversation.log, conversation.peer);
        let Some(user_slot) = self.loaded_owner(log) else { return };
        self.conversations[slot].save = Save::Moved;
        self.users[user_slot].dirty_conversations.push(peer);
        self.mark_dirty(user_slot);
    }

    /// Stores the cursors that moved a while ago.
    pub(super) fn store_moved_cursors(&mut self, fx: &mut Effects) {
        let now_ms = self.now.mono_ms;
        let share = PERSIST_PER_TURN.max(self.dirty.len() / PERSIST_DIVISOR);
        let (delay_ms, count_max) =
            if self.shutting_down { (0, usize::MAX) } else { (PERSIST_DELAY_MS, share) };
        let count = self.dirty.len().min(count_max);
        let mut has_nothing_older = false;
        for _ in 0..count {
            let Some(&(since_ms, user)) = self.dirty.front() else { break };
            if since_ms + delay_ms > now_ms {
                break;
            }
            self.dirty.pop_front();
            let Some(slot) = self.loaded_user(user) else { continue };
            if self.users[slot].save == SaveCursors::Stored {
                // It was stored meanwhile.
                has_nothing_older = true;
                continue;
            }
            if self.users[slot].receipts_waiting > 0 {
                // Only the cursor must not be ahead of receipts that aren't noted. Those that are, and what the
                // person read, have waited long enough: a pong may say that they are stored.
                self.queue_moved_receipts(slot);
                self.users[slot].save = SaveCursors::Overdue;
                self.dirty.push_back((now_ms, user));
                has_nothing_older = true;
                continue;
            }
            self.store_cursors(slot, fx);
        }
        if has_nothing_older {
            // Nothing may be stored now that would pay them.
            self.pay_pongs(fx);
        }
    }

    /// Stores the record of an inbox with this turn's writes; `false` if that has to wait for receipts, and is then
    /// done once these are noted.
    pub(super) fn store_cursors_soon(&mut self, slot: u32, fx: &mut Effects) -> bool {
        if self.users[slot].receipts_waiting > 0 {
            self.mark_dirty(slot);
            self.users[slot].save = SaveCursors::Overdue;
            return false;
        }
        self.store_cursors(slot, fx);
        true
    }

    fn store_cursors(&mut self, slot: u32, fx: &mut Effects) {
        let user = &mut self.users[slot];
        user.save = SaveCursors::Stored;
        self.write_inbox(slot, fx);
    }

    /// Queues the conversations of a user whose receipts moved for this turn's writes.
    fn queue_moved_receipts(&mut self, slot: u32) {
        let user = &mut self.users[slot];
        let id = user.id;
        let mut peers = std::mem::take(&mut user.dirty_conversations);
        for peer in peers.drain(..) {
            if let Some(&conversation) = self.conversations_by_id.get(&(LogId::Inbox(id), peer))
                && self.conversations[conversation].save == Save::Moved
            {
                self.queue_conversation_write(conversation);
            }
        }
        if peers.capacity() <= 16 {
            self.users[slot].dirty_conversations = peers;
        }
    }

    /// Looks at some of the tables and lets go of what is stored and unused: now and then, and where one grew
    /// beyond what it should hold.
    pub(super) fn sweep(&mut self, fx: &mut Effects) {
        self.counters.users_warm = self.users.len() as u64;
        self.counters.conversations_warm = self.conversations.len() as u64;
        let now_ms = self.now.mono_ms;
        let grown = std::mem::take(&mut self.sweep.grown);
        let is_due = now_ms >= self.sweep.next_ms;
        if is_due {
            self.sweep.next_ms = now_ms + SWEEP_MS;
        }
        let least = if is_due { SWEEP_SLOTS } else { 0 };
        let slots = |grown: usize| least.max(grown * SWEEP_SLOTS_CROWDED);
        self.sweep_users(slots(grown.users));
        self.sweep_conversations(slots(grown.conversations));
        self.sweep_groups(slots(grown.groups), fx);
        self.sweep_books(slots(grown.books));
        self.sweep_names(slots(grown.names));
    }

    fn sweep_users(&mut self, slots: usize) {
        let now_ms = self.now.mono_ms;
        let crowded =
            self.users.len() >= self.config.users_warm_max && !is_planted(Fault::CrowdIgnored);
        for _ in 0..slots.min(self.users.slots()) {
            self.sweep.user_slot = (self.sweep.user_slot + 1) % self.users.slots() as u32;
            let Some(user) = self.users.get(self.sweep.user_slot) else { continue };
            let old = now_ms.saturating_sub(user.used_ms) >= WARM_MS;
            if (old || crowded) && user.is_unused(self.stored) {
                self.users_by_id.remove(&user.id);
                self.users.remove(self.sweep.user_slot);
                self.counters.evictions += 1;
            }
        }
    }

    fn sweep_conversations(&mut self, slots: usize) {
        let now_ms = self.now.mono_ms;
        let crowded = self.conversations.len() >= self.config.conversations_warm_max
            && !is_planted(Fault::CrowdIgnored);
        for _ in 0..slots.min(self.conversations.slots()) {
            let slot = (self.sweep.conversation_slot + 1) % self.conversations.slots() as u32;
            self.sweep.conversation_slot = slot;
            let Some(conversation) = self.conversations.get(slot) else { continue };
            let old = now_ms.saturating_sub(conversation.used_ms) >= WARM_MS;
            if (old || crowded) && conversation.is_unused(self.stored) {
                self.conversations_by_id.remove(&(conversation.log, conversation.peer));
                self.conversations.remove(slot);
                self.counters.evictions += 1;
            }
        }
    }
}
