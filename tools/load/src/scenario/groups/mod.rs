//! Many groups of all sizes, whose members come and go.

mod churn;
mod figures;
mod sizes;

use std::collections::{BTreeSet, VecDeque};

use fulmar_protocol::{Frame, Welcome};
use serde::Serialize;

use self::churn::Churn;
use super::drain::Quiet;
use super::group::never_joined;
use super::login::Register;
use super::pace::{Due, Mark, Moment, PaceOptions, Running};
use super::talk::{Event, Talk, TalkOptions, TalkPlan, Totals};
use super::{Help, Outcome, Setting};
use crate::engine::{Links, Next, Port, Script};
use crate::failure::Failure;
use crate::limits::{DRAIN_NS_MAX, OPENING_MAX};
use crate::schedule::{Schedule, Spacing};

/// Time between the last login or change and the reading of the server's memory, in nanoseconds.
const SETTLE_NS: u64 = 500_000_000;

/// The help of `groups`.
pub const GROUPS_HELP: Help = Help {
    summary: "Many groups of all sizes, most members away, some coming and going",
    description: "\
--users people are in --groups groups of 3 to 64 members, each drawn from all: half of the groups \
have up to 5 members, one in ten more than 21, the mean is 9. --online-percent of the people are \
there and write, each to its groups in turn; all of them acknowledge what they get and report it as \
read, and authors get receipts. --churn times a second somebody who is there drops the connection, and somebody else comes \
back with one GROUP_RESUME and must get what it missed; what it had written and wasn't ticked it sends \
again.

A message counts when it was ticked and every member who is there has it. last_delivery_us is the time \
until the last of these had it, delivery_us that of each. resume_us is the time from the beginning of \
a connection, its login included, until everything that was missed has come. Checked is that each \
member who is there, or comes back, gets every message of its groups once, and all members of a group \
the same ones in the same order.

Closed loop (--rate 0): each of them keeps --window messages without a tick under way.
Open loop (--rate N): messages are meant to be sent at times that don't depend on the server, by \
somebody who is there then; latencies count from the intended time.",
};

/// Options of `groups`.
#[derive(Debug, Clone, PartialEq, Serialize, clap::Args)]
pub struct GroupsOptions {
    /// Number of people
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    pub users: u32,
    /// Number of groups
    #[arg(long, value_name = "N", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub groups: u32,
    /// How many of the people are there, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub online_percent: u32,
    /// How many leave in a second, and how many others come back
    #[arg(long, value_name = "PER_S", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub churn: u32,
    /// Closed loop: messages of a person that wait for their tick at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub window: u32,
    /// What is said in them.
    #[command(flatten)]
    #[serde(flatten)]
    pub talk: TalkOptions,
}

impl GroupsOptions {
    /// People who are there at once.
    pub(super) const fn online(&self) -> usize {
        let online = self.users as u64 * self.online_percent as u64 / 100;
        if online > 2 { online as usize } else { 2 }
    }

    /// The most connections: those, and the makers of groups who are away.
    pub(super) const fn connections(&self) -> usize {
        self.online() + OPENING_MAX
    }
}

/// Runs `groups`.
pub(super) fn run(options: &GroupsOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let users = options.users as usize;
    let mut random = fastrand::Rng::with_seed(setting.seed);
    let rooms = sizes::draw(options.groups as usize, options.users, &mut random);
    let members: usize = rooms.iter().map(Vec::len).sum();
    let owners: BTreeSet<usize> = rooms.iter().map(|room| room[0] as usize).collect();
    let plan = TalkPlan {
        users,
        rooms,
        first_user: setting.first_user,
        body_bytes: options.talk.body as usize,
        awaits_receipts: false,
        reads: options.talk.reads,
    };
    let mut engine = setting.engine(users)?;
    engine.run(&mut Register::new(0..users))?;
    let mut script = Groups {
        talk: Talk::new(plan),
        due: Due::new(users),
        churn: Churn::new(users, options.online(), &mut random),
        owners: owners.into_iter().collect(),
        visitors: 0,
        next_seat: vec![0; users],
        memory: Memory::default(),
        unsent: 0,
        phase: Phase::Idle,
        options,
        setting,
    };
    engine.run(&mut script)?;
    Ok(script.outcome(members))
}

/// The server's memory, in bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Memory {
    without_groups: Option<u64>,
    with_groups: Option<u64>,
    /// Members who were there then.
    seats_here: usize,
}

