//! What a device does with the book of its user: contacts, settings of chats, stars, and an application's
//! own items, the profile. Several devices put the same items. One of them blocks and unblocks
//! somebody, says who may see what, and takes usernames.

use std::time::{Duration, Instant};

use fulmar_protocol::limits::{
    PROFILE_AVATAR_BYTES_MAX, PROFILE_NAME_BYTES_MAX, PROFILE_STATUS_BYTES_MAX,
};
use fulmar_protocol::people::{self, Chat, ChatSettings, Item, item, privacy};
use fulmar_protocol::{Frame, varint};

use super::book::Note;
use super::book_notes::BookNote;
use super::items::Place;
use super::people_session::{NAMES, name};
use super::{Device, Line};
use crate::feature::Feature;
use crate::world::Phase;

/// Longest time between two wishes of a device.
const PUT_EVERY: Duration = Duration::from_millis(500);
/// Most wishes without an answer.
const WAITING_MAX: usize = 6;
/// In this many of a hundred cases an item is removed.
const PERCENT_REMOVED: u32 = 30;
/// In this many of a hundred cases an item is of a kind that there is not.
const PERCENT_RESERVED: u32 = 2;
/// In this many of a hundred cases the one who may blocks somebody, or no more.
const PERCENT_BLOCKS: u32 = 30;
/// A kind that is reserved, and refused.
const RESERVED: u8 = 99;
/// Keys of each kind.
const KEYS: usize = 6;
/// In this many of a hundred cases a part of the profile, a name or a setting is removed.
const PERCENT_RESET: u32 = 15;
/// Of so many users one says who may see what.
const RESERVED_USERS: u64 = 5;
/// What it says this of.
const PRIVACY_KEYS: [u8; 3] = [privacy::LAST_SEEN, privacy::ONLINE, privacy::FOUND];
/// Most bytes of the parts of a profile, by their keys.
const PROFILE_BYTES_MAX: [usize; 3] =
    [PROFILE_NAME_BYTES_MAX, PROFILE_STATUS_BYTES_MAX, PROFILE_AVATAR_BYTES_MAX];
/// Bytes of a large value.
const LARGE_BYTES: usize = 900;

impl Device {
    /// A connection begins.
    pub(super) fn begin_book(&mut self) {
        if self.world.has(Feature::Books) {
            self.items.begin();
        }
    }

    /// What is to be seen after the clean stop is what a new device would be told.
    pub(super) fn forget_book(&mut self) {
        if self.world.has(Feature::Books) {
            self.items.forget();
            self.book.note(Note::Book(BookNote::Forget));
        }
    }

    /// Wants something now and then, and says what is due.
    pub(super) fn speak_of_the_book(&mut self, now: Instant) {
        if !self.world.has(Feature::Books) {
            return;
        }
        if self.phase == Phase::Load && now >= self.put_at && self.is_awake() {
            self.put_at = now + PUT_EVERY / 5 + self.habits.up_to(PUT_EVERY);
            if self.items.waiting() < WAITING_MAX {
                self.wish();
            }
        }
        let Line::Online { link, .. } = &mut self.line else { return };
        if let Some(version) = self.items.next_page() {
            self.book.note(Note::Book(BookNote::Resume { version }));
            link.queue(&Frame::BookResume { version });
        }
        while let Some(((kind, key), value, again)) = self.items.next_wish() {
            let kind = *kind;
            self.book.note(Note::Book(if again {
                BookNote::PutAgain { kind, key }
            } else {
                BookNote::Put { kind, key, value }
            }));
            link.queue(&Frame::Put { item: kind, key, value });
        }
    }

    fn wish(&mut self) {
        if self.may_block() && self.habits.happens(PERCENT_BLOCKS) {
            let place = (item::BLOCK, people::user_key(self.role.peers[0]));
            let value = if self.items.has(&place) { Vec::new() } else { vec![1] };
            self.items.wish(place, value);
            return;
        }
        if self.world.has(Feature::People) && self.wish_of_people() {
            return;
        }
        let place = self.place();
        let is_reserved = place.0 == RESERVED;
        let removes = !is_reserved && self.habits.happens(PERCENT_REMOVED);
        // What isn't there needs no removal, mostly.
        let removes = removes && (self.items.has(&place) || self.habits.happens(20));
        let value = if removes { Vec::new() } else { self.value(place.0) };
        self.items.wish(place, value);
    }

