//! Items that change what others see or what is taken from them: they are set together with what else must
//! know of them, in one batch of writes.

use fulmar_protocol::people::{item, privacy};

use super::super::conversation::Action;
use super::super::inbox::Stage;
use super::super::record::{Audience, Face};
use super::super::seam::{ConnId, LogId, Origin, UserId};
use super::super::{Answer, Effects, Shard};
use super::book::{Book, Wish};
use super::{Reply, Want};

/// A message that is stored at its recipient's home and waits for the first one to be noted.
#[derive(Debug)]
pub(in super::super) struct Ticked {
    origin: Origin,
    ordinal: u64,
    time_ms: u64,
}

/// The face after a wish was done; the profile's version is that of the book.
fn face_of(book: &Book, before: Face, kind: u8) -> Face {
    let audience =
        |key: u8| Audience::of(book.value(item::PRIVACY, &[key]).map(|value| &value[..]));
    match kind {
        item::PROFILE => Face { profile: book.profile_version, ..before },
        item::PRIVACY => Face {
            last_seen: audience(privacy::LAST_SEEN),
            online: audience(privacy::ONLINE),
            reads: audience(privacy::READS),
            ..before
        },
        item::BLOCK => Face { has_blocks: book.has_any(item::BLOCK), ..before },
        _ => before,
    }
}

impl Shard {
    /// The conversation that an item is about is here.
    pub(in super::super) fn put_about(
        &mut self,
        conversation: u32,
        conn: ConnId,
        wish: Wish,
        fx: &mut Effects,
    ) {
        let Some(user) = self.conversations[conversation].log.user() else { return };
        if self.books.book(user).is_none() {
            // It was let go meanwhile.
            self.with_book(user, Want::Put { conn, wish }, fx);
        } else {
            self.judge_put(user, Some(conversation), conn, wish, fx);
        }
    }

    /// Sets an item, and with it the conversation and the face of the user, which hold what it says in short.
    pub(super) fn set_item(
        &mut self,
        user: UserId,
        conversation: Option<u32>,
        conn: ConnId,
        wish: Wish,
        fx: &mut Effects,
    ) {
        let kind = wish.kind;
        let slot = self.loaded_user(user);
        if matches!(kind, item::PROFILE | item::PRIVACY | item::BLOCK) {
            // Who isn't logged in any more hears nothing, and puts it again.
            let Some(slot) = slot else { return };
            if self.users[slot].receipts_waiting > 0 {
                // The face is in the inbox's record, which must not be ahead of receipts.
                self.users[slot].waits().puts.push((conn, wish));
                return;
            }
        }
        let Some(warm) = self.books.by_user.get_mut(&user) else { return };
        let item = warm.book.set(wish);
        let book = &warm.book;
        let face = slot.map(|slot| face_of(book, self.users[slot].record.face, kind));
        let is_removed = item.value.is_empty();
        self.queue_book_write(user);
        let reply = Reply::Item { user, conn, item, is_new: true };
        if let Some(conversation) = conversation {
            self.set_tie(conversation, kind, !is_removed);
            self.queue_conversation_write(conversation);
        }
        let watcher = conversation.map(|slot| self.conversations[slot].peer);
        if let (Some(slot), Some(face)) = (slot, face) {
            self.set_face(slot, face, watcher, fx);
        }
        self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
    }

    fn set_tie(&mut self, conversation: u32, kind: u8, holds: bool) {
        let record = &mut self.conversations[conversation].record;
        match kind {
            item::BLOCK => {
                record.ties.blocks = holds;
                if !holds {
                    // What was acknowledged since is no secret any more.
                    self.show_receipts(conversation);
                }
            }
            _ => record.ties.is_contact = holds,
        }
    }

    /// Stores what others may see of a user, with this turn's writes, and tells those who watch.
    fn set_face(&mut self, slot: u32, face: Face, watcher: Option<UserId>, fx: &mut Effects) {
        let user = self.users[slot].id;
        let before = std::mem::replace(&mut self.users[slot].record.face, face);
        if face != before {
            self.write_inbox(slot, fx);
            self.store_face(user, face, fx);
        }
        let has_other_audience = Face { profile: before.profile, ..face } != before;
        if has_other_audience || watcher.is_some() {
            self.change_permissions(user, watcher, before, fx);
        }
    }

    /// Sets what waited for receipts to be noted.
    pub(in super::super) fn put_waiting(&mut self, slot: u32, fx: &mut Effects) {
        let user = self.users[slot].id;
        for (conn, wish) in self.users[slot].take_waiting(|waits| &mut waits.puts) {
            self.with_book(user, Want::Put { conn, wish }, fx);
        }
    }

    /// Whether a tick has to wait, since it isn't known here that the user wrote to the peer, or not stored yet. The
    /// ticks of the messages after it stay behind it. The first message doesn't tell: a crash may have come between it
    /// and that, and its device never come back.
    pub(in super::super) fn waits_for_first(&mut self, user: UserId, to: UserId) -> bool {
        if user == to {
            return false;
        }
        if !self.firsts.is_empty() && self.firsts.contains_key(&(user, to)) {
            return true;
        }
        let Some(&slot) = self.conversations_by_id.get(&(LogId::Inbox(user), to)) else {
            return true;
        };
        let conversation = &mut self.conversations[slot];
        conversation.used_ms = self.now.mono_ms;
        conversation.stage != Stage::Ready || !conversation.record.ties.wrote
    }

    /// Notes that the user wrote to the peer, before that is ticked: from then on the user knows the peer.
    pub(in super::super) fn note_first(
        &mut self,
        origin: Origin,
        to: UserId,
        ordinal: u64,
        time_ms: u64,
        fx: &mut Effects,
    ) {
        let user = origin.user;
        let waiting = self.firsts.entry((user, to)).or_default();
        waiting.push(Ticked { origin, ordinal, time_ms });
        if waiting.len() == 1 {
            self.with_conversation(LogId::Inbox(user), to, Action::Wrote, fx);
        }
    }

    /// The conversation is here.
    pub(in super::super) fn wrote(&mut self, conversation: u32, fx: &mut Effects) {
        let Some(user) = self.conversations[conversation].log.user() else { return };
        let peer = self.conversations[conversation].peer;
        if self.set_wrote(conversation, fx) {
            self.queue_conversation_write(conversation);
        }
        let reply = Reply::Wrote { user, peer };
        self.answer_when_stored(None, Answer::People(Box::new(reply)), fx);
    }

    /// Notes that the user wrote to the peer; `true` if that is new, and to be stored.
    pub(in super::super) fn set_wrote(&mut self, conversation: u32, fx: &mut Effects) -> bool {
        let known = &mut self.conversations[conversation];
        if std::mem::replace(&mut known.record.ties.wrote, true) {
            return false;
        }
        let (log, peer) = (known.log, known.peer);
        if let Some(user) = log.user()
            && let Some(face) = self.people.face(user)
        {
            self.change_permissions(user, Some(peer), face, fx);
        }
        true
    }

    /// It is stored: ticks what waited for it.
    pub(super) fn wrote_stored(&mut self, user: UserId, peer: UserId, fx: &mut Effects) {
        for Ticked { origin, ordinal, time_ms } in
            self.firsts.remove(&(user, peer)).unwrap_or_default()
        {
            self.tick(origin, peer, ordinal, time_ms, fx);
        }
    }
}
