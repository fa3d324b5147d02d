//! The built program in line mode, against a scripted server.

#[path = "../../../client/tests/script/frames.rs"]
#[allow(dead_code, reason = "the scripts of the client use the rest")]
mod frames;
#[path = "../../../client/tests/script/server.rs"]
#[allow(dead_code, reason = "the scripts of the client use the rest")]
mod server;

use std::process::Stdio;

use fulmar_client::store::{SqliteStore, Store};
use fulmar_client::{Action, GroupChange, Target, content};
use fulmar_protocol::group::{GroupDeliver, GroupNotice, GroupReceipt};
use fulmar_protocol::history::{HistoryEnd, Past};
use fulmar_protocol::people::{Found, Item};
use fulmar_protocol::{Code, Frame, Goodbye, Pairs};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use frames::{deliver, receipt, tick};
use server::{PATIENCE, Peer, Server};

struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

fn command(server: &Server, home: &TempDir, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-chat"));
    command
        .args(["--user", "7", "--plain", "--server", &server.address])
        .args(["--store", home.path().join("device.db").to_str().unwrap()])
        .args(more)
        .env_remove("FULMAR_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Program {
    fn start(server: &Server, home: &TempDir, more: &[&str]) -> Self {
        let mut child = command(server, home, more).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Program { input: child.stdin.take(), child, output }
    }

    async fn write(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    /// The next line without its time.
    async fn next(&mut self) -> String {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("a line in time");
        let line = line.unwrap().expect("a line before the end");
        assert_eq!(&line[2..3], ":", "{line}");
        line[9..].to_owned()
    }

    async fn expect(&mut self, line: &str) {
        assert_eq!(self.next().await, line);
    }

    async fn status(&mut self) -> i32 {
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("the end in time");
        ended.unwrap().code().unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }
}

#[tokio::test]
async fn a_message_is_printed_again_with_each_tick() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8", "--read"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    program.write("hello").await;
    program.expect("me → 8: hello  ·").await;
    peer.expect("send 8 #0 hello").await;
    peer.say(&[tick(8, peer.base(), 1)]).await;
    program.expect("me → 8: hello  ✓").await;
    peer.say(&[receipt(8, 1, 0)]).await;
    program.expect("me → 8: hello  ✓✓").await;
    peer.say(&[receipt(8, 1, 1)]).await;
    program.expect("me → 8: hello  ✓✓ read").await;
    peer.say(&[deliver(1, 8, 1, "hi\u{1b}[2J\nyou")]).await;
    program.expect("8 → me: hi␛[2J ⏎ you").await;
    peer.expect("ack 1").await;
    peer.expect("read 8 1").await;
    program.write("/quit").await;
    peer.expect("goodbye none").await;
    assert_eq!(program.status().await, 0);
}

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
async fn a_pipe_ends_when_everything_has_its_tick() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.write("one").await;
    program.write("two").await;
    program.input = None;
    let mut peer = server.login().await;
    peer.expect("send 8 #0 one").await;
    peer.expect("send 8 #1 two").await;
    peer.say(&[tick(8, peer.base(), 1), tick(8, peer.base() + 1, 2)]).await;
    assert_eq!(program.status().await, 0);
}

#[tokio::test]
async fn what_got_no_tick_goes_out_the_next_time() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8", "--wait", "1"]);
    program.write("hello").await;
    let mut peer = server.login().await;
    peer.expect("send 8 #0 hello").await;
    // It waits from the end of its input on, however long it took to send.
    program.input = None;
    assert_eq!(program.status().await, 1);
    let _again = Program::start(&server, &home, &[]);
    let mut peer = server.login().await;
    peer.expect("send 8 #0 hello").await;
}

/// The number in a line of [`nothing_is_lost_or_doubled_by_kill_9`].
fn numbered(line: &str) -> Option<u64> {
    line.rsplit_once("8 → me: number ")?.1.parse().ok()
}

