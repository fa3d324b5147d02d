//! What a line of input means.

mod people;

use fulmar_protocol::limits::DISAPPEAR_SECONDS_MAX;

pub(crate) use people::{HELP as HELP_PEOPLE, People, Setting};

/// A line of input, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send this text.
    Say(String),
    /// Chat with this user.
    With(u64),
    /// Make a group of this name with these users.
    Group(String, Vec<u64>),
    /// Write in the group of this name or number.
    Join(String),
    /// Change the open group.
    Change(Change),
    /// Show who is in the open group, and how far they are.
    Who,
    /// Set or ask something about people.
    People(People),
    /// Show the conversations.
    List,
    /// Show the newest messages of the conversation again.
    History(usize),
    /// Give the message with this number another text.
    Edit(i64, String),
    /// Delete it for everybody.
    Delete(i64),
    /// React to it; with nothing, take that back.
    React(i64, String),
    /// Send this text, which disappears after so many seconds.
    Vanish(u64, String),
    /// Let messages of the open conversation disappear after so many seconds; 0 for never.
    Timer(u64),
    /// Show the numbers of the messages, or no more.
    Numbers,
    /// Send what the server rejected again.
    Retry,
    /// Connect now.
    Reconnect,
    /// Show the commands.
    Help,
    /// Leave.
    Quit,
}

/// What is changed about the open group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Add(Vec<u64>),
    Remove(Vec<u64>),
    Promote(Vec<u64>),
    Demote(Vec<u64>),
    /// Who becomes its owner.
    HandOver(u64),
    Rename(String),
    /// The description; empty for none.
    Describe(String),
    /// Whether those who are added from now on may read what was before.
    ShowHistory(bool),
    Leave,
    /// End it for everybody: its name or number, said once more so that it is no slip.
    End(String),
}

/// The commands, for people.
pub(crate) const HELP: &[&str] = &[
    "Chats",
    "/with 8        chat with user 8",
    "/join walk     write in the group called walk, or with that number",
    "/list          show the conversations, what is unread, and who is online",
    "/history 50    fetch older messages from the server; with --plain, show the newest again",
    "/timer 1h      let messages here disappear after so long (90s, 5m, 1h, 7d); 0 for never",
    "/reconnect     connect now instead of waiting",
    "/quit          leave; what is not sent yet goes out the next time",
    "Messages",
    "/numbers       show the numbers of the messages, or hide them",
    "/edit 5 hi     give your message 5 another text; /delete 5 deletes it for everybody",
    "/react 5 👍    react to message 5; without an emoji, take that back",
    "/star 5        remember message 5, on all your devices; /unstar 5 ends that, /stars shows them",
    "/vanish 30s hi     send a text that disappears after so long, whatever the timer here says",
    "/retry         send again what the server rejected in this conversation",
    "@8             in a group, mentions user 8",
    "//text         send a text that begins with a slash",
    "Groups",
    "/group walk 8 9    make a group with users 8 and 9, called walk",
    "/add 10        add users to the group; /remove 10, /promote 10 and /demote 10 likewise",
    "/rename hike   give the group another name; /describe words describes it",
    "/show-history on   let those who are added from now on read what was before; off ends that",
    "/hand-over 10  make user 10 the owner; /leave leaves the group",
    "/end walk      end the open group, which is called walk, for everybody",
    "/who           show who is in the group, who of them is online, and how far they are",
];

const HISTORY_DEFAULT: usize = 20;

const MESSAGE_RULE: &str = "takes a message's number, which /numbers shows";

/// Whether a line is a command, or the beginning of one. Two slashes begin a text.
pub(crate) fn is_command(line: &str) -> bool {
    line.starts_with('/') && !line.starts_with("//")
}

