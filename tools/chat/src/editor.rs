//! The input line: editing, earlier lines, paste.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Modifier, Style};
use ratatui_textarea::{CursorMove, TextArea};

use crate::{command, text};

/// Earlier lines that are kept.
const EARLIER_MAX: usize = 500;

/// Lines that the input line grows to on the screen.
const HEIGHT_MAX: u16 = 5;

/// The input line.
#[derive(Debug)]
pub(crate) struct Editor {
    area: TextArea<'static>,
    earlier: Vec<String>,
    /// Which earlier line is shown, and what was being written before.
    looking: Option<(usize, String)>,
}

impl Editor {
    pub(crate) fn new() -> Self {
        Editor { area: area(""), earlier: Vec::new(), looking: None }
    }

    /// The widget.
    pub(crate) const fn area(&self) -> &TextArea<'static> {
        &self.area
    }

    /// Lines of the screen that it takes.
    pub(crate) fn height(&self) -> u16 {
        u16::try_from(self.area.lines().len()).unwrap_or(HEIGHT_MAX).clamp(1, HEIGHT_MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Whether it is for others what is being written: a command isn't.
    pub(crate) fn is_for_others(&self) -> bool {
        let lines = self.area.lines();
        let is_command = lines.first().is_some_and(|line| command::is_command(line));
        !is_command && lines.iter().any(|line| !line.trim().is_empty())
    }

    pub(crate) fn clear(&mut self) {
        self.show("");
        self.looking = None;
    }

    /// Takes a pasted text; its line breaks stay within the message.
    pub(crate) fn paste(&mut self, pasted: &str) {
        // Terminals send a carriage return for each line break of a paste.
        let pasted = pasted.replace("\r\n", "\n").replace('\r', "\n");
        self.area.insert_str(text::harmless(&pasted));
    }

    /// Takes a key; the text, when the key sends it.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<String> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter if alt => self.area.insert_newline(),
            KeyCode::Char('j') if control => self.area.insert_newline(),
            KeyCode::Enter => return self.submit(),
            KeyCode::Up if self.area.cursor().0 == 0 => self.look(true),
            KeyCode::Down if self.area.cursor().0 + 1 == self.area.lines().len() => {
                self.look(false);
            }
            // What shells do with it; the widget's own meaning is undo, which keeps Ctrl-Z.
            KeyCode::Char('u') if control => _ = self.area.delete_line_by_head(),
            KeyCode::Char('z') if control => _ = self.area.undo(),
            _ => _ = self.area.input(key),
        }
        None
    }

    fn submit(&mut self) -> Option<String> {
        let text = self.area.lines().join("\n");
        self.clear();
        if text.trim().is_empty() {
            return None;
        }
        if self.earlier.last() != Some(&text) {
            self.earlier.push(text.clone());
            if self.earlier.len() > EARLIER_MAX {
                self.earlier.remove(0);
            }
        }
        Some(text)
    }

    /// Shows the line before or after the one that is shown.
    fn look(&mut self, back: bool) {
        let (index, draft) = match self.looking.take() {
            Some((index, draft)) => (index, draft),
            None => (self.earlier.len(), self.area.lines().join("\n")),
        };
        let index = if back { index.saturating_sub(1) } else { index + 1 };
        match self.earlier.get(index).cloned() {
            Some(line) => {
                self.show(&line);
                self.looking = Some((index, draft));
            }
            None => self.show(&draft),
        }
    }

    fn show(&mut self, text: &str) {
        self.area = area(text);
    }
}

fn area(text: &str) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_cursor_line_style(Style::default());
    area.set_cursor_style(Style::default().add_modifier(Modifier::REVERSED));
    area.set_placeholder_text("write a message, or /help");
    area.set_placeholder_style(Style::default().add_modifier(Modifier::DIM));
    area.move_cursor(CursorMove::Bottom);
    area.move_cursor(CursorMove::End);
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(editor: &mut Editor, text: &str) {
        for character in text.chars() {
            editor.key(KeyEvent::from(KeyCode::Char(character)));
        }
    }

    fn press(editor: &mut Editor, code: KeyCode, modifiers: KeyModifiers) -> Option<String> {
        editor.key(KeyEvent::new(code, modifiers))
    }

    const PLAIN: KeyModifiers = KeyModifiers::NONE;

    #[test]
    fn enter_sends_and_alt_enter_breaks_the_line() {
        let mut editor = Editor::new();
        assert_eq!(press(&mut editor, KeyCode::Enter, PLAIN), None);
        write(&mut editor, "one");
        press(&mut editor, KeyCode::Enter, KeyModifiers::ALT);
        write(&mut editor, "two");
        assert_eq!(editor.height(), 2);
        assert_eq!(press(&mut editor, KeyCode::Enter, PLAIN).as_deref(), Some("one\ntwo"));
        assert!(editor.is_empty());
    }

    #[test]
    fn up_and_down_walk_through_earlier_lines_and_back_to_the_draft() {
        let mut editor = Editor::new();
        for text in ["first", "second", "second"] {
            write(&mut editor, text);
            press(&mut editor, KeyCode::Enter, PLAIN);
        }
        write(&mut editor, "draft");
        let mut shown = Vec::new();
        let keys = [KeyCode::Up, KeyCode::Up, KeyCode::Up, KeyCode::Down, KeyCode::Down];
        for key in keys {
            press(&mut editor, key, PLAIN);
            shown.push(editor.area().lines().join("\n"));
        }
        assert_eq!(shown, ["second", "first", "first", "second", "draft"]);
    }

    #[test]
    fn a_paste_keeps_its_lines_and_loses_its_commands() {
        let mut editor = Editor::new();
        editor.paste("a\rb\r\nc\u{1b}[0m");
        assert_eq!(editor.area().lines(), ["a", "b", "c␛[0m"]);
        editor.paste(&"x\n".repeat(20));
        assert_eq!(editor.height(), HEIGHT_MAX);
    }

    #[test]
    fn control_u_clears_what_stands_before_the_cursor() {
        let mut editor = Editor::new();
        write(&mut editor, "secret");
        press(&mut editor, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert!(editor.is_empty());
    }
}
