//! The counts as text. The format itself is the `prometheus` crate's; here stand the names, the
//! help and what is summed over the cores.

use fulmar_protocol::{Code, Kind};
use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter as CounterSample, Gauge as GaugeSample, Histogram as HistogramSample,
    LabelPair, Metric, MetricFamily, MetricType,
};

use super::cell::{Counter, Gauge, Histogram};
use super::{CoreMetrics, Metrics, code_index, kind_index, process};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Nanoseconds in a second. To divide by it rounds once, so that bounds print as they are meant.
const NS: f64 = 1e9;

pub(super) fn text(metrics: &Metrics) -> String {
    let mut families = vec![build_info()];
    families.extend(gauges(metrics));
    families.extend(counters(metrics));
    families.extend(labelled(metrics));
    families.extend(histograms(metrics));
    families.extend(process::families());
    TextEncoder::new()
        .encode_to_string(&families)
        .expect("every family has samples, and a string takes any text")
}

fn build_info() -> MetricFamily {
    let labels = vec![label("version", env!("CARGO_PKG_VERSION"))];
    let help = "Always 1; the version is in the label.";
    family("fulmar_build_info", help, MetricType::GAUGE, vec![gauge_sample(labels, 1.0)])
}

/// Gauges, one sample per core: a single slow or full core would disappear in a sum.
fn gauges(metrics: &Metrics) -> impl Iterator<Item = MetricFamily> + '_ {
    type Cell = fn(&CoreMetrics) -> &Gauge;
    #[rustfmt::skip]
    let table: [(&str, &str, f64, Cell); 10] = [
        ("fulmar_connections", "Open connections.", 1.0, |c| &c.connections),
        ("fulmar_sessions", "Connections that are logged in.", 1.0, |c| &c.sessions),
        ("fulmar_users_online", "People who are online.", 1.0, |c| &c.users_online),
        ("fulmar_watches", "People who are watched, counted for each session that does.", 1.0, |c| &c.watches),
        ("fulmar_users_warm", "Users whose inbox state is in memory.", 1.0, |c| &c.users_warm),
        ("fulmar_conversations_warm", "Conversations whose state is in memory.", 1.0, |c| &c.conversations_warm),
        ("fulmar_ring_depth", "Letters that wait in the rings to a core.", 1.0, |c| &c.ring_depth),
        ("fulmar_uncommitted_writes", "Writes that are not durable yet.", 1.0, |c| &c.uncommitted),
        ("fulmar_overload_level", "How much is being shed, 0 for nothing.", 1.0, |c| &c.overload_level),
        ("fulmar_lag_seconds", "Age of the oldest work not done yet.", NS, |c| &c.lag_ns),
    ];
    table.into_iter().map(move |(name, help, unit, cell)| {
        let per_core = metrics.cores.iter().enumerate().map(|(index, core)| {
            gauge_sample(vec![label("core", &index.to_string())], cell(core).get() as f64 / unit)
        });
        family(name, help, MetricType::GAUGE, per_core.collect())
    })
}

/// Counters, summed over the cores.
fn counters(metrics: &Metrics) -> Vec<MetricFamily> {
    type Cell = fn(&CoreMetrics) -> &Counter;
    #[rustfmt::skip]
    let table: [(&str, &str, Cell); 26] = [
        ("fulmar_accepted_total", "Connections accepted.", |c| &c.accepted),
        ("fulmar_received_bytes_total", "Bytes read from sockets.", |c| &c.received_bytes),
        ("fulmar_sent_bytes_total", "Bytes written to sockets.", |c| &c.sent_bytes),
        ("fulmar_messages_total", "Messages that were given a place in an inbox.", |c| &c.messages),
        ("fulmar_letters_total", "Letters to other cores.", |c| &c.letters),
        ("fulmar_logins_total", "Hellos that were welcomed.", |c| &c.logins),
        ("fulmar_takeovers_total", "Sessions replaced by a newer one of the same device.", |c| &c.takeovers),
        ("fulmar_hydrations_total", "Inboxes and conversations read from storage.", |c| &c.hydrations),
        ("fulmar_evictions_total", "Inboxes and conversations dropped from memory.", |c| &c.evictions),
        ("fulmar_cold_reads_total", "Deliveries that read messages from storage.", |c| &c.cold_reads),
        ("fulmar_receipts_held_total", "Receipts held back under load.", |c| &c.receipts_held),
        ("fulmar_presence_told_total", "Changes of somebody's presence that watchers were told.", |c| &c.presence_told),
        ("fulmar_presence_held_total", "Times that telling of presence waited for load or output.", |c| &c.presence_held),
        ("fulmar_typing_shed_total", "Frames about writing that were dropped under load.", |c| &c.typing_shed),
        ("fulmar_typing_limited_total", "Frames about writing that came too fast.", |c| &c.typing_limited),
        ("fulmar_gathered_total", "Times that a connection's ticks or receipts waited for company.", |c| &c.gathered),
        ("fulmar_receipts_stalled_total", "Receipts that a full output had no room for.", |c| &c.receipts_stalled),
        ("fulmar_ring_enters_total", "System calls that submitted to a ring or waited for it.", |c| &c.enters),
        ("fulmar_short_writes_total", "Sends of which the kernel took only a part.", |c| &c.short_writes),
        ("fulmar_accept_errors_total", "Accepts that failed.", |c| &c.accept_errors),
        ("fulmar_rests_total", "Sockets that sat out a turn for having taken too many buffers.", |c| &c.rests),
        ("fulmar_enobufs_total", "Receives that found no free buffer.", |c| &c.enobufs),
        ("fulmar_cq_overflows_total", "Times that completions were held back for want of room.", |c| &c.cq_overflows),
        ("fulmar_rearms_total", "Multishot operations that ended and were armed again.", |c| &c.rearms),
        ("fulmar_windows_full_total", "Times that delivery to a device stopped at its window.", |c| &c.windows_full),
        ("fulmar_pauses_total", "Times that a socket was not read because of unanswered sends.", |c| &c.pauses),
    ];
    let summed = table.into_iter().map(|(name, help, cell)| {
        let total = sum(metrics, cell);
        family(name, help, MetricType::COUNTER, vec![counter_sample(Vec::new(), total as f64)])
    });
    let committed = metrics.journal.committed_bytes.get() as f64;
    let journal = family(
        "fulmar_committed_bytes_total",
        "Bytes of keys and values committed.",
        MetricType::COUNTER,
        vec![counter_sample(Vec::new(), committed)],
    );
    summed.chain([journal, busy(metrics)]).collect()
}

