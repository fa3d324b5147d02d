//! Before the last login: some people go, others write to groups, the groups come to rest in the node's memory,
//! and those who went come back. Who stayed must hear what came of what it wrote, without having asked.

use super::{CALM_MAX, Phase, World};
use crate::clock::{MS, SECOND, Time};
use crate::coverage::Happening;
use crate::schedule::Event;

/// Longer than a node keeps a group that nobody uses, and a client waits before it asks once more.
const APART: Time = 150 * SECOND;

impl World {
    /// Whether people part, in this world. Else nobody would be there, or nothing is in groups.
    pub(super) fn parts(&self) -> bool {
        self.plan.parts && self.users.len() > 1 && self.oracle.groups().next().is_some()
    }

    /// Some go; each who stays writes to a group or two.
    pub(super) fn part(&mut self) {
        let now = self.schedule.now();
        self.trace.say(now, || "everything is at rest; some go".into());
        self.phase = Phase::Apart { since: now, has_seen: false };
        self.looks = 0;
        self.oracle.part();
        let goes: Vec<bool> = self.users.iter().map(|_| self.reunion.percent(40)).collect();
        for device in 0..self.devices.len() as u32 {
            let state = &self.devices[device as usize];
            if state.is_lost {
                continue;
            }
            let at = self.users.iter().position(|user| *user == state.user);
            if at.is_some_and(|at| goes[at]) {
                let pause = APART + self.reunion.between(SECOND..=5 * SECOND);
                self.send_away(device, pause);
            } else {
                self.write_before_rest(device);
            }
        }
        self.schedule.after(APART, Event::Look);
    }

    fn write_before_rest(&mut self, device: u32) {
        for _ in 0..self.reunion.below(3) {
            let groups = &self.devices[device as usize].groups;
            if !groups.is_empty() {
                let group = self.reunion.pick(groups);
                self.write_to_group(device, group);
            }
        }
    }

    /// Those who went come back, and some of them look at what was written.
    pub(super) fn look_for_reunion(&mut self, since: Time, has_seen: bool) {
        let now = self.schedule.now();
        if now == since + APART {
            let warm = self.node.as_ref().map_or(0, |node| {
                let shards = node.cores.iter().filter_map(|slot| slot.core.as_ref());
                shards.map(|core| core.parts().shard.groups_warm()).sum::<u64>()
            });
            self.coverage.add(Happening::GroupsRested, u64::from(warm == 0));
        }
        let mut unrest = self.unrest();
        if unrest.is_empty() && !has_seen {
            self.phase = Phase::Apart { since, has_seen: true };
            self.coverage.hit(Happening::Reunion);
            for device in 0..self.devices.len() as u32 {
                for _ in 0..self.reunion.below(3) {
                    self.look_at_group(device);
                }
            }
            self.looks = 0;
            self.schedule.after(500 * MS, Event::Look);
            return;
        }
        if unrest.is_empty() {
            unrest = self.oracle.missing_group_receipts(false);
        }
        if unrest.is_empty() {
            self.begin_last_login();
        } else if now > since + APART + CALM_MAX {
            self.fail("authors who stay hear what came of it", unrest.join("; "));
        } else {
            self.look_again();
        }
    }
}
