//! What a seed chooses: how large the world is, how the node is set up, what breaks and how often.

use fulmar::limits::OUTPUT_HIGH_BYTES;
use fulmar::shard::{Retention, ShardConfig};
use fulmar::storage::Durability;
use fulmar_protocol::limits::BODY_BYTES_MAX;

use crate::clock::{MS, SECOND, Time};
use crate::dice::Dice;
use crate::network::Quality;

/// Kinds of trouble, each of which can be left out of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Trouble {
    /// The node is killed, its machine loses power, it is stopped, its commits fail.
    Crashes,
    /// The node's settings change between its runs.
    Changes,
    /// Cores and the journal stall.
    Stalls,
    /// Connections break, vanish and stall.
    Network,
    /// Devices crash, go away and lose their stores.
    Devices,
    /// The wall clock jumps.
    Clock,
    /// Clients misbehave.
    Rogues,
    /// Messages expire after a short time.
    Expiry,
    /// Inboxes are small.
    Quota,
    /// Bodies are large.
    Large,
    /// People have groups.
    Groups,
    /// People edit and delete messages, react to them, and mention others.
    Contents,
    /// People send messages that disappear.
    Disappearing,
    /// People keep contacts, settings and stars.
    Books,
    /// People block each other.
    Blocks,
    /// People fetch what lies behind their devices' cursors.
    Past,
    /// People have profiles and usernames, and say who may see what.
    Profiles,
    /// People are there or not, watch each other, and are seen to write.
    Presence,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Trouble; 18] = [
        Trouble::Crashes,
        Trouble::Changes,
        Trouble::Stalls,
        Trouble::Network,
        Trouble::Devices,
        Trouble::Clock,
        Trouble::Rogues,
        Trouble::Expiry,
        Trouble::Quota,
        Trouble::Large,
        Trouble::Groups,
        Trouble::Contents,
        Trouble::Disappearing,
        Trouble::Books,
        Trouble::Blocks,
        Trouble::Past,
        Trouble::Profiles,
        Trouble::Presence,
    ];
}

/// What is asked for instead of what the seed would choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Well-behaved users.
    pub users: Option<u32>,
    /// Most devices of a user.
    pub devices: Option<u32>,
    /// Cores at the beginning.
    pub cores: Option<u16>,
    /// Things that people do, all together.
    pub steps: Option<u64>,
    /// How long people act and things break, in virtual seconds.
    pub span: Option<u64>,
    /// What is left out.
    pub without: Vec<Trouble>,
}

/// How often each fault comes: the mean pause between two, 0 for never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) kill: Time,
    pub(crate) power_cut: Time,
    pub(crate) clean_stop: Time,
    pub(crate) core_stall: Time,
    pub(crate) journal_stall: Time,
    pub(crate) cut: Time,
    pub(crate) vanish: Time,
    pub(crate) roam: Time,
    pub(crate) reader_stall: Time,
    pub(crate) device_crash: Time,
    pub(crate) device_away: Time,
    pub(crate) reinstall: Time,
    pub(crate) clock_jump: Time,
    pub(crate) burst: Time,
    pub(crate) twin: Time,
    /// One commit in so many fails.
    pub(crate) commit_fails_once_in: u64,
    /// One start of the node in so many is cut short.
    pub(crate) recovery_fails_once_in: u64,
    /// Whether the wall clock may go back.
    pub(crate) goes_back: bool,
    /// Whether the node promises to survive power cuts.
    pub(crate) allows_power_cuts: bool,
}

/// The node's parts that a seed sets.
#[derive(Debug, Clone)]
pub(crate) struct NodePlan {
    pub(crate) shard: ShardConfig,
    pub(crate) durability: Durability,
    pub(crate) mesh_ring: usize,
    pub(crate) journal_ring: usize,
    pub(crate) jobs: usize,
    pub(crate) answers: usize,
    pub(crate) sockets_max: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) segments_kept: usize,
    /// Mean time of a commit.
    pub(crate) commit: Time,
    /// Mean time of a read.
    pub(crate) read: Time,
}

