//! Books, blocks, privacy, profiles and usernames, over real sockets and between cores.

use std::time::{Duration, Instant};

use fulmar_protocol::group::Action;
use fulmar_protocol::people::{audience, item, privacy, user_key};
use fulmar_protocol::{Code, Frame, Numbers, Pairs};

use super::groups::change;
use super::harness::{Client, Got, Setup, deliver, sent};

/// Enough that some of them live on each core.
const PEOPLE: std::ops::Range<u64> = 20..32;

fn put(client: &mut Client, item: u8, key: &[u8], value: &[u8]) -> Got {
    client.put(&Frame::Put { item, key, value });
    client.next()
}

fn set(client: &mut Client, item: u8, key: &[u8], value: &[u8]) {
    let got = put(client, item, key, value);
    assert!(matches!(&got, Got::Item(_, _, _, known) if known == value), "{got:?}");
}

fn watch(client: &mut Client, user: u64) {
    client.put(&Frame::Watch { users: Numbers::Slice(&[user]) });
}

#[test]
fn a_book_is_the_same_on_all_devices_and_survives_a_kill() {
    let server = Setup::development().start();
    let mut phone = server.login(7, 1);
    let mut tablet = server.login(7, 2);
    tablet.put(&Frame::BookResume { version: 0 });
    tablet.expect(&Got::Book { version: 0, head: 0, reset: false });
    set(&mut phone, 200, b"a", b"1");
    tablet.expect(&Got::Item(1, 200, b"a".to_vec(), b"1".to_vec()));
    set(&mut tablet, 200, b"a", b"2");
    assert_eq!(put(&mut phone, 7, b"a", b"1"), Got::PutRejected(Code::BadItem));
    let server = server.crash_and_restart();
    let mut phone = server.login(7, 1);
    phone.put(&Frame::BookResume { version: 1 });
    phone.expect(&Got::Item(2, 200, b"a".to_vec(), b"2".to_vec()));
    phone.expect(&Got::Book { version: 2, head: 2, reset: false });
    phone.put(&Frame::BookResume { version: 9 });
    phone.expect(&Got::Book { version: 0, head: 2, reset: true });
}

#[test]
fn the_blocked_gets_its_ticks_and_nothing_else() {
    let server = Setup::development().start();
    for user in PEOPLE {
        let mut ann = server.login(user, 1);
        let mut bob = server.login(8, 1);
        set(&mut ann, item::PROFILE, &[0], b"Ann");
        ann.put(&Frame::Activity { is_here: true });
        set(&mut ann, item::BLOCK, &user_key(8), &[1]);
        bob.send(user, 1, b"lost");
        bob.expect(&sent(user, 1, 1));
        bob.put(&Frame::Typing { group: 0, user, is_typing: true });
        watch(&mut bob, user);
        bob.expect(&Got::Presence { user, is_online: false, last_seen_ms: 0 });
        bob.put(&Frame::ProfileLook { user, version: 0 });
        bob.expect(&Got::Profile(user, 0, Vec::new()));
        ann.put(&Frame::Ping);
        ann.expect(&Got::Pong { head: 0 });
        set(&mut ann, item::BLOCK, &user_key(8), &[]);
        assert!(matches!(bob.next(), Got::Presence { is_online: true, .. }));
        bob.expect(&Got::ProfileNews(user, 1));
        bob.send(user, 2, b"there");
        ann.expect(&deliver(1, 8, 2, b"there"));
    }
}

#[test]
fn privacy_and_profiles_reach_who_watches() {
    let setup = Setup::development().with(&["--presence-interval-seconds", "5"]);
    let server = setup.start();
    for user in PEOPLE {
        let mut ann = server.login(user, 1);
        let mut bob = server.login(8, 1);
        ann.put(&Frame::Activity { is_here: true });
        watch(&mut bob, user);
        while !matches!(bob.next(), Got::Presence { is_online: true, .. }) {}
        set(&mut ann, item::PRIVACY, &[privacy::ONLINE], &[audience::KNOWN]);
        assert!(matches!(bob.next(), Got::Presence { is_online: false, .. }));
        set(&mut ann, item::CONTACT, &user_key(8), b"Bob");
        assert!(matches!(bob.next(), Got::Presence { is_online: true, .. }));
        set(&mut ann, item::PROFILE, &[0], b"Ann");
        bob.expect(&Got::ProfileNews(user, 3));
        bob.put(&Frame::ProfileLook { user, version: 0 });
        bob.expect(&Got::Profile(user, 3, b"Ann".to_vec()));
    }
}

#[test]
fn who_is_in_a_group_with_a_user_is_among_those_whom_it_knows() {
    let server = Setup::development().with(&["--presence-interval-seconds", "5"]).start();
    for user in PEOPLE {
        let mut ann = server.login(user, 1);
        for what in [privacy::ONLINE, privacy::LAST_SEEN, privacy::READS, privacy::FOUND] {
            set(&mut ann, item::PRIVACY, &[what], &[audience::KNOWN]);
        }
        set(&mut ann, item::USERNAME, b"", format!("user.{user}").as_bytes());
        ann.put(&Frame::Activity { is_here: true });
        let reader = user + 100;
        let mut bob = server.login(reader, 1);
        bob.put(&Frame::GroupResume { cursors: Pairs::Slice(&[]) });
        watch(&mut bob, user);
        bob.expect(&Got::Presence { user, is_online: false, last_seen_ms: 0 });
        bob.send(user, 1, b"hello");
        bob.expect(&sent(user, 1, 1));
        ann.expect(&deliver(1, reader, 1, b"hello"));
        ann.put(&Frame::Ack { position: 1 });
        bob.expect(&Got::Receipt { peer: user, delivered: 1, read: 0, own: false });
        change(&mut ann, 0, 2, Action::Create, &[reader], b"birds");
        while !matches!(bob.next(), Got::Presence { is_online: true, .. }) {}
        ann.put(&Frame::Read { peer: reader, ordinal: 1 });
        let read = Got::Receipt { peer: user, delivered: 1, read: 1, own: false };
        while bob.next() != read {}
        let name = format!("user.{user}").into_bytes();
        bob.put(&Frame::Find { name: &name });
        while bob.next() != Got::Found(name.clone(), user) {}
    }
}

#[test]
fn a_username_is_one_users_and_is_found_in_its_time() {
    let server = Setup::development().start();
    for user in PEOPLE {
        let mut ann = server.login(user, 1);
        set(&mut ann, item::USERNAME, b"", format!("user.{user}").as_bytes());
        assert_eq!(put(&mut ann, item::USERNAME, b"", b"No"), Got::PutRejected(Code::BadName));
    }
    let mut bob = server.login(8, 1);
    let taken = put(&mut bob, item::USERNAME, b"", b"user.20");
    assert_eq!(taken, Got::PutRejected(Code::NameTaken));
    let server = server.crash_and_restart();
    let mut bob = server.login(8, 1);
    for (name, user) in [("user.20", 20), ("user.21", 21), ("user.99", 0), ("x", 0)] {
        // The clock of a core stands still within a turn, which may have begun well before a question came.
        // Then the answer is as much early, but not each time.
        let answers = (0..3).map(|_| {
            let begun = Instant::now();
            bob.put(&Frame::Find { name: name.as_bytes() });
            bob.expect(&Got::Found(name.as_bytes().to_vec(), user));
            begun.elapsed()
        });
        let longest = answers.max().expect("three of them");
        assert!(longest >= Duration::from_millis(99), "{longest:?}");
    }
}
