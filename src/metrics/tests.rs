//! The promises of the metrics: values arrive under the right names, in the right form.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// A strict reader of the text format: every sample has a family with help and type above it, names
/// and numbers are well formed, no series stands there twice. Gives the samples by their series and
/// the types by their families.
fn parse(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    let (mut helped, mut family) = (HashSet::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            name.clone_into(&mut family);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family, "type without help above it");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b)));
            let base = match types[&family].as_str() {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap(),
                _ => name,
            };
            assert_eq!(base, family, "{line}");
            if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
                let labels = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
                for label in labels.split(',') {
                    let (_, value) = label.split_once('=').unwrap();
                    assert!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"'));
                }
            }
            let value = value.parse().unwrap();
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
        }
    }
    (samples, types)
}

fn value(metrics: &Metrics, series: &str) -> f64 {
    let (samples, _) = parse(&metrics.render());
    *samples.get(series).unwrap_or_else(|| panic!("no series {series}"))
}

#[test]
fn names_follow_the_conventions() {
    let (samples, types) = parse(&Metrics::new(2).render());
    for (name, kind) in &types {
        assert!(name.starts_with("fulmar_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        for unit in ["_ms", "_ns", "_us", "_kb", "_mib", "_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(unit), "{name}");
        }
    }
    assert!(types.len() > 35, "{}", types.len());
    for (series, value) in &samples {
        assert!(value.is_finite() || series.contains("process_max_fds"), "{series} {value}");
    }
}

#[test]
fn counters_are_summed_over_cores_and_gauges_are_told_by_core() {
    let metrics = Metrics::new(3);
    for core in 0..3 {
        let cells = metrics.core(core);
        cells.connections.set(10 + core as u64);
        cells.frames_received(Kind::Send).add(100);
        cells.frames_received(Kind::Send).add(core as u64);
        cells.frames_sent(Kind::Goodbye).set(core as u64);
        cells.received_bytes.set(1 << 60);
        cells.lag_ns.set(2_500_000);
    }
    assert!((value(&metrics, "fulmar_connections{core=\"2\"}") - 12.0).abs() < 1e-9);
    assert!((value(&metrics, "fulmar_frames_received_total{kind=\"send\"}") - 303.0).abs() < 1e-9);
    assert!((value(&metrics, "fulmar_frames_received_total{kind=\"ack\"}")).abs() < 1e-9);
    assert!((value(&metrics, "fulmar_frames_sent_total{kind=\"goodbye\"}") - 3.0).abs() < 1e-9);
    assert!((value(&metrics, "fulmar_received_bytes_total") - 3.0 * 2f64.powi(60)).abs() < 1e-9);
    assert!((value(&metrics, "fulmar_lag_seconds{core=\"0\"}") - 0.0025).abs() < 1e-12);
}

#[test]
fn every_kind_and_code_has_its_own_cell() {
    let metrics = Metrics::new(1);
    let core = metrics.core(0);
    for (index, &kind) in Kind::ALL.iter().enumerate() {
        core.frames_received(kind).set(index as u64 + 1);
        core.frames_sent(kind).set(index as u64 + 101);
    }
    for (index, &code) in Code::ALL.iter().enumerate() {
        core.refused(code).set(index as u64 + 1);
        core.rejected(code).set(index as u64 + 101);
        core.goodbyes(code).set(index as u64 + 201);
    }
    core.refused(Code::Other(999)).set(77);
    let (samples, _) = parse(&metrics.render());
    let is = |series: String, expected: usize| {
        assert!((samples[&series] - expected as f64).abs() < 1e-9, "{series}");
    };
    for (index, kind) in Kind::ALL.iter().map(|kind| kind.name()).enumerate() {
        is(format!("fulmar_frames_received_total{{kind=\"{kind}\"}}"), index + 1);
        is(format!("fulmar_frames_sent_total{{kind=\"{kind}\"}}"), index + 101);
    }
    for (index, code) in Code::ALL.iter().map(|code| code.name()).enumerate() {
        is(format!("fulmar_refused_total{{code=\"{code}\"}}"), index + 1);
        is(format!("fulmar_rejected_total{{code=\"{code}\"}}"), index + 101);
        is(format!("fulmar_goodbyes_total{{code=\"{code}\"}}"), index + 201);
    }
    is("fulmar_refused_total{code=\"other\"}".to_owned(), 77);
}

#[test]
fn a_histogram_counts_up_to_and_including_each_bound() {
    let metrics = Metrics::new(2);
    for (core, ns) in [(0, 0), (0, 10_000), (1, 10_001), (1, 1_000_000_000), (1, 1_000_000_001)] {
        metrics.core(core).turn_duration.observe(ns);
    }
    metrics.journal().commit_messages.observe(3);
    let (samples, _) = parse(&metrics.render());
    for (series, expected) in [
        ("fulmar_turn_duration_seconds_bucket{le=\"0.00001\"}", 2.0),
        ("fulmar_turn_duration_seconds_bucket{le=\"0.000025\"}", 3.0),
        ("fulmar_turn_duration_seconds_bucket{le=\"0.5\"}", 3.0),
        ("fulmar_turn_duration_seconds_bucket{le=\"1\"}", 4.0),
        ("fulmar_turn_duration_seconds_bucket{le=\"+Inf\"}", 5.0),
        ("fulmar_turn_duration_seconds_count", 5.0),
        ("fulmar_turn_duration_seconds_sum", 2.000_020_002),
        ("fulmar_core_busy_seconds_total{core=\"0\"}", 0.000_01),
        ("fulmar_core_busy_seconds_total{core=\"1\"}", 2.000_010_002),
        ("fulmar_commit_messages_bucket{le=\"2\"}", 0.0),
        ("fulmar_commit_messages_bucket{le=\"4\"}", 1.0),
        ("fulmar_commit_messages_sum", 3.0),
    ] {
        let found = samples.get(series).unwrap_or_else(|| panic!("no {series}: {samples:#?}"));
        assert!((found - expected).abs() < 1e-9, "{series} is {found}");
    }
}

#[test]
fn one_writer_and_one_reader_at_once_lose_nothing() {
    let metrics = Metrics::new(1);
    let writer = std::thread::spawn({
        let metrics = Arc::clone(&metrics);
        move || {
            for _ in 0..100_000 {
                metrics.core(0).letters.add(1);
                metrics.core(0).turn_duration.observe(20_000);
            }
        }
    });
    let mut last = 0;
    while !writer.is_finished() {
        let now = metrics.core(0).letters.get();
        assert!(now >= last);
        last = now;
    }
    writer.join().unwrap();
    assert_eq!(metrics.core(0).letters.get(), 100_000);
    assert_eq!(metrics.core(0).turn_duration.cumulative().last(), Some(&100_000));
}

#[test]
fn the_process_tells_its_memory_and_cpu() {
    let metrics = Metrics::new(1);
    let memory = value(&metrics, "process_resident_memory_bytes");
    assert!((1e5..1e10).contains(&memory), "{memory}");
    assert!(value(&metrics, "process_cpu_seconds_total") >= 0.0);
    assert!(value(&metrics, "process_open_fds") >= 3.0);
    assert!(value(&metrics, "process_start_time_seconds") > 1.7e9);
}

/// Where Prometheus' own checker is installed it has the last word.
#[test]
fn promtool_has_nothing_to_say() {
    let checker = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut checker) = checker else { return };
    let text = Metrics::new(2).render();
    checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = checker.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
