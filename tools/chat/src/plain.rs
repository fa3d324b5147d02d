//! Line mode: for pipes, scripts and transcripts.
//!
//! A message is printed again whenever it comes a step further, so each line can be read, and
//! searched for, by itself.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use fulmar_client::{Change, Client, Event, Events, Message, MessageId, Progress, Receipt, Target};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::chat::{self, Chat, Tick};
use crate::command::{self, Command, HELP, HELP_PEOPLE};
use crate::input::{self, Line};
use crate::signals::Signals;
use crate::text;

/// Exit status: something that was sent has no tick yet.
const UNANSWERED: u8 = 1;
/// Exit status: the login was refused, or the store failed.
const FAILED: u8 = 3;

/// Messages of this run that are printed again when a receipt comes. Beyond it the oldest are
/// forgotten, and receipts for them are not printed.
const OWN_MAX: usize = 1_000;

/// What happens at the end of input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtEnd {
    /// How long to wait for ticks.
    pub(crate) wait: Duration,
    /// Stay instead.
    pub(crate) follow: bool,
}

/// A message of this run.
struct Own {
    target: Target,
    /// None before the tick.
    ordinal: Option<u64>,
    text: String,
    tick: Tick,
}

struct Plain<W: Write> {
    chat: Chat,
    out: W,
    own: BTreeMap<MessageId, Own>,
    /// What opening the conversation printed of it.
    printed: Option<RangeInclusive<MessageId>>,
    rejected: bool,
    /// Whether what is printed counts as read: a person sees it, or says so.
    reads: bool,
}

/// Runs until the end of input, `/quit` or a signal; the exit status.
pub(crate) async fn run(
    client: Client,
    mut events: Events,
    user: u64,
    with: Option<u64>,
    read: bool,
    at_end: AtEnd,
) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let chat = Chat::new(client.clone(), user).await.map_err(io::Error::other)?;
    let out = io::stdout();
    // A script is nobody who is there, nor who reads.
    let is_person = io::stdin().is_terminal();
    let mut plain = Plain {
        chat,
        out,
        own: BTreeMap::new(),
        printed: None,
        rejected: false,
        reads: is_person || read,
    };
    if let Some(peer) = with {
        plain.open(Target::Peer(peer)).await?;
    }
    client.set_active(is_person).await;
    let mut lines = Some(input::lines());
    let mut end: Option<Instant> = None;
    loop {
        tokio::select! {
            status = signals.next() => return Ok(status),
            line = next(&mut lines) => {
                if let Some(line) = line {
                    client.set_active(is_person).await;
                    if plain.line(line).await? {
                        return Ok(plain.status());
                    }
                } else {
                    lines = None;
                    end = (!at_end.follow).then(|| Instant::now() + at_end.wait);
                }
            }
            event = events.next() => match event {
                Some(event) => {
                    if plain.event(&event).await? {
                        return Ok(FAILED);
                    }
                }
                None => return Ok(FAILED),
            },
            () = time(end) => {
                plain.say_unanswered()?;
                return Ok(plain.status());
            }
        }
        if end.is_some() && !plain.chat.is_looking_back() && plain.all_answered() {
            return Ok(plain.status());
        }
    }
}

async fn next(lines: &mut Option<mpsc::Receiver<Line>>) -> Option<Line> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

