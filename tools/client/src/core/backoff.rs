//! How long to wait before the next attempt to connect.

use fastrand::Rng;

use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN, RETRY_AFTER_MS_MAX};

/// More doublings than the ceiling allows, and fewer than would overflow.
const DOUBLINGS_MAX: u32 = 16;

const _: () = assert!(BACKOFF_MS_MIN << DOUBLINGS_MAX >= BACKOFF_MS_MAX);

/// Pauses that double from [`BACKOFF_MS_MIN`] to [`BACKOFF_MS_MAX`], half of each drawn by lot: the
/// clients of a server that restarts must not come back in one moment.
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

    /// The pause before the next attempt, in milliseconds; never shorter than what the server
    /// asked for, up to [`RETRY_AFTER_MS_MAX`].
    pub(super) fn next_ms(&mut self, retry_after_ms: u64) -> u64 {
        let ceiling = (BACKOFF_MS_MIN << self.attempts).min(BACKOFF_MS_MAX);
        self.attempts = (self.attempts + 1).min(DOUBLINGS_MAX);
        let lot = self.rng.u64(0..=ceiling / 2);
        let asked = retry_after_ms.min(RETRY_AFTER_MS_MAX);
        if asked == 0 { ceiling / 2 + lot } else { asked.max(ceiling / 2) + lot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_bounds() {
        let mut backoff = Backoff::new(1);
        let mut ceiling = BACKOFF_MS_MIN;
        for _ in 0..100 {
            let pause = backoff.next_ms(0);
            assert!((ceiling / 2..=ceiling).contains(&pause), "{pause} of {ceiling}");
            ceiling = (ceiling * 2).min(BACKOFF_MS_MAX);
        }
        backoff.reset();
        assert!(backoff.next_ms(0) <= BACKOFF_MS_MIN);
    }

    #[test]
    fn retry_after_is_a_lower_bound_up_to_its_limit() {
        let mut backoff = Backoff::new(2);
        assert!((20_000..=20_500).contains(&backoff.next_ms(20_000)));
        assert!(backoff.next_ms(u64::MAX) <= RETRY_AFTER_MS_MAX + BACKOFF_MS_MAX);
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
