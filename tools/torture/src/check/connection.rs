//! Judges the frame of it all: sessions, heads, goodbyes, and whether the device came to an end.

use super::facts::{Answer, Facts};
use super::group::GroupEvent;
use super::identity::{Device, MessageId};
use super::line::{Event, Line};
use super::references;
use super::violation::{Promise, Tally};

/// Codes from here to 399 say that the client did something wrong, which ours doesn't.
const BLAME_FIRST: u16 = 100;
/// See [`BLAME_FIRST`]; from 400 the server is busy, stops, or is elsewhere.
const BLAME_LAST: u16 = 399;
/// A newer connection of the device took over.
const REPLACED: u16 = 207;
/// A full inbox: nobody's fault.
const QUOTA_EXCEEDED: u16 = 301;
/// A number that is too old. Ours always rise, so it can only be that of a send that was repeated:
/// a refusal got lost, and what came after it was taken.
const STALE_NUMBER: u16 = 302;
/// The server failed.
const INTERNAL: u16 = 500;

/// Judges one device.
#[derive(Debug)]
pub(super) struct ConnectionCheck<'a> {
    facts: &'a Facts,
    device: Device,
    session: u64,
    /// The last position that was delivered or skipped.
    position: u64,
    /// What the server said last about the head.
    head: u64,
}

impl<'a> ConnectionCheck<'a> {
    pub(super) fn new(facts: &'a Facts, device: Device) -> Self {
        ConnectionCheck { facts, device, session: 0, position: 0, head: 0 }
    }

    pub(super) fn line(&mut self, line: &Line, tally: &mut Tally) {
        let device = self.device;
        match &line.event {
            Event::Welcome { session, head } => {
                if *session <= self.session {
                    let text = format!("{device}: session {session} follows {}", self.session);
                    tally.add(Promise::Protocol, text);
                }
                self.session = *session;
                self.head(*head, tally);
            }
            Event::Pong { head } => self.head(*head, tally),
            Event::Shown(delivery) | Event::Again(delivery) => {
                self.position = self.position.max(delivery.position);
            }
            Event::Group(GroupEvent::Notice { position, .. }) => {
                self.position = self.position.max(*position);
            }
            Event::Skip { position } => self.position = self.position.max(*position),
            Event::Refused { code } => self.blamed("the login was refused", *code, tally),
            Event::Goodbye { code } => self.blamed("the server said goodbye", *code, tally),
            Event::Replaced { code } if *code != REPLACED => {
                self.blamed("a connection that was taken over ended", *code, tally);
            }
            Event::Rejected { peer, number, code } => {
                let id = MessageId { author: device, peer: *peer, number: *number };
                self.rejected(id, *code, tally);
            }
            Event::Broken { what } => tally.add(Promise::Protocol, format!("{device}: {what}")),
            Event::Drained | Event::Final if self.position != self.head => {
                let text = format!(
                    "{device}: the head is {}, but only positions up to {} came",
                    self.head, self.position
                );
                tally.add(Promise::Gaps, text);
            }
            _ => {}
        }
    }

    fn head(&mut self, head: u64, tally: &mut Tally) {
        // A position that was told of must not be used again either.
        if head < self.head {
            let text = format!("{}: the head went back from {} to {head}", self.device, self.head);
            tally.add(Promise::Protocol, text);
        }
        self.head = head;
        if head < self.position {
            let text = format!(
                "{}: the head is {head}, and position {} came before",
                self.device, self.position
            );
            tally.add(Promise::Protocol, text);
        }
    }

    fn rejected(&self, id: MessageId, code: u16, tally: &mut Tally) {
        let sent = self.facts.sent.get(&id);
        let is_resent = sent.is_some_and(|sent| sent.resent);
        let is_deserved =
            sent.is_some_and(|sent| references::is_deserved(self.facts, id, sent, code));
        match code {
            _ if is_deserved => {}
            QUOTA_EXCEEDED => {}
            STALE_NUMBER if is_resent => {}
            _ => self.blamed(&format!("{id} was rejected"), code, tally),
        }
    }

    fn blamed(&self, what: &str, code: u16, tally: &mut Tally) {
        if (BLAME_FIRST..=BLAME_LAST).contains(&code) || code == INTERNAL {
            tally.add(Promise::Protocol, format!("{}: {what} with code {code}", self.device));
        }
    }

    /// The history is over. `written` are the device's own sends, in their order.
    pub(super) fn finish(self, written: &[MessageId], tally: &mut Tally) {
        let presence = self.facts.presence.get(&self.device).copied().unwrap_or_default();
        let when = match (presence.drained, presence.finished) {
            (true, true) => return,
            (true, false) => " after the clean stop",
            (false, _) => "",
        };
        let unanswered =
            written.iter().filter(|id| self.facts.sent[id].answer == Answer::None).count()
                + self.facts.groups.unanswered(self.device);
        let text = format!(
            "{} did not come to an end{when}: {unanswered} sends without an answer, positions up to {} \
             of {} came",
            self.device, self.position, self.head
        );
        tally.add(Promise::Unsettled, text);
    }
}
