//! Configuration files.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::{Args, Command, FromArgMatches};
use fulmar::config::{Config, ConfigError, Flags, Machine, Origin, Sources};

/// The example, which a configuration is made from whose file's text is then replaced.
static EXAMPLE: LazyLock<PathBuf> =
    LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tuning/fulmar.toml"));

static BASE: LazyLock<Config> = LazyLock::new(|| {
    let path = EXAMPLE.to_str().expect("a path in UTF-8");
    let matches = Flags::augment_args(Command::new("fuzz")).get_matches_from([
        "fuzz",
        "--config",
        path,
        "--keys",
        "keys.toml",
    ]);
    let flags = Flags::from_arg_matches(&matches).expect("flags");
    let sources = Sources::read(flags).expect("the example can be read");
    let machine = Machine { cpus: vec![0, 1, 2, 3], descriptors_max: 1 << 20 };
    Config::resolve(sources, machine).expect("the example is valid")
});

/// Takes a text as the configuration file. What is refused is refused with the name of each key at
/// fault; what is taken is described by a text that means the same.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match BASE.with_file_text(text.to_owned()) {
        Ok(config) => check_config(&config),
        Err(errors) => {
            assert!(!errors.0.is_empty());
            errors.0.iter().for_each(|error| check_error(text, error));
        }
    }
}

fn check_config(config: &Config) {
    assert!((1..=64).contains(&config.cores));
    assert!(config.quota_bytes >= config.body_bytes_max);
    assert!(config.group_quota_bytes >= config.body_bytes_max);
    assert!(config.keys.is_some() || config.insecure_dev);
    assert!(!config.insecure_dev || config.listen.ip().is_loopback());
    let described = config.describe();
    let again = config.with_file_text(described.clone());
    let again = again.unwrap_or_else(|errors| panic!("{errors}\nin\n{described}"));
    assert_eq!(config.differing_keys(&again), [""; 0], "in\n{described}");
}

fn check_error(text: &str, error: &ConfigError) {
    let words = error.to_string();
    match error {
        ConfigError::Value { key, allowed, origin, .. } => {
            assert!(words.starts_with(key) && words.contains(allowed.as_str()), "{words}");
            check_line(text, origin, key);
        }
        ConfigError::UnknownKey { name, origin, .. } => {
            assert!(words.contains(&format!("{name:?}")), "{words}");
            check_line(text, origin, "");
        }
        ConfigError::Syntax { path, message } => {
            assert!(words.contains(&path.display().to_string()));
            assert!(message.contains("line"), "{words}");
        }
        ConfigError::Read { .. } => panic!("no file is read: {words}"),
    }
}

/// The line that an error names is one of the file, and has the key in it.
fn check_line(text: &str, origin: &Origin, key: &str) {
    if let Origin::File(path, line) = origin {
        assert_eq!(path, &*EXAMPLE);
        let found = text.split('\n').nth(line - 1).expect("a line of the file");
        // In quotes a name may be written with escapes.
        assert!(found.contains(key) || found.contains('\\'), "{key} in line {line}: {found}");
    }
}