/// See the module's description.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) users: u32,
    pub(crate) devices: u32,
    pub(crate) rogues: u32,
    pub(crate) steps: u64,
    /// When people stop and nothing breaks any more.
    pub(crate) chaos: Time,
    /// Mean pause between two things that a person does on a device.
    pub(crate) person: Time,
    pub(crate) rogue: Time,
    pub(crate) large_percent: u64,
    pub(crate) body_bytes: u64,
    pub(crate) quality: Quality,
    /// Mean time of a commit of a device's store.
    pub(crate) store: Time,
    pub(crate) node: NodePlan,
    pub(crate) faults: Faults,
    pub(crate) changes_settings: bool,
    /// Devices that stay away until the trouble is over, in percent.
    pub(crate) away_percent: u64,
    /// Of users with several devices: those that are lost in the end, in percent.
    pub(crate) lost_percent: u64,
    pub(crate) uses_tokens: bool,
    /// Groups that a device makes or is in before it makes no more; 0 where there are none.
    pub(crate) groups: u64,
    /// What people do in groups, in percent of all.
    pub(crate) group_percent: u64,
    /// What people do to messages that are there, in percent of all.
    pub(crate) content_percent: u64,
    /// Messages that disappear, in percent of those in conversations that don't have a timer.
    pub(crate) fading_percent: u64,
    /// What people do with their books, in percent of all.
    pub(crate) book_percent: u64,
    /// One thing of so many that people do is to block somebody, or to take that back; 0 for none.
    pub(crate) block_once_in: u64,
    /// One thing of so many that people do is to fetch something of the past; 0 for none.
    pub(crate) past_once_in: u64,
    /// What people do with their profiles, usernames and privacy, in percent of all.
    pub(crate) profile_percent: u64,
    /// What people do to be seen, and to see others, in percent of all.
    pub(crate) presence_percent: u64,
    /// Some people go, once everything is at rest, and come back before the last login.
    pub(crate) parts: bool,
}

/// Messages that the people of a world write, at most by this rate: what a world costs.
const MESSAGES_PER_SECOND: u64 = 400;

impl Plan {
    pub(crate) fn new(seed: u64, wishes: &Wishes) -> Self {
        let dice = &mut Dice::new(seed, 1);
        let has = |trouble| !wishes.without.contains(&trouble);
        let users = match dice.below(10) {
            0..=3 => dice.between(2..=6),
            4..=7 => dice.between(5..=40),
            _ => dice.between(40..=150),
        } as u32;
        let devices = dice.between(1..=4) as u32;
        let seconds = dice.between(30..=150);
        let users = wishes.users.unwrap_or(users).max(1);
        let devices = wishes.devices.unwrap_or(devices).max(1);
        let population = u64::from(users * devices.div_ceil(2));
        let fastest = (population * SECOND / MESSAGES_PER_SECOND).max(20 * MS);
        let person = dice.magnitude(fastest..=(20 * SECOND).max(fastest));
        let rogues = dice.below(9) as u32;
        let mut node = NodePlan::new(dice, wishes);
        if dice.percent(15) {
            // Room for everybody, but for little else.
            node.sockets_max = users * devices + dice.below(6) as u32;
        }
        // The dice of groups are their own: what a seed means besides them stays.
        let of_groups = &mut Dice::new(seed, 8);
        let (groups, group_percent) = if has(Trouble::Groups) && of_groups.percent(70) {
            node.plan_groups(of_groups, wishes);
            (of_groups.between(1..=8), of_groups.pick(&[10, 30, 60, 90]))
        } else {
            (0, 0)
        };
        // And so are those of each thing that people learned later.
        let of_contents = &mut Dice::new(seed, 9);
        let content_percent = if has(Trouble::Contents) && of_contents.percent(60) {
            if of_contents.percent(50) {
                node.shard.edit_max_age_ms = of_contents.magnitude(1_000..=120_000);
            }
            of_contents.pick(&[5, 20, 50])
        } else {
            0
        };
        let of_fading = &mut Dice::new(seed, 11);
        let fading_percent = if has(Trouble::Disappearing) && of_fading.percent(40) {
            of_fading.pick(&[5, 20, 60])
        } else {
            0
        };
        let of_books = &mut Dice::new(seed, 13);
        let book_percent = if has(Trouble::Books) && of_books.percent(40) {
            of_books.pick(&[3, 10, 30])
        } else {
            0
        };
        let of_blocks = &mut Dice::new(seed, 15);
        let block_once_in = if has(Trouble::Blocks) && of_blocks.percent(35) {
            of_blocks.pick(&[20, 100, 400])
        } else {
            0
        };
        let of_past = &mut Dice::new(seed, 17);
        let past_once_in = if has(Trouble::Past) && of_past.percent(40) {
            of_past.pick(&[20, 60, 200])
        } else {
            0
        };
        let of_profiles = &mut Dice::new(seed, 19);
        let profile_percent = if has(Trouble::Profiles) && of_profiles.percent(40) {
            of_profiles.pick(&[3, 10, 30])
        } else {
            0
        };
        let of_presence = &mut Dice::new(seed, 21);
        let presence_percent = if has(Trouble::Presence) && of_presence.percent(45) {
            node.shard.presence_interval_ms = of_presence.pick(&[5_000, 5_000, 10_000, 30_000]);
            of_presence.pick(&[3, 10, 30])
        } else {
            0
        };
        Plan {
            seed,
            users,
            devices,
            rogues: if has(Trouble::Rogues) { rogues } else { 0 },
            steps: wishes.steps.unwrap_or(u64::MAX),
            chaos: wishes.span.unwrap_or(seconds) * SECOND,
            person,
            rogue: dice.magnitude(20 * MS..=5 * SECOND),
            large_percent: if has(Trouble::Large) { dice.pick(&[0, 1, 1, 3, 10]) } else { 0 },
            body_bytes: dice.magnitude(16..=2_000),
            quality: Quality {
                latency_max: dice.magnitude(100..=100 * MS),
                capacity: dice.pick(&[(300, 5_000), (5_000, 100_000), (20_000, 400_000)]),
                late_once_in: if has(Trouble::Network) { dice.pick(&[0, 1_000, 100]) } else { 0 },
                split_once_in: dice.pick(&[100, 20, 5, 2]),
            },
            store: dice.magnitude(200..=30 * MS),
            faults: Faults::new(dice, wishes, node.durability),
            node,
            changes_settings: has(Trouble::Changes) && dice.percent(70),
            away_percent: if has(Trouble::Devices) { dice.pick(&[0, 0, 10, 30]) } else { 0 },
            lost_percent: if has(Trouble::Devices) { dice.pick(&[0, 0, 0, 10]) } else { 0 },
            uses_tokens: dice.percent(50),
            groups,
            group_percent,
            content_percent,
            fading_percent,
            book_percent,
            block_once_in,
            past_once_in,
            profile_percent,
            presence_percent,
            parts: groups > 0 && Dice::new(seed, 23).once_in(4),
        }
    }
}

