//! The load generator must be faster than the server: per message it allocates nothing.

mod standin;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use fulmar_load::cli::Cli;
use fulmar_load::measurement::carry_out;
use standin::{Fault, StandIn, Terms};

/// Counts the allocations of each thread; the stand-in server has its own.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator unchanged; the counter is a plain cell
// that is initialised without allocating.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // At the end of a thread the counter may be gone already.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises about the layout are the ones that are needed.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of a run of this length, and the messages that it completed.
fn run(address: &str, pace: &str, seconds: &str) -> (u64, f64) {
    let words = ["fulmar-load", "run", "pairs", "--pairs", "4", "--warmup", "0", "--rate", pace];
    let words = words.into_iter().chain(["--server", address, "--seconds", seconds]);
    let plan = Cli::try_parse_from(words).unwrap().plan().unwrap();
    let before = ALLOCATIONS.get();
    let report = carry_out(&plan, &Arc::new(AtomicBool::new(false))).unwrap();
    let allocations = ALLOCATIONS.get() - before;
    assert!(report.faults.is_clean(), "{:?}", report.faults);
    (allocations, report.messages_per_s.unwrap() * report.seconds)
}

#[test]
fn a_longer_run_allocates_no_more() {
    for pace in ["0", "8000"] {
        let server = StandIn::start(Fault::None, Terms::default());
        let address = server.address.to_string();
        let (short, few) = run(&address, pace, "0.2");
        let server = StandIn::start(Fault::None, Terms::default());
        let address = server.address.to_string();
        let (long, many) = run(&address, pace, "2");
        let messages = many - few;
        assert!(messages > 1_000.0, "{messages}");
        // Queues that wait for a slow moment of this machine may still grow, each to twice its length.
        let more = long.saturating_sub(short) as f64;
        let allowed = 200.0 + messages * 0.01;
        assert!(more < allowed, "{long} and {short} allocations, {messages} messages");
    }
}
