//! `fulmar-load measure` as a program: it starts this very file as its server, measures it, prints
//! one JSON object last, and stops it whatever happens.
//!
//! Without a test harness, as the server's arguments are not a harness's.

mod standin;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use standin::{Fault, StandIn, Terms};

/// Gets a directory in which it may do what it likes.
type Test = fn(&Path);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "serve") {
        return serve(&arguments);
    }
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let tests: [(&str, Test); 9] = [
        ("a_measurement_ends_with_one_json_object", a_measurement_ends_with_one_json_object),
        ("the_server_is_started_as_documented", the_server_is_started_as_documented),
        ("reports_are_written_to_files", reports_are_written_to_files),
        ("broken_promises_change_the_exit_status", broken_promises_change_the_exit_status),
        ("a_wrong_command_line_breaks_no_promise", a_wrong_command_line_breaks_no_promise),
        ("a_server_that_fails_is_explained", a_server_that_fails_is_explained),
        ("a_server_that_dies_is_explained", a_server_that_dies_is_explained),
        ("an_interrupt_stops_the_server", an_interrupt_stops_the_server),
        ("a_killed_load_takes_its_server_along", a_killed_load_takes_its_server_along),
    ];
    for (name, test) in tests {
        let root = tempfile::tempdir().unwrap();
        test(root.path());
        let left: Vec<_> = std::fs::read_dir(root.path().join("data")).unwrap().collect();
        assert!(left.is_empty(), "{name}: data is left: {left:?}");
        println!("test {name} ... ok");
    }
}

/// This program as the measured server; the behaviour is chosen by its last argument.
fn serve(arguments: &[String]) {
    let data = arguments.iter().skip_while(|argument| *argument != "--data-dir").nth(1).unwrap();
    let root = Path::new(data).ancestors().nth(3).unwrap();
    std::fs::write(root.join("arguments"), arguments.join(" ")).unwrap();
    std::fs::write(root.join("pid"), std::process::id().to_string()).unwrap();
    let behaviour = arguments.last().map_or("", String::as_str);
    if behaviour == "fail" {
        eprintln!("the disk is made of cheese");
        std::process::exit(3);
    }
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop)).unwrap();
    if behaviour == "die" {
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            eprintln!("an fsync failed");
            std::process::abort();
        });
    }
    let fault = if behaviour == "drop" { Fault::Drop(10) } else { Fault::None };
    let server = StandIn::start(fault, Terms::default());
    println!("some other line");
    println!("fulmar ready on {}", server.address);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let complaints = server.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// The load, to be run with this line and the arguments for the server after it.
