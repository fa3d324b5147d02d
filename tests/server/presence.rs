//! Who is there and who writes, over real sockets and between cores.

use std::time::{SystemTime, UNIX_EPOCH};

use fulmar_protocol::{Frame, Numbers};

use super::harness::{Client, Got, Setup};

/// Enough that some of them live on each core.
const PEOPLE: std::ops::Range<u64> = 20..40;

fn activity(client: &mut Client, is_here: bool) {
    client.put(&Frame::Activity { is_here });
}

fn watch(client: &mut Client, users: &[u64]) {
    client.put(&Frame::Watch { users: Numbers::Slice(users) });
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// The next presence; skips everything else.
fn presence(client: &mut Client) -> (u64, bool, u64) {
    loop {
        match client.next() {
            Got::Presence { user, is_online, last_seen_ms } => {
                return (user, is_online, last_seen_ms);
            }
            Got::Eof => panic!("no presence"),
            _ => {}
        }
    }
}

#[test]
fn watchers_see_people_come_and_go() {
    let setup = Setup::development().with(&["--presence-interval-seconds", "5"]);
    let server = setup.start();
    let begun_ms = now_ms();
    let mut people: Vec<Client> = PEOPLE.map(|user| server.login(user, 1)).collect();
    let mut ann = server.login(7, 1);
    let users: Vec<u64> = PEOPLE.collect();
    watch(&mut ann, &users);
    let mut answered: Vec<u64> = users
        .iter()
        .map(|_| {
            let (user, is_online, last_seen_ms) = presence(&mut ann);
            assert_eq!((is_online, last_seen_ms), (false, 0));
            user
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, users);
    for (person, &user) in people.iter_mut().zip(&users) {
        activity(person, true);
        let (who, is_online, last_seen_ms) = presence(&mut ann);
        assert_eq!((who, is_online), (user, true));
        assert!((begun_ms..=now_ms()).contains(&last_seen_ms));
    }
    // One goes by itself, one breaks off, the others fall silent.
    activity(&mut people[0], false);
    people.remove(1);
    let mut gone: Vec<u64> = users
        .iter()
        .map(|_| {
            let (user, is_online, last_seen_ms) = presence(&mut ann);
            assert!(!is_online, "{user}");
            assert!((begun_ms..=now_ms()).contains(&last_seen_ms));
            user
        })
        .collect();
    gone.sort_unstable();
    assert_eq!(gone, users);
    let (_, metrics) = server.http("/metrics");
    for name in ["fulmar_users_online", "fulmar_watches", "fulmar_presence_told_total"] {
        assert!(metrics.contains(name), "{name} is missing");
    }
}

#[test]
fn last_seen_survives_a_restart() {
    let mut server = Setup::development().start();
    let begun_ms = now_ms();
    let mut bob = server.login(8, 1);
    bob.send(9, 1, b"hello");
    bob.tick();
    assert!(server.stop().success());
    let server = server.restart_stopped();
    let mut ann = server.login(7, 1);
    watch(&mut ann, &[8]);
    let (user, is_online, last_seen_ms) = presence(&mut ann);
    assert_eq!((user, is_online), (8, false));
    assert!((begun_ms..=now_ms()).contains(&last_seen_ms));
}

#[test]
fn a_peer_who_is_here_sees_somebody_write() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    for user in PEOPLE {
        let (mut bob, mut tablet) = (server.login(user, 1), server.login(user, 2));
        activity(&mut bob, true);
        // What comes after the pong was handled after the activity.
        bob.put(&Frame::Ping);
        bob.expect(&Got::Pong { head: 0 });
        for is_typing in [true, false] {
            ann.put(&Frame::Typing { group: 0, user, is_typing });
            bob.expect(&Got::Typing { user: 7, is_typing });
        }
        tablet.put(&Frame::Ping);
        tablet.expect(&Got::Pong { head: 0 });
    }
}

/// Waits until so many people were told, who all are in this state; who they are, in order.
fn presences(client: &mut Client, count: usize, is_online: bool) -> Vec<u64> {
    let mut told: Vec<u64> = (0..count)
        .map(|_| {
            let (user, is, _) = presence(client);
            assert_eq!(is, is_online, "{user}");
            user
        })
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn of_who_is_watched_no_more_nothing_is_told_and_of_others_still() {
    let server = Setup::development().start();
    let mut people: Vec<Client> = PEOPLE.map(|user| server.login(user, 1)).collect();
    let (mut ann, mut zoe) = (server.login(7, 1), server.login(8, 1));
    let users: Vec<u64> = PEOPLE.collect();
    for watcher in [&mut ann, &mut zoe] {
        watch(watcher, &users);
        assert_eq!(presences(watcher, users.len(), false), users);
    }
    let (left, kept) = users.split_at(users.len() / 2);
    // A user who wasn't watched, and one who is named again, do no harm.
    ann.put(&Frame::Unwatch { users: Numbers::Slice(&[left, &[999]].concat()) });
    ann.put(&Frame::Unwatch { users: Numbers::Slice(&left[..1]) });
    ann.put(&Frame::Ping);
    ann.expect(&Got::Pong { head: 0 });
    let (left_people, kept_people) = people.split_at_mut(left.len());
    for person in left_people {
        activity(person, true);
    }
    // Who watches them still is told; only then the others come.
    assert_eq!(presences(&mut zoe, left.len(), true), left);
    for person in kept_people {
        activity(person, true);
    }
    assert_eq!(presences(&mut ann, kept.len(), true), kept);
    assert_eq!(presences(&mut zoe, kept.len(), true), kept);
    ann.put(&Frame::Ping);
    ann.expect(&Got::Pong { head: 0 });
    // Who is watched again is told as somebody new.
    watch(&mut ann, left);
    assert_eq!(presences(&mut ann, left.len(), true), left);
}
