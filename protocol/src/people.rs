//! Frames about people: the book of a user, profiles, usernames.

use crate::code::Code;

/// Kinds of items in a book.
pub mod item {
    /// A part of the own profile, which others see; the key is one of [`profile`](super::profile).
    pub const PROFILE: u8 = 0;
    /// Who may see what; the key is one of [`privacy`](super::privacy), the value one of
    /// [`audience`](super::audience).
    pub const PRIVACY: u8 = 1;
    /// Somebody is blocked; the key is the user as a varint, the value the byte 1.
    pub const BLOCK: u8 = 2;
    /// Somebody is known; the key is the user as a varint, the value opaque.
    pub const CONTACT: u8 = 3;
    /// Settings of a conversation or group, see [`ChatSettings`](super::ChatSettings).
    pub const CHAT: u8 = 4;
    /// A message to remember; the key names it, the value is opaque.
    pub const STAR: u8 = 5;
    /// The username; the key is empty.
    pub const USERNAME: u8 = 6;
    /// From here on the application's own.
    pub const APPLICATION: u8 = 128;
}

/// Keys of profile items.
pub mod profile {
    /// The name.
    pub const NAME: u8 = 0;
    /// The status line.
    pub const STATUS: u8 = 1;
    /// Where the picture is.
    pub const AVATAR: u8 = 2;
}

/// Keys of privacy items.
pub mod privacy {
    /// When the user was last seen.
    pub const LAST_SEEN: u8 = 0;
    /// Whether the user is online.
    pub const ONLINE: u8 = 1;
    /// Up to where the user read.
    pub const READS: u8 = 2;
    /// Whether the user is found by its username.
    pub const FOUND: u8 = 3;
}

/// Values of privacy items.
pub mod audience {
    /// Nobody.
    pub const NOBODY: u8 = 0;
    /// Those to whom the user wrote, its contacts, and members of groups to which it wrote.
    pub const KNOWN: u8 = 1;
    /// Everybody, as without an item.
    pub const EVERYBODY: u8 = 2;
}

/// Server → client: an item of the user's book as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The version of the book in which it was set last.
    pub version: u64,
    /// What it is, see [`item`].
    pub item: u8,
    /// Which one of these.
    pub key: &'a [u8],
    /// Its value; empty where it was removed.
    pub value: &'a [u8],
}

/// Server → client: a put was not taken, and nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutRejected<'a> {
    /// As in the put.
    pub item: u8,
    /// As in the put.
    pub key: &'a [u8],
    /// Why.
    pub code: Code,
    /// Earliest time to try again, in milliseconds from now; 0 where it makes no sense.
    pub retry_after_ms: u64,
}

/// Server → client: somebody's profile, as far as this user may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile<'a> {
    /// Whose.
    pub user: u64,
    /// Its version; 0 where there is none to see. One that the question named comes without the rest.
    pub version: u64,
    /// The name, at most [`PROFILE_NAME_BYTES_MAX`](crate::limits::PROFILE_NAME_BYTES_MAX).
    pub name: &'a [u8],
    /// The status line, at most [`PROFILE_STATUS_BYTES_MAX`](crate::limits::PROFILE_STATUS_BYTES_MAX).
    pub status: &'a [u8],
    /// Where the picture is, at most
    /// [`PROFILE_AVATAR_BYTES_MAX`](crate::limits::PROFILE_AVATAR_BYTES_MAX).
    pub avatar: &'a [u8],
}

/// Server → client: who has a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// As in the question.
    pub name: &'a [u8],
    /// Who; 0 where nobody is to be found.
    pub user: u64,
    /// [`Code::None`], or why there is no answer.
    pub code: Code,
    /// Earliest time to ask again, in milliseconds from now; 0 where it makes no sense.
    pub retry_after_ms: u64,
}

/// What the user set for one of its conversations or groups: the value of an item of kind
/// [`item::CHAT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChatSettings {
    /// It stands above the others.
    pub is_pinned: bool,
    /// It is put away.
    pub is_archived: bool,
    /// Until when it makes no noise, in milliseconds since the Unix epoch; 0 where it does.
    pub muted_until_ms: u64,
}

const FLAG_PINNED: u8 = 1;
const FLAG_ARCHIVED: u8 = 2;

impl ChatSettings {
    /// Reads a value; none if it isn't one in its only form.
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<ChatSettings> {
        let (&flags, rest) = value.split_first()?;
        let (muted_until_ms, taken) = crate::varint::read(rest).ok()?;
        let is_whole = taken == rest.len() && flags & !(FLAG_PINNED | FLAG_ARCHIVED) == 0;
        is_whole.then_some(ChatSettings {
            is_pinned: flags & FLAG_PINNED != 0,
            is_archived: flags & FLAG_ARCHIVED != 0,
            muted_until_ms,
        })
    }

