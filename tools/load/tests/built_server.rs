//! The scenarios with groups, and presence, against the server that was built beside this test.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Measures one group with these options; the object on the last line, and the exit status.
fn measure(options: &str) -> (Value, i32) {
    measure_scenario(&format!("group --seconds 0.5 --warmup 0.1 {options}"))
}

fn measure_scenario(options: &str) -> (Value, i32) {
    let test = std::env::current_exe().unwrap();
    let server = test.parent().and_then(|deps| deps.parent()).unwrap().join("fulmar");
    assert!(server.exists(), "{} isn't built: `cargo build --package fulmar`", server.display());
    let root = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fulmar-load"))
        .arg("measure")
        .args(options.split(' '))
        .args(["--server-cpu", "none", "--durability", "os", "--fulmar"])
        .arg(server)
        .arg("--data-root")
        .arg(root.path())
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
    let line = "group --seconds 2 --warmup 0 --members 300 --senders 5 --window 3";
    let (report, status) = measure_scenario(line);
    assert_eq!(status, 0, "{}", report["faults"]);
    assert_eq!((&report["scenario"], &report["connections"]), (&"group".into(), &300.into()));
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
    let [messages, deliveries] =
        ["messages_per_s", "deliveries_per_s"].map(|per_s| number(per_s) * number("seconds"));
    // 299 others got what is complete, and some of them what was still under way at the end, which five
    // senders may have 16 windows of. The figures are rounded.
    let (fewest, under_way, rounding) =
        (messages * 299.0, 299.0 * 5.0 * 16.0 * 3.0, messages + 299.0);
    assert!(messages > 0.0 && fewest - rounding <= deliveries, "{report}");
    assert!(deliveries <= fewest + under_way + rounding, "{report}");
    assert!(number("server_cpu_us_per_delivery") > 0.0);
    assert!(number("receipt_frames") > 0.0 && number("reads_per_s") > number("messages_per_s"));
    for latency in ["sent_us", "delivery_us", "last_delivery_us", "receipt_us", "read_receipt_us"] {
        assert!(report[latency]["p99"].as_f64() >= report[latency]["p50"].as_f64(), "{latency}");
    }
}

/// Whether all read at once or nobody does, an author is told 20 times a second at most.
#[test]
fn authors_are_not_stormed_by_receipts() {
    for reads in ["", " --no-reads"] {
        let (report, status) = measure(&format!("--members 200 --senders 4 --window 2{reads}"));
        assert_eq!(status, 0, "{}", report["faults"]);
        assert_eq!(report["reads_per_s"].as_f64() > Some(0.0), reads.is_empty());
        let frames = report["receipt_frames_per_author_per_s"].as_f64().unwrap();
        assert!((1.0..25.0).contains(&frames), "{frames}");
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
    assert!(report["deliveries_per_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn who_comes_back_gets_what_it_missed() {
    let line = "groups --users 300 --groups 60 --churn 50 --seconds 1 --warmup 0.2";
    let (report, status) = measure_scenario(line);
    assert_eq!(status, 0, "{}", report["faults"]);
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
    assert!(number("resumes_per_s") > 0.0 && number("messages_per_s") > 0.0, "{report}");
    assert!(number("receipts_per_s") > 0.0 && number("members_per_group") >= 3.0);
    assert!(report["resume_us"]["p50"].as_f64().unwrap() > 0.0);
    assert!(report["server_rss_per_group_bytes"].is_number());
}

/// Those who go are told as gone once they have been away for a moment, and not when they are back by then.
#[test]
fn watchers_know_in_the_end_who_is_there() {
    let line = "presence --connections 60 --watch 10 --flapping-percent 30 --flap 1 --interval 5 \
                --seconds 2 --warmup 0";
    let (report, status) = measure_scenario(line);
    assert_eq!((status, &report["stale"]), (0, &0.into()), "{}", report["faults"]);
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(report["watches"], 600);
    assert!(number("told_changes_per_s") < number("changes_per_s"), "{report}");
    assert!(report["server_rss_per_watch_bytes"].is_number());
    assert_eq!(report["options"]["server_arguments"][1], "5");
}
