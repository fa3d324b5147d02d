//! The client's core under any course of events: a server that may say anything, a store and a
//! socket that take their time, a person, and the end of the process at any moment.
//!
//! What the session asks for is judged by what was said and stored ([`watch`]).

mod groups;
mod people;
mod steps;
mod watch;

use std::sync::Arc;

use fulmar_client::core::{Action, Identity, Input, Now, Session};
use fulmar_client::store::{MemoryStore, Store, StoreError, Write};
use fulmar_client::{Event, GroupChange, Message, State, Target, content};

use crate::script::Script;
use watch::Watch;

pub(crate) use steps::Step;

/// Steps of a script that are looked at.
const STEPS_MAX: usize = 200;
/// When the wall clock begins, in Unix milliseconds.
const START_MS: u64 = 1_700_000_000_000;

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    None,
    /// It was asked for and isn't open yet.
    Asked,
    /// It is open; a write may be under way.
    Open {
        is_writing: bool,
    },
}

/// A device and its surroundings.
#[allow(clippy::struct_excessive_bools)] // independent facts about the surroundings
struct Course {
    session: Session,
    store: MemoryStore,
    now: Now,
    /// The batch that isn't stored yet.
    batch: Option<Vec<Write>>,
    link: Link,
    /// The store failed, or the program closed the client.
    is_over: bool,
    watch: Watch,
}

/// See the module's description.
pub fn session(data: &[u8]) {
    let mut script = Script::new(data);
    let mut course = Course::new(u64::from(script.byte()));
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        course.step(&mut script);
    }
}

fn identity() -> Identity {
    Identity { user: 7, device: 1, token: b"token".to_vec(), agent: "fuzz".into() }
}

impl Course {
    fn new(seed: u64) -> Self {
        let mut store = MemoryStore::new();
        let snapshot = store.load().expect("an empty store");
        Course {
            session: Session::new(identity(), snapshot, seed),
            store,
            now: Now { elapsed_ms: 0, unix_ms: START_MS },
            batch: None,
            link: Link::None,
            is_over: false,
            watch: Watch::default(),
        }
    }

    /// The process ends and begins again, after the batch under way was stored, or before.
    fn crash(&mut self, is_stored: bool, seed: u64) {
        if let Some(batch) = self.batch.take()
            && is_stored
        {
            self.commit(&batch);
        }
        let snapshot = self.store.load().expect("a store");
        assert_eq!(snapshot.cursor, self.watch.cursor());
        self.session = Session::new(identity(), snapshot, seed);
        self.link = Link::None;
        self.is_over = false;
        self.watch.begin_again();
    }

    const fn is_open(&self) -> bool {
        matches!(self.link, Link::Open { .. })
    }

    fn commit(&mut self, batch: &[Write]) {
        self.store.commit(batch).expect("a batch that fits the store");
        self.watch.stored(batch);
    }

    fn input(&mut self, input: Input<'_>) {
        let mut actions = Vec::new();
        self.session.handle(self.now, input, &mut actions);
        self.carry_out(actions);
    }

    /// Bytes from the server, if the session reads.
    fn receive(&mut self, bytes: &[u8]) {
        if self.is_open() && self.session.wants_bytes() {
            self.watch.received(bytes);
            self.input(Input::Received(bytes));
        }
    }

    fn stored(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.commit(&batch);
            self.input(Input::Stored(Ok(())));
        }
    }

    fn store_fails(&mut self) {
        if self.batch.take().is_some() {
            self.is_over = true;
            self.input(Input::Stored(Err(StoreError::Damaged("the disk is full".into()))));
        }
    }

    fn send(&mut self, peer: u64, body: Vec<u8>) {
        let mut actions = Vec::new();
        let body = Arc::from(body);
        let sent = self.session.send(self.now, peer, content::TEXT, body, &mut actions);
        assert!(sent.is_err() || (peer != 0 && !self.is_over));
        self.carry_out(actions);
    }

    /// Writes to a group.
    fn send_to_group(&mut self, group: u64, body: Vec<u8>) {
        let mut actions = Vec::new();
        let body = Arc::from(body);
        let sent = self.session.send_to_group(self.now, group, content::TEXT, body, &mut actions);
        assert!(sent.is_err() || (group != 0 && !self.is_over));
        self.carry_out(actions);
    }

    /// Changes a group, or makes one.
    fn change_group(&mut self, group: u64, change: &GroupChange) {
        let mut actions = Vec::new();
        let sent = self.session.change_group(self.now, group, change, &mut actions);
        assert!(sent.is_err() || !self.is_over);
        self.carry_out(actions);
    }

    /// Sends a rejected message of a peer or group again.
    fn resend(&mut self, target: Target) {
        let history = self.store.history(target, None, 16).expect("a history");
        let rejected = |message: &&Message| matches!(message.state, State::Rejected(_));
        let Some(message) = history.iter().find(rejected) else { return };
        let mut actions = Vec::new();
        // It may be waiting again already, of which the store doesn't know yet.
        let _ = self.session.resend(self.now, message, &mut actions);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect { .. } => {
                    assert!(!self.is_over && self.link == Link::None);
                    self.link = Link::Asked;
                }
                Action::Transmit(bytes) => {
                    let Link::Open { is_writing } = self.link else {
                        panic!("bytes without a connection");
                    };
                    self.watch.transmitted(&bytes, is_writing);
                    self.link = Link::Open { is_writing: true };
                }
                Action::Close => {
                    assert_ne!(self.link, Link::None, "nothing to close");
                    self.link = Link::None;
                    self.watch.disconnected();
                }
                Action::Commit(batch) => {
                    assert!(!batch.is_empty());
                    assert!(self.batch.replace(batch).is_none(), "two batches under way");
                }
                Action::Saved(id) => self.watch.saved(id),
                Action::Notify(event) => self.tell(&event),
            }
        }
        self.check_deadline();
    }

    fn tell(&mut self, event: &Event) {
        self.watch.told(event);
        if let Event::Message(message) | Event::OwnCopy(message) | Event::GroupMessage(message) =
            event
        {
            let kept = self.store.message(message.id).expect("a store");
            // What was over when it came is told and gone.
            let is_over = message.changes.expires_ms.is_some_and(|at| at <= self.now.unix_ms);
            // What changes it may have come in the same batch.
            let changes = message.changes.clone();
            let kept = kept.map(|kept| Message { changes, ..kept });
            let is_kept = kept.as_ref().map_or(is_over, |kept| kept == message);
            assert!(is_kept, "{message:?} is told, and stored is {kept:?}");
        }
    }

    /// Whoever drives the session learns when it must be called again.
    fn check_deadline(&self) {
        if self.link == Link::Asked {
            assert!(self.session.deadline_ms().is_some(), "a connect takes no more than its time");
        }
        assert!(!self.session.is_online() || self.is_open());
        assert!(!self.is_over || !self.session.is_online());
    }
}
