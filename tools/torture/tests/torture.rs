//! The built program against a server that is honest, and against one that breaks a promise at a
//! time (examples/stand-in).

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Counts that are 0 where every promise was kept.
const KINDS: [&str; 11] = [
    "lost",
    "duplicated",
    "reordered",
    "receipts_ahead",
    "receipts_behind",
    "corrupt",
    "leaked",
    "gaps",
    "protocol",
    "unsettled",
    "server",
];

/// For how many seconds all may take to come to rest where it does; on a slow machine that may be long.
const PATIENCE_S: u32 = 120;

/// What the stand-in doesn't know of.
const OTHERS: &str = "contents,books,blocks,people,expiry,history";

/// Gives rounds that are long enough for every fault to show.
const SEED: &str = "7";

fn torture() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fulmar-torture"))
}

/// Cargo builds examples together with all tests of a package, beside its programs.
fn stand_in() -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_fulmar-torture")).parent().unwrap();
    let path = programs.join("examples/stand-in");
    let advice = "build it with: cargo build -p fulmar-torture --example stand-in";
    assert!(path.exists(), "{} is missing; {advice}", path.display());
    path
}

/// A short run against the stand-in, in its own directory.
fn run(rounds: u32, settle_seconds: u32, fault: Option<&str>) -> (Output, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = torture();
    command.args([
        "--rounds",
        &rounds.to_string(),
        "--seconds-per-round",
        "0.4",
        "--users",
        "6",
        "--groups",
        "0",
    ]);
    command.args(["--without", OTHERS]);
    command.args(["--settle-seconds", &settle_seconds.to_string(), "--seed", SEED]);
    command.arg("--fulmar").arg(stand_in()).arg("--dir").arg(directory.path());
    if let Some(fault) = fault {
        command.args(["--", "--fault", fault]);
    }
    (command.output().unwrap(), directory)
}

/// The JSON object on the last line.
fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {output:?}"))
}

