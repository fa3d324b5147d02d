//! What the full screen looks like. Draws a state; changes none.

use std::time::Instant;

use fulmar_client::{Message, MessageId, State, Target};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::chat::{Chat, Link, Tick};
use crate::editor::Editor;
use crate::text;
use crate::wrap::wrap;

/// From this width on the conversations stand beside the messages.
const LIST_FROM_COLUMNS: u16 = 70;
const LIST_COLUMNS: u16 = 22;

/// Smaller screens show nothing but a hint.
const COLUMNS_MIN: u16 = 20;
const ROWS_MIN: u16 = 5;

/// Columns behind a message for its ticks.
const TICK_COLUMNS: usize = 4;

/// Text of one message that is shown; a terminal is no place to read more at once.
const SHOWN_CHARACTERS_MAX: usize = 20_000;

/// A note of the program among the messages.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    /// The newest message at that time.
    pub(crate) after: Option<MessageId>,
    pub(crate) text: String,
}

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    pub(crate) chat: &'a Chat,
    /// Who and where: the left of the top line.
    pub(crate) title: &'a str,
    pub(crate) notes: &'a [Note],
    /// Lines that the messages are scrolled up.
    pub(crate) scroll: usize,
    pub(crate) now: Instant,
}

/// What the drawing found out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The scroll that was possible.
    pub(crate) scroll: usize,
    /// The oldest loaded message is on the screen.
    pub(crate) at_top: bool,
    /// Lines of the messages that are visible at once.
    pub(crate) page: usize,
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, look: &Look<'_>, editor: &Editor) -> Seen {
    let area = frame.area();
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        frame.render_widget(Paragraph::new("the window is too small"), area);
        return Seen::default();
    }
    let rows = [
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(editor.height().min(area.height - 4)),
    ];
    let [top, body, bar, input] = Layout::vertical(rows).areas(area);
    draw_top(frame, top, look);
    let messages = draw_list(frame, body, look);
    let seen = draw_messages(frame, messages, look);
    draw_bar(frame, bar, look, seen);
    frame.render_widget(editor.area(), input);
    seen
}

fn draw_top(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
    let (sign, text, color) = match &look.chat.link {
        Link::Connecting => ("○", "connecting".to_owned(), Color::Yellow),
        Link::Online => ("●", "connected".to_owned(), Color::Green),
        Link::Waiting { reason, until } => {
            let seconds = until.saturating_duration_since(look.now).as_secs_f64().ceil();
            ("○", format!("next attempt in {seconds:.0} s: {reason}"), Color::Yellow)
        }
        Link::Stopped { reason } => ("✗", format!("/reconnect tries again: {reason}"), Color::Red),
    };
    let line = Line::from(vec![
        Span::from(format!(" {}  ", look.title)),
        Span::from(sign).fg(color),
        Span::from(format!(" {text}")),
    ]);
    frame.render_widget(Paragraph::new(line).style(Modifier::REVERSED), area);
}

/// Draws the conversations where there is room for them; the area that remains.
fn draw_list(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) -> Rect {
    if area.width < LIST_FROM_COLUMNS {
        return area;
    }
    let columns = [Constraint::Length(LIST_COLUMNS), Constraint::Length(2), Constraint::Min(1)];
    let [list, line, rest] = Layout::horizontal(columns).areas(area);
    let open = look.chat.open_target();
    let entry = |(target, unread): (Target, u64)| {
        let style = if open == Some(target) { Modifier::BOLD } else { Modifier::empty() };
        let is_there = look.chat.is_peer_there(target);
        let there = if is_there { Span::from("●").fg(Color::Green) } else { Span::raw(" ") };
        let label = Span::styled(look.chat.label(target), style);
        let unread = match unread {
            0 => Span::raw(""),
            unread if look.chat.is_quiet(target) => Span::from(format!("  {unread} new")).dim(),
            unread => Span::from(format!("  {unread} new")).fg(Color::Yellow),
        };
        Line::from(vec![there, label, unread])
    };
    let entries: Vec<_> =
        look.chat.list().into_iter().take(list.height.into()).map(entry).collect();
    frame.render_widget(Paragraph::new(entries), list);
    let divider = vec![Line::from("│").dim(); line.height.into()];
    frame.render_widget(Paragraph::new(divider), line);
    rest
}

