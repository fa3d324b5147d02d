//! How busy a core's thread is: its processor time over the time that passed.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How often it is measured. Asking for a thread's processor time is a system call.
const MEASURE_EVERY: Duration = Duration::from_millis(50);

/// Measures the calling thread.
#[derive(Debug)]
pub(super) struct LoadMeter {
    since: Instant,
    spent: Duration,
}

impl LoadMeter {
    pub(super) fn new() -> Self {
        LoadMeter { since: Instant::now(), spent: thread_time() }
    }

    /// The share of its time that the thread ran since the last answer, in percent, if that is long
    /// enough ago.
    pub(super) fn measured(&mut self, now: Instant) -> Option<u8> {
        let passed = now.duration_since(self.since);
        if passed < MEASURE_EVERY {
            return None;
        }
        let spent = thread_time();
        let share = spent.saturating_sub(self.spent).as_secs_f64() / passed.as_secs_f64();
        (self.since, self.spent) = (now, spent);
        Some((share * 100.0).clamp(0.0, 100.0) as u8)
    }
}

/// Processor time of the calling thread so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
