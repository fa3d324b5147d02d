//! Living worlds, one or many, and telling what became of them.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fulmar_sim::{Coverage, Verdict, Wishes, run as live, shrink};
use serde::Serialize;

use crate::cli::{Arguments, command};

/// Worlds from which on everything that is required must have happened in one of them.
const WORLDS_FOR_COVERAGE: u64 = 50;
/// The same where a clock decides how many worlds are lived: so many that a slow machine, which lives few, fails only
/// for what is surely missing. The rarest things happen in one world of some twenty.
const WORLDS_FOR_COVERAGE_BY_TIME: u64 = 200;

/// The last line of a run of many worlds.
#[derive(Debug, Serialize)]
struct Summary {
    seeds: u64,
    failed: usize,
    failed_seeds: Vec<u64>,
    never_happened: Vec<String>,
    simulated_messages: u64,
    virtual_seconds: f64,
    wall_seconds: f64,
    /// Virtual seconds in one real second.
    ratio: f64,
    messages_per_second: f64,
}

/// What many worlds came to.
#[derive(Debug, Default)]
struct Sum {
    worlds: u64,
    failed: Vec<u64>,
    messages: u64,
    lived: u64,
    coverage: Coverage,
}

/// Does what the command line asks for.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    quiet_panics();
    if arguments.mutants {
        return mutants(arguments);
    }
    match arguments.seed {
        Some(seed) => one(seed, arguments),
        None => many(arguments),
    }
}

#[cfg(feature = "mutants")]
fn mutants(arguments: &Arguments) -> ExitCode {
    crate::mutants::check(arguments)
}

#[cfg(not(feature = "mutants"))]
fn mutants(_: &Arguments) -> ExitCode {
    eprintln!("this program has no faults to plant: it is built with them by ./dev sim --mutants");
    ExitCode::FAILURE
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    let wishes = arguments.wishes();
    let begun = Instant::now();
    let verdict = live(seed, &wishes, arguments.trace);
    print!("{}", verdict.coverage);
    println!("{verdict}");
    let wall_s = begun.elapsed().as_secs_f64();
    println!("lived {:.1} virtual seconds in {wall_s:.2} s", verdict.lived as f64 / 1e6);
    if verdict.failure.is_none() {
        return ExitCode::SUCCESS;
    }
    tell_failure(&verdict, &wishes, !arguments.no_shrink);
    ExitCode::FAILURE
}

/// Prints how to live a failing world again, and a smaller one if there is one.
fn tell_failure(verdict: &Verdict, wishes: &Wishes, is_shrinking: bool) {
    println!("again: {}", command(verdict.seed, wishes));
    if !is_shrinking {
        return;
    }
    match shrink(verdict.seed, wishes) {
        Some(shrunk) if shrunk.wishes != *wishes => {
            println!("smaller, after {} tries: {}", shrunk.tries, shrunk.verdict);
            println!("again: {}", command(verdict.seed, &shrunk.wishes));
        }
        Some(_) => println!("no smaller world fails by the same rule"),
        None => println!("it doesn't fail again: the world is not deterministic"),
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let wishes = arguments.wishes();
    let begun = Instant::now();
    let ends = arguments.seconds.map(|seconds| begun + Duration::from_secs(seconds));
    let (first, end) = match &arguments.seeds {
        Some(seeds) => (seeds.start, seeds.end),
        None => (seed_of_now(), u64::MAX),
    };
    let next = AtomicU64::new(first);
    let is_over = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || ends.is_some_and(|ends| Instant::now() >= ends) {
                return;
            }
            let verdict = live(seed, &wishes, false);
            let words =
                arguments.verbose.then(|| format!("{verdict}; {}", verdict.coverage.line()));
            let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(words) = &words {
                println!("{words}");
            }
            if sum.take(&verdict).is_break() {
                if words.is_none() {
                    println!("{verdict}");
                }
                tell_failure(&verdict, &wishes, !arguments.no_shrink);
                is_over.store(sum.failed.len() >= 10, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(work);
        }
    });
    let sum = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let least = if ends.is_some() { WORLDS_FOR_COVERAGE_BY_TIME } else { WORLDS_FOR_COVERAGE };
    let is_judged = wishes == Wishes::default() && sum.worlds >= least;
    sum.tell(begun.elapsed().as_secs_f64(), is_judged)
}

impl Sum {
    fn take(&mut self, verdict: &Verdict) -> ControlFlow<()> {
        self.worlds += 1;
        self.messages += verdict.messages;
        self.lived += verdict.lived;
        self.coverage.merge(&verdict.coverage);
        if verdict.failure.is_none() {
            return ControlFlow::Continue(());
        }
        self.failed.push(verdict.seed);
        ControlFlow::Break(())
    }

    fn tell(mut self, wall_seconds: f64, is_judged: bool) -> ExitCode {
        print!("{}", self.coverage);
        self.failed.sort_unstable();
        let never_happened = if is_judged { self.coverage.missing() } else { Vec::new() };
        let is_good = self.failed.is_empty() && never_happened.is_empty();
        let virtual_seconds = self.lived as f64 / 1e6;
        let summary = Summary {
            seeds: self.worlds,
            failed: self.failed.len(),
            failed_seeds: self.failed,
            never_happened,
            simulated_messages: self.messages,
            virtual_seconds,
            wall_seconds,
            ratio: virtual_seconds / wall_seconds,
            messages_per_second: self.messages as f64 / wall_seconds,
        };
        println!("{}", serde_json::to_string(&summary).expect("numbers and words"));
        if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A seed that another run will hardly begin with.
fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 >> 8
}

/// A panic in a world is told with its verdict.
fn quiet_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
}
