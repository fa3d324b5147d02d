//! Text to values and back.

use std::net::SocketAddr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::keys::{Allowed, Key};

/// A value within the range of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// The key's word for absence.
    Absent,
    Address(SocketAddr),
    Number(u64),
    Flag(bool),
    /// A path, a choice or a filter.
    Text(String),
}

/// Units of byte counts, the largest first.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What every log line of this program names as its origin, alone or with a module behind it.
const PROGRAM: &str = "fulmar";

/// The modules that write log lines.
pub(super) const LOGGING_MODULES: [&str; 4] = ["cli", "control", "core_loop", "node"];

/// The value that `text` stands for, if the key allows it.
pub(super) fn parse(key: &Key, text: &str) -> Option<Value> {
    if key.word == Some(text) {
        return Some(Value::Absent);
    }
    match key.allowed {
        Allowed::Address => text.parse().ok().map(Value::Address),
        Allowed::Path => {
            (!text.is_empty() && !text.contains('\0')).then(|| Value::Text(text.to_owned()))
        }
        Allowed::Integer(min, max) => {
            integer(text).filter(|n| (min..=max).contains(n)).map(Value::Number)
        }
        Allowed::Bytes(min, max) => {
            bytes(text).filter(|n| (min..=max).contains(n)).map(Value::Number)
        }
        Allowed::Choice(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
        Allowed::Flag => text.parse().ok().map(Value::Flag),
        Allowed::Filter => {
            let valid = !text.trim().is_empty() && log_filter(text).is_ok();
            let says_something = text.split(',').all(is_level_or_ours_if_bare);
            (valid && says_something).then(|| Value::Text(text.to_owned()))
        }
    }
}

/// A filter of log lines. A field may be compared with a number or a flag; any other value would be a pattern,
/// and some of these take all time and memory to read.
///
/// # Errors
/// What is wrong with it.
pub fn log_filter(text: &str) -> Result<EnvFilter, String> {
    if !text.split(',').all(has_plain_value) {
        return Err("a field may be compared with a number, true or false".to_owned());
    }
    EnvFilter::builder().with_regex(false).parse(text).map_err(|error| error.to_string())
}

/// Whether a part of a filter compares a field with nothing but a number or a flag.
fn has_plain_value(directive: &str) -> bool {
    let Some((_, fields)) = directive.split_once('{') else { return true };
    let Some((fields, _)) = fields.rsplit_once('}') else { return false };
    let is_plain = |value: &str| value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
    fields.split_once('=').is_none_or(|(_, value)| is_plain(value))
}

/// The value as a right-hand side in TOML, in the same form whatever it was written like.
pub(super) fn toml(key: &Key, value: &Value) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    match value {
        Value::Absent => quoted(key.word.expect("only a key with a word is absent")),
        Value::Address(address) => quoted(&address.to_string()),
        Value::Number(number) => match key.allowed {
            Allowed::Bytes(..) if *number >= 1 << 10 && unit(*number).1 > 1 => {
                quoted(&show_bytes(*number))
            }
            _ => number.to_string(),
        },
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => quoted(text),
    }
}

/// What the key allows, in words.
pub(super) fn allowed(key: &Key) -> String {
    let values = match key.allowed {
        Allowed::Address => "an IP address and port, such as 0.0.0.0:7700 or [::1]:7700".to_owned(),
        Allowed::Path => "a path".to_owned(),
        Allowed::Integer(min, max) => format!("an integer from {min} to {max}"),
        Allowed::Bytes(min, max) => format!(
            "bytes from {} to {}, as an integer or with a unit (KiB, MiB, GiB, TiB)",
            show_bytes(min),
            show_bytes(max)
        ),
        Allowed::Choice(words) => words.join(" or "),
        Allowed::Flag => "true or false".to_owned(),
        Allowed::Filter => format!(
            "error, warn, info, debug, trace or off, and for modules (of {PROGRAM}::{{{}}}) others, \
             such as warn,fulmar::core_loop=debug",
            LOGGING_MODULES.join(",")
        ),
    };
    match key.word {
        Some(word) => format!("{values}, or {word}"),
        None => values,
    }
}

/// Whether a part of a filter isn't a bare word that is neither a level nor an origin of this program's lines.
/// To the library any word is an origin, and with one that nothing has, such as a level with a typing
/// error, nothing is logged at all.
fn is_level_or_ours_if_bare(part: &str) -> bool {
    let part = part.trim();
    let is_bare = !part.contains(['=', '[', ']', '{', '}']);
    if !is_bare || part.is_empty() || part.parse::<LevelFilter>().is_ok() {
        return true;
    }
    let mut names = part.split("::");
    let is_ours = names.next() == Some(PROGRAM);
    is_ours && names.next().is_none_or(|module| LOGGING_MODULES.contains(&module))
}

/// Digits, with single underscores between them as in TOML.
fn integer(text: &str) -> Option<u64> {
    let well_formed = text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && !text.starts_with('_')
        && !text.ends_with('_')
        && !text.contains("__");
    if well_formed { text.replace('_', "").parse().ok() } else { None }
}

fn bytes(text: &str) -> Option<u64> {
    for (name, size) in UNITS {
        if let Some(count) = text.strip_suffix(name) {
            return integer(count.trim_end())?.checked_mul(size);
        }
    }
    integer(text)
}

/// The largest unit that the number is a multiple of.
fn unit(number: u64) -> (&'static str, u64) {
    *UNITS
        .iter()
        .find(|(_, size)| number.is_multiple_of(*size))
        .expect("every number is a multiple of one")
}

fn show_bytes(number: u64) -> String {
    let (name, size) = unit(number);
    format!("{} {name}", number / size)
}
