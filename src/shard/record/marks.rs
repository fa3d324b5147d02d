//! How old the messages of one direction are, about: few marks where the messages themselves may be gone.
//!
//! A mark is an ordinal and the time of its message. One is made for a message that comes at least half of the
//! age limit after the last mark's, so a message between two marks is younger than the one before it by less
//! than that. What is called too old is at least as old as the limit; and what is one and a half times as
//! old is called so.

use bytes::BytesMut;
use fulmar_protocol::varint;
use smallvec::SmallVec;

use super::{COUNT_MAX, Fields, RecordError, put};

/// Marks that cover one and a half times the limit, half of it apart, and the one before.
pub const MARKS_MAX: usize = 4;

/// See the module's description.
///
/// Invariant: both numbers rise from mark to mark; at most [`MARKS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks(SmallVec<[(u64, u64); 1]>);

impl Marks {
    /// Notes the time of a message, the last one so far.
    pub(in super::super) fn note(&mut self, ordinal: u64, time_ms: u64, limit_ms: u64) {
        let is_due =
            self.0.last().is_none_or(|&(_, last)| time_ms >= last.saturating_add(limit_ms / 2));
        if !is_due {
            return;
        }
        self.0.push((ordinal, time_ms));
        // Whatever lies before the second one is known to be too old without the first.
        while self.0.len() > MARKS_MAX
            || self.0.get(1).is_some_and(|&(_, second)| second.saturating_add(limit_ms) <= time_ms)
        {
            self.0.remove(0);
        }
    }

    /// Whether a message is known to be at least as old as the limit.
    pub(in super::super) fn is_too_old(&self, ordinal: u64, now_ms: u64, limit_ms: u64) -> bool {
        let next = self.0.partition_point(|&(mark, _)| mark < ordinal);
        // It is no younger than the mark at or after it, and than half the limit after the one before.
        let at_or_after = self.0.get(next).map(|&(_, time_ms)| time_ms);
        let before = next.checked_sub(1).and_then(|before| self.0.get(before));
        let is_mark = self.0.get(next).is_some_and(|&(mark, _)| mark == ordinal);
        let after_before =
            before.filter(|_| !is_mark).map(|&(_, time_ms)| time_ms.saturating_add(limit_ms / 2));
        let latest_ms = at_or_after.into_iter().chain(after_before).min();
        latest_ms.is_some_and(|latest_ms| latest_ms.saturating_add(limit_ms) <= now_ms)
    }

    /// The ordinal of the last mark; 0 without any.
    pub(super) fn ordinal_last(&self) -> u64 {
        self.0.last().map_or(0, |&(ordinal, _)| ordinal)
    }

    /// Most bytes of the encoded form.
    pub(super) const BYTES_MAX: usize = 1 + MARKS_MAX * 2 * varint::BYTES_MAX;

    pub(super) fn encode(&self, out: &mut BytesMut) {
        put(self.0.len() as u64, out);
        let (mut ordinal, mut time_ms) = (0, 0);
        for &mark in &self.0 {
            put(mark.0 - ordinal, out);
            put(mark.1 - time_ms, out);
            (ordinal, time_ms) = mark;
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, RecordError> {
        let mut marks = SmallVec::new();
        let (mut ordinal, mut time_ms) = (0, 0);
        for _ in 0..fields.count(MARKS_MAX as u64, "conversation.marks")? {
            let mark = (fields.step(ordinal, "mark.ordinal")?, fields.step(time_ms, "mark.time")?);
            if mark.0 <= ordinal || mark.0 > COUNT_MAX {
                return Err(RecordError("mark.ordinal"));
            }
            (ordinal, time_ms) = mark;
            marks.push(mark);
        }
        Ok(Marks(marks))
    }

    /// Some, for tests of what holds them.
    #[cfg(test)]
    pub(super) fn of(marks: &[(u64, u64)]) -> Self {
        Marks(marks.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_MS: u64 = 1_000;

    /// Whatever comes when, a message is refused not before the limit, and at one and a half times it.
    #[test]
    fn the_age_is_known_to_half_of_the_limit() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut marks, mut times, mut now_ms) = (Marks::default(), vec![0], 1_000_000);
            for _ in 0..300 {
                now_ms += match random.u8(0..4) {
                    0 => 0,
                    1 => random.u64(0..LIMIT_MS / 20),
                    2 => random.u64(0..LIMIT_MS),
                    _ => random.u64(0..3 * LIMIT_MS),
                };
                if random.bool() {
                    marks.note(times.len() as u64, now_ms, LIMIT_MS);
                    times.push(now_ms);
                }
                assert!(marks.0.len() <= MARKS_MAX, "{} marks", marks.0.len());
                for (ordinal, &time_ms) in times.iter().enumerate().skip(1) {
                    let age_ms = now_ms - time_ms;
                    let is_too_old = marks.is_too_old(ordinal as u64, now_ms, LIMIT_MS);
                    assert!(!is_too_old || age_ms >= LIMIT_MS, "{age_ms} ms old, {marks:?}");
                    assert!(is_too_old || age_ms < LIMIT_MS * 3 / 2, "{age_ms} ms old, {marks:?}");
                }
            }
        }
    }

    #[test]
    fn a_busy_conversation_takes_few_marks_and_a_clock_that_goes_back_makes_none() {
        let mut marks = Marks::default();
        for nth in 1..=10_000 {
            marks.note(nth, 1_000_000 + nth, LIMIT_MS);
            assert!(marks.0.len() <= MARKS_MAX);
        }
        let before = marks.clone();
        marks.note(10_001, 5, LIMIT_MS);
        assert_eq!(marks, before);
        assert!(!marks.is_too_old(10_001, 6, LIMIT_MS));
    }
}