impl NodePlan {
    fn new(dice: &mut Dice, wishes: &Wishes) -> Self {
        let cores = wishes.cores.unwrap_or(dice.between(1..=4) as u16).clamp(1, 8);
        let mut shard = ShardConfig::new(0, cores);
        if dice.percent(30) {
            shard.retention = Retention::History;
        }
        let is_short = dice.percent(35);
        let expiry_ms = dice.magnitude(4_000..=120_000);
        if is_short && !wishes.without.contains(&Trouble::Expiry) {
            shard.expiry_ms = expiry_ms;
        }
        let is_small = dice.percent(40);
        let quota = (dice.magnitude(5..=1_000), dice.magnitude(20_000..=5_000_000));
        if is_small && !wishes.without.contains(&Trouble::Quota) {
            (shard.quota_messages, shard.quota_bytes) = quota;
        }
        if dice.percent(70) {
            shard.window_messages = dice.magnitude(1..=128) as u32;
            shard.window_bytes = dice.magnitude(100..=128 * 1024);
            shard.sends_max = dice.magnitude(1..=128) as u32;
        }
        shard.idle_s = dice.magnitude(10..=300);
        shard.body_bytes_max = dice.pick(&[BODY_BYTES_MAX as u64, 40_000]);
        shard.devices_max = dice.pick(&[16, 5]);
        if dice.percent(40) {
            shard.users_warm_max = dice.magnitude(1..=30) as usize;
            shard.conversations_warm_max = dice.magnitude(1..=100) as usize;
        }
        if dice.percent(30) {
            shard.output_high_bytes = dice.magnitude(500..=OUTPUT_HIGH_BYTES as u64) as usize;
        }
        let is_os = dice.percent(25);
        NodePlan {
            shard,
            durability: if is_os { Durability::Os } else { Durability::Fsync },
            mesh_ring: dice.magnitude(1..=256) as usize,
            journal_ring: dice.magnitude(1..=64) as usize,
            jobs: dice.magnitude(1..=256) as usize,
            answers: dice.magnitude(1..=256) as usize,
            sockets_max: 10_000,
            segment_bytes: dice.magnitude(64 << 10..=1 << 20),
            segments_kept: dice.between(0..=2) as usize,
            commit: dice.magnitude(200..=20 * MS),
            read: dice.magnitude(50..=50 * MS),
        }
    }

    /// Bounds of groups.
    fn plan_groups(&mut self, dice: &mut Dice, wishes: &Wishes) {
        if dice.percent(30) {
            self.shard.group_members_max = dice.between(2..=12) as usize;
        }
        if dice.percent(30) {
            self.shard.groups_warm_max = dice.magnitude(1..=30) as usize;
        }
        let quota = (dice.magnitude(5..=1_000), dice.magnitude(20_000..=5_000_000));
        if dice.percent(20) && !wishes.without.contains(&Trouble::Quota) {
            (self.shard.group_quota_messages, self.shard.group_quota_bytes) = quota;
        }
    }

