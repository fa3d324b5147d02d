//! Received text made fit for a terminal, and times as people read them.

use fulmar_client::{Action, GroupChange, Message, content};
use fulmar_protocol::content::Content;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The text of a message, harmless to a terminal. A body that isn't text is described.
pub fn of_message(message: &Message) -> String {
    if let Some(change) = change_of(message) {
        of_change(&change)
    } else if let Some(told) = of_reference(message) {
        told
    } else if message.changes.is_deleted {
        "[deleted]".to_owned()
    } else {
        let (content, body) = message.shown();
        let mut text = if content == content::TEXT {
            harmless(&String::from_utf8_lossy(body))
        } else {
            format!("[content {}, {} bytes]", content, body.len())
        };
        if message.changes.edited.is_some() {
            text.push_str(" (edited)");
        }
        for (user, reaction) in &message.changes.reactions {
            let who = if *user == 0 { "me".to_owned() } else { user.to_string() };
            let reaction = harmless_line(&String::from_utf8_lossy(reaction));
            text.extend(["  [", &reaction, " ", &who, "]"]);
        }
        text
    }
}

/// What a message that is about another one does, or the timer that it sets.
fn of_reference(message: &Message) -> Option<String> {
    let content = Content::parse(message.content, &message.body, message.group.is_some()).ok()?;
    let content = content.inner(message.group.is_some()).ok()?;
    let text = |body: &[u8]| harmless(&String::from_utf8_lossy(body));
    Some(match content {
        Content::Edit { body, .. } => format!("[edited to] {}", text(body)),
        Content::Delete { .. } => "[deleted a message]".to_owned(),
        Content::Reaction { body: [], .. } => "[took a reaction back]".to_owned(),
        Content::Reaction { body, .. } => format!("[reacted] {}", text(body)),
        Content::Timer { seconds: 0 } => "[messages stay from now on]".to_owned(),
        Content::Timer { seconds } => {
            format!("[messages disappear after {seconds} s from now on]")
        }
        _ => return None,
    })
}

/// The change of its group that a message tells of, if it does.
pub fn change_of(message: &Message) -> Option<GroupChange> {
    let is_change = message.group.is_some() && message.content == content::CHANGE;
    is_change.then(|| GroupChange::of_body(&message.body)).flatten()
}

/// What somebody did to a group; who did it stands before it.
fn of_change(change: &GroupChange) -> String {
    let users: Vec<_> = change.users.iter().map(u64::to_string).collect();
    let users = users.join(", ");
    let value = harmless_line(&String::from_utf8_lossy(&change.value));
    match change.action {
        Action::Create => format!("made the group {value:?} with {users}"),
        Action::Rename => format!("called the group {value:?}"),
        Action::Describe if value.is_empty() => "removed the description".to_owned(),
        Action::Describe => format!("described the group: {value}"),
        Action::Add => format!("added {users}"),
        Action::Remove => format!("removed {users}"),
        Action::Leave => "left".to_owned(),
        Action::Promote => format!("made {users} admin"),
        Action::Demote => format!("made {users} a member like the others"),
        Action::HandOver => format!("handed the group over to {users}"),
        Action::Delete => "ended the group".to_owned(),
        Action::ShowHistory if change.value == [1] => {
            "shows new members what was before".to_owned()
        }
        Action::ShowHistory => "hides what was before from new members".to_owned(),
    }
}

/// Replaces what could command a terminal or disguise a line. Line breaks stay.
///
/// A control character becomes its picture, so that one sees that it was there. Directional
/// overrides, with which a text could rearrange the line around it, become the replacement
/// character.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.replace("\r\n", "\n").chars() {
        match character {
            '\n' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\0'..='\u{1f}' => out.push(picture(character)),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            _ => out.push(character),
        }
    }
    out
}

/// The same on one line.
pub fn harmless_line(text: &str) -> String {
    harmless(text).replace('\n', " ⏎ ")
}

fn picture(control: char) -> char {
    char::from_u32(0x2400 + control as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A time of the server as local time, in jiff's notation of `strftime`.
pub fn local(time_ms: u64, format: &str) -> String {
    let time_ms = i64::try_from(time_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(time_ms).map_or_else(
        |_| "?".to_owned(),
        |time| time.to_zoned(TimeZone::system()).strftime(format).to_string(),
    )
}

/// The time now, in milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_commands_a_terminal_remains() {
        let nasty = "a\u{1b}[2Jb\u{7}c\u{9b}31md\u{202e}e\rf\u{7f}g\u{2067}h\u{90}i\0";
        let shown = harmless(nasty);
        assert_eq!(shown, "a␛[2Jb␇c\u{fffd}31md\u{fffd}e␍f␡g\u{fffd}h\u{fffd}i␀");
        assert!(shown.chars().all(|character| !character.is_control()));
        for character in '\0'..='\u{ffff}' {
            let shown = harmless(&character.to_string());
            assert!(shown.chars().all(|shown| shown == '\n' || !shown.is_control()));
        }
    }

    #[test]
    fn what_people_write_stays() {
        let text = "Grüße, 世界, 👩‍👩‍👧, عربى\nline two";
        assert_eq!(harmless(text), text);
        assert_eq!(harmless("a\r\nb\tc"), "a\nb    c");
        assert_eq!(harmless_line("a\nb"), "a ⏎ b");
    }

    #[test]
    fn a_time_beyond_any_calendar_is_no_panic() {
        assert_eq!(local(u64::MAX, "%H:%M"), "?");
        assert_eq!(local(0, "%M"), "00");
    }
}
