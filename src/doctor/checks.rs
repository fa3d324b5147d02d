//! The judgement: what each limit must be for a number of connections, and why.

use super::facts::{Facts, Limit};
use crate::config::DESCRIPTORS_RESERVED;
use crate::uring::{Feature, Features};

/// Kernel memory of an established connection, in bytes. Found on Linux 6.18; an estimate elsewhere.
const SOCKET_BYTES: u64 = 3_900;
/// Kernel memory of the receive that is armed on it, in bytes. Found on Linux 6.18; an estimate elsewhere.
const RECEIVE_BYTES: u64 = 864;
/// The server's own memory for an idle connection that is logged in, in bytes: the most that its
/// benchmark accepts; found on Linux 6.18.
const SERVER_BYTES: u64 = 1_000;
/// Memory of the server without connections, in bytes: write buffers, cache, receive buffers.
const BASE_BYTES: u64 = 256 << 20;
/// Socket buffers of a burst, in bytes per connection: one small message to everyone at once
/// takes a buffer with the kernel's overhead of about this much each.
const BURST_BYTES: u64 = 1_024;
/// After a restart everybody comes back. One in so many is expected within the moment that a core
/// may need before it accepts.
const BACKLOG_SHARE: u64 = 16;
/// A shorter backlog than the kernel's own default is a mistake; a longer one than this is cut off
/// by kernels before 4.1 and never needed.
const BACKLOG: std::ops::RangeInclusive<u64> = 4_096..=65_535;
/// Connections per bucket above which finding one costs more than handling its message. Measured:
/// half of the time at eight; found on Linux 6.18.
const PER_BUCKET_MAX: u64 = 2;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Enough.
    Ok,
    /// Works; could be better, or matters only to programs beside the server.
    Note,
    /// The server runs, and not with this many connections.
    Short,
    /// The server doesn't start.
    Fails,
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Note => "note",
            Status::Short => "short",
            Status::Fails => "fails",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What, in the kernel's own name where it has one.
    pub name: &'static str,
    /// How bad it is.
    pub status: Status,
    /// What there is.
    pub found: String,
    /// What is needed, and for what.
    pub needed: String,
    /// The command that mends it, where it isn't ok and a command can.
    pub mend: Option<String>,
}

/// All checks, in the order in which they are best mended.
pub(super) fn all(facts: &Facts, ring: &Features, connections: u64) -> Vec<Check> {
    let descriptors = connections + DESCRIPTORS_RESERVED;
    let mut checks = vec![cpus(facts)];
    checks.extend(rings(facts, ring));
    checks.extend([
        nr_open(facts, descriptors),
        nofile(facts, descriptors),
        file_max(facts, descriptors),
        memory(facts, connections),
        tcp_mem(facts, connections),
        backlog("net.core.somaxconn", facts.somaxconn, connections),
        backlog("net.ipv4.tcp_max_syn_backlog", facts.syn_backlog, connections),
        ehash(facts, connections),
        memlock(facts),
        port_range(facts, connections),
    ]);
    checks.extend(conntrack(facts, connections));
    checks.extend(huge_pages(facts));
    checks
}

fn cpus(facts: &Facts) -> Check {
    let needed = "one core of the server for each; the journal's thread beside them sleeps mostly";
    let whole = facts.cpus as u64 * 1_000;
    match facts.cpu_quota_milli.filter(|&quota| quota < whole) {
        None => ok("cpus", facts.cpus.to_string(), needed),
        Some(quota) => Check {
            name: "cpus",
            status: Status::Note,
            found: format!("{}, with time for {}.{:03}", facts.cpus, quota / 1_000, quota % 1_000),
            needed: "no more cores than there is time for, or all of them stand still together"
                .to_owned(),
            mend: Some(format!("fulmar serve --cores {}", (quota / 1_000).max(1))),
        },
    }
}

/// Whether `io_uring` is there, isn't forbidden, and has what the server builds on.
fn rings(facts: &Facts, ring: &Features) -> Vec<Check> {
    let mut checks = vec![ok("kernel", ring.kernel.clone(), "6.1 or later, for io_uring")];
    for feature in &ring.features {
        checks.push(ring_feature(facts, ring, feature));
        if !feature.works() && checks.len() == 2 {
            // Without the first, io_uring itself, the others would say the same again.
            break;
        }
    }
    let works = ring.are_sufficient();
    if let Some(disabled) = facts.io_uring_disabled.filter(|&disabled| disabled != 0 && works) {
        checks.push(Check {
            name: "kernel.io_uring_disabled",
            status: Status::Note,
            found: format!("{disabled}, which lets this user pass"),
            needed: "0, or 1 with the server's own group in kernel.io_uring_group".to_owned(),
            mend: Some(sysctl("kernel.io_uring_disabled", 0)),
        });
    }
    checks
}

