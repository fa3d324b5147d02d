//! A world: one node with its disk, the network, devices with their people, clients that misbehave, and
//! the oracle that watches. One event happens at a time; nothing in it depends on anything but the plan.
//!
//! ```text
//! chaos: people act, things break ──► calm: everything must come to rest ──► some part ──► last login ──► verdict
//! ```
//!
//! `server` steps the node, `life` starts and ends it, `wires` moves bytes, `people` drives the devices, `groups` what people do in groups, `contents` what
//! they do to messages that are there, `fading` which ones disappear, `books` what they keep
//! for themselves, `profiles` what they show of themselves, `presence` whether they are there, `echoes` makes two connections of one, `past` what they fetch again, `rogues` what clients do that misbehave, `tricks` the same about groups, books and people, `faults` breaks things,
//! `reunion` lets people part and come back, `ending` judges the rest.

mod books;
mod contents;
mod echoes;
mod ending;
mod fading;
mod faults;
mod groups;
mod life;
mod past;
mod people;
mod presence;
mod profiles;
mod reunion;
mod rogues;
mod server;
mod tricks;
mod wires;

pub(crate) use echoes::Echo;

use fulmar_client::core::Action;

use crate::clock::{SECOND, Time, WallClock};
use crate::coverage::Coverage;
use crate::device::Device;
use crate::dice::{Dice, mix};
use crate::disk::Disk;
use crate::network::Network;
use crate::node::Node;
use crate::oracle::Oracle;
use crate::plan::{NodePlan, Plan};
use crate::rogue::Rogue;
use crate::schedule::{Event, Schedule};
use crate::trace::Trace;
use crate::verdict::{Failure, Verdict};

/// Events of a world at most: one that needs more doesn't come to rest.
const EVENTS_MAX: u64 = 40_000_000;

/// Where a world is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Chaos,
    /// Nothing breaks any more, since this time.
    Calm {
        since: Time,
    },
    /// Some went, since this time, and come back; whether they looked at what was written meanwhile.
    Apart {
        since: Time,
        has_seen: bool,
    },
    /// Everybody logged in once more, since this time.
    LastLogin {
        since: Time,
    },
    /// Everybody asks what may be seen of others, since this time.
    Asking {
        since: Time,
    },
    /// All is told; what moved last is being stored.
    Storing,
    /// Everybody went for good, since this time.
    Leaving {
        since: Time,
    },
    Over,
}

/// See the module's description.
pub(crate) struct World {
    plan: Plan,
    schedule: Schedule,
    clock: WallClock,
    trace: Trace,
    coverage: Coverage,
    network: Network,
    disk: Disk,
    node: Option<Node>,
    /// How the node is set up now.
    node_plan: NodePlan,
    run: u32,
    /// A run of the node kept messages for ever.
    was_history: bool,
    devices: Vec<Device>,
    rogues: Vec<Rogue>,
    /// User numbers of well-behaved users.
    users: Vec<u64>,
    oracle: Oracle,
    phase: Phase,
    steps_left: u64,
    looks: u32,
    /// Bodies made so far.
    serial: u64,
    /// Choices of the node's threads, of people, of faults and of rogues.
    threads: Dice,
    people: Dice,
    faults: Dice,
    mischief: Dice,
    /// Choices of people about messages that are there.
    contents: Dice,
    /// Choices of people about messages that disappear.
    fading: Dice,
    /// Choices of people about their books.
    books: Dice,
    /// Choices of people whom to block.
    blocks: Dice,
    /// Choices of people about the past.
    past: Dice,
    /// Choices of people about what they show of themselves.
    profiles: Dice,
    /// Choices of people about being there, and whom they watch.
    presence: Dice,
    /// Choices of rogues about groups, books and people.
    tricks: Dice,
    /// Choices who goes before the last login, and what the others write.
    reunion: Dice,
    actions: Vec<Action>,
    failure: Option<Failure>,
}

impl World {
    pub(crate) fn new(plan: Plan, is_printing: bool) -> Self {
        let dice = |stream| Dice::new(plan.seed, stream);
        let mut world = World {
            schedule: Schedule::default(),
            clock: WallClock::new(),
            trace: Trace::new(is_printing),
            coverage: Coverage::default(),
            network: Network::new(plan.quality, dice(2)),
            disk: Disk::new(dice(3)),
            node: None,
            node_plan: plan.node.clone(),
            run: 0,
            was_history: false,
            devices: Vec::new(),
            rogues: Vec::new(),
            users: Vec::new(),
            oracle: Oracle::new(is_printing),
            phase: Phase::Chaos,
            steps_left: plan.steps,
            looks: 0,
            serial: 0,
            threads: dice(4),
            people: dice(5),
            faults: dice(6),
            mischief: dice(7),
            contents: dice(10),
            fading: dice(12),
            books: dice(14),
            blocks: dice(16),
            past: dice(18),
            profiles: dice(20),
            presence: dice(22),
            tricks: dice(24),
            reunion: dice(26),
            actions: Vec::new(),
            failure: None,
            plan,
        };
        world.node_plan.shard.unsigned_users = !world.plan.uses_tokens;
        world.oracle.change_age(world.node_plan.shard.edit_max_age_ms);
        world.populate();
        world
    }

