//! Pairs of users that write to each other: as fast as the server takes it (closed loop), at a
//! stated rate (open loop), or one message at a time (ping-pong).

use std::collections::VecDeque;

use fulmar_protocol::{Frame, Welcome};
use serde::Serialize;

use super::drain::{HeadCheck, Quiet};
use super::login::check_terms;
use super::{
    Figure, Help, NamedLatencies, Outcome, Setting, nanoseconds, seconds_between, unix_ms,
};
use crate::engine::{Links, Next, Port, Script};
use crate::exchange::{Event, Exchange, ExchangePlan, Totals};
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::limits::{BODY_BYTES_MIN, DRAIN_NS_MAX};
use crate::schedule::{Schedule, Spacing};
use crate::seconds::Seconds;
use crate::usage::{Probe, Usage};

/// Above this lateness of our own, in microseconds, a note says so.
const LATE_US_FREE: f64 = 1_000.0;

/// The help of `pairs`.
pub const PAIRS_HELP: Help = Help {
    summary: "Pairs of users write to each other, in a closed or an open loop",
    description: "\
A message counts when it was ticked, delivered, acknowledged by the recipient, and its delivered \
receipt is back at its author: messages_per_s is how many got that far in the measured time, and \
receipt_us how long it took.

Closed loop (--rate 0): each user keeps --window messages without a tick under way. Latencies \
count from the send, and a slow server slows the sending.
Open loop (--rate N): messages are meant to be sent at times that don't depend on the server. \
Latencies count from the intended time, whatever kept the message from being sent then. late_us is \
how late our own loop noticed the time.",
};

/// The help of `pingpong`.
pub const PINGPONG_HELP: Help = Help {
    summary: "One pair, one message at a time: latency without any queue",
    description: "\
The recipient answers each message with the next. Much of the latency is the two sides waking up; \
--spin takes our side out.",
};

/// Options of `pairs`.
#[derive(Debug, Clone, PartialEq, Serialize, clap::Args)]
pub struct PairsOptions {
    /// Number of pairs; each has two connections
    #[arg(long, value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub pairs: u32,
    /// Closed loop: messages of a user that wait for their tick at once
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub window: u32,
    /// Length of each message body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = body_bytes())]
    pub body: u32,
    /// Measured time, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = Seconds::measured)]
    pub seconds: Seconds,
    /// Time before it, in seconds, which isn't measured
    #[arg(long, value_name = "S", default_value = "2")]
    pub warmup: Seconds,
    /// Open loop: messages per second of all pairs together; 0 for a closed loop
    #[arg(long, value_name = "PER_S", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=100_000_000))]
    pub rate: u32,
    /// Open loop: how the intended times are spaced, at random as by people or all alike
    #[arg(long, value_enum, value_name = "poisson|even", hide_possible_values = true,
          default_value_t = Spacing::Poisson)]
    pub spacing: Spacing,
}

/// Options of `pingpong`.
#[derive(Debug, Clone, PartialEq, Serialize, clap::Args)]
pub struct PingpongOptions {
    /// Length of each message body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = body_bytes())]
    pub body: u32,
    /// Measured time, in seconds
    #[arg(long, value_name = "S", default_value = "5", value_parser = Seconds::measured)]
    pub seconds: Seconds,
    /// Time before it, in seconds, which isn't measured
    #[arg(long, value_name = "S", default_value = "1")]
    pub warmup: Seconds,
}

/// The lengths that a body may have.
pub(super) fn body_bytes() -> impl clap::builder::TypedValueParser<Value = u32> {
    let longest = fulmar_protocol::limits::BODY_BYTES_MAX as i64;
    clap::value_parser!(u32).range(BODY_BYTES_MIN as i64..=longest)
}

/// Runs `pairs`.
pub(super) fn run(options: &PairsOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let pace = if options.rate > 0 { Pace::Open } else { Pace::Window(options.window) };
    run_paced(pace, options, setting)
}

