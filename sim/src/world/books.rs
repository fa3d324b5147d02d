//! What people keep in their books: contacts, settings of chats, starred messages, what an application puts there;
//! and whom they block.

use fulmar_client::core::Session;
use fulmar_client::people::{Chat, item};
use fulmar_client::store::Store as _;
use fulmar_client::{ChatSettings, Put, Target};
use fulmar_protocol::varint;

use super::World;
use crate::coverage::Happening;
use crate::device;

/// Different items of an application.
const APPLICATION_KEYS: u64 = 12;
/// A kind that no version of the protocol has yet.
const RESERVED: u8 = 77;

impl World {
    /// Whether anybody uses a book in this world.
    pub(super) const fn has_books(&self) -> bool {
        self.plan.book_percent > 0 || self.plan.block_once_in > 0 || self.plan.profile_percent > 0
    }

    /// A person sets something in its book, or takes it out.
    pub(super) fn put_item(&mut self, device: u32) {
        self.serial += 1;
        let value = device::body(self.serial, 8).to_vec();
        let is_removed = self.books.once_in(4);
        let mut put = match self.books.below(100) {
            0..30 => Put::contact(self.books.pick(&self.users), &value),
            30..50 => self.chat_settings(device),
            50..70 => self.star(device, value),
            70..97 => {
                let item = item::APPLICATION + self.books.below(3) as u8;
                let key = vec![self.books.below(APPLICATION_KEYS) as u8];
                Put { item, key, value }
            }
            _ => Put { item: RESERVED, key: Vec::new(), value },
        };
        if is_removed && put.item != RESERVED {
            put.value.clear();
        }
        self.coverage.hit(if is_removed { Happening::PutOut } else { Happening::Put });
        self.with_session(device, |session: &mut Session, now, actions| {
            session.put(now, put, actions);
        });
    }

    /// A person blocks one of those to whom people like to write, or takes that back.
    pub(super) fn block(&mut self, device: u32) {
        let (user, first, count) =
            (self.devices[device as usize].user, self.users[0], self.users.len() as u64);
        let other = first + (user - first + self.blocks.below(8)) % count;
        if other == user {
            return;
        }
        let (what, put) = if self.blocks.percent(60) {
            (Happening::Block, Put::block(other))
        } else {
            (Happening::Unblock, Put::unblock(other))
        };
        self.coverage.hit(what);
        self.with_session(device, |session: &mut Session, now, actions| {
            session.put(now, put, actions);
        });
    }

    fn chat_settings(&mut self, device: u32) -> Put {
        let target = match self.devices[device as usize].groups.last() {
            Some(&group) if self.books.percent(30) => Target::Group(group),
            _ => Target::Peer(self.books.pick(&self.users)),
        };
        // The time tells one setting from another.
        let muted_until_ms = self.serial;
        Put::chat(target, ChatSettings { is_pinned: true, is_archived: false, muted_until_ms })
    }

    fn star(&mut self, device: u32, value: Vec<u8>) -> Put {
        let state = &mut self.devices[device as usize];
        let id = state.remembered.back().copied();
        let message = id.and_then(|id| state.store.message(id).ok().flatten());
        let mut key = Vec::new();
        match message.map(|message| (message.target(), message.ordinal, message.state.is_own())) {
            Some((Target::Group(group), Some(position), _)) => {
                Chat::Group(group).write(&mut key);
                varint::write(position, &mut key);
            }
            Some((Target::Peer(peer), Some(ordinal), is_own)) => {
                Chat::User(peer).write(&mut key);
                varint::write(ordinal, &mut key);
                key.push(u8::from(is_own));
            }
            _ => return Put { item: item::APPLICATION, key: vec![0], value },
        }
        Put { item: item::STAR, key, value }
    }

    /// What books owe devices.
    pub(super) fn missing_of_books(&mut self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.has_books() {
            return missing;
        }
        for state in self.devices.iter_mut().filter(|state| !state.is_lost) {
            let book = state.store.book().expect("a store in memory");
            missing.extend(self.oracle.missing_of_book(state.user, state.number, &book));
            if !missing.is_empty() {
                break;
            }
        }
        missing
    }
}
