//! What a measurement is told as: one JSON object, a text for people, a page with a plot.

mod html;
mod number;
mod plot;
mod text;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::check::Faults;
use crate::exchange::MessageLatencies;
use crate::latency::Percentiles;
use crate::machine::Machine;
use crate::scenario::{Figure, NamedLatencies, Outcome};
use crate::usage::Spent;

/// Above this share of a processor, the load generator may be what limited the figures.
const LOAD_SHARE_FREE: f64 = 0.9;

/// Above this share of a processor, other work on the machine is worth a note. What the kernel does
/// in its own threads for the server's files stays below it.
const OTHER_SHARE_FREE: f64 = 0.25;

/// A finished measurement. Its JSON form is one object; what the scenario doesn't measure is null.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// The server's durability, where it is known.
    pub durability: Option<&'static str>,
    /// Connections that were open.
    pub connections: usize,
    /// Length of the measured time.
    pub seconds: f64,
    /// Messages that got as far as the scenario counts them, per second.
    pub messages_per_s: Option<f64>,
    /// Deliveries per second.
    pub deliveries_per_s: Option<f64>,
    /// Messages ticked and never delivered.
    pub lost: u64,
    /// Deliveries of messages that had been delivered.
    pub duplicated: u64,
    /// Messages delivered after a later one.
    pub reordered: u64,
    /// From the intended send to the tick, in microseconds.
    pub sent_us: Option<Percentiles>,
    /// From the intended send to the delivery, in microseconds.
    pub delivery_us: Option<Percentiles>,
    /// From the intended send to the delivered receipt, in microseconds.
    pub receipt_us: Option<Percentiles>,
    /// The server's processor time per message, all threads.
    pub server_cpu_us_per_message: Option<f64>,
    /// The server's processor time in the measured time, as a share of one processor.
    pub server_cpu_share: Option<f64>,
    /// The load generator's own processor time per message.
    pub load_cpu_us_per_message: Option<f64>,
    /// The same as a share of one processor. Near 1, the load was the limit.
    pub load_cpu_share: Option<f64>,
    /// What everything else on the machine used, as a share of one processor.
    pub other_cpu_share: Option<f64>,
    /// What the server handed to the storage layer, per message. The kernel counts a page whole when
    /// a part of it becomes dirty, and where files have large pages that is many times what is written.
    pub server_written_bytes_per_message: Option<f64>,
    /// Growth of the server's memory per connection.
    pub server_rss_bytes_per_connection: Option<f64>,
    /// The server's memory at the end.
    pub server_rss_bytes: Option<u64>,
    /// The scenario's own figures.
    #[serde(flatten)]
    pub figures: BTreeMap<&'static str, Value>,
    /// Every kind of broken promise, and the first few in words.
    pub faults: Faults,
    /// What a reader of the figures must know.
    pub notes: Vec<String>,
    /// The commit, with `-dirty` where the tree differs from it.
    pub commit: String,
    /// When the measurement ended, in seconds since the Unix epoch.
    pub finished_unix_s: u64,
    /// Where it ran.
    pub machine: Machine,
    /// Every option, given or not.
    pub options: Value,
    #[serde(skip)]
    shown: Shown,
}

/// What the text and the page show beside the object.
#[derive(Debug)]
struct Shown {
    messages_mean: &'static str,
    curves: Vec<NamedLatencies>,
    figures: Vec<Figure>,
}

/// What a report says about the circumstances.
#[derive(Debug)]
pub struct Circumstances {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// The server's durability, where it is known.
    pub durability: Option<&'static str>,
    /// The server's memory at the end, in bytes.
    pub server_rss_bytes: Option<u64>,
    /// The commit.
    pub commit: String,
    /// Where it ran.
    pub machine: Machine,
    /// Every option.
    pub options: Value,
}

