//! One group whose members are all there: some of them write, all get everything.

use fulmar_protocol::{Frame, Welcome};
use serde::Serialize;

use super::drain::Quiet;
use super::pace::{Due, Mark, Moment, PaceOptions, Running};
use super::talk::{Event, Talk, TalkOptions, TalkPlan, Totals};
use super::{Figure, Help, Outcome, Setting, seconds_between};
use crate::engine::{Links, Next, Port, Script};
use crate::failure::Failure;
use crate::schedule::{Schedule, Spacing};

/// Members that a server takes whose limit wasn't raised.
pub(super) const MEMBERS_FREE: u32 = 1_024;

/// The help of `group`.
pub const GROUP_HELP: Help = Help {
    summary: "One group: some members write, all members get everything",
    description: "\
A group of --members is made, whose members are all connected; the first --senders of them write. \
Every member acknowledges what it gets and reports it as read, as one who has the chat open, once for \
all that came together; the authors get receipts. A message counts when it was ticked and every other \
member has it: messages_per_s is how many got that far in the measured time, deliveries_per_s how many \
deliveries that were, last_delivery_us the time until the last member had a message.

receipt_us is the time until the author of a message heard that all others have it, read_receipt_us \
until it heard that all read it. Checked is that authors hear both of every message in the end, and \
never that more have or read one than do (in groups of up to 1,024). receipt_frames is how many frames \
told them so, receipt_frames_per_author_per_s how often a second each of them was told.

Closed loop (--rate 0): each sender keeps --window messages without a tick under way, and waits \
where its messages don't reach the members.
Open loop (--rate N): messages are meant to be sent at times that don't depend on the server, and \
latencies count from the intended time.

The limit of members of the server that is started is raised where more are asked for.",
};

/// Options of `group`.
#[derive(Debug, Clone, PartialEq, Serialize, clap::Args)]
pub struct GroupOptions {
    /// Members of the group, each with a connection
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub members: u32,
    /// How many of them write; more than there are members are all
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub senders: u32,
    /// Closed loop: messages of a sender that wait for their tick at once
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub window: u32,
    /// What is said in it.
    #[command(flatten)]
    #[serde(flatten)]
    pub talk: TalkOptions,
}

impl GroupOptions {
    fn authors(&self) -> usize {
        self.senders.min(self.members) as usize
    }
}

/// Runs `group`.
pub(super) fn run(options: &GroupOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let members = options.members as usize;
    let plan = TalkPlan {
        users: members,
        rooms: vec![(0..options.members).collect()],
        first_user: setting.first_user,
        body_bytes: options.talk.body as usize,
        awaits_receipts: true,
        reads: options.talk.reads,
    };
    let mut engine = setting.engine(members)?;
    let mut script = Group {
        talk: Talk::new(plan),
        due: Due::new(members),
        phase: Phase::Idle,
        options,
        setting,
    };
    engine.run(&mut script)?;
    let Phase::Over { start, end } = script.phase else {
        unreachable!("an engine runs until the script is over")
    };
    let mut outcome = outcome(options, &start, &end);
    outcome.connections = members;
    script.talk.finish().tell(script.due, &mut outcome);
    Ok(outcome)
}

fn outcome(options: &GroupOptions, start: &Mark<Totals>, end: &Mark<Totals>) -> Outcome {
    let seconds = seconds_between(start.at_ns, end.at_ns);
    let messages = end.totals.completed - start.totals.completed;
    let deliveries = end.totals.delivered - start.totals.delivered;
    let receipts = (end.totals.receipts - start.totals.receipts) as f64;
    let reads = (end.totals.reads - start.totals.reads) as f64;
    let spent = end.usage.since(&start.usage);
    let mut figures = vec![
        Figure {
            name: "reads_per_s",
            value: reads / seconds,
            meaning: "GROUP_READ frames that the members sent, per second",
        },
        Figure {
            name: "receipt_frames",
            value: receipts,
            meaning: "GROUP_RECEIPT frames that the authors got in the measured time",
        },
        Figure {
            name: "receipt_frames_per_author_per_s",
            value: receipts / options.authors() as f64 / seconds,
            meaning: "of them those that one author got, per second",
        },
        Figure {
            name: "backlog_deliveries",
            value: (end.totals.sent * u64::from(options.members - 1)) as f64
                - end.totals.delivered as f64,
            meaning: "of messages sent, and not there yet at the end of the measured time",
        },
        Figure {
            name: "due_messages",
            value: end.due as f64,
            meaning: "meant to be sent and not sent at the end of the measured time",
        },
    ];
    if deliveries > 0 {
        let mut per_delivery = |name, cpu_us: Option<f64>, meaning| {
            let value = cpu_us.map(|cpu_us| cpu_us / deliveries as f64);
            figures.extend(value.map(|value| Figure { name, value, meaning }));
        };
        per_delivery(
            "server_cpu_us_per_delivery",
            spent.server_cpu_us,
            "the server's processor time per delivery",
        );
        per_delivery(
            "load_cpu_us_per_delivery",
            (options.talk.pace.rate == 0).then_some(spent.load_cpu_us),
            "our own, which each member waits for after those that were read before it",
        );
    }
    Outcome {
        seconds,
        messages_per_s: Some(messages as f64 / seconds),
        messages_mean: "ticked, and with every other member",
        deliveries_per_s: Some(deliveries as f64 / seconds),
        spent: Some(spent),
        messages,
        body_bytes: options.talk.body,
        figures,
        ..Outcome::default()
    }
}

