//! The session: one device's conversation with its server, across connections.

use std::sync::Arc;

use fulmar_protocol::limits::DETAIL_BYTES_MAX;
use fulmar_protocol::{Code, Frame, Goodbye, Hello, Pairs, VERSION, capability};

use super::asks::Asks;
use super::backoff::Backoff;
use super::book::Book;
use super::clock::ServerClock;
use super::conversations::Conversations;
use super::expiry::Expiries;
use super::groups::Groups;
use super::heartbeat::Beat;
use super::intake::Intake;
use super::io::{Action, Identity, Input, Now};
use super::ledger::{Effect, Ledger};
use super::link::{Link, Plan};
use super::log::LogId;
use super::outbox::{Outbox, Refused, SendError};
use super::output::Output;
use super::past::Fills;
use super::presence::Presence;
use crate::event::{Event, Reason};
use crate::limits::{CONNECT_MS_MAX, NUMBER_MAX, UNSTORED_BYTES_PAUSE, WELCOME_MS_MAX};
use crate::message::{Message, MessageId, State, Target};
use crate::refer::Changes;
use crate::store::{Snapshot, StoreError, Unanswered, Write};

/// The log that is the user's inbox.
pub(super) const INBOX: u64 = 0;

/// A client without I/O. See the [module](super) for what drives it.
#[derive(Debug)]
pub struct Session {
    pub(super) identity: Identity,
    pub(super) link: Link,
    pub(super) backoff: Backoff,
    /// Another address that the server named for the next connection.
    pub(super) redirect: Option<String>,
    pub(super) intake: Intake,
    pub(super) outbox: Outbox,
    pub(super) conversations: Conversations,
    pub(super) groups: Groups,
    pub(super) asks: Asks,
    pub(super) presence: Presence,
    pub(super) fills: Fills,
    pub(super) book: Book,
    pub(super) clock: ServerClock,
    pub(super) expiries: Expiries,
    pub(super) ledger: Ledger,
    pub(super) output: Output,
    /// Bytes of a frame that isn't complete yet.
    pub(super) partial: Vec<u8>,
    id_last: i64,
    /// How far the server's clock was ahead of this device's at the last welcome, in milliseconds.
    pub(super) server_ahead_ms: u64,
    /// The inbox head for which a connection was given up because nothing came: once per head.
    pub(super) stalled_head: u64,
}

impl Session {
    /// A session of this user and device on what its store holds. It connects at the first
    /// [`Session::handle`]. `seed` moves the pauses between attempts and nothing else.
    #[must_use]
    pub fn new(identity: Identity, snapshot: Snapshot, seed: u64) -> Self {
        let (id_first, id_last) = ids_used(&snapshot);
        Session {
            identity,
            link: Link::Waiting { until_ms: 0 },
            backoff: Backoff::new(seed),
            redirect: None,
            intake: Intake::new(
                snapshot.cursor,
                snapshot.groups.iter().map(|state| (state.group, state.cursor)),
            ),
            outbox: Outbox::new(snapshot.number_last, snapshot.outbox),
            conversations: Conversations::new(snapshot.conversations),
            groups: Groups::new(snapshot.groups),
            asks: Asks::default(),
            presence: Presence::default(),
            fills: Fills::new(snapshot.filled_from, id_first),
            book: Book::new(snapshot.book_cursor, snapshot.wishes, &snapshot.profiles),
            clock: ServerClock::new(snapshot.clocks),
            expiries: Expiries::new(snapshot.expiries),
            ledger: Ledger::default(),
            output: Output::default(),
            partial: Vec::new(),
            id_last,
            server_ahead_ms: 0,
            stalled_head: 0,
        }
    }

    /// Takes what happened and adds what is to be done to `actions`.
    pub fn handle(&mut self, now: Now, input: Input<'_>, actions: &mut Vec<Action>) {
        match input {
            Input::Connected => self.on_connected(now),
            Input::Disconnected(detail) => self.on_disconnected(now, detail, actions),
            Input::Received(bytes) => self.on_bytes(now, bytes, actions),
            Input::Transmitted => self.on_transmitted(now),
            Input::Stored(Ok(())) => self.on_stored(actions),
            Input::Stored(Err(error)) => self.on_store_failed(&error, actions),
            Input::Tick => {}
        }
        self.pump(now, actions);
    }

