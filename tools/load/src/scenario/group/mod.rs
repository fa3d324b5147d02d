//! One group whose members are all there: some of them write, all get everything.

mod traffic;

use std::collections::VecDeque;

use fulmar_protocol::group::{Action, Change, GroupRejected};
use fulmar_protocol::limits::{PART_BYTES_MAX, USERS_MAX};
use fulmar_protocol::{Frame, Numbers, Pairs, Welcome};
use serde::Serialize;

use super::drain::Quiet;
use super::login::check_terms;
use super::{
    Figure, Help, NamedLatencies, Outcome, Setting, nanoseconds, seconds_between, unix_ms,
};
use crate::check::{Faults, Order};
use crate::engine::{Links, Next, Port, Script};
use crate::exchange::MessageLatencies;
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::limits::BODY_BYTES_MIN;
use crate::message::Template;
use crate::schedule::{Schedule, Spacing};
use crate::seconds::Seconds;
use crate::usage::Usage;

/// The help of `group`.
pub const GROUP_HELP: Help = Help {
    summary: "One group: some members write, all members get everything",
    description: "\
A group of --members is made, whose members are all connected; the first --senders of them write. \
Every member acknowledges what it gets, and the authors get receipts. A message counts when it was \
ticked and every other member has it: messages_per_s is how many got that far in the measured time, \
deliveries_per_s how many deliveries that were, last_delivery_us the time until the last member had \
a message.

Closed loop (--rate 0): each sender keeps --window messages without a tick under way, and waits \
where its messages don't reach the members.
Open loop (--rate N): messages are meant to be sent at times that don't depend on the server, and \
latencies count from the intended time.",
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
    /// Length of each message body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(BODY_BYTES_MIN as i64..=PART_BYTES_MAX as i64))]
    pub body: u32,
    /// Measured time, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = Seconds::measured)]
    pub seconds: Seconds,
    /// Time before it, in seconds, which isn't measured
    #[arg(long, value_name = "S", default_value = "2")]
    pub warmup: Seconds,
    /// Open loop: messages per second of all senders together; 0 for a closed loop
    #[arg(long, value_name = "PER_S", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=100_000_000))]
    pub rate: u32,
}

impl GroupOptions {
    fn authors(&self) -> usize {
        self.senders.min(self.members) as usize
    }
}

/// Runs `group`.
pub(super) fn run(options: &GroupOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let members = options.members as usize;
    let mut engine = setting.engine(members)?;
    let mut script = Group::new(options, setting);
    engine.run(&mut script)?;
    let Phase::Over { start, end } = script.phase else {
        unreachable!("an engine runs until the script is over")
    };
    let mut outcome = outcome(options, &start, &end);
    script.judge();
    outcome.connections = members;
    outcome.faults = script.faults;
    outcome.latencies = script.latencies;
    let (name, label) = ("last_delivery_us", "last delivery");
    outcome.other_latencies.push(NamedLatencies { name, label, latencies: script.last_delivery });
    if script.held_back {
        outcome.notes.push(
            "senders waited for deliveries, and not only for ticks: the server ticks faster than it \
             delivers"
                .to_owned(),
        );
    }
    Ok(outcome)
}

