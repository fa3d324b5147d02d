//! What can be wrong with a configuration, in words that say how to mend it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag(String),
    /// A variable of the environment.
    Environment(String),
    /// A line of the configuration file, counted from 1.
    File(PathBuf, usize),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Environment(variable) => write!(f, "environment {variable}"),
            Origin::File(path, line) => write!(f, "file {}:{line}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug)]
pub enum ConfigError {
    /// A value that isn't allowed for its key, by itself or beside the other values.
    Value {
        /// The key.
        key: &'static str,
        /// The value as it was written.
        value: String,
        /// Where it was written.
        origin: Origin,
        /// What would be allowed.
        allowed: String,
    },
    /// A key that doesn't exist.
    UnknownKey {
        /// The name as it was written.
        name: String,
        /// Where it was written.
        origin: Origin,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// The file isn't TOML.
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with the line.
        message: String,
    },
    /// The file can't be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Value { key, value, origin, allowed } => {
                write!(f, "{key} = {value:?} ({origin}); allowed: {allowed}")
            }
            ConfigError::UnknownKey { name, origin, nearest } => {
                write!(f, "unknown key {name:?} ({origin})")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => write!(f, "; `fulmar serve --help` lists the keys"),
                }
            }
            ConfigError::Syntax { path, message } => write!(f, "{}: {message}", path.display()),
            ConfigError::Read { path, source } => {
                write!(f, "can't read the configuration file {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfigError::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Everything that is wrong with a configuration; at least one error, each on its own line.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> ConfigErrors {
        ConfigErrors(vec![error])
    }
}
