//! What refers to messages, and messages that disappear: what the device's store makes of them.

use fulmar_client::core::Session;
use fulmar_client::store::{MemoryStore, Store, Write};
use fulmar_client::{Change, Message, MessageId, Target};
use fulmar_protocol::content::{Content, Target as Meant};
use fulmar_protocol::group::GroupDeliver;
use fulmar_protocol::history::{HistoryEnd, Past};
use fulmar_protocol::{Code, Deliver, Frame, Welcome};

use crate::device::{Device, Pace};
use crate::frames::{START_MS, WELCOME, deliver, tick};

fn body(content: &Content<'_>) -> (u8, Vec<u8>) {
    let mut body = Vec::new();
    content.encode(&mut body);
    (content.number(), body)
}

impl Device {
    fn peer_sends(&mut self, position: u64, ordinal: u64, content: &Content<'_>) {
        let (content, body) = body(content);
        let Frame::Deliver(first) = deliver(position, 8, ordinal, "") else { unreachable!() };
        self.server(&[Frame::Deliver(Deliver { content, body: &body, ..first })]);
    }

    fn of_peer(&mut self) -> Vec<Message> {
        self.store.history(Target::Peer(8), None, 100).unwrap()
    }
}

const fn react(of_peer: bool, place: u64, body: &[u8]) -> Content<'_> {
    Content::Reaction { target: Meant { of_peer, place }, body }
}

#[test]
fn the_latest_edit_holds_and_a_deleted_message_loses_its_body() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "one"), deliver(2, 8, 2, "two")]);
    device.peer_sends(3, 3, &Content::Edit { target: 1, body: b"uno" });
    device.peer_sends(4, 4, &Content::Edit { target: 1, body: b"un" });
    device.peer_sends(5, 5, &Content::Delete { target: 2 });
    device.peer_sends(6, 6, &Content::Edit { target: 2, body: b"back?" });
    assert_eq!(device.sent().last().unwrap(), "ack 6");
    let kept = device.of_peer();
    assert_eq!(kept.len(), 2, "what refers to others doesn't stand among them");
    assert_eq!(kept[0].shown(), (1, &b"un"[..]));
    assert_eq!(kept[0].changes.edited.as_ref().map(|(_, time_ms)| *time_ms), Some(START_MS + 4));
    assert!(kept[1].changes.is_deleted && kept[1].body.is_empty());
    assert_eq!(device.store.conversations().unwrap()[0].unread, 2);
}

#[test]
fn of_reactions_the_latest_of_each_holds() {
    let mut device = Device::online();
    device.server(&[deliver(1, 8, 1, "one")]);
    let id = device.send(8, "mine");
    device.server(&[tick(8, START_MS, 1)]);
    // The peer reacts to its own message, and to mine, twice.
    device.peer_sends(2, 2, &react(false, 1, b"!"));
    device.peer_sends(3, 3, &react(true, 1, b"+1"));
    device.peer_sends(4, 4, &react(true, 1, b"+2"));
    let mine = device.store.message(id).unwrap().unwrap();
    assert_eq!(mine.changes.reactions, [(8, b"+2"[..].into())]);
    assert_eq!(device.of_peer()[0].changes.reactions, [(8, b"!"[..].into())]);
    device.peer_sends(5, 5, &react(true, 1, b""));
    assert!(device.store.message(id).unwrap().unwrap().changes.reactions.is_empty());
}

/// The tick was lost with the connection, and another device, or the peer, was faster.
#[test]
fn what_came_before_the_tick_of_its_message_holds_from_the_tick_on() {
    let mut device = Device::online();
    let id = device.send(8, "mine");
    device.peer_sends(1, 1, &react(true, 1, b"+1"));
    let mine = |device: &mut Device| device.store.message(id).unwrap().unwrap();
    assert!(mine(&mut device).changes.reactions.is_empty());
    device.server(&[tick(8, START_MS, 1)]);
    assert_eq!(mine(&mut device).changes.reactions, [(8, b"+1"[..].into())]);
}

