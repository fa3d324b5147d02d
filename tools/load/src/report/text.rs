//! The report for people.

use std::fmt::Write as _;

use super::Report;
use super::number::{bytes, latency, shown};

/// Renders the report; it ends with a line break.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write_head(report, &mut text);
    for Row { label, value, meaning } in rows(report) {
        let line = format!("  {label:<30} {value:>12}  {meaning}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = write_latencies(report, &mut text);
    let _ = write_verdict(report, &mut text);
    text
}

fn write_head(report: &Report, text: &mut String) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(
        text,
        "{}{} · commit {} · {}, {} cores, kernel {}",
        report.scenario,
        report.durability.map(|name| format!(" ({name})")).unwrap_or_default(),
        report.commit,
        machine.cpu,
        machine.cores,
        machine.kernel
    )
}

/// One figure of the report.
pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) meaning: &'static str,
}

/// The figures that were measured.
pub(super) fn rows(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |label, value: Option<String>, meaning| {
        rows.extend(value.map(|value| Row { label, value, meaning }));
    };
    let rate = |rate: Option<f64>| rate.map(|rate| format!("{} /s", shown(rate)));
    let cpu = |us: Option<f64>| us.map(|us| format!("{us} µs"));
    let share = |share: Option<f64>| share.map(|share| format!("{:.0} %", share * 100.0));
    row("connections", Some(shown(report.connections as f64)), "");
    row("measured time", Some(format!("{} s", report.seconds)), "");
    row("messages", rate(report.messages_per_s), report.shown.messages_mean);
    row("deliveries", rate(report.deliveries_per_s), "");
    row("server", cpu(report.server_cpu_us_per_message), "processor time per message");
    let after = |first: Option<f64>, label| if first.is_some() { "" } else { label };
    let label = after(report.server_cpu_us_per_message, "server");
    row(label, share(report.server_cpu_share), "of one processor");
    let written = report.server_written_bytes_per_message;
    row("", written.map(bytes), "of pages handed to storage per message; large pages count whole");
    row(
        "server memory per connection",
        report.server_rss_bytes_per_connection.map(|size| format!("{} B", shown(size))),
        "growth of the resident set",
    );
    row("server memory", report.server_rss_bytes.map(|size| bytes(size as f64)), "at the end");
    row("load generator", cpu(report.load_cpu_us_per_message), "processor time per message");
    let label = after(report.load_cpu_us_per_message, "load generator");
    row(label, share(report.load_cpu_share), "of one processor");
    for figure in &report.shown.figures {
        let value = match figure.name.rsplit('_').next() {
            Some("bytes") => bytes(figure.value),
            _ => shown(figure.value),
        };
        row(figure.name, Some(value), figure.meaning);
    }
    rows
}

fn write_latencies(report: &Report, text: &mut String) -> std::fmt::Result {
    if report.shown.curves.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "  {:<20} {:>12} {:>12} {:>12} {:>12}",
        "latency", "p50", "p99", "p99.9", "max"
    )?;
    for curve in &report.shown.curves {
        let Some(values) = curve.latencies.percentiles() else { continue };
        let [p50, p99, p999] = [values.p50, values.p99, values.p999].map(latency);
        let max = latency(curve.latencies.max_us());
        writeln!(text, "  {:<20} {p50:>12} {p99:>12} {p999:>12} {max:>12}", curve.label)?;
    }
    Ok(())
}

fn write_verdict(report: &Report, text: &mut String) -> std::fmt::Result {
    if report.faults.is_clean() {
        writeln!(text, "  checked: nothing lost, duplicated, reordered, stale or irregular")?;
    } else {
        let found: Vec<_> = report
            .faults
            .counts()
            .into_iter()
            .filter(|&(_, count)| count > 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        writeln!(text, "  BROKEN PROMISES: {}", found.join(", "))?;
        for example in &report.faults.examples {
            writeln!(text, "    {example}")?;
        }
    }
    for note in &report.notes {
        writeln!(text, "  note: {note}")?;
    }
    Ok(())
}
