//! The command line.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::affinity::Placement;
use crate::failure::Failure;
use crate::scenario::{
    GROUP_HELP, GROUPS_HELP, GroupOptions, GroupsOptions, IDLE_HELP, IdleOptions, OFFLINE_HELP,
    OfflineOptions, PAIRS_HELP, PINGPONG_HELP, PRESENCE_HELP, PairsOptions, PingpongOptions,
    PresenceOptions, Scenario,
};
use crate::seconds::Seconds;

const EXAMPLES: &str = "\
Examples:
  fulmar-load measure pairs                          start a server on CPU 0, load it from CPU 1
  fulmar-load measure pairs --durability os --rate 50000 --html report.html
  fulmar-load measure group --members 10000 --rate 2
  fulmar-load measure groups --churn 200             many groups, people who come and go
  fulmar-load measure presence --html report.html    who is there, as told to those who watch
  fulmar-load measure idle --connections 10000
  fulmar-load run pingpong --server 127.0.0.1:7700   a server that is running, --insecure-dev

The last line on standard output is one JSON object; the lines before it say the same to people.
Exit status: 0 measured and every promise kept, 1 not measured, 2 measured and promises broken, 64 the
command line is wrong.";

/// Measures a Fulmar server: real connections, and every message checked for loss, duplicates and
/// order.
#[derive(Debug, Parser)]
#[command(name = "fulmar-load", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a server that is running already
    #[command(subcommand_value_name = "SCENARIO", subcommand_help_heading = "Scenarios")]
    Run {
        #[command(subcommand)]
        scenario: ScenarioCommand<RunningServer>,
    },
    /// Start a server on a processor of its own, load it from another, and stop it
    #[command(subcommand_value_name = "SCENARIO", subcommand_help_heading = "Scenarios")]
    Measure {
        #[command(subcommand)]
        scenario: ScenarioCommand<StartedServer>,
    },
}

// The texts are given as attributes, which go before the documentation of flattened options.
#[derive(Debug, Subcommand)]
enum ScenarioCommand<Target: Args> {
    #[command(about = PAIRS_HELP.summary, after_help = PAIRS_HELP.description)]
    Pairs(Invocation<PairsOptions, Target>),
    #[command(about = PINGPONG_HELP.summary, after_help = PINGPONG_HELP.description)]
    Pingpong(Invocation<PingpongOptions, Target>),
    #[command(about = GROUP_HELP.summary, after_help = GROUP_HELP.description)]
    Group(Invocation<GroupOptions, Target>),
    #[command(about = GROUPS_HELP.summary, after_help = GROUPS_HELP.description)]
    Groups(Invocation<GroupsOptions, Target>),
    #[command(about = PRESENCE_HELP.summary, after_help = PRESENCE_HELP.description)]
    Presence(Invocation<PresenceOptions, Target>),
    #[command(about = OFFLINE_HELP.summary, after_help = OFFLINE_HELP.description)]
    Offline(Invocation<OfflineOptions, Target>),
    #[command(about = IDLE_HELP.summary, after_help = IDLE_HELP.description)]
    Idle(Invocation<IdleOptions, Target>),
}

#[derive(Debug, Args)]
struct Invocation<Options: Args, Target: Args> {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    general: GeneralOptions,
}

/// A server that runs already.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct RunningServer {
    /// Where the server listens; it must accept logins without a token (--insecure-dev)
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub server: SocketAddr,
    /// The server's process on this machine; its processor time and memory are then measured
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
}

/// A server that is started for the measurement.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct StartedServer {
    /// When the server ticks: after an fsync, or once the operating system has the data
    #[arg(long, value_enum, value_name = "fsync|os", hide_possible_values = true,
          default_value_t = Durability::Fsync)]
    pub durability: Durability,
    /// The server's binary [default: `fulmar` beside this program]
    #[arg(long, value_name = "PATH")]
    pub fulmar: Option<PathBuf>,
    /// Directory in which the server's data lives until the end of the measurement
    #[arg(long, value_name = "DIR", default_value = "./target/measure")]
    pub data_root: PathBuf,
    /// The server's cores
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub cores: u32,
    /// The processor that all threads of the server run on (with --cores N, the first of N), or
    /// `none`
    #[arg(long, value_name = "CPU", default_value = "0")]
    pub server_cpu: Placement,
    /// The server's control address, or `off`
    #[arg(long, value_name = "ADDR", default_value = "off")]
    pub control: String,
    /// Further arguments of `fulmar serve`, after `--`
    #[arg(last = true, value_name = "SERVER ARGUMENTS")]
    pub server_arguments: Vec<String>,
}

