//! The promises of the doctor, on the texts of other machines.

use std::fs;
use std::path::Path;

use super::checks::Status;
use super::*;
use crate::uring::{Feature, Features};

/// What a Debian 12 of 24 GiB shows, in a container with limits.
const DEBIAN: [(&str, &str); 18] = [
    ("proc/sys/kernel/io_uring_disabled", "0\n"),
    ("proc/sys/fs/nr_open", "1048576\n"),
    ("proc/sys/fs/file-max", "9223372036854775807\n"),
    ("proc/sys/fs/file-nr", "1024\t0\t9223372036854775807\n"),
    ("proc/sys/net/core/somaxconn", "4096\n"),
    ("proc/sys/net/ipv4/tcp_max_syn_backlog", "4096\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    ("proc/sys/net/ipv4/tcp_mem", "287865\t383820\t575730\n"),
    ("proc/sys/net/ipv4/tcp_ehash_entries", "-262144\n"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "17\n"),
    (
        "proc/meminfo",
        "MemTotal:       24662252 kB\n\
         MemFree:        20000000 kB\n\
         MemAvailable:   20971520 kB\n\
         Buffers:           10000 kB\n\
         Cached:           100000 kB\n\
         SwapCached:            0 kB\n\
         Active:           100000 kB\n\
         Inactive:         100000 kB\n\
         SwapTotal:             0 kB\n\
         SwapFree:              0 kB\n\
         Dirty:                 0 kB\n\
         Writeback:             0 kB\n\
         Mapped:            10000 kB\n\
         Slab:              10000 kB\n\
         Committed_AS:      10000 kB\n\
         VmallocTotal:   34359738367 kB\n\
         VmallocUsed:       10000 kB\n\
         VmallocChunk:          0 kB\n",
    ),
    ("proc/self/cgroup", "1:name=systemd:/x\n0::/system.slice/fulmar.service\n"),
    ("sys/fs/cgroup/system.slice/memory.max", "17179869184\n"),
    ("sys/fs/cgroup/system.slice/memory.current", "1073741824\n"),
    ("sys/fs/cgroup/system.slice/fulmar.service/memory.max", "max\n"),
    ("sys/fs/cgroup/system.slice/fulmar.service/cpu.max", "150000 100000\n"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
];

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn debian() -> Facts {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &DEBIAN);
    Facts {
        cpus: 8,
        nofile: Some(Limit { soft: 1_024, hard: 20_000 }),
        memlock: Some(Limit { soft: 8_388_608, hard: u64::MAX }),
        ..Facts::from_files(root.path(), 4_096)
    }
}

fn ring(kernel: &str, error: Option<&str>) -> Features {
    let feature = |name, is_required, error: Option<&str>| Feature {
        name,
        purpose: "something",
        is_required,
        error: error.map(str::to_owned),
    };
    let features = vec![
        feature("io_uring", true, error),
        feature("NO_IOWAIT", false, Some("Linux 6.15 or newer is needed")),
    ];
    Features { kernel: kernel.to_owned(), features }
}

fn check<'a>(report: &'a Report, name: &str) -> &'a Check {
    report.checks().iter().find(|check| check.name == name).unwrap()
}

#[test]
fn the_texts_of_the_kernel_are_read() {
    let expected = Facts {
        cpus: 8,
        cpu_quota_milli: Some(1_500),
        io_uring_disabled: Some(0),
        nofile: Some(Limit { soft: 1_024, hard: 20_000 }),
        memlock: Some(Limit { soft: 8_388_608, hard: u64::MAX }),
        nr_open: Some(1_048_576),
        file_max: Some(i64::MAX as u64),
        files_open: Some(1_024),
        somaxconn: Some(4_096),
        syn_backlog: Some(4_096),
        port_range: Some((32_768, 60_999)),
        tcp_mem: Some([287_865, 383_820, 575_730]),
        ehash_buckets: Some(262_144),
        conntrack_max: Some(262_144),
        conntrack_count: Some(17),
        huge_pages_always: Some(true),
        memory_available: Some(20 << 30),
        memory_group: Some(15 << 30),
        page_bytes: 4_096,
    };
    assert_eq!(debian(), expected);
}