/// Understands a line; `None` for an empty one, an explanation for a wrong one.
pub(crate) fn parse(line: &str) -> Result<Option<Command>, String> {
    let Some(rest) = line.strip_prefix('/') else {
        let text = line.trim_end();
        return Ok((!text.trim().is_empty()).then(|| Command::Say(text.to_owned())));
    };
    if rest.starts_with('/') {
        return Ok(Some(Command::Say(rest.trim_end().to_owned())));
    }
    if rest.starts_with(char::is_whitespace) {
        return Err(format!(
            "a command stands right behind its slash, as in /help; //{rest} sends this as a text"
        ));
    }
    let mut words = rest.split_whitespace();
    let name = words.next().unwrap_or("");
    let arguments: Vec<_> = words.collect();
    if let Some(command) = about_groups(name, rest, &arguments)? {
        return Ok(Some(command));
    }
    if let Some(people) = people::parse(name, &arguments)? {
        return Ok(Some(Command::People(people)));
    }
    if let Some(command) = about_messages(name, rest, &arguments)? {
        return Ok(Some(command));
    }
    if arguments.len() > 1 {
        return Err(format!("/{name} takes one value at most; //{rest} sends this as a text"));
    }
    let command = match (name, arguments.first()) {
        ("with", Some(user)) => Command::With(number(user, "/with takes a user number from 1")?),
        ("with", None) => return Err("/with takes a user number from 1, as in /with 8".into()),
        ("history", Some(count)) => {
            Command::History(number(count, "/history takes how many messages to show")? as usize)
        }
        ("history", None) => Command::History(HISTORY_DEFAULT),
        ("list", None) => Command::List,
        ("retry", None) => Command::Retry,
        ("reconnect", None) => Command::Reconnect,
        ("help" | "?", None) => Command::Help,
        ("quit" | "exit" | "q", None) => Command::Quit,
        ("list" | "retry" | "reconnect" | "help" | "quit", Some(_)) => {
            return Err(format!("/{name} takes no value"));
        }
        _ => return Err(format!("there is no command /{name}; /help shows the commands")),
    };
    Ok(Some(command))
}

/// Understands the commands about a message; `None` for others.
fn about_messages(name: &str, rest: &str, arguments: &[&str]) -> Result<Option<Command>, String> {
    if !["edit", "delete", "react", "timer", "vanish", "numbers"].contains(&name) {
        return Ok(None);
    }
    if name == "numbers" {
        return match arguments {
            [] => Ok(Some(Command::Numbers)),
            _ => Err("/numbers takes no value".into()),
        };
    }
    let rule = match name {
        "timer" => "takes how long, as in /timer 1h, at most 365d; 0 for never",
        "vanish" => "takes how long, at most 365d, and a text, as in /vanish 30s hi",
        _ => MESSAGE_RULE,
    };
    let first = arguments.first().ok_or_else(|| format!("/{name} {rule}"))?;
    let after = rest[name.len()..].trim_start();
    let text = after[first.len()..].trim().to_owned();
    if matches!(name, "timer" | "vanish") {
        let seconds = seconds(first);
        let seconds = seconds.ok_or_else(|| format!("/{name} {rule}; {first:?} is none"))?;
        return match name {
            "timer" => Ok(Some(Command::Timer(seconds))),
            _ if text.is_empty() || seconds == 0 => Err(format!("/{name} {rule}")),
            _ => Ok(Some(Command::Vanish(seconds, text))),
        };
    }
    let number = message_number(name, first)?;
    match name {
        "edit" if text.is_empty() => Err("/edit takes the new text too, as in /edit 5 hi".into()),
        "edit" => Ok(Some(Command::Edit(number, text))),
        "delete" => Ok(Some(Command::Delete(number))),
        _ => Ok(Some(Command::React(number, text))),
    }
}

