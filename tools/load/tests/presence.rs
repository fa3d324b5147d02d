//! The scenario `presence` against a stand-in server, which tells every change at once.

mod standin;

use fulmar_load::check::Faults;
use standin::{Fault, run};

const PRESENCE: &str = "presence --connections 60 --watch 8 --flapping-percent 30 --flap 0.2 --interval 5 \
                        --seconds 1 --warmup 0.1 --quiet 0.3";

/// In which a moment of a machine that stands still is a small part.
const LONGER: &str = "presence --connections 60 --watch 8 --flapping-percent 30 --flap 0.4 --interval 5 \
                      --seconds 3 --warmup 0.1 --quiet 0.3";

#[test]
fn watchers_are_told_what_holds() {
    let report = run(LONGER, Fault::None);
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    assert_eq!(report.connections, 60);
    let figure = |name: &str| report.figures[name].as_f64().unwrap();
    // 18 people who change every 0.4 s, or later, with 8 watchers each on average.
    let changes = figure("changes_per_s");
    assert!((5.0..60.0).contains(&changes), "{}", report.text());
    assert!((2.0..16.0).contains(&(figure("told_per_s") / changes)), "{}", report.text());
    assert!((0.5..2.0).contains(&(figure("told_changes_per_s") / changes)), "{}", report.text());
    assert!(figure("answers_per_s") > 0.0, "those who dropped the connection watch again");
    assert_eq!((figure("stale"), figure("watches"), figure("repeated_per_s")), (0.0, 480.0, 0.0));
    assert_eq!((figure("interval_seconds"), figure("settle_seconds")), (5.0, 5.0));
    for latency in ["presence_us", "came_us", "went_us", "login_us"] {
        assert!(report.figures[latency]["p50"].as_f64().unwrap() > 0.0, "{latency}");
    }
    assert_eq!((report.messages_per_s, report.deliveries_per_s), (None, None));
    let page = report.html();
    for curve in ["presence", "came", "went", "login"] {
        assert!(page.contains(&format!(">{curve}</text>")), "{curve}");
    }
}

#[test]
fn who_was_told_wrong_is_counted() {
    type Count = fn(&Faults) -> u64;
    let cases: [(Fault, Count); 4] = [
        (Fault::Untold(1), |faults| faults.stale),
        (Fault::Lie(1), |faults| faults.stale),
        (Fault::OldSeen, |faults| faults.stale),
        (Fault::Stranger(5), |faults| faults.irregular),
    ];
    for (fault, count) in cases {
        let report = run(PRESENCE, fault);
        let faults = &report.faults;
        assert!(count(faults) > 0, "{fault:?}: {faults:?}");
        assert_eq!(faults.total(), count(faults), "{fault:?}: {faults:?}");
        assert_eq!(report.figures["stale"].as_u64(), Some(faults.stale), "{fault:?}");
        assert!(!faults.examples.is_empty(), "{fault:?}");
    }
}
