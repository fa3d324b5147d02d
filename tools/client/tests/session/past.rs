//! What the server keeps of the time before: fetched backwards, page by page, and kept once.

use fulmar_client::store::Store;
use fulmar_client::{Message, MessageId, Target};
use fulmar_protocol::history::{HistoryEnd, Past};
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Chunks, Frame};

use crate::device::Device;
use crate::frames::{START_MS, deliver, large_body, own_copy, tick};

fn past(group: u64, position: u64, peer: u64, ordinal: u64, text: &str) -> Frame<'_> {
    Frame::Past(Past {
        group,
        position,
        peer,
        ordinal,
        time_ms: START_MS,
        content: 1,
        own: false,
        total_bytes: None,
        body: text.as_bytes(),
    })
}

fn own(frame: Frame<'_>) -> Frame<'_> {
    let Frame::Past(past) = frame else { unreachable!() };
    Frame::Past(Past { own: true, ..past })
}

const fn end(group: u64, from: u64, through: u64, has_more: bool) -> Frame<'static> {
    Frame::HistoryEnd(HistoryEnd { group, from, through, has_more })
}

impl Device {
    fn fill(&mut self, group: Option<u64>, entries: u64) {
        self.ask(|session, now, actions| session.fill_history(now, group, entries, actions));
    }

    fn kept(&mut self, target: Target) -> Vec<(MessageId, String)> {
        let text = |message: Message| String::from_utf8_lossy(&message.body).into_owned();
        let all = self.store.history(target, None, 100).unwrap();
        all.into_iter().map(|message| (message.id, text(message))).collect()
    }
}

/// The tick was lost with a connection, and a page is told before the send is repeated.
#[test]
fn an_own_message_that_the_past_brings_before_its_tick_stands_once() {
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 9 }]);
    let id = device.send(8, "mine");
    device.fill(None, 4);
    device.server(&[own(past(0, 7, 8, 2, "mine")), end(0, 1, 9, false)]);
    assert_eq!(device.kept(Target::Peer(8)).len(), 2, "nobody can tell that it is the same");
    device.server(&[tick(8, START_MS, 2)]);
    assert_eq!(device.kept(Target::Peer(8)), [(id, "mine".to_owned())]);
    // Nor does it come again.
    device.fill(None, 4);
    device.server(&[own(past(0, 7, 8, 2, "mine")), end(0, 1, 9, false)]);
    assert_eq!(device.kept(Target::Peer(8)).len(), 1);
}

#[test]
fn the_past_stands_before_what_came_by_itself() {
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 9 }, deliver(10, 8, 5, "new")]);
    device.sent();
    device.events();
    device.fill(None, 4);
    assert_eq!(device.sent(), ["history 0 @1 to @9, 4 true"], "what came by itself is here");
    device.server(&[past(0, 9, 9, 1, "other"), own(past(0, 7, 8, 2, "mine")), end(0, 7, 9, true)]);
    // Two entries are still wanted, and what was asked for once isn't asked for again.
    assert_eq!(device.sent(), ["ask 8", "history 0 @1 to @6, 2 true"]);
    device.server(&[past(0, 4, 8, 3, "old"), end(0, 4, 6, false)]);
    assert_eq!(device.events(), ["filled None 3 true"]);
    let texts: Vec<_> =
        device.kept(Target::Peer(8)).into_iter().map(|(id, text)| (id.0, text)).collect();
    let expected = [(-3, "old"), (-2, "mine"), (1, "new")];
    assert_eq!(texts, expected.map(|(id, text)| (id, text.to_owned())));
    assert_eq!(device.kept(Target::Peer(9)).len(), 1);
    // What lies before isn't new.
    let unread = device.store.conversations().unwrap();
    assert_eq!(unread.iter().map(|known| (known.peer, known.unread)).collect::<Vec<_>>().len(), 2);
    assert_eq!(unread.iter().map(|known| known.unread).sum::<u64>(), 1);
}