/// What was printed just before the end may be printed again, for the person may not have seen it;
/// in the store each message is once.
#[tokio::test]
async fn nothing_is_lost_or_doubled_by_kill_9() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let (mut printed, mut stored) = (0u64, 0u64);
    for round in 0..6 {
        let mut program = Program::start(&server, &home, &["--with", "8", "--follow", "--read"]);
        let (mut peer, hello) = server.login_with(frames::WELCOME).await;
        let cursor = hello.rsplit_once("(0, ").unwrap().1.trim_end_matches(")]");
        stored = cursor.parse().unwrap();
        assert!(stored >= printed, "printed before it was stored: {printed} of {stored}");
        for position in stored + 1..stored + 200 {
            peer.say(&[deliver(position, 8, position, &format!("number {position}"))]).await;
        }
        let mut lines: Vec<String> = Vec::new();
        while lines.iter().filter_map(|line| numbered(line)).count() < 30 * round {
            lines.push(program.next().await);
        }
        program.signal("-KILL");
        timeout(PATIENCE, program.child.wait()).await.expect("the end").unwrap();
        while let Ok(Some(line)) = program.output.next_line().await {
            lines.push(line);
        }
        for number in lines.iter().filter_map(|line| numbered(line)) {
            assert!(number <= printed + 1, "{number} was printed after {printed}");
            printed = printed.max(number);
        }
    }
    assert!(stored > 100);
    let path = home.path().join("device.db");
    let mut store = SqliteStore::open(&path, 7, 1).unwrap();
    let history = store.history(Target::Peer(8), None, usize::MAX >> 1).unwrap();
    let texts: Vec<_> = history.iter().map(|message| message.body.to_vec()).collect();
    let due: Vec<_> = (1..=texts.len()).map(|n| format!("number {n}").into_bytes()).collect();
    assert_eq!(texts, due);
    assert!(texts.len() as u64 >= printed.max(stored));
}

#[tokio::test]
async fn a_refused_login_is_told_and_is_the_end() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--token", "abc"]);
    let mut peer = server.accept().await;
    let hello = peer.next().await.unwrap();
    assert!(hello.starts_with("hello 7/1 abc fulmar-chat/"), "{hello}");
    let (code, detail) = (Code::TokenInvalid, "the signature is wrong");
    peer.say(&[Frame::Refuse { code, retry_after_ms: 0, detail }]).await;
    let told = program.next().await;
    let expected = "the server refused the login: token_invalid (200): the signature is wrong";
    assert_eq!(told, format!("* {expected}"));
    assert_eq!(program.status().await, 3);
}

#[tokio::test]
async fn a_lost_connection_is_told_with_the_next_attempt() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &[]);
    let mut peer = server.login().await;
    program.expect("* connected").await;
    let code = Code::ShuttingDown;
    let goodbye = Goodbye { code, retry_after_ms: 0, address: "", detail: "back soon" };
    peer.say(&[Frame::Goodbye(goodbye)]).await;
    let told = "* the server said goodbye: shutting_down (401): back soon; next attempt in 1 s";
    program.expect(told).await;
    server.login().await;
    program.expect("* connected").await;
}

#[tokio::test]
async fn a_rejected_message_can_be_sent_again() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    let mut peer = server.login().await;
    program.write("hello").await;
    peer.expect("send 8 #0 hello").await;
    let (number, code) = (peer.base(), Code::QuotaExceeded);
    peer.say(&[Frame::Rejected { peer: 8, number, code, retry_after_ms: 0 }]).await;
    while program.next().await != "me → 8: hello  ✗ rejected: quota_exceeded (301)" {}
    program.write("/retry").await;
    program.expect("me → 8: hello  ·").await;
    peer.expect("send 8 #1 hello").await;
    peer.say(&[tick(8, peer.base() + 1, 1)]).await;
    program.expect("me → 8: hello  ✓").await;
    program.write("/quit").await;
    assert_eq!(program.status().await, 0);
}

#[tokio::test]
async fn a_signal_ends_it_with_a_goodbye() {
    for (signal, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let (server, home) = (Server::start().await, TempDir::new().unwrap());
        let mut program = Program::start(&server, &home, &["--follow"]);
        let mut peer = server.login().await;
        program.expect("* connected").await;
        program.signal(signal);
        peer.expect("goodbye none").await;
        drop(peer);
        assert_eq!(program.status().await, status);
    }
}

