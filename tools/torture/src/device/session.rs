//! The frames of a connection: what comes in is written down and taken, then what follows from it
//! goes out.

use std::time::{Duration, Instant};

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Code, Frame, Frames, Kind, Pairs, Welcome};

use super::book::{Delivery, Note};
use super::digest::digest;
use super::inbox::{Arrival, Entry, Refusal};
use super::outbox::To;
use super::wording::whose;
use super::{Device, End, INBOX_LOG, Line};
use crate::limits::ACK_DELAY;
use crate::world::Phase;

/// In this many of a hundred cases what came is acknowledged at once.
const PERCENT_ACKED_AT_ONCE: u32 = 60;
/// In this many of a hundred cases the person sees a message when it comes.
const PERCENT_SEEN: u32 = 20;
/// Time between two pings, at most: far more often than it takes to stay connected, for the heads
/// in the pongs are looked at.
const PING_EVERY: Duration = Duration::from_millis(1_500);
/// The same where everything comes to rest.
const PING_EVERY_SETTLING: Duration = Duration::from_millis(200);

/// What the server's welcome allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Sends without an answer at once.
    sends_max: u64,
}

impl Device {
    /// Handles the frames that came whole.
    pub(super) fn handle_input(&mut self, now: Instant) -> Result<(), End> {
        let (Line::Greeting { link, .. } | Line::Online { link, .. }) = &mut self.line else {
            return Ok(());
        };
        let mut input = std::mem::take(&mut link.input);
        let mut frames = Frames::new(&input, FRAME_BYTES_MAX);
        for frame in &mut frames {
            let broken = |error: &dyn std::fmt::Display| End::Broken(error.to_string());
            let frame = frame.map_err(|error| broken(&error))?;
            let frame = Frame::decode(frame).map_err(|error| broken(&error))?;
            match self.line {
                Line::Online { .. } => self.on_frame(&frame)?,
                _ => self.on_login(&frame, now)?,
            }
        }
        let rest = frames.rest().len();
        input.drain(..input.len() - rest);
        if let Line::Greeting { link, .. } | Line::Online { link, .. } = &mut self.line {
            link.input = input;
        }
        self.take_entries(now);
        Ok(())
    }