#[test]
fn a_fill_goes_on_where_it_stopped_also_after_a_break_and_a_new_session() {
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 9 }]);
    device.fill(None, u64::MAX);
    device.sent();
    device.server(&[past(0, 9, 8, 9, "i"), end(0, 9, 9, true)]);
    assert_eq!(device.sent(), ["history 0 @1 to @8, 256 true"]);
    device.server(&[past(0, 8, 8, 8, "h")]);
    // The page breaks, and is asked for again as a whole.
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent().last().map(String::as_str), Some("history 0 @1 to @8, 256 true"));
    device.server(&[past(0, 8, 8, 8, "h"), past(0, 1, 8, 1, "a"), end(0, 1, 8, false)]);
    assert_eq!(device.events().last().map(String::as_str), Some("filled None 4 true"));
    let kept: Vec<_> = device.kept(Target::Peer(8)).into_iter().map(|(_, text)| text).collect();
    assert_eq!(kept, ["a", "h", "i"]);
    let mut device = Device::on(device.store);
    device.login();
    device.sent();
    device.fill(None, 10);
    assert_eq!(device.sent(), [""; 0], "everything is here");
    assert_eq!(device.events().last().map(String::as_str), Some("filled None 0 true"));
}

#[test]
fn own_sends_that_are_here_are_kept_once() {
    let mut device = Device::online();
    device.send(8, "mine");
    device.server(&[
        tick(8, START_MS, 1),
        Frame::Skip { position: 1 },
        own_copy(2, 8, 2, "tablet"),
    ]);
    device.fill(None, 10);
    device.server(&[own(past(0, 1, 8, 1, "mine")), end(0, 1, 1, false)]);
    assert_eq!(device.events().last().map(String::as_str), Some("filled None 1 true"));
    assert_eq!(device.kept(Target::Peer(8)).len(), 2);
}

#[test]
fn a_large_body_of_a_page_comes_between_live_messages() {
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 1 }]);
    device.fill(None, 10);
    device.events();
    let body = large_body(2 * PART_BYTES_MAX + 7);
    let mut chunks = Chunks::new(&body);
    let Frame::Past(first) = past(0, 1, 8, 1, "") else { unreachable!() };
    let (total_bytes, piece) = (Chunks::total_bytes(&body), chunks.next().unwrap());
    device.server(&[Frame::Past(Past { total_bytes, body: piece, ..first })]);
    device.server(&[deliver(2, 9, 1, "live")]);
    assert_eq!(device.events(), ["message @2 9 #1 live"]);
    for body in chunks {
        device.server(&[Frame::Part { body }]);
    }
    device.server(&[end(0, 1, 1, false)]);
    assert_eq!(device.events(), ["filled None 1 true"]);
    let kept = device.store.history(Target::Peer(8), None, 9).unwrap();
    assert_eq!(&*kept[0].body, &body[..]);
}

#[test]
fn a_group_is_filled_by_itself() {
    let mut device = Device::online();
    device.server(&[Frame::GroupSkip { group: 30, position: 5 }]);
    device.sent();
    device.fill(Some(30), 1_000);
    assert_eq!(device.sent(), ["history 30 @1 to @5, 256 true"]);
    device.server(&[
        past(30, 5, 9, 0, "five"),
        own(past(30, 4, 7, 0, "four")),
        end(30, 3, 5, false),
    ]);
    assert_eq!(device.events().last().map(String::as_str), Some("filled Some(30) 2 true"));
    let kept: Vec<_> = device.kept(Target::Group(30)).into_iter().map(|(_, text)| text).collect();
    assert_eq!(kept, ["four", "five"]);
    assert_eq!(device.store.groups().unwrap()[0].unread, 0);
}

#[test]
fn a_group_of_strangers_has_no_past() {
    let mut device = Device::online();
    device.server(&[Frame::GroupSkip { group: 30, position: 5 }]);
    device.events();
    device.fill(Some(30), 10);
    device.fill(None, 10);
    let gone = Frame::GroupGone { group: 30, position: 0 };
    device.sent();
    // It may answer something else, so the next page isn't asked for before the end.
    device.server(&[gone]);
    assert!(!device.sent().iter().any(|sent| sent.starts_with("history")));
    device.server(&[end(30, 1, 0, false)]);
    let told = device.events();
    assert!(told.contains(&"filled Some(30) 0 true".to_owned()), "{told:?}");
    assert!(told.contains(&"filled None 0 true".to_owned()), "{told:?}");
}

#[test]
fn a_page_that_was_not_asked_for_ends_the_connection() {
    for frame in [past(0, 1, 8, 1, "x"), end(0, 1, 1, false)] {
        let mut device = Device::online();
        device.server(&[frame]);
        assert_eq!(device.sent(), ["goodbye unexpected_frame"]);
    }
    // So does an entry out of its order.
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 9 }]);
    device.fill(None, 10);
    device.sent();
    device.server(&[past(0, 4, 8, 1, "x"), past(0, 5, 8, 2, "y")]);
    assert_eq!(device.sent(), ["goodbye unexpected_frame"]);
}
