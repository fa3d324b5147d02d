//! `fulmar-sim`: lives worlds, and tells which broke a promise.

mod cli;
#[cfg(feature = "mutants")]
mod mutants;
mod report;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    report::run(&cli::Arguments::parse())
}
