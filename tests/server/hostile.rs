//! Clients that break the rules: each is told what was wrong, and nobody else notices.

use std::io::Write;
use std::time::{Duration, Instant};

use fulmar_protocol::{Code, Frame, Goodbye, Send};

use super::harness::{Client, Got, Server, Setup, sent};

fn assert_unharmed(server: &Server) {
    let mut ann = server.login(7_001, 1);
    ann.send(7_002, 1, b"still working");
    ann.tick();
}

#[test]
fn garbage_is_closed_with_a_reason() {
    let server = Setup::development().start();
    let cases: [(&[u8], Code); 6] = [
        (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", Code::FrameTooLarge),
        (b"\x00", Code::MalformedFrame),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Code::MalformedFrame),
        (b"\xff\xff\x7f", Code::FrameTooLarge),
        (b"\x05\x01XXXX", Code::NotFulmar),
        (b"\x02\x00\x00", Code::UnknownKind),
    ];
    for (bytes, code) in cases {
        let mut client = Client::connect(server.address);
        client.stream.write_all(bytes).expect("write");
        match client.next() {
            Got::Refuse(got) => {
                // "GET " reads as a frame of 71 bytes whose kind has unknown flags.
                let is_http = bytes.starts_with(b"GET");
                assert!(got == code || is_http, "{bytes:?}: {got}");
            }
            other => panic!("{bytes:?}: {other:?}"),
        }
        client.expect(&Got::Eof);
    }
    assert_unharmed(&server);
}

#[test]
fn a_frame_before_the_hello_or_the_welcome_is_unexpected() {
    let server = Setup::development().start();
    let mut client = Client::connect(server.address);
    client.put(&Frame::Ping);
    client.expect(&Got::Refuse(Code::UnexpectedFrame));
    client.expect(&Got::Eof);
    let mut client = server.login(7, 1);
    client.put(&Frame::Skip { position: 1 });
    client.expect(&Got::Goodbye(Code::UnexpectedFrame));
    client.expect(&Got::Eof);
}

#[test]
fn silence_and_slow_frames_run_into_their_timeouts() {
    let server = Setup::development()
        .with(&["--hello-timeout-ms", "2000", "--frame-timeout-ms", "2000"])
        .start();
    let mut silent = Client::connect(server.address);
    let mut slow = Client::connect(server.address);
    slow.stream.write_all(b"\x20\x01FL").expect("write");
    let mut half = server.login(7, 1);
    half.stream.write_all(b"\x20\x04\x08").expect("write");
    let begun = Instant::now();
    silent.expect(&Got::Refuse(Code::HelloTimeout));
    slow.expect(&Got::Refuse(Code::HelloTimeout));
    half.expect(&Got::Goodbye(Code::FrameTimeout));
    assert!(begun.elapsed() > Duration::from_secs(1), "closed too early");
    half.expect(&Got::Eof);
    assert_unharmed(&server);
}

#[test]
fn an_acknowledgement_of_what_was_not_delivered_ends_the_session() {
    let server = Setup::development().start();
    let mut client = server.login(7, 1);
    client.ack(1);
    client.expect(&Got::Goodbye(Code::CursorAhead));
}

#[test]
fn a_client_that_uses_its_whole_window_at_once_is_served() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    let body = vec![b'x'; fulmar_protocol::limits::PART_BYTES_MAX];
    let mut bytes = Vec::new();
    for number in 1..=128 {
        let send = Send { peer: 8, number, content: 0, total_bytes: None, body: &body };
        Frame::Send(send).encode(&mut bytes);
    }
    ann.stream.write_all(&bytes).expect("write");
    for number in 1..=128 {
        ann.expect(&sent(8, number, number));
    }
    // Large ones, too: more than the server holds for one client at once.
    let body = vec![b'x'; fulmar_protocol::limits::BODY_BYTES_MAX];
    for number in 1..=20 {
        ann.send(9, number, &body);
    }
    for number in 1..=20 {
        ann.expect(&sent(9, number, number));
    }
}

