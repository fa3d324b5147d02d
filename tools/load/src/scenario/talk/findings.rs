//! What a talk found, and how a report gets it.

use super::super::pace::Due;
use super::super::{NamedLatencies, Outcome};
use crate::check::Faults;
use crate::exchange::MessageLatencies;
use crate::latency::Latencies;

/// The note where senders were held back.
const HELD_BACK: &str = "senders waited for deliveries, and not only for ticks: the server ticks faster \
                         than it delivers";

/// What a talk found.
#[derive(Debug)]
pub(in super::super) struct Findings {
    /// Broken promises.
    pub(super) faults: Faults,
    /// Of the recorded messages.
    pub(super) latencies: MessageLatencies,
    /// From the intended send until the last member who is there had the message.
    pub(super) last_delivery: Latencies,
    /// From the intended send until the author heard that all others read the message.
    pub(super) read_receipt: Latencies,
    /// From the beginning of the connection until everything missed was there.
    pub(super) resume: Latencies,
    /// Whether senders waited because deliveries stayed out, and not because of ticks.
    pub(super) held_back: bool,
}

impl Findings {
    /// Adds this, and how late the intended times of an open loop were noticed.
    pub(in super::super) fn tell(self, due: Due, outcome: &mut Outcome) {
        outcome.faults = self.faults;
        outcome.latencies = self.latencies;
        for (name, label, latencies) in [
            ("last_delivery_us", "last delivery", self.last_delivery),
            ("read_receipt_us", "read receipt", self.read_receipt),
            ("resume_us", "resume", self.resume),
        ] {
            outcome.other_latencies.push(NamedLatencies { name, label, latencies });
        }
        due.tell(outcome);
        outcome.notes.extend(self.held_back.then(|| HELD_BACK.to_owned()));
    }
}