/// A copy of what another device sent comes once the peer has it.
#[test]
fn what_came_before_the_copy_of_its_message_holds_for_the_copy() {
    let mut device = Device::online();
    device.peer_sends(1, 1, &react(true, 1, b"+1"));
    let Frame::Deliver(copy) = deliver(2, 8, 1, "of my tablet") else { unreachable!() };
    device.server(&[Frame::Deliver(Deliver { own: true, ..copy })]);
    assert_eq!(device.of_peer()[0].changes.reactions, [(8, b"+1"[..].into())]);
}

#[test]
fn an_own_change_holds_from_its_tick_on() {
    let mut device = Device::online();
    let id = device.send(8, "helo");
    device.server(&[tick(8, START_MS, 1)]);
    let message = device.store.message(id).unwrap().unwrap();
    let (content, body) = message.change(Change::Edit(b"hello")).expect("it has its tick");
    device
        .ask(|session, now, actions| session.send(now, 8, content, body.into(), actions))
        .unwrap();
    assert_eq!(device.store.message(id).unwrap().unwrap().changes.edited, None);
    device.server(&[tick(8, START_MS + 1, 2)]);
    assert_eq!(device.store.message(id).unwrap().unwrap().shown(), (1, &b"hello"[..]));
    // What the other one wrote isn't this user's to change.
    device.server(&[deliver(1, 8, 1, "theirs")]);
    let theirs = device.of_peer().pop().unwrap();
    assert_eq!(theirs.change(Change::Edit(b"x")), None);
    assert_eq!(theirs.change(Change::Delete), None);
    assert!(theirs.change(Change::React(b"+1")).is_some());
}

#[test]
fn an_edit_of_what_disappears_disappears_too() {
    let mut device = Device::online();
    let (content, secret) = body(&Content::Disappearing { seconds: 60, content: 1, body: b"helo" });
    let sent =
        device.ask(|session, now, actions| session.send(now, 8, content, secret.into(), actions));
    let id = sent.unwrap();
    device.server(&[tick(8, START_MS, 1)]);
    let message = device.store.message(id).unwrap().unwrap();
    let change = message.change(Change::Edit(b"hello")).expect("it has its tick");
    let edit = body(&Content::Edit { target: 1, body: b"hello" });
    let edit = Content::Disappearing { seconds: 60, content: edit.0, body: &edit.1 };
    assert_eq!(change, body(&edit));
    device
        .ask(|session, now, actions| session.send(now, 8, change.0, change.1.into(), actions))
        .unwrap();
    device.server(&[tick(8, START_MS + 1, 2)]);
    assert_eq!(device.store.message(id).unwrap().unwrap().shown(), (1, &b"hello"[..]));
}

#[test]
fn an_unknown_target_is_passed_by_and_acknowledged() {
    let mut device = Device::online();
    device.peer_sends(1, 9, &Content::Edit { target: 4, body: b"x" });
    device.peer_sends(2, 10, &Content::Plain { content: 4, body: b"not a deletion" });
    assert_eq!(device.sent().last().unwrap(), "ack 2");
    // A body that isn't what it says stands among the messages, for somebody to see.
    assert_eq!(device.of_peer().len(), 1);
}

#[test]
fn history_brings_what_refers_to_a_message_before_it() {
    let mut device = Device::online();
    device.server(&[Frame::Skip { position: 3 }]);
    device.ask(|session, now, actions| session.fill_history(now, None, 10, actions));
    let past = |position, content: &Content<'_>| {
        let (content, body) = body(content);
        (position, content, body)
    };
    let edit = |text| Content::Edit { target: 1, body: text };
    let entries = [
        past(3, &edit(b"latest")),
        past(2, &edit(b"earlier")),
        past(1, &Content::Plain { content: 1, body: b"first" }),
    ];
    for (position, content, body) in &entries {
        device.server(&[Frame::Past(Past {
            group: 0,
            position: *position,
            peer: 8,
            ordinal: *position,
            time_ms: START_MS,
            content: *content,
            own: false,
            total_bytes: None,
            body,
        })]);
    }
    device.server(&[Frame::HistoryEnd(HistoryEnd {
        group: 0,
        from: 1,
        through: 3,
        has_more: false,
    })]);
    assert_eq!(device.of_peer()[0].shown(), (1, &b"latest"[..]));
}

