//! What a line of input means.

/// A line of input, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send this text.
    Say(String),
    /// Chat with this user.
    With(u64),
    /// Show the conversations.
    List,
    /// Show the newest messages of the conversation again.
    History(usize),
    /// Send what the server rejected again.
    Retry,
    /// Connect now.
    Reconnect,
    /// Show the commands.
    Help,
    /// Leave.
    Quit,
}

/// The commands, for people.
pub(crate) const HELP: &[&str] = &[
    "/with 8        chat with user 8",
    "/list          show the conversations and what is unread",
    "/history 50    show the newest messages again (with --plain)",
    "/retry         send again what the server rejected in this conversation",
    "/reconnect     connect now instead of waiting",
    "/quit          leave; what is not sent yet goes out the next time",
    "//text         send a text that begins with a slash",
];

const HISTORY_DEFAULT: usize = 20;

/// Understands a line; `None` for an empty one, an explanation for a wrong one.
pub(crate) fn parse(line: &str) -> Result<Option<Command>, String> {
    let Some(rest) = line.strip_prefix('/') else {
        let text = line.trim_end();
        return Ok((!text.trim().is_empty()).then(|| Command::Say(text.to_owned())));
    };
    if rest.starts_with('/') {
        return Ok(Some(Command::Say(rest.trim_end().to_owned())));
    }
    let mut words = rest.split_whitespace();
    let (name, argument) = (words.next().unwrap_or(""), words.next());
    if words.next().is_some() {
        return Err(format!("/{name} takes one value at most; //{rest} sends this as a text"));
    }
    let command = match (name, argument) {
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
    fn wrong_commands_say_what_is_right() {
        for (line, part) in [
            ("/with", "as in /with 8"),
            ("/with bob", "\"bob\" is none"),
            ("/with 0", "from 1"),
            ("/list all", "takes no value"),
            ("/dance", "no command /dance"),
            ("/", "/help"),
            ("/etc/hosts is a file", "//etc/hosts"),
        ] {
            let told = parse(line).unwrap_err();
            assert!(told.contains(part), "{line}: {told}");
        }
    }
}
