//! Groups over real sockets and between cores: every frame about them, both ways.

use fulmar_protocol::group::{Action, CONTENT_CHANGE, Change, GroupSend};
use fulmar_protocol::{Chunks, Code, Frame, Numbers, Pairs};

use super::harness::{Client, Got, Server, Setup};

/// The frames about groups that have no body, in words.
pub(crate) fn group_words(frame: &Frame<'_>) -> Option<String> {
    let list = |pairs: Pairs<'_>| {
        pairs.iter().fold(String::new(), |list, (user, what)| format!("{list} {user}:{what}"))
    };
    Some(match frame {
        Frame::GroupSent { number, position, time_ms, .. } => {
            let again = if *time_ms == 0 { " again" } else { "" };
            format!("sent {number} at {position}{again}")
        }
        Frame::GroupRejected(rejected) => {
            format!("rejected {} {}", rejected.number, rejected.code.name())
        }
        Frame::GroupSkip { position, .. } => format!("skip {position}"),
        Frame::GroupRead { position, .. } => format!("read {position}"),
        Frame::GroupReceipt(receipt) => format!(
            "receipt {} of {}: {} {} all {} {}{}",
            receipt.position,
            receipt.members,
            receipt.delivered,
            receipt.read,
            receipt.delivered_all,
            receipt.read_all,
            list(receipt.who)
        ),
        Frame::GroupState(state) => format!(
            "state {:?} {:?} head {} members {} shows {}{}",
            String::from_utf8_lossy(state.name),
            String::from_utf8_lossy(state.info),
            state.head,
            state.members,
            state.shows_history,
            list(state.roles)
        ),
        Frame::GroupNotice(notice) => format!("notice at {} by {}", notice.position, notice.by),
        Frame::GroupGone { position, .. } => format!("gone {position}"),
        _ => return None,
    })
}

pub(crate) fn change(
    client: &mut Client,
    group: u64,
    number: u64,
    action: Action,
    users: &[u64],
    value: &[u8],
) {
    let change = Change { action, users: Numbers::Slice(users), value };
    client.put(&Frame::GroupChange { group, number, change });
}

pub(crate) fn say(client: &mut Client, group: u64, number: u64, body: &[u8]) {
    let total_bytes = Chunks::total_bytes(body);
    for (index, piece) in Chunks::new(body).enumerate() {
        if index == 0 {
            let send = GroupSend { group, number, content: 1, total_bytes, body: piece };
            client.put(&Frame::GroupSend(send));
        } else {
            client.put(&Frame::Part { body: piece });
        }
    }
}

pub(crate) fn resume(client: &mut Client, cursors: &[(u64, u64)]) {
    client.put(&Frame::GroupResume { cursors: Pairs::Slice(cursors) });
}

/// The next thing that is about a group in these words or begins so; skips everything else.
pub(crate) fn words(client: &mut Client, expected: &str) -> String {
    loop {
        match client.next() {
            Got::Group(words) if words.starts_with(expected) => return words,
            Got::Eof => panic!("the connection ended before: {expected}"),
            Got::Group(words) if words.starts_with("rejected") => panic!("{words}, not {expected}"),
            _ => {}
        }
    }
}

/// The next entry of a group: its position, author, and body; skips everything else.
pub(crate) fn entry(client: &mut Client) -> (u64, u64, u8, Vec<u8>) {
    loop {
        match client.next() {
            Got::GroupDeliver { position, author, content, body, .. } => {
                return (position, author, content, body);
            }
            Got::Eof => panic!("no entry"),
            _ => {}
        }
    }
}

fn message(client: &mut Client, position: u64, author: u64, body: &[u8]) {
    assert_eq!(entry(client), (position, author, 1, body.to_vec()));
}

/// The next entry, which is a change by this author.
fn changed(client: &mut Client, position: u64, author: u64, action: Action) {
    let (at, by, content, body) = entry(client);
    assert_eq!((at, by, content), (position, author, CONTENT_CHANGE));
    assert_eq!(body[0], action as u8, "at {position}");
}

pub(crate) fn ack(client: &mut Client, group: u64, position: u64) {
    client.put(&Frame::GroupAck { group, position });
}

