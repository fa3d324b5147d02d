//! The tortured server: started, killed, stopped, and gone when this program ends, however it ends.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::failure::Failure;
use crate::limits::{CAMPAIGN_STEP, LOG_LINES_SHOWN, SERVER_READY, SERVER_STOP};

/// What the server prints, before the address, when it accepts connections.
const READY: &str = "fulmar ready on ";
/// And, before that line, where its control port is.
const CONTROL: &str = "fulmar control on ";

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
    /// Size of a segment of its journal, in MiB.
    pub segment_mib: u32,
    /// Where it listens.
    pub address: IpAddr,
    /// The network that it is in, if not in ours.
    pub network: Option<PathBuf>,
    /// The keys of login tokens; without them it takes anyone.
    pub keys: Option<PathBuf>,
    /// How many descriptors it may have open; as many as we may, if not stated.
    pub descriptors: Option<u64>,
    /// Its environment, besides ours.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// A process of the server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    addresses: Receiver<Addresses>,
    control: Option<SocketAddr>,
    log: PathBuf,
    /// Where this process's part of the log begins.
    log_begin: u64,
}

/// What the server said about itself.
#[derive(Debug)]
struct Addresses {
    ready: String,
    control: Option<String>,
}

/// A process that ended by itself.
#[derive(Debug)]
pub struct Death {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to its log.
    pub said: String,
}

impl Death {
    /// Whether the server stopped because it had to: it aborted, or refused to start. It ends with 2
    /// where a second try mends nothing (another program's data directory), otherwise with 1.
    pub fn is_deliberate(&self) -> bool {
        matches!(self.status.code(), Some(1 | 2))
            || self.status.signal() == Some(Signal::ABORT.as_raw())
    }

    /// Whether it was killed.
    pub fn is_kill(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// The end of what it said, after `what`.
    pub fn describe(&self, what: &str) -> String {
        describe(&format!("{what} ({})", self.status), &self.said)
    }
}

impl Server {
    /// Starts the process; it needs a while to recover and to listen.
    pub fn start(options: &ServerOptions) -> Result<Server, Failure> {
        let writing = || Failure::system("writing the server's log");
        let mut log = open_log(&options.log).map_err(writing())?;
        let log_begin = log.seek(SeekFrom::End(0)).map_err(writing())?;
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
        Ok(Server { child, addresses, control: None, log: options.log.clone(), log_begin })
    }

    /// Waits until the server accepts connections, and says where; or says how it ended before.
    pub fn wait_until_ready(
        &mut self,
        interrupted: &AtomicBool,
    ) -> Result<Result<SocketAddr, Death>, Failure> {
        let deadline = Instant::now() + SERVER_READY;
        while Instant::now() < deadline {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            match self.ready_within(CAMPAIGN_STEP)? {
                Ok(None) => {}
                Ok(Some(address)) => return Ok(Ok(address)),
                Err(death) => return Ok(Err(death)),
            }
        }
        let seconds = SERVER_READY.as_secs();
        Err(self.failure(&format!("the server was not ready after {seconds} s")))
    }

    /// Where the server accepts connections, if it begins to within this time; or how it ended.
    pub fn ready_within(
        &mut self,
        time: Duration,
    ) -> Result<Result<Option<SocketAddr>, Death>, Failure> {
        match self.addresses.recv_timeout(time) {
            Ok(Addresses { ready, control }) => {
                let control = control.map(|text| text.parse()).transpose();
                let parsed = ready.parse().and_then(|ready| Ok((ready, control?)));
                let (ready, control) = parsed.map_err(|_| {
                    self.failure(&format!("the server is ready on {ready:?}, not an address"))
                })?;
                self.control = control;
                Ok(Ok(Some(ready)))
            }
            Err(RecvTimeoutError::Timeout) => Ok(Ok(None)),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_err(Failure::system("the server"))?;
                Ok(Err(self.death_with(status)))
            }
        }
    }

