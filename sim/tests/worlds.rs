//! Worlds that must keep every promise, and that a seed means one world.

use fulmar_sim::{Trouble, Wishes, run};

/// Small enough that many fit the time of a test.
fn short() -> Wishes {
    // Worlds with groups take longer, and are lived by `./dev sim`, for minutes also in `./dev test`. What they found
    // is in docs/reliability.md, and what they may still find under "Known and left" there.
    let without = vec![Trouble::Groups];
    Wishes { users: Some(6), span: Some(20), without, ..Wishes::default() }
}

/// A world with groups that doesn't take long.
const WHOLE: u64 = 3;

#[track_caller]
fn is_kept(seed: u64, wishes: &Wishes) {
    let verdict = run(seed, wishes, false);
    assert_eq!(verdict.failure, None, "{verdict}");
}

#[test]
fn a_fixed_set_of_worlds_keeps_every_promise() {
    let mut messages = 0;
    for seed in 1..=24 {
        let verdict = run(seed, &short(), false);
        assert_eq!(verdict.failure, None, "{verdict}");
        messages += verdict.messages;
    }
    assert!(messages > 1_000, "the worlds are worth something: {messages} messages");
}

#[test]
fn a_seed_means_one_world() {
    for seed in [3, 11] {
        let (first, second) = (run(seed, &short(), false), run(seed, &short(), false));
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {seed}");
    }
    // One as `./dev sim` lives it, with groups and everything else.
    let whole = || run(WHOLE, &Wishes::default(), false);
    let (first, second) = (whole(), whole());
    assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {WHOLE}");
    let counts = first.coverage.counts();
    assert!(counts.iter().any(|(name, count, _)| name == "group_ticks" && *count > 0), "{first}");
    let (one, other) = (run(3, &short(), false), run(4, &short(), false));
    assert_ne!(one.hash, other.hash);
}

#[test]
fn a_world_without_trouble_is_a_quiet_one() {
    let wishes = Wishes { without: Trouble::ALL.to_vec(), ..short() };
    let verdict = run(6, &wishes, false);
    assert_eq!(verdict.failure, None, "{verdict}");
    let counts = verdict.coverage.counts();
    let count = |wanted: &str| counts.iter().find(|(name, ..)| name == wanted).map(|count| count.1);
    assert_eq!(count("node_kills"), Some(0));
    assert_eq!(count("connections_cut"), Some(0));
    assert!(count("ticks") > Some(10));
}

// Worlds that found something. A change of the simulator may make others of them.

#[test]
fn a_read_that_was_told_back_and_then_lost_in_a_crash_is_reported_again() {
    let without = [
        Trouble::Rogues,
        Trouble::Devices,
        Trouble::Stalls,
        Trouble::Expiry,
        Trouble::Quota,
        Trouble::Changes,
        Trouble::Large,
        Trouble::Contents,
        Trouble::Disappearing,
        Trouble::Books,
        Trouble::Blocks,
        Trouble::Past,
    ];
    let wishes = Wishes {
        devices: Some(1),
        cores: Some(1),
        steps: Some(35),
        without: without.to_vec(),
        ..Wishes::default()
    };
    is_kept(9, &wishes);
}

#[test]
fn a_pong_that_crosses_an_acknowledgement_is_no_stall() {
    let wishes = Wishes {
        users: Some(1),
        devices: Some(1),
        cores: Some(1),
        steps: Some(2_188),
        span: Some(53),
        without: vec![
            Trouble::Expiry,
            Trouble::Quota,
            Trouble::Contents,
            Trouble::Disappearing,
            Trouble::Books,
            Trouble::Blocks,
            Trouble::Past,
        ],
    };
    is_kept(9, &wishes);
}

#[test]
fn a_journal_whose_only_segment_is_empty_survives_a_crash_of_its_start() {
    let without = [
        Trouble::Expiry,
        Trouble::Quota,
        Trouble::Network,
        Trouble::Rogues,
        Trouble::Stalls,
        Trouble::Large,
        Trouble::Clock,
        Trouble::Devices,
        Trouble::Contents,
        Trouble::Disappearing,
        Trouble::Books,
        Trouble::Blocks,
        Trouble::Past,
    ];
    let wishes = Wishes {
        users: Some(3),
        devices: Some(1),
        steps: Some(218),
        span: Some(53),
        without: without.to_vec(),
        ..Wishes::default()
    };
    is_kept(25, &wishes);
}

#[test]
fn what_was_kept_as_history_does_not_fill_an_inbox_of_temporary_retention() {
    is_kept(601_728, &Wishes::default());
}

#[test]
fn what_had_expired_and_is_told_again_is_not_told_to_who_was_away() {
    is_kept(801_061, &Wishes::default());
}

#[test]
fn a_byte_behind_the_hello_is_not_lost_on_the_way_to_the_home_core() {
    is_kept(
        172,
        &Wishes {
            without: vec![
                Trouble::Contents,
                Trouble::Disappearing,
                Trouble::Books,
                Trouble::Blocks,
                Trouble::Past,
            ],
            ..Wishes::default()
        },
    );
}

#[test]
fn ticks_that_a_crashing_device_forgets_are_no_more_than_a_server_remembers() {
    let wishes = Wishes {
        users: Some(3),
        steps: Some(33_497),
        without: vec![
            Trouble::Crashes,
            Trouble::Expiry,
            Trouble::Quota,
            Trouble::Contents,
            Trouble::Disappearing,
            Trouble::Books,
            Trouble::Blocks,
            Trouble::Past,
        ],
        ..Wishes::default()
    };
    is_kept(46, &wishes);
}
