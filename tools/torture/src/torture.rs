//! From options to a report: makes the directory, runs the campaign, has it checked.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tempfile::TempDir;

use crate::campaign::{self, Plan};
use crate::check::{Promise, check};
use crate::cli::{RunOptions, Task};
use crate::commit::commit;
use crate::failure::Failure;
use crate::fault::Kind;
use crate::feature::{Feature, Retention};
use crate::limits::{EDIT_AGE, PRESENCE};
use crate::machine::room::Room;
use crate::machine::{Machine, Skipped, cable};
use crate::report::{Report, Setting, named};
use crate::server::ServerOptions;
use crate::world::Tokens;

/// Does what is to be done.
pub fn carry_out(task: &Task, interrupted: &Arc<AtomicBool>) -> Result<Report, Failure> {
    match task {
        Task::Check(directory) => Ok(Report::new(check(directory)?, None, commit())),
        Task::Run(options) => run(options, interrupted),
    }
}

fn run(options: &RunOptions, interrupted: &Arc<AtomicBool>) -> Result<Report, Failure> {
    let begin = Instant::now();
    let directory = Directory::make(options.dir.as_deref())?;
    let (plan, machine, skipped) = plan(options, directory.path(), interrupted)?;
    for (kind, why) in &skipped {
        eprintln!("{kind} is skipped: {why}");
    }
    if plan.kinds.is_empty() {
        return Err(Failure::Skipped(named(skipped)));
    }
    eprintln!("seed {}; histories, data and logs in {}", plan.seed, directory.path().display());
    let outcome = match campaign::run(&plan, machine) {
        Ok(outcome) => outcome,
        Err(failure) => {
            // What a failed server left behind tells why.
            let kept = matches!(failure, Failure::Server(_)).then(|| directory.keep());
            if let Some(path) = kept {
                eprintln!("histories and logs: {}", path.display());
            }
            return Err(failure);
        }
    };
    let mut verdict = check(&plan.histories)?;
    let (wrote, devices) = (verdict.volume.devices, plan.users * plan.devices);
    if wrote != devices {
        let what = format!("{devices} devices took part, and there are histories of {wrote}");
        verdict.tally.add(Promise::Unsettled, what);
    }
    for complaint in outcome.complaints {
        verdict.tally.add(Promise::Server, complaint);
    }
    for untried in outcome.untried {
        verdict.tally.add(Promise::Unsettled, untried);
    }
    let setting = Setting {
        rounds: plan.rounds,
        kills: outcome.kills,
        faults: named(outcome.counts),
        skipped: named(skipped),
        durability: plan.server.durability,
        cores: plan.server.cores,
        users: plan.users,
        devices_per_user: plan.devices,
        groups: plan.groups,
        seconds: begin.elapsed().as_secs_f64(),
        seed: plan.seed,
    };
    let mut report = Report::new(verdict, Some(setting), commit());
    if !report.tally.is_clean() || directory.is_given() {
        report.kept = Some(directory.keep());
    }
    Ok(report)
}

