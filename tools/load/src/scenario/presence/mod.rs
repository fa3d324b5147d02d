//! People who watch each other's presence: most are there all the time, some come and go.

mod figures;
mod people;
mod views;

use fulmar_protocol::{Frame, Welcome};
use serde::Serialize;

use self::people::{Flap, People};
use self::views::{Told, Totals, Views};
use super::drain::Quiet;
use super::login::check_terms;
use super::pace::{Mark, Moment, Running};
use super::{Help, Outcome, Setting, nanoseconds};
use crate::engine::{Links, Next, Port, Script};
use crate::failure::Failure;
use crate::limits::{PRESENCE_SETTLE_S, WATCHERS_FLIGHT_MAX};
use crate::seconds::Seconds;

/// Time without logins and watches before the server's memory is read, in nanoseconds.
const SETTLE_NS: u64 = 500_000_000;

/// The help of `presence`.
pub const PRESENCE_HELP: Help = Help {
    summary: "People who watch each other's presence; some of them come and go",
    description: "\
--connections people are there, each watching --watch others, drawn from all. Most use the program \
quietly: ACTIVITY 1 every --interval. --flapping-percent of them go and come back, each time after \
half to one and a half times --flap: half of these say ACTIVITY 0 and 1, the others drop the connection, \
return and watch again.

told_per_s is how many PRESENCE frames came that weren't answers to WATCH. presence_us is the time from \
a change, as it left us, until a watcher was told of it, nothing subtracted: the server tells of \
somebody at most once in --interval, and that somebody went only after 5 s. came_us is the part of those \
who came and went_us of those who went. A change that was undone before its time needn't be told: \
changes_per_s is how many happened, told_changes_per_s how many were told.

At the end nobody changes any more for --quiet. Then each watcher must have been told last what holds, \
and all watchers of somebody who is away the same last seen; `stale` counts those who weren't.

A server that is started gets --interval as its presence interval; one that runs must have it already.",
};

/// Options of `presence`.
#[derive(Debug, Clone, PartialEq, Serialize, clap::Args)]
pub struct PresenceOptions {
    /// Number of people, each with a connection
    #[arg(long, value_name = "N", default_value_t = 18_000,
          value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub connections: u32,
    /// How many others each of them watches
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub watch: u32,
    /// How many come and go, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    pub flapping_percent: u32,
    /// Mean time after which somebody who comes and goes does so, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = Seconds::measured)]
    pub flap: Seconds,
    /// The server's presence interval, in seconds
    #[arg(long, value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(5..=600))]
    pub interval: u32,
    /// Measured time, in seconds
    #[arg(long, value_name = "S", default_value = "20", value_parser = Seconds::measured)]
    pub seconds: Seconds,
    /// Time before it in which people already come and go, in seconds
    #[arg(long, value_name = "S", default_value = "5")]
    pub warmup: Seconds,
    /// Time after the last change before it is checked what watchers were told, in seconds [default:
    /// --interval and 6 s, when all is told]
    #[arg(long, value_name = "S")]
    pub quiet: Option<Seconds>,
}

impl PresenceOptions {
    /// How many others each person watches: no more than there are.
    pub(super) const fn watched(&self) -> usize {
        let others = self.connections - 1;
        if self.watch < others { self.watch as usize } else { others as usize }
    }

    fn quiet_ns(&self) -> u64 {
        let told_s = u64::from(self.interval) + PRESENCE_SETTLE_S + 1;
        self.quiet.map_or(told_s * 1_000_000_000, |quiet| nanoseconds(quiet.get()))
    }
}

/// Runs `presence`.
pub(super) fn run(options: &PresenceOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let people = options.connections as usize;
    let mut random = fastrand::Rng::with_seed(setting.seed);
    let mut engine = setting.engine(people)?;
    let mut script = Presence {
        views: Views::new(people, options.watched(), setting.first_user, &mut random),
        people: People::new(options, &mut random),
        memory: Memory::default(),
        phase: Phase::Idle,
        options,
        setting,
    };
    engine.run(&mut script)?;
    Ok(script.outcome(engine.finish()))
}

/// The server's memory, in bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Memory {
    logged_in: Option<u64>,
    watching: Option<u64>,
}

/// ```text
/// Idle ─► Opening ─► Silent ─► Watching ─► Silent ─► Running ─► Settling ─► Over
/// ```
#[derive(Debug)]
enum Phase {
    Idle,
    Opening,
    /// The server's memory is read at the end of it: without watches, and with them.
    Silent {
        until_ns: u64,
        is_watched: bool,
    },
    /// One after the other begins to watch.
    Watching {
        next: usize,
        quiet: Quiet,
    },
    Running(Running<Totals>),
    /// Nobody changes any more.
    Settling {
        until_ns: u64,
        start: Mark<Totals>,
        end: Mark<Totals>,
        quiet: Quiet,
    },
    Over {
        start: Mark<Totals>,
        end: Mark<Totals>,
    },
}

