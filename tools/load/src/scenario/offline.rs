//! Messages for users who are offline, who then come back and drain their inboxes.

use std::ops::Range;

use fulmar_protocol::{Frame, Welcome};
use serde::Serialize;

use super::drain::{HeadCheck, Quiet};
use super::login::{Register, check_terms};
use super::pairs::body_bytes;
use super::{Figure, Help, Outcome, Setting, nanoseconds, seconds_between, unix_ms};
use crate::engine::{Links, Next, Port, Script};
use crate::exchange::{Event, Exchange, ExchangePlan};
use crate::failure::Failure;
use crate::limits::UNRECEIPTED_MAX;
use crate::usage::Usage;

/// Most messages for one user.
const EACH_MAX: u32 = 10_000;
/// Most messages in all: what became of each is remembered until it is receipted.
const MESSAGES_MAX: u64 = 100_000_000;

const _: () = assert!(EACH_MAX as usize <= UNRECEIPTED_MAX);

/// The help of `offline`.
pub const OFFLINE_HELP: Help = Help {
    summary: "Messages for users who are offline, who then log in and drain",
    description: "\
Every user logs in and out once, so that the server knows a device of it. Authors then send --each \
messages to every user (stored_per_s: ticks per second). Then all users log in at once and \
acknowledge what they get (drained_per_s: deliveries per second, logins included).",
};

/// Options of `offline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clap::Args)]
pub struct OfflineOptions {
    /// Number of users who are offline
    #[arg(long, value_name = "N", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub users: u32,
    /// Messages for each of them
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(EACH_MAX)))]
    pub each: u32,
    /// Users who write the messages; at most as many as are offline
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub authors: u32,
    /// Messages of an author that wait for their tick at once
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub window: u32,
    /// Length of each message body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = body_bytes())]
    pub body: u32,
}

impl OfflineOptions {
    /// Authors that have something to do.
    pub(super) const fn authors(&self) -> u32 {
        if self.authors < self.users { self.authors } else { self.users }
    }

    const fn messages(&self) -> u64 {
        self.users as u64 * self.each as u64
    }

    /// Fails where the options ask for too much together.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.messages() <= MESSAGES_MAX {
            return Ok(());
        }
        Err(Failure::Options(format!(
            "--users {} with --each {} are {} messages; at most {MESSAGES_MAX} are possible",
            self.users,
            self.each,
            self.messages()
        )))
    }
}

/// Runs `offline`.
pub(super) fn run(options: &OfflineOptions, setting: &Setting) -> Result<Outcome, Failure> {
    let (users, authors) = (options.users as usize, options.authors() as usize);
    let plan = ExchangePlan {
        users: users + authors,
        authors: (0..users).map(|recipient| (users + recipient % authors) as u32).collect(),
        first_user: setting.first_user,
        body_bytes: options.body as usize,
        flight: options.each as usize,
    };
    let mut engine = setting.engine(users + authors)?;
    engine.run(&mut Register::new(0..users))?;

    let mut store = Store {
        exchange: Exchange::new(plan, unix_ms()),
        options,
        progress: vec![0; authors],
        stage: StoreStage::Opening { to_open: users..users + authors },
        setting,
    };
    engine.run(&mut store)?;
    let (StoreStage::Over(stored), exchange) = (store.stage, store.exchange) else {
        unreachable!("an engine runs until the script is over")
    };
    let stored_messages = exchange.totals().ticked;

    let mut drain = Drain {
        exchange,
        users,
        delivered_ns: 0,
        stage: DrainStage::Opening,
        limit_ns: nanoseconds(setting.drain.get()),
        setting,
    };
    engine.run(&mut drain)?;
    let DrainStage::Over { drained, pings_unanswered } = drain.stage else {
        unreachable!("an engine runs until the script is over")
    };
    let drained_messages = drain.exchange.totals().delivered;
    let findings = drain.exchange.finish();
    let mut outcome = Outcome {
        connections: users + authors,
        faults: findings.faults,
        latencies: findings.latencies,
        ..figures(options, stored_messages, &stored, drained_messages, &drained)
    };
    if pings_unanswered > 0 {
        outcome.faults.irregular(|| format!("{pings_unanswered} pings got no pong"));
    }
    Ok(outcome)
}