#[test]
fn a_text_that_is_missing_or_strange_is_a_gap_and_no_claim() {
    let root = tempfile::tempdir().unwrap();
    let gaps = Facts { page_bytes: 4_096, ..Facts::default() };
    assert_eq!(Facts::from_files(root.path(), 4_096), gaps);
    let strange = DEBIAN.map(|(name, _)| (name, "\0 strange\n-5 0::/../..\n"));
    write(root.path(), &strange);
    let facts = Facts::from_files(root.path(), 4_096);
    assert_eq!(Facts { huge_pages_always: None, ..facts }, gaps);

    let report = Report::new(&gaps, &ring("6.1.0", None), 1_000);
    assert!(report.is_ok(), "{}", report.to_table());
    assert_eq!(check(&report, "memory").found, "not shown to this process");
}

#[test]
fn a_thousand_connections_fit_where_a_million_do_not() {
    let small = Report::new(&debian(), &ring("6.1.0-18-amd64", None), 1_000);
    assert!(small.is_ok(), "{}", small.to_table());
    assert!(small.to_table().ends_with("\nThis machine can hold 1000 connections.\n"));

    let large = Report::new(&debian(), &ring("6.1.0-18-amd64", None), 4_000_000);
    assert!(!large.is_ok());
    for (name, mend) in [
        ("fs.nr_open", "sysctl -w fs.nr_open=4001024"),
        ("open files (nofile)", "prlimit --pid $$ --nofile=4001024 "),
        ("memory", "raise the control group's limit: MemoryMax= in the unit, to 22244 MiB"),
        ("net.ipv4.tcp_mem", "sysctl -w net.ipv4.tcp_mem=\"500000 1000000 2000000\""),
        ("net.core.somaxconn", "sysctl -w net.core.somaxconn=65535"),
        ("net.ipv4.tcp_max_syn_backlog", "sysctl -w net.ipv4.tcp_max_syn_backlog=65535"),
        ("net.netfilter.nf_conntrack_max", "sysctl -w net.netfilter.nf_conntrack_max=5000000"),
    ] {
        let check = check(&large, name);
        assert_eq!(check.status, Status::Short, "{name}");
        assert!(check.mend.as_ref().unwrap().starts_with(mend), "{check:?}");
    }
    for (name, mend) in [
        ("cpus", "fulmar serve --cores 1"),
        ("NO_IOWAIT", ""),
        ("net.ipv4.tcp_ehash_entries", "boot with the kernel parameter thash_entries=2097152"),
        ("net.ipv4.ip_local_port_range", "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\""),
        ("transparent huge pages", "echo madvise > "),
    ] {
        let check = check(&large, name);
        assert_eq!(check.status, Status::Note, "{name}");
        assert!(check.mend.as_deref().unwrap_or_default().starts_with(mend), "{check:?}");
    }
    for name in ["io_uring", "fs.file-max", "locked memory (memlock)"] {
        assert_eq!(check(&large, name).status, Status::Ok, "{name}");
    }
}

#[test]
fn without_room_for_memory_the_number_that_fits_is_told() {
    let facts = Facts { memory_group: None, memory_available: Some(1 << 30), ..debian() };
    let report = Report::new(&facts, &ring("6.1", None), 1_000_000);
    assert_eq!(check(&report, "memory").mend.as_deref(), Some("fewer connections: 139713"));
    let fits = Report::new(&facts, &ring("6.1", None), 139_713);
    assert_eq!(check(&fits, "memory").status, Status::Ok);
}

