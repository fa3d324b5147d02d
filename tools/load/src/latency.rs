//! Latency histograms: nanoseconds in, percentiles in microseconds out.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::limits::LATENCY_NS_MAX;

/// Latencies of one kind, at a relative error of 0.1 %. Recording never allocates.
#[derive(Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

/// The percentiles of a report, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half were faster.
    pub p50: f64,
    /// 1 in 100 was slower.
    pub p99: f64,
    /// 1 in 1,000 was slower.
    pub p999: f64,
}

/// A point of a percentile plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Share of the values that are at most this one, 0 to 1.
    pub quantile: f64,
    /// In microseconds.
    pub latency_us: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        // Fails only where the bounds are impossible, and these are constants.
        let histogram = Histogram::new_with_bounds(100, LATENCY_NS_MAX, 3).expect("valid bounds");
        Latencies { histogram }
    }
}

impl Latencies {
    /// Adds one value, in nanoseconds. What is longer than an hour counts as an hour.
    #[inline]
    pub fn record(&mut self, latency_ns: u64) {
        self.histogram.saturating_record(latency_ns);
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The percentiles; `None` where nothing was recorded.
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.histogram.is_empty() {
            return None;
        }
        let at = |quantile| microseconds(self.histogram.value_at_quantile(quantile));
        Some(Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999) })
    }

    /// The largest value, in microseconds.
    pub fn max_us(&self) -> f64 {
        microseconds(self.histogram.max())
    }

    /// The curve of a percentile plot: denser towards the slow end, which the plot stretches.
    pub fn curve(&self) -> Vec<Point> {
        self.histogram
            .iter_quantiles(4)
            .filter(|value| value.count_since_last_iteration() > 0)
            .map(|value| Point {
                quantile: value.quantile_iterated_to(),
                latency_us: microseconds(value.value_iterated_to()),
            })
            .collect()
    }
}

/// Rounded to a hundredth: the histogram knows no more, and a report reads better.
fn microseconds(ns: u64) -> f64 {
    (ns as f64 / 10.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_the_stated_error() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), None);
        for us in 1..=10_000u64 {
            latencies.record(us * 1_000);
        }
        let found = latencies.percentiles().unwrap();
        for (value, expected) in [(found.p50, 5_000.0), (found.p99, 9_900.0), (found.p999, 9_990.0)]
        {
            assert!((value - expected).abs() <= expected * 0.001, "{value} for {expected}");
        }
        latencies.record(u64::MAX);
        assert!((latencies.max_us() / 3.6e9 - 1.0).abs() < 0.001, "an hour at most");
    }
}
