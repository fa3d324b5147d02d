//! When messages are made: a time that isn't measured, one that is, and in an open loop the intended
//! times, which wait here as long as a message can't be sent.

use std::collections::VecDeque;
use std::ops::Range;

use serde::Serialize;

use super::{NamedLatencies, Outcome, nanoseconds};
use crate::latency::Latencies;
use crate::schedule::{Arrival, Schedule};
use crate::seconds::Seconds;
use crate::usage::Usage;

/// Above this lateness of our own, in microseconds, a note says so.
const LATE_US_FREE: f64 = 1_000.0;

/// When messages are made: options of the scenarios that have a closed and an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, clap::Args)]
pub struct PaceOptions {
    /// Measured time, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = Seconds::measured)]
    pub seconds: Seconds,
    /// Time before it, in seconds, which isn't measured
    #[arg(long, value_name = "S", default_value = "2")]
    pub warmup: Seconds,
    /// Open loop: messages per second of all who write together; 0 for a closed loop
    #[arg(long, value_name = "PER_S", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=100_000_000))]
    pub rate: u32,
}

/// The state at one end of the measured time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark<T> {
    pub(super) at_ns: u64,
    pub(super) usage: Usage,
    pub(super) totals: T,
    /// Messages of an open loop that were due and not sent.
    pub(super) due: u64,
}

/// The time in which messages are made.
///
/// ```text
/// warm-up ──Begins──► measured ──Ends──►
/// ```
#[derive(Debug)]
pub(super) struct Running<T> {
    /// The end of the present part.
    until_ns: u64,
    seconds: Seconds,
    start: Option<Mark<T>>,
}

/// What a turn means for the measured time.
#[derive(Debug)]
pub(super) enum Moment<T> {
    /// It goes on.
    Nothing,
    /// What is meant to be sent in this time is measured.
    Begins(Range<u64>),
    /// It is over.
    Ends { start: Mark<T>, end: Mark<T> },
}

impl<T: Copy> Running<T> {
    pub(super) const fn new(now_ns: u64, warmup: Seconds, seconds: Seconds) -> Running<T> {
        Running { until_ns: now_ns + nanoseconds(warmup.get()), seconds, start: None }
    }

    /// Until when messages are made, as far as it is known; there is something to do then.
    pub(super) const fn until_ns(&self) -> u64 {
        self.until_ns
    }

    /// Goes on to the next part where this one is over.
    pub(super) fn turn(&mut self, now_ns: u64, mark: impl FnOnce() -> Mark<T>) -> Moment<T> {
        if now_ns < self.until_ns {
            return Moment::Nothing;
        }
        if let Some(start) = self.start {
            return Moment::Ends { start, end: mark() };
        }
        self.start = Some(mark());
        self.until_ns = now_ns + nanoseconds(self.seconds.get());
        Moment::Begins(now_ns..self.until_ns)
    }
}

/// The messages of an open loop that are due. Of a closed loop there are none.
#[derive(Debug)]
pub(super) struct Due {
    schedule: Option<Schedule>,
    /// Intended times, by user.
    waiting: Vec<VecDeque<u64>>,
    /// Invariant: the length of all of `waiting`.
    count: u64,
    /// How late our own loop noticed that a message was due.
    late: Latencies,
}

impl Due {
    /// Nothing is due before a schedule is there.
    pub(super) fn new(users: usize) -> Due {
        let waiting = vec![VecDeque::new(); users];
        Due { schedule: None, waiting, count: 0, late: Latencies::default() }
    }

    pub(super) fn begin(&mut self, schedule: Schedule) {
        self.schedule = Some(schedule);
    }

    /// The next message that became due before `until_ns` and is due now.
    pub(super) fn arrival(&mut self, until_ns: u64, now_ns: u64) -> Option<Arrival> {
        let arrival = self.schedule.as_mut()?.take_due(now_ns.min(until_ns - 1))?;
        self.late.record(now_ns - arrival.at_ns);
        Some(arrival)
    }

    /// A message of this user waits until it can be sent.
    pub(super) fn wait(&mut self, user: usize, intended_ns: u64) {
        self.waiting[user].push_back(intended_ns);
        self.count += 1;
    }

    /// The intended time of the user's oldest message that waits.
    #[inline]
    pub(super) fn first(&self, user: usize) -> Option<u64> {
        self.waiting[user].front().copied()
    }

    /// The user's oldest message was sent, or is given up.
    #[inline]
    pub(super) fn take_first(&mut self, user: usize) -> Option<u64> {
        let intended_ns = self.waiting[user].pop_front()?;
        self.count -= 1;
        Some(intended_ns)
    }

    /// Messages that wait.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// When the next message becomes due.
    pub(super) fn next_ns(&self) -> u64 {
        self.schedule.as_ref().map_or(u64::MAX, Schedule::next_ns)
    }

    /// Adds how late we were. Latencies count from the intended time, so that it is in them.
    pub(super) fn tell(self, outcome: &mut Outcome) {
        let Some(percentiles) = self.late.percentiles() else { return };
        outcome.polled = true;
        if percentiles.p99 > LATE_US_FREE {
            outcome.notes.push(format!(
                "the load generator itself was late (p99 {:.1} ms), which is in the latencies: a \
                 lower rate or a quieter machine is needed",
                percentiles.p99 / 1e3
            ));
        }
        let (name, label) = ("late_us", "own lateness");
        outcome.other_latencies.push(NamedLatencies { name, label, latencies: self.late });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Spacing;
    use crate::usage::Probe;

    fn seconds(text: &str) -> Seconds {
        text.parse().unwrap()
    }

    #[test]
    fn the_measured_time_follows_the_warm_up_whenever_that_was_noticed() {
        let mark = |at_ns, totals| {
            let usage = Probe { server_pid: None }.usage();
            move || Mark { at_ns, usage, totals, due: 0 }
        };
        let mut running = Running::new(1_000, seconds("1"), seconds("2"));
        assert!(matches!(running.turn(1_000_000_999, mark(0, 0)), Moment::Nothing));
        let late_ns = 1_000_005_000;
        let Moment::Begins(recorded) = running.turn(late_ns, mark(late_ns, 3)) else { panic!() };
        assert_eq!(recorded, late_ns..late_ns + 2_000_000_000);
        assert_eq!(running.until_ns(), recorded.end);
        let end_ns = recorded.end;
        let Moment::Ends { start, end } = running.turn(end_ns, mark(end_ns, 7)) else { panic!() };
        assert_eq!((start.totals, end.totals, start.at_ns), (3, 7, late_ns));
    }

    #[test]
    fn nothing_becomes_due_after_the_end() {
        let mut due = Due::new(2);
        assert_eq!((due.arrival(500, 900), due.next_ns()), (None, u64::MAX));
        due.begin(Schedule::new(Spacing::Even, 1e7, 2, 0, 1));
        let mut taken = 0;
        while let Some(arrival) = due.arrival(500, 900) {
            due.wait(arrival.sender, arrival.at_ns);
            taken += 1;
        }
        assert_eq!((taken, due.count()), (4, 4), "at 100, 200, 300, 400");
        assert_eq!(
            (due.first(1), due.take_first(1), due.first(1)),
            (Some(100), Some(100), Some(300))
        );
        assert_eq!(due.count(), 3);
    }
}
