//! What is written, its ticks, and what outlives the program.

use fulmar_client::Target;
use fulmar_client::store::{SqliteStore, Store};
use fulmar_protocol::{Code, Frame};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::frames::{WELCOME, deliver, receipt, tick};
use crate::program::Program;
use crate::server::{PATIENCE, Server};

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
    let mut again = Program::start(&server, &home, &[]);
    let mut peer = server.login().await;
    peer.expect("send 8 #0 hello").await;
    let (number, code) = (peer.base(), Code::QuotaExceeded);
    peer.say(&[Frame::Rejected { peer: 8, number, code, retry_after_ms: 0 }]).await;
    again.expect("* connected").await;
    again.expect("me → 8: hello  ✗ rejected: quota_exceeded (301)").await;
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
        let (mut peer, hello) = server.login_with(WELCOME).await;
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
