//! Back-pressure: readers that stop, senders that don't wait, inboxes that are full.

use fulmar_protocol::{Code, Frame};

use super::harness::{Client, Got, Setup, deliver};

/// Sends `count` messages of `body`, at most 64 without an answer; the codes of the rejected ones.
fn pump(client: &mut Client, peer: u64, count: u64, body: &[u8]) -> Vec<Code> {
    let (mut answered, mut rejected) = (0, Vec::new());
    for number in 1..=count {
        client.send(peer, number, body);
        while number - answered >= 64 || (number == count && answered < count) {
            match client.next() {
                Got::Sent { .. } => answered += 1,
                Got::Rejected { code, .. } => {
                    answered += 1;
                    rejected.push(code);
                }
                Got::Eof => panic!("the connection ended"),
                _ => {}
            }
        }
    }
    rejected
}

#[test]
fn a_reader_that_stops_reading_costs_its_window_and_loses_nothing() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    let mut bob = server.login(8, 1);
    let body = vec![b'x'; 4_000];
    pump(&mut ann, 9, 200, &body);
    let before = server.resident_bytes();
    // 24 MB for a device that takes nothing: far more than its window and the socket's buffers.
    pump(&mut ann, 8, 6_000, &body);
    let growth = server.resident_bytes().saturating_sub(before);
    // RocksDB's write buffers are most of it.
    assert!(growth < 80 << 20, "the server grew by {growth} bytes");
    for position in 1..=6_000 {
        assert_eq!(bob.delivery(), deliver(position, 7, position, &body));
        if position % 10 == 0 || position == 6_000 {
            bob.ack(position);
        }
    }
    bob.expect_nothing();
}

#[test]
fn no_more_is_sent_than_the_window_allows() {
    let server = Setup::development().with(&["--window-messages", "10"]).start();
    let mut bob = server.login(8, 1);
    let mut ann = server.login(7, 1);
    pump(&mut ann, 8, 30, b"x");
    for position in 1..=10 {
        assert_eq!(bob.delivery(), deliver(position, 7, position, b"x"));
    }
    bob.expect_nothing();
    bob.ack(4);
    for position in 11..=14 {
        assert_eq!(bob.delivery(), deliver(position, 7, position, b"x"));
    }
    bob.expect_nothing();
}

#[test]
fn a_sender_that_does_not_wait_is_slowed_and_loses_nothing() {
    let server = Setup::development().with(&["--sends-max", "16"]).start();
    let mut ann = server.login(7, 1);
    let mut bytes = Vec::new();
    for number in 1..=2_000 {
        let body = b"in one go";
        let send = fulmar_protocol::Send { peer: 8, number, content: 1, total_bytes: None, body };
        Frame::Send(send).encode(&mut bytes);
    }
    std::io::Write::write_all(&mut ann.stream, &bytes).expect("write");
    for number in 1..=2_000 {
        assert_eq!(ann.tick(), (number, number));
    }
}

#[test]
fn a_full_inbox_refuses_before_the_tick_and_opens_when_it_is_read() {
    let server = Setup::development().with(&["--quota-messages", "100"]).start();
    let mut ann = server.login(7, 1);
    let rejected = pump(&mut ann, 8, 120, b"x");
    assert_eq!(rejected, [Code::QuotaExceeded; 20]);
    let mut bob = server.login(8, 1);
    for position in 1..=100 {
        assert_eq!(bob.delivery(), deliver(position, 7, position, b"x"));
    }
    bob.ack(100);
    loop {
        if matches!(ann.next(), Got::Receipt { delivered: 100, .. }) {
            break;
        }
    }
    ann.send(8, 200, b"room again");
    assert_eq!(ann.tick(), (200, 101));
    assert_eq!(bob.delivery(), deliver(101, 7, 101, b"room again"));
}