#[test]
fn a_message_disappears_from_the_store_at_its_time_by_the_servers_clock() {
    let mut device = Device::new();
    // This device's clock is an hour ahead.
    device.now.unix_ms += 3_600_000;
    device.login();
    let psst = Content::Disappearing { seconds: 60, content: 1, body: b"psst" };
    device.server(&[deliver(1, 8, 1, "stays")]);
    device.peer_sends(2, 2, &psst);
    let (content, bytes) = body(&psst);
    let send =
        device.ask(|session, now, actions| session.send(now, 8, content, bytes.into(), actions));
    device.server(&[tick(8, device_number(), 1)]);
    assert_eq!(device.of_peer()[1].shown(), (1, &b"psst"[..]));
    device.pass(59_000);
    assert_eq!(device.of_peer().len(), 3);
    device.events();
    // The timer alone brings it, without a connection too, and after a new start.
    device.lose();
    let (store, now) = (device.store, device.now);
    let mut device = Device::on(store);
    device.now = now;
    device.pass(2_000);
    assert!(send.is_ok() && device.of_peer().len() == 1);
    assert!(device.events().contains(&"expired".to_owned()));
}

impl Device {
    /// The program ends and starts again, on a machine whose clock that never goes back begins anew and whose wall
    /// clock shows this.
    fn start_again(self, unix_ms: u64) -> Device {
        let mut device = Device::on(self.store);
        device.now.unix_ms = unix_ms;
        device
    }

    /// Its wall clock is set.
    fn set_clock(&mut self, by_ms: i64) {
        self.now.unix_ms = self.now.unix_ms.saturating_add_signed(by_ms);
    }
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// A device that was told of a message for an hour, by a server whose clock shows `START_MS`.
fn told_for_an_hour(unix_ms: u64) -> Device {
    let mut device = Device::new();
    device.now.unix_ms = unix_ms;
    device.login();
    device.peer_sends(1, 1, &Content::Disappearing { seconds: 3_600, content: 1, body: b"psst" });
    device
}

#[test]
fn a_new_start_goes_by_the_server_s_time_though_the_device_s_clock_is_wrong() {
    for unix_ms in [START_MS + 2 * HOUR_MS, START_MS - 2 * HOUR_MS] {
        let mut device = told_for_an_hour(unix_ms).start_again(unix_ms + MINUTE_MS);
        device.pass(0);
        assert_eq!(device.of_peer().len(), 1, "there is no welcome yet");
        device.pass(58 * MINUTE_MS);
        assert_eq!(device.of_peer().len(), 1);
        device.pass(2 * MINUTE_MS);
        assert!(device.of_peer().is_empty());
    }
}

#[test]
fn a_clock_that_is_set_while_the_program_runs_deletes_nothing() {
    let mut device = told_for_an_hour(START_MS);
    device.set_clock(2 * HOUR_MS as i64);
    device.pass(MINUTE_MS);
    assert_eq!(device.of_peer().len(), 1, "after the welcome");
    // The next start knows that it was set.
    let unix_ms = device.now.unix_ms;
    let mut device = device.start_again(unix_ms);
    device.pass(MINUTE_MS);
    device.set_clock(2 * HOUR_MS as i64);
    device.pass(56 * MINUTE_MS);
    assert_eq!(device.of_peer().len(), 1, "before the welcome");
    device.pass(3 * MINUTE_MS);
    assert!(device.of_peer().is_empty());
}

#[test]
fn a_clock_that_went_back_meanwhile_deletes_late() {
    let mut device = told_for_an_hour(START_MS).start_again(0);
    device.pass(0);
    device.pass(59 * MINUTE_MS);
    assert_eq!(device.of_peer().len(), 1);
    device.pass(2 * MINUTE_MS);
    assert!(device.of_peer().is_empty(), "so long this program runs alone");
}

#[test]
fn a_device_that_was_never_told_the_time_deletes_nothing() {
    let mut device = told_for_an_hour(START_MS);
    let mut store = MemoryStore::new();
    store.commit(&[Write::Insert(device.of_peer().remove(0))]).unwrap();
    device.store = store;
    let mut device = device.start_again(START_MS + 2 * HOUR_MS);
    device.pass(MINUTE_MS);
    assert_eq!(device.of_peer().len(), 1);
    device.welcome(&Welcome { time_ms: START_MS + HOUR_MS, ..WELCOME });
    assert_eq!(device.of_peer().len(), 1);
    device.pass(1_000);
    assert!(device.of_peer().is_empty());
}

#[test]
fn each_welcome_tells_the_time_anew() {
    let mut device = told_for_an_hour(START_MS);
    device.lose();
    // The device slept, and its clock that never goes back stood still.
    device.connect();
    device.server(&[Frame::Welcome(Welcome { time_ms: START_MS + 2 * HOUR_MS, ..WELCOME })]);
    assert!(device.of_peer().is_empty());
}

#[test]
fn the_number_of_a_message_that_disappeared_is_not_used_again() {
    let mut device = Device::online();
    device.peer_sends(1, 1, &Content::Disappearing { seconds: 60, content: 1, body: b"psst" });
    let gone = device.of_peer()[0].id;
    device.pass(61_000);
    assert!(device.of_peer().is_empty());
    // After a new start the store has nothing of it but that its conversation ends there.
    device.lose();
    let mut device = Device::on(device.store);
    let id = device.send(9, "to somebody else");
    assert!(id > gone, "{id} after {gone}");
    let newest: Vec<u64> =
        device.store.conversations().unwrap().iter().map(|known| known.peer).collect();
    assert_eq!(newest, [9, 8]);
}

/// The first number of a device whose clock is an hour ahead.
const fn device_number() -> u64 {
    START_MS + 3_600_000
}

#[test]
fn a_timer_whose_tick_says_no_time_is_the_newest() {
    let mut device = Device::online();
    let timer = |device: &mut Device| {
        let all = device.store.conversations().unwrap();
        all.iter().find(|it| it.peer == 8).map(|it| it.timer_s)
    };
    for (seconds, number) in [(60, START_MS), (0, START_MS + 1)] {
        let (content, body) = body(&Content::Timer { seconds });
        device.ask(|session, now, actions| {
            session.send(now, 8, content, body.into(), actions).unwrap();
        });
        let time_ms = if seconds == 0 { 0 } else { START_MS };
        let ordinal = number - START_MS + 1;
        device.server(&[Frame::Sent { peer: 8, number, ordinal, time_ms }]);
        assert_eq!(timer(&mut device), Some(seconds));
    }
}

impl Device {
    /// The person sets a timer.
    fn set_timer(&mut self, target: Target, seconds: u64) -> MessageId {
        let (content, body) = body(&Content::Timer { seconds });
        let send = |session: &mut Session, now, actions: &mut _| {
            session.send_to(now, target, content, body.into(), actions)
        };
        self.ask(send).unwrap()
    }

