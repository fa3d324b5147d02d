//! Messages that disappear: when they are over, as their digests tell, and what follows from that.

use fulmar_protocol::content::{Content, DISAPPEARING};

use super::digest::Digest;
use super::group::Entry;
use super::{Complaint, Oracle};
use crate::clock::Time;
use crate::coverage::Happening;

impl Digest {
    /// After how many milliseconds it is over, if it ever is.
    pub(crate) fn lives_ms(&self) -> Option<u64> {
        if self.content != DISAPPEARING {
            return None;
        }
        match Content::parse(self.content, &self.start(), true) {
            Ok(Content::Disappearing { seconds, .. }) => Some(seconds * 1_000),
            _ => None,
        }
    }
}

impl Oracle {
    /// A message is delivered, or its first part, that was put on its way after `since`: it isn't over.
    pub(crate) fn judge_in_time(
        &mut self,
        digest: Digest,
        time_ms: u64,
        since: Time,
    ) -> Result<(), Complaint> {
        let Some(lives_ms) = digest.lives_ms() else { return Ok(()) };
        self.hit(Happening::FadingDelivery);
        let earliest_ms = self.clock.earliest_since(since);
        if earliest_ms < time_ms + lives_ms {
            return Ok(());
        }
        let detail = format!("of {time_ms}, over after {lives_ms} ms, told after {earliest_ms}");
        Err(Complaint("what is over is delivered no more", detail))
    }

    /// Whether a message that was taken at this time, or after it was sent, may be over.
    pub(crate) fn may_be_over(
        &self,
        digest: Option<Digest>,
        time_ms: Option<u64>,
        sent_at: Option<Time>,
    ) -> bool {
        let Some(lives_ms) = digest.and_then(|digest| digest.lives_ms()) else { return false };
        let earliest_ms = || self.clock.earliest_since(sent_at.unwrap_or(0));
        let taken_ms = time_ms.unwrap_or_else(earliest_ms);
        taken_ms + lives_ms <= self.clock.latest_between(0, self.now)
    }

    /// The same of an entry of a group.
    pub(crate) fn entry_may_be_over(&self, entry: Option<&Entry>) -> bool {
        entry.is_some_and(|entry| self.may_be_over(Some(entry.body.digest), entry.time_ms, None))
    }
}
