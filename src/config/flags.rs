//! The flags and variables of `fulmar serve`, made from the table of keys.

use std::path::PathBuf;

use clap::builder::{StringValueParser, ValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::error::Origin;
use super::keys::{Allowed, KEYS, Key, VARIABLE_PREFIX};
use super::settings::Given;
use super::value;

/// What flags and environment say. Values are judged later, together with those of the file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub(super) file: Option<PathBuf>,
    pub(super) given: Vec<Given>,
}

/// Name of the flag that isn't a key.
const CONFIG: &str = "config";

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .env(format!("{VARIABLE_PREFIX}CONFIG"))
            .hide_env_values(true)
            .value_parser(ValueParser::path_buf())
            .help("File of settings (TOML), which flags and environment override");
        KEYS.iter().fold(command.arg(config), |command, key| command.arg(argument(key)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

fn argument(key: &'static Key) -> Arg {
    let allowed = value::allowed(key);
    let argument = Arg::new(key.name)
        .long(key.name.replace('_', "-"))
        .value_name(key.placeholder)
        .env(key.variable())
        .hide_env_values(true)
        .value_parser(StringValueParser::new())
        .action(ArgAction::Set)
        .help_heading(key.group)
        .help(format!("{} [{allowed}; default {}]", key.help, key.default));
    match key.allowed {
        // A bare flag means true; `--flag=false` overrides a file that says true.
        Allowed::Flag => {
            argument.num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        _ => argument,
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>(CONFIG).cloned();
        self.given.clear();
        for key in KEYS {
            let Some(text) = matches.get_one::<String>(key.name) else { continue };
            let origin = match matches.value_source(key.name) {
                Some(ValueSource::EnvVariable) => Origin::Environment(key.variable()),
                _ => Origin::Flag(key.flag()),
            };
            self.given.push(Given { key, text: text.clone(), origin });
        }
        Ok(())
    }
}
