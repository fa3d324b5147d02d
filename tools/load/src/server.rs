//! The measured server: started pinned, watched, and stopped whatever happens.

use std::fs::{self, File};
use std::io;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;

use crate::affinity::{self, Placement};
use crate::failure::Failure;
use crate::limits::{SERVER_READY_S, SERVER_STOP_S};

/// What the server prints, before the address, when it accepts connections.
const READY: &str = "fulmar ready on ";
/// Lines of the server's log that an error shows.
const LOG_LINES_SHOWN: usize = 15;

/// How to start the server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The binary.
    pub program: PathBuf,
    /// Where the data directory is made.
    pub data_root: PathBuf,
    /// `fsync` or `os`.
    pub durability: &'static str,
    /// Number of server cores, a processor each.
    pub cores: usize,
    /// The first of them.
    pub placement: Placement,
    /// What `--control` gets.
    pub control: String,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// A running server. Dropping it stops the process and removes its data.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Starts the server and waits until it accepts connections.
    pub fn start(options: &ServerOptions, interrupted: &AtomicBool) -> Result<Server, Failure> {
        let directory = data_directory(&options.data_root)?;
        let log = File::create(log_path(directory.path()))
            .map_err(Failure::system("creating the server's log"))?;
        let mut command = command(options, directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // setpriv would say so only once it runs.
        let child = fs::metadata(&options.program)
            .and_then(|_| spawn_on(options.placement.processors(options.cores), &mut command));
        let child = child.map_err(|source| {
            Failure::Server(format!(
                "the server {} can't be started (through setpriv of util-linux): {source}; build it (cargo build --release \
                 --bin fulmar) or name it with --fulmar PATH",
                options.program.display()
            ))
        })?;
        // The address follows; until then the value makes sure that the process is stopped.
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Server { child, address, directory };
        server.address = server.wait_until_ready(interrupted)?;
        Ok(server)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_ready(&mut self, interrupted: &AtomicBool) -> Result<SocketAddr, Failure> {
        let addresses = self.watch_output();
        let deadline = Instant::now() + Duration::from_secs(SERVER_READY_S);
        loop {
            match addresses.recv_timeout(Duration::from_millis(100)) {
                Ok(text) => {
                    return text.parse().map_err(|_| {
                        self.failure(&format!("the server is ready on {text:?}, not an address"))
                    });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status =
                        self.child.wait().map_err(Failure::system("waiting for the server"))?;
                    return Err(self.failure(&format!("the server did not start ({status})")));
                }
                Err(RecvTimeoutError::Timeout) if interrupted.load(Ordering::Relaxed) => {
                    return Err(Failure::Interrupted);
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    let what = format!("the server was not ready after {SERVER_READY_S} s");
                    return Err(self.failure(&what));
                }
                Err(RecvTimeoutError::Timeout) => (),
            }
        }
    }

    /// Reads the server's output for as long as it lives, so that its pipe never fills, and passes
    /// on the address that it is ready on.
    fn watch_output(&mut self) -> Receiver<String> {
        let (sender, receiver) = channel();
        if let Some(output) = self.child.stdout.take() {
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

    /// Fails if the process is gone; a broken connection is then only what follows from it.
    pub fn check_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(self.failure(&format!("the server died ({status})"))),
            _ => Ok(()),
        }
    }

    /// Ends the server as an operator does and waits for it.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.check_alive()?;
        let status = self.terminate().map_err(Failure::system("stopping the server"))?;
        if status.success() {
            return Ok(());
        }
        Err(self.failure(&format!("the server did not stop cleanly ({status})")))
    }

    /// SIGTERM, a grace, SIGKILL.
    fn terminate(&mut self) -> std::io::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        // The process is not waited for yet, so its number can't be another's.
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + Duration::from_secs(SERVER_STOP_S);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.child.kill()?;
        self.child.wait()
    }

    fn failure(&self, what: &str) -> Failure {
        let log = fs::read_to_string(log_path(self.directory.path())).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ");
        let shown = if shown.is_empty() { "(it is empty)" } else { &shown };
        Failure::Server(format!("{what}; the end of its log:\n  {shown}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // On every way out; after `stop` the process is gone and this does nothing.
        let _ = self.terminate();
    }
}

fn data_directory(root: &Path) -> Result<TempDir, Failure> {
    let make = || {
        fs::create_dir_all(root)?;
        tempfile::Builder::new().prefix("run-").tempdir_in(root)
    };
    make().map_err(Failure::system(format!("making a data directory in {}", root.display())))
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

/// Starts a program whose threads all stay on these processors: it inherits them from this thread,
/// which then gets its own back.
fn spawn_on(processors: Option<Range<usize>>, command: &mut Command) -> io::Result<Child> {
    let Some(processors) = processors else { return command.spawn() };
    let own = sched_getaffinity(None)?;
    affinity::pin(processors)?;
    let child = command.spawn();
    sched_setaffinity(None, &own)?;
    child
}

fn command(options: &ServerOptions, directory: &Path) -> Command {
    // If this program is killed, nobody else would stop the server: setpriv asks the kernel to.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(&options.program);
    command.args(["serve", "--insecure-dev", "--listen", "127.0.0.1:0"]);
    command.args(["--cores", &options.cores.to_string(), "--durability", options.durability]);
    command.args(["--control", &options.control]);
    command.arg("--data-dir").arg(directory.join("data"));
    let processors = options.placement.processors(options.cores);
    if let Some(processors) = &processors {
        command.args(["--pin", &processors.start.to_string()]);
    }
    command.args(&options.arguments);
    // Its own group: ctrl-C in the terminal is for this program, which then stops the server.
    command.process_group(0);
    command
}
