//! Frames from the server.

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Code, Frame, Frames, Goodbye, Pairs, VERSION, Welcome};

use super::heartbeat::Heartbeat;
use super::io::{Action, Now};
use super::ledger::Effect;
use super::link::{Link, Online, Plan, is_address};
use super::log::LogId;
use super::outbox::Refused;
use super::session::{INBOX, Session};
use super::violation::{Violation, counted, cursor, user};
use crate::event::{Event, Reason};
use crate::limits::{NUMBER_MAX, RETRY_AFTER_MS_MAX};
use crate::message::Target;
use crate::store::{Unanswered, Write};

impl Session {
    /// Takes bytes, cut anywhere. What arrived whole before an error still counts.
    pub(super) fn on_bytes(&mut self, now: Now, bytes: &[u8], actions: &mut Vec<Action>) {
        if !self.link.is_open() {
            return;
        }
        if let Link::Online(online) = &mut self.link {
            online.heartbeat.heard(now.elapsed_ms);
        }
        let result = if self.partial.is_empty() {
            self.on_frames(now, bytes, actions)
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            self.on_frames(now, &joined, actions)
        };
        self.hand_on_arrivals();
        if let Err(violation) = result {
            self.give_up(now, violation.code, violation.reason, actions);
        }
    }

    fn on_frames(
        &mut self,
        now: Now,
        bytes: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), Violation> {
        let mut frames = Frames::new(bytes, FRAME_BYTES_MAX);
        for frame in frames.by_ref() {
            let frame = Frame::decode(frame?)?;
            match self.link {
                Link::Online(_) => self.on_frame(now, &frame, actions)?,
                _ => self.on_answer(now, &frame, actions)?,
            }
            if !self.link.is_open() {
                // The frame ended the connection: what follows it means nothing.
                return Ok(());
            }
        }
        self.partial = frames.rest().to_vec();
        Ok(())
    }