struct Presence<'a> {
    views: Views,
    people: People,
    memory: Memory,
    phase: Phase,
    options: &'a PresenceOptions,
    setting: &'a Setting,
}

impl Presence<'_> {
    fn mark(&self, at_ns: u64) -> Mark<Totals> {
        Mark { at_ns, usage: self.setting.probe.usage(), totals: self.views.totals(), due: 0 }
    }

    /// The phase after this turn.
    fn advance(&mut self, phase: Phase, links: &mut Links, now_ns: u64) -> Phase {
        let silent = |is_watched| Phase::Silent { until_ns: now_ns + SETTLE_NS, is_watched };
        match phase {
            Phase::Idle => {
                (0..links.len()).for_each(|user| links.open(user));
                Phase::Opening
            }
            Phase::Opening if links.ready() == links.len() => silent(false),
            Phase::Silent { until_ns, is_watched: false } if now_ns >= until_ns => {
                self.memory.logged_in = self.setting.probe.server_rss_bytes();
                Phase::Watching { next: 0, quiet: self.setting.quiet(now_ns) }
            }
            Phase::Watching { mut next, mut quiet } => {
                let flight = WATCHERS_FLIGHT_MAX * self.options.watched() as u64;
                while next < links.len() && self.views.unanswered() < flight {
                    self.views.watch(&mut links.port(next, now_ns));
                    next += 1;
                }
                let is_answered = next == links.len() && self.views.unanswered() == 0;
                if is_answered || quiet.is_quiet(self.views.totals().answers, now_ns) {
                    silent(true)
                } else {
                    Phase::Watching { next, quiet }
                }
            }
            Phase::Silent { until_ns, is_watched: true } if now_ns >= until_ns => {
                self.memory.watching = self.setting.probe.server_rss_bytes();
                self.people.begin_flapping(now_ns);
                let PresenceOptions { warmup, seconds, .. } = *self.options;
                Phase::Running(Running::new(now_ns, warmup, seconds))
            }
            Phase::Running(mut running) => match running.turn(now_ns, || self.mark(now_ns)) {
                Moment::Nothing => Phase::Running(running),
                Moment::Begins(recorded_ns) => {
                    self.views.record(recorded_ns);
                    Phase::Running(running)
                }
                Moment::Ends { start, end } => {
                    self.people.stop_flapping();
                    let until_ns = now_ns + self.options.quiet_ns();
                    Phase::Settling { until_ns, start, end, quiet: self.setting.quiet(until_ns) }
                }
            },
            Phase::Settling { until_ns, start, end, mut quiet } => {
                let is_true = self.views.wrong() == 0 && now_ns >= until_ns;
                if !is_true && !quiet.is_quiet(self.views.totals().told, now_ns) {
                    return Phase::Settling { until_ns, start, end, quiet };
                }
                Phase::Over { start, end }
            }
            phase => phase,
        }
    }

    /// Lets everybody do what is due: quiet people are active, others change.
    fn act(&mut self, links: &mut Links, now_ns: u64) {
        while let Some((user, flap)) = self.people.take_due(now_ns, |user| links.is_ready(user)) {
            match flap {
                Flap::None => {
                    links.port(user, now_ns).queue(&Frame::Activity { is_here: true });
                }
                Flap::Background => {
                    links.port(user, now_ns).queue(&Frame::Activity { is_here: false });
                    self.views.change(user, false, now_ns);
                }
                Flap::Foreground => {
                    links.port(user, now_ns).queue(&Frame::Activity { is_here: true });
                    self.views.change(user, true, now_ns);
                }
                Flap::Drop => {
                    links.close(user);
                    self.views.stop_watching(user);
                    self.views.change(user, false, now_ns);
                }
                Flap::Return => links.open(user),
            }
        }
    }
}

impl Script for Presence<'_> {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        port.queue(&Frame::Activity { is_here: true });
        self.people.logged_in(port.index, port.now_ns);
        self.views.change(port.index, true, port.now_ns);
        if !matches!(self.phase, Phase::Opening) {
            self.views.watch(port);
        }
        check_terms(port, 1, 0)
    }

    #[inline]
    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        if let Frame::Presence { user, is_online, last_seen_ms } = *frame {
            self.views.on_told(port, user, Told { is_online, last_seen_ms });
        }
        Ok(())
    }

    fn on_batch(&mut self, _: &mut Port<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        self.act(links, now_ns);
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        self.phase = self.advance(phase, links, now_ns);
        let people_ns = self.people.next_ns();
        Ok(match &self.phase {
            Phase::Over { .. } => Next::Done,
            Phase::Running(running) => Next::At(people_ns.min(running.until_ns())),
            Phase::Silent { until_ns, .. } => Next::At(people_ns.min(*until_ns)),
            _ => Next::At(people_ns),
        })
    }
}
