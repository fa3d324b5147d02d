//! The book: followed with one cursor, and what the program sets is repeated until it is answered.

use fulmar_client::core::Session;
use fulmar_client::store::Store;
use fulmar_client::{Put, Star, Target};
use fulmar_protocol::Frame;
use fulmar_protocol::people::{Found, Item, Profile, PutRejected};

use crate::device::Device;

const fn item<'a>(version: u64, key: &'a [u8], value: &'a [u8]) -> Frame<'a> {
    Frame::Item(Item { version, item: 128, key, value })
}

fn put(device: &mut Device, key: &str, value: &str) {
    let put = Put { item: 128, key: key.into(), value: value.into() };
    device.ask(|session, now, actions| session.put(now, put, actions));
}

fn follow(device: &mut Device) {
    device.ask(Session::follow_book);
}

fn book(device: &mut Device) -> Vec<String> {
    let book = device.store.book().unwrap();
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    book.iter()
        .map(|known| format!("v{} {} = {}", known.version, words(&known.key), words(&known.value)))
        .collect()
}

#[test]
fn pages_are_asked_for_until_the_book_is_whole_and_the_cursor_survives() {
    let mut device = Device::online();
    follow(&mut device);
    assert_eq!(device.sent(), ["book 0"]);
    device.server(&[item(1, b"a", b"1"), Frame::Book { version: 1, head: 3, reset: false }]);
    assert_eq!(device.sent(), ["book 1"]);
    // What comes between doesn't move the cursor.
    device.server(&[item(4, b"d", b"4")]);
    device.server(&[item(3, b"c", b"3"), Frame::Book { version: 4, head: 4, reset: false }]);
    assert_eq!(device.sent(), [""; 0]);
    let told = ["item 128/a 1", "item 128/d 4", "item 128/c 3", "book complete"];
    assert_eq!(device.events(), told);
    device.server(&[item(5, b"a", b"")]);
    assert_eq!(device.events(), ["item 128/a "]);
    assert_eq!(book(&mut device), ["v3 c = 3", "v4 d = 4"]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), ["book 5"]);
    let mut device = Device::on(device.store.clone());
    follow(&mut device);
    device.login();
    assert_eq!(device.sent(), ["book 5"]);
}

#[test]
fn a_reset_forgets_the_book_and_begins_anew() {
    let mut device = Device::online();
    follow(&mut device);
    device.server(&[item(1, b"a", b"1"), Frame::Book { version: 1, head: 1, reset: false }]);
    device.sent();
    device.server(&[Frame::Book { version: 0, head: 9, reset: true }]);
    assert_eq!(device.sent(), ["book 0"]);
    assert_eq!(book(&mut device), [""; 0]);
}

#[test]
fn a_put_is_repeated_on_every_connection_until_it_is_answered() {
    let mut device = Device::new();
    put(&mut device, "a", "1");
    device.login();
    assert_eq!(device.sent(), ["put 128/a 1"]);
    device.lose();
    device.events();
    let mut device = Device::on(device.store.clone());
    device.login();
    assert_eq!(device.sent(), ["put 128/a 1"]);
    // Another device's change is no answer.
    device.server(&[item(1, b"a", b"other")]);
    device.server(&[item(2, b"a", b"1")]);
    assert_eq!(device.events(), ["item 128/a other", "item 128/a 1"]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn of_an_item_one_put_is_under_way_and_then_the_last_one() {
    let mut device = Device::online();
    for value in ["1", "2", "3"] {
        put(&mut device, "a", value);
    }
    assert_eq!(device.sent(), ["put 128/a 1"]);
    device.server(&[item(1, b"a", b"1")]);
    assert_eq!(device.sent(), ["put 128/a 3"]);
    device.server(&[item(2, b"a", b"3")]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0]);
}

#[test]
fn many_puts_go_a_few_at_a_time() {
    let mut device = Device::new();
    for nth in 0..40 {
        put(&mut device, &format!("{nth:02}"), "x");
    }
    device.login();
    assert_eq!(device.sent().len(), 16);
    device.server(&[item(1, b"00", b"x")]);
    assert_eq!(device.sent(), ["put 128/16 x"]);
}

#[test]
fn a_rejection_is_final() {
    let mut device = Device::online();
    device.ask(|session, now, actions| session.put(now, Put::username("ann"), actions));
    assert_eq!(device.sent(), ["put 6/ ann"]);
    let code = fulmar_protocol::Code::NameTaken;
    let rejected = PutRejected { item: 6, key: b"", code, retry_after_ms: 0 };
    device.server(&[Frame::PutRejected(rejected)]);
    assert_eq!(device.events(), ["put rejected 6/ name_taken"]);
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0]);
    let long = Put { item: 128, key: vec![0; 65], value: Vec::new() };
    device.ask(|session, now, actions| session.put(now, long, actions));
    assert_eq!(device.sent(), [""; 0]);
    assert!(device.events()[0].ends_with("bad_item"));
}

#[test]
fn a_star_is_an_item_like_others_and_removed_by_an_empty_one() {
    let mut device = Device::online();
    let star = Star { target: Target::Group(30), place: 5, is_own: false };
    device.ask(|session, now, actions| session.put(now, Put::star(star), actions));
    assert_eq!(device.sent(), ["put 5/\\x01\\x1e\\x05 \u{1}"]);
    let key = b"\x01\x1e\x05";
    device.server(&[Frame::Item(Item { version: 1, item: 5, key, value: b"\x01" })]);
    device.ask(|session, now, actions| session.put(now, Put::unstar(star), actions));
    assert_eq!(device.sent(), ["put 5/\\x01\\x1e\\x05 "]);
    device.server(&[Frame::Item(Item { version: 2, item: 5, key, value: b"" })]);
    assert_eq!(device.events().len(), 2);
    assert_eq!(book(&mut device), [""; 0]);
}

#[test]
fn profiles_of_people_who_are_watched_are_looked_at_when_they_change() {
    let mut device = Device::online();
    device.server(&[Frame::ProfileNews { user: 8, version: 3 }]);
    assert_eq!(device.sent(), ["profile 8 0"]);
    let profile = Profile { user: 8, version: 3, name: b"Ben", status: b"", avatar: b"" };
    device.server(&[Frame::Profile(profile)]);
    assert_eq!(device.events(), ["profile 8 v3 Ben"]);
    device.server(&[Frame::ProfileNews { user: 8, version: 3 }]);
    assert_eq!(device.sent(), [""; 0]);
    // The answer to a question that names the version has nothing else.
    let unchanged = Profile { name: b"", ..profile };
    device.server(&[Frame::Profile(unchanged)]);
    assert_eq!(device.events(), [""; 0]);
    assert_eq!(&*device.store.profiles().unwrap()[0].name, b"Ben");
    let mut device = Device::on(device.store.clone());
    device.login();
    device.ask(|session, now, actions| session.look_at_profile(now, 8, actions));
    assert_eq!(device.sent(), ["profile 8 3"]);
}

#[test]
fn names_are_looked_for() {
    let mut device = Device::online();
    device.ask(|session, now, actions| session.find(now, "ben", actions));
    assert_eq!(device.sent(), ["find ben"]);
    for (user, told) in [(8, "found ben Some(8) none"), (0, "found ben None none")] {
        let code = fulmar_protocol::Code::None;
        device.server(&[Frame::Found(Found { name: b"ben", user, code, retry_after_ms: 0 })]);
        assert_eq!(device.events(), [told]);
    }
}
