//! Configuration: what the operator asked for, turned once into valid types.
//!
//! A value comes from a flag, else from the environment (`FULMAR_` and the key in capitals), else
//! from the file named by `--config`, else from the default. [`Config::resolve`] judges all of them
//! together and reports every error at once; each names the key, the value, where it came from
//! and what is allowed. After that nothing in the server asks whether a setting is valid.
//!
//! The keys, their ranges and defaults stand in one table, [`keys`]; `tuning/fulmar.toml` is the
//! same table for operators, with the reasons.
//!
//! This module reads the configuration file and the limits of the machine. It opens nothing else:
//! the key file and the data directory belong to those who use them.

mod contradictions;
mod error;
mod file;
mod flags;
mod keys;
mod machine;
mod settings;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use error::{ConfigError, ConfigErrors, Origin};
pub use file::FILE_BYTES_MAX;
pub use flags::Flags;
pub use machine::{DESCRIPTORS_RESERVED, Machine};
pub use settings::{Sources, unknown_variables};
pub use value::log_filter;

use settings::{Setting, Settings};

/// When a send counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After an fsync: survives a power cut.
    Fsync,
    /// Once the operating system has it: survives a crash of the server, not of the machine.
    Os,
}

/// When a message leaves an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// As soon as every device of the user has it, or it expires.
    Temporary,
    /// Never.
    History,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The effective configuration of a server. Field names are the keys.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect. Port 0 asks for any free port.
    pub listen: SocketAddr,
    /// Where operators ask for health and metrics; none if switched off.
    pub control: Option<SocketAddr>,
    /// Directory of durable state.
    pub data_dir: PathBuf,
    /// How many cores run the message path, 1 to [`CORES_MAX`](crate::limits::CORES_MAX).
    pub cores: usize,
    /// The CPU of core 0; core *n* runs on CPU `pin + n`, and all of these may be used. None leaves
    /// the choice to the scheduler.
    pub pin: Option<usize>,
    /// When a send counts as durable.
    pub durability: Durability,
    /// When a message leaves an inbox.
    pub retention: Retention,
    /// Days after which a message leaves a temporary inbox even if a device still lacks it.
    pub expiry_days: u32,
    /// Most messages in one user's inbox.
    pub quota_messages: u64,
    /// Most entries in a group's log.
    pub group_quota_messages: u64,
    /// Most body bytes in a group's log. Never less than `body_bytes_max`.
    pub group_quota_bytes: u64,
    /// Most members of a group.
    pub group_members_max: usize,
    /// Most bytes of bodies in one user's inbox. Never less than `body_bytes_max`.
    pub quota_bytes: u64,
    /// Most devices of one user.
    pub devices_max: usize,
    /// Most unacknowledged messages on the way to one device.
    pub window_messages: u32,
    /// Most unacknowledged bytes of bodies on the way to one device; one message of any size may
    /// always be on the way.
    pub window_bytes: u64,
    /// Most unanswered sends of one connection before its socket is no longer read.
    pub sends_max: u32,
    /// Longest body of a message, in bytes.
    pub body_bytes_max: u64,
    /// Seconds without any frame after which a connection is closed.
    pub idle_seconds: u64,
    /// Seconds after which a person who does nothing isn't online, and between two changes of that
    /// which are told.
    pub presence_interval_seconds: u64,
    /// Seconds after which a message can't be edited or deleted for everyone.
    pub edit_max_age_seconds: u64,
    /// Milliseconds within which a new connection must have sent its hello.
    pub hello_timeout_ms: u64,
    /// Milliseconds within which a frame that was begun must be complete.
    pub frame_timeout_ms: u64,
    /// Receive buffers of a core, a power of two.
    pub receive_buffers: u16,
    /// Most connections of this node.
    pub connections_max: u64,
    /// The file of login keys. None only with `insecure_dev`.
    pub keys: Option<PathBuf>,
    /// Whether hellos without a token are accepted. Only with loopback addresses.
    pub insecure_dev: bool,
    /// Which log lines are written, in the syntax of `tracing`'s env filter.
    pub log: String,
    /// Their form.
    pub log_format: LogFormat,
    /// Size of a segment of the journal, in MiB.
    pub segment_mib: u32,
    /// Size of one `RocksDB` write buffer, in MiB.
    pub write_buffer_mib: u32,
    /// Size of `RocksDB`'s block cache, in MiB.
    pub block_cache_mib: u32,
    settings: Vec<Setting>,
    derived: Vec<(&'static str, String)>,
    sources: Sources,
    machine: Machine,
}

