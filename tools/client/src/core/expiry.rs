//! Messages that disappear: deleted when their time is over by the server's clock; and the timers that
//! conversations have.

use std::collections::BTreeSet;

use super::io::Now;
use super::ledger::Effect;
use super::session::Session;
use crate::event::Event;
use crate::limits::NUMBER_MAX;
use crate::message::{Message, MessageId};
use crate::refer::{seconds, timer};
use crate::store::Write;

/// When messages of the store are to be deleted: as many times as it has.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    /// Milliseconds since the Unix epoch, by the server's clock.
    all: BTreeSet<u64>,
    /// When the first one is due, on the clock that never goes back.
    due_ms: Option<u64>,
    /// How far the server's clock is ahead of this device's, in milliseconds.
    ahead_ms: i64,
}

impl Expiries {
    pub(super) fn new(times_ms: Vec<u64>) -> Self {
        Expiries { all: times_ms.into_iter().collect(), ..Expiries::default() }
    }

    /// The server told its time.
    pub(super) fn learn(&mut self, now: Now, server_ms: u64) {
        self.ahead_ms = server_ms.min(NUMBER_MAX) as i64 - now.unix_ms.min(NUMBER_MAX) as i64;
    }

    /// When something is due, on the clock that never goes back.
    pub(super) const fn deadline_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// The time by the server's clock.
    fn server_ms(&self, now: Now) -> u64 {
        now.unix_ms.saturating_add_signed(self.ahead_ms)
    }

    /// Takes out what is over; the time up to which it is, if anything is.
    fn take_over(&mut self, now: Now) -> Option<u64> {
        let server_ms = self.server_ms(now);
        let later = self.all.split_off(&(server_ms + 1));
        let over = std::mem::replace(&mut self.all, later);
        let next = self.all.first();
        self.due_ms = next.map(|next| now.elapsed_ms.saturating_add(next - server_ms));
        (!over.is_empty()).then_some(server_ms)
    }
}

impl Session {
    /// A message with the time at which it is deleted, if it is one that disappears.
    pub(super) fn with_expiry(&mut self, mut message: Message) -> Message {
        if let Some(seconds) = seconds(message.content, &message.body) {
            let at_ms = message.time_ms.saturating_add(seconds * 1_000).min(NUMBER_MAX);
            self.expiries.all.insert(at_ms);
            message.changes.expires_ms = Some(at_ms);
        }
        message
    }

    /// An own message has its tick: if it disappears, its time begins.
    pub(super) fn begin_expiry(
        &mut self,
        now: Now,
        id: MessageId,
        content: u8,
        body: &[u8],
        time_ms: u64,
    ) {
        let taken_ms = self.taken_ms(now, time_ms);
        if let Some(seconds) = seconds(content, body) {
            let at_ms = taken_ms.saturating_add(seconds * 1_000).min(NUMBER_MAX);
            self.expiries.all.insert(at_ms);
            self.ledger.write(Write::Expires { id, at_ms });
        }
    }

    /// When the server took a message, as its tick says; now where that no longer knows it.
    pub(super) fn taken_ms(&self, now: Now, time_ms: u64) -> u64 {
        if time_ms == 0 { self.expiries.server_ms(now) } else { time_ms }
    }

    /// Deletes what is over.
    pub(super) fn expire(&mut self, now: Now) {
        if let Some(through_ms) = self.expiries.take_over(now) {
            self.ledger.write(Write::Expire { through_ms });
            self.ledger.then(Effect::Notify(Event::Expired));
        }
    }

    /// Notes the timer that a message sets for its conversation, unless a later one did. The caller stores the
    /// conversation's state.
    pub(super) fn heed_timer(&mut self, message: &Message) {
        self.set_timer(
            message.group,
            message.peer,
            message.content,
            &message.body,
            message.time_ms,
        );
    }

    pub(super) fn set_timer(
        &mut self,
        group: Option<u64>,
        peer: u64,
        content: u8,
        body: &[u8],
        time_ms: u64,
    ) {
        let Some(seconds) = timer(content, body) else { return };
        let timer = match group {
            Some(group) => &mut self.groups.state(group).timer,
            None => &mut self.conversations.state(peer).timer,
        };
        if time_ms >= timer.1 {
            *timer = (seconds, time_ms);
        }
    }
}
