//! The lanes between a core and the other threads of its node.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Sender, TrySendError};
use fulmar_protocol::Code;

use crate::limits::{JOBS_BACKLOG_MAX, MESH_BACKLOG_LETTERS};
use crate::mesh::{Inlet, Outlet, Tray};
use crate::shard::{Arrival, ConnId, CoreId, Identity, Letter, Load, Loaded, Ticket, Write};

/// Between cores.
#[derive(Debug)]
pub enum Parcel {
    /// For the shard.
    Letter(Letter),
    /// A connection whose home the receiver is.
    Connection {
        /// The socket.
        fd: OwnedFd,
        /// Who logged in on it.
        arrival: Arrival,
        /// What it sent since; it should be nothing.
        early: Vec<u8>,
    },
}

/// From a core to the journal: the writes of one turn, or of several that had to wait. All of it is
/// stored together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// Ticket of the last of the turns.
    pub ticket: Ticket,
    /// The writes, in order.
    pub writes: Vec<Write>,
}

/// From the journal to a core: everything up to `ticket` is durable.
#[derive(Debug)]
pub struct Stored {
    /// The ticket.
    pub ticket: Ticket,
    /// The emptied vector of the batch, for reuse.
    pub spent: Vec<Write>,
}

/// From a core to the workers.
#[derive(Debug)]
pub enum Job {
    /// Read from storage.
    Load {
        /// Who asks.
        core: CoreId,
        /// What.
        load: Load,
    },
    /// Verify a token.
    Verify {
        /// Who asks.
        core: CoreId,
        /// For which connection.
        conn: ConnId,
        /// The token.
        token: Bytes,
    },
}

/// From a worker to a core.
#[derive(Debug)]
pub enum Reply {
    /// What was read.
    Loaded(Loaded),
    /// What the token says.
    Verified {
        /// For which connection.
        conn: ConnId,
        /// Who it is for, or why it isn't good.
        result: Result<Identity, Code>,
    },
}

/// Where the workers leave their answers for one core. A worker may wait for room, a core may not.
pub type Answers = Tray<Reply>;

/// All lanes of one core.
pub struct Mail {
    /// To each other core; none to itself.
    pub(super) cores_out: Vec<Option<Outlet<Parcel>>>,
    /// From the other cores.
    pub(super) cores_in: Vec<Inlet<Parcel>>,
    pub(super) journal: Outlet<Batch>,
    pub(super) stored: Inlet<Stored>,
    pub(super) workers: Sender<Job>,
    pub(super) answers: Arc<Answers>,
    /// Jobs that the workers' queue had no room for.
    jobs: VecDeque<Job>,
    /// Emptied vectors for batches to come.
    spare: Vec<Vec<Write>>,
}

impl Mail {
    /// Puts the lanes together. `cores_out` has one place per core.
    #[must_use]
    pub fn new(
        cores_out: Vec<Option<Outlet<Parcel>>>,
        cores_in: Vec<Inlet<Parcel>>,
        journal: Outlet<Batch>,
        stored: Inlet<Stored>,
        workers: Sender<Job>,
        answers: Arc<Answers>,
    ) -> Self {
        let (jobs, spare) = (VecDeque::new(), Vec::new());
        Mail { cores_out, cores_in, journal, stored, workers, answers, jobs, spare }
    }

    /// Whether nothing came in.
    pub(super) fn is_empty(&self) -> bool {
        self.stored.is_empty()
            && self.answers.is_empty()
            && self.cores_in.iter().all(Inlet::is_empty)
    }

    /// Whether something waits here for another thread to have room.
    pub(super) fn has_backlog(&self) -> bool {
        !self.jobs.is_empty()
            || self.journal.backlog() > 0
            || self.cores_out.iter().flatten().any(|lane| lane.backlog() > 0)
    }

    /// Whether so much waits that no more should be taken from sockets.
    pub(super) fn is_congested(&self) -> bool {
        self.journal.backlog() > 0
            || self.cores_out.iter().flatten().any(|lane| lane.backlog() > MESH_BACKLOG_LETTERS)
    }

    /// Parcels that wait in the rings towards this core.
    pub(super) fn depth(&self) -> usize {
        self.cores_in.iter().map(Inlet::len).sum()
    }

    pub(super) fn send(&mut self, core: CoreId, parcel: Parcel) {
        match &mut self.cores_out[usize::from(core)] {
            Some(lane) => lane.push(parcel),
            None => debug_assert!(false, "a core sends nothing to itself"),
        }
    }

    /// Hands a turn's writes to the journal; they are taken out of `writes`.
    pub(super) fn commit(&mut self, ticket: Ticket, writes: &mut Vec<Write>) {
        if let Some(waiting) = self.journal.newest_waiting() {
            waiting.ticket = ticket;
            waiting.writes.append(writes);
            return;
        }
        let spare = self.spare.pop().unwrap_or_default();
        self.journal.push(Batch { ticket, writes: std::mem::replace(writes, spare) });
    }

    pub(super) fn keep_spare(&mut self, spent: Vec<Write>) {
        if self.spare.len() < 16 && spent.capacity() <= 4_096 {
            self.spare.push(spent);
        }
    }

    /// Hands a job to the workers.
    pub(super) fn ask(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    pub(super) fn answer(&mut self) -> Option<Reply> {
        self.answers.take()
    }

    /// Whether so many jobs wait here that another login would wait too long.
    pub(super) fn is_crowded(&self) -> bool {
        self.jobs.len() >= JOBS_BACKLOG_MAX
    }

    /// Moves what waits, as far as there is room, and wakes those who got something.
    pub(super) fn flush(&mut self) {
        for lane in self.cores_out.iter_mut().flatten() {
            lane.flush();
        }
        self.journal.flush();
        while let Some(job) = self.jobs.pop_front() {
            match self.workers.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => {
                    self.jobs.push_front(job);
                    break;
                }
                // The node is going down.
                Err(TrySendError::Disconnected(_)) => break,
            }
        }
    }
}

impl Drop for Mail {
    /// Nobody takes answers any more, and no worker is to wait for that.
    fn drop(&mut self) {
        self.answers.abandon();
    }
}