    /// What an operator may change between two runs of the node.
    pub(crate) fn change(&mut self, dice: &mut Dice) {
        match dice.below(8) {
            0 | 1 => self.shard.cores = dice.between(1..=4) as u16,
            2 => {
                self.shard.retention = match self.shard.retention {
                    Retention::Temporary => Retention::History,
                    Retention::History => Retention::Temporary,
                }
            }
            3 => {
                self.shard.window_messages = dice.magnitude(1..=128) as u32;
                self.shard.sends_max = dice.magnitude(1..=128) as u32;
            }
            4 => self.shard.quota_messages = dice.magnitude(20..=10_000),
            5 => self.change_bounds(dice),
            _ => self.segment_bytes = dice.magnitude(64 << 10..=1 << 20),
        }
    }

    /// Those bounds that this world has made small.
    fn change_bounds(&mut self, dice: &mut Dice) {
        let usual = ShardConfig::new(0, 1);
        let shard = &mut self.shard;
        if shard.expiry_ms != usual.expiry_ms {
            shard.expiry_ms = dice.magnitude(4_000..=120_000);
        }
        if shard.quota_bytes != usual.quota_bytes {
            shard.quota_bytes = dice.magnitude(20_000..=5_000_000);
        }
        if shard.group_quota_messages != usual.group_quota_messages {
            shard.group_quota_messages = dice.magnitude(5..=1_000);
            shard.group_quota_bytes = dice.magnitude(20_000..=5_000_000);
        }
        if shard.group_members_max != usual.group_members_max {
            shard.group_members_max = dice.between(2..=12) as usize;
        }
    }
}

impl Faults {
    /// Leaves what ends no session, so that what goes wrong within one isn't mended by the next.
    const fn keep_sessions(&mut self) {
        (self.kill, self.power_cut, self.clean_stop) = (0, 0, 0);
        (self.cut, self.vanish, self.roam, self.twin) = (0, 0, 0, 0);
        (self.device_crash, self.device_away, self.reinstall) = (0, 0, 0);
        (self.commit_fails_once_in, self.recovery_fails_once_in) = (0, 0);
    }

    /// Each kind comes often, now and then, or not at all.
    fn new(dice: &mut Dice, wishes: &Wishes, durability: Durability) -> Self {
        let mut mean = |trouble: Trouble, often: Time| {
            let mean = dice.pick(&[0, often * 5, often * 2, often]);
            if wishes.without.contains(&trouble) { 0 } else { mean }
        };
        let mut faults = Faults {
            kill: mean(Trouble::Crashes, 6 * SECOND),
            power_cut: mean(Trouble::Crashes, 6 * SECOND),
            clean_stop: mean(Trouble::Crashes, 15 * SECOND),
            core_stall: mean(Trouble::Stalls, 3 * SECOND),
            journal_stall: mean(Trouble::Stalls, 6 * SECOND),
            cut: mean(Trouble::Network, 500 * MS),
            vanish: mean(Trouble::Network, 3 * SECOND),
            roam: mean(Trouble::Network, 2 * SECOND),
            reader_stall: mean(Trouble::Network, 2 * SECOND),
            device_crash: mean(Trouble::Devices, SECOND),
            device_away: mean(Trouble::Devices, 2 * SECOND),
            reinstall: mean(Trouble::Devices, 10 * SECOND),
            clock_jump: mean(Trouble::Clock, 10 * SECOND),
            burst: mean(Trouble::Large, 5 * SECOND),
            twin: mean(Trouble::Rogues, 4 * SECOND),
            commit_fails_once_in: 0,
            recovery_fails_once_in: 0,
            goes_back: false,
            allows_power_cuts: durability == Durability::Fsync,
        };
        if !faults.allows_power_cuts {
            faults.power_cut = 0;
        }
        if !wishes.without.contains(&Trouble::Crashes) {
            faults.commit_fails_once_in = dice.pick(&[0, 5_000, 1_000]);
            faults.recovery_fails_once_in = dice.pick(&[0, 5, 2]);
        }
        faults.goes_back = dice.percent(50);
        if faults.goes_back && faults.clock_jump > 0 {
            // Numbers of a fresh store start at the clock, which then may not go back.
            faults.reinstall = 0;
        }
        if dice.percent(15) {
            faults.keep_sessions();
        }
        faults
    }
}
