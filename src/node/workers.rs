//! A small pool of threads for what would make a core wait or stutter: cold reads, and the
//! signatures of login tokens.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use tracing::debug;

use super::NodeError;
use crate::auth::{self, KeyRing, TokenError};
use crate::core_loop::{Answers, Job, Reply};
use crate::shard::{ConnId, CoreId, Identity, Refusal};
use crate::storage::Reader;

/// Workers of a node: enough to keep a disk busy, few enough not to crowd the cores.
const WORKERS: usize = 2;

pub(super) fn spawn(
    reader: &Reader,
    keys: &Arc<ArcSwap<KeyRing>>,
    answers: &[Arc<Answers>],
    jobs: &Receiver<Job>,
) -> Result<Vec<JoinHandle<()>>, NodeError> {
    (0..WORKERS)
        .map(|index| {
            let (reader, keys) = (reader.clone(), Arc::clone(keys));
            let (answers, jobs) = (answers.to_vec(), jobs.clone());
            thread::Builder::new()
                .name(format!("fulmar-worker-{index}"))
                .spawn(move || run(&reader, &keys, &answers, &jobs))
                .map_err(NodeError::Thread)
        })
        .collect()
}

fn run(reader: &Reader, keys: &ArcSwap<KeyRing>, answers: &[Arc<Answers>], jobs: &Receiver<Job>) {
    // Ends when the last core has dropped its sender.
    for job in jobs {
        let (core, reply) = match job {
            Job::Load { core, load } => match reader.load(load) {
                Ok(loaded) => (core, Reply::Loaded(loaded)),
                Err(error) => die(&error),
            },
            Job::Verify { core, conn, token } => {
                let now_s = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since_epoch| since_epoch.as_secs());
                let result = keys.load().verify(&token, now_s);
                (core, Reply::Verified { conn, result: verdict(core, conn, result) })
            }
        };
        answers[usize::from(core)].give(reply);
    }
}

/// What the core is told. The token itself is in no log.
fn verdict(
    core: CoreId,
    conn: ConnId,
    result: Result<auth::Identity, TokenError>,
) -> Result<Identity, Refusal> {
    match result {
        Ok(auth::Identity { user, device, .. }) => Ok(Identity { user, device }),
        Err(error) => {
            let ConnId { slot, generation } = conn;
            debug!(core, slot, generation, %error, "a token isn't accepted");
            Err(Refusal { code: error.code(), detail: error.detail() })
        }
    }
}

/// A log that can't be read must not be taken for an empty one.
fn die(error: &crate::storage::JournalError) -> ! {
    tracing::error!(%error, "can't read the data directory; stopping at once");
    eprintln!("fulmar: can't read the data directory: {error}; stopping at once");
    std::process::abort();
}
