//! A server in a process of its own, and what it costs.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Kind;

/// A running server; ends with the value.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts this program again as a server.
    pub(crate) fn start(kind: Kind, cpu: usize) -> Result<Server, Box<dyn Error>> {
        let kind = kind.to_possible_value().ok_or("every kind has a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--kind", kind.get_name(), "--cpu", &cpu.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server's output was asked for")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Ok(address) = line.trim().parse() else {
            child.kill()?;
            child.wait()?;
            return Err(format!("the server said {line:?} and not its address").into());
        };
        Ok(Server { child, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time of all threads of the server so far, worker threads of the kernel included
    /// (`/proc/PID/task/TID/schedstat`, first number, in nanoseconds).
    pub(crate) fn cpu_time(&self) -> Result<Duration, Box<dyn Error>> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A worker thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let first = text.split_whitespace().next().ok_or("an empty schedstat")?;
            nanoseconds += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the calling thread, and threads that it starts, on one processor.
pub(crate) fn pin(cpu: usize) -> Result<(), Box<dyn Error>> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)
        .map_err(|error| format!("can't pin to processor {cpu}: {error}; is there one?").into())
}