/// What holds for every scenario.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "General")]
pub struct GeneralOptions {
    /// Also write the JSON object to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also write a page with a latency plot to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The processor of the load itself, or `none` [default: `measure` the one after the
    /// server's, `run` none]
    #[arg(long, value_name = "CPU")]
    pub load_cpu: Option<Placement>,
    /// Poll the sockets instead of sleeping: takes our own wake-up (tens of microseconds) out of
    /// the latencies, and a whole processor
    #[arg(long)]
    pub spin: bool,
    /// At the end, how long nothing may happen before what is outstanding counts as lost, in
    /// seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = Seconds::measured)]
    pub drain: Seconds,
    /// The lowest user number; each run against the same server is best given its own
    #[arg(long, value_name = "USER", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=1 << 53))]
    pub first_user: u64,
    /// Starts the random choices; the same seed makes the same ones
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// When the server ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// After an fsync
    Fsync,
    /// Once the operating system has the data
    Os,
}

impl Durability {
    /// As the server's option and the report name it.
    pub const fn name(self) -> &'static str {
        match self {
            Durability::Fsync => "fsync",
            Durability::Os => "os",
        }
    }
}

/// Which server is measured.
#[derive(Debug, Clone)]
pub enum Target {
    /// One that is there.
    Running(RunningServer),
    /// One that is started.
    Started(StartedServer),
}

/// What the command line asks for, judged.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What to do.
    pub scenario: Scenario,
    /// With whom.
    pub target: Target,
    /// How.
    pub general: GeneralOptions,
}

impl Cli {
    /// The plan; fails where options don't fit together.
    pub fn plan(self) -> Result<Plan, Failure> {
        let plan = match self.command {
            Command::Run { scenario } => scenario.plan(Target::Running),
            Command::Measure { scenario } => scenario.plan(Target::Started),
        };
        if let Scenario::Offline(options) = &plan.scenario {
            options.validate()?;
        }
        Ok(plan)
    }
}

impl<T: Args> ScenarioCommand<T> {
    fn plan(self, target: impl FnOnce(T) -> Target) -> Plan {
        match self {
            ScenarioCommand::Pairs(invocation) => invocation.plan(Scenario::Pairs, target),
            ScenarioCommand::Pingpong(invocation) => invocation.plan(Scenario::Pingpong, target),
            ScenarioCommand::Group(invocation) => invocation.plan(Scenario::Group, target),
            ScenarioCommand::Groups(invocation) => invocation.plan(Scenario::Groups, target),
            ScenarioCommand::Presence(invocation) => invocation.plan(Scenario::Presence, target),
            ScenarioCommand::Offline(invocation) => invocation.plan(Scenario::Offline, target),
            ScenarioCommand::Idle(invocation) => invocation.plan(Scenario::Idle, target),
        }
    }
}

impl<O: Args, T: Args> Invocation<O, T> {
    fn plan(self, scenario: impl FnOnce(O) -> Scenario, target: impl FnOnce(T) -> Target) -> Plan {
        Plan {
            scenario: scenario(self.options),
            target: target(self.target),
            general: self.general,
        }
    }
}

impl Plan {
    /// Where the load runs.
    pub fn load_placement(&self) -> Placement {
        let default = match &self.target {
            Target::Running(_) => Placement::Anywhere,
            Target::Started(server) => match server.server_cpu {
                Placement::Anywhere => Placement::Anywhere,
                Placement::Processor(first) => Placement::Processor(first + server.cores as usize),
            },
        };
        self.general.load_cpu.unwrap_or(default)
    }

    /// The server's durability, where it is known.
    pub const fn durability(&self) -> Option<&'static str> {
        match &self.target {
            Target::Running(_) => None,
            Target::Started(server) => Some(server.durability.name()),
        }
    }

    /// What the started server gets as further arguments: what the scenario needs, unless it is given,
    /// and what is given.
    pub fn server_arguments(&self) -> Vec<String> {
        let Target::Started(server) = &self.target else { return Vec::new() };
        let given = &server.server_arguments;
        let is_given = |setting: &str| {
            let names = given.iter().map(|argument| argument.split('=').next().unwrap_or_default());
            names.into_iter().any(|name| name == setting)
        };
        let needed = self.scenario.server_settings().into_iter();
        let needed = needed.filter(|&(setting, _)| !is_given(setting));
        let needed = needed.flat_map(|(setting, value)| [setting.to_owned(), value]);
        needed.chain(given.iter().cloned()).collect()
    }

    /// Every option as the report shows it.
    pub fn options(&self) -> Value {
        let mut options = json!(self.scenario);
        let general = &self.general;
        let mut more = json!({
            "spin": general.spin,
            "drain": general.drain,
            "first_user": general.first_user,
            "seed": general.seed,
            "load_cpu": placement(self.load_placement()),
        });
        let target = match &self.target {
            Target::Running(server) => json!({ "server": server.server.to_string() }),
            Target::Started(server) => json!({
                "cores": server.cores,
                "server_cpu": placement(server.server_cpu),
                "control": server.control,
                "server_arguments": self.server_arguments(),
            }),
        };
        for part in [&mut more, &mut { target }] {
            if let (Some(options), Some(part)) = (options.as_object_mut(), part.as_object_mut()) {
                options.append(part);
            }
        }
        options
    }
}

