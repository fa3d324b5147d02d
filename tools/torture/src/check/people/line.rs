//! The lines about people, read as strictly as the others.

use super::super::books::{Value, value_of};
use super::super::line::Fields;

/// What a line says; HISTORY.md describes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum PeopleEvent {
    Clock { presence_s: u64, unix_ms: u64 },
    Activity { is_here: bool },
    Watch { users: Vec<u64> },
    Unwatch,
    Presence { user: u64, is_online: bool, seen_ms: u64 },
    Types { to: Typing },
    Typed { from: Typing },
    Look { user: u64 },
    Profile { user: u64, known: u64, profile: Profile },
    News { user: u64, version: u64 },
    Find { name: u64 },
    Found { name: u64, user: u64, code: u16 },
}

/// That somebody writes, or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct Typing {
    /// 0 in a conversation of two.
    pub(super) group: u64,
    /// To whom, 0 in a group; or from whom.
    pub(super) user: u64,
    pub(super) is_on: bool,
}

/// A profile as it was told: digests of the name, the status line and the reference to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Profile {
    pub(super) version: u64,
    pub(super) parts: [Value; 3],
}

/// Reads the fields of an event; `None` if it is none about people.
pub(in super::super) fn people_event(
    word: &str,
    fields: &mut Fields<'_>,
) -> Result<Option<PeopleEvent>, String> {
    Ok(Some(match word {
        "clock" => PeopleEvent::Clock {
            presence_s: fields.number("presence_s")?,
            unix_ms: fields.number("unix_ms")?,
        },
        "activity" => PeopleEvent::Activity { is_here: fields.flag("here")? },
        "watch" => PeopleEvent::Watch { users: users(fields)? },
        "unwatch" => {
            users(fields)?;
            PeopleEvent::Unwatch
        }
        "presence" => PeopleEvent::Presence {
            user: fields.number("user")?,
            is_online: fields.flag("online")?,
            seen_ms: fields.number("seen_ms")?,
        },
        "types" => PeopleEvent::Types { to: typing(fields)? },
        "typed" => PeopleEvent::Typed { from: typing(fields)? },
        "look" => {
            let user = fields.number("user")?;
            fields.number("known")?;
            PeopleEvent::Look { user }
        }
        "profile" => {
            let (user, known) = (fields.number("user")?, fields.number("known")?);
            let version = fields.number("version")?;
            let mut part = |key| value_of(key, fields);
            let parts = [part("name")?, part("status")?, part("avatar")?];
            PeopleEvent::Profile { user, known, profile: Profile { version, parts } }
        }
        "news" => {
            PeopleEvent::News { user: fields.number("user")?, version: fields.number("version")? }
        }
        "find" => PeopleEvent::Find { name: name(fields)? },
        "found" => PeopleEvent::Found {
            name: name(fields)?,
            user: fields.number("user")?,
            code: fields.code()?,
        },
        _ => return Ok(None),
    }))
}

fn typing(fields: &mut Fields<'_>) -> Result<Typing, String> {
    Ok(Typing {
        group: fields.number("group")?,
        user: fields.number("user")?,
        is_on: fields.flag("on")?,
    })
}

fn name(fields: &mut Fields<'_>) -> Result<u64, String> {
    value_of("name", fields)?.ok_or_else(|| "a name is none".to_owned())
}

fn users(fields: &mut Fields<'_>) -> Result<Vec<u64>, String> {
    let text = fields.text("users")?;
    let users: Result<_, _> = text.split(',').map(str::parse).collect();
    users.map_err(|error| format!("users={text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::line::{Event, Line};
    use super::*;

    #[test]
    fn a_profile_is_read() {
        let text = "7 1 profile user=3 known=0 version=9 name=a1 status=none avatar=a3";
        let profile = Profile { version: 9, parts: [Some(0xa1), None, Some(0xa3)] };
        let event = PeopleEvent::Profile { user: 3, known: 0, profile };
        assert_eq!(Line::parse(text).unwrap().event, Event::People(event));
    }

    #[test]
    fn what_is_not_in_the_format_is_an_error() {
        for text in [
            "1 1 watch users=",
            "1 1 watch users=3,x",
            "1 1 presence user=3 online=2 seen_ms=0",
            "1 1 find name=none",
            "1 1 profile user=3 known=0 version=9 name=a1 status=a2",
            "1 1 typed group=0 user=3",
        ] {
            assert!(Line::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
