//! Whether the other side still lives, and what its pongs say.

use crate::limits::{PING_MS, PING_WAITING_MS, SILENCE_MS_MIN};

/// The ping of which no pong came yet.
///
/// ```text
///   None ──push──► Queued ──flush──► Writing ──written──► Awaited ──pong──► None
/// ```
///
/// The silence counts from `Awaited`: on a slow line a ping waits behind a large body, and that the
/// bytes still move is the transport's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ping {
    None,
    Queued,
    Writing,
    Awaited { since_ms: u64 },
}

/// What a heartbeat leads to when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// A ping must go out.
    Ping,
    /// The other side is silent for too long.
    Dead,
}

/// The state of one connection's heartbeat.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval_ms: u64,
    /// Last time anything arrived.
    heard_ms: u64,
    /// Last time anything was written.
    wrote_ms: u64,
    ping: Ping,
    /// How many frames of the inbox, and parts, had come when it was queued, if none of them waited for an
    /// acknowledgement.
    frames_at_ping: Option<u64>,
    pongs: u64,
    /// When the last pong came.
    ponged_ms: u64,
    /// Inbox head of the last pong, and how many such frames had come and were acknowledged before its ping.
    last_pong: Option<(u64, u64)>,
}

impl Heartbeat {
    /// Starts with the idle limit of the welcome.
    pub(super) fn new(now_ms: u64, idle_s: u64) -> Self {
        let interval_ms =
            (idle_s.saturating_mul(1_000) / 3).clamp(*PING_MS.start(), *PING_MS.end());
        Heartbeat {
            interval_ms,
            heard_ms: now_ms,
            wrote_ms: now_ms,
            ping: Ping::None,
            frames_at_ping: None,
            pongs: 0,
            ponged_ms: now_ms,
            last_pong: None,
        }
    }

