//! The node's threads, one step at a time: cores, the journal, the drain and the workers.

use fulmar::core_loop::{Job, Reply, Rest};
use fulmar::limits::{MESH_BACKLOG_LETTERS, OUTPUT_HIGH_BYTES};
use fulmar::shard::record::InboxRecord;
use fulmar::shard::{Identity, Loaded, Retention};
use fulmar::storage::journal::JournalError;
use fulmar::storage::{Fault, Operation};
use fulmar_protocol::Code;
use fulmar_protocol::limits::FRAME_BYTES_MAX;

use super::World;
use crate::clock::{MS, SECOND, Time};
use crate::coverage::Happening;
use crate::disk::End;
use crate::network::{ClientEnd, ConnNo, ServerEnd, Way};
use crate::node::{JournalStep, Node, Pace, Round, Work};
use crate::schedule::Event;

/// Letters that may wait for another core: what closes the gate, and what one turn adds to it.
const BACKLOG_MAX: usize = MESH_BACKLOG_LETTERS + 16 * 1_024;
/// Bytes that a core gives to a socket at once: full output, the frame that filled it, and answers.
pub(super) const SEND_BYTES_MAX: usize = OUTPUT_HIGH_BYTES + 2 * FRAME_BYTES_MAX + 16 * 1_024;

impl World {
    // Cores.

    /// A core's next step is due, unless the event is outdated.
    pub(super) fn core_due(&mut self, run: u32, core: u16) {
        let (now, unix_ms) = (self.schedule.now(), self.unix_ms());
        let Some(node) = self.node.as_mut().filter(|node| node.run == run) else { return };
        let mono = node.now(now, unix_ms);
        let Some(slot) = node.cores.get_mut(usize::from(core)) else { return };
        if slot.due != now || slot.core.is_none() {
            return;
        }
        if slot.stalled_until > now {
            slot.due = slot.stalled_until;
            self.schedule.at(slot.stalled_until, Event::Core { run, core });
            return;
        }
        let was_asleep = std::mem::replace(&mut slot.pace, Pace::Running) == Pace::Asleep;
        let Some(running) = &mut slot.core else { return };
        running.awake();
        running.turn(mono);
        let is_done = running.is_done(mono);
        let level = running.parts().shard.counters().overload_level;
        let level_before = std::mem::replace(&mut slot.level, level);
        let (backlog, gated) = (running.parts().mail.backlog(), running.gated());
        let orders = running.sockets().take_orders();
        self.coverage.hit(Happening::Turn);
        if was_asleep {
            self.coverage.hit(Happening::TimerWake);
        }
        self.note_turn(backlog, gated, level_before, level);
        self.carry_out(core, orders);
        self.take_jobs();
        if is_done {
            self.core_ends(core, mono.mono_ms);
        } else {
            self.core_rests(core);
        }
        self.wake_rung();
    }

    fn note_turn(&mut self, backlog: usize, gated: usize, level_before: u64, level: u64) {
        if backlog > 0 {
            self.coverage.hit(Happening::FullRing);
        }
        if backlog > BACKLOG_MAX {
            self.fail("lanes are bounded", format!("{backlog} letters wait for one core"));
        }
        if gated > 0 {
            self.coverage.hit(Happening::Gated);
        }
        if level > level_before {
            let levels = [Happening::LevelOne, Happening::LevelTwo, Happening::LevelThree];
            let entered = &levels[level_before as usize..(level as usize).min(3)];
            for &happening in entered {
                self.coverage.hit(happening);
            }
        }
        if self.node_plan.shard.retention == Retention::Temporary {
            let unix_ms = self.unix_ms();
            self.oracle.expires(unix_ms.saturating_sub(self.node_plan.shard.expiry_ms));
        }
    }

