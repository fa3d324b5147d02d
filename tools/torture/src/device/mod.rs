//! A device: a thread with a client of its own, small and honest, that keeps its side of the
//! protocol whatever happens and writes everything down.
//!
//! It uses the protocol crate and nothing else of ours. `book` is its store, `link` its connection,
//! `outbox`, `inbox`, `groups`, `items`, `people` and `conversations` what it
//! knows, `habits` and `contents` what it does by itself;
//! `session` is where frames meet these, and this file is the life of connections.

mod body;
mod book;
mod book_notes;
mod contents;
mod conversations;
pub(crate) mod digest;
mod group_changes;
mod group_members;
mod group_notes;
mod group_session;
mod groups;
mod habits;
mod inbox;
mod items;
mod link;
mod outbox;
mod past;
mod past_notes;
mod people;
mod people_notes;
mod people_session;
mod session;
mod shelf;
mod takeover;
mod wording;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fulmar_protocol::{Frame, Hello, Pairs, VERSION, capability};

use book::{Book, Note};
use conversations::Conversations;
use groups::Groups;
use habits::{Habits, Whim};
use inbox::Inbox;
use items::Items;
use link::Link;
use outbox::Outbox;
use past::Pages;
use people::People;
use session::Terms;
use takeover::Older;

pub use people::{Way, may_sleep};

use crate::failure::Failure;
use crate::feature::Feature;
use crate::limits::{DEVICE_STEP, RETRY, SILENCE, WELCOME};
use crate::world::{Phase, World};

/// The log that is the inbox, in the lists of a hello or a welcome.
const INBOX_LOG: u64 = 0;

/// Which device, and how it takes part.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its index among the devices of the run.
    pub index: usize,
    /// Its user, from 1.
    pub user: u64,
    /// Its number among the user's devices, from 1.
    pub device: u64,
    /// Whom it writes to.
    pub peers: Vec<u64>,
    /// Groups that it makes: for each, who besides its user takes turns in being a member.
    pub makes: Vec<Vec<u64>>,
    /// How its user takes part.
    pub way: Way,
    /// The round in which it logs in for the first time; 0 is from the start.
    pub joins_in: u32,
    /// Seed of its choices.
    pub seed: u64,
}

/// Where the connection stands.
///
/// ```text
/// Away ──connected──► Greeting ──welcome──► Online
///   ▲                    │                     │
///   └────── closed, lost, refused, goodbye ────┘
/// ```
#[derive(Debug)]
enum Line {
    /// There is none until then, at least.
    Away { until: Instant },
    /// The hello is out.
    Greeting { link: Link, since: Instant },
    /// Logged in.
    Online { link: Link, terms: Terms },
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// The socket broke or was closed by the server.
    Lost,
    /// The device left.
    Left,
    /// The device left with a reset.
    Reset,
    /// Nothing came from the server for long.
    Silent,
    /// Another connection of the device took its place.
    Replaced,
    /// The server said goodbye.
    Goodbye,
    /// The server refused the login.
    Refused,
    /// The server broke the protocol, in words.
    Broken(String),
}

/// See the module's description.
#[derive(Debug)]
pub struct Device {
    role: Role,
    world: Arc<World>,
    book: Book,
    habits: Habits,
    outbox: Outbox,
    inbox: Inbox,
    conversations: Conversations,
    groups: Groups,
    items: Items,
    people: People,
    pages: Pages,
    line: Line,
    /// The connection that a takeover left behind.
    older: Option<Older>,
    /// The phase that the device has taken note of.
    phase: Phase,
    /// The socket isn't read until then.
    stalled_until: Instant,
    /// The last position that was acknowledged on this connection.
    acked: u64,
    /// When what is in the book must be acknowledged at the latest.
    ack_at: Option<Instant>,
    ping_at: Instant,
    /// When something last came on this connection, or could not since it wasn't read.
    heard_at: Instant,
    /// How often all connections were to be broken, as far as the device has seen.
    shakes: u32,
    /// The head of the inbox as the server said last, on this connection.
    head: Option<u64>,
    /// The same when this connection began.
    welcome_head: u64,
    /// When the device changes a group next.
    change_at: Instant,
    /// When it puts something into the book next, and how often it did.
    put_at: Instant,
    puts: u64,
    /// When it does something about people next.
    people_at: Instant,
}

impl Device {
    /// A device with an empty store.
    pub fn new(role: Role, world: Arc<World>) -> io::Result<Device> {
        let now = Instant::now();
        let mut book = Book::create(Arc::clone(&world), role.user, role.device)?;
        book.note(Note::Begin { user: role.user, device: role.device });
        book.flush()?;
        let mut device = Device {
            habits: Habits::new(role.index, role.seed, now),
            outbox: Outbox::new(role.user, role.device),
            inbox: Inbox::default(),
            conversations: Conversations::default(),
            groups: Groups::default(),
            items: Items::default(),
            people: People::default(),
            pages: Pages::default(),
            line: Line::Away { until: now },
            older: None,
            phase: Phase::Load,
            stalled_until: now,
            acked: 0,
            ack_at: None,
            ping_at: now,
            heard_at: now,
            shakes: world.shakes(),
            head: None,
            welcome_head: 0,
            change_at: now,
            put_at: now,
            puts: 0,
            people_at: now,
            role,
            world,
            book,
        };
        device.make_groups();
        device.book.flush()?;
        Ok(device)
    }

