//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;
use fulmar_client::Config;

/// Bytes that a token file may have; a token has at most 1,024.
const TOKEN_FILE_BYTES_MAX: u64 = 4_096;

const AFTER_HELP: &str = "\
Ticks: · waits on this device   ✓ the server has it   ✓✓ a device of the peer has it
       ✓✓ in blue (\"✓✓ read\" with --plain): the person saw it   ✗ the server didn't take it

Examples:
  fulmar-chat --user 7 --with 8                      a server that runs with --insecure-dev
  fulmar-chat --user 7 --token @7.token --with 8     a login with a token from a file
  echo hello | fulmar-chat --user 7 --with 8 --plain

With --plain the exit status is 0 when everything that was sent has its tick, 1 when something
hasn't (it stays in the store and goes out the next time), 2 for a wrong command line, 3 when the
server refused the login or the store failed.";

/// Chat with another user of a Fulmar server, in a terminal.
#[derive(Debug, Parser)]
#[command(name = "fulmar-chat", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Who you are: a user number from 1
    #[arg(long, value_name = "NUMBER", value_parser = user)]
    pub(crate) user: u64,

    /// Which of your devices this is, from 1 to 65535; each has its own store and runs once
    #[arg(long, value_name = "NUMBER", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=65_535))]
    pub(crate) device: u64,

    /// The server, host:port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7700", value_parser = address)]
    pub(crate) server: String,

    /// The login token, or @FILE to read it from a file, which other users of this machine can't
    /// see in the list of processes; nothing for a server in development mode
    #[arg(
        long,
        value_name = "TOKEN|@FILE",
        env = "FULMAR_TOKEN",
        hide_env_values = true,
        hide_default_value = true,
        default_value = ""
    )]
    pub(crate) token: String,

    /// The file in which this device keeps its messages [default: one per server, user and device
    /// below ~/.local/share/fulmar]
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,

    /// The user to chat with; /with changes it later
    #[arg(long, value_name = "NUMBER", value_parser = user)]
    pub(crate) with: Option<u64>,

    /// Line mode: a line of input is a message or a command, an event is a line of output
    #[arg(long)]
    pub(crate) plain: bool,

    /// With --plain, after the end of input: wait at most this long for the ticks
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "plain",
          value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) wait: u64,

    /// With --plain, after the end of input: stay and print what comes, until a signal
    #[arg(long, requires = "plain")]
    pub(crate) follow: bool,

    /// With --plain, where standard input is no terminal: what is printed of the open chat counts as
    /// read by you. Without it a script reads for nobody: no tick turns blue, last seen stays where it
    /// is, and the chat is printed as unread the next time, too
    #[arg(long, requires = "plain")]
    pub(crate) read: bool,
}

impl Args {
    /// What the client needs. Creates the directory of the default store.
    pub(crate) fn config(&self) -> Result<Config, String> {
        let store = match &self.store {
            Some(path) => path.clone(),
            None => self.default_store()?,
        };
        Ok(Config {
            address: self.server.clone(),
            user: self.user,
            device: self.device,
            token: read_token(&self.token)?,
            store,
            agent: concat!("fulmar-chat/", env!("CARGO_PKG_VERSION")).into(),
        })
    }

    fn default_store(&self) -> Result<PathBuf, String> {
        let data = data_directory().ok_or("neither XDG_DATA_HOME nor HOME is set; use --store")?;
        // A device's positions mean something to one server only.
        let server = self.server.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
        let directory = data.join("fulmar").join(server);
        create_private(&directory)
            .map_err(|error| format!("can't create {}: {error}", directory.display()))?;
        Ok(directory.join(format!("user-{}-device-{}.db", self.user, self.device)))
    }
}

/// Judged here, before a store is made for it.
fn user(text: &str) -> Result<u64, String> {
    let user = text.parse().ok().filter(|user| *user > 0);
    user.ok_or_else(|| "a user is a number from 1".to_owned())
}

fn address(text: &str) -> Result<String, String> {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match text.rsplit_once(':') {
        Some((host, number)) if !host.is_empty() && port(number) => Ok(text.to_owned()),
        _ => Err("it must be host:port, with a port from 1 to 65535".to_owned()),
    }
}

fn data_directory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("share")))
}

fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn read_token(token: &str) -> Result<String, String> {
    let Some(path) = token.strip_prefix('@') else { return Ok(token.to_owned()) };
    let read = || -> std::io::Result<String> {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(path)?.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) if text.trim().is_empty() => Err(format!("the token file {path} is empty")),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(format!("can't read the token file {path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_token_comes_from_the_argument_or_a_file() {
        assert_eq!(read_token("v4.public.abc").unwrap(), "v4.public.abc");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "v4.public.abc\n").unwrap();
        let argument = format!("@{}", file.path().display());
        assert_eq!(read_token(&argument).unwrap(), "v4.public.abc");
        std::fs::write(file.path(), "\n").unwrap();
        assert!(read_token(&argument).unwrap_err().contains("is empty"));
        assert!(read_token("@/nowhere").unwrap_err().contains("can't read"));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for wrong in [
            "--user=0",
            "--user=x",
            "--user=1 --device=65536",
            "--user=1 --wait=3",
            "--user=1 --read",
            "--user=1 --server=localhost",
            "--user=1 --server=localhost:0",
            "",
        ] {
            let line = std::iter::once("fulmar-chat").chain(wrong.split_whitespace());
            assert!(Args::try_parse_from(line).is_err(), "{wrong}");
        }
    }
}
