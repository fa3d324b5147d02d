//! The cells: integers with one writer and any number of readers.
//!
//! All accesses are relaxed. A reader may see one cell newer than another; it never sees a torn
//! value, and a counter never goes back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number of events since the start. One writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `events` more.
    #[inline]
    pub fn add(&self, events: u64) {
        // Not fetch_add: with a single writer the lock prefix would buy nothing.
        self.0.store(self.0.load(Relaxed).wrapping_add(events), Relaxed);
    }

    /// Sets the total, which is kept elsewhere and never goes back.
    #[inline]
    pub fn set(&self, total: u64) {
        self.0.store(total, Relaxed);
    }

    /// The total.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A value that goes up and down. One writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many observed values fell between fixed bounds. One writer.
#[derive(Debug)]
pub struct Histogram<const BOUNDS: usize> {
    /// Ascending; a value equal to a bound counts below it.
    bounds: &'static [u64; BOUNDS],
    /// Values above the bound before and up to this one.
    counts: [Counter; BOUNDS],
    /// Values above the last bound.
    above: Counter,
    /// All values added up.
    sum: Counter,
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    pub(super) fn new(bounds: &'static [u64; BOUNDS]) -> Histogram<BOUNDS> {
        debug_assert!(bounds.is_sorted_by(|a, b| a < b));
        let counts = std::array::from_fn(|_| Counter::default());
        Histogram { bounds, counts, above: Counter::default(), sum: Counter::default() }
    }

    /// Counts one value, in the unit of the bounds.
    #[inline]
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        self.counts.get(bucket).unwrap_or(&self.above).add(1);
        self.sum.add(value);
    }

    pub(super) fn bounds(&self) -> &'static [u64; BOUNDS] {
        self.bounds
    }

    /// Values at or below each bound, then all values.
    pub(super) fn cumulative(&self) -> Vec<u64> {
        let counts = self.counts.iter().chain([&self.above]);
        let running = counts.scan(0, |total, count| {
            *total += count.get();
            Some(*total)
        });
        running.collect()
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum.get()
    }
}