#[test]
fn numbers_at_their_limits_do_no_harm() {
    let server = Setup::development().start();
    let most = u64::MAX;
    let mut client = Client::connect(server.address);
    client.hello(most, 65_535, b"", most);
    client.welcome();
    client.put(&Frame::Read { peer: most, ordinal: most });
    client.put(&Frame::Ask { peer: most });
    client.expect(&Got::Receipt { peer: most, delivered: 0, read: 0, own: true });
    client.expect(&Got::Receipt { peer: most, delivered: 0, read: 0, own: false });
    client.send(most - 1, most, b"the last number");
    client.expect(&sent(most - 1, most, 1));
    client.send(most - 1, most, b"again");
    client.expect(&Got::Sent { peer: most - 1, number: most, ordinal: 1, is_repeat: true });
    client.send(most - 1, 1, b"an older number");
    client.expect(&Got::Rejected { peer: most - 1, number: 1, code: Code::StaleNumber });
    let total_bytes = Some(most);
    client.put(&Frame::Send(Send { peer: 8, number: 1, content: 0, total_bytes, body: b"x" }));
    client.expect(&Got::Rejected { peer: 8, number: 1, code: Code::BodyTooLarge });
    client.ack(most);
    client.expect(&Got::Goodbye(Code::CursorAhead));
    assert_unharmed(&server);
}

#[test]
fn a_device_that_logs_in_again_and_again_has_one_session() {
    let server = Setup::development().start();
    let mut clients: Vec<Client> = (0..50).map(|_| server.login(7, 1)).collect();
    let mut last = clients.pop().expect("the last one");
    for mut older in clients {
        older.expect(&Got::Goodbye(Code::Replaced));
        older.expect(&Got::Eof);
    }
    last.send(8, 1, b"still here");
    last.tick();
}

#[test]
fn parts_that_do_not_fit_end_the_session() {
    let server = Setup::development().start();
    let mut client = server.login(7, 1);
    client.put(&Frame::Part { body: b"from nowhere" });
    client.expect(&Got::Goodbye(Code::UnexpectedPart));
    let mut client = server.login(7, 1);
    let send = Send { peer: 8, number: 1, content: 0, total_bytes: Some(20), body: b"0123456789" };
    client.put(&Frame::Send(send));
    client.put(&Frame::Part { body: b"0123456789x" });
    client.expect(&Got::Goodbye(Code::UnexpectedPart));
    // Nothing of it was taken.
    let mut client = server.login(7, 1);
    client.send(8, 2, b"next");
    client.expect(&sent(8, 2, 1));
}

#[test]
fn unknown_frames_that_may_be_skipped_are() {
    let server = Setup::development().start();
    let mut client = server.login(7, 1);
    client.stream.write_all(b"\x04\x3f???").expect("write");
    client.put(&Frame::Ping);
    client.expect(&Got::Pong { head: 0 });
    let goodbye = Goodbye { code: Code::None, retry_after_ms: 0, address: "", detail: "" };
    client.put(&Frame::Goodbye(goodbye));
    client.expect(&Got::Eof);
}

#[test]
fn half_a_connection_storm_leaves_nothing_behind() {
    let server = Setup::development().start();
    for round in 0..300u64 {
        let mut client = Client::connect(server.address);
        match round % 3 {
            0 => {}
            1 => client.hello(9_000 + round, 1, b"", 0),
            _ => client.stream.write_all(b"\x7f\x01FLMR").expect("write"),
        }
    }
    let begun = Instant::now();
    loop {
        let (_, metrics) = server.http("/metrics");
        let open: f64 = metrics
            .lines()
            .filter(|line| {
                line.starts_with("fulmar_connections{") || line.starts_with("fulmar_connections ")
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        if open == 0.0 {
            break;
        }
        assert!(begun.elapsed() < super::harness::PATIENCE, "{open} connections are left");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_unharmed(&server);
}

#[test]
fn connections_over_the_limit_are_told_so() {
    // One for each of the two cores.
    let server = Setup::development().with(&["--connections-max", "2"]).start();
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(server.address)).collect();
    let (begun, mut refused) = (Instant::now(), 0);
    while refused < 6 {
        assert!(begun.elapsed() < super::harness::PATIENCE, "{refused} are refused");
        clients.retain_mut(|client| match client.refusal() {
            Some(code) => {
                assert_eq!(code, Code::TooManyConnections);
                refused += 1;
                false
            }
            None => true,
        });
    }
    let line = format!("fulmar_refused_total{{code=\"too_many_connections\"}} {refused}");
    while !server.http("/metrics").1.lines().any(|found| found == line) {
        assert!(begun.elapsed() < super::harness::PATIENCE, "{line} is missing");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_login_whose_home_core_is_full_is_told_so() {
    // One connection for each of the two cores, and both devices of a user have the same home.
    let server = Setup::development().with(&["--connections-max", "2"]).start();
    let _phone = server.login(7, 1);
    for _ in 0..10 {
        let mut tablet = Client::connect(server.address);
        tablet.hello(7, 2, b"", 0);
        tablet.expect(&Got::Refuse(Code::TooManyConnections));
        tablet.expect(&Got::Eof);
    }
}
