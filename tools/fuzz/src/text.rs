//! Text that strangers wrote, and whatever else a message holds, on its way to a terminal.

use std::sync::Arc;

use fulmar_chat::text::{harmless, harmless_line, local, of_message};
use fulmar_chat::wrap::wrap;
use fulmar_client::{Changes, Message, MessageId, State, content};

use crate::script::Script;

/// Makes a body fit for a terminal and breaks it into lines: nothing in them commands the terminal,
/// and what is harmless stays so.
pub fn text(data: &[u8]) {
    let mut script = Script::new(data);
    let columns = usize::from(script.byte());
    let time_ms = script.number();
    // Flags, and which content it is where it isn't plain.
    let kind = script.byte();
    let content = match kind >> 2 & 0xf {
        0 if kind & 1 == 1 => content::TEXT,
        content => content,
    };
    let message = Message {
        id: MessageId(1),
        group: (kind & 2 == 2).then_some(20),
        peer: 8,
        state: State::Received,
        ordinal: Some(1),
        position: Some(1),
        time_ms,
        content,
        body: Arc::from(script.rest()),
        changes: Changes::default(),
    };
    let shown = of_message(&message);
    check_harmless(&shown);
    assert_eq!(harmless(&shown), shown, "what is harmless stays as it is");
    let line = harmless_line(&shown);
    check_harmless(&line);
    assert!(!line.contains('\n'));
    for line in wrap(&shown, columns) {
        check_harmless(&line);
        assert!(!line.contains('\n'));
    }
    check_harmless(&local(time_ms, "%A %-d %B %Y %H:%M:%S"));
}

fn check_harmless(text: &str) {
    for character in text.chars() {
        let commands = character != '\n' && character.is_control();
        let rearranges = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!commands && !rearranges, "{character:?} in {text:?}");
    }
}
