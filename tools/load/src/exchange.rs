//! The messages of a run: who sends to whom, what became of each, and how long it took.
//!
//! Users are numbered from 0 within a run; user `i` logs in on connection `i` as
//! `first_user + i`. Each recipient has one author, so that a direction is named by its recipient.

use fulmar_protocol::{Chunks, Frame, Send};

use crate::check::{Arrived, Faults, Incoming, Mailbox, Outgoing};
use crate::engine::Port;
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::limits::{OUT_PENDING_BYTES_MAX, UNRECEIPTED_MAX};
use crate::message::{Stamp, Template};

/// What a frame meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A message to this user was ticked.
    Ticked {
        /// Index of the recipient.
        recipient: usize,
    },
    /// A message reached this user for the first time.
    Delivered {
        /// Index of the recipient.
        recipient: usize,
    },
    /// A receipt about messages to this user came.
    Receipted {
        /// Index of the recipient.
        recipient: usize,
    },
    /// The server stated the head of the user's inbox, as asked.
    Head,
    /// Nothing that a scenario acts on.
    Other,
}

/// Running totals over all directions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Messages handed to a socket.
    pub sent: u64,
    /// Messages ticked.
    pub ticked: u64,
    /// Messages delivered, each once.
    pub delivered: u64,
    /// Messages ticked and receipted.
    pub completed: u64,
}

impl Totals {
    /// Grows with anything that the server does for a message.
    pub const fn progress(&self) -> u64 {
        self.ticked + self.delivered + self.completed
    }
}

/// The three latencies of a message, each from its intended send.
#[derive(Debug, Default)]
pub struct MessageLatencies {
    /// Until its tick is back at the author.
    pub sent: Latencies,
    /// Until it is at the recipient.
    pub delivery: Latencies,
    /// Until the delivered receipt is back at the author.
    pub receipt: Latencies,
}

#[derive(Debug)]
struct Direction {
    author: u32,
    outgoing: Outgoing,
    incoming: Incoming,
}

/// Makes messages, follows them, and checks them.
#[derive(Debug)]
pub struct Exchange {
    run: u32,
    first_user: u64,
    template: Template,
    /// By recipient.
    directions: Vec<Direction>,
    /// By user.
    mailboxes: Vec<Mailbox>,
    /// Sends of each user that wait for a tick.
    unticked: Vec<u32>,
    totals: Totals,
    faults: Faults,
    latencies: MessageLatencies,
    /// Messages whose intended time is in here are recorded.
    recorded_ns: std::ops::Range<u64>,
    /// Whether a sender ever waited because of [`UNRECEIPTED_MAX`].
    held_back: bool,
}

/// What an exchange is made for.
#[derive(Debug)]
pub struct ExchangePlan {
    /// Users of the run; the first recipients of these have an author each.
    pub users: usize,
    /// The index of each recipient's author.
    pub authors: Vec<u32>,
    /// The number of user 0 on the wire.
    pub first_user: u64,
    /// Length of every body.
    pub body_bytes: usize,
    /// Messages of one direction that are usually under way.
    pub flight: usize,
}

impl Exchange {
    /// An exchange in which nothing was sent yet. `unix_ms` numbers the sends, as a device with a
    /// fresh store does.
    pub fn new(plan: ExchangePlan, unix_ms: u64) -> Exchange {
        assert!(plan.authors.len() <= plan.users, "a recipient is a user");
        let direction = |author| Direction {
            author,
            outgoing: Outgoing::new(unix_ms, plan.flight),
            incoming: Incoming::default(),
        };
        Exchange {
            run: fastrand::u32(..),
            first_user: plan.first_user,
            template: Template::new(plan.body_bytes),
            directions: plan.authors.into_iter().map(direction).collect(),
            mailboxes: (0..plan.users).map(|_| Mailbox::default()).collect(),
            unticked: vec![0; plan.users],
            totals: Totals::default(),
            faults: Faults::default(),
            latencies: MessageLatencies::default(),
            recorded_ns: 0..0,
            held_back: false,
        }
    }

    /// Records the latencies of messages that are meant to be sent in this time, and no others.
    pub fn record(&mut self, intended_ns: std::ops::Range<u64>) {
        self.recorded_ns = intended_ns;
    }