    /// Enters everything that begins at the beginning.
    fn populate(&mut self) {
        // Numbers that the home cores' hash spreads differently for each seed.
        let first = 1 + mix(self.plan.seed) % 1_000_000;
        self.users = (0..u64::from(self.plan.users)).map(|nth| first + nth).collect();
        for user in self.users.clone() {
            let devices = self.people.between(1..=u64::from(self.plan.devices)) as u16;
            for number in 1..=devices {
                self.oracle.device(user, number);
                self.devices.push(Device::new(user, number, self.plan.uses_tokens));
            }
        }
        self.schedule.at(0, Event::NodeStart { run: 0 });
        for device in 0..self.devices.len() as u32 {
            let is_away = self.people.percent(self.plan.away_percent);
            let state = &mut self.devices[device as usize];
            state.is_lost = state.number > 1 && self.people.percent(self.plan.lost_percent);
            if !is_away {
                let pause = self.people.below(self.plan.chaos / 3 + 1);
                let begin = if self.people.percent(70) { pause / 20 } else { pause };
                self.schedule.at(begin, Event::DeviceStart { device, process: 0 });
            }
            let pause = self.people.pause(self.plan.person);
            self.schedule.at(pause, Event::Person { device });
        }
        self.add_rogues();
        self.enter_faults();
        self.schedule.at(self.plan.chaos, Event::Look);
    }

    /// Lets everything happen, and tells what became of it.
    pub(crate) fn run(mut self) -> Verdict {
        while self.phase != Phase::Over && self.failure.is_none() {
            let Some(event) = self.schedule.next() else { break };
            self.happen(event);
            if self.oracle.failure.is_some() {
                self.failure = self.oracle.failure.take();
            } else if self.trace.events() > EVENTS_MAX {
                self.fail("a world comes to rest", "too much happens");
            }
        }
        self.verdict()
    }

    fn verdict(mut self) -> Verdict {
        self.count_node();
        self.coverage.merge(&self.oracle.coverage);
        Verdict {
            seed: self.plan.seed,
            hash: self.trace.hash(),
            events: self.trace.events(),
            messages: self.oracle.messages,
            lived: self.schedule.now(),
            coverage: self.coverage,
            failure: self.failure,
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.schedule.now();
        self.oracle.time(now);
        self.note(event);
        match event {
            Event::Core { run, core } => self.core_due(run, core),
            Event::Journal { run } => self.journal_due(run),
            Event::Drain { run } => self.drain_due(run),
            Event::Read { run, job } => self.read_due(run, job),
            Event::Answer { run, job } => self.answer_due(run, job),
            Event::Dial { conn } => self.dial_arrives(conn),
            Event::Dialed { conn, is_open } => self.dialed(conn, is_open),
            Event::Arrive { conn, way, bytes } => self.arrive(conn, way, bytes as usize),
            Event::Fin { conn, way } => self.fin_arrives(conn, way),
            Event::Written { conn, way } => self.written(conn, way),
            Event::ReadOn { conn, way } => self.read(conn, way),
            Event::Reset { conn, way } => self.reset_arrives(conn, way),
            Event::GiveUp { conn } => self.give_up(conn),
            Event::EchoEnds { device, conn } => self.echo_ends(device, conn),
            Event::DeviceTimer { device, process } => self.device_timer(device, process),
            Event::DeviceStored { device, process } => self.device_stored(device, process),
            Event::DeviceStart { device, process } => self.device_start(device, process),
            Event::Person { device } => self.person(device),
            Event::Rogue { rogue } => self.rogue_acts(rogue),
            Event::Fault { kind } => self.fault(kind),
            Event::NodeStart { run } => self.node_start(run),
            Event::Look => self.look(),
        }
    }

    /// Takes an event into the trace.
    fn note(&mut self, event: Event) {
        let now = self.schedule.now();
        let (what, numbers) = event.numbers();
        self.trace.note(now, what, numbers);
        self.trace.say(now, || format!("{event:?}"));
    }

    fn fail(&mut self, rule: &'static str, detail: impl Into<String>) {
        let at = self.schedule.now();
        self.failure.get_or_insert_with(|| Failure { rule, detail: detail.into(), at });
    }

    fn is_calm(&self) -> bool {
        self.phase != Phase::Chaos
    }

    fn unix_ms(&self) -> u64 {
        self.clock.unix_ms(self.schedule.now())
    }
}

/// Longest time from the end of all trouble until everything has come to rest.
const CALM_MAX: Time = 1_200 * SECOND;
