//! Starting, stopping, crashing.

use fulmar_protocol::{Code, Frame};

use super::harness::{Got, Server, Setup, command, deliver, sent};

#[test]
fn a_stop_tells_clients_stores_everything_and_ends_with_success() {
    let mut server = Setup::development().start();
    let mut ann = server.login(7, 1);
    ann.send(8, 1, b"before the stop");
    ann.expect(&sent(8, 1, 1));
    assert!(server.stop().success());
    ann.expect(&Got::Goodbye(Code::ShuttingDown));
    ann.expect(&Got::Eof);
    let server = server.restart_stopped();
    let mut bob = server.login(8, 1);
    bob.expect(&deliver(1, 7, 1, b"before the stop"));
}

#[test]
fn a_crash_keeps_messages_cursors_numbers_and_receipts() {
    let server = Setup::development().start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    for number in 1..=20 {
        ann.send(8, number, format!("{number}").as_bytes());
        assert_eq!(ann.tick(), (number, number));
    }
    for _ in 1..=10 {
        bob.delivery();
    }
    bob.ack(10);
    bob.put(&Frame::Read { peer: 7, ordinal: 5 });
    // Cursors wait for the receipts that follow from them, which are stored by their author's core.
    ann.let_it_be_stored();
    bob.let_it_be_stored();
    let server = server.crash_and_restart();
    let mut bob = server.login(8, 1);
    bob.expect(&Got::Skip(10));
    for position in 11..=20 {
        bob.expect(&deliver(position, 7, position, format!("{position}").as_bytes()));
    }
    let mut ann = server.login(7, 1);
    ann.send(8, 20, b"20");
    ann.expect(&Got::Sent { peer: 8, number: 20, ordinal: 20, is_repeat: true });
    ann.send(8, 21, b"21");
    ann.expect(&sent(8, 21, 21));
    bob.expect(&deliver(21, 7, 21, b"21"));
    ann.put(&Frame::Ask { peer: 8 });
    ann.expect(&Got::Receipt { peer: 8, delivered: 0, read: 0, own: true });
    ann.expect(&Got::Receipt { peer: 8, delivered: 10, read: 5, own: false });
}

#[test]
fn a_second_server_on_the_same_data_is_refused_with_the_reason() {
    let server = Setup::development().start();
    let output = command()
        .args(["serve", "--insecure-dev", "--listen", "127.0.0.1:0", "--control", "off"])
        .arg("--data-dir")
        .arg(server.directory.path().join("data"))
        .output()
        .expect("fulmar runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("another process") || text.contains("in use"), "{text}");
}

#[test]
fn what_is_stored_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("dir");
    let data = directory.path().join("data");
    // Made by somebody who didn't think of it.
    std::fs::create_dir(&data).expect("data directory");
    let everyone = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&data, everyone).expect("permissions");
    let server = Server::start(directory, vec!["--insecure-dev".into()]);
    let mut ann = server.login(7, 1);
    ann.send(8, 1, b"private");
    ann.tick();
    let mut open = vec![data];
    let mut files = 0;
    while let Some(path) = open.pop() {
        for entry in std::fs::read_dir(&path).expect("directory") {
            let entry = entry.expect("entry");
            let metadata = entry.metadata().expect("metadata");
            let mode = metadata.permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", entry.path().display());
            files += 1;
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    assert!(files > 3, "{files} files");
}

#[test]
fn a_wrong_configuration_names_the_key_and_the_range() {
    let output = command()
        .args(["serve", "--check", "--insecure-dev", "--sends-max", "0"])
        .output()
        .expect("fulmar runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("sends_max") || text.contains("sends-max"), "{text}");
}

#[test]
fn health_and_metrics_are_served() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    ann.send(8, 1, b"x");
    ann.tick();
    assert_eq!(server.http("/healthz").0, "HTTP/1.1 200 OK");
    assert_eq!(server.http("/readyz").0, "HTTP/1.1 200 OK");
    assert_eq!(server.http("/nothing").0, "HTTP/1.1 404 Not Found");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (status, metrics) = server.http("/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    for name in
        ["fulmar_connections", "fulmar_commit_duration_seconds_bucket", "fulmar_logins_total"]
    {
        assert!(metrics.contains(name), "{name} is missing");
    }
}
