//! Full windows, full outboxes, programs that don't listen, disks that fail.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::limits::{EVENTS_WAITING_MAX, OUTBOX_MESSAGES_MAX};
use fulmar_client::store::{MemoryStore, Snapshot, Store, StoreError, Write};
use fulmar_client::{
    BookItem, Client, Conversation, Group, Message, MessageId, Profile, SendError, Star, Target,
    content,
};
use fulmar_protocol::Welcome;
use tokio::time::timeout;

use crate::Home;
use crate::frames::{WELCOME, deliver, tick};
use crate::server::Server;

/// A store that fails at the batch of this number.
struct Failing {
    inside: MemoryStore,
    batches_left: usize,
}

impl Store for Failing {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.inside.load()
    }

    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        self.batches_left = self
            .batches_left
            .checked_sub(1)
            .ok_or_else(|| StoreError::Other("no space left on device".into()))?;
        self.inside.commit(batch)
    }

    fn message(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.inside.message(id)
    }

    fn starred(&mut self, star: Star) -> Result<Option<Message>, StoreError> {
        self.inside.starred(star)
    }

    fn history(
        &mut self,
        target: Target,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.inside.history(target, before, limit)
    }

    fn groups(&mut self) -> Result<Vec<Group>, StoreError> {
        self.inside.groups()
    }

    fn book(&mut self) -> Result<Vec<BookItem>, StoreError> {
        self.inside.book()
    }

    fn profiles(&mut self) -> Result<Vec<Profile>, StoreError> {
        self.inside.profiles()
    }

    fn conversations(&mut self) -> Result<Vec<Conversation>, StoreError> {
        self.inside.conversations()
    }
}

#[tokio::test]
async fn the_server_s_window_holds_sends_back() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    for _ in 0..6 {
        client.send(8, content::TEXT, *b"x").await.unwrap();
    }
    for number in 0..4 {
        peer.expect(&format!("send 8 #{number} x")).await;
    }
    let early = timeout(Duration::from_millis(100), peer.next()).await;
    assert!(early.is_err(), "beyond sends_max: {early:?}");
    peer.say(&[tick(8, peer.base(), 1)]).await;
    peer.expect("send 8 #4 x").await;
    events.until("ticked 1 8 #1").await;
}

#[tokio::test]
async fn a_full_outbox_makes_the_caller_wait_and_a_tick_lets_it_go_on() {
    let (server, home) = (Server::start().await, Home::new());
    let store = Box::new(MemoryStore::new());
    let config = home.config(&server.address);
    let (client, _events) = Client::with_store(config, store).await.unwrap();
    let mut peer = server.login_with(Welcome { sends_max: 1, ..WELCOME }).await.0;
    for _ in 0..OUTBOX_MESSAGES_MAX {
        client.send(8, content::TEXT, *b"x").await.unwrap();
    }
    let refused = client.try_send(8, content::TEXT, *b"y").await;
    assert!(matches!(refused, Err(SendError::OutboxFull { .. })), "{refused:?}");
    let waiting = client.send(8, content::TEXT, *b"y");
    tokio::pin!(waiting);
    let early = timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "the caller has to wait: {early:?}");
    assert_eq!(client.send(0, content::TEXT, *b"z").await, Err(SendError::BadPeer));
    peer.expect("send 8 #0 x").await;
    peer.say(&[tick(8, peer.base(), 1)]).await;
    let id = timeout(crate::server::PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(id, MessageId(OUTBOX_MESSAGES_MAX as i64 + 1));
}

/// The last message stored, once there are some and for a while no more of them.
async fn stored_at_rest(client: &Client) -> i64 {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let history = client.history(8, None, 1).await.unwrap();
        let stored = history.last().map_or(0, |last| last.id.0);
        if stored > 0 && stored == before {
            return stored;
        }
        before = stored;
    }
}

#[tokio::test]
async fn a_program_that_does_not_listen_stops_the_reading_and_loses_nothing() {
    let (server, home) = (Server::start().await, Home::new());
    let store = Box::new(MemoryStore::new());
    let config = home.config(&server.address);
    let (client, mut events) = Client::with_store(config, store).await.unwrap();
    let mut peer = server.login().await;
    let body: Arc<str> = Arc::from("x".repeat(4_000));
    let messages = 4 * EVENTS_WAITING_MAX as u64;
    let text = body.clone();
    let saying = tokio::spawn(async move {
        for position in 1..=messages {
            peer.say(&[deliver(position, 8, position, &text)]).await;
        }
        peer
    });
    let stored = timeout(crate::server::PATIENCE, stored_at_rest(&client)).await.unwrap();
    assert!(stored < messages as i64, "it read on: {stored}");
    assert_eq!(events.next().await.as_ref().map(crate::frames::tell), Some("connected 5".into()));
    for position in 1..=messages {
        let event = timeout(crate::server::PATIENCE, events.next()).await.unwrap().unwrap();
        let line = format!("message @{position} 8 #{position} [4000 bytes]");
        assert_eq!(crate::frames::tell(&event), line);
    }
    let _peer = saying.await.unwrap();
}

#[tokio::test]
async fn a_program_that_wants_no_events_still_receives() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, events) = home.open(&server.address).await;
    drop(events);
    let mut peer = server.login().await;
    peer.say(&[deliver(1, 8, 1, "hi")]).await;
    peer.expect("ack 1").await;
    assert_eq!(client.history(8, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failing_store_ends_the_client_without_an_ack() {
    let (server, home) = (Server::start().await, Home::new());
    let store = Box::new(Failing { inside: MemoryStore::new(), batches_left: 1 });
    let config = home.config(&server.address);
    let (client, events) = Client::with_store(config, store).await.unwrap();
    let mut events = crate::Listener { events };
    let mut peer = server.login().await;
    peer.say(&[deliver(1, 8, 1, "a")]).await;
    peer.expect("ack 1").await;
    peer.say(&[deliver(2, 8, 2, "b")]).await;
    peer.expect("goodbye none").await;
    assert_eq!(peer.next().await, None);
    events.until("store failed: the store failed: no space left on device").await;
    events.end().await;
    assert_eq!(client.send(8, content::TEXT, *b"x").await, Err(SendError::Closed));
    assert_eq!(client.history(8, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_send_that_is_saved_is_answered_in_order_for_many_callers() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, _events) = home.open(&server.address).await;
    let sends: Vec<_> = (0..200)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(8, content::TEXT, *b"x").await.unwrap() })
        })
        .collect();
    let mut ids = Vec::new();
    for send in sends {
        ids.push(send.await.unwrap().0);
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    drop(server);
}
