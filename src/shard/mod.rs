//! The behaviour of one core: a synchronous state machine with events in and effects out.
//!
//! A shard owns the state of the users whose home it is: their inboxes, conversations and
//! sessions. It performs no I/O, reads no clock, draws no random number and takes no lock, so a
//! driver of real sockets and a simulated world run the same code.
//!
//! A driver runs it in turns: [`Shard::begin_turn`] with the time, any number of
//! [`Shard::on_event`], then [`Shard::end_turn`]; then it carries out the [`Effects`].
//!
//! Where to look: `login` (hello to welcome), `input` (bytes to frames), `sending` (a message into
//! a log, the tick), `pending` (what waits for storage), `delivery` (a log to a device,
//! acknowledgements), `history` (pages of a log), `receipts`, `memory` (what is loaded, stored late,
//! and let go), `presence` and `watching` (who is there, and who is told), `typing`, `people` (what
//! users set for themselves), `output`.

mod arena;
mod config;
mod connection;
mod content;
mod conversation;
mod counters;
mod delivery;
mod found;
pub mod group;
mod history;
mod home;
mod inbox;
mod input;
mod login;
mod memory;
mod output;
mod overload;
mod pending;
pub mod people;
mod presence;
mod receipts;
pub mod record;
pub mod seam;
mod sending;
mod table;
#[cfg(test)]
mod tests;
mod timers;
mod typing;
mod upload;
mod watching;

use crate::faults::{Fault, is_planted};
use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;

pub use config::{Retention, ShardConfig};
pub use counters::{ByCode, Counters, KINDS};
pub use found::Found;
pub use group::GroupLetter;
pub use home::{by_home_core, home_core};
pub use overload::Level;
use overload::gathers;
pub use people::PeopleLetter;
pub use seam::{
    Arrival, ConnId, CoreId, DeviceId, Effects, Event, GroupId, Identity, Key, Letter, Load,
    Loaded, LogId, Message, Now, Origin, Refusal, Ticket, UserId, Write,
};

use arena::Arena;
use connection::{Connection, Session, Stage};
use conversation::Conversation;
use inbox::User;
use pending::{Answer, Pending};
use table::{Slots, Table};
use timers::Timers;