/// Runs against a server with this fault and asserts that all of `kinds` are complained about; with
/// `only`, that nothing else is. What never comes to rest gets little time.
fn complains(fault: &str, kinds: &[&str], only: bool) {
    let settle_seconds = if only { PATIENCE_S } else { 3 };
    let (output, directory) = run(3, settle_seconds, Some(fault));
    let report = json(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    for kind in KINDS {
        let count = report[kind].as_u64().unwrap();
        if kinds.contains(&kind) {
            assert!(count > 0, "{fault}: {kind} in {report}");
        } else if only {
            assert_eq!(count, 0, "{fault}: {kind} in {report}");
        }
    }
    assert_eq!(report["kept"].as_str(), directory.path().to_str());
}

#[test]
fn an_honest_server_passes() {
    let (output, directory) = run(4, PATIENCE_S, None);
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    for kind in KINDS {
        assert_eq!(report[kind], 0, "{kind} in {report}");
    }
    assert_eq!(report["rounds"], 4);
    assert!(report["kills"].as_u64() >= Some(4), "{report}");
    for count in ["ticked", "displayed", "receipts"] {
        assert!(report[count].as_u64() > Some(0), "{count} in {report}");
    }
    for left_out in ["book_puts", "presence_told", "typing_told", "profiles_told", "names_found"] {
        assert_eq!(report[left_out], 0, "{left_out} in {report}");
    }
    // The histories alone give the same verdict.
    let output = torture().arg("check").arg(directory.path()).output().unwrap();
    let again = json(&output);
    assert!(output.status.success());
    for count in KINDS.into_iter().chain(["ticked", "displayed", "resent", "receipts"]) {
        assert_eq!(report[count], again[count], "{count}");
    }
}

#[test]
fn ticks_before_the_message_is_safe() {
    complains("forget", &["lost"], false);
}

#[test]
fn numbers_forgotten_over_a_restart() {
    complains("twice", &["duplicated"], false);
}

#[test]
fn messages_in_each_others_place() {
    complains("swap", &["reordered"], false);
}

#[test]
fn delivered_receipts_ahead() {
    complains("eager", &["receipts_ahead"], true);
}

#[test]
fn read_receipts_ahead() {
    complains("nosy", &["receipts_ahead"], false);
}

#[test]
fn receipts_forgotten_over_a_restart() {
    complains("stale", &["receipts_behind"], true);
}

#[test]
fn another_messages_body() {
    complains("mixup", &["corrupt"], false);
}

#[test]
fn no_copies_for_the_other_devices() {
    complains("nocopies", &["lost"], true);
}

#[test]
fn positions_left_out() {
    complains("hole", &["gaps"], false);
}

#[test]
fn messages_skipped() {
    complains("skip", &["lost"], false);
}

#[test]
fn taken_and_rejected() {
    complains("deny", &["duplicated"], true);
}

#[test]
fn a_server_that_ends_by_itself() {
    complains("die", &["server"], true);
}

#[test]
fn a_server_that_does_not_stop_cleanly() {
    complains("unclean", &["server"], true);
}

#[test]
fn a_server_that_cannot_be_started_is_no_verdict() {
    let output = torture().args(["--fulmar", "/nonexistent/fulmar"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nonexistent/fulmar can't be started"), "{said}");
}

#[test]
fn a_server_that_is_stopped_for_a_while_passes() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = torture();
    command.args(["--fault", "stop", "--rounds", "2", "--seconds-per-round", "0.4"]);
    command.args(["--users", "6", "--groups", "0", "--seed", SEED]);
    command.args(["--settle-seconds", &PATIENCE_S.to_string(), "--without", OTHERS]);
    let output =
        command.arg("--fulmar").arg(stand_in()).arg("--dir").arg(directory.path()).output();
    let output = output.unwrap();
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    for kind in KINDS {
        assert_eq!(report[kind], 0, "{kind} in {report}");
    }
    assert_eq!(report["faults"]["stop"]["stops"], 2, "{report}");
}

#[test]
fn a_fault_that_cannot_be_made_is_skipped_with_the_reason() {
    let mut command = torture();
    command.args(["--fault", "corrupt,torn-tail", "--durability", "os"]);
    let output = command.arg("--fulmar").arg(stand_in()).output().unwrap();
    let report = json(&output);
    assert_eq!(output.status.code(), Some(2), "nothing was tried: {report}");
    for kind in ["corrupt", "torn-tail"] {
        let why = report["skipped"][kind].as_str().unwrap();
        assert!(why.contains("--durability fsync"), "{why}");
    }
}

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("precious"), "").unwrap();
    let output = torture().arg("--dir").arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("must be new or empty"), "{said}");
}

#[test]
fn an_interrupted_run_leaves_no_process_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = begin_long_run(directory.path());
    signal(&child, Signal::INT);
    let status = wait(&mut child);
    assert_eq!(status.code(), Some(2));
    assert_eq!(others_of(directory.path(), child.id()), 0);
}

#[test]
fn a_killed_run_leaves_no_process_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = begin_long_run(directory.path());
    signal(&child, Signal::KILL);
    wait(&mut child);
    wait_until("the server is still there", || others_of(directory.path(), child.id()) == 0);
}

/// Starts a run that would take an hour and waits until it is under way.
fn begin_long_run(directory: &Path) -> Child {
    let mut command = torture();
    command.args([
        "--rounds",
        "1000",
        "--seconds-per-round",
        "0.2",
        "--users",
        "4",
        "--groups",
        "0",
        "--without",
        OTHERS,
    ]);
    command.arg("--fulmar").arg(stand_in()).arg("--dir").arg(directory.join("run"));
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let under_way = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("round 1"));
    assert!(under_way.is_some());
    // Between two rounds there is none for a moment.
    wait_until("no server", || others_of(directory, child.id()) > 0);
    // The run goes on saying how far it is.
    std::thread::spawn(move || lines.count());
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

fn wait(child: &mut Child) -> ExitStatus {
    wait_until("the run goes on", || child.try_wait().unwrap().is_some());
    child.wait().unwrap()
}

/// Waits until it is so; `otherwise` says how it is instead.
fn wait_until(otherwise: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{otherwise}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many processes besides the run itself name this directory in their command line.
fn others_of(directory: &Path, run: u32) -> usize {
    let directory = directory.to_str().unwrap();
    let run = run.to_string();
    let mentions = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        entry.file_name() != *run && String::from_utf8_lossy(&line).contains(directory)
    };
    fs::read_dir("/proc").unwrap().flatten().filter(mentions).count()
}
