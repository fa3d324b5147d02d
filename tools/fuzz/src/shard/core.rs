//! One core of the world.

use std::collections::VecDeque;

use fulmar::shard::{
    Arrival, ConnId, Effects, Identity, Letter, Load, Loaded, Now, Refusal, Shard, ShardConfig,
    Ticket, Write,
};

/// One shard, and what is on its way to it and from it.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) shard: Shard,
    pub(super) fx: Effects,
    pub(super) events: VecDeque<Happening>,
    pub(super) unstored: VecDeque<(Ticket, Vec<Write>)>,
    pub(super) loads: Vec<Load>,
    /// From the other core.
    pub(super) letters: VecDeque<Letter>,
    pub(super) verdicts: VecDeque<ConnId>,
    pub(super) generations: Vec<u32>,
    pub(super) free: Vec<u32>,
}

/// An event that waits for a turn.
#[derive(Debug)]
pub(super) enum Happening {
    Accepted(ConnId),
    Arrived(ConnId, Arrival),
    Received(ConnId, Vec<u8>),
    Sent(ConnId),
    Letter(Letter),
    Stored(Ticket),
    Loaded(Loaded),
    Closed(ConnId),
    Authenticated(ConnId, Result<Identity, Refusal>),
    ShutDown,
}

impl Core {
    pub(super) fn new(config: ShardConfig, now: Now) -> Self {
        Core {
            shard: Shard::new(config, now),
            fx: Effects::default(),
            events: VecDeque::new(),
            unstored: VecDeque::new(),
            loads: Vec::new(),
            letters: VecDeque::new(),
            verdicts: VecDeque::new(),
            generations: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn new_conn(&mut self) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        let generation = &mut self.generations[slot as usize];
        *generation += 1;
        ConnId { slot, generation: *generation }
    }

    pub(super) fn close(&mut self, conn: ConnId) {
        self.events.push_back(Happening::Closed(conn));
        self.free.push(conn.slot);
    }
}
