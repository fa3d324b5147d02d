//! The journal's thread, which goes through one round after the other, and the drain's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::NodeError;
use super::round::{JournalLane, JournalRound};
use crate::config::{Config, Durability, Retention};
use crate::mesh::Doorbell;
use crate::metrics::Metrics;
use crate::storage::{self, Committer, Drain, DrainStop};

/// Pause of a thread that waits for a core to have room.
const FULL_LANE_PAUSE: Duration = Duration::from_micros(50);

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
    lanes: Vec<JournalLane>,
    doorbell: Arc<Doorbell>,
    metrics: &Arc<Metrics>,
) -> Result<Journal, NodeError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (bell, metrics, is_stopping) =
        (Arc::clone(&doorbell), Arc::clone(metrics), Arc::clone(&stop));
    let thread = thread::Builder::new()
        .name("fulmar-journal".into())
        .spawn(move || run(JournalRound::new(lanes), committer, &bell, &metrics, &is_stopping))
        .map_err(NodeError::Thread)?;
    Ok(Journal { thread, doorbell, stop })
}

fn run(
    mut round: JournalRound,
    mut committer: Committer,
    doorbell: &Doorbell,
    metrics: &Metrics,
    stop: &AtomicBool,
) {
    loop {
        if !round.take() {
            if stop.load(Ordering::Acquire) {
                return;
            }
            let is_work_there = || !round.is_idle() || stop.load(Ordering::Acquire);
            doorbell.sleep(is_work_there, |is_work| {
                if !is_work {
                    doorbell.wait();
                }
            });
            continue;
        }
        let begun = Instant::now();
        match round.commit(&mut committer) {
            Ok(stats) => {
                let journal = metrics.journal();
                journal.commit_messages.observe(stats.entries as u64);
                journal.commit_duration.observe(begun.elapsed().as_nanos() as u64);
                journal.committed_bytes.add(stats.bytes);
            }
            Err(error) => die(&error),
        }
        round.confirm();
        while !round.flush() {
            thread::sleep(FULL_LANE_PAUSE);
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
