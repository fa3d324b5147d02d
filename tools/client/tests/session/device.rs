//! A device under test: a session with a store in memory, and what it said to both sides.

use std::sync::Arc;

use fulmar_client::core::{Action, Identity, Input, Now, Session};
use fulmar_client::store::{MemoryStore, Store, StoreError, Write};
use fulmar_client::{Event, MessageId, content};
use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Frames, Welcome};

use crate::frames::{NO_GROUPS, START_MS, WELCOME, describe, tell};

/// Whether the driver's side of the seam answers at once or when the script says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    WhenTold,
}

pub(crate) struct Device {
    pub(crate) session: Session,
    pub(crate) store: MemoryStore,
    pub(crate) now: Now,
    pub(crate) storing: Pace,
    pub(crate) writing: Pace,
    /// The batch that isn't stored yet.
    pub(crate) batch: Option<Vec<Write>>,
    pub(crate) write_under_way: bool,
    pub(crate) connected: bool,
    /// Addresses that were asked for and not opened yet.
    pub(crate) connects: Vec<Option<String>>,
    pub(crate) saved: Vec<MessageId>,
    events: Vec<Event>,
    wire: Vec<u8>,
}

pub(crate) fn identity() -> Identity {
    Identity { user: 7, device: 1, token: b"token".to_vec(), agent: "script".into() }
}

impl Device {
    /// A device with an empty store.
    pub(crate) fn new() -> Self {
        Device::on(MemoryStore::new())
    }

    /// A device that starts on what `store` holds.
    pub(crate) fn on(mut store: MemoryStore) -> Self {
        let snapshot = store.load().unwrap();
        Device {
            session: Session::new(identity(), snapshot, 1),
            store,
            now: Now { elapsed_ms: 0, unix_ms: START_MS },
            storing: Pace::AtOnce,
            writing: Pace::AtOnce,
            batch: None,
            write_under_way: false,
            connected: false,
            connects: Vec::new(),
            saved: Vec::new(),
            events: Vec::new(),
            wire: Vec::new(),
        }
    }

    /// A device that is logged in.
    pub(crate) fn online() -> Self {
        let mut device = Device::new();
        device.login();
        device
    }

    /// Connects and logs in; the hello is not looked at.
    pub(crate) fn login(&mut self) {
        self.welcome(&WELCOME);
    }

    /// Logs in again after a loss; neither its events nor the resumption of groups is looked at.
    pub(crate) fn login_with_resume(&mut self) {
        self.events();
        self.login();
        assert!(self.sent()[0].starts_with("resume [("), "groups are resumed");
    }

    /// Connects and answers the hello with this welcome.
    pub(crate) fn welcome(&mut self, welcome: &Welcome<'_>) {
        self.connect();
        assert!(self.sent()[0].starts_with("hello 7/1 "));
        self.server(&[Frame::Welcome(*welcome)]);
        assert_eq!(self.events(), [format!("connected {}", welcome.session)]);
    }

    /// Waits until the session asks for a connection, and opens it.
    pub(crate) fn connect(&mut self) {
        self.wait_for_connect();
        self.input(Input::Connected);
    }

    /// Waits until the session asks for a connection; the address that it asks for.
    pub(crate) fn wait_for_connect(&mut self) -> Option<String> {
        if self.connects.is_empty() {
            let due = self.session.deadline_ms().expect("a time for the next attempt");
            self.pass(due.saturating_sub(self.now.elapsed_ms));
        }
        self.connected = true;
        self.connects.pop().expect("a connection is asked for")
    }

    /// The connection breaks.
    pub(crate) fn lose(&mut self) {
        self.connected = false;
        self.input(Input::Disconnected("reset by peer"));
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.elapsed_ms += ms;
        self.now.unix_ms += ms;
        self.input(Input::Tick);
    }

    /// The server sends these frames in one piece.
    pub(crate) fn server(&mut self, frames: &[Frame<'_>]) {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        self.input(Input::Received(&bytes));
    }

    /// The server sends these bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.input(Input::Received(bytes));
    }

    /// The person sends a text.
    pub(crate) fn send(&mut self, peer: u64, text: &str) -> MessageId {
        self.send_body(peer, text.as_bytes())
    }

    pub(crate) fn send_body(&mut self, peer: u64, body: &[u8]) -> MessageId {
        let mut actions = Vec::new();
        let body = Arc::from(body);
        let id = self.session.send(self.now, peer, content::TEXT, body, &mut actions).unwrap();
        self.carry_out(actions);
        id
    }

    pub(crate) fn mark_read(&mut self, peer: u64, ordinal: u64) {
        let mut actions = Vec::new();
        self.session.mark_read(self.now, peer, ordinal, &mut actions);
        self.carry_out(actions);
    }

    /// Anything else that a program asks of the session.
    pub(crate) fn ask<T>(
        &mut self,
        request: impl FnOnce(&mut Session, Now, &mut Vec<Action>) -> T,
    ) -> T {
        let mut actions = Vec::new();
        let answer = request(&mut self.session, self.now, &mut actions);
        self.carry_out(actions);
        answer
    }

    pub(crate) fn reconnect(&mut self) {
        let mut actions = Vec::new();
        self.session.reconnect(self.now, &mut actions);
        self.carry_out(actions);
    }

    pub(crate) fn close(&mut self) {
        let mut actions = Vec::new();
        self.session.close(self.now, &mut actions);
        self.carry_out(actions);
    }

    /// The batch under way becomes durable.
    pub(crate) fn stored(&mut self) {
        let batch = self.batch.take().expect("a batch under way");
        self.store.commit(&batch).unwrap();
        self.input(Input::Stored(Ok(())));
    }

    /// The batch under way fails.
    pub(crate) fn store_fails(&mut self) {
        self.batch.take().expect("a batch under way");
        self.input(Input::Stored(Err(StoreError::Damaged("disk full".into()))));
    }

    /// The write under way is done.
    pub(crate) fn written(&mut self) {
        assert!(std::mem::take(&mut self.write_under_way), "a write under way");
        self.input(Input::Transmitted);
    }

    /// The frames that the session sent since the last look, one line each.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        let wire = std::mem::take(&mut self.wire);
        let mut frames = Frames::new(&wire, FRAME_BYTES_MAX);
        let lines = frames
            .by_ref()
            .map(|frame| {
                describe(&Frame::decode(frame.expect("frames")).expect("a frame"), START_MS)
            })
            .filter(|line| line != NO_GROUPS)
            .collect();
        assert!(frames.rest().is_empty(), "half a frame was sent");
        lines
    }

    /// The events since the last look, one line each.
    pub(crate) fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events).iter().map(tell).collect()
    }

    fn input(&mut self, input: Input<'_>) {
        let mut actions = Vec::new();
        self.session.handle(self.now, input, &mut actions);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect { address } => self.connects.push(address),
                Action::Transmit(bytes) => {
                    assert!(self.connected, "bytes without a connection");
                    self.wire.extend(bytes);
                    self.write_under_way = true;
                }
                Action::Close => {
                    self.connected = false;
                    self.write_under_way = false;
                }
                Action::Commit(batch) => {
                    assert!(self.batch.replace(batch).is_none(), "two batches under way");
                }
                Action::Saved(id) => self.saved.push(id),
                Action::Notify(event) => self.events.push(event),
            }
        }
        if self.writing == Pace::AtOnce && self.write_under_way {
            self.written();
        }
        if self.storing == Pace::AtOnce && self.batch.is_some() {
            self.stored();
        }
    }
}
