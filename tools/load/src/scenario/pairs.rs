//! Pairs of users that write to each other: as fast as the server takes it (closed loop), at a
//! stated rate (open loop), or one message at a time (ping-pong).

use fulmar_protocol::{Frame, Welcome};
use serde::Serialize;

use super::drain::{HeadCheck, Quiet};
use super::login::check_terms;
use super::pace::{Due, Mark, Moment, PaceOptions, Running};
use super::{Figure, Help, Outcome, Setting, nanoseconds, seconds_between, unix_ms};
use crate::engine::{Links, Next, Port, Script};
use crate::exchange::{Event, Exchange, ExchangePlan, Totals};
use crate::failure::Failure;
use crate::limits::{BODY_BYTES_MIN, DRAIN_NS_MAX};
use crate::schedule::{Schedule, Spacing};
use crate::seconds::Seconds;

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
    /// When messages are made.
    #[command(flatten)]
    #[serde(flatten)]
    pub pace: PaceOptions,
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
    let pace = if options.pace.rate > 0 { Pace::Open } else { Pace::Window(options.window) };
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
        pace: PaceOptions { seconds: options.seconds, warmup: options.warmup, rate: 0 },
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
        due: Due::new(users),
        unsent: 0,
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
    script.due.tell(&mut outcome);
    if findings.held_back {
        outcome.notes.push(
            "senders waited for receipts, and not only for ticks: the server ticks faster than \
             it delivers"
                .to_owned(),
        );
    }
    Ok(outcome)
}

fn outcome(
    options: &PairsOptions,
    pace: Pace,
    start: &Mark<Totals>,
    end: &Mark<Totals>,
    unsent: u64,
) -> Outcome {
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
            value: f64::from(options.pace.rate),
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
        messages_mean: "ticked, delivered, acknowledged, and the delivered receipt back at the author",
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

/// ```text
/// Idle ─► LoggingIn ─► Running ─► Draining ─► Heads ─► Over
/// ```
#[derive(Debug)]
enum Phase {
    Idle,
    LoggingIn,
    Running(Running<Totals>),
    Draining { since_ns: u64, start: Mark<Totals>, end: Mark<Totals>, quiet: Quiet },
    Heads { start: Mark<Totals>, end: Mark<Totals>, check: HeadCheck },
    Over { start: Mark<Totals>, end: Mark<Totals>, pings_unanswered: u64 },
}

struct Pairs<'a> {
    exchange: Exchange,
    pace: Pace,
    options: &'a PairsOptions,
    setting: &'a Setting,
    due: Due,
    /// Messages that were due and given up.
    unsent: u64,
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
            Phase::Running(running) => Next::At(self.due.next_ns().min(running.until_ns())),
            _ => Next::Ready,
        })
    }
}

impl Pairs<'_> {
    const fn makes_messages(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// The phase after this turn.
    fn advance(&mut self, phase: Phase, links: &mut Links, now_ns: u64) -> Phase {
        match phase {
            Phase::Idle => {
                (0..links.len()).for_each(|index| links.open(index));
                Phase::LoggingIn
            }
            Phase::LoggingIn if links.ready() == links.len() => self.begin(links, now_ns),
            Phase::Running(mut running) => {
                self.send_due(links, running.until_ns(), now_ns);
                match running.turn(now_ns, || self.mark(now_ns)) {
                    Moment::Nothing => Phase::Running(running),
                    Moment::Begins(recorded_ns) => {
                        self.exchange.record(recorded_ns);
                        Phase::Running(running)
                    }
                    Moment::Ends { start, end } => {
                        let quiet = self.setting.quiet(now_ns);
                        Phase::Draining { since_ns: now_ns, start, end, quiet }
                    }
                }
            }
            Phase::Draining { since_ns, start, end, mut quiet } => {
                if now_ns - since_ns > DRAIN_NS_MAX {
                    self.give_up_due(now_ns);
                }
                let progress = self.exchange.totals().progress();
                let settled = self.exchange.is_settled() && self.due.count() == 0;
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
        match self.pace {
            Pace::Open => {
                let PairsOptions { spacing, pace, .. } = *self.options;
                let (rate, seed) = (f64::from(pace.rate), self.setting.seed);
                self.due.begin(Schedule::new(spacing, rate, links.len(), now_ns, seed));
            }
            Pace::Alternate => self.exchange.send(&mut links.port(0, now_ns), 1, now_ns),
            Pace::Window(window) => {
                for index in 0..links.len() {
                    self.fill_window(&mut links.port(index, now_ns), window);
                }
            }
        }
        Phase::Running(Running::new(now_ns, self.options.pace.warmup, self.options.pace.seconds))
    }

    fn mark(&self, at_ns: u64) -> Mark<Totals> {
        let (usage, totals) = (self.setting.probe.usage(), self.exchange.totals());
        Mark { at_ns, usage, totals, due: self.due.count() }
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
        while let Some(intended_ns) = self.due.first(port.index)
            && self.exchange.may_send(port, recipient, window)
        {
            self.exchange.send(port, recipient, intended_ns);
            self.due.take_first(port.index);
        }
    }

    /// Takes what became due before `until_ns` and is due now, and sends it as far as possible.
    fn send_due(&mut self, links: &mut Links, until_ns: u64, now_ns: u64) {
        while let Some(arrival) = self.due.arrival(until_ns, now_ns) {
            self.due.wait(arrival.sender, arrival.at_ns);
            self.send_waiting(&mut links.port(arrival.sender, now_ns));
        }
    }

    /// What the server takes too slowly is given up, and counts with the time that it waited.
    fn give_up_due(&mut self, now_ns: u64) {
        for user in 0..self.options.pairs as usize * 2 {
            while let Some(intended_ns) = self.due.take_first(user) {
                self.exchange.record_unsent(intended_ns, now_ns);
                self.unsent += 1;
            }
        }
    }
}
