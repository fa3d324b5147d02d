//! Carries out a plan: server, scenario, report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use crate::affinity::{self, Placement};
use crate::cli::{Plan, StartedServer, Target};
use crate::descriptors;
use crate::failure::Failure;
use crate::machine::{self, Machine};
use crate::report::{Circumstances, Report};
use crate::scenario::{Outcome, Setting};
use crate::server::{Server, ServerOptions};
use crate::usage::Probe;

/// Runs the scenario, on a server that is started and stopped for it where the plan says so.
/// A server that was started is stopped whatever happens.
pub fn carry_out(plan: &Plan, interrupted: &Arc<AtomicBool>) -> Result<Report, Failure> {
    descriptors::provide(plan.scenario.connections())?;
    let processors = plan.load_placement().processors(1);
    if let Some(processors) = &processors {
        affinity::check(processors, "--load-cpu")?;
    }
    // The state of the tree that was built, not of the one after minutes of measuring.
    let commit = machine::commit();
    let mut server = match &plan.target {
        Target::Running(options) => {
            check_process(options.server_pid)?;
            None
        }
        Target::Started(options) => Some(start(options, plan.server_arguments(), interrupted)?),
    };
    // After the server was started, which would inherit it.
    if let Some(processors) = processors {
        affinity::pin(processors).map_err(Failure::system("pinning the load"))?;
    }
    let setting = setting(plan, server.as_ref(), interrupted);
    eprintln!("{} on {} …", plan.scenario.name(), setting.server);
    let outcome = match plan.scenario.run(&setting) {
        Ok(outcome) => outcome,
        Err(failure) => return Err(explain(failure, server.as_mut())),
    };
    let report = report(plan, &setting, commit, outcome);
    server.map_or(Ok(()), Server::stop)?;
    Ok(report)
}

fn start(
    options: &StartedServer,
    arguments: Vec<String>,
    interrupted: &AtomicBool,
) -> Result<Server, Failure> {
    if let Some(processors) = options.server_cpu.processors(options.cores as usize) {
        affinity::check(&processors, "--server-cpu")?;
    }
    let program = match &options.fulmar {
        Some(program) => program.clone(),
        None => beside_this_program()?,
    };
    eprintln!("starting {} …", program.display());
    let options = ServerOptions {
        program,
        data_root: options.data_root.clone(),
        durability: options.durability.name(),
        cores: options.cores as usize,
        placement: options.server_cpu,
        control: options.control.clone(),
        arguments,
    };
    Server::start(&options, interrupted)
}

fn check_process(server_pid: Option<u32>) -> Result<(), Failure> {
    match server_pid {
        Some(pid) if (Probe { server_pid }).server_rss_bytes().is_none() => Err(Failure::Options(
            format!("--server-pid {pid}: there is no such process on this machine"),
        )),
        _ => Ok(()),
    }
}

fn beside_this_program() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    Ok(this.parent().unwrap_or(Path::new(".")).join("fulmar"))
}

fn setting(plan: &Plan, server: Option<&Server>, interrupted: &Arc<AtomicBool>) -> Setting {
    let (address, server_pid) = match (&plan.target, server) {
        (_, Some(server)) => (server.address(), Some(server.pid())),
        (Target::Running(server), None) => (server.server, server.server_pid),
        (Target::Started(_), None) => unreachable!("a plan to start a server starts it"),
    };
    let general = &plan.general;
    Setting {
        server: address,
        probe: Probe { server_pid },
        first_user: general.first_user,
        spin: general.spin,
        drain: general.drain,
        seed: general.seed,
        interrupted: Arc::clone(interrupted),
    }
}

/// The server's own end explains a connection that broke.
fn explain(failure: Failure, server: Option<&mut Server>) -> Failure {
    let Some(server) = server else { return failure };
    if !matches!(failure, Failure::Lost { .. } | Failure::Connect { .. }) {
        return failure;
    }
    // A crashing process closes its sockets a moment before it can be waited for.
    thread::sleep(Duration::from_millis(200));
    server.check_alive().err().unwrap_or(failure)
}

fn report(plan: &Plan, setting: &Setting, commit: String, mut outcome: Outcome) -> Report {
    outcome.polled |= plan.general.spin;
    if plan.load_placement() == Placement::Anywhere {
        outcome.notes.push("the load was not pinned to a processor".to_owned());
    }
    let circumstances = Circumstances {
        scenario: plan.scenario.name(),
        durability: plan.durability(),
        server_rss_bytes: setting.probe.server_rss_bytes(),
        commit,
        machine: Machine::this(),
        options: plan.options(),
    };
    Report::new(circumstances, outcome)
}
