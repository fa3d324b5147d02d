//! The state of a chat, the same for both ways of showing it.

mod groups;
mod past;
mod people;
mod presence;
mod refer;
mod sent;
mod stars;
mod who;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fulmar_client::store::StoreError;
use fulmar_client::{
    Changes, ChatSettings, Client, Code, Conversation, Event, Group, Message, MessageId, SendError,
    Star, State, Target,
};

use crate::text;

pub(crate) use groups::{counts, no_group};
pub(crate) use presence::{Watch, presence};

/// Messages that one look into the history brings.
pub(crate) const PAGE: usize = 200;

/// Messages of the open conversation that are kept at most.
pub(crate) const LOADED_MAX: usize = 5_000;

/// The connection, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// The first attempt is under way.
    Connecting,
    Online,
    /// The next attempt comes at this time.
    Waiting {
        reason: String,
        until: Instant,
    },
    /// No attempt until the person asks for it.
    Stopped {
        reason: String,
    },
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tick {
    Incoming,
    Pending,
    Sent,
    Delivered,
    Read,
    Rejected,
}

impl Tick {
    /// What is shown behind the message.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Tick::Incoming => "",
            Tick::Pending => "·",
            Tick::Sent => "✓",
            Tick::Delivered | Tick::Read => "✓✓",
            Tick::Rejected => "✗",
        }
    }
}

/// What the program knows: the conversations, and the messages of the open one.
#[derive(Debug)]
pub(crate) struct Chat {
    client: Client,
    pub(crate) link: Link,
    conversations: BTreeMap<u64, Conversation>,
    groups: BTreeMap<u64, Group>,
    /// Whose presence is told, and what was.
    pub(crate) watch: Watch,
    /// Who writes where, and since when that is known.
    typing: BTreeMap<(Target, u64), Instant>,
    /// Where the others were told that this person writes.
    writing: Option<Target>,
    /// The versions of profiles that this device has.
    profiles: BTreeMap<u64, u64>,
    /// Whose profile the person asked for.
    looked_at: BTreeSet<u64>,
    /// Usernames that the person asked for.
    looked_for: BTreeSet<String>,
    /// What contacts are called.
    contacts: BTreeMap<u64, String>,
    /// Whose device this is.
    pub(crate) user: u64,
    /// Conversations and groups with something unread to which this person is called.
    calling: BTreeSet<Target>,
    /// How conversations and groups are shown.
    settings: BTreeMap<Target, ChatSettings>,
    /// Messages that this person remembers.
    stars: BTreeSet<Star>,
    /// The whole book was there once, so what comes of it is news.
    has_book: bool,
    /// Whose answer how far the members of a group are comes in now.
    asked: Option<who::Asked>,
    /// Groups that this person is making.
    making: Vec<MessageId>,
    /// Edits, deletions and reactions of this run that the server hasn't answered.
    references: BTreeMap<MessageId, Message>,
    open: Option<Target>,
    /// Of the open conversation, the newest without a hole.
    messages: BTreeMap<MessageId, Message>,
    /// Whether the store holds older ones.
    older: bool,
    /// Whether the messages are shown with their numbers.
    pub(crate) shows_numbers: bool,
    /// What is being fetched of the time before what is open.
    wanted: Option<past::Wanted>,
    /// The first message that was unread when the conversation was opened.
    pub(crate) new_from: Option<MessageId>,
}

impl Chat {
    /// The chat of this user's device.
    pub(crate) async fn new(client: Client, user: u64) -> Result<Self, StoreError> {
        let mut chat = Chat {
            client,
            user,
            calling: BTreeSet::new(),
            link: Link::Connecting,
            conversations: BTreeMap::new(),
            groups: BTreeMap::new(),
            watch: Watch::default(),
            typing: BTreeMap::new(),
            writing: None,
            profiles: BTreeMap::new(),
            looked_at: BTreeSet::new(),
            looked_for: BTreeSet::new(),
            contacts: BTreeMap::new(),
            settings: BTreeMap::new(),
            stars: BTreeSet::new(),
            has_book: false,
            asked: None,
            making: Vec::new(),
            references: BTreeMap::new(),
            open: None,
            messages: BTreeMap::new(),
            older: false,
            shows_numbers: false,
            wanted: None,
            new_from: None,
        };
        chat.load_conversations().await?;
        chat.load_book().await?;
        chat.load_calls().await?;
        chat.client.follow_book().await;
        chat.watch_people().await;
        Ok(chat)
    }

    /// What is open.
    pub(crate) const fn open_target(&self) -> Option<Target> {
        self.open
    }

