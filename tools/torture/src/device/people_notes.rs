//! What a device writes down about other people: presence, typing, profiles, usernames. HISTORY.md
//! says what each line means.

use std::fmt;

use fulmar_protocol::people::{Found, Profile, item};

use super::book_notes::Value;

/// What is written down.
#[derive(Debug, Clone, Copy)]
pub(super) enum PeopleNote<'a> {
    Clock { presence_s: u64, unix_ms: u64 },
    Activity { is_here: bool },
    Watch { users: &'a [u64] },
    Unwatch { users: &'a [u64] },
    Presence { user: u64, is_online: bool, last_seen_ms: u64 },
    Types { group: u64, user: u64, is_typing: bool },
    Typed { group: u64, user: u64, is_typing: bool },
    Look { user: u64, known: u64 },
    Profile { profile: &'a Profile<'a>, known: u64 },
    News { user: u64, version: u64 },
    Find { name: &'a [u8] },
    Found(&'a Found<'a>),
}

impl fmt::Display for PeopleNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PeopleNote::Clock { presence_s, unix_ms } => {
                write!(f, "clock presence_s={presence_s} unix_ms={unix_ms}")
            }
            PeopleNote::Activity { is_here } => write!(f, "activity here={}", u8::from(is_here)),
            PeopleNote::Watch { users } => write!(f, "watch users={}", Users(users)),
            PeopleNote::Unwatch { users } => write!(f, "unwatch users={}", Users(users)),
            PeopleNote::Presence { user, is_online, last_seen_ms } => {
                let online = u8::from(is_online);
                write!(f, "presence user={user} online={online} seen_ms={last_seen_ms}")
            }
            PeopleNote::Types { group, user, is_typing } => {
                write!(f, "types group={group} user={user} on={}", u8::from(is_typing))
            }
            PeopleNote::Typed { group, user, is_typing } => {
                write!(f, "typed group={group} user={user} on={}", u8::from(is_typing))
            }
            PeopleNote::Look { user, known } => write!(f, "look user={user} known={known}"),
            PeopleNote::Profile { profile, known } => {
                let Profile { user, version, name, status, avatar } = *profile;
                write!(f, "profile user={user} known={known} version={version} ")?;
                let part = |value| Value(item::PROFILE, value);
                write!(f, "name={} status={} avatar={}", part(name), part(status), part(avatar))
            }
            PeopleNote::News { user, version } => write!(f, "news user={user} version={version}"),
            PeopleNote::Find { name } => write!(f, "find name={}", Value(item::USERNAME, name)),
            PeopleNote::Found(found) => {
                let (name, code) = (Value(item::USERNAME, found.name), found.code.number());
                write!(f, "found name={name} user={} code={code}", found.user)
            }
        }
    }
}

/// Numbers with commas between them.
struct Users<'a>(&'a [u64]);

impl fmt::Display for Users<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, user) in self.0.iter().enumerate() {
            write!(f, "{}{user}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
