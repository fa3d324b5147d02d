//! Presence and typing: told on each connection, and no more than is of use.

use fulmar_client::Target;
use fulmar_client::limits::{ACTIVITY_MS, PRESENT_MS, TYPING_AGAIN_MS};
use fulmar_protocol::{Frame, Pairs, Welcome};

use crate::device::{Device, Pace};
use crate::frames::WELCOME;

/// Two thirds of the interval that the script's server tells.
const AGAIN_MS: u64 = 20_000;

fn set_active(device: &mut Device, is_active: bool) {
    device.ask(|session, now, actions| session.set_active(now, is_active, actions));
}

fn typing(device: &mut Device, target: Target, is_typing: bool) {
    device.ask(|session, now, actions| session.typing(now, target, is_typing, actions));
}

#[test]
fn a_person_who_is_there_is_told_again_and_again() {
    let mut device = Device::online();
    set_active(&mut device, true);
    set_active(&mut device, true);
    assert_eq!(device.sent(), ["here true"]);
    device.pass(AGAIN_MS - 1);
    assert_eq!(device.sent(), [""; 0]);
    assert_eq!(device.session.deadline_ms(), Some(device.now.elapsed_ms + 1));
    device.pass(1);
    assert_eq!(device.sent(), ["here true"]);
    set_active(&mut device, false);
    set_active(&mut device, false);
    assert_eq!(device.sent(), ["here false"]);
    device.lose();
    device.events();
    set_active(&mut device, true);
    device.login();
    assert_eq!(device.sent(), ["here true"]);
}

#[test]
fn a_person_who_does_nothing_for_long_is_told_no_more() {
    let mut device = Device::online();
    set_active(&mut device, true);
    let mut told = 0;
    for _ in 0..2 * PRESENT_MS / AGAIN_MS {
        told += device.sent().iter().filter(|sent| *sent == "here true").count() as u64;
        device.server(&[Frame::Pong { heads: Pairs::Slice(&[]) }]);
        device.pass(AGAIN_MS);
    }
    assert_eq!(told, PRESENT_MS / AGAIN_MS);
    device.sent();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0], "nor on another connection");
    set_active(&mut device, true);
    assert_eq!(device.sent(), ["here true"]);
    device.pass(1_000);
    set_active(&mut device, true);
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn what_is_due_while_a_write_is_under_way_waits_for_its_end() {
    let mut device = Device::online();
    device.writing = Pace::WhenTold;
    set_active(&mut device, true);
    device.pass(AGAIN_MS);
    assert!(device.session.deadline_ms() > Some(device.now.elapsed_ms), "without a timer");
    device.written();
    assert_eq!(device.sent(), ["here true", "here true"]);
}

#[test]
fn nobody_is_told_that_a_person_who_was_not_there_leaves() {
    let mut device = Device::new();
    set_active(&mut device, true);
    set_active(&mut device, false);
    device.login();
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn people_are_watched_on_every_connection() {
    let mut device = Device::new();
    device.ask(|session, now, actions| session.watch(now, &[9, 8, 9, 0], actions));
    device.login();
    assert_eq!(device.sent(), ["watch [8, 9]"]);
    let presence = Frame::Presence { user: 8, is_online: true, last_seen_ms: 5 };
    device.server(&[presence]);
    assert_eq!(device.events(), ["presence 8 true 5"]);
    device.ask(|session, now, actions| session.unwatch(now, &[9, 10], actions));
    device.ask(|session, now, actions| session.watch(now, &[8, 11], actions));
    assert_eq!(device.sent(), ["unwatch [9]", "watch [11]"]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["watch [8, 11]"]);
}

#[test]
fn no_more_people_are_watched_than_a_server_takes() {
    let mut device = Device::online();
    let many: Vec<_> = (1..=300).collect();
    device.ask(|session, now, actions| session.watch(now, &many, actions));
    let sent = device.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].ends_with(", 255, 256]"), "{sent:?}");
}

#[test]
fn typing_is_told_once_in_a_while_and_its_end_once() {
    let mut device = Device::online();
    for _ in 0..3 {
        typing(&mut device, Target::Peer(8), true);
    }
    typing(&mut device, Target::Group(30), true);
    assert_eq!(device.sent(), ["typing 0 8 true", "typing 30 0 true"]);
    device.pass(TYPING_AGAIN_MS);
    typing(&mut device, Target::Peer(8), true);
    assert_eq!(device.sent(), ["typing 0 8 true"]);
    typing(&mut device, Target::Peer(8), false);
    typing(&mut device, Target::Peer(8), false);
    typing(&mut device, Target::Peer(9), false);
    assert_eq!(device.sent(), ["typing 0 8 false"]);
    // However long ago it was told.
    typing(&mut device, Target::Peer(8), true);
    typing(&mut device, Target::Group(30), false);
    assert_eq!(device.sent(), ["typing 0 8 true", "typing 30 0 false"]);
    device.server(&[Frame::Typing { group: 30, user: 9, is_typing: true }]);
    assert_eq!(device.events(), ["typing Some(30) 9 true"]);
}

#[test]
fn typing_without_a_connection_is_forgotten() {
    let mut device = Device::new();
    typing(&mut device, Target::Peer(8), true);
    device.login();
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn it_is_told_as_often_as_the_server_asks_within_bounds() {
    let (shortest, longest) = (*ACTIVITY_MS.start(), *ACTIVITY_MS.end());
    let intervals = [(5, 3_332), (0, shortest), (u64::MAX, longest)];
    for (presence_s, again_ms) in intervals {
        let mut device = Device::online();
        device.lose();
        device.events();
        device.welcome(&Welcome { presence_s, ..WELCOME });
        set_active(&mut device, true);
        assert_eq!(device.sent(), ["here true"]);
        // Somebody who does something all the time is told of once in that time.
        let mut passed = 0;
        while device.sent().iter().all(|sent| sent != "here true") {
            device.server(&[Frame::Pong { heads: Pairs::Slice(&[]) }]);
            device.pass(1_000.min(again_ms - passed));
            passed += 1_000.min(again_ms - passed);
            set_active(&mut device, true);
        }
        assert_eq!(passed, again_ms, "{presence_s}");
    }
}
