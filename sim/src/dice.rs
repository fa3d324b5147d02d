//! Choices, all from the seed.

use std::ops::RangeInclusive;

use fastrand::Rng;

/// A stream of choices. Streams of one seed are independent, so that what one part of a world draws
/// doesn't move what another one gets.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Rng);

impl Dice {
    /// The stream `stream` of `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Dice(Rng::with_seed(mix(seed ^ mix(stream))))
    }

    /// The generator itself, for parts that take one.
    pub(crate) const fn rng(&mut self) -> &mut Rng {
        &mut self.0
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `bound`, which isn't 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }

    pub(crate) fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.u64(range)
    }

    /// True once in `times`; never where it is 0.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        times > 0 && self.0.u64(..times) == 0
    }

    /// True with this probability, in percent.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.0.u64(..100) < percent
    }

    /// A number of a range in which each order of magnitude is as likely as any other. The range
    /// begins above 0.
    pub(crate) fn magnitude(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (range.start().ilog2(), range.end().ilog2());
        let exponent = self.0.u32(low..=high);
        let most = if exponent == 63 { u64::MAX } else { (2 << exponent) - 1 };
        self.0.u64(1 << exponent..=most).clamp(*range.start(), *range.end())
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.usize(..choices.len())]
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.0.usize(..len)
    }

    /// A pause whose mean is about `mean`, as between events that don't know of each other.
    pub(crate) fn pause(&mut self, mean: u64) -> u64 {
        let unit = 1.0 - self.0.f64();
        (-(unit.ln()) * mean as f64) as u64 + 1
    }
}

/// The finaliser of splitmix64.
pub(crate) const fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