    /// When [`Input::Tick`] is due at the latest, on the clock of [`Now::elapsed_ms`]. Changes with
    /// every call; nothing is due where it is `None`.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        let due = self.link.deadline_ms(self.outbox.is_waiting());
        // Where it has no room, the end of the write that is under way makes some.
        let may_tell = self.is_online() && self.output.has_room();
        let activity = may_tell.then(|| self.presence.deadline_ms()).flatten();
        let expiry = if self.ledger.has_failed() { None } else { self.expiries.deadline_ms() };
        [due, activity, expiry].into_iter().flatten().min()
    }

    /// Whether the session takes more bytes now. Where it doesn't, the driver leaves them in the
    /// socket, and the network tells the server.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        // What stands between the parts of a large body may be of other logs.
        let bytes_max = UNSTORED_BYTES_PAUSE * if self.intake.is_mid_body() { 2 } else { 1 };
        self.ledger.unstored_bytes() < bytes_max
    }

    /// Whether the session has ended and nothing waits for the store any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.link, Link::Ended) && self.ledger.is_idle()
    }

    /// Whether the session is logged in.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        matches!(self.link, Link::Online(_))
    }

    /// How many messages wait for an answer of the server.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.outbox.len()
    }

    /// Takes a message for sending. It goes out once it is stored ([`Action::Saved`]).
    pub fn send(
        &mut self,
        now: Now,
        peer: u64,
        content: u8,
        body: Arc<[u8]>,
        actions: &mut Vec<Action>,
    ) -> Result<MessageId, SendError> {
        self.send_to(now, Target::Peer(peer), content, body, actions)
    }

    /// The same to any target. Content [`CHANGE`](crate::content::CHANGE) is what
    /// [`Session::change_group`] makes.
    pub fn send_to(
        &mut self,
        now: Now,
        target: Target,
        content: u8,
        body: Arc<[u8]>,
        actions: &mut Vec<Action>,
    ) -> Result<MessageId, SendError> {
        self.judge(target, body.len())?;
        let id = self.next_id();
        let time_ms = now.unix_ms;
        let (ordinal, position) = (None, None);
        let state = State::Pending;
        let send = self.enqueue(now, Unanswered { number: 0, id, target, content, body });
        let Unanswered { number, body, .. } = send;
        let (group, peer) = match target {
            Target::Peer(peer) => (None, peer),
            Target::Group(group) => (Some(group), self.identity.user),
        };
        let changes = Changes::default();
        let message =
            Message { id, group, peer, state, ordinal, position, time_ms, content, body, changes };
        self.ledger.write(Write::Enqueue { message, number });
        match target {
            Target::Peer(peer) => {
                self.conversations.wrote(peer, id);
                self.write_conversation(peer);
            }
            Target::Group(0) => {}
            Target::Group(group) => {
                self.groups.met(group, id);
                self.write_group(group);
            }
        }
        self.ledger.then(Effect::Saved { id, number });
        self.pump(now, actions);
        Ok(id)
    }

    /// Sends a rejected message again, under a new number. Its place in the history stays.
    pub fn resend(
        &mut self,
        now: Now,
        message: &Message,
        actions: &mut Vec<Action>,
    ) -> Result<(), SendError> {
        let (id, target, content) = (message.id, message.target(), message.content);
        if !matches!(message.state, State::Rejected(_)) || self.outbox.contains(id) {
            return Err(SendError::NotRejected(id));
        }
        self.judge(target, message.body.len())?;
        let body = message.body.clone();
        let send = self.enqueue(now, Unanswered { number: 0, id, target, content, body });
        self.ledger.write(Write::Requeue { id, number: send.number });
        self.ledger.then(Effect::Saved { id, number: send.number });
        self.pump(now, actions);
        Ok(())
    }

    /// Whether a message would be taken for sending now.
    pub fn judge(&self, target: Target, body_bytes: usize) -> Result<(), SendError> {
        if matches!(self.link, Link::Ended) {
            return Err(SendError::Closed);
        }
        self.outbox.judge(target, body_bytes)
    }

    fn enqueue(&mut self, now: Now, send: Unanswered) -> Unanswered {
        self.outbox.add(now, self.server_ahead_ms, send)
    }

    /// The person saw the messages of `peer` up to `ordinal`. What the server is told never goes
    /// beyond what was received; nothing happens where it isn't new.
    pub fn mark_read(&mut self, now: Now, peer: u64, ordinal: u64, actions: &mut Vec<Action>) {
        if !matches!(self.link, Link::Ended) && self.conversations.saw(peer, ordinal) {
            self.write_conversation(peer);
            self.pump(now, actions);
        }
    }

    /// Connects now where a pause or a stop would keep it from that.
    pub fn reconnect(&mut self, now: Now, actions: &mut Vec<Action>) {
        if matches!(self.link, Link::Stopped | Link::Waiting { .. }) {
            self.backoff.reset();
            self.link = Link::Waiting { until_ms: now.elapsed_ms };
            self.pump(now, actions);
        }
    }

    /// The token of the logins to come.
    pub fn set_token(&mut self, token: Vec<u8>) {
        self.identity.token = token;
    }

    /// Says goodbye and ends for good. What waits for the store is still stored.
    pub fn close(&mut self, now: Now, actions: &mut Vec<Action>) {
        if matches!(self.link, Link::Ended) {
            return;
        }
        let had_connection = self.link.has_connection();
        self.hang_up(Code::None, "", actions);
        self.forget(now, Plan::Stop);
        self.link = Link::Ended;
        if had_connection {
            let event = Event::Disconnected { reason: Reason::Asked, retry_in_ms: None };
            actions.push(Action::Notify(event));
        }
        self.pump(now, actions);
    }

    pub(super) fn next_id(&mut self) -> MessageId {
        self.id_last += 1;
        MessageId(self.id_last)
    }

    pub(super) fn write_conversation(&mut self, peer: u64) {
        let state = *self.conversations.state(peer);
        self.ledger.write(Write::Conversation(state));
    }

    fn on_connected(&mut self, now: Now) {
        if matches!(self.link, Link::Connecting { .. }) {
            self.link = Link::Settling { until_ms: now.elapsed_ms + WELCOME_MS_MAX };
        }
    }

    fn on_disconnected(&mut self, now: Now, detail: &str, actions: &mut Vec<Action>) {
        let reason = match self.link {
            Link::Connecting { .. } => Reason::ConnectFailed(detail.to_owned()),
            _ if self.link.has_connection() => Reason::Lost(detail.to_owned()),
            _ => return,
        };
        let retry_in_ms = self.forget(now, Plan::Retry { retry_after_ms: 0 });
        actions.push(Action::Notify(Event::Disconnected { reason, retry_in_ms }));
    }

    fn on_transmitted(&mut self, now: Now) {
        self.output.written();
        if let Link::Online(online) = &mut self.link {
            online.heartbeat.written(now.elapsed_ms);
        }
    }

    fn on_stored(&mut self, actions: &mut Vec<Action>) {
        for effect in self.ledger.stored() {
            match effect {
                Effect::Notify(event) => {
                    if let Event::Message(Message { peer, ordinal: Some(ordinal), .. }) = event {
                        self.conversations.stored(peer, ordinal);
                    }
                    actions.push(Action::Notify(event));
                }
                Effect::Saved { id, number } => {
                    self.outbox.stored(number);
                    actions.push(Action::Saved(id));
                }
                Effect::Filled { peer, ordinal } => self.conversations.stored(peer, ordinal),
                Effect::Settled => self.outbox.settled(),
                Effect::Log { log, position } => self.intake.stored(log, position),
            }
        }
    }

    /// Whether a failed write left something behind is unknown, so nothing more is built on it.
    fn on_store_failed(&mut self, error: &StoreError, actions: &mut Vec<Action>) {
        self.ledger.fail();
        self.hang_up(Code::None, "the device's store failed", actions);
        self.output.reset();
        self.link = Link::Ended;
        let detail = error.to_string();
        actions.push(Action::Notify(Event::StoreFailed { detail }));
    }

    /// Closes the connection where there is one, with a goodbye where the server would take it.
    pub(super) fn hang_up(&mut self, code: Code, detail: &str, actions: &mut Vec<Action>) {
        if let Link::Online(_) = self.link {
            let detail = shorten(detail);
            let goodbye = Goodbye { code, retry_after_ms: 0, address: "", detail };
            self.output.push(&Frame::Goodbye(goodbye));
            self.output.finish(actions);
        }
        if self.link.has_connection() {
            actions.push(Action::Close);
        }
    }

    /// Forgets the connection and moves on to what follows it; the time until the next attempt, in
    /// milliseconds.
    pub(super) fn forget(&mut self, now: Now, plan: Plan) -> Option<u64> {
        self.hand_on_arrivals();
        match &self.link {
            Link::Online(online) => {
                let lived_ms = now.elapsed_ms.saturating_sub(online.since_ms);
                if lived_ms >= crate::limits::STABLE_MS {
                    self.backoff.reset();
                }
            }
            // An address at which no login succeeds is not tried again.
            _ => self.redirect = None,
        }
        self.partial.clear();
        self.output.reset();
        self.intake.reset();
        self.outbox.reset();
        self.conversations.reset();
        self.groups.reset();
        self.asks.begin(std::iter::empty());
        self.presence.reset();
        self.fills.reset();
        self.book.reset();
        let retry_in_ms = match plan {
            Plan::Retry { retry_after_ms } => Some(self.backoff.next_ms(retry_after_ms)),
            Plan::RetryLate => Some(self.backoff.longest_ms()),
            Plan::Stop => None,
        };
        self.link = match retry_in_ms {
            Some(pause_ms) => Link::Waiting { until_ms: now.elapsed_ms + pause_ms },
            None => Link::Stopped,
        };
        retry_in_ms
    }

    /// Does what is due: timers, the hello, everything that waits to go out, the next batch.
    pub(super) fn pump(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.run_timers(now, actions);
        self.greet(now);
        self.fill_output(now);
        self.expire(now);
        self.ledger.flush(actions);
        if self.output.flush(actions)
            && let Link::Online(online) = &mut self.link
        {
            online.heartbeat.write_begun(now.elapsed_ms);
        }
    }

    fn run_timers(&mut self, now: Now, actions: &mut Vec<Action>) {
        let waiting = self.outbox.is_waiting();
        let reason = match &mut self.link {
            Link::Waiting { until_ms } if now.elapsed_ms >= *until_ms => {
                self.link = Link::Connecting { until_ms: now.elapsed_ms + CONNECT_MS_MAX };
                actions.push(Action::Connect { address: self.redirect.clone() });
                return;
            }
            Link::Connecting { until_ms } if now.elapsed_ms >= *until_ms => {
                Reason::ConnectFailed(format!("no answer within {} s", CONNECT_MS_MAX / 1_000))
            }
            Link::Settling { until_ms } | Link::Greeting { until_ms }
                if now.elapsed_ms >= *until_ms =>
            {
                Reason::Lost(format!("no welcome within {} s", WELCOME_MS_MAX / 1_000))
            }
            Link::Online(online) => match online.heartbeat.next(waiting) {
                Some((at_ms, Beat::Ping)) if now.elapsed_ms >= at_ms => {
                    let frames = self.intake.inbox_frames();
                    online.heartbeat.ping_queued(self.intake.inbox().is_acknowledged(), frames);
                    self.output.push(&Frame::Ping);
                    return;
                }
                Some((at_ms, Beat::Dead)) if now.elapsed_ms >= at_ms => {
                    Reason::Silent { silent_ms: online.heartbeat.silent_ms(now.elapsed_ms) }
                }
                _ => return,
            },
            _ => return,
        };
        self.give_up(now, Code::IdleTimeout, reason, actions);
    }

    /// Ends the connection for a reason of ours; another attempt follows.
    pub(super) fn give_up(
        &mut self,
        now: Now,
        code: Code,
        reason: Reason,
        actions: &mut Vec<Action>,
    ) {
        self.hang_up(code, &reason.to_string(), actions);
        let plan = match reason {
            Reason::Violation(_) => Plan::RetryLate,
            _ => Plan::Retry { retry_after_ms: 0 },
        };
        let retry_in_ms = self.forget(now, plan);
        actions.push(Action::Notify(Event::Disconnected { reason, retry_in_ms }));
    }

    fn greet(&mut self, now: Now) {
        if !matches!(self.link, Link::Settling { .. }) || !self.intake.is_settled() {
            return;
        }
        let cursors = [(INBOX, self.intake.inbox().resume())];
        self.output.push(&Frame::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            capabilities: capability::NONE,
            user: self.identity.user,
            device: self.identity.device,
            token: &self.identity.token,
            agent: &self.identity.agent,
            cursors: Pairs::Slice(&cursors),
        }));
        self.link = Link::Greeting { until_ms: now.elapsed_ms + WELCOME_MS_MAX };
    }

    /// Adds what may go out. Acknowledgements first: they let the server go on. While a write is under way
    /// all of it waits, and what replaces itself becomes one.
    fn fill_output(&mut self, now: Now) {
        let Link::Online(online) = &self.link else { return };
        let pongs = online.heartbeat.pongs_awaited();
        self.resume_groups();
        while self.output.has_room()
            && let Some((log, position)) = self.intake.take_ack()
        {
            self.output.push(&match log {
                LogId::Inbox => Frame::Ack { position },
                LogId::Group(group) => Frame::GroupAck { group, position },
            });
        }
        for refused in self.outbox.fill(&mut self.output) {
            self.reject(&refused, Code::BodyTooLarge, 0);
        }
        while self.output.has_room()
            && let Some((peer, ordinal)) = self.conversations.next_read(pongs)
        {
            self.output.push(&Frame::Read { peer, ordinal });
        }
        while self.output.has_room()
            && let Some(target) = self.asks.next(now.elapsed_ms)
        {
            self.push_ask(target);
        }
        self.ask_groups();
        self.ask_past();
        self.presence.fill(now.elapsed_ms, &mut self.output);
        self.book.fill(&mut self.output);
    }

    /// A send got a no.
    pub(super) fn reject(&mut self, refused: &Refused, code: Code, retry_after_ms: u64) {
        let &Refused { id, target, number } = refused;
        self.ledger.write(Write::Rejected { id, number, code });
        self.ledger.then(Effect::Notify(match target {
            Target::Peer(peer) => Event::Rejected { id, peer, code, retry_after_ms },
            Target::Group(group) => Event::GroupRejected { id, group, code, retry_after_ms },
        }));
    }
}

/// The longest beginning that a goodbye may carry.
fn shorten(detail: &str) -> &str {
    let mut end = detail.len().min(DETAIL_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    &detail[..end]
}

/// The smallest and the largest message id that was ever used. The message itself may have disappeared; its
/// conversation or group still has it as its newest one, and would stand behind a message that takes its id.
/// What a damaged store has there and can't be is left out.
fn ids_used(snapshot: &Snapshot) -> (i64, i64) {
    let Snapshot { id_first, id_last, conversations, groups, .. } = snapshot;
    let newest = conversations.iter().map(|state| state.last.0);
    let newest = newest.chain(groups.iter().map(|state| state.last.0));
    let newest = newest.filter(|id| id.unsigned_abs() < NUMBER_MAX / 2);
    newest.fold((*id_first, *id_last), |(first, last), id| (first.min(id), last.max(id)))
}
