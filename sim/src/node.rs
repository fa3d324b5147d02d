//! A whole node without threads: its cores with their real loops, mail, lanes and doorbells, the
//! journal's rounds, the drain, and the workers' jobs. The world says when each of them goes on.
//!
//! What sleeps here sleeps for real: a core or the journal that said so goes on only if its doorbell
//! was rung, its timer is due or a socket has something. A wake-up that gets lost is missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;
use fulmar::core_loop::{Answers, Batch, CoreLoop, CoreParts, Job, Mail, Parcel, Reply, Rest};
use fulmar::mesh::{Doorbell, Inlet, Outlet, lane};
use fulmar::node::{JournalLane, JournalRound};
use fulmar::shard::{Counters, Now, Shard, ShardConfig, by_home_core};
use fulmar::storage::journal::{Drain, JournalCommitter, JournalError, JournalReader};
use fulmar::storage::{SimulatedDatabase, SimulatedDirectory};

use crate::clock::{MS, Time};
use crate::disk::Disk;
use crate::plan::NodePlan;
use crate::sockets::{SimSockets, Socket};

/// Lanes between cores, as each core gets them.
type Lanes = (Vec<Option<Outlet<Parcel<Socket>>>>, Vec<Inlet<Parcel<Socket>>>);

/// Whether something that is stepped has a step ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Its next step is entered in the schedule.
    Running,
    /// It sleeps, and nothing has woken it.
    Asleep,
    /// It was woken, and its next step is entered in the schedule.
    Woken,
}

/// A core, and when it goes on.
pub(crate) struct CoreSlot {
    /// None once it has ended in order.
    pub(crate) core: Option<CoreLoop<SimSockets>>,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) pace: Pace,
    /// The time of its next step; events for other times are outdated.
    pub(crate) due: Time,
    /// The latest timer in the schedule.
    pub(crate) timer: Time,
    /// It isn't run before this time.
    pub(crate) stalled_until: Time,
    /// The level of overload at its last turn.
    pub(crate) level: u64,
}

/// Where the journal is in its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Nothing is taken.
    Idle,
    /// Taken, and not yet committed.
    Taken,
    /// Committed, and not yet told.
    Committed,
    /// Told, as far as there was room.
    Telling,
}

/// What a step of the journal led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JournalStep {
    /// It sleeps.
    Sleeps,
    /// It goes on from here.
    GoesOn(Round),
    /// A commit was made.
    Committed,
    /// It waits for the drain.
    WaitsForDrain,
    /// The node stops and nothing is left to store.
    Ends,
}

/// A job on its way through the workers.
#[derive(Debug)]
pub(crate) enum Work {
    /// Waits to be done.
    Asked(Job),
    /// Done; the answer waits to be left.
    Done(u16, Reply),
    /// Over.
    Over,
}

/// See the module's description.
pub(crate) struct Node {
    /// How many nodes there were before.
    pub(crate) run: u32,
    started: Time,
    pub(crate) cores: Vec<CoreSlot>,
    pub(crate) round: JournalRound,
    pub(crate) stage: Round,
    pub(crate) journal_bell: Arc<Doorbell>,
    pub(crate) journal_pace: Pace,
    pub(crate) journal_due: Time,
    pub(crate) journal_stalled_until: Time,
    pub(crate) is_draining: bool,
    pub(crate) committer: JournalCommitter<SimulatedDirectory>,
    pub(crate) reader: JournalReader<SimulatedDirectory, SimulatedDatabase>,
    pub(crate) drain: Drain<SimulatedDirectory, SimulatedDatabase>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) work: Vec<Work>,
    answers: Vec<Arc<Answers>>,
    stop: Arc<AtomicBool>,
    pub(crate) is_listening: bool,
}

impl Node {
    /// Opens the journal and puts the node together. `started` is now.
    pub(crate) fn start(
        run: u32,
        started: Time,
        plan: &NodePlan,
        disk: &Disk,
    ) -> Result<Self, JournalError> {
        let (committer, reader, drain) = disk.open(plan)?;
        let group_heads = by_home_core(reader.group_heads()?, plan.shard.cores);
        let stop = Arc::new(AtomicBool::new(false));
        let count = usize::from(plan.shard.cores);
        let bell = || Arc::new(Doorbell::new().expect("an eventfd"));
        let bells: Vec<Arc<Doorbell>> = (0..count).map(|_| bell()).collect();
        let journal_bell = bell();
        let answers: Vec<Arc<Answers>> = bells
            .iter()
            .map(|bell| Arc::new(Answers::new(plan.answers, Arc::clone(bell))))
            .collect();
        let (jobs_in, jobs) = crossbeam_channel::bounded(plan.jobs);
        let mut journal_lanes = Vec::new();
        let mut cores = Vec::new();
        let parts = bells.iter().zip(mesh(&bells, plan.mesh_ring)).zip(group_heads);
        for (core, ((bell, lanes), group_heads)) in (0..).zip(parts) {
            let (to_journal, batches) = lane::<Batch>(plan.journal_ring, Arc::clone(&journal_bell));
            let (stored, from_journal) = lane(plan.journal_ring, Arc::clone(bell));
            journal_lanes.push(JournalLane { batches, stored });
            let answers = Arc::clone(&answers[usize::from(core)]);
            let mail =
                Mail::new(lanes.0, lanes.1, to_journal, from_journal, jobs_in.clone(), answers);
            let config = ShardConfig { core, ..plan.shard.clone() };
            let mut shard = Shard::new(config, Now::default());
            shard.know_group_heads(group_heads);
            let parts = CoreParts {
                core,
                shard,
                mail,
                doorbell: Arc::clone(bell),
                stop: Arc::clone(&stop),
            };
            cores.push(CoreSlot {
                core: Some(CoreLoop::new(parts, SimSockets::new(plan.sockets_max))),
                bell: Arc::clone(bell),
                pace: Pace::Running,
                due: 0,
                timer: 0,
                stalled_until: 0,
                level: 0,
            });
        }
        Ok(Node {
            run,
            started,
            cores,
            round: JournalRound::new(journal_lanes),
            stage: Round::Idle,
            journal_bell,
            journal_pace: Pace::Running,
            journal_due: 0,
            journal_stalled_until: 0,
            is_draining: false,
            committer,
            reader,
            drain,
            jobs,
            work: Vec::new(),
            answers,
            stop,
            is_listening: true,
        })
    }

