//! The table of keys: names, ranges, defaults, help. Everything else is derived from it.
//!
//! A range is wide enough for any use that makes sense and narrow enough that a slip of the finger
//! (a unit too many, a zero too few) is refused. The reasons for the defaults stand in
//! `tuning/fulmar.toml`.

use fulmar_protocol::limits::BODY_BYTES_MAX;

use crate::limits::{CORES_MAX, GROUP_MEMBERS_LIMIT, RESENDS_MAX};

/// Which values a key takes, apart from its word for absence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Allowed {
    /// An IP address and a port.
    Address,
    /// A path, not empty.
    Path,
    /// An integer in this range, ends included.
    Integer(u64, u64),
    /// A number of bytes in this range, ends included, with or without a unit.
    Bytes(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A filter of log lines.
    Filter,
}

/// One setting that an operator may make.
#[derive(Debug)]
pub(super) struct Key {
    /// The name in the file. The flag and the variable are made from it.
    pub(super) name: &'static str,
    /// Heading in the help.
    pub(super) group: &'static str,
    /// What stands for the value in the help.
    pub(super) placeholder: &'static str,
    /// Which values are allowed.
    pub(super) allowed: Allowed,
    /// A word that says: no value, or one that is worked out from the machine.
    pub(super) word: Option<&'static str>,
    /// The default, as it would be written.
    pub(super) default: &'static str,
    /// What it does, in one sentence.
    pub(super) help: &'static str,
}

impl Key {
    /// The flag, `--data-dir`.
    pub(super) fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// The variable, `FULMAR_DATA_DIR`.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_uppercase())
    }
}

/// What the names of all variables begin with.
pub(super) const VARIABLE_PREFIX: &str = "FULMAR_";

const NETWORK: &str = "Network";
const STORAGE: &str = "Storage";
const CORES: &str = "Cores";
const LIMITS: &str = "Limits";
const LOGIN: &str = "Login";
const LOGGING: &str = "Logging";

const fn key(
    group: &'static str,
    name: &'static str,
    placeholder: &'static str,
    allowed: Allowed,
    default: &'static str,
    help: &'static str,
) -> Key {
    Key { name, group, placeholder, allowed, word: None, default, help }
}

impl Key {
    const fn or(mut self, word: &'static str) -> Key {
        self.word = Some(word);
        self
    }
}

/// A day: longer than any silence makes sense.
const DAY_SECONDS: u64 = 86_400;

