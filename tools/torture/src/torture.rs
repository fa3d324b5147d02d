//! From options to a report: makes the directory, runs the campaign, has it checked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tempfile::TempDir;

use crate::campaign::{self, Plan};
use crate::check::{Kind, check};
use crate::cli::{RunOptions, Task};
use crate::commit::commit;
use crate::failure::Failure;
use crate::report::{Report, Setting};
use crate::server::ServerOptions;

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
    let plan = plan(options, directory.path(), interrupted)?;
    eprintln!("seed {}; histories, data and logs in {}", plan.seed, directory.path().display());
    let outcome = match campaign::run(&plan) {
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
    for complaint in outcome.complaints {
        verdict.tally.add(Kind::Server, complaint);
    }
    let setting = Setting {
        rounds: plan.rounds,
        kills: outcome.kills,
        durability: plan.server.durability,
        cores: plan.server.cores,
        users: plan.users,
        devices_per_user: plan.devices,
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
) -> Result<Plan, Failure> {
    let histories = directory.join("history");
    fs::create_dir(&histories).map_err(Failure::system("making the directory of histories"))?;
    Ok(Plan {
        rounds: options.rounds,
        users: options.users,
        devices: options.devices,
        round: options.seconds_per_round,
        settle: options.settle_seconds,
        seed: options.seed(),
        histories,
        diary: directory.join("campaign.log"),
        server: ServerOptions {
            program: program(options.fulmar.as_deref())?,
            data: directory.join("data"),
            log: directory.join("server.log"),
            durability: options.durability(),
            cores: options.cores,
            arguments: options.server_arguments.clone(),
        },
        interrupted: Arc::clone(interrupted),
    })
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
