//! The book as a session sees it: what it puts, and what it is told.

use bytes::Bytes;
use fulmar_protocol::people::{self, PutRejected, item};
use fulmar_protocol::{Code, Frame};

use super::super::conversation::Action;
use super::super::counters::count;
use super::super::seam::{ConnId, LogId, UserId};
use super::super::{Answer, Effects, Shard};
use super::book::{Item, Page, Verdict, Wish};
use super::letter::PeopleLetter;
use super::{Following, Reply, Want, rules};
use crate::faults::{Fault, is_planted};
use crate::limits::OVERLOAD_RETRY_MS;

impl Item {
    fn frame(&self) -> Frame<'_> {
        let Item { version, kind, ref key, ref value } = *self;
        Frame::Item(people::Item { version, item: kind, key, value })
    }
}

impl Shard {
    /// A device sets or removes an item.
    pub(in super::super) fn put_item(
        &mut self,
        conn: ConnId,
        (kind, key, value): (u8, &[u8], &[u8]),
        fx: &mut Effects,
    ) {
        let Some(session) = self.session(conn) else { return };
        session.asking += 1;
        let user = session.user;
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        let wish = Wish { kind, key, value };
        if let Err(code) = rules::judge(&wish) {
            self.reject_put(conn, &wish, code, fx);
        } else if let Some(wish) = self.put_behind(user, conn, wish) {
            self.with_book(user, Want::Put { conn, wish }, fx);
        }
        self.pause_if_full(conn, fx);
    }

    /// Keeps a wish behind an earlier one about the same item, if one waits; gives it back otherwise. Asked before the
    /// book is read, too: that may be done anew, and the earlier wish be the one that comes to it last.
    fn put_behind(&mut self, user: UserId, conn: ConnId, wish: Wish) -> Option<Wish> {
        let slot = self.loaded_user(user);
        let Some(slot) = slot.filter(|&slot| self.users[slot].is_put_waiting(&wish)) else {
            return Some(wish);
        };
        self.users[slot].waits().puts.push((conn, wish));
        None
    }

    /// The book is here: goes on with what the wish touches.
    pub(super) fn begin_put(&mut self, user: UserId, conn: ConnId, wish: Wish, fx: &mut Effects) {
        let peer = match wish.kind {
            item::USERNAME => return self.want_name(user, conn, wish, fx),
            item::BLOCK | item::CONTACT => people::user_in(&wish.key),
            _ => None,
        };
        match peer {
            Some(peer) if peer == user && wish.kind == item::BLOCK => {
                self.reject_put(conn, &wish, Code::BadItem, fx);
            }
            Some(peer) => {
                let action = Action::Put { wish, conn };
                self.with_conversation(LogId::Inbox(user), peer, action, fx);
            }
            None => self.judge_put(user, None, conn, wish, fx),
        }
    }

    /// Everything that the wish touches is here: judges it, and sets what it changes. Not before, since an earlier wish
    /// about the same may have waited for it: the last one that was put is the one that holds.
    pub(super) fn judge_put(
        &mut self,
        user: UserId,
        conversation: Option<u32>,
        conn: ConnId,
        wish: Wish,
        fx: &mut Effects,
    ) {
        let Some(wish) = self.put_behind(user, conn, wish) else { return };
        let Some(book) = self.books.book(user) else { return };
        match book.judge(&wish) {
            Verdict::Same(item) => {
                let reply = Reply::Item { user, conn, item, is_new: false };
                self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
            }
            Verdict::Full => self.reject_put(conn, &wish, Code::BookFull, fx),
            Verdict::Change => self.set_item(user, conversation, conn, wish, fx),
        }
    }

    pub(super) fn reject_put(&mut self, conn: ConnId, wish: &Wish, code: Code, fx: &mut Effects) {
        let retry_after_ms = if code == Code::Overloaded { OVERLOAD_RETRY_MS } else { 0 };
        self.reject_put_until(conn, wish, code, retry_after_ms, fx);
    }

    pub(super) fn reject_put_until(
        &mut self,
        conn: ConnId,
        wish: &Wish,
        code: Code,
        retry_after_ms: u64,
        fx: &mut Effects,
    ) {
        count(&mut self.counters.rejected, code);
        if !self.is_told_what_it_asked(conn) {
            return;
        }
        let Wish { kind, key, .. } = wish;
        let rejected = PutRejected { item: *kind, key, code, retry_after_ms };
        self.put(conn, &Frame::PutRejected(rejected), fx);
    }

    /// A device says how far it has the book. From here on it is told changes.
    pub(in super::super) fn resume_book(&mut self, conn: ConnId, version: u64, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        session.asking += 1;
        let user = session.user;
        let following = session.book.get_or_insert_default();
        let goes_on = version > 0 && version == following.reached;
        let begun = following.begun.filter(|_| goes_on);
        **following = Following { reached: version, is_even: false, begun, missed: 0 };
        self.with_book(user, Want::Resume { conn, version }, fx);
        self.pause_if_full(conn, fx);
    }