    /// The clocks as the node reads them.
    pub(crate) const fn now(&self, now: Time, unix_ms: u64) -> Now {
        Now { unix_ms, mono_ms: (now - self.started) / MS }
    }

    /// The world's time of a time on the node's monotonic clock.
    pub(crate) const fn time_of(&self, mono_ms: u64) -> Time {
        mono_ms.saturating_mul(MS).saturating_add(self.started)
    }

    /// A core that has not ended.
    pub(crate) fn core(&mut self, core: u16) -> Option<&mut CoreLoop<SimSockets>> {
        self.cores.get_mut(usize::from(core))?.core.as_mut()
    }

    /// Tells all cores to stop, as a signal does.
    pub(crate) fn begin_stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.cores.iter().for_each(|slot| slot.bell.ring());
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether all cores have ended in order.
    pub(crate) fn are_cores_done(&self) -> bool {
        self.cores.iter().all(|slot| slot.core.is_none())
    }

    /// One step of the journal's thread.
    pub(crate) fn journal_step(&mut self) -> Result<JournalStep, JournalError> {
        match self.stage {
            Round::Idle => Ok(self.take()),
            Round::Taken if self.committer.would_wait(self.round.writes()) => {
                Ok(JournalStep::WaitsForDrain)
            }
            Round::Taken => {
                self.round.commit(&mut self.committer)?;
                self.stage = Round::Committed;
                Ok(JournalStep::Committed)
            }
            Round::Committed | Round::Telling => {
                if self.stage == Round::Committed {
                    self.round.confirm();
                }
                self.stage = if self.round.flush() { Round::Idle } else { Round::Telling };
                Ok(JournalStep::GoesOn(self.stage))
            }
        }
    }

    fn take(&mut self) -> JournalStep {
        if self.round.take() {
            self.stage = Round::Taken;
            return JournalStep::GoesOn(Round::Taken);
        }
        if self.are_cores_done() {
            return JournalStep::Ends;
        }
        self.journal_bell.about_to_sleep();
        if self.round.is_idle() {
            return JournalStep::Sleeps;
        }
        self.journal_bell.awake();
        JournalStep::GoesOn(Round::Idle)
    }

    /// Takes the jobs that the cores handed over; returns their numbers.
    pub(crate) fn take_jobs(&mut self) -> std::ops::Range<u32> {
        let first = self.work.len() as u32;
        self.work.extend(self.jobs.try_iter().map(Work::Asked));
        first..self.work.len() as u32
    }

    /// Leaves an answer; gives it back if there is no room.
    #[allow(clippy::result_large_err)] // what is given back is what was given
    pub(crate) fn answer(&self, core: u16, reply: Reply) -> Result<(), Reply> {
        self.answers[usize::from(core)].offer(reply)
    }

    /// What the shards of the cores that have not ended counted.
    pub(crate) fn counters(&self) -> impl Iterator<Item = &Counters> {
        self.cores.iter().filter_map(|slot| Some(slot.core.as_ref()?.parts().shard.counters()))
    }

    /// A thread that sleeps though something waits for it and its bell wasn't rung, if there is one.
    pub(crate) fn unwoken(&self) -> Option<String> {
        for (core, slot) in self.cores.iter().enumerate() {
            let has_mail = slot.core.as_ref().is_some_and(|core| !core.parts().mail.is_empty());
            if slot.pace == Pace::Asleep && has_mail && !slot.bell.was_rung() {
                return Some(format!("core {core}"));
            }
        }
        let is_asleep = self.journal_pace == Pace::Asleep && !self.journal_bell.was_rung();
        (is_asleep && !self.round.is_idle()).then(|| "the journal".to_owned())
    }

    /// Says that a core sleeps, and for how long it may.
    pub(crate) fn rest(&mut self, core: u16) -> Option<Rest> {
        Some(self.core(core)?.rest())
    }
}

/// A lane for every ordered pair of distinct cores.
fn mesh(bells: &[Arc<Doorbell>], capacity: usize) -> Vec<Lanes> {
    let mut cores: Vec<Lanes> = bells.iter().map(|_| (Vec::new(), Vec::new())).collect();
    for from in 0..bells.len() {
        for (to, bell) in bells.iter().enumerate() {
            if from == to {
                cores[from].0.push(None);
            } else {
                let (outlet, inlet) = lane(capacity, Arc::clone(bell));
                cores[from].0.push(Some(outlet));
                cores[to].1.push(inlet);
            }
        }
    }
    cores
}
