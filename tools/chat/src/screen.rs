//! The full screen: keys in, drawings out.

use std::io;
use std::time::{Duration, Instant};

use crossterm::event::{
    Event as Input, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use fulmar_client::limits::PRESENT_MS;
use fulmar_client::{Change, Client, Event, Events, Message, Progress, Target};
use futures_util::{FutureExt, StreamExt};

use crate::chat::{self, Chat, Link};
use crate::command::{self, Command, HELP, HELP_PEOPLE};
use crate::editor::Editor;
use crate::signals::Signals;
use crate::terminal::Screen;
use crate::text;
use crate::view::{self, Look, Note, Seen};

/// How long after the last key the person counts as being there.
const PRESENT: Duration = Duration::from_millis(PRESENT_MS);

/// Notes that stay among the messages.
const NOTES_MAX: usize = 100;

/// Events that are taken between two drawings.
const EVENTS_PER_DRAWING_MAX: usize = 256;

const KEYS: &[&str] = &[
    "Tab            the next conversation, those with something new first",
    "PageUp, PageDown, Esc    scroll up, down, to the end",
    "Alt-Enter      a line break; Enter sends",
    "Up, Down       what was written before",
    "Ctrl-C         clears the line, or leaves where it is empty",
];

/// Whether the program goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Stay,
    Leave,
}

struct App {
    chat: Chat,
    editor: Editor,
    title: String,
    notes: Vec<Note>,
    scroll: usize,
    seen: Seen,
    /// When the person did something.
    used: Instant,
    /// The time of what is on the screen.
    drawn: Instant,
}

/// Runs until the person leaves or a signal ends it; the exit status.
pub(crate) async fn run(
    client: Client,
    mut events: Events,
    user: u64,
    title: String,
    with: Option<u64>,
) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let presence = client.clone();
    let chat = Chat::new(client, user).await.map_err(io::Error::other)?;
    let (editor, notes, seen) = (Editor::new(), Vec::new(), Seen::default());
    let now = Instant::now();
    let mut app = App { chat, editor, title, notes, scroll: 0, seen, used: now, drawn: now };
    match with {
        Some(peer) => app.open(Target::Peer(peer)).await?,
        None => app.note("/with 8 opens a chat with user 8, /help shows more"),
    }
    presence.set_active(true).await;
    let mut screen = Screen::enter()?;
    let mut inputs = EventStream::new();
    loop {
        app.draw(&mut screen).await?;
        tokio::select! {
            status = signals.next() => return Ok(status),
            input = inputs.next() => match input {
                Some(input) => {
                    app.used = Instant::now();
                    presence.set_active(true).await;
                    if app.input(input?, &mut screen).await? == Flow::Leave {
                        return Ok(0);
                    }
                }
                None => return Ok(0),
            },
            event = events.next() => match event {
                Some(event) => app.events(event, &mut events).await?,
                None => return Err(io::Error::other("the client has ended")),
            },
            () = app.clock() => {}
        }
    }
}

/// Whether the key is for a screen that something else wrote on.
fn is_redraw(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('l') && key.modifiers.contains(KeyModifiers::CONTROL)
}

impl App {
    /// Whether the person did something lately: nobody reads on the screen of one who is gone.
    fn is_present(&self) -> bool {
        self.used.elapsed() < PRESENT
    }

