//! Groups.

use fulmar_client::{Action, GroupChange, content};
use fulmar_protocol::group::{GroupDeliver, GroupNotice, GroupReceipt};
use fulmar_protocol::{Frame, Pairs};
use tempfile::TempDir;

use crate::frames::START_MS;
use crate::program::{Program, until};
use crate::server::Server;

/// An entry of group 30.
pub(crate) fn entry(position: u64, author: u64, content: u8, body: &[u8]) -> Frame<'_> {
    Frame::GroupDeliver(GroupDeliver {
        group: 30,
        position,
        author,
        time_ms: START_MS,
        content,
        own: false,
        total_bytes: None,
        body,
    })
}

#[tokio::test]
async fn a_group_is_made_written_in_and_left() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--read"]);
    let mut peer = server.login().await;
    program.expect("* connected").await;
    program.write("/group walk 8 9").await;
    program.expect("me → a new group: made the group \"walk\" with 8, 9  ·").await;
    peer.expect("change 0 #0 create [8, 9] walk").await;
    // The notice, which is for one's other devices, may come first; it says nothing new here.
    let notice = GroupNotice { position: 1, group: 30, by: 7, time_ms: START_MS };
    peer.say(&[Frame::GroupNotice(notice)]).await;
    let sent =
        |number, position| Frame::GroupSent { group: 30, number, position, time_ms: START_MS };
    peer.say(&[sent(peer.base(), 1), Frame::GroupSkip { group: 30, position: 1 }]).await;
    program.expect("me → walk: made the group \"walk\" with 8, 9  ✓").await;
    program.expect("* writing in walk").await;
    until(&mut peer, "group ack 30 1").await;
    program.write("hello").await;
    program.expect("me → walk: hello  ·").await;
    peer.expect("group send 30 #1 hello").await;
    peer.say(&[sent(peer.base() + 1, 2), Frame::GroupSkip { group: 30, position: 2 }]).await;
    program.expect("me → walk: hello  ✓").await;
    until(&mut peer, "group ack 30 2").await;
    let receipt = |delivered, read| {
        Frame::GroupReceipt(GroupReceipt {
            group: 30,
            position: 2,
            members: 2,
            delivered,
            read,
            delivered_all: 0,
            read_all: 0,
            who: Pairs::Slice(&[]),
        })
    };
    peer.say(&[receipt(1, 0)]).await;
    program.expect("me → walk: hello  ✓ delivered 1 of 2, read 0").await;
    peer.say(&[receipt(2, 1)]).await;
    program.expect("me → walk: hello  ✓✓ delivered 2 of 2, read 1").await;
    let added = GroupChange::of_users(Action::Add, &[10]).body();
    peer.say(&[entry(3, 8, content::TEXT, b"hi")]).await;
    program.expect("8 → walk: hi").await;
    until(&mut peer, "group ack 30 3").await;
    peer.expect("group read 30 3").await;
    peer.say(&[entry(4, 8, content::CHANGE, &added)]).await;
    program.expect("* walk: 8 added 10").await;
    until(&mut peer, "group ack 30 4").await;
    peer.expect("group read 30 4").await;
    let typing = Frame::Typing { group: 30, user: 9, is_typing: true };
    let presence = Frame::Presence { user: 8, is_online: true, last_seen_ms: 0 };
    peer.say(&[presence, typing]).await;
    program.expect("* 9 writes …").await;
    program.write("/who").await;
    for line in ["* 7: owner", "* 8: member, online", "* 9: member", "* 10: member"] {
        program.expect(line).await;
    }
    peer.expect("group ask 30 4 who after 0").await;
    program.write("/remove 8").await;
    program.expect("me → walk: removed 8  ·").await;
    peer.expect("change 30 #2 remove [8] ").await;
    program.write("/with 8").await;
    program.expect("* chatting with 8").await;
    program.write("/list").await;
    program.expect("* walk (30): 0 unread").await;
    program.expect("* 8: 0 unread, online (open)").await;
    program.write("/leave").await;
    program.expect("* no group is open; /join opens one").await;
    program.write("/join walk").await;
    program.expect("* writing in walk").await;
    program.write("/leave").await;
    program.expect("me → walk: left  ·").await;
    peer.expect("change 30 #3 leave [] ").await;
    let skip = Frame::GroupSkip { group: 30, position: 5 };
    peer.say(&[skip, Frame::GroupGone { group: 30, position: 5 }]).await;
    program.expect("* you are no member of walk").await;
}

