//! Many connections that do nothing: what each costs, and whether each still works.

use fulmar_protocol::{Frame, Welcome};
use serde::Serialize;

use super::drain::Quiet;
use super::login::check_terms;
use super::{
    Figure, Help, NamedLatencies, Outcome, Setting, nanoseconds, seconds_between, unix_ms,
};
use crate::engine::{Links, Next, Port, Script};
use crate::exchange::{Event, Exchange, ExchangePlan};
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::limits::BODY_BYTES_MIN;
use crate::seconds::Seconds;
use crate::usage::Usage;

/// Messages of the sample that are under way at once.
const SAMPLE_FLIGHT_MAX: u64 = 32;
/// Pings that are under way at once.
const PINGS_FLIGHT_MAX: usize = 256;

/// The help of `idle`.
pub const IDLE_HELP: Help = Help {
    summary: "Many connections that are logged in and silent: what each costs",
    description: "\
Opens them (logins_per_s, login_us), waits, and compares the server's memory with that before the \
first login (server_rss_bytes_per_connection). Then a message goes to each connection of a random \
sample, and every connection is pinged once (pings_per_s, ping_us).",
};

/// Options of `idle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clap::Args)]
pub struct IdleOptions {
    /// Number of connections
    #[arg(long, value_name = "N", default_value_t = 18_000,
          value_parser = clap::value_parser!(u32).range(2..=4_000_000))]
    pub connections: u32,
    /// Time that they are silent before the memory is read, in seconds
    #[arg(long, value_name = "S", default_value = "5")]
    pub settle: Seconds,
    /// Connections that get a message; at most all
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(0..=4_000_000))]
    pub sample: u32,
}

/// Runs `idle`.
pub(super) fn run(options: &IdleOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let users = options.connections;
    let recipients = options.sample.min(users);
    let plan = ExchangePlan {
        users: users as usize,
        authors: (0..recipients).map(|recipient| (recipient + users / 2) % users).collect(),
        first_user: setting.first_user,
        body_bytes: BODY_BYTES_MIN.max(100),
        flight: 1,
    };
    let mut engine = setting.engine(users as usize)?;
    let mut script = Idle {
        exchange: Exchange::new(plan, unix_ms()),
        recipients: recipients as usize,
        sent: 0,
        pinged_ns: vec![0; users as usize],
        pings: 0,
        pongs: 0,
        ping: Latencies::default(),
        limit_ns: nanoseconds(setting.drain.get()),
        marks: Marks::default(),
        stage: Stage::Start,
        options,
        setting,
    };
    engine.run(&mut script)?;
    let Idle { exchange, marks, ping, pings, pongs, .. } = script;
    let findings = exchange.finish();
    let mut outcome = Outcome {
        connections: users as usize,
        faults: findings.faults,
        latencies: findings.latencies,
        other_latencies: vec![
            NamedLatencies { name: "login_us", label: "login", latencies: engine.finish() },
            NamedLatencies { name: "ping_us", label: "ping", latencies: ping },
        ],
        ..marks.outcome(users, pongs)
    };
    if pongs < pings {
        outcome.faults.irregular(|| format!("{} pings got no pong", pings - pongs));
    }
    Ok(outcome)
}

/// ```text
/// Start ─► Opening ─► Settling ─► Sample ─► Pings ─► Over
/// ```
#[derive(Debug)]
enum Stage {
    Start,
    Opening,
    Settling { until_ns: u64 },
    Sample { quiet: Quiet },
    Pings { quiet: Quiet },
    Over,
}

/// What was read between the stages.
#[derive(Debug, Default)]
struct Marks {
    rss_before: Option<u64>,
    rss_after: Option<u64>,
    opening_ns: u64,
    opened_ns: u64,
    opening: Option<Usage>,
    opened: Option<Usage>,
    settled: Option<Usage>,
    pinging_ns: u64,
    pinged_ns: u64,
}

impl Marks {
    fn outcome(&self, users: u32, pongs: usize) -> Outcome {
        let users = f64::from(users);
        let login_seconds = seconds_between(self.opening_ns, self.opened_ns);
        let mut figures = vec![
            Figure {
                name: "logins_per_s",
                value: users / login_seconds,
                meaning: "connections opened and logged in per second",
            },
            Figure {
                name: "pings_per_s",
                value: pongs as f64 / seconds_between(self.pinging_ns, self.pinged_ns),
                meaning: "pings answered per second, one to each connection",
            },
        ];
        let mut figure = |name, value: Option<f64>, meaning| {
            figures.extend(value.map(|value| Figure { name, value, meaning }));
        };
        let login = self.opening.zip(self.opened).map(|(from, to)| to.since(&from));
        let idle = self.opened.zip(self.settled).map(|(from, to)| to.since(&from));
        figure(
            "server_cpu_us_per_login",
            login.and_then(|spent| spent.server_cpu_us).map(|cpu_us| cpu_us / users),
            "server's processor time per login",
        );
        figure(
            "server_idle_share",
            idle.and_then(|spent| spent.server_share()),
            "of one processor, while all were silent",
        );
        let [before, after] =
            [self.rss_before, self.rss_after].map(|rss| rss.map(|rss| rss as f64));
        figure("server_rss_before_bytes", before, "server's memory before the first login");
        figure("server_rss_idle_bytes", after, "server's memory with all of them silent");
        Outcome {
            seconds: seconds_between(self.opening_ns, self.pinged_ns),
            server_rss_bytes_per_connection: before
                .zip(after)
                .map(|(before, after)| (after - before) / users),
            figures,
            ..Outcome::default()
        }
    }
}