#[test]
fn a_forbidden_or_missing_ring_fails_with_what_mends_it() {
    for (disabled, kernel, mend) in [
        (Some(2), "6.8.0", "sysctl -w kernel.io_uring_disabled=0"),
        (Some(1), "6.8.0", "sysctl -w kernel.io_uring_disabled=0"),
        (Some(0), "6.8.0", "docker run --security-opt seccomp="),
        (None, "6.1.0-18-amd64", "docker run --security-opt seccomp="),
        (None, "strange", "docker run --security-opt seccomp="),
        (None, "5.10.0-28-amd64", "apt-get install linux-image-amd64"),
    ] {
        let facts = Facts { io_uring_disabled: disabled, ..debian() };
        let report = Report::new(&facts, &ring(kernel, Some("forbidden")), 10);
        assert!(!report.is_ok());
        let ring = check(&report, "io_uring");
        assert_eq!((ring.status, ring.found.as_str()), (Status::Fails, "forbidden"));
        assert!(ring.mend.as_ref().unwrap().starts_with(mend), "{kernel}: {ring:?}");
        assert!(report.checks().iter().all(|check| check.name != "NO_IOWAIT"));
    }
    // Open to this user, and perhaps not to the service.
    let facts = Facts { io_uring_disabled: Some(1), ..debian() };
    let report = Report::new(&facts, &ring("6.8.0", None), 10);
    assert!(report.is_ok());
    assert_eq!(check(&report, "kernel.io_uring_disabled").status, Status::Note);
}

#[test]
fn the_json_says_the_same() {
    let report = Report::new(&debian(), &ring("6.1.0", None), 100_000);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!((&json["ok"], &json["connections"]), (&false.into(), &100_000.into()));
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), report.checks().len());
    for (json, check) in checks.iter().zip(report.checks()) {
        assert_eq!(json["name"], check.name);
        assert_eq!(json["status"], check.status.name());
        assert_eq!(json["found"], check.found.as_str());
        assert_eq!(json["needed"], check.needed.as_str());
        assert_eq!(json["mend"].as_str(), check.mend.as_deref());
    }
    assert_eq!(report.to_json().lines().count(), 1);
}

#[test]
fn a_firewall_that_follows_nothing_limits_nothing() {
    let facts = Facts { conntrack_count: Some(0), ..debian() };
    let report = Report::new(&facts, &ring("6.1.0", None), 4_000_000);
    assert_eq!(check(&report, "net.netfilter.nf_conntrack_max").status, Status::Note);
}

/// The value of a key in a file of `key = value` lines.
fn setting<'a>(text: &'a str, key: &str) -> &'a str {
    let lines = text.lines().map(|line| line.trim_start_matches('-'));
    let mut values = lines.filter_map(|line| line.strip_prefix(key)?.trim().strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {key}"));
    assert_eq!(values.next(), None, "{key} twice");
    value.trim()
}

/// The files that we hand out satisfy our own doctor.
#[test]
fn the_tuning_files_are_enough_for_a_million() {
    let sysctl = include_str!("../../tuning/sysctl.d/90-fulmar.conf");
    let unit = include_str!("../../tuning/fulmar.service");
    let limits = include_str!("../../tuning/limits.d/90-fulmar.conf");
    let number = |key| setting(sysctl, key).parse::<u64>().unwrap();
    let nofile: u64 = setting(unit, "LimitNOFILE").parse().unwrap();
    let ports = setting(sysctl, "net.ipv4.ip_local_port_range").split_once(' ').unwrap();
    let facts = Facts {
        io_uring_disabled: Some(number("kernel.io_uring_disabled")),
        nr_open: Some(number("fs.nr_open")),
        file_max: Some(number("fs.file-max")),
        somaxconn: Some(number("net.core.somaxconn")),
        syn_backlog: Some(number("net.ipv4.tcp_max_syn_backlog")),
        port_range: Some((ports.0.parse().unwrap(), ports.1.parse().unwrap())),
        nofile: Some(Limit { soft: nofile, hard: nofile }),
        conntrack_max: None,
        ..debian()
    };
    let report = Report::new(&facts, &ring("6.1.0", None), 1_000_000);
    assert!(report.is_ok(), "{}", report.to_table());
    assert_eq!(check(&report, "net.ipv4.ip_local_port_range").status, Status::Ok);
    assert!(nofile <= number("fs.nr_open"));
    assert!(limits.lines().any(|line| line == format!("fulmar  hard  nofile  {nofile}")));
}

#[test]
fn this_machine_is_read_without_a_gap_in_what_every_kernel_shows() {
    let facts = Facts::read().unwrap();
    assert!(facts.cpus > 0 && facts.page_bytes >= 4_096);
    assert!(facts.nofile.is_some() && facts.nr_open.is_some() && facts.memory_available.is_some());
}