#[tokio::test]
async fn who_is_added_to_a_group_is_told() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &[]);
    let mut peer = server.login().await;
    program.expect("* connected").await;
    let notice = GroupNotice { position: 1, group: 30, by: 8, time_ms: START_MS };
    peer.say(&[Frame::GroupNotice(notice)]).await;
    program.expect("* 8 added you to group 30; /join 30").await;
    let made = GroupChange::create("walk\u{1b}[2J", &[7]).body();
    peer.say(&[entry(1, 8, content::CHANGE, &made), entry(2, 8, content::TEXT, b"hi")]).await;
    program.expect("* walk␛[2J: 8 made the group \"walk␛[2J\" with 7").await;
    program.expect("8 → walk␛[2J: hi  (unread; /join walk␛[2J)").await;
    program.write("/join 30").await;
    program.expect("* writing in walk␛[2J").await;
}

#[tokio::test]
async fn an_owner_changes_everything_about_a_group_and_ends_it() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &[]);
    let mut peer = server.login().await;
    program.expect("* connected").await;
    program.write("/group walk 8 9").await;
    program.expect("me → a new group: made the group \"walk\" with 8, 9  ·").await;
    peer.expect("change 0 #0 create [8, 9] walk").await;
    let time_ms = START_MS;
    let sent = |number, position| Frame::GroupSent { group: 30, number, position, time_ms };
    peer.say(&[sent(peer.base(), 1), Frame::GroupSkip { group: 30, position: 1 }]).await;
    program.expect("me → walk: made the group \"walk\" with 8, 9  ✓").await;
    program.expect("* writing in walk").await;
    peer.expect("group ack 30 1").await;
    let changes = [
        ("/promote 8", "made 8 admin", "promote [8] "),
        ("/demote 8", "made 8 a member like the others", "demote [8] "),
        (
            "/describe every  Sunday",
            "described the group: every  Sunday",
            "describe [] every  Sunday",
        ),
        ("/describe", "removed the description", "describe [] "),
        ("/show-history on", "shows new members what was before", "show_history [] \u{1}"),
        ("/show-history off", "hides what was before from new members", "show_history [] \0"),
        ("/hand-over 9", "handed the group over to 9", "hand_over [9] "),
    ];
    for (number, (line, told, frame)) in (1..).zip(changes) {
        program.write(line).await;
        program.expect(&format!("me → walk: {told}  ·")).await;
        until(&mut peer, &format!("change 30 #{number} {frame}")).await;
        let skip = Frame::GroupSkip { group: 30, position: number + 1 };
        peer.say(&[sent(peer.base() + number, number + 1), skip]).await;
        program.expect(&format!("me → walk: {told}  ✓")).await;
    }
    program.write("/end").await;
    let asked = "* this ends walk for everybody, for good; /end 30 does it";
    program.expect(asked).await;
    program.write("/end wall").await;
    program.expect(asked).await;
    program.write("/end walk").await;
    program.expect("me → walk: ended the group  ·").await;
    until(&mut peer, "change 30 #8 delete [] ").await;
    program.write("/with 8").await;
    program.expect("* chatting with 8").await;
    program.write("/end walk").await;
    program.expect("* no group is open; /join opens one").await;
}

#[tokio::test]
async fn of_a_large_group_all_pages_tell_who_is_how_far() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &[]);
    let mut peer = server.login().await;
    program.expect("* connected").await;
    let notice = GroupNotice { position: 1, group: 30, by: 8, time_ms: START_MS };
    let made = GroupChange::create("walk", &[7]).body();
    peer.say(&[Frame::GroupNotice(notice)]).await;
    program.expect("* 8 added you to group 30; /join 30").await;
    peer.say(&[entry(1, 8, content::CHANGE, &made)]).await;
    program.expect("* walk: 8 made the group \"walk\" with 7").await;
    program.write("/join walk").await;
    program.expect("* writing in walk").await;
    program.expect("* walk: 8 made the group \"walk\" with 7").await;
    program.write("/who").await;
    program.expect("* 7: member").await;
    program.expect("* 8: owner").await;
    let all: Vec<(u64, u64)> = (0..300).map(|nth| (1_000 + nth, 1)).collect();
    let page = |who| {
        Frame::GroupReceipt(GroupReceipt {
            group: 30,
            position: 1,
            members: 300,
            delivered: 300,
            read: 0,
            delivered_all: 1,
            read_all: 0,
            who: Pairs::Slice(who),
        })
    };
    until(&mut peer, "group ask 30 1 who after 0").await;
    peer.say(&[page(&all[..256])]).await;
    until(&mut peer, "group ask 30 1 who after 1255").await;
    peer.say(&[page(&all[256..])]).await;
    for (user, _) in &all {
        program.expect(&format!("* {user} has the newest message")).await;
    }
}
