//! How much a core is behind, and what it holds back because of it.
//!
//! The measure is the age of the oldest write that storage has not confirmed. Each level is left
//! at half of the age at which it is entered, so that it doesn't flap.

/// What is held back. Each level includes those before it. Messages, acknowledgements and
/// deliveries never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Nothing.
    #[default]
    Normal,
    /// That somebody writes isn't passed on.
    DropTyping,
    /// Presence waits.
    HoldPresence,
    /// Read receipts wait.
    HoldRead,
    /// Delivered receipts wait.
    HoldDelivered,
    /// New logins are told to come back later.
    RefuseLogins,
}

/// Share of its time that a core is busy, in percent, from which receipts wait for company; they do so
/// until it falls below half of that.
const GATHER_PERCENT: u8 = 50;

/// Whether receipts wait for company after the load was measured.
pub(super) const fn gathers(before: bool, busy_percent: u8) -> bool {
    busy_percent >= GATHER_PERCENT || (before && busy_percent >= GATHER_PERCENT / 2)
}

const LEVELS: [Level; 6] = [
    Level::Normal,
    Level::DropTyping,
    Level::HoldPresence,
    Level::HoldRead,
    Level::HoldDelivered,
    Level::RefuseLogins,
];

/// Age of the oldest unconfirmed write at which each level is entered, in milliseconds.
const ENTER_MS: [u64; 6] = [0, 75, 110, 150, 400, 2_000];

impl Level {
    /// The level after the lag was measured.
    #[must_use]
    pub(super) fn after(self, lag_ms: u64) -> Level {
        let up = LEVELS.iter().rev().find(|&&level| lag_ms >= ENTER_MS[level as usize]);
        let up = up.copied().unwrap_or_default();
        let down = LEVELS.iter().rev().find(|&&level| lag_ms >= ENTER_MS[level as usize] / 2);
        let down = down.copied().unwrap_or_default();
        if up > self { up } else { self.min(down) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_at_once_and_fall_at_half() {
        let mut level = Level::Normal;
        let mut trace = Vec::new();
        for lag_ms in
            [0, 74, 75, 109, 110, 149, 150, 75, 74, 55, 54, 38, 37, 5_000, 1_000, 999, 200, 199, 0]
        {
            level = level.after(lag_ms);
            trace.push(level as u8);
        }
        assert_eq!(trace, [0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1, 1, 5, 5, 4, 4, 3, 0]);
    }
}
