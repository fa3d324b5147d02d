//! A run: rounds of load and faults, then the end in which everything must come to rest.
//!
//! This file is what rounds have in common; `process`, `disk`, `damage`, `clock`, `scarcity` and
//! `network` hold the rounds.

mod clock;
mod damage;
mod devices;
mod disk;
mod network;
mod process;
mod scarcity;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use devices::Devices;

use crate::failure::Failure;
use crate::fault::{Deck, Kind};
use crate::feature::Features;
use crate::limits::{CAMPAIGN_STEP, DEATHS_MAX, QUIET, TAKE_NOTE};
use crate::machine::Machine;
use crate::machine::cable::Conditions;
use crate::machine::namespace::enter_network;
use crate::server::{Death, Server, ServerOptions};
use crate::world::{Phase, Tokens, World};

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds of load, each with a fault.
    pub rounds: u32,
    /// The faults, at least one kind.
    pub kinds: Vec<Kind>,
    /// Users.
    pub users: u64,
    /// Devices of each user.
    pub devices: u64,
    /// Groups, of different sizes; with none, the devices take no frames about groups.
    pub groups: u64,
    /// What devices do.
    pub features: Features,
    /// Mean length of a round's load.
    pub round: Duration,
    /// Longest time for everything to come to rest in the end.
    pub settle: Duration,
    /// Seed of all choices. Threads and the server run as they like, so the same seed gives the same
    /// habits, bodies and faults, not the same run.
    pub seed: u64,
    /// Where the histories are written.
    pub histories: PathBuf,
    /// Where the campaign writes down what it did to the server, in lines that are numbered together
    /// with those of the histories. For people; the checker doesn't read it.
    pub diary: PathBuf,
    /// Where copies of the data directory are tried, and removed again.
    pub copies: PathBuf,
    /// The server.
    pub server: ServerOptions,
    /// Login tokens; none where the server asks for none.
    pub tokens: Tokens,
    /// Set by ctrl-C.
    pub interrupted: Arc<AtomicBool>,
}

/// What was counted about the faults of each kind.
pub type Counts = BTreeMap<Kind, BTreeMap<&'static str, u64>>;

/// What a run did. What came of it is in the histories.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How often the server was killed.
    pub kills: u64,
    /// What was done and seen, by kind of fault.
    pub counts: Counts,
    /// What the server did wrong as a process.
    pub complaints: Vec<String>,
    /// Faults that had no effect, so that nothing was tried.
    pub untried: Vec<String>,
}

/// Runs a plan with what the machine has for it.
pub fn run(plan: &Plan, machine: Machine) -> Result<Outcome, Failure> {
    if let Some(cable) = &machine.cable {
        // Threads and processes that are started from now on are in the same network.
        enter_network(&cable.clients())
            .map_err(Failure::system("entering the clients' network"))?;
    }
    let devices = (plan.users * plan.devices) as usize;
    let (histories, tokens) = (plan.histories.clone(), plan.tokens.clone());
    let world = Arc::new(World::new(histories, devices, tokens, plan.features.clone()));
    let devices = Devices::start(plan, &world)?;
    let diary = File::create_new(&plan.diary).map_err(Failure::system("creating campaign.log"))?;
    let mut campaign = Campaign {
        plan,
        machine,
        world,
        devices,
        server: None,
        awaits_death: false,
        death: None,
        diary,
        rng: Rng::with_seed(plan.seed),
        kind: plan.kinds[0],
        outcome: Outcome::default(),
    };
    campaign.run()?;
    Ok(campaign.outcome)
}

/// See the module's description.
#[derive(Debug)]
pub struct Campaign<'a> {
    plan: &'a Plan,
    machine: Machine,
    world: Arc<World>,
    devices: Devices,
    server: Option<Server>,
    /// The server is under a fault that it must not survive.
    awaits_death: bool,
    /// How it ended then.
    death: Option<Death>,
    diary: File,
    rng: Rng,
    /// The fault of this round.
    kind: Kind,
    outcome: Outcome,
}

