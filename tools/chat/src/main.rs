//! A terminal chat over Fulmar.
//!
//! | module | what lives there |
//! |---|---|
//! | `args`, `command` | the command line; what a line of input means |
//! | `chat` | the state of a chat, the same for both ways of showing it |
//! | `plain`, `input` | line mode, and lines from standard input |
//! | `screen`, `view`, `editor`, `terminal` | full screen: the loop, the drawing, the input line, the terminal's modes |
//! | `text`, `wrap` (of the library) | received text made harmless; lines of a terminal's columns |

mod args;
mod chat;
mod command;
mod editor;
#[cfg(test)]
#[path = "../../client/tests/script/frames.rs"]
#[allow(dead_code, reason = "the scripts of the client use the rest")]
mod frames;
mod input;
mod plain;
mod screen;
#[cfg(test)]
#[path = "../../client/tests/script/server.rs"]
#[allow(dead_code, reason = "the scripts of the client use the rest")]
mod server;
mod signals;
mod terminal;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use args::Args;
use clap::Parser;
use fulmar_chat::{text, wrap};
use fulmar_client::{Client, Events};

/// Exit status for a wrong command line, as clap gives it.
const USAGE: u8 = 2;
/// Exit status for a failure.
const FAILED: u8 = 3;

/// How long the goodbye may take at the end.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let args = Args::parse();
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if !args.plain && !terminal {
        eprintln!("fulmar-chat: this is no terminal; --plain works in pipes and scripts");
        return ExitCode::from(USAGE);
    }
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("fulmar-chat: can't start: {error}");
                return ExitCode::from(FAILED);
            }
        };
    ExitCode::from(runtime.block_on(start(&args)))
}

async fn start(args: &Args) -> u8 {
    let config = match args.config() {
        Ok(config) => config,
        Err(problem) => {
            eprintln!("fulmar-chat: {problem}");
            return USAGE;
        }
    };
    let store = config.store.display().to_string();
    let (client, events) = match Client::open(config).await {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("fulmar-chat: {error} (store: {store})");
            return FAILED;
        }
    };
    let result = run(args, client.clone(), events).await;
    // A server that doesn't answer must not keep the person from leaving.
    let _ = tokio::time::timeout(CLOSE_WAIT, client.close()).await;
    match result {
        Ok(status) => status,
        // Whoever reads our output has gone, which is no failure of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            eprintln!("fulmar-chat: {error}");
            FAILED
        }
    }
}

async fn run(args: &Args, client: Client, events: Events) -> io::Result<u8> {
    if args.plain {
        let at_end = plain::AtEnd { wait: Duration::from_secs(args.wait), follow: args.follow };
        plain::run(client, events, args.user, args.with, args.read, at_end).await
    } else {
        let title = format!("user {} device {} at {}", args.user, args.device, args.server);
        screen::run(client, events, args.user, title, args.with).await
    }
}
