//! What a person sets, and who is there.

use fulmar_client::{GroupChange, content};
use fulmar_protocol::group::GroupNotice;
use fulmar_protocol::people::{Found, Item};
use fulmar_protocol::{Code, Frame};
use tempfile::TempDir;

use crate::frames::{START_MS, deliver};
use crate::groups::entry;
use crate::program::{Program, until};
use crate::server::Server;

#[tokio::test]
async fn what_is_set_is_said_once_the_server_has_it() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    // What comes of the book at first is no news.
    let item = |version, item, key: &'static [u8], value: &'static [u8]| {
        Frame::Item(Item { version, item, key, value })
    };
    let whole = Frame::Book { version: 1, head: 1, reset: false };
    peer.say(&[item(1, 3, b"\x08", b"Bob"), whole]).await;
    program.write("/block 9").await;
    peer.expect("put 2/\\t \u{1}").await;
    peer.say(&[item(2, 2, b"\x09", b"\x01")]).await;
    program.expect("* 9 is blocked").await;
    program.write("/pin").await;
    peer.expect("put 4/\\x00\\x08 \u{1}\0").await;
    peer.say(&[item(3, 4, b"\0\x08", b"\x01\0")]).await;
    program.expect("* the chat with 8 is pinned").await;
    program.write("/list").await;
    program.expect("* Bob (8): 0 unread, pinned (open)").await;
    program.write("/find bob").await;
    peer.expect("find bob").await;
    let code = Code::None;
    peer.say(&[Frame::Found(Found { name: b"bob", user: 8, code, retry_after_ms: 0 })]).await;
    program.expect("* bob is user 8; /with 8 opens a chat").await;
    program.write("/book").await;
    program.expect("* 9 is blocked").await;
    program.expect("* 8 is called Bob").await;
    program.expect("* the chat with 8 is pinned").await;
}

#[tokio::test]
async fn who_matters_is_watched_and_who_falls_out_is_not() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    let notice = GroupNotice { position: 1, group: 30, by: 10, time_ms: START_MS };
    let made = GroupChange::create("walk", &[7]).body();
    peer.say(&[Frame::GroupNotice(notice)]).await;
    program.expect("* 10 added you to group 30; /join 30").await;
    peer.say(&[entry(1, 10, content::CHANGE, &made), deliver(2, 9, 1, "psst")]).await;
    program.expect("* walk: 10 made the group \"walk\" with 7").await;
    program.expect("9 → me: psst  (unread; /with 9)").await;
    // Of others than the open peer nothing is printed.
    let online = |user| Frame::Presence { user, is_online: true, last_seen_ms: 0 };
    peer.say(&[online(9), online(8)]).await;
    program.expect("* 8 is online").await;
    program.write("/list").await;
    program.expect("* 9: 1 unread, online").await;
    program.expect("* walk (30): 0 unread").await;
    program.expect("* 8: 0 unread, online (open)").await;
    program.write("/join walk").await;
    program.write("/with 8").await;
    program.write("/quit").await;
    until(&mut peer, "goodbye none").await;
    let is_about = |line: &&String| line.contains("watch");
    let told: Vec<_> = peer.in_passing.iter().filter(is_about).collect();
    assert_eq!(told, ["watch [8]", "watch [9]", "watch [10]", "unwatch [10]"]);
}
