//! The user's book, the profiles of others, and usernames.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fulmar_protocol::people::{Found, Item, Profile as Shown, PutRejected};
use fulmar_protocol::{Code, Frame};

use super::io::{Action, Now};
use super::ledger::Effect;
use super::output::Output;
use super::session::Session;
use super::violation::Violation;
use crate::event::Event;
use crate::limits::{NUMBER_MAX, PROFILES_MAX, PUTS_IN_FLIGHT_MAX, PUTS_MAX, QUESTIONS_MAX};
use crate::people::{Profile, Put};
use crate::store::Write;

type Key = (u8, Vec<u8>);

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The program wants the book.
    follows: bool,
    /// Up to which version the store has it.
    cursor: u64,
    /// Each further item moves the cursor on this connection.
    is_even: bool,
    /// A page is to be asked for.
    resume_due: bool,
    /// What the program set and the server didn't answer yet: the last value of each item.
    wishes: BTreeMap<Key, Vec<u8>>,
    /// Items that this connection was told and that have no answer, with what it was told.
    in_flight: BTreeMap<Key, Vec<u8>>,
    /// Those that it wasn't told, or not the last value of.
    puts_due: BTreeSet<Key>,
    /// The versions of the profiles in the store.
    profiles: BTreeMap<u64, u64>,
    looks_due: VecDeque<u64>,
    finds_due: VecDeque<Vec<u8>>,
}

impl Book {
    pub(super) fn new(cursor: u64, wishes: Vec<Put>, profiles: &[Profile]) -> Self {
        let wish = |put: Put| ((put.item, put.key), put.value);
        Book {
            cursor,
            // What a damaged store brings may not fit into a frame.
            wishes: wishes.into_iter().filter(Put::fits).map(wish).collect(),
            profiles: profiles.iter().map(|known| (known.user, known.version)).collect(),
            ..Book::default()
        }
    }

    /// A connection begins.
    pub(super) fn begin(&mut self) {
        self.reset();
        self.resume_due = self.follows;
        self.puts_due = self.wishes.keys().cloned().collect();
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.is_even = false;
        self.resume_due = false;
        self.in_flight.clear();
        self.puts_due.clear();
        self.looks_due.clear();
        self.finds_due.clear();
    }

    pub(super) fn fill(&mut self, output: &mut Output) {
        if !output.has_room() {
            return;
        }
        if std::mem::take(&mut self.resume_due) {
            output.push(&Frame::BookResume { version: self.cursor });
        }
        while output.has_room()
            && self.in_flight.len() < PUTS_IN_FLIGHT_MAX
            && let Some(key) = self.next_put()
        {
            self.puts_due.remove(&key);
            let Some(value) = self.wishes.get(&key) else { continue };
            output.push(&Frame::Put { item: key.0, key: &key.1, value });
            self.in_flight.insert(key, value.clone());
        }
        while output.has_room()
            && let Some(user) = self.looks_due.pop_front()
        {
            let version = self.profiles.get(&user).copied().unwrap_or(0);
            output.push(&Frame::ProfileLook { user, version });
        }
        while output.has_room()
            && let Some(name) = self.finds_due.pop_front()
        {
            output.push(&Frame::Find { name: &name });
        }
    }

    /// An item that is to be told. What is under way has to be answered first.
    fn next_put(&self) -> Option<Key> {
        self.puts_due.iter().find(|key| !self.in_flight.contains_key(key)).cloned()
    }

    /// The server says what an item is, or without a value that it didn't take it; whether that answers what
    /// the program set last.
    fn answered(&mut self, key: &Key, value: Option<&[u8]>) -> bool {
        // Otherwise it is another device's change.
        let is_answer = |sent: &Vec<u8>| value.is_none_or(|value| value == sent);
        if !self.in_flight.get(key).is_some_and(is_answer) {
            return false;
        }
        let Some(sent) = self.in_flight.remove(key) else { return false };
        let is_last = self.wishes.get(key) == Some(&sent);
        if is_last {
            self.wishes.remove(key);
        }
        is_last
    }
}

impl Session {
    /// Follows the user's book from now on, on every connection.
    pub fn follow_book(&mut self, now: Now, actions: &mut Vec<Action>) {
        if !self.book.follows {
            self.book.follows = true;
            self.book.resume_due = self.is_online();
            self.pump(now, actions);
        }
    }

    /// Sets an item of the user's book. It is repeated until the server answers.
    pub fn put(&mut self, now: Now, put: Put, actions: &mut Vec<Action>) {
        let Put { item, key, value } = put;
        let fits = Put { item, key: key.clone(), value: value.clone() }.fits();
        let book = &mut self.book;
        let place = (item, key);
        if !fits || (book.wishes.len() >= PUTS_MAX && !book.wishes.contains_key(&place)) {
            let code = if fits { Code::BookFull } else { Code::BadItem };
            let (item, key) = place;
            let event = Event::PutRejected { item, key, code, retry_after_ms: 0 };
            actions.push(Action::Notify(event));
            return;
        }
        let (item, key) = place.clone();
        self.ledger.write(Write::Wish { item, key, value: Some(value.clone()) });
        book.wishes.insert(place.clone(), value);
        if self.is_online() {
            self.book.puts_due.insert(place);
        }
        self.pump(now, actions);
    }