impl Report {
    /// Puts a report together.
    pub fn new(circumstances: Circumstances, outcome: Outcome) -> Report {
        let Circumstances { scenario, durability, server_rss_bytes, commit, machine, options } =
            circumstances;
        let spent = outcome.spent.as_ref();
        let per_message = |value: f64| {
            (outcome.messages > 0).then(|| number::rounded(value / outcome.messages as f64))
        };
        let server_written_bytes_per_message =
            spent.and_then(|spent| per_message(spent.server_written_bytes? as f64));
        let curves = curves(outcome.latencies, outcome.other_latencies);
        let percentiles =
            |name: &str| curves.iter().find(|curve| curve.name == name)?.latencies.percentiles();
        let mut notes = outcome.notes;
        notes.extend(spent.filter(|_| !outcome.polled).and_then(load_note));
        notes.extend(spent.and_then(other_note));
        notes.extend(
            server_written_bytes_per_message.and_then(|written_bytes| {
                storage_note(written_bytes, f64::from(outcome.body_bytes))
            }),
        );
        Report {
            scenario,
            durability,
            connections: outcome.connections,
            seconds: number::rounded(outcome.seconds),
            messages_per_s: outcome.messages_per_s.map(number::rounded),
            deliveries_per_s: outcome.deliveries_per_s.map(number::rounded),
            lost: outcome.faults.lost,
            duplicated: outcome.faults.duplicated,
            reordered: outcome.faults.reordered,
            sent_us: percentiles("sent_us"),
            delivery_us: percentiles("delivery_us"),
            receipt_us: percentiles("receipt_us"),
            server_cpu_us_per_message: spent
                .and_then(|spent| spent.server_cpu_us)
                .and_then(per_message),
            server_cpu_share: spent.and_then(Spent::server_share).map(number::rounded),
            load_cpu_us_per_message: spent.and_then(|spent| per_message(spent.load_cpu_us)),
            load_cpu_share: spent.map(Spent::load_share).map(number::rounded),
            other_cpu_share: spent.and_then(Spent::other_share).map(number::rounded),
            server_written_bytes_per_message,
            server_rss_bytes_per_connection: outcome
                .server_rss_bytes_per_connection
                .map(number::rounded),
            server_rss_bytes,
            figures: json_figures(&outcome.figures, &curves),
            faults: outcome.faults,
            notes,
            commit,
            finished_unix_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            machine,
            options,
            shown: Shown { messages_mean: outcome.messages_mean, curves, figures: outcome.figures },
        }
    }

    /// The JSON object, on one line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a report's keys are text and its numbers finite")
    }

    /// The report for people.
    pub fn text(&self) -> String {
        text::render(self)
    }

    /// The report as a page that needs nothing beside itself.
    pub fn html(&self) -> String {
        html::render(self)
    }
}

/// All latencies that have values, those of messages first.
fn curves(messages: MessageLatencies, others: Vec<NamedLatencies>) -> Vec<NamedLatencies> {
    let MessageLatencies { sent, delivery, receipt } = messages;
    let messages = [
        NamedLatencies { name: "sent_us", label: "tick", latencies: sent },
        NamedLatencies { name: "delivery_us", label: "delivery", latencies: delivery },
        NamedLatencies { name: "receipt_us", label: "receipt", latencies: receipt },
    ];
    messages.into_iter().chain(others).filter(|kind| kind.latencies.count() > 0).collect()
}

/// The scenario's figures and latencies; those of messages have fields of their own.
fn json_figures(figures: &[Figure], curves: &[NamedLatencies]) -> BTreeMap<&'static str, Value> {
    let own =
        |curve: &&NamedLatencies| !["sent_us", "delivery_us", "receipt_us"].contains(&curve.name);
    let latencies = curves
        .iter()
        .filter(own)
        .map(|curve| (curve.name, serde_json::json!(curve.latencies.percentiles())));
    figures
        .iter()
        .map(|figure| (figure.name, number::json(figure.value)))
        .chain(latencies)
        .collect()
}

fn load_note(spent: &Spent) -> Option<String> {
    let share = spent.load_share();
    (share > LOAD_SHARE_FREE).then(|| {
        format!(
            "the load generator used {:.0} % of its processor: it may be what limits the figures",
            share * 100.0
        )
    })
}

/// Catches figures of a server that stores nothing, whatever durability it was asked for.
fn storage_note(written_bytes: f64, body_bytes: f64) -> Option<String> {
    (written_bytes < body_bytes).then(|| {
        format!(
            "the server wrote {written_bytes} bytes to storage per message of {body_bytes} bytes: \
             it can't have stored them, or its files are in memory; the durability means nothing"
        )
    })
}

fn other_note(spent: &Spent) -> Option<String> {
    let share = spent.other_share().filter(|&share| share > OTHER_SHARE_FREE)?;
    Some(format!(
        "other work on this machine used {:.0} % of a processor meanwhile: repeat when it is quiet",
        share * 100.0
    ))
}
