//! The login, the connection, and the end.

use std::process::Stdio;

use fulmar_protocol::{Code, Frame, Goodbye};
use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{Program, command};
use crate::server::Server;

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