struct Idle<'a> {
    exchange: Exchange,
    recipients: usize,
    /// Messages of the sample that were sent, which is also the next recipient.
    sent: usize,
    /// When each connection was pinged.
    pinged_ns: Vec<u64>,
    pings: usize,
    pongs: usize,
    ping: Latencies,
    limit_ns: u64,
    marks: Marks,
    stage: Stage,
    options: &'a IdleOptions,
    setting: &'a Setting,
}

impl Script for Idle<'_> {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        check_terms(port, 1, 0)
    }

    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        if self.exchange.on_frame(port, frame)? == Event::Head {
            self.pongs += 1;
            self.marks.pinged_ns = port.now_ns;
            self.ping.record(port.now_ns.saturating_sub(self.pinged_ns[port.index]));
        }
        Ok(())
    }

    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure> {
        self.exchange.acknowledge(port);
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        self.stage = self.advance(stage, links, now_ns);
        Ok(match self.stage {
            Stage::Over => Next::Done,
            Stage::Settling { until_ns } => Next::At(until_ns),
            _ => Next::Ready,
        })
    }
}

impl Idle<'_> {
    fn advance(&mut self, stage: Stage, links: &mut Links, now_ns: u64) -> Stage {
        match stage {
            Stage::Start => {
                self.marks.rss_before = self.setting.probe.server_rss_bytes();
                self.marks.opening = Some(self.setting.probe.usage());
                self.marks.opening_ns = now_ns;
                // In random order, so that the first users are a random sample of all.
                let mut order: Vec<usize> = (0..links.len()).collect();
                fastrand::Rng::with_seed(self.setting.seed).shuffle(&mut order);
                for index in order {
                    links.open(index);
                }
                Stage::Opening
            }
            Stage::Opening if links.ready() == links.len() => {
                self.marks.opened = Some(self.setting.probe.usage());
                self.marks.opened_ns = now_ns;
                Stage::Settling { until_ns: now_ns + nanoseconds(self.options.settle.get()) }
            }
            Stage::Settling { until_ns } if now_ns >= until_ns => {
                self.marks.settled = Some(self.setting.probe.usage());
                self.marks.rss_after = self.setting.probe.server_rss_bytes();
                self.exchange.record(now_ns..u64::MAX);
                Stage::Sample { quiet: Quiet::new(self.limit_ns, now_ns) }
            }
            Stage::Sample { mut quiet } => {
                self.send_sample(links, now_ns);
                let settled = self.sent == self.recipients && self.exchange.is_settled();
                if !settled && !quiet.is_quiet(self.exchange.totals().progress(), now_ns) {
                    return Stage::Sample { quiet };
                }
                self.marks.pinging_ns = now_ns;
                self.marks.pinged_ns = now_ns;
                let mut quiet = Quiet::new(self.limit_ns, now_ns);
                self.ping_more(links, &mut quiet, now_ns);
                Stage::Pings { quiet }
            }
            Stage::Pings { mut quiet } => {
                if self.ping_more(links, &mut quiet, now_ns) {
                    Stage::Over
                } else {
                    Stage::Pings { quiet }
                }
            }
            stage => stage,
        }
    }

    fn send_sample(&mut self, links: &mut Links, now_ns: u64) {
        let totals = self.exchange.totals();
        let mut free = SAMPLE_FLIGHT_MAX.saturating_sub(totals.sent - totals.completed);
        while free > 0 && self.sent < self.recipients {
            let author = self.exchange.author(self.sent);
            self.exchange.send(&mut links.port(author, now_ns), self.sent, now_ns);
            self.sent += 1;
            free -= 1;
        }
    }

    /// Whether all pongs came, or no more will.
    fn ping_more(&mut self, links: &mut Links, quiet: &mut Quiet, now_ns: u64) -> bool {
        while self.pings < links.len() && self.pings - self.pongs < PINGS_FLIGHT_MAX {
            self.pinged_ns[self.pings] = now_ns;
            links.port(self.pings, now_ns).queue(&Frame::Ping);
            self.pings += 1;
        }
        self.pongs == links.len() || quiet.is_quiet(self.pongs as u64, now_ns)
    }
}
