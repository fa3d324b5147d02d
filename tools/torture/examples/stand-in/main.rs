//! The smallest honest server that passes the torture, and ways to make it dishonest.
//!
//! Its journal is the list of the client frames that it took, and its state is what follows from
//! them, so there is nothing that a restart could get wrong. A thread per connection reads, another
//! writes, and one lock is around everything: it shows the promises, not how to keep them fast.
//!
//! With `--fault NAME` it breaks one promise, and the torture must complain:
//! `fulmar-torture --fulmar stand-in -- --fault forget`.

mod connection;
mod fault;
mod journal;
mod state;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{io, thread};

use clap::Parser;

use crate::connection::serve;
use crate::fault::Fault;
use crate::journal::Journal;
use crate::state::State;

/// The state, and the sign that it changed.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The part of the real server's command line that the torture uses.
#[derive(Debug, Parser)]
struct Options {
    #[arg(value_parser = ["serve"])]
    command: String,
    #[arg(long)]
    listen: String,
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long)]
    insecure_dev: bool,
    /// Ignored: there is none.
    #[arg(long)]
    control: String,
    /// Ignored: it is always as `os`.
    #[arg(long)]
    durability: String,
    /// Ignored.
    #[arg(long)]
    cores: u32,
    /// Ignored.
    #[arg(long)]
    segment_mib: u32,
    /// The promise to break.
    #[arg(long)]
    fault: Option<Fault>,
}

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let fault = options.fault;
    let died = options.data_dir.join("died");
    std::fs::create_dir_all(&options.data_dir)?;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop))?;
    let mut state = State::new(fault);
    let journal = Journal::open(&options.data_dir.join("journal"), &mut state)?;
    state.go_live(journal);
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    let listener = TcpListener::bind(&options.listen)?;
    println!("fulmar ready on {}", listener.local_addr()?);
    thread::spawn(move || {
        for (place, socket) in (1..).zip(listener.incoming().flatten()) {
            let shared = Arc::clone(&shared);
            thread::spawn(move || serve(&shared, socket, place));
        }
    });
    // Once, however often it is killed before its time.
    let dies = fault == Some(Fault::Die) && !died.exists();
    let begin = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
        if dies && begin.elapsed() > Duration::from_millis(150) {
            std::fs::write(&died, "")?;
            return Ok(ExitCode::from(3));
        }
    }
    Ok(if fault == Some(Fault::Unclean) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
