//! `fulmar-torture`: see `fulmar-torture --help`.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use fulmar_torture::cli::Cli;
use fulmar_torture::failure::Failure;
use fulmar_torture::report::Report;
use fulmar_torture::torture::carry_out;
use signal_hook::consts::{SIGINT, SIGTERM};

/// A promise was broken.
const PROMISES_BROKEN: u8 = 1;
/// There is no verdict.
const NO_VERDICT: u8 = 2;

fn main() -> ExitCode {
    match torture() {
        Ok(report) => {
            print!("{report}");
            println!("{}", report.json());
            if report.tally.is_clean() { ExitCode::SUCCESS } else { PROMISES_BROKEN.into() }
        }
        Err(failure) => {
            eprintln!("fulmar-torture: {failure}");
            if let Failure::Skipped(skipped) = &failure {
                println!("{}", serde_json::json!({ "rounds": 0, "skipped": skipped }));
            }
            NO_VERDICT.into()
        }
    }
}

fn torture() -> Result<Report, Failure> {
    let task = Cli::parse().task()?;
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_signals(&interrupted).map_err(Failure::system("watching for signals"))?;
    carry_out(&task, &interrupted)
}

/// The first signal ends the run in order, the second at once; the server ends with us either way.
fn watch_signals(interrupted: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let at_once = i32::from(NO_VERDICT);
        signal_hook::flag::register_conditional_shutdown(signal, at_once, Arc::clone(interrupted))?;
        signal_hook::flag::register(signal, Arc::clone(interrupted))?;
    }
    Ok(())
}