/// A group of 7, who made it, with these others, all of whom are there; they have its first entry.
pub(crate) fn group_of(server: &Server, others: &[u64]) -> (u64, Client, Vec<Client>) {
    let mut clients: Vec<Client> = others.iter().map(|&user| server.login(user, 1)).collect();
    let mut ann = server.login(7, 1);
    for client in clients.iter_mut().chain([&mut ann]) {
        resume(client, &[]);
        client.put(&Frame::Ping);
        client.expect(&Got::Pong { head: 0 });
    }
    change(&mut ann, 0, 1, Action::Create, others, b"birds");
    let mut group = 0;
    for client in &mut clients {
        words(client, "notice at 1 by 7");
        client.ack(1);
        let (position, author, content, body) = loop {
            match client.next() {
                Got::GroupDeliver { group: number, position, author, content, body, .. } => {
                    group = number;
                    break (position, author, content, body);
                }
                Got::Eof => panic!("no entry"),
                _ => {}
            }
        };
        assert_eq!((position, author, content), (1, 7, CONTENT_CHANGE));
        assert_eq!(body[0], Action::Create as u8);
        ack(client, group, 1);
    }
    words(&mut ann, "sent 1 at 1");
    words(&mut ann, "skip 1");
    (group, ann, clients)
}

#[test]
fn a_group_is_made_talks_and_hears_how_far_everybody_is() {
    let server = Setup::development().start();
    // Enough that some of them live on each core.
    let others: Vec<u64> = (20..26).collect();
    let (group, mut ann, mut clients) = group_of(&server, &others);
    say(&mut ann, group, 1, b"hello all");
    words(&mut ann, "sent 1 at 2");
    for client in &mut clients {
        message(client, 2, 7, b"hello all");
        ack(client, group, 2);
    }
    words(&mut ann, "receipt 2 of 6: 6 0 all 2 0");
    for client in &mut clients {
        client.put(&Frame::GroupRead { group, position: 2 });
        words(client, "read 2");
    }
    words(&mut ann, "receipt 2 of 6: 6 6 all 2 2");
    ann.put(&Frame::GroupAsk { group, position: 2, after: 23 });
    words(&mut ann, "receipt 2 of 6: 6 6 all 2 2 24:2 25:2");
    // A resend is answered as before, and comes to nobody again.
    say(&mut ann, group, 1, b"hello all");
    words(&mut ann, "sent 1 at 2 again");
    say(&mut clients[0], group, 1, b"hello ann");
    message(&mut ann, 3, 20, b"hello ann");
    message(&mut clients[5], 3, 20, b"hello ann");
}

#[test]
fn every_change_is_an_entry_that_all_see_in_its_place() {
    let server = Setup::development().start();
    let (group, mut ann, mut clients) = group_of(&server, &[8, 9]);
    let mut zoe = server.login(30, 1);
    resume(&mut zoe, &[]);
    let changes: [(Action, &[u64], &[u8]); 7] = [
        (Action::Rename, &[], b"gulls"),
        (Action::Describe, &[], b"of the sea"),
        (Action::Promote, &[8], b""),
        (Action::Demote, &[8], b""),
        (Action::ShowHistory, &[], b"\x01"),
        (Action::Add, &[30], b""),
        (Action::HandOver, &[9], b""),
    ];
    for (position, (action, users, value)) in (2..).zip(changes) {
        change(&mut ann, group, position, action, users, value);
        words(&mut ann, &format!("sent {position} at {position}"));
        for client in &mut clients {
            changed(client, position, 7, action);
            ack(client, group, position);
        }
    }
    // She may read what was before her.
    words(&mut zoe, "notice at 1 by 7");
    for (position, action) in (1..=8)
        .zip([Action::Create].into_iter().chain(changes.iter().map(|&(action, _, _)| action)))
    {
        changed(&mut zoe, position, 7, action);
        ack(&mut zoe, group, position);
    }
    ann.put(&Frame::GroupLook { group, after: 0 });
    let state = "state \"gulls\" \"of the sea\" head 8 members 4 shows true 7:2 8:1 9:3 30:1";
    assert_eq!(words(&mut ann, "state"), state);
    // Who isn't the owner any more may not end it; the owner may.
    change(&mut ann, group, 20, Action::Delete, &[], b"");
    assert_eq!(rejection(&mut ann), "rejected 20 not_allowed");
    change(&mut clients[0], group, 1, Action::Leave, &[], b"");
    words(&mut clients[0], "gone 9");
    change(&mut clients[1], group, 1, Action::Remove, &[30], b"");
    changed(&mut zoe, 9, 8, Action::Leave);
    changed(&mut zoe, 10, 9, Action::Remove);
    words(&mut zoe, "gone 10");
    say(&mut zoe, group, 1, b"still here?");
    assert_eq!(rejection(&mut zoe), "rejected 1 not_a_member");
    change(&mut clients[1], group, 2, Action::Delete, &[], b"");
    words(&mut ann, "gone 11");
}

