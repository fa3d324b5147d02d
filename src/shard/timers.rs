//! A coarse timer wheel for the deadlines of connections.
//!
//! Entries are never moved or removed: an entry that fires asks the connection for its true
//! deadline and is entered anew. So activity on a connection costs nothing here, and an idle
//! connection one entry of eight bytes.

use super::seam::ConnId;

/// Width of a slot, in milliseconds: how late a deadline may be noticed.
const SLOT_MS: u64 = 250;
/// Slots of the wheel. A deadline beyond it fires early and is entered again.
const SLOTS: u64 = 256;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Timers {
    slots: Vec<Vec<ConnId>>,
    /// The slot up to which everything has fired, counted from time 0.
    fired: u64,
}

impl Timers {
    pub(super) fn new(mono_ms: u64) -> Self {
        Timers { slots: vec![Vec::new(); SLOTS as usize], fired: mono_ms / SLOT_MS }
    }

    /// Enters `conn` to fire at `deadline_ms` or, where that is far away, earlier. Returns when.
    pub(super) fn add(&mut self, conn: ConnId, deadline_ms: u64) -> u64 {
        let slot = deadline_ms.div_ceil(SLOT_MS).clamp(self.fired + 1, self.fired + SLOTS - 1);
        self.slots[(slot % SLOTS) as usize].push(conn);
        slot * SLOT_MS
    }

    /// Moves the entries that are due into `due`.
    pub(super) fn fire(&mut self, mono_ms: u64, due: &mut Vec<ConnId>) {
        let now = mono_ms / SLOT_MS;
        // After a long sleep every slot is due once.
        self.fired = self.fired.max(now.saturating_sub(SLOTS));
        while self.fired < now {
            self.fired += 1;
            due.append(&mut self.slots[(self.fired % SLOTS) as usize]);
        }
    }

    /// When the next slot is due, in milliseconds on the same clock.
    pub(super) const fn next_ms(&self) -> u64 {
        (self.fired + 1) * SLOT_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_fire_once_and_not_late() {
        let mut timers = Timers::new(1_000);
        let conn = |slot| ConnId { slot, generation: 0 };
        assert_eq!(timers.add(conn(1), 1_100), 1_250);
        assert_eq!(timers.add(conn(2), 5_000), 5_000);
        assert!(timers.add(conn(3), 10_000_000) < 1_000 + SLOTS * SLOT_MS);
        let mut due = Vec::new();
        timers.fire(1_249, &mut due);
        assert!(due.is_empty());
        timers.fire(1_250, &mut due);
        assert_eq!(due, [conn(1)]);
        due.clear();
        timers.fire(900_000, &mut due);
        due.sort_unstable();
        assert_eq!(due, [conn(2), conn(3)]);
    }
}
