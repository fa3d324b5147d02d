//! The mesh under loom: every order of its threads, and every value that a load may see, up to a
//! number of preemptions. A lost wake-up shows as a thread that waits for ever ("deadlock").
//!
//! The last tests leave out a fence, and expect loom to find what is lost without it.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::super::parts::leave_out_fences;
use super::super::{Doorbell, Inlet, Outlet, Tray, lane};

/// Preemptions of a running thread in one order; more were never needed to find a fault here.
const PREEMPTIONS_MAX: usize = 3;

fn in_every_order(run: impl Fn() + Sync + Send + 'static) {
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = orders.preemption_bound.or(Some(PREEMPTIONS_MAX));
    orders.check(run);
}

fn doorbell() -> Arc<Doorbell> {
    Arc::new(Doorbell::new().expect("an event"))
}

fn wait_unless(doorbell: &Doorbell, is_work_there: impl FnOnce() -> bool) {
    let wait = |is_work: bool| {
        if !is_work {
            doorbell.wait();
        }
    };
    doorbell.sleep(is_work_there, wait);
}

/// A producer hands over `things` and flushes until nothing waits, as a core does turn by turn.
fn produce(outlet: &mut Outlet<u32>, things: std::ops::Range<u32>) {
    for thing in things {
        outlet.push(thing);
    }
    outlet.flush();
    while outlet.backlog() > 0 {
        thread::yield_now();
        outlet.flush();
    }
}

/// A consumer that sleeps whenever nothing is there, as the journal's thread does. Things of one lane
/// are numbered from 0.
fn consume(inlets: &mut [Inlet<u32>], doorbell: &Doorbell, each: u32) {
    let mut next = vec![0; inlets.len()];
    loop {
        for (inlet, next) in inlets.iter_mut().zip(&mut next) {
            while let Some(thing) = inlet.pop() {
                assert_eq!(thing, *next);
                *next += 1;
            }
        }
        if next.iter().all(|&next| next == each) {
            return;
        }
        wait_unless(doorbell, || inlets.iter().any(|inlet| !inlet.is_empty()));
    }
}

#[test]
fn a_consumer_that_falls_asleep_is_woken() {
    in_every_order(|| {
        let doorbell = doorbell();
        let (mut outlet, inlet) = lane(2, Arc::clone(&doorbell));
        let producer = thread::spawn(move || {
            produce(&mut outlet, 0..1);
            produce(&mut outlet, 1..2);
        });
        consume(&mut [inlet], &doorbell, 2);
        producer.join().expect("the producer ends");
    });
}

#[test]
fn a_backlog_follows_when_there_is_room() {
    in_every_order(|| {
        let doorbell = doorbell();
        let (mut outlet, inlet) = lane(1, Arc::clone(&doorbell));
        let producer = thread::spawn(move || produce(&mut outlet, 0..3));
        consume(&mut [inlet], &doorbell, 3);
        producer.join().expect("the producer ends");
    });
}

#[test]
fn two_producers_share_a_bell() {
    in_every_order(|| {
        let doorbell = doorbell();
        let (mut first, from_first) = lane(1, Arc::clone(&doorbell));
        let (mut second, from_second) = lane(1, Arc::clone(&doorbell));
        let producers = [
            thread::spawn(move || produce(&mut first, 0..1)),
            thread::spawn(move || produce(&mut second, 0..1)),
        ];
        consume(&mut [from_first, from_second], &doorbell, 1);
        for producer in producers {
            producer.join().expect("a producer ends");
        }
    });
}

/// Two cores ask each other and sleep until the answer is there.
#[test]
fn two_that_wait_for_each_other_both_go_on() {
    fn core(outlet: &mut Outlet<u32>, inlet: Inlet<u32>, doorbell: &Doorbell) {
        produce(outlet, 0..1);
        consume(&mut [inlet], doorbell, 1);
    }
    in_every_order(|| {
        let (left, right) = (doorbell(), doorbell());
        let (mut to_right, from_left) = lane(1, Arc::clone(&right));
        let (mut to_left, from_right) = lane(1, Arc::clone(&left));
        let other = thread::spawn(move || core(&mut to_left, from_left, &right));
        core(&mut to_right, from_right, &left);
        other.join().expect("the other core ends");
    });
}

