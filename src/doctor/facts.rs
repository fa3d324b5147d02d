//! The limits of this machine and process, as the kernel tells them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use procfs::{FromBufRead, Meminfo};
use rustix::process::{Resource, getrlimit};

use crate::config::Machine;

/// A limit of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What holds now; the process may raise it up to `hard`. [`u64::MAX`] for unlimited.
    pub soft: u64,
    /// What only an administrator can raise.
    pub hard: u64,
}

/// What was found. None where this kernel or container doesn't show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// CPUs that this process may run on.
    pub cpus: usize,
    /// CPU time that the control group allows, in thousandths of a CPU.
    pub cpu_quota_milli: Option<u64>,
    /// `kernel.io_uring_disabled`: whom it is forbidden: 0 nobody, 1 all outside a group, 2 all.
    pub io_uring_disabled: Option<u64>,
    /// Descriptors of this process.
    pub nofile: Option<Limit>,
    /// Locked memory of this process, in bytes.
    pub memlock: Option<Limit>,
    /// `fs.nr_open`: the highest limit on descriptors that a process can be given.
    pub nr_open: Option<u64>,
    /// `fs.file-max`: open files of the whole system.
    pub file_max: Option<u64>,
    /// Open files of the whole system now.
    pub files_open: Option<u64>,
    /// `net.core.somaxconn`: connections that wait for an accept.
    pub somaxconn: Option<u64>,
    /// `net.ipv4.tcp_max_syn_backlog`: connections that wait for the last step of the handshake.
    pub syn_backlog: Option<u64>,
    /// `net.ipv4.ip_local_port_range`: first and last.
    pub port_range: Option<(u64, u64)>,
    /// `net.ipv4.tcp_mem`: pages of socket buffers below which all is well, above which the kernel
    /// saves, and which it never exceeds.
    pub tcp_mem: Option<[u64; 3]>,
    /// Buckets of the table of established connections.
    pub ehash_buckets: Option<u64>,
    /// Connections that the firewall follows at most, if it can.
    pub conntrack_max: Option<u64>,
    /// Connections that it follows now.
    pub conntrack_count: Option<u64>,
    /// Whether the kernel gives huge pages unasked.
    pub huge_pages_always: Option<bool>,
    /// Memory that a program could take without swapping, in bytes.
    pub memory_available: Option<u64>,
    /// What the control group leaves of its limit, in bytes; none without a limit.
    pub memory_group: Option<u64>,
    /// Size of a page, in bytes.
    pub page_bytes: u64,
}

impl Facts {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The CPUs that this process may use can't be asked for. Everything else may be missing.
    pub fn read() -> io::Result<Facts> {
        let machine = Machine::read()?;
        let files = Facts::from_files(Path::new("/"), procfs::page_size());
        Ok(Facts {
            cpus: machine.cpus.len(),
            nofile: Some(limit(Resource::Nofile)),
            memlock: Some(limit(Resource::Memlock)),
            ..files
        })
    }

    /// What the files below `root` say, which is `/` but for tests. CPUs and limits of the process
    /// are asked for in other ways.
    pub(super) fn from_files(root: &Path, page_bytes: u64) -> Facts {
        let proc = root.join("proc");
        let sys = root.join("sys");
        let sysctl = |name: &str| text(&proc.join("sys").join(name));
        let number = |name: &str| numbers(&sysctl(name)?).and_then(|n| n.first().copied());
        let memory = fs::File::open(proc.join("meminfo")).ok();
        let memory = memory.and_then(|file| Meminfo::from_buf_read(io::BufReader::new(file)).ok());
        let groups = text(&proc.join("self/cgroup")).map(|text| groups(&sys, &text));
        let groups = groups.unwrap_or_default();
        Facts {
            cpus: 0,
            cpu_quota_milli: groups.iter().filter_map(|group| cpu_quota_milli(group)).min(),
            io_uring_disabled: number("kernel/io_uring_disabled"),
            nofile: None,
            memlock: None,
            nr_open: number("fs/nr_open"),
            file_max: number("fs/file-max"),
            files_open: number("fs/file-nr"),
            somaxconn: number("net/core/somaxconn"),
            syn_backlog: number("net/ipv4/tcp_max_syn_backlog"),
            port_range: sysctl("net/ipv4/ip_local_port_range")
                .and_then(|text| <[u64; 2]>::try_from(numbers(&text)?).ok())
                .map(|[first, last]| (first, last)),
            tcp_mem: sysctl("net/ipv4/tcp_mem").and_then(|text| numbers(&text)?.try_into().ok()),
            ehash_buckets: sysctl("net/ipv4/tcp_ehash_entries").and_then(|text| {
                // Negative where a network namespace shares the table of the first one.
                text.trim().parse::<i64>().ok().map(i64::unsigned_abs)
            }),
            conntrack_max: number("net/netfilter/nf_conntrack_max"),
            conntrack_count: number("net/netfilter/nf_conntrack_count"),
            huge_pages_always: text(&sys.join("kernel/mm/transparent_hugepage/enabled"))
                .map(|text| text.contains("[always]")),
            memory_available: memory.and_then(|memory| memory.mem_available),
            memory_group: groups.iter().filter_map(|group| memory_left(group)).min(),
            page_bytes,
        }
    }
}

fn limit(resource: Resource) -> Limit {
    let limit = getrlimit(resource);
    Limit { soft: limit.current.unwrap_or(u64::MAX), hard: limit.maximum.unwrap_or(u64::MAX) }
}

/// A file's text; none if it isn't there or may not be read.
fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// All numbers of a text of nothing but numbers.
fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// The directories of this process's control group (version 2) and of those around it, each of
/// which may limit it.
fn groups(sys: &Path, cgroup: &str) -> Vec<PathBuf> {
    let Some(path) = cgroup.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return Vec::new();
    };
    let mount = sys.join("fs/cgroup");
    let inside = Path::new(path);
    inside.ancestors().map(|ancestor| mount.join(ancestor)).collect()
}

/// The limit less what is in use; none for `max`.
fn memory_left(group: &Path) -> Option<u64> {
    let limit: u64 = text(&group.join("memory.max"))?.trim().parse().ok()?;
    let used = numbers(&text(&group.join("memory.current"))?)?.first().copied()?;
    Some(limit.saturating_sub(used))
}

/// `cpu.max` is "microseconds of CPU time, per microseconds"; none for `max`.
fn cpu_quota_milli(group: &Path) -> Option<u64> {
    match numbers(&text(&group.join("cpu.max"))?)?[..] {
        [quota, period] => quota.saturating_mul(1_000).checked_div(period),
        _ => None,
    }
}
