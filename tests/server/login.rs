//! Who may log in, and what the others are told.

use std::io::Read;

use fulmar_protocol::{Code, Frame, Hello, Pairs};

use super::harness::{Client, Got, Server, Setup, fulmar};

/// A server that wants tokens, and a way to make them.
fn signed() -> Server {
    let directory = tempfile::tempdir().expect("dir");
    let keys = directory.path().join("keys.toml");
    fulmar(&["key", "generate", "--keys", keys.to_str().expect("path")], directory.path());
    let keys = keys.to_str().expect("path").to_owned();
    Server::start(directory, vec!["--keys".into(), keys])
}

fn token(server: &Server, user: u64, device: u64, more: &[&str]) -> String {
    let keys = server.directory.path().join("keys.toml");
    let (user, device) = (user.to_string(), device.to_string());
    let mut args = vec!["token", "--keys", keys.to_str().expect("path")];
    args.extend(["--user", &user, "--device", &device]);
    args.extend(more);
    fulmar(&args, server.directory.path()).trim().to_owned()
}

fn answer(server: &Server, user: u64, device: u64, token: &[u8]) -> Got {
    let mut client = Client::connect(server.address);
    client.hello(user, device, token, 0);
    client.next()
}

#[test]
fn a_good_token_is_welcome_and_others_are_refused_with_the_reason() {
    let server = signed();
    let good = token(&server, 7, 1, &[]);
    assert!(matches!(answer(&server, 7, 1, good.as_bytes()), Got::Welcome { .. }));
    assert_eq!(answer(&server, 7, 1, b""), Got::Refuse(Code::TokenRequired));
    assert_eq!(answer(&server, 8, 1, good.as_bytes()), Got::Refuse(Code::TokenMismatch));
    assert_eq!(answer(&server, 7, 2, good.as_bytes()), Got::Refuse(Code::TokenMismatch));
    assert_eq!(answer(&server, 7, 1, b"not a token"), Got::Refuse(Code::TokenInvalid));
    let mut damaged = good.clone().into_bytes();
    let middle = damaged.len() / 2;
    damaged[middle] = if damaged[middle] == b'A' { b'B' } else { b'A' };
    assert_eq!(answer(&server, 7, 1, &damaged), Got::Refuse(Code::TokenInvalid));
}

/// Who issues tokens learns from the detail what is wrong with them.
#[test]
fn a_refused_token_is_told_what_is_wrong_with_it() {
    let server = signed();
    let good = token(&server, 7, 1, &[]);
    let mut forged = good.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    for (token, detail) in [
        (format!("{good}\n").into_bytes(), "a line break before or behind the token"),
        (good.as_bytes()[..good.len() / 2].to_vec(), "cut off"),
        (good.replace("v4.public", "v2.public").into_bytes(), "isn't a PASETO v4.public token"),
        (forged, "the token's signature doesn't match"),
    ] {
        let mut client = Client::connect(server.address);
        client.hello(7, 1, &token, 0);
        let mut told = Vec::new();
        client.stream.read_to_end(&mut told).expect("read");
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains(detail), "{detail}: {told}");
    }
}

#[test]
fn an_expired_token_is_refused_as_such() {
    let server = signed();
    let short = token(&server, 7, 1, &["--seconds", "1"]);
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert_eq!(answer(&server, 7, 1, short.as_bytes()), Got::Refuse(Code::TokenExpired));
}

#[test]
fn keys_are_rotated_without_a_restart() {
    let server = signed();
    let old = token(&server, 7, 1, &[]);
    let keys = server.directory.path().join("keys.toml");
    let keys = keys.to_str().expect("path");
    fulmar(&["key", "generate", "--keys", keys], server.directory.path());
    let new = token(&server, 7, 1, &[]);
    assert_eq!(answer(&server, 7, 1, new.as_bytes()), Got::Refuse(Code::TokenUnknownKey));
    server.signal("-HUP");
    let begun = std::time::Instant::now();
    while !matches!(answer(&server, 7, 1, new.as_bytes()), Got::Welcome { .. }) {
        assert!(begun.elapsed() < super::harness::PATIENCE, "the new key isn't known");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(matches!(answer(&server, 7, 1, old.as_bytes()), Got::Welcome { .. }));
}

#[test]
fn a_token_of_a_removed_key_opens_nothing_and_ends_nothing() {
    let server = signed();
    let old = token(&server, 7, 1, &[]);
    let mut session = Client::connect(server.address);
    session.hello(7, 1, old.as_bytes(), 0);
    session.welcome();
    let keys = server.directory.path().join("keys.toml");
    std::fs::remove_file(&keys).expect("remove");
    let keys = keys.to_str().expect("path");
    fulmar(&["key", "generate", "--keys", keys], server.directory.path());
    server.signal("-HUP");
    let begun = std::time::Instant::now();
    // Another device, so that the session isn't replaced while the old key still counts.
    while answer(&server, 7, 2, old.as_bytes()) != Got::Refuse(Code::TokenUnknownKey) {
        assert!(begun.elapsed() < super::harness::PATIENCE, "the old key is still known");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    session.send(8, 1, b"a session goes on");
    session.tick();
}

#[test]
fn the_same_device_twice_ends_the_older_session() {
    let server = Setup::development().start();
    let mut older = server.login(7, 1);
    let mut newer = server.login(7, 1);
    older.expect(&Got::Goodbye(Code::Replaced));
    older.expect(&Got::Eof);
    newer.send(8, 1, b"still here");
    newer.tick();
}

#[test]
fn hellos_that_cannot_be_are_refused() {
    let server = Setup::development().start();
    assert_eq!(answer(&server, 0, 1, b""), Got::Refuse(Code::BadIdentity));
    assert_eq!(answer(&server, 7, 0, b""), Got::Refuse(Code::BadIdentity));
    assert_eq!(answer(&server, 7, 65_536, b""), Got::Refuse(Code::BadIdentity));
    let mut client = Client::connect(server.address);
    client.put(&Frame::Hello(Hello {
        version_min: 2,
        version_max: 9,
        capabilities: 0,
        user: 7,
        device: 1,
        token: b"",
        agent: "from the future",
        cursors: Pairs::Slice(&[]),
    }));
    client.expect(&Got::Refuse(Code::UnsupportedVersion));
    client.expect(&Got::Eof);
}

#[test]
fn a_user_has_a_bounded_number_of_devices() {
    let server = Setup::development().with(&["--devices-max", "2"]).start();
    let _devices = (server.login(7, 1), server.login(7, 2));
    assert_eq!(answer(&server, 7, 3, b""), Got::Refuse(Code::TooManyDevices));
    assert!(matches!(answer(&server, 7, 2, b""), Got::Welcome { .. }));
}

#[test]
fn a_login_that_its_client_gave_up_replaces_nobody() {
    let server = Setup::development().start();
    drop(server.login(7, 1));
    for _ in 0..30 {
        // The server doesn't get to it for a while; its clients close, and come back.
        server.signal("-STOP");
        let mut given_up: Vec<Client> = (0..3).map(|_| Client::connect(server.address)).collect();
        for client in &mut given_up {
            client.hello(7, 1, b"", 0);
        }
        drop(given_up);
        let mut back = Client::connect(server.address);
        back.hello(7, 1, b"", 0);
        server.signal("-CONT");
        back.welcome();
        for _ in 0..3 {
            back.put(&Frame::Ping);
            back.expect(&Got::Pong { head: 0 });
        }
    }
}
