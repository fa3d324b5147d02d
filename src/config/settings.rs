//! The layers of settings and how they are laid over each other.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrors, Origin};
use super::file;
use super::flags::Flags;
use super::keys::{KEYS, Key, VARIABLE_PREFIX};
use super::value::{self, Value};

/// A text that somebody wrote for a key.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) key: &'static Key,
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// A key with the value that is in force.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) key: &'static Key,
    pub(super) text: String,
    pub(super) origin: Origin,
    pub(super) value: Value,
}

impl Setting {
    pub(super) fn toml(&self) -> String {
        value::toml(self.key, &self.value)
    }

    /// The number, unless the key's word stands there.
    pub(super) fn number(&self) -> Option<u64> {
        match self.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// All that was said about the configuration, not yet judged. Kept so that a reload can judge
/// again with a new text of the file under the same flags.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Flags and environment: clap lets a flag win over its variable.
    pub(super) given: Vec<Given>,
    pub(super) file: Option<(PathBuf, String)>,
}

impl Sources {
    /// Adds to the flags the file that they name.
    ///
    /// # Errors
    /// The file can't be read, isn't UTF-8, or is longer than [`FILE_BYTES_MAX`](super::FILE_BYTES_MAX).
    pub fn read(flags: Flags) -> Result<Sources, ConfigErrors> {
        let file = match flags.file {
            None => None,
            Some(path) => match file::read(&path) {
                Ok(text) => Some((path, text)),
                Err(source) => return Err(ConfigError::Read { path, source }.into()),
            },
        };
        Ok(Sources { given: flags.given, file })
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// The same sources with a new text of the file. Without a file the text is ignored.
    pub(super) fn with_file_text(&self, text: String) -> Sources {
        let file = self.file.as_ref().map(|(path, _)| (path.clone(), text));
        Sources { given: self.given.clone(), file }
    }
}

/// A valid value for every key of the table.
pub(super) struct Settings(Vec<Setting>);

impl Settings {
    /// Lays the layers over each other and judges each value that is in force. A value that a
    /// higher layer hides is still judged: it would become an error the day the flag is dropped.
    pub(super) fn collect(sources: &Sources) -> Result<Settings, ConfigErrors> {
        let mut errors = Vec::new();
        let mut given = sources.given.clone();
        if let Some((path, text)) = &sources.file {
            given.extend(file::parse(path, text, &mut errors));
        }
        let valid: Vec<Setting> =
            given.into_iter().filter_map(|given| judge(given, &mut errors)).collect();
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        let in_force = |key: &'static Key| {
            valid.iter().find(|setting| setting.key.name == key.name).cloned().unwrap_or_else(
                || {
                    judge(
                        Given { key, text: key.default.to_owned(), origin: Origin::Default },
                        &mut errors,
                    )
                    .expect("the defaults of the table are valid")
                },
            )
        };
        Ok(Settings(KEYS.iter().map(in_force).collect()))
    }

    pub(super) fn into_list(self) -> Vec<Setting> {
        self.0
    }

    pub(super) fn address(&self, name: &str) -> Option<std::net::SocketAddr> {
        match self.value(name) {
            Value::Address(address) => Some(*address),
            _ => None,
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        match self.value(name) {
            Value::Text(path) => Some(PathBuf::from(path)),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn integer(&self, name: &str) -> u64 {
        self.number(name).unwrap_or_else(|| panic!("{name} has no word for absence"))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        *self.value(name) == Value::Flag(true)
    }

    pub(super) fn choice(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            other => panic!("{name} is a text and not {other:?}"),
        }
    }

    fn value(&self, name: &str) -> &Value {
        let setting = self.0.iter().find(|setting| setting.key.name == name);
        &setting.unwrap_or_else(|| panic!("{name} is not in the table of keys")).value
    }
}

fn judge(given: Given, errors: &mut Vec<ConfigError>) -> Option<Setting> {
    let Given { key, text, origin } = given;
    if let Some(value) = value::parse(key, &text) {
        return Some(Setting { key, text, origin, value });
    }
    let allowed = value::allowed(key);
    errors.push(ConfigError::Value { key: key.name, value: text, origin, allowed });
    None
}

/// The known key that looks most like `name`, if any looks like it at all.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    KEYS.iter()
        .map(|key| (strsim::jaro_winkler(&name, key.name), key.name))
        .filter(|(likeness, _)| *likeness > LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Jaro-Winkler likeness below which two names have nothing to do with each other.
const LIKENESS_MIN: f64 = 0.75;

/// A warning for each variable that looks like one of ours and isn't.
///
/// Not an error: orchestrators put variables of this form (`FULMAR_SERVICE_HOST`) into the
/// environment of programs that run beside a service of our name.
pub fn unknown_variables(names: impl Iterator<Item = impl AsRef<OsStr>>) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in names {
        let Some(name) = name.as_ref().to_str() else { continue };
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
        if rest == "CONFIG" || KEYS.iter().any(|key| key.variable() == name) {
            continue;
        }
        let hint = match nearest(rest) {
            Some(known) => format!("; did you mean {VARIABLE_PREFIX}{}?", known.to_uppercase()),
            None => String::new(),
        };
        warnings
            .push(format!("the environment variable {name} is no setting and is ignored{hint}"));
    }
    warnings.sort();
    warnings
}
