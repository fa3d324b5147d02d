//! What a frame costs beyond its body: length prefix, kind and fields, in bytes.

use fulmar_protocol::{Deliver, Frame, Pairs, Send};

const BODY: [u8; 100] = [0x61; 100];
/// User numbers below 2^35 take at most five bytes.
const USER: u64 = (1 << 35) - 1;
/// Milliseconds since the Unix epoch take six bytes until the year 2109.
const TIME_MS: u64 = (1 << 42) - 1;
const POSITION: u64 = (1 << 21) - 1;
const ORDINAL: u64 = (1 << 14) - 1;

fn encoded_bytes(frame: Frame<'_>) -> usize {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out.len()
}

fn send_overhead(number: u64) -> usize {
    let send = Send { peer: USER, number, content: 1, total_bytes: None, body: &BODY };
    encoded_bytes(Frame::Send(send)) - BODY.len()
}

#[test]
fn send_costs_at_most_16_bytes() {
    assert_eq!(send_overhead(ORDINAL), 10);
    // A number taken from the clock, as a fresh store does.
    assert_eq!(send_overhead(TIME_MS), 14);
    assert!(send_overhead(TIME_MS) <= 16);
}

#[test]
fn deliver_costs_at_most_20_bytes() {
    let overhead = |own| {
        let deliver = Deliver {
            position: POSITION,
            peer: USER,
            ordinal: ORDINAL,
            time_ms: TIME_MS,
            content: 1,
            own,
            total_bytes: None,
            body: &BODY,
        };
        encoded_bytes(Frame::Deliver(deliver)) - BODY.len()
    };
    assert_eq!(overhead(false), 19);
    assert_eq!(overhead(true), 19);
}

#[test]
fn acknowledgements_cost_at_most_4_bytes() {
    assert_eq!(encoded_bytes(Frame::Ack { position: 127 }), 3);
    assert_eq!(encoded_bytes(Frame::Ack { position: (1 << 14) - 1 }), 4);
    assert_eq!(encoded_bytes(Frame::Ack { position: POSITION }), 5);
}

#[test]
fn ping_costs_2_bytes() {
    assert_eq!(encoded_bytes(Frame::Ping), 2);
}

/// The table of the specification's overhead section.
#[test]
fn the_other_frames_cost_what_the_specification_says() {
    let sent = Frame::Sent { peer: USER, number: TIME_MS, ordinal: ORDINAL, time_ms: TIME_MS };
    assert_eq!(encoded_bytes(sent), 21);
    assert_eq!(encoded_bytes(Frame::Skip { position: POSITION }), 5);
    assert_eq!(encoded_bytes(Frame::Read { peer: USER, ordinal: ORDINAL }), 9);
    let receipt = Frame::Receipt { peer: USER, delivered: ORDINAL, read: ORDINAL, own: false };
    assert_eq!(encoded_bytes(receipt), 11);
    assert_eq!(encoded_bytes(Frame::Ask { peer: USER }), 7);
    assert_eq!(encoded_bytes(Frame::Pong { heads: Pairs::Slice(&[(0, POSITION)]) }), 7);
    assert_eq!(encoded_bytes(Frame::Part { body: &BODY }) - BODY.len(), 2);
}