impl Campaign<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut deck = Deck::new(&self.plan.kinds);
        self.start_server()?;
        for round in 1..=self.plan.rounds {
            self.world.begin_round();
            self.kind = deck.deal(&mut self.rng);
            let begin = Instant::now();
            self.note(&format!("round {round} {}", self.kind))?;
            let what = self.round()?;
            self.count("rounds", 1);
            self.note(&what)?;
            let (ticked, shown) = self.world.counts();
            eprintln!(
                "round {round} of {}, {}, {:.1} s: {what}; so far {ticked} ticked, {shown} shown",
                self.plan.rounds,
                self.kind,
                begin.elapsed().as_secs_f64()
            );
        }
        self.judge_counts();
        let settled = self.settle(Phase::Drain)?;
        self.stop_server()?;
        // What isn't drained yet would come later, and nothing more could be said about it.
        if settled {
            self.start_server()?;
            self.settle(Phase::Final)?;
        }
        self.world.set_phase(Phase::End);
        self.devices.join()?;
        self.stop_server()
    }

    /// Load and the fault. The server is there afterwards, and nothing is wrong any more. Says what
    /// was done.
    fn round(&mut self) -> Result<String, Failure> {
        match self.kind {
            Kind::Kill => self.kill_round(),
            Kind::Stop => self.stop_round(),
            Kind::FullDisk => self.full_disk_round(),
            Kind::FsyncError => self.fsync_error_round(),
            Kind::TornTail => self.torn_tail_round(),
            Kind::Corrupt => self.corrupt_round(),
            Kind::Clock => self.clock_round(),
            Kind::Descriptors => self.descriptors_round(),
            Kind::Buffers => self.buffers_round(),
            Kind::Network => self.network_round(),
        }
    }

    /// Lets a part of a round's load pass.
    fn load(&mut self, share: f64) -> Result<(), Failure> {
        let length = self.plan.round.mul_f64(share * (0.3 + 1.4 * self.rng.f64()));
        self.pause(length)
    }

    /// Something between two times, in milliseconds.
    fn millis(&mut self, from: u64, through: u64) -> Duration {
        Duration::from_millis(self.rng.u64(from..=through))
    }

    /// Whether something happens that happens in one of so many cases.
    fn one_in(&mut self, cases: u8) -> bool {
        self.rng.u8(0..cases) == 0
    }

    /// Counts something about this kind of fault.
    fn count(&mut self, what: &'static str, times: u64) {
        *self.outcome.counts.entry(self.kind).or_default().entry(what).or_default() += times;
    }

    /// The server did something wrong as a process.
    fn complain(&mut self, what: &str) {
        eprintln!("{}: {what}", self.kind);
        self.outcome.complaints.push(format!("{}: {what}", self.kind));
    }

    /// Faults that were to show an effect at least once.
    fn judge_counts(&mut self) {
        for (kind, effects) in [
            (Kind::Buffers, &["enobufs"][..]),
            // The database may be the one that finds none, at once.
            (Kind::Descriptors, &["accept_errors", "ended"]),
            (Kind::Descriptors, &["turned_away"]),
            // Under load, or at a start.
            (Kind::FullDisk, &["ended", "refused"]),
            (Kind::FsyncError, &["struck"]),
        ] {
            let Some(counts) = self.outcome.counts.get(&kind) else { continue };
            if effects.iter().all(|count| counts.get(count).is_none_or(|&times| times == 0)) {
                let what = format!("{kind}: {} is 0, so nothing was tried", effects.join(" and "));
                self.outcome.untried.push(what);
            }
        }
    }

    fn start_server(&mut self) -> Result<(), Failure> {
        self.start_server_with(&self.plan.server.clone())
    }

    fn start_server_with(&mut self, options: &ServerOptions) -> Result<(), Failure> {
        match self.try_to_start(options)? {
            Ok(()) => Ok(()),
            Err(death) => Err(Failure::Server(death.describe("the server did not start"))),
        }
    }

    /// Starts the server, or says how it ended.
    fn try_to_start(&mut self, options: &ServerOptions) -> Result<Result<(), Death>, Failure> {
        let server = self.server.insert(Server::start(options)?);
        match server.wait_until_ready(&self.plan.interrupted)? {
            Ok(address) => {
                self.note("ready")?;
                self.world.set_server(Some(address));
                Ok(Ok(()))
            }
            Err(death) => {
                self.server = None;
                self.note("refused")?;
                Ok(Err(death))
            }
        }
    }

    /// Starts the server, which has so long to become ready and to be found by the devices.
    fn start_server_for(&mut self, time: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + time;
        let server = self.server.insert(Server::start(&self.plan.server)?);
        match server.ready_within(time)? {
            Ok(None) => Ok(()),
            Ok(Some(address)) => {
                self.world.set_server(Some(address));
                self.pause(deadline.saturating_duration_since(Instant::now()))
            }
            Err(death) => Err(Failure::Server(death.describe("the server did not start"))),
        }
    }

    fn kill_server(&mut self) -> Result<(), Failure> {
        self.world.set_server(None);
        if let Some(server) = self.server.take() {
            self.note("kill")?;
            server.kill().map_err(Failure::system("killing the server"))?;
            self.outcome.kills += 1;
        }
        Ok(())
    }

    /// Ends the server as an operator does.
    fn halt_server(&mut self) -> Result<(), Failure> {
        self.world.set_server(None);
        if let Some(server) = self.server.take() {
            self.note("stop")?;
            self.outcome.complaints.extend(server.stop()?);
        }
        Ok(())
    }

    fn stop_server(&mut self) -> Result<(), Failure> {
        self.world.set_phase(Phase::Stop);
        self.world.set_server(None);
        // Each device writes down what it has before it sees the goodbye.
        let deadline = Instant::now() + TAKE_NOTE;
        while self.world.phase() == Phase::Stop
            && self.world.unsettled() > 0
            && Instant::now() < deadline
        {
            self.pause(CAMPAIGN_STEP)?;
        }
        self.halt_server()
    }

    /// Goes to a phase in which everything comes to rest and waits until it has; whether it did in
    /// time. If it didn't, the histories say what is missing.
    fn settle(&mut self, phase: Phase) -> Result<bool, Failure> {
        let begin = Instant::now();
        self.world.set_phase(phase);
        while begin.elapsed() < self.plan.settle {
            self.pause(CAMPAIGN_STEP)?;
            if self.world.unsettled() == 0 && self.world.quiet() >= QUIET {
                eprintln!("all devices settled after {:.1} s", begin.elapsed().as_secs_f64());
                return Ok(true);
            }
        }
        let (unsettled, seconds) = (self.world.unsettled(), self.plan.settle.as_secs_f64());
        eprintln!("{unsettled} devices have not settled after {seconds} s");
        Ok(false)
    }

    /// Lets time pass and sees to it that everyone lives: a server that ended by itself is
    /// reported and started again.
    fn pause(&mut self, time: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + time;
        loop {
            self.look_after_all()?;
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            thread::sleep(rest.min(CAMPAIGN_STEP));
        }
    }

    /// Waits for the server to end by itself, which it must within this time.
    fn await_death(&mut self, time: Duration) -> Result<Option<Death>, Failure> {
        let deadline = Instant::now() + time;
        self.awaits_death = true;
        while self.death.is_none() && Instant::now() < deadline {
            let looked = self.look_after_all();
            if looked.is_err() {
                self.awaits_death = false;
            }
            looked?;
            thread::sleep(CAMPAIGN_STEP);
        }
        self.awaits_death = false;
        Ok(self.death.take())
    }

    fn look_after_all(&mut self) -> Result<(), Failure> {
        if self.plan.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        self.devices.check()?;
        let Some(death) = self.server.as_mut().and_then(Server::death) else { return Ok(()) };
        self.note("death")?;
        self.server = None;
        self.world.set_server(None);
        if self.awaits_death {
            self.death = Some(death);
            return Ok(());
        }
        let text = death.describe("the server ended by itself");
        if self.outcome.complaints.len() >= DEATHS_MAX {
            return Err(Failure::Server(format!("{text}\nit did so {DEATHS_MAX} times before")));
        }
        self.complain(&text);
        self.start_server()
    }

    /// Adds a line to the diary.
    fn note(&mut self, what: &str) -> Result<(), Failure> {
        let (sequence, elapsed_us) = self.world.next_line();
        writeln!(self.diary, "{sequence} {elapsed_us} {what}")
            .map_err(Failure::system("writing campaign.log"))
    }

    /// Changes what happens to packets, where there is a cable.
    fn set_conditions(&mut self, conditions: Conditions) {
        if let Some(cable) = &self.machine.cable {
            cable.set(conditions);
        }
    }
}
