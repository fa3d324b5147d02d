//! A run: rounds of load and faults, then the end in which everything must come to rest.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::device::{Device, Role};
use crate::failure::Failure;
use crate::fault::Fault;
use crate::limits::{CAMPAIGN_STEP, DEATHS_MAX, DEVICE_STACK_BYTES, QUIET, TAKE_NOTE};
use crate::server::{Server, ServerOptions};
use crate::world::{Phase, World};

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds of load, each of which ends with a fault.
    pub rounds: u32,
    /// Users.
    pub users: u64,
    /// Devices of each user.
    pub devices: u64,
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
    /// The server.
    pub server: ServerOptions,
    /// Set by ctrl-C.
    pub interrupted: Arc<AtomicBool>,
}

/// What a run did. What came of it is in the histories.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How often the server was killed.
    pub kills: u64,
    /// What the server did wrong as a process.
    pub complaints: Vec<String>,
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Result<Outcome, Failure> {
    let world = Arc::new(World::new(plan.histories.clone(), (plan.users * plan.devices) as usize));
    let devices = Devices::start(plan, &world)?;
    let diary = File::create_new(&plan.diary).map_err(Failure::system("creating campaign.log"))?;
    let (rng, outcome) = (Rng::with_seed(plan.seed), Outcome::default());
    let mut campaign = Campaign { plan, world, devices, server: None, diary, rng, outcome };
    campaign.run()?;
    Ok(campaign.outcome)
}

/// See the module's description.
#[derive(Debug)]
pub struct Campaign<'a> {
    plan: &'a Plan,
    world: Arc<World>,
    devices: Devices,
    server: Option<Server>,
    diary: File,
    rng: Rng,
    outcome: Outcome,
}

impl Campaign<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        self.start_server()?;
        for round in 1..=self.plan.rounds {
            self.world.begin_round();
            let load = self.plan.round.mul_f64(0.3 + 1.4 * self.rng.f64());
            self.pause(load)?;
            let fault = Fault::draw(&mut self.rng);
            self.inflict(fault)?;
            let (ticked, shown) = self.world.counts();
            eprintln!(
                "round {round} of {}: {:.1} s of load, {fault}; so far {ticked} ticked, {shown} shown",
                self.plan.rounds,
                load.as_secs_f64()
            );
        }
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

    fn inflict(&mut self, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::Kill { down } => {
                self.kill_server()?;
                self.pause(down)?;
            }
            Fault::KillTwice { down, after } => {
                self.kill_server()?;
                self.pause(down)?;
                self.start_server_for(after)?;
                self.kill_server()?;
                self.pause(down)?;
            }
        }
        self.start_server()
    }

    fn start_server(&mut self) -> Result<(), Failure> {
        let server = self.server.insert(Server::start(&self.plan.server)?);
        let address = server.wait_until_ready(&self.plan.interrupted)?;
        self.note("ready")?;
        self.world.set_server(Some(address));
        Ok(())
    }

    /// Adds a line to the diary.
    fn note(&mut self, what: &str) -> Result<(), Failure> {
        let (sequence, elapsed_us) = self.world.next_line();
        writeln!(self.diary, "{sequence} {elapsed_us} {what}")
            .map_err(Failure::system("writing campaign.log"))
    }

    /// Starts the server, which has so long to become ready and to be found by the devices.
    fn start_server_for(&mut self, time: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + time;
        let server = self.server.insert(Server::start(&self.plan.server)?);
        if let Some(address) = server.ready_within(time)? {
            self.world.set_server(Some(address));
            self.pause(deadline.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
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
        if let Some(server) = self.server.take() {
            self.note("stop")?;
            self.outcome.complaints.extend(server.stop()?);
        }
        Ok(())
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
            if self.plan.interrupted.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            self.devices.check()?;
            self.revive_server()?;
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            thread::sleep(rest.min(CAMPAIGN_STEP));
        }
    }

    fn revive_server(&mut self) -> Result<(), Failure> {
        let Some(death) = self.server.as_mut().and_then(Server::death) else { return Ok(()) };
        self.note("death")?;
        self.server = None;
        self.world.set_server(None);
        if self.outcome.complaints.len() >= DEATHS_MAX {
            return Err(Failure::Server(format!("{death}\nit did so {DEATHS_MAX} times before")));
        }
        eprintln!("{death}");
        self.outcome.complaints.push(death);
        self.start_server()
    }
}

/// The threads of the devices. Dropping it ends them.
#[derive(Debug)]
struct Devices {
    world: Arc<World>,
    threads: Vec<JoinHandle<Result<(), Failure>>>,
}

impl Devices {
    fn start(plan: &Plan, world: &Arc<World>) -> Result<Devices, Failure> {
        let mut devices = Devices { world: Arc::clone(world), threads: Vec::new() };
        for role in roles(plan) {
            let name = format!("device {}.{}", role.user, role.device);
            let device = Device::new(role, Arc::clone(world))
                .map_err(Failure::system("creating the history of a device"))?;
            let thread = thread::Builder::new().name(name).stack_size(DEVICE_STACK_BYTES);
            let thread = thread
                .spawn(move || device.run())
                .map_err(Failure::system("starting a device's thread; try fewer users"))?;
            devices.threads.push(thread);
        }
        Ok(devices)
    }

    /// Fails if a device did.
    fn check(&mut self) -> Result<(), Failure> {
        while let Some(index) = self.threads.iter().position(JoinHandle::is_finished) {
            join(self.threads.swap_remove(index))?;
        }
        Ok(())
    }

    /// Waits until all have ended.
    fn join(&mut self) -> Result<(), Failure> {
        let results: Vec<_> = self.threads.drain(..).map(join).collect();
        results.into_iter().collect()
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.world.set_phase(Phase::End);
        // On the way out of an error, which is the one to report.
        let _ = self.join();
    }
}

fn join(thread: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    thread.join().unwrap_or(Err(Failure::Panic))
}

/// Who takes part. Everyone has a few peers, who write back; of every third user the last device
/// logs in late.
fn roles(plan: &Plan) -> Vec<Role> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut roles = Vec::new();
    for user in 1..=plan.users {
        for device in 1..=plan.devices {
            let is_late = device == plan.devices && device > 1 && user % 3 == 0;
            roles.push(Role {
                index: roles.len(),
                user,
                device,
                peers: peers(user, plan.users),
                joins_in: if is_late { rng.u32(2..=2 + plan.rounds / 2) } else { 0 },
                seed: rng.u64(..),
            });
        }
    }
    roles
}

/// The users at these distances on a ring, in both directions.
fn peers(user: u64, users: u64) -> Vec<u64> {
    let distances = [1, 7, users / 2];
    let at = |distance: u64| (user - 1 + distance) % users + 1;
    let mut peers: Vec<u64> = distances
        .iter()
        .flat_map(|&distance| [at(distance % users), at(users - distance % users)])
        .filter(|&peer| peer != user)
        .collect();
    peers.sort_unstable();
    peers.dedup();
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_peers_who_write_back() {
        for users in 2..50 {
            for user in 1..=users {
                let own = peers(user, users);
                assert!(!own.is_empty() && !own.contains(&user), "{user} of {users}");
                assert!(own.iter().all(|&peer| peers(peer, users).contains(&user)));
                assert!(own.iter().all(|peer| (1..=users).contains(peer)));
            }
        }
    }
}
