//! A core on its thread: the ring's waits, the clocks, and the counts that others read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::load::LoadMeter;
use super::{CoreLoop, Rest};
use crate::metrics::Metrics;
use crate::shard::Now;
use crate::uring::Ring;

/// How long a core waits, while something of it waits for room with another thread, before it looks
/// again. Some thousand turns a second, for as long as that thread is behind.
const ROOM_PAUSE: Duration = Duration::from_micros(100);

impl CoreLoop<Ring> {
    /// Runs turns until the node stops and everything is handed over. `started` is the instant from
    /// which the monotonic clock counts, the same for all cores.
    pub fn run(mut self, metrics: &Metrics, started: Instant) -> Result<(), std::io::Error> {
        let mut published = Instant::now();
        let mut load = LoadMeter::new();
        let mut now = now(started, Instant::now());
        while !self.is_done(now) {
            self.sleep(started)?;
            let begun = Instant::now();
            now = self::now(started, begun);
            if let Some(busy_percent) = load.measured(begun) {
                self.set_load(busy_percent);
            }
            self.turn(now);
            self.publish(metrics, begun, &mut published);
        }
        self.finish();
        Ok(())
    }

    /// Submits what the last turn queued and waits until there is something to do.
    pub(super) fn sleep(&mut self, started: Instant) -> Result<(), std::io::Error> {
        let timeout = match self.rest() {
            Rest::Short => ROOM_PAUSE,
            Rest::No => Duration::ZERO,
            Rest::Until { mono_ms } => {
                let now_ms = now(started, Instant::now()).mono_ms;
                Duration::from_millis(mono_ms.saturating_sub(now_ms))
            }
        };
        let waited = self.sockets.wait(Some(timeout));
        self.awake();
        waited
    }
}

/// The time on both clocks.
pub(super) fn now(started: Instant, now: Instant) -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mono = now.saturating_duration_since(started);
    Now { unix_ms: unix.as_millis() as u64, mono_ms: mono.as_millis() as u64 }
}
