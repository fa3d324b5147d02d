//! What a user sets for itself, and what is known of others.

use std::sync::Arc;

use fulmar_protocol::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use fulmar_protocol::people;
pub use fulmar_protocol::people::{Chat, ChatSettings, audience, item, privacy, profile, user_in};

use crate::message::{Message, Target};

/// An item of the user's book as this device has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookItem {
    /// What it is, see [`item`].
    pub item: u8,
    /// Which one of these.
    pub key: Vec<u8>,
    /// The version of the book in which it was set.
    pub version: u64,
    /// Its value.
    pub value: Vec<u8>,
}

impl BookItem {
    /// Whom it is about, if it is a block or a contact.
    #[must_use]
    pub fn user(&self) -> Option<u64> {
        matches!(self.item, item::BLOCK | item::CONTACT).then(|| people::user_in(&self.key))?
    }
}

/// An item that is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// What it is, see [`item`].
    pub item: u8,
    /// Which one of these.
    pub key: Vec<u8>,
    /// Its value; empty to remove it.
    pub value: Vec<u8>,
}

impl Put {
    /// Nothing of this user is delivered any more, and it sees nothing.
    #[must_use]
    pub fn block(user: u64) -> Put {
        Put { item: item::BLOCK, key: people::user_key(user), value: vec![1] }
    }

    /// The opposite.
    #[must_use]
    pub fn unblock(user: u64) -> Put {
        Put { item: item::BLOCK, key: people::user_key(user), value: Vec::new() }
    }

    /// This user is a contact, of which the application keeps this; no more with an empty value.
    #[must_use]
    pub fn contact(user: u64, value: &[u8]) -> Put {
        Put { item: item::CONTACT, key: people::user_key(user), value: value.to_vec() }
    }

    /// Shows something (of [`privacy`]) to these (of [`audience`]).
    #[must_use]
    pub fn privacy(what: u8, who: u8) -> Put {
        Put { item: item::PRIVACY, key: vec![what], value: vec![who] }
    }

    /// Sets a part (of [`profile`]) of the own profile.
    #[must_use]
    pub fn profile(part: u8, value: &[u8]) -> Put {
        Put { item: item::PROFILE, key: vec![part], value: value.to_vec() }
    }

    /// Takes a username; none with an empty one.
    #[must_use]
    pub fn username(name: &str) -> Put {
        Put { item: item::USERNAME, key: Vec::new(), value: name.as_bytes().to_vec() }
    }

    /// Sets how a conversation or group is shown and heard.
    #[must_use]
    pub fn chat(target: Target, settings: ChatSettings) -> Put {
        let key = chat_key(target);
        let mut value = Vec::new();
        if settings != ChatSettings::default() {
            settings.encode(&mut value);
        }
        Put { item: item::CHAT, key, value }
    }

    /// Remembers a message.
    #[must_use]
    pub fn star(star: Star) -> Put {
        Put { item: item::STAR, key: star.key(), value: vec![1] }
    }

    /// The opposite.
    #[must_use]
    pub fn unstar(star: Star) -> Put {
        Put { item: item::STAR, key: star.key(), value: Vec::new() }
    }

    /// Whether it fits into a frame.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.key.len() <= KEY_BYTES_MAX && self.value.len() <= VALUE_BYTES_MAX
    }
}

/// A message that the user wants to remember, by what all devices of the user call it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Star {
    /// Where it is.
    pub target: Target,
    /// Its ordinal; in a group its position.
    pub place: u64,
    /// Whether this user wrote it. In a group, where positions are shared, always false.
    pub is_own: bool,
}

impl Star {
    /// The star of a message; `None` where it can't have one, since it has no tick yet or is about another message.
    #[must_use]
    pub fn of(message: &Message) -> Option<Star> {
        let place = message.ordinal.filter(|_| !message.is_reference())?;
        let is_own = message.group.is_none() && message.state.is_own();
        Some(Star { target: message.target(), place, is_own })
    }

    /// Reads the key of an item of kind [`item::STAR`].
    #[must_use]
    pub fn read(key: &[u8]) -> Option<Star> {
        if !people::is_star_key(key) {
            return None;
        }
        let (chat, rest) = Chat::read(key)?;
        let (place, taken) = fulmar_protocol::varint::read(rest).ok()?;
        let is_own = rest.get(taken) == Some(&1);
        let target = match chat {
            Chat::User(peer) => Target::Peer(peer),
            Chat::Group(group) => Target::Group(group),
        };
        Some(Star { target, place, is_own })
    }

    fn key(self) -> Vec<u8> {
        let mut key = chat_key(self.target);
        fulmar_protocol::varint::write(self.place, &mut key);
        if matches!(self.target, Target::Peer(_)) {
            key.push(u8::from(self.is_own));
        }
        key
    }
}

fn chat_key(target: Target) -> Vec<u8> {
    let mut key = Vec::new();
    let chat = match target {
        Target::Peer(peer) => Chat::User(peer),
        Target::Group(group) => Chat::Group(group),
    };
    chat.write(&mut key);
    key
}

/// Somebody's profile as this device has it. Bytes of a stranger: make them harmless before they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// Whose.
    pub user: u64,
    /// Its version; 0 where there is nothing to see.
    pub version: u64,
    /// The name.
    pub name: Arc<[u8]>,
    /// The status line.
    pub status: Arc<[u8]>,
    /// Where the picture is.
    pub avatar: Arc<[u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_read_back_from_its_key() {
        for (star, key) in [
            (Star { target: Target::Peer(8), place: 5, is_own: false }, &b"\0\x08\x05\0"[..]),
            (Star { target: Target::Peer(8), place: 5, is_own: true }, b"\0\x08\x05\x01"),
            (Star { target: Target::Group(30), place: 5, is_own: false }, b"\x01\x1e\x05"),
        ] {
            assert_eq!(Put::star(star), Put { item: 5, key: key.into(), value: vec![1] });
            assert_eq!(Put::unstar(star), Put { item: 5, key: key.into(), value: Vec::new() });
            assert_eq!(Star::read(key), Some(star));
        }
        for wrong in [&b""[..], b"\0\x08\x05", b"\0\x08\x05\x02", b"\0\x08\0\0", b"\x01\x1e\x05\0"]
        {
            assert_eq!(Star::read(wrong), None, "{wrong:?}");
        }
    }
}
