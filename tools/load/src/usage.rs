//! What a run costs: processor time, memory and writes, read from the kernel.

use std::fs;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Reads the usage of a server process and of this one.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// The server's process, where it runs on this machine and is known.
    pub server_pid: Option<u32>,
}

/// What was used up to a moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    at: Instant,
    /// All threads of the server, in microseconds.
    server_cpu_us: Option<f64>,
    /// All threads of this process, in microseconds.
    load_cpu_us: f64,
    /// Everything on this machine, in microseconds.
    machine_cpu_us: Option<f64>,
    /// What the server handed to the storage layer.
    server_written_bytes: Option<u64>,
}

/// What was used between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// Elapsed time, in seconds.
    pub seconds: f64,
    /// Of the server, in microseconds.
    pub server_cpu_us: Option<f64>,
    /// Of this process, in microseconds.
    pub load_cpu_us: f64,
    /// Of everything else on this machine, the host's other guests included, in microseconds.
    /// Unknown where the server is.
    pub other_cpu_us: Option<f64>,
    /// What the server handed to the storage layer; files in memory don't count.
    pub server_written_bytes: Option<u64>,
}

impl Probe {
    /// The usage up to now.
    pub fn usage(self) -> Usage {
        let load = clock_gettime(ClockId::ProcessCPUTime);
        Usage {
            at: Instant::now(),
            server_cpu_us: self.server_pid.and_then(server_cpu_us),
            load_cpu_us: load.tv_sec as f64 * 1e6 + load.tv_nsec as f64 / 1e3,
            machine_cpu_us: machine_cpu_us(),
            server_written_bytes: self.server_pid.and_then(server_written_bytes),
        }
    }

    /// The server's resident memory, in bytes.
    pub fn server_rss_bytes(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server_pid?)).ok()?;
        parse_rss_bytes(&status)
    }
}

impl Usage {
    /// What was spent since `earlier`.
    pub fn since(&self, earlier: &Usage) -> Spent {
        let between = |now: Option<f64>, then: Option<f64>| Some(now? - then?);
        let server_cpu_us = between(self.server_cpu_us, earlier.server_cpu_us);
        let machine_cpu_us = between(self.machine_cpu_us, earlier.machine_cpu_us);
        let load_cpu_us = self.load_cpu_us - earlier.load_cpu_us;
        let other = |machine: f64, server: f64| (machine - server - load_cpu_us).max(0.0);
        Spent {
            seconds: (self.at - earlier.at).as_secs_f64(),
            server_cpu_us,
            load_cpu_us,
            other_cpu_us: machine_cpu_us.zip(server_cpu_us).map(|(all, one)| other(all, one)),
            server_written_bytes: self
                .server_written_bytes
                .zip(earlier.server_written_bytes)
                .map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

impl Spent {
    /// Both times together.
    #[must_use]
    pub fn plus(&self, other: &Spent) -> Spent {
        let sum = |one: Option<f64>, two: Option<f64>| Some(one? + two?);
        Spent {
            seconds: self.seconds + other.seconds,
            server_cpu_us: sum(self.server_cpu_us, other.server_cpu_us),
            load_cpu_us: self.load_cpu_us + other.load_cpu_us,
            other_cpu_us: sum(self.other_cpu_us, other.other_cpu_us),
            server_written_bytes: self
                .server_written_bytes
                .zip(other.server_written_bytes)
                .map(|(one, two)| one + two),
        }
    }

    /// How much of one processor the server used, 1 for all of it.
    pub fn server_share(&self) -> Option<f64> {
        self.server_cpu_us.map(|cpu_us| self.share(cpu_us))
    }

    /// How much of one processor the load used, 1 for all of it.
    pub fn load_share(&self) -> f64 {
        self.share(self.load_cpu_us)
    }

    /// How much of one processor everything else used; 2 for all of two.
    pub fn other_share(&self) -> Option<f64> {
        self.other_cpu_us.map(|cpu_us| self.share(cpu_us))
    }

    fn share(&self, cpu_us: f64) -> f64 {
        cpu_us / (self.seconds * 1e6)
    }
}

/// User and system time of all threads of a process; the kernel counts it in clock ticks, 10 ms
/// as a rule.
fn server_cpu_us(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_cpu_ticks(&stat).map(microseconds)
}

/// Time in which the machine's processors were not idle.
fn machine_cpu_us() -> Option<f64> {
    parse_busy_ticks(&fs::read_to_string("/proc/stat").ok()?).map(microseconds)
}

fn microseconds(ticks: u64) -> f64 {
    ticks as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn parse_busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8);
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    (ticks.len() == 8).then(|| ticks.iter().sum::<u64>() - ticks[3] - ticks[4])
}

/// `utime + stime` of a line of `/proc/PID/stat` (`proc_pid_stat(5)`, fields 14 and 15).
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn server_written_bytes(pid: u32) -> Option<u64> {
    parse_written_bytes(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
}

/// `write_bytes` of `/proc/PID/io`: counted when pages become dirty, or are written directly.
fn parse_written_bytes(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

fn parse_rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_as_the_kernel_writes_them() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 100 0 0 0 731 269 0 0 20 0 4 0 99 0 0";
        assert_eq!(parse_cpu_ticks(stat), Some(1_000));
        assert_eq!(parse_cpu_ticks("42 (a"), None);
        assert_eq!(parse_busy_ticks("cpu  1 2 4 100 200 8 16 32 0 0\ncpu0 1"), Some(63));
        assert_eq!(parse_busy_ticks("cpu  1 2 4 100"), None);
        let io = "wchar: 7\nsyscw: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n";
        assert_eq!(parse_written_bytes(io), Some(4_096));
        assert_eq!(parse_rss_bytes("VmPeak:\t 9 kB\nVmRSS:\t  12 kB\n"), Some(12_288));
        assert_eq!(parse_rss_bytes("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn this_process_has_a_usage() {
        let probe = Probe { server_pid: Some(std::process::id()) };
        let before = probe.usage();
        let mut sum = 0u64;
        let spent = loop {
            sum = sum.wrapping_add(std::hint::black_box(1));
            let spent = probe.usage().since(&before);
            if spent.load_cpu_us > 1_000.0 && spent.seconds >= 0.06 {
                break spent;
            }
            assert!(spent.seconds < 20.0, "{spent:?} {sum}");
        };
        assert!(spent.server_cpu_us.is_some_and(|cpu_us| cpu_us >= 0.0));
        assert!(probe.server_rss_bytes().is_some_and(|bytes| bytes > 100_000));
        assert_eq!(Probe { server_pid: None }.server_rss_bytes(), None);
    }
}