/// See the module's description.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    now: Now,
    connections: Slots<Connection>,
    users: Table<User>,
    users_by_id: HashMap<UserId, u32>,
    conversations: Table<Conversation>,
    conversations_by_id: HashMap<(LogId, UserId), u32>,
    groups: Table<group::Group>,
    groups_by_id: HashMap<GroupId, u32>,
    /// The last durable position of every group whose home this is, also of those that aren't in memory.
    group_heads: HashMap<GroupId, u64>,
    /// Groups with members here that don't rest.
    seats: HashMap<GroupId, group::Seat>,
    /// Bytes of entries that they keep, at most about [`SEATS_BYTES_MAX`](crate::limits::SEATS_BYTES_MAX).
    seats_bytes: usize,
    /// Sessions to serve with groups at the end of the turn.
    feeding: Vec<ConnId>,
    /// Sessions to tell of their pages at the end of the turn.
    paging: Vec<ConnId>,
    /// Bytes of pages that are under way to devices.
    pages_bytes: usize,
    /// Cursors in groups that moved in this turn.
    group_moves: Vec<(GroupId, group::Progress)>,
    /// Groups with receipts to tell.
    group_receipts: Vec<GroupId>,
    /// Groups that keep back changes.
    group_postponing: Vec<GroupId>,
    /// Groups with moved cursors, and since when.
    dirty_groups: VecDeque<(u64, GroupId)>,
    group_sweep: u32,
    timers: Timers,
    arena: Arena,
    /// Empty buffers for input and output.
    buffers: Vec<Vec<u8>>,
    /// Letters to this core itself.
    local: VecDeque<Letter>,
    /// In the order of their tickets.
    pending: VecDeque<Pending>,
    /// Ticket of the writes of this turn, if it has any.
    ticket: Ticket,
    /// Everything up to here is stored.
    stored: Ticket,
    /// Tickets above that, and since when the oldest change of each has waited. Both rise.
    unstored: VecDeque<(Ticket, u64)>,
    /// Connections that are owed pongs until more is stored.
    pongs_owed: Vec<ConnId>,
    /// Users whose devices may have something to take, by slot.
    pump: Vec<u32>,
    /// Conversations that must be stored with this turn's writes, by slot.
    writes_queued: Vec<u32>,
    /// Users with moved cursors, by id, and since when.
    dirty: VecDeque<(u64, UserId)>,
    /// Conversations with receipts to tell, by (user, peer).
    receipts: VecDeque<(UserId, UserId)>,
    /// Those that wait for the load to fall.
    receipts_held: Vec<(UserId, UserId)>,
    /// Paused connections that got an answer and may be able to go on.
    resumes: Vec<ConnId>,
    /// Logins of devices that have another session, until the end of the turn.
    takeovers: Vec<ConnId>,
    due: Vec<ConnId>,
    /// Connections whose login succeeded in this turn and that belong to another core.
    leaving: Vec<(ConnId, CoreId)>,
    sweep: memory::Sweep,
    /// Bytes of large bodies that are arriving.
    upload_bytes: usize,
    /// Connections with such a body, in the order in which the bodies were begun.
    uploads: BTreeMap<u64, ConnId>,
    last_upload: u64,
    /// Bytes of the messages that users hold in memory.
    tail_bytes: usize,
    /// Body bytes of this core's sends that have no answer yet, also of sessions that are gone.
    sends_bytes: usize,
    /// Connections that are paused until enough of those are answered, in the order of their pausing.
    crowded: Vec<ConnId>,
    /// Number of the last session that began here.
    last_session: u64,
    shutting_down: bool,
    level: Level,
    /// The core is so busy that ticks and receipts wait for company.
    gathers: bool,
    people: presence::People,
    books: people::Books,
    questions: people::Questions,
    names: people::Names,
    naming: people::Naming,
    /// Ticks that wait until it is noted that the user wrote to the peer.
    firsts: HashMap<(UserId, UserId), Vec<people::Ticked>>,
    /// Users who wrote to a group for the first time, and how many ticks wait until that is stored.
    acting: HashMap<(UserId, GroupId), u32>,
    watching: watching::Watching,
    pace: typing::Pace,
    /// Connections with frames that wait for it, at most once each, and until when; by patience.
    gathering: [VecDeque<(u64, ConnId)>; output::Patience::COUNT],
    counters: Counters,
}

impl Shard {
    /// An empty shard. Its first ticket is 1, and its sessions are numbered from `now` on: a shard
    /// that takes over from another one must get a later time, whatever the clock says.
    #[must_use]
    pub fn new(config: ShardConfig, now: Now) -> Self {
        let last_session = (now.unix_ms << login::SESSION_TIME_SHIFT) | u64::from(config.core);
        Shard {
            config,
            now,
            connections: Slots::new(),
            users: Table::new(),
            users_by_id: HashMap::new(),
            conversations: Table::new(),
            conversations_by_id: HashMap::new(),
            groups: Table::new(),
            groups_by_id: HashMap::new(),
            group_heads: HashMap::new(),
            seats: HashMap::new(),
            seats_bytes: 0,
            feeding: Vec::new(),
            paging: Vec::new(),
            pages_bytes: 0,
            group_moves: Vec::new(),
            group_receipts: Vec::new(),
            group_postponing: Vec::new(),
            dirty_groups: VecDeque::new(),
            group_sweep: 0,
            timers: Timers::new(now.mono_ms),
            arena: Arena::new(),
            buffers: Vec::new(),
            local: VecDeque::new(),
            pending: VecDeque::new(),
            ticket: 1,
            stored: 0,
            unstored: VecDeque::new(),
            pongs_owed: Vec::new(),
            pump: Vec::new(),
            writes_queued: Vec::new(),
            dirty: VecDeque::new(),
            receipts: VecDeque::new(),
            receipts_held: Vec::new(),
            resumes: Vec::new(),
            takeovers: Vec::new(),
            due: Vec::new(),
            leaving: Vec::new(),
            sweep: memory::Sweep::default(),
            upload_bytes: 0,
            uploads: BTreeMap::new(),
            last_upload: 0,
            tail_bytes: 0,
            sends_bytes: 0,
            crowded: Vec::new(),
            last_session,
            shutting_down: false,
            level: Level::Normal,
            gathers: false,
            people: presence::People::new(),
            books: people::Books::default(),
            questions: people::Questions::default(),
            names: people::Names::default(),
            naming: people::Naming::default(),
            firsts: HashMap::new(),
            acting: HashMap::new(),
            watching: watching::Watching::default(),
            pace: typing::Pace::default(),
            gathering: std::array::from_fn(|_| VecDeque::new()),
            counters: Counters::default(),
        }
    }

