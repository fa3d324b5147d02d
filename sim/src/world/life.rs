//! The node's life: its start, its ends, and what its disk keeps between them.

use fulmar::shard::Retention;
use fulmar::storage::journal::JournalError;

use super::World;
use crate::clock::{MS, SECOND};
use crate::coverage::Happening;
use crate::disk::End;
use crate::network::{ClientEnd, ConnNo, ServerEnd, Way};
use crate::node::{Node, Round};
use crate::oracle::Quota;
use crate::schedule::Event;

impl World {
    /// The node starts, if it is still this one's turn.
    pub(super) fn node_start(&mut self, run: u32) {
        if self.node.is_some() || run != self.run {
            return;
        }
        let now = self.schedule.now();
        if run > 0 && self.plan.changes_settings && !self.is_calm() && self.threads.percent(50) {
            self.change_settings();
        }
        if !self.is_calm() && self.threads.once_in(self.plan.faults.recovery_fails_once_in) {
            self.disk.files.end_after(self.threads.below(40));
        }
        let mut node = match Node::start(run, now, &self.node_plan, &self.disk) {
            Ok(node) => node,
            Err(error) if self.disk.has_ended() => {
                self.trace.say(now, || format!("the start is cut short: {error}"));
                self.coverage.hit(Happening::CrashInRecovery);
                let end = self.any_end();
                self.disk.end(end);
                self.schedule.after(100 * MS, Event::NodeStart { run });
                return;
            }
            Err(error) => {
                self.fail("a node starts on what it left", error.to_string());
                return;
            }
        };
        let shard = &self.node_plan.shard;
        self.trace.say(now, || format!("the node runs with {:?}", self.node_plan));
        self.was_history |= shard.retention == Retention::History;
        self.oracle.keeps(shard.retention == Retention::History);
        let quota = Quota {
            messages: shard.quota_messages,
            bytes: shard.quota_bytes,
            group_messages: shard.group_quota_messages,
            group_bytes: shard.group_quota_bytes,
            group_members: shard.group_members_max as u64,
        };
        self.oracle.started(run, quota);
        let due = now + 1;
        for (core, slot) in (0..).zip(&mut node.cores) {
            slot.due = due;
            self.schedule.at(due, Event::Core { run, core });
        }
        (node.journal_due, node.is_draining) = (due, true);
        self.schedule.at(due, Event::Journal { run });
        self.schedule.after(self.threads.magnitude(10..=10 * MS), Event::Drain { run });
        self.node = Some(node);
    }

    fn change_settings(&mut self) {
        let before = self.node_plan.shard.clone();
        self.node_plan.change(&mut self.threads);
        let shard = &self.node_plan.shard;
        self.coverage.hit(Happening::ConfigChange);
        for (is_changed, happening) in [
            (before.cores != shard.cores, Happening::CoresChange),
            (before.quota_messages != shard.quota_messages, Happening::QuotaChange),
            (before.retention != shard.retention, Happening::RetentionChange),
            (before.expiry_ms != shard.expiry_ms, Happening::ExpiryChange),
            (before.quota_bytes != shard.quota_bytes, Happening::BytesChange),
            (before.group_quota_bytes != shard.group_quota_bytes, Happening::GroupQuotaChange),
            (before.group_members_max != shard.group_members_max, Happening::MembersChange),
        ] {
            self.coverage.add(happening, u64::from(is_changed));
        }
    }

    /// A way for the node to end that its durability allows for.
    pub(super) fn any_end(&mut self) -> End {
        let is_fsync = self.plan.faults.allows_power_cuts;
        if is_fsync && self.threads.percent(50) { End::PowerCut } else { End::Killed }
    }

    /// Storage failed, or the process was made to end in the middle of a change.
    pub(super) fn node_fails(&mut self, error: &JournalError, happening: Happening) {
        let now = self.schedule.now();
        self.trace.say(now, || format!("the node gives up: {error}"));
        if !self.disk.has_ended() {
            self.coverage.hit(happening);
        }
        let end = self.any_end();
        self.crash(end);
    }

    /// The node ends at once, and starts again after a while.
    pub(super) fn crash(&mut self, end: End) {
        let Some(node) = &self.node else { return };
        self.coverage.hit(match end {
            End::Killed => Happening::Kill,
            End::PowerCut => Happening::PowerCut,
        });
        if node.stage == Round::Committed {
            self.coverage.hit(Happening::CrashBeforeConfirm);
        }
        self.count_node();
        self.node = None;
        self.oracle.ended();
        self.end_disk(end);
        let open: Vec<ConnNo> = self.network.open().collect();
        for conn in open {
            if self.network.get(conn).server == ServerEnd::Gone {
                continue;
            }
            // A machine without power says nothing; its clients find out by themselves.
            if end == End::PowerCut && self.threads.percent(50) {
                self.network.get(conn).server = ServerEnd::Gone;
                self.vanish_connection(conn);
            } else {
                self.break_off(conn);
            }
        }
        self.run += 1;
        let pause = self.threads.magnitude(10 * MS..=5 * SECOND);
        self.schedule.after(pause, Event::NodeStart { run: self.run });
    }

    pub(super) fn end_disk(&mut self, end: End) {
        let (lost, torn) = self.disk.end(end);
        if lost {
            self.coverage.hit(Happening::LostWrites);
        }
        if torn {
            self.coverage.hit(Happening::TornWrite);
        }
    }

    /// The node has stopped in order.
    pub(super) fn node_stopped(&mut self) {
        self.coverage.hit(Happening::CleanStop);
        self.node = None;
        self.oracle.ended();
        self.end_disk(End::Killed);
        let open: Vec<ConnNo> = self.network.open().collect();
        for conn in open {
            if self.network.get(conn).server != ServerEnd::Gone {
                self.break_off(conn);
            }
        }
        self.run += 1;
        let pause = self.threads.magnitude(10 * MS..=3 * SECOND);
        self.schedule.after(pause, Event::NodeStart { run: self.run });
    }

    /// The server's end of a connection is no more, and the client is told.
    pub(super) fn break_off(&mut self, conn: ConnNo) {
        let crossing = self.network.crossing(conn);
        self.network.get(conn).server = ServerEnd::Gone;
        self.network.discard(conn, Way::Up);
        if self.network.get(conn).client == ClientEnd::Closed {
            self.network.forget_if_over(conn);
        } else {
            self.schedule.after(crossing, Event::Reset { conn, way: Way::Down });
        }
    }

    /// Takes in what the shards of the running node counted.
    pub(super) fn count_node(&mut self) {
        if let Some(node) = &self.node {
            for counters in node.counters() {
                self.coverage.shard(counters);
            }
        }
    }
}