fn figures(
    options: &OfflineOptions,
    stored_messages: u64,
    stored: &Span,
    drained_messages: u64,
    drained: &Span,
) -> Outcome {
    let stored_per_s = stored_messages as f64 / stored.seconds();
    let drained_per_s = drained_messages as f64 / drained.seconds();
    let (storing, draining) = (stored.spent(), drained.spent());
    let mut figures = vec![
        Figure {
            name: "stored_per_s",
            value: stored_per_s,
            meaning: "messages ticked per second while their recipients were offline",
        },
        Figure {
            name: "drained_per_s",
            value: drained_per_s,
            meaning: "messages delivered per second once they came, logins included",
        },
        Figure {
            name: "drain_seconds",
            value: drained.seconds(),
            meaning: "from the first login to the last delivery",
        },
        Figure {
            name: "drain_logins",
            value: f64::from(options.users),
            meaning: "logins in that time",
        },
    ];
    if let Some(cpu_us) = storing.server_cpu_us {
        figures.push(Figure {
            name: "server_cpu_us_per_stored",
            value: cpu_us / stored_messages.max(1) as f64,
            meaning: "server's processor time per message stored",
        });
    }
    if let Some(cpu_us) = draining.server_cpu_us {
        figures.push(Figure {
            name: "server_cpu_us_per_drained",
            value: cpu_us / drained_messages.max(1) as f64,
            meaning: "server's processor time per message drained, logins included",
        });
    }
    Outcome {
        seconds: stored.seconds() + drained.seconds(),
        deliveries_per_s: Some(drained_per_s),
        spent: Some(storing.plus(&draining)),
        messages: drained_messages,
        body_bytes: options.body,
        figures,
        ..Outcome::default()
    }
}

/// A measured stretch of time.
#[derive(Debug, Clone, Copy)]
struct Span {
    from_ns: u64,
    to_ns: u64,
    before: Usage,
    after: Usage,
}

impl Span {
    fn seconds(&self) -> f64 {
        seconds_between(self.from_ns, self.to_ns)
    }

    fn spent(&self) -> crate::usage::Spent {
        self.after.since(&self.before)
    }
}

/// The authors fill the inboxes, each going round among its recipients.
struct Store<'a> {
    exchange: Exchange,
    options: &'a OfflineOptions,
    /// Messages that each author has sent.
    progress: Vec<u64>,
    stage: StoreStage,
    setting: &'a Setting,
}

enum StoreStage {
    Opening { to_open: Range<usize> },
    Storing { from_ns: u64, before: Usage, quiet: Quiet },
    Over(Span),
}

impl Store<'_> {
    fn fill(&mut self, port: &mut Port<'_>) {
        let (users, authors) = (self.options.users as usize, self.progress.len());
        let author = port.index - users;
        // The recipients whose index leaves this remainder; at least one, as there are no more
        // authors than users.
        let recipients = (users - author).div_ceil(authors) as u64;
        let messages = recipients * u64::from(self.options.each);
        while self.progress[author] < messages {
            let turn = (self.progress[author] % recipients) as usize;
            let recipient = turn * authors + author;
            if !self.exchange.may_send(port, recipient, self.options.window) {
                break;
            }
            self.exchange.send(port, recipient, port.now_ns);
            self.progress[author] += 1;
        }
    }
}

