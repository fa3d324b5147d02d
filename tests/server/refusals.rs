//! What is refused, and with which code, over real sockets: answers that no other test here meets.

use fulmar_protocol::group::Action;
use fulmar_protocol::people::item;
use fulmar_protocol::{Code, Frame};

use super::groups::{change, group_of, rejection, words};
use super::harness::{Got, Setup};

#[test]
fn a_group_takes_no_more_members_than_it_may_have_and_no_change_without_sense() {
    let server = Setup::development().with(&["--group-members-max", "3"]).start();
    let (group, mut ann, _) = group_of(&server, &[8, 9]);
    change(&mut ann, group, 2, Action::Add, &[10], b"");
    assert_eq!(rejection(&mut ann), "rejected 2 group_full");
    change(&mut ann, 0, 3, Action::Create, &[8, 9, 10], b"too many");
    assert_eq!(rejection(&mut ann), "rejected 3 group_full");
    change(&mut ann, 0, 4, Action::Create, &[7], b"with myself");
    assert_eq!(rejection(&mut ann), "rejected 4 bad_change");
    change(&mut ann, group, 5, Action::Rename, &[], &[b'x'; 1_000]);
    assert_eq!(rejection(&mut ann), "rejected 5 bad_change");
    // None of that hurt it.
    change(&mut ann, group, 6, Action::Remove, &[9], b"");
    change(&mut ann, group, 7, Action::Add, &[10], b"");
    words(&mut ann, "sent 6 at 2");
    words(&mut ann, "sent 7 at 3");
}

#[test]
fn nobody_writes_to_user_zero() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    ann.send(0, 1, b"anybody?");
    ann.expect(&Got::Rejected { peer: 0, number: 1, code: Code::BadPeer });
    ann.send(8, 2, b"you, then");
    ann.tick();
}

#[test]
fn a_book_is_full_until_something_is_removed() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    let value = [b'x'; 1_024];
    let mut put = |key: u16, value: &[u8]| {
        ann.put(&Frame::Put { item: 200, key: &key.to_be_bytes(), value });
        ann.next()
    };
    let full = (0..1_000).find(|&key| match put(key, &value) {
        Got::Item(..) => false,
        Got::PutRejected(code) => {
            assert_eq!(code, Code::BookFull);
            true
        }
        other => panic!("{other:?}"),
    });
    let full = full.expect("a bound");
    assert!(full > 100, "{full} items");
    assert!(matches!(put(0, b""), Got::Item(..)), "a removal");
    assert!(matches!(put(full, &value), Got::Item(..)), "there is room");
}

#[test]
fn who_asks_for_too_many_names_is_told_so_whatever_it_asks() {
    let server = Setup::development().start();
    let mut ann = server.login(7, 1);
    for number in 0..200 {
        ann.put(&Frame::Find { name: format!("name{number}").as_bytes() });
    }
    ann.put(&Frame::Put { item: item::USERNAME, key: b"", value: b"quick_ann" });
    let code = loop {
        match ann.next() {
            Got::Found(_, user) => assert_eq!(user, 0, "there is nobody"),
            Got::PutRejected(code) => break code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, Code::TooManyLookups);
    // Another user asks all the same.
    let mut bob = server.login(8, 1);
    bob.put(&Frame::Put { item: item::USERNAME, key: b"", value: b"quick_ann" });
    assert!(matches!(bob.next(), Got::Item(..)));
}
