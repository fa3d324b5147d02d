//! Echo over Fulmar's ring and over tokio-uring, each pinned to one processor, with the same load from
//! another. Prints a table, and the same as JSON in the last line.
//!
//! ```text
//! cargo run --release -p fulmar-bench-echo -- --connections 64,1000 --depth 1,16 --seconds 5
//! ```
//!
//! The load runs in this process, the server in a child of it. Messages per second say what server
//! and load reach together; the processor time of the server per message is the figure to compare.

mod client;
mod over_ring;
mod over_tokio_uring;
mod server;

use std::error::Error;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::client::Load;
use crate::server::Server;

/// How long a case runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Numbers of connections to try.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 1_000])]
    connections: Vec<u32>,
    /// Numbers of messages in flight per connection to try.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    depth: Vec<u32>,
    /// Servers to try.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Ring, Kind::TokioUring])]
    servers: Vec<Kind>,
    /// Bytes of a message.
    #[arg(long, default_value_t = 100)]
    bytes: u32,
    /// Measured seconds per case.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds over all cases, of which the median is shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Processor that the server is pinned to.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// Processor that the load is pinned to.
    #[arg(long, default_value_t = 1)]
    client_cpu: usize,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one server alone, until it is killed. Prints its address.
    Serve {
        #[arg(long, value_enum)]
        kind: Kind,
        #[arg(long)]
        cpu: usize,
    },
}

/// A way to write an echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Fulmar's ring.
    Ring,
    /// A task per connection on tokio-uring.
    TokioUring,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Ring => "ring",
            Kind::TokioUring => "tokio-uring",
        }
    }
}

/// One combination of server and load.
#[derive(Clone, Copy)]
struct Case {
    kind: Kind,
    connections: u32,
    depth: u32,
}

/// What was measured of a case.
#[derive(Clone, Copy)]
struct Figures {
    messages_per_second: f64,
    server_us_per_message: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Serve { kind: Kind::Ring, cpu }) => over_ring::serve(cpu),
        Some(Command::Serve { kind: Kind::TokioUring, cpu }) => over_tokio_uring::serve(cpu),
        None => compare(&arguments),
    }
}

fn compare(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    server::pin(arguments.client_cpu)?;
    let mut measured: Vec<(Case, Vec<Figures>)> =
        cases(arguments).map(|case| (case, Vec::new())).collect();
    for _ in 0..arguments.rounds.max(1) {
        for (case, figures) in &mut measured {
            figures.push(measure(arguments, *case)?);
        }
    }
    println!("| connections | depth | server | messages/s | server's processor time per message |");
    println!("|---|---|---|---|---|");
    let mut rows = Vec::new();
    for (case, mut figures) in measured {
        figures.sort_by(|a, b| a.server_us_per_message.total_cmp(&b.server_us_per_message));
        let median = figures[figures.len() / 2];
        println!(
            "| {} | {} | {} | {:.0} | {:.2} µs |",
            case.connections,
            case.depth,
            case.kind.name(),
            median.messages_per_second,
            median.server_us_per_message
        );
        rows.push(json!({
            "server": case.kind.name(),
            "connections": case.connections,
            "depth": case.depth,
            "bytes": arguments.bytes,
            "messages_per_second": median.messages_per_second.round(),
            "server_us_per_message": (median.server_us_per_message * 1_000.0).round() / 1_000.0,
        }));
    }
    println!("{}", json!({ "bench": "echo", "rounds": arguments.rounds.max(1), "cases": rows }));
    Ok(())
}

/// Every combination, with the servers next to each other: the machine's mood changes with time.
fn cases(arguments: &Arguments) -> impl Iterator<Item = Case> {
    arguments.connections.iter().flat_map(move |&connections| {
        arguments.depth.iter().flat_map(move |&depth| {
            arguments.servers.iter().map(move |&kind| Case { kind, connections, depth })
        })
    })
}

fn measure(arguments: &Arguments, case: Case) -> Result<Figures, Box<dyn Error>> {
    let server = Server::start(case.kind, arguments.server_cpu)?;
    let mut load = Load::connect(server.address(), case.connections, case.depth, arguments.bytes)?;
    load.run(WARM_UP)?;
    let cpu_before = server.cpu_time()?;
    let (messages, elapsed) = load.run(Duration::from_secs(arguments.seconds))?;
    let cpu = server.cpu_time()?.saturating_sub(cpu_before);
    if messages == 0 {
        return Err(format!("{} echoed nothing", case.kind.name()).into());
    }
    Ok(Figures {
        messages_per_second: messages as f64 / elapsed.as_secs_f64(),
        server_us_per_message: cpu.as_secs_f64() * 1e6 / messages as f64,
    })
}
