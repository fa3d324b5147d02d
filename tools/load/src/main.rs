//! `fulmar-load`: see `fulmar-load --help`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use fulmar_load::cli::{Cli, Plan};
use fulmar_load::failure::Failure;
use fulmar_load::measurement::carry_out;
use fulmar_load::report::Report;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Nothing was measured.
const NOT_MEASURED: u8 = 1;
/// It was measured, and the server broke a promise.
const PROMISES_BROKEN: u8 = 2;
/// The command line is wrong: the usual code for that (`EX_USAGE`), since 2 is taken.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let plan = match Cli::try_parse() {
        Ok(cli) => cli.plan(),
        Err(error) => {
            // Help and version are asked for, and go to standard output.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(failure) => {
            eprintln!("fulmar-load: {failure}");
            return ExitCode::from(USAGE);
        }
    };
    match measure(&plan) {
        Ok(report) if report.faults.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(PROMISES_BROKEN),
        Err(failure) => {
            eprintln!("fulmar-load: {failure}");
            ExitCode::from(NOT_MEASURED)
        }
    }
}

fn measure(plan: &Plan) -> Result<Report, Failure> {
    let interrupted = interruption()?;
    let report = carry_out(plan, &interrupted)?;
    let json = report.json();
    write(plan.general.json.as_deref(), || format!("{json}\n"))?;
    write(plan.general.html.as_deref(), || report.html())?;
    print!("{}", report.text());
    println!("{json}");
    Ok(report)
}

/// The first ctrl-C or SIGTERM sets the flag, which ends the run in order; the second ends the
/// process at once.
fn interruption() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let status = i32::from(NOT_MEASURED);
        signal_hook::flag::register_conditional_shutdown(signal, status, Arc::clone(&interrupted))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupted)))
            .map_err(Failure::system("catching signals"))?;
    }
    Ok(interrupted)
}

fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()).map_err(Failure::system(format!("writing {}", path.display())))
}