#[test]
fn a_consumer_that_ends_takes_nothing_with_it() {
    in_every_order(|| {
        let doorbell = doorbell();
        let (mut outlet, inlet) = lane(1, Arc::clone(&doorbell));
        let consumer = thread::spawn(move || drop(inlet));
        produce(&mut outlet, 0..3);
        consumer.join().expect("the consumer ends");
    });
}

/// Work that isn't in a queue, as the order to stop: it is looked at like the rest.
#[test]
fn a_flag_that_is_set_before_the_ring_is_seen() {
    in_every_order(|| {
        let (bell, is_set) = (doorbell(), Arc::new(AtomicBool::new(false)));
        let setter = {
            let (bell, is_set) = (Arc::clone(&bell), Arc::clone(&is_set));
            thread::spawn(move || {
                is_set.store(true, Ordering::Release);
                bell.ring();
            })
        };
        while !is_set.load(Ordering::Acquire) {
            wait_unless(&bell, || is_set.load(Ordering::Acquire));
        }
        setter.join().expect("the setter ends");
    });
}

/// Two workers leave answers for a core.
fn answers_of_two_workers(capacity: usize, each: u32) {
    in_every_order(move || {
        let doorbell = doorbell();
        let tray = Arc::new(Tray::new(capacity, Arc::clone(&doorbell)));
        let worker = || {
            let tray = Arc::clone(&tray);
            thread::spawn(move || (0..each).for_each(|thing| tray.give(thing)))
        };
        let workers = [worker(), worker()];
        let mut sum = 0;
        let mut count = 0;
        while count < 2 * each {
            while let Some(thing) = tray.take() {
                (sum, count) = (sum + thing, count + 1);
            }
            if count < 2 * each {
                wait_unless(&doorbell, || !tray.is_empty());
            }
        }
        assert_eq!(sum, (0..each).sum::<u32>() * 2);
        for worker in workers {
            worker.join().expect("a worker ends");
        }
    });
}

#[test]
fn no_answer_waits_in_the_tray_of_a_sleeper() {
    answers_of_two_workers(2, 1);
}

#[test]
fn a_worker_waits_for_room_and_wakes_who_makes_it() {
    in_every_order(|| {
        let doorbell = doorbell();
        let tray = Arc::new(Tray::new(2, Arc::clone(&doorbell)));
        let worker = {
            let tray = Arc::clone(&tray);
            thread::spawn(move || (0..3).for_each(|thing| tray.give(thing)))
        };
        let mut next = 0;
        while next < 3 {
            while let Some(thing) = tray.take() {
                assert_eq!(thing, next);
                next += 1;
            }
            if next < 3 {
                wait_unless(&doorbell, || !tray.is_empty());
            }
        }
        worker.join().expect("the worker ends");
    });
}

#[test]
fn a_worker_ends_though_its_core_has() {
    in_every_order(|| {
        let tray = Arc::new(Tray::new(2, doorbell()));
        let worker = {
            let tray = Arc::clone(&tray);
            thread::spawn(move || (0..3).for_each(|thing| tray.give(thing)))
        };
        tray.abandon();
        worker.join().expect("the worker ends");
    });
}

/// One thing from a producer to a consumer, each with its fences or without.
fn one_thing(has_producers_fence: bool, has_consumers_fence: bool) {
    in_every_order(move || {
        let doorbell = doorbell();
        let (mut outlet, inlet) = lane(1, Arc::clone(&doorbell));
        let producer = thread::spawn(move || {
            if !has_producers_fence {
                leave_out_fences();
            }
            produce(&mut outlet, 0..1);
        });
        if !has_consumers_fence {
            leave_out_fences();
        }
        consume(&mut [inlet], &doorbell, 1);
        producer.join().expect("the producer ends");
    });
}

#[test]
fn with_both_fences_one_thing_arrives() {
    one_thing(true, true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_producers_fence_a_wake_up_is_lost() {
    one_thing(false, true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_consumers_fence_a_wake_up_is_lost() {
    one_thing(true, false);
}