    /// Tells, before the first turn, what storage knows of the groups whose home this is: the head of each.
    pub fn know_group_heads(&mut self, heads: Vec<(GroupId, u64)>) {
        debug_assert!(heads.iter().all(|&(group, _)| self.is_home_of(group)));
        self.group_heads.extend(heads);
    }

    /// Starts a turn: takes the time and closes what is overdue.
    pub fn begin_turn(&mut self, now: Now, fx: &mut Effects) {
        self.now = now;
        let mut due = std::mem::take(&mut self.due);
        self.timers.fire(now.mono_ms, &mut due);
        for conn in due.drain(..) {
            self.check_deadline(conn, fx);
        }
        self.due = due;
        self.flush_gathered(fx);
    }

    /// Takes one event.
    pub fn on_event(&mut self, event: Event<'_>, fx: &mut Effects) {
        match event {
            Event::Received { conn, bytes } => self.received(conn, bytes, fx),
            Event::Sent { conn } => self.output_written(conn, fx),
            Event::Letter(letter) => self.letter(letter, fx),
            Event::Stored { ticket } => self.stored(ticket, fx),
            Event::Loaded(loaded) => self.loaded(loaded, fx),
            Event::Accepted { conn } => self.accepted(conn, fx),
            Event::Arrived { conn, arrival } => self.arrived(conn, arrival, fx),
            Event::Authenticated { conn, result } => self.authenticated(conn, result, fx),
            Event::Closed { conn } => self.closed(conn),
            Event::Load { busy_percent } => self.gathers = gathers(self.gathers, busy_percent),
            Event::ShutDown => self.shut_down(fx),
        }
        self.follow_up(fx);
    }

    /// Ends a turn: delivers what became deliverable, tells receipts, and completes the writes.
    pub fn end_turn(&mut self, fx: &mut Effects) {
        self.hand_over(fx);
        self.measure_lag();
        self.take_over(fx);
        self.keep_presence(fx);
        self.follow_up(fx);
        self.tell_held_presence(fx);
        self.tell_found(fx);
        loop {
            while !self.has_told_all() {
                self.deliver_all(fx);
                self.feed_all(fx);
                self.tell_receipts(fx);
                self.tell_pages(fx);
                self.follow_up(fx);
            }
            self.post_group_moves(fx);
            self.follow_up(fx);
            self.tell_group_receipts(fx);
            self.let_in_postponed(fx);
            self.follow_up(fx);
            // A connection that went on meanwhile may have sent something.
            if self.has_told_all() && self.group_moves.is_empty() {
                break;
            }
        }
        let changed_ms = self.dirty.front().map_or(self.now.mono_ms, |&(since_ms, _)| since_ms);
        self.store_moved_cursors(fx);
        self.store_groups(fx);
        self.write_conversations(fx);
        self.write_books(fx);
        self.sweep(fx);
        self.follow_up(fx);
        self.counters.letters += fx.letters.len() as u64;
        if !fx.writes.is_empty() {
            fx.ticket = self.ticket;
            self.unstored.push_back((self.ticket, changed_ms));
            self.ticket += 1;
        }
        self.check_invariants();
    }

    /// Whether nothing of this turn is left to be delivered or told.
    fn has_told_all(&self) -> bool {
        self.pump.is_empty()
            && self.receipts.is_empty()
            && self.feeding.is_empty()
            && self.paging.is_empty()
    }

    /// When the next turn must begin at the latest, in milliseconds on the monotonic clock.
    #[must_use]
    pub fn next_turn_ms(&self) -> u64 {
        let store = self
            .dirty
            .front()
            .map_or(u64::MAX, |(since_ms, _)| since_ms + crate::limits::PERSIST_DELAY_MS);
        let holds = !self.receipts_held.is_empty() || self.people.holds() || self.watching.holds();
        let held = if holds { self.now.mono_ms + 50 } else { u64::MAX };
        let due = self.gathered_due_ms().min(self.people.next_ms()).min(self.groups_due_ms());
        let due = due.min(self.naming.next_ms());
        self.timers.next_ms().min(store).min(held).min(due)
    }

