//! The lanes between a core and the other threads of its node.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Sender, TrySendError};

use crate::faults::{Fault, is_planted};
use crate::limits::{COMMIT_BYTES_ENOUGH, JOBS_BACKLOG_MAX, MESH_BACKLOG_LETTERS, VERIFYING_MAX};
use crate::mesh::{Inlet, Outlet, Tray};
use crate::shard::{
    Arrival, ConnId, CoreId, Identity, Letter, Load, Loaded, Refusal, Ticket, Write,
};

/// Between cores.
#[derive(Debug)]
pub enum Parcel<S> {
    /// For the shard.
    Letter(Letter),
    /// A connection whose home the receiver is.
    Connection {
        /// The socket.
        fd: S,
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
    /// Bytes of their values.
    pub bytes: usize,
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
        result: Result<Identity, Refusal>,
    },
}

/// Where the workers leave their answers for one core. A worker may wait for room, a core may not.
pub type Answers = Tray<Reply>;

/// All lanes of one core.
///
/// A driver takes what came in at the begin of a turn, [`MAIL_PER_TURN`](super::MAIL_PER_TURN) things per
/// lane at most, hands over the turn's effects, and flushes. What has no room stays here, in order; while
/// there is a backlog it flushes again before long, and while it is congested it reads no sockets.
#[derive(Debug)]
pub struct Mail<S> {
    /// To each other core; none to itself.
    cores_out: Vec<Option<Outlet<Parcel<S>>>>,
    /// From the other cores.
    cores_in: Vec<Inlet<Parcel<S>>>,
    journal: Outlet<Batch>,
    stored: Inlet<Stored>,
    workers: Sender<Job>,
    answers: Arc<Answers>,
    /// Jobs that the workers' queue had no room for.
    jobs: VecDeque<Job>,
    /// Tokens that wait until the workers have fewer of them.
    tokens: VecDeque<Job>,
    /// Tokens that the workers have.
    verifying: usize,
    /// Emptied vectors for batches to come.
    spare: Vec<Vec<Write>>,
}

impl<S> Mail<S> {
    /// Puts the lanes together. `cores_out` has one place per core.
    #[must_use]
    pub fn new(
        cores_out: Vec<Option<Outlet<Parcel<S>>>>,
        cores_in: Vec<Inlet<Parcel<S>>>,
        journal: Outlet<Batch>,
        stored: Inlet<Stored>,
        workers: Sender<Job>,
        answers: Arc<Answers>,
    ) -> Self {
        Mail {
            cores_out,
            cores_in,
            journal,
            stored,
            workers,
            answers,
            jobs: VecDeque::new(),
            tokens: VecDeque::new(),
            verifying: 0,
            spare: Vec::new(),
        }
    }