    /// Draws, and does what follows from what is now on the screen until nothing more does.
    async fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        loop {
            self.drawn = Instant::now();
            let look = Look {
                chat: &self.chat,
                title: &self.title,
                notes: &self.notes,
                scroll: self.scroll,
                now: self.drawn,
            };
            let mut seen = Seen::default();
            screen.terminal.draw(|frame| seen = view::draw(frame, &look, &self.editor))?;
            (self.scroll, self.seen) = (seen.scroll, seen);
            let marked = seen.scroll == 0 && self.is_present() && self.chat.mark_read().await;
            let wanted = seen.at_top && seen.scroll > 0;
            let loaded = wanted && self.chat.load_older().await.map_err(io::Error::other)?;
            if !marked && !loaded {
                return Ok(());
            }
        }
    }

    /// Waits for the next second of a countdown on the screen, or until somebody who writes is forgotten.
    async fn clock(&self) {
        // Of those whom the screen shows: one may be over since.
        match (&self.chat.link, self.chat.writers_until(self.drawn)) {
            (Link::Waiting { .. }, _) => tokio::time::sleep(Duration::from_secs(1)).await,
            (_, Some(until)) => tokio::time::sleep_until(until.into()).await,
            _ => std::future::pending().await,
        }
    }

    fn note(&mut self, text: &str) {
        let after = self.chat.messages().next_back().map(|message| message.id);
        self.notes.push(Note { after, text: text.to_owned() });
        if self.notes.len() > NOTES_MAX {
            self.notes.remove(0);
        }
        self.scroll = 0;
    }

    async fn open(&mut self, target: Target) -> io::Result<()> {
        self.chat.open(target).await.map_err(io::Error::other)?;
        self.notes.clear();
        self.scroll = 0;
        Ok(())
    }

    async fn input(&mut self, input: Input, screen: &mut Screen) -> io::Result<Flow> {
        match input {
            Input::Key(key) if key.kind == KeyEventKind::Release => Ok(Flow::Stay),
            Input::Key(key) if is_redraw(key) => {
                screen.terminal.clear()?;
                Ok(Flow::Stay)
            }
            Input::Key(key) => self.key(key).await,
            Input::Paste(text) => {
                self.editor.paste(&text);
                self.tell_typing(true).await;
                Ok(Flow::Stay)
            }
            // A new size is drawn with the next drawing.
            _ => Ok(Flow::Stay),
        }
    }

    async fn key(&mut self, key: KeyEvent) -> io::Result<Flow> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let page = self.seen.page.saturating_sub(1).max(1);
        match key.code {
            KeyCode::Char('c') if control && !self.editor.is_empty() => self.editor.clear(),
            KeyCode::Char('c' | 'd') if control && self.editor.is_empty() => {
                return Ok(Flow::Leave);
            }
            KeyCode::PageUp => self.scroll += page,
            KeyCode::PageDown => self.scroll = self.scroll.saturating_sub(page),
            KeyCode::Esc => self.scroll = 0,
            KeyCode::Tab | KeyCode::BackTab => self.next_conversation().await?,
            _ => {
                if let Some(line) = self.editor.key(key)
                    && self.line(&line).await? == Flow::Leave
                {
                    return Ok(Flow::Leave);
                }
            }
        }
        self.tell_typing(matches!(key.code, KeyCode::Char(_))).await;
        Ok(Flow::Stay)
    }

    /// Tells the others of what is open whether the person writes to them: with a key that writes something, and at
    /// once where nothing for them stands in the line any more.
    async fn tell_typing(&mut self, is_writing: bool) {
        let is_for_others = self.editor.is_for_others();
        if is_writing || !is_for_others {
            self.chat.typing(is_for_others).await;
        }
    }

    /// Opens the next conversation with something new, or else the next one by its number.
    async fn next_conversation(&mut self) -> io::Result<()> {
        let open = self.chat.open_target();
        let list = self.chat.list();
        let others = || list.iter().filter(|(target, _)| open != Some(*target));
        let unread = others().find(|(_, unread)| *unread > 0);
        let after = || others().filter(|(target, _)| Some(*target) > open).min();
        let first = || others().min();
        if let Some(&(target, _)) = unread.or_else(after).or_else(first) {
            self.open(target).await?;
        }
        Ok(())
    }

    /// A line was sent off.
    async fn line(&mut self, line: &str) -> io::Result<Flow> {
        let command = match command::parse(line) {
            Ok(Some(command)) => command,
            Ok(None) => return Ok(Flow::Stay),
            Err(problem) => {
                self.note(&problem);
                return Ok(Flow::Stay);
            }
        };
        match command {
            Command::Say(text) => {
                let said = self.chat.say(&text).await;
                self.said(said);
            }
            Command::Vanish(seconds, text) => {
                let said = self.chat.say_for(seconds, &text).await;
                self.said(said);
            }
            Command::With(peer) => self.open(Target::Peer(peer)).await?,
            Command::Group(name, members) => {
                if let Err(problem) = self.chat.make_group(&name, &members).await {
                    self.note(&problem);
                }
            }
            Command::Join(name) => match self.chat.find_group(&name) {
                Some(group) => self.open(Target::Group(group)).await?,
                None => self.note(&chat::no_group(&name)),
            },
            Command::Change(change) => {
                if let Err(problem) = self.chat.change(change).await {
                    self.note(&problem);
                }
            }
            Command::Who => match self.chat.who().await {
                Ok(members) => self.note(&members.join("\n")),
                Err(problem) => self.note(&problem),
            },
            Command::People(people) => match self.chat.people(people).await {
                Ok(lines) if lines.is_empty() => {}
                Ok(lines) => self.note(&lines.join("\n")),
                Err(problem) => self.note(&problem),
            },
            Command::List => self.list(),
            Command::History(count) => {
                if self.chat.look_back(count).await.map_err(io::Error::other)? {
                    self.note("asking the server for what it keeps; PageUp shows it");
                } else {
                    self.note("PageUp shows what was written before");
                }
            }
            Command::Edit(number, text) => {
                let altered = self.chat.alter(number, Change::Edit(text.as_bytes())).await;
                self.tell_problem(altered);
            }
            Command::Delete(number) => {
                let altered = self.chat.alter(number, Change::Delete).await;
                self.tell_problem(altered);
            }
            Command::React(number, reaction) => {
                let altered = self.chat.alter(number, Change::React(reaction.as_bytes())).await;
                self.tell_problem(altered);
            }
            Command::Timer(seconds) => {
                let altered = self.chat.set_timer(seconds).await;
                self.tell_problem(altered);
            }
            Command::Numbers => self.chat.shows_numbers = !self.chat.shows_numbers,
            Command::Retry => match self.chat.retry().await {
                Ok(again) if again.is_empty() => self.note("nothing here was rejected"),
                Ok(_) => {}
                Err(error) => self.note(&format!("not sent: {error}")),
            },
            Command::Reconnect => self.chat.reconnect().await,
            Command::Help => self.note(&[HELP, HELP_PEOPLE, KEYS].concat().join("\n")),
            Command::Quit => return Ok(Flow::Leave),
        }
        Ok(Flow::Stay)
    }

    fn said(&mut self, said: Result<Message, String>) {
        if said.is_ok() {
            self.scroll = 0;
            self.chat.new_from = None;
        }
        self.tell_problem(said);
    }

    fn tell_problem(&mut self, sent: Result<Message, String>) {
        if let Err(problem) = sent {
            self.note(&problem);
        }
    }

    fn list(&mut self) {
        let lines: Vec<_> = self
            .chat
            .list()
            .into_iter()
            .map(|(target, unread)| {
                let marks = self.chat.marks(target);
                format!("{}: {unread} unread{marks}", self.chat.label(target))
            })
            .collect();
        if lines.is_empty() {
            self.note("no conversation yet; /with 8 opens one with user 8");
        } else {
            self.note(&lines.join("\n"));
        }
    }

    /// Says what the server didn't take, where no message on the screen does.
    async fn rejected(&mut self, event: &Event) -> io::Result<()> {
        let rejection = self.chat.rejection(event).await.map_err(io::Error::other)?;
        if let Some((id, told)) = rejection
            && !self.chat.has_loaded(id)
        {
            self.note(&told);
        }
        Ok(())
    }

    /// Takes an event and those that wait behind it, so that a burst is one drawing.
    async fn events(&mut self, first: Event, events: &mut Events) -> io::Result<()> {
        let mut next = Some(first);
        for _ in 0..EVENTS_PER_DRAWING_MAX {
            let Some(event) = next else { return Ok(()) };
            self.event(&event).await?;
            next = events.next().now_or_never().flatten();
        }
        match next {
            Some(event) => self.event(&event).await,
            None => Ok(()),
        }
    }

    async fn event(&mut self, event: &Event) -> io::Result<()> {
        self.chat.take(event).await.map_err(io::Error::other)?;
        if let Some(news) = self.chat.news(event) {
            self.note(&news);
        }
        match event {
            Event::Refused { code, detail, .. } => self.note(&chat::refusal(*code, detail)),
            Event::StoreFailed { detail } => {
                // Nothing can go on, and the reason must stay readable.
                return Err(io::Error::other(text::harmless_line(detail)));
            }
            Event::GroupTicked { id, group, .. } if self.chat.is_made(*id) => {
                self.open(Target::Group(*group)).await?;
            }
            Event::GroupRejected { group: 0, code, .. } => {
                self.note(&format!("the group isn't made: {code}"));
            }
            Event::Rejected { .. } | Event::GroupRejected { .. } => self.rejected(event).await?,
            // Who made it knows.
            Event::AddedToGroup { group, by, .. } if *by != self.chat.user => {
                let label = self.chat.label(Target::Group(*group));
                self.note(&format!("{by} added you to {label}; Tab goes there"));
            }
            Event::GroupGone { group, .. } => {
                let label = self.chat.label(Target::Group(*group));
                self.note(&format!("you are no member of {label}"));
            }
            Event::GroupWho { .. } => {
                let Some(who) = self.chat.answered_who(event).await else { return Ok(()) };
                let with = |wanted: Progress| {
                    let users = who.iter().filter(|(_, progress)| *progress == wanted);
                    users.map(|(user, _)| user.to_string()).collect::<Vec<_>>().join(", ")
                };
                let (read, delivered) = (with(Progress::Read), with(Progress::Delivered));
                let not_yet = with(Progress::NotYet);
                self.note(&format!(
                    "the newest message: read by [{read}], delivered to [{delivered}], not yet to \
                     [{not_yet}]"
                ));
            }
            Event::HistoryFilled { .. } => {
                self.chat.fetched(event).await.map_err(io::Error::other)?;
            }
            Event::InboxWentBack { cursor, head } | Event::GroupWentBack { cursor, head, .. } => {
                self.note(&chat::loss(*cursor, *head));
            }
            Event::Disconnected { reason, retry_in_ms: None } => {
                self.note(&text::harmless_line(&reason.to_string()));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