    /// Whether every write that was asked for is stored and every connection is gone.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.counters.connections == 0
            && self.dirty.is_empty()
            && self.dirty_groups.is_empty()
            && self.local.is_empty()
            && self.stored + 1 == self.ticket
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Does what an event led to: letters of this core to itself, the input of connections that were paused, and
    /// the next wishes for names. Not done where it arises, so that nothing is changed under a caller's hands.
    fn follow_up(&mut self, fx: &mut Effects) {
        loop {
            let letter = if is_planted(Fault::LettersReversed) {
                self.local.pop_back()
            } else {
                self.local.pop_front()
            };
            if let Some(letter) = letter {
                self.letter(letter, fx);
            } else if let Some(conn) = self.resumes.pop() {
                self.resume_if_able(conn, fx);
            } else if !self.name_next(fx) {
                return;
            }
        }
    }

    fn letter(&mut self, letter: Letter, fx: &mut Effects) {
        match letter {
            Letter::Append { origin, to, message, copy, refusal } => {
                self.append_letter(origin, to, message, copy, refusal, fx);
            }
            Letter::Accepted { origin, to, ordinal, time_ms, copy } => {
                self.accepted_by_peer(origin, to, ordinal, time_ms, copy, fx);
            }
            Letter::Rejected { origin, to, code } => self.reject(origin, to, code, fx),
            Letter::Receipt { author, reader, delivered, read, asker } => {
                self.receipt_to_author(author, reader, delivered, read, asker, fx);
            }
            Letter::Ask { author, reader, asker } => self.asked(author, reader, asker, fx),
            Letter::Group(letter) => self.group_letter(*letter, fx),
            Letter::Watch { user, core, is_watching } => {
                self.core_watches(user, core, is_watching, fx);
            }
            Letter::Presence { user, seen, is_guarded, profile } => {
                self.presence_changed(user, seen, (is_guarded, profile), fx);
            }
            Letter::People(letter) => self.people_letter(*letter, fx),
            Letter::Typing { from, to, is_typing } => self.typing_to(from, to, is_typing, fx),
        }
    }

    /// Hands `letter` to the home core of `user`.
    fn post(&mut self, user: UserId, letter: Letter, fx: &mut Effects) {
        let core = home_core(user, self.config.cores);
        self.post_to_core(core, letter, fx);
    }

    fn post_to_core(&mut self, core: CoreId, letter: Letter, fx: &mut Effects) {
        if core == self.config.core {
            self.local.push_back(letter);
        } else {
            fx.letters.push((core, letter));
        }
    }

    fn is_home_of(&self, user: UserId) -> bool {
        home_core(user, self.config.cores) == self.config.core
    }

    fn connection(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(conn.slot)?;
        (connection.id == conn || is_planted(Fault::StaleGeneration)).then_some(connection)
    }

    fn session(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.connection(conn)?.session()
    }

    fn queue_pump(&mut self, slot: u32) {
        let user = &mut self.users[slot];
        if !user.pump_queued {
            user.pump_queued = true;
            self.pump.push(slot);
        }
    }

    /// Cheap checks of what must hold between turns.
    fn check_invariants(&self) {
        assert!(self.stored < self.ticket, "a ticket was stored that was never given");
        debug_assert!(self.local.is_empty() && self.resumes.is_empty());
        debug_assert!(self.pump.is_empty() && self.writes_queued.is_empty());
        #[cfg(debug_assertions)]
        self.scan_invariants();
    }

    #[cfg(debug_assertions)]
    fn scan_invariants(&self) {
        // A sample by slot, so that debug runs with many users stay usable.
        for (slot, user) in self.users.iter().take(256) {
            if user.stage != inbox::Stage::Ready {
                continue;
            }
            assert!(user.record.trim <= user.durable && user.durable <= user.record.head);
            assert!(user.tail_first + user.tail.len() as u64 == user.record.head + 1);
            assert!(user.tail_first <= user.durable + 1, "an entry that isn't stored was let go");
            for device in &user.record.devices {
                assert!(user.record.trim <= device.cursor && device.cursor <= user.durable);
            }
            assert_eq!(self.users_by_id.get(&user.id), Some(&slot));
        }
    }
}

impl Connection {
    fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing)
    }
}
