//! The mesh as it is built for use, on the machine's threads. Races are met by repetition; the
//! sanitizers run these too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::{Doorbell, Tray, lane};

/// Things that cross in each test: enough for some hundred sleeps, few enough for Miri.
const COUNT: u32 = if cfg!(miri) { 200 } else { 50_000 };

fn doorbell() -> Arc<Doorbell> {
    Arc::new(Doorbell::new().expect("eventfd"))
}

/// Whether a wait would end at once.
fn is_rung(doorbell: &Doorbell) -> bool {
    if cfg!(miri) {
        // It has an eventfd, but no poll.
        return doorbell.was_rung();
    }
    let event = doorbell.descriptor().expect("a descriptor");
    let mut polled = [PollFd::new(&event, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).expect("poll") == 1
}

#[test]
fn a_full_ring_keeps_the_order_and_loses_nothing() {
    let (mut outlet, mut inlet) = lane(4, doorbell());
    let mut next = 0;
    for i in 0..100 {
        outlet.push(i);
        if i % 7 == 0 {
            outlet.flush();
            while let Some(got) = inlet.pop() {
                assert_eq!(got, next);
                next += 1;
            }
        }
    }
    while next < 100 {
        outlet.flush();
        while let Some(got) = inlet.pop() {
            assert_eq!(got, next);
            next += 1;
        }
    }
    assert_eq!(outlet.backlog(), 0);
}

#[test]
fn the_rest_of_a_backlog_wakes_a_consumer_that_sleeps() {
    let bell = doorbell();
    let (mut outlet, mut inlet) = lane(1, Arc::clone(&bell));
    outlet.push(1);
    outlet.push(2);
    outlet.flush();
    assert_eq!((inlet.pop(), inlet.pop()), (Some(1), None));
    let falls_asleep_before_the_rest_comes = || {
        outlet.flush();
        false
    };
    let is_rung = bell.sleep(falls_asleep_before_the_rest_comes, |_| is_rung(&bell));
    assert!(is_rung);
    assert_eq!(inlet.pop(), Some(2));
}

#[test]
fn what_waits_for_a_consumer_that_has_ended_is_dropped() {
    let (mut outlet, inlet) = lane(2, doorbell());
    let thing = Arc::new(());
    for _ in 0..5 {
        outlet.push(Arc::clone(&thing));
    }
    assert_eq!(outlet.backlog(), 3);
    drop(inlet);
    outlet.flush();
    assert_eq!(outlet.backlog(), 0);
    drop(outlet);
    assert_eq!(Arc::strong_count(&thing), 1, "nothing is kept and nothing is dropped twice");
}

#[test]
fn a_sleeping_consumer_never_misses_a_wake_up() {
    let doorbell = doorbell();
    let (mut outlet, mut inlet) = lane(8, Arc::clone(&doorbell));
    let producer = thread::spawn(move || {
        for i in 0..COUNT {
            outlet.push(Box::new(i));
            outlet.flush();
            while outlet.backlog() > 0 {
                thread::yield_now();
                outlet.flush();
            }
        }
    });
    let mut next = 0;
    while next < COUNT {
        while let Some(got) = inlet.pop() {
            assert_eq!(*got, next);
            next += 1;
        }
        if next < COUNT {
            doorbell.sleep(
                || !inlet.is_empty(),
                |is_work| {
                    if !is_work {
                        doorbell.wait();
                    }
                },
            );
        }
    }
    producer.join().expect("the producer ends");
}

#[test]
fn many_producers_share_a_tray_and_a_bell() {
    const PRODUCERS: u32 = 4;
    let doorbell = doorbell();
    let tray = Arc::new(Tray::new(8, Arc::clone(&doorbell)));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let tray = Arc::clone(&tray);
            thread::spawn(move || (0..COUNT / 10).for_each(|i| tray.give(Box::new((producer, i)))))
        })
        .collect();
    let mut next = [0; PRODUCERS as usize];
    while next.iter().sum::<u32>() < COUNT / 10 * PRODUCERS {
        while let Some(got) = tray.take() {
            let (producer, i) = *got;
            assert_eq!(i, next[producer as usize], "each producer's things keep their order");
            next[producer as usize] += 1;
        }
        let is_over = next.iter().sum::<u32>() == COUNT / 10 * PRODUCERS;
        doorbell.sleep(
            || is_over || !tray.is_empty(),
            |is_work| {
                if !is_work {
                    doorbell.wait();
                }
            },
        );
    }
    for producer in producers {
        producer.join().expect("a producer ends");
    }
}

#[test]
fn nobody_waits_for_a_consumer_that_has_ended() {
    let tray = Arc::new(Tray::new(2, doorbell()));
    let has_begun = Arc::new(AtomicBool::new(false));
    let producer = {
        let (tray, has_begun) = (Arc::clone(&tray), Arc::clone(&has_begun));
        thread::spawn(move || {
            for i in 0..100 {
                tray.give(i);
                has_begun.store(true, Ordering::Release);
            }
        })
    };
    while !has_begun.load(Ordering::Acquire) {
        thread::yield_now();
    }
    tray.abandon();
    producer.join().expect("the producer ends");
    assert_eq!((tray.take(), tray.take(), tray.take()), (Some(0), Some(1), None));
}
