//! People who talk: ticks, offline delivery, devices, large messages.

use fulmar_protocol::{Frame, limits};

use super::harness::{Got, Setup, deliver, sent};

fn receipt(peer: u64, delivered: u64, read: u64) -> Got {
    Got::Receipt { peer, delivered, read, own: false }
}

#[test]
fn two_people_chat_with_one_two_and_blue_ticks() {
    let server = Setup::development().start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    ann.send(8, 1, b"hello bob");
    ann.expect(&sent(8, 1, 1));
    bob.expect(&deliver(1, 7, 1, b"hello bob"));
    bob.ack(1);
    ann.expect(&receipt(8, 1, 0));
    bob.put(&Frame::Read { peer: 7, ordinal: 1 });
    ann.expect(&receipt(8, 1, 1));
    bob.send(7, 1, b"hello ann");
    bob.expect(&sent(7, 1, 1));
    ann.expect(&deliver(1, 8, 1, b"hello ann"));
}

#[test]
fn messages_wait_for_someone_who_is_offline_and_keep_their_order() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    for number in 1..=500 {
        ann.send(8, number, format!("message {number}").as_bytes());
        assert_eq!(ann.tick(), (number, number));
    }
    let mut bob = server.login(8, 1);
    for position in 1..=500 {
        let body = format!("message {position}");
        assert_eq!(bob.delivery(), deliver(position, 7, position, body.as_bytes()));
        bob.ack(position);
    }
    loop {
        if ann.next() == receipt(8, 500, 0) {
            break;
        }
    }
}

#[test]
fn what_is_not_acknowledged_comes_again_and_what_is_does_not() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    for number in 1..=3 {
        ann.send(8, number, b"x");
        ann.tick();
    }
    let mut bob = server.login(8, 1);
    for position in 1..=3 {
        assert_eq!(bob.delivery(), deliver(position, 7, position, b"x"));
    }
    bob.ack(2);
    assert_eq!(ann.next(), receipt(8, 2, 0));
    drop(bob);
    let mut bob = server.login(8, 1);
    // The hello said cursor 0; what was acknowledged is passed over.
    bob.expect(&Got::Skip(2));
    bob.expect(&deliver(3, 7, 3, b"x"));
    bob.expect_nothing();
}

#[test]
fn a_resend_is_answered_with_the_original_ordinal_and_delivered_once() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    for number in [10, 11, 15] {
        ann.send(8, number, b"x");
        ann.tick();
    }
    drop(ann);
    let mut ann = server.login(7, 1);
    for (number, ordinal) in [(10, 1), (11, 2), (15, 3)] {
        ann.send(8, number, b"x");
        ann.expect(&Got::Sent { peer: 8, number, ordinal, is_repeat: true });
    }
    let mut bob = server.login(8, 1);
    for ordinal in 1..=3 {
        bob.expect(&deliver(ordinal, 7, ordinal, b"x"));
    }
    bob.expect_nothing();
}

#[test]
fn every_device_gets_everything_and_own_messages_appear_on_the_others() {
    let server = Setup::development().start();
    let (mut phone, mut tablet) = (server.login(7, 1), server.login(7, 2));
    let mut bob = server.login(8, 1);
    phone.send(8, 1, b"from the phone");
    phone.expect(&sent(8, 1, 1));
    phone.expect(&Got::Skip(1));
    tablet.expect(&Got::Deliver {
        position: 1,
        peer: 8,
        ordinal: 1,
        own: true,
        body: b"from the phone".to_vec(),
    });
    tablet.ack(1);
    bob.expect(&deliver(1, 7, 1, b"from the phone"));
    bob.ack(1);
    assert_eq!(phone.next(), receipt(8, 1, 0));
    assert_eq!(tablet.next(), receipt(8, 1, 0));
    bob.send(7, 1, b"to both");
    phone.expect(&deliver(2, 8, 1, b"to both"));
    tablet.expect(&deliver(2, 8, 1, b"to both"));
    phone.put(&Frame::Read { peer: 8, ordinal: 1 });
    tablet.expect(&Got::Receipt { peer: 8, delivered: 1, read: 1, own: true });
}

#[test]
fn a_message_of_a_hundred_thousand_characters_arrives_whole() {
    let server = Setup::development().start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    // Four bytes a character, the longest that UTF-8 has.
    let body = "🐦".repeat(100_000);
    assert_eq!(body.len(), 400_000);
    ann.send(8, 1, body.as_bytes());
    ann.send(8, 2, b"small, behind it");
    assert_eq!(ann.tick(), (1, 1));
    assert_eq!(ann.tick(), (2, 2));
    assert_eq!(bob.delivery(), deliver(1, 7, 1, body.as_bytes()));
    // Alone it is more than the window of bytes, so the next waits for its acknowledgement.
    bob.expect_nothing();
    // And from storage, after an absence.
    drop(bob);
    let mut bob = server.login(8, 1);
    assert_eq!(bob.delivery(), deliver(1, 7, 1, body.as_bytes()));
    bob.ack(1);
    assert_eq!(bob.delivery(), deliver(2, 7, 2, b"small, behind it"));
}

#[test]
fn a_body_over_the_limit_is_rejected_and_the_connection_goes_on() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    ann.send(8, 1, &vec![0; limits::BODY_BYTES_MAX + 1]);
    let code = fulmar_protocol::Code::BodyTooLarge;
    ann.expect(&Got::Rejected { peer: 8, number: 1, code });
    ann.send(8, 2, &vec![0; limits::BODY_BYTES_MAX]);
    ann.expect(&sent(8, 2, 1));
}

#[test]
fn receipts_are_told_on_request_after_an_absence() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    ann.send(8, 1, b"x");
    ann.tick();
    drop(ann);
    let mut bob = server.login(8, 1);
    assert_eq!(bob.delivery(), deliver(1, 7, 1, b"x"));
    bob.ack(1);
    bob.put(&Frame::Read { peer: 7, ordinal: 1 });
    bob.put(&Frame::Ping);
    bob.expect(&Got::Pong { head: 1 });
    let mut ann = server.login(7, 1);
    ann.put(&Frame::Ask { peer: 8 });
    ann.expect(&Got::Receipt { peer: 8, delivered: 0, read: 0, own: true });
    ann.expect(&receipt(8, 1, 1));
}

#[test]
fn someone_can_write_to_themselves() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    ann.send(7, 1, b"note");
    assert_eq!(ann.tick(), (1, 1));
    assert_eq!(ann.delivery(), deliver(1, 7, 1, b"note"));
}
