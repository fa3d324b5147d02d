//! How long to wait before the next attempt to connect.

use fastrand::Rng;

use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN, RETRY_AFTER_MS_MAX};

/// More doublings than the ceiling allows, and fewer than would overflow.
const DOUBLINGS_MAX: u32 = 16;

const _: () = assert!(BACKOFF_MS_MIN << DOUBLINGS_MAX >= BACKOFF_MS_MAX);

/// Pauses drawn evenly between 0 and a ceiling that doubles from [`BACKOFF_MS_MIN`] to
/// [`BACKOFF_MS_MAX`]: the clients of a server that restarts must not come back in one moment.
#[derive(Debug)]
pub(super) struct Backoff {
    rng: Rng,
    attempts: u32,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Backoff { rng: Rng::with_seed(seed), attempts: 0 }
    }

    /// The next pause starts small again.
    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The pause before the next attempt, in milliseconds: what the server asked for, up to
    /// [`RETRY_AFTER_MS_MAX`], and a lot on top.
    pub(super) fn next_ms(&mut self, retry_after_ms: u64) -> u64 {
        let ceiling = (BACKOFF_MS_MIN << self.attempts).min(BACKOFF_MS_MAX);
        self.attempts = (self.attempts + 1).min(DOUBLINGS_MAX);
        retry_after_ms.min(RETRY_AFTER_MS_MAX) + self.rng.u64(0..=ceiling)
    }

    /// The pause after a defect of either side, in milliseconds: to come back soon would only
    /// repeat it.
    pub(super) fn longest_ms(&mut self) -> u64 {
        self.attempts = DOUBLINGS_MAX;
        BACKOFF_MS_MAX / 2 + self.rng.u64(0..=BACKOFF_MS_MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_within_its_bounds() {
        let mut pauses: Vec<Vec<u64>> = vec![Vec::new(); 20];
        for seed in 0..400 {
            let mut backoff = Backoff::new(seed);
            for nth in &mut pauses {
                nth.push(backoff.next_ms(0));
            }
            backoff.reset();
            assert!(backoff.next_ms(0) <= BACKOFF_MS_MIN);
        }
        let mut ceiling = BACKOFF_MS_MIN;
        for nth in pauses {
            let (shortest, longest) = (nth.iter().min().unwrap(), nth.iter().max().unwrap());
            assert!(*longest <= ceiling && *longest > ceiling * 9 / 10, "{longest} of {ceiling}");
            assert!(*shortest < ceiling / 10, "{shortest} of {ceiling}");
            ceiling = (ceiling * 2).min(BACKOFF_MS_MAX);
        }
    }

    #[test]
    fn retry_after_is_a_lower_bound_up_to_its_limit() {
        let mut backoff = Backoff::new(2);
        assert!((20_000..=20_500).contains(&backoff.next_ms(20_000)));
        assert!(backoff.next_ms(u64::MAX) <= RETRY_AFTER_MS_MAX + BACKOFF_MS_MAX);
    }

    #[test]
    fn a_defect_takes_long() {
        let mut backoff = Backoff::new(2);
        assert!((BACKOFF_MS_MAX / 2..=BACKOFF_MS_MAX).contains(&backoff.longest_ms()));
    }

    #[test]
    fn two_seeds_wait_differently_and_one_seed_always_the_same() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed);
            [(); 8].map(|()| backoff.next_ms(0))
        };
        assert_eq!(pauses(3), pauses(3));
        assert_ne!(pauses(3), pauses(4));
    }
}
