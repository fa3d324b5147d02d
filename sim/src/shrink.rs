//! From a failing world to a smaller one that fails by the same rule.

use std::time::{Duration, Instant};

use crate::plan::{Trouble, Wishes};
use crate::verdict::Verdict;
use crate::{run, verdict::Failure};

/// How long it is tried to make a world smaller.
const PATIENCE: Duration = Duration::from_secs(120);

/// A smaller world that fails by the same rule.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// What is to be asked for to get it.
    pub wishes: Wishes,
    /// What became of it.
    pub verdict: Verdict,
    /// Worlds that were tried.
    pub tries: u32,
}

/// Makes a failing world smaller as long as it fails by the same rule. `None` if it doesn't fail.
#[must_use]
pub fn shrink(seed: u64, wishes: &Wishes) -> Option<Shrunk> {
    let begun = Instant::now();
    let verdict = run(seed, wishes, false);
    let failure = verdict.failure.clone()?;
    let mut best = Shrunk { wishes: wishes.clone(), verdict, tries: 1 };
    let mut is_smaller = true;
    while is_smaller {
        is_smaller = false;
        for smaller in smaller(&best) {
            if begun.elapsed() > PATIENCE {
                return Some(best);
            }
            best.tries += 1;
            let verdict = run(seed, &smaller, false);
            if fails_alike(&verdict, &failure) {
                best = Shrunk { wishes: smaller, verdict, tries: best.tries };
                is_smaller = true;
                break;
            }
        }
    }
    Some(best)
}

fn fails_alike(verdict: &Verdict, failure: &Failure) -> bool {
    verdict.failure.as_ref().is_some_and(|other| other.rule == failure.rule)
}

/// Worlds that are a little smaller, the smallest first.
fn smaller(shrunk: &Shrunk) -> Vec<Wishes> {
    let Shrunk { wishes, verdict, .. } = shrunk;
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Wishes)| {
        let mut smaller = wishes.clone();
        change(&mut smaller);
        if smaller != *wishes {
            found.push(smaller);
        }
    };
    for trouble in Trouble::ALL {
        if !wishes.without.contains(&trouble) {
            add(&|smaller| smaller.without.push(trouble));
        }
    }
    // Nothing after the failure matters.
    let seconds = wishes.span.unwrap_or(150);
    let failed_at = verdict.failure.as_ref().map_or(0, |failure| failure.at / 1_000_000 + 1);
    for seconds in [seconds / 4, seconds / 2, failed_at.min(seconds), seconds - seconds / 8] {
        if seconds > 0 && Some(seconds) != wishes.span {
            add(&|smaller| smaller.span = Some(seconds));
        }
    }
    let users = wishes.users.unwrap_or(150);
    for users in [1, 2, 3, users / 4, users / 2, users.saturating_sub(1)] {
        if users > 0 && wishes.users.is_none_or(|known| users < known) {
            add(&|smaller| smaller.users = Some(users));
        }
    }
    for devices in [1, 2, 3] {
        if wishes.devices.is_none_or(|known| devices < known) {
            add(&|smaller| smaller.devices = Some(devices));
        }
    }
    if wishes.cores != Some(1) {
        add(&|smaller| smaller.cores = Some(1));
    }
    let steps = wishes.steps.unwrap_or(100_000);
    for steps in [steps / 100, steps / 10, steps / 2, steps - steps / 8] {
        if steps > 0 && wishes.steps.is_none_or(|known| steps < known) {
            add(&|smaller| smaller.steps = Some(steps));
        }
    }
    found
}
