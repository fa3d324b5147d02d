//! The commands about people, and about how a conversation is shown.

use fulmar_client::Put;
use fulmar_client::people::{audience, privacy, profile};

use super::{MESSAGE_RULE, message_number, number};

/// What is set, or asked, about people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum People {
    /// Set this.
    Put(Put),
    /// Change how the open conversation is shown.
    Chat(Setting),
    /// Who has this username?
    Find(String),
    /// Show a user's profile.
    Look(u64),
    /// Remember the message with this number, or no more.
    Star(i64, bool),
    /// Show what is remembered.
    Stars,
    /// Show what is set.
    Book,
}

/// How a conversation is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Pinned(bool),
    Archived(bool),
    /// For so many hours; for good where that isn't said.
    Muted(Option<u64>),
    Unmuted,
}

/// The commands, for people.
pub(crate) const HELP: &[&str] = &[
    "People",
    "/block 8       nothing of user 8 comes any more, and it sees nothing; /unblock 8 ends that",
    "/contact 8 Bob     call user 8 Bob; /contact 8 forgets it",
    "/profile name Ann  set the own name, status or picture; /profile 8 shows that of user 8",
    "/privacy online known   who sees it: nobody, known, everybody; likewise last-seen, reads, found",
    "/name ann      take the username ann; /name alone gives it up",
    "/find bob      who has the username bob",
    "/pin, /mute 8, /archive    for the open chat, muted for 8 hours; /unpin, /unmute, /unarchive",
    "               what is muted stays out of the bar, unless a message mentions you",
    "/book          show what is set",
];

/// Understands the commands about people; `None` for others.
pub(super) fn parse(name: &str, arguments: &[&str]) -> Result<Option<People>, String> {
    let user = |rule: &str| match arguments {
        [user] => number(user, rule),
        _ => Err(rule.to_owned()),
    };
    let none = |people: People| match arguments {
        [] => Ok(people),
        _ => Err(format!("/{name} takes no value")),
    };
    Ok(Some(match name {
        "block" => People::Put(Put::block(user("/block takes a user number, as in /block 8")?)),
        "unblock" => {
            People::Put(Put::unblock(user("/unblock takes a user number, as in /unblock 8")?))
        }
        "contact" => {
            let rule = "/contact takes a user number and a name, as in /contact 8 Bob";
            let [user, words @ ..] = arguments else { return Err(rule.into()) };
            People::Put(Put::contact(number(user, rule)?, words.join(" ").as_bytes()))
        }
        "profile" => profile_of(arguments)?,
        "privacy" => People::Put(privacy_of(arguments)?),
        "name" => match arguments {
            [] => People::Put(Put::username("")),
            [name] => People::Put(Put::username(name)),
            _ => return Err("/name takes one username, as in /name ann".into()),
        },
        "find" => match arguments {
            [name] => People::Find((*name).to_owned()),
            _ => return Err("/find takes a username, as in /find bob".into()),
        },
        "pin" => none(People::Chat(Setting::Pinned(true)))?,
        "unpin" => none(People::Chat(Setting::Pinned(false)))?,
        "archive" => none(People::Chat(Setting::Archived(true)))?,
        "unarchive" => none(People::Chat(Setting::Archived(false)))?,
        "mute" => match arguments {
            [] => People::Chat(Setting::Muted(None)),
            [_] => People::Chat(Setting::Muted(Some(user("/mute takes hours, as in /mute 8")?))),
            _ => return Err("/mute takes hours, as in /mute 8".into()),
        },
        "unmute" => none(People::Chat(Setting::Unmuted))?,
        "star" => People::Star(message_of(name, arguments)?, true),
        "unstar" => People::Star(message_of(name, arguments)?, false),
        "stars" => none(People::Stars)?,
        "book" => none(People::Book)?,
        _ => return Ok(None),
    }))
}

fn message_of(name: &str, arguments: &[&str]) -> Result<i64, String> {
    match arguments {
        [number] => message_number(name, number),
        _ => Err(format!("/{name} {MESSAGE_RULE}")),
    }
}

fn profile_of(arguments: &[&str]) -> Result<People, String> {
    let rule = "/profile takes name, status or picture and a text, or a user number";
    let (part, words) = match arguments {
        ["name", words @ ..] => (profile::NAME, words),
        ["status", words @ ..] => (profile::STATUS, words),
        ["picture", words @ ..] => (profile::AVATAR, words),
        [user] => return Ok(People::Look(number(user, rule)?)),
        _ => return Err(rule.into()),
    };
    Ok(People::Put(Put::profile(part, words.join(" ").as_bytes())))
}

fn privacy_of(arguments: &[&str]) -> Result<Put, String> {
    let rule = "/privacy takes last-seen, online, reads or found, and nobody, known or everybody";
    let [what, who] = arguments else { return Err(rule.into()) };
    let what = match *what {
        "last-seen" => privacy::LAST_SEEN,
        "online" => privacy::ONLINE,
        "reads" => privacy::READS,
        "found" => privacy::FOUND,
        _ => return Err(rule.into()),
    };
    let who = match *who {
        "nobody" => audience::NOBODY,
        "known" => audience::KNOWN,
        "everybody" => audience::EVERYBODY,
        _ => return Err(rule.into()),
    };
    Ok(Put::privacy(what, who))
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;

    #[test]
    fn commands_about_people_are_understood() {
        for (line, people) in [
            ("/block 8", People::Put(Put::block(8))),
            ("/unblock 8", People::Put(Put::unblock(8))),
            ("/contact 8 Bob B", People::Put(Put::contact(8, b"Bob B"))),
            ("/contact 8", People::Put(Put::contact(8, b""))),
            ("/profile name Ann", People::Put(Put::profile(profile::NAME, b"Ann"))),
            ("/profile 8", People::Look(8)),
            ("/privacy reads nobody", People::Put(Put::privacy(2, 0))),
            ("/name ann", People::Put(Put::username("ann"))),
            ("/name", People::Put(Put::username(""))),
            ("/find bob", People::Find("bob".into())),
            ("/pin", People::Chat(Setting::Pinned(true))),
            ("/unarchive", People::Chat(Setting::Archived(false))),
            ("/mute", People::Chat(Setting::Muted(None))),
            ("/mute 8", People::Chat(Setting::Muted(Some(8)))),
            ("/star 5", People::Star(5, true)),
            ("/unstar #-5", People::Star(-5, false)),
            ("/stars", People::Stars),
            ("/book", People::Book),
        ] {
            assert_eq!(parse(line), Ok(Some(Command::People(people))), "{line}");
        }
        for (line, part) in [
            ("/block", "as in /block 8"),
            ("/block bob", "\"bob\" is none"),
            ("/contact", "as in /contact 8 Bob"),
            ("/privacy online", "nobody, known or everybody"),
            ("/profile colour red", "name, status or picture"),
            ("/pin 8", "takes no value"),
            ("/star", "takes a message's number"),
            ("/star x", "\"x\" is none"),
            ("/stars 5", "takes no value"),
            ("/find", "as in /find bob"),
        ] {
            let told = parse(line).unwrap_err();
            assert!(told.contains(part), "{line}: {told}");
        }
    }
}
