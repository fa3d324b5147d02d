//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;
use crate::fault::Kind;
use crate::feature::{Feature, Features, Retention};
use crate::limits::{DEVICES_MAX, GROUPS_MAX, THREADS_MAX, USERS_MAX};

/// Kills the server under load, again and again, or makes its disk, its clock or its network fail,
/// and checks that it kept every promise.
///
/// Starts a server of its own, with a new data directory, and a thread for each of many small
/// clients: they chat, leave and return, send large bodies, stop reading, log in twice. Each round has
/// a fault: by default SIGKILL at a random moment and a restart on the same data. In the end everyone
/// comes online, everything is drained, and the server is stopped cleanly and started once more.
///
/// Faults (docs/torture.md): kill, stop, full-disk, fsync-error, torn-tail, corrupt, clock,
/// descriptors, buffers, network. One that this machine can't make is skipped, and the report says
/// why.
///
/// Each device writes down what it sent, got, acknowledged and was told. A checker that shares no
/// code with server or clients reads only that: every ticked message is shown on every device that
/// it is for, once, in order, as it was sent; receipts never run ahead of the truth, and equal it in
/// the end.
///
/// The last line of the output is one JSON object. Exit status: 0 if every promise was kept, 1 if
/// one was broken (the directory is kept then), 2 if the run came to no verdict.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the histories of an earlier run, and nothing else
    Check {
        /// The run's directory, or one with histories (user-*-device-*.log)
        directory: PathBuf,
    },
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Task {
    /// Torture and check.
    Run(RunOptions),
    /// Check what is in this directory.
    Check(PathBuf),
}

/// Options of a run.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Rounds of load, each with a fault
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// Kinds of faults, each as often as the others
    #[arg(long, value_name = "KIND,…", default_value = "kill", value_delimiter = ',')]
    pub fault: Vec<Kind>,
    /// The server's binary [default: fulmar, beside this program]
    #[arg(long, value_name = "PATH")]
    pub fulmar: Option<PathBuf>,
    /// Users; each writes to up to six others
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(2..=USERS_MAX))]
    pub users: u64,
    /// Devices of each user; a device is a thread
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=DEVICES_MAX))]
    pub devices: u64,
    /// Groups of different sizes, whose members come and go; 0 for a server without groups
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(0..=GROUPS_MAX))]
    pub groups: u64,
    /// What devices leave out
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',')]
    pub without: Vec<Feature>,
    /// Mean length of a round's load; each is between 0.3 and 1.7 times as long
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub seconds_per_round: Duration,
    /// Longest time in which everything must come to rest after the last fault
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub settle_seconds: Duration,
    /// What the server's tick promises
    #[arg(long, value_name = "fsync|os", default_value = "fsync", value_parser = ["fsync", "os"], hide_possible_values = true)]
    durability: String,
    /// What the server keeps
    #[arg(long, value_enum, value_name = "RULE", default_value = "temporary")]
    pub retention: Retention,
    /// Threads of the server's message path
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cores: u32,
    /// Size of a segment of the server's journal; a small one is changed often
    #[arg(long, value_name = "MIB", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub segment_mib: u32,
    /// Seed of all choices: habits, bodies, faults (not of the threads' timing) [default: chosen]
    #[arg(long, value_name = "S")]
    seed: Option<u32>,
    /// Directory for data, logs and histories, new or empty, kept [default: a temporary one, kept if
    /// a promise was broken]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Further arguments for `fulmar serve`, such as -- --quota-messages 200
    #[arg(last = true, value_name = "SERVER ARGUMENTS")]
    pub server_arguments: Vec<String>,
}

impl Cli {
    /// What is to be done.
    pub fn task(self) -> Result<Task, Failure> {
        if let Some(Command::Check { directory }) = self.command {
            return Ok(Task::Check(directory));
        }
        let devices = self.run.users * self.run.devices;
        if devices > THREADS_MAX {
            return Err(Failure::Options(format!(
                "{} users with {} devices are {devices} threads; at most {THREADS_MAX} are allowed",
                self.run.users, self.run.devices
            )));
        }
        Ok(Task::Run(self.run))
    }
}

impl RunOptions {
    /// `fsync` or `os`.
    pub fn durability(&self) -> &'static str {
        if self.durability == "os" { "os" } else { "fsync" }
    }

    /// The kinds of faults, each once.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = self.fault.clone();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// What devices do.
    pub fn features(&self) -> Features {
        let mut features = Features::all_but(&self.without);
        if self.groups == 0 {
            features.leave_out(Feature::Groups);
        }
        if self.retention != Retention::History {
            features.leave_out(Feature::WholeInbox);
        }
        features
    }

    /// The seed, chosen if none was given. It fits the numbers of any reader of JSON.
    pub fn seed(&self) -> u64 {
        u64::from(self.seed.unwrap_or_else(|| fastrand::u32(..)))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.05..=3_600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be a number of seconds between 0.05 and 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn task(arguments: &str) -> Result<Task, String> {
        let words = std::iter::once("fulmar-torture").chain(arguments.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        cli.task().map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_and_their_defaults() {
        let Task::Run(options) =
            task("--rounds 3 --durability os -- --quota-messages 200").unwrap()
        else {
            panic!("not a run");
        };
        assert_eq!((options.rounds, options.users, options.devices), (3, 40, 2));
        assert_eq!((options.durability(), options.cores), ("os", 2));
        assert_eq!(options.seconds_per_round, Duration::from_secs(2));
        assert_eq!(options.server_arguments, ["--quota-messages", "200"]);
        assert_eq!((options.kinds(), options.segment_mib), (vec![Kind::Kill], 1));
        let Task::Run(options) = task("--fault network,stop,network").unwrap() else {
            panic!("not a run");
        };
        assert_eq!(options.kinds(), [Kind::Stop, Kind::Network]);
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_the_range() {
        for (arguments, words) in [
            ("--rounds 0", "1..=100000"),
            ("--fault kill,fire", "one of kill, stop, full-disk"),
            ("--users 1", "2..=1000"),
            ("--users 1000 --devices 16", "at most 2000"),
            ("--seconds-per-round 0", "between 0.05 and 3600"),
            ("--durability none", "fsync, os"),
        ] {
            let error = task(arguments).unwrap_err();
            assert!(error.contains(words), "{arguments}: {error}");
        }
    }

    #[test]
    fn a_check_takes_a_directory_and_no_options() {
        assert!(matches!(task("check here"), Ok(Task::Check(_))));
        assert!(task("--rounds 3 check here").is_err());
    }
}