    /// A core goes to sleep, or right on.
    fn core_rests(&mut self, core: u16) {
        let now = self.schedule.now();
        let cost = self.threads.magnitude(1..=30);
        let is_spurious = !self.is_calm() && self.threads.once_in(400);
        let moment = self.threads.between(50..=400);
        let Some(node) = &mut self.node else { return };
        let run = node.run;
        let Some(rest) = node.rest(core) else { return };
        let until = match rest {
            Rest::Until { mono_ms } => node.time_of(mono_ms),
            Rest::No | Rest::Short => now,
        };
        let slot = &mut node.cores[usize::from(core)];
        slot.due = match rest {
            Rest::No => now + cost,
            Rest::Short => now + cost + moment,
            Rest::Until { .. } if is_spurious => {
                slot.pace = Pace::Woken;
                self.coverage.hit(Happening::SpuriousWake);
                until.min(now + cost + moment)
            }
            Rest::Until { .. } => {
                slot.pace = Pace::Asleep;
                until.max(now + cost)
            }
        };
        if slot.core.as_mut().is_some_and(|core| core.sockets().has_input()) {
            slot.due = now + cost;
        }
        // A timer of the shard stays the same over many turns.
        if slot.due != slot.timer {
            self.schedule.at(slot.due, Event::Core { run, core });
        }
        if slot.pace == Pace::Asleep {
            slot.timer = slot.due;
        }
    }

    /// A socket of a core has something.
    pub(super) fn poke(&mut self, core: u16) {
        let pause = self.threads.magnitude(1..=60);
        let now = self.schedule.now();
        let Some(node) = &mut self.node else { return };
        let run = node.run;
        let slot = &mut node.cores[usize::from(core)];
        if slot.pace == Pace::Asleep {
            slot.pace = Pace::Woken;
            self.coverage.hit(Happening::SocketWake);
            if now + pause < slot.due {
                slot.due = now + pause;
                self.schedule.at(slot.due, Event::Core { run, core });
            }
        }
    }

    /// Those whose bell was rung while they slept get up.
    pub(super) fn wake_rung(&mut self) {
        let now = self.schedule.now();
        let Some(node) = &mut self.node else { return };
        let run = node.run;
        for (core, slot) in (0..).zip(&mut node.cores) {
            if slot.pace == Pace::Asleep && slot.bell.was_rung() {
                slot.pace = Pace::Woken;
                self.coverage.hit(Happening::BellWake);
                let at = now + self.threads.magnitude(1..=100);
                if at < slot.due {
                    slot.due = at;
                    self.schedule.at(at, Event::Core { run, core });
                }
            }
        }
        if node.journal_pace == Pace::Asleep && node.journal_bell.was_rung() {
            node.journal_pace = Pace::Woken;
            node.journal_due = now + self.threads.magnitude(1..=100);
            self.schedule.at(node.journal_due, Event::Journal { run });
        }
    }

    /// A core that was told to stop has nothing left to do.
    fn core_ends(&mut self, core: u16, mono_ms: u64) {
        let Some(node) = &mut self.node else { return };
        let Some(ended) = node.cores[usize::from(core)].core.take() else { return };
        self.coverage.shard(ended.parts().shard.counters());
        if !ended.parts().shard.is_drained() {
            self.coverage.hit(Happening::SlowStop);
        }
        self.trace.say(self.schedule.now(), || format!("core {core} ends at {mono_ms} ms"));
        ended.finish();
        // What the journal waits for may be that the last core ends.
        if node.are_cores_done() && node.journal_pace == Pace::Asleep {
            node.journal_bell.ring();
        }
        let open: Vec<ConnNo> = self.network.open().collect();
        for conn in open {
            if let ServerEnd::Owned { core: owner, .. } = self.network.get(conn).server
                && owner == core
            {
                self.break_off(conn);
            }
        }
    }

    // The journal.

