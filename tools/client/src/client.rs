//! The handle that a program holds.

use std::path::PathBuf;
use std::sync::Arc;

use fulmar_protocol::limits::{AGENT_BYTES_MAX, DEVICE_MAX, TOKEN_BYTES_MAX};
use tokio::sync::{mpsc, oneshot};

use crate::core::{Identity, SendError, Session, is_address};
use crate::driver::{self, Driver, NewMessage, Request, SendReply, StoreThread};
use crate::event::Event;
use crate::group::{Group, GroupChange};
use crate::limits::{EVENTS_WAITING_MAX, HISTORY_MAX, REQUESTS_WAITING_MAX};
use crate::message::{Conversation, Message, MessageId, Target};
use crate::people::{BookItem, Profile, Put, Star};
use crate::store::{SqliteStore, Store, StoreError};

/// Who connects, whereto, and where the device's store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The server, `host:port`.
    pub address: String,
    /// The user, from 1.
    pub user: u64,
    /// The device of the user, from 1 to 65,535. A device has one store and runs in one program at
    /// a time.
    pub device: u64,
    /// The login token; empty where the server runs in development mode.
    pub token: String,
    /// The file of the device's store; created where it doesn't exist, in a directory that does.
    pub store: PathBuf,
    /// Name and version of the program, for the server's logs; at most 64 bytes.
    /// Without control characters.
    pub agent: String,
}

/// Why a client can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A value of the configuration isn't allowed; which, and what is.
    #[error("{0}")]
    Config(String),
    /// The device's store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running client. Clones share it; it ends when it is closed or the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    store: StoreThread,
}

