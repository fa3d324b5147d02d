//! What users set for themselves: their books, on each user's home core.
//!
//! ```text
//! PUT ──► the book, loaded if it isn't here ──► judge, set ──► one record, with this turn's writes
//! ITEM to all devices that follow ◄───────────────────────── stored
//! ```
//!
//! A book is one record, which is rewritten once in a turn at most. A device follows it with a cursor, as it
//! follows a log; but of the versions that were overtaken nothing is kept.

mod book;
mod letter;
mod names;
mod naming;
mod profile;
mod rules;
mod session;
mod ties;
mod watchers;

use std::collections::VecDeque;

use bytes::Bytes;
use fulmar_protocol::Code;
use hashbrown::HashMap;

use super::group::Asker;
use super::inbox::Stage;
use super::seam::{ConnId, CoreId, Key, Load, Ticket, UserId, Write};
use super::{Answer, Effects, Shard};
use crate::faults::{Fault, is_planted};
use crate::limits::{BOOK_WAITING_MAX, BOOKS_WARM_BYTES_MAX, WARM_MS};

pub use book::{Book, Item, Wish};
pub use letter::{May, PeopleLetter};
pub use names::NameRecord;
pub(super) use names::Names;
#[cfg(test)]
pub(super) use names::hash as hash_of;
pub(super) use naming::Naming;
pub(super) use ties::Ticked;
pub(super) use watchers::{Question, Questions};

use book::Page;
use letter::Addressed;

/// Something that needs a user's book in memory.
#[derive(Debug)]
pub(super) enum Want {
    /// Set an item, for this connection.
    Put { conn: ConnId, wish: Wish },
    /// Tell this connection what follows a version.
    Resume { conn: ConnId, version: u64 },
    /// Show the profile, if it isn't the one that the asker knows.
    Look { asker: Asker, known: u64 },
    /// Begin with the username that the user wants.
    Name,
    /// The name's home said whether the user may have it.
    Named { refusal: Option<Code> },
    /// Say whether this is the username.
    IsYours { name: Bytes, core: CoreId },
    /// Say who this is, if the name is right and the asker may know.
    Resolve { name: Bytes, asker: Asker, question: u64 },
}

impl Want {
    /// Whether it waits for a book for which [`BOOK_WAITING_MAX`] wait already. Wants about the user's own name are
    /// one of a user. Questions for it are bounded by what their askers may have open; and an answer that the book is
    /// crowded would tell that there is somebody of that name, who may be hidden.
    const fn finds_room(&self) -> bool {
        matches!(self, Want::Name | Want::Named { .. } | Want::Resolve { .. })
    }
}

/// What is said once a ticket is stored.
#[derive(Debug)]
pub(super) enum Reply {
    /// An item is so, to the connection that put it; if it is new, also to the others that follow.
    Item { user: UserId, conn: ConnId, item: Item, is_new: bool },
    /// A page, to the connection that asked.
    Page { conn: ConnId, page: Page },
    /// A letter.
    Post { letter: Addressed },
    /// That the user wrote to the peer is noted, so its first messages to it are ticked.
    Wrote { user: UserId, peer: UserId },
    /// The user's name is stored; the one before is free.
    Named { user: UserId, released: Option<Bytes> },
    /// A record of so many bytes is no longer held for storage.
    Written { bytes: usize },
}

/// What a session is told of its user's book.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// The version up to which it was told everything.
    reached: u64,
    /// Each further item moves that.
    is_even: bool,
    /// It goes through the book from its beginning; the newest version when it began.
    begun: Option<u64>,
    /// The newest version that could not be told since its output was full, or was not since another one
    /// before it could not. A page may have brought it meanwhile.
    missed: u64,
}

impl Following {
    /// Whether it lacks something that it was not told. It is told no changes until it asks again.
    const fn has_missed(&self) -> bool {
        self.missed > self.reached
    }
}

/// A book in memory.
#[derive(Debug)]
struct Warm {
    book: Book,
    stage: Stage,
    /// In the order in which they came.
    waiting: Vec<Want>,
    /// In the list of those that are stored with this turn's writes.
    is_queued: bool,
    /// Ticket of the last write.
    last_ticket: Ticket,
    /// When it was last used, on the monotonic clock.
    used_ms: u64,
    /// What it counts in [`Books::bytes`].
    bytes: usize,
}

impl Warm {
    fn is_unused(&self, stored: Ticket) -> bool {
        self.stage == Stage::Ready && !self.is_queued && self.last_ticket <= stored
    }
}

/// The books of one core.
#[derive(Debug, Default)]
pub(super) struct Books {
    by_user: HashMap<UserId, Box<Warm>>,
    /// Everyone in `by_user`, once each; those at the front are looked at first for being unused.
    order: VecDeque<UserId>,
    /// Memory that they take.
    pub(super) bytes: usize,
    /// Those to store with this turn's writes, and what each counts for that.
    writes: Vec<(UserId, usize)>,
}

impl Books {
    /// Whether this turn stores any.
    pub(super) const fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// A book that is in memory.
    fn book(&self, user: UserId) -> Option<&Book> {
        let warm = self.by_user.get(&user)?;
        (warm.stage == Stage::Ready).then_some(&warm.book)
    }

