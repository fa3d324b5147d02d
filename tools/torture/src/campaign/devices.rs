//! The threads of the devices, and who takes part.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use fastrand::Rng;

use super::Plan;
use crate::device::{Device, Role, Way, may_sleep};
use crate::failure::Failure;
use crate::feature::Feature;
use crate::limits::DEVICE_STACK_BYTES;
use crate::world::{Phase, World};

/// The threads of the devices. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Devices {
    world: Arc<World>,
    threads: Vec<JoinHandle<Result<(), Failure>>>,
}

impl Devices {
    pub(super) fn start(plan: &Plan, world: &Arc<World>) -> Result<Devices, Failure> {
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
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        while let Some(index) = self.threads.iter().position(JoinHandle::is_finished) {
            join(self.threads.swap_remove(index))?;
        }
        Ok(())
    }

    /// Waits until all have ended.
    pub(super) fn join(&mut self) -> Result<(), Failure> {
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
                makes: if device == 1 { makes(user, plan) } else { Vec::new() },
                way: way(user, plan),
                joins_in: if is_late { rng.u32(2..=2 + plan.rounds / 2) } else { 0 },
                seed: rng.u64(..),
            });
        }
    }
    roles
}

/// Of ten users one sleeps, unless it has groups to look after, and one is never seen.
fn way(user: u64, plan: &Plan) -> Way {
    if !plan.features.has(Feature::People) {
        Way::Usual
    } else if may_sleep(user) && makes(user, plan).is_empty() {
        Way::Asleep
    } else if user % 10 == 4 {
        Way::Unseen
    } else {
        Way::Usual
    }
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

/// Numbers of users who take turns in a group, its owner included. The last stands for all.
const GROUP_USERS: [u64; 7] = [3, 5, 8, 2, 13, 24, u64::MAX];

/// The groups that a user makes: for each, the others who take turns in it.
fn makes(user: u64, plan: &Plan) -> Vec<Vec<u64>> {
    let users = plan.users;
    let of_user = (0..plan.groups).filter(|nth| nth * 7 % users + 1 == user);
    let others = |nth: u64| {
        let count = GROUP_USERS[nth as usize % GROUP_USERS.len()].min(users) - 1;
        let mut others: Vec<u64> = (1..=count).map(|step| (user - 1 + step) % users + 1).collect();
        others.sort_unstable();
        others
    };
    of_user.map(others).collect()
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