/// ```text
/// Idle ─► LoggingIn ─► Silent ─► Making ─► Joining ─► Silent ─► Running ─► Draining ─► Over
/// ```
#[derive(Debug)]
enum Phase {
    Idle,
    LoggingIn,
    /// The server's memory is read at the end of it: before there are groups, and with them.
    Silent {
        until_ns: u64,
        is_made: bool,
    },
    /// Owners make their groups; those who are away come for it and go again.
    Making,
    /// The members get what was before the first message.
    Joining(Quiet),
    Running(Running<Totals>),
    Draining {
        since_ns: u64,
        start: Mark<Totals>,
        end: Mark<Totals>,
        quiet: Quiet,
    },
    Over {
        start: Mark<Totals>,
        end: Mark<Totals>,
    },
}

struct Groups<'a> {
    talk: Talk,
    due: Due,
    churn: Churn,
    /// Who makes a group and wasn't told to.
    owners: VecDeque<usize>,
    /// Owners who are there only to make their groups.
    visitors: usize,
    /// By user: which of its groups it writes to next.
    next_seat: Vec<u32>,
    memory: Memory,
    /// Messages that were due and given up, as their author left.
    unsent: u64,
    phase: Phase,
    options: &'a GroupsOptions,
    setting: &'a Setting,
}

