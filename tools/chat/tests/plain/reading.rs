//! Messages that came: read, numbered, changed, starred, fetched.

use fulmar_client::content;
use fulmar_protocol::Frame;
use fulmar_protocol::history::{HistoryEnd, Past};
use fulmar_protocol::people::Item;
use tempfile::TempDir;

use crate::frames::{START_MS, deliver, tick};
use crate::program::{Program, until};
use crate::server::{Peer, Server};

#[tokio::test]
async fn what_belongs_to_another_conversation_waits_unread() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8", "--read"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    peer.say(&[deliver(1, 9, 1, "psst"), deliver(2, 9, 2, "hey")]).await;
    program.expect("9 → me: psst  (unread; /with 9)").await;
    program.expect("9 → me: hey  (unread; /with 9)").await;
    program.write("/list").await;
    program.expect("* 9: 2 unread").await;
    program.expect("* 8: 0 unread (open)").await;
    peer.expect("ack 2").await;
    program.write("/with 9").await;
    program.expect("* chatting with 9").await;
    program.expect("9 → me: psst").await;
    program.expect("9 → me: hey").await;
    peer.expect("read 9 2").await;
    program.write("/history 1").await;
    program.expect("9 → me: hey").await;
    program.write("/dance").await;
    program.expect("* there is no command /dance; /help shows the commands").await;
}

#[tokio::test]
async fn messages_are_edited_deleted_and_reacted_to_by_their_numbers() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    program.write("helo").await;
    program.expect("me → 8: helo  ·").await;
    peer.expect("send 8 #0 helo").await;
    peer.say(&[tick(8, peer.base(), 1), deliver(1, 8, 1, "hi")]).await;
    program.expect("me → 8: helo  ✓").await;
    program.expect("8 → me: hi").await;
    peer.expect("ack 1").await;
    program.write("/numbers").await;
    program.write("/edit 1 hello").await;
    program.expect("me → 8: [edited to] hello  ·").await;
    peer.expect("send 8 #1 \u{1}hello").await;
    peer.say(&[tick(8, peer.base() + 1, 2)]).await;
    program.expect("me → 8: [edited to] hello  ✓").await;
    program.write("/react 2 +1").await;
    program.expect("me → 8: [reacted] +1  ·").await;
    peer.expect("send 8 #2 \u{1}\u{1}+1").await;
    peer.say(&[tick(8, peer.base() + 2, 3)]).await;
    program.expect("me → 8: [reacted] +1  ✓").await;
    program.write("/history 2").await;
    program.expect("#1 me → 8: hello (edited)  ✓").await;
    program.expect("#2 8 → me: hi  [+1 me]").await;
    program.write("/delete 2").await;
    program.expect("* that can't be done with this message").await;
    program.write("/delete 9").await;
    program.expect("* no message 9 here; /numbers shows them").await;
}

/// An entry of the time before.
fn past(position: u64, text: &str) -> Frame<'_> {
    Frame::Past(Past {
        group: 0,
        position,
        peer: 8,
        ordinal: position,
        time_ms: START_MS,
        content: content::TEXT,
        own: false,
        total_bytes: None,
        body: text.as_bytes(),
    })
}

#[tokio::test]
async fn older_messages_are_fetched_from_the_server() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    peer.say(&[Frame::Skip { position: 2 }, deliver(3, 8, 3, "new")]).await;
    program.expect("8 → me: new").await;
    peer.expect("ack 3").await;
    program.write("/history 2").await;
    peer.expect("history 0 @1 to @2, 1 true").await;
    let end = |from, through| {
        let (group, has_more) = (0, from > 1);
        Frame::HistoryEnd(HistoryEnd { group, from, through, has_more })
    };
    // Nothing is kept there, so the next page is asked for.
    peer.say(&[end(2, 2)]).await;
    peer.expect("history 0 @1 to @1, 1 true").await;
    peer.say(&[past(1, "old"), end(1, 1)]).await;
    program.expect("8 → me: old").await;
    program.expect("8 → me: new").await;
}

