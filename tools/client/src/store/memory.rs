//! A store in memory, for simulations and tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Clocks, ConversationState, GroupState, Snapshot, Store, StoreError, Unanswered, Write,
};
use crate::group::{Group, Role};
use crate::message::{Conversation, Message, MessageId, State, Target, content};
use crate::people::{BookItem, Profile, Put, Star};
use crate::refer::{Changes, Reference, What, timer};

/// Keeps everything in maps. A clone of it is the disk as it was at that moment, so a simulated
/// crash is a session thrown away and a new one begun on the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    cursor: u64,
    filled_from: u64,
    number_last: u64,
    clocks: Option<Clocks>,
    messages: BTreeMap<MessageId, Message>,
    /// Number → message.
    outbox: BTreeMap<u64, MessageId>,
    conversations: BTreeMap<u64, ConversationState>,
    groups: BTreeMap<u64, GroupState>,
    /// Entries that refer to a message, by its ordinal or position.
    references: BTreeMap<u64, Vec<MessageId>>,
    /// The places of the entries that changed a message last: its edit, and the reaction of each user.
    edits: BTreeMap<MessageId, u64>,
    reactions: BTreeMap<(MessageId, u64), Placed>,
    /// (group, user) → role.
    roles: BTreeMap<(u64, u64), Role>,
    book_cursor: u64,
    /// (kind, key) → version and value.
    book: BTreeMap<(u8, Vec<u8>), (u64, Vec<u8>)>,
    wishes: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    profiles: BTreeMap<u64, Profile>,
}

