//! Time in a world: one clock that never goes back, and a wall clock that jumps.

/// Microseconds since the world began.
pub(crate) type Time = u64;

/// A millisecond.
pub(crate) const MS: Time = 1_000;
/// A second.
pub(crate) const SECOND: Time = 1_000 * MS;

/// The wall clock when a world begins, in Unix milliseconds.
const BEGIN_UNIX_MS: u64 = 1_800_000_000_000;

/// The wall clock of all machines of a world.
#[derive(Debug, Clone)]
pub(crate) struct WallClock {
    /// From when on, and the wall clock at time 0 that it would follow from, in Unix milliseconds.
    jumps: Vec<(Time, u64)>,
}

impl WallClock {
    pub(crate) fn new() -> Self {
        WallClock { jumps: vec![(0, BEGIN_UNIX_MS)] }
    }

    /// The wall clock, in Unix milliseconds.
    pub(crate) fn unix_ms(&self, now: Time) -> u64 {
        self.jumps.last().map_or(0, |&(_, base_ms)| base_ms) + now / MS
    }

    /// From now on it shows another time.
    pub(crate) fn jump(&mut self, now: Time, by_ms: i64) {
        let base_ms = self.jumps.last().map_or(0, |&(_, base_ms)| base_ms);
        self.jumps.push((now, base_ms.saturating_add_signed(by_ms)));
    }

    /// The latest time that the wall clock showed from `since` to `now`, in Unix milliseconds.
    pub(crate) fn latest_between(&self, since: Time, now: Time) -> u64 {
        let ends = self.jumps.iter().skip(1).map(|&(from, _)| from).chain([Time::MAX]);
        let shown = self.jumps.iter().zip(ends).filter(|&(_, end)| end > since);
        shown.map(|(&(_, base_ms), end)| base_ms + end.min(now) / MS).max().unwrap_or(0)
    }

    /// The times between its jumps, each with the wall clock at time 0 that it would follow from.
    pub(crate) fn eras(&self) -> impl Iterator<Item = (Time, Time, u64)> {
        let ends = self.jumps.iter().skip(1).map(|&(from, _)| from).chain([Time::MAX]);
        self.jumps.iter().zip(ends).map(|(&(from, base_ms), end)| (from, end, base_ms))
    }

    /// Whether it ever went back.
    pub(crate) fn went_back(&self) -> bool {
        self.jumps.windows(2).any(|pair| pair[1].1 < pair[0].1)
    }

    /// The earliest time that the wall clock showed since `since`, in Unix milliseconds.
    pub(crate) fn earliest_since(&self, since: Time) -> u64 {
        let mut earliest = u64::MAX;
        for (nth, &(from, base_ms)) in self.jumps.iter().enumerate().rev() {
            earliest = earliest.min(base_ms + since.max(from) / MS);
            if nth == 0 || from <= since {
                break;
            }
        }
        earliest
    }
}