/// ```text
/// Idle ─► LoggingIn ─► Making ─► Joining ─► Running ─► Draining ─► Over
/// ```
#[derive(Debug)]
enum Phase {
    Idle,
    LoggingIn,
    /// The owner makes the group, and adds those that one frame has no room for.
    Making,
    /// The members get what was before the first message.
    Joining(Quiet),
    Running(Running<Totals>),
    Draining {
        start: Mark<Totals>,
        end: Mark<Totals>,
        quiet: Quiet,
    },
    Over {
        start: Mark<Totals>,
        end: Mark<Totals>,
    },
}

struct Group<'a> {
    talk: Talk,
    due: Due,
    phase: Phase,
    options: &'a GroupOptions,
    setting: &'a Setting,
}

impl Group<'_> {
    fn mark(&self, at_ns: u64) -> Mark<Totals> {
        let usage = self.setting.probe.usage();
        Mark { at_ns, usage, totals: self.talk.totals(), due: self.due.count() }
    }

    /// The phase after this turn.
    fn advance(&mut self, phase: Phase, links: &mut Links, now_ns: u64) -> Result<Phase, Failure> {
        Ok(match phase {
            Phase::Idle => {
                (0..links.len()).for_each(|index| links.open(index));
                Phase::LoggingIn
            }
            Phase::LoggingIn if links.ready() == links.len() => {
                self.talk.make(&mut links.port(0, now_ns));
                Phase::Making
            }
            Phase::Making if self.talk.to_make() == 0 => Phase::Joining(self.setting.quiet(now_ns)),
            Phase::Joining(mut quiet) => {
                let to_join = self.talk.to_join();
                if to_join == 0 {
                    return Ok(self.begin(links, now_ns));
                }
                if quiet.is_quiet(to_join as u64, now_ns) {
                    return Err(never_joined(self.setting, to_join));
                }
                Phase::Joining(quiet)
            }
            Phase::Running(mut running) => {
                self.send_due(links, running.until_ns(), now_ns);
                match running.turn(now_ns, || self.mark(now_ns)) {
                    Moment::Nothing => Phase::Running(running),
                    Moment::Begins(recorded_ns) => {
                        self.talk.record(recorded_ns);
                        Phase::Running(running)
                    }
                    Moment::Ends { start, end } => {
                        Phase::Draining { start, end, quiet: self.setting.quiet(now_ns) }
                    }
                }
            }
            Phase::Draining { start, end, mut quiet } => {
                let is_settled = self.talk.is_settled() && self.due.count() == 0;
                if !is_settled && !quiet.is_quiet(self.talk.totals().progress(), now_ns) {
                    return Ok(Phase::Draining { start, end, quiet });
                }
                Phase::Over { start, end }
            }
            phase => phase,
        })
    }

    /// Everybody is in the group: the first messages go.
    fn begin(&mut self, links: &mut Links, now_ns: u64) -> Phase {
        self.talk.begin(links, now_ns);
        let PaceOptions { rate, warmup, seconds } = self.options.talk.pace;
        if rate > 0 {
            let (rate, authors) = (f64::from(rate), self.options.authors());
            let seed = self.setting.seed;
            self.due.begin(Schedule::new(Spacing::Poisson, rate, authors, now_ns, seed));
        } else {
            (0..self.options.authors())
                .for_each(|index| self.fill_window(&mut links.port(index, now_ns)));
        }
        Phase::Running(Running::new(now_ns, warmup, seconds))
    }

    /// Takes what became due before `until_ns` and is due now, and sends it as far as possible.
    fn send_due(&mut self, links: &mut Links, until_ns: u64, now_ns: u64) {
        while let Some(arrival) = self.due.arrival(until_ns, now_ns) {
            self.due.wait(arrival.sender, arrival.at_ns);
            self.send_waiting(&mut links.port(arrival.sender, now_ns));
        }
    }

    #[inline]
    fn send_waiting(&mut self, port: &mut Port<'_>) {
        let window = u32::try_from(port.terms().sends_max).unwrap_or(u32::MAX);
        while let Some(intended_ns) = self.due.first(port.index)
            && self.talk.may_send(port, 0, window)
        {
            self.due.take_first(port.index);
            self.talk.send(port, 0, intended_ns);
        }
    }

    #[inline]
    fn fill_window(&mut self, port: &mut Port<'_>) {
        while self.talk.may_send(port, 0, self.options.window) {
            self.talk.send(port, 0, port.now_ns);
        }
    }
}

/// What a run fails with whose groups didn't come to their members.
pub(super) fn never_joined(setting: &Setting, lacking: usize) -> Failure {
    let what = format!("{lacking} members never got what was before the first message");
    Failure::Protocol { user: setting.first_user, what }
}

impl Script for Group<'_> {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        self.talk.came(port);
        self.options.talk.check_terms(port, self.options.window)
    }

    #[inline]
    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        self.talk.on_frame(port, frame).map(|_: Event| ())
    }

    #[inline]
    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure> {
        self.talk.acknowledge(port);
        if self.options.talk.pace.rate > 0 {
            self.send_waiting(port);
        } else if port.index < self.options.authors() && matches!(self.phase, Phase::Running(_)) {
            self.fill_window(port);
        }
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        self.phase = self.advance(phase, links, now_ns)?;
        Ok(match &self.phase {
            Phase::Over { .. } => Next::Done,
            Phase::Running(running) => Next::At(self.due.next_ns().min(running.until_ns())),
            _ => Next::Ready,
        })
    }
}
