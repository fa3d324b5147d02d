//! Some worlds, lived whole; and the same world twice. `./dev sim` lives many more.

use fulmar_sim::{Wishes, run};

/// Small worlds: a debug build takes a while for a large one.
fn small() -> Wishes {
    Wishes { users: Some(12), steps: Some(1_500), span: Some(40), ..Wishes::default() }
}

#[track_caller]
fn keeps_every_promise(seed: u64, wishes: &Wishes) {
    let verdict = run(seed, wishes, false);
    assert!(verdict.failure.is_none(), "{verdict}");
}

#[test]
fn a_fixed_set_of_small_worlds_keeps_every_promise() {
    for seed in 1..=24 {
        keeps_every_promise(seed, &small());
    }
}

#[test]
fn a_few_whole_worlds_keep_every_promise() {
    for seed in [1, 3, 5] {
        keeps_every_promise(seed, &Wishes::default());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [2, 7] {
        let (first, second) = (run(seed, &small(), false), run(seed, &small(), false));
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {seed}");
        let other = run(seed + 100, &small(), false);
        assert_ne!(first.hash, other.hash, "another seed is another world");
    }
}

/// Seeds that found a fault, by what it was. They are lived as the seed chooses.
#[test]
fn seeds_that_found_something_find_it_no_more() {
    for (seed, what) in [
        (9, "a client took a pong that crossed its acknowledgement for a stall"),
        (30, "the window, as a client saw it that acknowledges what is still under way to it"),
    ] {
        println!("{seed}: {what}");
        keeps_every_promise(seed, &Wishes::default());
    }
}
