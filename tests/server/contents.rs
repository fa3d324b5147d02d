//! Messages that refer to others, over real sockets: what is taken, and what is refused before its tick.

use std::thread;
use std::time::{Duration, Instant};

use fulmar_protocol::content::{Content, Target};
use fulmar_protocol::group::{Action, GroupSend};
use fulmar_protocol::history::History;
use fulmar_protocol::{Code, Frame, Numbers, Send};

use super::groups;
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

/// Waits until so much time has passed since then.
fn wait_until(begun: Instant, passed: Duration) {
    thread::sleep(passed.saturating_sub(begun.elapsed()));
}

const fn edit(target: u64) -> Content<'static> {
    Content::Edit { target, body: b"as it should be" }
}

#[test]
fn edits_and_reactions_are_judged_before_their_tick() {
    let server = Setup::development().with(&["--edit-max-age-seconds", "4"]).start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    ann.send(8, 1, b"as it is");
    assert_eq!(answer(&mut ann), Ok(1));
    let taken = Instant::now();
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
    wait_until(taken, Duration::from_millis(6_100));
    let mut ann = server.login(7, 1);
    refer(&mut ann, 8, 4, &edit(1));
    assert_eq!(answer(&mut ann), Err(Code::TooOld));
    // What was taken once is taken for ever.
    refer(&mut ann, 8, 2, &edit(1));
    assert_eq!(answer(&mut ann), Ok(2));
}

/// Lives long enough that it is delivered in time by a server whose disk stands still for a moment.
const SECRET: Content<'static> = Content::Disappearing { seconds: 5, content: 1, body: b"psst" };
/// When it certainly is over.
const SECRET_OVER: Duration = Duration::from_millis(5_100);

/// Over a crash of the server, and for a device that comes too late.
#[test]
fn a_message_whose_time_is_over_is_not_delivered_later() {
    let server = Setup::development().with(&["--retention", "history"]).start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    refer(&mut ann, 8, 1, &SECRET);
    assert_eq!(answer(&mut ann), Ok(1));
    let taken = Instant::now();
    let Got::Deliver { position: 1, .. } = bob.delivery() else { panic!("it is in time") };
    drop(bob);
    wait_until(taken, SECRET_OVER);
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

fn refer_in_group(client: &mut Client, group: u64, number: u64, content: &Content<'_>) {
    let mut body = Vec::new();
    content.encode(&mut body);
    let (content, total_bytes, body) = (content.number(), None, &body[..]);
    client.put(&Frame::GroupSend(GroupSend { group, number, content, total_bytes, body }));
}

/// What follows in a group is in each content that refers to something, or says what becomes of messages.
#[test]
fn every_content_comes_to_all_members_of_a_group_as_it_was_sent() {
    let server = Setup::development().start();
    let (group, mut ann, mut clients) = groups::group_of(&server, &[20, 21]);
    let contents = [
        Content::Plain { content: 1, body: b"as it is" },
        edit(2),
        Content::Reaction { target: Target { of_peer: false, place: 2 }, body: b"+1" },
        Content::Mention { users: Numbers::Slice(&[21]), content: 1, body: b"look, 21" },
        Content::Timer { seconds: 3_600 },
        Content::Disappearing { seconds: 3_600, content: 1, body: b"psst" },
        Content::Delete { target: 2 },
    ];
    for (number, content) in (1..).zip(&contents) {
        refer_in_group(&mut ann, group, number, content);
        groups::words(&mut ann, &format!("sent {number} at {}", number + 1));
    }
    for client in &mut clients {
        for (position, content) in (2..).zip(&contents) {
            let mut expected = Vec::new();
            content.encode(&mut expected);
            assert_eq!(groups::entry(client), (position, 7, content.number(), expected));
            groups::ack(client, group, position);
        }
    }
}

#[test]
fn what_a_member_may_not_say_of_anothers_message_is_refused_before_its_tick() {
    let server = Setup::development().start();
    let (group, mut ann, mut clients) = groups::group_of(&server, &[20, 21]);
    let bob = &mut clients[0];
    refer_in_group(&mut ann, group, 1, &Content::Plain { content: 1, body: b"as it is" });
    groups::words(&mut ann, "sent 1 at 2");
    let react = |place| Content::Reaction { target: Target { of_peer: false, place }, body: b"+1" };
    let refused = [
        (edit(2), "not_yours"),
        (Content::Delete { target: 2 }, "not_yours"),
        (edit(9), "no_such_message"),
        // The change that made the group, and one that isn't there.
        (react(1), "no_such_message"),
        (react(9), "no_such_message"),
        (Content::Disappearing { seconds: 0, content: 1, body: b"never" }, "bad_content"),
    ];
    for (number, (content, code)) in (1..).zip(&refused) {
        refer_in_group(bob, group, number, content);
        assert_eq!(groups::rejection(bob), format!("rejected {number} {code}"));
    }
    // An admin deletes anybody's message.
    groups::change(&mut ann, group, 2, Action::Promote, &[20], b"");
    groups::words(&mut ann, "sent 2 at 3");
    refer_in_group(bob, group, 7, &Content::Delete { target: 2 });
    groups::words(bob, "sent 7 at 4");
}

/// For who is away, and for the group's log.
#[test]
fn a_message_whose_time_is_over_is_not_delivered_later_in_a_group_either() {
    let server = Setup::development().with(&["--retention", "history"]).start();
    let (group, mut ann, mut clients) = groups::group_of(&server, &[20, 21]);
    drop(clients.remove(0));
    refer_in_group(&mut ann, group, 1, &SECRET);
    groups::words(&mut ann, "sent 1 at 2");
    let taken = Instant::now();
    assert_eq!(groups::entry(&mut clients[0]).0, 2);
    wait_until(taken, SECRET_OVER);
    refer_in_group(&mut ann, group, 2, &Content::Plain { content: 1, body: b"next" });
    let mut bob = server.login(20, 1);
    groups::resume(&mut bob, &[(group, 1)]);
    groups::words(&mut bob, "skip 2");
    assert_eq!(groups::entry(&mut bob), (3, 7, 1, b"next".to_vec()));
    let (from, through, limit, newest_first) = (2, 2, 9, false);
    bob.put(&Frame::History(History { group, from, through, limit, newest_first }));
    loop {
        match bob.next() {
            Got::HistoryEnd { has_more: false, .. } => break,
            Got::Group(_) => {}
            other => panic!("nothing is left: {other:?}"),
        }
    }
}