/// The next rejection; skips everything else.
pub(crate) fn rejection(client: &mut Client) -> String {
    loop {
        match client.next() {
            Got::Group(words) if words.starts_with("rejected") => return words,
            Got::Eof => panic!("no rejection"),
            _ => {}
        }
    }
}

#[test]
fn who_was_away_gets_everything_also_after_a_crash() {
    let server = Setup::development().start();
    let (group, mut ann, clients) = group_of(&server, &[8, 9]);
    drop(clients);
    for number in 1..=300 {
        say(&mut ann, group, number, format!("message {number}").as_bytes());
        words(&mut ann, &format!("sent {number} at {}", number + 1));
    }
    let large = vec![b'x'; 200_000];
    say(&mut ann, group, 301, &large);
    words(&mut ann, "sent 301 at 302");
    let server = server.crash_and_restart();
    // One knows where it was, the other lost its store.
    for (user, from) in [(8, 1), (9, 0)] {
        let mut client = server.login(user, 1);
        let known = [(group, from)];
        resume(&mut client, if from > 0 { &known } else { &[] });
        for position in from + 1..=302 {
            if position == 1 {
                changed(&mut client, 1, 7, Action::Create);
            } else if position == 302 {
                message(&mut client, 302, 7, &large);
            } else {
                let body = format!("message {}", position - 1);
                message(&mut client, position, 7, body.as_bytes());
            }
            ack(&mut client, group, position);
        }
    }
    let mut ann = server.login(7, 1);
    resume(&mut ann, &[(group, 302)]);
    ann.put(&Frame::GroupAsk { group, position: 302, after: 0 });
    loop {
        let told = words(&mut ann, "receipt 302 of 2");
        if told.contains(": 2 0 all 302 0") {
            break;
        }
        ann.put(&Frame::GroupAsk { group, position: 302, after: 0 });
    }
}

#[test]
fn strangers_learn_nothing_of_a_group() {
    let server = Setup::development().start();
    let (group, _ann, _clients) = group_of(&server, &[8, 9]);
    let mut eve = server.login(66, 1);
    for number in [group, group ^ 1] {
        resume(&mut eve, &[(number, 0)]);
        words(&mut eve, "gone 0");
        eve.put(&Frame::GroupLook { group: number, after: 0 });
        words(&mut eve, "gone 0");
        eve.put(&Frame::GroupAsk { group: number, position: 1, after: 0 });
        words(&mut eve, "gone 0");
        say(&mut eve, number, 1, b"hello?");
        assert_eq!(rejection(&mut eve), "rejected 1 not_a_member");
        change(&mut eve, number, 2, Action::Leave, &[], b"");
        assert_eq!(rejection(&mut eve), "rejected 2 not_a_member");
    }
    // What was never sent can't be acknowledged.
    eve.put(&Frame::GroupAck { group, position: 9 });
    eve.put(&Frame::GroupRead { group, position: 9 });
    eve.put(&Frame::Typing { group, user: 0, is_typing: true });
    eve.put(&Frame::Ping);
    eve.expect(&Got::Pong { head: 0 });
}

#[test]
fn who_writes_is_shown_to_members_who_are_there() {
    let server = Setup::development().start();
    let (group, mut ann, mut clients) = group_of(&server, &(20..26).collect::<Vec<_>>());
    for client in &mut clients {
        client.put(&Frame::Activity { is_here: true });
        client.put(&Frame::Ping);
        while client.next() != (Got::Pong { head: 1 }) {}
    }
    ann.put(&Frame::Typing { group, user: 0, is_typing: true });
    for client in &mut clients {
        client.expect(&Got::Typing { user: 7, is_typing: true });
    }
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_ends_the_connection() {
    let server = Setup::development().start();
    let (group, _ann, mut clients) = group_of(&server, &[8, 9]);
    ack(&mut clients[0], group, 99);
    while let got = clients[0].next()
        && got != Got::Goodbye(Code::CursorAhead)
    {
        assert_ne!(got, Got::Eof);
    }
}