    /// A frame before the login is decided.
    fn on_login(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), End> {
        match frame {
            Frame::Welcome(welcome) => self.on_welcome(welcome, now),
            Frame::Refuse { code, .. } => {
                self.book.note(Note::Refused { code: code.number() });
                if *code == Code::TooManyConnections {
                    self.world.count_turned_away();
                }
                Err(End::Refused)
            }
            Frame::Goodbye(goodbye) => self.on_goodbye(goodbye.code.number()),
            Frame::Unknown { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    fn on_welcome(&mut self, welcome: &Welcome<'_>, now: Instant) -> Result<(), End> {
        let Some(head) = inbox_head(&welcome.heads) else {
            return Err(End::Broken("a welcome without the head of the inbox".to_owned()));
        };
        self.world.heard();
        self.book.note(Note::Welcome { session: welcome.session, head });
        self.head = Some(head);
        self.welcome_head = head;
        self.ping_at = now;
        let line = std::mem::replace(&mut self.line, Line::Away { until: now });
        let Line::Greeting { mut link, .. } = line else { return Err(End::Lost) };
        // What an earlier connection may have lost: the reads, and the receipts that came when
        // nobody was here.
        for (peer, ordinal) in self.conversations.all_read() {
            self.book.note(Note::Read { peer, ordinal });
            link.queue(&Frame::Read { peer, ordinal });
        }
        self.conversations.begin(self.phase == Phase::Final);
        self.line = Line::Online { link, terms: Terms { sends_max: welcome.sends_max } };
        self.resume_groups(now);
        self.begin_book();
        self.begin_people(welcome.presence_s, now);
        Ok(())
    }

    fn on_frame(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        // Their answers come for as long as the device asks.
        if !matches!(frame, Frame::Pong { .. } | Frame::GroupState(_) | Frame::GroupGone { .. }) {
            self.world.heard();
        }
        if let Some(taken) = self.on_group_frame(frame) {
            return taken;
        }
        if self.on_people_frame(frame) {
            return Ok(());
        }
        match frame {
            Frame::Sent { peer, number, ordinal, .. } => {
                self.book.note(Note::Tick { peer: *peer, number: *number, ordinal: *ordinal });
                let own = (self.role.user, self.role.device);
                self.world.count_tick(own, *peer, *number, *ordinal);
                self.conversations.wrote(*peer, *ordinal);
                self.on_answer(*peer, *number)
            }
            Frame::Rejected { peer, number, code, .. } => {
                let (peer, number, code) = (*peer, *number, code.number());
                self.book.note(Note::Rejected { peer, number, code });
                self.on_answer(peer, number)
            }
            Frame::Deliver(deliver) => {
                if deliver.total_bytes.is_some() && self.groups.in_parts.is_some() {
                    let what = "a large body before that of a group was complete";
                    return Err(End::Broken(what.to_owned()));
                }
                let taken = self.inbox.deliver(deliver);
                self.on_refusal(taken)
            }
            Frame::Part { body } => {
                if let Some(taken) = self.on_past_part(body) {
                    return taken;
                }
                if let Some(taken) = self.on_group_part(body) {
                    return taken;
                }
                let taken = self.inbox.part(body);
                self.on_refusal(taken)
            }
            Frame::Skip { position } => {
                let taken = self.inbox.skip(*position);
                self.on_refusal(taken)
            }
            Frame::Receipt { peer, delivered, read, own } => {
                let (peer, delivered, read, own) = (*peer, *delivered, *read, *own);
                self.book.note(Note::Receipt { peer, delivered, read, own });
                if !own {
                    self.conversations.receipt(peer, read);
                }
                Ok(())
            }
            Frame::Pong { heads } => {
                let Some(head) = inbox_head(heads) else {
                    return Err(End::Broken("a pong without the head of the inbox".to_owned()));
                };
                self.book.note(Note::Pong { head });
                self.head = Some(head);
                Ok(())
            }
            Frame::Past(past) => self.on_past(past),
            Frame::HistoryEnd(end) => self.on_history_end(end),
            Frame::Item(item) => {
                self.on_item(item);
                Ok(())
            }
            Frame::PutRejected(rejected) => {
                self.on_put_rejected(rejected.item, rejected.key, rejected.code.number());
                Ok(())
            }
            Frame::Book { version, head, reset } => {
                self.on_book(*version, *head, *reset);
                Ok(())
            }
            Frame::Goodbye(goodbye) => self.on_goodbye(goodbye.code.number()),
            Frame::Unknown { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    fn on_answer(&mut self, peer: u64, number: u64) -> Result<(), End> {
        let answered = self.outbox.answered(To::User(peer), number);
        answered.map(drop).map_err(|_| {
            End::Broken(format!("an answer for {peer} #{number}, which isn't on the way"))
        })
    }

    pub(super) fn on_refusal(&mut self, taken: Result<(), Refusal>) -> Result<(), End> {
        match taken {
            Ok(()) => Ok(()),
            Err(Refusal::OutOfTurn(position)) => {
                // What came before it is written down first, as it came.
                self.take_entries(Instant::now());
                self.book.note(Note::OutOfTurn { position });
                Err(End::Lost)
            }
            Err(Refusal::Broken(what)) => Err(End::Broken(what)),
        }
    }

    fn on_goodbye(&mut self, code: u16) -> Result<(), End> {
        self.book.note(Note::Goodbye { code });
        Err(End::Goodbye)
    }

    /// Writes down what the inbox has complete. From then on it may be acknowledged.
    fn take_entries(&mut self, now: Instant) {
        while let Some(entry) = self.inbox.next() {
            match entry {
                Entry::Message(arrival) => self.take_message(&arrival),
                Entry::Notice(notice) => self.take_notice(&notice, now),
                Entry::Skip(position) => {
                    self.inbox.book(position);
                    self.book.note(Note::Skip { position });
                }
            }
        }
        self.take_group_entries();
        let owes_acks = self.inbox.booked() > self.acked || self.groups.owes_acks();
        if owes_acks && self.ack_at.is_none() {
            let at_once = self.phase.settles() || self.habits.happens(PERCENT_ACKED_AT_ONCE);
            let delay = if at_once { Duration::ZERO } else { self.habits.up_to(ACK_DELAY) };
            self.ack_at = Some(now + delay);
        }
    }

    fn take_message(&mut self, arrival: &Arrival) {
        let Arrival { position, peer, own, ordinal, content, ref body } = *arrival;
        let digest = digest(content, body);
        let body = whose(content, body, false);
        let delivery = Delivery { position, peer, own, ordinal, body, digest };
        if !self.inbox.book(position) {
            self.book.note(Note::Again(delivery));
            return;
        }
        self.book.note(Note::Shown(delivery));
        self.world.count_shown();
        if own {
            self.conversations.wrote(peer, ordinal);
        } else {
            self.conversations.shown(peer, ordinal);
        }
    }

    fn acknowledge(&mut self) {
        let is_awake = self.is_awake();
        let Line::Online { link, .. } = &mut self.line else { return };
        let position = self.inbox.booked();
        if position > self.acked {
            self.book.note(Note::Ack { position });
            link.queue(&Frame::Ack { position });
            self.acked = position;
        }
        let peer = self.role.peers[self.habits.choose(self.role.peers.len())];
        if is_awake
            && self.habits.happens(PERCENT_SEEN)
            && let Some(ordinal) = self.conversations.see(peer)
        {
            self.book.note(Note::Read { peer, ordinal });
            link.queue(&Frame::Read { peer, ordinal });
        }
    }

    /// Queues what is due: acknowledgements, then what the person saw, questions, messages, a ping.
    pub(super) fn speak(&mut self, now: Instant) {
        if !matches!(self.line, Line::Online { .. }) {
            return;
        }
        if self.ack_at.is_some_and(|at| now >= at) {
            self.ack_at = None;
            let percent_seen = if self.is_awake() { PERCENT_SEEN } else { 0 };
            self.acknowledge_groups(percent_seen, now);
            self.acknowledge();
        }
        self.speak_of_groups(now);
        self.speak_of_the_book(now);
        self.speak_of_people(now);
        self.speak_of_the_past();
        let Line::Online { link, terms } = &mut self.line else { return };
        while let Some(peer) = self.conversations.next_ask(now) {
            self.book.note(Note::Ask { peer });
            link.queue(&Frame::Ask { peer });
        }
        self.outbox.fill(link, terms.sends_max, &mut self.book);
        if now >= self.ping_at {
            let every = if self.phase.settles() { PING_EVERY_SETTLING } else { PING_EVERY };
            self.ping_at = now + every;
            link.queue(&Frame::Ping);
        }
    }
}

fn inbox_head(heads: &Pairs<'_>) -> Option<u64> {
    heads.iter().find(|&(log, _)| log == INBOX_LOG).map(|(_, head)| head)
}

fn unexpected(frame: &Frame<'_>) -> End {
    let name = frame.kind().map_or("unknown", Kind::name);
    End::Broken(format!("a {name} frame came where none is allowed"))
}
