//! One round of the journal: take what the cores want stored, make one commit of it, and say so. What arrives
//! during a commit becomes the next round's, so commits grow with the load by themselves.
//!
//! The journal's thread calls the steps one after the other; a simulation lets time pass between them, or
//! ends the process there.

use crate::core_loop::{Batch, Stored};
use crate::limits::COMMIT_BATCHES_MAX;
use crate::mesh::{Inlet, Outlet};
use crate::shard::Write;
use crate::storage::journal::{Commit, JournalCommitter, JournalDirectory, JournalError};

/// The journal's lanes from and to one core.
#[derive(Debug)]
pub struct JournalLane {
    /// What the core wants stored.
    pub batches: Inlet<Batch>,
    /// What is stored.
    pub stored: Outlet<Stored>,
}

/// See the module's description.
///
/// ```text
/// take ──► commit ──► confirm ──► flush, until everything is handed over ──► take
/// ```
#[derive(Debug)]
pub struct JournalRound {
    lanes: Vec<JournalLane>,
    /// What was taken and isn't confirmed.
    batches: Vec<Batch>,
    /// The lane of each batch.
    owners: Vec<usize>,
}

impl JournalRound {
    /// Serves these cores, in their order.
    #[must_use]
    pub fn new(lanes: Vec<JournalLane>) -> Self {
        JournalRound { lanes, batches: Vec::new(), owners: Vec::new() }
    }

    /// Whether the cores have handed nothing over that isn't taken.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| lane.batches.is_empty())
    }

    /// The first step: takes what the cores handed over, core by core in turn, up to the size of a commit.
    /// `false` if there is nothing to commit.
    pub fn take(&mut self) -> bool {
        let share = COMMIT_BATCHES_MAX / self.lanes.len().max(1);
        for (owner, lane) in self.lanes.iter_mut().enumerate() {
            for _ in 0..share.max(1) {
                let Some(batch) = lane.batches.pop() else { break };
                self.batches.push(batch);
                self.owners.push(owner);
            }
        }
        !self.batches.is_empty()
    }

    /// What was taken, in order.
    pub fn writes(&self) -> impl Iterator<Item = &Write> + Clone {
        self.batches.iter().flat_map(|batch| &batch.writes)
    }

    /// The second step: makes what was taken durable. It may wait for the drain; a driver that runs both in one
    /// thread asks [`JournalCommitter::would_wait`] before.
    pub fn commit<D: JournalDirectory>(
        &self,
        committer: &mut JournalCommitter<D>,
    ) -> Result<Commit, JournalError> {
        committer.commit(self.writes())
    }

    /// The third step: tells each core what is stored.
    pub fn confirm(&mut self) {
        for (batch, owner) in self.batches.drain(..).zip(self.owners.drain(..)) {
            let mut spent = batch.writes;
            spent.clear();
            self.lanes[owner].stored.push(Stored { ticket: batch.ticket, spent });
        }
    }

    /// Hands over what was confirmed, as far as the cores have room for it; `false` if some is left. The cores
    /// drain these lanes every turn and never wait for the journal, so there will be room.
    pub fn flush(&mut self) -> bool {
        for lane in &mut self.lanes {
            lane.stored.flush();
        }
        self.lanes.iter().all(|lane| lane.stored.backlog() == 0)
    }
}
