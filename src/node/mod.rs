//! Builds a node out of its parts, runs it, and stops it in order.
//!
//! Threads: one per core, the journal, a few workers (cold reads and token checks), and the control
//! plane. A thread that fails takes the process with it: what was acknowledged is durable, and a
//! restart is the one path of recovery that is always tested.

mod error;
mod journal;
mod listeners;
mod pinning;
mod round;
mod workers;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use arc_swap::ArcSwap;
use tracing::{info, warn};

use crate::auth::KeyRing;
use crate::config::{Config, Retention};
use crate::control::{Control, ControlError, EarlyReload, Handles, LogFilter};
use crate::core_loop::{Answers, CoreLoop, CoreParts, Mail, Parcel};
use crate::limits::{ANSWERS_MAX, JOBS_MAX, JOURNAL_RING_BATCHES, MESH_RING_LETTERS};
use crate::mesh::{Doorbell, Inlet, Outlet, lane};
use crate::metrics::Metrics;
use crate::shard::{self, CoreId, Now, Shard, ShardConfig, by_home_core};
use crate::storage::{self, OpenError};
use crate::uring::{Ring, RingConfig};

pub use error::NodeError;
pub use round::{JournalLane, JournalRound};

/// Name of the control plane's thread.
const CONTROL_THREAD: &str = "fulmar-control";

/// Tells all cores to stop.
type StopAll = Arc<dyn Fn() + Send + Sync>;

/// Lanes between cores, as each core gets them.
type CoreLanes = (Vec<Option<Outlet<Parcel<OwnedFd>>>>, Vec<Inlet<Parcel<OwnedFd>>>);

/// Runs a node until it is told to stop. Returns once everything is stored and closed.
///
/// Prints `fulmar ready on ADDRESS` on standard output when it takes connections.
pub fn run(config: &Config, log: LogFilter) -> Result<(), NodeError> {
    abort_on_panic();
    // A start may take a while, and whoever reloads keys doesn't know of it.
    let early_reload = EarlyReload::note().map_err(ControlError::Signals)?;
    keep_memory_flat();
    // Whatever it creates holds people's messages, also in a directory that others may enter.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let keys = Arc::new(ArcSwap::from_pointee(load_keys(config)?));
    let store = storage::open(&config.data_dir, &journal::options(config))?;
    let group_heads = store.reader.group_heads().map_err(OpenError::from)?;
    let group_heads = by_home_core(group_heads, config.cores as u16);
    let sessions_from_ms = storage::begin_sessions(&config.data_dir)?;
    let metrics = Metrics::new(config.cores);
    let (listeners, address) = listeners::bind(config.listen, config.cores)?;
    let stop = Arc::new(AtomicBool::new(false));
    let doorbells = doorbells(config.cores)?;

    let answers: Vec<Arc<Answers>> = doorbells
        .iter()
        .map(|doorbell| Arc::new(Answers::new(ANSWERS_MAX, Arc::clone(doorbell))))
        .collect();
    let (jobs, jobs_out) = crossbeam_channel::bounded(JOBS_MAX);
    let workers = workers::spawn(&store.reader, &keys, &answers, &jobs_out)?;
    drop(jobs_out);

    let journal_bell = Arc::new(Doorbell::new().map_err(NodeError::Doorbell)?);
    let mut journal_lanes = Vec::new();
    let mut cores = Vec::new();
    let stop_all = stop_callback(&stop, doorbells.clone());
    let started = Instant::now();
    let begin = Now { unix_ms: sessions_from_ms, mono_ms: 0 };
    let mesh = mesh(&doorbells);
    let cores_parts = listeners.into_iter().zip(mesh).zip(&doorbells).zip(group_heads);
    for (core, (((listener, lanes), doorbell), group_heads)) in (0..).zip(cores_parts) {
        let mut shard = Shard::new(shard_config(config, core), begin);
        shard.know_group_heads(group_heads);
        let (to_journal, from_core) = lane(JOURNAL_RING_BATCHES, Arc::clone(&journal_bell));
        let (to_core, from_journal) = lane(JOURNAL_RING_BATCHES, Arc::clone(doorbell));
        journal_lanes.push(JournalLane { batches: from_core, stored: to_core });
        let mail = Mail::new(
            lanes.0,
            lanes.1,
            to_journal,
            from_journal,
            jobs.clone(),
            Arc::clone(&answers[usize::from(core)]),
        );
        let parts = CoreParts {
            core,
            shard,
            mail,
            doorbell: Arc::clone(doorbell),
            stop: Arc::clone(&stop),
        };
        let stop_all = Arc::clone(&stop_all);
        cores.push(spawn_core(config, parts, listener, &metrics, started, stop_all)?);
    }
    drop(jobs);
    let journal = journal::spawn(store.committer, journal_lanes, journal_bell, &metrics)?;
    let drain = journal::spawn_drain(store.drain)?;

    let handles = Handles {
        metrics: Arc::clone(&metrics),
        ready: Arc::new(AtomicBool::new(false)),
        keys,
        log,
        early_reload,
        stop: Box::new(move || stop_all()),
    };
    let control = Control::spawn(config, handles)?;
    info!(%address, cores = config.cores, durability = ?config.durability, "taking connections");
    control.announce(address);

    let outcome = join_cores(cores);
    journal.stop_and_join();
    for worker in workers {
        join(worker);
    }
    drain.stop_and_join();
    info!("stopped; everything is stored");
    control.finish();
    outcome
}

