//! The scenarios against a stand-in server: what a good one measures, and that each fault is seen.

mod standin;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use fulmar_load::cli::Cli;
use fulmar_load::failure::Failure;
use fulmar_load::measurement::carry_out;
use standin::{Fault, StandIn, Terms, run, run_with};

fn failure(line: &str, fault: Fault, terms: Terms) -> String {
    run_with(line, fault, terms).expect_err("the run fails").to_string()
}

const PAIRS: &str = "pairs --pairs 5 --window 8 --seconds 0.3 --warmup 0.05";

#[test]
fn pairs_measures_a_good_server_and_finds_no_fault() {
    let report = run("pairs --pairs 5 --window 8 --seconds 0.5 --warmup 0", Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(report.connections, 10);
    let [messages, deliveries] = [report.messages_per_s, report.deliveries_per_s]
        .map(|per_s| per_s.unwrap() * report.seconds);
    // What was delivered is complete, or was still under way at the end. The figures are rounded.
    let backlog = report.figures["backlog_messages"].as_f64().unwrap();
    let rounding = messages * 0.002 + 1.0;
    assert!(messages > 0.0 && messages - rounding <= deliveries, "{}", report.text());
    assert!(deliveries <= messages + backlog + rounding, "{}", report.text());
    let [sent, delivery, receipt] =
        [report.sent_us, report.delivery_us, report.receipt_us].map(Option::unwrap);
    assert!(sent.p50 > 0.0 && delivery.p50 > 0.0 && receipt.p50 >= delivery.p50);
    assert!(sent.p50 <= sent.p99 && sent.p99 <= sent.p999);
    assert!(report.load_cpu_us_per_message.unwrap() > 0.0);
    assert_eq!(report.server_cpu_us_per_message, None, "the server's process is not known");
}

#[test]
fn large_bodies_are_cut_and_put_together() {
    let report =
        run("pairs --pairs 2 --window 3 --body 100000 --seconds 0.5 --warmup 0", Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert!(report.messages_per_s.unwrap() > 0.0);
}

/// However slow the machine is: what was not complete in time was sent, or was due.
#[test]
fn an_open_loop_keeps_its_rate() {
    let line = "pairs --pairs 5 --rate 4000 --spacing even --seconds 1 --warmup 0.1";
    let report = run(line, Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    let figure = |name: &str| report.figures[name].as_f64().unwrap();
    let complete = report.messages_per_s.unwrap() * report.seconds;
    assert!(complete > 0.0 && figure("unsent_messages") == 0.0, "{}", report.text());
    // Those of the warm-up, which may end late, are in it as far as they weren't complete by then.
    let meant = complete + figure("backlog_messages") + figure("due_messages");
    assert!((3_990.0..6_000.0).contains(&meant), "{meant}");
    assert_eq!(report.figures["offered_per_s"], 4_000);
}

/// The server stands still for 300 ms of 1,000. A load that waits for it would see one slow message
/// per connection; the intended times show what users would have seen: 30 % of all messages waited,
/// evenly up to 300 ms. Where the machine stands still too, more of them waited, and for longer.
#[test]
fn a_stall_is_not_hidden_by_waiting_for_it() {
    let stall = Fault::Stall { after_ms: 400, ms: 300 };
    let line = "pairs --pairs 2 --rate 2000 --spacing even --seconds 1 --warmup 0";
    let report = run(line, stall);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    for (name, latency) in [("sent", report.sent_us), ("delivery", report.delivery_us)] {
        let latency = latency.unwrap();
        assert!(latency.p50 < latency.p99 * 0.75, "{name}: {latency:?}");
        assert!(latency.p99 >= 250_000.0, "{name}: {latency:?}");
    }
    let sends_max = Terms { sends_max: 1, ..Terms::default() };
    let report = run_with(line, stall, sends_max).unwrap();
    let latency = report.sent_us.unwrap();
    assert!(latency.p99 >= 250_000.0, "waiting at home counts: {latency:?}");
}

#[test]
fn pingpong_has_one_message_under_way() {
    let report = run("pingpong --seconds 0.3 --warmup 0.05", Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(report.connections, 2);
    assert!(report.figures["backlog_messages"].as_f64().unwrap() <= 2.0);
    // One at a time: the rate is what the latency allows.
    let possible = 1.05e6 / report.delivery_us.unwrap().p50;
    assert!(report.messages_per_s.unwrap() <= possible * 2.0);
}

#[test]
fn offline_stores_and_drains_everything() {
    let line = "offline --users 30 --each 40 --authors 7 --window 8";
    let small_window = Terms { window_messages: 16, ..Terms::default() };
    let report = run_with(line, Fault::None, small_window).unwrap();
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(report.connections, 37);
    assert!(report.figures["stored_per_s"].as_f64().unwrap() > 0.0);
    assert!(report.figures["drained_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(report.figures["drain_logins"], 30);
    assert_eq!(report.delivery_us, None, "waiting for the recipient is not a latency");
    assert_eq!(report.messages_per_s, None);
}

#[test]
fn offline_sees_what_is_lost_duplicated_and_swapped() {
    let line = "offline --users 30 --each 40 --authors 7 --window 8";
    assert_eq!(run(line, Fault::Drop(100)).lost, 12);
    assert_eq!(run(line, Fault::Duplicate(100)).duplicated, 12);
    // Ordinals 10, 20, 30 of each direction are swapped; the fortieth is held for ever.
    let report = run(line, Fault::Swap(10));
    assert_eq!((report.reordered, report.lost), (90, 30));
}

#[test]
fn idle_connections_are_counted_and_alive() {
    let short_idle = Terms { idle_s: 1, ..Terms::default() };
    let line = "idle --connections 300 --sample 50 --settle 0.8";
    let report = run_with(line, Fault::None, short_idle).unwrap();
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(report.connections, 300);
    assert!(report.figures["logins_per_s"].as_f64().unwrap() > 0.0);
    assert!(report.figures["pings_per_s"].as_f64().unwrap() > 0.0);
    assert!(report.figures["login_us"]["p50"].as_f64().unwrap() > 0.0);
    assert!(report.delivery_us.is_some());
    let report = run("idle --connections 10 --sample 10 --settle 0", Fault::Drop(5));
    assert_eq!(report.lost, 2);
}

type Count = fn(&fulmar_load::check::Faults) -> u64;

#[test]
fn every_broken_promise_of_deliveries_is_counted() {
    assert_all_are_counted(&[
        (Fault::Drop(50), |faults| faults.lost),
        (Fault::Hole(50), |faults| faults.lost.min(faults.gaps)),
        (Fault::Duplicate(50), |faults| faults.duplicated),
        (Fault::Swap(50), |faults| faults.reordered),
        (Fault::Corrupt(50), |faults| faults.corrupt),
        (Fault::Misdeliver(50), |faults| faults.irregular.min(faults.lost)),
    ]);
}

#[test]
fn every_broken_promise_of_ticks_and_receipts_is_counted() {
    assert_all_are_counted(&[
        (Fault::DropTick(50), |faults| faults.unanswered),
        (Fault::ReceiptAhead(50), |faults| faults.receipts_ahead),
        (Fault::NoReceipts, |faults| faults.unreceipted),
    ]);
}

fn assert_all_are_counted(cases: &[(Fault, Count)]) {
    for &(fault, count) in cases {
        let report = run(PAIRS, fault);
        assert!(count(&report.faults) > 0, "{fault:?}: {:?}", report.faults);
        assert!(!report.faults.examples.is_empty() || fault == Fault::NoReceipts, "{fault:?}");
        assert!(report.text().contains("BROKEN PROMISES"), "{fault:?}");
    }
}

/// A fault is counted once, as what it is.
#[test]
fn faults_are_not_mistaken_for_others() {
    let faults = run(PAIRS, Fault::Duplicate(50)).faults;
    assert_eq!(faults.total(), faults.duplicated, "{faults:?}");
    let faults = run(PAIRS, Fault::Drop(50)).faults;
    assert_eq!(faults.total(), faults.lost, "{faults:?}");
    let faults = run(PAIRS, Fault::DropTick(50)).faults;
    assert_eq!(faults.total(), faults.unanswered, "{faults:?}");
    let faults = run(PAIRS, Fault::ReceiptAhead(50)).faults;
    assert_eq!(faults.total(), faults.receipts_ahead, "{faults:?}");
}

#[test]
fn a_lost_connection_ends_the_run_and_says_why() {
    for (fault, expected) in [
        (Fault::Goodbye(100), "goodbye: shutting_down (401): the stand-in stops"),
        (Fault::Vanish(100), "the connection broke without a goodbye"),
        (
            Fault::Reject(100),
            "rejected a message: quota_exceeded (301); raise the server's offline",
        ),
        (Fault::Refuse, "refused the login: too_many_connections (402): the stand-in takes nobody"),
        (Fault::Garbage, "broke the protocol: frame ends inside"),
    ] {
        let failure = failure(PAIRS, fault, Terms::default());
        assert!(failure.contains(expected), "{fault:?}: {failure}");
    }
}

#[test]
fn what_the_server_does_not_allow_is_refused_with_its_limit() {
    let terms = Terms { sends_max: 4, body_bytes_max: 50, ..Terms::default() };
    let error = failure("pairs --pairs 1 --window 5 --body 50", Fault::None, terms);
    assert!(error.contains("--window 5") && error.contains("at most 4"), "{error}");
    let error = failure("pairs --pairs 1 --window 4 --body 51", Fault::None, terms);
    assert!(error.contains("--body 51") && error.contains("at most 50"), "{error}");
}

#[test]
fn nobody_listening_is_explained() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let words = ["fulmar-load", "run", "pingpong", "--server", &address.to_string()];
    let plan = Cli::try_parse_from(words).unwrap().plan().unwrap();
    let failure = carry_out(&plan, &Arc::new(AtomicBool::new(false))).unwrap_err().to_string();
    assert!(failure.contains("is a server running there?"), "{failure}");
}

#[test]
fn a_process_that_is_not_there_is_refused() {
    let pid = (1 << 30).to_string();
    let words = ["fulmar-load", "run", "pingpong", "--server", "127.0.0.1:1", "--server-pid", &pid];
    let plan = Cli::try_parse_from(words).unwrap().plan().unwrap();
    let failure = carry_out(&plan, &Arc::new(AtomicBool::new(false))).unwrap_err().to_string();
    assert!(failure.contains("there is no such process"), "{failure}");
}

#[test]
fn an_interrupted_run_ends() {
    let server = StandIn::start(Fault::None, Terms::default());
    let words = ["fulmar-load", "run", "pingpong", "--server", &server.address.to_string()];
    let plan = Cli::try_parse_from(words).unwrap().plan().unwrap();
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let signal = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        flag.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let failure = carry_out(&plan, &interrupted).unwrap_err();
    assert!(matches!(failure, Failure::Interrupted), "{failure}");
    signal.join().unwrap();
}

/// Two runs against one server: the second finds the first's users, ordinals and numbers.
#[test]
fn a_second_run_continues_where_the_first_ended() {
    let server = StandIn::start(Fault::None, Terms::default());
    let address = server.address.to_string();
    for _ in 0..2 {
        let words = ["fulmar-load", "run", "pairs", "--pairs", "2", "--rate", "400"];
        let words = words.into_iter().chain(["--seconds", "0.2", "--warmup", "0"]);
        let words = words.chain(["--server", &address]);
        let plan = Cli::try_parse_from(words).unwrap().plan().unwrap();
        let report = carry_out(&plan, &Arc::new(AtomicBool::new(false))).unwrap();
        assert!(report.faults.is_clean(), "{:?}", report.faults);
    }
    assert_eq!(server.complaints(), Vec::<String>::new());
}