fn ring_feature(facts: &Facts, ring: &Features, feature: &Feature) -> Check {
    let Some(error) = &feature.error else {
        return ok(feature.name, "works".to_owned(), feature.purpose);
    };
    let status = if feature.is_required { Status::Fails } else { Status::Note };
    let mend = feature.is_required.then(|| match facts.io_uring_disabled {
        Some(1 | 2) => sysctl("kernel.io_uring_disabled", 0),
        _ if is_older(&ring.kernel, KERNEL_MIN) => {
            "apt-get install linux-image-amd64 and reboot, for kernel 6.1 or later".to_owned()
        }
        _ => "docker run --security-opt seccomp=PROFILE.json with a profile that allows \
              io_uring_setup, io_uring_enter and io_uring_register"
            .to_owned(),
    });
    Check {
        name: feature.name,
        status,
        found: error.clone(),
        needed: feature.purpose.to_owned(),
        mend,
    }
}

/// The release that brought the youngest required feature.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// Whether a kernel's release is known and before another.
fn is_older(release: &str, than: (u32, u32)) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < than,
        _ => false,
    }
}

fn nr_open(facts: &Facts, descriptors: u64) -> Check {
    let hard = facts.nofile.map_or(0, |limit| limit.hard);
    let purpose = "the most that a process may be given";
    let Some(found) = facts.nr_open else { return unknown("fs.nr_open", descriptors, purpose) };
    // Whoever was given enough before doesn't depend on it any more.
    if found >= descriptors || hard >= descriptors {
        return ok("fs.nr_open", found.to_string(), purpose);
    }
    short(
        "fs.nr_open",
        found.to_string(),
        needs(descriptors, purpose),
        sysctl("fs.nr_open", descriptors),
    )
}

fn nofile(facts: &Facts, descriptors: u64) -> Check {
    const NAME: &str = "open files (nofile)";
    let purpose = "one for each connection, and some for the server";
    let Some(limit) = facts.nofile else { return unknown(NAME, descriptors, purpose) };
    let found = format!("soft {}, hard {}", amount(limit.soft), amount(limit.hard));
    if limit.hard >= descriptors {
        // The server raises the soft limit by itself.
        return ok(NAME, found, purpose);
    }
    let mend = format!(
        "prlimit --pid $$ --nofile={descriptors} as root for this shell, LimitNOFILE={descriptors} in \
         the unit, or tuning/limits.d/90-fulmar.conf for logins"
    );
    short(NAME, found, needs(descriptors, purpose), mend)
}

fn file_max(facts: &Facts, descriptors: u64) -> Check {
    let purpose = "open files of the whole system, those in use now included";
    let wanted = descriptors + facts.files_open.unwrap_or(0);
    let Some(found) = facts.file_max else { return unknown("fs.file-max", wanted, purpose) };
    if found >= wanted {
        return ok("fs.file-max", amount(found), purpose);
    }
    short("fs.file-max", found.to_string(), needs(wanted, purpose), sysctl("fs.file-max", wanted))
}

fn memory(facts: &Facts, connections: u64) -> Check {
    let each = SOCKET_BYTES + RECEIVE_BYTES + SERVER_BYTES;
    let wanted = BASE_BYTES + connections * each;
    let purpose = format!(
        "{} for the server and {each} bytes for each connection ({} in the kernel)",
        mib(BASE_BYTES),
        SOCKET_BYTES + RECEIVE_BYTES
    );
    let Some(available) = facts.memory_available else {
        return unknown("memory", wanted, &purpose);
    };
    let left = facts.memory_group.map_or(available, |group| group.min(available));
    let found = format!("{} available", mib(left));
    if left >= wanted {
        return ok("memory", found, &purpose);
    }
    let mend = if left < available {
        format!("raise the control group's limit: MemoryMax= in the unit, to {}", mib(wanted))
    } else {
        format!("fewer connections: {}", left.saturating_sub(BASE_BYTES) / each)
    };
    short("memory", found, format!("{}: {purpose}", mib(wanted)), mend)
}

fn tcp_mem(facts: &Facts, connections: u64) -> Check {
    const NAME: &str = "net.ipv4.tcp_mem";
    let wanted = (connections * BURST_BYTES).div_ceil(facts.page_bytes.max(1));
    let purpose = "pages before the kernel saves: one small message to everybody at once";
    let Some([low, pressure, high]) = facts.tcp_mem else { return unknown(NAME, wanted, purpose) };
    let found = format!("{low} {pressure} {high}");
    if pressure >= wanted {
        return ok(NAME, found, purpose);
    }
    let values = format!("\"{} {wanted} {}\"", wanted / 2, wanted * 2);
    short(NAME, found, needs(wanted, purpose), sysctl(NAME, values))
}