    /// The journal's next step is due, unless the event is outdated.
    pub(super) fn journal_due(&mut self, run: u32) {
        let now = self.schedule.now();
        let commit_fails_once_in =
            if self.is_calm() { 0 } else { self.plan.faults.commit_fails_once_in };
        let Some(node) = self.node.as_mut().filter(|node| node.run == run) else { return };
        if node.journal_due != now {
            return;
        }
        if node.journal_stalled_until > now {
            node.journal_due = node.journal_stalled_until;
            self.schedule.at(node.journal_due, Event::Journal { run });
            return;
        }
        node.journal_pace = Pace::Running;
        node.journal_bell.awake();
        if node.stage == Round::Taken && self.threads.once_in(commit_fails_once_in) {
            // A failed sync loses what was written, which only `fsync` waits for.
            let is_fsync = self.plan.faults.allows_power_cuts;
            let is_write = self.threads.percent(50) || !is_fsync;
            let operation = if is_write { Operation::Write } else { Operation::Sync };
            self.disk.files.fail(operation, 0, self.threads.pick(&[Fault::Io, Fault::NoSpace]));
        }
        let step = match node.journal_step() {
            Ok(step) => step,
            Err(error) => {
                self.node_fails(&error, Happening::CommitFailed);
                return;
            }
        };
        self.journal_goes_on(run, step);
        self.wake_rung();
    }

    fn journal_goes_on(&mut self, run: u32, step: JournalStep) {
        let commit = self.node_plan.commit;
        let pause = match step {
            JournalStep::Sleeps => {
                if let Some(node) = &mut self.node {
                    (node.journal_pace, node.journal_due) = (Pace::Asleep, Time::MAX);
                }
                return;
            }
            JournalStep::Ends => {
                self.node_stopped();
                return;
            }
            JournalStep::GoesOn(Round::Taken) => self.threads.pause(commit / 2),
            JournalStep::GoesOn(Round::Telling) => {
                self.coverage.hit(Happening::FullJournalRing);
                self.threads.between(50..=300)
            }
            JournalStep::GoesOn(_) => self.threads.magnitude(1..=10),
            JournalStep::Committed => {
                self.coverage.hit(Happening::Commit);
                self.drain_if_due();
                self.threads.pause(commit / 2)
            }
            JournalStep::WaitsForDrain => {
                self.drain_if_due();
                self.threads.between(200..=2_000)
            }
        };
        let now = self.schedule.now();
        if let Some(node) = &mut self.node {
            node.journal_due = now + pause;
            self.schedule.at(node.journal_due, Event::Journal { run });
        }
    }

    fn drain_if_due(&mut self) {
        let Some(node) = &mut self.node else { return };
        if node.drain.is_due() && !node.is_draining {
            node.is_draining = true;
            let run = node.run;
            self.schedule.after(self.threads.magnitude(100..=200 * MS), Event::Drain { run });
        }
    }

    /// The drain looks whether there is something to do.
    pub(super) fn drain_due(&mut self, run: u32) {
        let Some(node) = self.node.as_mut().filter(|node| node.run == run) else { return };
        node.is_draining = false;
        let mut outcome = Ok(());
        if node.drain.is_due() {
            self.coverage.hit(Happening::Drained);
            outcome = node.drain.drain_oldest();
        }
        let outcome = outcome.and_then(|()| node.drain.keep_a_spare());
        match outcome {
            Ok(()) => self.drain_if_due(),
            Err(error) => self.node_fails(&error, Happening::DrainFailed),
        }
    }

    // The workers.

    /// Takes what the cores asked, each to be done in its own time.
    fn take_jobs(&mut self) {
        let read = self.node_plan.read;
        let Some(node) = &mut self.node else { return };
        let run = node.run;
        let before = node.jobs.len();
        if before == self.node_plan.jobs {
            self.coverage.hit(Happening::FullJobs);
        }
        for job in node.take_jobs() {
            self.schedule.after(self.threads.pause(read / 2), Event::Read { run, job });
        }
    }

