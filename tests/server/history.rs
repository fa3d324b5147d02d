//! Pages of what a server keeps, over real sockets: a new device fills its store.

use fulmar_protocol::Frame;
use fulmar_protocol::history::History;

use super::harness::{Client, Got, Setup};

/// Pages backwards from `through` until nothing is left; what came, and in how many pages.
fn fill(client: &mut Client, mut through: u64, limit: u64) -> (Vec<(u64, bool, usize)>, usize) {
    let (mut got, mut pages) = (Vec::new(), 0);
    loop {
        let (group, from, newest_first) = (0, 1, true);
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
    let (got, pages) = fill(&mut tablet, 600, 100);
    let expected: Vec<_> = (1..=600).rev().map(|at| (at, false, bytes(at))).collect();
    assert!(got == expected, "{} entries in {pages} pages", got.len());
    assert!(pages > 50, "a page is bounded by its bytes: {pages} pages");
}
