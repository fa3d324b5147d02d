//! Large bodies on their way from a client, in parts.

use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Frame, Send};

use super::world::{World, send};
use crate::limits::{UPLOAD_BYTES_MAX, UPLOAD_STALL_MS};

/// The first frame of a message of `total_bytes`.
fn begin(peer: u64, number: u64, total_bytes: u64, body: &[u8]) -> Frame<'_> {
    Frame::Send(Send { peer, number, content: 1, total_bytes: Some(total_bytes), body })
}

#[test]
fn other_frames_may_stand_between_the_parts() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    let piece = [7; 1_000];
    world.frame(ann, &begin(2, 1, 2_000, &piece));
    world.send(ann, 3, 1, "meanwhile");
    world.frame(ann, &Frame::Ping);
    world.expect(ann, &["sent 3 n1 #1", "pong 0"]);
    world.frame(ann, &Frame::Part { body: &piece });
    world.expect(ann, &["sent 2 n1 #1"]);
    world.expect(bob, &["deliver @1 1#1 2000 bytes"]);
}

#[test]
fn a_body_that_breaks_off_was_never_sent() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let bob = world.log_in(2, 1);
    world.frame(ann, &begin(2, 1, 2_000, &[7; 1_000]));
    world.hang_up(ann);
    assert_eq!(world.shard().upload_bytes, 0);
    let ann = world.log_in(1, 1);
    world.send_large(ann, 2, 1, &vec![8; 50_000]);
    world.expect(ann, &["sent 2 n1 #1"]);
    world.expect(bob, &["deliver @1 1#1 50000 bytes"]);
}

#[test]
fn parts_must_fit_what_was_announced() {
    let cases: [&[Frame<'_>]; 4] = [
        &[Frame::Part { body: b"x" }],
        &[begin(2, 1, 20_000, b"x"), begin(3, 1, 20_000, b"x")],
        &[begin(2, 1, 20_000, &[7; 15_000]), Frame::Part { body: &[7; 5_001] }],
        &[send(2, 1, "x"), Frame::Part { body: b"x" }],
    ];
    for frames in cases {
        let mut world = World::new();
        let ann = world.log_in(1, 1);
        world.frames(ann, frames);
        let last = world.told(ann).pop();
        assert_eq!(last.as_deref(), Some("goodbye unexpected_part"), "{frames:?}");
        assert_eq!(world.shard().upload_bytes, 0);
    }
}

#[test]
fn a_body_that_is_too_large_is_rejected_and_its_parts_are_ignored() {
    let mut world = World::with(|config| config.body_bytes_max = 20_000);
    let ann = world.log_in(1, 1);
    world.send_large(ann, 2, 1, &vec![7; 20_001]);
    world.expect(ann, &["rejected 2 n1 body_too_large"]);
    world.send_large(ann, 0, 1, &vec![7; 20_000]);
    world.expect(ann, &["rejected 0 n1 bad_peer"]);
    world.send_large(ann, 2, 2, &vec![7; 20_000]);
    world.expect(ann, &["sent 2 n2 #1"]);
    assert_eq!(world.shard().upload_bytes, 0);
}

#[test]
fn a_body_that_is_begun_must_be_continued_in_time() {
    for body_bytes_max in [10, 100_000] {
        let mut world = World::with(|config| config.body_bytes_max = body_bytes_max);
        let ann = world.log_in(1, 1);
        world.frame(ann, &begin(2, 1, 50_000, &[7; 1_000]));
        world.told(ann);
        world.pass(UPLOAD_STALL_MS - 1_000);
        world.frame(ann, &Frame::Part { body: &[7; 1_000] });
        world.pass(UPLOAD_STALL_MS - 1_000);
        world.expect(ann, &[]);
        // A ping says that the client lives, not that the body goes on.
        world.frame(ann, &Frame::Ping);
        world.pass(2_000);
        world.expect(ann, &["pong 0", "goodbye frame_timeout"]);
        assert_eq!(world.shard().upload_bytes, 0);
    }
}

#[test]
fn a_body_does_not_stall_while_its_client_is_not_read() {
    // Timers look at a connection about once in a minute, also shortly after it is read again.
    for unread_s in (35..100).step_by(5) {
        let mut world = World::with(|config| config.sends_max = 1);
        let ann = world.log_in(1, 1);
        world.holds_stores = true;
        world.frames(ann, &[begin(2, 1, 2_000, &[7; 1_000]), send(3, 1, "x")]);
        assert!(world.clients[ann].is_paused);
        world.pass(unread_s * 1_000);
        world.store();
        world.holds_stores = false;
        world.expect(ann, &["sent 3 n1 #1"]);
        world.pass(6_000);
        world.frame(ann, &Frame::Part { body: &[7; 1_000] });
        world.expect(ann, &["sent 2 n1 #1"]);
    }
}

#[test]
fn bodies_that_arrive_share_a_budget() {
    let mut world = World::new();
    let piece = vec![7; PART_BYTES_MAX];
    let total_bytes = world.config.body_bytes_max;
    let pieces = total_bytes as usize / piece.len();
    let clients = UPLOAD_BYTES_MAX.div_ceil(pieces * piece.len()) as u64;
    let uploading: Vec<_> = (1..=clients).map(|user| world.log_in(user, 1)).collect();
    for (nth, &c) in uploading.iter().enumerate() {
        world.frame(c, &begin(nth as u64 + 1, 1, total_bytes, &piece));
        for _ in 1..pieces {
            world.frame(c, &Frame::Part { body: &piece });
        }
    }
    // The first one held its part of it for longest.
    world.expect(uploading[0], &["goodbye overloaded"]);
    assert!(world.shard().upload_bytes <= UPLOAD_BYTES_MAX);
    // Who sends at once what it began isn't held up by those who don't.
    let quick = world.log_in(1_000, 1);
    world.send_large(quick, 1_000_000, 1, &vec![7; total_bytes as usize]);
    world.expect(quick, &["sent 1000000 n1 #1"]);
    world.expect(uploading[1], &["goodbye overloaded"]);
    for &c in &uploading[2..] {
        world.expect(c, &[]);
        world.hang_up(c);
    }
    assert_eq!(world.shard().upload_bytes, 0);
    assert!(world.shard().uploads.is_empty());
}
