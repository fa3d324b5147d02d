//! The limits of the machine that a configuration must fit.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::limits::CORES_MAX;

/// Descriptors that connections leave for the rest of the server: `RocksDB`'s tables, rings,
/// listeners, the control endpoint, logs.
pub const DESCRIPTORS_RESERVED: u64 = 1_024;

/// What this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// CPUs that it may run on, in ascending order; at least one.
    pub cpus: Vec<usize>,
    /// How many descriptors it may open.
    pub descriptors_max: u64,
}

impl Machine {
    /// Asks the kernel.
    pub fn read() -> io::Result<Machine> {
        let set = sched_getaffinity(None)?;
        let cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
        let descriptors_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Ok(Machine { cpus, descriptors_max })
    }

    /// Raises the limit on descriptors as far as the operator allowed (from the soft to the hard
    /// limit). Programs are started with a low soft limit for the sake of `select`, which nothing
    /// here uses.
    pub fn raise_descriptor_limit() -> io::Result<()> {
        let limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
        }
        Ok(())
    }

    /// Most connections that the limit on descriptors leaves room for.
    pub fn connections_max(&self) -> u64 {
        // Under a very low limit half is left for the rest, so that the server still starts.
        let reserved = DESCRIPTORS_RESERVED.min(self.descriptors_max / 2);
        (self.descriptors_max - reserved).clamp(1, 100_000_000)
    }

    /// One core per CPU that may be used.
    pub(super) fn cores_default(&self) -> usize {
        self.cpus.len().clamp(1, CORES_MAX)
    }

    /// Whether all CPUs from `first` on, as many as `count`, may be used.
    pub(super) fn has_cpus(&self, first: usize, count: usize) -> bool {
        (first..first + count).all(|cpu| self.cpus.contains(&cpu))
    }

    /// How many CPUs that may be used follow each other at most.
    pub(super) fn consecutive_cpus_max(&self) -> usize {
        self.runs().into_iter().map(|(first, last)| last - first + 1).max().unwrap_or(0)
    }

    /// The first and the last of the CPUs that follow each other without a gap, ascending.
    fn runs(&self) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &cpu in &self.cpus {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => runs.push((cpu, cpu)),
            }
        }
        runs
    }

    /// The CPUs in the notation of `taskset`: `0-3,8`.
    pub(super) fn cpu_list(&self) -> String {
        let show = |&(first, last): &(usize, usize)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        self.runs().iter().map(show).collect::<Vec<_>>().join(",")
    }
}