    /// How the process ended, if it did so by itself.
    pub fn death(&mut self) -> Option<Death> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(self.death_with(status))
    }

    fn death_with(&self, status: ExitStatus) -> Death {
        Death { status, said: self.said() }
    }

    /// Its control port.
    pub const fn control(&self) -> Option<SocketAddr> {
        self.control
    }

    /// SIGKILL, and waits until the process is dead: its locks and its port are free then.
    ///
    /// It is reaped beside what goes on: to forget the entries of /proc/PID the kernel (6.18) may take seconds,
    /// in `shrink_dcache_parent`, more often and longer where something else reads them.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        }
        thread::spawn(move || drop(self));
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // The process is not waited for yet, so its number can't be another's.
        match Pid::from_raw(self.child.id().cast_signed()) {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Ends the server as an operator does. What is to be said if that wasn't clean.
    pub fn stop(mut self) -> Result<Option<String>, Failure> {
        let stopping = Failure::system("stopping the server");
        let signalled = self.signal(Signal::TERM);
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

    fn describe(&self, what: &str) -> String {
        describe(what, &self.said())
    }

    /// What this process wrote to its log.
    fn said(&self) -> String {
        let read = || -> io::Result<String> {
            let mut log = File::open(&self.log)?;
            log.seek(SeekFrom::Start(self.log_begin))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // On every way out; where the process is gone this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `what`, and the end of a log.
fn describe(what: &str, log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n    ");
    format!("{what}; the end of its log:\n    {shown}")
}

fn open_log(path: &Path) -> io::Result<File> {
    let mut log = File::options().append(true).create(true).open(path)?;
    writeln!(log, "--- start")?;
    Ok(log)
}

/// Reads the server's output for as long as it lives, so that its pipe never fills, and passes on
/// the addresses.
fn watch(output: Option<ChildStdout>) -> Receiver<Addresses> {
    let (sender, receiver) = channel();
    if let Some(output) = output {
        thread::spawn(move || {
            let mut control = None;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix(CONTROL) {
                    control = Some(address.trim().to_owned());
                }
                if let Some(address) = line.strip_prefix(READY) {
                    let ready = address.trim().to_owned();
                    let _ = sender.send(Addresses { ready, control: control.take() });
                }
            }
        });
    }
    receiver
}

/// Each of the programs in front sets something and becomes the next one, so that the process is the
/// server's in the end.
fn command(options: &ServerOptions) -> Command {
    // If this program is killed, nobody else would end the server: setpriv asks the kernel to.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    // Killed before that, it is no more the parent of what setpriv becomes.
    command.args(["sh", "-c", "[ \"$PPID\" = \"$0\" ] && exec \"$@\""]);
    command.arg(std::process::id().to_string());
    if let Some(network) = &options.network {
        command.arg("nsenter").arg(format!("--net={}", network.display())).arg("--");
    }
    if let Some(most) = options.descriptors {
        command.arg("prlimit").arg(format!("--nofile={most}:{most}")).arg("--");
    }
    if !options.environment.is_empty() {
        // For the server alone, not for the programs in front of it.
        command.arg("env");
        for (name, value) in &options.environment {
            command.arg(format!("{name}={}", value.display()));
        }
    }
    let any_port = SocketAddr::new(options.address, 0).to_string();
    command.arg(&options.program).args(["serve", "--listen", &any_port, "--control", &any_port]);
    match &options.keys {
        Some(keys) => command.arg("--keys").arg(keys),
        None => command.arg("--insecure-dev"),
    };
    command.args(["--durability", options.durability, "--cores", &options.cores.to_string()]);
    command.args(["--segment-mib", &options.segment_mib.to_string()]);
    command.arg("--data-dir").arg(&options.data).args(&options.arguments);
    // Its own group: ctrl-C in the terminal is for this program, which then ends the server.
    command.process_group(0);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(raw: i32) -> Death {
        Death { status: ExitStatus::from_raw(raw), said: String::new() }
    }

    #[test]
    fn a_server_ends_deliberately_with_one_or_two_or_by_an_abort() {
        let exited = |code: i32| ended(code << 8);
        assert!(exited(1).is_deliberate() && exited(2).is_deliberate());
        assert!(ended(Signal::ABORT.as_raw()).is_deliberate());
        for other in [exited(0), exited(101), ended(Signal::SEGV.as_raw())] {
            assert!(!other.is_deliberate(), "{}", other.status);
        }
    }
}
