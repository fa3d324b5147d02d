//! The tortured server: started, killed, stopped, and gone when this program ends, however it ends.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Failure;
use crate::limits::{CAMPAIGN_STEP, LOG_LINES_SHOWN, SERVER_READY, SERVER_STOP};

/// What the server prints, before the address, when it accepts connections.
const READY: &str = "fulmar ready on ";

/// How to start the server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The binary.
    pub program: PathBuf,
    /// What it finds again after each kill.
    pub data: PathBuf,
    /// Where its log goes, one start after the other.
    pub log: PathBuf,
    /// `fsync` or `os`.
    pub durability: &'static str,
    /// Threads of its message path.
    pub cores: u32,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// A process of the server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    addresses: Receiver<String>,
    log: PathBuf,
}

impl Server {
    /// Starts the process; it needs a while to recover and to listen.
    pub fn start(options: &ServerOptions) -> Result<Server, Failure> {
        let log = open_log(&options.log).map_err(Failure::system("writing the server's log"))?;
        let mut command = command(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // setpriv would say so only once it runs.
        let found = std::fs::metadata(&options.program);
        let mut child = found.and_then(|_| command.spawn()).map_err(|source| {
            Failure::Program(format!(
                "the server {} can't be started: {source}; build it (cargo build --release \
                 --bin fulmar) or name it with --fulmar PATH",
                options.program.display()
            ))
        })?;
        let addresses = watch(child.stdout.take());
        Ok(Server { child, addresses, log: options.log.clone() })
    }

    /// Waits until the server accepts connections, and where.
    pub fn wait_until_ready(&mut self, interrupted: &AtomicBool) -> Result<SocketAddr, Failure> {
        let deadline = Instant::now() + SERVER_READY;
        while Instant::now() < deadline {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            if let Some(address) = self.ready_within(CAMPAIGN_STEP)? {
                return Ok(address);
            }
        }
        Err(self.failure(&format!("the server was not ready after {} s", SERVER_READY.as_secs())))
    }

    /// Where the server accepts connections, if it begins to within this time.
    pub fn ready_within(&mut self, time: Duration) -> Result<Option<SocketAddr>, Failure> {
        match self.addresses.recv_timeout(time) {
            Ok(text) => text.parse().map(Some).map_err(|_| {
                self.failure(&format!("the server is ready on {text:?}, not an address"))
            }),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_err(Failure::system("the server"))?;
                Err(self.failure(&format!("the server did not start ({status})")))
            }
        }
    }

    /// What is to be said if the process ended by itself.
    pub fn death(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(self.describe(&format!("the server ended by itself ({status})")))
    }

    /// SIGKILL, and waits until the process is gone: its locks and its port are free then.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Ends the server as an operator does. What is to be said if that wasn't clean.
    pub fn stop(mut self) -> Result<Option<String>, Failure> {
        let stopping = Failure::system("stopping the server");
        // The process is not waited for yet, so its number can't be another's.
        let signalled = match Pid::from_raw(self.child.id().cast_signed()) {
            Some(pid) => kill_process(pid, Signal::TERM).map_err(io::Error::from),
            None => Ok(()),
        };
        let status = signalled.and_then(|()| self.wait_until_gone()).map_err(stopping)?;
        Ok(match status {
            Some(status) if status.success() => None,
            Some(status) => Some(self.describe(&format!("the server stopped with {status}"))),
            None => {
                let seconds = SERVER_STOP.as_secs();
                Some(self.describe(&format!("the server was not gone {seconds} s after SIGTERM")))
            }
        })
    }

    fn wait_until_gone(&mut self) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + SERVER_STOP;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(CAMPAIGN_STEP);
        }
        Ok(None)
    }

    fn failure(&self, what: &str) -> Failure {
        Failure::Server(self.describe(what))
    }

    /// `what`, and the end of the server's log.
    fn describe(&self, what: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n    ");
        format!("{what}; the end of its log:\n    {shown}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // On every way out; where the process is gone this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    let mut log = File::options().append(true).create(true).open(path)?;
    writeln!(log, "--- start")?;
    Ok(log)
}

/// Reads the server's output for as long as it lives, so that its pipe never fills, and passes on
/// the address that it is ready on.
fn watch(output: Option<ChildStdout>) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(output) = output {
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix(READY) {
                    let _ = sender.send(address.trim().to_owned());
                }
            }
        });
    }
    receiver
}

fn command(options: &ServerOptions) -> Command {
    // If this program is killed, nobody else would end the server: setpriv asks the kernel to.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(&options.program);
    command.args(["serve", "--insecure-dev", "--listen", "127.0.0.1:0", "--control", "off"]);
    command.args(["--durability", options.durability, "--cores", &options.cores.to_string()]);
    command.arg("--data-dir").arg(&options.data).args(&options.arguments);
    // Its own group: ctrl-C in the terminal is for this program, which then ends the server.
    command.process_group(0);
    command
}
