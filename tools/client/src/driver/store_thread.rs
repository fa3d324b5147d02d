//! The thread that works on the store: a commit waits for the disk, and nothing else should.

use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::group::Group;
use crate::message::{Conversation, Message, MessageId, Target};
use crate::people::{BookItem, Profile, Star};
use crate::store::{Snapshot, Store, StoreError, Write};

/// What the thread is asked. Each request has someone who waits for its answer, so the queue is as
/// long as there are callers.
enum Request {
    Commit(Vec<Write>, Reply<()>),
    Message(MessageId, Reply<Option<Message>>),
    Starred(Star, Reply<Option<Message>>),
    History(Target, Option<MessageId>, usize, Reply<Vec<Message>>),
    Conversations(Reply<Vec<Conversation>>),
    Groups(Reply<Vec<Group>>),
    Book(Reply<Vec<BookItem>>),
    Profiles(Reply<Vec<Profile>>),
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The way to the thread, which ends when the last of these is gone.
#[derive(Debug, Clone)]
pub(crate) struct StoreThread {
    requests: mpsc::Sender<Request>,
}

/// The thread ended, which only a panic in the store can bring about.
pub(super) fn gone() -> StoreError {
    StoreError::Other("the store's thread has ended".into())
}

/// Starts the thread, in which `opener` opens the store; the way to it and what the store holds.
pub(crate) async fn open<F>(opener: F) -> Result<(StoreThread, Snapshot), StoreError>
where
    F: FnOnce() -> Result<Box<dyn Store>, StoreError> + Send + 'static,
{
    let (requests, inbox) = mpsc::channel();
    let (reply, opened) = oneshot::channel();
    let work = move || match opener().and_then(|mut store| Ok((store.load()?, store))) {
        Ok((snapshot, store)) => {
            if reply.send(Ok(snapshot)).is_ok() {
                serve(store, &inbox);
            }
        }
        Err(error) => _ = reply.send(Err(error)),
    };
    thread::Builder::new()
        .name("fulmar-store".into())
        .spawn(work)
        .map_err(|error| StoreError::Other(Box::new(error)))?;
    let snapshot = opened.await.unwrap_or_else(|_| Err(gone()))?;
    Ok((StoreThread { requests }, snapshot))
}

fn serve(mut store: Box<dyn Store>, inbox: &mpsc::Receiver<Request>) {
    // A caller that no longer waits doesn't need its answer.
    for request in inbox {
        match request {
            Request::Commit(batch, reply) => _ = reply.send(store.commit(&batch)),
            Request::Message(id, reply) => _ = reply.send(store.message(id)),
            Request::Starred(star, reply) => _ = reply.send(store.starred(star)),
            Request::History(target, before, limit, reply) => {
                let _ = reply.send(store.history(target, before, limit));
            }
            Request::Conversations(reply) => _ = reply.send(store.conversations()),
            Request::Groups(reply) => _ = reply.send(store.groups()),
            Request::Book(reply) => _ = reply.send(store.book()),
            Request::Profiles(reply) => _ = reply.send(store.profiles()),
        }
    }
}

impl StoreThread {
    /// Starts to store a batch.
    pub(super) fn commit(&self, batch: Vec<Write>) -> oneshot::Receiver<Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        // A lost request drops its reply, which the receiver notices.
        let _ = self.requests.send(Request::Commit(batch, reply));
        answer
    }

    pub(crate) async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.ask(|reply| Request::Message(id, reply)).await
    }

    pub(crate) async fn starred(&self, star: Star) -> Result<Option<Message>, StoreError> {
        self.ask(|reply| Request::Starred(star, reply)).await
    }

    pub(crate) async fn history(
        &self,
        target: Target,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.ask(|reply| Request::History(target, before, limit, reply)).await
    }

    pub(crate) async fn conversations(&self) -> Result<Vec<Conversation>, StoreError> {
        self.ask(Request::Conversations).await
    }

    pub(crate) async fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.ask(Request::Groups).await
    }

    pub(crate) async fn book(&self) -> Result<Vec<BookItem>, StoreError> {
        self.ask(Request::Book).await
    }

    pub(crate) async fn profiles(&self) -> Result<Vec<Profile>, StoreError> {
        self.ask(Request::Profiles).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.requests.send(request(reply));
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}