/// Runs `pingpong`.
pub(super) fn run_pingpong(
    options: &PingpongOptions,
    setting: &Setting,
) -> Result<Outcome, Failure> {
    let options = PairsOptions {
        pairs: 1,
        window: 1,
        body: options.body,
        seconds: options.seconds,
        warmup: options.warmup,
        rate: 0,
        spacing: Spacing::Even,
    };
    run_paced(Pace::Alternate, &options, setting)
}

fn run_paced(pace: Pace, options: &PairsOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let users = options.pairs as usize * 2;
    let plan = ExchangePlan {
        users,
        authors: (0..users as u32).map(|recipient| recipient ^ 1).collect(),
        first_user: setting.first_user,
        body_bytes: options.body as usize,
        flight: options.window as usize * 4,
    };
    let mut engine = setting.engine(users)?;
    let mut script = Pairs {
        exchange: Exchange::new(plan, unix_ms()),
        pace,
        options,
        setting,
        due: vec![VecDeque::new(); users],
        due_count: 0,
        unsent: 0,
        late: Latencies::default(),
        phase: Phase::Idle,
    };
    engine.run(&mut script)?;
    let Phase::Over { start, end, pings_unanswered } = script.phase else {
        unreachable!("an engine runs until the script is over")
    };
    let mut outcome = outcome(options, pace, &start, &end, script.unsent);
    let findings = script.exchange.finish();
    outcome.connections = users;
    outcome.faults = findings.faults;
    if pings_unanswered > 0 {
        outcome.faults.irregular(|| format!("{pings_unanswered} pings got no pong"));
    }
    outcome.latencies = findings.latencies;
    outcome.notes.extend(late_note(&script.late));
    if pace == Pace::Open {
        outcome.polled = true;
        let (name, label) = ("late_us", "own lateness");
        outcome.other_latencies.push(NamedLatencies { name, label, latencies: script.late });
    }
    if findings.held_back {
        outcome.notes.push(
            "senders waited for receipts, and not only for ticks: the server ticks faster than \
             it delivers"
                .to_owned(),
        );
    }
    Ok(outcome)
}

/// Latencies count from the intended time, so that our own lateness is in them.
fn late_note(late: &Latencies) -> Option<String> {
    let p99_us = late.percentiles()?.p99;
    (p99_us > LATE_US_FREE).then(|| {
        format!(
            "the load generator itself was late (p99 {:.1} ms), which is in the latencies: a lower \
             rate or a quieter machine is needed",
            p99_us / 1e3
        )
    })
}

fn outcome(options: &PairsOptions, pace: Pace, start: &Mark, end: &Mark, unsent: u64) -> Outcome {
    let seconds = seconds_between(start.at_ns, end.at_ns);
    let messages = end.totals.completed - start.totals.completed;
    let deliveries = end.totals.delivered - start.totals.delivered;
    let mut figures = vec![Figure {
        name: "backlog_messages",
        value: (end.totals.sent - end.totals.completed) as f64,
        meaning: "sent and not complete at the end of the measured time",
    }];
    if pace == Pace::Open {
        figures.push(Figure {
            name: "offered_per_s",
            value: f64::from(options.rate),
            meaning: "messages per second that were meant to be sent",
        });
        figures.push(Figure {
            name: "due_messages",
            value: end.due as f64,
            meaning: "meant to be sent and not sent at the end of the measured time",
        });
        figures.push(Figure {
            name: "unsent_messages",
            value: unsent as f64,
            meaning: "never sent, as the server took no more",
        });
    }
    Outcome {
        seconds,
        messages_per_s: Some(messages as f64 / seconds),
        deliveries_per_s: Some(deliveries as f64 / seconds),
        spent: Some(end.usage.since(&start.usage)),
        messages,
        body_bytes: options.body,
        figures,
        ..Outcome::default()
    }
}

/// When users send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Whenever fewer than this many wait for a tick.
    Window(u32),
    /// When the schedule says so.
    Open,
    /// When the other's message came.
    Alternate,
}

