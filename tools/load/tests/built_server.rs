//! The scenario `group` against the server that was built beside this test.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Measures with these options; the object on the last line, and the exit status.
fn measure(options: &str) -> (Value, i32) {
    let test = std::env::current_exe().unwrap();
    let server = test.parent().and_then(|deps| deps.parent()).unwrap().join("fulmar");
    assert!(server.exists(), "{} isn't built: `cargo build --package fulmar`", server.display());
    let root = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fulmar-load"))
        .args(["measure", "group", "--server-cpu", "none", "--durability", "os"])
        .args(["--seconds", "0.5", "--warmup", "0.1", "--fulmar"])
        .arg(server)
        .arg("--data-root")
        .arg(root.path())
        .args(options.split(' '))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_else(|| {
        panic!("no report: {}", String::from_utf8_lossy(&output.stderr));
    });
    (serde_json::from_str(last).unwrap(), output.status.code().unwrap())
}

#[test]
fn every_member_gets_every_message() {
    // More members than one frame names.
    let (report, status) = measure("--members 300 --senders 5 --window 3");
    assert_eq!(status, 0, "{}", report["faults"]);
    assert_eq!((&report["scenario"], &report["connections"]), (&"group".into(), &300.into()));
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
    let per_message = number("deliveries_per_s") / number("messages_per_s");
    assert!((250.0..350.0).contains(&per_message), "{per_message}");
    assert!(number("server_cpu_us_per_delivery") > 0.0);
    assert!(number("receipt_frames_per_author_per_s") > 0.0);
    for latency in ["sent_us", "delivery_us", "last_delivery_us", "receipt_us"] {
        assert!(report[latency]["p99"].as_f64() >= report[latency]["p50"].as_f64(), "{latency}");
    }
}

#[test]
fn a_light_load_tells_when_the_last_member_has_a_message() {
    let (report, status) = measure("--members 20 --rate 100 --body 16300");
    assert_eq!(status, 0, "{}", report["faults"]);
    let (last, any) = (&report["last_delivery_us"], &report["delivery_us"]);
    assert!(last["p50"].as_f64().unwrap() >= any["p50"].as_f64().unwrap());
}

/// The server's limit of members is raised by the measurement.
#[test]
fn a_group_of_more_members_than_a_server_allows_by_itself() {
    let (report, status) = measure("--members 1100 --rate 20");
    assert_eq!(status, 0, "{}", report["faults"]);
    assert_eq!(report["connections"], 1_100);
    assert_eq!(report["options"]["server_arguments"][0], "--group-members-max");
    assert!(report["deliveries_per_s"].as_f64().unwrap() > 1_099.0);
}