fn draw_bar(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, seen: Seen) {
    let mut spans = vec![Span::from("── ").dim()];
    match look.chat.open_target() {
        Some(Target::Peer(peer)) => spans.push(Span::from(format!("with {peer} ")).bold()),
        Some(target) => {
            let gone = look.chat.open_group().is_some_and(|group| group.is_gone);
            let note = if gone { "(no member) " } else { "" };
            spans.push(Span::from(format!("in {} {note}", look.chat.label(target))).bold());
        }
        None => spans.push(Span::from("/with 8 opens a chat with user 8 ")),
    }
    if let Some(presence) = look.chat.presence() {
        spans.push(Span::from(format!("{presence} ")).dim());
    }
    for user in look.chat.writers(look.now) {
        spans.push(Span::from(format!("── {user} writes … ")).fg(Color::Cyan));
    }
    if seen.scroll > 0 {
        spans.push(Span::from(format!("── {} lines below, Esc goes there ", seen.scroll)).dim());
    }
    for (target, unread) in look.chat.list() {
        let is_open = look.chat.open_target() == Some(target);
        if unread > 0 && !is_open && !look.chat.is_quiet(target) {
            let place = if matches!(target, Target::Peer(_)) { "from" } else { "in" };
            let unread = format!("── {unread} new {place} {} ", look.chat.label(target));
            spans.push(Span::from(unread).fg(Color::Yellow));
        }
    }
    let used: usize = spans.iter().map(|span| span.content.width()).sum();
    let rest = usize::from(area.width).saturating_sub(used);
    spans.push(Span::from("─".repeat(rest)).dim());
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

fn draw_messages(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) -> Seen {
    let (columns, page) = (usize::from(area.width), usize::from(area.height));
    // From the newest upwards, and no further than the screen shows.
    let mut upwards: Vec<Line<'_>> = Vec::new();
    let enough = look.scroll.saturating_add(page);
    let mut notes = look.notes.iter().rev().peekable();
    let mut messages = look.chat.messages().rev().peekable();
    let mut at_top = true;
    while let Some(message) = messages.next() {
        while let Some(note) = notes.next_if(|note| note.after >= Some(message.id)) {
            upwards.extend(note_lines(note, columns).into_iter().rev());
        }
        upwards.extend(message_lines(look.chat, message, columns).into_iter().rev());
        if look.chat.new_from == Some(message.id) {
            upwards.push(separator("new", columns).fg(Color::Yellow));
        }
        let day = |message: &Message| text::local(message.time_ms, "%A %-d %B %Y");
        if messages.peek().is_none_or(|before| day(before) != day(message)) {
            upwards.push(separator(&day(message), columns).dim());
        }
        if upwards.len() >= enough && messages.peek().is_some() {
            at_top = false;
            break;
        }
    }
    if at_top {
        for note in notes {
            upwards.extend(note_lines(note, columns).into_iter().rev());
        }
    }
    let scroll = look.scroll.min(upwards.len().saturating_sub(page));
    let mut lines: Vec<_> = upwards.into_iter().skip(scroll).take(page).collect();
    // The newest line stands right above the input line.
    lines.resize(page, Line::default());
    lines.reverse();
    frame.render_widget(Paragraph::new(lines), area);
    Seen { scroll, at_top, page }
}

fn separator(text: &str, columns: usize) -> Line<'static> {
    let rest = columns.saturating_sub(text.width() + 8);
    Line::from(format!("──── {text} {}", "─".repeat(rest)))
}

fn note_lines(note: &Note, columns: usize) -> Vec<Line<'static>> {
    let lines = wrap(&note.text, columns.saturating_sub(2));
    lines.into_iter().map(|line| Line::from(format!("* {line}")).fg(Color::Yellow)).collect()
}

fn message_lines(chat: &Chat, message: &Message, columns: usize) -> Vec<Line<'static>> {
    let own = message.state.is_own();
    let peer = message.peer.to_string();
    let width = peer.len().max(2);
    let name = if own { "me" } else { &peer };
    let time = text::local(message.time_ms, "%H:%M ");
    let margin = time.width() + width + 2;
    let marks = chat.number(message).width() + chat.star_mark(message).width();
    let room = columns.saturating_sub(margin + TICK_COLUMNS + marks);
    let mut texts = wrap(&shown(message), room).into_iter();
    let color = if own { Color::Green } else { Color::Cyan };
    let mut lines = vec![Line::from(vec![
        Span::from(time).dim(),
        Span::from(format!("{name:width$}  ")).fg(color),
        Span::from(chat.number(message)).dim(),
        Span::from(chat.star_mark(message)).fg(Color::Yellow),
        Span::styled(texts.next().unwrap_or_default(), emphasis(message)),
    ])];
    let more = |text| Line::styled(format!("{:margin$}{text}", ""), emphasis(message));
    lines.extend(texts.map(more));
    if let Some(last) = lines.last_mut()
        && own
    {
        last.push_span(tick_span(chat.tick(message)));
    }
    if let Some(counts) = chat.counts(message) {
        lines.push(Line::from(format!("{:margin$}{counts}", "")).dim());
    }
    if let State::Rejected(code) = message.state {
        let told = format!("{:margin$}not taken: {code}; /retry sends it again", "");
        lines.push(Line::from(told).fg(Color::Red));
    }
    lines
}

/// What mentions somebody stands out.
fn emphasis(message: &Message) -> Style {
    if message.mentions().is_empty() { Style::new() } else { Style::new().bold() }
}

fn tick_span(tick: Tick) -> Span<'static> {
    let style = match tick {
        Tick::Read => Style::new().fg(Color::LightBlue).bold(),
        Tick::Rejected => Style::new().fg(Color::Red),
        _ => Style::new().dim(),
    };
    Span::styled(format!("  {}", tick.sign()), style)
}

fn shown(message: &Message) -> String {
    let text = text::of_message(message);
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        None => text,
        Some((end, _)) => {
            let more = text[end..].chars().count();
            format!("{}…\n[and {more} more characters; --plain shows them all]", &text[..end])
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
