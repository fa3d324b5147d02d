//! One round of the journal: take what the cores want stored, make one commit of it, and say so. What arrives
//! during a commit becomes the next round's, so commits grow with the load by themselves.
//!
//! The journal's thread calls the steps one after the other; a simulation lets time pass between them, or
//! ends the process there.

use crate::core_loop::{Batch, Stored};
use crate::faults::{Fault, is_planted};
use crate::limits::{COMMIT_BATCHES_MAX, COMMIT_BYTES_ENOUGH};
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
    /// The lane from which the next round takes first.
    first: usize,
}

impl JournalRound {
    /// Serves these cores, in their order.
    #[must_use]
    pub fn new(lanes: Vec<JournalLane>) -> Self {
        JournalRound { lanes, batches: Vec::new(), owners: Vec::new(), first: 0 }
    }

    /// Whether the cores have handed nothing over that isn't taken.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| lane.batches.is_empty())
    }

    /// The first step: takes what the cores handed over, core by core in turn and another one first each
    /// time, up to the size of a commit. `false` if there is nothing to commit.
    pub fn take(&mut self) -> bool {
        let count = self.lanes.len();
        let share = (COMMIT_BATCHES_MAX / count.max(1)).max(1);
        let mut bytes = 0;
        for nth in 0..count {
            let owner = (self.first + nth) % count;
            for _ in 0..share {
                if bytes >= COMMIT_BYTES_ENOUGH {
                    break;
                }
                let Some(batch) = self.lanes[owner].batches.pop() else { break };
                bytes += batch.bytes;
                self.batches.push(batch);
                self.owners.push(owner);
            }
        }
        self.first = (self.first + 1) % count.max(1);
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
            let untaken = u64::from(is_planted(Fault::ConfirmsUntaken));
            self.lanes[owner].stored.push(Stored { ticket: batch.ticket + untaken, spent });
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::mesh::{Doorbell, lane};
    use crate::shard::{Key, LogId};
    use crate::storage::journal::{self, JournalOptions};
    use crate::storage::{SimulatedDatabase, SimulatedDirectory};

    #[test]
    fn a_commit_is_bounded_by_bytes_and_no_core_waits_for_ever() {
        let bell = Arc::new(Doorbell::new().expect("eventfd"));
        let mut outlets = Vec::new();
        let mut lanes = Vec::new();
        for _ in 0..2 {
            let (to_journal, batches) = lane(64, Arc::clone(&bell));
            let (stored, _) = lane(64, Arc::clone(&bell));
            outlets.push(to_journal);
            lanes.push(JournalLane { batches, stored });
        }
        let value = Bytes::from(vec![7; COMMIT_BYTES_ENOUGH / 4]);
        for ticket in 1..=32 {
            for outlet in &mut outlets {
                let key = Key::Entry { log: LogId::Inbox(1), position: ticket };
                let writes = vec![Write::Put { key, value: value.clone() }];
                outlet.push(Batch { ticket, writes, bytes: value.len() });
            }
        }
        let mut round = JournalRound::new(lanes);
        let mut tickets = [0, 0];
        for _ in 0..16 {
            assert!(round.take());
            let bytes = round.batches.iter().map(|batch| batch.bytes).sum::<usize>();
            assert_eq!(bytes, COMMIT_BYTES_ENOUGH);
            for (batch, &owner) in round.batches.iter().zip(&round.owners) {
                tickets[owner] += 1;
                assert_eq!(batch.ticket, tickets[owner], "in the order of the core");
            }
            round.confirm();
        }
        assert_eq!(tickets, [32, 32]);
    }

    /// A core's ends of its lanes.
    type Core = (Outlet<Batch>, Inlet<Stored>);

    /// A lane of each core, with room for two things to be told, and the cores' ends.
    fn lanes(cores: usize) -> (JournalRound, Vec<Core>) {
        let bell = Arc::new(Doorbell::new().expect("eventfd"));
        let both = (0..cores).map(|_| {
            let (to_journal, batches) = lane(8, Arc::clone(&bell));
            let (stored, from_journal) = lane(2, Arc::clone(&bell));
            (JournalLane { batches, stored }, (to_journal, from_journal))
        });
        let (lanes, ends) = both.unzip();
        (JournalRound::new(lanes), ends)
    }

    fn batch(user: u64, ticket: u64) -> Batch {
        let put = |position| Write::Put {
            key: Key::Entry { log: LogId::Inbox(user), position },
            value: Bytes::from_static(&[1; 8]),
        };
        Batch { ticket, writes: vec![put(2 * ticket - 1), put(2 * ticket)], bytes: 16 }
    }

    #[test]
    fn a_round_stores_what_all_cores_handed_over_and_tells_each_its_tickets() {
        let (files, database) = (SimulatedDirectory::new(1), SimulatedDatabase::default());
        let (mut committer, _, _) = journal::open(
            files.clone(),
            JournalOptions { segment_bytes: 1 << 16, ..JournalOptions::default() },
            true,
            database,
        )
        .expect("open");
        let (mut round, mut cores) = lanes(2);
        assert!(!round.take());
        for ticket in 1..=3 {
            cores[0].0.push(batch(1, ticket));
        }
        cores[1].0.push(batch(2, 1));
        assert!(!round.is_idle() && round.take() && round.is_idle());
        // What comes meanwhile is the next round's.
        cores[1].0.push(batch(2, 2));
        assert_eq!(round.writes().count(), 8);
        let syncs = files.counts().syncs;
        assert_eq!(round.commit(&mut committer).expect("commit").entries, 8);
        assert_eq!(files.counts().syncs, syncs + 1);
        assert!(cores[0].1.is_empty(), "nobody is told before");
        round.confirm();
        assert!(!round.flush(), "the first core has room for two");
        let mut told = |core: usize| {
            let stored = cores[core].1.pop()?;
            assert!(stored.spent.is_empty() && stored.spent.capacity() >= 2);
            Some(stored.ticket)
        };
        assert_eq!([told(0), told(0), told(0)], [Some(1), Some(2), None]);
        assert!(round.flush());
        assert_eq!([told(0), told(1), told(1)], [Some(3), Some(1), None]);
        assert!(round.take());
        assert_eq!(round.writes().count(), 2);
    }
}