/// What the client tells, in order. While the program doesn't take events, and some of them wait,
/// the client reads nothing more from the server: so don't wait for [`Client::send`] in the task
/// that takes the events. A program that wants no events drops this.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` after the client's end.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl Client {
    /// Opens the store and starts to connect. Must be called within a tokio runtime, in which the
    /// client then runs.
    pub async fn open(config: Config) -> Result<(Client, Events), OpenError> {
        let (path, user, device) = (config.store.clone(), config.user, config.device);
        let opener = move || {
            let store = SqliteStore::open(&path, user, device)?;
            Ok(Box::new(store) as Box<dyn Store>)
        };
        Client::start(config, opener).await
    }

    /// The same with a store of another kind; [`Config::store`] is not looked at.
    pub async fn with_store(
        config: Config,
        store: Box<dyn Store>,
    ) -> Result<(Client, Events), OpenError> {
        Client::start(config, move || Ok(store)).await
    }

    async fn start<F>(config: Config, opener: F) -> Result<(Client, Events), OpenError>
    where
        F: FnOnce() -> Result<Box<dyn Store>, StoreError> + Send + 'static,
    {
        check(&config)?;
        let Config { address, user, device, token, agent, .. } = config;
        let (store, snapshot) = driver::open(opener).await?;
        let identity = Identity { user, device, token: token.into_bytes(), agent };
        let session = Session::new(identity, snapshot, fastrand::u64(..));
        let (requests, requested) = mpsc::channel(REQUESTS_WAITING_MAX);
        let (told, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let driver = Driver::new(session, address, store.clone(), requested, told);
        tokio::spawn(driver.run());
        Ok((Client { requests, store }, Events { events }))
    }

    /// Sends a message. Waits while too much waits for the server already, and until the message is
    /// safe in the device's store: from then on it goes out, whatever happens to this process. Its
    /// tick or rejection comes as an event.
    pub async fn send(
        &self,
        peer: u64,
        content: u8,
        body: impl Into<Arc<[u8]>>,
    ) -> Result<MessageId, SendError> {
        let message = NewMessage::ToPeer { peer, content, body: body.into() };
        self.ask(|reply| Request::Send(message, reply)).await
    }

    /// The same, except that [`SendError::OutboxFull`] is returned instead of waiting for room.
    pub async fn try_send(
        &self,
        peer: u64,
        content: u8,
        body: impl Into<Arc<[u8]>>,
    ) -> Result<MessageId, SendError> {
        let message = NewMessage::ToPeer { peer, content, body: body.into() };
        self.ask(|reply| Request::TrySend(message, reply)).await
    }

    /// Sends a message to a group, as [`Client::send`] does to a user.
    pub async fn send_to_group(
        &self,
        group: u64,
        content: u8,
        body: impl Into<Arc<[u8]>>,
    ) -> Result<MessageId, SendError> {
        let message = NewMessage::ToGroup { group, content, body: body.into() };
        self.ask(|reply| Request::Send(message, reply)).await
    }

    /// The same, except that [`SendError::OutboxFull`] is returned instead of waiting for room.
    pub async fn try_send_to_group(
        &self,
        group: u64,
        content: u8,
        body: impl Into<Arc<[u8]>>,
    ) -> Result<MessageId, SendError> {
        let message = NewMessage::ToGroup { group, content, body: body.into() };
        self.ask(|reply| Request::TrySend(message, reply)).await
    }

    /// Makes a group of this user, who owns it, and these others. [`Event::GroupTicked`] with the id
    /// that is returned here tells the group's number.
    pub async fn create_group(&self, name: &str, members: &[u64]) -> Result<MessageId, SendError> {
        self.change_group(0, GroupChange::create(name, members)).await
    }

    /// Changes a group. The change is kept, sent and answered as a message to the group is, and stands
    /// among them.
    pub async fn change_group(
        &self,
        group: u64,
        change: GroupChange,
    ) -> Result<MessageId, SendError> {
        let message = NewMessage::Change { group, change };
        self.ask(|reply| Request::TrySend(message, reply)).await
    }

    /// Sends a rejected message again. It keeps its place in the history.
    pub async fn resend(&self, id: MessageId) -> Result<MessageId, SendError> {
        let stored = self.store.message(id).await.map_err(|_| SendError::Closed)?;
        let message = stored.ok_or(SendError::NotRejected(id))?;
        self.ask(|reply| Request::Resend(message, reply)).await
    }

    /// The person saw the messages of `peer` up to this ordinal. The server is told now or, where
    /// there is no connection, on the next one.
    pub async fn mark_read(&self, peer: u64, ordinal: u64) {
        self.request(Request::MarkRead { peer, ordinal }).await;
    }

    /// The person saw the group up to this position. The server is told until it has it.
    pub async fn mark_group_read(&self, group: u64, position: u64) {
        self.request(Request::MarkGroupRead { group, position }).await;
    }

    /// Asks how far the members whose numbers are above `after` are with an entry. The answer is
    /// [`Event::GroupWho`]; there is none without a connection.
    pub async fn ask_group(&self, group: u64, position: u64, after: u64) {
        self.request(Request::AskGroup { group, position, after }).await;
    }

    /// Asks for a group's name and members. [`Event::GroupState`] tells that they are in the store;
    /// there is no answer without a connection.
    pub async fn look_group(&self, group: u64) {
        self.request(Request::LookGroup(group)).await;
    }

    /// The person does something in the program, or has it no more before them. Others see them as online
    /// for [`PRESENT_MS`](crate::limits::PRESENT_MS) from then on, so a program tells this whenever they do.
    pub async fn set_active(&self, is_active: bool) {
        self.request(Request::SetActive(is_active)).await;
    }

    /// Tells of the presence of these people ([`Event::Presence`]), now and when it changes; at most
    /// [`WATCHED_MAX`](crate::limits::WATCHED_MAX) people at once.
    pub async fn watch(&self, users: &[u64]) {
        self.request(Request::Watch(users.to_vec())).await;
    }

    /// Tells of it no more.
    pub async fn unwatch(&self, users: &[u64]) {
        self.request(Request::Unwatch(users.to_vec())).await;
    }

    /// The person writes to a user or in a group, or stopped. A program may say so with every key.
    pub async fn typing(&self, target: Target, is_typing: bool) {
        self.request(Request::Typing(target, is_typing)).await;
    }

    /// Keeps the user's book in the store from now on ([`Event::Item`], [`Event::BookComplete`]).
    pub async fn follow_book(&self) {
        self.request(Request::FollowBook).await;
    }

    /// Sets an item of the user's book, for all its devices. It is kept and repeated until the server
    /// answers: [`Event::Item`], or [`Event::PutRejected`].
    pub async fn put(&self, put: Put) {
        self.request(Request::Put(put)).await;
    }

    /// Lets nothing of this user be delivered any more, nor show it anything.
    pub async fn block(&self, user: u64) {
        self.put(Put::block(user)).await;
    }

    /// The opposite.
    pub async fn unblock(&self, user: u64) {
        self.put(Put::unblock(user)).await;
    }

    /// This user is a contact; no more with an empty value.
    pub async fn set_contact(&self, user: u64, value: &[u8]) {
        self.put(Put::contact(user, value)).await;
    }

    /// Shows something (of [`privacy`](crate::people::privacy)) to these
    /// (of [`audience`](crate::people::audience)).
    pub async fn set_privacy(&self, what: u8, who: u8) {
        self.put(Put::privacy(what, who)).await;
    }

    /// Sets a part (of [`profile`](crate::people::profile)) of the own profile.
    pub async fn set_profile(&self, part: u8, value: &[u8]) {
        self.put(Put::profile(part, value)).await;
    }

    /// Asks for somebody's profile: [`Event::Profile`], if it isn't the one in the store. Those of people who
    /// are watched come by themselves.
    pub async fn look_at_profile(&self, user: u64) {
        self.request(Request::LookAtProfile(user)).await;
    }

    /// Asks who has a username: [`Event::Found`]. There is no answer without a connection.
    pub async fn find(&self, name: &str) {
        self.request(Request::Find(name.to_owned())).await;
    }

    /// The user's book as far as this device has it, by kind and key.
    pub async fn book(&self) -> Result<Vec<BookItem>, StoreError> {
        self.store.book().await
    }

    /// Remembers a message ([`Star::of`]), on all devices of the user.
    pub async fn star(&self, star: Star) {
        self.put(Put::star(star)).await;
    }

    /// The opposite.
    pub async fn unstar(&self, star: Star) {
        self.put(Put::unstar(star)).await;
    }

    /// The message that has this star; `None` where this device doesn't have it.
    pub async fn starred(&self, star: Star) -> Result<Option<Message>, StoreError> {
        self.store.starred(star).await
    }

    /// The profiles that this device has, by user.
    pub async fn profiles(&self) -> Result<Vec<Profile>, StoreError> {
        self.store.profiles().await
    }

    /// The newest `limit` messages of a conversation that are older than `before` (of all, where it
    /// is `None`), oldest first; at most [`HISTORY_MAX`] at once.
    pub async fn history(
        &self,
        peer: u64,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.store.history(Target::Peer(peer), before, limit.min(HISTORY_MAX)).await
    }

    /// The same of a group.
    pub async fn group_history(
        &self,
        group: u64,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.store.history(Target::Group(group), before, limit.min(HISTORY_MAX)).await
    }

    /// Fetches what the server keeps of the time before this device, `entries` of it at most, of all
    /// conversations of two or of a group; it is in the history then. [`Event::HistoryFilled`] tells when that is
    /// done, after a break of the connection too.
    pub async fn fill_history(&self, group: Option<u64>, entries: u64) {
        self.request(Request::FillHistory(group, entries)).await;
    }

    /// All groups, the one with the newest message first.
    pub async fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.store.groups().await
    }

    /// All conversations, the one with the newest message first.
    pub async fn conversations(&self) -> Result<Vec<Conversation>, StoreError> {
        self.store.conversations().await
    }

    /// Uses another token from the next login on.
    pub async fn set_token(&self, token: String) -> Result<(), OpenError> {
        check_token(&token)?;
        self.request(Request::SetToken(token.into_bytes())).await;
        Ok(())
    }

    /// Connects now where a pause, a refusal or a replacement keeps the client from it.
    pub async fn reconnect(&self) {
        self.request(Request::Reconnect).await;
    }

    /// Says goodbye to the server, stores what waits to be stored, and ends. The store is free when
    /// every clone of the client is gone too.
    pub async fn close(self) {
        let (reply, closed) = oneshot::channel();
        self.request(Request::Close(reply)).await;
        // An error means that the client ended before.
        let _ = closed.await;
    }

    async fn ask(
        &self,
        request: impl FnOnce(SendReply) -> Request,
    ) -> Result<MessageId, SendError> {
        let (reply, answer) = oneshot::channel();
        self.request(request(reply)).await;
        answer.await.unwrap_or(Err(SendError::Closed))
    }

    /// Hands a request to the driver; where that has ended, the request falls away, and with it
    /// the reply that someone may wait for.
    async fn request(&self, request: Request) {
        let _ = self.requests.send(request).await;
    }
}

fn check(config: &Config) -> Result<(), OpenError> {
    let problem = if !is_address(&config.address) {
        format!("the address is {:?}; it must be host:port with a port from 1", config.address)
    } else if config.user == 0 {
        "the user is 0; users are numbered from 1".to_owned()
    } else if !(1..=DEVICE_MAX).contains(&config.device) {
        format!("the device is {}; it must be from 1 to {DEVICE_MAX}", config.device)
    } else if config.agent.len() > AGENT_BYTES_MAX {
        format!("the agent has {} bytes; at most {AGENT_BYTES_MAX} fit", config.agent.len())
    } else if config.agent.chars().any(char::is_control) {
        format!("the agent is {:?}; it may not hold control characters", config.agent)
    } else {
        return check_token(&config.token);
    };
    Err(OpenError::Config(problem))
}

fn check_token(token: &str) -> Result<(), OpenError> {
    if token.len() > TOKEN_BYTES_MAX {
        let bytes = token.len();
        let problem = format!("the token has {bytes} bytes; at most {TOKEN_BYTES_MAX} fit");
        return Err(OpenError::Config(problem));
    }
    Ok(())
}
