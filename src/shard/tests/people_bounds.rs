//! People: what waits for a book, a name or a conversation is bounded, and whoever would wait beyond that is
//! told so.

use bytes::{BufMut, Bytes, BytesMut};
use fulmar_protocol::people::{audience, item, privacy, user_key};
use fulmar_protocol::{Frame, Numbers};

use super::world::{C, Happening, World};
use crate::limits::{
    BOOK_WAITING_MAX, BOOKS_WARM_BYTES_MAX, FIND_ANSWER_MS, NAME_WAITING_MAX, NAME_WISHES_MAX,
    NAMES_OF_HASH_MAX, NAMES_WARM_MAX, PERMISSIONS_ASKED_MAX, TYPING_LOADS_MAX,
};
use crate::shard::group::Asker;
use crate::shard::people::{PeopleLetter, hash_of};
use crate::shard::{ConnId, Key, Letter, Load, LogId, UserId, Write};

/// A user whose book isn't in memory, and about whom many ask while it is being read.
const SOUGHT: UserId = 900;

fn nobody(user: UserId) -> Asker {
    Asker { core: 0, conn: ConnId { slot: 60_000, generation: 9 }, user }
}

/// Fills the list of those who wait for the book of [`SOUGHT`].
fn crowd(world: &mut World) {
    world.holds_loads = true;
    for _ in 0..BOOK_WAITING_MAX {
        let letter = PeopleLetter::Look { user: SOUGHT, asker: nobody(1), known: 0 };
        world.happen(0, Happening::Letter(letter.into()));
    }
}

#[test]
fn no_more_than_so_many_wait_for_a_book_and_who_comes_later_is_told() {
    let mut world = World::new();
    let ann = world.log_in(SOUGHT, 1);
    let bob = world.log_in(2, 1);
    crowd(&mut world);
    world.frame(ann, &Frame::Put { item: item::CONTACT, key: &user_key(2), value: b"bob" });
    world.expect(ann, &["put 3/\\x02 rejected overloaded"]);
    world.frame(bob, &Frame::ProfileLook { user: SOUGHT, version: 0 });
    world.expect(bob, &["goodbye overloaded"]);
    world.frame(ann, &Frame::BookResume { version: 0 });
    world.expect(ann, &["goodbye overloaded"]);
    world.holds_loads = false;
    world.load();
    // The book is as it was, and open to everybody.
    let ann = world.log_in(SOUGHT, 1);
    world.frame(ann, &Frame::Put { item: item::CONTACT, key: &user_key(2), value: b"bob" });
    world.expect(ann, &["item v1 3/\\x02 = bob"]);
}

#[test]
fn a_claim_of_a_crowded_book_s_name_is_refused_and_a_question_for_it_is_answered() {
    let mut world = World::new();
    let ann = world.log_in(SOUGHT, 1);
    take(&mut world, ann, "ann");
    world.told(ann);
    world.crash();
    let bob = world.log_in(2, 1);
    crowd(&mut world);
    take(&mut world, bob, "ann");
    world.frame(bob, &Frame::Find { name: b"ann" });
    for _ in 0..8 {
        let loads = &mut world.cores[0].loads;
        loads.rotate_left(usize::from(matches!(loads.front(), Some(Load::Book { user: SOUGHT }))));
        world.load_one(0);
        world.settle();
    }
    world.pass(2 * FIND_ANSWER_MS);
    let told = world.told(bob);
    assert_eq!(told, ["put 6/ rejected name_taken", "found ann 900"]);
    world.holds_loads = false;
    world.load();
    take(&mut world, bob, "ann");
    world.expect(bob, &["put 6/ rejected name_taken"]);
}

fn take(world: &mut World, c: C, name: &str) {
    world.frame(c, &Frame::Put { item: item::USERNAME, key: b"", value: name.as_bytes() });
}

#[test]
fn no_more_than_so_many_wait_for_a_name() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.holds_loads = true;
    for question in 0..NAME_WAITING_MAX as u64 {
        let name = Bytes::from_static(b"ann");
        let letter = PeopleLetter::Find { name, asker: nobody(3), question: 1_000_000 + question };
        world.happen(0, Happening::Letter(letter.into()));
    }
    world.frame(ann, &Frame::Find { name: b"ann" });
    world.pass(FIND_ANSWER_MS);
    world.expect(ann, &["found ann overloaded after 1000"]);
    // Its own book is read; the name isn't.
    take(&mut world, ann, "ann");
    let loads = &mut world.cores[0].loads;
    let at = loads.iter().position(|load| matches!(load, Load::Book { .. })).expect("a book");
    loads.rotate_left(at);
    world.load_one(0);
    world.settle();
    world.expect(ann, &["put 6/ rejected overloaded"]);
    world.holds_loads = false;
    world.load();
    take(&mut world, ann, "ann");
    world.expect(ann, &["item v1 6/ = ann"]);
}

