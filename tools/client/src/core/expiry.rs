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
    /// When the first one is due, on the clock that never goes back; `None` also while the server's time isn't known.
    due_ms: Option<u64>,
}

impl Expiries {
    pub(super) fn new(times_ms: Vec<u64>) -> Self {
        Expiries { all: times_ms.into_iter().collect(), ..Expiries::default() }
    }

    /// When something is due, on the clock that never goes back.
    pub(super) const fn deadline_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// Takes out what is over at this time of the server's; whether anything is.
    fn take_over(&mut self, now: Now, server_ms: u64) -> bool {
        let later = self.all.split_off(&(server_ms + 1));
        let over = std::mem::replace(&mut self.all, later);
        let next = self.all.first();
        self.due_ms = next.map(|next| now.elapsed_ms.saturating_add(next - server_ms));
        !over.is_empty()
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
    pub(super) fn begin_expiry(&mut self, id: MessageId, content: u8, body: &[u8], time_ms: u64) {
        let taken_ms = self.taken_ms(time_ms);
        if let Some(seconds) = seconds(content, body) {
            let at_ms = taken_ms.saturating_add(seconds * 1_000).min(NUMBER_MAX);
            self.expiries.all.insert(at_ms);
            self.ledger.write(Write::Expires { id, at_ms });
        }
    }

    /// When the server took a message, as its tick says. Where that no longer knows it, the message was sent on an
    /// earlier connection, so it is the latest that it can be: when this one began.
    pub(super) fn taken_ms(&self, time_ms: u64) -> u64 {
        if time_ms == 0 { self.clock.welcomed_ms() } else { time_ms }
    }

    /// Deletes what is over. As long as nobody ever told the server's time, that is nothing.
    pub(super) fn expire(&mut self, now: Now) {
        self.clock.begin(now);
        if let Some(clocks) = self.clock.take_unkept(now) {
            self.ledger.write(Write::Clocks(clocks));
        }
        let Some(through_ms) = self.clock.time_ms(now) else { return };
        if self.expiries.take_over(now, through_ms) {
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
