//! Messages that refer to others, over real sockets: what is taken, and what is refused before its tick.

use fulmar_protocol::content::{Content, Target};
use fulmar_protocol::history::History;
use fulmar_protocol::{Code, Frame, Send};

use super::harness::{Client, Got, Setup};

fn refer(client: &mut Client, peer: u64, number: u64, content: &Content<'_>) {
    let mut body = Vec::new();
    content.encode(&mut body);
    let (content, total_bytes, body) = (content.number(), None, &body[..]);
    client.put(&Frame::Send(Send { peer, number, content, total_bytes, body }));
}

/// The answer to a send; skips everything else.
fn answer(client: &mut Client) -> Result<u64, Code> {
    loop {
        match client.next() {
            Got::Sent { ordinal, .. } => return Ok(ordinal),
            Got::Rejected { code, .. } => return Err(code),
            Got::Eof => panic!("no answer"),
            _ => {}
        }
    }
}

const fn edit(target: u64) -> Content<'static> {
    Content::Edit { target, body: b"as it should be" }
}

#[test]
fn edits_and_reactions_are_judged_before_their_tick() {
    let server = Setup::development().with(&["--edit-max-age-seconds", "1"]).start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    ann.send(8, 1, b"as it is");
    assert_eq!(answer(&mut ann), Ok(1));
    refer(&mut ann, 8, 2, &edit(1));
    assert_eq!(answer(&mut ann), Ok(2));
    refer(&mut ann, 8, 3, &edit(9));
    assert_eq!(answer(&mut ann), Err(Code::NoSuchMessage));
    let react = |place| Content::Reaction { target: Target { of_peer: true, place }, body: b"+1" };
    refer(&mut bob, 7, 1, &react(2));
    assert_eq!(answer(&mut bob), Ok(1));
    refer(&mut bob, 7, 2, &react(3));
    assert_eq!(answer(&mut bob), Err(Code::NoSuchMessage));
    refer(&mut bob, 7, 3, &Content::Timer { seconds: u64::MAX });
    assert_eq!(answer(&mut bob), Err(Code::BadContent));
    // At one and a half times the age it is certainly refused, after a crash too.
    let server = server.crash_and_restart();
    std::thread::sleep(std::time::Duration::from_millis(1_600));
    let mut ann = server.login(7, 1);
    refer(&mut ann, 8, 4, &edit(1));
    assert_eq!(answer(&mut ann), Err(Code::TooOld));
    // What was taken once is taken for ever.
    refer(&mut ann, 8, 2, &edit(1));
    assert_eq!(answer(&mut ann), Ok(2));
}

/// One second, over a crash of the server, and for a device that comes too late.
#[test]
fn a_message_of_one_second_is_not_delivered_later() {
    let server = Setup::development().with(&["--retention", "history"]).start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    let secret = Content::Disappearing { seconds: 1, content: 1, body: b"psst" };
    refer(&mut ann, 8, 1, &secret);
    assert_eq!(answer(&mut ann), Ok(1));
    let Got::Deliver { position: 1, .. } = bob.delivery() else { panic!("it is in time") };
    drop(bob);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let mut bob = server.login(8, 1);
    bob.expect(&Got::Skip(1));
    let server = server.crash_and_restart();
    let mut bob = server.login(8, 1);
    let (group, from, through, limit, newest_first) = (0, 1, 9, 9, true);
    bob.put(&Frame::History(History { group, from, through, limit, newest_first }));
    loop {
        match bob.next() {
            Got::HistoryEnd { has_more: false, .. } => break,
            Got::Skip(1) => {}
            other => panic!("nothing is left: {other:?}"),
        }
    }
    let mut ann = server.login(7, 1);
    ann.send(8, 2, b"next");
    assert_eq!(answer(&mut ann), Ok(2));
    let Got::Deliver { position: 2, .. } = bob.delivery() else { panic!("the next position") };
}