fn backlog(name: &'static str, found: Option<u64>, connections: u64) -> Check {
    let wanted = (connections / BACKLOG_SHARE).clamp(*BACKLOG.start(), *BACKLOG.end());
    let purpose = "connections that wait while all clients come back after a restart";
    match found {
        None => unknown(name, wanted, purpose),
        Some(found) if found >= wanted => ok(name, found.to_string(), purpose),
        Some(found) => short(name, found.to_string(), needs(wanted, purpose), sysctl(name, wanted)),
    }
}

fn ehash(facts: &Facts, connections: u64) -> Check {
    const NAME: &str = "net.ipv4.tcp_ehash_entries";
    let wanted = (connections / PER_BUCKET_MAX).max(1).next_power_of_two();
    let purpose = "buckets, so that finding a connection costs little";
    match facts.ehash_buckets {
        None => unknown(NAME, wanted, purpose),
        Some(found) if found >= wanted => ok(NAME, found.to_string(), purpose),
        Some(found) => Check {
            name: NAME,
            status: Status::Note,
            found: found.to_string(),
            needed: needs(wanted, purpose),
            mend: Some(format!("boot with the kernel parameter thash_entries={wanted}")),
        },
    }
}

fn memlock(facts: &Facts) -> Check {
    let found = facts.memlock.map_or("unknown".to_owned(), |limit: Limit| {
        format!("soft {}, hard {}", amount(limit.soft), amount(limit.hard))
    });
    ok("locked memory (memlock)", found, "nothing: rings don't count since kernel 5.12")
}

fn port_range(facts: &Facts, connections: u64) -> Check {
    const NAME: &str = "net.ipv4.ip_local_port_range";
    let purpose = "nothing for a server; ports of one client address towards it, as in a load test";
    match facts.port_range {
        None => unknown(NAME, connections, purpose),
        Some((first, last)) => {
            let found = format!("{first} {last}");
            if last.saturating_sub(first) + 1 >= connections.min(64_512) {
                return ok(NAME, found, purpose);
            }
            Check {
                name: NAME,
                status: Status::Note,
                found,
                needed: purpose.to_owned(),
                mend: Some(sysctl(NAME, "\"1024 65535\"")),
            }
        }
    }
}

/// A firewall that follows connections forgets or refuses those above its limit.
fn conntrack(facts: &Facts, connections: u64) -> Option<Check> {
    const NAME: &str = "net.netfilter.nf_conntrack_max";
    let found = facts.conntrack_max?;
    let wanted = connections + connections / 4;
    let purpose = "connections that the firewall follows, with room for closed ones";
    if found >= wanted {
        return Some(ok(NAME, found.to_string(), purpose));
    }
    let mut check = short(NAME, found.to_string(), needs(wanted, purpose), sysctl(NAME, wanted));
    if facts.conntrack_count == Some(0) {
        // It could, and no rule makes it.
        check.status = Status::Note;
        check.found.push_str(", following none now");
    }
    Some(check)
}

fn huge_pages(facts: &Facts) -> Option<Check> {
    const NAME: &str = "transparent huge pages";
    let needed = "madvise: huge pages for small things waste memory and stall the database";
    if !facts.huge_pages_always? {
        return Some(ok(NAME, "not unasked".to_owned(), needed));
    }
    Some(Check {
        name: NAME,
        status: Status::Note,
        found: "always".to_owned(),
        needed: needed.to_owned(),
        mend: Some("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled".to_owned()),
    })
}

fn ok(name: &'static str, found: String, needed: &str) -> Check {
    Check { name, status: Status::Ok, found, needed: needed.to_owned(), mend: None }
}

fn short(name: &'static str, found: String, needed: String, mend: String) -> Check {
    Check { name, status: Status::Short, found, needed, mend: Some(mend) }
}

/// Not shown to this process, as in some containers: nothing is claimed about it.
fn unknown(name: &'static str, wanted: u64, purpose: &str) -> Check {
    Check {
        name,
        status: Status::Note,
        found: "not shown to this process".to_owned(),
        needed: needs(wanted, purpose),
        mend: None,
    }
}

fn needs(wanted: u64, purpose: &str) -> String {
    format!("{wanted}: {purpose}")
}

fn sysctl(name: &str, value: impl std::fmt::Display) -> String {
    format!("sysctl -w {name}={value}")
}

/// A limit in words: the kernel's way of saying "as many as you like" is a huge number.
fn amount(value: u64) -> String {
    if value > i64::MAX as u64 / 2 { "unlimited".to_owned() } else { value.to_string() }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