/// Time spent in turns, by core: how evenly the load lies.
fn busy(metrics: &Metrics) -> MetricFamily {
    let per_core = metrics.cores.iter().enumerate().map(|(index, core)| {
        let seconds = core.turn_duration.sum() as f64 / NS;
        counter_sample(vec![label("core", &index.to_string())], seconds)
    });
    let help = "Time that a core spent in turns.";
    family("fulmar_core_busy_seconds_total", help, MetricType::COUNTER, per_core.collect())
}

/// Counters with a label, summed over the cores. Every value of the label has a sample from the
/// start, so that a rate over the first event exists.
fn labelled(metrics: &Metrics) -> Vec<MetricFamily> {
    let by_kind = |name, help, cell: fn(&CoreMetrics, usize) -> &Counter| {
        let samples = Kind::ALL.into_iter().map(|kind| {
            let total = sum(metrics, |core| cell(core, kind_index(kind)));
            counter_sample(vec![label("kind", kind.name())], total as f64)
        });
        family(name, help, MetricType::COUNTER, samples.collect())
    };
    let by_code = |name, help, cell: fn(&CoreMetrics, usize) -> &Counter| {
        let samples = Code::ALL.iter().chain([&Code::Other(0)]).map(|&code| {
            let total = sum(metrics, |core| cell(core, code_index(code)));
            counter_sample(vec![label("code", code.name())], total as f64)
        });
        family(name, help, MetricType::COUNTER, samples.collect())
    };
    vec![
        by_kind("fulmar_frames_received_total", "Frames received.", |c, i| &c.frames_received.0[i]),
        by_kind("fulmar_frames_sent_total", "Frames sent.", |c, i| &c.frames_sent.0[i]),
        by_code("fulmar_refused_total", "Hellos and connections refused.", |c, i| &c.refused[i]),
        by_code("fulmar_rejected_total", "Sends rejected.", |c, i| &c.rejected[i]),
        by_code("fulmar_goodbyes_total", "Sessions ended by the server.", |c, i| &c.goodbyes[i]),
    ]
}

fn histograms(metrics: &Metrics) -> Vec<MetricFamily> {
    let cores = || metrics.cores.iter();
    let journal = &metrics.journal;
    vec![
        histogram(
            "fulmar_turn_duration_seconds",
            "Time of a core's turn.",
            NS,
            cores().map(|core| &core.turn_duration),
        ),
        histogram(
            "fulmar_commit_duration_seconds",
            "Time of a commit, fsync included.",
            NS,
            [&journal.commit_duration].into_iter(),
        ),
        histogram(
            "fulmar_commit_messages",
            "Messages in a commit.",
            1.0,
            [&journal.commit_messages].into_iter(),
        ),
    ]
}

/// The sum of at least one histogram, all with the same bounds; `unit` is how many
/// of theirs make a base unit.
fn histogram<'a, const BOUNDS: usize>(
    name: &str,
    help: &str,
    unit: f64,
    parts: impl Iterator<Item = &'a Histogram<BOUNDS>>,
) -> MetricFamily {
    let mut cumulative = [0; BOUNDS];
    let (mut count, mut total, mut bounds) = (0, 0, [0; BOUNDS]);
    for part in parts {
        let counts = part.cumulative();
        for (summed, count) in cumulative.iter_mut().zip(&counts) {
            *summed += count;
        }
        count += counts[BOUNDS];
        total += part.sum();
        bounds = *part.bounds();
    }
    let bucket = |(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound as f64 / unit);
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut sample = HistogramSample::default();
    sample.set_bucket(bounds.into_iter().zip(cumulative).map(bucket).collect());
    sample.set_sample_count(count);
    sample.set_sample_sum(total as f64 / unit);
    let mut metric = Metric::default();
    metric.set_histogram(sample);
    family(name, help, MetricType::HISTOGRAM, vec![metric])
}

fn sum<'a>(metrics: &'a Metrics, cell: impl Fn(&'a CoreMetrics) -> &'a Counter) -> u64 {
    metrics.cores.iter().map(|core| cell(core).get()).sum()
}

pub(super) fn family(
    name: &str,
    help: &str,
    field_type: MetricType,
    samples: Vec<Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(field_type);
    family.set_metric(samples);
    family
}

pub(super) fn gauge_sample(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut gauge = GaugeSample::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

pub(super) fn counter_sample(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut counter = CounterSample::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}