    /// How many items wait for an answer of the server.
    #[must_use]
    pub fn unanswered_puts(&self) -> usize {
        self.book.wishes.len()
    }

    /// Asks for somebody's profile. Without a connection the question falls away.
    pub fn look_at_profile(&mut self, now: Now, user: u64, actions: &mut Vec<Action>) {
        self.want_profile(user);
        self.pump(now, actions);
    }

    /// Asks who has a username. Without a connection the question falls away.
    pub fn find(&mut self, now: Now, name: &str, actions: &mut Vec<Action>) {
        let has_room = self.book.finds_due.len() < QUESTIONS_MAX;
        let fits = name.len() <= fulmar_protocol::limits::NAME_BYTES_MAX;
        if self.is_online() && has_room && fits {
            self.book.finds_due.push_back(name.as_bytes().to_vec());
            self.pump(now, actions);
        }
    }

    fn want_profile(&mut self, user: u64) {
        let due = &self.book.looks_due;
        if self.is_online() && !due.contains(&user) && due.len() < PROFILES_MAX {
            self.book.looks_due.push_back(user);
        }
    }

    /// A frame about people; `None` for any other.
    pub(super) fn on_people_frame(
        &mut self,
        frame: &Frame<'_>,
        actions: &mut Vec<Action>,
    ) -> Option<Result<(), Violation>> {
        match *frame {
            Frame::Item(ref item) => self.on_item(item),
            Frame::PutRejected(ref rejected) => self.on_put_rejected(rejected),
            Frame::Book { version, head, reset } => {
                self.on_book(version.min(NUMBER_MAX), head.min(NUMBER_MAX), reset);
            }
            Frame::Profile(ref shown) => self.on_profile(shown),
            Frame::ProfileNews { user, version } => {
                if self.book.profiles.get(&user) != Some(&version) {
                    self.want_profile(user);
                }
            }
            Frame::Found(Found { name, user, code, retry_after_ms }) => {
                let name = String::from_utf8_lossy(name).into_owned();
                let found = (code == Code::None).then_some(user).filter(|user| *user > 0);
                let event = Event::Found { name, user: found, code, retry_after_ms };
                actions.push(Action::Notify(event));
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn on_item(&mut self, item: &Item<'_>) {
        let Item { version, item, key, value } = *item;
        let version = version.min(NUMBER_MAX);
        let place = (item, key.to_vec());
        if self.book.answered(&place, Some(value)) {
            self.ledger.write(Write::Wish { item, key: key.to_vec(), value: None });
        }
        let (key, value) = (key.to_vec(), value.to_vec());
        self.ledger.write(Write::Item { item, key: key.clone(), version, value: value.clone() });
        if self.book.is_even && version > self.book.cursor {
            self.book.cursor = version;
            self.ledger.write(Write::BookCursor(version));
        }
        self.ledger.then(Effect::Notify(Event::Item { item, key, value }));
    }

    fn on_put_rejected(&mut self, rejected: &PutRejected<'_>) {
        let PutRejected { item, key, code, retry_after_ms } = *rejected;
        let key = key.to_vec();
        if self.book.answered(&(item, key.clone()), None) {
            self.ledger.write(Write::Wish { item, key: key.clone(), value: None });
        }
        // Not without a write, or it would wait for the next one.
        self.ledger.write(Write::BookCursor(self.book.cursor));
        self.ledger.then(Effect::Notify(Event::PutRejected { item, key, code, retry_after_ms }));
    }

    fn on_book(&mut self, version: u64, head: u64, reset: bool) {
        let book = &mut self.book;
        if reset {
            book.cursor = 0;
            book.is_even = false;
            book.resume_due = book.follows;
            self.ledger.write(Write::BookForgotten);
            return;
        }
        book.cursor = version;
        book.is_even = version >= head;
        book.resume_due = book.follows && !book.is_even;
        let is_whole = book.is_even;
        self.ledger.write(Write::BookCursor(version));
        if is_whole {
            self.ledger.then(Effect::Notify(Event::BookComplete));
        }
    }

    fn on_profile(&mut self, shown: &Shown<'_>) {
        let Shown { user, version, name, status, avatar } = *shown;
        let version = version.min(NUMBER_MAX);
        if version > 0 && self.book.profiles.get(&user) == Some(&version) {
            // The rest isn't told again.
            return;
        }
        self.book.profiles.insert(user, version);
        let profile = Profile {
            user,
            version,
            name: name.into(),
            status: status.into(),
            avatar: avatar.into(),
        };
        self.ledger.write(Write::Profile(profile.clone()));
        self.ledger.then(Effect::Notify(Event::Profile(profile)));
    }
}