impl Config {
    /// Judges what `sources` say on this `machine`.
    ///
    /// # Errors
    /// All that is wrong, not only the first thing.
    pub fn resolve(sources: Sources, machine: Machine) -> Result<Config, ConfigErrors> {
        let settings = Settings::collect(&sources)?;
        let config = Config::from_settings(settings, sources, machine);
        let errors = config.contradictions();
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }

    /// Judges a new text of the configuration file under the flags, environment and machine of
    /// this configuration.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn with_file_text(&self, text: String) -> Result<Config, ConfigErrors> {
        Config::resolve(self.sources.with_file_text(text), self.machine.clone())
    }

    /// The configuration file, if one was named.
    pub fn file(&self) -> Option<&Path> {
        self.sources.file()
    }

    /// Turns valid values into fields. Every number is within its key's range, which fits the
    /// field's type.
    fn from_settings(settings: Settings, sources: Sources, machine: Machine) -> Config {
        let s = &settings;
        let cores = s.number("cores").map_or(machine.cores_default(), |n| n as usize);
        let connections_max = s.number("connections_max").unwrap_or(machine.connections_max());
        Config {
            listen: s.address("listen").expect("listen has no word that stands for absence"),
            control: s.address("control"),
            data_dir: s.path("data_dir").expect("data_dir has no word that stands for absence"),
            cores,
            pin: s.number("pin").map(|n| n as usize),
            durability: match s.choice("durability") {
                "os" => Durability::Os,
                _ => Durability::Fsync,
            },
            retention: match s.choice("retention") {
                "history" => Retention::History,
                _ => Retention::Temporary,
            },
            expiry_days: s.integer("expiry_days") as u32,
            quota_messages: s.integer("quota_messages"),
            group_quota_messages: s.integer("group_quota_messages"),
            group_quota_bytes: s.integer("group_quota_bytes"),
            group_members_max: s.integer("group_members_max") as usize,
            quota_bytes: s.integer("quota_bytes"),
            devices_max: s.integer("devices_max") as usize,
            window_messages: s.integer("window_messages") as u32,
            window_bytes: s.integer("window_bytes"),
            sends_max: s.integer("sends_max") as u32,
            body_bytes_max: s.integer("body_bytes_max"),
            idle_seconds: s.integer("idle_seconds"),
            presence_interval_seconds: s.integer("presence_interval_seconds"),
            edit_max_age_seconds: s.integer("edit_max_age_seconds"),
            hello_timeout_ms: s.integer("hello_timeout_ms"),
            frame_timeout_ms: s.integer("frame_timeout_ms"),
            receive_buffers: s.integer("receive_buffers") as u16,
            connections_max,
            keys: s.path("keys"),
            insecure_dev: s.flag("insecure_dev"),
            log: s.choice("log").to_owned(),
            log_format: match s.choice("log_format") {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            segment_mib: s.integer("segment_mib") as u32,
            write_buffer_mib: s.integer("write_buffer_mib") as u32,
            block_cache_mib: s.integer("block_cache_mib") as u32,
            derived: vec![
                ("cores", cores.to_string()),
                ("connections_max", connections_max.to_string()),
            ],
            settings: settings.into_list(),
            sources,
            machine,
        }
    }

    /// The configuration as a file with each value's origin beside it. The text is itself a valid
    /// configuration file.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for setting in &self.settings {
            let line = format!("{} = {}", setting.key.name, setting.toml());
            let _ = write!(text, "{line:<42} # {}", setting.origin);
            let derived = self.derived.iter().find(|(name, _)| *name == setting.key.name);
            if let (None, Some((_, value))) = (setting.number(), derived) {
                let _ = write!(text, "; here {value}");
            }
            text.push('\n');
        }
        text
    }

    /// The keys whose values differ between the two, in the order of the table.
    pub fn differing_keys(&self, other: &Config) -> Vec<&'static str> {
        let pairs = self.settings.iter().zip(&other.settings);
        pairs.filter(|(ours, theirs)| ours.value != theirs.value).map(|(s, _)| s.key.name).collect()
    }

    fn setting(&self, key: &str) -> &Setting {
        self.settings
            .iter()
            .find(|setting| setting.key.name == key)
            .expect("every key of the table has a setting")
    }
}
