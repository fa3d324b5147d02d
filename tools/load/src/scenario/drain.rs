//! The end of a run: waiting for what is outstanding, bounded by time without any progress.

use fulmar_protocol::Frame;

use crate::engine::Links;

/// Notices when nothing happens any more.
#[derive(Debug)]
pub(super) struct Quiet {
    limit_ns: u64,
    progress: u64,
    since_ns: u64,
}

impl Quiet {
    /// Quiet means that the progress has not changed for `limit_ns`.
    pub(super) const fn new(limit_ns: u64, now_ns: u64) -> Quiet {
        Quiet { limit_ns, progress: u64::MAX, since_ns: now_ns }
    }

    /// Whether it is quiet; `progress` is any number that changes while something happens.
    pub(super) const fn is_quiet(&mut self, progress: u64, now_ns: u64) -> bool {
        if progress != self.progress {
            self.progress = progress;
            self.since_ns = now_ns;
        }
        now_ns.saturating_sub(self.since_ns) >= self.limit_ns
    }
}

/// Asks the server for the head of every inbox, so that the loss of a last message shows as well.
#[derive(Debug)]
pub(super) struct HeadCheck {
    asked: u64,
    answered: u64,
    quiet: Quiet,
}

impl HeadCheck {
    /// Pings these users.
    pub(super) fn begin(
        links: &mut Links,
        users: std::ops::Range<usize>,
        limit_ns: u64,
        now_ns: u64,
    ) -> HeadCheck {
        let asked = users.len() as u64;
        users.for_each(|index| links.port(index, now_ns).queue(&Frame::Ping));
        HeadCheck { asked, answered: 0, quiet: Quiet::new(limit_ns, now_ns) }
    }

    pub(super) const fn on_head(&mut self) {
        self.answered += 1;
    }

    /// Whether all answered, or the others won't any more.
    pub(super) const fn is_over(&mut self, now_ns: u64) -> bool {
        self.answered >= self.asked || self.quiet.is_quiet(self.answered, now_ns)
    }

    /// Pings without an answer.
    pub(super) const fn unanswered(&self) -> u64 {
        self.asked.saturating_sub(self.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_counts_from_the_last_change() {
        let mut quiet = Quiet::new(10, 100);
        assert!(!quiet.is_quiet(1, 105));
        assert!(!quiet.is_quiet(1, 114));
        assert!(!quiet.is_quiet(2, 115));
        assert!(!quiet.is_quiet(2, 124));
        assert!(quiet.is_quiet(2, 125));
    }
}