    /// Bytes arrived.
    pub(super) const fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
    }

    /// How long nothing was heard, in milliseconds.
    pub(super) const fn silent_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.heard_ms)
    }

    /// A ping was added to the output, behind the acknowledgements of the `frames` frames of the inbox, and parts,
    /// that came or, if not `is_behind_acks`, before some of them.
    pub(super) fn ping_queued(&mut self, is_behind_acks: bool, frames: u64) {
        self.ping = Ping::Queued;
        self.frames_at_ping = is_behind_acks.then_some(frames);
    }

    /// A write with everything that was queued has begun.
    pub(super) fn write_begun(&mut self, now_ms: u64) {
        self.wrote_ms = now_ms;
        if self.ping == Ping::Queued {
            self.ping = Ping::Writing;
        }
    }

    /// That write is done.
    pub(super) fn written(&mut self, now_ms: u64) {
        self.wrote_ms = now_ms;
        if self.ping == Ping::Writing {
            self.ping = Ping::Awaited { since_ms: now_ms };
        }
    }

    /// How many pongs answered a ping of this connection.
    pub(super) const fn pongs(&self) -> u64 {
        self.pongs
    }

    /// After how many pongs all pings are answered that were added to the output so far.
    pub(super) fn pongs_awaited(&self) -> u64 {
        self.pongs + u64::from(self.ping != Ping::None)
    }

    /// A pong arrived that names this inbox head, while the inbox was announced up to `frontier` by
    /// `frames` frames.
    ///
    /// Returns the head that the server named one pong ago if it still has not delivered up to it
    /// and nothing of the inbox, and no part, came since the ping before that: positions that exist, for which there was
    /// a whole interval of time, and that don't come. A server that answers a ping from before an
    /// acknowledgement rightly waits for it, and one that reads both together may answer first.
    pub(super) fn pong(&mut self, head: Option<u64>, frontier: u64, frames: u64) -> Option<u64> {
        if self.ping == Ping::None {
            return None;
        }
        self.ping = Ping::None;
        self.pongs += 1;
        self.ponged_ms = self.heard_ms;
        let before = self.last_pong.take();
        self.last_pong = head.zip(self.frames_at_ping);
        let (head_before, frames_before) = before?;
        (head_before > frontier && frames_before == frames).then_some(head_before)
    }

    /// The next beat and its time in milliseconds, where time alone brings one. `waiting` tells
    /// whether an answer other than a pong is awaited.
    pub(super) fn next(&self, waiting: bool) -> Option<(u64, Beat)> {
        match self.ping {
            Ping::Queued | Ping::Writing => None,
            Ping::Awaited { since_ms } => {
                let silence_ms = self.interval_ms.max(SILENCE_MS_MIN);
                Some((since_ms.max(self.heard_ms) + silence_ms, Beat::Dead))
            }
            Ping::None => {
                let patience_ms =
                    if waiting { self.interval_ms.min(PING_WAITING_MS) } else { self.interval_ms };
                let silent_at = self.heard_ms + patience_ms;
                // A pong may have been long under way. From it on the server has the whole interval.
                let wrote_ms = self.wrote_ms.max(self.ponged_ms);
                Some((silent_at.min(wrote_ms + self.interval_ms), Beat::Ping))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinged(heartbeat: &mut Heartbeat, now_ms: u64, frames: u64) {
        heartbeat.ping_queued(true, frames);
        heartbeat.write_begun(now_ms);
        heartbeat.written(now_ms);
    }

    #[test]
    fn pings_at_a_third_of_the_idle_limit_and_gives_up_after_silence() {
        let mut heartbeat = Heartbeat::new(1_000, 90);
        assert_eq!(heartbeat.next(false), Some((31_000, Beat::Ping)));
        assert_eq!(heartbeat.next(true), Some((11_000, Beat::Ping)));
        heartbeat.ping_queued(true, 0);
        assert_eq!(heartbeat.next(false), None);
        heartbeat.write_begun(31_000);
        heartbeat.written(40_000);
        assert_eq!(heartbeat.next(false), Some((70_000, Beat::Dead)));
        heartbeat.heard(50_000);
        assert_eq!(heartbeat.next(false), Some((80_000, Beat::Dead)));
    }

    #[test]
    fn the_interval_begins_anew_with_a_late_pong() {
        let mut heartbeat = Heartbeat::new(0, 90);
        pinged(&mut heartbeat, 30_000, 0);
        heartbeat.heard(75_000);
        heartbeat.pong(None, 0, 0);
        assert_eq!(heartbeat.next(false), Some((105_000, Beat::Ping)));
    }

    #[test]
    fn absurd_idle_limits_are_bounded() {
        assert_eq!(Heartbeat::new(0, 0).next(false), Some((1_000, Beat::Ping)));
        assert_eq!(Heartbeat::new(0, u64::MAX).next(false), Some((600_000, Beat::Ping)));
    }

    #[test]
    fn two_pongs_without_progress_show_a_stall() {
        let mut heartbeat = Heartbeat::new(0, 30);
        assert_eq!(heartbeat.pong(Some(9), 5, 5), None, "unasked");
        pinged(&mut heartbeat, 0, 5);
        assert_eq!(heartbeat.pong(Some(9), 5, 5), None);
        pinged(&mut heartbeat, 0, 5);
        assert_eq!(heartbeat.pong(Some(12), 7, 7), None, "it goes on");
        pinged(&mut heartbeat, 0, 7);
        assert_eq!(heartbeat.pong(Some(12), 8, 40), None, "parts of a large body come");
        pinged(&mut heartbeat, 0, 40);
        assert_eq!(heartbeat.pong(Some(12), 8, 40), None, "they came after the ping before");
        pinged(&mut heartbeat, 0, 40);
        assert_eq!(heartbeat.pong(Some(12), 8, 40), Some(12));
        pinged(&mut heartbeat, 0, 40);
        assert_eq!(heartbeat.pong(Some(12), 12, 41), None);
    }
}
