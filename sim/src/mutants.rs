//! The simulator's check of itself: each fault that can be planted in the server is planted, and one of the
//! first worlds must notice.
//!
//! A world that notices is lived again without the fault: if it fails then too, it noticed something else.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use fulmar::faults::{Fault, plant};
use fulmar_sim::{Failure, Verdict, Wishes, run as live};
use serde::Serialize;

use crate::cli::Arguments;

/// Worlds in which a fault must be noticed, unless others are asked for.
const SEEDS: Range<u64> = 1..201;

/// The last line of the check.
#[derive(Debug, Serialize)]
struct Summary {
    mutants: usize,
    caught: usize,
    missed: Vec<String>,
    seeds_at_most: u64,
    wall_seconds: f64,
}

/// How a fault was noticed.
struct Catch {
    seed: u64,
    failure: Failure,
}

/// Plants every fault, or those that are asked for, one at a time.
pub(crate) fn check(arguments: &Arguments) -> ExitCode {
    let begun = Instant::now();
    let seeds = arguments.seeds.clone().unwrap_or(SEEDS);
    let wanted =
        |fault: &&Fault| arguments.mutant.is_empty() || arguments.mutant.contains(&name(**fault));
    let faults: Vec<Fault> = Fault::ALL.iter().filter(wanted).copied().collect();
    let names: Vec<String> = Fault::ALL.iter().map(|&fault| name(fault)).collect();
    if let Some(unknown) = arguments.mutant.iter().find(|name| !names.contains(name)) {
        eprintln!("there is no mutant '{unknown}'; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let wishes = arguments.wishes();
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    let work = || {
        while let Some(&fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
            let caught = catch(fault, seeds.clone(), &wishes);
            tell(fault, caught.as_ref(), &seeds);
            if caught.is_none() {
                missed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(name(fault));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(work);
        }
    });
    let mut missed = missed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    missed.sort_unstable();
    let is_good = missed.is_empty() && !faults.is_empty();
    let summary = Summary {
        mutants: faults.len(),
        caught: faults.len() - missed.len(),
        missed,
        seeds_at_most: seeds.end - seeds.start,
        wall_seconds: begun.elapsed().as_secs_f64(),
    };
    println!("{}", serde_json::to_string(&summary).expect("numbers and words"));
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first world that notices the fault and keeps every promise without it.
fn catch(fault: Fault, seeds: Range<u64>, wishes: &Wishes) -> Option<Catch> {
    seeds.into_iter().find_map(|seed| {
        let failure = live_with(Some(fault), seed, wishes).failure?;
        live_with(None, seed, wishes).failure.is_none().then_some(Catch { seed, failure })
    })
}

fn live_with(fault: Option<Fault>, seed: u64, wishes: &Wishes) -> Verdict {
    plant(fault);
    let verdict = live(seed, wishes, false);
    plant(None);
    verdict
}

fn tell(fault: Fault, caught: Option<&Catch>, seeds: &Range<u64>) {
    let (name, meaning) = (name(fault), fault.meaning());
    match caught {
        Some(Catch { seed, failure }) => {
            let rule = failure.rule;
            println!("caught  {name:<26} seed {seed:<4} {rule}");
        }
        None => println!("MISSED  {name:<26} in {} seeds: {meaning}", seeds.end - seeds.start),
    }
}

/// The fault's name on the command line.
fn name(fault: Fault) -> String {
    let mut name = String::new();
    for letter in format!("{fault:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}