impl Groups<'_> {
    fn mark(&self, at_ns: u64) -> Mark<Totals> {
        let usage = self.setting.probe.usage();
        Mark { at_ns, usage, totals: self.talk.totals(), due: self.due.count() }
    }

    /// The phase after this turn.
    fn advance(&mut self, phase: Phase, links: &mut Links, now_ns: u64) -> Result<Phase, Failure> {
        let silent = |is_made| Phase::Silent { until_ns: now_ns + SETTLE_NS, is_made };
        Ok(match phase {
            Phase::Idle => {
                self.churn.here().iter().for_each(|&user| links.open(user));
                Phase::LoggingIn
            }
            Phase::LoggingIn if links.ready() == self.options.online() => silent(false),
            Phase::Silent { until_ns, is_made: false } if now_ns >= until_ns => {
                self.memory.without_groups = self.setting.probe.server_rss_bytes();
                Phase::Making
            }
            Phase::Making => {
                self.call_owners(links, now_ns);
                if self.talk.to_make() > 0 || self.visitors > 0 {
                    return Ok(Phase::Making);
                }
                Phase::Joining(self.setting.quiet(now_ns))
            }
            Phase::Joining(mut quiet) => {
                let to_join = self.talk.to_join();
                if to_join > 0 && quiet.is_quiet(to_join as u64, now_ns) {
                    return Err(never_joined(self.setting, to_join));
                }
                if to_join > 0 { Phase::Joining(quiet) } else { silent(true) }
            }
            Phase::Silent { until_ns, is_made: true } if now_ns >= until_ns => {
                self.memory.with_groups = self.setting.probe.server_rss_bytes();
                self.memory.seats_here = self.talk.seats_here();
                self.begin(links, now_ns)
            }
            Phase::Running(mut running) => {
                self.send_due(links, running.until_ns(), now_ns);
                self.change_places(links, now_ns);
                match running.turn(now_ns, || self.mark(now_ns)) {
                    Moment::Nothing => Phase::Running(running),
                    Moment::Begins(recorded_ns) => {
                        self.talk.record(recorded_ns);
                        Phase::Running(running)
                    }
                    Moment::Ends { start, end } => {
                        self.call_unanswered(links);
                        let quiet = self.setting.quiet(now_ns);
                        Phase::Draining { since_ns: now_ns, start, end, quiet }
                    }
                }
            }
            Phase::Draining { since_ns, start, end, mut quiet } => {
                if now_ns - since_ns > DRAIN_NS_MAX {
                    (0..links.len()).for_each(|user| self.give_up_due(user));
                }
                // Who came last may still be logging in.
                let are_here = self.churn.here().iter().all(|&user| links.is_ready(user));
                let is_settled = are_here && self.talk.is_settled() && self.due.count() == 0;
                if !is_settled && !quiet.is_quiet(self.talk.totals().progress(), now_ns) {
                    return Ok(Phase::Draining { since_ns, start, end, quiet });
                }
                Phase::Over { start, end }
            }
            phase => phase,
        })
    }

    /// Lets the owners make their groups, not all of those who are away at once.
    fn call_owners(&mut self, links: &mut Links, now_ns: u64) {
        while self.visitors < OPENING_MAX
            && let Some(owner) = self.owners.pop_front()
        {
            if self.churn.is_here(owner) {
                self.talk.make(&mut links.port(owner, now_ns));
            } else {
                self.visitors += 1;
                links.open(owner);
            }
        }
    }

    /// Everybody is in the groups: the first messages go.
    fn begin(&mut self, links: &mut Links, now_ns: u64) -> Phase {
        self.talk.begin(links, now_ns);
        let PaceOptions { rate, warmup, seconds } = self.options.talk.pace;
        let seed = self.setting.seed;
        self.churn.begin(self.options.churn, now_ns, seed);
        if rate > 0 {
            let (rate, online) = (f64::from(rate), self.options.online());
            self.due.begin(Schedule::new(Spacing::Poisson, rate, online, now_ns, seed));
        } else {
            for place in 0..self.churn.here().len() {
                let user = self.churn.here()[place];
                self.fill_window(&mut links.port(user, now_ns));
            }
        }
        Phase::Running(Running::new(now_ns, warmup, seconds))
    }

    /// Takes what became due before `until_ns` and is due now, and sends it as far as possible.
    fn send_due(&mut self, links: &mut Links, until_ns: u64, now_ns: u64) {
        while let Some(arrival) = self.due.arrival(until_ns, now_ns) {
            let Some(user) = self.churn.writer(arrival.sender, |user| self.talk.seats(user) > 0)
            else {
                return;
            };
            self.due.wait(user, arrival.at_ns);
            if links.is_ready(user) {
                self.send_waiting(&mut links.port(user, now_ns));
            }
        }
    }

    /// Somebody leaves and somebody else comes back, as often as it is due.
    fn change_places(&mut self, links: &mut Links, now_ns: u64) {
        while let Some((leaving, coming)) = self.churn.take_due(now_ns, |user| links.is_ready(user))
        {
            links.close(leaving);
            self.talk.left(leaving);
            self.give_up_due(leaving);
            links.open(coming);
        }
    }

    fn give_up_due(&mut self, user: usize) {
        while self.due.take_first(user).is_some() {
            self.unsent += 1;
        }
    }

    /// Who left with messages that weren't ticked comes back to send them again.
    fn call_unanswered(&mut self, links: &mut Links) {
        for user in 0..links.len() {
            if self.talk.is_unanswered(user) && !self.churn.is_here(user) {
                links.open(user);
            }
        }
    }

    /// The seat that the user writes from next: its groups take turns.
    fn turn_seat(&mut self, user: usize) -> Option<usize> {
        let seats = self.talk.seats(user);
        let next = &mut self.next_seat[user];
        *next = next.wrapping_add(1);
        (*next as usize).checked_rem(seats)
    }

    #[inline]
    fn send_waiting(&mut self, port: &mut Port<'_>) {
        let window = u32::try_from(port.terms().sends_max).unwrap_or(u32::MAX);
        while let Some(intended_ns) = self.due.first(port.index)
            && let Some(seat) = self.turn_seat(port.index)
            && self.talk.may_send(port, seat, window)
        {
            self.due.take_first(port.index);
            self.talk.send(port, seat, intended_ns);
        }
    }

    #[inline]
    fn fill_window(&mut self, port: &mut Port<'_>) {
        while let Some(seat) = self.turn_seat(port.index)
            && self.talk.may_send(port, seat, self.options.window)
        {
            self.talk.send(port, seat, port.now_ns);
        }
    }
}

impl Script for Groups<'_> {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        self.talk.came(port);
        if matches!(self.phase, Phase::Making) {
            self.talk.make(port);
        }
        self.options.talk.check_terms(port, self.options.window)
    }

    #[inline]
    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        let event = self.talk.on_frame(port, frame)?;
        if event == Event::MadeAll && !self.churn.is_here(port.index) {
            self.visitors -= 1;
            self.talk.left(port.index);
            port.close();
        }
        Ok(())
    }

    #[inline]
    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure> {
        self.talk.acknowledge(port);
        if self.options.talk.pace.rate > 0 {
            self.send_waiting(port);
        } else if matches!(self.phase, Phase::Running(_)) {
            self.fill_window(port);
        }
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        self.phase = self.advance(phase, links, now_ns)?;
        Ok(match &self.phase {
            Phase::Over { .. } => Next::Done,
            Phase::Running(running) => {
                let next_ns = self.due.next_ns().min(self.churn.next_ns());
                Next::At(next_ns.min(running.until_ns()))
            }
            Phase::Silent { until_ns, .. } => Next::At(*until_ns),
            _ => Next::Ready,
        })
    }
}
