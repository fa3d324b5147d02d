//! The server's clock, as far as this device knows it: what disappears goes by it.

use super::io::Now;
use crate::limits::NUMBER_MAX;
use crate::store::Clocks;

/// How far the wall clock may drift before the store learns how it stands to the server's now, in milliseconds.
const DRIFT_MS: u64 = 1_000;

/// The server's time, counted from a moment at which it was known on the clock that never goes back: the wall clock
/// may jump. That clock stands still while the device sleeps, so what this one says may be late until the next
/// welcome, but isn't early.
#[derive(Debug)]
pub(super) struct ServerClock {
    /// A moment by the server's clock, and on the one that never goes back.
    since: Option<(u64, u64)>,
    /// Whether the server told that moment since this session began.
    is_told: bool,
    /// What the store has, or is about to have.
    kept: Option<Clocks>,
}

impl ServerClock {
    pub(super) const fn new(kept: Option<Clocks>) -> Self {
        ServerClock { since: None, is_told: false, kept }
    }

    /// The session runs. Until the server tells its time, it is what an earlier session knew, and what the wall clock
    /// advanced since. One that went back says nothing but that no time was lost.
    pub(super) fn begin(&mut self, now: Now) {
        if let (None, Some(kept)) = (self.since, self.kept) {
            let passed_ms = now.unix_ms.saturating_sub(kept.unix_ms);
            self.since = Some((kept.server_ms.saturating_add(passed_ms), now.elapsed_ms));
        }
    }

    /// The server told its time.
    pub(super) fn learn(&mut self, now: Now, server_ms: u64) {
        self.since = Some((server_ms, now.elapsed_ms));
        self.is_told = true;
        self.kept = None;
    }

    /// The server's time, if it is known.
    pub(super) fn time_ms(&self, now: Now) -> Option<u64> {
        let (server_ms, elapsed_ms) = self.since?;
        let passed_ms = now.elapsed_ms.saturating_sub(elapsed_ms);
        Some(server_ms.saturating_add(passed_ms).min(NUMBER_MAX))
    }

    /// When the latest connection began; 0 before the first.
    pub(super) fn welcomed_ms(&self) -> u64 {
        self.since.filter(|_| self.is_told).map_or(0, |(server_ms, _)| server_ms)
    }

    /// What the store is to keep, where it has nothing of this connection, or the wall clock was set since.
    pub(super) fn take_unkept(&mut self, now: Now) -> Option<Clocks> {
        let server_ms = self.time_ms(now).filter(|_| self.is_told)?;
        let clocks = Clocks { server_ms, unix_ms: now.unix_ms.min(NUMBER_MAX) };
        if self.kept.is_some_and(|kept| kept.ahead_ms().abs_diff(clocks.ahead_ms()) <= DRIFT_MS) {
            return None;
        }
        self.kept = Some(clocks);
        self.kept
    }
}