    /// Lives until the world ends. Only its own store can make it fail.
    pub fn run(mut self) -> Result<(), Failure> {
        self.live().map_err(Failure::system("writing the history of a device"))
    }

    fn live(&mut self) -> io::Result<()> {
        loop {
            let phase = self.world.phase();
            self.enter(phase)?;
            if phase == Phase::End {
                self.close(&End::Left);
                return self.book.flush();
            }
            self.step(Instant::now())?;
            if self.phase.settles() {
                let settled = self.is_settled();
                self.world.set_settled(self.role.index, self.phase, settled);
            }
        }
    }

    /// Takes note of a new phase. Leaving one in which everything settles, the device writes down
    /// whether it had.
    fn enter(&mut self, phase: Phase) -> io::Result<()> {
        if phase == self.phase {
            return Ok(());
        }
        if self.is_settled() {
            match self.phase {
                Phase::Drain => self.book.note(Note::Drained),
                Phase::Final => self.book.note(Note::Final),
                _ => {}
            }
        }
        if phase == Phase::Final {
            self.forget_book();
        }
        self.phase = phase;
        self.stalled_until = Instant::now();
        self.book.flush()?;
        // In a phase without an aim, to have taken note of it is all.
        self.world.set_settled(self.role.index, phase, !phase.settles());
        Ok(())
    }

    fn step(&mut self, now: Instant) -> io::Result<()> {
        if self.phase == Phase::Load && self.has_joined() && self.is_awake() {
            self.write(now);
        }
        if let Some(older) = &mut self.older
            && older.is_over(now, self.world.is_silence_excused(), &mut self.book)
        {
            self.older = None;
        }
        match self.line {
            Line::Away { until } => self.stay_away(until, now)?,
            Line::Greeting { .. } | Line::Online { .. } => self.exchange(now)?,
        }
        if self.phase == Phase::Load && matches!(self.line, Line::Online { .. }) {
            if let Some(whim) = self.habits.whim(now) {
                self.follow(whim, now);
            } else if std::mem::replace(&mut self.shakes, self.world.shakes()) != self.shakes {
                self.close(&End::Reset);
            }
        }
        Ok(())
    }

    fn has_joined(&self) -> bool {
        self.phase != Phase::Load || self.world.round() >= self.role.joins_in
    }

    /// Writes messages, online or not, as long as few enough have no answer.
    fn write(&mut self, now: Instant) {
        while self.habits.writes(now) {
            if self.outbox.len() >= self.habits.window() {
                self.habits.window_is_full(now);
                return;
            }
            let to = self.whereto();
            let (wording, bytes) = (self.wording(to), self.habits.body_bytes());
            self.outbox.write(to, &wording, bytes, &mut self.book);
        }
    }

    fn stay_away(&mut self, until: Instant, now: Instant) -> io::Result<()> {
        self.book.flush()?;
        let is_time = now >= until || self.phase.settles();
        match self.world.server() {
            Some(server) if is_time && self.has_joined() && self.phase != Phase::Stop => {
                if let Ok(link) = Link::connect(server) {
                    self.greet(link);
                    return Ok(());
                }
                let pause = self.habits.up_to(RETRY);
                thread::sleep(pause.min(DEVICE_STEP));
                self.line = Line::Away { until: now + pause };
            }
            _ => thread::sleep(DEVICE_STEP.min(until.saturating_duration_since(now)).max(STEP_MIN)),
        }
        Ok(())
    }