#[test]
fn no_more_than_so_many_names_are_wanted_by_a_user_at_once() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    take(&mut world, ann, "ann");
    world.expect(ann, &["item v1 6/ = ann"]);
    // The next one isn't decided, whoever of the user's devices wants others meanwhile, and goes.
    world.holds_loads = true;
    let mut rejected = 0;
    for round in 0..20_u16 {
        let device = world.log_in(1, 1 + round % 2);
        for nth in 0..30 {
            take(&mut world, device, &format!("ann{round}_{nth}"));
        }
        let told = world.told(device);
        rejected += told.iter().filter(|it| it.ends_with("rejected overloaded")).count();
    }
    assert_eq!(rejected, 20 * 30 - NAME_WISHES_MAX);
    world.holds_loads = false;
    world.load();
    let ann = world.log_in(1, 1);
    take(&mut world, ann, "annie");
    let told = world.told(ann);
    assert!(told.iter().any(|it| it.contains("annie") || it.contains("too_many")), "{told:?}");
}

#[test]
fn names_that_were_asked_for_are_let_go_beyond_so_many() {
    let mut world = World::new();
    for question in 0..NAMES_WARM_MAX as u64 + 200 {
        let name = Bytes::from(format!("name{question}"));
        let letter = PeopleLetter::Find { name, asker: nobody(3), question: 1_000_000 + question };
        world.happen(0, Happening::Letter(letter.into()));
    }
    let names = world.shard().names.len();
    assert!(names.abs_diff(NAMES_WARM_MAX) <= 16, "{names}");
}

#[test]
fn names_of_one_hash_are_few() {
    let mut world = World::new();
    // That these names have another hash doesn't matter to their record.
    let mut record = BytesMut::new();
    record.put_slice(&[1, NAMES_OF_HASH_MAX as u8]);
    for nth in 0..NAMES_OF_HASH_MAX as u8 {
        record.put_slice(&[4, b'b', b'o', b'b', b'0' + nth, 7 + nth]);
    }
    let key = Key::Name { hash: hash_of(b"ann") };
    world.disk.commit(vec![Write::Put { key, value: record.freeze() }]);
    let ann = world.log_in(1, 1);
    take(&mut world, ann, "ann");
    world.expect(ann, &["put 6/ rejected name_taken"]);
}

#[test]
fn books_that_nobody_uses_take_so_much_memory_and_no_more() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    let value = vec![b'x'; 1_000];
    for nth in 0..100_u8 {
        world.frame(ann, &Frame::Put { item: item::APPLICATION, key: &[nth], value: &value });
    }
    world.told(ann);
    let book = world.disk.get(Key::Book { user: 1 }).cloned().expect("a book");
    let count = (BOOKS_WARM_BYTES_MAX / book.len()) as u64 + 100;
    let key = |user| Key::Book { user: 1_000 + user };
    let put = |user| Write::Put { key: key(user), value: book.clone() };
    world.disk.commit((0..count).map(put).collect());
    for user in 0..count {
        let letter = PeopleLetter::Look { user: 1_000 + user, asker: nobody(1), known: 0 };
        world.happen(0, Happening::Letter(letter.into()));
    }
    let held = world.shard().books.bytes;
    assert!(held <= BOOKS_WARM_BYTES_MAX + 2 * book.len(), "{held}");
}

#[test]
fn permissions_are_asked_for_so_many_at_a_time_and_all_are_answered() {
    const WATCHED: u64 = 100;
    let mut world = World::new();
    let users: Vec<u64> = (10_000..10_000 + WATCHED).collect();
    for &user in &users {
        let c = world.log_in(user, 1);
        let (key, value) = (&[privacy::LAST_SEEN][..], &[audience::KNOWN][..]);
        world.frame(c, &Frame::Put { item: item::PRIVACY, key, value });
    }
    let watchers: Vec<C> = (1..=4).map(|user| world.log_in(user, 1)).collect();
    world.holds_loads = true;
    for &c in &watchers {
        world.frame(c, &Frame::Watch { users: Numbers::Slice(&users) });
    }
    let is_of_watcher = |load: &&Load| matches!(load, Load::Conversation { peer: 1..=4, .. });
    let asked = world.cores[0].loads.iter().filter(is_of_watcher).count();
    assert_eq!(asked, PERMISSIONS_ASKED_MAX);
    world.holds_loads = false;
    world.load();
    for c in watchers {
        let told = world.told(c);
        let shown = told.iter().filter(|told| told.starts_with("presence")).count();
        assert_eq!(shown as u64, WATCHED, "{told:?}");
    }
}

#[test]
fn whether_a_writer_is_blocked_is_looked_up_for_so_many_at_a_time() {
    let mut world = World::new();
    let ann = world.log_in(1, 1);
    world.frame(ann, &Frame::Put { item: item::BLOCK, key: &user_key(5), value: &[1] });
    world.told(ann);
    world.frame(ann, &Frame::Activity { is_here: true });
    world.holds_loads = true;
    for from in 0..TYPING_LOADS_MAX as u64 + 9 {
        let letter = Letter::Typing { from: 100 + from, to: 1, is_typing: true };
        world.happen(0, Happening::Letter(letter));
    }
    let is_asked =
        |load: &&Load| matches!(load, Load::Conversation { log: LogId::Inbox(1), peer: 100.. });
    assert_eq!(world.cores[0].loads.iter().filter(is_asked).count(), TYPING_LOADS_MAX);
    assert_eq!(world.shard().counters().typing_shed, 9);
    world.holds_loads = false;
    world.load();
    world.told(ann);
    let letter = Letter::Typing { from: 99_999, to: 1, is_typing: true };
    world.happen(0, Happening::Letter(letter));
    world.expect(ann, &["typing 99999"]);
}