/// The state at one end of the measured time.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at_ns: u64,
    usage: Usage,
    totals: Totals,
    due: u64,
}

/// ```text
/// Idle ─► LoggingIn ─► Warmup ─► Measuring ─► Draining ─► Heads ─► Over
///                      └── messages are made ┘
/// ```
#[derive(Debug)]
enum Phase {
    Idle,
    LoggingIn,
    Warmup { until_ns: u64, schedule: Option<Schedule> },
    Measuring { until_ns: u64, schedule: Option<Schedule>, start: Mark },
    Draining { since_ns: u64, start: Mark, end: Mark, quiet: Quiet },
    Heads { start: Mark, end: Mark, check: HeadCheck },
    Over { start: Mark, end: Mark, pings_unanswered: u64 },
}

struct Pairs<'a> {
    exchange: Exchange,
    pace: Pace,
    options: &'a PairsOptions,
    setting: &'a Setting,
    /// Open loop: intended times of each user's messages that could not be sent yet.
    due: Vec<VecDeque<u64>>,
    /// Invariant: the length of all of `due`.
    due_count: u64,
    /// Messages of `due` that were given up.
    unsent: u64,
    /// Open loop: how late our own loop noticed that a message was due.
    late: Latencies,
    phase: Phase,
}

impl Script for Pairs<'_> {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        // Only the closed loop has a window of its own.
        let window = if let Pace::Window(window) = self.pace { window } else { 1 };
        check_terms(port, window, self.options.body)
    }

    #[inline]
    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        match self.exchange.on_frame(port, frame)? {
            Event::Delivered { recipient }
                if self.pace == Pace::Alternate && self.makes_messages() =>
            {
                self.exchange.send(port, recipient ^ 1, port.now_ns);
            }
            Event::Head => {
                if let Phase::Heads { check, .. } = &mut self.phase {
                    check.on_head();
                }
            }
            _ => (),
        }
        Ok(())
    }

    #[inline]
    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure> {
        self.exchange.acknowledge(port);
        self.refill(port);
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        self.phase = self.advance(phase, links, now_ns);
        Ok(match &self.phase {
            Phase::Over { .. } => Next::Done,
            Phase::Warmup { until_ns, schedule } | Phase::Measuring { until_ns, schedule, .. } => {
                let arrival_ns = schedule.as_ref().map_or(u64::MAX, Schedule::next_ns);
                Next::At(arrival_ns.min(*until_ns))
            }
            _ => Next::Ready,
        })
    }
}

