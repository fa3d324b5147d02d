//! The node's threads, one step at a time: cores, the journal, the drain and the workers.

use fulmar::core_loop::{Job, Reply, Rest};
use fulmar::limits::MESH_BACKLOG_LETTERS;
use fulmar::shard::record::InboxRecord;
use fulmar::shard::{Identity, Loaded, LogId, Refusal, Retention, Shard};
use fulmar::storage::{Fault, Operation};
use fulmar_protocol::Code;
use fulmar_protocol::limits::FRAME_BYTES_MAX;

use super::World;
use crate::clock::{MS, SECOND, Time};
use crate::coverage::Happening;
use crate::network::{ConnNo, ServerEnd};
use crate::node::{JournalStep, Node, Pace, Round, Work};
use crate::schedule::Event;

/// Letters that may wait for another core: what closes the gate, and what one turn adds to it.
const BACKLOG_MAX: usize = MESH_BACKLOG_LETTERS + 16 * 1_024;
/// Bytes that a core gives to a socket at once beyond what it is set up with: the frame that filled the output, and
/// answers.
const SEND_BYTES_BEYOND: usize = 2 * FRAME_BYTES_MAX + 16 * 1_024;
/// What a core may hold in memory beyond what it is set up with and what its sessions use: what was touched since
/// it was last stored, which a journal that stands still for seconds makes many.
const WARM_BEYOND: u64 = 512;
/// The same of conversations: a message and its receipts touch several.
const CONVERSATIONS_BEYOND: u64 = 2_048;
/// Conversations that the questions of one session may have under way: a session may ask 32 times without an answer,
/// and an ASK touches the conversation of both sides.
const CONVERSATIONS_PER_SESSION: u64 = 64;
/// Answers of a core that wait for the journal: all that its sessions may have asked at once, a few times over since
/// who comes back asks again, and a beginning.
const ANSWERS_PER_SEND: u64 = 8;
const ANSWERS_BEYOND: u64 = 4_096;
/// People whom a connection may watch.
const WATCHED_MAX: u64 = 256;

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
        let was_congested = running.parts().mail.are_others_behind();
        running.turn(mono);
        let is_done = running.is_done(mono);
        let level = running.parts().shard.counters().overload_level;
        let level_before = std::mem::replace(&mut slot.level, level);
        let (backlog, gated) = (running.parts().mail.backlog(), running.gated());
        let held = Held::of(&running.parts().shard);
        let is_congested = was_congested && running.parts().mail.are_others_behind();
        let unpaused = running.sockets().unpaused().filter(|_| is_congested);
        let orders = running.sockets().take_orders();
        self.coverage.hit(Happening::Turn);
        if was_asleep {
            self.coverage.hit(Happening::TimerWake);
        }
        self.note_turn(backlog, gated, level_before, level);
        self.judge_memory(held);
        if let Some(conn) = unpaused {
            let detail = format!("{conn}, though too much waits for other threads");
            self.fail("sockets rest while a core is congested", detail);
        }
        self.carry_out(core, orders);
        self.take_jobs();
        if is_done {
            self.core_ends(core, mono.mono_ms);
        } else {
            self.core_rests(core);
        }
        self.wake_rung();
    }

    /// Bytes that a core gives to a socket at once.
    pub(super) fn send_bytes_max(&self) -> usize {
        self.node_plan.shard.output_high_bytes + SEND_BYTES_BEYOND
    }

    /// What a core holds is bounded by what it is set up with, its sessions, and what is under way.
    fn judge_memory(&mut self, held: Held) {
        let shard = &self.node_plan.shard;
        // Sessions of all cores: each writes to whom it likes.
        let counters = self.node.iter().flat_map(Node::counters);
        let sessions: u64 = counters.map(|counters| counters.sessions).sum();
        let sends = sessions * u64::from(shard.sends_max);
        let bounds = [
            ("users", held.users, shard.users_warm_max as u64 + held.sessions + WARM_BEYOND),
            (
                "conversations",
                held.conversations,
                shard.conversations_warm_max as u64
                    + CONVERSATIONS_PER_SESSION * sessions
                    + CONVERSATIONS_BEYOND,
            ),
            // Those of which an author waits to hear stay up to twice as many.
            ("groups", held.groups, 2 * shard.groups_warm_max as u64 + WARM_BEYOND),
            ("watches", held.watches, WATCHED_MAX * held.sessions),
            ("unwritten answers", held.uncommitted, ANSWERS_PER_SEND * sends + ANSWERS_BEYOND),
        ];
        if let Some((what, count, most)) = bounds.into_iter().find(|&(_, count, most)| count > most)
        {
            self.fail("memory is bounded", format!("{count} {what}, where {most} may be"));
        }
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
            let levels = [
                Happening::LevelOne,
                Happening::LevelTwo,
                Happening::LevelThree,
                Happening::LevelFour,
                Happening::LevelFive,
            ];
            let entered = &levels[level_before as usize..level as usize];
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
                until.min(now + cost + moment).max(now + cost)
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
        if let Some(thread) = node.unwoken() {
            self.fail("who has mail is woken", thread);
            return;
        }
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
        let unix_ms = self.unix_ms();
        let Some(node) = self.node.as_mut().filter(|node| node.run == run) else { return };
        node.is_draining = false;
        let mut outcome = Ok(());
        if node.drain.is_due() {
            self.coverage.hit(Happening::Drained);
            outcome = node.drain.drain_oldest(unix_ms);
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
                let refused = |code| Refusal { code, detail: "the token isn't good" };
                (core, Reply::Verified { conn, result: verify(&token).map_err(refused) })
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
}

/// What a core holds in memory.
#[derive(Debug, Clone, Copy)]
struct Held {
    sessions: u64,
    users: u64,
    conversations: u64,
    groups: u64,
    /// People whom its sessions watch, counted for each.
    watches: u64,
    /// Answers that wait for the journal.
    uncommitted: u64,
}

impl Held {
    fn of(shard: &Shard) -> Self {
        let counters = shard.counters();
        Held {
            sessions: counters.sessions,
            users: counters.users_warm,
            conversations: counters.conversations_warm,
            groups: shard.groups_warm(),
            watches: counters.watches,
            uncommitted: shard.uncommitted(),
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
        Reply::Loaded(Loaded::Log { log: LogId::Inbox(user), record, last, first, head }) => {
            let record = record.as_deref().map(InboxRecord::decode);
            let position =
                |entry: &Option<(u64, bytes::Bytes)>| entry.as_ref().map(|entry| entry.0);
            let (first, last) = (position(first), position(last));
            format!("inbox of {user}, first {first:?}, last {last:?}, head {head}, {record:?}")
        }
        Reply::Loaded(Loaded::Entries { log: LogId::Inbox(user), entries, through, .. }) => {
            format!("{} entries of {user} through {through}", entries.len())
        }
        other => format!("{other:?}"),
    }
}