    /// Counts what a book takes now.
    fn count(&mut self, user: UserId) {
        if let Some(warm) = self.by_user.get_mut(&user) {
            let bytes = size_of::<Warm>() + warm.book.held_bytes();
            self.bytes = self.bytes - warm.bytes + bytes;
            warm.bytes = bytes;
        }
    }

    fn sweep(&mut self, slots: usize, now_ms: u64, stored: Ticket) -> u64 {
        let mut evictions = 0;
        for _ in 0..slots.min(self.order.len()) {
            let Some(user) = self.order.pop_front() else { break };
            let Some(warm) = self.by_user.get(&user) else { continue };
            let is_old = now_ms.saturating_sub(warm.used_ms) >= WARM_MS;
            if (is_old || self.bytes > BOOKS_WARM_BYTES_MAX) && warm.is_unused(stored) {
                self.bytes -= warm.bytes;
                self.by_user.remove(&user);
                evictions += 1;
            } else {
                self.order.push_back(user);
            }
        }
        evictions
    }
}

impl Shard {
    /// Does something with a user's book now, or once it is loaded.
    fn with_book(&mut self, user: UserId, want: Want, fx: &mut Effects) {
        debug_assert!(self.is_home_of(user));
        let now_ms = self.now.mono_ms;
        if let Some(warm) = self.books.by_user.get_mut(&user) {
            warm.used_ms = now_ms;
            match warm.stage {
                Stage::Ready => self.do_with_book(user, want, fx),
                Stage::Loading if warm.waiting.len() < BOOK_WAITING_MAX || want.finds_room() => {
                    warm.waiting.push(want);
                }
                Stage::Loading => self.refuse_want(user, want, fx),
            }
            return;
        }
        if self.books.bytes > BOOKS_WARM_BYTES_MAX {
            self.sweep.grown.books += 1;
        }
        let warm = Warm {
            book: Book::default(),
            stage: Stage::Loading,
            waiting: vec![want],
            is_queued: false,
            last_ticket: 0,
            used_ms: now_ms,
            bytes: 0,
        };
        self.books.by_user.insert(user, Box::new(warm));
        self.books.order.push_back(user);
        self.counters.hydrations += 1;
        fx.loads.push(Load::Book { user });
    }

    /// A book has been read.
    pub(super) fn book_loaded(&mut self, user: UserId, record: Option<&[u8]>, fx: &mut Effects) {
        let Some(warm) = self.books.by_user.get_mut(&user) else { return };
        // A damaged record must not be taken for an empty one: versions would repeat.
        let book = record.map_or(Ok(Book::default()), Book::decode);
        warm.book = book.unwrap_or_else(|error| panic!("book of {user}: {error}"));
        warm.stage = Stage::Ready;
        let waiting = std::mem::take(&mut warm.waiting);
        self.books.count(user);
        for want in waiting {
            self.do_with_book(user, want, fx);
        }
    }

    fn do_with_book(&mut self, user: UserId, want: Want, fx: &mut Effects) {
        match want {
            Want::Put { conn, wish } => self.begin_put(user, conn, wish, fx),
            Want::Resume { conn, version } => self.page_book(user, conn, version, fx),
            Want::Look { asker, known } => self.show_profile(user, asker, known, fx),
            Want::Name => self.begin_naming(user, fx),
            Want::Named { refusal } => self.named(user, refusal, fx),
            Want::IsYours { name, core } => {
                let is_yours = self.has_name(user, &name);
                self.answer_is_yours(user, name, is_yours, core, fx);
            }
            Want::Resolve { name, asker, question } => {
                self.resolve(user, &name, asker, question, fx);
            }
        }
    }

    /// Has a book stored with this turn's writes. Until they are stored, its record counts among what is held
    /// for storage.
    fn queue_book_write(&mut self, user: UserId) {
        self.books.count(user);
        let Some(warm) = self.books.by_user.get_mut(&user) else { return };
        warm.last_ticket = self.ticket;
        if !std::mem::replace(&mut warm.is_queued, true) {
            let bytes = warm.book.bytes_max();
            self.sends_bytes += bytes;
            self.books.writes.push((user, bytes));
        }
    }

    pub(super) fn write_books(&mut self, fx: &mut Effects) {
        while let Some((user, bytes)) = self.books.writes.pop() {
            let Some(warm) = self.books.by_user.get_mut(&user) else { continue };
            warm.is_queued = false;
            let book = &warm.book;
            let value = self.arena.value(book.bytes_max(), |block| book.encode(block));
            if !is_planted(Fault::BookNotStored) {
                fx.writes.push(Write::Put { key: Key::Book { user }, value });
            }
            self.answer_when_stored(None, Answer::People(Box::new(Reply::Written { bytes })), fx);
        }
    }

    /// Lets go of books that are stored and unused.
    pub(super) fn sweep_books(&mut self, slots: usize) {
        self.counters.evictions += self.books.sweep(slots, self.now.mono_ms, self.stored);
    }
}