fn outcome(options: &GroupOptions, start: &Mark, end: &Mark) -> Outcome {
    let seconds = seconds_between(start.at_ns, end.at_ns);
    let messages = end.totals.completed - start.totals.completed;
    let deliveries = end.totals.delivered - start.totals.delivered;
    let receipts = end.totals.receipts - start.totals.receipts;
    let spent = end.usage.since(&start.usage);
    let mut figures = vec![
        Figure {
            name: "receipt_frames_per_author_per_s",
            value: receipts as f64 / options.authors() as f64 / seconds,
            meaning: "receipts that an author gets, per second",
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
    if let Some(cpu_us) = spent.server_cpu_us
        && deliveries > 0
    {
        figures.push(Figure {
            name: "server_cpu_us_per_delivery",
            value: cpu_us / deliveries as f64,
            meaning: "the server's processor time per delivery",
        });
    }
    Outcome {
        seconds,
        messages_per_s: Some(messages as f64 / seconds),
        deliveries_per_s: Some(deliveries as f64 / seconds),
        spent: Some(spent),
        polled: options.rate > 0,
        messages,
        body_bytes: options.body,
        figures,
        ..Outcome::default()
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    sent: u64,
    ticked: u64,
    delivered: u64,
    completed: u64,
    receipts: u64,
}

impl Totals {
    const fn progress(&self) -> u64 {
        self.ticked + self.delivered + self.receipts
    }
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
/// Idle ─► LoggingIn ─► Making ─► Joining ─► Warmup ─► Measuring ─► Draining ─► Over
///                                           └── messages are made ┘
/// ```
#[derive(Debug)]
enum Phase {
    Idle,
    LoggingIn,
    /// The owner makes the group, and adds those that one frame has no room for.
    Making,
    /// The members get what was before the first message.
    Joining {
        head: u64,
        quiet: Quiet,
    },
    Warmup {
        until_ns: u64,
        schedule: Option<Schedule>,
    },
    Measuring {
        until_ns: u64,
        schedule: Option<Schedule>,
        start: Mark,
    },
    Draining {
        start: Mark,
        end: Mark,
        quiet: Quiet,
    },
    Over {
        start: Mark,
        end: Mark,
    },
}

/// One member's side.
#[derive(Debug, Default)]
struct Member {
    /// How far it has the group, and said so.
    reached: u64,
    acknowledged: u64,
    /// The same of its inbox, which brings the notice.
    inbox_reached: u64,
    inbox_acknowledged: u64,
}

/// One author's side.
#[derive(Debug, Default)]
struct Author {
    sent: u64,
    ticked: u64,
    /// Intended times of the messages without a tick.
    unticked: VecDeque<u64>,
    /// Position and intended time of those that aren't with all members, as far as receipts say.
    unreceipted: VecDeque<(u64, u64)>,
    /// Open loop: intended times of messages that could not be sent yet.
    due: VecDeque<u64>,
}

struct Group<'a> {
    options: &'a GroupOptions,
    setting: &'a Setting,
    run: u32,
    template: Template,
    /// The number of the group; 0 before it is made.
    id: u64,
    /// Members of the group, its owner included.
    added: usize,
    setup_number: u64,
    /// The first number of every author.
    number_first: u64,
    members: Vec<Member>,
    authors: Vec<Author>,
    order: Order,
    totals: Totals,
    faults: Faults,
    latencies: MessageLatencies,
    last_delivery: Latencies,
    recorded_ns: std::ops::Range<u64>,
    due_count: u64,
    held_back: bool,
    phase: Phase,
}

impl<'a> Group<'a> {
    fn new(options: &'a GroupOptions, setting: &'a Setting) -> Self {
        let members = options.members as usize;
        let setup_number = unix_ms();
        Group {
            options,
            setting,
            run: fastrand::u32(..),
            template: Template::new(options.body as usize),
            id: 0,
            added: 1,
            setup_number,
            number_first: setup_number + members as u64,
            members: (0..members).map(|_| Member::default()).collect(),
            authors: (0..options.authors()).map(|_| Author::default()).collect(),
            order: Order::new(members, 0),
            totals: Totals::default(),
            faults: Faults::default(),
            latencies: MessageLatencies::default(),
            last_delivery: Latencies::default(),
            recorded_ns: 0..0,
            due_count: 0,
            held_back: false,
            phase: Phase::Idle,
        }
    }

    /// Makes the group, or adds the next members to it, on the owner's connection.
    fn add_members(&mut self, port: &mut Port<'_>) {
        let until = self.members.len().min(self.added + USERS_MAX);
        let user = |index: usize| self.setting.first_user + index as u64;
        let users: Vec<_> = (self.added..until).map(user).collect();
        let is_new = self.id == 0;
        let action = if is_new { Action::Create } else { Action::Add };
        let value: &[u8] = if is_new { b"load" } else { b"" };
        let change = Change { action, users: Numbers::Slice(&users), value };
        let (group, number) = (self.id, self.setup_number);
        port.queue(&Frame::GroupChange { group, number, change });
        self.added = until;
    }

    const fn makes_messages(&self) -> bool {
        matches!(self.phase, Phase::Warmup { .. } | Phase::Measuring { .. })
    }

    fn mark(&self, at_ns: u64) -> Mark {
        let usage = self.setting.probe.usage();
        Mark { at_ns, usage, totals: self.totals, due: self.due_count }
    }

    /// The phase after this turn.
    fn advance(&mut self, phase: Phase, links: &mut Links, now_ns: u64) -> Result<Phase, Failure> {
        Ok(match phase {
            Phase::Idle => {
                (0..links.len()).for_each(|index| links.open(index));
                Phase::LoggingIn
            }
            Phase::LoggingIn if links.ready() == links.len() => {
                self.add_members(&mut links.port(0, now_ns));
                Phase::Making
            }
            Phase::Joining { head, mut quiet } => {
                let reached = |member: &&Member| member.reached >= head;
                let here = self.members.iter().filter(reached).count();
                if here < self.members.len() && !quiet.is_quiet(here as u64, now_ns) {
                    return Ok(Phase::Joining { head, quiet });
                }
                if here < self.members.len() {
                    let what = format!(
                        "{here} of {} members of the group got what was before the first message",
                        self.members.len()
                    );
                    return Err(Failure::Protocol { user: self.setting.first_user, what });
                }
                self.begin(links, head, now_ns)
            }
            Phase::Warmup { until_ns, mut schedule } => {
                self.send_due(&mut schedule, links, until_ns, now_ns);
                if now_ns < until_ns {
                    return Ok(Phase::Warmup { until_ns, schedule });
                }
                let until_ns = now_ns + nanoseconds(self.options.seconds.get());
                self.recorded_ns = now_ns..until_ns;
                Phase::Measuring { until_ns, schedule, start: self.mark(now_ns) }
            }
            Phase::Measuring { until_ns, mut schedule, start } => {
                self.send_due(&mut schedule, links, until_ns, now_ns);
                if now_ns < until_ns {
                    return Ok(Phase::Measuring { until_ns, schedule, start });
                }
                let quiet = Quiet::new(nanoseconds(self.setting.drain.get()), now_ns);
                Phase::Draining { start, end: self.mark(now_ns), quiet }
            }
            Phase::Draining { start, end, mut quiet } => {
                let is_receipted = |author: &Author| author.unreceipted.is_empty();
                let is_settled = self.totals.completed == self.totals.sent
                    && self.due_count == 0
                    && self.authors.iter().all(is_receipted);
                if !is_settled && !quiet.is_quiet(self.totals.progress(), now_ns) {
                    return Ok(Phase::Draining { start, end, quiet });
                }
                Phase::Over { start, end }
            }
            phase => phase,
        })
    }

    /// Everybody is in the group: the first messages go.
    fn begin(&mut self, links: &mut Links, head: u64, now_ns: u64) -> Phase {
        self.order = Order::new(self.members.len(), head);
        let rate = f64::from(self.options.rate);
        let authors = self.authors.len();
        let schedule = (self.options.rate > 0)
            .then(|| Schedule::new(Spacing::Poisson, rate, authors, now_ns, self.setting.seed));
        let until_ns = now_ns + nanoseconds(self.options.warmup.get());
        self.phase = Phase::Warmup { until_ns, schedule: None };
        for index in 0..authors {
            self.refill(&mut links.port(index, now_ns));
        }
        Phase::Warmup { until_ns, schedule }
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
            self.authors[arrival.sender].due.push_back(arrival.at_ns);
            self.due_count += 1;
            self.refill(&mut links.port(arrival.sender, now_ns));
        }
    }

    /// Judges what never came. Nothing may be under way any more.
    fn judge(&mut self) {
        self.faults.lost += self.order.lost();
        self.faults.unanswered += self.totals.sent - self.totals.ticked;
        let unreceipted: usize = self.authors.iter().map(|author| author.unreceipted.len()).sum();
        self.faults.unreceipted += unreceipted as u64;
    }
}

impl Script for Group<'_> {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        port.queue(&Frame::GroupResume { cursors: Pairs::Slice(&[]) });
        let window = if self.options.rate > 0 { 1 } else { self.options.window };
        check_terms(port, window, self.options.body)
    }

    #[inline]
    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        let index = port.index;
        match *frame {
            Frame::GroupDeliver(ref deliver) => self.on_deliver(port, deliver),
            Frame::GroupSkip { group, position } if group == self.id || self.id == 0 => {
                self.members[index].reached = self.members[index].reached.max(position);
                if self.makes_messages() || matches!(self.phase, Phase::Draining { .. }) {
                    self.order.skipped(index, position, &mut self.faults);
                }
            }
            Frame::GroupSent { group, number, position, .. } => {
                self.on_sent(port, group, number, position);
            }
            Frame::GroupReceipt(ref receipt) => self.on_receipt(port, receipt),
            Frame::GroupRejected(GroupRejected { code, .. }) => {
                return Err(Failure::Rejected { user: port.user(), code });
            }
            Frame::GroupNotice(notice) => {
                let reached = &mut self.members[index].inbox_reached;
                *reached = notice.position.max(*reached);
            }
            Frame::Deliver(ref deliver) if deliver.total_bytes.is_none() => {
                let reached = &mut self.members[index].inbox_reached;
                *reached = deliver.position.max(*reached);
            }
            Frame::Skip { position } => {
                let reached = &mut self.members[index].inbox_reached;
                *reached = position.max(*reached);
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure> {
        self.acknowledge(port);
        self.refill(port);
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        let makes = matches!(phase, Phase::Warmup { .. } | Phase::Measuring { .. });
        if makes {
            // The senders see that messages are made while the schedule is taken out.
            self.phase = Phase::Warmup { until_ns: 0, schedule: None };
        }
        self.phase = self.advance(phase, links, now_ns)?;
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
