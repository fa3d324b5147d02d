//! When the messages of an open loop are meant to be sent.
//!
//! One process covers all senders: an arrival comes at an intended time and falls to a sender. For
//! Poisson arrivals the sender is drawn uniformly, which is the same as an independent Poisson
//! process for each (thinning); evenly spaced arrivals go round. The intended times never depend on
//! how the server is doing, so latencies measured from them have no coordinated omission.

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Independent arrivals, as people make them: exponential gaps.
    Poisson,
    /// The same gap between any two.
    Even,
}

/// One intended send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, in nanoseconds of the run's clock.
    pub at_ns: u64,
    /// Which sender, from 0.
    pub sender: usize,
}

/// An endless sequence of arrivals.
#[derive(Debug)]
pub struct Schedule {
    spacing: Spacing,
    gap_ns: f64,
    senders: usize,
    random: fastrand::Rng,
    /// Kept as a float, so that rounding each gap doesn't change the rate.
    next_ns: f64,
    next_sender: usize,
}

impl Schedule {
    /// `rate` arrivals per second over `senders` senders, from `start_ns` on.
    pub fn new(spacing: Spacing, rate: f64, senders: usize, start_ns: u64, seed: u64) -> Schedule {
        assert!(rate > 0.0 && senders > 0, "an open loop has a rate and a sender");
        let mut schedule = Schedule {
            spacing,
            gap_ns: 1e9 / rate,
            senders,
            random: fastrand::Rng::with_seed(seed),
            next_ns: start_ns as f64,
            next_sender: 0,
        };
        schedule.advance();
        schedule
    }

    /// When the next arrival is, in nanoseconds.
    pub fn next_ns(&self) -> u64 {
        self.next_ns as u64
    }

    /// The next arrival, if it is at or before `now_ns`.
    #[inline]
    pub fn take_due(&mut self, now_ns: u64) -> Option<Arrival> {
        let arrival = Arrival { at_ns: self.next_ns as u64, sender: self.next_sender };
        if arrival.at_ns > now_ns {
            return None;
        }
        self.advance();
        Some(arrival)
    }

    fn advance(&mut self) {
        match self.spacing {
            Spacing::Even => {
                self.next_ns += self.gap_ns;
                self.next_sender = (self.next_sender + 1) % self.senders;
            }
            Spacing::Poisson => {
                // 1 - [0, 1) is never zero, so the logarithm is finite.
                self.next_ns -= self.gap_ns * (1.0 - self.random.f64()).ln();
                self.next_sender = self.random.usize(0..self.senders);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(spacing: Spacing, seconds: u64) -> Vec<Arrival> {
        let mut schedule = Schedule::new(spacing, 10_000.0, 8, 5, 1);
        std::iter::from_fn(|| schedule.take_due(5 + seconds * 1_000_000_000)).collect()
    }

    #[test]
    fn even_arrivals_keep_the_rate_and_go_round() {
        let arrivals = arrivals(Spacing::Even, 2);
        assert_eq!(arrivals.len(), 20_000);
        assert!(arrivals.windows(2).all(|two| two[1].at_ns - two[0].at_ns == 100_000));
        assert!(arrivals.windows(2).all(|two| two[1].sender == (two[0].sender + 1) % 8));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_the_spread() {
        let arrivals = arrivals(Spacing::Poisson, 10);
        // 100,000 expected with a standard deviation of 316; five of them on either side.
        assert!((98_400..101_600).contains(&arrivals.len()), "{}", arrivals.len());
        let long = arrivals.windows(2).filter(|two| two[1].at_ns - two[0].at_ns > 200_000).count();
        // A gap of more than two means: e^-2 = 13.5 %.
        let share = long as f64 / arrivals.len() as f64;
        assert!((0.125..0.145).contains(&share), "{share}");
        for sender in 0..8 {
            let count = arrivals.iter().filter(|arrival| arrival.sender == sender).count();
            assert!((11_800..13_200).contains(&count), "sender {sender}: {count}");
        }
    }
}