impl Pairs<'_> {
    fn probe(&self) -> Probe {
        self.setting.probe
    }

    fn makes_messages(&self) -> bool {
        matches!(self.phase, Phase::Warmup { .. } | Phase::Measuring { .. })
    }

    /// The phase after this turn.
    fn advance(&mut self, phase: Phase, links: &mut Links, now_ns: u64) -> Phase {
        match phase {
            Phase::Idle => {
                (0..links.len()).for_each(|index| links.open(index));
                Phase::LoggingIn
            }
            Phase::LoggingIn if links.ready() == links.len() => self.begin(links, now_ns),
            Phase::Warmup { until_ns, mut schedule } => {
                self.send_due(&mut schedule, links, until_ns, now_ns);
                if now_ns < until_ns {
                    return Phase::Warmup { until_ns, schedule };
                }
                let until_ns = now_ns + nanoseconds(self.options.seconds.get());
                self.exchange.record(now_ns..until_ns);
                Phase::Measuring { until_ns, schedule, start: self.mark(now_ns) }
            }
            Phase::Measuring { until_ns, mut schedule, start } => {
                self.send_due(&mut schedule, links, until_ns, now_ns);
                if now_ns < until_ns {
                    return Phase::Measuring { until_ns, schedule, start };
                }
                let quiet = Quiet::new(nanoseconds(self.setting.drain.get()), now_ns);
                Phase::Draining { since_ns: now_ns, start, end: self.mark(now_ns), quiet }
            }
            Phase::Draining { since_ns, start, end, mut quiet } => {
                if now_ns - since_ns > DRAIN_NS_MAX {
                    self.give_up_due(now_ns);
                }
                let progress = self.exchange.totals().progress();
                let settled = self.exchange.is_settled() && self.due_count == 0;
                if !settled && !quiet.is_quiet(progress, now_ns) {
                    return Phase::Draining { since_ns, start, end, quiet };
                }
                self.give_up_due(now_ns);
                let limit_ns = nanoseconds(self.setting.drain.get());
                let check = HeadCheck::begin(links, 0..links.len(), limit_ns, now_ns);
                Phase::Heads { start, end, check }
            }
            Phase::Heads { start, end, mut check } => {
                if !check.is_over(now_ns) {
                    return Phase::Heads { start, end, check };
                }
                Phase::Over { start, end, pings_unanswered: check.unanswered() }
            }
            phase => phase,
        }
    }

    /// Everybody is logged in: the first messages go.
    fn begin(&mut self, links: &mut Links, now_ns: u64) -> Phase {
        let mut schedule = None;
        match self.pace {
            Pace::Open => {
                let PairsOptions { spacing, rate, .. } = *self.options;
                let (rate, seed) = (f64::from(rate), self.setting.seed);
                schedule = Some(Schedule::new(spacing, rate, links.len(), now_ns, seed));
            }
            Pace::Alternate => self.exchange.send(&mut links.port(0, now_ns), 1, now_ns),
            Pace::Window(window) => {
                for index in 0..links.len() {
                    self.fill_window(&mut links.port(index, now_ns), window);
                }
            }
        }
        Phase::Warmup { until_ns: now_ns + nanoseconds(self.options.warmup.get()), schedule }
    }

    fn mark(&self, at_ns: u64) -> Mark {
        let (usage, totals) = (self.probe().usage(), self.exchange.totals());
        Mark { at_ns, usage, totals, due: self.due_count }
    }

    #[inline]
    fn refill(&mut self, port: &mut Port<'_>) {
        match self.pace {
            Pace::Window(window) if self.makes_messages() => self.fill_window(port, window),
            Pace::Open => self.send_waiting(port),
            _ => (),
        }
    }

    #[inline]
    fn fill_window(&mut self, port: &mut Port<'_>, window: u32) {
        let recipient = port.index ^ 1;
        while self.exchange.may_send(port, recipient, window) {
            self.exchange.send(port, recipient, port.now_ns);
        }
    }

    /// Sends what is due, as far as the server takes it.
    fn send_waiting(&mut self, port: &mut Port<'_>) {
        let recipient = port.index ^ 1;
        let window = u32::try_from(port.terms().sends_max).unwrap_or(u32::MAX);
        while let Some(&intended_ns) = self.due[port.index].front()
            && self.exchange.may_send(port, recipient, window)
        {
            self.exchange.send(port, recipient, intended_ns);
            self.due[port.index].pop_front();
            self.due_count -= 1;
        }
    }

    /// Takes what became due before `until_ns` and is due now, and sends it as far as possible.
    fn send_due(
        &mut self,
        schedule: &mut Option<Schedule>,
        links: &mut Links,
        until_ns: u64,
        now_ns: u64,
    ) {
        let Some(schedule) = schedule else { return };
        while let Some(arrival) = schedule.take_due(now_ns.min(until_ns - 1)) {
            self.late.record(now_ns - arrival.at_ns);
            self.due[arrival.sender].push_back(arrival.at_ns);
            self.due_count += 1;
            self.send_waiting(&mut links.port(arrival.sender, now_ns));
        }
    }

    /// What the server takes too slowly is given up, and counts with the time that it waited.
    fn give_up_due(&mut self, now_ns: u64) {
        for intended_ns in self.due.iter_mut().flat_map(|due| due.drain(..)) {
            self.exchange.record_unsent(intended_ns, now_ns);
            self.unsent += 1;
        }
        self.due_count = 0;
    }
}
