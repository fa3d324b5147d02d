//! Drives a session with a socket, a store's thread and the clock, as one tokio task.

mod socket;
mod store_thread;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::core::{Action, Input, Now, SendError, Session};
use crate::event::Event;
use crate::group::GroupChange;
use crate::message::{Message, MessageId, Target};
use crate::people::Put;
use crate::store::StoreError;
use socket::{Happened, Socket};

pub(crate) use store_thread::{StoreThread, open};

/// Bytes that one read takes from the socket at most.
const READ_BYTES: usize = 64 * 1024;

/// The answer to a send.
pub(crate) type SendReply = oneshot::Sender<Result<MessageId, SendError>>;

/// What the program asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Send(NewMessage, SendReply),
    /// The same, but a full outbox is an answer and nothing to wait for.
    TrySend(NewMessage, SendReply),
    Resend(Message, SendReply),
    MarkRead {
        peer: u64,
        ordinal: u64,
    },
    MarkGroupRead {
        group: u64,
        position: u64,
    },
    AskGroup {
        group: u64,
        position: u64,
        after: u64,
    },
    LookGroup(u64),
    FillHistory(Option<u64>, u64),
    SetActive(bool),
    Watch(Vec<u64>),
    Unwatch(Vec<u64>),
    Typing(Target, bool),
    FollowBook,
    Put(Put),
    LookAtProfile(u64),
    Find(String),
    SetToken(Vec<u8>),
    Reconnect,
    Close(oneshot::Sender<()>),
}

/// A message that the program wants to send.
#[derive(Debug)]
pub(crate) enum NewMessage {
    ToPeer { peer: u64, content: u8, body: Arc<[u8]> },
    ToGroup { group: u64, content: u8, body: Arc<[u8]> },
    Change { group: u64, change: GroupChange },
}

impl NewMessage {
    /// Whether the session has room for it.
    fn judge(&self, session: &Session) -> Result<(), SendError> {
        match self {
            NewMessage::ToPeer { peer, body, .. } => session.judge(Target::Peer(*peer), body.len()),
            NewMessage::ToGroup { group, body, .. } => {
                session.judge(Target::Group(*group), body.len())
            }
            NewMessage::Change { group, change } => {
                session.judge(Target::Group(*group), change.body().len())
            }
        }
    }
}

/// The task's state.
#[derive(Debug)]
pub(crate) struct Driver {
    session: Session,
    socket: Socket,
    /// The configured address.
    address: String,
    store: StoreThread,
    /// The answer to the batch that is being stored.
    storing: Option<oneshot::Receiver<Result<(), StoreError>>>,
    requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<Event>,
    /// Events that the channel had no room for. While there are any, the socket isn't read.
    events_waiting: VecDeque<Event>,
    /// Who waits for a message to be stored.
    saving: BTreeMap<MessageId, SendReply>,
    /// Sends that wait for room in the outbox, in order; each has a caller that waits.
    blocked: VecDeque<(NewMessage, SendReply)>,
    closing: Vec<oneshot::Sender<()>>,
    started: Instant,
}

