//! Keeping a thread on a CPU.

use rustix::thread::{CpuSet, sched_setaffinity};
use tracing::warn;

/// Keeps the calling thread on `cpu`. A machine that doesn't allow it only loses speed.
pub(super) fn pin(cpu: Option<usize>) {
    let Some(cpu) = cpu else { return };
    let mut set = CpuSet::new();
    set.set(cpu);
    if let Err(error) = sched_setaffinity(None, &set) {
        warn!(cpu, %error, "can't keep a thread on its CPU");
    }
}
