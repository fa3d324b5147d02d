//! The client in Python, which was written from the specification alone, against this server.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::harness::Setup;

/// Runs a program of the example; nothing where there is no Python.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("protocol/examples/python");
    let is_there = Command::new("python3")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_there {
        // Past the capture of a passing test's output, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: python3 is missing, {program} isn't run");
        return None;
    }
    let output = Command::new("python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(directory.join(program))
        .args(arguments)
        .output()
        .expect("python3 runs");
    Some(output)
}

fn assert_good(output: &Output) {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.ends_with("all good\n"), "{out}{err}");
}

#[test]
fn the_python_client_reads_and_writes_every_vector() {
    if let Some(output) = run("check_vectors.py", &[]) {
        assert_good(&output);
    }
}

#[test]
fn the_python_client_sees_every_promise_kept() {
    let server = Setup::development().start();
    if let Some(output) = run("tour.py", &[&server.address.to_string()]) {
        assert_good(&output);
    }
}
