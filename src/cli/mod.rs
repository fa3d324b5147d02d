//! The command line: `fulmar serve`, `fulmar key`, `fulmar token`, `fulmar doctor`.
//!
//! Answers go to stdout, everything else to stderr. Exit codes: 0 for success, 1 for a failure,
//! 2 for a command line, a configuration, a key file or a data directory that is wrong.

mod doctor;
mod keys;
mod serve;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};

/// A wrong command line or configuration.
const EXIT_USAGE: u8 = 2;

/// A chat edge server: very many connections on a small machine, and nothing lost that was ticked.
#[derive(Debug, Parser)]
#[command(name = "fulmar", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "To try it out on this machine alone:\n  \
    fulmar serve --insecure-dev --data-dir /tmp/fulmar\n\n\
    To serve:\n  \
    fulmar key generate --keys keys.toml\n  \
    fulmar token --keys keys.toml --user 7 --device 1\n  \
    fulmar doctor --connections 100000\n  \
    fulmar serve --keys keys.toml --listen 0.0.0.0:7700")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    ///
    /// A setting is a flag, or a variable of the environment, or a line of the file named by
    /// --config, in this order; else its default holds. SIGTERM stops in an orderly way, a second
    /// one at once; SIGHUP reads the key file and the log filter again.
    ///
    /// On stdout it prints `fulmar control on ADDRESS`, unless that is switched off, and, once clients can
    /// connect, `fulmar ready on ADDRESS`; logs go to stderr.
    Serve(serve::Serve),
    /// Make and show the keys that login tokens are signed with.
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// Sign a login token for a device of a user and print it.
    Token(keys::TokenCommand),
    /// Say what of this machine is too small for a number of connections, and how to mend it.
    ///
    /// Exits with 1 if anything is short.
    Doctor(doctor::Doctor),
}

/// Why a command ends without success.
#[derive(Debug)]
enum Failure {
    /// What was asked for is wrong.
    Usage(String),
    /// It was right and didn't work.
    Run(String),
    /// The answer itself is no; it has been printed.
    No,
}

impl Failure {
    fn usage(error: &impl fmt::Display) -> Failure {
        Failure::Usage(error.to_string())
    }

    fn run(error: &impl fmt::Display) -> Failure {
        Failure::Run(error.to_string())
    }
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::FAILURE,
        Err(Failure::Run(message)) => {
            complain(&message);
            ExitCode::FAILURE
        }
        Err(Failure::Usage(message)) => {
            complain(&message);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(command) => command.run(),
        Command::Key(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Doctor(command) => command.run(),
    }
}

/// Each line of the message with the program's name before it, as for several errors at once.
fn complain(message: &str) {
    let mut stderr = io::stderr().lock();
    for line in message.lines() {
        let _ = writeln!(stderr, "fulmar: {line}");
    }
}

/// Prints an answer. A reader that went away, like `head`, is no failure.
fn print(answer: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(answer.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::run(&error)),
        _ => Ok(()),
    }
}

/// Seconds of Unix time.
fn now_unix_s() -> Result<u64, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map(|time| time.as_secs()).map_err(|_| Failure::Run("the clock is before 1970".to_owned()))
}
