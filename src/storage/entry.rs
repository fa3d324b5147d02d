//! What storage reads of an entry's value: when it was taken, and when it is over by itself. The layout is
//! the shard's, which its `record` states.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::faults::{Fault, is_planted};
use crate::shard::seam::FLAG_OVER;

/// The time that an entry's value begins with; 0 of one that is too short to have one.
pub(super) fn time_ms(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |time| u64::from_le_bytes(*time))
}

/// Whether the entry said when it is over, and that is past.
pub(super) fn is_over(value: &[u8], now_ms: u64) -> bool {
    if is_planted(Fault::OverKept) {
        return false;
    }
    let Some((&[.., flags], rest)) = value.split_first_chunk::<9>() else { return false };
    let over = rest.first_chunk().map(|over| u64::from_le_bytes(*over));
    flags & FLAG_OVER != 0 && over.is_some_and(|over_ms| over_ms <= now_ms)
}

/// The time by the calendar, in Unix milliseconds.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