fn load_keys(config: &Config) -> Result<KeyRing, NodeError> {
    match &config.keys {
        Some(path) => {
            let (ring, exposure) = KeyRing::load(path)
                .map_err(|error| NodeError::Keys { path: path.clone(), error })?;
            if let Some(exposure) = exposure {
                warn!("{exposure}");
            }
            Ok(ring)
        }
        None => Ok(KeyRing::empty()),
    }
}

fn doorbells(cores: usize) -> Result<Vec<Arc<Doorbell>>, NodeError> {
    (0..cores).map(|_| Doorbell::new().map(Arc::new).map_err(NodeError::Doorbell)).collect()
}

/// A lane for every ordered pair of distinct cores.
fn mesh(doorbells: &[Arc<Doorbell>]) -> Vec<CoreLanes> {
    let mut cores: Vec<CoreLanes> = doorbells.iter().map(|_| (Vec::new(), Vec::new())).collect();
    for from in 0..doorbells.len() {
        for (to, doorbell) in doorbells.iter().enumerate() {
            if from == to {
                cores[from].0.push(None);
            } else {
                let (outlet, inlet) = lane(MESH_RING_LETTERS, Arc::clone(doorbell));
                cores[from].0.push(Some(outlet));
                cores[to].1.push(inlet);
            }
        }
    }
    cores
}

fn shard_config(config: &Config, core: CoreId) -> ShardConfig {
    let days_ms = 24 * 3_600 * 1_000;
    ShardConfig {
        core,
        cores: config.cores as u16,
        retention: match config.retention {
            Retention::Temporary => shard::Retention::Temporary,
            Retention::History => shard::Retention::History,
        },
        expiry_ms: u64::from(config.expiry_days) * days_ms,
        quota_messages: config.quota_messages,
        group_quota_messages: config.group_quota_messages,
        group_quota_bytes: config.group_quota_bytes,
        group_members_max: config.group_members_max,
        quota_bytes: config.quota_bytes,
        devices_max: config.devices_max,
        window_messages: config.window_messages,
        window_bytes: config.window_bytes,
        sends_max: config.sends_max,
        body_bytes_max: config.body_bytes_max,
        idle_s: config.idle_seconds,
        presence_interval_ms: config.presence_interval_seconds * 1_000,
        edit_max_age_ms: config.edit_max_age_seconds * 1_000,
        hello_timeout_ms: config.hello_timeout_ms,
        frame_timeout_ms: config.frame_timeout_ms,
        unsigned_users: config.insecure_dev,
        ..ShardConfig::new(core, config.cores as u16)
    }
}

fn spawn_core(
    config: &Config,
    parts: CoreParts<OwnedFd>,
    listener: OwnedFd,
    metrics: &Arc<Metrics>,
    started: Instant,
    stop_all: StopAll,
) -> Result<JoinHandle<Result<(), NodeError>>, NodeError> {
    let cpu = config.pin.map(|first| first + usize::from(parts.core));
    let sockets_max = config.connections_max.div_ceil(config.cores as u64);
    let ring_config = RingConfig {
        sockets_max: sockets_max.min(1 << 24) as u32,
        buffers: config.receive_buffers,
        ..RingConfig::default()
    };
    let metrics = Arc::clone(metrics);
    let (report, reported) = std::sync::mpsc::sync_channel(1);
    let handle = thread::Builder::new()
        .name(format!("fulmar-core-{}", parts.core))
        .spawn(move || {
            pinning::pin(cpu);
            // The ring belongs to the thread that makes it.
            let core = Ring::new(&ring_config).map_err(NodeError::Ring).and_then(|ring| {
                CoreLoop::listening(parts, ring, listener).map_err(NodeError::Doorbell)
            });
            let core = match core {
                Ok(core) => core,
                Err(error) => {
                    let _ = report.send(Err(error));
                    return Ok(());
                }
            };
            let _ = report.send(Ok(()));
            let outcome = core.run(&metrics, started).map_err(NodeError::Core);
            if outcome.is_err() {
                // The users whose home it is have none now, so the others don't go on without it.
                stop_all();
            }
            outcome
        })
        .map_err(NodeError::Thread)?;
    reported.recv().unwrap_or(Ok(()))?;
    Ok(handle)
}

fn stop_callback(stop: &Arc<AtomicBool>, doorbells: Vec<Arc<Doorbell>>) -> StopAll {
    let stop = Arc::clone(stop);
    Arc::new(move || {
        stop.store(true, Ordering::Release);
        for doorbell in &doorbells {
            doorbell.ring();
        }
    })
}

fn join_cores(cores: Vec<JoinHandle<Result<(), NodeError>>>) -> Result<(), NodeError> {
    // All of them end before the first error is told.
    let outcomes: Vec<Result<(), NodeError>> = cores.into_iter().map(join).collect();
    outcomes.into_iter().collect()
}

fn join<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(value) => value,
        // A panic aborts the process before its thread can be joined.
        Err(_) => std::process::abort(),
    }
}

/// Huge pages round every table and every size class of the allocator up to 2 MiB, which nearly triples
/// the memory of some thousand connections and speeds nothing up measurably.
fn keep_memory_flat() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        warn!(%error, "can't switch huge pages off; memory will be larger than stated");
    }
}

/// A broken invariant must not be survived by the rest of the node: nothing is lost by a restart,
/// but much could be by going on.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        // The control plane ends the node in order instead.
        if thread::current().name() != Some(CONTROL_THREAD) {
            std::process::abort();
        }
    }));
}
