//! The report as one page: no script, nothing loaded from elsewhere.

use std::fmt::Write as _;

use super::number::latency;
use super::{Report, plot, text};

const STYLE: &str = include_str!("style.css");

/// Renders the page.
pub(super) fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string can't fail.
    let _ = write_page(report, &mut page);
    page
}

fn write_page(report: &Report, page: &mut String) -> std::fmt::Result {
    let (scenario, commit) = (report.scenario, escaped(&report.commit));
    let durability = report.durability.map(|name| format!(" · {name}")).unwrap_or_default();
    let machine = &report.machine;
    writeln!(page, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(page, "<title>Fulmar: {scenario}{durability} · {commit}</title>")?;
    writeln!(page, "<style>\n{STYLE}</style>\n</head>\n<body>\n<main>")?;
    writeln!(page, "<h1>{scenario}<small>{durability}</small></h1>")?;
    writeln!(
        page,
        "<p class=\"about\">commit {commit} · {}, {} cores · kernel {}</p>",
        escaped(&machine.cpu),
        machine.cores,
        escaped(&machine.kernel)
    )?;
    write_verdict(report, page)?;
    if !report.shown.curves.is_empty() {
        writeln!(page, "<h2>Latency</h2>\n{}", plot::render(&report.shown.curves))?;
        write_latencies(report, page)?;
    }
    writeln!(page, "<h2>Figures</h2>\n<table>")?;
    for text::Row { label, value, meaning } in text::rows(report) {
        writeln!(page, "<tr><th scope=\"row\">{label}</th><td class=\"value\">{value}</td>")?;
        writeln!(page, "<td>{meaning}</td></tr>")?;
    }
    writeln!(page, "</table>\n<h2>Options</h2>\n<table>")?;
    for (name, value) in report.options.as_object().into_iter().flatten() {
        let (name, value) = (escaped(name), escaped(&value.to_string()));
        writeln!(page, "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>")?;
    }
    writeln!(page, "</table>\n</main>\n</body>\n</html>")
}

fn write_verdict(report: &Report, page: &mut String) -> std::fmt::Result {
    if report.faults.is_clean() {
        writeln!(
            page,
            "<p class=\"good\">Every message was checked: nothing lost, duplicated, reordered, stale \
             or irregular.</p>"
        )?;
    } else {
        writeln!(page, "<p class=\"bad\">Promises were broken.</p>\n<table>")?;
        for (name, count) in report.faults.counts() {
            writeln!(page, "<tr><th scope=\"row\">{name}</th><td>{count}</td></tr>")?;
        }
        writeln!(page, "</table>\n<ul>")?;
        for example in &report.faults.examples {
            writeln!(page, "<li>{}</li>", escaped(example))?;
        }
        writeln!(page, "</ul>")?;
    }
    for note in &report.notes {
        writeln!(page, "<p class=\"note\">{}</p>", escaped(note))?;
    }
    Ok(())
}

fn write_latencies(report: &Report, page: &mut String) -> std::fmt::Result {
    writeln!(page, "<table class=\"numbers\">\n<tr><th></th>")?;
    for name in ["p50", "p99", "p99.9", "max", "values"] {
        writeln!(page, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(page, "</tr>")?;
    for (index, curve) in report.shown.curves.iter().enumerate() {
        let Some(values) = curve.latencies.percentiles() else { continue };
        writeln!(page, "<tr><th scope=\"row\" class=\"c{index}\">{}</th>", curve.label)?;
        for us in [values.p50, values.p99, values.p999, curve.latencies.max_us()] {
            writeln!(page, "<td>{}</td>", latency(us))?;
        }
        writeln!(page, "<td>{}</td></tr>", super::number::shown(curve.latencies.count() as f64))?;
    }
    writeln!(page, "</table>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
