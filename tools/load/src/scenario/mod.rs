//! The scenarios: what is done with the connections, and which figures come of it.
//!
//! A scenario is a module with its options (arguments of the command line), a [`Script`] for each
//! of its stages, and a function from a [`Setting`] to an [`Outcome`]. To add one: write the
//! module, and name it in [`Scenario`], which the command line and the report are made from.
//!
//! [`Script`]: crate::engine::Script

mod drain;
mod group;
mod groups;
mod idle;
mod login;
mod offline;
mod pace;
mod pairs;
mod presence;
mod talk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

pub use group::{GROUP_HELP, GroupOptions};
pub use groups::{GROUPS_HELP, GroupsOptions};
pub use idle::{IDLE_HELP, IdleOptions};
pub use offline::{OFFLINE_HELP, OfflineOptions};
pub use pace::PaceOptions;
pub use pairs::{PAIRS_HELP, PINGPONG_HELP, PairsOptions, PingpongOptions};
pub use presence::{PRESENCE_HELP, PresenceOptions};
pub use talk::TalkOptions;

use self::drain::Quiet;
use crate::check::Faults;
use crate::engine::{Engine, EngineOptions};
use crate::exchange::MessageLatencies;
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::seconds::Seconds;
use crate::usage::{Probe, Spent};

/// What every scenario runs in.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The server.
    pub server: SocketAddr,
    /// Reads what the run costs.
    pub probe: Probe,
    /// The first user's number on the wire.
    pub first_user: u64,
    /// Poll the sockets instead of sleeping.
    pub spin: bool,
    /// For how long nothing may happen at the end before what is outstanding is judged.
    pub drain: Seconds,
    /// Starts the random choices.
    pub seed: u64,
    /// Set by ctrl-C.
    pub interrupted: Arc<AtomicBool>,
}

impl Setting {
    /// Notices at the end when nothing happens any more.
    const fn quiet(&self, now_ns: u64) -> Quiet {
        Quiet::new(nanoseconds(self.drain.get()), now_ns)
    }

    fn engine(&self, users: usize) -> Result<Engine, Failure> {
        Engine::new(&EngineOptions {
            server: self.server,
            first_user: self.first_user,
            users,
            spin: self.spin,
            interrupted: Arc::clone(&self.interrupted),
        })
    }
}

/// What the command line's help says about a scenario.
#[derive(Debug)]
pub struct Help {
    /// One line.
    pub summary: &'static str,
    /// What is done, and what the figures mean.
    pub description: &'static str,
}

/// A scenario and its options.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scenario {
    /// Pairs that write to each other.
    Pairs(PairsOptions),
    /// One message at a time.
    Pingpong(PingpongOptions),
    /// One group with many members.
    Group(GroupOptions),
    /// Many groups whose members come and go.
    Groups(GroupsOptions),
    /// People who watch each other's presence.
    Presence(PresenceOptions),
    /// Messages for users who are not there, who then come.
    Offline(OfflineOptions),
    /// Connections that do nothing.
    Idle(IdleOptions),
}

impl Scenario {
    /// Its name on the command line and in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Scenario::Pairs(_) => "pairs",
            Scenario::Pingpong(_) => "pingpong",
            Scenario::Group(_) => "group",
            Scenario::Groups(_) => "groups",
            Scenario::Presence(_) => "presence",
            Scenario::Offline(_) => "offline",
            Scenario::Idle(_) => "idle",
        }
    }

    /// The most connections that it has open at once.
    pub const fn connections(&self) -> usize {
        match self {
            Scenario::Pairs(options) => options.pairs as usize * 2,
            Scenario::Pingpong(_) => 2,
            Scenario::Group(options) => options.members as usize,
            Scenario::Groups(options) => options.connections(),
            Scenario::Presence(options) => options.connections as usize,
            Scenario::Offline(options) => options.users as usize + options.authors() as usize,
            Scenario::Idle(options) => options.connections as usize,
        }
    }

    /// What the server that is started for it is told beside its defaults: setting and value.
    pub fn server_settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Scenario::Group(options) if options.members > group::MEMBERS_FREE => {
                vec![("--group-members-max", options.members.to_string())]
            }
            Scenario::Presence(options) => {
                vec![("--presence-interval-seconds", options.interval.to_string())]
            }
            _ => Vec::new(),
        }
    }

    /// Runs it.
    pub fn run(&self, setting: &Setting) -> Result<Outcome, Failure> {
        match self {
            Scenario::Pairs(options) => pairs::run(options, setting),
            Scenario::Pingpong(options) => pairs::run_pingpong(options, setting),
            Scenario::Group(options) => group::run(options, setting),
            Scenario::Groups(options) => groups::run(options, setting),
            Scenario::Presence(options) => presence::run(options, setting),
            Scenario::Offline(options) => offline::run(options, setting),
            Scenario::Idle(options) => idle::run(options, setting),
        }
    }
}

/// A figure of one scenario, beside those that all have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Its key in the JSON report; the unit is its last word.
    pub name: &'static str,
    /// The value; whole where it counts something.
    pub value: f64,
    /// What it means, for people.
    pub meaning: &'static str,
}

/// Latencies of one kind.
#[derive(Debug)]
pub struct NamedLatencies {
    /// Their key in the JSON report.
    pub name: &'static str,
    /// What they are, for people.
    pub label: &'static str,
    /// The values.
    pub latencies: Latencies,
}

/// What a scenario found. What it doesn't measure is `None`.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Connections that were open.
    pub connections: usize,
    /// Length of the measured time, in seconds.
    pub seconds: f64,
    /// Messages per second that got as far as the scenario counts them.
    pub messages_per_s: Option<f64>,
    /// How far that is, for people.
    pub messages_mean: &'static str,
    /// Deliveries per second.
    pub deliveries_per_s: Option<f64>,
    /// Broken promises.
    pub faults: Faults,
    /// Of the messages meant to be sent in the measured time.
    pub latencies: MessageLatencies,
    /// The scenario's own latencies.
    pub other_latencies: Vec<NamedLatencies>,
    /// Processor time of the measured time.
    pub spent: Option<Spent>,
    /// Whether the load polled instead of sleeping; its processor time then says nothing.
    pub polled: bool,
    /// Messages that the processor time is divided by.
    pub messages: u64,
    /// Length of their bodies.
    pub body_bytes: u32,
    /// Growth of the server's memory per connection.
    pub server_rss_bytes_per_connection: Option<f64>,
    /// The scenario's own figures.
    pub figures: Vec<Figure>,
    /// What a reader of the figures must know.
    pub notes: Vec<String>,
}

/// The wall clock, in milliseconds since the Unix epoch.
fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}

const fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

fn seconds_between(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns).max(1) as f64 / 1e9
}