    /// Says hello on a new connection, which goes out with the next turn.
    fn greet(&mut self, mut link: Link) {
        let cursor = self.inbox.cursor();
        self.book.note(Note::Hello { cursor });
        link.queue(&Frame::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            capabilities: capability::NONE,
            user: self.role.user,
            device: self.role.device,
            token: self.world.token(self.role.user, self.role.device),
            agent: concat!("fulmar-torture ", env!("CARGO_PKG_VERSION")),
            cursors: Pairs::Slice(&[(INBOX_LOG, cursor)]),
        }));
        // Connecting may have taken a while.
        let since = Instant::now();
        self.heard_at = since;
        self.line = Line::Greeting { link, since };
    }

    /// One turn on the connection: reads, handles, answers, writes.
    fn exchange(&mut self, now: Instant) -> io::Result<()> {
        let reads = now >= self.stalled_until;
        let longest = self.longest_wait(now);
        let (Line::Greeting { link, .. } | Line::Online { link, .. }) = &mut self.line else {
            return Ok(());
        };
        link.wait(reads, longest);
        let received = if reads { link.receive() } else { Ok(false) };
        let now = Instant::now();
        if !reads || matches!(received, Ok(true)) {
            self.heard_at = now;
        }
        let outcome = match received {
            Ok(true) => self.handle_input(now),
            Ok(false) => self.check_deadline(now),
            Err(_) => Err(End::Lost),
        };
        if let Err(end) = outcome {
            self.close(&end);
            return self.book.flush();
        }
        self.speak(now);
        self.book.flush()?;
        if let Line::Greeting { link, .. } | Line::Online { link, .. } = &mut self.line
            && link.flush().is_err()
        {
            self.close(&End::Lost);
        }
        Ok(())
    }

    fn check_deadline(&self, now: Instant) -> Result<(), End> {
        let is_silent = now.duration_since(self.heard_at) >= SILENCE;
        match &self.line {
            // Of a process that was killed the reset may be lost on the way; nothing repeats it.
            Line::Greeting { link, since }
                if self.world.is_silence_excused() || self.world.server() != Some(link.server) =>
            {
                if is_silent && now.duration_since(*since) >= SILENCE {
                    return Err(End::Silent);
                }
                Ok(())
            }
            Line::Greeting { since, .. } if now.duration_since(*since) >= WELCOME => {
                let what = format!("no answer to a hello within {} s", WELCOME.as_secs());
                Err(End::Broken(what))
            }
            Line::Online { .. } if is_silent => Err(End::Silent),
            _ => Ok(()),
        }
    }

    /// How long nothing has to be done, at most one step.
    fn longest_wait(&self, now: Instant) -> Duration {
        let mut next = now + DEVICE_STEP;
        let writes = self.phase == Phase::Load && self.is_awake();
        if writes && self.outbox.len() < self.habits.window() {
            next = next.min(self.habits.writes_at());
        }
        if let Some(ack_at) = self.ack_at {
            next = next.min(ack_at);
        }
        next.saturating_duration_since(now).max(STEP_MIN)
    }

    fn follow(&mut self, whim: Whim, now: Instant) {
        match whim {
            Whim::Leave(time) => {
                self.close(&End::Left);
                self.line = Line::Away { until: now + time };
            }
            Whim::Break(time) => {
                self.close(&End::Reset);
                self.line = Line::Away { until: now + time };
            }
            Whim::Stall(time) => self.stalled_until = now + time,
            Whim::TakeOver => self.take_over(),
        }
    }

    /// The connection is over. What it had in progress is forgotten; what has no answer waits for
    /// the next one, which is opened after a short pause.
    fn close(&mut self, end: &End) {
        let until = Instant::now() + self.habits.up_to(RETRY);
        let line = std::mem::replace(&mut self.line, Line::Away { until });
        let (Line::Greeting { link, .. } | Line::Online { link, .. }) = line else { return };
        if let End::Broken(what) = end {
            self.book.note(Note::Broken { what });
        }
        self.book.note(Note::Closed { why: end.word() });
        match end {
            // A silent one too: were it closed, its hello might reach the server after that of the next.
            End::Reset | End::Silent => link.reset(),
            End::Replaced => self.older = Some(Older::new(link)),
            _ => drop(link),
        }
        if matches!(end, End::Refused | End::Silent) {
            // To the server the older connection of a takeover is still good.
            self.older = None;
        }
        self.inbox.reset();
        self.groups.reset();
        self.outbox.reset();
        self.pages.reset();
        self.end_people();
        self.head = None;
        self.acked = 0;
        self.ack_at = None;
        self.stalled_until = Instant::now();
    }

    /// Whether everything that this device can expect has come, and everything that is expected of
    /// it is done.
    fn is_settled(&self) -> bool {
        self.is_up_to_date() && self.has_read_the_past()
    }

    /// The same but for the past.
    fn is_up_to_date(&self) -> bool {
        matches!(self.line, Line::Online { .. })
            && self.older.is_none()
            && self.outbox.len() == 0
            && self.head == Some(self.inbox.cursor())
            && self.acked == self.inbox.booked()
            && self.conversations.is_answered()
            && self.groups.is_settled()
            && (self.items.is_settled() || !self.world.has(Feature::Books))
            && self.knows_people(Instant::now())
    }
}

/// Shortest wait, so that a device with nothing to do never spins.
const STEP_MIN: Duration = Duration::from_millis(1);

impl End {
    /// As HISTORY.md names it.
    const fn word(&self) -> &'static str {
        match self {
            End::Lost => "lost",
            End::Left => "left",
            End::Reset => "reset",
            End::Silent => "silent",
            End::Replaced => "replaced",
            End::Goodbye => "goodbye",
            End::Refused => "refused",
            End::Broken(_) => "broken",
        }
    }
}
