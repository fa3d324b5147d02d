//! How far a recipient was with a direction, at any moment of the run.

/// A cursor over time.
#[derive(Debug, Default)]
struct Timeline {
    /// (sequence, ordinal); after [`Timeline::finish`] both rise.
    steps: Vec<(u64, u64)>,
}

impl Timeline {
    fn finish(&mut self) {
        self.steps.sort_unstable();
        let mut furthest = 0;
        self.steps.retain(|&(_, ordinal)| {
            let rises = ordinal > furthest;
            furthest = furthest.max(ordinal);
            rises
        });
    }

    fn at(&self, sequence: u64) -> u64 {
        let passed = self.steps.partition_point(|&(at, _)| at <= sequence);
        passed.checked_sub(1).map_or(0, |last| self.steps[last].1)
    }

    fn moved_last(&self) -> u64 {
        self.steps.last().map_or(0, |&(at, _)| at)
    }
}

/// What the recipient's devices, together, did with what an author sent.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Acknowledged or read.
    delivered: Timeline,
    read: Timeline,
}

impl Progress {
    /// A device acknowledged a position; `ordinal` is the author's last one up to there.
    pub(super) fn acknowledged(&mut self, sequence: u64, ordinal: u64) {
        self.delivered.steps.push((sequence, ordinal));
    }

    /// A device said that the person saw everything up to `ordinal`. What was seen has arrived.
    pub(super) fn read(&mut self, sequence: u64, ordinal: u64) {
        self.read.steps.push((sequence, ordinal));
        self.delivered.steps.push((sequence, ordinal));
    }

    /// Every step is known now.
    pub(super) fn finish(&mut self) {
        self.delivered.finish();
        self.read.finish();
    }

    /// (delivered, read) when the line `sequence` was written.
    pub(super) fn at(&self, sequence: u64) -> (u64, u64) {
        (self.delivered.at(sequence), self.read.at(sequence))
    }

    /// The line since which neither has moved; 0 if they never did.
    pub(super) fn moved_last(&self) -> u64 {
        self.delivered.moved_last().max(self.read.moved_last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_device_counts_and_only_from_then_on() {
        let mut progress = Progress::default();
        // Two devices, whose histories are read one after the other.
        progress.acknowledged(10, 1);
        progress.acknowledged(30, 3);
        progress.acknowledged(20, 2);
        progress.acknowledged(40, 2);
        progress.read(35, 2);
        progress.finish();
        let seen: Vec<_> = [9, 10, 20, 30, 35, 99].map(|at| progress.at(at)).into();
        assert_eq!(seen, [(0, 0), (1, 0), (2, 0), (3, 0), (3, 2), (3, 2)]);
        assert_eq!(progress.moved_last(), 35);
    }
}
