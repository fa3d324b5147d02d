//! `fulmar key` and `fulmar token`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Failure, complain, now_unix_s, print};
use crate::auth::{Identity, KeyFile, KeyFileError, KeyFileLock};

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// The file of keys.
#[derive(Debug, Args)]
pub(super) struct KeysFile {
    /// The file of keys.
    #[arg(long = "keys", value_name = "FILE", env = "FULMAR_KEYS", hide_env_values = true)]
    path: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Add a new key to the file, made with mode 0600 if it is missing, and print the key's id.
    ///
    /// New tokens are signed with it. While servers run, add it with --standby, give all of them
    /// the public part, and then let `fulmar key sign-with` make it the signing one.
    Generate {
        #[command(flatten)]
        keys: KeysFile,
        /// Leave the signing of new tokens to the key that does it now.
        #[arg(long)]
        standby: bool,
    },
    /// Show the keys of the file: id, when it was made, what it is for.
    List {
        #[command(flatten)]
        keys: KeysFile,
    },
    /// Print the file without private parts, for servers.
    Public {
        #[command(flatten)]
        keys: KeysFile,
    },
    /// Sign new tokens with this key.
    SignWith {
        #[command(flatten)]
        keys: KeysFile,
        /// The id of the key, `k4.pid.…`.
        id: String,
    },
}

impl KeyCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            KeyCommand::Generate { keys, standby } => generate(&keys.path, standby),
            KeyCommand::List { keys } => list(&load(&keys.path)?),
            KeyCommand::Public { keys } => print(&load(&keys.path)?.public().to_text()),
            KeyCommand::SignWith { keys, id } => {
                let _lock = lock(&keys.path)?;
                let mut file = load(&keys.path)?;
                file.sign_with(&id).map_err(|error| Failure::usage(&error))?;
                file.save(&keys.path).map_err(|error| Failure::run(&error))
            }
        }
    }
}

fn generate(path: &Path, standby: bool) -> Result<(), Failure> {
    let _lock = lock(path)?;
    let exists = path.try_exists().map_err(|error| Failure::run(&error))?;
    // Without a key that signs, there is none to leave it to.
    let mut file = if exists { load(path)? } else { KeyFile::default() };
    let standby = standby && exists;
    let id = file.generate(standby, now_unix_s()?).map_err(|error| Failure::run(&error))?;
    let id = id.to_owned();
    file.save(path).map_err(|error| Failure::run(&error))?;
    print(&format!("{id}\n"))
}

/// Until it is dropped, other runs wait that would change the file.
fn lock(path: &Path) -> Result<KeyFileLock, Failure> {
    KeyFile::lock(path).map_err(|error| Failure::run(&error))
}

fn list(file: &KeyFile) -> Result<(), Failure> {
    let mut text = String::new();
    for key in file.list() {
        let use_of = match (key.signing, key.has_secret) {
            (true, _) => "signs",
            (false, true) => "can sign",
            (false, false) => "public",
        };
        let _ = writeln!(text, "{}  {:20}  {use_of}", key.id, key.created.unwrap_or("-"));
    }
    print(&text)
}

#[derive(Debug, Args)]
pub(super) struct TokenCommand {
    #[command(flatten)]
    keys: KeysFile,
    /// The user, from 1.
    #[arg(long, value_parser = user)]
    user: u64,
    /// The device of the user, 1 to 65535.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    device: u16,
    /// Days until it ends, 1 to 3650.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: u64,
    /// Seconds until it ends, instead of days: for tests of what happens then.
    #[arg(long, conflicts_with = "days", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

fn user(text: &str) -> Result<u64, String> {
    let user = text.parse().ok().filter(|user| *user > 0);
    user.ok_or_else(|| "a user is a number from 1".to_owned())
}

impl TokenCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let now_unix_s = now_unix_s()?;
        let expires_s = now_unix_s + self.seconds.unwrap_or(self.days * DAY_S);
        let identity = Identity { user: self.user, device: self.device, expires_s };
        let token = load(&self.keys.path)?.sign(&identity, now_unix_s);
        print(&format!("{}\n", token.map_err(|error| Failure::run(&error))?))
    }
}

fn load(path: &Path) -> Result<KeyFile, Failure> {
    let (file, warning) = KeyFile::load(path).map_err(|error| match error {
        KeyFileError::Content(_) => Failure::Usage(format!("{}: {error}", path.display())),
        _ => Failure::run(&error),
    })?;
    if let Some(warning) = warning {
        complain(&warning);
    }
    Ok(file)
}