    /// Whether the author on `port` may send to `recipient` now: fewer than `window` sends without
    /// a tick, and no bound of ours reached.
    #[inline]
    pub fn may_send(&mut self, port: &Port<'_>, recipient: usize, window: u32) -> bool {
        if self.unticked[port.index] >= window || port.pending_bytes() >= OUT_PENDING_BYTES_MAX {
            return false;
        }
        let held = self.directions[recipient].outgoing.incomplete() >= UNRECEIPTED_MAX as u64;
        self.held_back |= held;
        !held
    }

    /// Queues the author's next message to `recipient`.
    #[inline]
    pub fn send(&mut self, port: &mut Port<'_>, recipient: usize, intended_ns: u64) {
        let direction = &mut self.directions[recipient];
        debug_assert_eq!(direction.author as usize, port.index, "each direction has its author");
        let (sequence, number) = direction.outgoing.send(intended_ns);
        let stamp = Stamp { run: self.run, author: direction.author, sequence, intended_ns };
        let body = self.template.stamped(&stamp);
        let total_bytes = Chunks::total_bytes(body);
        let peer = self.first_user + recipient as u64;
        let mut chunks = Chunks::new(body);
        let first = chunks.next().unwrap_or_default();
        port.queue(&Frame::Send(Send { peer, number, content: 0, total_bytes, body: first }));
        for body in chunks {
            port.queue(&Frame::Part { body });
        }
        self.unticked[port.index] += 1;
        self.totals.sent += 1;
    }

    /// Takes a frame from the server.
    #[inline]
    pub fn on_frame(&mut self, port: &Port<'_>, frame: &Frame<'_>) -> Result<Event, Failure> {
        Ok(match *frame {
            Frame::Sent { peer, number, ordinal, .. } => self.on_sent(port, peer, number, ordinal),
            Frame::Deliver(ref deliver) => {
                let mailbox = &mut self.mailboxes[port.index];
                let (run, faults) = (self.run, &mut self.faults);
                match mailbox.on_deliver(run, deliver, &self.template, faults) {
                    Some(arrived) => self.on_arrived(port, &arrived),
                    None => Event::Other,
                }
            }
            Frame::Part { body } => {
                let mailbox = &mut self.mailboxes[port.index];
                match mailbox.on_part(body, &self.template, &mut self.faults) {
                    Some(arrived) => self.on_arrived(port, &arrived),
                    None => Event::Other,
                }
            }
            Frame::Receipt { peer, delivered, own: false, .. } => {
                self.on_receipt(port, peer, delivered)
            }
            Frame::Skip { position } => {
                self.mailboxes[port.index].on_skip(position);
                Event::Other
            }
            Frame::Pong { heads } => {
                let head = heads.iter().find(|&(log, _)| log == 0).map_or(0, |(_, head)| head);
                self.mailboxes[port.index].on_head(head, &mut self.faults);
                Event::Head
            }
            Frame::Rejected { code, .. } => {
                return Err(Failure::Rejected { user: port.user(), code });
            }
            _ => Event::Other,
        })
    }

    /// The recipient whose number on the wire is `peer`, if the user on `port` is its author.
    #[inline]
    fn recipient(&mut self, port: &Port<'_>, peer: u64, what: &str) -> Option<usize> {
        let recipient = peer.wrapping_sub(self.first_user) as usize;
        match self.directions.get(recipient) {
            Some(direction) if direction.author as usize == port.index => Some(recipient),
            _ => {
                let user = port.user();
                self.faults.irregular(|| format!("user {user} got a {what} about user {peer}"));
                None
            }
        }
    }

    #[inline]
    fn on_sent(&mut self, port: &Port<'_>, peer: u64, number: u64, ordinal: u64) -> Event {
        let Some(recipient) = self.recipient(port, peer, "tick") else { return Event::Other };
        let outgoing = &mut self.directions[recipient].outgoing;
        let Some(ticked) = outgoing.on_sent(number, ordinal, &mut self.faults) else {
            return Event::Other;
        };
        self.unticked[port.index] -= ticked.answered as u32;
        self.totals.ticked += ticked.answered;
        self.totals.completed += ticked.completed;
        if self.recorded_ns.contains(&ticked.intended_ns) {
            self.latencies.sent.record(port.now_ns.saturating_sub(ticked.intended_ns));
        }
        Event::Ticked { recipient }
    }