/// A program that asked a server, which never answers, for what was before its only message.
async fn looking_back(server: &Server, home: &TempDir, wait: &str) -> (Program, Peer) {
    let mut program = Program::start(server, home, &["--with", "8", "--wait", wait]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    peer.say(&[Frame::Skip { position: 2 }, deliver(3, 8, 3, "new")]).await;
    program.expect("8 → me: new").await;
    peer.expect("ack 3").await;
    program.write("/history 300").await;
    peer.expect("history 0 @1 to @2, 256 true").await;
    (program, peer)
}

#[tokio::test]
async fn the_end_waits_for_no_history_that_nobody_wants_any_more() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let (mut program, _peer) = looking_back(&server, &home, "60").await;
    program.write("/with 9").await;
    program.expect("* chatting with 9").await;
    program.input = None;
    assert_eq!(program.status().await, 0);
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let (mut program, _peer) = looking_back(&server, &home, "60").await;
    program.write("/history 1").await;
    program.expect("8 → me: new").await;
    program.input = None;
    assert_eq!(program.status().await, 0);
}

#[tokio::test]
async fn the_end_tells_of_a_history_that_did_not_come() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let (mut program, _peer) = looking_back(&server, &home, "1").await;
    program.input = None;
    program.expect("* the server didn't send in time what was before").await;
    assert_eq!(program.status().await, 0, "of what was sent nothing is left");
}

#[tokio::test]
async fn a_second_history_takes_the_place_of_the_first() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let (mut program, mut peer) = looking_back(&server, &home, "60").await;
    program.write("/history 2").await;
    // So the program took it.
    program.write("/list").await;
    program.expect("* 8: 1 unread (open)").await;
    program.input = None;
    let (group, from, through, has_more) = (0, 1, 2, false);
    let end = Frame::HistoryEnd(HistoryEnd { group, from, through, has_more });
    peer.say(&[past(2, "old"), past(1, "oldest"), end]).await;
    program.expect("8 → me: old").await;
    program.expect("8 → me: new").await;
    assert_eq!(program.status().await, 0);
}

#[tokio::test]
async fn a_script_reads_for_nobody_unless_it_is_told_to() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    peer.say(&[deliver(1, 8, 1, "hi")]).await;
    program.expect("8 → me: hi").await;
    peer.expect("ack 1").await;
    program.write("/list").await;
    program.expect("* 8: 1 unread (open)").await;
    program.write("/with 8").await;
    program.expect("* chatting with 8").await;
    program.expect("8 → me: hi").await;
    program.write("/quit").await;
    // No read, and nobody was here.
    peer.expect("goodbye none").await;
    assert_eq!(program.status().await, 0);
    let mut program = Program::start(&server, &home, &["--with", "8", "--read"]);
    program.expect("* chatting with 8").await;
    program.expect("8 → me: hi").await;
    server.login().await.expect("read 8 1").await;
}

#[tokio::test]
async fn messages_are_starred_by_their_numbers_and_listed() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    peer.say(&[Frame::Book { version: 0, head: 0, reset: false }, deliver(1, 8, 1, "hi\nyou")])
        .await;
    program.expect("8 → me: hi ⏎ you").await;
    program.write("/stars").await;
    program.expect("* nothing is starred; /star 5 stars message 5").await;
    program.write("/star 9").await;
    program.expect("* no message 9 here; /numbers shows them").await;
    program.write("/star 1").await;
    until(&mut peer, "put 5/\\x00\\x08\\x01\\x00 \u{1}").await;
    let item = |version, key: &'static [u8], value: &'static [u8]| {
        Frame::Item(Item { version, item: 5, key, value })
    };
    peer.say(&[item(1, b"\0\x08\x01\0", b"\x01")]).await;
    program.expect("* a message in the chat with 8 is starred").await;
    program.write("/history 1").await;
    program.expect("★ 8 → me: hi ⏎ you").await;
    peer.say(&[item(2, b"\x01\x1e\x05", b"\x01")]).await;
    program.expect("* a message in group 30 is starred").await;
    program.write("/stars").await;
    program.expect("* ★ group 30: a message that this device doesn't have").await;
    let line = program.next().await;
    assert!(line.starts_with("* ★ 8, ") && line.ends_with(", 8: hi ⏎ you"), "{line}");
    program.write("/book").await;
    program.expect("* 2 messages are starred; /stars shows them").await;
    program.write("/unstar 1").await;
    until(&mut peer, "put 5/\\x00\\x08\\x01\\x00 ").await;
    peer.say(&[item(3, b"\0\x08\x01\0", b"")]).await;
    program.expect("* a message in the chat with 8 isn't starred any more").await;
}
