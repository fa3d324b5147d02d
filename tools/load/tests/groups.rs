//! The scenarios with groups against a stand-in server: what a good one measures, and that each fault is
//! seen.

mod standin;

use fulmar_load::check::Faults;
use serde_json::json;
use standin::{Fault, Terms, run, run_with};

const GROUP: &str = "group --members 6 --senders 3 --window 2 --seconds 0.6 --warmup 0.05";
const MANY: &str = "groups --users 60 --groups 15 --online-percent 40 --warmup 0.1";
const GROUPS: &str = "groups --users 60 --groups 15 --online-percent 40 --warmup 0.1 --seconds 0.6 \
                      --churn 60";

#[test]
fn a_group_is_measured_and_has_no_fault() {
    let report =
        run("group --members 6 --senders 3 --window 2 --seconds 0.5 --warmup 0", Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    let [messages, deliveries] = [report.messages_per_s, report.deliveries_per_s]
        .map(|per_s| per_s.unwrap() * report.seconds);
    // Five others got what is complete, and at most five what was still under way at the end, which three
    // senders may have 16 windows of. The figures are rounded.
    let (fewest, under_way, rounding) =
        (messages * 5.0, 5.0 * 3.0 * 16.0 * 2.0, messages * 0.02 + 5.0);
    assert!(messages > 0.0 && fewest - rounding <= deliveries, "{}", report.text());
    assert!(deliveries <= fewest + under_way + rounding, "{}", report.text());
    let [sent, delivery, receipt] =
        [report.sent_us, report.delivery_us, report.receipt_us].map(Option::unwrap);
    assert!(sent.p50 > 0.0 && delivery.p50 > 0.0 && receipt.p50 > 0.0);
    let p50 = |name: &str| report.figures[name]["p50"].as_f64().unwrap();
    assert!(p50("last_delivery_us") >= delivery.p50);
    assert!(p50("read_receipt_us") >= receipt.p50, "who read a message has it");
    let figure = |name: &str| report.figures[name].as_f64().unwrap();
    // One for all that came at once.
    assert!((1.0..=report.deliveries_per_s.unwrap() * 1.1).contains(&figure("reads_per_s")));
}

#[test]
fn who_reads_nothing_is_not_waited_for() {
    let report = run(&format!("{GROUP} --no-reads"), Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(
        (&report.figures["reads_per_s"], &report.options["reads"]),
        (&json!(0), &json!(false))
    );
    assert!(report.receipt_us.is_some() && !report.figures.contains_key("read_receipt_us"));
}

#[test]
fn the_receipts_of_the_authors_are_counted() {
    let report = run(GROUP, Fault::None);
    let figure = |name: &str| report.figures[name].as_f64().unwrap();
    let frames = figure("receipt_frames_per_author_per_s") * 3.0 * report.seconds;
    assert!(
        figure("receipt_frames") > 10.0 && (frames / figure("receipt_frames") - 1.0).abs() < 0.01
    );
    assert!(report.text().contains("receipt_frames "), "{}", report.text());
}

#[test]
fn a_group_of_more_than_one_change_names_is_filled() {
    let report = run("group --members 600 --rate 20 --seconds 0.5 --warmup 0", Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(report.connections, 600);
    assert!(report.deliveries_per_s.unwrap() > 0.0);
}

#[test]
fn groups_are_measured_while_people_come_and_go() {
    let report = run(GROUPS, Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(report.connections, 24);
    let figure = |name: &str| report.figures[name].as_f64().unwrap();
    assert!(figure("resumes_per_s") > 0.0, "{}", report.text());
    assert!((3.0..30.0).contains(&figure("members_per_group")));
    assert!(figure("receipts_per_s") > 0.0 && figure("reads_per_s") > 0.0);
    assert!(report.messages_per_s.unwrap() > 0.0);
    for latency in ["resume_us", "last_delivery_us"] {
        assert!(report.figures[latency]["p99"].as_f64().unwrap() > 0.0, "{latency}");
    }
    let page = report.html();
    for curve in ["tick", "delivery", "last delivery", "resume"] {
        assert!(page.contains(&format!(">{curve}</text>")), "{curve} in {page}");
    }
}

/// However slow the machine is: what was not complete in time was sent, or was due, or its author left.
#[test]
fn groups_keep_the_rate_of_an_open_loop() {
    let report = run(&format!("{MANY} --churn 60 --rate 1000 --seconds 1"), Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    let figure = |name: &str| report.figures[name].as_f64().unwrap();
    let complete = report.messages_per_s.unwrap() * report.seconds;
    let unsent = figure("due_messages") + figure("unsent_messages");
    let meant = complete + figure("backlog_messages") + unsent;
    // Those of the warm-up, which may end late, are in it as far as they weren't complete by then.
    assert!(complete > 0.0 && (840.0..1_800.0).contains(&meant), "{meant}: {}", report.text());
}

/// The same seed makes the same groups, whatever the clock does.
#[test]
fn groups_of_a_seed_are_the_same() {
    let line = format!("{MANY} --churn 0 --seconds 0.2 --seed 9");
    let [one, two] = [run(&line, Fault::None), run(&line, Fault::None)];
    for name in ["members_per_group", "online_members_per_group"] {
        assert_eq!(one.figures[name], two.figures[name], "{name}");
    }
}

fn assert_all_are_counted(scenario: &str) {
    type Count = fn(&Faults) -> u64;
    let cases: [(Fault, Count); 7] = [
        (Fault::Drop(50), |faults| faults.lost.min(faults.gaps)),
        (Fault::Duplicate(50), |faults| faults.duplicated),
        (Fault::Twice(50), |faults| faults.duplicated),
        (Fault::Swap(50), |faults| faults.reordered),
        (Fault::Corrupt(50), |faults| faults.corrupt),
        (Fault::DropTick(50), |faults| faults.unanswered),
        (Fault::ReceiptAhead(50), |faults| faults.receipts_ahead),
    ];
    for (fault, count) in cases {
        let report = run(scenario, fault);
        assert!(count(&report.faults) > 0, "{scenario}: {fault:?}: {:?}", report.faults);
        assert!(report.text().contains("BROKEN PROMISES"), "{fault:?}");
    }
}

#[test]
fn every_broken_promise_of_a_group_is_counted() {
    assert_all_are_counted(GROUP);
    let faults = run(GROUP, Fault::NoReceipts).faults;
    assert!(faults.unreceipted > 0, "{faults:?}");
}

#[test]
fn wrong_words_about_what_was_read_are_faults() {
    let never = run(GROUP, Fault::NoReadReceipts);
    assert!(never.faults.unreceipted > 0 && never.receipt_us.is_some(), "{:?}", never.faults);
    assert!(never.faults.examples.iter().any(|text| text.contains("all read them")));
    assert!(run(&format!("{GROUP} --no-reads"), Fault::NoReadReceipts).faults.is_clean());
    for scenario in [GROUP, GROUPS] {
        let ahead = run(&format!("{scenario} --no-reads"), Fault::ReadAhead).faults;
        assert!(ahead.receipts_ahead > 0, "{scenario}: {ahead:?}");
        let too_far = run(scenario, Fault::ReadTooFar(50)).faults;
        assert!(too_far.irregular > 0, "{scenario}: {too_far:?}");
    }
}

#[test]
fn every_broken_promise_of_groups_is_counted() {
    assert_all_are_counted(GROUPS);
}

/// What somebody missed and never gets is noticed, though nobody waited for it.
#[test]
fn what_is_lost_while_somebody_was_away_is_seen() {
    let line =
        "groups --users 12 --groups 3 --online-percent 50 --churn 100 --seconds 0.5 --warmup 0";
    let report = run_with(line, Fault::Drop(1), Terms::default()).unwrap();
    assert!(report.lost + report.faults.gaps > 0, "{:?}", report.faults);
}
