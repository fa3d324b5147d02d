//! What it costs to hand a thing to another thread: the lane within one thread, between two, and the
//! doorbell with a consumer that is awake and one that sleeps. `cargo bench --bench mesh`.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fulmar::mesh::{Doorbell, lane};

/// About the size of a letter between cores.
type Thing = [u64; 16];

/// Things that fit a ring, as between two cores.
const CAPACITY: usize = 4_096;
/// Things between two flushes, as in a busy turn.
const TURN: u64 = 64;

fn doorbell() -> Arc<Doorbell> {
    Arc::new(Doorbell::new().expect("eventfd"))
}

fn within_one_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("lane/one thread");
    for turn in [1, TURN] {
        group.throughput(Throughput::Elements(turn));
        group.bench_function(format!("{turn} per flush"), |bencher| {
            let (mut outlet, mut inlet) = lane::<Thing>(CAPACITY, doorbell());
            bencher.iter(|| {
                for nth in 0..turn {
                    outlet.push([nth; 16]);
                }
                outlet.flush();
                while let Some(thing) = inlet.pop() {
                    black_box(thing);
                }
            });
        });
    }
    group.finish();
}

fn between_two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("lane/two threads");
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("{TURN} per flush"), |bencher| {
        bencher.iter_custom(|things| {
            let (mut outlet, mut inlet) = lane::<Thing>(CAPACITY, doorbell());
            let consumer = thread::spawn(move || {
                let mut left = things;
                while left > 0 {
                    match inlet.pop() {
                        Some(thing) => {
                            black_box(thing);
                            left -= 1;
                        }
                        None => spin_loop(),
                    }
                }
            });
            let begun = Instant::now();
            for nth in 0..things {
                outlet.push([nth; 16]);
                if nth % TURN == TURN - 1 {
                    outlet.flush();
                }
                // A producer pushes back before this.
                while outlet.backlog() > 0 {
                    outlet.flush();
                    spin_loop();
                }
            }
            consumer.join().expect("the consumer ends");
            begun.elapsed()
        });
    });
    group.finish();
}

fn ringing(c: &mut Criterion) {
    let mut group = c.benchmark_group("doorbell");
    let awake = doorbell();
    group.bench_function("consumer awake", |bencher| bencher.iter(|| awake.ring()));

    // There and back, each side asleep when it is rung.
    let (there, back) = (doorbell(), doorbell());
    let stop = Arc::new(AtomicBool::new(false));
    let other = {
        let (there, back, stop) = (Arc::clone(&there), Arc::clone(&back), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // Rings back once it is known to sleep.
                let rings_back = || {
                    back.ring();
                    stop.load(Ordering::Relaxed)
                };
                there.sleep(rings_back, |is_over| {
                    if !is_over {
                        there.wait();
                    }
                });
            }
        })
    };
    group.bench_function("two wake-ups, there and back", |bencher| {
        bencher.iter(|| {
            let rings_there = || {
                there.ring();
                false
            };
            back.sleep(rings_there, |_| back.wait());
        });
    });
    stop.store(true, Ordering::Relaxed);
    there.ring();
    other.join().expect("the other side ends");
    group.finish();
}

criterion_group!(benches, within_one_thread, between_two_threads, ringing);
criterion_main!(benches);
