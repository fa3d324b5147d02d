//! A message on its usual way, between two people who are logged in, costs no allocation.

#[path = "../benches/pairs/mod.rs"]
mod pairs;

/// Enough for everything to reach the size that it keeps.
const WARM_UP_MESSAGES: u64 = 100_000;
/// Enough that one allocation in a thousand messages is seen.
const MESSAGES: u64 = 100_000;

#[test]
fn a_message_between_people_who_are_logged_in_costs_no_allocation() {
    let mut pairs = pairs::Pairs::new(500);
    let mut run = |messages: u64| {
        let mut done = 0;
        while done < messages {
            done += pairs.round();
        }
        done
    };
    run(WARM_UP_MESSAGES);
    let mut messages = 0;
    let info = allocation_counter::measure(|| messages = run(MESSAGES));
    // A table or a queue may still grow once in a while; that isn't a cost of messages.
    let per_thousand = info.count_total as f64 * 1_000.0 / messages as f64;
    assert!(per_thousand < 1.0, "{} allocations for {messages} messages", info.count_total);
}
