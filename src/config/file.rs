//! The configuration file: flat TOML, one key a line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::keys::KEYS;
use super::settings::{Given, nearest};

/// Longest configuration file, in bytes. The example with all its comments has about 6,000.
pub const FILE_BYTES_MAX: u64 = 256 << 10;

/// Reads a file of bounded length.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("longer than the {FILE_BYTES_MAX} bytes that are allowed");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// What the file says for each key. Unknown keys and values that are no scalars become errors.
pub(super) fn parse(path: &Path, text: &str, errors: &mut Vec<ConfigError>) -> Vec<Given> {
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let message = error.to_string().trim_end().to_owned();
            errors.push(ConfigError::Syntax { path: path.to_owned(), message });
            return Vec::new();
        }
    };
    let mut given = Vec::new();
    for (name, value) in &table {
        let origin = Origin::File(path.to_owned(), line(text, name.span().start));
        let name = name.get_ref().as_ref();
        match KEYS.iter().find(|key| key.name == name) {
            Some(key) => given.push(Given { key, text: scalar(text, value), origin }),
            None => errors.push(ConfigError::UnknownKey {
                name: name.to_owned(),
                origin,
                nearest: nearest(name),
            }),
        }
    }
    given
}

/// The value as text, to be judged like the text of a flag. What is no string is taken as it
/// stands in the file: a float, date or table then fails the judgement with its own words.
fn scalar(text: &str, value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref() {
        DeValue::String(string) => string.to_string(),
        _ => text.get(value.span()).unwrap_or_default().to_owned(),
    }
}

fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}