    /// What people call it: a user's number, a group's name.
    pub(crate) fn label(&self, target: Target) -> String {
        match target {
            Target::Peer(peer) => match self.contacts.get(&peer) {
                Some(name) => format!("{name} ({peer})"),
                None => peer.to_string(),
            },
            Target::Group(0) => "a new group".to_owned(),
            Target::Group(number) => match self.groups.get(&number) {
                Some(group) if !group.name.is_empty() => {
                    text::harmless_line(&String::from_utf8_lossy(&group.name))
                }
                _ => format!("group {number}"),
            },
        }
    }

    /// All conversations and groups with what is unread of them, the one with the newest message first; but
    /// pinned ones above all others and archived ones below.
    pub(crate) fn list(&self) -> Vec<(Target, u64)> {
        let conversations = self
            .conversations
            .values()
            .map(|known| (known.last, Target::Peer(known.peer), known.unread));
        let groups = self
            .groups
            .values()
            .map(|group| (group.last, Target::Group(group.group), group.unread));
        let mut all: Vec<_> = conversations.chain(groups).collect();
        all.sort_by_key(|(last, target, _)| (self.rank(*target), std::cmp::Reverse(*last)));
        all.into_iter().map(|(_, target, unread)| (target, unread)).collect()
    }

    /// The messages of the open conversation, oldest first.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.values()
    }

    /// The conversations, the one with the newest message first.
    pub(crate) fn conversations(&self) -> Vec<&Conversation> {
        let mut all: Vec<_> = self.conversations.values().collect();
        all.sort_by_key(|conversation| std::cmp::Reverse(conversation.last));
        all
    }

    /// The number of a message, for the commands that are about one, where it is shown.
    pub(crate) fn number(&self, message: &Message) -> String {
        if self.shows_numbers { format!("#{} ", message.id) } else { String::new() }
    }

    /// How far a message is.
    pub(crate) fn tick(&self, message: &Message) -> Tick {
        if let Some(group) = message.group {
            return self.tick_in_group(message, group);
        }
        let known = self.conversations.get(&message.peer);
        match (message.state, message.ordinal, known) {
            (State::Received, ..) => Tick::Incoming,
            (State::Pending, ..) => Tick::Pending,
            (State::Rejected(_), ..) => Tick::Rejected,
            (State::Sent, Some(ordinal), Some(known)) if ordinal <= known.read => Tick::Read,
            (State::Sent, Some(ordinal), Some(known)) if ordinal <= known.delivered => {
                Tick::Delivered
            }
            (State::Sent, ..) => Tick::Sent,
        }
    }

    async fn load_groups(&mut self) -> Result<(), StoreError> {
        let all = self.client.groups().await?;
        self.groups = all.into_iter().map(|known| (known.group, known)).collect();
        self.watch.is_due = true;
        Ok(())
    }

    async fn load_conversations(&mut self) -> Result<(), StoreError> {
        let all = self.client.conversations().await?;
        self.conversations = all.into_iter().map(|known| (known.peer, known)).collect();
        self.load_groups().await
    }

    fn conversation(&mut self, peer: u64) -> &mut Conversation {
        self.conversations.entry(peer).or_insert_with(|| Conversation {
            peer,
            delivered: 0,
            read: 0,
            seen: 0,
            unread: 0,
            last: MessageId(0),
            timer_s: 0,
        })
    }

    /// Opens a conversation or group, with at least what is unread of it.
    pub(crate) async fn open(&mut self, target: Target) -> Result<(), StoreError> {
        if self.open != Some(target) {
            self.typing(false).await;
            self.wanted = None;
        }
        self.open = Some(target);
        self.calling.remove(&target);
        self.messages.clear();
        self.older = true;
        let seen = match target {
            Target::Peer(peer) => self.conversation(peer).seen,
            Target::Group(group) => self.groups.get(&group).map_or(0, |known| known.seen),
        };
        // The store may already hold more than was counted when the program began.
        let is_seen = |message: &Message| !message.state.is_own() && message.ordinal <= Some(seen);
        while self.load_older().await? && !self.messages.values().take(PAGE).any(is_seen) {}
        let mut unread = self.messages.values().filter(|message| is_unread(message, seen));
        self.new_from = unread.find(|message| message.id.0 > 0).map(|message| message.id);
        self.watch.is_due = true;
        self.watch_people().await;
        Ok(())
    }

    /// Whether the store holds messages of the open conversation that aren't loaded.
    pub(crate) const fn has_older(&self) -> bool {
        self.older
    }

    /// Loads a page of older messages; whether there were any.
    pub(crate) async fn load_older(&mut self) -> Result<bool, StoreError> {
        let (Some(target), true) = (self.open, self.older) else { return Ok(false) };
        if self.messages.len() >= LOADED_MAX {
            return Ok(false);
        }
        let first = self.messages.first_key_value().map(|(id, _)| *id);
        let page = match target {
            Target::Peer(peer) => self.client.history(peer, first, PAGE).await?,
            Target::Group(group) => self.client.group_history(group, first, PAGE).await?,
        };
        self.older = page.len() >= PAGE;
        let any = !page.is_empty();
        self.messages.extend(page.into_iter().map(|message| (message.id, message)));
        Ok(any)
    }

    /// Sends a text in the open conversation; the message as it stands now.
    pub(crate) async fn say(&mut self, text: &str) -> Result<Message, String> {
        let seconds = self.open.map_or(0, |target| self.timer(target));
        self.say_for(seconds, text).await
    }

    /// The same of a text that disappears after so many seconds; 0 for never.
    pub(crate) async fn say_for(&mut self, seconds: u64, text: &str) -> Result<Message, String> {
        let target = self.open.ok_or("nobody to send it to; /with 8 opens a chat with user 8")?;
        let (content, body) = self.dressed(target, text, seconds);
        let sent = self.send_body(target, content, body.clone()).await;
        let id = sent.map_err(|error| format!("not sent: {error}"))?;
        self.typing(false).await;
        Ok(self.wrote(id, target, content, &body))
    }

    /// A message that is on its way.
    fn wrote(&mut self, id: MessageId, target: Target, content: u8, body: &[u8]) -> Message {
        let (group, peer) = match target {
            Target::Peer(peer) => (None, peer),
            // Who wrote it shows in its state.
            Target::Group(group) => (Some(group), 0),
        };
        let message = Message {
            id,
            group,
            peer,
            state: State::Pending,
            ordinal: None,
            position: None,
            time_ms: text::now_ms(),
            content,
            body: body.into(),
            changes: Changes::default(),
        };
        match target {
            Target::Peer(peer) => self.conversation(peer).last = id,
            Target::Group(group) => {
                if let Some(known) = self.groups.get_mut(&group) {
                    known.last = id;
                }
            }
        }
        self.note_sent(&message);
        // Its tick can't have been told before: events are taken by this task only.
        if self.open == Some(target) && !message.is_reference() {
            self.insert(message.clone());
        }
        message
    }

    /// Sends again what was rejected in the open conversation; what it was.
    pub(crate) async fn retry(&mut self) -> Result<Vec<Message>, SendError> {
        let rejected = |message: &&mut Message| matches!(message.state, State::Rejected(_));
        let mut again = Vec::new();
        for message in self.messages.values_mut().filter(rejected) {
            self.client.resend(message.id).await?;
            message.state = State::Pending;
            again.push(message.clone());
        }
        // A timer among them counts again.
        self.load_conversations().await.map_err(|_| SendError::Closed)?;
        Ok(again)
    }

    /// Whether there is a connection.
    pub(crate) const fn is_online(&self) -> bool {
        matches!(self.link, Link::Online)
    }

    pub(crate) async fn reconnect(&self) {
        self.client.reconnect().await;
    }

    /// Everything of what is open is on screen: tells the authors. Whether that was new.
    pub(crate) async fn mark_read(&mut self) -> bool {
        let incoming = |message: &&Message| !message.state.is_own();
        let newest = self.messages.values().rev().find(incoming);
        let Some((target, Some(ordinal))) = newest.map(|it| (it.target(), it.ordinal)) else {
            return false;
        };
        match target {
            Target::Peer(peer) => {
                let known = self.conversation(peer);
                let new = ordinal > known.seen;
                if new {
                    known.seen = ordinal;
                    known.unread = 0;
                    self.client.mark_read(peer, ordinal).await;
                }
                new
            }
            Target::Group(group) => {
                let Some(known) = self.groups.get_mut(&group) else { return false };
                let new = ordinal > known.seen;
                if new {
                    known.seen = ordinal;
                    known.unread = 0;
                    self.client.mark_group_read(group, ordinal).await;
                }
                new
            }
        }
    }

    /// Takes what the client tells.
    pub(crate) async fn take(&mut self, event: &Event) -> Result<(), StoreError> {
        self.heed_event(event).await?;
        self.watch_people().await;
        Ok(())
    }

    async fn heed_event(&mut self, event: &Event) -> Result<(), StoreError> {
        if let Event::Message(message) | Event::OwnCopy(message) | Event::GroupMessage(message) =
            event
            && self.heed(message).await?
        {
            return Ok(());
        }
        match event {
            Event::Connected { .. } => self.link = Link::Online,
            Event::Expired => self.reload().await?,
            Event::Disconnected { reason, retry_in_ms } => {
                self.disconnected(&reason.to_string(), *retry_in_ms);
            }
            Event::Refused { code, detail, retry_in_ms } => {
                self.disconnected(&refusal(*code, detail), *retry_in_ms);
            }
            Event::Message(message) | Event::OwnCopy(message) => self.arrived(message),
            Event::Ticked { id, peer, ordinal, time_ms } => {
                self.ticked(*id, Target::Peer(*peer), *ordinal, *time_ms).await?;
            }
            Event::Rejected { id, code, .. } | Event::GroupRejected { id, code, .. } => {
                if let Some(message) = self.messages.get_mut(id) {
                    message.state = State::Rejected(*code);
                }
                // A timer counts no more.
                self.load_conversations().await?;
            }
            Event::Delivered { peer, ordinal } => self.conversation(*peer).delivered = *ordinal,
            Event::Read { peer, ordinal } => self.conversation(*peer).read = *ordinal,
            Event::SeenElsewhere { .. } => self.load_conversations().await?,
            Event::GroupMessage(message) => self.arrived_in_group(message).await?,
            Event::GroupTicked { id, group, position, time_ms } => {
                self.ticked(*id, Target::Group(*group), *position, *time_ms).await?;
                // A change of this person's may have been a new name or member.
                self.load_groups().await?;
            }
            Event::AddedToGroup { .. }
            | Event::GroupGone { .. }
            | Event::GroupState { .. }
            | Event::GroupSeenElsewhere { .. } => self.load_groups().await?,
            Event::GroupReceipt { group, receipt } => {
                if let Some(known) = self.groups.get_mut(group) {
                    known.receipt = *receipt;
                }
            }
            Event::GroupWho { .. }
            | Event::HistoryFilled { .. }
            | Event::Profile(_)
            | Event::Found { .. } => {}
            Event::Presence { user, is_online, last_seen_ms } => {
                self.note_presence(*user, *is_online, *last_seen_ms);
            }
            Event::Typing { group, user, is_typing } => {
                let target = group.map_or(Target::Peer(*user), Target::Group);
                self.note_typing(target, *user, *is_typing);
            }
            Event::InboxWentBack { .. } | Event::GroupWentBack { .. } => {
                self.load_conversations().await?;
                if let Some(target) = self.open {
                    self.open(target).await?;
                }
            }
            Event::Item { item, key, value } => self.note_item(*item, key, value),
            Event::PutRejected { item, key, .. } => self.not_starred(*item, key),
            Event::BookComplete => self.has_book = true,
            Event::StoreFailed { detail } => self.disconnected(detail, None),
        }
        Ok(())
    }

    /// A message came. It may have been counted, loaded and seen from the store before it was told.
    fn arrived(&mut self, message: &Message) {
        let known = self.conversation(message.peer);
        if message.id > known.last {
            known.last = message.id;
            known.unread += u64::from(is_unread(message, known.seen));
        }
        // It is among the recent ones now.
        self.watch.is_due |= !self.watch.users.contains(&message.peer);
        self.typing.remove(&(message.target(), message.peer));
        if self.open == Some(message.target()) {
            self.insert(message.clone());
        } else {
            self.note_call(message);
        }
    }

    fn insert(&mut self, message: Message) {
        self.messages.insert(message.id, message);
        if self.messages.len() > LOADED_MAX {
            self.messages.pop_first();
            self.older = true;
        }
    }

    fn disconnected(&mut self, reason: &str, retry_in_ms: Option<u64>) {
        let reason = text::harmless_line(reason);
        self.forget_who_is_online();
        self.link = match retry_in_ms {
            Some(ms) => Link::Waiting { reason, until: Instant::now() + Duration::from_millis(ms) },
            None => Link::Stopped { reason },
        };
    }
}

/// Whether somebody else wrote it, behind what this person saw there.
fn is_unread(message: &Message, seen: u64) -> bool {
    !message.state.is_own() && message.ordinal > Some(seen)
}

/// A server that lost data, for people.
pub(crate) fn loss(cursor: u64, head: u64) -> String {
    format!(
        "the server lost data, or is another one: its last message here is number {head}, this device \
         has {cursor}; what was sent lately may not arrive"
    )
}

/// A refused login, for people.
pub(crate) fn refusal(code: Code, detail: &str) -> String {
    if detail.is_empty() {
        format!("the server refused the login: {code}")
    } else {
        format!("the server refused the login: {code}: {}", text::harmless_line(detail))
    }
}
