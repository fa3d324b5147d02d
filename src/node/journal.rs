//! The journal's thread: takes what all cores want stored, makes one commit of it, and says so.
//! What arrives during a commit becomes the next one, so commits grow with the load by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::NodeError;
use crate::config::{Config, Durability, Retention};
use crate::core_loop::{Batch, Stored};
use crate::limits::COMMIT_BATCHES_MAX;
use crate::mesh::{Doorbell, Inlet, Outlet};
use crate::metrics::Metrics;
use crate::storage::{self, Committer, Drain, DrainStop};

/// The journal's lanes from and to one core.
pub(super) struct Lane {
    pub(super) batches: Inlet<Batch>,
    pub(super) stored: Outlet<Stored>,
}

/// The running thread.
pub(super) struct Journal {
    thread: JoinHandle<()>,
    doorbell: Arc<Doorbell>,
    stop: Arc<AtomicBool>,
}

impl Journal {
    /// Stores what is left and ends the thread. No core may hand over anything any more.
    pub(super) fn stop_and_join(self) {
        self.stop.store(true, Ordering::Release);
        self.doorbell.ring();
        super::join(self.thread);
    }
}

/// How the database is opened for this configuration.
pub(super) fn options(config: &Config) -> storage::Options {
    let mib = 1024 * 1024;
    storage::Options {
        durability: match config.durability {
            Durability::Fsync => storage::Durability::Fsync,
            Durability::Os => storage::Durability::Os,
        },
        write_buffer_bytes: config.write_buffer_mib as usize * mib,
        block_cache_bytes: config.block_cache_mib as usize * mib,
        expiry: match config.retention {
            Retention::Temporary => {
                Some(Duration::from_secs(u64::from(config.expiry_days) * 24 * 3_600))
            }
            Retention::History => None,
        },
        journal: storage::journal::JournalOptions {
            segment_bytes: u64::from(config.segment_mib) << 20,
            ..storage::journal::JournalOptions::default()
        },
    }
}

pub(super) fn spawn(
    committer: Committer,
    lanes: Vec<Lane>,
    doorbell: Arc<Doorbell>,
    metrics: &Arc<Metrics>,
) -> Result<Journal, NodeError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (bell, metrics, is_stopping) =
        (Arc::clone(&doorbell), Arc::clone(metrics), Arc::clone(&stop));
    let thread = thread::Builder::new()
        .name("fulmar-journal".into())
        .spawn(move || run(lanes, committer, &bell, &metrics, &is_stopping))
        .map_err(NodeError::Thread)?;
    Ok(Journal { thread, doorbell, stop })
}

fn run(
    mut lanes: Vec<Lane>,
    mut committer: Committer,
    doorbell: &Doorbell,
    metrics: &Metrics,
    stop: &AtomicBool,
) {
    let mut batches: Vec<Batch> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    loop {
        take(&mut lanes, &mut batches, &mut owners);
        if batches.is_empty() {
            if stop.load(Ordering::Acquire) {
                return;
            }
            doorbell.about_to_sleep();
            if lanes.iter().all(|lane| lane.batches.is_empty()) && !stop.load(Ordering::Acquire) {
                doorbell.wait();
            }
            doorbell.awake();
            continue;
        }
        let begun = Instant::now();
        match committer.commit(batches.iter().flat_map(|batch| &batch.writes)) {
            Ok(stats) => {
                let journal = metrics.journal();
                journal.commit_messages.observe(stats.entries as u64);
                journal.commit_duration.observe(begun.elapsed().as_nanos() as u64);
                journal.committed_bytes.add(stats.bytes);
            }
            Err(error) => die(&error),
        }
        confirm(&mut lanes, &mut batches, &mut owners);
    }
}

/// Takes what the cores handed over, core by core in turn, up to the size of a commit.
fn take(lanes: &mut [Lane], batches: &mut Vec<Batch>, owners: &mut Vec<usize>) {
    let share = COMMIT_BATCHES_MAX / lanes.len().max(1);
    for (owner, lane) in lanes.iter_mut().enumerate() {
        for _ in 0..share.max(1) {
            let Some(batch) = lane.batches.pop() else { break };
            batches.push(batch);
            owners.push(owner);
        }
    }
}

/// Tells each core what is stored.
fn confirm(lanes: &mut [Lane], batches: &mut Vec<Batch>, owners: &mut Vec<usize>) {
    for (batch, owner) in batches.drain(..).zip(owners.drain(..)) {
        let mut spent = batch.writes;
        spent.clear();
        lanes[owner].stored.push(Stored { ticket: batch.ticket, spent });
    }
    for lane in lanes {
        lane.stored.flush();
        // The core drains this lane every turn and never waits for us, so there will be room.
        while lane.stored.backlog() > 0 {
            thread::sleep(Duration::from_micros(50));
            lane.stored.flush();
        }
    }
}

/// After a failed write nobody knows what reached the disk, and a second try could report success
/// for data that the kernel dropped. Only a restart, which reads what is really there, is safe.
fn die(error: &storage::JournalError) -> ! {
    tracing::error!(%error, "can't write to the data directory; stopping at once so that nothing unsafe is acknowledged");
    eprintln!("fulmar: can't write to the data directory: {error}; stopping at once");
    std::process::abort();
}

/// The running drain.
pub(super) struct RunningDrain {
    thread: JoinHandle<()>,
    stopper: DrainStop,
}

impl RunningDrain {
    pub(super) fn stop_and_join(self) {
        self.stopper.stop();
        super::join(self.thread);
    }
}

/// Starts the thread that keeps the journal short.
pub(super) fn spawn_drain(drain: Drain) -> Result<RunningDrain, NodeError> {
    let stopper = drain.stopper();
    let thread = thread::Builder::new()
        .name("fulmar-drain".into())
        .spawn(move || {
            if let Err(error) = drain.run() {
                die(&error);
            }
        })
        .map_err(NodeError::Thread)?;
    Ok(RunningDrain { thread, stopper })
}
