//! Decoding allocates nothing, whatever the bytes say; encoding allocates nothing into a buffer
//! with room. Its own program, because the counter replaces the allocator of the whole program.

use fulmar_protocol::group::{Action, CONTENT_CHANGE, Change, GroupDeliver, GroupState};
use fulmar_protocol::{Deliver, Frame, Frames, Hello, Numbers, Pairs, Send, limits};

fn stream() -> Vec<u8> {
    let mut stream = Vec::with_capacity(64 * 1024);
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        capabilities: 0,
        user: 7,
        device: 1,
        token: &[b't'; limits::TOKEN_BYTES_MAX],
        agent: "fulmar-chat/0.1.0",
        cursors: Pairs::Slice(&[(0, 41), (9, 12)]),
    };
    Frame::Hello(hello).encode(&mut stream);
    for number in 1..=100 {
        let body = &[b'x'; 100];
        let send = Send { peer: 8, number, content: 1, total_bytes: None, body };
        Frame::Send(send).encode(&mut stream);
        let deliver = Deliver {
            position: number,
            peer: 8,
            ordinal: number,
            time_ms: 1_790_000_000_000,
            content: 1,
            own: false,
            total_bytes: None,
            body,
        };
        Frame::Deliver(deliver).encode(&mut stream);
        Frame::Ack { position: number }.encode(&mut stream);
    }
    let users = Numbers::Slice(&[8, 9]);
    let change = Change { action: Action::Add, users, value: &[] };
    let mut body = Vec::new();
    change.encode(&mut body);
    let deliver = GroupDeliver {
        group: 300,
        position: 1,
        author: 7,
        time_ms: 1_790_000_000_000,
        content: CONTENT_CHANGE,
        own: false,
        total_bytes: None,
        body: &body,
    };
    Frame::GroupDeliver(deliver).encode(&mut stream);
    let state = GroupState {
        group: 300,
        head: 1,
        members: 3,
        shows_history: false,
        name: b"family",
        info: &[b'i'; limits::GROUP_VALUE_BYTES_MAX],
        roles: Pairs::Slice(&[(7, 3), (8, 1), (9, 1)]),
    };
    Frame::GroupState(state).encode(&mut stream);
    Frame::GroupChange { group: 300, number: 1, change }.encode(&mut stream);
    Frame::Watch { users }.encode(&mut stream);
    // Announces 65,535 logs and a text of 2^63 bytes, and holds neither.
    stream.extend([4, 0x0f, 0xff, 0xff, 0x03]);
    stream.extend([14, 0x03, 0xc8, 0x01, 0]);
    stream.extend([0x80; 9]);
    stream.push(0x01);
    stream
}

#[test]
fn decoding_allocates_nothing() {
    let stream = stream();
    let mut decoded = 0;
    let mut refused = 0;
    let counted = allocation_counter::measure(|| {
        for frame in Frames::new(&stream, limits::FRAME_BYTES_MAX) {
            match frame.map(Frame::decode) {
                Ok(Ok(Frame::Hello(hello))) => decoded += hello.cursors.iter().count(),
                Ok(Ok(Frame::GroupDeliver(deliver))) => {
                    let change = Change::decode(deliver.body).expect("a change");
                    decoded += change.users.iter().count();
                }
                Ok(Ok(Frame::Watch { users })) => decoded += users.iter().count(),
                Ok(Ok(Frame::GroupState(state))) => decoded += state.roles.iter().count(),
                Ok(Ok(_)) => decoded += 1,
                _ => refused += 1,
            }
        }
    });
    assert_eq!((decoded, refused), (310, 2));
    assert_eq!(counted.count_total, 0);
}

#[test]
fn encoding_into_a_buffer_with_room_allocates_nothing() {
    let source = stream();
    let mut out = Vec::with_capacity(source.len() + 64);
    let counted = allocation_counter::measure(|| {
        for frame in Frames::new(&source, limits::FRAME_BYTES_MAX).flatten() {
            if let Ok(frame) = Frame::decode(frame) {
                frame.encode(&mut out);
            }
        }
    });
    assert!(source.starts_with(&out) && out.len() > 20_000);
    assert_eq!(counted.count_total, 0);
}
