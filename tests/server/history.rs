//! Pages of what a server keeps, over real sockets: a new device fills its store.

use fulmar_protocol::Frame;
use fulmar_protocol::group::Action;
use fulmar_protocol::history::History;

use super::groups::{change, group_of, say, words};
use super::harness::{Client, Got, Setup};

/// Pages backwards from `through` until nothing is left; what came, and in how many pages.
fn fill(
    client: &mut Client,
    group: u64,
    mut through: u64,
    limit: u64,
) -> (Vec<(u64, bool, usize)>, usize) {
    let (mut got, mut pages) = (Vec::new(), 0);
    loop {
        let (from, newest_first) = (1, true);
        client.put(&Frame::History(History { group, from, through, limit, newest_first }));
        loop {
            match client.next() {
                Got::Past { position, own, body } => got.push((position, own, body.len())),
                Got::HistoryEnd { from, has_more } => {
                    pages += 1;
                    if !has_more {
                        assert_eq!(from, 1);
                        return (got, pages);
                    }
                    through = from - 1;
                    break;
                }
                Got::Skip(_) => {}
                // Being added is in the inbox.
                Got::Group(words) if words.starts_with("notice") => {}
                Got::Deliver { position, .. } => panic!("position {position} was acknowledged"),
                other => panic!("in a page: {other:?}"),
            }
        }
    }
}

/// Through drains and a crash: what is asked for lies in the journal, in the database, or in both.
#[test]
fn a_new_device_fills_its_store_after_a_crash() {
    let options = ["--retention", "history", "--segment-mib", "1"];
    let server = Setup::development().with(&options).start();
    let (mut ann, mut bob) = (server.login(7, 1), server.login(8, 1));
    let bytes = |number: u64| if number.is_multiple_of(60) { 100_000 } else { 6_000 };
    for number in 1..=600 {
        ann.send(8, number, &vec![b'x'; bytes(number)]);
        let Got::Deliver { position, .. } = bob.delivery() else { panic!("no delivery") };
        bob.ack(position);
        ann.tick();
    }
    bob.send(7, 1, b"an answer");
    bob.tick();
    // What a crash takes of the cursors would be delivered again.
    ann.let_it_be_stored();
    bob.let_it_be_stored();
    let server = server.crash_and_restart();
    let mut tablet = server.login(8, 2);
    let (got, pages) = fill(&mut tablet, 0, 600, 100);
    let expected: Vec<_> = (1..=600).rev().map(|at| (at, false, bytes(at))).collect();
    assert!(got == expected, "{} entries in {pages} pages", got.len());
    assert!(pages > 50, "a page is bounded by its bytes: {pages} pages");
}

/// Of a group a member pages back to where its own time began, also on a device that follows nothing.
#[test]
fn a_member_pages_through_a_group_up_to_its_joining() {
    let server = Setup::development().with(&["--retention", "history"]).start();
    let (group, mut ann, _) = group_of(&server, &[8]);
    for number in 2..=100 {
        say(&mut ann, group, number, b"before");
        words(&mut ann, &format!("sent {number} at {number}"));
    }
    change(&mut ann, group, 101, Action::Add, &[9], b"");
    words(&mut ann, "sent 101 at 101");
    for number in 102..=150 {
        say(&mut ann, group, number, b"since");
        words(&mut ann, &format!("sent {number} at {number}"));
    }
    let server = server.crash_and_restart();
    let mut phone = server.login(9, 1);
    let (got, pages) = fill(&mut phone, group, 150, 10);
    let positions: Vec<u64> = got.iter().map(|&(position, ..)| position).collect();
    assert_eq!(positions, (101..=150).rev().collect::<Vec<_>>(), "in {pages} pages");
    // Who isn't in it is told nothing.
    let mut stranger = server.login(10, 1);
    let (from, through, limit, newest_first) = (1, 150, 10, true);
    stranger.put(&Frame::History(History { group, from, through, limit, newest_first }));
    words(&mut stranger, "gone 0");
}