impl Driver {
    pub(crate) fn new(
        session: Session,
        address: String,
        store: StoreThread,
        requests: mpsc::Receiver<Request>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Driver {
            session,
            socket: Socket::new(),
            address,
            store,
            storing: None,
            requests,
            events,
            events_waiting: VecDeque::new(),
            saving: BTreeMap::new(),
            blocked: VecDeque::new(),
            closing: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Runs until the program closes the client or drops it, or the store fails.
    pub(crate) async fn run(mut self) {
        let mut buffer = vec![0; READ_BYTES];
        self.input(Input::Tick);
        while !self.session.is_finished() {
            self.step(&mut buffer).await;
            self.retry_blocked();
        }
        self.socket.finished().await;
        // Nobody may be reading any more, and what isn't told now is in the history.
        self.tell_waiting();
        for reply in self.closing.drain(..) {
            let _ = reply.send(());
        }
    }

    /// Waits for one thing to happen and lets the session answer it.
    async fn step(&mut self, buffer: &mut [u8]) {
        let due = self.session.deadline_ms().map(|ms| self.started + Duration::from_millis(ms));
        let reads = self.session.wants_bytes() && self.events_waiting.is_empty();
        tokio::select! {
            request = self.requests.recv() => match request {
                Some(request) => self.request(request),
                None => self.close(),
            },
            result = answer(&mut self.storing) => {
                self.storing = None;
                self.input(Input::Stored(result));
            }
            happened = self.socket.next(reads, buffer) => match happened {
                Happened::Opened => self.input(Input::Connected),
                Happened::Written => self.input(Input::Transmitted),
                Happened::Read(bytes) => self.input(Input::Received(&buffer[..bytes])),
                Happened::Lost(detail) => self.input(Input::Disconnected(&detail)),
            },
            () = time(due) => self.input(Input::Tick),
            () = room(&self.events), if !self.events_waiting.is_empty() => self.tell_waiting(),
        }
    }

    fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            elapsed_ms: self.started.elapsed().as_millis() as u64,
            unix_ms: since_epoch.as_millis() as u64,
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let mut actions = Vec::new();
        let now = self.now();
        self.session.handle(now, input, &mut actions);
        self.carry_out(actions);
    }

    fn request(&mut self, request: Request) {
        let mut actions = Vec::new();
        let now = self.now();
        match request {
            Request::Send(message, reply) => {
                // Behind those that wait already; what can never be sent needs no place there.
                match message.judge(&self.session) {
                    Ok(()) | Err(SendError::OutboxFull { .. }) => {
                        self.blocked.push_back((message, reply));
                    }
                    Err(error) => _ = reply.send(Err(error)),
                }
            }
            Request::TrySend(message, reply) => self.send(message, reply),
            Request::Resend(message, reply) => {
                match self.session.resend(now, &message, &mut actions) {
                    Ok(()) => _ = self.saving.insert(message.id, reply),
                    Err(error) => _ = reply.send(Err(error)),
                }
            }
            Request::MarkRead { peer, ordinal } => {
                self.session.mark_read(now, peer, ordinal, &mut actions);
            }
            Request::MarkGroupRead { group, position } => {
                self.session.mark_group_read(now, group, position, &mut actions);
            }
            Request::AskGroup { group, position, after } => {
                self.session.ask_group(now, group, position, after, &mut actions);
            }
            Request::LookGroup(group) => self.session.look_group(now, group, &mut actions),
            Request::FillHistory(group, entries) => {
                self.session.fill_history(now, group, entries, &mut actions);
            }
            Request::SetActive(is_active) => {
                self.session.set_active(now, is_active, &mut actions);
            }
            Request::Watch(users) => self.session.watch(now, &users, &mut actions),
            Request::Unwatch(users) => self.session.unwatch(now, &users, &mut actions),
            Request::Typing(target, is_typing) => {
                self.session.typing(now, target, is_typing, &mut actions);
            }
            Request::FollowBook => self.session.follow_book(now, &mut actions),
            Request::Put(put) => self.session.put(now, put, &mut actions),
            Request::LookAtProfile(user) => {
                self.session.look_at_profile(now, user, &mut actions);
            }
            Request::Find(name) => self.session.find(now, &name, &mut actions),
            Request::SetToken(token) => self.session.set_token(token),
            Request::Reconnect => self.session.reconnect(now, &mut actions),
            Request::Close(reply) => {
                self.closing.push(reply);
                self.close();
            }
        }
        self.carry_out(actions);
    }

    fn close(&mut self) {
        self.requests.close();
        let mut actions = Vec::new();
        let now = self.now();
        self.session.close(now, &mut actions);
        self.carry_out(actions);
    }

    /// Takes waiting sends while the outbox has room. Those whose caller is gone fall away.
    fn retry_blocked(&mut self) {
        self.blocked.retain(|(_, reply)| !reply.is_closed());
        while let Some((message, _)) = self.blocked.front() {
            let room = message.judge(&self.session);
            if matches!(room, Err(SendError::OutboxFull { .. })) {
                return;
            }
            if let Some((message, reply)) = self.blocked.pop_front() {
                self.send(message, reply);
            }
        }
    }

    fn send(&mut self, message: NewMessage, reply: SendReply) {
        let mut actions = Vec::new();
        let now = self.now();
        let session = &mut self.session;
        let taken = match message {
            NewMessage::ToPeer { peer, content, body } => {
                session.send(now, peer, content, body, &mut actions)
            }
            NewMessage::ToGroup { group, content, body } => {
                session.send_to_group(now, group, content, body, &mut actions)
            }
            NewMessage::Change { group, change } => {
                session.change_group(now, group, &change, &mut actions)
            }
        };
        match taken {
            Ok(id) => _ = self.saving.insert(id, reply),
            Err(error) => _ = reply.send(Err(error)),
        }
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect { address } => {
                    self.socket.open(address.unwrap_or_else(|| self.address.clone()));
                }
                Action::Transmit(bytes) => self.socket.write(bytes),
                Action::Close => self.socket.close(),
                Action::Commit(batch) => self.storing = Some(self.store.commit(batch)),
                Action::Saved(id) => {
                    if let Some(reply) = self.saving.remove(&id) {
                        let _ = reply.send(Ok(id));
                    }
                }
                Action::Notify(event) => self.notify(event),
            }
        }
    }

    fn notify(&mut self, event: Event) {
        self.events_waiting.push_back(event);
        self.tell_waiting();
    }

    /// Gives the program the events that it has room for. A program that dropped its end doesn't
    /// want any.
    fn tell_waiting(&mut self) {
        while let Some(event) = self.events_waiting.pop_front() {
            if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                self.events_waiting.push_front(event);
                return;
            }
        }
    }
}

/// The store's answer to the batch under way, if there is one.
async fn answer(
    storing: &mut Option<oneshot::Receiver<Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    match storing {
        Some(answer) => answer.await.unwrap_or_else(|_| Err(store_thread::gone())),
        None => std::future::pending().await,
    }
}

/// Waits until the program has room for an event, or wants none.
async fn room(events: &mpsc::Sender<Event>) {
    let _ = events.reserve().await;
}

async fn time(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
