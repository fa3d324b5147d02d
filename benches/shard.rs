//! Messages per second of one core without sockets and storage: from the bytes of a send through
//! the log, the tick, the delivery and the acknowledgement to the bytes of the receipt.
//!
//! Prints the allocations per message too, which `tests/allocations.rs` holds at none.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod pairs;

/// Pairs that write to each other.
const PAIRS: usize = 500;
/// Rounds after which everything has the size that it keeps.
const WARM_UP_ROUNDS: u32 = 20;
/// Rounds over which allocations are counted.
const COUNTED_ROUNDS: u32 = 20;

fn messages(criterion: &mut Criterion) {
    let mut pairs = pairs::Pairs::new(PAIRS);
    for _ in 0..WARM_UP_ROUNDS {
        pairs.round();
    }
    let mut messages = 0;
    let info = allocation_counter::measure(|| {
        messages = (0..COUNTED_ROUNDS).map(|_| pairs.round()).sum();
    });
    println!("{} allocations for {messages} messages", info.count_total);

    let mut group = criterion.benchmark_group("shard");
    group.throughput(Throughput::Elements(pairs.round()));
    group.bench_function("send, store, deliver, acknowledge, receipt", |bencher| {
        bencher.iter(|| pairs.round());
    });
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
