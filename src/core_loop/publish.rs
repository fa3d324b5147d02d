//! Copies the shard's and the ring's counts to where the control plane reads them.

use std::time::{Duration, Instant};

use fulmar_protocol::{Code, Kind};

use super::CoreLoop;
use crate::metrics::Metrics;
use crate::uring::Ring;

/// How often the totals are copied.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);

impl CoreLoop<Ring> {
    /// Counts the turn that began at `begun`, and now and then copies everything else.
    pub(super) fn publish(&self, metrics: &Metrics, begun: Instant, published: &mut Instant) {
        let ended = Instant::now();
        let core = metrics.core(usize::from(self.parts.core));
        core.turn_duration.observe(ended.duration_since(begun).as_nanos() as u64);
        if ended.duration_since(*published) < PUBLISH_EVERY && self.stopping_since_ms.is_none() {
            return;
        }
        *published = ended;
        let counters = self.parts.shard.counters();
        core.connections.set(counters.connections);
        core.sessions.set(counters.sessions);
        core.users_online.set(counters.users_online);
        core.watches.set(counters.watches);
        core.users_warm.set(counters.users_warm);
        core.ring_depth.set(self.parts.mail.depth() as u64);
        core.uncommitted.set(self.parts.shard.uncommitted());
        core.overload_level.set(counters.overload_level);
        core.lag_ns.set(self.parts.shard.lag_ms() * 1_000_000);
        core.accepted.set(counters.accepted);
        core.received_bytes.set(counters.received_bytes);
        core.sent_bytes.set(counters.sent_bytes);
        core.messages.set(counters.messages);
        core.letters.set(counters.letters);
        core.logins.set(counters.logins);
        core.takeovers.set(counters.takeovers);
        core.hydrations.set(counters.hydrations);
        core.cold_reads.set(counters.cold_reads);
        core.receipts_held.set(counters.receipts_held);
        core.presence_told.set(counters.presence_told);
        core.presence_held.set(counters.presence_held);
        core.typing_shed.set(counters.typing_shed);
        core.typing_limited.set(counters.typing_limited);
        core.gathered.set(counters.gathered);
        core.receipts_stalled.set(counters.receipts_stalled);
        core.conversations_warm.set(counters.conversations_warm);
        core.evictions.set(counters.evictions);
        core.windows_full.set(counters.windows_full);
        core.pauses.set(counters.pauses);
        for kind in Kind::ALL {
            core.frames_received(kind).set(counters.frames_received[kind as usize]);
            core.frames_sent(kind).set(counters.frames_sent[kind as usize]);
        }
        for (index, &code) in Code::ALL.iter().enumerate() {
            let turned_away = if code == Code::TooManyConnections { self.turned_away } else { 0 };
            core.refused(code).set(counters.refused[index] + turned_away);
            core.rejected(code).set(counters.rejected[index]);
            core.goodbyes(code).set(counters.goodbyes[index]);
        }
        let ring = self.sockets.counters();
        core.enobufs.set(ring.enobufs);
        core.cq_overflows.set(ring.cq_overflows);
        core.rearms.set(ring.rearms);
        core.enters.set(ring.enters);
        core.short_writes.set(ring.short_writes);
        core.accept_errors.set(ring.accept_errors);
        core.rests.set(ring.rests);
    }
}