async fn time(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

impl<W: Write> Plain<W> {
    fn status(&self) -> u8 {
        if self.rejected || !self.all_answered() { UNANSWERED } else { 0 }
    }

    fn all_answered(&self) -> bool {
        self.own.values().all(|own| own.tick != Tick::Pending)
    }

    fn say_unanswered(&mut self) -> io::Result<()> {
        if self.chat.is_looking_back() {
            self.note("the server didn't send in time what was before")?;
        }
        match self.own.values().filter(|own| own.tick == Tick::Pending).count() {
            0 => Ok(()),
            left => {
                self.note(&format!("{left} messages have no tick yet; they go out the next time"))
            }
        }
    }

    /// A line of input; whether it ends the program.
    async fn line(&mut self, line: Line) -> io::Result<bool> {
        let command = match line.and_then(|line| command::parse(&line)) {
            Ok(Some(command)) => command,
            Ok(None) => return Ok(false),
            Err(problem) => {
                self.note(&problem)?;
                return Ok(false);
            }
        };
        match command {
            Command::Say(text) => self.say(&text).await?,
            Command::With(peer) => self.open(Target::Peer(peer)).await?,
            Command::Group(name, members) => {
                let made = self.chat.make_group(&name, &members).await;
                self.sent(made)?;
            }
            Command::Join(name) => match self.chat.find_group(&name) {
                Some(group) => self.open(Target::Group(group)).await?,
                None => self.note(&chat::no_group(&name))?,
            },
            Command::Change(change) => {
                let changed = self.chat.change(change).await;
                self.sent(changed)?;
            }
            Command::Who => match self.chat.who().await {
                Ok(members) => members.iter().try_for_each(|member| self.note(member))?,
                Err(problem) => self.note(&problem)?,
            },
            Command::People(people) => match self.chat.people(people).await {
                Ok(lines) => lines.iter().try_for_each(|line| self.note(line))?,
                Err(problem) => self.note(&problem)?,
            },
            Command::List => self.list()?,
            Command::History(count) => {
                // What is being fetched is shown once it is here.
                if !self.chat.look_back(count).await.map_err(io::Error::other)? {
                    self.history(count)?;
                }
            }
            Command::Edit(number, text) => {
                let altered = self.chat.alter(number, Change::Edit(text.as_bytes())).await;
                self.sent(altered)?;
            }
            Command::Delete(number) => {
                let altered = self.chat.alter(number, Change::Delete).await;
                self.sent(altered)?;
            }
            Command::React(number, reaction) => {
                let altered = self.chat.alter(number, Change::React(reaction.as_bytes())).await;
                self.sent(altered)?;
            }
            Command::Timer(seconds) => {
                let altered = self.chat.set_timer(seconds).await;
                self.sent(altered)?;
            }
            Command::Vanish(seconds, text) => {
                let said = self.chat.say_for(seconds, &text).await;
                self.sent(said)?;
            }
            Command::Numbers => self.chat.shows_numbers = !self.chat.shows_numbers,
            Command::Retry => self.retry().await?,
            Command::Reconnect => self.chat.reconnect().await,
            Command::Help => {
                for line in [HELP, HELP_PEOPLE].concat() {
                    self.note(line)?;
                }
            }
            Command::Quit => return Ok(true),
        }
        Ok(false)
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        let said = self.chat.say(text).await;
        self.sent(said)
    }

    fn sent(&mut self, sent: Result<Message, String>) -> io::Result<()> {
        match sent {
            Ok(message) => self.own_message(&message),
            Err(problem) => self.note(&problem),
        }
    }

    /// Takes a message of this run and prints it for the first time.
    fn own_message(&mut self, message: &Message) -> io::Result<()> {
        let text = text::harmless_line(&text::of_message(message));
        let own = Own { target: message.target(), ordinal: None, text, tick: Tick::Pending };
        self.print_own(&own)?;
        self.own.insert(message.id, own);
        if self.own.len() > OWN_MAX {
            let answered = self.own.iter().find(|(_, own)| own.tick != Tick::Pending);
            let oldest = answered.map(|(id, _)| *id);
            oldest.and_then(|id| self.own.remove(&id));
        }
        Ok(())
    }

    async fn open(&mut self, target: Target) -> io::Result<()> {
        self.chat.open(target).await.map_err(io::Error::other)?;
        let label = self.chat.label(target);
        self.note(&match target {
            Target::Peer(_) => format!("chatting with {label}"),
            Target::Group(_) => format!("writing in {label}"),
        })?;
        self.printed = None;
        let Some(first) = self.chat.new_from else { return Ok(()) };
        let unread: Vec<_> = self.chat.messages().filter(|m| m.id >= first).cloned().collect();
        if unread.len() == chat::LOADED_MAX && self.chat.has_older() {
            self.note(&format!("more is unread; these are the newest {}", unread.len()))?;
        }
        for message in unread {
            self.print_stored(&message)?;
            self.printed = Some(first..=message.id);
        }
        self.mark_read().await;
        Ok(())
    }

    async fn mark_read(&mut self) {
        if self.reads {
            self.chat.mark_read().await;
        }
    }

    /// Whether opening the conversation printed this message from the store before it was told.
    fn was_printed(&self, message: &Message) -> bool {
        self.chat.open_target() == Some(message.target())
            && self.printed.as_ref().is_some_and(|printed| printed.contains(&message.id))
    }

    fn list(&mut self) -> io::Result<()> {
        let mut lines = Vec::new();
        for (target, unread) in self.chat.list() {
            let open = if self.chat.open_target() == Some(target) { " (open)" } else { "" };
            let number = match target {
                Target::Group(group) => format!(" ({group})"),
                Target::Peer(_) => String::new(),
            };
            let marks = self.chat.marks(target);
            let label = self.chat.label(target);
            lines.push(format!("{label}{number}: {unread} unread{marks}{open}"));
        }
        if lines.is_empty() {
            lines.push("no conversation yet; /with 8 opens one with user 8".into());
        }
        lines.iter().try_for_each(|line| self.note(line))
    }

    fn history(&mut self, count: usize) -> io::Result<()> {
        let mut newest: Vec<_> = self.chat.messages().rev().take(count).cloned().collect();
        newest.reverse();
        newest.iter().try_for_each(|message| self.print_stored(message))
    }

    async fn retry(&mut self) -> io::Result<()> {
        match self.chat.retry().await {
            Ok(again) if again.is_empty() => self.note("nothing here was rejected"),
            Ok(again) => {
                self.rejected = false;
                again.iter().try_for_each(|message| self.own_message(message))
            }
            Err(error) => self.note(&format!("not sent: {error}")),
        }
    }

    /// Something happened; whether it is the end.
    async fn event(&mut self, event: &Event) -> io::Result<bool> {
        self.chat.take(event).await.map_err(io::Error::other)?;
        if let Some(news) = self.chat.news(event) {
            self.note(&news)?;
        }
        match event {
            Event::Connected { .. } => self.note("connected")?,
            Event::Disconnected { reason, retry_in_ms } => {
                return self.lost(&reason.to_string(), *retry_in_ms);
            }
            Event::Refused { code, detail, retry_in_ms } => {
                return self.lost(&chat::refusal(*code, detail), *retry_in_ms);
            }
            Event::StoreFailed { detail } => return self.lost(detail, None),
            Event::Message(message) | Event::OwnCopy(message) | Event::GroupMessage(message) => {
                if !self.was_printed(message) {
                    self.print_stored(message)?;
                }
                if self.chat.open_target() == Some(message.target()) {
                    self.mark_read().await;
                }
            }
            Event::Ticked { id, ordinal, .. } => {
                self.step(*id, Tick::Sent, Some(*ordinal), "")?;
                self.catch_up(*id)?;
            }
            Event::GroupTicked { id, group, position, .. } => {
                if let Some(own) = self.own.get_mut(id) {
                    own.target = Target::Group(*group);
                }
                self.step(*id, Tick::Sent, Some(*position), "")?;
                // A receipt may have come before the tick.
                if let Some(receipt) = self.chat.receipt(*group) {
                    self.group_receipt(*group, &receipt)?;
                }
                if self.chat.is_made(*id) {
                    self.open(Target::Group(*group)).await?;
                }
            }
            Event::GroupReceipt { group, receipt } => self.group_receipt(*group, receipt)?,
            Event::GroupWho { .. } => {
                for (user, progress) in self.chat.answered_who(event).await.unwrap_or_default() {
                    let told = match progress {
                        Progress::NotYet => "doesn't have the newest message",
                        Progress::Delivered => "has the newest message",
                        Progress::Read => "saw the newest message",
                    };
                    self.note(&format!("{user} {told}"))?;
                }
            }
            // Who made it knows.
            Event::AddedToGroup { by, .. } if *by == self.chat.user => {}
            Event::AddedToGroup { group, by, .. } => {
                let label = self.chat.label(Target::Group(*group));
                self.note(&format!("{by} added you to {label}; /join {group}"))?;
            }
            Event::GroupGone { group, .. } => {
                let label = self.chat.label(Target::Group(*group));
                self.note(&format!("you are no member of {label}"))?;
            }
            Event::Presence { user, is_online, last_seen_ms } => {
                // Of the others /list and /who tell it.
                if self.chat.open_target() == Some(Target::Peer(*user))
                    && let Some(told) = chat::presence(*is_online, *last_seen_ms)
                {
                    self.note(&format!("{user} is {told}"))?;
                }
            }
            Event::Typing { group, user, is_typing: true } => {
                let target = group.map_or(Target::Peer(*user), Target::Group);
                if self.chat.open_target() == Some(target) {
                    self.note(&format!("{user} writes …"))?;
                }
            }
            Event::Rejected { id, code, .. } | Event::GroupRejected { id, code, .. } => {
                self.rejected = true;
                let rejection = self.chat.rejection(event).await.map_err(io::Error::other)?;
                if self.own.contains_key(id) {
                    self.step(*id, Tick::Rejected, None, &format!(" rejected: {code}"))?;
                } else if let Some((_, told)) = rejection {
                    // An earlier run sent it.
                    self.print(&told)?;
                }
            }
            Event::Delivered { peer, ordinal } => self.receipt(*peer, *ordinal, Tick::Delivered)?,
            Event::Read { peer, ordinal } => self.receipt(*peer, *ordinal, Tick::Read)?,
            Event::HistoryFilled { .. } => {
                if let Some(count) = self.chat.fetched(event).await.map_err(io::Error::other)? {
                    self.history(count)?;
                }
            }
            Event::InboxWentBack { cursor, head } | Event::GroupWentBack { cursor, head, .. } => {
                self.note(&chat::loss(*cursor, *head))?;
            }
            Event::SeenElsewhere { .. }
            | Event::Expired
            | Event::GroupSeenElsewhere { .. }
            | Event::GroupState { .. }
            | Event::Item { .. }
            | Event::PutRejected { .. }
            | Event::BookComplete
            | Event::Profile(_)
            | Event::Found { .. }
            | Event::Typing { .. } => {}
        }
        Ok(false)
    }

    fn lost(&mut self, reason: &str, retry_in_ms: Option<u64>) -> io::Result<bool> {
        let reason = text::harmless_line(reason);
        if let Some(ms) = retry_in_ms {
            let seconds = ms.div_ceil(1_000);
            self.note(&format!("{reason}; next attempt in {seconds} s"))?;
        } else {
            self.note(&reason)?;
        }
        Ok(retry_in_ms.is_none())
    }

    /// A message of this run came a step further.
    fn step(
        &mut self,
        id: MessageId,
        tick: Tick,
        ordinal: Option<u64>,
        more: &str,
    ) -> io::Result<()> {
        let Some(mut own) = self.own.remove(&id) else { return Ok(()) };
        own.tick = tick;
        own.ordinal = ordinal.or(own.ordinal);
        let sign = tick.sign();
        let label = self.chat.label(own.target);
        let result = self.print(&format!("me → {label}: {}  {sign}{more}", own.text));
        self.own.insert(id, own);
        result
    }

    /// A receipt may have come before the tick.
    fn catch_up(&mut self, id: MessageId) -> io::Result<()> {
        let Some(own) = self.own.get(&id) else { return Ok(()) };
        let (Target::Peer(peer), ordinal) = (own.target, own.ordinal) else { return Ok(()) };
        let known = self.chat.conversations().into_iter().find(|known| known.peer == peer);
        let reached = known.map(|known| (known.delivered, known.read));
        match (reached, ordinal) {
            (Some((_, read)), Some(ordinal)) if ordinal <= read => {
                self.receipt(peer, read, Tick::Read)
            }
            (Some((delivered, _)), Some(ordinal)) if ordinal <= delivered => {
                self.receipt(peer, delivered, Tick::Delivered)
            }
            _ => Ok(()),
        }
    }

    fn receipt(&mut self, peer: u64, through: u64, tick: Tick) -> io::Result<()> {
        let reached: Vec<_> = self
            .own
            .iter()
            .filter(|(_, own)| {
                own.target == Target::Peer(peer) && own.ordinal.is_some_and(|n| n <= through)
            })
            .filter(|(_, own)| own.tick != Tick::Read && own.tick != tick)
            .map(|(id, _)| *id)
            .collect();
        for id in reached {
            self.step(id, tick, None, if tick == Tick::Read { " read" } else { "" })?;
            if tick == Tick::Read {
                self.own.remove(&id);
            }
        }
        Ok(())
    }

    /// The counts of the newest message of this run in a group.
    fn group_receipt(&mut self, group: u64, receipt: &Receipt) -> io::Result<()> {
        let target = Target::Group(group);
        let is_it = |own: &Own| own.target == target && own.ordinal == Some(receipt.position);
        let newest = self.own.iter().find(|(_, own)| is_it(own)).map(|(id, _)| *id);
        let Some(id) = newest else { return Ok(()) };
        let tick = match receipt.members {
            members if members == receipt.read => Tick::Read,
            members if members == receipt.delivered => Tick::Delivered,
            _ => Tick::Sent,
        };
        self.step(id, tick, None, &format!(" {}", chat::counts(receipt)))
    }

    fn print_own(&mut self, own: &Own) -> io::Result<()> {
        let label = self.chat.label(own.target);
        self.print(&format!("me → {label}: {}  {}", own.text, own.tick.sign()))
    }

    /// A message as the store has it.
    fn print_stored(&mut self, message: &Message) -> io::Result<()> {
        let text = text::harmless_line(&text::of_message(message));
        let time = text::local(message.time_ms, "%H:%M:%S");
        let (target, peer) = (message.target(), message.peer);
        let number = if message.is_reference() { String::new() } else { self.chat.number(message) };
        let number = number + self.chat.star_mark(message);
        let label = self.chat.label(target);
        let is_open = self.chat.open_target() == Some(target);
        let unread = match target {
            _ if is_open => String::new(),
            Target::Peer(peer) => format!("  (unread; /with {peer})"),
            Target::Group(_) => format!("  (unread; /join {label})"),
        };
        let line = match (self.chat.tick(message), target) {
            (Tick::Incoming, Target::Group(_)) if text::change_of(message).is_some() => {
                format!("{time} * {label}: {peer} {text}")
            }
            (Tick::Incoming, Target::Group(_)) => {
                format!("{time} {number}{peer} → {label}: {text}{unread}")
            }
            (Tick::Incoming, Target::Peer(_)) => {
                format!("{time} {number}{peer} → me: {text}{unread}")
            }
            (Tick::Read, _) => format!("{time} {number}me → {label}: {text}  ✓✓ read"),
            (tick, _) => format!("{time} {number}me → {label}: {text}  {}", tick.sign()),
        };
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// A note that is not a message.
    fn note(&mut self, note: &str) -> io::Result<()> {
        self.print(&format!("* {note}"))
    }

    fn print(&mut self, line: &str) -> io::Result<()> {
        let time = text::local(text::now_ms(), "%H:%M:%S");
        writeln!(self.out, "{time} {line}")?;
        self.out.flush()
    }
}
