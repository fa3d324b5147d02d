//! The shards of a node under any course of events.
//!
//! A script connects devices, sends, acknowledges, breaks off, speaks nonsense, and decides when
//! commits, loads, letters between cores and verdicts on tokens arrive and when the process ends.
//! Everything that a client is told is judged by what was said and committed ([`facts`], [`ledger`],
//! [`line`]). At the end all that was held back happens, and then nobody may still wait for anything.

mod core;
mod facts;
mod ledger;
mod line;
mod steps;
mod world;

use std::collections::BTreeMap;

use fulmar::shard::{DeviceId, GroupId, Retention, ShardConfig, UserId};
use fulmar_protocol::limits::RESUME_MAX;
use fulmar_protocol::{Frame, Hello, Pairs, VERSION};

use crate::script::Script;
use facts::{Facts, Target};
use world::{Holds, World};

pub(crate) use steps::Step;

/// Steps of a script that are looked at.
const STEPS_MAX: usize = 160;
/// Rounds of acknowledgements in which everything that is stored is delivered.
const ROUNDS_MAX: usize = 10_000;
/// Time in which cursors are stored and held receipts are told.
const REST_MS: u64 = 1_000;

/// What a device remembers over its connections.
#[derive(Debug, Default)]
struct Phone {
    number_last: u64,
    /// The last things that it sent.
    sent: Vec<Sent>,
}

/// A message or a change.
#[derive(Debug)]
struct Sent {
    to: Target,
    number: u64,
    content: u8,
    body: Vec<u8>,
}

/// A node and the devices that use it.
struct Course {
    world: World,
    phones: BTreeMap<(UserId, DeviceId), Phone>,
}

/// See the module's description.
pub fn shard(data: &[u8]) {
    let mut script = Script::new(data);
    let mut course = Course { world: World::new(settings(&mut script)), phones: BTreeMap::new() };
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        course.step(&mut script);
        course.world.settle();
    }
    course.come_to_rest();
    course.deliver_everything();
    course.stop();
}

/// The settings of a node, small enough that their bounds are met.
fn settings(script: &mut Script<'_>) -> ShardConfig {
    let first = script.byte();
    let cores = 1 + u16::from(first & 1);
    let is_small = |bit: u8| first >> bit & 1 == 1;
    let defaults = ShardConfig::new(0, cores);
    let bits = script.byte();
    let either = |bit: u8, small: u64, usual: u64| if bits >> bit & 1 == 1 { small } else { usual };
    ShardConfig {
        retention: if bits & 1 == 1 { Retention::History } else { Retention::Temporary },
        expiry_ms: either(1, 30_000, defaults.expiry_ms),
        quota_messages: either(2, 4, defaults.quota_messages),
        quota_bytes: either(3, 40_000, defaults.quota_bytes),
        devices_max: either(4, 2, defaults.devices_max as u64) as usize,
        body_bytes_max: either(5, 20_000, defaults.body_bytes_max),
        window_bytes: either(6, 4_096, defaults.window_bytes),
        unsigned_users: bits >> 7 == 0,
        window_messages: 1 + u32::from(script.byte()),
        sends_max: 1 + u32::from(script.byte() % 128),
        group_quota_messages: if is_small(1) { 5 } else { defaults.group_quota_messages },
        group_members_max: if is_small(2) { 3 } else { defaults.group_members_max },
        edit_max_age_ms: if is_small(3) { 60_000 } else { defaults.edit_max_age_ms },
        users_warm_max: if is_small(4) { 1 } else { defaults.users_warm_max },
        conversations_warm_max: if is_small(4) { 1 } else { defaults.conversations_warm_max },
        groups_warm_max: if is_small(4) { 1 } else { defaults.groups_warm_max },
        ..defaults
    }
}

impl Course {
    /// Everything that was held back happens.
    fn come_to_rest(&mut self) {
        let world = &mut self.world;
        world.holds = Holds::default();
        world.lines.iter_mut().for_each(|line| line.is_stalled = false);
        world.settle();
        world.pass(REST_MS, 250);
        for line in world.lines.iter().filter(|line| line.is_online()) {
            assert!(line.outgoing.is_empty(), "it waits to be read for nothing");
            line.check_answered();
        }
    }

