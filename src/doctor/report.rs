//! The checks as an answer: a table for people, JSON for machines.

use std::fmt::Write as _;

use serde_json::json;

use super::checks::{self, Check, Status};
use super::facts::Facts;
use crate::uring::Features;

/// What the machine is like for a number of connections.
#[derive(Debug, Clone)]
pub struct Report {
    connections: u64,
    checks: Vec<Check>,
}

impl Report {
    /// Judges the machine.
    pub fn new(facts: &Facts, ring: &Features, connections: u64) -> Report {
        Report { connections, checks: checks::all(facts, ring, connections) }
    }

    /// What was looked at.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether the server runs here with this many connections.
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.status < Status::Short)
    }

    /// For people: a line for each check, below it the command that mends it, and the upshot.
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            let _ =
                writeln!(text, "{:5}  {:width$}  {}", check.status.name(), check.name, check.found);
            if check.status != Status::Ok {
                let _ = writeln!(text, "{:5}  {:width$}  needs {}", "", "", check.needed);
            }
            if let Some(mend) = &check.mend {
                let _ = writeln!(text, "{:5}  {:width$}  mend: {mend}", "", "");
            }
        }
        let connections = self.connections;
        let bad = self.checks.iter().filter(|check| check.status >= Status::Short).count();
        let _ = if bad == 0 {
            writeln!(text, "\nThis machine can hold {connections} connections.")
        } else {
            writeln!(
                text,
                "\nNot enough for {connections} connections: {bad} of these. A command given here \
                 holds until the next boot; tuning/ has files that last."
            )
        };
        text
    }

    /// For machines: one object, on one line.
    pub fn to_json(&self) -> String {
        let check = |check: &Check| {
            json!({
                "name": check.name,
                "status": check.status.name(),
                "found": check.found,
                "needed": check.needed,
                "mend": check.mend,
            })
        };
        let checks: Vec<_> = self.checks.iter().map(check).collect();
        let report = json!({
            "ok": self.is_ok(),
            "connections": self.connections,
            "checks": checks,
        });
        format!("{report}\n")
    }
}
