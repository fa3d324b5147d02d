//! The writes on their way to the store, and what may only happen once they are durable.

use super::io::Action;
use super::log::LogId;
use crate::event::Event;
use crate::limits::MESSAGE_BYTES;
use crate::message::MessageId;
use crate::store::Write;

/// What a durable batch allows.
#[derive(Debug)]
pub(super) enum Effect {
    /// The program may know.
    Notify(Event),
    /// The send of this number may go out, and its caller may know that it is safe.
    Saved {
        /// The message.
        id: MessageId,
        /// Its number.
        number: u64,
    },
    /// A tick is durable.
    Settled,
    /// A message of the time before is in the store.
    Filled {
        /// Who wrote it.
        peer: u64,
        /// Which one.
        ordinal: u64,
    },
    /// The log is stored up to here and may be acknowledged.
    Log {
        /// Which.
        log: LogId,
        /// The position.
        position: u64,
    },
}

/// Writes and effects of one batch.
#[derive(Debug, Default)]
struct Batch {
    writes: Vec<Write>,
    effects: Vec<Effect>,
    bytes: usize,
}

/// Collects a batch while another is being stored; one batch at a time.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pending: Batch,
    /// Effects and bytes of the batch that is being stored.
    storing: Option<(Vec<Effect>, usize)>,
    is_failed: bool,
}

impl Ledger {
    /// Adds a write to the next batch.
    pub(super) fn write(&mut self, write: Write) {
        self.pending.bytes += MESSAGE_BYTES
            + match &write {
                Write::Insert(message) | Write::Fill(message) | Write::Enqueue { message, .. } => {
                    message.body.len()
                }
                Write::Roles { roles, .. } => size_of_val(&roles[..]),
                Write::Group(state) => size_of_val(state) + state.name.len() + state.info.len(),
                Write::Item { key, value, .. } => key.len() + value.len(),
                _ => 0,
            };
        self.pending.writes.push(write);
    }

    /// Adds writes in their order.
    pub(super) fn write_all(&mut self, writes: Vec<Write>) {
        for write in writes {
            self.write(write);
        }
    }

    /// Adds what the next batch allows, after what was added before.
    pub(super) fn then(&mut self, effect: Effect) {
        self.pending.effects.push(effect);
    }

    /// Bytes that aren't durable yet: bodies, and a round figure for each write.
    pub(super) fn unstored_bytes(&self) -> usize {
        self.pending.bytes + self.storing.as_ref().map_or(0, |(_, bytes)| *bytes)
    }

    /// Whether the store failed, so that nothing is written any more.
    pub(super) const fn has_failed(&self) -> bool {
        self.is_failed
    }

    /// Whether nothing waits for the store.
    pub(super) fn is_idle(&self) -> bool {
        self.storing.is_none() && (self.is_failed || self.pending.writes.is_empty())
    }

    /// Starts the next batch where there is one.
    pub(super) fn flush(&mut self, actions: &mut Vec<Action>) {
        if self.is_failed || self.storing.is_some() || self.pending.writes.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.pending);
        self.storing = Some((batch.effects, batch.bytes));
        actions.push(Action::Commit(batch.writes));
    }

    /// The batch under way is durable: what it allows.
    pub(super) fn stored(&mut self) -> Vec<Effect> {
        let (effects, _) = self.storing.take().unwrap_or_default();
        effects
    }

    /// The store failed: nothing that waits will happen.
    pub(super) fn fail(&mut self) {
        *self = Ledger { is_failed: true, ..Ledger::default() };
    }
}
