//! `fulmar doctor`.

use clap::Args;

use super::{Failure, print};
use crate::doctor::{Facts, Report};
use crate::uring;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Connections that this machine is to hold.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    #[arg(value_parser = connections)]
    connections: u64,
    /// Answer as one JSON object.
    #[arg(long)]
    json: bool,
}

fn connections(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| (1..=100_000_000).contains(count));
    count.ok_or_else(|| "it must be a number from 1 to 100000000".to_owned())
}

impl Doctor {
    pub(super) fn run(self) -> Result<(), Failure> {
        let facts = Facts::read().map_err(|error| Failure::run(&error))?;
        let report = Report::new(&facts, &uring::probe(), self.connections);
        print(&if self.json { report.to_json() } else { report.to_table() })?;
        if report.is_ok() { Ok(()) } else { Err(Failure::No) }
    }
}
