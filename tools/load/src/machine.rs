//! What a figure depends on: the machine, the kernel, the commit.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// The machine of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Model of the processor as the kernel names it.
    pub cpu: String,
    /// Processors that are online.
    pub cores: usize,
    /// Main memory, in bytes.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// How TCP paces what it sends; it matters on loopback too.
    pub tcp_congestion_control: String,
}

impl Machine {
    /// This machine. What can't be read is "unknown" or 0.
    pub fn this() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let memory = read("/proc/meminfo");
        Machine {
            cpu: known(field(&cpuinfo, "model name").unwrap_or_default()),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            memory_bytes: field(&memory, "MemTotal")
                .and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok())
                .map_or(0, |kibibytes| kibibytes * 1_024),
            kernel: known(&read("/proc/sys/kernel/osrelease")),
            tcp_congestion_control: known(&read("/proc/sys/net/ipv4/tcp_congestion_control")),
        }
    }
}

fn known(text: &str) -> String {
    match text.trim() {
        "" => "unknown".to_owned(),
        text => text.to_owned(),
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

/// The short commit of the source tree that this program was built from, with `-dirty` where
/// tracked files differ from it; "unknown" where there is no such tree.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let tree = env!("CARGO_MANIFEST_DIR");
        let output = Command::new("git").arg("-C").arg(tree).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]).as_deref() {
        Some("") => commit,
        _ => format!("{commit}-dirty"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: AMD EPYC\n";
        assert_eq!(field(text, "model name"), Some("AMD EPYC"));
        assert_eq!(field(text, "name"), None);
    }

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::this();
        assert!(machine.cores >= 1 && machine.memory_bytes > 0 && machine.kernel.contains('.'));
    }
}