fn plan(
    options: &RunOptions,
    directory: &Path,
    interrupted: &Arc<AtomicBool>,
) -> Result<(Plan, Machine, Skipped), Failure> {
    let histories = directory.join("history");
    fs::create_dir(&histories).map_err(Failure::system("making the directory of histories"))?;
    let (seed, mut kinds) = (options.seed(), options.kinds());
    let prepared = Machine::prepare(&mut kinds, directory, options.durability(), seed);
    let (machine, skipped) = prepared;
    let program = program(options.fulmar.as_deref())?;
    let place = machine.room.as_ref().map_or(directory, Room::path);
    let data = place.join("data");
    let mut arguments = options.server_arguments.clone();
    let mut features = options.features();
    if options.retention == Retention::History {
        arguments.extend(["--retention", "history"].map(str::to_owned));
    }
    if kinds.contains(&Kind::Clock) {
        features.leave_out(Feature::Expiry);
        features.leave_out(Feature::LastSeen);
        // What is edited must not be too old only since the clock jumps.
        let seconds = EDIT_AGE.as_secs().to_string();
        arguments.extend(["--edit-max-age-seconds".to_owned(), seconds]);
    }
    let interval = "--presence-interval-seconds";
    if features.has(Feature::People) && !arguments.iter().any(|it| it.starts_with(interval)) {
        arguments.extend([interval.to_owned(), PRESENCE.as_secs().to_string()]);
    }
    let mut server = ServerOptions {
        program,
        log: directory.join("server.log"),
        durability: options.durability(),
        cores: options.cores,
        segment_mib: options.segment_mib,
        address: Ipv4Addr::LOCALHOST.into(),
        network: None,
        keys: None,
        descriptors: None,
        environment: machine.layer.as_ref().map_or(Vec::new(), |layer| layer.environment(&data)),
        arguments,
        data,
    };
    let mut tokens = Tokens::new();
    if let Some(cable) = &machine.cable {
        // Only on loopback does the server take anyone.
        server.address = cable::SERVER.into();
        server.network = Some(cable.server());
        let keys = directory.join("keys.toml");
        tokens = issue(&server.program, &keys, options.users, options.devices)?;
        server.keys = Some(keys);
    }
    let plan = Plan {
        rounds: options.rounds,
        kinds,
        users: options.users,
        devices: options.devices,
        groups: options.groups,
        features,
        round: options.seconds_per_round,
        settle: options.settle_seconds,
        seed,
        histories,
        diary: directory.join("campaign.log"),
        copies: directory.join("copies"),
        server,
        tokens,
        interrupted: Arc::clone(interrupted),
    };
    Ok((plan, machine, skipped))
}

/// Has the program make a key and sign a login token for every device.
fn issue(program: &Path, keys: &Path, users: u64, devices: u64) -> Result<Tokens, Failure> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).arg("--keys").arg(keys);
        let output = command.output().map_err(|error| {
            Failure::Program(format!("{} can't be run: {error}", program.display()))
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::Program(format!("no login tokens: {}", said.trim())))
    };
    run(&["key", "generate"])?;
    let mut tokens = Tokens::new();
    for (user, device) in (1..=users).flat_map(|user| (1..=devices).map(move |d| (user, d))) {
        let arguments = [user.to_string(), device.to_string()];
        let token = run(&["token", "--user", &arguments[0], "--device", &arguments[1]])?;
        tokens.insert((user, device), token.trim_ascii().to_vec());
    }
    Ok(tokens)
}

/// The server's binary: the one that was named, or the one that was built with this program.
fn program(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let own = std::env::current_exe().map_err(Failure::system("looking for this program"))?;
    Ok(own.with_file_name("fulmar"))
}

/// The directory of a run.
#[derive(Debug)]
enum Directory {
    Given(PathBuf),
    /// Removed when it is dropped.
    Temporary(TempDir),
}

impl Directory {
    fn make(given: Option<&Path>) -> Result<Directory, Failure> {
        let Some(path) = given else {
            let made = tempfile::Builder::new().prefix("fulmar-torture-").tempdir();
            let doing = "making a temporary directory; name one with --dir";
            return made.map(Directory::Temporary).map_err(Failure::system(doing));
        };
        let is_empty = || -> io::Result<bool> {
            fs::create_dir_all(path)?;
            Ok(fs::read_dir(path)?.next().is_none())
        };
        let doing = format!("making the directory {}", path.display());
        if is_empty().map_err(Failure::system(doing))? {
            return Ok(Directory::Given(path.to_owned()));
        }
        Err(Failure::Options(format!(
            "--dir {}: the directory must be new or empty",
            path.display()
        )))
    }

    fn path(&self) -> &Path {
        match self {
            Directory::Given(path) => path,
            Directory::Temporary(directory) => directory.path(),
        }
    }

    const fn is_given(&self) -> bool {
        matches!(self, Directory::Given(_))
    }

    fn keep(self) -> PathBuf {
        match self {
            Directory::Given(path) => path,
            Directory::Temporary(directory) => directory.keep(),
        }
    }
}