    /// A frame before the login is decided.
    fn on_answer(
        &mut self,
        now: Now,
        frame: &Frame<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Welcome(welcome) if matches!(self.link, Link::Greeting { .. }) => {
                self.on_welcome(now, welcome, actions)
            }
            Frame::Refuse { code, retry_after_ms, detail } => {
                actions.push(Action::Close);
                let (code, detail) = (*code, (*detail).to_owned());
                let retry_in_ms = self.forget(now, Plan::after(code, *retry_after_ms));
                actions.push(Action::Notify(Event::Refused { code, detail, retry_in_ms }));
                Ok(())
            }
            Frame::Goodbye(goodbye) => {
                self.on_goodbye(now, goodbye, actions);
                Ok(())
            }
            Frame::Unknown { .. } => Ok(()),
            other => Err(unexpected(other, "before the welcome")),
        }
    }

    fn on_welcome(
        &mut self,
        now: Now,
        welcome: &Welcome<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Violation> {
        if welcome.version != VERSION {
            let detail = format!("version {} was not offered", welcome.version);
            return Err(Violation::new(Code::UnsupportedVersion, detail));
        }
        let cursor = self.intake.inbox().frontier;
        let lost = inbox_head(&welcome.heads).filter(|head| *head < cursor);
        if let Some(head) = lost {
            self.stalled_head = 0;
            self.intake.inbox_went_back(head);
            self.conversations.went_back();
            self.past_went_back(head);
            self.ledger.write(Write::WentBack { head });
            self.ledger.then(Effect::Notify(Event::InboxWentBack { cursor, head }));
        }
        self.clock.learn(now, welcome.time_ms.min(NUMBER_MAX));
        self.server_ahead_ms = welcome.time_ms.min(NUMBER_MAX).saturating_sub(now.unix_ms);
        self.outbox.begin(welcome.sends_max, welcome.body_bytes_max);
        self.conversations.begin();
        self.go_back_in_groups();
        self.groups.begin();
        if lost.is_some() {
            self.groups.look_at_all();
        }
        let peers = self.conversations.unread().map(Target::Peer);
        self.asks.begin(peers.chain(self.groups.unread().map(Target::Group)));
        self.presence.begin(now.elapsed_ms, welcome.presence_s);
        self.book.begin();
        let heartbeat = Heartbeat::new(now.elapsed_ms, welcome.idle_s);
        self.link = Link::Online(Online { since_ms: now.elapsed_ms, heartbeat });
        actions.push(Action::Notify(Event::Connected { session: welcome.session }));
        Ok(())
    }

    fn on_goodbye(&mut self, now: Now, goodbye: &Goodbye<'_>, actions: &mut Vec<Action>) {
        actions.push(Action::Close);
        let retry_in_ms = self.forget(now, Plan::after(goodbye.code, goodbye.retry_after_ms));
        if is_address(goodbye.address) {
            self.redirect = Some(goodbye.address.to_owned());
        }
        let reason = Reason::Goodbye { code: goodbye.code, detail: goodbye.detail.to_owned() };
        actions.push(Action::Notify(Event::Disconnected { reason, retry_in_ms }));
    }

    /// A frame after the login.
    fn on_frame(
        &mut self,
        now: Now,
        frame: &Frame<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Violation> {
        match *frame {
            Frame::Deliver(ref deliver) => self.intake.deliver(deliver),
            Frame::Part { body } => {
                self.intake.part(body)?;
                self.keep_past();
                Ok(())
            }
            Frame::Past(ref past) => self.on_past(past),
            Frame::HistoryEnd(ref end) => self.on_history_end(end),
            Frame::Skip { position } => self.intake.skip(LogId::Inbox, position),
            Frame::Sent { peer, number, ordinal, time_ms } => {
                self.on_sent((peer, number), ordinal, time_ms)
            }
            Frame::Rejected { peer, number, code, retry_after_ms } => {
                self.on_rejected(now, Target::Peer(peer), number, code, retry_after_ms);
                Ok(())
            }
            Frame::Receipt { peer, delivered, read, own } => {
                self.on_receipt(peer, delivered, read, own)
            }
            Frame::Pong { ref heads } => self.on_pong(heads),
            Frame::Goodbye(ref goodbye) => {
                self.on_goodbye(now, goodbye, actions);
                Ok(())
            }
            Frame::Unknown { .. } => Ok(()),
            ref other => match self.on_group_frame(now, other, actions) {
                Some(result) => result,
                None if let Some(result) = self.on_people_frame(other, actions) => result,
                None => Err(unexpected(other, "from a server after the welcome")),
            },
        }
    }

    fn on_sent(
        &mut self,
        (peer, number): (u64, u64),
        ordinal: u64,
        time_ms: u64,
    ) -> Result<(), Violation> {
        counted("sent.ordinal", ordinal)?;
        let time_ms = time_ms.min(NUMBER_MAX);
        if let Some(Unanswered { id, content, body, .. }) =
            self.outbox.answered(Target::Peer(peer), number)
        {
            self.conversations.sent(peer, ordinal);
            if time_ms == 0 {
                // It was taken earlier, and perhaps delivered since.
                self.asks.ask(Target::Peer(peer));
            }
            self.outbox.ticked();
            self.ledger.write(Write::Ticked { id, number, ordinal, time_ms });
            self.begin_expiry(id, content, &body, time_ms);
            self.set_timer(None, peer, content, &body, self.taken_ms(time_ms));
            self.ledger.then(Effect::Settled);
            self.write_conversation(peer);
            self.ledger.then(Effect::Notify(Event::Ticked { id, peer, ordinal, time_ms }));
        }
        Ok(())
    }

    pub(super) fn on_rejected(
        &mut self,
        now: Now,
        target: Target,
        number: u64,
        code: Code,
        retry_after_ms: u64,
    ) {
        let Some(send) = self.outbox.answered(target, number) else { return };
        let refused = Refused { id: send.id, target: send.target, number };
        self.reject(&refused, code, retry_after_ms.min(RETRY_AFTER_MS_MAX));
        // This device's numbers are behind what the server saw of it: its clock was wrong when its
        // store was new. The server's clock is what the numbers should have started at.
        let server_time_ms = now.unix_ms.saturating_add(self.server_ahead_ms);
        if code == Code::StaleNumber && self.outbox.raise_number(server_time_ms) {
            self.ledger.write(Write::NumberLast(self.outbox.number_last()));
        }
    }

    fn on_receipt(
        &mut self,
        peer: u64,
        delivered: u64,
        read: u64,
        own: bool,
    ) -> Result<(), Violation> {
        user("receipt.peer", peer)?;
        let delivered = cursor("receipt.delivered", delivered)?;
        let read = cursor("receipt.read", read)?;
        if own {
            if self.conversations.saw_elsewhere(peer, read) {
                self.write_conversation(peer);
                let event = Event::SeenElsewhere { peer, ordinal: read };
                self.ledger.then(Effect::Notify(event));
            }
            return Ok(());
        }
        self.asks.answered(Target::Peer(peer));
        let moved = self.conversations.receipt(peer, delivered, read);
        if moved.any() {
            self.write_conversation(peer);
        }
        if let Some(ordinal) = moved.delivered {
            self.ledger.then(Effect::Notify(Event::Delivered { peer, ordinal }));
        }
        if let Some(ordinal) = moved.read {
            self.ledger.then(Effect::Notify(Event::Read { peer, ordinal }));
        }
        Ok(())
    }

    fn on_pong(&mut self, heads: &Pairs<'_>) -> Result<(), Violation> {
        let Link::Online(online) = &mut self.link else { return Ok(()) };
        let (frontier, frames) = (self.intake.inbox().frontier, self.intake.inbox_frames());
        let stalled = online.heartbeat.pong(inbox_head(heads), frontier, frames);
        let pongs = online.heartbeat.pongs();
        for state in self.conversations.confirm_reads(pongs) {
            self.ledger.write(Write::Conversation(state));
        }
        match stalled {
            Some(head) if head > self.stalled_head => {
                self.stalled_head = head;
                Err(Violation::gap(frontier + 1, head))
            }
            _ => Ok(()),
        }
    }
}

fn inbox_head(heads: &Pairs<'_>) -> Option<u64> {
    heads.iter().find(|(log, _)| *log == INBOX).map(|(_, head)| head)
}

fn unexpected(frame: &Frame<'_>, moment: &str) -> Violation {
    let name = frame.kind().map_or("unknown", fulmar_protocol::Kind::name);
    Violation::new(Code::UnexpectedFrame, format!("a {name} frame is not allowed {moment}"))
}