fn load(root: &Path, line: &str, behaviour: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-load"));
    command.arg("measure").args(line.split(' '));
    // Where all comes nobody waits for what doesn't.
    let drain = if behaviour == "drop" { "1" } else { "20" };
    command.args(["--server-cpu", "0", "--load-cpu", "0", "--drain", drain]);
    command.arg("--fulmar").arg(std::env::current_exe().unwrap());
    command.arg("--data-root").arg(root.join("data"));
    command.args(["--", behaviour]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(root: &Path, line: &str, behaviour: &str) -> Output {
    let output = load(root, line, behaviour).output().unwrap();
    assert_stopped(root);
    output
}

fn assert_stopped(root: &Path) {
    let pid = std::fs::read_to_string(root.join("pid")).unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the server still runs");
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

const PAIRS: &str = "pairs --pairs 4 --seconds 0.4 --warmup 0.1";

fn a_measurement_ends_with_one_json_object(root: &Path) {
    let output = output(root, &format!("{PAIRS} --durability os"), "good");
    assert!(output.status.success(), "{output:?}");
    let report = json(&output);
    for (name, expected) in [
        ("scenario", Value::from("pairs")),
        ("durability", Value::from("os")),
        ("connections", Value::from(8)),
        ("lost", Value::from(0)),
        ("duplicated", Value::from(0)),
        ("reordered", Value::from(0)),
        ("server_rss_bytes_per_connection", Value::Null),
    ] {
        assert_eq!(report[name], expected, "{name}");
    }
    for name in ["messages_per_s", "deliveries_per_s", "seconds", "load_cpu_us_per_message"] {
        assert!(report[name].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    assert!(report["server_cpu_us_per_message"].is_number());
    // The stand-in stores nothing, which must not pass for durability.
    let notes = report["notes"].to_string();
    assert!(notes.contains("the durability means nothing"), "{notes}");
    for kind in ["sent_us", "delivery_us", "receipt_us"] {
        for percentile in ["p50", "p99", "p999"] {
            assert!(report[kind][percentile].as_f64().unwrap() > 0.0, "{kind}.{percentile}");
        }
    }
    assert!(report["commit"].as_str().is_some_and(|commit| !commit.is_empty()));
    for name in ["cpu", "cores", "kernel"] {
        assert!(!report["machine"][name].is_null(), "{name}");
    }
    assert_eq!(report["options"]["pairs"], 4);

    let output = self::output(root, "idle --connections 40 --sample 5 --settle 0.1", "good");
    let report = json(&output);
    for name in ["messages_per_s", "deliveries_per_s", "server_cpu_us_per_message"] {
        assert!(report.as_object().unwrap().contains_key(name) && report[name].is_null(), "{name}");
    }
    assert!(report["server_rss_bytes_per_connection"].is_number());
}

fn the_server_is_started_as_documented(root: &Path) {
    output(root, "pingpong --seconds 0.1 --warmup 0 --durability fsync", "good");
    let arguments = std::fs::read_to_string(root.join("arguments")).unwrap();
    for expected in [
        "serve --insecure-dev --listen 127.0.0.1:0 ",
        "--cores 1 ",
        "--pin 0 ",
        "--durability fsync ",
        "--control off ",
        "--data-dir ",
    ] {
        assert!(arguments.contains(expected), "{expected} in {arguments}");
    }
}

fn reports_are_written_to_files(root: &Path) {
    let (json_path, html_path) = (root.join("report.json"), root.join("report.html"));
    let line = format!("{PAIRS} --json {} --html {}", json_path.display(), html_path.display());
    let output = output(root, &line, "good");
    let written: Value = serde_json::from_slice(&std::fs::read(json_path).unwrap()).unwrap();
    assert_eq!(written, json(&output));
    let page = std::fs::read_to_string(html_path).unwrap();
    assert!(page.contains("<svg") && page.contains("class=\"curve c2\""));
    assert!(!page.contains("http") && !page.contains("<script"), "the page needs nothing else");
}

fn broken_promises_change_the_exit_status(root: &Path) {
    let output = output(root, PAIRS, "drop");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(json(&output)["lost"].as_u64().unwrap() > 0);
}

fn a_wrong_command_line_breaks_no_promise(root: &Path) {
    std::fs::create_dir(root.join("data")).unwrap();
    for (line, status) in [
        ("measure pairs --windw 4", 64),
        ("measure offline --users 1000000 --each 1000", 64),
        ("", 64),
        ("--help", 0),
        ("--version", 0),
    ] {
        let mut load = Command::new(env!("CARGO_BIN_EXE_fulmar-load"));
        let output = load.args(line.split_whitespace()).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{line}: {output:?}");
    }
}

fn a_server_that_fails_is_explained(root: &Path) {
    let output = output(root, PAIRS, "fail");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("did not start (exit status: 3)"), "{error}");
    assert!(error.contains("the disk is made of cheese"), "{error}");
    let output = Command::new(env!("CARGO_BIN_EXE_fulmar-load"))
        .args(["measure", "pingpong", "--server-cpu", "none", "--fulmar", "/nowhere/fulmar"])
        .arg("--data-root")
        .arg(root.join("data"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("/nowhere/fulmar can't be started"), "{error}");
    assert!(error.contains("--fulmar PATH"), "{error}");
}

fn a_server_that_dies_is_explained(root: &Path) {
    let output = output(root, "pairs --pairs 4 --seconds 5", "die");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("the server died (signal: 6"), "{error}");
    assert!(error.contains("an fsync failed"), "{error}");
}

/// Starts a long measurement and waits until its server runs.
fn start_long(root: &Path) -> Child {
    let load = load(root, "pairs --pairs 4 --seconds 20", "good").spawn().unwrap();
    wait_until(|| root.join("pid").exists());
    std::thread::sleep(Duration::from_millis(300));
    load
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn an_interrupt_stops_the_server(root: &Path) {
    let mut load = start_long(root);
    kill_process(Pid::from_child(&load), Signal::INT).unwrap();
    assert_eq!(load.wait().unwrap().code(), Some(1));
    assert_stopped(root);
}

fn a_killed_load_takes_its_server_along(root: &Path) {
    let mut load = start_long(root);
    load.kill().unwrap();
    load.wait().unwrap();
    let pid = std::fs::read_to_string(root.join("pid")).unwrap();
    wait_until(|| !Path::new(&format!("/proc/{pid}")).exists());
    // Nobody was left to remove it.
    std::fs::remove_dir_all(root.join("data")).unwrap();
    std::fs::create_dir(root.join("data")).unwrap();
}
