//! How far one log is with this device: the inbox, or a group.

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum LogId {
    /// The user's inbox.
    Inbox,
    /// The log of this group.
    Group(u64),
}

/// One log, across connections.
///
/// Invariant: `acknowledged ≤ durable ≤ received ≤ frontier`.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Everything up to here is in the store.
    durable: u64,
    /// Everything up to here arrived whole and was handed on to be stored.
    pub(super) received: u64,
    /// The last position that this connection announced, its body complete or not.
    pub(super) frontier: u64,
    /// The resumption or an acknowledgement said that everything up to here is stored.
    acknowledged: u64,
    /// The last acknowledgement of this connection; 0 before the first. The server goes by these
    /// and not by the resumption.
    acknowledged_here: u64,
    /// The largest position of this connection that came again, for the acknowledgement that an
    /// earlier connection sent was lost.
    repeated: u64,
    /// Whether this connection said where to resume, or brought something.
    pub(super) is_fed: bool,
    /// The first position that this connection brought; 0 before.
    pub(super) first: u64,
}

impl Log {
    /// Everything up to `cursor` is in the store.
    pub(super) fn new(cursor: u64) -> Self {
        Log {
            durable: cursor,
            received: cursor,
            frontier: cursor,
            acknowledged: cursor,
            ..Log::default()
        }
    }

    /// Forgets what a connection brought in part.
    pub(super) fn reset(&mut self) {
        let acknowledged = self.acknowledged.min(self.durable);
        *self = Log { durable: self.durable, acknowledged, ..Log::new(self.received) };
    }

    /// Where a log goes on of which the server has only the positions up to `head`: what it wrote since it lost
    /// the others, as far as this connection brought that, comes again.
    pub(super) fn back_to(&self, head: u64) -> u64 {
        if self.first == 0 { head } else { head.min(self.first - 1) }
    }

    /// Whether everything received is stored: only then a cursor tells the truth about what the next
    /// connection has to deliver.
    pub(super) const fn is_settled(&self) -> bool {
        self.durable == self.received
    }

    /// Whether everything that this connection announced is stored and acknowledged.
    pub(super) const fn is_acknowledged(&self) -> bool {
        self.acknowledged == self.frontier
    }

    /// Everything up to here is in the store.
    pub(super) const fn durable(&self) -> u64 {
        self.durable
    }

    /// The cursor to resume from.
    pub(super) const fn resume(&mut self) -> u64 {
        self.acknowledged = self.durable;
        self.is_fed = true;
        self.durable
    }

    /// This connection brings something. If it wasn't told where to resume it begins where the server thinks; what is
    /// in the store is acknowledged as it comes again, and not before.
    pub(super) const fn begin(&mut self, position: u64) {
        if self.first == 0 {
            self.first = position;
        }
        if !self.is_fed {
            self.is_fed = true;
            self.acknowledged = self.durable;
        }
    }

    /// Everything up to `position` is in the store now.
    pub(super) fn stored(&mut self, position: u64) {
        self.durable = self.durable.max(position);
    }

    /// A position came again; whether it is acknowledged now. One that isn't stored yet is when it is.
    pub(super) fn repeat(&mut self, position: u64) -> bool {
        let is_stored = position <= self.durable;
        if is_stored && position <= self.acknowledged_here {
            // The server began the log anew on this connection, and waits again for what it was told.
            self.acknowledged_here = position - 1;
            self.repeated = position;
        } else if is_stored {
            self.repeated = self.repeated.max(position);
        }
        is_stored
    }

    /// The acknowledgement that is due, if one is; it counts as sent.
    pub(super) fn take_ack(&mut self) -> Option<u64> {
        if self.durable > self.acknowledged {
            self.acknowledged = self.durable;
            self.acknowledged_here = self.durable;
            return Some(self.durable);
        }
        // A repetition is acknowledged once nothing waits for the store, for the acknowledgement of
        // that would cover it; and as itself, since beyond what a connection brought nothing may be
        // acknowledged on it.
        if self.repeated > self.acknowledged_here && self.is_settled() {
            self.acknowledged_here = self.repeated;
            return Some(self.repeated);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group that the user left, which the server tells again, since a crash took that.
    #[test]
    fn of_a_log_that_begins_anew_only_what_came_is_acknowledged() {
        let mut log = Log::new(17);
        (log.frontier, log.received) = (18, 18);
        log.stored(18);
        log.reset();
        log.begin(3);
        assert!(log.repeat(3));
        assert_eq!(log.take_ack(), Some(3));
        log.frontier = 19;
        log.received = 19;
        log.stored(19);
        assert_eq!(log.take_ack(), Some(19));
    }
}