/// Understands the commands about groups; `None` for others.
fn about_groups(name: &str, rest: &str, arguments: &[&str]) -> Result<Option<Command>, String> {
    let users = |users: &[&str]| -> Result<Vec<u64>, String> {
        if users.is_empty() {
            return Err(format!("/{name} takes user numbers from 1, as in /{name} 8 9"));
        }
        let rule = format!("/{name} takes user numbers from 1");
        users.iter().map(|user| number(user, &rule)).collect()
    };
    let none = |command: Command| match arguments {
        [] => Ok(command),
        _ => Err(format!("/{name} takes no value")),
    };
    let text = || match arguments.join(" ") {
        text if text.is_empty() => Err(format!("/{name} takes a name, as in /{name} walk")),
        text => Ok(text),
    };
    Ok(Some(match name {
        "group" => match arguments {
            [] => return Err("/group takes a name and users, as in /group walk 8 9".into()),
            [name, members @ ..] => Command::Group((*name).to_owned(), users(members)?),
        },
        "join" => Command::Join(text()?),
        "add" => Command::Change(Change::Add(users(arguments)?)),
        "remove" => Command::Change(Change::Remove(users(arguments)?)),
        "promote" => Command::Change(Change::Promote(users(arguments)?)),
        "demote" => Command::Change(Change::Demote(users(arguments)?)),
        "hand-over" => match arguments {
            [user] => {
                let user = number(user, "/hand-over takes a user number from 1")?;
                Command::Change(Change::HandOver(user))
            }
            _ => return Err("/hand-over takes one user number, as in /hand-over 8".into()),
        },
        "rename" => Command::Change(Change::Rename(text()?)),
        // As it was written: a description may be longer than a name.
        "describe" => Command::Change(Change::Describe(rest[name.len()..].trim().to_owned())),
        "show-history" => match arguments {
            ["on"] => Command::Change(Change::ShowHistory(true)),
            ["off"] => Command::Change(Change::ShowHistory(false)),
            _ => return Err("/show-history takes on or off".into()),
        },
        // What to say instead of nothing only the open group tells.
        "end" => Command::Change(Change::End(arguments.join(" "))),
        "leave" => none(Command::Change(Change::Leave))?,
        "who" => none(Command::Who)?,
        _ => return Ok(None),
    }))
}

/// A time, in seconds: a number of them, or of what the letter behind it says.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = match text.as_bytes().last()? {
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 3_600),
        b'd' => (text.strip_suffix('d')?, 86_400),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (seconds <= DISAPPEAR_SECONDS_MAX).then_some(seconds)
}

/// The number of a message, as it is shown or without its sign.
fn message_number(name: &str, text: &str) -> Result<i64, String> {
    let number = text.trim_start_matches('#').parse();
    number.map_err(|_| format!("/{name} {MESSAGE_RULE}; {text:?} is none"))
}