    /// A worker does a job.
    pub(super) fn read_due(&mut self, run: u32, job: u32) {
        let read = self.node_plan.read;
        let Some(node) = self.node.as_mut().filter(|node| node.run == run) else { return };
        let Work::Asked(asked) = std::mem::replace(&mut node.work[job as usize], Work::Over) else {
            return;
        };
        let (core, reply) = match asked {
            Job::Load { core, load } => match node.reader.load(load) {
                Ok(loaded) => (core, Reply::Loaded(loaded)),
                Err(error) => {
                    self.node_fails(&error, Happening::DrainFailed);
                    return;
                }
            },
            Job::Verify { core, conn, token } => {
                (core, Reply::Verified { conn, result: verify(&token) })
            }
        };
        let now = self.schedule.now();
        self.trace.say(now, || format!("read for core {core}: {}", brief(&reply)));
        node.work[job as usize] = Work::Done(core, reply);
        let mut pause = self.threads.pause(read / 2);
        if !self.is_calm() && self.threads.once_in(100) {
            pause += self.threads.between(50 * MS..=SECOND);
            self.coverage.hit(Happening::LateAnswer);
        }
        self.schedule.after(pause, Event::Answer { run, job });
    }

    /// A worker leaves its answer.
    pub(super) fn answer_due(&mut self, run: u32, job: u32) {
        let Some(node) = self.node.as_mut().filter(|node| node.run == run) else { return };
        let Work::Done(core, reply) = std::mem::replace(&mut node.work[job as usize], Work::Over)
        else {
            return;
        };
        if let Err(reply) = node.answer(core, reply) {
            node.work[job as usize] = Work::Done(core, reply);
            self.coverage.hit(Happening::FullAnswers);
            self.schedule.after(self.threads.between(MS..=3 * MS), Event::Answer { run, job });
        }
        self.wake_rung();
    }

    // Its life.

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
        self.was_history |= shard.retention == Retention::History;
        self.oracle.started(run, shard.quota_messages, shard.quota_bytes);
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
        if before.cores != shard.cores {
            self.coverage.hit(Happening::CoresChange);
        }
        if before.retention != shard.retention {
            self.coverage.hit(Happening::RetentionChange);
        }
    }

    /// A way for the node to end that its durability allows for.
    pub(super) fn any_end(&mut self) -> End {
        let is_fsync = self.plan.faults.allows_power_cuts;
        if is_fsync && self.threads.percent(50) { End::PowerCut } else { End::Killed }
    }

    /// Storage failed, or the process was made to end in the middle of a change.
    fn node_fails(&mut self, error: &JournalError, happening: Happening) {
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
    fn node_stopped(&mut self) {
        self.coverage.hit(Happening::CleanStop);
        self.node = None;
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

/// The check of a token of this world.
fn verify(token: &[u8]) -> Result<Identity, Code> {
    let text = std::str::from_utf8(token).map_err(|_| Code::TokenInvalid)?;
    let mut words = text.split('.');
    let (Some(user), Some(device), Some(verdict)) = (words.next(), words.next(), words.next())
    else {
        return Err(Code::TokenInvalid);
    };
    match verdict {
        "good" => {}
        "expired" => return Err(Code::TokenExpired),
        "unknown" => return Err(Code::TokenUnknownKey),
        _ => return Err(Code::TokenInvalid),
    }
    match (user.parse(), device.parse()) {
        (Ok(user), Ok(device)) => Ok(Identity { user, device }),
        _ => Err(Code::TokenInvalid),
    }
}

/// An answer in words, without the values of entries.
fn brief(reply: &Reply) -> String {
    match reply {
        Reply::Loaded(Loaded::Inbox { user, record, last, first, head }) => {
            let record = record.as_deref().map(InboxRecord::decode);
            let position =
                |entry: &Option<(u64, bytes::Bytes)>| entry.as_ref().map(|entry| entry.0);
            let (first, last) = (position(first), position(last));
            format!("inbox of {user}, first {first:?}, last {last:?}, head {head}, {record:?}")
        }
        Reply::Loaded(Loaded::Entries { user, entries, through, .. }) => {
            format!("{} entries of {user} through {through}", entries.len())
        }
        other => format!("{other:?}"),
    }
}