    /// Every device that the server knows comes back and takes what there is.
    fn deliver_everything(&mut self) {
        if self.world.is_stopping {
            self.check_stopped();
            self.world.crash();
        }
        for user in self.world.facts.ledger.users() {
            let devices: Vec<_> = self.world.facts.ledger.devices(user).collect();
            for (device, _) in devices {
                self.deliver_to(user, device);
            }
        }
        self.world.pass(REST_MS, 500);
        let facts = &self.world.facts;
        for user in facts.ledger.users() {
            for (device, cursor) in facts.ledger.devices(user) {
                // What has expired is left out anew at each load, whether that is stored or not.
                for position in cursor + 1..=facts.ledger.head(user) {
                    let is_settled = facts.ledger.is_expired(user, position, &facts.known);
                    assert!(is_settled, "{user}.{device} doesn't have position {position}");
                }
            }
        }
        facts.check_all_delivered();
    }

    fn deliver_to(&mut self, user: UserId, device: DeviceId) {
        let cursor = self.world.facts.acked(user, device);
        let line = self.world.connect(0);
        say_hello((user, device), cursor, b"a token", &mut self.world.lines[line].outgoing);
        self.world.settle();
        assert!(self.world.lines[line].is_online(), "{user}.{device} is welcome");
        let facts = &self.world.facts;
        let is_in = |group: &GroupId| {
            let record = facts.ledger.groups.record_of(*group);
            record.is_some_and(|record| record.active(user).is_some())
        };
        let groups: Vec<_> = facts.ledger.groups.order.iter().copied().filter(is_in).collect();
        resume_groups((user, device), &groups, facts, &mut self.world.lines[line].outgoing);
        self.world.settle();
        for _ in 0..ROUNDS_MAX {
            let at = &mut self.world.lines[line];
            let position = at.complete_through();
            if let Some(position) = position {
                Frame::Ack { position }.encode(&mut at.outgoing);
            }
            if !at.acknowledge_groups() && position.is_none() {
                self.check_groups_of((user, device), line, &groups);
                return;
            }
            self.world.settle();
        }
        panic!("{user}.{device} never has everything");
    }

    /// A device has everything of its groups.
    fn check_groups_of(&self, who: (UserId, DeviceId), line: usize, groups: &[GroupId]) {
        for &group in groups {
            let (has, head) =
                (self.world.lines[line].groups.through(group), self.world.facts.head(who.0, group));
            assert!(has >= head, "{who:?} has {has} of {group}, of {head}");
        }
    }

    /// The node stops in an orderly way.
    fn stop(&mut self) {
        self.world.shut_down();
        self.check_stopped();
    }

    fn check_stopped(&mut self) {
        self.world.settle();
        self.world.pass(5_000, 2_500);
        assert!(self.world.is_drained(), "it can't stop");
    }
}

/// Adds a hello of this version.
fn say_hello((user, device): (UserId, DeviceId), cursor: u64, token: &[u8], out: &mut Vec<u8>) {
    let hello = Hello {
        version_min: VERSION,
        version_max: VERSION,
        capabilities: 0,
        user,
        device: u64::from(device),
        token,
        agent: "fuzz",
        cursors: Pairs::Slice(&[(0, cursor)]),
    };
    Frame::Hello(hello).encode(out);
}

/// Adds where a device goes on with some groups, by its own words.
fn resume_groups(who: (UserId, DeviceId), groups: &[GroupId], facts: &Facts, out: &mut Vec<u8>) {
    let mut cursors: Vec<_> =
        groups.iter().map(|&group| (group, facts.acked_in(who, group))).collect();
    cursors.sort_unstable();
    cursors.truncate(RESUME_MAX);
    Frame::GroupResume { cursors: Pairs::Slice(&cursors) }.encode(out);
}