    /// One device of a user, so that there is no doubt whether somebody is blocked, and one of its peers.
    fn may_block(&self) -> bool {
        self.role.device == 1 && self.world.has(Feature::Blocks)
    }

    /// Wants something that others see, or not.
    fn wish_of_people(&mut self) -> bool {
        let way = self.habits.choose(100);
        let removes = self.habits.happens(PERCENT_RESET);
        let is_first = self.role.device == 1;
        let (place, value) = match way {
            ..25 => {
                let part = self.habits.choose(PROFILE_BYTES_MAX.len());
                ((item::PROFILE, vec![part as u8]), self.profile_part(part))
            }
            25..45 if is_first => {
                let nth = self.habits.choose(NAMES);
                ((item::USERNAME, Vec::new()), name(nth))
            }
            45..55 if is_first && self.role.user % RESERVED_USERS == 2 => {
                let key = PRIVACY_KEYS[self.habits.choose(PRIVACY_KEYS.len())];
                ((item::PRIVACY, vec![key]), vec![self.habits.choose(3) as u8])
            }
            _ => return false,
        };
        self.items.wish(place, if removes { Vec::new() } else { value });
        true
    }

    /// A part of the profile that no other device puts, and this one only once.
    fn profile_part(&mut self, part: usize) -> Vec<u8> {
        self.puts += 1;
        let number = self.role.index as u64 * 1_000_000 + self.puts;
        let mut value = Vec::new();
        varint::write(number, &mut value);
        if self.habits.happens(10) {
            value.resize(PROFILE_BYTES_MAX[part], number as u8);
        }
        value
    }

    fn place(&mut self) -> Place {
        let peer = self.role.peers[self.habits.choose(self.role.peers.len())];
        let nth = self.habits.choose(KEYS) as u8;
        if self.habits.happens(PERCENT_RESERVED) {
            return (RESERVED, vec![nth]);
        }
        let mut key = Vec::new();
        match self.habits.choose(4) {
            0 => return (item::CONTACT, people::user_key(peer)),
            1 => return (item::APPLICATION + nth, vec![nth; usize::from(nth)]),
            2 => {
                Chat::User(peer).write(&mut key);
                return (item::CHAT, key);
            }
            _ => {}
        }
        if nth < 2 {
            Chat::Group(u64::from(nth) + 1).write(&mut key);
            varint::write(7, &mut key);
        } else {
            Chat::User(peer).write(&mut key);
            varint::write(u64::from(nth), &mut key);
            key.push(nth % 2);
        }
        (item::STAR, key)
    }

    /// A value that no other device puts, and this one only once.
    fn value(&mut self, kind: u8) -> Vec<u8> {
        self.puts += 1;
        let number = self.role.index as u64 * 1_000_000 + self.puts;
        let mut value = Vec::new();
        if kind == item::CHAT {
            let (is_pinned, is_archived) = (self.habits.happens(50), self.habits.happens(50));
            ChatSettings { is_pinned, is_archived, muted_until_ms: number }.encode(&mut value);
            return value;
        }
        varint::write(number, &mut value);
        if self.habits.happens(10) {
            value.resize(LARGE_BYTES, number as u8);
        }
        value
    }

    pub(super) fn on_item(&mut self, came: &Item<'_>) {
        let Item { version, item: kind, key, value } = *came;
        self.book.note(Note::Book(BookNote::Item { version, kind, key, value }));
        self.items.item((kind, key.to_vec()), version, value);
    }

    pub(super) fn on_put_rejected(&mut self, kind: u8, key: &[u8], code: u16) {
        self.book.note(Note::Book(BookNote::Rejected { kind, key, code }));
        self.items.rejected(&(kind, key.to_vec()));
    }

    pub(super) fn on_book(&mut self, version: u64, head: u64, reset: bool) {
        self.book.note(Note::Book(BookNote::Page { version, head, reset }));
        self.items.page(version, head, reset);
    }
}
