//! Processes that hold a namespace open. They end with this program, however it ends, and nothing is
//! left behind: a namespace that nobody is in is gone, with its mounts and devices.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What a holder says once its script has done its work.
const READY: &str = "ready";

/// A process in namespaces of its own.
#[derive(Debug)]
pub struct Holder {
    child: Child,
    /// It reads from here until it ends.
    _input: Option<ChildStdin>,
}

impl Holder {
    /// Starts one in the namespaces that unshare's options name, and runs a script of the shell there.
    /// An error is a sentence that says what the system refused.
    pub fn start(unshare: &[&str], script: &str) -> Result<Holder, String> {
        // setpriv asks the kernel to kill it if this program's thread ends without a word.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "unshare"]).args(unshare);
        command.args(["--", "sh", "-c"]).arg(format!("set -e\n{script}\necho {READY}\nexec cat"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: io::Error| format!("setpriv and unshare can't be run: {error}");
        let mut child = command.spawn().map_err(failed)?;
        let mut said = String::new();
        if let Some(output) = &mut child.stdout {
            BufReader::new(output).read_line(&mut said).map_err(failed)?;
        }
        if said.trim_end() == READY {
            return Ok(Holder { _input: child.stdin.take(), child });
        }
        let output = child.wait_with_output().map_err(failed)?;
        let why = String::from_utf8_lossy(&output.stderr);
        Err(why.trim().replace('\n', "; "))
    }

    /// Its root directory, seen from here.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.child.id()))
    }

    /// Its network, as a file.
    pub fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.child.id()))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // On every way out; where the process is gone this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Moves the calling thread into a network: the sockets that it makes from now on are there.
pub fn enter_network(network: &std::path::Path) -> io::Result<()> {
    let file = File::open(network)?;
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}