fn number(text: &str, rule: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{rule}; {text:?} is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_commands() {
        let good = [
            ("hello", Command::Say("hello".into())),
            ("  indented \n", Command::Say("  indented".into())),
            ("//etc/hosts", Command::Say("/etc/hosts".into())),
            ("/with 8", Command::With(8)),
            ("/group walk 8 9", Command::Group("walk".into(), vec![8, 9])),
            ("/join long walk", Command::Join("long walk".into())),
            ("/add 10 11", Command::Change(Change::Add(vec![10, 11]))),
            ("/remove 10", Command::Change(Change::Remove(vec![10]))),
            ("/promote 10", Command::Change(Change::Promote(vec![10]))),
            ("/rename long walk", Command::Change(Change::Rename("long walk".into()))),
            ("/leave", Command::Change(Change::Leave)),
            ("/demote 10 11", Command::Change(Change::Demote(vec![10, 11]))),
            ("/hand-over 10", Command::Change(Change::HandOver(10))),
            ("/describe two  words", Command::Change(Change::Describe("two  words".into()))),
            ("/describe", Command::Change(Change::Describe(String::new()))),
            ("/show-history on", Command::Change(Change::ShowHistory(true))),
            ("/show-history off", Command::Change(Change::ShowHistory(false))),
            ("/end long walk", Command::Change(Change::End("long walk".into()))),
            ("/who", Command::Who),
            ("/edit 5 a  new text", Command::Edit(5, "a  new text".into())),
            ("/edit #-3 x", Command::Edit(-3, "x".into())),
            ("/delete 5", Command::Delete(5)),
            ("/react 5 👍", Command::React(5, "👍".into())),
            ("/react 5", Command::React(5, String::new())),
            ("/timer 0", Command::Timer(0)),
            ("/timer 3600", Command::Timer(3_600)),
            ("/timer 7d", Command::Timer(604_800)),
            ("/vanish 30s a  secret", Command::Vanish(30, "a  secret".into())),
            ("/vanish 2h /etc", Command::Vanish(7_200, "/etc".into())),
            ("/vanish 365d hi", Command::Vanish(31_536_000, "hi".into())),
            ("/numbers", Command::Numbers),
            ("/list", Command::List),
            ("/history", Command::History(20)),
            ("/history 3", Command::History(3)),
            ("/help", Command::Help),
            ("/q", Command::Quit),
        ];
        for (line, command) in good {
            assert_eq!(parse(line), Ok(Some(command)), "{line}");
        }
        assert_eq!(parse("   "), Ok(None));
    }

    #[test]
    fn any_line_can_be_understood_or_not() {
        let commands = [HELP, HELP_PEOPLE].concat();
        let commands = commands.iter().filter_map(|line| line.strip_prefix('/'));
        let names = commands.filter_map(|line| line.split([' ', ',']).next());
        let names: Vec<_> = names.chain(["", "?", "年", "e\u{301}dit", "EDIT", "\0"]).collect();
        assert!(names.contains(&"edit") && names.contains(&"find"), "{names:?}");
        let odd = ["", "1", "1年", "年", "👍", "#", "-", "1d年", "年d", "\u{301}", "\0", "/", "ß"];
        for blank in ["", " ", "\t", "\n", "\u{a0}", "\u{3000} ", "  "] {
            for (name, first) in names.iter().flat_map(|name| odd.map(|odd| (name, odd))) {
                for last in odd {
                    for before in ["", blank] {
                        let _ = parse(&format!("/{before}{name}{blank}{first}{blank}{last}"));
                        let _ = parse(&format!("{blank}/{name}{first}{blank}{last}{blank}"));
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_commands_say_what_is_right() {
        for (line, part) in [
            ("/with", "as in /with 8"),
            ("/with bob", "\"bob\" is none"),
            ("/with 0", "from 1"),
            ("/list all", "takes no value"),
            ("/group", "as in /group walk 8 9"),
            ("/group walk", "as in /group 8 9"),
            ("/add x", "\"x\" is none"),
            ("/rename", "as in /rename walk"),
            ("/leave now", "takes no value"),
            ("/hand-over", "as in /hand-over 8"),
            ("/hand-over 8 9", "as in /hand-over 8"),
            ("/hand-over bob", "\"bob\" is none"),
            ("/demote", "as in /demote 8 9"),
            ("/show-history", "on or off"),
            ("/show-history maybe", "on or off"),
            ("/edit", "takes a message's number"),
            ("/edit x y", "\"x\" is none"),
            ("/edit 5", "the new text too"),
            ("/timer soon", "\"soon\" is none"),
            ("/timer 366d", "at most 365d"),
            ("/timer 1年", "\"1年\" is none"),
            ("/vanish", "as in /vanish 30s hi"),
            ("/vanish 30s", "as in /vanish 30s hi"),
            ("/vanish 0 hi", "as in /vanish 30s hi"),
            ("/vanish 99999999999999999999d hi", "is none"),
            ("/dance", "no command /dance"),
            ("/", "/help"),
            ("/ edit 5 hi", "// edit 5 hi sends this as a text"),
            ("/ edit 1年", "right behind its slash"),
            ("/\u{3000}quit", "right behind its slash"),
            ("/ ", "/help"),
            ("/etc/hosts is a file", "//etc/hosts"),
        ] {
            let told = parse(line).unwrap_err();
            assert!(told.contains(part), "{line}: {told}");
        }
    }
}