    /// Appends the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let pinned = if self.is_pinned { FLAG_PINNED } else { 0 };
        let archived = if self.is_archived { FLAG_ARCHIVED } else { 0 };
        out.push(pinned | archived);
        crate::varint::write(self.muted_until_ms, out);
    }
}

/// What kind of log a key names: a conversation of two, or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chat {
    /// With this user.
    User(u64),
    /// This group.
    Group(u64),
}

impl Chat {
    /// Reads it off the front of a key; returns what follows.
    #[must_use]
    pub fn read(key: &[u8]) -> Option<(Chat, &[u8])> {
        let (&kind, rest) = key.split_first()?;
        let (number, rest) = number(rest)?;
        match (kind, number) {
            (_, 0) => None,
            (0, user) => Some((Chat::User(user), rest)),
            (1, group) => Some((Chat::Group(group), rest)),
            _ => None,
        }
    }

    /// Appends it to a key.
    pub fn write(self, out: &mut Vec<u8>) {
        let (kind, number) = match self {
            Chat::User(user) => (0, user),
            Chat::Group(group) => (1, group),
        };
        out.push(kind);
        crate::varint::write(number, out);
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, taken) = crate::varint::read(bytes).ok()?;
    Some((number, &bytes[taken..]))
}

/// The user that the key of a block or contact names; none if it names none.
#[must_use]
pub fn user_in(key: &[u8]) -> Option<u64> {
    number(key).filter(|&(user, rest)| user > 0 && rest.is_empty()).map(|(user, _)| user)
}

/// The key of a block or contact.
#[must_use]
pub fn user_key(user: u64) -> Vec<u8> {
    let mut key = Vec::new();
    crate::varint::write(user, &mut key);
    key
}

/// Whether a key names a message: where it is, its ordinal or position from 1, and for a conversation of two
/// the direction: 0 written by the peer, 1 by the user.
#[must_use]
pub fn is_star_key(key: &[u8]) -> bool {
    let Some((chat, rest)) = Chat::read(key) else { return false };
    match (chat, number(rest)) {
        (_, None | Some((0, _))) => false,
        (Chat::User(_), Some((_, direction))) => matches!(direction, [0 | 1]),
        (Chat::Group(_), Some((_, rest))) => rest.is_empty(),
    }
}

/// Whether this may be a username: 3 to 32 of `a` to `z`, digits, `_` and `.`, beginning with a letter.
#[must_use]
pub fn is_username(name: &[u8]) -> bool {
    let is_allowed = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.')
    };
    (crate::limits::NAME_BYTES_MIN..=crate::limits::NAME_BYTES_MAX).contains(&name.len())
        && name[0].is_ascii_lowercase()
        && name.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_chat_have_one_form() {
        for settings in [
            ChatSettings::default(),
            ChatSettings { is_pinned: true, is_archived: true, muted_until_ms: u64::MAX },
        ] {
            let mut value = Vec::new();
            settings.encode(&mut value);
            assert_eq!(ChatSettings::decode(&value), Some(settings));
            value.push(0);
            assert_eq!(ChatSettings::decode(&value), None);
        }
        for bad in [&b""[..], b"\0", b"\x04\0", b"\0\x80\0"] {
            assert_eq!(ChatSettings::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn keys_name_what_there_can_be() {
        assert_eq!(user_in(&user_key(300)), Some(300));
        for bad in [&b""[..], b"\0", b"\x07\x07", b"\x80"] {
            assert_eq!(user_in(bad), None, "{bad:?}");
        }
        for good in [&b"\0\x07\x01\0"[..], b"\0\x07\x01\x01", b"\x01\x07\x05"] {
            assert!(is_star_key(good), "{good:?}");
        }
        for bad in
            [&b"\0\x07\x01"[..], b"\0\x07\0\0", b"\x01\x07\x05\0", b"\x02\x07\x05", b"\x01\0\x05"]
        {
            assert!(!is_star_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn usernames_are_few_plain_bytes() {
        for good in ["ann", "a.1", "a_b", &"a".repeat(32)] {
            assert!(is_username(good.as_bytes()), "{good}");
        }
        for bad in ["", "an", "1nn", ".nn", "Ann", "an n", "ann\u{e9}", &"a".repeat(33)] {
            assert!(!is_username(bad.as_bytes()), "{bad}");
        }
    }
}