    /// Whether nothing came in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
            && self.answers.is_empty()
            && self.cores_in.iter().all(Inlet::is_empty)
    }

    /// Whether something waits here for another thread to have room.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        !self.jobs.is_empty()
            || self.journal.backlog() > 0
            || self.cores_out.iter().flatten().any(|lane| lane.backlog() > 0)
    }

    /// Whether so much waits that no more should be taken from sockets.
    #[must_use]
    pub fn is_congested(&self) -> bool {
        self.are_others_behind() && !is_planted(Fault::GateIgnored)
    }

    /// Whether other threads are so far behind that it is congested.
    #[must_use]
    pub fn are_others_behind(&self) -> bool {
        self.journal.backlog() > 0
            || self.cores_out.iter().flatten().any(|lane| lane.backlog() > MESH_BACKLOG_LETTERS)
    }

    /// The most things that wait for another core to have room.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.cores_out.iter().flatten().map(Outlet::backlog).max().unwrap_or(0)
    }

    /// Parcels that wait in the rings towards this core.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.cores_in.iter().map(Inlet::len).sum()
    }

    /// Sends something to another core, after everything before it.
    pub fn send(&mut self, core: CoreId, parcel: Parcel<S>) {
        match &mut self.cores_out[usize::from(core)] {
            Some(lane) => lane.push(parcel),
            None => debug_assert!(false, "a core sends nothing to itself"),
        }
    }

    /// Hands a turn's writes to the journal; they are taken out of `writes`. If it has no room they join
    /// those of the turn before.
    pub fn commit(&mut self, ticket: Ticket, writes: &mut Vec<Write>) {
        let bytes = writes.iter().map(value_bytes).sum();
        if let Some(waiting) = self.journal.newest_waiting()
            && waiting.bytes + bytes <= COMMIT_BYTES_ENOUGH
        {
            waiting.ticket = ticket;
            waiting.writes.append(writes);
            waiting.bytes += bytes;
            return;
        }
        let spare = self.spare.pop().unwrap_or_default();
        self.journal.push(Batch { ticket, writes: std::mem::replace(writes, spare), bytes });
    }

    /// Keeps the emptied vector of a batch for one to come.
    pub fn keep_spare(&mut self, spent: Vec<Write>) {
        if self.spare.len() < 16 && spent.capacity() <= 4_096 {
            self.spare.push(spent);
        }
    }

    /// Hands a job to the workers.
    pub fn ask(&mut self, job: Job) {
        match job {
            Job::Load { .. } => self.jobs.push_back(job),
            Job::Verify { .. } => self.tokens.push_back(job),
        }
    }

    /// The next thing that the journal has confirmed. Its vector is for [`Mail::keep_spare`].
    pub fn stored(&mut self) -> Option<Stored> {
        self.stored.pop()
    }

    /// The next answer of the workers.
    pub fn answer(&mut self) -> Option<Reply> {
        let reply = self.answers.take()?;
        if let Reply::Verified { .. } = reply {
            self.verifying -= 1;
        }
        Some(reply)
    }

    /// Whether so many jobs wait here that another login would wait too long.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.jobs.len() + self.tokens.len() >= JOBS_BACKLOG_MAX
    }

    /// How many other cores send to this one.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.cores_in.len()
    }

    /// The next thing from one of the other cores, which are counted from 0 in the order of [`Mail::new`].
    pub fn parcel(&mut self, lane: usize) -> Option<Parcel<S>> {
        self.cores_in[lane].pop()
    }

    /// Moves what waits, as far as there is room, and wakes those who got something.
    pub fn flush(&mut self) {
        for lane in self.cores_out.iter_mut().flatten() {
            lane.flush();
        }
        self.journal.flush();
        while self.verifying < VERIFYING_MAX
            && let Some(token) = self.tokens.pop_front()
        {
            self.verifying += 1;
            self.jobs.push_back(token);
        }
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

impl<S> Drop for Mail<S> {
    /// Nobody takes answers any more, and no worker is to wait for that.
    fn drop(&mut self) {
        self.answers.abandon();
    }
}

const fn value_bytes(write: &Write) -> usize {
    match write {
        Write::Put { value, .. } => value.len(),
        Write::Trim { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::Receiver;
    use fulmar_protocol::Code;

    use super::*;
    use crate::mesh::{Doorbell, lane};
    use crate::shard::LogId;

    const CONN: ConnId = ConnId { slot: 0, generation: 0 };

    /// The mail of a core without others, and its workers' queue.
    fn mail() -> (Mail<std::os::fd::OwnedFd>, Receiver<Job>) {
        let bell = Arc::new(Doorbell::new().expect("eventfd"));
        let (journal, _) = lane(1, Arc::clone(&bell));
        let (_, stored) = lane(1, Arc::clone(&bell));
        let (workers, jobs) = crossbeam_channel::bounded(10_000);
        let answers = Arc::new(Answers::new(16, bell));
        (Mail::new(Vec::new(), Vec::new(), journal, stored, workers, answers), jobs)
    }

    #[test]
    fn a_cold_read_does_not_wait_behind_a_flood_of_logins() {
        let (mut mail, jobs) = mail();
        for _ in 0..5_000 {
            mail.ask(Job::Verify { core: 0, conn: CONN, token: Bytes::from_static(b"token") });
        }
        mail.flush();
        let load = Load::Conversation { log: LogId::Inbox(1), peer: 2 };
        mail.ask(Job::Load { core: 0, load });
        mail.flush();
        let before = jobs.try_iter().take_while(|job| matches!(job, Job::Verify { .. })).count();
        assert!(before <= VERIFYING_MAX, "{before} tokens come first");
        // All of them have their turn.
        let mut judged = before;
        while judged < 5_000 {
            let refusal = Refusal { code: Code::TokenInvalid, detail: "" };
            mail.answers.give(Reply::Verified { conn: CONN, result: Err(refusal) });
            mail.answer().expect("an answer");
            mail.flush();
            judged += jobs.try_iter().count();
        }
        assert!(mail.tokens.is_empty());
    }
}