impl Script for Store<'_> {
    fn on_ready(&mut self, port: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        check_terms(port, self.options.window, self.options.body)
    }

    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        self.exchange.on_frame(port, frame).map(|_| ())
    }

    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure> {
        // Authors get nothing but what an earlier run left in their inboxes.
        self.exchange.acknowledge(port);
        if matches!(self.stage, StoreStage::Storing { .. }) {
            self.fill(port);
        }
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        match &mut self.stage {
            StoreStage::Opening { to_open } => {
                std::mem::take(to_open).for_each(|index| links.open(index));
                if links.ready() == self.progress.len() {
                    let before = self.setting.probe.usage();
                    let quiet = self.setting.quiet(now_ns);
                    self.stage = StoreStage::Storing { from_ns: now_ns, before, quiet };
                    self.exchange.record(now_ns..u64::MAX);
                    let users = self.options.users as usize;
                    (users..links.len())
                        .for_each(|index| self.fill(&mut links.port(index, now_ns)));
                }
            }
            StoreStage::Storing { from_ns, before, quiet } => {
                let ticked = self.exchange.totals().ticked;
                if ticked == self.options.messages() || quiet.is_quiet(ticked, now_ns) {
                    let after = self.setting.probe.usage();
                    let (from_ns, before) = (*from_ns, *before);
                    self.stage = StoreStage::Over(Span { from_ns, to_ns: now_ns, before, after });
                    // The time that a message waits for its recipient is not a latency.
                    self.exchange.record(0..0);
                    return Ok(Next::Done);
                }
            }
            StoreStage::Over(_) => return Ok(Next::Done),
        }
        Ok(Next::Ready)
    }
}

/// The users log in and take what waits for them.
struct Drain<'a> {
    exchange: Exchange,
    users: usize,
    /// When the last message was delivered.
    delivered_ns: u64,
    stage: DrainStage,
    limit_ns: u64,
    setting: &'a Setting,
}

enum DrainStage {
    Opening,
    Draining { from_ns: u64, before: Usage, quiet: Quiet },
    Heads { drained: Span, check: HeadCheck },
    Over { drained: Span, pings_unanswered: u64 },
}

impl Script for Drain<'_> {
    fn on_ready(&mut self, _: &mut Port<'_>, _: &Welcome<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn on_frame(&mut self, port: &mut Port<'_>, frame: &Frame<'_>) -> Result<(), Failure> {
        match self.exchange.on_frame(port, frame)? {
            Event::Delivered { .. } => self.delivered_ns = port.now_ns,
            Event::Head => {
                if let DrainStage::Heads { check, .. } = &mut self.stage {
                    check.on_head();
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn on_batch(&mut self, port: &mut Port<'_>) -> Result<(), Failure> {
        self.exchange.acknowledge(port);
        Ok(())
    }

    fn on_turn(&mut self, links: &mut Links, now_ns: u64) -> Result<Next, Failure> {
        match &mut self.stage {
            DrainStage::Opening => {
                (0..self.users).for_each(|index| links.open(index));
                let (before, quiet) =
                    (self.setting.probe.usage(), Quiet::new(self.limit_ns, now_ns));
                self.stage = DrainStage::Draining { from_ns: now_ns, before, quiet };
            }
            DrainStage::Draining { from_ns, before, quiet } => {
                let progress = self.exchange.totals().progress() + links.ready() as u64;
                let open = links.ready() == links.len();
                let settled = open && self.exchange.is_settled();
                if settled || quiet.is_quiet(progress, now_ns) {
                    let to_ns = self.delivered_ns.max(*from_ns);
                    let after = self.setting.probe.usage();
                    let drained = Span { from_ns: *from_ns, to_ns, before: *before, after };
                    let check = HeadCheck::begin(links, 0..self.users, self.limit_ns, now_ns);
                    self.stage = DrainStage::Heads { drained, check };
                }
            }
            DrainStage::Heads { drained, check } => {
                if check.is_over(now_ns) {
                    let pings_unanswered = check.unanswered();
                    self.stage = DrainStage::Over { drained: *drained, pings_unanswered };
                    return Ok(Next::Done);
                }
            }
            DrainStage::Over { .. } => return Ok(Next::Done),
        }
        Ok(Next::Ready)
    }
}