    /// The book is here: what it holds now is told once that is stored.
    pub(super) fn page_book(&mut self, user: UserId, conn: ConnId, version: u64, fx: &mut Effects) {
        let Some(book) = self.books.book(user) else { return };
        let head = book.head;
        let Some(session) = self.session(conn) else { return };
        let Some(following) = session.book.as_deref_mut() else { return };
        if version == 0 {
            following.begun = Some(head);
        }
        let begun = following.begun;
        let Some(book) = self.books.book(user) else { return };
        let page = book.page(version, begun);
        self.answer_when_stored(None, Answer::People(Box::new(Reply::Page { conn, page })), fx);
    }

    /// Too many already wait for this book.
    pub(super) fn refuse_want(&mut self, user: UserId, want: Want, fx: &mut Effects) {
        match want {
            Want::Put { conn, wish } => self.reject_put(conn, &wish, Code::Overloaded, fx),
            Want::Resume { conn, .. } => self.end_overloaded(conn, fx),
            Want::Look { asker, .. } => {
                // No answer would be true; on its next connection it asks again.
                let letter = PeopleLetter::Profile { conn: asker.conn, user: 0, shown: None };
                self.post_reply((asker.core, letter), fx);
            }
            // These always find room.
            Want::Name | Want::Named { .. } | Want::Resolve { .. } => {}
            // As long as it isn't known otherwise, the name is this user's.
            Want::IsYours { name, core } => self.answer_is_yours(user, name, true, core, fx),
        }
    }

    pub(in super::super) fn reply(&mut self, reply: Reply, fx: &mut Effects) {
        match reply {
            Reply::Item { user, conn, item, is_new } => {
                self.item_stored(user, conn, &item, is_new, fx);
            }
            Reply::Page { conn, page } => self.tell_book_page(conn, &page, fx),
            Reply::Post { letter } => self.post_reply(letter, fx),
            Reply::Wrote { user, peer } => self.wrote_stored(user, peer, fx),
            Reply::Named { user, released } => self.name_stored(user, released, fx),
            Reply::Written { bytes } => self.answer_came(bytes),
        }
    }

    fn item_stored(
        &mut self,
        user: UserId,
        conn: ConnId,
        item: &Item,
        is_new: bool,
        fx: &mut Effects,
    ) {
        if self.is_told_what_it_asked(conn) {
            // Its version must not pass for the cursor of a device that lacks items before it.
            self.tell_how_far(conn, fx);
            self.put(conn, &item.frame(), fx);
            self.note_told(conn, item.version, is_new);
        }
        if !is_new || is_planted(Fault::BookToOneDevice) {
            return;
        }
        let Some(slot) = self.loaded_user(user) else { return };
        for index in 0..self.users[slot].sessions.len() {
            let (_, other) = self.users[slot].sessions[index];
            if other != conn {
                self.tell_item(other, item, fx);
            }
        }
    }

    /// Tells a session that follows the book of a change, or notes that it could not be told.
    fn tell_item(&mut self, conn: ConnId, item: &Item, fx: &mut Effects) {
        let is_full = self.is_output_full(conn);
        let Some(session) = self.session(conn) else { return };
        let Some(following) = session.book.as_deref_mut() else { return };
        if is_full || following.has_missed() {
            following.missed = following.missed.max(item.version);
            return;
        }
        self.put(conn, &item.frame(), fx);
        self.note_told(conn, item.version, true);
    }

    fn note_told(&mut self, conn: ConnId, version: u64, is_new: bool) {
        let Some(session) = self.session(conn) else { return };
        if let Some(following) = session.book.as_deref_mut()
            && following.is_even
            && is_new
        {
            following.reached = following.reached.max(version);
        }
    }

    fn tell_book_page(&mut self, conn: ConnId, page: &Page, fx: &mut Effects) {
        if !self.is_told_what_it_asked(conn) {
            return;
        }
        for item in &page.items {
            self.put(conn, &item.frame(), fx);
        }
        let Page { version, head, reset, .. } = *page;
        self.put(conn, &Frame::Book { version, head, reset }, fx);
        let Some(session) = self.session(conn) else { return };
        if let Some(following) = session.book.as_deref_mut() {
            following.reached = version;
            following.is_even = version == head && !reset;
        }
    }

    /// Tells a session that missed changes how far it is, once there is room: it asks for the rest.
    pub(in super::super) fn tell_missed_items(&mut self, conn: ConnId, fx: &mut Effects) {
        if !self.is_output_full(conn) {
            self.tell_how_far(conn, fx);
        }
    }

    fn tell_how_far(&mut self, conn: ConnId, fx: &mut Effects) {
        let Some(session) = self.session(conn) else { return };
        let Some(following) = session.book.as_deref_mut() else { return };
        if !following.has_missed() || !following.is_even {
            return;
        }
        following.is_even = false;
        let (version, head) = (following.reached, following.missed);
        // There may be more by now; the next page says it.
        self.put(conn, &Frame::Book { version, head, reset: false }, fx);
    }
}