/// Every key, in the order in which people read about them.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key(NETWORK, "listen", "ADDRESS", Allowed::Address, "127.0.0.1:7700",
        "Where clients connect; port 0 takes any free port"),
    key(NETWORK, "control", "ADDRESS", Allowed::Address, "127.0.0.1:7701",
        "Where /healthz, /readyz and /metrics are served, without any authentication").or("off"),
    key(NETWORK, "connections_max", "COUNT", Allowed::Integer(1, 100_000_000), "auto",
        "Most connections of this node; auto is what the limit on descriptors leaves").or("auto"),
    key(NETWORK, "idle_seconds", "SECONDS", Allowed::Integer(10, DAY_SECONDS), "300",
        "Silence after which a connection is closed; clients ping at a third of it"),
    key(NETWORK, "presence_interval_seconds", "SECONDS", Allowed::Integer(5, 600), "30",
        "Silence of a person who is online after which they aren't, and time between changes told"),
    key(NETWORK, "hello_timeout_ms", "MS", Allowed::Integer(100, 120_000), "5000",
        "Time for a new connection to send its hello"),
    key(NETWORK, "receive_buffers", "COUNT", Allowed::Integer(2, 32_768), "2048",
        "Receive buffers of a core, 4 KiB each, a power of two; shared by all its connections"),
    key(NETWORK, "frame_timeout_ms", "MS", Allowed::Integer(100, 600_000), "10000",
        "Time to complete a frame that was begun"),

    key(CORES, "cores", "COUNT", Allowed::Integer(1, CORES_MAX as u64), "auto",
        "Threads of the message path; auto is one per CPU that this process may use").or("auto"),
    key(CORES, "pin", "CPU", Allowed::Integer(0, 4_095), "none",
        "CPU of the first of them, the others on the CPUs after it; none lets them float").or("none"),

    key(STORAGE, "data_dir", "DIR", Allowed::Path, "data",
        "Directory of durable state, made if it is missing"),
    key(STORAGE, "durability", "POLICY", Allowed::Choice(&["fsync", "os"]), "fsync",
        "What a tick promises: fsync survives a power cut, os a crash of the server only"),
    key(STORAGE, "retention", "RULE", Allowed::Choice(&["temporary", "history"]), "temporary",
        "Whether a message leaves the inbox when all devices have it, or never"),
    key(STORAGE, "expiry_days", "DAYS", Allowed::Integer(1, 365), "30",
        "Days that a temporary inbox waits for a device that doesn't come"),
    key(STORAGE, "quota_messages", "COUNT", Allowed::Integer(1, 1_000_000_000), "10000",
        "Most messages in one user's inbox; more are refused before the tick"),
    key(STORAGE, "quota_bytes", "BYTES", Allowed::Bytes(1 << 10, 1 << 40), "64 MiB",
        "Most bytes of bodies in one user's inbox"),
    key(STORAGE, "group_quota_messages", "COUNT", Allowed::Integer(1, 1_000_000_000), "1000000",
        "Most entries in one group's log; more are refused before the tick"),
    key(STORAGE, "group_quota_bytes", "BYTES", Allowed::Bytes(1 << 10, 1 << 40), "1 GiB",
        "Most bytes of bodies in one group's log"),
    key(STORAGE, "segment_mib", "MIB", Allowed::Integer(1, 1_024), "64",
        "Size of a segment of the journal, of which three are usual and thirteen the most"),
    key(STORAGE, "write_buffer_mib", "MIB", Allowed::Integer(1, 1_024), "16",
        "Size of one RocksDB write buffer, of which up to four exist"),
    key(STORAGE, "block_cache_mib", "MIB", Allowed::Integer(1, 65_536), "32",
        "Size of RocksDB's cache of data blocks"),

    key(LIMITS, "edit_max_age_seconds", "SECONDS", Allowed::Integer(1, 365 * DAY_SECONDS), "86400",
        "Age from which on a message can't be edited or deleted for everyone"),
    key(LIMITS, "devices_max", "COUNT", Allowed::Integer(1, 64), "16",
        "Most devices of one user"),
    key(LIMITS, "group_members_max", "COUNT", Allowed::Integer(1, GROUP_MEMBERS_LIMIT as u64), "1024",
        "Most members of one group"),
    key(LIMITS, "window_messages", "COUNT", Allowed::Integer(1, 4_096), "128",
        "Most unacknowledged messages on the way to one device"),
    key(LIMITS, "window_bytes", "BYTES", Allowed::Bytes(4 << 10, 64 << 20), "128 KiB",
        "Most unacknowledged bytes on the way to one device; one message may always be"),
    key(LIMITS, "sends_max", "COUNT", Allowed::Integer(1, RESENDS_MAX), "128",
        "Most unanswered sends of one connection before its socket is no longer read"),
    key(LIMITS, "body_bytes_max", "BYTES", Allowed::Bytes(1, BODY_BYTES_MAX as u64), "416384",
        "Longest body of a message"),

    key(LOGIN, "keys", "FILE", Allowed::Path, "none",
        "File of the keys that login tokens are signed with; read again on SIGHUP").or("none"),
    key(LOGIN, "insecure_dev", "BOOL", Allowed::Flag, "false",
        "Accept anyone as any user; refused unless all addresses are loopback"),

    key(LOGGING, "log", "FILTER", Allowed::Filter, "info",
        "Which log lines go to stderr; SIGHUP changes it"),
    key(LOGGING, "log_format", "FORMAT", Allowed::Choice(&["text", "json"]), "text",
        "Log lines for people or one JSON object each"),
];

const _: () = assert!(BODY_BYTES_MAX == 416_384, "the default of body_bytes_max is the limit");