/// The place of a reaction, and what it is.
type Placed = (u64, Arc<[u8]>);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Every message, in the order of their numbers, also what only refers to others.
    pub fn messages(&self) -> impl Iterator<Item = &Message> + Clone {
        self.messages.values()
    }

    /// Judges a whole batch before any of it is applied, so that it is applied as a whole.
    fn check(&self, batch: &[Write]) -> Result<(), StoreError> {
        let mut new = BTreeSet::new();
        for write in batch {
            match write {
                Write::Insert(message) | Write::Fill(message) | Write::Enqueue { message, .. } => {
                    if self.messages.contains_key(&message.id) || !new.insert(message.id) {
                        return Err(StoreError::Damaged(format!("message {} exists", message.id)));
                    }
                }
                Write::Requeue { id, .. }
                | Write::Ticked { id, .. }
                | Write::Rejected { id, .. }
                | Write::Expires { id, .. }
                | Write::Placed { id, .. } => {
                    if !self.messages.contains_key(id) && !new.contains(id) {
                        return Err(StoreError::Damaged(format!("no message {id}")));
                    }
                }
                Write::Conversation(_)
                | Write::Group(_)
                | Write::Roles { .. }
                | Write::Clocks(_)
                | Write::Cursor(_)
                | Write::Filled(_)
                | Write::Expire { .. }
                | Write::WentBack { .. }
                | Write::GroupWentBack { .. }
                | Write::NumberLast(_)
                | Write::Item { .. }
                | Write::BookCursor(_)
                | Write::BookForgotten
                | Write::Wish { .. }
                | Write::Profile(_) => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Insert(message) => {
                self.insert(message);
            }
            Write::Fill(message) => {
                if !self.has(message) {
                    self.insert(message);
                }
            }
            Write::Filled(from) => self.filled_from = *from,
            Write::Enqueue { message, number } => {
                self.keep(message);
                self.outbox.insert(*number, message.id);
                self.number_last = self.number_last.max(*number);
            }
            Write::Requeue { id, number } => {
                self.set_state(*id, State::Pending);
                self.outbox.insert(*number, *id);
                self.number_last = self.number_last.max(*number);
            }
            Write::Ticked { id, number, ordinal, time_ms } => {
                self.outbox.remove(number);
                let Some(mut message) = self.messages.get(id).cloned() else { return };
                message.state = State::Sent;
                message.ordinal = Some(*ordinal);
                let time_ms = Some(*time_ms).filter(|time_ms| *time_ms > 0);
                let filled_ms = self.forget_filled(&message);
                message.time_ms = time_ms.or(filled_ms).unwrap_or(message.time_ms);
                self.messages.insert(*id, message.clone());
                self.refer(&message);
                self.referred(&message);
            }
            Write::Expires { id, at_ms } => {
                if let Some(message) = self.messages.get_mut(id) {
                    message.changes.expires_ms = Some(*at_ms);
                }
            }
            Write::Expire { through_ms } => {
                let is_over = |at_ms: u64| at_ms <= *through_ms;
                self.messages.retain(|_, it| !it.changes.expires_ms.is_some_and(is_over));
                let messages = &self.messages;
                self.edits.retain(|id, _| messages.contains_key(id));
                self.reactions.retain(|(id, _), _| messages.contains_key(id));
            }
            Write::Rejected { id, number, code } => {
                self.set_state(*id, State::Rejected(*code));
                self.outbox.remove(number);
            }
            Write::Conversation(state) => {
                self.conversations.insert(state.peer, *state);
            }
            Write::Placed { id, group } => {
                if let Some(message) = self.messages.get_mut(id) {
                    message.group = Some(*group);
                }
            }
            Write::Group(state) => {
                self.groups.insert(state.group, state.clone());
            }
            Write::Roles { group, after, through, roles } => {
                let replaced = |user: u64| user > *after && user <= *through;
                self.roles.retain(|&(of, user), _| of != *group || !replaced(user));
                self.roles.extend(roles.iter().map(|&(user, role)| ((*group, user), role)));
            }
            Write::Clocks(clocks) => self.clocks = Some(*clocks),
            Write::Cursor(position) => self.cursor = *position,
            Write::WentBack { head } => self.go_back(*head),
            Write::GroupWentBack { group, head } => self.go_back_in_group(*group, *head),
            Write::NumberLast(number) => self.number_last = self.number_last.max(*number),
            Write::Item { item, key, version, value } => {
                let place = (*item, key.clone());
                if self.book.get(&place).is_some_and(|(known, _)| known > version) {
                    // It is older than what is there.
                } else if value.is_empty() {
                    self.book.remove(&place);
                } else {
                    self.book.insert(place, (*version, value.clone()));
                }
            }
            Write::BookCursor(version) => self.book_cursor = *version,
            Write::BookForgotten => {
                self.book_cursor = 0;
                self.book.clear();
            }
            Write::Wish { item, key, value: Some(value) } => {
                self.wishes.insert((*item, key.clone()), value.clone());
            }
            Write::Wish { item, key, value: None } => {
                self.wishes.remove(&(*item, key.clone()));
            }
            Write::Profile(profile) => {
                self.profiles.insert(profile.user, profile.clone());
            }
        }
    }

    fn keep(&mut self, message: &Message) {
        if let Some(reference) = message.reference() {
            self.references.entry(reference.target).or_default().push(message.id);
        }
        self.messages.insert(message.id, message.clone());
    }

    fn insert(&mut self, message: &Message) {
        self.keep(message);
        self.refer(message);
        self.referred(message);
    }

    /// Lets an entry change the message that it refers to, if that is here.
    fn refer(&mut self, entry: &Message) {
        let (Some(Reference { target, is_own, what }), Some(place)) =
            (entry.reference(), entry.ordinal)
        else {
            return;
        };
        let is_it = |it: &&mut Message| {
            it.target() == entry.target()
                && it.ordinal == Some(target)
                && (it.group.is_some() || it.state.is_own() == is_own)
                && it.is_shown()
        };
        let Some(meant) = self.messages.values_mut().find(is_it) else { return };
        let id = meant.id;
        match what {
            _ if meant.changes.is_deleted => {}
            What::Edit(body) => {
                let last = self.edits.entry(id).or_default();
                if place > *last {
                    *last = place;
                    meant.changes.edited = Some((body, entry.time_ms));
                }
            }
            What::Delete => {
                meant.body = Arc::default();
                let expires_ms = meant.changes.expires_ms;
                meant.changes = Changes { is_deleted: true, expires_ms, ..Changes::default() };
                self.reactions.retain(|(of, _), _| *of != id);
            }
            What::Reaction(user, body) => {
                let last = self.reactions.entry((id, user)).or_default();
                if place > last.0 {
                    *last = (place, body);
                }
                let all = self.reactions.range((id, 0)..=(id, u64::MAX));
                let given = all.filter(|(_, (_, body))| !body.is_empty());
                meant.changes.reactions =
                    given.map(|((_, user), (_, body))| (*user, body.clone())).collect();
            }
        }
    }

    /// Lets what is here already change a message that came later.
    fn referred(&mut self, message: &Message) {
        let Some(place) = message.ordinal else { return };
        let about = self.references.get(&place).into_iter().flatten();
        let here = about.filter_map(|id| self.messages.get(id));
        let all: Vec<_> = here.filter(|it| it.target() == message.target()).cloned().collect();
        for entry in all {
            self.refer(&entry);
        }
    }

    /// Whether a message of the time before is here: this device may have received or sent it.
    fn has(&self, new: &Message) -> bool {
        self.messages.values().any(|known| {
            let is_same_send = new.state.is_own()
                && known.state == State::Sent
                && (known.peer, known.ordinal) == (new.peer, new.ordinal);
            known.group == new.group
                && match new.group {
                    Some(_) => known.position == new.position || known.ordinal == new.position,
                    None => known.position == new.position || is_same_send,
                }
        })
    }

    /// The time before may have brought an own message that had no tick yet: forgets that, and says when the
    /// server had taken it.
    fn forget_filled(&mut self, ticked: &Message) -> Option<u64> {
        let is_same = |it: &Message| {
            it.state == State::Sent
                && it.ordinal == ticked.ordinal
                && it.target() == ticked.target()
        };
        let mut filled = self.messages.range(..MessageId(0)).filter(|(_, it)| is_same(it));
        let (id, time_ms) = filled.next().map(|(id, it)| (*id, it.time_ms))?;
        self.messages.remove(&id);
        self.edits.remove(&id);
        self.reactions.retain(|(of, _), _| *of != id);
        Some(time_ms)
    }

    fn go_back(&mut self, head: u64) {
        self.cursor = head;
        for message in self.messages.values_mut().filter(|message| message.group.is_none()) {
            message.position = message.position.filter(|position| *position <= head);
            message.ordinal = message.ordinal.filter(|_| message.state.is_own());
        }
        self.conversations.values_mut().for_each(ConversationState::go_back);
    }

    fn go_back_in_group(&mut self, group: u64, head: u64) {
        for message in self.messages.values_mut().filter(|message| message.group == Some(group)) {
            message.position = message.position.filter(|position| *position <= head);
            message.ordinal = message.ordinal.filter(|ordinal| *ordinal <= head);
        }
    }

    fn set_state(&mut self, id: MessageId, state: State) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.state = state;
        }
    }

    /// The timers of this user's that wait for their ticks, of each conversation and group the latest.
    fn pending_timers(&self) -> BTreeMap<Target, u64> {
        let waiting = self.outbox.values().filter_map(|id| self.messages.get(id));
        waiting.filter_map(|it| Some((it.target(), timer(it.content, &it.body)?))).collect()
    }

    fn unread(&self, conversation: &ConversationState) -> u64 {
        let unread = |message: &&Message| {
            message.target() == Target::Peer(conversation.peer)
                && message.state == State::Received
                && message.ordinal > Some(conversation.seen)
                && !message.is_reference()
                && message.id > MessageId(0)
        };
        self.messages.values().filter(unread).count() as u64
    }

    fn unread_of_group(&self, state: &GroupState) -> u64 {
        let unread = |message: &&Message| {
            message.group == Some(state.group)
                && message.state == State::Received
                && message.content != content::CHANGE
                && message.ordinal > Some(state.seen)
                && !message.is_reference()
                && message.id > MessageId(0)
        };
        self.messages.values().filter(unread).count() as u64
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let unanswered = |(number, id): (&u64, &MessageId)| {
            let message = self.messages.get(id)?;
            Some(Unanswered {
                number: *number,
                id: *id,
                target: message.target(),
                content: message.content,
                body: message.body.clone(),
            })
        };
        Ok(Snapshot {
            cursor: self.cursor,
            filled_from: self.filled_from,
            number_last: self.number_last,
            id_last: self.messages.last_key_value().map_or(0, |(id, _)| id.0.max(0)),
            id_first: self.messages.first_key_value().map_or(0, |(id, _)| id.0.min(0)),
            expiries: {
                let all = self.messages.values().filter_map(|it| it.changes.expires_ms);
                all.collect::<BTreeSet<_>>().into_iter().collect()
            },
            clocks: self.clocks,
            conversations: self.conversations.values().copied().collect(),
            groups: self.groups.values().cloned().collect(),
            outbox: self.outbox.iter().filter_map(unanswered).collect(),
            book_cursor: self.book_cursor,
            wishes: self
                .wishes
                .iter()
                .map(|((item, key), value)| Put {
                    item: *item,
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
            profiles: self.profiles.values().cloned().collect(),
        })
    }

    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        self.check(batch)?;
        for write in batch {
            self.apply(write);
        }
        Ok(())
    }

    fn message(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        Ok(self.messages.get(&id).cloned())
    }

    fn starred(&mut self, star: Star) -> Result<Option<Message>, StoreError> {
        let is_it = |it: &&Message| Star::of(it) == Some(star);
        Ok(self.messages.values().find(is_it).cloned())
    }

    fn history(
        &mut self,
        target: Target,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let end = before.unwrap_or(MessageId(i64::MAX));
        let there = self
            .messages
            .range(..end)
            .rev()
            .filter(|(_, it)| it.target() == target && !it.is_reference());
        let mut newest: Vec<_> = there.take(limit).map(|(_, message)| message.clone()).collect();
        newest.reverse();
        Ok(newest)
    }

    fn conversations(&mut self) -> Result<Vec<Conversation>, StoreError> {
        let pending = self.pending_timers();
        let summary = |state: &ConversationState| Conversation {
            peer: state.peer,
            delivered: state.delivered,
            read: state.read,
            seen: state.seen,
            unread: self.unread(state),
            last: state.last,
            timer_s: pending.get(&Target::Peer(state.peer)).copied().unwrap_or(state.timer.0),
        };
        let mut all: Vec<_> = self.conversations.values().map(summary).collect();
        all.sort_by_key(|conversation| std::cmp::Reverse(conversation.last));
        Ok(all)
    }

    fn groups(&mut self) -> Result<Vec<Group>, StoreError> {
        let members = |group: u64| {
            let all = self.roles.range((group, 0)..=(group, u64::MAX));
            all.map(|(&(_, user), &role)| (user, role)).collect()
        };
        let pending = self.pending_timers();
        let summary = |state: &GroupState| Group {
            group: state.group,
            name: state.name.clone(),
            info: state.info.clone(),
            is_gone: state.is_gone,
            seen: state.seen,
            unread: self.unread_of_group(state),
            receipt: state.receipt,
            last: state.last,
            timer_s: pending.get(&Target::Group(state.group)).copied().unwrap_or(state.timer.0),
            members: members(state.group),
        };
        let mut all: Vec<_> = self.groups.values().map(summary).collect();
        all.sort_by_key(|group| std::cmp::Reverse(group.last));
        Ok(all)
    }

    fn book(&mut self) -> Result<Vec<BookItem>, StoreError> {
        let items = self.book.iter().map(|(place, known)| BookItem {
            item: place.0,
            key: place.1.clone(),
            version: known.0,
            value: known.1.clone(),
        });
        Ok(items.collect())
    }

    fn profiles(&mut self) -> Result<Vec<Profile>, StoreError> {
        Ok(self.profiles.values().cloned().collect())
    }
}
