//! Log lines: `tracing` to stderr, with a filter that can be changed while the server runs.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogFormat, log_filter};

/// The filter in force.
#[derive(Debug, Clone)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// A filter and the layer that obeys it.
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub(super) fn new(
        filter: &str,
    ) -> Result<(reload::Layer<EnvFilter, Registry>, LogFilter), String> {
        let filter = log_filter(filter)?;
        let (layer, handle) = reload::Layer::new(filter);
        Ok((layer, LogFilter(handle)))
    }

    /// Puts another filter in force.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let filter = log_filter(filter)?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// Sends this process's log lines to stderr, from now on and for good. The first call wins.
///
/// # Errors
/// What is wrong with the filter, or that log lines already go elsewhere.
pub fn start_logging(filter: &str, format: LogFormat) -> Result<LogFilter, String> {
    let (layer, filter) = LogFilter::new(filter)?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(layer).with(lines);
    subscriber.try_init().map_err(|error| error.to_string())?;
    Ok(filter)
}
