//! Breaking text into lines of a terminal's columns.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Code points kept of one character as people see it; more combining marks than this only serve
/// to cover the lines above and below.
const MARKS_MAX: usize = 12;

/// Breaks `text` into lines of at most `columns` columns: at line breaks, between words, and
/// within a word only where it is longer than a line.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = Line::default();
        for word in words(paragraph) {
            let width = word.width();
            if line.columns + width <= columns {
                line.push(word, width);
            } else if word.chars().all(char::is_whitespace) {
                // A break takes the place of the space.
                lines.push(line.take());
            } else {
                if line.columns > 0 && width <= columns {
                    lines.push(line.take());
                }
                break_word(word, columns, &mut line, &mut lines);
            }
        }
        lines.push(line.take());
    }
    lines
}

/// The words of a text, and what is between them. A slash belongs to the word that it begins.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut bounds = text.split_word_bound_indices().peekable();
    std::iter::from_fn(move || {
        let (at, word) = bounds.next()?;
        if word == "/"
            && let Some((next_at, next)) =
                bounds.next_if(|(_, next)| next.starts_with(char::is_alphanumeric))
        {
            return Some(&text[at..next_at + next.len()]);
        }
        Some(word)
    })
}

#[derive(Default)]
struct Line {
    text: String,
    columns: usize,
}

impl Line {
    fn push(&mut self, text: &str, columns: usize) {
        self.text.extend(text.graphemes(true).flat_map(|seen| seen.chars().take(MARKS_MAX)));
        self.columns += columns;
    }

    fn take(&mut self) -> String {
        self.columns = 0;
        std::mem::take(&mut self.text)
    }
}

/// Appends a word to the line, breaking it between characters as people see them.
fn break_word(word: &str, columns: usize, line: &mut Line, lines: &mut Vec<String>) {
    for seen in word.graphemes(true) {
        let width = seen.width();
        if line.columns + width > columns {
            lines.push(line.take());
        }
        line.push(seen, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_within() {
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("a b", 10), ["a b"]);
        assert_eq!(wrap("hello brave new world", 11), ["hello brave", "new world"]);
        assert_eq!(wrap("none; /unblock 8", 8), ["none; ", "/unblock", "8"]);
        assert_eq!(wrap("one\n\ntwo", 10), ["one", "", "two"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("xy abcdefghij", 4), ["xy a", "bcde", "fghi", "j"]);
    }

    #[test]
    fn wide_characters_count_two_columns_and_stay_whole() {
        assert_eq!(wrap("世界世界", 5), ["世界", "世界"]);
        assert_eq!(wrap("ab👩‍👩‍👧cd", 4), ["ab👩‍👩‍👧", "cd"]);
        assert_eq!(wrap("世", 1), ["世"]);
    }

    #[test]
    fn no_line_is_wider_than_asked_and_piled_marks_are_cut() {
        let text = "The quick brown 狐 jumps over 13 lazy dogs.\nAnd again: 👍🏽!".repeat(20);
        for columns in 2..60 {
            for line in wrap(&text, columns) {
                assert!(line.width() <= columns, "{line:?} at {columns}");
            }
        }
        let piled = format!("a{}", "\u{301}".repeat(1_000));
        assert_eq!(wrap(&piled, 10)[0].chars().count(), MARKS_MAX);
    }
}
