//! The state of a chat, the same for both ways of showing it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fulmar_client::store::StoreError;
use fulmar_client::{
    Client, Code, Conversation, Event, Message, MessageId, SendError, State, content,
};

use crate::text;

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
    open: Option<u64>,
    /// Of the open conversation, the newest without a hole.
    messages: BTreeMap<MessageId, Message>,
    /// Whether the store holds older ones.
    older: bool,
    /// The first message that was unread when the conversation was opened.
    pub(crate) new_from: Option<MessageId>,
}

impl Chat {
    pub(crate) async fn new(client: Client) -> Result<Self, StoreError> {
        let mut chat = Chat {
            client,
            link: Link::Connecting,
            conversations: BTreeMap::new(),
            open: None,
            messages: BTreeMap::new(),
            older: false,
            new_from: None,
        };
        chat.load_conversations().await?;
        Ok(chat)
    }

    /// The user of the open conversation.
    pub(crate) const fn open_peer(&self) -> Option<u64> {
        self.open
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

    /// How far a message is.
    pub(crate) fn tick(&self, message: &Message) -> Tick {
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

    async fn load_conversations(&mut self) -> Result<(), StoreError> {
        let all = self.client.conversations().await?;
        self.conversations = all.into_iter().map(|known| (known.peer, known)).collect();
        Ok(())
    }

    fn conversation(&mut self, peer: u64) -> &mut Conversation {
        self.conversations.entry(peer).or_insert_with(|| Conversation {
            peer,
            delivered: 0,
            read: 0,
            seen: 0,
            unread: 0,
            last: MessageId(0),
        })
    }

    /// Opens the conversation with a user, with at least what is unread of it.
    pub(crate) async fn open(&mut self, peer: u64) -> Result<(), StoreError> {
        self.open = Some(peer);
        self.messages.clear();
        self.older = true;
        let seen = self.conversation(peer).seen;
        // The store may already hold more than was counted when the program began.
        let is_seen = |message: &Message| !message.state.is_own() && message.ordinal <= Some(seen);
        while self.load_older().await? && !self.messages.values().take(PAGE).any(is_seen) {}
        let is_unread =
            |message: &&Message| !message.state.is_own() && message.ordinal > Some(seen);
        self.new_from = self.messages.values().find(is_unread).map(|message| message.id);
        Ok(())
    }

    /// Whether the store holds messages of the open conversation that aren't loaded.
    pub(crate) const fn has_older(&self) -> bool {
        self.older
    }

    /// Loads a page of older messages; whether there were any.
    pub(crate) async fn load_older(&mut self) -> Result<bool, StoreError> {
        let (Some(peer), true) = (self.open, self.older) else { return Ok(false) };
        if self.messages.len() >= LOADED_MAX {
            return Ok(false);
        }
        let first = self.messages.first_key_value().map(|(id, _)| *id);
        let page = self.client.history(peer, first, PAGE).await?;
        self.older = page.len() >= PAGE;
        let any = !page.is_empty();
        self.messages.extend(page.into_iter().map(|message| (message.id, message)));
        Ok(any)
    }

    /// Sends a text in the open conversation; the message as it stands now.
    pub(crate) async fn say(&mut self, text: &str) -> Result<Message, String> {
        let peer = self.open.ok_or("nobody to send it to; /with 8 opens a chat with user 8")?;
        let body = text.as_bytes();
        let id = self
            .client
            .try_send(peer, content::TEXT, body)
            .await
            .map_err(|error| format!("not sent: {error}"))?;
        let message = Message {
            id,
            peer,
            state: State::Pending,
            ordinal: None,
            position: None,
            time_ms: text::now_ms(),
            content: content::TEXT,
            body: body.into(),
        };
        self.conversation(peer).last = id;
        // Its tick can't have been told before: events are taken by this task only.
        self.insert(message.clone());
        Ok(message)
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
        Ok(again)
    }

    pub(crate) async fn reconnect(&self) {
        self.client.reconnect().await;
    }

    /// Everything of the open conversation is on screen: tells the author. Whether that was new.
    pub(crate) async fn mark_read(&mut self) -> bool {
        let incoming = |message: &&Message| !message.state.is_own();
        let newest = self.messages.values().rev().find(incoming);
        let Some((peer, Some(ordinal))) = newest.map(|newest| (newest.peer, newest.ordinal)) else {
            return false;
        };
        let known = self.conversation(peer);
        let new = ordinal > known.seen;
        if new {
            known.seen = ordinal;
            known.unread = 0;
            self.client.mark_read(peer, ordinal).await;
        }
        new
    }

    /// Takes what the client tells.
    pub(crate) async fn take(&mut self, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::Connected { .. } => self.link = Link::Online,
            Event::Disconnected { reason, retry_in_ms } => {
                self.disconnected(&reason.to_string(), *retry_in_ms);
            }
            Event::Refused { code, detail, retry_in_ms } => {
                self.disconnected(&refusal(*code, detail), *retry_in_ms);
            }
            Event::Message(message) => self.arrived(message, 1),
            Event::OwnCopy(message) => self.arrived(message, 0),
            Event::Ticked { id, ordinal, time_ms, .. } => {
                if let Some(message) = self.messages.get_mut(id) {
                    message.state = State::Sent;
                    message.ordinal = Some(*ordinal);
                    message.time_ms = if *time_ms == 0 { message.time_ms } else { *time_ms };
                }
            }
            Event::Rejected { id, code, .. } => {
                if let Some(message) = self.messages.get_mut(id) {
                    message.state = State::Rejected(*code);
                }
            }
            Event::Delivered { peer, ordinal } => self.conversation(*peer).delivered = *ordinal,
            Event::Read { peer, ordinal } => self.conversation(*peer).read = *ordinal,
            Event::SeenElsewhere { .. } => self.load_conversations().await?,
            Event::InboxWentBack { .. } => {
                self.load_conversations().await?;
                if let Some(peer) = self.open {
                    self.open(peer).await?;
                }
            }
            Event::StoreFailed { detail } => self.disconnected(detail, None),
        }
        Ok(())
    }

    /// A message came; `unread` is what it adds to the unread ones. It may have been counted, and
    /// loaded, from the store before it was told.
    fn arrived(&mut self, message: &Message, unread: u64) {
        let known = self.conversation(message.peer);
        if message.id > known.last {
            known.last = message.id;
            known.unread += unread;
        }
        if self.open == Some(message.peer) {
            self.insert(message.clone());
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
        self.link = match retry_in_ms {
            Some(ms) => Link::Waiting { reason, until: Instant::now() + Duration::from_millis(ms) },
            None => Link::Stopped { reason },
        };
    }
}

/// A server that lost data, for people.
pub(crate) fn loss(cursor: u64, head: u64) -> String {
    format!(
        "the server lost data, or is another one: its last message for this user is number {head}, \
         this device has {cursor}; what was sent lately may not arrive"
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