#[tokio::test]
async fn mistakes_at_the_start_are_told_clearly() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--server", "nowhere"], 2, "host:port"),
        (&["--token", "@/no/such/file"], 2, "can't read the token file /no/such/file"),
        (&["--store", "/no/such/directory/x.db"], 3, "/no/such/directory/x.db"),
        (&["--device", "70000"], 2, "65535"),
    ];
    for (more, status, part) in cases {
        let mut all = command(&server, &home, &[]);
        // A later value of the same option is refused by the parser, so each case stands alone.
        if more[0] == "--server" || more[0] == "--store" {
            all = Command::new(env!("CARGO_BIN_EXE_fulmar-chat"));
            all.args(["--user", "7", "--plain"]).env("XDG_DATA_HOME", home.path());
        }
        let output = all.args(*more).stdin(Stdio::null()).output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*status), "{told}");
        assert!(told.contains(part), "{part} in {told}");
    }
    let program = Program::start(&server, &home, &["--follow"]);
    server.login().await;
    let second = command(&server, &home, &[]).stdin(Stdio::null()).output().await.unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("in use by another program"), "{told}");
    drop(program);
    let mut full = Command::new(env!("CARGO_BIN_EXE_fulmar-chat"));
    let output = full.args(["--user", "7"]).stdin(Stdio::null()).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("--plain works in pipes"), "{told}");
}

/// An entry of group 30.
fn entry(position: u64, author: u64, content: u8, body: &[u8]) -> Frame<'_> {
    Frame::GroupDeliver(GroupDeliver {
        group: 30,
        position,
        author,
        time_ms: frames::START_MS,
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
    let sent = |number, position| Frame::GroupSent {
        group: 30,
        number,
        position,
        time_ms: frames::START_MS,
    };
    peer.say(&[sent(peer.base(), 1), Frame::GroupSkip { group: 30, position: 1 }]).await;
    program.expect("me → walk: made the group \"walk\" with 8, 9  ✓").await;
    program.expect("* writing in walk").await;
    peer.expect("group ack 30 1").await;
    program.write("hello").await;
    program.expect("me → walk: hello  ·").await;
    peer.expect("group send 30 #1 hello").await;
    peer.say(&[sent(peer.base() + 1, 2), Frame::GroupSkip { group: 30, position: 2 }]).await;
    program.expect("me → walk: hello  ✓").await;
    peer.expect("group ack 30 2").await;
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
    peer.expect("group ack 30 3").await;
    peer.expect("group read 30 3").await;
    peer.say(&[entry(4, 8, content::CHANGE, &added)]).await;
    program.expect("* walk: 8 added 10").await;
    peer.expect("group ack 30 4").await;
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
    let notice = GroupNotice { position: 1, group: 30, by: 8, time_ms: frames::START_MS };
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
    let past = |position, text: &'static str| {
        Frame::Past(Past {
            group: 0,
            position,
            peer: 8,
            ordinal: position,
            time_ms: frames::START_MS,
            content: content::TEXT,
            own: false,
            total_bytes: None,
            body: text.as_bytes(),
        })
    };
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

/// Passes over what the program says until it says this.
async fn until(peer: &mut Peer, line: &str) {
    while let Some(next) = peer.next().await {
        if next == line {
            return;
        }
        println!("passed over {next:?}, waiting for {line:?}");
    }
    panic!("the connection ended before {line:?}");
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

#[tokio::test]
async fn an_owner_changes_everything_about_a_group_and_ends_it() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &[]);
    let mut peer = server.login().await;
    program.expect("* connected").await;
    program.write("/group walk 8 9").await;
    program.expect("me → a new group: made the group \"walk\" with 8, 9  ·").await;
    peer.expect("change 0 #0 create [8, 9] walk").await;
    let time_ms = frames::START_MS;
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
    let notice = GroupNotice { position: 1, group: 30, by: 8, time_ms: frames::START_MS };
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

#[tokio::test]
async fn a_text_is_sent_as_one_that_disappears() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    program.write("/vanish 30s hello").await;
    program.expect("me → 8: hello  ·").await;
    // Seconds, what is in it, and that.
    peer.expect("send 8 #0 \u{1e}\u{1}hello").await;
    program.write("stays").await;
    program.expect("me → 8: stays  ·").await;
    peer.expect("send 8 #1 stays").await;
}

#[tokio::test]
async fn who_matters_is_watched_and_who_falls_out_is_not() {
    let (server, home) = (Server::start().await, TempDir::new().unwrap());
    let mut program = Program::start(&server, &home, &["--with", "8"]);
    program.expect("* chatting with 8").await;
    let mut peer = server.login().await;
    program.expect("* connected").await;
    let notice = GroupNotice { position: 1, group: 30, by: 10, time_ms: frames::START_MS };
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
