//! `fulmar serve`.

use clap::Args;

use super::{Failure, complain, print};
use crate::auth::KeyRing;
use crate::config::{Config, Flags, Machine, Sources, unknown_variables};
use crate::control::start_logging;
use crate::node::{self, NodeError};
use crate::storage::{self, OpenError};

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    flags: Flags,
    /// Print the settings in force, each with where it came from, look at the key file and the data
    /// directory without changing them, and exit.
    #[arg(long)]
    check: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        // What can't be raised stays; the configuration is judged by what there is.
        let raised = Machine::raise_descriptor_limit();
        let machine = Machine::read().map_err(|error| Failure::run(&error))?;
        let sources = Sources::read(self.flags).map_err(|errors| Failure::usage(&errors))?;
        let config = Config::resolve(sources, machine).map_err(|errors| Failure::usage(&errors))?;
        let mut warnings = unknown_variables(std::env::vars_os().map(|(name, _)| name));
        if let Err(error) = raised {
            warnings.push(format!("the limit on open files can't be raised: {error}"));
        }
        if self.check { check(&config, &warnings) } else { serve(&config, &warnings) }
    }
}

fn check(config: &Config, warnings: &[String]) -> Result<(), Failure> {
    print(&config.describe())?;
    for warning in warnings {
        complain(warning);
    }
    if let Some(path) = &config.keys {
        let (ring, warning) = KeyRing::load(path).map_err(|error| {
            Failure::Usage(format!("keys = {:?}: {error}", path.display().to_string()))
        })?;
        if let Some(warning) = warning {
            complain(&warning);
        }
        let ids = ring.ids();
        ids.iter().try_for_each(|id| print(&format!("# login key {id}\n")))?;
    }
    storage::check(&config.data_dir).map_err(|error| {
        Failure::Usage(format!("data_dir = {:?}: {error}", config.data_dir.display().to_string()))
    })
}

fn serve(config: &Config, warnings: &[String]) -> Result<(), Failure> {
    let log = start_logging(&config.log, config.log_format).map_err(|e| Failure::run(&e))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if config.insecure_dev {
        // As an error, so that hardly any filter hides it.
        tracing::error!(
            listen = %config.listen,
            "INSECURE DEVELOPMENT SERVER: whoever reaches it can log in as any user without a \
             token; never use --insecure-dev with real people's messages"
        );
    }
    node::run(config, log).map_err(|error| failure(&error))
}

/// What a second try doesn't mend is told by another status than the rest.
fn failure(error: &NodeError) -> Failure {
    match error {
        NodeError::Keys { .. }
        | NodeError::Database(OpenError::Format { .. } | OpenError::Foreign { .. }) => {
            Failure::usage(error)
        }
        _ => Failure::run(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::KeyFileError;

    #[test]
    fn a_key_file_or_a_directory_that_is_wrong_is_a_wrong_configuration() {
        let path = std::path::PathBuf::from("d");
        let keys = NodeError::Keys { path: path.clone(), error: KeyFileError::NoSigningKey };
        let foreign = NodeError::Database(OpenError::Foreign { path: path.clone() });
        let in_use = NodeError::Database(OpenError::InUse { path });
        assert!(matches!(failure(&keys), Failure::Usage(_)));
        assert!(matches!(failure(&foreign), Failure::Usage(_)));
        assert!(matches!(failure(&in_use), Failure::Run(_)));
    }
}
