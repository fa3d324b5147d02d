//! Damage to what was synced: the journal is refused with the file's name, or nothing is missing. Only the end of the
//! newest segment can't be told from what was being written.

use std::sync::atomic::{AtomicU32, Ordering};

use super::world::{End, History, SimulatedParts, World, for_seeds};
use super::*;

/// Histories that each test goes through.
const SEEDS: u64 = 3_000;

/// A world in which nothing went wrong, and whose last process has ended.
fn world(seed: u64) -> World {
    let history =
        History { is_syncing: true, end: End::Kill, has_faults: false, has_expiry: false };
    let mut world = World::new(seed, history);
    for _ in 0..world.random.usize(1..4) {
        let mut parts = world.open_calmly().expect("open");
        world.live(&mut parts);
        drop(parts);
        world.end();
    }
    world
}

/// A file of the log and a place in it.
fn place(world: &mut World) -> (String, u64) {
    let mut files = world.files.list().expect("list");
    files.retain(|name| segment::number_in(name).is_some());
    let file = files.swap_remove(world.random.usize(..files.len()));
    let bytes = world.files.content(&file).expect("content").len() as u64;
    (file, world.random.u64(..bytes))
}

/// The name of the file is in the error, or all but the last `lost_max` commits are there. `false` if it was
/// refused.
fn is_judged(
    world: &mut World,
    opened: Result<SimulatedParts, JournalError>,
    file: &str,
    lost_max: usize,
) -> bool {
    match opened {
        Err(error) => {
            assert!(error.to_string().contains(file), "{error}");
            false
        }
        Ok(parts) => {
            world.check_damaged(&parts, lost_max);
            true
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_by_name_or_changes_nothing() {
    let refused = AtomicU32::new(0);
    for_seeds(SEEDS, |seed| {
        let mut world = world(seed);
        let (file, at) = place(&mut world);
        world.files.flip(&file, at, 1 << world.random.u8(..8)).expect("flip");
        let is_in_last = world
            .places
            .last()
            .is_some_and(|&(number, begin, _)| file == segment::name(number) && at >= begin);
        let opened = world.open_calmly();
        if !is_judged(&mut world, opened, &file, usize::from(is_in_last)) {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    });
    let refused = refused.into_inner();
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_shortened_file_is_refused_by_name_or_only_the_end_is_missing() {
    let refused = AtomicU32::new(0);
    for_seeds(SEEDS, |seed| {
        let mut world = world(seed);
        let (file, at) = place(&mut world);
        world.files.truncate(&file, at).expect("truncate");
        let newest = world.places.last().map_or(0, |&(number, ..)| number);
        let is_cut = |&&(number, _, end): &&(u64, u64, u64)| {
            number == newest && file == segment::name(number) && end > at
        };
        let cut = world.places.iter().filter(is_cut).count();
        let opened = world.open_calmly();
        if !is_judged(&mut world, opened, &file, cut) {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    });
    let refused = refused.into_inner();
    assert!(refused > 300, "{refused}");
}
