//! SIGHUP: reads the configuration file and the key file again.
//!
//! Whatever is wrong leaves the old in force and is logged. Of the configuration, the path of the
//! key file and the log filter take effect at once; for the rest the log says that it waits for
//! the next start.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_uring::fs::File;

use super::LogFilter;
use crate::auth::{self, KeyFile, KeyRing};
use crate::config::{self, Config};

/// Time for all reading of one reload. A file that blocks for longer (a pipe, a dead network disk)
/// must not keep this thread from hearing the next signal.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Settings that take effect without a restart.
const LIVE_KEYS: [&str; 2] = ["keys", "log"];

pub(super) struct Reload {
    /// What the server started with, which is in force but for the settings that a reload changes.
    started: Config,
    /// What the last successful reload read; at first what the server started with.
    config: Config,
    keys: Arc<ArcSwap<KeyRing>>,
    log: LogFilter,
}

impl Reload {
    pub(super) fn new(config: Config, keys: Arc<ArcSwap<KeyRing>>, log: LogFilter) -> Reload {
        Reload { started: config.clone(), config, keys, log }
    }

    pub(super) async fn run(&mut self) {
        tracing::info!("reloading");
        let both = async {
            self.reload_config().await;
            self.reload_keys().await;
        };
        if tokio::time::timeout(TIME_MAX, both).await.is_err() {
            tracing::error!(
                seconds = TIME_MAX.as_secs(),
                "the reload took too long and was dropped"
            );
        }
    }

    async fn reload_config(&mut self) {
        let Some(path) = self.config.file() else { return };
        let new = match read(path, config::FILE_BYTES_MAX).await {
            Ok(text) => self.config.with_file_text(text),
            Err(error) => return kept("configuration", path, &error),
        };
        let new = match new {
            Ok(new) => new,
            Err(errors) => {
                for error in &errors.0 {
                    kept("configuration", path, error);
                }
                return;
            }
        };
        let waiting = waiting(&self.started, &new);
        if !waiting.is_empty() {
            tracing::warn!(keys = ?waiting, "changed settings wait for the next start");
        }
        if self.config.log != new.log {
            match self.log.set(&new.log) {
                Ok(()) => tracing::info!(filter = new.log, "the log filter changed"),
                Err(error) => tracing::error!(error, "the old log filter stays"),
            }
        }
        self.config = new;
    }

    async fn reload_keys(&self) {
        let Some(path) = &self.config.keys else { return };
        let text = match read(path, auth::FILE_BYTES_MAX).await {
            Ok(text) => text,
            Err(error) => return kept("keys", path, &error),
        };
        let file = match KeyFile::parse(&text) {
            Ok(file) => file,
            Err(error) => return kept("keys", path, &error),
        };
        let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        if let Some(warning) = file.exposure(path, mode) {
            tracing::warn!("{warning}");
        }
        let ring = file.ring();
        tracing::info!(path = %path.display(), ids = ?ring.ids(), "the login keys were read");
        self.keys.store(Arc::new(ring));
    }
}

/// The settings of a new configuration that aren't those of the running server, and that a reload doesn't
/// put in force.
fn waiting(started: &Config, new: &Config) -> Vec<&'static str> {
    let mut differing = started.differing_keys(new);
    differing.retain(|key| !LIVE_KEYS.contains(key));
    differing
}

fn kept(what: &str, path: &Path, error: &dyn fmt::Display) {
    tracing::error!(path = %path.display(), %error, "the old {what} stays");
}

/// The text of a file of at most `bytes_max` bytes.
async fn read(path: &Path, bytes_max: u64) -> io::Result<String> {
    let file = File::open(path).await?;
    let mut text = Vec::new();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let result = loop {
        let (result, filled) = file.read_at(chunk, text.len() as u64).await;
        chunk = filled;
        match result {
            Ok(0) => break Ok(()),
            Ok(count) => text.extend_from_slice(&chunk[..count]),
            Err(error) => break Err(error),
        }
        if text.len() as u64 > bytes_max {
            let message = format!("longer than the {bytes_max} bytes that are allowed");
            break Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        chunk.clear();
    };
    file.close().await?;
    result?;
    String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Machine, Sources};

    use clap::{Args, Command, FromArgMatches};

    #[test]
    fn what_waits_is_what_differs_from_the_running_server() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fulmar.toml");
        fs::write(&file, "sends_max = 9\n").unwrap();
        let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
        let arguments = ["--insecure-dev", "--config", file.to_str().unwrap()];
        let flags = Flags::from_arg_matches(&command.get_matches_from(arguments)).unwrap();
        let machine = Machine { cpus: vec![0], descriptors_max: 20_000 };
        let started = Config::resolve(Sources::read(flags).unwrap(), machine).unwrap();
        let read = |text: &str| started.with_file_text(text.to_owned()).unwrap();
        let changed = read("sends_max = 10\nlog = \"debug\"\n");
        assert_eq!(waiting(&started, &changed), ["sends_max"]);
        // At each reload, until it is as it was.
        let changed = changed.with_file_text("sends_max = 10\n".to_owned()).unwrap();
        assert_eq!(waiting(&started, &changed), ["sends_max"]);
        let back = changed.with_file_text("sends_max = 9\n".to_owned()).unwrap();
        assert_eq!(waiting(&started, &back), [""; 0]);
    }
}
