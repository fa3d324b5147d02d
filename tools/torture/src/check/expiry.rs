//! When a disappearing message is over. The server counts from when it took the message, which is some time
//! between the line of the send and that of the tick: so there is a time from which it may be over, and a
//! later one by which it is.

use super::facts::Answer;
use super::wording::Wording;

/// Slack for what a server judges when a device logs in: it counts in milliseconds, and turns take a while.
const LOGIN_SLACK_US: u64 = 500_000;
/// Slack for what comes on a connection that stands: it may be under way for as long as the device doesn't
/// read, the network is cut, or the server is stopped between its judgement and the write.
const WAY_SLACK_US: u64 = 12_000_000;

/// The time of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Time {
    /// When it was written down, in microseconds.
    pub(super) sent_us: u64,
    /// When its tick was.
    pub(super) ticked_us: u64,
}

impl Time {
    /// Whether it may be over.
    pub(super) const fn may_be_over(self, wording: Wording, now_us: u64) -> bool {
        match wording {
            Wording::Disappearing(seconds) => now_us >= self.sent_us + seconds * 1_000_000,
            _ => false,
        }
    }

    /// By how many microseconds it came too late on a connection that began with a hello, if it did.
    pub(super) fn late_us(
        self,
        wording: Wording,
        answer: Answer,
        hello_us: u64,
        now_us: u64,
    ) -> Option<u64> {
        let (Wording::Disappearing(seconds), Answer::Ticked { .. }) = (wording, answer) else {
            return None;
        };
        let over_us = self.ticked_us + seconds * 1_000_000;
        let is_late = hello_us > over_us + LOGIN_SLACK_US || now_us > over_us + WAY_SLACK_US;
        is_late.then(|| now_us - over_us)
    }
}
