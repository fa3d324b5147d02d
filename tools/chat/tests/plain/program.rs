//! The built program and its lines.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::server::{PATIENCE, Peer, Server};

pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    pub(crate) output: Lines<BufReader<ChildStdout>>,
}

pub(crate) fn command(server: &Server, home: &TempDir, more: &[&str]) -> Command {
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
    pub(crate) fn start(server: &Server, home: &TempDir, more: &[&str]) -> Self {
        let mut child = command(server, home, more).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Program { input: child.stdin.take(), child, output }
    }

    pub(crate) async fn write(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    /// The next line without its time.
    pub(crate) async fn next(&mut self) -> String {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("a line in time");
        let line = line.unwrap().expect("a line before the end");
        assert_eq!(&line[2..3], ":", "{line}");
        line[9..].to_owned()
    }

    pub(crate) async fn expect(&mut self, line: &str) {
        assert_eq!(self.next().await, line);
    }

    pub(crate) async fn status(&mut self) -> i32 {
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("the end in time");
        ended.unwrap().code().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }
}

/// Passes over what the program says until it says this.
pub(crate) async fn until(peer: &mut Peer, line: &str) {
    while let Some(next) = peer.next().await {
        if next == line {
            return;
        }
        println!("passed over {next:?}, waiting for {line:?}");
    }
    panic!("the connection ended before {line:?}");
}