fn placement(placement: Placement) -> Value {
    match placement {
        Placement::Anywhere => Value::Null,
        Placement::Processor(number) => Value::from(number),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text
        .to_socket_addrs()
        .map_err(|error| format!("{error}; an address is HOST:PORT, such as 127.0.0.1:7700"))?;
    addresses.next().ok_or_else(|| "this host has no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, String> {
        let words = std::iter::once("fulmar-load").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        cli.plan().map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_documented_measurement() {
        let plan = plan("measure pairs").unwrap();
        let options = plan.options();
        for (name, value) in [
            ("pairs", json!(500)),
            ("window", json!(16)),
            ("body", json!(100)),
            ("seconds", json!(10.0)),
            ("rate", json!(0)),
            ("server_cpu", json!(0)),
            ("load_cpu", json!(1)),
            ("cores", json!(1)),
            ("control", json!("off")),
        ] {
            assert_eq!(options[name], value, "{name}");
        }
        assert_eq!(plan.durability(), Some("fsync"));
        assert_eq!(plan.scenario.connections(), 1_000);
        assert_eq!(self::plan("measure idle").unwrap().scenario.connections(), 18_000);
        assert_eq!(self::plan("measure group").unwrap().scenario.connections(), 100);
        assert_eq!(self::plan("measure presence").unwrap().scenario.connections(), 18_000);
        assert_eq!(self::plan("measure groups").unwrap().scenario.connections(), 2_256);
        let offline = self::plan("measure offline").unwrap();
        assert_eq!(
            (&offline.options()["users"], &offline.options()["each"]),
            (&json!(2_000), &json!(50))
        );
    }

    #[test]
    fn wrong_values_are_refused_with_the_allowed_ones() {
        for (line, expected) in [
            ("run pairs", "--server"),
            ("run pairs --server nowhere", "HOST:PORT"),
            ("measure pairs --pairs 0", "1..=1000000"),
            ("measure pairs --window 0", "1..=4096"),
            ("measure pairs --body 23", "24..=416384"),
            ("measure pairs --body 416385", "24..=416384"),
            ("measure pairs --seconds 0", "at least 0.1"),
            ("measure pairs --seconds ten", "a number of seconds"),
            ("measure pairs --rate -1", "unexpected argument"),
            ("measure pairs --durability memory", "possible values: fsync, os"),
            ("measure pairs --users 5", "unexpected argument"),
            ("measure pairs --server-cpu x", "a processor's number"),
            ("measure pairs --first-user 0", "not in 1..="),
            ("measure idle --connections 1", "2..=4000000"),
            ("measure offline --each 10001", "1..=10000"),
            ("measure offline --users 1000000 --each 1000", "at most 100000000 are possible"),
            ("measure group --members 1", "2..=100000"),
            ("measure group --body 16301", "24..=16300"),
            ("measure group --senders 0", "1..=100000"),
            ("measure groups --online-percent 101", "1..=100"),
            ("measure presence --watch 257", "1..=256"),
            ("measure presence --interval 4", "5..=600"),
            ("measure dance", "unrecognized subcommand"),
        ] {
            let error = plan(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn members_of_groups_read_unless_they_are_told_not_to() {
        let reads = |line: &str| plan(line).unwrap().options()["reads"].clone();
        for scenario in ["measure group", "measure groups"] {
            assert_eq!(reads(scenario), json!(true));
            assert_eq!(reads(&format!("{scenario} --no-reads")), json!(false));
        }
    }

    #[test]
    fn the_load_runs_beside_the_server() {
        let load = |line: &str| plan(line).unwrap().load_placement();
        assert_eq!(load("measure pairs --server-cpu 2 --cores 3"), Placement::Processor(5));
        assert_eq!(load("measure pairs --server-cpu none"), Placement::Anywhere);
        assert_eq!(load("measure pairs --load-cpu none"), Placement::Anywhere);
        assert_eq!(load("run pairs --server 127.0.0.1:1"), Placement::Anywhere);
        assert_eq!(load("run pairs --server 127.0.0.1:1 --load-cpu 1"), Placement::Processor(1));
    }

    #[test]
    fn server_arguments_come_last() {
        let plan = plan("measure pingpong --cores 2 -- --retention history").unwrap();
        assert_eq!(plan.options()["server_arguments"], json!(["--retention", "history"]));
    }

    #[test]
    fn a_server_is_told_what_the_scenario_needs_unless_that_is_given() {
        let arguments = |line: &str| plan(line).unwrap().server_arguments().join(" ");
        assert_eq!(arguments("measure group --members 1024"), "");
        assert_eq!(arguments("measure group --members 10000"), "--group-members-max 10000");
        let given = "--group-members-max=20000 --log warn";
        assert_eq!(arguments(&format!("measure group --members 10000 -- {given}")), given);
        assert_eq!(arguments("measure presence"), "--presence-interval-seconds 10");
        assert_eq!(arguments("run group --members 10000 --server 127.0.0.1:1"), "");
    }
}