    #[inline]
    fn on_arrived(&mut self, port: &Port<'_>, arrived: &Arrived) -> Event {
        let recipient = port.index;
        let Some(direction) = self.directions.get_mut(recipient) else {
            let user = port.user();
            self.faults.irregular(|| format!("user {user} got a message, but nobody wrote to it"));
            return Event::Other;
        };
        let Arrived { peer, ordinal, stamp } = *arrived;
        let author = self.first_user + u64::from(direction.author);
        if stamp.author != direction.author || peer != author {
            let user = port.user();
            self.faults.irregular(|| {
                format!("user {user} got a message of {author} as from {peer}, or another's")
            });
            return Event::Other;
        }
        let sent = direction.outgoing.sent();
        if !direction.incoming.observe(stamp.sequence, ordinal, sent, &mut self.faults) {
            return Event::Other;
        }
        self.totals.delivered += 1;
        if self.recorded_ns.contains(&stamp.intended_ns) {
            self.latencies.delivery.record(port.now_ns.saturating_sub(stamp.intended_ns));
        }
        Event::Delivered { recipient }
    }

    #[inline]
    fn on_receipt(&mut self, port: &Port<'_>, peer: u64, delivered: u64) -> Event {
        let Some(recipient) = self.recipient(port, peer, "receipt") else { return Event::Other };
        let direction = &mut self.directions[recipient];
        let acknowledged = direction.incoming.acknowledged();
        let (recorded_ns, receipt) = (&self.recorded_ns, &mut self.latencies.receipt);
        let record = |intended_ns| {
            if recorded_ns.contains(&intended_ns) {
                receipt.record(port.now_ns.saturating_sub(intended_ns));
            }
        };
        self.totals.completed +=
            direction.outgoing.on_receipt(delivered, acknowledged, &mut self.faults, record);
        Event::Receipted { recipient }
    }

    /// Acknowledges everything new that the user on `port` got: once per read, not per message.
    #[inline]
    pub fn acknowledge(&mut self, port: &mut Port<'_>) {
        if let Some(position) = self.mailboxes[port.index].acknowledge() {
            port.queue(&Frame::Ack { position });
            if let Some(direction) = self.directions.get_mut(port.index) {
                direction.incoming.acknowledge();
            }
        }
    }

    /// Whether every message is ticked, delivered, acknowledged and receipted.
    pub const fn is_settled(&self) -> bool {
        let Totals { sent, ticked, delivered, completed } = self.totals;
        ticked == sent && delivered == sent && completed == sent
    }

    /// Running totals.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Index of the author who writes to `recipient`.
    pub fn author(&self, recipient: usize) -> usize {
        self.directions[recipient].author as usize
    }

    /// Adds messages that were meant to be sent and never could be: each took at least until now.
    pub fn record_unsent(&mut self, intended_ns: u64, now_ns: u64) {
        if self.recorded_ns.contains(&intended_ns) {
            let MessageLatencies { sent, delivery, receipt } = &mut self.latencies;
            for kind in [sent, delivery, receipt] {
                kind.record(now_ns.saturating_sub(intended_ns));
            }
        }
    }

    /// Judges what never came. Nothing may be under way any more.
    pub fn finish(mut self) -> Findings {
        for (recipient, direction) in self.directions.iter().enumerate() {
            let Direction { outgoing, incoming, .. } = direction;
            let user = self.first_user + recipient as u64;
            let lost = incoming.lost(outgoing.ticked());
            self.faults.lost += lost;
            if let Some(first) = incoming.lost_first(outgoing.ticked()) {
                self.faults.describe(|| format!("user {user} never got {lost}, first {first}"));
            }
            self.faults.unanswered += outgoing.sent() - outgoing.ticked();
            let acknowledged = incoming.acknowledged().min(outgoing.ticked());
            self.faults.unreceipted += acknowledged.saturating_sub(outgoing.receipted());
            match (outgoing.ordinal_first(), incoming.ordinal_first()) {
                (Some(ticked), Some(delivered)) if ticked != delivered => {
                    self.faults.irregular(|| {
                        format!(
                            "the first message to user {user} was ticked with ordinal {ticked} \
                             and delivered with {delivered}"
                        )
                    });
                }
                _ => (),
            }
        }
        Findings {
            faults: self.faults,
            latencies: self.latencies,
            leftovers: self.mailboxes.iter().map(Mailbox::leftovers).sum(),
            held_back: self.held_back,
        }
    }
}

/// What an exchange found.
#[derive(Debug)]
pub struct Findings {
    /// Broken promises.
    pub faults: Faults,
    /// Of the recorded messages.
    pub latencies: MessageLatencies,
    /// Messages of earlier runs that came first.
    pub leftovers: u64,
    /// Whether senders waited because receipts stayed out, and not because of ticks.
    pub held_back: bool,
}