    /// The timers of the conversation with user 8 and of group 30, as programs see them.
    fn timers(&mut self) -> [Option<u64>; 2] {
        let of_peer = self.store.conversations().unwrap();
        let of_group = self.store.groups().unwrap();
        let of_peer = of_peer.iter().find(|it| it.peer == 8).map(|it| it.timer_s);
        [of_peer, of_group.iter().find(|it| it.group == 30).map(|it| it.timer_s)]
    }
}

#[test]
fn a_timer_of_this_person_holds_before_its_tick() {
    let mut device = Device::online();
    device.set_timer(Target::Peer(8), 60);
    device.set_timer(Target::Group(30), 90);
    assert_eq!(device.timers(), [Some(60), Some(90)]);
    device.lose();
    let mut device = Device::on(device.store);
    assert_eq!(device.timers(), [Some(60), Some(90)], "after a new start");
    device.login();
    device.server(&[
        tick(8, START_MS, 1),
        Frame::GroupSent { group: 30, number: START_MS + 1, position: 1, time_ms: START_MS },
    ]);
    assert_eq!(device.timers(), [Some(60), Some(90)], "with the tick");
}

#[test]
fn a_timer_holds_from_the_moment_at_which_it_is_stored() {
    let mut device = Device::online();
    device.storing = Pace::WhenTold;
    device.set_timer(Target::Peer(8), 60);
    assert_eq!(device.timers(), [None, None]);
    device.stored();
    assert_eq!(device.timers(), [Some(60), None]);
    assert_eq!(device.saved.len(), 1, "and the program knows then");
}

#[test]
fn a_rejected_timer_holds_no_more() {
    let mut device = Device::online();
    device.peer_sends(1, 1, &Content::Timer { seconds: 10 });
    let reject =
        |number| Frame::Rejected { peer: 8, number, code: Code::QuotaExceeded, retry_after_ms: 0 };
    let first = device.set_timer(Target::Peer(8), 60);
    device.set_timer(Target::Peer(8), 90);
    device.server(&[reject(START_MS)]);
    assert_eq!(device.timers()[0], Some(90), "the other one still waits");
    device.server(&[reject(START_MS + 1)]);
    assert_eq!(device.timers()[0], Some(10));
    let message = device.store.message(first).unwrap().unwrap();
    device.ask(|session, now, actions| session.resend(now, &message, actions)).unwrap();
    assert_eq!(device.timers()[0], Some(60), "it is sent again");
    device.server(&[tick(8, START_MS + 2, 1)]);
    assert_eq!(device.timers()[0], Some(60));
}

#[test]
fn of_several_timers_the_one_holds_that_the_server_took_last() {
    let mut device = Device::online();
    device.set_timer(Target::Peer(8), 60);
    device.set_timer(Target::Peer(8), 90);
    device.server(&[Frame::Skip { position: 4 }]);
    device.peer_sends(5, 1, &Content::Timer { seconds: 10 });
    assert_eq!(device.timers()[0], Some(90), "this person's, until its time is known");
    let sent = |number, ordinal, time_ms| {
        let (peer, number) = (8, START_MS + number);
        Frame::Sent { peer, number, ordinal, time_ms: START_MS + time_ms }
    };
    device.server(&[sent(0, 1, 2)]);
    assert_eq!(device.timers()[0], Some(90));
    device.server(&[sent(1, 2, 4)]);
    assert_eq!(device.timers()[0], Some(10), "the peer's was taken after both");
    device.set_timer(Target::Peer(8), 0);
    device.server(&[sent(2, 3, 6)]);
    assert_eq!(device.timers()[0], Some(0));
}

/// The tick was lost with the connection, and the peer said something else since.
#[test]
fn a_timer_whose_tick_says_no_time_is_older_than_the_connection() {
    let mut device = Device::online();
    device.set_timer(Target::Peer(8), 60);
    device.lose();
    device.events();
    device.sent();
    device.login();
    device.pass(MINUTE_MS);
    device.peer_sends(1, 1, &Content::Timer { seconds: 10 });
    device.server(&[Frame::Sent { peer: 8, number: START_MS, ordinal: 1, time_ms: 0 }]);
    assert_eq!(device.timers()[0], Some(10));
}

#[test]
fn a_message_whose_tick_says_no_time_is_over_so_long_after_the_welcome() {
    let mut device = Device::online();
    let (content, psst) = body(&Content::Disappearing { seconds: 60, content: 1, body: b"psst" });
    let send =
        device.ask(|session, now, actions| session.send(now, 8, content, psst.into(), actions));
    device.lose();
    device.events();
    device.sent();
    device.login();
    device.pass(MINUTE_MS / 2);
    device.server(&[Frame::Sent { peer: 8, number: START_MS, ordinal: 1, time_ms: 0 }]);
    device.pass(MINUTE_MS / 2 - 1);
    assert!(send.is_ok() && device.of_peer().len() == 1);
    device.pass(1);
    assert!(device.of_peer().is_empty());
}

#[test]
fn mentions_and_timers_of_a_group_are_kept() {
    let mut device = Device::online();
    let users = [7, 9];
    let numbers = fulmar_protocol::Numbers::Slice(&users);
    for (position, content) in [
        (1, Content::Mention { users: numbers, content: 1, body: b"you two" }),
        (2, Content::Timer { seconds: 60 }),
    ] {
        let (content, body) = body(&content);
        device.server(&[Frame::GroupDeliver(GroupDeliver {
            group: 30,
            position,
            author: 9,
            time_ms: START_MS,
            content,
            own: false,
            total_bytes: None,
            body: &body,
        })]);
    }
    let kept = device.store.history(Target::Group(30), None, 9).unwrap();
    assert_eq!((kept[0].mentions(), kept[0].shown()), (vec![7, 9], (1, &b"you two"[..])));
    assert_eq!(device.store.groups().unwrap()[0].timer_s, 60);
}
